//! Replacing a key: which of the two works, and until when.

use std::time::{Duration, Instant};

use keyward_e2e::{Answer, World, eventually, holds_until, world::BOUND};
use serde_json::{Value, json};

async fn rotate(world: &World, id: &str, body: Value) -> Value {
    world.operator("POST", &format!("/v1/keys/{id}/rotate?company=acme"), body).await.expect(201).json()
}

fn text<'v>(object: &'v Value, name: &str) -> &'v str {
    object[name].as_str().unwrap_or_else(|| panic!("no {name}: {object}"))
}

fn is(answer: Answer, status: u16, code: &str) -> Result<(), Box<Answer>> {
    if answer.verdict() == (status, code.to_owned()) { Ok(()) } else { Err(Box::new(answer)) }
}

/// Until when the last change of a key is in effect everywhere, as the control plane says.
async fn effective_by(world: &World, id: &str) -> Instant {
    let key = world.operator("GET", &format!("/v1/keys/{id}?company=acme"), Value::Null).await.json();
    let at: jiff::Timestamp = text(&key["propagation"], "effective_by").parse().unwrap();
    let left = at.duration_since(jiff::Timestamp::now());
    Instant::now() + Duration::try_from(left).unwrap_or_default()
}

#[tokio::test]
async fn a_successor_works_at_once_and_the_old_key_until_it_is_revoked() {
    let world = World::start().await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.read"], true).await;
    let old = world.key("acme", "jane", json!({"name": "ERP nightly sync", "permissions": ["orders.read"]})).await;
    world.call(&old.key, "/api/orders").await.expect(200);
    let new = rotate(&world, &old.id, Value::Null).await;
    assert_eq!(
        (text(&new, "name"), text(&new, "supersedes"), &new["permissions"]),
        ("ERP nightly sync", &*old.id, &json!(["orders.read"]))
    );
    world.call(text(&new, "key"), "/api/orders").await.expect(200);
    let both = async || {
        is(world.call(&old.key, "/").await, 200, "")?;
        is(world.call(text(&new, "key"), "/").await, 200, "")
    };
    holds_until(Instant::now() + BOUND, both).await;
    let again = world.control(&world.operator, "POST", &format!("/v1/keys/{}/rotate?company=acme", old.id), json!({})).await;
    again.refused(409, "conflict");
    assert!(again.text.contains(text(&new, "id")), "{again:?}");

    world.revoke("acme", &old.id).await;
    let deadline = effective_by(&world, &old.id).await;
    eventually(deadline - Instant::now(), async || is(world.call(&old.key, "/").await, 401, "key_revoked")).await;
    world.call(text(&new, "key"), "/").await.expect(200);
    world.system.stop().await;
}

#[tokio::test]
async fn without_overlap_the_old_key_ends_within_the_bound() {
    let world = World::with(|options| options.edges = 2).await;
    world.company("acme").await;
    world.owner("acme", "jane", &["*"], true).await;
    let old = world.key("acme", "jane", json!({})).await;
    let ask = async |edge: &str, key: &str| keyward_e2e::http::send(world.http.get(edge).header("x-api-key", key)).await;
    for edge in world.system.edge_urls() {
        ask(&edge, &old.key).await.expect(200);
    }
    let new = rotate(&world, &old.id, json!({"overlap_s": 0})).await;
    let deadline = effective_by(&world, &old.id).await;
    for edge in world.system.edge_urls() {
        ask(&edge, text(&new, "key")).await.expect(200);
        eventually(deadline - Instant::now(), async || is(ask(&edge, &old.key).await, 401, "key_revoked")).await;
    }
    world.system.stop().await;
}

#[tokio::test]
async fn with_an_overlap_the_old_key_works_for_its_length_and_then_has_expired() {
    let world = World::start().await;
    world.company("acme").await;
    world.owner("acme", "jane", &["*"], true).await;
    let old = world.key("acme", "jane", json!({})).await;
    world.call(&old.key, "/").await.expect(200);
    let begun = Instant::now();
    let new = rotate(&world, &old.id, json!({"overlap_s": 2})).await;
    let rotated = Instant::now();
    // A moment less: the edge asks while the control plane's clock goes on.
    holds_until(begun + Duration::from_millis(1_700), async || is(world.call(&old.key, "/").await, 200, "")).await;
    let deadline = effective_by(&world, &old.id).await.max(rotated + Duration::from_secs(3));
    eventually(deadline - Instant::now(), async || is(world.call(&old.key, "/").await, 401, "key_expired")).await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    world.call(text(&new, "key"), "/").await.expect(200);
    world.system.stop().await;
}

#[tokio::test]
async fn a_key_whose_successor_was_lost_and_revoked_is_rotated_again() {
    let world = World::start().await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.read"], true).await;
    let old = world.key("acme", "jane", json!({"name": "ERP nightly sync"})).await;
    let first = rotate(&world, &old.id, Value::Null).await;
    world.call(text(&first, "key"), "/").await.expect(200);
    world.revoke("acme", text(&first, "id")).await;
    let second = rotate(&world, &old.id, Value::Null).await;
    world.call(text(&second, "key"), "/").await.expect(200);
    world.call(&old.key, "/").await.expect(200);
    let deadline = effective_by(&world, text(&first, "id")).await;
    eventually(deadline - Instant::now(), async || is(world.call(text(&first, "key"), "/").await, 401, "key_revoked")).await;
    world.control(&world.operator, "POST", &format!("/v1/keys/{}/rotate?company=acme", old.id), json!({})).await.refused(409, "conflict");

    let deleted = world.control(&world.operator, "DELETE", &format!("/v1/keys/{}?company=acme", text(&second, "id")), Value::Null).await;
    deleted.expect(204);
    let third = rotate(&world, &old.id, json!({"overlap_s": 0})).await;
    let deadline = effective_by(&world, &old.id).await;
    eventually(deadline - Instant::now(), async || is(world.call(&old.key, "/").await, 401, "key_revoked")).await;
    world.call(text(&third, "key"), "/").await.expect(200);
    world.system.stop().await;
}
