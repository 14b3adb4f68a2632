//! What follows a change: the trail, idempotency, announcements, publishing, and what edges ask and report.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{ApiCall, AuditNote, Credential},
    shard::{audit, outbox::Delivery, schema},
    sql::{Sql as _, Value as SqlValue},
};
use keyward_shared::{
    digest::Digest,
    ids::KeyId,
    messages::{KeyUsage, ResolveAnswer, UsageReport},
    record::{self, KeyState, Record},
    shard::Shard,
    time::Millis,
};
use serde_json::{Value, json};
use shard_world::{ACME, OPERATOR, OTHER, START, World, asked, company, digest_of, key, path_of, publish, settle};

fn open(world: &World, digest: &Digest, value: &str) -> Record {
    Record::open(&world.shard.settings().common.record_secrets, world.shard.name(), digest, value).unwrap()
}

#[test]
fn the_tables_are_the_golden_ones() {
    assert_eq!(schema::text(), include_str!("../golden/shard-schema.sql"));
    let world = World::new();
    schema::migrate(world.shard.sql()).unwrap();
}

#[test]
fn an_entry_of_the_trail_has_its_golden_form() {
    let world = World::new();
    let note = AuditNote {
        id: String::new(),
        company: company(ACME),
        actor: "ann".into(),
        key: KeyId::new("key_0123456789abcdefghij").ok(),
        address: Some("192.0.2.7".parse().unwrap()),
        action: "key.change".into(),
        target: "key_0123456789abcdefghij".into(),
        outcome: "done".into(),
        before: json!({"name": "old", "allowed_ips": []}),
        after: json!({"name": "new", "allowed_ips": ["10.0.0.0/8"]}),
        request_id: "r1".into(),
    };
    for _ in 0..2 {
        audit::append(world.shard.sql(), Millis(START), &note).unwrap();
    }
    let rows = world.sql("SELECT entry, hash FROM audit WHERE company = ?1 ORDER BY sequence", &[ACME.into()]);
    let text: String =
        rows.into_iter().flatten().map(|value| if let SqlValue::Text(text) = value { text + "\n" } else { String::new() }).collect();
    assert_eq!(text, include_str!("../golden/audit-entries.txt"));
}

#[test]
fn changing_removing_or_adding_an_entry_breaks_the_chain() {
    let verify = |world: &World| world.operator("GET", "/v1/audit/verify", Value::Null).expect(200);
    for (tampering, first_broken) in [
        ("UPDATE audit SET entry = replace(entry, 'owner.put', 'owner.pat') WHERE company = 'demo' AND sequence = 3", 3),
        ("UPDATE audit SET actor = 'eve' WHERE company = 'demo' AND sequence = 2", 2),
        ("UPDATE audit SET hash = replace(hash, 'a', 'b') WHERE company = 'demo' AND sequence = 2", 2),
        ("DELETE FROM audit WHERE company = 'demo' AND sequence = 2", 2),
        ("DELETE FROM audit WHERE company = 'demo' AND sequence = 5", 5),
        (
            "INSERT INTO audit SELECT company, 6, at, actor, action, target, NULL, entry, hash FROM audit WHERE company = 'demo' AND sequence = 5",
            6,
        ),
    ] {
        let world = World::new();
        for n in 0..4 {
            world.operator("PUT", &format!("/v1/owners/o{n}"), json!({"name": "x"})).expect(201);
        }
        assert_eq!(verify(&world), json!({"valid": true, "entries": 5}));
        world.sql(tampering, &[]);
        assert_eq!(verify(&world), json!({"valid": false, "entries": first_broken - 1, "first_broken": first_broken}), "{tampering}");
    }
}

#[test]
fn the_trail_says_who_did_what_and_holds_no_secret() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({"manages_keys": true})).expect(201);
    world.create(&key(&made["key"]), json!({"permissions": ["billing.read"]})).expect(422);
    world.call(&ann, "PATCH", &path_of(&made), json!({"name": "renamed"})).expect(200);
    let admin = world.sign_in(ACME, "admin");
    let trail = world.get(&admin, "/v1/audit?actor=ann&limit=10").expect(200);
    let said: Vec<_> =
        trail["entries"].as_array().unwrap().iter().map(|e| (e["action"].as_str().unwrap(), e["outcome"].as_str().unwrap())).collect();
    assert_eq!(said, [("key.change", "done"), ("key.create", "unprocessable"), ("key.create", "done"), ("session.begin", "done")]);
    let change = &trail["entries"][0];
    assert_eq!((&change["before"]["name"], &change["after"]["name"]), (&json!("a key"), &json!("renamed")));
    assert_eq!((&change["address"], &change["request_id"], &change["key"]), (&json!("192.0.2.7"), &json!("r1"), &Value::Null));
    assert_eq!(trail["entries"][1]["key"], made["id"]);
    let everything = format!("{:?}", world.sql("SELECT * FROM audit", &[]));
    for secret in [made["key"].as_str().unwrap().to_owned(), digest_of(&made).to_hex()] {
        assert!(!everything.contains(&secret));
    }
    let page = world.get(&admin, "/v1/audit?limit=2").expect(200);
    let next = page["next_cursor"].as_str().unwrap();
    let rest = world.get(&admin, &format!("/v1/audit?limit=2&cursor={next}")).expect(200);
    assert_eq!(rest["entries"][0]["sequence"], json!(page["entries"][1]["sequence"].as_u64().unwrap() - 1));
    for (query, count) in [
        ("action=key.create", 2),
        ("action=key.create&actor=eve", 0),
        (&format!("target={}", made["id"].as_str().unwrap()), 2),
        (&format!("from={}", world.later(1)), 0),
        (&format!("to={}", world.later(1)), 9),
    ] {
        let list = world.get(&admin, &format!("/v1/audit?{query}")).expect(200);
        assert_eq!(list["entries"].as_array().unwrap().len(), count, "{query}");
    }
    world.get(&ann, "/v1/audit").expect(403);
}

#[test]
fn the_full_key_is_stored_nowhere() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let call = ApiCall { idempotency_key: Some("i".into()), ..world.request(&ann, "POST", "/v1/keys", "{\"name\":\"a\"}") };
    let made = world.send(&call).expect(201);
    let text = made["key"].as_str().unwrap();
    let tables = world.sql("SELECT name FROM sqlite_master WHERE type = 'table'", &[]);
    for table in tables.into_iter().flatten() {
        let SqlValue::Text(table) = table else { unreachable!() };
        let rows = format!("{:?}", world.sql(&format!("SELECT * FROM {table}"), &[]));
        assert!(!rows.contains(text) && !rows.contains(&text[12..40]), "{table}");
    }
}

#[test]
fn one_effect_per_idempotency_key() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let with = |credential: &Credential, target: &str, body: &str, key: &str| {
        world.send(&ApiCall { idempotency_key: Some(key.into()), ..world.request(credential, "POST", target, body) })
    };
    let one = "{\"name\":\"one\"}";
    let first = with(&ann, "/v1/keys", one, "k").expect(201);
    for _ in 0..50 {
        let again = with(&ann, "/v1/keys", one, "k").expect(201);
        assert_eq!((&again["id"], &again["key"], &again["replayed"]), (&first["id"], &Value::Null, &json!(true)));
    }
    assert_eq!(world.get(&ann, "/v1/keys").expect(200)["keys"].as_array().unwrap().len(), 1);
    assert_eq!(with(&ann, "/v1/keys", "{\"name\":\"two\"}", "k").expect(422)["code"], "idempotency_mismatch");
    for (who, what) in [(world.sign_in(ACME, "bob"), "another person"), (world.sign_in(OTHER, "ann"), "another company")] {
        assert_ne!(with(&who, "/v1/keys", one, "k").expect(201)["id"], first["id"], "{what}");
    }
    let path = path_of(&first);
    with(&ann, &format!("{path}/revoke"), "", "k").expect(200);
    with(&ann, "/v1/keys", "{\"name\":\"\"}", "failed").expect(422);
    with(&ann, "/v1/keys", "{\"name\":\"good\"}", "failed").expect(201);
    with(&ann, "/v1/keys", one, &"x".repeat(256)).expect(400);
    with(&ann, "/v1/keys", one, &"x".repeat(255)).expect(201);
    let digest = Digest::of(b"blind").to_hex();
    let blind = format!("{{\"name\":\"b\",\"digest\":\"{digest}\"}}");
    let made = with(&ann, "/v1/keys", &blind, "blind").expect(201);
    assert_eq!(with(&ann, "/v1/keys", &blind, "blind").expect(201), made);
    world.wait(86_400);
    let ann = world.sign_in(ACME, "ann");
    assert_ne!(with(&ann, "/v1/keys", one, "k").expect(201)["id"], first["id"]);
}

#[test]
fn a_replay_is_authorized_again() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let call = ApiCall { idempotency_key: Some("k".into()), ..world.request(&ann, "POST", "/v1/keys", "{\"name\":\"a\"}") };
    world.send(&call).expect(201);
    world.put_owner(ACME, "ann", &["orders.*"]).expect(200);
    world.send(&call).expect(403);
}

#[test]
fn a_change_says_how_far_it_has_come() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    settle(&world);
    let pending = world.call(&ann, "PATCH", &path_of(&made), json!({"name": "b"})).expect(200)["propagation"].clone();
    assert_eq!(pending, json!({"committed_at": world.later(0), "announced_at": null, "expected_by": null, "effective_by": null}));
    world.wait(2);
    world.announce();
    let announced = world.get(&ann, &path_of(&made)).expect(200)["propagation"].clone();
    assert_eq!(announced["announced_at"], json!(world.later(0)));
    assert_eq!((&announced["expected_by"], &announced["effective_by"]), (&json!(world.later(60)), &json!(world.later(180))));
    world.call(&ann, "PATCH", &path_of(&made), json!({"name": "c"})).expect(200);
    world.now.set(world.now.get() + 1);
    world.announce();
    let within = world.get(&ann, &path_of(&made)).expect(200)["propagation"].clone();
    assert_eq!(within["announced_at"], json!(world.later(0)));
    assert_eq!((&within["expected_by"], &within["effective_by"]), (&json!(world.later(61)), &json!(world.later(181))), "never too early");
    world.now.set(world.now.get() - 1);
    world.wait(10);
    world.put_owner(ACME, "ann", &["orders.read", "keyward.keys.own"]).expect(200);
    let behind = world.get(&ann, &path_of(&made)).expect(200)["propagation"].clone();
    assert_eq!((&behind["committed_at"], &behind["announced_at"]), (&json!(world.later(0)), &Value::Null));
    world.announce();
    assert_eq!(world.get(&ann, &path_of(&made)).expect(200)["propagation"]["announced_at"], json!(world.later(0)));
}

#[test]
fn keys_revoked_with_their_owner_are_announced_with_it() {
    let world = World::peopled();
    let made = world.create(&world.sign_in(ACME, "bob"), json!({})).expect(201);
    settle(&world);
    world.operator("DELETE", &format!("/v1/owners/bob?company={ACME}"), Value::Null).expect(204);
    let admin = world.sign_in(ACME, "admin");
    assert_eq!(world.get(&admin, &path_of(&made)).expect(200)["propagation"]["announced_at"], Value::Null);
    world.announce();
    assert_eq!(world.get(&admin, &path_of(&made)).expect(200)["propagation"]["announced_at"], json!(world.later(0)));
}

#[test]
fn the_revoked_keys_of_an_owner_who_is_made_again_have_records_that_say_so() {
    let world = World::peopled();
    let made = world.create(&world.sign_in(ACME, "bob"), json!({})).expect(201);
    world.operator("DELETE", &format!("/v1/owners/bob?company={ACME}"), Value::Null).expect(204);
    settle(&world);
    world.put_owner(ACME, "bob", &["orders.read"]).expect(201);
    let put = publish(&world);
    let record = open(&world, &digest_of(&made), put[0].1.as_ref().unwrap());
    assert_eq!((record.state, record.owner_active), (KeyState::Revoked, true));
    settle(&world);
    world.put_owner(ACME, "carl", &["orders.read"]).expect(201);
    assert!(publish(&world).is_empty(), "of somebody new there is nothing to put");
}

#[test]
fn what_is_announced_is_at_or_above_the_records_revision_and_waits_after_a_failure() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    settle(&world);
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&made)), Value::Null).expect(200);
    let put = publish(&world);
    let record = open(&world, &digest_of(&made), put[0].1.as_ref().unwrap());
    assert_eq!(record.state, KeyState::Revoked);
    let deliveries = world.shard.deliveries(world.at()).unwrap();
    let [Delivery::Announce(ids, announcement), ..] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    let change = announcement.changes[0];
    assert_eq!(change.0, record.subjects()[0]);
    assert!(record.rev >= change.1 && change.1 >= world.now.get());
    world.shard.undelivered(ids, world.at()).unwrap();
    let announces = |world: &World| world.shard.deliveries(world.at()).unwrap().iter().any(|d| matches!(d, Delivery::Announce(..)));
    assert!(!announces(&world));
    assert!(world.shard.next_alarm(world.at()).unwrap().is_some_and(|at| at <= world.at().plus(Millis(60_000))));
    world.wait(1);
    assert!(announces(&world));
    world.announce();
    assert!(!announces(&world));
}

#[test]
fn companies_are_registered_and_removed_at_the_registry() {
    let world = World::peopled();
    world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    let notices: Vec<_> = world
        .shard
        .deliveries(world.at())
        .unwrap()
        .into_iter()
        .filter_map(|delivery| match delivery {
            Delivery::Register(id, notice) => Some((id, notice)),
            _ => None,
        })
        .collect();
    let said: Vec<_> = notices.iter().map(|(_, n)| (n.company.as_str(), n.object.is_some())).collect();
    assert_eq!(said, [(OPERATOR, true), (OTHER, true), (ACME, false)]);
    for (id, _) in notices {
        world.shard.delivered(id).unwrap();
    }
    assert!(world.shard.deliveries(world.at()).unwrap().iter().all(|d| !matches!(d, Delivery::Register(..))));
}

#[test]
fn a_record_is_put_twice_and_then_the_shard_rests() {
    let world = World::peopled();
    settle(&world);
    let made = world.create(&world.sign_in(ACME, "ann"), json!({"metadata": {"a": 1}})).expect(201);
    let put = publish(&world);
    assert_eq!(put.len(), 1);
    assert_eq!(put[0].0, record::name(Shard::of(&company(ACME)), &digest_of(&made)));
    let record = open(&world, &digest_of(&made), put[0].1.as_ref().unwrap());
    assert_eq!(record.as_of, world.at().minus(Millis(10_000)));
    assert_eq!((record.company.as_str(), record.owner.as_str(), record.owner_active, record.company_active), (ACME, "ann", true, true));
    assert_eq!(world.shard.next_alarm(world.at()).unwrap(), Some(world.at().plus(Millis(90_000))));
    assert!(publish(&world).is_empty());
    world.wait(90);
    assert_eq!(publish(&world).len(), 1);
    assert_eq!(world.shard.next_alarm(world.at()).unwrap(), None);
}

#[test]
fn a_change_during_a_put_keeps_the_mark_and_waits_a_second() {
    let world = World::peopled();
    settle(&world);
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    let due = world.shard.due(world.at(), 10).unwrap();
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&made)), Value::Null).expect(200);
    world.shard.published(world.at(), &due[0], true).unwrap();
    assert!(publish(&world).is_empty(), "at most one put per second");
    world.wait(1);
    let put = publish(&world);
    assert_eq!(open(&world, &digest_of(&made), put[0].1.as_ref().unwrap()).state, KeyState::Revoked);
}

#[test]
fn a_failed_put_is_tried_again_and_later_each_time() {
    let world = World::peopled();
    settle(&world);
    world.create(&world.sign_in(ACME, "ann"), json!({})).expect(201);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let due = world.shard.due(world.at(), 10).unwrap();
        assert_eq!(due.len(), 1);
        world.shard.published(world.at(), &due[0], false).unwrap();
        let next = world.shard.next_alarm(world.at()).unwrap().unwrap();
        waits.push(next.minus(world.at()).as_secs());
        world.now.set(next.0);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(publish(&world).len(), 1);
}

#[test]
fn a_deleted_keys_name_is_removed_twice() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    settle(&world);
    world.call(&ann, "DELETE", &path_of(&made), Value::Null).expect(204);
    let name = record::name(world.shard.name(), &digest_of(&made));
    assert_eq!(publish(&world), [(name.clone(), None)]);
    world.wait(90);
    assert_eq!(publish(&world), [(name, None)]);
    assert_eq!(world.sql("SELECT 1 FROM puts WHERE digest = ?1", &[(&digest_of(&made)).into()]).len(), 0);
    assert_eq!(world.shard.resolve(world.at(), &asked(&digest_of(&made), false)).unwrap(), ResolveAnswer::Absent);
}

#[test]
fn an_owners_change_republishes_all_of_the_owners_keys_a_handful_at_a_time() {
    let mut world = World::peopled();
    world.shard = world.shard.with_handful(500);
    let ann = world.sign_in(ACME, "ann");
    for _ in 0..601 {
        world.create(&ann, json!({})).expect(201);
    }
    let bobs = world.create(&world.sign_in(ACME, "bob"), json!({})).expect(201);
    settle(&world);
    world.put_owner(ACME, "ann", &["keyward.keys.own"]).expect(200);
    assert_eq!(world.shard.next_alarm(world.at()).unwrap(), Some(world.at()));
    assert_eq!((publish(&world).len(), publish(&world).len(), publish(&world).len()), (500, 101, 0));
    assert_eq!(world.sql("SELECT 1 FROM sweeps", &[]).len(), 0);
    assert_eq!(world.sql("SELECT 1 FROM dirty WHERE digest = ?1", &[(&digest_of(&bobs)).into()]).len(), 0);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "A", "active": false})).expect(200);
    world.wait(1);
    let put = [publish(&world), publish(&world)].concat();
    assert_eq!(put.len(), 602);
    assert!(put.iter().all(|(_, value)| value.as_ref().unwrap().contains("\"company_active\":false")));
}

#[test]
fn the_authority_tells_the_truth_as_of_now_and_puts_it_again_unless_it_just_did() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    settle(&world);
    let digest = digest_of(&made);
    world.wait(1000);
    let ResolveAnswer::Record(sealed) = world.shard.resolve(world.at(), &asked(&digest, false)).unwrap() else { panic!() };
    assert_eq!(open(&world, &digest, &sealed).as_of, world.at().minus(Millis(10_000)));
    assert_eq!(publish(&world).len(), 1);
    assert_eq!(world.shard.next_alarm(world.at()).unwrap(), None, "once is enough: nothing changed");
    world.shard.resolve(world.at(), &asked(&digest, false)).unwrap();
    assert!(publish(&world).is_empty());
    assert_eq!(world.shard.resolve(world.at(), &asked(&Digest::of(b"never"), false)).unwrap(), ResolveAnswer::Absent);
    assert_eq!(world.shard.next_alarm(world.at()).unwrap(), None);
}

#[test]
fn last_used_only_moves_forward_and_use_is_counted_by_hour_and_day() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    let rev = world.sql("SELECT rev FROM keys WHERE company = ?1", &[ACME.into()]);
    let id = KeyId::new(made["id"].as_str().unwrap()).unwrap();
    let report = |id: &str, at: u64, allowed| {
        let entry = KeyUsage {
            company: company(id),
            key_id: KeyId::new(made["id"].as_str().unwrap()).unwrap(),
            last_used_at: Millis(at),
            allowed,
            refused: 1,
        };
        world.shard.usage(world.at(), &UsageReport { entries: vec![entry] }).unwrap();
    };
    let last = || world.get(&ann, &path_of(&made)).expect(200)["last_used_at"].clone();
    report(ACME, START - 5_000, 2);
    assert_eq!(last(), "2026-11-18T11:06:35Z");
    report(ACME, START - 9_000, 3);
    assert_eq!(last(), "2026-11-18T11:06:35Z");
    report(ACME, START + 900_000, 0);
    assert_eq!(last(), world.later(5), "not from the future beyond the skew of clocks");
    report(OTHER, START, 100);
    let rows = world.sql(
        "SELECT width, SUM(allowed), SUM(refused) FROM key_buckets WHERE company = ?1 AND key_id = ?2 GROUP BY width",
        &[ACME.into(), (&id).into()],
    );
    let counted = |width: &str| vec![width.into(), SqlValue::Integer(5), SqlValue::Integer(3)];
    assert_eq!(rows, [counted("day"), counted("hour")]);
    assert!(world.sql("SELECT 1 FROM key_buckets WHERE company = ?1", &[OTHER.into()]).is_empty());
    assert_eq!(world.sql("SELECT rev FROM keys WHERE company = ?1", &[ACME.into()]), rev);
    world.wait(8 * 86_400);
    world.shard.prune(world.at()).unwrap();
    assert_eq!(world.sql("SELECT DISTINCT width FROM key_buckets", &[]), [vec![SqlValue::from("day")]]);
    assert!(world.sql("SELECT 1 FROM sessions", &[]).is_empty() && world.sql("SELECT 1 FROM used_links", &[]).is_empty());
}

#[test]
fn the_revision_rises_with_every_change_even_when_the_clock_goes_back() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let rev = || world.sql("SELECT value FROM numbers WHERE name = 'rev'", &[])[0][0].clone();
    let SqlValue::Integer(before) = rev() else { panic!() };
    world.now.set(START - 100_000);
    world.create(&ann, json!({})).expect(201);
    assert_eq!(rev(), SqlValue::Integer(before + 1));
}

#[test]
fn a_note_is_written_once_and_only_where_the_company_is() {
    let world = World::new();
    let note = AuditNote {
        id: "n1".into(),
        company: company(OPERATOR),
        actor: "admin".into(),
        key: None,
        address: None,
        action: "policy.put".into(),
        target: "policy".into(),
        outcome: "done".into(),
        before: Value::Null,
        after: Value::Null,
        request_id: "r".into(),
    };
    for _ in 0..2 {
        world.shard.note(world.at(), &note).unwrap();
        world.shard.note(world.at(), &AuditNote { company: company(ACME), ..note.clone() }).unwrap();
    }
    assert_eq!(world.sql("SELECT company FROM audit WHERE action = 'policy.put'", &[]), [vec![SqlValue::from(OPERATOR)]]);
}

#[test]
fn no_statement_of_a_request_scans_a_whole_table() {
    let world = World::peopled();
    for statement in [
        "SELECT * FROM keys WHERE company = ?1 AND place < ?2 ORDER BY place DESC LIMIT 51",
        "SELECT * FROM keys WHERE company = ?1 AND place < ?2 AND owner = ?3 ORDER BY place DESC LIMIT 51",
        "SELECT key_id FROM keys WHERE company = ?1 AND parent = ?2",
        "SELECT * FROM keys WHERE digest = ?1",
        "SELECT * FROM audit WHERE company = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT 51",
        "SELECT * FROM audit WHERE company = ?1 AND sequence < ?2 AND target = ?3 ORDER BY sequence DESC LIMIT 51",
        "SELECT * FROM audit WHERE company = ?1 AND sequence < ?2 AND actor = ?3 ORDER BY sequence DESC LIMIT 51",
        "SELECT * FROM audit WHERE company = ?1 AND sequence < ?2 AND action = ?3 ORDER BY sequence DESC LIMIT 51",
        "SELECT digest, rev, round FROM dirty WHERE later = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3",
        "SELECT id FROM outbox WHERE due_at <= ?1 ORDER BY due_at, id LIMIT ?2",
        "DELETE FROM sessions WHERE company = ?1 AND owner = ?2",
        "UPDATE keys SET announced_at = 1 WHERE company = ?1 AND rev = ?2 AND owner = ?3",
    ] {
        for row in world.shard.sql().execute(&format!("EXPLAIN QUERY PLAN {statement}"), &[]).unwrap() {
            let SqlValue::Text(step) = &row[3] else { panic!() };
            let walks_an_index = step.starts_with("SCAN") && step.contains("USING");
            assert!((!step.starts_with("SCAN") || walks_an_index) && !step.contains("TEMP B-TREE"), "{statement}: {step}");
        }
    }
}
