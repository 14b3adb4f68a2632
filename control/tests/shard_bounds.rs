//! Bounds through the API, on either side: until when, how long, whose, and what an inactive owner gets.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{ApiCall, Authenticate, Caller, Credential},
    shard::outbox::Delivery,
};
use keyward_shared::{
    digest::Digest,
    feed::Subject,
    ids::{KeyId, OwnerId},
    messages::ResolveAnswer,
};
use serde_json::{Value, json};
use shard_world::{ACME, World, asked, bootstrap, company, key};

fn path_of(made: &Value) -> String {
    format!("/v1/keys/{}", made["id"].as_str().unwrap())
}

/// Puts everything that is due, and says how much it was.
fn publish(world: &World) -> usize {
    let due = world.shard.due(world.at(), 1000).unwrap();
    for publication in &due {
        world.shard.published(world.at(), publication, true).unwrap();
    }
    due.len()
}

/// Publishes and announces until nothing is left.
fn settle(world: &World) {
    for _ in 0..3 {
        publish(world);
        world.announce();
        world.wait(91);
    }
    assert_eq!(world.shard.next_alarm(world.at()).unwrap(), None);
}

#[test]
fn a_keys_life_may_exceed_the_companys_longest_by_a_minute_for_clocks() {
    let world = World::peopled();
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "max_key_lifetime_days": 1})).expect(200);
    let ann = world.sign_in(ACME, "ann");
    let longest = world.later(86_400);
    let made = world.create(&ann, json!({"expires_at": world.later(86_400 + 60)})).expect(201);
    assert_eq!(made["expires_at"], json!(longest), "it is shortened all the same");
    assert_eq!(world.create(&ann, json!({"expires_at": world.later(86_400 + 61)})).wrong(), ["expires_at"]);
}

#[test]
fn what_is_sent_again_unchanged_is_not_held_to_what_became_of_the_owner_or_company() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let expiry = world.later(10 * 86_400);
    let made = world.create(&ann, json!({"permissions": ["orders.write"], "expires_at": expiry})).expect(201);
    world.put_owner(ACME, "ann", &["orders.read", "keyward.keys.own"]).expect(200);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "max_key_lifetime_days": 1})).expect(200);
    let patch = |body: Value| world.call(&ann, "PATCH", &path_of(&made), body);
    patch(json!({"name": "b", "permissions": ["orders.write"], "expires_at": expiry})).expect(200);
    assert_eq!(patch(json!({"permissions": ["orders.write", "orders.read"]})).wrong(), ["permissions"]);
    assert_eq!(patch(json!({"expires_at": world.later(9 * 86_400)})).wrong(), ["expires_at"]);
}

#[test]
fn a_change_that_changes_nothing_leaves_no_trace() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({"name": "same"})).expect(201);
    let trace = || world.sql("SELECT (SELECT value FROM numbers WHERE name = 'rev'), (SELECT COUNT(*) FROM audit)", &[]);
    let before = trace();
    world.call(&ann, "PATCH", &path_of(&made), json!({"name": "same"})).expect(200);
    assert_eq!(trace(), before);
}

#[test]
fn no_key_is_made_for_an_owner_who_may_not_act() {
    let world = World::peopled();
    let make = || world.operator("POST", &format!("/v1/keys?company={ACME}"), json!({"name": "x", "owner": "bob"}));
    make().expect(201);
    let bob = |active: bool| {
        let body = json!({"name": "bob", "permissions": [], "active": active});
        world.operator("PUT", &format!("/v1/owners/bob?company={ACME}"), body).expect(200);
    };
    let acme = |active: bool| {
        world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "active": active})).expect(200);
    };
    bob(false);
    make().expect(409);
    bob(true);
    acme(false);
    make().expect(409);
    acme(true);
    make().expect(201);
}

#[test]
fn cascading_revokes_the_keys_of_keys_once_and_says_so_in_the_trail() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let parent = world.create(&ann, json!({"manages_keys": true})).expect(201);
    let children: Vec<_> = (0..3).map(|_| world.create(&key(&parent["key"]), json!({})).expect(201)).collect();
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&children[0])), json!({"reason": "first"})).expect(200);
    world.wait(5);
    world.call(&ann, "POST", &format!("{}/revoke?cascade=true", path_of(&parent)), json!({"reason": "leaked"})).expect(200);
    let reasons: Vec<_> = children.iter().map(|child| world.get(&ann, &path_of(child)).expect(200)["revoke_reason"].clone()).collect();
    assert_eq!(reasons, [json!("first"), json!("leaked"), json!("leaked")]);
    let trail = world.get(&world.sign_in(ACME, "admin"), "/v1/audit?action=key.revoke").expect(200);
    assert_eq!(trail["entries"].as_array().unwrap().len(), 4);
}

#[test]
fn an_idempotency_key_is_visible_text_and_its_answer_is_kept_for_a_day() {
    let world = World::peopled();
    let send = |idempotency_key: &str| {
        let body = "{\"name\":\"one\",\"owner\":\"ann\"}";
        let call = world.request(&bootstrap(), "POST", &format!("/v1/keys?company={ACME}"), body);
        world.send(&ApiCall { idempotency_key: Some(idempotency_key.into()), ..call })
    };
    for bad in ["", "a\tb", "a\u{7f}", "é"] {
        send(bad).expect(400);
    }
    let first = send("two words").expect(201);
    world.now.set(world.now.get() + 86_399_999);
    assert_eq!(send("two words").expect(201)["id"], first["id"]);
    world.now.set(world.now.get() + 1);
    assert_ne!(send("two words").expect(201)["id"], first["id"]);
}

#[test]
fn owners_and_companies_are_announced_under_their_own_subjects() {
    let world = World::peopled();
    world.announce();
    world.put_owner(ACME, "ann", &["keyward.keys.own"]).expect(200);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "active": false})).expect(200);
    let deliveries = world.shard.deliveries(world.at()).unwrap();
    let Some(Delivery::Announce(_, announcement)) = deliveries.first() else { panic!("{deliveries:?}") };
    let (shard, acme) = (world.shard.name(), company(ACME));
    let expected = [Subject::owner(shard, &acme, &OwnerId::new("ann").unwrap()), Subject::company(shard, &acme)];
    assert_eq!(announcement.changes.iter().map(|change| change.0).collect::<Vec<_>>(), expected);
}

#[test]
fn a_second_put_counts_for_the_stores_pause_too() {
    let world = World::peopled();
    settle(&world);
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    publish(&world);
    world.wait(90);
    assert_eq!(publish(&world), 1, "for the second time");
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&made)), Value::Null).expect(200);
    assert_eq!(publish(&world), 0, "at most one put per second");
    world.wait(1);
    assert_eq!(publish(&world), 1);
}

#[test]
fn the_authority_puts_a_record_again_after_the_pause_and_not_before() {
    let world = World::peopled();
    let made = world.create(&world.sign_in(ACME, "ann"), json!({"digest": Digest::of(b"blind").to_hex()})).expect(201);
    publish(&world);
    world.wait(90);
    publish(&world);
    let asked = |world: &World| {
        assert!(
            matches!(world.shard.resolve(world.at(), &asked(&Digest::of(b"blind"), false)).unwrap(), ResolveAnswer::Record(_)),
            "{made}"
        );
        publish(world)
    };
    world.now.set(world.now.get() + 89_999);
    assert_eq!(asked(&world), 0);
    world.now.set(world.now.get() + 1);
    assert_eq!(asked(&world), 1);
}

#[test]
fn entries_that_failed_wait_longer_each_time_and_a_minute_at_most() {
    let world = World::peopled();
    settle(&world);
    world.put_owner(ACME, "ann", &["keyward.keys.own"]).expect(200);
    assert_eq!(publish(&world), 0, "she has no key");
    let mut waits = Vec::new();
    for _ in 0..9 {
        let deliveries = world.shard.deliveries(world.at()).unwrap();
        let [Delivery::Announce(ids, _)] = deliveries.as_slice() else { panic!("{deliveries:?}") };
        world.shard.undelivered(ids, world.at()).unwrap();
        let next = world.shard.next_alarm(world.at()).unwrap().unwrap();
        waits.push(next.minus(world.at()).0);
        world.now.set(next.0);
    }
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
}

#[test]
fn what_somebody_from_another_shard_does_here_is_noted_in_their_own_companys_trail() {
    let world = World::peopled();
    settle(&world);
    let request = Authenticate { credential: bootstrap(), address: None, request_id: "r".into() };
    let caller = Caller { company: company("elsewhere"), ..world.shard.authenticate(world.at(), &request).unwrap() };
    let weaker = Caller { permissions: caller.permissions.without_operator(), ..caller.clone() };
    let path = format!("/v1/owners/ann?company={ACME}");
    world.call(&Credential::Vouched(weaker), "DELETE", &path, Value::Null).expect(404);
    world.wait(1);
    world.call(&Credential::Vouched(caller), "DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    let notes = || {
        let deliveries = world.shard.deliveries(world.at()).unwrap().into_iter();
        deliveries.filter_map(|delivery| if let Delivery::Note(id, note) = delivery { Some((id, note)) } else { None }).collect::<Vec<_>>()
    };
    let said: Vec<_> = notes().into_iter().map(|(_, note)| (note.company, note.actor, note.action, note.target, note.outcome)).collect();
    let note = |action: &str, target: &str, outcome: String| (company("elsewhere"), "admin".into(), action.into(), target.into(), outcome);
    let refused = format!("not_found in {ACME}");
    assert_eq!(said, [note("owner.delete", "ann", refused), note("company.delete", ACME, "done".into())]);
    let mut ids: Vec<_> = notes().into_iter().map(|(_, note)| note.id).collect();
    assert!(ids.iter().all(|id| id.starts_with(&format!("{}-", world.shard.name()))), "{ids:?}");
    ids.dedup();
    assert_eq!(ids.len(), 2, "each is written once, however often it is delivered");
    for (id, _) in notes() {
        world.shard.delivered(id).unwrap();
    }
    assert!(notes().is_empty());
}

#[test]
fn ids_and_keys_are_drawn_anew_each_time() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made: Vec<_> = (0..3).map(|_| world.create(&ann, json!({})).expect(201)).collect();
    let mut ids: Vec<_> = made.iter().map(|made| KeyId::new(made["id"].as_str().unwrap()).unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_ne!(made[0]["key"], made[1]["key"]);
}

#[test]
fn a_refusal_carries_its_challenge_and_a_failing_storage_goes_to_the_log() {
    let world = World::peopled();
    let unknown = world.request(&Credential::Key(Digest::of(b"unknown")), "GET", "/v1/keys", "");
    let ask = || world.shard.handle(world.at(), &mut world.random(), &unknown);
    let refused = ask();
    assert_eq!((refused.status, refused.log), (401, None));
    assert!(refused.headers.iter().any(|(name, value)| name == "WWW-Authenticate" && value.starts_with("Bearer ")));
    world.sql("DROP TABLE keys", &[]);
    let failed = ask();
    assert!(failed.status == 503 && failed.log.is_some(), "{failed:?}");
    assert!(failed.headers.contains(&("Retry-After".into(), "1".into())));
}

#[test]
fn whoever_makes_a_key_for_somebody_else_is_told_that_only_the_operator_may() {
    let world = World::peopled();
    let refused = world.create(&world.sign_in(ACME, "admin"), json!({"owner": "ann"})).expect(403);
    assert_eq!(refused["detail"], "only the operator makes keys for other owners");
}
