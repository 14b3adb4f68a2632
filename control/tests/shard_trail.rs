//! Every refused change is in the trail, with who, from where and what; and what is done says so too.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::call::{ApiCall, AuditNote, Redeem, SignOut};
use keyward_shared::{ids::OwnerId, link::SignInLink};
use serde_json::{Value, json};
use shard_world::{ACME, World, company, key, path_of};

/// The newest entry of the company's trail.
fn newest(world: &World) -> Value {
    world.operator("GET", &format!("/v1/audit?company={ACME}&limit=1"), Value::Null).expect(200)["entries"][0].clone()
}

#[test]
fn a_key_that_is_tried_from_where_it_may_not_be_used_leaves_a_trace() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({"name": "narrow", "allowed_ips": ["10.0.0.0/8"]})).expect(201);
    let before = newest(&world);
    world.get(&key(&made["key"]), &path_of(&made)).expect(403);
    assert_eq!(newest(&world), before, "what would change nothing leaves none");
    world.call(&key(&made["key"]), "POST", &format!("{}/revoke", path_of(&made)), Value::Null).expect(403);
    let entry = newest(&world);
    assert_eq!((&entry["action"], &entry["outcome"], &entry["actor"]), (&json!("key.revoke"), &json!("forbidden"), &json!("ann")));
    assert_eq!((&entry["key"], &entry["target"], &entry["address"]), (&made["id"], &made["id"], &json!("192.0.2.7")));
    // A key that is revoked is nobody's any more.
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&made)), Value::Null).expect(200);
    let before = newest(&world);
    world.call(&key(&made["key"]), "POST", "/v1/keys", json!({"name": "x"})).expect(401);
    assert_eq!(newest(&world), before);
}

#[test]
fn a_session_is_in_the_trail_from_its_link_to_its_end_and_so_is_a_link_that_was_refused() {
    let world = World::peopled();
    let link = world.operator("POST", &format!("/v1/sign-in-links?company={ACME}"), json!({"owner": "ann"})).expect(201);
    let entry = newest(&world);
    assert_eq!((&entry["action"], &entry["actor"], &entry["target"]), (&json!("sign_in_link.create"), &json!("demo/admin"), &json!("ann")));
    assert_eq!(entry["after"], json!({"expires_at": link["expires_at"]}), "when it ends, and nothing of the link itself");

    let address = Some("192.0.2.9".parse().unwrap());
    let link = SignInLink::new(company(ACME), OwnerId::new("ann").unwrap(), world.at(), [9; 16]);
    let request = Redeem { link, address, request_id: "r7".into() };
    let redeemed = world.shard.redeem(world.at(), &mut world.random(), &request).unwrap();
    let begun = newest(&world);
    assert_eq!((&begun["action"], &begun["actor"], &begun["outcome"]), (&json!("session.begin"), &json!("ann"), &json!("done")));
    assert_eq!((&begun["address"], &begun["after"]), (&json!("192.0.2.9"), &json!({"expires_at": world.later(redeemed.max_age_s)})));
    assert!(!begun.to_string().contains(&redeemed.token));
    world.shard.redeem(world.at(), &mut world.random(), &request).unwrap_err();
    let again = newest(&world);
    assert_eq!(
        (&again["action"], &again["outcome"], &again["address"]),
        (&json!("session.begin"), &json!("conflict"), &json!("192.0.2.9"))
    );

    let settings = world.shard.settings();
    let (company, digest) = keyward_control::session::read(&redeemed.token, &settings.session_secrets).unwrap();
    world.shard.sign_out(world.at(), &SignOut { digest, company, address, request_id: "r8".into() }).unwrap();
    let ended = newest(&world);
    assert_eq!((&ended["action"], &ended["actor"], &ended["address"]), (&json!("session.end"), &json!("ann"), &json!("192.0.2.9")));
}

#[test]
fn a_note_that_comes_twice_is_written_once() {
    let world = World::peopled();
    let note = AuditNote {
        id: "refused-r1".into(),
        company: company(ACME),
        actor: "ann".into(),
        key: None,
        address: None,
        action: "policy.put".into(),
        target: "policy".into(),
        outcome: "forbidden".into(),
        before: Value::Null,
        after: Value::Null,
        request_id: "r1".into(),
    };
    for _ in 0..2 {
        world.shard.note(world.at(), &note).unwrap();
    }
    let trail = world.operator("GET", &format!("/v1/audit?company={ACME}&action=policy.put"), Value::Null).expect(200);
    assert_eq!(trail["entries"].as_array().unwrap().len(), 1);
}

#[test]
fn every_refused_change_is_recorded_whatever_was_wrong() {
    let world = World::peopled();
    let (ann, made) = (world.sign_in(ACME, "ann"), world.create(&world.sign_in(ACME, "bob"), json!({})).expect(201));
    let plain = world.create(&ann, json!({})).expect(201);
    for (credential, method, target, body, code) in [
        (&ann, "POST", "/v1/keys", "[]", "invalid_request"),
        (&ann, "POST", "/v1/keys?x=1", "{}", "invalid_request"),
        (&ann, "POST", "/v1/keys", r#"{"name":""}"#, "unprocessable"),
        (&ann, "POST", "/v1/keys", r#"{"name":"x","owner":"bob"}"#, "forbidden"),
        (&ann, "DELETE", &path_of(&made), "", "not_found"),
        (&ann, "PUT", "/v1/owners/ann", r#"{"name":"x"}"#, "forbidden"),
        (&ann, "POST", "/v1/maintenance/republish", "", "forbidden"),
        (&ann, "POST", "/v1/sign-in-links", r#"{"owner":"bob"}"#, "forbidden"),
        (&ann, "DELETE", "/v1/companies/acme-6263687", "", "forbidden"),
        (&key(&plain["key"]), "POST", "/v1/keys", r#"{"name":"x"}"#, "forbidden"),
    ] {
        world.raw(credential, method, target, body);
        let entry = newest(&world);
        assert_eq!((&entry["outcome"], &entry["actor"]), (&json!(code), &json!("ann")), "{method} {target} {body}");
        assert_eq!(entry["address"], "192.0.2.7");
    }
    let mismatch = |body: &str| ApiCall { idempotency_key: Some("k".into()), ..world.request(&ann, "POST", "/v1/keys", body) };
    world.send(&mismatch(r#"{"name":"a"}"#)).expect(201);
    world.send(&mismatch(r#"{"name":"b"}"#)).expect(422);
    assert_eq!(newest(&world)["outcome"], "idempotency_mismatch");
}

#[test]
fn what_people_call_whom_an_entry_tells_of_is_said_where_it_is_asked_for() {
    let world = World::peopled();
    let (ann, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "admin"));
    let made = world.create(&ann, json!({"name": "Nightly"})).expect(201);
    let gone = world.create(&ann, json!({"name": "Gone"})).expect(201);
    world.call(&ann, "DELETE", &path_of(&gone), Value::Null).expect(204);
    world.operator("PUT", &format!("/v1/owners/ann?company={ACME}"), json!({"name": "Ann Lee", "permissions": []})).expect(200);
    let trail = world.get(&admin, "/v1/audit?names=true&limit=4").expect(200);
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    assert_eq!(trail["names"]["owners"], json!({"ann": "Ann Lee"}), "the operator's name is not known here");
    assert_eq!(trail["names"]["keys"], json!({id(&made): "Nightly"}), "what is gone has no name");
    assert_eq!(trail["names"]["webhooks"], json!({}));
    for path in ["/v1/audit", "/v1/audit?names=false"] {
        assert!(world.get(&admin, path).expect(200).get("names").is_none(), "{path}");
    }
    world.get(&admin, "/v1/audit?names=1").expect(400);
    world.get(&ann, "/v1/audit?names=true").expect(403);
}
