//! What grows with the number of keys: it is true at once, and written in handfuls, whatever happens in between.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{AuditNote, Redeem, SignOut},
    shard::Shard,
};
use keyward_shared::{
    digest::Digest,
    ids::{KeyId, OwnerId},
    link::SignInLink,
    messages::{KeyUsage, ResolveAnswer, UsageReport},
    record::{KeyState, Record},
};
use serde_json::{Value, json};
use shard_world::{ACME, OPERATOR, OTHER, World, asked, bootstrap, company, digest_of, key, path_of, publish, settings, settle};

/// The world where three rows are a handful.
fn world() -> World {
    let mut world = World::peopled();
    world.shard = world.shard.with_handful(3);
    world
}

/// Keys of ann's.
fn keys(world: &World, count: usize) -> Vec<Value> {
    let ann = world.sign_in(ACME, "ann");
    (0..count).map(|_| world.create(&ann, json!({})).expect(201)).collect()
}

/// The object dies; another instance goes on with what is stored.
fn restart(world: &mut World) {
    let stored = world.shard.sql().copy().unwrap();
    world.shard = Shard::new(stored, settings(), world.shard.name()).unwrap().with_handful(3);
}

fn count(world: &World, statement: &str) -> u64 {
    world.sql(statement, &[])[0][0].number()
}

fn record(world: &World, digest: &Digest) -> Option<Record> {
    match world.shard.resolve(world.at(), &asked(digest, false)).unwrap() {
        ResolveAnswer::Record(sealed) => {
            let secrets = &world.shard.settings().common.record_secrets;
            Some(Record::open(secrets, world.shard.name(), digest, &sealed).unwrap())
        }
        ResolveAnswer::Absent => None,
    }
}

#[test]
fn the_keys_of_a_deleted_owner_read_as_revoked_at_once_and_the_same_when_that_is_written() {
    let mut world = world();
    let made = keys(&world, 8);
    let ann = world.sign_in(ACME, "ann");
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&made[0])), json!({"reason": "before"})).expect(200);
    settle(&world);
    let unwritten = "SELECT COUNT(*) FROM keys WHERE revoked_at IS NULL AND owner = 'ann'";
    let before = count(&world, unwritten);
    world.operator("DELETE", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(204);
    assert_eq!(count(&world, unwritten), before, "nothing is written yet");

    let admin = world.sign_in(ACME, "admin");
    let seen = |world: &World| {
        let each: Vec<_> = made.iter().map(|made| world.get(&admin, &path_of(made)).expect(200)).collect();
        for (made, key) in made.iter().zip(&each) {
            assert_eq!(key["status"], "revoked");
            world.get(&shard_world::key(&made["key"]), "/v1/whoami").expect(401);
            assert_eq!(record(world, &digest_of(made)).unwrap().state, KeyState::Revoked);
            world.call(&admin, "PATCH", &path_of(made), json!({"name": "x"})).expect(403);
            world.operator("PATCH", &format!("{}?company={ACME}", path_of(made)), json!({"name": "x"})).expect(409);
            world.operator("POST", &format!("{}/rotate?company={ACME}", path_of(made)), json!({})).expect(409);
        }
        let list = |status: &str| world.get(&admin, &format!("/v1/keys?owner=ann&status={status}")).expect(200)["keys"].clone();
        assert_eq!(list("active"), json!([]));
        assert_eq!(list("revoked").as_array().unwrap().len(), made.len());
        each
    };
    let at_once = seen(&world);
    assert_eq!((&at_once[1]["revoked_by"], &at_once[1]["revoke_reason"]), (&json!("demo/admin"), &json!("the owner was deleted")));
    assert_eq!((&at_once[0]["revoked_by"], &at_once[0]["revoke_reason"]), (&json!("ann"), &json!("before")));
    assert_eq!(at_once[1]["propagation"]["announced_at"], Value::Null);

    world.wait(2);
    world.announce();
    let announced = seen(&world);
    assert_eq!(announced[1]["propagation"]["announced_at"], json!(world.later(0)));
    let mut turns = 0;
    while world.shard.going_on().unwrap() {
        world.shard.due(world.at(), 0).unwrap();
        turns += 1;
        assert_eq!(seen(&world), announced, "after {turns} turns");
        restart(&mut world);
    }
    assert!(turns > 2, "{turns}");
    assert_eq!(count(&world, unwritten), 0);
    assert_eq!(count(&world, "SELECT COUNT(*) FROM departures"), 0);
}

#[test]
fn an_owner_of_the_same_id_gets_none_of_the_keys_back_however_far_that_has_come() {
    for turns in 0..6 {
        let world = world();
        let first = keys(&world, 7);
        settle(&world);
        world.operator("DELETE", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(204);
        world.announce();
        for _ in 0..turns {
            world.shard.due(world.at(), 0).unwrap();
        }
        world.wait(1);
        world.put_owner(ACME, "ann", &["orders.*", "keyward.keys.own"]).expect(201);
        let second = keys(&world, 4);
        world.wait(1);
        let ann = world.sign_in(ACME, "ann");
        for (made, status) in first.iter().map(|made| (made, "revoked")).chain(second.iter().map(|made| (made, "active"))) {
            assert_eq!(world.get(&ann, &path_of(made)).expect(200)["status"], status, "after {turns} turns");
        }
        // And once more, while the first time is still going on.
        world.operator("DELETE", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(204);
        let admin = world.sign_in(ACME, "admin");
        let revoked_at = |made: &Value| world.get(&admin, &path_of(made)).expect(200)["revoked_at"].clone();
        let at_once: Vec<_> = first.iter().chain(&second).map(revoked_at).collect();
        world.announce();
        world.go_on();
        assert_eq!(first.iter().chain(&second).map(revoked_at).collect::<Vec<_>>(), at_once);
        assert_ne!(at_once[0], at_once[10]);
        assert_eq!(count(&world, "SELECT COUNT(*) FROM departures"), 0);
    }
}

#[test]
fn a_departure_is_not_written_before_it_is_announced() {
    let world = world();
    keys(&world, 4);
    settle(&world);
    world.operator("DELETE", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(204);
    world.go_on(); // the marks
    assert_eq!(count(&world, "SELECT COUNT(*) FROM departures"), 1);
    world.announce();
    assert_eq!(world.shard.next_alarm(world.at()).unwrap(), Some(world.at()));
    world.go_on();
    assert_eq!(count(&world, "SELECT COUNT(*) FROM departures"), 0);
}

#[test]
fn a_revocation_does_not_wait_for_the_marks_of_somebody_elses_many_keys() {
    let world = world();
    keys(&world, 40);
    let bob = world.sign_in(ACME, "bob");
    let bobs = world.create(&bob, json!({})).expect(201);
    settle(&world);
    world.put_owner(ACME, "ann", &["keyward.keys.own"]).expect(200);
    world.go_on();
    assert_eq!(world.shard.due(world.at(), 100).unwrap().len(), 40);
    world.wait(1);
    world.call(&bob, "POST", &format!("{}/revoke", path_of(&bobs)), json!({})).expect(200);
    let batch = world.shard.due(world.at(), 6).unwrap();
    assert_eq!((batch.len(), batch[0].digest), (6, digest_of(&bobs)));
    // One that was swept and is revoked then is urgent too.
    let swept = world.shard.due(world.at(), 100).unwrap().pop().unwrap();
    let id = world.sql("SELECT key_id FROM keys WHERE digest = ?1", &[(&swept.digest).into()])[0][0].text().to_owned();
    world.call(&world.sign_in(ACME, "ann"), "POST", &format!("/v1/keys/{id}/revoke"), json!({})).expect(200);
    assert_eq!(world.shard.due(world.at(), 6).unwrap()[1].digest, swept.digest);
}

#[test]
fn many_single_changes_leave_a_place_in_each_batch_to_what_waits() {
    let world = world();
    keys(&world, 20);
    settle(&world);
    world.put_owner(ACME, "ann", &["keyward.keys.own"]).expect(200);
    world.go_on();
    world.wait(1);
    let bob = world.sign_in(ACME, "bob");
    let bobs: Vec<_> = (0..20).map(|_| digest_of(&world.create(&bob, json!({})).expect(201))).collect();
    let batch = world.shard.due(world.at(), 6).unwrap();
    assert_eq!(batch.iter().filter(|publication| bobs.contains(&publication.digest)).count(), 5);
    assert!(bobs.contains(&world.shard.due(world.at(), 1).unwrap()[0].digest));
}

#[test]
fn a_sweep_puts_no_key_twice_within_a_second() {
    let world = world();
    let made = keys(&world, 3);
    settle(&world);
    world.call(&world.sign_in(ACME, "ann"), "PATCH", &path_of(&made[1]), json!({"name": "changed"})).expect(200);
    assert_eq!(publish(&world).len(), 1);
    world.put_owner(ACME, "ann", &["keyward.keys.own"]).expect(200);
    world.go_on();
    let due: Vec<_> = world.shard.due(world.at(), 100).unwrap().into_iter().map(|publication| publication.digest).collect();
    assert!(due.len() == 2 && !due.contains(&digest_of(&made[1])));
    world.wait(1);
    assert_eq!(world.shard.due(world.at(), 100).unwrap().len(), 3);
}

/// Everything of a company that there can be, and what stands for it outside.
fn filled(world: &World) -> Vec<Value> {
    let made = keys(world, 10);
    let ann = world.sign_in(ACME, "ann");
    let call = world.request(&ann, "POST", "/v1/keys", "{\"name\":\"once\"}");
    world.send(&keyward_control::call::ApiCall { idempotency_key: Some("once".into()), ..call }).expect(201);
    let entry = |made: &Value| KeyUsage {
        key_id: KeyId::new(made["id"].as_str().unwrap()).unwrap(),
        company: company(ACME),
        last_used_at: world.at(),
        allowed: 3,
        refused: 1,
    };
    world.shard.usage(world.at(), &UsageReport { entries: made.iter().map(entry).collect() }).unwrap();
    settle(world);
    world.sign_in(ACME, "bob");
    world.put_owner(ACME, "bob", &["keyward.keys.own"]).expect(200);
    world.operator("DELETE", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(204);
    for row in [
        "webhooks (company, id, url, active, created_at, created_by, since) VALUES (?1, 'wh_1', 'https://h.example', 1, 1, 'ann', 0)",
        "webhook_events (company, id, type, body) VALUES (?1, 'e1', 'key.created', '{}')",
        "webhook_deliveries (company, webhook, event, status, attempts, failures, created_at) VALUES (?1, 'wh_1', 1, 'delivered', 1, 0, 1)",
        "webhook_watches (company, kind, seen, place) VALUES (?1, 'expired', 1, '~')",
    ] {
        world.sql(&format!("INSERT INTO {row}"), &[ACME.into()]);
    }
    world
        .sql("INSERT INTO imports (company, state, touched_at, progress) VALUES (?1, 'done', ?2, '{}')", &[ACME.into(), world.at().into()]);
    world.sql("INSERT INTO sign_ins (company, owner, issued_at, rev) VALUES (?1, 'bob', 1, 0)", &[ACME.into()]);
    made
}

/// What another object did for somebody of the company.
fn note() -> AuditNote {
    AuditNote {
        id: "n".into(),
        company: company(ACME),
        actor: "admin".into(),
        key: None,
        address: None,
        action: "policy.put".into(),
        target: "policy".into(),
        outcome: "done".into(),
        before: Value::Null,
        after: Value::Null,
        request_id: "r".into(),
    }
}

/// The tables of the shard that name a company.
fn tables(world: &World) -> Vec<String> {
    let rows =
        world.sql("SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'company'", &[]);
    rows.iter().map(|row| row[0].text().to_owned()).collect()
}

#[test]
fn a_company_is_gone_at_once_for_everyone_and_erased_in_handfuls_whatever_happens() {
    let mut world = world();
    let made = filled(&world);
    let (admin, session) = (world.sign_in(ACME, "admin"), world.sign_in(ACME, "bob"));
    let manager = key(&world.create(&admin, json!({"manages_keys": true})).expect(201)["key"]);
    let here = |world: &World| {
        let rows = |table: &String| count(world, &format!("SELECT COUNT(*) FROM {table} WHERE company = '{ACME}'"));
        tables(world).iter().filter(|table| !["outbox", "erasures"].contains(&table.as_str())).map(rows).sum::<u64>()
    };
    world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    let at_first = here(&world);
    assert!(at_first > 40, "{at_first}");

    let link = |nonce: &str| SignInLink {
        nonce: nonce.into(),
        ..SignInLink::new(company(ACME), OwnerId::new("bob").unwrap(), world.at(), [0; 16])
    };
    let links: Vec<_> = (0..200).map(|n| link(&format!("{n:032x}"))).collect();
    let gone = |world: &World, turn: usize| {
        for credential in [&admin, &session, &manager, &key(&made[0]["key"])] {
            for path in ["/v1/whoami", "/v1/keys", "/v1/owners", "/v1/audit"] {
                world.get(credential, path).expect(401);
            }
        }
        for path in ["/v1/keys", "/v1/owners", "/v1/owners/bob", "/v1/audit", "/v1/audit/verify", "/v1/format", &path_of(&made[0])] {
            world.operator("GET", &format!("{path}?company={ACME}"), Value::Null).expect(404);
        }
        for (method, path, body) in [
            ("PUT", format!("/v1/owners/new?company={ACME}"), json!({"name": "new"})),
            ("PUT", format!("/v1/owners?company={ACME}"), json!({"owners": [{"owner": "new", "name": "new"}]})),
            ("DELETE", format!("/v1/owners/bob?company={ACME}"), Value::Null),
            ("POST", format!("/v1/keys?company={ACME}"), json!({"name": "new", "owner": "bob"})),
            ("POST", format!("{}/revoke?company={ACME}", path_of(&made[0])), Value::Null),
            ("DELETE", format!("{}?company={ACME}", path_of(&made[0])), Value::Null),
            ("POST", format!("/v1/sign-in-links?company={ACME}"), json!({"owner": "bob"})),
            ("GET", format!("/v1/companies/{ACME}"), Value::Null),
            ("DELETE", format!("/v1/companies/{ACME}"), Value::Null),
        ] {
            assert_eq!(world.operator(method, &path, body).status, 404, "{method} {path}");
        }
        let again = world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "again"})).expect(409);
        assert!(again["detail"].as_str().unwrap().contains("being erased"));
        for made in &made {
            assert!(record(world, &digest_of(made)).is_none());
            let other = world.create(&world.sign_in(OTHER, "ann"), json!({"digest": digest_of(made).to_hex()}));
            assert_eq!(other.expect(409)["code"], "conflict", "a digest of theirs");
        }
        let request = Redeem { link: links[turn].clone(), address: None, request_id: "r".into() };
        assert!(world.shard.redeem(world.at(), &mut world.random(), &request).is_err());
        // What comes from outside leaves nothing behind.
        let before = here(world);
        let id = KeyId::new(made[0]["id"].as_str().unwrap()).unwrap();
        let entry = KeyUsage { key_id: id, company: company(ACME), last_used_at: world.at(), allowed: 1, refused: 0 };
        world.shard.usage(world.at(), &UsageReport { entries: vec![entry] }).unwrap();
        world.shard.note(world.at(), &note()).unwrap();
        assert_eq!(here(world), before);
    };
    gone(&world, 0);
    let keyward_control::call::Credential::Session { digest, company: theirs } = session.clone() else { panic!() };
    world.shard.sign_out(world.at(), &SignOut { digest, company: theirs, address: None, request_id: "r".into() }).unwrap();
    assert_eq!(here(&world), at_first - 1, "the session, and no word about it");

    let (mut turns, mut left) = (0, at_first - 1);
    while world.shard.going_on().unwrap() {
        world.shard.due(world.at(), 0).unwrap();
        turns += 1;
        // A departure and a sweep of the company may end in the same turn.
        let now_left = here(&world);
        assert!(left - now_left <= 3 + 2, "turn {turns}: {left} to {now_left}");
        left = now_left;
        if world.shard.going_on().unwrap() {
            gone(&world, turns);
        }
        restart(&mut world);
    }
    assert_eq!(left, 0);
    assert!(turns >= usize::try_from(at_first).unwrap() / 5, "{turns}");
    for made in &made {
        assert_eq!(world.sql("SELECT 1 FROM tombstones WHERE digest = ?1", &[(&digest_of(made)).into()]).len(), 1);
    }
    // The records are removed, twice as everything.
    for _ in 0..2 {
        world.wait(91);
        let mut removed: Vec<_> = publish(&world).into_iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        removed.sort();
        removed.dedup();
        assert!(removed.len() >= made.len(), "{removed:?}");
    }
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "again"})).expect(201);
    assert_eq!(world.operator("GET", &format!("/v1/owners?company={ACME}"), Value::Null).expect(200)["owners"], json!([]));
    let trail = world.operator("GET", &format!("/v1/audit?company={ACME}"), Value::Null).expect(200);
    assert_eq!(trail["entries"].as_array().unwrap().len(), 1);
    world.operator("GET", &format!("/v1/audit/verify?company={ACME}"), Value::Null).expect(200);
    world.get(&world.sign_in(OTHER, "ann"), "/v1/whoami").expect(200);
    world.get(&bootstrap(), "/v1/whoami").expect(200);
}

#[test]
fn every_table_that_names_a_company_is_erased_with_it() {
    let world = world();
    filled(&world);
    let empty = |world: &World| {
        let rows = |table: &String| count(world, &format!("SELECT COUNT(*) FROM {table} WHERE company = '{ACME}'"));
        tables(world).into_iter().filter(|table| rows(table) == 0).collect::<Vec<_>>()
    };
    // Each table is tried: a new one must be filled above, and emptied by the erasure.
    assert_eq!(empty(&world), ["erasures"]);
    world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    world.announce();
    world.go_on();
    assert_eq!(empty(&world), tables(&world));
    let others = world.sql("SELECT company FROM companies ORDER BY company", &[]);
    assert_eq!(others, [[OTHER.into()], [OPERATOR.into()]]);
}

#[test]
fn no_turn_of_a_change_writes_the_rows_of_all_keys() {
    let world = World::peopled();
    keys(&world, 600);
    settle(&world);
    let written = || count(&world, "SELECT total_changes()");
    for (method, path, body, most) in [
        ("PUT", format!("/v1/owners/ann?company={ACME}"), json!({"name": "ann", "permissions": [], "active": false}), 12),
        ("DELETE", format!("/v1/owners/ann?company={ACME}"), Value::Null, 12),
        ("PUT", format!("/v1/companies/{ACME}"), json!({"name": "Acme"}), 12),
        ("DELETE", format!("/v1/companies/{ACME}"), Value::Null, 12),
    ] {
        let before = written();
        let call = world.request(&bootstrap(), method, &path, &if body.is_null() { String::new() } else { body.to_string() });
        assert!(world.shard.handle(world.at(), &mut world.random(), &call).status < 300);
        assert!(written() - before <= most, "{method} {path}: {}", written() - before);
        let before = written();
        world.announce();
        assert!(written() - before <= 10, "{method} {path} announced: {}", written() - before);
    }
}
