//! The control plane's answers to repeated and far-reaching requests.

use std::time::Duration;

use keyward_e2e::{World, eventually, http, world::BOUND};
use serde_json::{Value, json};
use tokio::task::JoinSet;

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
