//! What is asked for at the same time: one order or the other, never a mixture, and never more than one effect.

use keyward_e2e::{Answer, World, eventually, http, world::BOUND};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// How often each race is run.
const ROUNDS: usize = 12;

/// Sends calls of the operator at the same time; the answers in the order of the calls.
async fn at_once(world: &World, calls: &[(&str, String, Value)]) -> Vec<Answer> {
    let mut sent = JoinSet::new();
    for (place, (method, path, body)) in calls.iter().enumerate() {
        let request = world.http.request(method.parse().unwrap(), format!("{}{path}", world.system.control_url()));
        let request = request.header("x-api-key", &world.operator);
        let request = if body.is_null() { request } else { request.json(body) };
        sent.spawn(async move { (place, http::send(request).await) });
    }
    let mut answers = sent.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[tokio::test]
async fn a_key_that_is_rotated_revoked_and_deleted_at_once_has_one_fate() {
    let world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    for _ in 0..ROUNDS {
        let key = world.key("demo", "jane", json!({"name": "Contested"})).await;
        world.call(&key.key, "/").await.expect(200);
        let at = format!("/v1/keys/{}", key.id);
        let answers = at_once(
            &world,
            &[
                ("POST", format!("{at}/rotate"), json!({})),
                ("POST", format!("{at}/revoke"), json!({"reason": "race"})),
                ("POST", format!("{at}/rotate"), json!({"overlap_s": 60})),
            ],
        )
        .await;
        let made: Vec<&Answer> = [&answers[0], &answers[2]].into_iter().filter(|answer| answer.status == 201).collect();
        assert!(made.len() <= 1, "two successors: {answers:?}");
        assert!([&answers[0], &answers[2]].iter().all(|answer| [201, 409].contains(&answer.status)), "{answers:?}");
        answers[1].clone().expect(200);
        let old = world.operator("GET", &at, Value::Null).await.json();
        assert_eq!(old["status"], "revoked", "{old}");
        match made.first() {
            None => assert_eq!(old["superseded_by"], Value::Null, "{old}"),
            Some(made) => {
                let successor = made.json();
                assert_eq!((&old["superseded_by"], &successor["supersedes"]), (&successor["id"], &old["id"]));
                world.call(successor["key"].as_str().unwrap(), "/").await.expect(200);
            }
        }

        let answers = at_once(
            &world,
            &[("DELETE", at.clone(), Value::Null), ("POST", format!("{at}/revoke"), json!({})), ("DELETE", at.clone(), Value::Null)],
        )
        .await;
        let mut deleted = [answers[0].status, answers[2].status];
        deleted.sort_unstable();
        assert_eq!(deleted, [204, 404], "{answers:?}");
        assert!([200, 404].contains(&answers[1].status), "{answers:?}");
        world.control(&world.operator, "GET", &at, Value::Null).await.expect(404);
        eventually(BOUND, async || {
            let answer = world.call(&key.key, "/").await;
            if answer.verdict() == (401, "unknown_key".into()) { Ok(()) } else { Err(answer) }
        })
        .await;
    }
    assert_eq!(world.operator("GET", "/v1/audit/verify", Value::Null).await.json()["valid"], true);
    world.system.stop().await;
}

#[tokio::test]
async fn a_key_that_is_made_while_its_owner_is_deactivated_lets_nobody_in() {
    let world = World::start().await;
    for round in 0..ROUNDS {
        let owner = format!("jane{round}");
        world.owner("demo", &owner, &["*"], true).await;
        let answers = at_once(
            &world,
            &[
                ("POST", "/v1/keys".into(), json!({"name": "Late", "owner": owner})),
                ("PUT", format!("/v1/owners/{owner}"), json!({"name": owner, "permissions": ["*"], "active": false})),
            ],
        )
        .await;
        answers[1].clone().expect(200);
        match answers[0].status {
            409 => {}
            201 => {
                let made = answers[0].json();
                eventually(BOUND, async || {
                    let answer = world.call(made["key"].as_str().unwrap(), "/").await;
                    if answer.verdict() == (401, "owner_inactive".into()) { Ok(()) } else { Err(answer) }
                })
                .await;
            }
            _ => panic!("{answers:?}"),
        }
    }
    world.system.stop().await;
}

#[tokio::test]
async fn of_two_changes_on_top_of_the_same_version_of_the_policy_one_is_made() {
    let world = World::start().await;
    for round in 0..ROUNDS {
        let known = world.operator("GET", "/v1/policy", Value::Null).await.header("etag").to_owned();
        let mut sent = JoinSet::new();
        for side in ["a", "b"] {
            let request = world.http.put(format!("{}/v1/policy", world.system.control_url()));
            let request = request.header("x-api-key", &world.operator).header("if-match", &known);
            let request = request.json(&json!({"rules": [{"path": format!("/{side}{round}"), "permission": "orders.read"}]}));
            sent.spawn(async move { (side, http::send(request).await) });
        }
        let answers = sent.join_all().await;
        let made: Vec<_> = answers.iter().filter(|(_, answer)| answer.status == 200).collect();
        assert_eq!(made.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|(_, answer)| [200, 409].contains(&answer.status)), "{answers:?}");
        let now = world.operator("GET", "/v1/policy", Value::Null).await.json();
        assert_eq!(now["rules"][0]["path"], format!("/{}{round}", made[0].0), "{now}");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn a_company_that_is_made_and_deleted_at_once_is_there_or_not() {
    let world = World::start().await;
    for round in 0..ROUNDS {
        let (at, owner) = (format!("/v1/companies/acme-{round}"), format!("/v1/owners/jane?company=acme-{round}"));
        world.operator("PUT", &at, json!({"name": "Acme"})).await.expect(201);
        world.operator("PUT", &owner, json!({"name": "Jane", "permissions": ["*"]})).await.expect(201);
        let answers = at_once(
            &world,
            &[
                ("POST", format!("/v1/keys?company=acme-{round}"), json!({"name": "Late", "owner": "jane"})),
                ("DELETE", at.clone(), Value::Null),
                ("PUT", owner.clone(), json!({"name": "Jane", "permissions": []})),
            ],
        )
        .await;
        answers[1].clone().expect(204);
        assert!([201, 404].contains(&answers[0].status) && [200, 404].contains(&answers[2].status), "{answers:?}");
        world.control(&world.operator, "GET", &at, Value::Null).await.expect(404);
        world.control(&world.operator, "GET", &owner, Value::Null).await.expect(404);
        if answers[0].status == 201 {
            let made = answers[0].json();
            eventually(BOUND, async || {
                let answer = world.call(made["key"].as_str().unwrap(), "/").await;
                if answer.verdict() == (401, "unknown_key".into()) { Ok(()) } else { Err(answer) }
            })
            .await;
        }
    }
    world.system.stop().await;
}
