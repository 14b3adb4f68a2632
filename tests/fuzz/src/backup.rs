//! A company's backup that somebody has changed, with the right counts and the right hash.

use keyward_control::{
    call::{ApiCall, AskPortion, ImportPart, ImportStep},
    shard::{audit::verify, backup::restore::Taken, rows},
    sql::Sql as _,
};
use keyward_shared::{digest::Digest, record::Record, time::Millis};
use serde_json::{Map, Value};

use crate::{
    input,
    world::{OPERATOR, START, World, company, in_world},
};

/// A company of the shard that is not there.
const COMPANY: &str = "new-7326549";
/// The most lines of one input.
const LINES: usize = 80;
/// How many lines are sent at once.
const PART: usize = 7;
const NOW: Millis = START.plus(Millis::from_secs(3_600));
/// Where a refusal, and the use of the operator's key, are written down.
const KEPT: [&str; 4] = ["audit", "audit_heads", "key_usage", "numbers"];

/// The lines of a backup but for its last one, which the target makes. No import fails. A refused one leaves nothing but an
/// entry in the operator's trail. Of one that is taken the trail is whole, nobody is an operator, every key has an owner or
/// is revoked, the edge can read what is published and no key has more than its owner; and its export can be imported
/// again, whose export is the same.
pub fn backup(data: &[u8]) {
    let Some(text) = input::text(data) else { return };
    let lines: Vec<&str> = text.lines().take(LINES).collect();
    let Some(exported) = once(&lines) else { return };
    let lines: Vec<&str> = exported.lines().collect();
    let again = once(&lines[..lines.len() - 1]).expect("an export can be imported");
    assert_eq!(without_header_and_last_entry(&again), without_header_and_last_entry(&exported));
}

/// What is restored is said in the header and in one more entry of the trail; then there is the last line.
fn without_header_and_last_entry(file: &str) -> Vec<&str> {
    let lines: Vec<&str> = file.lines().skip(1).collect();
    lines.into_iter().filter(|line| !line.contains("company.import") && !line.contains("\"kind\":\"end\"")).collect()
}

/// Imports the lines; the export of what they made, where they are taken.
fn once(lines: &[&str]) -> Option<String> {
    let mut exported = None;
    in_world(|world| {
        world.shard.prune(NOW).unwrap(); // of what has outlived its time by then
        let before = world.shard.sql().rows(&KEPT);
        let call = world.call("operator", "POST", &format!("/v1/companies/{COMPANY}/import"), "").unwrap();
        let trail = entries(world, OPERATOR);
        if import(world, &call, lines) {
            taken(world);
            exported = Some(export(world));
            return;
        }
        for _ in 0..10 {
            world.shard.prune(NOW).unwrap();
        }
        assert_eq!(world.shard.sql().rows(&KEPT), before, "something remains of what was refused");
        assert_eq!(entries(world, COMPANY), 0);
        assert_eq!(entries(world, OPERATOR), trail + 1, "a refusal stands in a trail, once");
    });
    exported
}

fn entries(world: &World, id: &str) -> usize {
    world.shard.sql().execute("SELECT 1 FROM audit WHERE company = ?1", &[id.into()]).unwrap().len()
}

fn import(world: &World, call: &ApiCall, lines: &[&str]) -> bool {
    let whole: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    let seal = Digest::of(whole.concat().as_bytes()).to_hex();
    let mut all = whole;
    all.push(last_line(lines, &seal));
    let count = all.chunks(PART).len();
    for (number, part) in all.chunks(PART).enumerate() {
        let seal = (number + 1 == count).then(|| seal.clone());
        let step = ImportStep::Lines { number: number as u64, text: part.concat(), seal };
        let part = ImportPart { call: call.clone(), id: "i1".into(), step };
        let (taken, failure) = world.shard.import(NOW, &mut world.random(), &part);
        assert_eq!(failure, None, "a failure");
        match taken {
            Taken::Further => {}
            Taken::Done(handled) => {
                assert_eq!(handled.status, 201);
                return true;
            }
            Taken::Not(handled) => {
                assert!((400..500).contains(&handled.status) && handled.problem);
                return false;
            }
            Taken::Again => panic!("there was no earlier import"),
        }
    }
    panic!("the last part is not answered");
}

/// The counts and the hash as they must be.
fn last_line(lines: &[&str], seal: &str) -> String {
    let mut last = Map::new();
    for kind in ["owner", "key", "use", "bucket", "audit"] {
        let is_it = |line: &&&str| serde_json::from_str::<Value>(line).is_ok_and(|line| line["kind"] == kind);
        last.insert(kind.into(), lines.iter().filter(is_it).count().into());
    }
    last.insert("kind".into(), "end".into());
    last.insert("sha256".into(), seal.into());
    format!("{}\n", Value::Object(last))
}

/// What holds of a company that came back.
fn taken(world: &World) {
    let (shard, sql, id) = (&world.shard, world.shard.sql(), company(COMPANY));
    verify::verify(sql, &id).unwrap().expect("a broken trail");
    for owner in rows::owners_after(sql, &id, "", 1_000).unwrap() {
        assert!(owner.permissions.iter().all(|permission| permission.as_str() != "keyward.operator"));
    }
    for publication in shard.due(NOW.plus(Millis::from_secs(10)), 1_000).unwrap() {
        let Some(value) = publication.value else { continue };
        let secrets = &shard.settings().common.record_secrets;
        let record = Record::open(secrets, shard.name(), &publication.digest, &value).expect("the edge cannot read");
        if record.company == id {
            let key = rows::key(sql, &id, &record.key_id).unwrap().unwrap();
            let owner = rows::owner(sql, &id, &record.owner).unwrap();
            assert!(!key.bootstrap && (owner.is_some() || key.revoked_at.is_some()));
            assert!(owner.is_none_or(|owner| owner.permissions.covers(&record.permissions)), "a key with more than its owner has");
        }
    }
}

fn export(world: &World) -> String {
    let call = world.call("operator", "GET", &format!("/v1/companies/{COMPANY}/export"), "").unwrap();
    let (portion, failure) = world.shard.portion(NOW, &mut world.random(), &AskPortion { call, after: None });
    assert_eq!((portion.answer.status, failure, portion.next), (200, None, None));
    format!("{}{}\n", portion.answer.body, Value::Object(portion.seal.expect("the last part")))
}
