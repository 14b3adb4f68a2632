//! What webhooks hear of by the clock alone: keys that expire, and keys that nobody uses.
#![allow(clippy::needless_pass_by_value)] // reads better in tests

mod shard_world;

use serde_json::{Value, json};
use shard_world::{
    ACME, OTHER, World,
    hooks::{DAY, TAKEN, alarm, for_ann, made, next, said, told, used, world},
    path_of,
};

#[test]
fn everything_lives_in_the_storage_and_goes_on_after_a_restart() {
    let world = world();
    made(&world, ACME, json!({}));
    let key = for_ann(&world, ACME, json!({"expires_at": world.later(20 * DAY)}));
    let again = |world: World| {
        let settings = world.shard.settings().clone();
        world.reopened(settings)
    };
    let world = again(world);
    world.shard.advance_webhooks(world.at()).unwrap();
    let world = again(world);
    assert_eq!(told(&world), [said("key.created", &key)]);
    let world = again(world);
    world.wait(6 * DAY);
    assert_eq!(told(&world), [said("key.expiring", &key)]);
    let world = again(world);
    assert_eq!(told(&world), []);
}

#[test]
fn keys_are_told_of_before_and_when_they_expire_once_each() {
    let world = world();
    made(&world, ACME, json!({"events": ["key.expiring", "key.expired"]}));
    let long = for_ann(&world, ACME, json!({"expires_at": world.later(30 * DAY)}));
    let short = for_ann(&world, ACME, json!({"expires_at": world.later(5 * DAY)}));
    for_ann(&world, ACME, json!({}));
    assert_eq!(told(&world), [], "less than a week was given on purpose");
    let start = world.now.get();
    let mut seen = Vec::new();
    for _ in 0..8 {
        let Some(due) = next(&world) else { break };
        world.now.set(world.now.get().max(due));
        for _ in 0..2 {
            for message in alarm(&world, &TAKEN) {
                let body: Value = serde_json::from_str(&message.body).unwrap();
                seen.push((
                    (world.now.get() - start) / 1000 / DAY,
                    body["data"]["id"].clone(),
                    body["type"].clone(),
                    body["data"]["days_left"].clone(),
                ));
            }
        }
    }
    let one = |day: u64, key: &Value, event: &str, left: Value| (day, key["id"].clone(), json!(event), left);
    assert_eq!(
        seen,
        [
            one(4, &short, "key.expiring", json!(1)),
            one(5, &short, "key.expired", Value::Null),
            one(16, &long, "key.expiring", json!(14)),
            one(23, &long, "key.expiring", json!(7)),
            one(29, &long, "key.expiring", json!(1)),
            one(30, &long, "key.expired", Value::Null),
        ]
    );
    assert_eq!(next(&world), None, "and then nothing wakes it");
}

#[test]
fn after_a_long_pause_only_the_nearest_is_told() {
    for (days, told_of) in
        [(20, vec![("key.expiring", json!(4))]), (23, vec![("key.expiring", json!(1))]), (30, vec![("key.expired", Value::Null)])]
    {
        let world = world();
        made(&world, ACME, json!({"events": ["key.expiring", "key.expired"]}));
        for_ann(&world, ACME, json!({"expires_at": world.later(24 * DAY)}));
        told(&world);
        world.wait(days * DAY);
        // Another change first: it moves no watch past what was due in the meantime.
        for_ann(&world, ACME, json!({"expires_at": world.later(3 * DAY)}));
        let bodies: Vec<Value> = alarm(&world, &TAKEN).iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect();
        let bodies: Vec<_> = bodies.iter().map(|body| (body["type"].as_str().unwrap(), body["data"]["days_left"].clone())).collect();
        let expected: Vec<_> = told_of.clone();
        assert!(expected.iter().all(|one| bodies.contains(one)), "{days}: {bodies:?}");
        assert!(bodies.len() <= 2, "{days}: {bodies:?}");
    }
}

#[test]
fn a_moved_expiry_is_told_of_by_its_new_time_and_a_revoked_key_not_at_all() {
    let world = world();
    made(&world, ACME, json!({"events": ["key.expiring", "key.expired"]}));
    let ann = world.sign_in(ACME, "ann");
    let moved = world.create(&ann, json!({"expires_at": world.later(30 * DAY)})).expect(201);
    let gone = world.create(&ann, json!({"expires_at": world.later(30 * DAY)})).expect(201);
    told(&world);
    world.wait(16 * DAY);
    let ann = world.sign_in(ACME, "ann");
    assert_eq!(told(&world).len(), 2);
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&gone)), Value::Null).expect(200);
    let expires = |seconds: u64| world.call(&ann, "PATCH", &path_of(&moved), json!({"expires_at": world.later(seconds)})).expect(200);
    expires(14 * DAY + 3_600);
    assert_eq!(told(&world), [], "an hour later: within the hour it is told again, as of the new time");
    expires(10 * DAY);
    assert_eq!(told(&world), [], "earlier: who set it knows");
    world.wait(3 * DAY);
    assert_eq!(told(&world), [said("key.expiring", &moved)]);
    let ann = world.sign_in(ACME, "ann");
    world.call(&ann, "PATCH", &path_of(&moved), json!({"expires_at": world.later(20 * DAY)})).expect(200);
    world.wait(6 * DAY);
    assert_eq!(told(&world), [said("key.expiring", &moved)], "14 days again, of the new time");
    world.call(&world.sign_in(ACME, "ann"), "PATCH", &path_of(&moved), json!({"expires_at": null})).expect(200);
    world.wait(60 * DAY);
    assert_eq!(told(&world), []);
}

#[test]
fn a_clock_that_is_set_back_tells_nothing_twice() {
    let world = world();
    made(&world, ACME, json!({"events": ["key.expiring"]}));
    let key = for_ann(&world, ACME, json!({"expires_at": world.later(20 * DAY)}));
    world.wait(7 * DAY);
    assert_eq!(told(&world), [said("key.expiring", &key)]);
    world.now.set(world.now.get() - 2 * DAY * 1000);
    for_ann(&world, ACME, json!({}));
    assert_eq!(told(&world), []);
    world.wait(3 * DAY);
    assert_eq!(told(&world), []);
    world.wait(6 * DAY);
    assert_eq!(told(&world), [said("key.expiring", &key)], "a week is left");
}

#[test]
fn a_key_that_nobody_uses_is_told_of_once_and_again_only_after_it_was_used() {
    let world = world();
    made(&world, ACME, json!({"events": ["key.unused"]}));
    let never = for_ann(&world, ACME, json!({}));
    let now_and_then = for_ann(&world, ACME, json!({}));
    let often = for_ann(&world, ACME, json!({}));
    let gone = for_ann(&world, ACME, json!({"expires_at": world.later(80 * DAY)}));
    let step = |days: u64| {
        for _ in 0..days {
            world.wait(DAY);
            used(&world, &often);
        }
        let mut all = told(&world);
        all.sort();
        all
    };
    step(10);
    used(&world, &now_and_then);
    used(&world, &gone);
    assert_eq!(step(79), []);
    assert_eq!(step(2), [said("key.unused", &never)]);
    assert_eq!(step(8), []);
    assert_eq!(step(2), [said("key.unused", &now_and_then)]);
    assert_eq!(step(200), []);
    used(&world, &now_and_then);
    used(&world, &never);
    let mut both = [said("key.unused", &never), said("key.unused", &now_and_then)];
    both.sort();
    assert_eq!(step(91), both);
    assert_eq!(step(200), []);
}

#[test]
fn more_keys_than_a_handful_are_each_told_of_once_also_where_they_are_due_together() {
    let world = world();
    made(&world, ACME, json!({"events": ["key.expired", "key.unused"]}));
    let expires_at = world.later(DAY);
    let mut keys: Vec<_> = (0..250).map(|_| said("key.expired", &for_ann(&world, ACME, json!({"expires_at": expires_at})))).collect();
    world.wait(DAY + 1);
    let mut heard = told(&world);
    keys.sort();
    heard.sort();
    assert_eq!(heard, keys);
    assert_eq!(told(&world), []);
}

#[test]
fn the_alarm_is_set_for_what_some_company_wants_to_hear_of_and_for_nothing_else() {
    let world = world();
    for_ann(&world, ACME, json!({"expires_at": world.later(30 * DAY)}));
    for_ann(&world, OTHER, json!({"expires_at": world.later(20 * DAY)}));
    assert_eq!(next(&world), None);
    let id = made(&world, ACME, json!({"events": ["key.created"]}));
    alarm(&world, &TAKEN);
    assert_eq!(next(&world), None);
    let start = world.now.get();
    world.operator("PATCH", &format!("/v1/webhooks/{id}?company={ACME}"), json!({"events": ["key.expired"]})).expect(200);
    alarm(&world, &TAKEN);
    let due = next(&world).unwrap();
    assert!((29 * DAY..30 * DAY).contains(&((due - start) / 1000)), "only its own company's");
    world.operator("PATCH", &format!("/v1/webhooks/{id}?company={ACME}"), json!({"active": false})).expect(200);
    alarm(&world, &TAKEN);
    assert_eq!(next(&world), None);
}
