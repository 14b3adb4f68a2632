//! What survives a restart, and what happens while a part is away: keys go on working until the bound, and an outage is never a refusal.

use std::{
    env, fs, process,
    time::{Duration, Instant},
};

use keyward_e2e::{Answer, World, eventually, holds_until, world::BOUND};
use keyward_selfhost::kv::{Effect, Fault};
use serde_json::{Value, json};
use tokio::time::sleep;

/// What the runtime and a busy machine may add to a time.
const SLACK: Duration = Duration::from_secs(2);

fn ok(answer: Answer) -> Result<(), Box<Answer>> {
    if answer.status == 200 { Ok(()) } else { Err(Box::new(answer)) }
}

/// An edge that starts anew may still know, for the rest of the bound, what was true a moment ago.
async fn becomes(world: &World, key: &str, path: &str, status: u16, code: &str) {
    eventually(BOUND, async || {
        let answer = world.call(key, path).await;
        if answer.verdict() == (status, code.to_owned()) { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let folder = env::temp_dir().join(format!("keyward-e2e-restart-{}", process::id()));
    let _ = fs::remove_dir_all(&folder); // what a failed run may have left
    let mut world = World::with(|options| options.state_dir = Some(folder.clone())).await;
    let operator = world.operator.clone();
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.read"], true).await;
    let key = world.key("acme", "jane", json!({"name": "Survivor"})).await;
    let revoked = world.key("acme", "jane", json!({})).await;
    world.revoke("acme", &revoked.id).await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/admin/**", "permission": "admin"}]})).await;
    let before = world.operator("GET", "/v1/keys?company=acme", Value::Null).await.json();
    world.system.bootstrap_key_was_shown().unwrap();
    world.system.stop().await;

    let mut world = World::with(|options| options.state_dir = Some(folder.clone())).await;
    assert_eq!(world.system.bootstrap_key(), None, "it is shown once");
    world.operator = operator.clone();
    let after = world.operator("GET", "/v1/keys?company=acme", Value::Null).await.json();
    assert_eq!(without_times(&after), without_times(&before));
    world.call(&key.key, "/").await.expect(200);
    becomes(&world, &revoked.key, "/", 401, "key_revoked").await;
    becomes(&world, &key.key, "/admin/x", 403, "permission_denied").await;
    world.revoke("acme", &key.id).await;
    world.system.kill().await;

    let mut world = World::with(|options| options.state_dir = Some(folder.clone())).await;
    world.operator = operator;
    becomes(&world, &key.key, "/", 401, "key_revoked").await;
    let trail = world.operator("GET", "/v1/audit/verify", Value::Null).await.json();
    assert_eq!(trail["valid"], true, "{trail}");
    world.system.stop().await;
    fs::remove_dir_all(&folder).unwrap();
}

/// A key list without what may go on changing by itself.
fn without_times(list: &Value) -> Vec<Value> {
    let mut keys = list["keys"].as_array().cloned().unwrap_or_else(|| panic!("{list}"));
    for key in &mut keys {
        let key = key.as_object_mut().unwrap();
        key.remove("last_used_at");
        key.remove("propagation");
    }
    assert!(!keys.is_empty());
    keys
}

#[tokio::test]
async fn without_the_control_plane_a_warm_key_works_until_the_bound_and_a_cold_one_is_unavailable_at_once() {
    let mut world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let (warm, cold) = (world.key("demo", "jane", json!({})).await, world.key("demo", "jane", json!({})).await);
    let gone = world.key("demo", "jane", json!({})).await;
    world.call(&warm.key, "/").await.expect(200);
    // Nothing is left to read but what this edge remembers.
    world.system.kv().inject(Fault::everywhere(Effect::Fail(500)));
    world.call(&warm.key, "/").await.expect(200);
    world.revoke("demo", &gone.id).await;
    world.system.kill_control().await;
    let killed = Instant::now();

    let answer = world.call(&cold.key, "/").await;
    answer.refused(503, "verifier_unavailable");
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
    // Fresh knowledge was at most `freshness` old when the control plane went: from then on it may be used for the rest of the bound.
    holds_until(killed + BOUND / 3, async || ok(world.call(&warm.key, "/").await)).await;
    let refused = eventually(BOUND + SLACK, async || {
        let answer = world.call(&warm.key, "/").await;
        assert_ne!(answer.status, 401, "an outage is no refusal: {answer:?}");
        if answer.status == 503 { Ok(answer) } else { Err(answer) }
    })
    .await;
    assert!(killed.elapsed() <= BOUND + SLACK, "{:?} after the kill", killed.elapsed());
    refused.refused(503, "verifier_unavailable");
    // Health tells how old the feed is, which may be younger than this key's record.
    eventually(BOUND, async || {
        let health = world.get("/.keyward/health").await;
        if health.status == 503 { Ok(()) } else { Err(health) }
    })
    .await;
    assert!(killed.elapsed() <= BOUND + SLACK, "{:?} after the kill", killed.elapsed());
    world.call("kw_live_nonsense", "/").await.refused(401, "malformed_key");
    world.call(&world.made_up_key("demo", false), "/").await.refused(401, "unknown_key");

    world.system.start_control().await.unwrap();
    world.system.kv().heal();
    eventually(BOUND, async || ok(world.call(&warm.key, "/").await)).await;
    eventually(BOUND, async || ok(world.call(&cold.key, "/").await)).await;
    world.call(&gone.key, "/").await.refused(401, "key_revoked");
    world.system.stop().await;
}

#[tokio::test]
async fn with_the_control_plane_away_the_store_alone_does_not_stretch_the_bound() {
    let mut world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    world.call(&key.key, "/").await.expect(200);
    sleep(Duration::from_secs(1)).await;
    world.system.kill_control().await;
    let killed = Instant::now();
    eventually(BOUND + SLACK, async || {
        let answer = world.call(&key.key, "/").await;
        assert_ne!(answer.status, 401, "an outage is no refusal: {answer:?}");
        if answer.status == 503 { Ok(()) } else { Err(answer) }
    })
    .await;
    assert!(killed.elapsed() > BOUND / 3, "knowledge is used while it may be: {:?}", killed.elapsed());
    world.system.start_control().await.unwrap();
    eventually(BOUND, async || ok(world.call(&key.key, "/").await)).await;
    world.system.stop().await;
}

#[tokio::test]
async fn with_the_store_failing_keys_are_verified_through_the_authority() {
    let world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    for effect in [Effect::Fail(500), Effect::Fail(429), Effect::Delay(Duration::from_millis(300))] {
        world.system.kv().inject(Fault::everywhere(effect));
        let cold = world.key("demo", "jane", json!({})).await;
        let begun = Instant::now();
        holds_until(Instant::now() + BOUND + SLACK, async || ok(world.call(&cold.key, "/").await)).await;
        ok(world.call(&key.key, "/").await).unwrap();
        world.revoke("demo", &cold.id).await;
        becomes(&world, &cold.key, "/", 401, "key_revoked").await;
        assert!(begun.elapsed() < 3 * (BOUND + SLACK));
        world.system.kv().heal();
    }
    world.system.stop().await;
}

#[tokio::test]
async fn a_tampered_record_in_the_store_is_not_believed() {
    let mut world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    world.call(&key.key, "/").await.expect(200);
    let names = eventually(BOUND, async || {
        let names = world.system.kv().names("k:").unwrap();
        if names.is_empty() { Err(()) } else { Ok(names) }
    })
    .await;
    world.revoke("demo", &key.id).await;
    for name in &names {
        let mut entry = world.system.kv().get(name).unwrap().unwrap();
        let text = String::from_utf8_lossy(&entry.value).replace("revoked", "active_");
        entry.value = text.into_bytes();
        let last = entry.value.len() - 1;
        entry.value[last] ^= 1;
        world.system.kv().put(name, &entry).unwrap();
    }
    world.system.kill_edge(0).await;
    world.system.start_edge(0).await.unwrap();
    world.call(&key.key, "/").await.refused(401, "key_revoked");
    world.system.stop().await;
}
