//! The life of a key, from its creation to the trail that it leaves.

use std::time::{Duration, Instant};

use keyward_e2e::{World, eventually, http, world::BOUND};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_key_lives_from_its_creation_to_its_deletion_and_the_trail_remembers() {
    let world = World::start().await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.read"], true).await;
    let key = world.key("acme", "jane", json!({"name": "ERP nightly sync"})).await;
    assert_eq!((&key.object["status"], &key.object["name"]), (&json!("active"), &json!("ERP nightly sync")));
    assert!(key.object["propagation"]["announced_at"].is_string(), "{}", key.object);
    let own = format!("/v1/keys/{}?company=acme", key.id);
    let read = world.operator("GET", &own, Value::Null).await.json();
    assert!(read.get("key").is_none_or(Value::is_null), "the key itself is shown once: {read}");

    world.call(&key.key, "/api/orders").await.expect(200);
    let bearer = world.http.get(format!("{}/api/orders", world.system.edge_url())).bearer_auth(&key.key);
    http::send(bearer).await.expect(200);
    eventually(SOON, async || {
        let listed = world.operator("GET", &own, Value::Null).await.json();
        if listed["last_used_at"].is_string() { Ok(()) } else { Err(listed) }
    })
    .await;

    let revoked = world.revoke("acme", &key.id).await;
    assert_eq!(revoked["status"], "revoked");
    let announced = revoked["propagation"]["announced_at"].as_str().unwrap_or_else(|| panic!("not announced: {revoked}"));
    let left = (announced.parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::try_from(BOUND).unwrap())
        .duration_since(jiff::Timestamp::now());
    let deadline = Instant::now() + Duration::try_from(left).unwrap();
    eventually(deadline - Instant::now(), async || {
        let answer = world.call(&key.key, "/api/orders").await;
        if answer.verdict() == (401, "key_revoked".into()) { Ok(()) } else { Err(answer) }
    })
    .await;
    let again = world.revoke("acme", &key.id).await;
    assert_eq!(again["revoked_at"], revoked["revoked_at"], "revoking again changes nothing");
    let listed = world.operator("GET", "/v1/keys?company=acme", Value::Null).await.json();
    assert_eq!(listed["keys"][0]["status"], "revoked", "{listed}");

    world.operator("DELETE", &own, Value::Null).await.expect(204);
    world.control(&world.operator, "GET", &own, Value::Null).await.refused(404, "not_found");
    eventually(BOUND, async || {
        let answer = world.call(&key.key, "/api/orders").await;
        if answer.verdict() == (401, "unknown_key".into()) { Ok(()) } else { Err(answer) }
    })
    .await;
    let trail = world.operator("GET", "/v1/audit?company=acme", Value::Null).await.json();
    let actions: Vec<String> = trail["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["target"] == *key.id)
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
    for done in ["creat", "revok", "delet"] {
        assert!(actions.iter().any(|action| action.contains(done)), "{done} is not in {actions:?}: {trail}");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn the_origin_learns_from_the_edge_alone_who_calls() {
    let world = World::start().await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    let request = world
        .http
        .post(format!("{}/api/orders?x=%2F&y", world.system.edge_url()))
        .header("x-api-key", &key.key)
        .bearer_auth(&key.key)
        .header("X-Keyward-Owner", "mallory")
        .header("x_keyward_company", "evil")
        .header("X-KEYWARD_Key", "0")
        .header("X-Keyward-Identity", "forged")
        .header("x_keyward_identity", "forged")
        .header("X-KEYWARD-IDENTITY", "forged too")
        .header("X-Keyward_Identity", "forged")
        .header("X-Keyward-Permissions", "forged.*")
        .header("X-Keyward-Metadata", "{\"forged\":1}")
        .header("X-Keyward-Anything", "forged")
        .header("X-Original-URL", "/admin")
        .header("X-HTTP-Method-Override", "DELETE")
        .header("X-Application", "stays")
        .body("a body");
    http::send(request).await.expect(200);
    let received = world.system.origin().unwrap().last().unwrap();
    assert_eq!((received.method.as_str(), received.path.as_str(), received.body.as_str()), ("POST", "/api/orders?x=%2F&y", "a body"));
    for (name, value) in
        [("x-keyward-owner", "jane"), ("x-keyward-company", "demo"), ("x-keyward-key", key.id.as_str()), ("x-application", "stays")]
    {
        assert_eq!(received.header(name), [value], "{name}");
    }
    assert!(matches!(received.header("x-request-id"), [id] if !id.is_empty()), "{received:?}");
    assert!(matches!(received.header("x-keyward-identity"), [token] if token.split('.').count() == 3), "one token: {received:?}");
    for gone in [
        "x-api-key",
        "authorization",
        "x_keyward_company",
        "x-keyward_key",
        "x_keyward_identity",
        "x-keyward_identity",
        "x-keyward-permissions",
        "x-keyward-metadata",
        "x-keyward-anything",
        "x-original-url",
        "x-http-method-override",
    ] {
        assert!(received.header(gone).is_empty(), "{gone} reached the origin");
    }
    let everything = format!("{received:?}");
    assert!(!everything.contains("forged") && !everything.contains("mallory") && !everything.contains(&key.key), "{everything}");
    world.system.stop().await;
}

#[tokio::test]
async fn a_key_works_on_its_very_first_request() {
    let world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    for round in 0..20 {
        let key = world.key("demo", "jane", json!({})).await;
        let answer = world.call(&key.key, "/").await;
        assert_eq!(answer.status, 200, "round {round}: {answer:?}");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn the_full_key_is_kept_nowhere() {
    let world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    world.call(&key.key, "/").await.expect(200);
    world.call(&key.key, "/a//b").await.refused(400, "ambiguous_path");
    world.call(&key.key[..key.key.len() - 1], "/").await.refused(401, "malformed_key");
    world.control(&key.key, "GET", "/v1/whoami", Value::Null).await.expect(200);
    world.control(&key.key, "GET", "/v1/keys", Value::Null).await.refused(403, "forbidden");
    world.revoke("demo", &key.id).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    // The prefix and four characters of the shard are no secret; what follows is.
    let secret = &key.key["kw_live_".len() + 4..][..28];
    let operators = &world.operator["kw_live_".len() + 4..][..28];
    for name in world.system.kv().names("").unwrap() {
        let entry = world.system.kv().get(&name).unwrap().unwrap();
        let text = format!("{name} {} {:?}", String::from_utf8_lossy(&entry.value), entry.metadata);
        assert!(!text.contains(secret) && !text.contains(operators), "{name}");
    }
    assert_eq!(world.files_with(&[secret, operators]), Vec::<std::path::PathBuf>::new());
    world.system.stop().await;
}
