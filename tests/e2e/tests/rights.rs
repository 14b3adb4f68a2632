//! Who may do what: permissions, owners, expiry and the walls between companies.

use std::time::{Duration, Instant};

use keyward_e2e::{Answer, World, eventually, http, world::BOUND};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

async fn becomes(world: &World, key: &str, path: &str, status: u16, code: &str) -> Answer {
    eventually(BOUND, async || {
        let answer = world.call(key, path).await;
        if answer.verdict() == (status, code.to_owned()) { Ok(answer) } else { Err(answer) }
    })
    .await
}

#[tokio::test]
async fn a_route_asks_for_a_permission_and_a_withdrawn_one_is_missed_within_the_bound() {
    let world = World::start().await;
    let policy = json!({"default": "forward", "rules": [
        {"methods": ["GET"], "path": "/api/orders/**", "permission": "orders.read"},
        {"path": "/public/**", "anonymous": true},
    ]});
    world.operator("PUT", "/v1/policy", policy).await;
    world.owner("demo", "jane", &["orders.read", "stock.read"], true).await;
    world.owner("demo", "john", &["stock.read"], true).await;
    let (jane, john) = (world.key("demo", "jane", json!({})).await, world.key("demo", "john", json!({})).await);
    let refused = becomes(&world, &john.key, "/api/orders/7", 403, "permission_denied").await;
    assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"keyward\", error=\"insufficient_scope\", scope=\"orders.read\"");
    assert!(refused.json()["detail"].as_str().unwrap().contains("orders.read"), "{refused:?}");
    world.call(&john.key, "/api/stock").await.expect(200);
    world.get("/public/page").await.expect(200);
    assert!(world.system.origin().unwrap().last().unwrap().header("x-keyward-owner").is_empty(), "an anonymous route has no identity");
    world.get("/api/stock").await.refused(401, "missing_credentials");

    world.call(&jane.key, "/api/orders/7").await.expect(200);
    let head = world.http.request(Method::HEAD, format!("{}/api/orders/7", world.system.edge_url())).header("x-api-key", &john.key);
    assert_eq!(http::send(head).await.status, 403, "HEAD follows GET");
    world.owner("demo", "jane", &["stock.read"], true).await;
    becomes(&world, &jane.key, "/api/orders/7", 403, "permission_denied").await;
    world.call(&jane.key, "/api/stock").await.expect(200);
    world.system.stop().await;
}

#[tokio::test]
async fn a_key_narrowed_at_its_creation_carries_less_than_its_owner() {
    let world = World::start().await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/write/**", "permission": "orders.write"}]})).await;
    world.owner("demo", "jane", &["orders.*"], true).await;
    let narrow = world.key("demo", "jane", json!({"permissions": ["orders.read"]})).await;
    let wide = world.key("demo", "jane", json!({})).await;
    becomes(&world, &narrow.key, "/write/x", 403, "permission_denied").await;
    world.call(&wide.key, "/write/x").await.expect(200);
    let body = json!({"name": "Too much", "owner": "jane", "permissions": ["stock.read"]});
    world.control(&world.operator, "POST", "/v1/keys", body).await.refused(422, "unprocessable");
    world.system.stop().await;
}

#[tokio::test]
async fn the_keys_of_an_inactive_owner_rest_until_the_owner_is_active_again() {
    let world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    world.call(&key.key, "/").await.expect(200);
    world.owner("demo", "jane", &["*"], false).await;
    becomes(&world, &key.key, "/", 401, "owner_inactive").await.refused(401, "owner_inactive");
    world.owner("demo", "jane", &["*"], true).await;
    becomes(&world, &key.key, "/", 200, "").await;

    world.company("acme").await;
    world.owner("acme", "jane", &["*"], true).await;
    let key = world.key("acme", "jane", json!({})).await;
    world.call(&key.key, "/").await.expect(200);
    world.operator("PUT", "/v1/companies/acme", json!({"name": "acme", "active": false})).await;
    becomes(&world, &key.key, "/", 401, "owner_inactive").await;
    world.system.stop().await;
}

#[tokio::test]
async fn a_key_is_refused_from_the_second_of_its_expiry() {
    let world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let now = jiff::Timestamp::now();
    let expiry = jiff::Timestamp::from_second(now.as_second() + 6).unwrap();
    let until = Instant::now() + Duration::try_from(expiry.duration_since(now)).unwrap();
    let key = world.key("demo", "jane", json!({"expires_at": expiry.to_string()})).await;
    assert_eq!(key.object["expires_at"], expiry.to_string());
    world.call(&key.key, "/").await.expect(200);
    sleep(until.saturating_duration_since(Instant::now() + Duration::from_millis(1_500))).await;
    world.call(&key.key, "/").await.expect(200);
    sleep((until + Duration::from_millis(20)).saturating_duration_since(Instant::now())).await;
    world.call(&key.key, "/").await.refused(401, "key_expired");
    let read = world.operator("GET", &format!("/v1/keys/{}", key.id), Value::Null).await.json();
    assert_eq!(read["status"], "expired");
    world.system.stop().await;
}

#[tokio::test]
async fn a_key_of_one_company_sees_nothing_of_another() {
    let world = World::start().await;
    let all = ["*", "keyward.*"];
    for company in ["acme", "globex"] {
        world.company(company).await;
        world.owner(company, "boss", &all, true).await;
    }
    let manager = world.key("acme", "boss", json!({"manages_keys": true})).await;
    let theirs = world.key("globex", "boss", json!({"name": "Globex secret"})).await;
    world.control(&manager.key, "GET", "/v1/keys", Value::Null).await.expect(200);
    let one = format!("/v1/keys/{}", theirs.id);
    for (method, path, body) in [
        ("GET", one.clone(), Value::Null),
        ("PATCH", one.clone(), json!({"name": "Mine"})),
        ("POST", format!("{one}/revoke"), json!({})),
        ("DELETE", one.clone(), Value::Null),
    ] {
        let answer = world.control(&manager.key, method, &path, body).await;
        assert_eq!(answer.verdict(), (404, "not_found".into()), "{method} {path}: {answer:?}");
    }
    let own = world.control(&manager.key, "GET", "/v1/keys?limit=200", Value::Null).await;
    assert!(!own.text.contains("Globex secret") && !own.text.contains(&theirs.id), "{own:?}");
    let trail = world.control(&manager.key, "GET", "/v1/audit", Value::Null).await.expect(200);
    assert!(!trail.text.to_lowercase().contains("globex"), "{trail:?}");
    world.call(&theirs.key, "/").await.expect(200);
    world.system.stop().await;
}

#[tokio::test]
async fn only_the_operator_calls_the_operators_endpoints() {
    let world = World::start().await;
    world.company("acme").await;
    let body = json!({"name": "Boss", "permissions": ["*", "keyward.*", "keyward.operator"], "active": true});
    world.control(&world.operator, "PUT", "/v1/owners/boss?company=acme", body).await.refused(422, "unprocessable");
    world.owner("acme", "boss", &["*", "keyward.*"], true).await;
    let manager = world.key("acme", "boss", json!({"manages_keys": true})).await;
    for (method, path, body) in [
        ("GET", "/v1/companies", Value::Null),
        ("PUT", "/v1/companies/evil", json!({"name": "Evil", "active": true})),
        ("PUT", "/v1/companies/acme", json!({"name": "Acme", "active": true})),
        ("GET", "/v1/policy", Value::Null),
        ("PUT", "/v1/policy", json!({"default": "forward", "rules": []})),
        ("POST", "/v1/keys", json!({"name": "For another", "owner": "jane"})),
        ("POST", "/v1/sign-in-links", json!({"owner": "boss"})),
        ("POST", "/v1/maintenance/republish", Value::Null),
    ] {
        let answer = world.control(&manager.key, method, path, body).await;
        assert_eq!(answer.verdict(), (403, "forbidden".into()), "{method} {path}: {answer:?}");
    }
    world.control(&manager.key, "GET", "/v1/keys?company=demo", Value::Null).await.refused(404, "not_found");
    world.system.stop().await;
}

#[tokio::test]
async fn an_ordinary_key_may_only_name_read_and_revoke_itself() {
    let world = World::start().await;
    world.owner("demo", "jane", &["*", "keyward.*"], true).await;
    let (key, other) = (world.key("demo", "jane", json!({})).await, world.key("demo", "jane", json!({})).await);
    let whoami = world.control(&key.key, "GET", "/v1/whoami", Value::Null).await.expect(200).json();
    assert_eq!((&whoami["owner"], &whoami["company"]), (&json!("jane"), &json!("demo")));
    for (method, path, body) in [
        ("GET", "/v1/keys".to_owned(), Value::Null),
        ("POST", "/v1/keys".to_owned(), json!({"name": "Child"})),
        ("POST", format!("/v1/keys/{}/revoke", other.id), json!({})),
        ("POST", format!("/v1/keys/{}/rotate", key.id), json!({})),
        ("PATCH", format!("/v1/keys/{}", key.id), json!({"name": "Renamed"})),
        ("GET", "/v1/audit".to_owned(), Value::Null),
        ("GET", "/v1/owners".to_owned(), Value::Null),
    ] {
        let answer = world.control(&key.key, method, &path, body).await;
        assert_eq!(answer.verdict(), (403, "forbidden".into()), "{method} {path}: {answer:?}");
    }
    let own = format!("/v1/keys/{}", key.id);
    assert_eq!(world.control(&key.key, "GET", &own, Value::Null).await.expect(200).json()["id"], *key.id);
    world.control(&key.key, "POST", &format!("{own}/revoke"), json!({"reason": "leaked"})).await.expect(200);
    world.control(&key.key, "GET", "/v1/whoami", Value::Null).await.refused(401, "unauthenticated");
    becomes(&world, &key.key, "/", 401, "key_revoked").await;
    world.system.stop().await;
}

#[tokio::test]
async fn what_a_key_makes_is_no_manager_and_carries_no_more() {
    let world = World::start().await;
    world.owner("demo", "jane", &["orders.*", "keyward.keys.own"], true).await;
    let manager = world.key("demo", "jane", json!({"manages_keys": true, "permissions": ["orders.read", "keyward.keys.own"]})).await;
    let made = world.control(&manager.key, "POST", "/v1/keys", json!({"name": "Child"})).await.expect(201).json();
    assert_eq!((&made["manages_keys"], &made["parent"]), (&json!(false), &json!(manager.id)), "{made}");
    let effective = made["effective_permissions"].to_string();
    assert!(effective.contains("orders.read") && !effective.contains("orders.*"), "{made}");
    let wider = json!({"name": "Wider", "permissions": ["orders.write"]});
    assert!([403, 422].contains(&world.control(&manager.key, "POST", "/v1/keys", wider).await.status));
    let child = made["key"].as_str().unwrap();
    world.control(child, "POST", "/v1/keys", json!({"name": "Grandchild"})).await.refused(403, "forbidden");
    world.system.stop().await;
}
