//! The trail as lines that anybody can verify, in parts that stay small.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::call::{AskPortion, AuditNote, Credential, Portion};
use keyward_shared::digest::Digest;
use serde_json::{Value, json};
use shard_world::{ACME, OTHER, World, bootstrap, company, key, path_of};

fn ask(world: &World, credential: &Credential, query: &str, after: Option<String>) -> Portion {
    let call = world.request(credential, "GET", &format!("/v1/audit/export{query}"), "");
    let (portion, failure) = world.shard.portion(world.at(), &mut world.random(), &AskPortion { call, after });
    assert_eq!(failure, None);
    portion
}

/// All lines, and in how many parts they came. `between` happens after each part.
fn export(world: &World, credential: &Credential, query: &str, mut between: impl FnMut()) -> (Vec<String>, usize) {
    let (mut lines, mut parts, mut after) = (Vec::new(), 0, None);
    loop {
        let portion = ask(world, credential, query, after);
        assert_eq!(portion.answer.status, 200, "{}", portion.answer.body);
        assert!(portion.answer.body.is_empty() || portion.answer.body.ends_with('\n'));
        lines.extend(portion.answer.body.lines().map(str::to_owned));
        parts += 1;
        between();
        match portion.next {
            Some(next) => after = Some(next),
            None => return (lines, parts),
        }
    }
}

/// Follows the chain as somebody would who has only the lines and the documentation.
fn verified(lines: &[String]) -> usize {
    let (last, entries) = lines.split_last().unwrap();
    let mut previous = "0".repeat(64);
    for (number, line) in entries.iter().enumerate() {
        let (text, hash) = line.rsplit_once(",\"hash\":\"").unwrap();
        let text = format!("{text}}}");
        assert_eq!(hash, format!("{}\"}}", Digest::of(text.as_bytes()).to_hex()));
        let entry: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&entry["sequence"], &entry["previous"]), (&json!(number + 1), &json!(previous)));
        entry["hash"].as_str().unwrap().clone_into(&mut previous);
    }
    let expected = if entries.is_empty() { Value::Null } else { json!(previous) };
    assert_eq!(serde_json::from_str::<Value>(last).unwrap(), json!({"end": true, "entries": entries.len(), "hash": expected}));
    entries.len()
}

fn write(world: &World, number: u64, size: usize) {
    let note = AuditNote {
        id: String::new(),
        company: company(ACME),
        actor: format!("actor {number}, \"hash\":\"x\"}}"),
        key: None,
        address: None,
        action: "policy.put".into(),
        target: "line\nbreak \u{2028}".into(),
        outcome: "done".into(),
        before: Value::Null,
        after: json!({"text": "é".repeat(size)}),
        request_id: String::new(),
    };
    world.shard.note(world.at(), &note).unwrap();
}

#[test]
fn every_entry_is_a_line_oldest_first_whose_hash_anybody_can_compute() {
    let world = World::peopled();
    for number in 0..1_200 {
        write(&world, number, 1);
    }
    let (lines, parts) = export(&world, &world.sign_in(ACME, "admin"), "", || {});
    assert_eq!(verified(&lines), 1_200 + 5, "all of the company's, the session's included");
    assert_eq!(parts, 3, "of 500 lines at most");
    let listed = world.operator("GET", &format!("/v1/audit?company={ACME}&limit=1"), Value::Null).expect(200);
    let last: Value = serde_json::from_str(&lines[lines.len() - 2]).unwrap();
    assert_eq!(listed["entries"][0], last, "as the list has it");
}

#[test]
fn large_entries_make_small_parts_and_each_has_at_least_one() {
    let world = World::peopled();
    for number in 0..6 {
        write(&world, number, if number == 3 { 400_000 } else { 100_000 });
    }
    let admin = world.sign_in(ACME, "admin");
    let (mut after, mut sizes) = (None, Vec::new());
    loop {
        let portion = ask(&world, &admin, "", after);
        sizes.push((portion.answer.body.lines().count(), portion.answer.body.len()));
        match portion.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert!(sizes.iter().all(|(lines, bytes)| *bytes < 1_100_000 && (*lines == 1 || *bytes < 1_060_000)), "{sizes:?}");
    assert_eq!(verified(&export(&world, &admin, "", || {}).0), 11);
}

#[test]
fn an_export_ends_at_the_entry_that_was_last_when_it_began() {
    let world = World::peopled();
    for number in 0..700 {
        write(&world, number, 1);
    }
    let before = verified(&export(&world, &bootstrap(), &format!("?company={ACME}"), || {}).0);
    let mut number = 1_000;
    let (lines, parts) = export(&world, &bootstrap(), &format!("?company={ACME}"), || {
        number += 1;
        write(&world, number, 1);
    });
    assert_eq!((verified(&lines), parts), (before, 2));
}

#[test]
fn only_the_time_that_is_asked_for_is_given_also_where_it_lies_far_back() {
    let world = World::peopled();
    let from = world.later(60);
    world.wait(60);
    for number in 0..3 {
        write(&world, number, 1);
        world.wait(10);
    }
    let to = world.later(0);
    for number in 0..6_000 {
        write(&world, number, 1);
    }
    let admin = world.sign_in(ACME, "admin");
    let (lines, _) = export(&world, &admin, &format!("?from={from}&to={to}"), || {});
    assert_eq!(lines.len(), 3 + 1);
    let entries: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries[1]["previous"], entries[0]["hash"], "the chain can be followed from the first one on");
    assert_eq!(entries[3], json!({"end": true, "entries": 3, "hash": entries[2]["hash"]}));
    let (none, _) = export(&world, &admin, "?from=2040-01-01T00:00:00Z", || {});
    assert_eq!(none, [r#"{"end":true,"entries":0,"hash":null}"#]);
}

#[test]
fn each_part_is_authorized_anew_and_bad_questions_are_refused() {
    let world = World::peopled();
    for number in 0..700 {
        write(&world, number, 1);
    }
    let status = |credential: &Credential, query: &str| ask(&world, credential, query, None).answer.status;
    assert_eq!(status(&world.sign_in(ACME, "ann"), ""), 403);
    let admin = world.sign_in(ACME, "admin");
    assert_eq!(status(&admin, &format!("?company={OTHER}")), 404);
    assert_eq!(status(&bootstrap(), "?company=nobody"), 404);
    assert_eq!(status(&admin, "?limit=1"), 400);
    assert_eq!(status(&admin, "?from=yesterday"), 400);

    let manager = world.create(&admin, json!({"manages_keys": true})).expect(201);
    let credential = key(&manager["key"]);
    let first = ask(&world, &credential, "", None);
    assert_eq!((first.answer.status, first.next.is_some()), (200, true));
    world.call(&admin, "POST", &format!("{}/revoke", path_of(&manager)), Value::Null).expect(200);
    assert_eq!(ask(&world, &credential, "", first.next).answer.status, 401);
    // As one message it is not to be had.
    world.get(&admin, "/v1/audit/export").expect(404);
}
