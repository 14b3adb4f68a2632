//! The directory in the real runtime: many owners at once, and what goes on in the background after a deletion.

use std::{fs, time::Duration};

use keyward_e2e::{World, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn owners_are_replaced_together_and_a_deleted_owners_keys_are_revoked_for_good() {
    let world = World::with(|options| options.settings = vec![("LOG_COST".into(), "on".into())]).await;
    world.company("acme").await;
    let people = |permission: &str| {
        let one = |n: usize| json!({"owner": format!("person-{n}"), "name": format!("Person {n}"), "permissions": [permission]});
        json!({"owners": (0..300).map(one).collect::<Vec<_>>(), "deactivate_missing": true})
    };
    let made = world.operator("PUT", "/v1/owners?company=acme", people("orders.read")).await.json();
    assert_eq!((&made["created"], &made["deactivated"]), (&json!(300), &json!(0)));
    let keys = [world.key("acme", "person-1", json!({})).await, world.key("acme", "person-1", json!({})).await];
    world.call(&keys[0].key, "/").await.expect(200);

    let changed = world.operator("PUT", "/v1/owners?company=acme", people("orders.*")).await.json();
    assert_eq!((&changed["updated"], &changed["unchanged"]), (&json!(300), &json!(0)));
    let wrong = world.control(&world.operator, "PUT", "/v1/owners?company=acme", json!({"owners": [{"owner": "a b"}]})).await.expect(422);
    let fields: Vec<_> = wrong.json()["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(fields, [json!("owners[0].owner"), json!("owners[0].name")]);

    world.operator("DELETE", "/v1/owners/person-1?company=acme", Value::Null).await;
    let path = format!("/v1/keys/{}?company=acme", keys[1].id);
    let revoked = world.operator("GET", &path, Value::Null).await.json();
    assert_eq!((&revoked["status"], &revoked["revoke_reason"]), (&json!("revoked"), &json!("the owner was deleted")));
    world.operator("PUT", "/v1/owners/person-1?company=acme", json!({"name": "again", "permissions": ["orders.*"]})).await;
    for key in &keys {
        eventually(Duration::from_secs(10), async || {
            let answer = world.call(&key.key, "/").await;
            if answer.verdict() == (401, "key_revoked".into()) { Ok(()) } else { Err(answer) }
        })
        .await;
    }
    let log = fs::read_to_string(world.system.folder().log("control")).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|line| line["log"] == "cost");
    let puts: Vec<_> = lines.filter(|line| line["endpoint"] == "PUT /v1/owners").collect();
    assert_eq!(puts.len(), 3, "{log}");
    assert!(puts[0]["rows_written"].as_u64().unwrap() > 300 && puts[2]["rows_written"].as_u64().unwrap() < 20, "{puts:?}");
    world.system.stop().await;
}

#[tokio::test]
async fn a_deleted_company_is_gone_at_once_and_can_be_made_again_when_it_is_erased() {
    let world = World::start().await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.*"], true).await;
    let key = world.key("acme", "jane", json!({})).await;
    for n in 0..40 {
        world.key("acme", "jane", json!({"name": format!("key {n}")})).await;
    }
    world.call(&key.key, "/").await.expect(200);
    world.operator("DELETE", "/v1/companies/acme", Value::Null).await;
    for path in ["/v1/companies/acme", "/v1/owners?company=acme", &format!("/v1/keys/{}?company=acme", key.id)] {
        world.control(&world.operator, "GET", path, Value::Null).await.expect(404);
    }
    // As soon as nothing is left; a digest that was used is refused before and after.
    eventually(Duration::from_secs(20), async || {
        let answer = world.control(&world.operator, "PUT", "/v1/companies/acme", json!({"name": "again", "active": true})).await;
        if answer.status == 201 { Ok(()) } else { Err(answer) }
    })
    .await;
    let owners = world.operator("GET", "/v1/owners?company=acme", Value::Null).await.json();
    assert_eq!(owners["owners"], json!([]));
    world.owner("acme", "jane", &["orders.*"], true).await;
    eventually(Duration::from_secs(10), async || {
        let answer = world.call(&key.key, "/").await;
        if answer.verdict() == (401, "unknown_key".into()) { Ok(()) } else { Err(answer) }
    })
    .await;
    world.system.stop().await;
}
