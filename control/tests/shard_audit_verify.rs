//! Verifying a trail that is longer than one turn may read.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{AskPortion, AuditNote, Portion},
    shard::audit,
};
use serde_json::{Value, json};
use shard_world::{ACME, World, bootstrap, company};

fn write(world: &World, entries: u64) {
    let note = AuditNote {
        id: String::new(),
        company: company(ACME),
        actor: "ann".into(),
        key: None,
        address: None,
        action: "policy.put".into(),
        target: "policy".into(),
        outcome: "done".into(),
        before: Value::Null,
        after: Value::Null,
        request_id: "r1".into(),
    };
    for _ in 0..entries {
        audit::append(world.shard.sql(), world.at(), &note).unwrap();
    }
}

/// A trail of 11,000 entries.
fn long() -> World {
    let world = World::peopled();
    let there = head(&world);
    write(&world, 11_000 - there);
    world
}

fn head(world: &World) -> u64 {
    world.sql("SELECT sequence FROM audit_heads WHERE company = ?1", &[ACME.into()])[0][0].number()
}

fn part(world: &World, after: Option<String>) -> Portion {
    let call = world.request(&bootstrap(), "GET", &format!("/v1/audit/verify?company={ACME}"), "");
    let (portion, failure) = world.shard.portion(world.at(), &mut world.random(), &AskPortion { call, after });
    assert_eq!(failure, None);
    portion
}

/// What is answered in the end, and in how many turns; `between` happens after each.
fn verified(world: &World, mut between: impl FnMut(usize)) -> (u16, Value, usize) {
    let (mut after, mut turns) = (None, 0);
    loop {
        let portion = part(world, after);
        turns += 1;
        between(turns);
        let Some(next) = portion.next else {
            let mut said: Value = serde_json::from_str(&portion.answer.body).unwrap();
            if portion.answer.status >= 400 {
                said = said["code"].clone();
            }
            return (portion.answer.status, said, turns);
        };
        assert_eq!((portion.answer.status, portion.answer.body.as_str()), (200, ""), "no answer before it is known");
        after = Some(next);
    }
}

#[test]
fn a_long_trail_is_verified_in_turns_of_five_thousand_entries() {
    let world = long();
    assert_eq!(verified(&world, |_| ()), (200, json!({"valid": true, "entries": 11_000}), 3));
}

#[test]
fn entries_that_come_meanwhile_are_left_to_the_next_verification() {
    let world = long();
    assert_eq!(verified(&world, |_| write(&world, 3)), (200, json!({"valid": true, "entries": 11_000}), 3));
    assert_eq!(verified(&world, |_| ()), (200, json!({"valid": true, "entries": 11_009}), 3));
}

#[test]
fn a_break_is_found_wherever_it_is_and_also_when_it_is_made_meanwhile() {
    for (first_broken, turns, tampering) in [
        (1, 1, "DELETE FROM audit WHERE company = 'acme' AND sequence = 1"),
        (5_000, 1, "UPDATE audit SET entry = replace(entry, 'policy.put', 'policy.get') WHERE company = 'acme' AND sequence = 5000"),
        (5_001, 2, "DELETE FROM audit WHERE company = 'acme' AND sequence = 5001"),
        (10_001, 3, "UPDATE audit SET actor = 'eve' WHERE company = 'acme' AND sequence = 10001"),
        (11_000, 3, "DELETE FROM audit WHERE company = 'acme' AND sequence = 11000"),
        (11_001, 3, "UPDATE audit_heads SET hash = 'x' WHERE company = 'acme'"),
        (
            11_001,
            3,
            "INSERT INTO audit SELECT company, 11001, at, actor, action, target, NULL, entry, hash FROM audit \
             WHERE company = 'acme' AND sequence = 9",
        ),
    ] {
        let world = long();
        world.sql(&tampering.replace("'acme'", &format!("'{ACME}'")), &[]);
        let expected = json!({"valid": false, "entries": first_broken - 1, "first_broken": first_broken});
        assert_eq!(verified(&world, |_| ()), (200, expected, turns), "{tampering}");
    }
    let world = long();
    let later = |turn| {
        if turn == 1 {
            world.sql("DELETE FROM audit WHERE company = ?1 AND sequence = 7000", &[ACME.into()]);
        }
    };
    assert_eq!(verified(&world, later), (200, json!({"valid": false, "entries": 6_999, "first_broken": 7_000}), 2));
}

#[test]
fn of_a_company_that_is_deleted_meanwhile_nothing_is_said() {
    let world = long();
    let delete = |turn| {
        if turn == 1 {
            assert!(world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).status < 300);
            while world.shard.going_on().unwrap() {
                world.shard.due(world.at(), 0).unwrap();
            }
        }
    };
    assert_eq!(verified(&world, delete), (404, json!("not_found"), 2));
}
