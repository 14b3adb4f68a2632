//! Revoking many keys at once: which ones, how many in a turn, what is left to do, and what happens to them meanwhile.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{ApiCall, Credential},
    shard::outbox::Delivery,
};
use keyward_shared::{
    ids::{CompanyId, KeyId},
    messages::{KeyUsage, UsageReport},
    record::KeyState,
    time::Millis,
};
use serde_json::{Value, json};
use shard_world::{ACME, OTHER, World, bootstrap, digest_of, key, path_of, publish, settle};

const PATH: &str = "/v1/keys/revoke";

fn revoke(world: &World, who: &Credential, target: &str, filter: Value) -> Value {
    let mut body = json!({"reason": "clean-up"});
    body.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
    world.call(who, "POST", target, body).expect(200)
}

fn named(world: &World, who: &Credential, name: &str) -> Value {
    world.create(who, json!({"name": name})).expect(201)
}

fn status(world: &World, made: &Value) -> Value {
    world.operator("GET", &format!("{}?company={ACME}", path_of(made)), Value::Null).expect(200)["status"].clone()
}

fn use_key(world: &World, made: &Value) {
    let usage = KeyUsage {
        company: CompanyId::new(ACME).unwrap(),
        key_id: KeyId::new(made["id"].as_str().unwrap()).unwrap(),
        last_used_at: world.at(),
        allowed: 1,
        refused: 0,
    };
    world.shard.usage(world.at(), &UsageReport { entries: vec![usage] }).unwrap();
}

/// Gives the company `count` more keys of `owner`, straight in the tables.
fn fill(world: &World, owner: &str, count: u64) {
    world.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?3) \
         INSERT INTO keys (company, key_id, digest, owner, name, hint, place, created_at, created_by, networks, metadata, manages_keys, bootstrap, \
         rev, changed_at, announced_at) SELECT ?1, printf('key_%020d', i), printf('%064x', i), ?2, printf('filled %06d', i), 'h', i, ?4, ?2, '[]', \
         '{}', 0, 0, i, ?4, ?4 FROM n",
        &[ACME.into(), owner.into(), count.into(), world.at().into()],
    );
    world.sql("INSERT OR IGNORE INTO key_usage SELECT company, key_id, 0 FROM keys", &[]);
}

#[test]
fn the_filters_narrow_together_and_each_takes_what_it_says() {
    let world = World::peopled();
    let (ann, bob, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "bob"), world.sign_in(ACME, "admin"));
    let old = named(&world, &ann, "ci old");
    world.wait(1000);
    let since = world.later(0);
    world.wait(1000);
    let made = [named(&world, &ann, "ci new"), named(&world, &bob, "ci bob"), named(&world, &bob, "CI bob"), named(&world, &bob, "other")];
    world.operator("POST", &format!("/v1/keys?company={ACME}"), json!({"name": "by the operator", "owner": "bob"})).expect(201);
    for (filter, expected) in [
        (json!({"owner": "bob"}), 4),
        (json!({"prefix_name": "ci"}), 3),
        (json!({"prefix_name": "ci "}), 3),
        (json!({"prefix_name": "CI"}), 1),
        (json!({"prefix_name": "c%"}), 0),
        (json!({"owner": "bob", "prefix_name": "ci"}), 1),
        (json!({"created_by": "bob"}), 3),
        (json!({"created_by": "demo/admin"}), 1),
        (json!({"created_by": "bob", "owner": "ann"}), 0),
        (json!({"unused_since": since}), 1),
        (json!({"unused_since": since, "prefix_name": "ci", "owner": "ann", "created_by": "ann"}), 1),
        (json!({"unused_since": since, "owner": "bob"}), 0),
        (json!({"owner": "nobody"}), 0),
    ] {
        let answer = revoke(&world, &admin, &format!("{PATH}?dry_run=true"), filter.clone());
        assert_eq!(answer, json!({"revoked": expected, "dry_run": true, "more": false, "next_cursor": null}), "{filter}");
    }
    for made in [&old, &made[0]] {
        assert_eq!(status(&world, made), "active", "a dry run changes nothing");
    }
    use_key(&world, &old);
    assert_eq!(revoke(&world, &admin, &format!("{PATH}?dry_run=true"), json!({"unused_since": since}))["revoked"], 0);
    assert_eq!(revoke(&world, &admin, PATH, json!({"prefix_name": "ci", "owner": "bob"}))["revoked"], 1);
    assert_eq!([&made[0], &made[1], &made[2]].map(|made| status(&world, made)), ["active", "revoked", "active"]);
    assert_eq!(revoke(&world, &admin, PATH, json!({"prefix_name": "ci"}))["revoked"], 2, "those that are not yet revoked");
}

#[test]
fn what_is_asked_for_is_checked() {
    let world = World::peopled();
    let admin = world.sign_in(ACME, "admin");
    for (body, fields) in [
        (json!({"reason": "r"}), vec!["owner"]),
        (json!({"owner": null, "reason": "r"}), vec!["owner"]),
        (json!({"owner": "ann"}), vec!["reason"]),
        (json!({"owner": "ann", "reason": " "}), vec!["reason"]),
        (
            json!({"owner": "", "created_by": 1, "prefix_name": "", "unused_since": "x"}),
            vec!["owner", "created_by", "prefix_name", "unused_since", "reason"],
        ),
        (json!({"unused_since": world.later(1), "reason": "r"}), vec!["unused_since"]),
    ] {
        assert_eq!(world.call(&admin, "POST", PATH, body.clone()).wrong(), fields, "{body}");
    }
    world.call(&admin, "POST", PATH, json!({"owner": "ann", "reason": "r", "all": true})).expect(400);
    for query in ["dry_run=1", "cursor=00.11", "limit=1", "dry_run=true&dry_run=true"] {
        world.call(&admin, "POST", &format!("{PATH}?{query}"), json!({"owner": "ann", "reason": "r"})).expect(400);
    }
}

#[test]
fn people_revoke_their_own_and_managers_everyones_but_never_another_companys() {
    let world = World::peopled();
    let (ann, bob) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "bob"));
    let (of_ann, of_bob) = (named(&world, &ann, "x"), named(&world, &bob, "x"));
    let elsewhere = named(&world, &world.sign_in(OTHER, "ann"), "x");
    world.call(&ann, "POST", PATH, json!({"owner": "bob", "reason": "r"})).expect(403);
    assert_eq!(revoke(&world, &ann, PATH, json!({"prefix_name": "x"}))["revoked"], 1);
    assert_eq!((status(&world, &of_ann), status(&world, &of_bob)), (json!("revoked"), json!("active")));
    // A key that manages nothing may not, and what somebody else's cursor says is not taken.
    world.call(&key(&of_bob["key"]), "POST", PATH, json!({"owner": "bob", "reason": "r"})).expect(403);
    assert_eq!(revoke(&world, &bootstrap(), &format!("{PATH}?company={ACME}"), json!({"prefix_name": "x"}))["revoked"], 1);
    assert_eq!(status(&world, &of_bob), "revoked");
    let there = world.operator("GET", &format!("{}?company={OTHER}", path_of(&elsewhere)), Value::Null).expect(200);
    assert_eq!(there["status"], "active");
    world.operator("POST", &format!("{PATH}?company=nowhere"), json!({"owner": "x", "reason": "r"})).expect(404);
}

#[test]
fn the_calling_key_is_left_out() {
    let world = World::peopled();
    let admin = world.sign_in(ACME, "admin");
    let manager = world.create(&admin, json!({"name": "clean-up", "manages_keys": true})).expect(201);
    let other = named(&world, &admin, "clean-up too");
    assert_eq!(revoke(&world, &key(&manager["key"]), PATH, json!({"owner": "admin"}))["revoked"], 1);
    assert_eq!((status(&world, &manager), status(&world, &other)), (json!("active"), json!("revoked")));
    assert_eq!(revoke(&world, &admin, PATH, json!({"owner": "admin"}))["revoked"], 1, "somebody signed in has none");
}

#[test]
fn each_key_is_revoked_like_a_single_one_and_one_announcement_tells_of_all() {
    let world = World::peopled();
    let (ann, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "admin"));
    let made: Vec<_> = (0..3).map(|n| named(&world, &ann, &format!("n{n}"))).collect();
    settle(&world);
    revoke(&world, &admin, PATH, json!({"owner": "ann"}));

    let [Delivery::Announce(ids, announcement)] = &world.shard.deliveries(world.at()).unwrap()[..] else { panic!("one announcement") };
    assert_eq!((ids.len(), announcement.changes.len()), (1, 3));
    let object = world.get(&admin, &path_of(&made[0])).expect(200);
    assert_eq!((&object["revoked_by"], &object["revoke_reason"]), (&json!("admin"), &json!("clean-up")));
    assert_eq!(object["propagation"]["announced_at"], Value::Null);
    world.wait(1);
    world.announce();
    for made in &made {
        assert_eq!(world.get(&admin, &path_of(made)).expect(200)["propagation"]["announced_at"], json!(world.later(0)));
    }
    let put = publish(&world);
    assert_eq!(put.len(), 3);
    for made in &made {
        let digest = digest_of(made);
        let name = keyward_shared::record::name(world.shard.name(), &digest);
        let value = put.iter().find(|(known, _)| *known == name).unwrap().1.as_deref().unwrap();
        let secrets = &world.shard.settings().common.record_secrets;
        let record = keyward_shared::record::Record::open(secrets, world.shard.name(), &digest, value).unwrap();
        assert_eq!(record.state, KeyState::Revoked);
    }
    let entries = world.get(&admin, "/v1/audit?action=key.revoke").expect(200);
    let targets: Vec<_> = entries["entries"].as_array().unwrap().iter().rev().map(|entry| entry["target"].clone()).collect();
    assert_eq!(targets, made.iter().map(|made| made["id"].clone()).collect::<Vec<_>>());
    assert_eq!(world.get(&admin, "/v1/audit/verify").expect(200)["valid"], true);
    world.call(&key(&made[0]["key"]), "GET", "/v1/whoami", Value::Null).expect(401);
}

#[test]
fn a_turn_revokes_at_most_a_thousand_and_what_is_left_goes_on_at_the_cursor() {
    let world = World::peopled();
    let admin = world.sign_in(ACME, "admin");
    settle(&world);
    fill(&world, "ann", 2_300);
    let counted = revoke(&world, &admin, &format!("{PATH}?dry_run=true"), json!({"owner": "ann"}));
    assert_eq!((&counted["revoked"], &counted["more"]), (&json!(2_300), &json!(false)));
    let mut target = PATH.to_owned();
    let mut revoked = Vec::new();
    loop {
        let answer = revoke(&world, &admin, &target, json!({"owner": "ann"}));
        revoked.push(answer["revoked"].as_u64().unwrap());
        assert_eq!(answer["more"].as_bool().unwrap(), answer["next_cursor"].is_string());
        let Some(cursor) = answer["next_cursor"].as_str() else { break };
        target = format!("{PATH}?cursor={cursor}");
        // The cursor is this list's only.
        world.call(&admin, "POST", &target, json!({"owner": "bob", "reason": "r"})).expect(400);
    }
    assert_eq!(revoked, [1_000, 1_000, 300]);
    assert_eq!(revoke(&world, &admin, PATH, json!({"owner": "ann"}))["revoked"], 0);
    // An announcement tells of one turn or a little more, and the alarm goes on.
    let mut told = Vec::new();
    loop {
        world.wait(1);
        let [Delivery::Announce(_, announcement)] = &world.shard.deliveries(world.at()).unwrap()[..] else { break };
        told.push(announcement.changes.len());
        world.announce();
    }
    assert_eq!(told, [1_000, 1_000, 300]);
}

#[test]
fn a_filter_that_finds_little_looks_through_a_bounded_piece_and_says_that_there_is_more() {
    let world = World::peopled();
    let admin = world.sign_in(ACME, "admin");
    fill(&world, "ann", 11_000);
    let last = named(&world, &world.sign_in(ACME, "bob"), "the last");
    for target in [format!("{PATH}?dry_run=true"), PATH.to_owned()] {
        let (mut found, mut turns, mut cursor) = (0, 0, String::new());
        loop {
            let separator = if target.contains('?') { '&' } else { '?' };
            let answer = revoke(&world, &admin, &format!("{target}{separator}cursor={cursor}"), json!({"created_by": "bob"}));
            found += answer["revoked"].as_u64().unwrap();
            turns += 1;
            let Some(next) = answer["next_cursor"].as_str() else { break };
            next.clone_into(&mut cursor);
        }
        assert_eq!((found, turns), (1, 3));
    }
    assert_eq!(status(&world, &last), "revoked");
    // A name or an owner is found without looking through the rest.
    let answer = revoke(&world, &admin, &format!("{PATH}?dry_run=true"), json!({"prefix_name": "the l"}));
    assert_eq!((&answer["revoked"], &answer["more"]), (&json!(0), &json!(false)));
}

#[test]
fn an_idempotent_repetition_revokes_nothing_more() {
    let world = World::peopled();
    let (ann, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "admin"));
    named(&world, &ann, "a");
    let body = json!({"owner": "ann", "reason": "r"}).to_string();
    let call = ApiCall { idempotency_key: Some("k".into()), ..world.request(&admin, "POST", PATH, &body) };
    let first = world.send(&call).expect(200);
    let later = named(&world, &ann, "b");
    assert_eq!(world.send(&call).expect(200), first);
    assert_eq!(status(&world, &later), "active");
}

#[test]
fn keys_that_are_rotated_or_deleted_meanwhile_are_each_changed_once() {
    let world = World::peopled();
    let (ann, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "admin"));
    let (rotated, ended, deleted, plain) =
        (named(&world, &ann, "r"), named(&world, &ann, "e"), named(&world, &ann, "d"), named(&world, &ann, "p"));
    settle(&world);
    // A page of candidates was counted; before the turn that revokes, others come first.
    assert_eq!(revoke(&world, &admin, &format!("{PATH}?dry_run=true"), json!({"owner": "ann"}))["revoked"], 4);
    let successor = world.call(&ann, "POST", &format!("{}/rotate", path_of(&rotated)), Value::Null).expect(201);
    world.call(&ann, "POST", &format!("{}/rotate", path_of(&ended)), json!({"overlap_s": 0})).expect(201);
    world.call(&ann, "DELETE", &path_of(&deleted), Value::Null).expect(204);
    // rotated, its successor, the other's successor, plain; the ended one was revoked by its rotation.
    assert_eq!(revoke(&world, &admin, PATH, json!({"owner": "ann"}))["revoked"], 4);
    world.call(&ann, "POST", &format!("{}/rotate", path_of(&plain)), Value::Null).expect(409);
    assert_eq!(world.get(&admin, &path_of(&ended)).expect(200)["revoke_reason"].as_str().unwrap().split(':').next(), Some("rotated"));
    world.call(&ann, "DELETE", &path_of(&plain), Value::Null).expect(204);
    for made in [&rotated, &successor, &ended, &deleted, &plain] {
        world.call(&key(&made["key"]), "GET", "/v1/whoami", Value::Null).expect(401);
    }
    // What is published in the end is what there is: the deleted ones are removed, the others revoked.
    let mut last = std::collections::BTreeMap::new();
    for _ in 0..3 {
        last.extend(publish(&world));
        world.wait(91);
        world.announce();
    }
    for (made, stored) in [(&rotated, true), (&successor, true), (&ended, true), (&deleted, false), (&plain, false)] {
        let name = keyward_shared::record::name(world.shard.name(), &digest_of(made));
        assert_eq!(last[&name].is_some(), stored, "{}", made["name"]);
    }
    assert_eq!(world.shard.next_alarm(world.at()).unwrap(), None::<Millis>);
    assert_eq!(world.get(&world.sign_in(ACME, "admin"), "/v1/audit/verify").expect(200)["valid"], true);
}
