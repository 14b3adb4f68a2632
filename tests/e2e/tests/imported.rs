//! Imported keys at the edge: sent as their owners have always sent them, they pass as what they were imported as.

use std::time::Duration;

use keyward_e2e::{Answer, World, eventually, holds_until, http, world::BOUND};
use keyward_selfhost::Options;
use keyward_shared::digest::Digest;
use serde_json::{Value, json};
use tokio::time::Instant;

/// A shape that the keys of this file have, and that a session token does not.
const SHAPE: &str = "acme_[A-Za-z0-9]{20,64}";

fn accepting(shape: &str) -> impl FnOnce(&mut Options) {
    let settings = vec![("ACCEPT_IMPORTED".to_owned(), shape.to_owned())];
    |options| options.settings = settings
}

fn key(number: usize) -> String {
    format!("acme_{}", &Digest::of(&number.to_be_bytes()).to_hex()[..40])
}

/// Imports keys of `acme`'s owner jane, and gives their ids.
async fn import(world: &World, texts: &[String], more: Value) -> Vec<String> {
    let one = |text: &String| {
        let mut key = json!({"sha256": Digest::of(text.as_bytes()).to_hex(), "name": "A key", "owner": "jane"});
        key.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        key
    };
    let keys: Vec<_> = texts.iter().map(one).collect();
    let made = world.operator("POST", "/v1/keys/import?company=acme", json!({"keys": keys})).await.expect(201).json();
    made["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

async fn world(shape: &str) -> World {
    let world = World::with(accepting(shape)).await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.*"], true).await;
    world
}

async fn bearer(world: &World, text: &str, path: &str) -> Answer {
    http::send(world.http.get(format!("{}{path}", world.system.edge_url())).bearer_auth(text)).await
}

async fn becomes(world: &World, text: &str, status: u16, code: &str) {
    eventually(BOUND, async || match world.call(text, "/").await.verdict() {
        verdict if verdict == (status, code.to_owned()) => Ok(()),
        verdict => Err(verdict),
    })
    .await;
    let end = Instant::now() + Duration::from_secs(2);
    holds_until(end.into_std(), async || match world.call(text, "/").await.verdict() {
        verdict if verdict == (status, code.to_owned()) => Ok(()),
        verdict => Err(verdict),
    })
    .await;
}

#[tokio::test]
async fn an_imported_key_passes_as_its_owner_from_its_first_request_on_and_warm_without_a_read() {
    let world = world(SHAPE).await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/billing/**", "permission": "billing.read"}]})).await;
    let texts = [key(1), key(2)];
    let ids = import(&world, &texts, json!({})).await;
    for (text, id) in texts.iter().zip(&ids) {
        let received = world.call(text, "/orders").await.expect(200).json();
        let header = |name: &str| received["headers"][name][0].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (header("x-keyward-owner"), header("x-keyward-company"), header("x-keyward-key")),
            ("jane".into(), "acme".into(), id.clone())
        );
        assert!(!received.to_string().contains(text.as_str()), "the key goes no further: {received}");
    }
    eventually(BOUND, async || match world.call(&texts[0], "/billing/1").await.verdict() {
        (403, code) if code == "permission_denied" => Ok(()),
        other => Err(other),
    })
    .await;
    world.system.kv().reset_counts();
    for _ in 0..20 {
        world.call(&texts[0], "/").await.expect(200);
        bearer(&world, &texts[0], "/").await.expect(200);
    }
    assert_eq!(world.system.kv().counts().reads("i:"), 0, "warm");

    // A use is a use.
    eventually(BOUND * 2, async || {
        let object = world.operator("GET", &format!("/v1/keys/{}?company=acme", ids[0]), Value::Null).await.json();
        if object["last_used_at"].is_string() { Ok(()) } else { Err(object) }
    })
    .await;

    // Who asks about it is told the same.
    world.owner("demo", "verifier", &["keyward.introspect"], true).await;
    let verifier = world.key("demo", "verifier", json!({})).await.key;
    let introspect = async |body: Value| {
        let request = world.http.post(format!("{}/.keyward/introspect", world.system.edge_url())).header("x-api-key", &verifier);
        http::send(request.json(&body)).await.expect(200).json()
    };
    let found = introspect(json!([{"token": texts[0]}, {"token": key(99)}, {"token": "nonsense"}])).await;
    assert_eq!((&found[0]["active"], &found[0]["sub"], &found[0]["key_id"]), (&json!(true), &json!("jane"), &json!(ids[0])), "{found}");
    assert_eq!((&found[1]["code"], &found[2]["code"]), (&json!("unknown_key"), &json!("malformed_key")), "{found}");
    assert_eq!(world.files_with(&[&texts[0], &texts[1]]), Vec::<std::path::PathBuf>::new(), "the keys themselves are nowhere");
    world.system.stop().await;
}

#[tokio::test]
async fn whatever_takes_a_key_away_takes_an_imported_one_away_within_the_bound() {
    let world = world(SHAPE).await;
    let (bob, texts) = (key(0), [key(1), key(2), key(3), key(4)]);
    let ids = import(&world, &texts, json!({})).await;
    world.owner("acme", "bob", &["orders.read"], true).await;
    let of_bob = json!({"keys": [{"sha256": Digest::of(bob.as_bytes()).to_hex(), "name": "Bob's", "owner": "bob"}]});
    world.operator("POST", "/v1/keys/import?company=acme", of_bob).await.expect(201);
    for text in texts.iter().chain([&bob]) {
        world.call(text, "/").await.expect(200);
    }
    world.operator("POST", &format!("/v1/keys/{}/revoke?company=acme", ids[0]), json!({})).await;
    becomes(&world, &texts[0], 401, "key_revoked").await;
    world.operator("DELETE", &format!("/v1/keys/{}?company=acme", ids[1]), Value::Null).await;
    becomes(&world, &texts[1], 401, "unknown_key").await;
    world.owner("acme", "bob", &["orders.read"], false).await;
    becomes(&world, &bob, 401, "owner_inactive").await;
    world.call(&texts[2], "/").await.expect(200);
    world.operator("PUT", "/v1/companies/acme", json!({"name": "acme", "active": false})).await;
    becomes(&world, &texts[2], 401, "owner_inactive").await;
    becomes(&world, &texts[3], 401, "owner_inactive").await;
    world.system.stop().await;
}

#[tokio::test]
async fn what_has_the_shape_and_was_never_imported_costs_one_read_and_only_a_few_are_looked_up() {
    let world = World::with(|options| {
        options.settings = vec![("ACCEPT_IMPORTED".into(), SHAPE.into()), ("FAILED_LOOKUPS".into(), "10/6000".into())];
        options.bound_s = Some(180.0); // absence is remembered for a third of it
    })
    .await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.*"], true).await;
    let warm = key(0);
    import(&world, std::slice::from_ref(&warm), json!({})).await;
    world.call(&warm, "/").await.expect(200);
    world.system.kv().reset_counts();
    for _ in 0..20 {
        world.call(&key(1), "/").await.refused(401, "unknown_key");
    }
    assert_eq!(world.system.kv().counts().reads("i:"), 1, "absence is remembered");
    for text in ["nonsense", "acme_short", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", &format!("acme_{}", "a".repeat(65))] {
        world.call(text, "/").await.refused(401, "malformed_key");
    }
    assert_eq!(world.system.kv().counts().reads("i:"), 1, "what has not the shape is not looked up");
    let mut refused = 0;
    for number in 2..52 {
        let answer = world.call(&key(number), "/").await;
        match answer.status {
            429 => refused += 1,
            _ => answer.refused(401, "unknown_key"),
        }
    }
    let reads = world.system.kv().counts().reads("i:");
    assert_eq!((refused, reads), (50 - 9, 1 + 9), "ten at once, of which the first was one");
    world.call(&warm, "/").await.expect(200);
    // Nor does another way to send it help.
    let options = world.http.request("OPTIONS".parse().unwrap(), world.system.edge_url()).header("origin", "https://app.example");
    let preflight = options.header("access-control-request-method", "GET").header("x-api-key", key(60));
    let introspection = world.http.post(format!("{}/.keyward/introspect", world.system.edge_url())).header("x-api-key", key(61));
    let long = world.http.get(format!("{}/{}", world.system.edge_url(), "x".repeat(17_000))).header("x-api-key", key(62));
    for request in [preflight, introspection, long] {
        http::send(request).await.refused(429, "rate_limited");
    }
    assert_eq!(world.system.kv().counts().reads("i:"), reads);
    world.system.stop().await;
}

#[tokio::test]
async fn who_asks_about_keys_is_slowed_down_too_when_guessing_what_is_almost_a_key_of_keywards() {
    let world = World::with(|options| {
        options.settings = vec![("ACCEPT_IMPORTED".into(), "sk_[0-9A-Za-z]{45}".into()), ("FAILED_LOOKUPS".into(), "3/6000".into())];
    })
    .await;
    let mut told = Vec::new();
    for number in 0..10 {
        let request = world.http.post(format!("{}/.keyward/introspect", world.system.edge_url()));
        told.push(http::send(request.header("x-api-key", format!("sk_{number:045}"))).await.status);
    }
    assert_eq!(told, [[401; 3].as_slice(), &[429; 7]].concat());
    assert_eq!(world.system.kv().counts().reads("i:"), 3);
    world.system.stop().await;
}

#[tokio::test]
async fn a_bearer_of_that_shape_is_a_key_also_where_other_bearers_are_the_applications() {
    let world = world(SHAPE).await;
    let text = key(1);
    import(&world, std::slice::from_ref(&text), json!({})).await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/app/**", "bearer": "origin"}]})).await;
    let token = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
    eventually(BOUND, async || {
        let answer = bearer(&world, token, "/app/x").await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    let owner = |answer: &Answer| answer.json()["headers"]["x-keyward-owner"].clone();
    assert_eq!(owner(&bearer(&world, token, "/app/x").await.expect(200)), Value::Null);
    assert_eq!(owner(&bearer(&world, &text, "/app/x").await.expect(200)), json!(["jane"]));
    bearer(&world, &key(2), "/app/x").await.refused(401, "unknown_key");
    world.system.stop().await;
}

#[tokio::test]
async fn an_outage_is_not_a_refusal() {
    let mut world = world(SHAPE).await;
    let texts = [key(1), key(2)];
    import(&world, &texts, json!({})).await;
    world.call(&texts[0], "/").await.expect(200);
    world.system.kill_control().await;
    world.call(&key(3), "/").await.refused(503, "verifier_unavailable");
    world.call(&texts[0], "/").await.expect(200);
    world.call("nonsense", "/").await.refused(401, "malformed_key");
    world.system.stop().await;
}

#[tokio::test]
async fn unless_a_shape_is_declared_nothing_is_looked_up_and_one_that_cannot_be_used_stops_the_edge() {
    let none = world("").await;
    import(&none, &[key(1)], json!({})).await;
    none.system.kv().reset_counts();
    none.call(&key(1), "/").await.refused(401, "malformed_key");
    assert_eq!(none.system.kv().counts().reads("i:"), 0);
    none.system.stop().await;
    for (shape, problem) in [("acme_(", "is no regular expression"), ("(a+)+", "must repeat no group")] {
        let world = World::with(accepting(shape)).await;
        world.call(&world.operator, "/").await.refused(503, "verifier_unavailable");
        assert!(world.system.log_tails().contains(&format!("setting ACCEPT_IMPORTED: {problem}")), "{}", world.system.log_tails());
        world.system.stop().await;
    }
}
