//! Cursors of lists: only one that this very list gave out is taken.

use std::{cell::RefCell, collections::BTreeMap};

use keyward_shared::time::Millis;
use serde_json::Value;

use crate::{
    input,
    world::{ACME, OTHER, START, World, in_world, right_answer},
};

/// Lists that have several pages: each is another one to a cursor.
const LISTS: [&str; 8] = [
    "/v1/keys?company=acme-6263687",
    "/v1/keys?company=acme-6263687&status=active",
    "/v1/keys?company=acme-6263687&owner=ann",
    "/v1/owners?company=acme-6263687",
    "/v1/owners?company=acme-64241536",
    "/v1/audit?company=acme-6263687",
    "/v1/audit?company=acme-6263687&actor=ann",
    "/v1/audit?company=acme-64241536",
];

thread_local! {
    /// Every cursor of every list, found by turning its pages.
    static CURSORS: RefCell<BTreeMap<&'static str, Vec<String>>> = const { RefCell::new(BTreeMap::new()) };
}

/// First line a number that chooses a list, second one that chooses a cursor of any list, third a limit, then any text. The
/// text, the cursor with the text in it, and the cursor changed at one place are taken by the list only where they are a
/// cursor that it gave out; with one that is, the page begins after the one before.
pub fn cursor(data: &[u8]) {
    let Some([list, which, limit, text]) = input::lines(data) else { return };
    let number = |line: &str| line.bytes().take(8).fold(0_usize, |n, b| n * 7 + usize::from(b));
    in_world(|world| {
        CURSORS.with_borrow_mut(|cursors| {
            if cursors.is_empty() {
                *cursors = LISTS.iter().map(|list| (*list, every_cursor(world, list))).collect();
            }
        });
        CURSORS.with_borrow(|cursors| {
            let list = LISTS[number(list) % LISTS.len()];
            let own = &cursors[list];
            let all: Vec<&String> = cursors.values().flatten().collect();
            let cursor = all[number(which) % all.len()];
            let at = number(limit);
            let mut candidates = vec![cursor.clone(), text.to_owned(), format!("{cursor}{text}"), format!("{text}{cursor}")];
            candidates.extend([cursor.to_ascii_uppercase(), cursor.replacen('.', "..", 1), cursor[1..].to_owned()]);
            candidates.extend(text.chars().take(6).filter_map(|with| input::edited(cursor, at, with)));
            let (place, mac) = cursor.split_once('.').unwrap();
            candidates.extend([format!("{text}.{mac}"), format!("{place}.{text}"), format!("{place}.{}", mac.to_ascii_uppercase())]);
            for candidate in candidates {
                try_one(world, list, own, &candidate);
            }
            limited(world, list, limit);
        });
    });
}

fn try_one(world: &World, list: &str, own: &[String], candidate: &str) {
    let encoded: String = url::form_urlencoded::byte_serialize(candidate.as_bytes()).collect();
    let (status, said) = get(world, &format!("{list}&limit=1&cursor={encoded}"));
    match own.iter().position(|known| known == candidate) {
        Some(page) => {
            assert_eq!(status, 200, "{list} {candidate}");
            assert_eq!(said["next_cursor"].as_str(), own.get(page + 1).map(String::as_str), "the page after");
        }
        None if candidate.is_empty() => assert_eq!(status, 200),
        None => assert_eq!((status, said["code"].as_str()), (400, Some("invalid_request")), "{list} {candidate}"),
    }
}

/// A limit is a whole number from 1 to 200, as the standard library reads one.
fn limited(world: &World, list: &str, limit: &str) {
    let encoded: String = url::form_urlencoded::byte_serialize(limit.as_bytes()).collect();
    let (status, said) = get(world, &format!("{list}&limit={encoded}"));
    let right = limit.parse::<u64>().is_ok_and(|limit| (1..=200).contains(&limit));
    assert_eq!(status == 200, right, "{limit:?}");
    let entries = ["keys", "owners", "entries"].iter().find_map(|name| said[name].as_array());
    assert!(entries.is_none_or(|entries| entries.len() as u64 <= limit.parse().unwrap()));
}

fn get(world: &World, target: &str) -> (u16, Value) {
    let call = world.call("operator", "GET", target, "").unwrap();
    let answer = world.shard.handle(START.plus(Millis::from_secs(60)), &mut world.random(), &call).finish();
    (answer.status, right_answer(&answer))
}

fn every_cursor(world: &World, list: &str) -> Vec<String> {
    assert!(list.contains(ACME) || list.contains(OTHER));
    let mut cursors: Vec<String> = Vec::new();
    loop {
        let after = cursors.last().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let (status, said) = get(world, &format!("{list}&limit=1{after}"));
        assert_eq!(status, 200);
        match said["next_cursor"].as_str() {
            Some(next) => cursors.push(next.to_owned()),
            None => break,
        }
    }
    assert!(!cursors.is_empty(), "{list} has one page only");
    cursors
}
