//! An object is put back as it was: after the operator says so, the edges follow what is true there now.

use std::{fs, path::Path};

use keyward_e2e::{World, eventually, world::BOUND};
use serde_json::{Value, json};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The edge answers so, after a while.
async fn becomes(world: &World, key: &str, path: &str, status: u16, code: &str) {
    eventually(BOUND, async || {
        let answer = world.call(key, path).await;
        if answer.verdict() == (status, code.to_owned()) { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn after_a_restored_backup_the_edges_follow_it() {
    let mut world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let kept = world.key("demo", "jane", json!({"name": "Revoked after the backup"})).await;
    let rules = json!({"rules": [{"path": "/admin/**", "permission": "admin.read"}]});
    world.operator("PUT", "/v1/policy", rules).await;
    world.owner("demo", "john", &["orders.read"], true).await;
    let john = world.key("demo", "john", json!({})).await;
    becomes(&world, &john.key, "/admin/x", 403, "permission_denied").await;
    world.call(&kept.key, "/").await.expect(200);

    let objects = world.system.folder().objects();
    let backup = world.system.folder().path().join("backup");
    world.system.stop_control().await;
    copy(&objects, &backup);
    world.system.start_control().await.unwrap();

    world.revoke("demo", &kept.id).await;
    becomes(&world, &kept.key, "/", 401, "key_revoked").await;
    let lost = world.key("demo", "jane", json!({"name": "Created after the backup"})).await;
    world.call(&lost.key, "/").await.expect(200);
    world.operator("PUT", "/v1/policy", json!({"rules": []})).await;
    becomes(&world, &john.key, "/admin/x", 200, "").await;

    world.system.stop_control().await;
    fs::remove_dir_all(&objects).unwrap();
    copy(&backup, &objects);
    world.system.start_control().await.unwrap();
    let begun = world.operator("POST", "/v1/maintenance/republish", Value::Null).await.expect(202).json();
    assert!(begun["rev"].is_u64() && begun["propagation"]["announced_at"].is_string(), "{begun}");

    becomes(&world, &kept.key, "/", 200, "").await;
    becomes(&world, &lost.key, "/", 401, "unknown_key").await;
    becomes(&world, &john.key, "/admin/x", 403, "permission_denied").await;
    // Also at an edge that remembers nothing, and in the store.
    world.system.kill_edge(0).await;
    world.system.start_edge(0).await.unwrap();
    becomes(&world, &kept.key, "/", 200, "").await;
    becomes(&world, &lost.key, "/", 401, "unknown_key").await;
    becomes(&world, &john.key, "/admin/x", 403, "permission_denied").await;
    let rev = begun["rev"].as_u64().unwrap();
    eventually(BOUND, async || {
        let names = world.system.kv().names("k:").unwrap();
        let texts = names.iter().map(|name| String::from_utf8(world.system.kv().get(name).unwrap().unwrap().value).unwrap());
        let again = texts.filter(|text| text.contains(&kept.id) && text.contains("\"state\":\"active\"")).any(|text| {
            let rest = text.split("\"rev\":").nth(1).unwrap();
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap() >= rev
        });
        if again { Ok(()) } else { Err(names) }
    })
    .await;
    eventually(BOUND, async || {
        let left = world.system.kv().names("k:").unwrap().into_iter().filter(|name| {
            world.system.kv().get(name).unwrap().is_some_and(|entry| String::from_utf8_lossy(&entry.value).contains(&lost.id))
        });
        let left: Vec<_> = left.collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;

    let trail = world.operator("GET", "/v1/audit", Value::Null).await.json();
    let actions: Vec<_> = trail["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions.first(), Some(&"maintenance.republish"), "{trail}");
    assert!(!actions.contains(&"key.revoke"), "that is as it was restored: {trail}");
    assert_eq!(world.operator("GET", "/v1/audit/verify", Value::Null).await.json()["valid"], true);
    world.control(&kept.key, "POST", "/v1/maintenance/republish", Value::Null).await.refused(403, "forbidden");
    world.system.stop().await;
}
