//! The control plane's answers to bad, repeated and far-reaching requests.

use std::time::Duration;

use keyward_e2e::{World, eventually, http, world::BOUND};
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[tokio::test]
async fn bad_requests_are_refused_and_change_nothing() {
    let world = World::start().await;
    let long = "x".repeat(101);
    let mut wrong = Vec::new();
    for (body, status) in [
        (json!({}), 422),
        (json!({"name": "A", "unknown": 1}), 400),
        (json!({"name": 7}), 422),
        (json!([]), 400),
        (json!({"name": ""}), 422),
        (json!({"name": "   "}), 422),
        (json!({"name": long}), 422),
        (json!({"name": "a\u{0}b"}), 422),
        (json!({"name": "A", "expires_at": "2001-01-01T00:00:00Z"}), 422),
        (json!({"name": "A", "expires_at": "tomorrow"}), 422),
        (json!({"name": "A", "expires_at": 7}), 422),
        (json!({"name": "A", "permissions": ["two words"]}), 422),
        (json!({"name": "A", "allowed_ips": ["10.0.0.1/33"]}), 422),
        (json!({"name": "A", "owner": "nobody"}), 422),
    ] {
        let answer = world.control(&world.operator, "POST", "/v1/keys", body.clone()).await;
        if answer.status != status || answer.code().is_empty() {
            wrong.push(format!("{body}: {status} expected, {} {}", answer.status, answer.text));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let url = format!("{}/v1/keys", world.system.control_url());
    let raw = |body: String, kind: &str| {
        http::send(world.http.post(&url).header("x-api-key", &world.operator).header("content-type", kind).body(body))
    };
    for body in [
        r#"{"name":"A","name":"B"}"#.to_owned(),
        "{".to_owned(),
        "[".repeat(10_000),
        r#"{"name":"\ud800"}"#.to_owned(),
        r#"{"name":NaN}"#.to_owned(),
    ] {
        let answer = raw(body.clone(), "application/json").await;
        assert_eq!(answer.status, 400, "{}: {answer:?}", &body[..body.len().min(40)]);
    }
    raw("x".repeat(2 << 20), "application/json").await.refused(413, "too_large");
    raw("name=A".into(), "application/x-www-form-urlencoded").await.refused(415, "unsupported_media_type");
    let not_allowed = world.control(&world.operator, "PUT", "/v1/keys", json!({})).await;
    assert_eq!((not_allowed.status, not_allowed.header("allow")), (405, "GET, HEAD, POST"));
    world.control(&world.operator, "GET", "/v1/nothing", Value::Null).await.refused(404, "not_found");
    for query in ["limit=0", "limit=-1", "limit=1000000000", "cursor=nonsense"] {
        assert_eq!(world.control(&world.operator, "GET", &format!("/v1/keys?{query}"), Value::Null).await.status, 400, "{query}");
    }
    http::send(world.http.get(&url)).await.refused(401, "unauthenticated");
    world.control(&world.made_up_key("demo", true), "GET", "/v1/whoami", Value::Null).await.refused(401, "unauthenticated");
    let listed = world.operator("GET", "/v1/keys", Value::Null).await.json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1, "only the bootstrap key: {listed}");
    world.system.stop().await;
}

#[tokio::test]
async fn the_same_creation_sent_fifty_times_at_once_makes_one_key() {
    let world = World::start().await;
    let request = |name: &str| {
        let url = format!("{}/v1/keys", world.system.control_url());
        let request = world.http.post(url).header("x-api-key", &world.operator).header("idempotency-key", "nightly-1");
        http::send(request.json(&json!({"name": name})))
    };
    let mut answers = JoinSet::new();
    for _ in 0..50 {
        answers.spawn(request("Nightly"));
    }
    let answers = answers.join_all().await;
    let shown = answers.iter().filter(|answer| answer.status == 201 && answer.json()["key"].is_string()).count();
    assert_eq!(shown, 1, "the key is shown once");
    assert!(answers.iter().all(|answer| [201, 409].contains(&answer.status)), "{answers:?}");
    let replayed = request("Nightly").await.expect(201).json();
    assert_eq!((&replayed["key"], &replayed["replayed"]), (&Value::Null, &json!(true)), "{replayed}");
    request("Another").await.refused(422, "idempotency_mismatch");
    let listed = world.operator("GET", "/v1/keys?q=Nightly", Value::Null).await.json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1, "{listed}");
    world.system.stop().await;
}

#[tokio::test]
async fn every_edge_learns_of_a_revocation_within_the_bound() {
    let world = World::with(|options| options.edges = 2).await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    let ask = async |edge: &str| http::send(world.http.get(edge).header("x-api-key", &key.key)).await;
    for edge in world.system.edge_urls() {
        ask(&edge).await.expect(200);
    }
    world.revoke("demo", &key.id).await;
    for edge in world.system.edge_urls() {
        eventually(BOUND, async || {
            let answer = ask(&edge).await;
            if answer.verdict() == (401, "key_revoked".into()) { Ok(()) } else { Err(answer) }
        })
        .await;
    }
    world.system.stop().await;
}

#[tokio::test]
async fn deleting_an_owner_or_a_company_ends_their_keys() {
    let world = World::start().await;
    world.company("acme").await;
    for owner in ["jane", "john"] {
        world.owner("acme", owner, &["*"], true).await;
    }
    let (jane, john) = (world.key("acme", "jane", json!({})).await, world.key("acme", "john", json!({})).await);
    world.call(&jane.key, "/").await.expect(200);
    world.call(&john.key, "/").await.expect(200);
    let ends = async |key: &str| {
        eventually(BOUND, async || {
            let answer = world.call(key, "/").await;
            if answer.status == 401 { Ok(()) } else { Err(answer) }
        })
        .await;
    };
    world.operator("DELETE", "/v1/owners/jane?company=acme", Value::Null).await;
    ends(&jane.key).await;
    world.call(&john.key, "/").await.expect(200);
    world.operator("DELETE", "/v1/companies/acme", Value::Null).await;
    ends(&john.key).await;
    world.call(&world.operator, "/").await.expect(200);
    eventually(Duration::from_secs(10), async || {
        let list = world.operator("GET", "/v1/companies", Value::Null).await;
        if list.text.contains("acme") { Err(list) } else { Ok(()) }
    })
    .await;
    world.system.stop().await;
}

#[tokio::test]
async fn the_application_signs_its_own_people_in_by_a_link() {
    let world = World::start().await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.read"], true).await;
    let link = world.operator("POST", "/v1/sign-in-links", json!({"owner": "jane", "company": "acme"})).await.expect(201).json();
    let url = link["url"].as_str().unwrap();
    assert!(url.starts_with(&world.system.control_url()), "{link}");
    let signed_in = http::send(world.http.get(url)).await.expect(303);
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    let whoami =
        http::send(world.http.get(format!("{}/v1/whoami", world.system.control_url())).header("cookie", cookie)).await.expect(200).json();
    assert_eq!((&whoami["owner"], &whoami["company"]), (&json!("jane"), &json!("acme")), "{whoami}");
    world.system.stop().await;
}
