//! Revoking a key with all keys that come from it, where they are more than one turn may revoke.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::call::Credential;
use serde_json::{Value, json};
use shard_world::{ACME, World, path_of};

/// Gives the company `count` more keys of `ann` that the key `parent` made, straight in the tables.
fn fill(world: &World, parent: &Value, count: u64, revoked: bool) {
    let from = world.sql("SELECT MAX(place) FROM keys", &[])[0][0].number();
    world.sql(
        "WITH RECURSIVE n(i) AS (SELECT ?5 + 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?5 + ?2) \
         INSERT INTO keys (company, key_id, digest, owner, name, hint, place, created_at, created_by, parent, networks, metadata, manages_keys, \
         bootstrap, revoked_at, rev, changed_at, announced_at) SELECT ?1, printf('key_%020d', i), printf('%064x', i), 'ann', 'made', 'h', i, ?4, \
         'ann', ?3, '[]', '{}', 0, 0, ?6, ?4, ?4, ?4 FROM n",
        &[
            ACME.into(),
            count.into(),
            parent["id"].as_str().unwrap().into(),
            world.at().into(),
            from.into(),
            revoked.then(|| world.at()).into(),
        ],
    );
    world.sql("INSERT OR IGNORE INTO key_usage SELECT company, key_id, 0 FROM keys", &[]);
    world.sql("UPDATE numbers SET value = MAX(value, (SELECT MAX(place) FROM keys)) WHERE name IN ('rev', 'place')", &[]);
}

fn left(world: &World) -> u64 {
    world.sql("SELECT COUNT(*) FROM keys WHERE company = ?1 AND name = 'made' AND revoked_at IS NULL", &[ACME.into()])[0][0].number()
}

fn entries(world: &World) -> u64 {
    world.sql("SELECT COUNT(*) FROM audit WHERE company = ?1 AND action = 'key.revoke'", &[ACME.into()])[0][0].number()
}

fn cascade(world: &World, who: &Credential, made: &Value) -> Value {
    world.wait(1);
    let said = world.call(who, "POST", &format!("{}/revoke?cascade=true", path_of(made)), json!({"reason": "leaked"})).expect(200);
    assert_eq!((&said["id"], &said["status"]), (&made["id"], &json!("revoked")));
    said["more"].clone()
}

#[test]
fn a_thousand_keys_are_revoked_in_one_call_and_calling_again_goes_on() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let parent = world.create(&ann, json!({"manages_keys": true})).expect(201);
    fill(&world, &parent, 2_500, false);
    assert_eq!((cascade(&world, &ann, &parent), left(&world), entries(&world)), (json!(true), 1_501, 1_000));
    assert_eq!((cascade(&world, &ann, &parent), left(&world), entries(&world)), (json!(true), 501, 2_000));
    assert_eq!((cascade(&world, &ann, &parent), left(&world), entries(&world)), (Value::Null, 0, 2_501));
    let rev = || world.sql("SELECT value FROM numbers WHERE name = 'rev'", &[])[0][0].number();
    let before = rev();
    assert_eq!((cascade(&world, &ann, &parent), rev(), entries(&world)), (Value::Null, before, 2_501), "again changes nothing");
    while !world.shard.deliveries(world.at()).unwrap().is_empty() {
        world.announce();
    }
    let waiting = "SELECT COUNT(*) FROM keys WHERE revoked_at IS NOT NULL AND announced_at IS NULL";
    assert_eq!(world.sql(waiting, &[])[0][0].number(), 0, "all of it is announced");
}

#[test]
fn exactly_as_many_as_one_call_revokes_are_not_more() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let parent = world.create(&ann, json!({"manages_keys": true})).expect(201);
    fill(&world, &parent, 999, false);
    assert_eq!((cascade(&world, &ann, &parent), left(&world)), (Value::Null, 0));
    fill(&world, &parent, 1_000, false);
    assert_eq!((cascade(&world, &ann, &parent), left(&world)), (Value::Null, 0));
}

#[test]
fn those_that_were_revoked_before_are_in_nobodys_way() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let parent = world.create(&ann, json!({"manages_keys": true})).expect(201);
    fill(&world, &parent, 12_000, true);
    fill(&world, &parent, 10, false);
    assert_eq!((cascade(&world, &ann, &parent), left(&world)), (Value::Null, 0));
}

#[test]
fn what_a_revoked_key_made_that_made_keys_is_reached_through_it() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let parent = world.create(&ann, json!({"manages_keys": true})).expect(201);
    let middle = world.create(&ann, json!({"manages_keys": true})).expect(201);
    world.sql(
        "UPDATE keys SET parent = ?1 WHERE key_id = ?2",
        &[parent["id"].as_str().unwrap().into(), middle["id"].as_str().unwrap().into()],
    );
    fill(&world, &parent, 600, false);
    fill(&world, &middle, 600, false);
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&middle)), Value::Null).expect(200);
    assert_eq!((cascade(&world, &ann, &parent), left(&world)), (json!(true), 201));
    assert_eq!((cascade(&world, &ann, &parent), left(&world)), (Value::Null, 0));
}

#[test]
fn a_family_without_end_is_looked_at_only_so_far() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let parent = world.create(&ann, json!({"manages_keys": true})).expect(201);
    fill(&world, &parent, 12_000, false);
    // Not ann's: she does not see them, but they may be looked at.
    world.sql("UPDATE keys SET owner = 'bob' WHERE name = 'made'", &[]);
    assert_eq!((cascade(&world, &ann, &parent), left(&world)), (json!(true), 12_000));
    let admin = world.sign_in(ACME, "admin");
    let mut calls = 1;
    while cascade(&world, &admin, &parent) == json!(true) {
        calls += 1;
    }
    assert_eq!((calls, left(&world)), (12, 0));
}
