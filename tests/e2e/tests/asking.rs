//! Those who ask the edge for a verdict: proxies (forward-auth), programs (introspection), monitors (health).

use std::time::Duration;

use keyward_e2e::{Answer, World, eventually, http};
use keyward_selfhost::Options;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

const PROXY_SECRET: &str = "a secret that only the proxy of this test knows";

fn forward_auth(options: &mut Options) {
    options.settings = vec![("FORWARD_AUTH".into(), "original".into()), ("PROXY_SECRETS".into(), PROXY_SECRET.into())];
}

#[tokio::test]
async fn a_proxy_is_told_whether_the_request_that_it_holds_may_pass() {
    let world = World::with(forward_auth).await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/admin/**", "permission": "admin"}]})).await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    let ask =
        |path: &str| world.http.get(format!("{}/.keyward/forward-auth/original", world.system.edge_url())).header("x-original-uri", path);
    let asked = async |path: &str| http::send(ask(path).header("x-original-method", "GET").header("x-api-key", &key.key)).await;

    eventually(Duration::from_secs(6), async || {
        let answer = asked("/admin/users?x").await;
        if answer.verdict() == (403, "permission_denied".into()) { Ok(()) } else { Err(answer) }
    })
    .await;
    let plain = asked("/orders?x=1").await.expect(200);
    assert_eq!(plain.header("x-keyward-owner"), "", "who is not the proxy collects no identity");
    let proxy = ask("/orders").header("x-original-method", "GET").header("x-api-key", &key.key).header("x-keyward-proxy", PROXY_SECRET);
    let told = http::send(proxy).await.expect(200);
    assert_eq!(
        (told.header("x-keyward-owner"), told.header("x-keyward-company"), told.header("x-keyward-key")),
        ("jane", "demo", key.id.as_str())
    );

    http::send(ask("/orders").header("x-original-method", "GET")).await.refused(401, "missing_credentials");
    assert_eq!(http::send(ask("/orders").header("x-api-key", &key.key)).await.status, 400, "no method");
    let repeated = ask("/orders").header("x-original-uri", "/other").header("x-original-method", "GET").header("x-api-key", &key.key);
    assert_eq!(http::send(repeated).await.status, 400, "two URIs");
    asked("/admin/../orders").await.refused(400, "ambiguous_path");
    let other = world.http.get(format!("{}/.keyward/forward-auth/forwarded", world.system.edge_url())).header("x-api-key", &key.key);
    assert_eq!(http::send(other).await.status, 404, "the family that is not configured");
    world.call(&key.key, "/orders").await.expect(200);
    world.system.stop().await;
}

fn introspect(world: &World, caller: &str) -> RequestBuilder {
    world.http.post(format!("{}/.keyward/introspect", world.system.edge_url())).header("x-api-key", caller)
}

async fn asked(world: &World, caller: &str, body: Value) -> Answer {
    http::send(introspect(world, caller).json(&body)).await
}

#[tokio::test]
async fn a_program_with_the_permission_learns_what_a_key_is_worth() {
    let world = World::start().await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    world.owner("demo", "verifier", &["keyward.introspect"], true).await;
    let key = world.key("demo", "jane", json!({"metadata": {"plan": "gold"}})).await;
    let verifier = world.key("demo", "verifier", json!({})).await.key;

    let found = asked(&world, &verifier, json!({"token": key.key})).await.expect(200).json();
    for (field, value) in [
        ("active", json!(true)),
        ("sub", json!("jane")),
        ("company", json!("demo")),
        ("key_id", json!(key.id)),
        ("scope", json!("orders.read")),
    ] {
        assert_eq!(found[field], value, "{found}");
    }
    assert_eq!(found["metadata"], json!({"plan": "gold"}), "{found}");
    let form = introspect(&world, &verifier).header("content-type", "application/x-www-form-urlencoded").body(format!("token={}", key.key));
    assert_eq!(http::send(form).await.expect(200).json()["active"], true);
    let made_up = world.made_up_key("demo", false);
    let many = json!([{"token": key.key}, {"token": made_up}, {"token": "nonsense"}, {"token": key.key, "permission": "orders.write"}]);
    let many = asked(&world, &verifier, many).await.expect(200).json();
    let codes: Vec<&str> = many.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap_or("-")).collect();
    assert_eq!(codes, ["-", "unknown_key", "malformed_key", "permission_denied"], "{many}");

    asked(&world, &key.key, json!({"token": key.key})).await.refused(403, "permission_denied");
    http::send(world.http.post(format!("{}/.keyward/introspect", world.system.edge_url())).json(&json!({"token": key.key})))
        .await
        .refused(401, "missing_credentials");
    asked(&world, &verifier, json!({"tokens": key.key})).await.refused(400, "invalid_request");
    assert_eq!(asked(&world, &verifier, json!(vec![json!({"token": "x"}); 101])).await.status, 400);
    world.revoke("demo", &key.id).await;
    eventually(Duration::from_secs(6), async || {
        let found = asked(&world, &verifier, json!({"token": key.key})).await.json();
        if found == json!({"active": false, "code": "key_revoked"}) { Ok(()) } else { Err(found) }
    })
    .await;
    world.system.stop().await;
}

#[tokio::test]
async fn health_tells_how_old_the_edges_knowledge_is() {
    let world = World::start().await;
    world.call(&world.operator, "/").await.expect(200);
    let health = eventually(Duration::from_secs(6), async || {
        let answer = world.get("/.keyward/health").await;
        if answer.status == 200 && answer.json()["status"] == "ok" { Ok(answer.json()) } else { Err(answer) }
    })
    .await;
    assert_eq!((&health["bound_s"], &health["freshness_s"]), (&json!(6), &json!(2)), "{health}");
    assert!(health["version"].is_string() && health["push"].is_boolean(), "{health}");
    assert_eq!(world.get("/.keyward/nothing").await.status, 404);
    world.system.stop().await;
}
