//! Keys that were reported as leaked: revoked once, by one turn, whosever they are.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{Leak, LeakReport, LeaksTaken, MAX_LEAKS},
    shard::outbox::Delivery,
};
use keyward_shared::{
    digest::Digest,
    feed::Subject,
    ids::KeyId,
    record::{KeyState, Record},
};
use serde_json::{Value, json};
use shard_world::{ACME, OTHER, World, bootstrap, company, digest_of, path_of, publish, settle};

fn leak(digest: Digest) -> Leak {
    Leak { digest, source: "github:commit".into(), url: Some("https://github.com/o/r".into()) }
}

fn report(world: &World, digests: &[Digest]) -> LeaksTaken {
    let leaks = digests.iter().copied().map(leak).collect();
    let report = LeakReport { leaks, address: Some("198.51.100.4".parse().unwrap()), request_id: "r9".into() };
    world.shard.leaked(world.at(), &report).unwrap()
}

fn make(world: &World, company: &str) -> Value {
    world.operator("POST", &format!("/v1/keys?company={company}"), json!({"name": "a key", "owner": "ann"})).expect(201)
}

fn look(world: &World, company: &str, made: &Value) -> Value {
    world.get(&bootstrap(), &format!("{}?company={company}", path_of(made))).expect(200)
}

/// The entries of a company's trail about leaks, newest first.
fn entries(world: &World, company: &str) -> Vec<Value> {
    let trail = world.get(&bootstrap(), &format!("/v1/audit?company={company}&action=key.leak&limit=200")).expect(200);
    trail["entries"].as_array().unwrap().clone()
}

#[test]
fn a_reported_key_is_revoked_at_once_and_the_trail_says_by_whom_and_where_it_was() {
    let world = World::peopled();
    settle(&world);
    let (made, other) = (make(&world, ACME), make(&world, OTHER));
    settle(&world);
    let rev = world.sql("SELECT value FROM numbers WHERE name = 'rev'", &[])[0][0].number();
    let digest = digest_of(&made);
    assert_eq!(report(&world, &[digest]), LeaksTaken { known: vec![digest], revoked: 1 });

    let key = look(&world, ACME, &made);
    assert_eq!(
        (&key["status"], &key["revoked_by"], &key["revoke_reason"]),
        (&json!("revoked"), &json!("leak report"), &json!("reported as leaked"))
    );
    assert_eq!(key["propagation"]["announced_at"], Value::Null);
    let deliveries = world.shard.deliveries(world.at()).unwrap();
    let [Delivery::Announce(_, announcement)] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    let id = KeyId::new(made["id"].as_str().unwrap()).unwrap();
    assert_eq!(announcement.changes[0].0, Subject::key(world.shard.name(), &company(ACME), &id));
    assert!(announcement.changes[0].1 > rev);
    let put = publish(&world);
    let [(_, Some(value))] = put.as_slice() else { panic!("{put:?}") };
    let record = Record::open(&world.shard.settings().common.record_secrets, world.shard.name(), &digest, value).unwrap();
    assert_eq!(record.state, KeyState::Revoked);

    let trail = entries(&world, ACME);
    let [entry] = trail.as_slice() else { panic!("{trail:?}") };
    for (name, expected) in [
        ("actor", json!("leak report")),
        ("key", Value::Null),
        ("address", json!("198.51.100.4")),
        ("target", made["id"].clone()),
        ("outcome", json!("done")),
        ("request_id", json!("r9")),
    ] {
        assert_eq!(entry[name], expected, "{name}");
    }
    assert_eq!((&entry["before"]["status"], &entry["after"]["status"]), (&json!("active"), &json!("revoked")));
    assert_eq!((&entry["after"]["source"], &entry["after"]["url"]), (&json!("github:commit"), &json!("https://github.com/o/r")));
    assert!(!entry.to_string().contains(&digest.to_hex()), "a digest is nobody's business");

    assert_eq!(look(&world, OTHER, &other)["status"], "active", "the other company's key is untouched");
    assert_eq!(entries(&world, OTHER), Vec::<Value>::new());
    world.get(&bootstrap(), &format!("/v1/audit/verify?company={ACME}")).expect(200);
}

#[test]
fn a_key_that_is_reported_again_stays_as_it_is_and_is_written_down_once_a_day() {
    let world = World::peopled();
    let (leaked, revoked) = (make(&world, ACME), make(&world, ACME));
    let digests = [digest_of(&leaked), digest_of(&revoked)];
    world.operator("POST", &format!("{}/revoke?company={ACME}", path_of(&revoked)), json!({"reason": "lost"})).expect(200);
    let first = report(&world, &digests);
    assert_eq!((first.known.len(), first.revoked), (2, 1));
    let before = [&leaked, &revoked].map(|made| look(&world, ACME, made));
    assert_eq!(before[1]["revoke_reason"], "lost");
    let about = |made: &Value| entries(&world, ACME).iter().filter(|entry| entry["target"] == made["id"]).count();
    for _ in 0..20 {
        let again = report(&world, &digests);
        assert_eq!((again.known.len(), again.revoked), (2, 0));
    }
    assert_eq!([about(&leaked), about(&revoked)], [1, 1]);
    world.wait(86_400);
    for _ in 0..20 {
        report(&world, &digests);
        world.wait(60);
    }
    assert_eq!([about(&leaked), about(&revoked)], [2, 2]);
    let newest = &entries(&world, ACME)[0];
    assert_eq!((&newest["before"]["status"], &newest["after"]["status"]), (&json!("revoked"), &json!("revoked")));
    let after = [&leaked, &revoked].map(|made| look(&world, ACME, made));
    assert_eq!(after, before, "nothing about the keys themselves has changed");
}

#[test]
fn an_expired_key_is_revoked_a_deleted_one_is_known_and_what_never_was_is_not() {
    let world = World::peopled();
    let expiring = json!({"name": "a key", "owner": "ann", "expires_at": world.later(60)});
    let expired = world.operator("POST", &format!("/v1/keys?company={ACME}"), expiring).expect(201);
    let deleted = make(&world, ACME);
    world.operator("DELETE", &format!("{}?company={ACME}", path_of(&deleted)), Value::Null).expect(204);
    world.wait(61);
    let taken = report(&world, &[digest_of(&expired), digest_of(&deleted), Digest::of(b"never")]);
    assert_eq!(taken, LeaksTaken { known: vec![digest_of(&expired), digest_of(&deleted)], revoked: 1 });
    assert_eq!(look(&world, ACME, &expired)["status"], "revoked");
    let trail = entries(&world, ACME);
    assert_eq!(trail.len(), 1);
    assert_eq!(trail[0]["before"]["status"], "expired");
}

#[test]
fn a_thousand_keys_are_revoked_by_one_turn_or_none_is() {
    let world = World::peopled();
    let made: Vec<_> = (0..MAX_LEAKS).map(|number| make(&world, if number % 2 == 0 { ACME } else { OTHER })).collect();
    settle(&world);
    world.announce();
    let digests: Vec<_> = made.iter().map(digest_of).collect();
    let count = || world.sql("SELECT COUNT(*) FROM keys WHERE revoked_at IS NOT NULL", &[])[0][0].number();

    let half = "(SELECT COUNT(*) FROM audit WHERE action = 'key.leak') >= 500";
    world.sql(&format!("CREATE TRIGGER full BEFORE INSERT ON audit WHEN {half} BEGIN SELECT RAISE(ABORT, 'full'); END"), &[]);
    let leaks = digests.iter().copied().map(leak).collect();
    let whole = LeakReport { leaks, address: None, request_id: "r9".into() };
    world.shard.leaked(world.at(), &whole).unwrap_err();
    assert_eq!(count(), 0, "whole or not at all");

    world.sql("DROP TRIGGER full", &[]);
    let taken = report(&world, &digests);
    assert_eq!((taken.known.len(), taken.revoked, count()), (MAX_LEAKS, MAX_LEAKS, MAX_LEAKS as u64));
    for _ in 0..2 {
        world.announce();
    }
    assert_eq!(world.shard.deliveries(world.at()).unwrap(), [], "two announcements tell of them all");
    assert!(
        made.iter()
            .all(|made| look(&world, if made["company"] == ACME { ACME } else { OTHER }, made)["propagation"]["announced_at"].is_string())
    );
}

#[test]
fn what_is_said_of_a_key_is_said_by_the_object_itself() {
    let world = World::peopled();
    let reading = || world.sql("SELECT value FROM numbers WHERE name = 'read_at'", &[])[0][0].number();
    world.shard.leaked(world.at(), &LeakReport { leaks: vec![leak(Digest::of(b"a"))], address: None, request_id: "r".into() }).unwrap();
    let first = reading();
    world.shard.leaked(world.at(), &LeakReport { leaks: vec![leak(Digest::of(b"a"))], address: None, request_id: "r".into() }).unwrap();
    assert!(reading() > first, "a displaced instance, whose writes are refused, says nothing");
}
