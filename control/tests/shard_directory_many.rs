//! Many owners in one call: all or none, and those who are as wanted are left alone.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{call::ApiCall, shard::outbox::Delivery};
use serde_json::{Value, json};
use shard_world::{ACME, World, bootstrap, settle};

fn put(world: &World, body: Value) -> shard_world::Seen {
    world.operator("PUT", &format!("/v1/owners?company={ACME}"), body)
}

fn owner(id: &str, permissions: &[&str]) -> Value {
    json!({"owner": id, "name": id, "permissions": permissions, "active": true})
}

fn counts(answer: &Value) -> [u64; 4] {
    ["created", "updated", "unchanged", "deactivated"].map(|name| answer[name].as_u64().unwrap())
}

/// Everything that a change could touch.
fn trace(world: &World) -> Vec<Vec<keyward_control::sql::Value>> {
    let one = "SELECT (SELECT value FROM numbers WHERE name = 'rev'), (SELECT COUNT(*) FROM audit), (SELECT COUNT(*) FROM outbox), \
         (SELECT COUNT(*) FROM sweeps)";
    let mut rows = world.sql(one, &[]);
    rows.extend(world.sql("SELECT * FROM owners ORDER BY company, owner", &[]));
    rows
}

fn changes(world: &World) -> usize {
    let deliveries = world.shard.deliveries(world.at()).unwrap();
    deliveries.iter().map(|delivery| if let Delivery::Announce(_, announcement) = delivery { announcement.changes.len() } else { 0 }).sum()
}

#[test]
fn owners_are_made_changed_and_left_alone_and_each_change_stands_in_the_trail() {
    let world = World::peopled();
    settle(&world);
    let before = world.operator("GET", &format!("/v1/audit?company={ACME}"), Value::Null).expect(200)["entries"].as_array().unwrap().len();
    let same = json!({"owner": "bob", "name": "bob", "permissions": ["keyward.keys.own", "orders.read"]});
    let new = json!({"owner": "auth0|5f2", "name": "Eve", "email": "eve@example.com", "permissions": []});
    let answer = put(&world, json!({"owners": [owner("ann", &["orders.read"]), same, new]})).expect(200);
    assert_eq!(counts(&answer), [1, 1, 1, 0]);
    let ids: Vec<_> = answer["owners"].as_array().unwrap().iter().map(|owner| owner["owner"].as_str().unwrap()).collect();
    assert_eq!(ids, ["ann", "auth0|5f2"]);
    assert_eq!(answer["owners"][0], world.operator("GET", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(200));
    let trail = world.operator("GET", &format!("/v1/audit?company={ACME}"), Value::Null).expect(200);
    let entries = trail["entries"].as_array().unwrap();
    assert_eq!(entries.len(), before + 2);
    let said: Vec<_> = entries[..2].iter().map(|entry| (entry["action"].as_str().unwrap(), entry["target"].as_str().unwrap())).collect();
    assert_eq!(said, [("owner.put", "auth0|5f2"), ("owner.put", "ann")]);
    assert_eq!(entries[1]["before"]["permissions"], json!(["keyward.keys.own", "orders.*"]));
    assert_eq!(changes(&world), 1, "of the one who was there before");
}

#[test]
fn a_thousand_are_announced_in_as_few_messages_as_can_be_and_again_nothing_happens() {
    let world = World::peopled();
    let owners: Vec<_> = (0..1_000).map(|n| owner(&format!("owner-{n}"), &["orders.read"])).collect();
    assert_eq!(counts(&put(&world, json!({"owners": owners})).expect(200)), [1_000, 0, 0, 0]);
    settle(&world);
    let before = trace(&world);
    assert_eq!(counts(&put(&world, json!({"owners": owners})).expect(200)), [0, 0, 1_000, 0]);
    assert_eq!(trace(&world), before);
    let owners: Vec<_> = (0..1_000).map(|n| owner(&format!("owner-{n}"), &[])).collect();
    assert_eq!(counts(&put(&world, json!({"owners": owners})).expect(200)), [0, 1_000, 0, 0]);
    assert_eq!(changes(&world), 500);
    world.announce();
    assert_eq!(changes(&world), 500);
    world.announce();
    assert_eq!(changes(&world), 0);
}

#[test]
fn whatever_is_wrong_is_named_with_its_place_and_then_nobody_is_changed() {
    let world = World::peopled();
    let before = trace(&world);
    let good = owner("new", &[]);
    let bad = [
        good.clone(),
        json!({"owner": "a b", "name": "", "email": "x", "permissions": ["No", 1], "active": 1}),
        json!({"name": "nobody"}),
        json!({"owner": null, "name": "nobody"}),
        good.clone(),
        json!("ann"),
        json!({"owner": "op", "name": "op", "permissions": ["keyward.operator"]}),
    ];
    let wrong = put(&world, json!({"owners": bad, "deactivate_missing": "yes"})).wrong();
    let expected = [
        "owners[5]",
        "owners[1].owner",
        "owners[1].name",
        "owners[1].email",
        "owners[1].permissions[1]",
        "owners[1].permissions[0]",
        "owners[1].active",
        "owners[2].owner",
        "owners[3].owner",
        "owners[4].owner",
        "owners[6].permissions",
        "deactivate_missing",
    ];
    assert_eq!(wrong, expected);
    for owners in [json!([]), json!({}), Value::Null, json!(vec![good; 1_001])] {
        assert_eq!(put(&world, json!({ "owners": owners })).wrong(), ["owners"]);
    }
    assert_eq!(put(&world, json!({})).wrong(), ["owners"]);
    let detail = put(&world, json!({"owners": [{"owner": "x", "name": "x", "role": "y"}]})).expect(400)["detail"].clone();
    assert_eq!(detail, "unknown field: owners[0].role");
    put(&world, json!({"owners": [owner("x", &[])], "more": 1})).expect(400);
    let owners = |world: &World| world.sql("SELECT owner, rev FROM owners ORDER BY company, owner", &[]);
    assert_eq!(trace(&world)[1..], before[1..]);
    assert!(!owners(&world).is_empty());
}

#[test]
fn nobody_gives_in_a_list_what_they_could_not_give_alone() {
    let world = World::peopled();
    world.put_owner(ACME, "clerk", &["keyward.owners", "orders.read"]).expect(201);
    let clerk = world.sign_in(ACME, "clerk");
    let owners = json!({"owners": [owner("new", &["orders.read"]), owner("newer", &["orders.write"])]});
    let refused = world.call(&clerk, "PUT", "/v1/owners", owners).expect(403);
    assert!(refused["detail"].as_str().unwrap().starts_with("owners[1]: "), "{refused}");
    world.get(&clerk, "/v1/owners/new").expect(404);
    world.call(&clerk, "PUT", "/v1/owners", json!({"owners": [owner("new", &["orders.read"])]})).expect(200);
    world.call(&world.sign_in(ACME, "ann"), "PUT", "/v1/owners", json!({"owners": [owner("new", &[])]})).expect(403);
    let elsewhere = world.operator("PUT", "/v1/owners?company=acme-nowhere", json!({"owners": [owner("x", &[])]}));
    elsewhere.expect(404);
}

#[test]
fn those_who_are_missing_are_deactivated_but_never_the_caller() {
    let world = World::peopled();
    let admin = world.sign_in(ACME, "admin");
    world.operator("PUT", &format!("/v1/owners/gone?company={ACME}"), json!({"name": "gone", "active": false})).expect(201);
    let bob = json!({"owner": "bob", "name": "bob", "permissions": ["orders.read", "keyward.keys.own"]});
    let answer = world.call(&admin, "PUT", "/v1/owners", json!({"owners": [bob], "deactivate_missing": true})).expect(200);
    assert_eq!(counts(&answer), [0, 0, 1, 1]);
    let [ann] = answer["owners"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!(
        (&ann["owner"], &ann["active"], &ann["permissions"]),
        (&json!("ann"), &json!(false), &json!(["keyward.keys.own", "orders.*"]))
    );
    let again = world.call(&admin, "PUT", "/v1/owners", json!({"owners": [bob], "deactivate_missing": true})).expect(200);
    assert_eq!(counts(&again), [0, 0, 1, 0]);
    let trail = world.get(&admin, "/v1/audit?action=owner.put&target=ann").expect(200);
    assert_eq!(trail["entries"][0]["after"]["active"], false);
}

#[test]
fn a_directory_that_does_not_fit_into_one_call_is_not_taken_for_one_that_does() {
    let world = World::peopled();
    let call = |from: usize, to: usize| {
        let owners: Vec<_> = (from..to).map(|n| owner(&format!("owner-{n}"), &[])).collect();
        put(&world, json!({"owners": owners, "deactivate_missing": true}))
    };
    assert_eq!(counts(&call(0, 997).expect(200)), [997, 0, 0, 3], "the three of before");
    assert_eq!(call(997, 1_001).wrong(), ["deactivate_missing"], "the second part would lock out the first");
    assert_eq!(counts(&call(994, 1_000).expect(200)), [3, 0, 3, 994]);
    let inactive = world.sql("SELECT COUNT(*) FROM owners WHERE company = ?1 AND active = 0", &[ACME.into()]);
    assert_eq!(inactive[0][0].number(), 997, "those count no more");
    put(&world, json!({"owners": [owner("one", &[])], "deactivate_missing": false})).expect(200);
    assert_eq!(call(0, 994).wrong(), ["deactivate_missing"], "seven are active whom it does not name");
}

#[test]
fn the_same_call_again_has_one_effect_and_a_long_answer_is_kept_without_its_list() {
    let world = World::peopled();
    let permissions: Vec<_> = (0..100).map(|n| format!("orders.{n}.{}", "x".repeat(80))).collect();
    let names: Vec<_> = permissions.iter().map(String::as_str).collect();
    for part in 0..2 {
        let owners: Vec<_> = (part * 80..(part + 1) * 80).map(|n| owner(&format!("owner-{n}"), &names)).collect();
        put(&world, json!({ "owners": owners })).expect(200);
    }
    let send = || {
        let body = json!({"owners": [owner("ann", &[])], "deactivate_missing": true}).to_string();
        let call = world.request(&bootstrap(), "PUT", &format!("/v1/owners?company={ACME}"), &body);
        world.send(&ApiCall { idempotency_key: Some("once".into()), ..call }).expect(200)
    };
    let first = send();
    assert_eq!((counts(&first), first["owners"].as_array().unwrap().len()), ([0, 1, 0, 162], 163));
    let before = trace(&world);
    let second = send();
    assert_eq!((counts(&second), &second["owners"], &second["replayed"]), (counts(&first), &Value::Null, &json!(true)));
    assert_eq!(trace(&world), before);
}
