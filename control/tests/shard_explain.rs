//! What an edge decides about a request with a key, and why, as the API explains it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::call::{ApiCall, Credential};
use keyward_shared::policy::Policy;
use serde_json::{Value, json};
use shard_world::{ACME, OTHER, World, path_of};

fn policy(default: &str) -> Policy {
    serde_json::from_value(json!({ "default": default, "rules": [
        { "methods": ["GET"], "path": "/orders/**", "permission": "orders.read" },
        { "path": "/orders/**", "permission": "orders.write" },
        { "path": "/open/**", "anonymous": true },
        { "path": "/app/*", "bearer": "origin" },
    ] }))
    .unwrap()
}

fn call(world: &World, who: &Credential, made: &Value, query: &str, policy: Option<Policy>) -> ApiCall {
    ApiCall { policy, ..world.request(who, "GET", &format!("{}/explain?{query}", path_of(made)), "") }
}

fn explain(world: &World, who: &Credential, made: &Value, query: &str) -> Value {
    let seen = world.send(&call(world, who, made, query, Some(policy("deny")))).expect(200);
    // The first check that fails says why; none fails where the request passes.
    let failed = seen["checks"].as_array().unwrap().iter().find(|check| check["passed"] == false);
    let code = failed.map(|check| match check["check"].as_str().unwrap() {
        "path" => "ambiguous_path",
        "revocation" => "key_revoked",
        "expiry" => "key_expired",
        "owner" | "company" => "owner_inactive",
        "network" => "ip_not_allowed",
        _ => "permission_denied",
    });
    assert_eq!(seen["code"], json!(code), "{query}: {seen}");
    assert_eq!(seen["decision"], if code.is_some() { "refuse" } else { "allow" });
    seen
}

#[test]
fn the_rule_the_permission_and_the_network_decide() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({"permissions": ["orders.read"], "allowed_ips": ["192.0.2.0/24", "2001:db8::/32"]})).expect(201);
    let inside = "&ip=192.0.2.1";
    for (query, status, code, rule, needs, words) in [
        ("path=/orders/7&ip=192.0.2.1", 200, Value::Null, json!(0), json!("orders.read"), "passes"),
        ("path=/orders/7&ip=2001:db8::9", 200, Value::Null, json!(0), json!("orders.read"), "passes"),
        ("method=HEAD&path=/orders/7/&ip=192.0.2.1", 200, Value::Null, json!(0), json!("orders.read"), "passes"),
        ("path=/orders/7&ip=198.51.100.1", 403, json!("ip_not_allowed"), json!(0), json!("orders.read"), "network"),
        ("path=/orders/7", 403, json!("ip_not_allowed"), json!(0), json!("orders.read"), "network"),
        (
            "method=POST&path=/orders/7&ip=192.0.2.1",
            403,
            json!("permission_denied"),
            json!(1),
            json!("orders.write"),
            "orders.write is missing",
        ),
        ("path=/open/x&ip=192.0.2.1", 200, Value::Null, json!(2), Value::Null, "without a key"),
        ("path=/open/x", 403, json!("ip_not_allowed"), json!(2), Value::Null, "network"),
        ("path=/app/x&ip=192.0.2.1", 200, Value::Null, json!(3), Value::Null, "passes"),
        ("path=/nowhere&ip=192.0.2.1", 403, json!("permission_denied"), Value::Null, Value::Null, "no rule"),
        ("path=/orders//7&ip=192.0.2.1", 400, json!("ambiguous_path"), Value::Null, Value::Null, "empty segment"),
        ("path=/open/%252e&ip=192.0.2.1", 400, json!("ambiguous_path"), Value::Null, Value::Null, "percent"),
        ("path=orders&ip=192.0.2.1", 400, json!("ambiguous_path"), Value::Null, Value::Null, "slash"),
    ] {
        let seen = explain(&world, &ann, &made, query);
        assert_eq!(
            (&seen["status"], &seen["code"], &seen["rule"]["index"], &seen["needs"]),
            (&json!(status), &code, &rule, &needs),
            "{query}"
        );
        assert!(seen["detail"].as_str().unwrap().contains(words), "{query}: {}", seen["detail"]);
    }
    let seen = explain(&world, &ann, &made, &format!("method=POST&path=/orders/7{inside}"));
    assert_eq!(
        seen["rule"],
        json!({"index": 1, "methods": [], "path": "/orders/**", "permission": "orders.write", "anonymous": false, "bearer": null})
    );
    assert_eq!(seen["owner_permissions"], json!(["keyward.keys.own", "orders.*"]));
    assert_eq!((&seen["effective_permissions"], &seen["restriction"]), (&json!(["orders.read"]), &json!(["orders.read"])));
    let permission = seen["checks"].as_array().unwrap().iter().find(|check| check["check"] == "permission").unwrap();
    assert!(permission["detail"].as_str().unwrap().contains("restriction"), "{permission}");
    // Where no rule matches, the origin decides if the policy says so.
    let forward = world.send(&call(&world, &ann, &made, &format!("path=/nowhere{inside}"), Some(policy("forward")))).expect(200);
    assert_eq!(forward["decision"], "allow");
}

#[test]
fn what_becomes_of_key_owner_and_company_is_seen_at_once() {
    let world = World::peopled();
    let (ann, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "admin"));
    let path = "path=/orders/7";
    let made = world.create(&ann, json!({"expires_at": world.later(60)})).expect(201);
    let code = |world: &World| explain(world, &admin, &made, path)["code"].clone();
    assert_eq!(code(&world), Value::Null);
    world.put_owner(ACME, "ann", &["keyward.keys.own"]).expect(200);
    assert_eq!(code(&world), "permission_denied");
    let seen = explain(&world, &admin, &made, path);
    let permission = seen["checks"].as_array().unwrap().iter().find(|check| check["check"] == "permission").unwrap();
    assert_eq!(permission["detail"], "the owner lacks the permission orders.read");
    let inactive = json!({"name": "Ann", "permissions": ["orders.*", "keyward.keys.own"], "active": false});
    world.operator("PUT", &format!("/v1/owners/ann?company={ACME}"), inactive).expect(200);
    assert_eq!(code(&world), "owner_inactive");
    world.wait(60);
    assert_eq!(code(&world), "key_expired");
    world.call(&admin, "POST", &format!("{}/revoke", path_of(&made)), Value::Null).expect(200);
    assert_eq!(code(&world), "key_revoked");
    let failed: Vec<_> = explain(&world, &admin, &made, path)["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["passed"] == false)
        .map(|check| check["check"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(failed, ["revocation", "expiry", "owner"], "every check is made by itself");
}

#[test]
fn what_is_asked_is_checked_and_nobody_asks_about_what_they_do_not_see() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    let answer = |who: &Credential, query: &str| world.send(&call(&world, who, &made, query, Some(policy("deny"))));
    for bad in
        ["", "path=", "method=get&path=/", "method=G%20T&path=/", "ip=1&path=/", "ip=10.0.0.0/8&path=/", "path=/&path=/", "path=/&key=1"]
    {
        answer(&ann, bad).expect(400);
    }
    let long = format!("path=/{}", "a".repeat(8_192));
    answer(&ann, &long).expect(400);
    answer(&ann, &long[..long.len() - 1]).expect(200);
    answer(&world.sign_in(ACME, "bob"), "path=/").expect(404);
    answer(&world.sign_in(OTHER, "admin"), "path=/").expect(404);
    answer(&shard_world::key(&made["key"]), "path=/").expect(403);
}

#[test]
fn without_the_policy_nothing_is_guessed() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    let answer = world.send(&call(&world, &ann, &made, "path=/orders/7", None));
    assert!(answer.headers.iter().any(|(name, _)| name == "Retry-After"));
    assert_eq!(answer.expect(503)["code"], "unavailable");
    // Whoever may not ask is told so all the same.
    world.send(&call(&world, &world.sign_in(ACME, "bob"), &made, "path=/orders/7", None)).expect(404);
}
