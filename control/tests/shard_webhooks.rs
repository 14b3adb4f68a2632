//! Webhooks over the real `SQLite`: who may have them, and who hears of what.
#![allow(clippy::needless_pass_by_value)] // reads better in tests

mod shard_world;

use keyward_control::call::{ApiCall, Credential};
use keyward_shared::{digest::Digest, ids::CompanyId};
use serde_json::{Value, json};
use shard_world::{
    ACME, OTHER, World, bootstrap, company, digest_of,
    hooks::{TAKEN, about, alarm, count, deliveries, for_ann, hook, made, said, shown, told, world},
    key, path_of, settings,
};

#[test]
fn each_change_is_told_once_and_never_with_a_secret() {
    let world = world();
    let id = made(&world, ACME, json!({}));
    let ann = world.sign_in(ACME, "ann");
    let first = world.create(&ann, json!({"metadata": {"plan": "gold"}})).expect(201);
    assert_eq!(told(&world), [said("key.created", &first)]);
    world.call(&ann, "PATCH", &path_of(&first), json!({"name": "another name"})).expect(200);
    assert_eq!(told(&world), []);
    let second = world.call(&ann, "POST", &format!("{}/rotate", path_of(&first)), json!({"overlap_s": 3600})).expect(201);
    let [rotated] = &alarm(&world, &TAKEN)[..] else { panic!("one message") };
    let body: Value = serde_json::from_str(&rotated.body).unwrap();
    assert_eq!((&body["data"]["id"], &body["data"]["superseded"]["id"]), (&second["id"], &first["id"]));
    assert_eq!(body["data"]["superseded"]["superseded_by"], second["id"]);
    assert_eq!(body["data"]["metadata"], json!({"plan": "gold"}));
    let third = world.call(&ann, "POST", &format!("{}/rotate", path_of(&second)), json!({"overlap_s": 0})).expect(201);
    let mut both = told(&world);
    both.sort();
    assert_eq!(both, [said("key.revoked", &second), said("key.rotated", &third)], "every revocation is told as one");
    for _ in 0..2 {
        world.call(&ann, "POST", &format!("{}/revoke", path_of(&third)), json!({"reason": "lost"})).expect(200);
    }
    let [revoked] = &alarm(&world, &TAKEN)[..] else { panic!("one message") };
    let body: Value = serde_json::from_str(&revoked.body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["revoke_reason"], &body["data"]["status"]),
        (&json!("key.revoked"), &json!("lost"), &json!("revoked"))
    );
    let bob = |active: bool| {
        world.operator("PUT", &format!("/v1/owners/bob?company={ACME}"), json!({"name": "Bob", "active": active})).expect(200)
    };
    bob(true);
    bob(false);
    bob(false);
    assert_eq!(told(&world), [("owner.deactivated".into(), "bob".into())]);
    world.operator("DELETE", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(204);
    assert_eq!(told(&world), [("owner.deactivated".into(), "ann".into())]);
    assert_eq!(deliveries(&world, ACME, &id, "").len(), 7);

    let everything =
        format!("{:?}{:?}", world.sql("SELECT * FROM webhook_events", &[]), world.sql("SELECT * FROM webhook_deliveries", &[]));
    for made in [&first, &second, &third] {
        let text = made["key"].as_str().unwrap();
        assert!(!everything.contains(text) && !everything.contains(&text[10..40]) && !everything.contains(&digest_of(made).to_hex()));
    }
}

#[test]
fn where_nobody_wants_to_hear_of_it_there_is_no_row() {
    let world = world();
    for_ann(&world, ACME, json!({}));
    assert_eq!(count(&world, "webhook_events"), 0, "no webhook");
    made(&world, ACME, json!({"events": ["key.revoked", "key.revoked"]}));
    made(&world, ACME, json!({"active": false}));
    made(&world, OTHER, json!({}));
    for_ann(&world, ACME, json!({}));
    assert_eq!(count(&world, "webhook_events"), 0, "another event, not active, another company");
    assert_eq!(count(&world, "webhook_watches"), 6, "the other company's");
    let theirs = for_ann(&world, OTHER, json!({}));
    let sent = alarm(&world, &TAKEN);
    assert_eq!(sent.iter().map(|message| about(&message.body)).collect::<Vec<_>>(), [said("key.created", &theirs)]);
    assert_eq!(sent[0].company, company(OTHER));
}

#[test]
fn a_webhook_hears_of_what_it_asked_for_from_its_creation_on() {
    let world = world();
    let first = made(&world, ACME, json!({"events": ["key.created"]}));
    let made_before = for_ann(&world, ACME, json!({}));
    let second = made(&world, ACME, json!({}));
    assert_eq!(told(&world), [said("key.created", &made_before)], "not the later one, though nothing was spread yet");
    world.operator("POST", &format!("{}/revoke?company={ACME}", path_of(&made_before)), Value::Null).expect(200);
    let sent = alarm(&world, &TAKEN);
    assert_eq!(sent.iter().map(|message| &message.webhook).collect::<Vec<_>>(), [&second]);
    for_ann(&world, ACME, json!({}));
    let mut sent = alarm(&world, &TAKEN);
    sent.sort_by(|a, b| a.webhook.cmp(&b.webhook));
    let mut both = vec![first, second];
    both.sort();
    assert_eq!(sent.iter().map(|message| message.webhook.clone()).collect::<Vec<_>>(), both);
    assert_eq!(sent[0].id, sent[1].id, "one message");
    assert_ne!(sent[0].signature, sent[1].signature, "two secrets");
}

#[test]
fn the_secret_is_shown_once_and_kept_nowhere() {
    let world = world();
    let call = |body: &str| ApiCall {
        idempotency_key: Some("one".into()),
        ..world.request(&bootstrap(), "POST", &format!("/v1/webhooks?company={ACME}"), body)
    };
    let body = r#"{"url":"https://hooks.example.com/?token=in-the-url","name":"Chat"}"#;
    let created = world.send(&call(body)).expect(201);
    let secret = created["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let replayed = world.send(&call(body)).expect(201);
    assert_eq!((&replayed["secret"], &replayed["replayed"], &replayed["id"]), (&Value::Null, &json!(true), &created["id"]));
    let id = created["id"].as_str().unwrap();
    assert_eq!(shown(&world, ACME, id).get("secret"), None);
    for table in ["webhooks", "idempotency", "audit"] {
        let rows = format!("{:?}", world.sql(&format!("SELECT * FROM {table}"), &[]));
        assert!(!rows.contains(&secret[6..40]), "{table}");
    }
    let trail = format!("{:?}", world.sql("SELECT entry FROM audit", &[]));
    assert!(trail.contains("https://hooks.example.com") && !trail.contains("in-the-url"), "{trail}");
}

#[test]
fn without_a_secret_of_the_deployment_there_are_no_webhooks_and_the_setting_is_named() {
    let world = World::peopled_with(settings());
    let refused = hook(&world, ACME, json!({})).expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("WEBHOOK_SECRETS"), "{refused}");
}

#[test]
fn wrong_fields_are_all_named_and_foreign_webhooks_are_not_there() {
    let world = world();
    let wrong =
        hook(&world, ACME, json!({"url": "http://localhost/", "events": ["key.created", "key.eaten", 7], "name": "", "active": "yes"}));
    assert_eq!(wrong.wrong(), ["url", "events[2]", "events[1]", "name", "active"]);
    for (body, field) in
        [(json!({"url": null}), "url"), (json!({"url": 7}), "url"), (json!({"events": []}), "events"), (json!({"events": "all"}), "events")]
    {
        assert_eq!(hook(&world, ACME, body).wrong(), [field]);
    }
    hook(&world, ACME, json!({"secret": "whsec_"})).expect(400);
    let id = made(&world, ACME, json!({}));
    let other = world.sign_in(OTHER, "admin");
    for (method, path) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/replay")] {
        let body = if method == "POST" { json!({"since": world.later(0)}) } else { Value::Null };
        world.call(&other, method, &format!("/v1/webhooks/{id}{path}"), body).expect(404);
    }
    assert_eq!(world.get(&other, "/v1/webhooks").expect(200)["webhooks"], json!([]));
    world.call(&world.sign_in(ACME, "ann"), "GET", "/v1/webhooks", Value::Null).expect(403);
    world.get(&world.sign_in(ACME, "admin"), &format!("/v1/webhooks/{id}")).expect(200);
    for (body, field) in [(json!({"url": null}), "url"), (json!({"active": null}), "active"), (json!({"events": []}), "events")] {
        assert_eq!(world.operator("PATCH", &format!("/v1/webhooks/{id}?company={ACME}"), body).wrong(), [field]);
    }
}

#[test]
fn a_company_has_twenty_webhooks_at_most_and_deleting_one_makes_room() {
    let world = world();
    let ids: Vec<_> = (0..20).map(|_| made(&world, ACME, json!({}))).collect();
    hook(&world, ACME, json!({})).expect(409);
    made(&world, OTHER, json!({}));
    world.operator("DELETE", &format!("/v1/webhooks/{}?company={ACME}", ids[3]), Value::Null).expect(204);
    made(&world, ACME, json!({}));
    let listed = world.operator("GET", &format!("/v1/webhooks?company={ACME}"), Value::Null).expect(200);
    assert_eq!(listed["webhooks"].as_array().unwrap().len(), 20);
}

#[test]
fn the_callers_of_another_shard_and_keys_that_manage_nothing_are_held_to_the_same_rules() {
    let world = world();
    let admin = world.sign_in(ACME, "admin");
    let plain = world.create(&admin, json!({})).expect(201);
    world.get(&key(&plain["key"]), "/v1/webhooks").expect(403);
    let manager = world.create(&admin, json!({"manages_keys": true})).expect(201);
    world.get(&key(&manager["key"]), "/v1/webhooks").expect(200);
    let unknown: Credential = Credential::Key(Digest::of(b"unknown"));
    world.get(&unknown, "/v1/webhooks").expect(401);
    let nowhere: CompanyId = company("nowhere");
    world.operator("GET", &format!("/v1/webhooks?company={nowhere}"), Value::Null).expect(404);
}
