//! A company is exported, lost with everything else, and comes back into a new deployment with the same secrets; and its
//! trail can be verified by somebody who has nothing but the documentation.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use keyward_e2e::{Answer, World, eventually, http, world::BOUND};
use keyward_shared::digest::Digest;
use serde_json::{Value, json};

const COMPANY: &str = "acme";
const DOCUMENTATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operators.md");

/// The edge answers so, after a while.
async fn becomes(world: &World, key: &str, status: u16, code: &str) {
    eventually(BOUND, async || {
        let answer = world.call(key, "/").await;
        if answer.verdict() == (status, code.to_owned()) { Ok(()) } else { Err(answer) }
    })
    .await;
}

/// Over a connection of its own: the runtime closes one on which an answer took longer than five seconds.
async fn import(world: &World, file: &str) -> Answer {
    let url = format!("{}/v1/companies/{COMPANY}/import", world.system.control_url());
    let request = http::client().post(url).header("x-api-key", &world.operator).header("content-type", "application/x-ndjson");
    http::send(request.body(file.to_owned())).await
}

/// The file with more keys in it, counted and sealed anew.
fn with_many_keys(file: &str, more: u64) -> String {
    let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
    let mut last: Value = serde_json::from_str(&lines.pop().unwrap()).unwrap();
    let at = lines.iter().rposition(|line| line.contains("\"kind\":\"key\"")).unwrap();
    let sample: Value = serde_json::from_str(&lines[at]).unwrap();
    for number in 0..more {
        let mut line = sample.clone();
        line["key_id"] = json!(format!("key_{number:020}"));
        line["digest"] = json!(Digest::of(&number.to_be_bytes()).to_hex());
        lines.insert(at + 1, line.to_string());
    }
    let text = lines.join("\n") + "\n";
    last["key"] = json!(last["key"].as_u64().unwrap() + more);
    last["sha256"] = json!(Digest::of(text.as_bytes()).to_hex());
    format!("{text}{last}\n")
}

/// What the script in the documentation says of an export.
fn verified_as_documented(export: &str) -> Result<String, String> {
    let documentation = fs::read_to_string(DOCUMENTATION).unwrap();
    let script = documentation.split("```js\n").nth(1).unwrap().split("```").next().unwrap();
    let mut node = Command::new("node")
        .args(["--input-type=module", "--eval", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(export.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn a_company_comes_back_into_a_new_deployment_with_the_same_secrets() {
    let mut world = World::start().await;
    world.company(COMPANY).await;
    world.owner(COMPANY, "jane", &["*"], true).await;
    let kept = world.key(COMPANY, "jane", json!({"name": "Kept"})).await;
    let revoked = world.key(COMPANY, "jane", json!({"name": "Revoked"})).await;
    world.revoke(COMPANY, &revoked.id).await;
    world.call(&kept.key, "/").await.expect(200);
    becomes(&world, &revoked.key, 401, "key_revoked").await;

    let export = world.operator("GET", &format!("/v1/companies/{COMPANY}/export"), Value::Null).await.expect(200);
    assert_eq!((export.header("content-type"), export.header("cache-control")), ("application/x-ndjson", "no-store"));
    assert!(!export.text.contains(&kept.key) && export.text.contains(&kept.id));
    let (before, last) = export.text.trim_end().rsplit_once('\n').unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!((&last["key"], &last["sha256"]), (&json!(2), &json!(Digest::of(format!("{before}\n").as_bytes()).to_hex())));
    world.control(&kept.key, "GET", &format!("/v1/companies/{COMPANY}/export"), Value::Null).await.refused(403, "forbidden");

    // The company is deleted, and then everything is lost but the secrets and what the store still says.
    world.operator("DELETE", &format!("/v1/companies/{COMPANY}"), Value::Null).await.expect(204);
    becomes(&world, &kept.key, 401, "unknown_key").await;
    import(&world, &export.text).await.refused(409, "conflict");
    world.system.stop_control().await;
    fs::remove_dir_all(world.system.folder().objects()).unwrap();
    fs::create_dir(world.system.folder().objects()).unwrap();
    world.system.start_control().await.unwrap();

    // More than one message holds, and broken at its end: nothing is there.
    let large = with_many_keys(&export.text, 3_000);
    assert!(large.len() > 1 << 20);
    let broken = large.replacen("\"name\":\"Kept\"", "\"name\":\"Kelt\"", 1);
    let refused = import(&world, &broken).await;
    refused.refused(422, "unprocessable");
    assert!(refused.json()["detail"].as_str().unwrap().starts_with(&format!("line {}:", large.lines().count())), "{refused:?}");
    let cut: String = large.split_inclusive('\n').take(2_000).collect();
    import(&world, &cut).await.refused(422, "unprocessable");
    world.control(&world.operator, "GET", &format!("/v1/companies/{COMPANY}"), Value::Null).await.refused(404, "not_found");
    becomes(&world, &kept.key, 401, "unknown_key").await;
    let trail = world.operator("GET", "/v1/audit?action=company.import", Value::Null).await.json();
    assert_eq!(trail["entries"][0]["outcome"], format!("unprocessable in {COMPANY}"), "{trail}");

    let restored = import(&world, &large).await.expect(201);
    assert_eq!(restored.header("location"), format!("/v1/companies/{COMPANY}"));
    let body = restored.json();
    assert_eq!(body["restored"]["key"], 3_002, "{body}");
    assert!(body["propagation"]["effective_by"].is_string(), "{body}");
    becomes(&world, &kept.key, 200, "").await;
    becomes(&world, &revoked.key, 401, "key_revoked").await;
    // Also at an edge that remembers nothing, and by what is in the store.
    world.system.kill_edge(0).await;
    world.system.start_edge(0).await.unwrap();
    becomes(&world, &kept.key, 200, "").await;
    becomes(&world, &revoked.key, 401, "key_revoked").await;
    assert_eq!(import(&world, &large).await.expect(201).json()["restored"], body["restored"], "once more is nothing more");
    let listed = world.operator("GET", "/v1/companies", Value::Null).await.json();
    assert!(listed["companies"].as_array().unwrap().iter().any(|known| known["company"] == COMPANY), "{listed}");
    let verified = world.operator("GET", &format!("/v1/audit/verify?company={COMPANY}"), Value::Null).await.json();
    assert_eq!((&verified["valid"], &verified["entries"]), (&json!(true), &json!(body["restored"]["audit"].as_u64().unwrap() + 1)));
    world.revoke(COMPANY, &kept.id).await;
    becomes(&world, &kept.key, 401, "key_revoked").await;
    world.system.stop().await;
}

#[tokio::test]
async fn an_exported_trail_is_verified_by_whoever_has_the_documentation() {
    let world = World::start().await;
    for number in 0..1_100 {
        world.owner("demo", &format!("owner{number}"), &["orders.read"], true).await;
    }
    let rules = json!({"rules": [{"path": "/a/**", "permission": "a.read"}]});
    let first = world.operator("PUT", "/v1/policy", rules).await.header("etag").trim_matches('"').parse::<u64>().unwrap();
    world.operator("PUT", "/v1/policy", json!({"rules": []})).await;
    world.operator("POST", "/v1/policy/rollback", json!({"version": first})).await;
    world.control(&world.operator, "POST", "/v1/policy/rollback", json!({"version": 7})).await.refused(404, "not_found");
    let plain = world.key("demo", "owner1", json!({"manages_keys": true})).await;
    world.control(&plain.key, "PUT", "/v1/policy", json!({"rules": []})).await.refused(403, "forbidden");
    eventually(BOUND, async || {
        let trail = world.operator("GET", "/v1/audit?target=policy&limit=10", Value::Null).await.json();
        let said: Vec<_> = trail["entries"].as_array().unwrap().iter().map(|e| format!("{} {}", e["action"], e["outcome"])).collect();
        let all = [
            "\"policy.put\" \"forbidden\"",
            "\"policy.rollback\" \"not_found\"",
            "\"policy.rollback\" \"done\"",
            "\"policy.put\" \"done\"",
        ];
        if all.iter().all(|one| said.iter().any(|known| known == one)) { Ok(()) } else { Err(said) }
    })
    .await;

    let export = world.operator("GET", "/v1/audit/export", Value::Null).await.expect(200);
    assert_eq!((export.header("content-type"), export.header("cache-control")), ("application/x-ndjson", "no-store"));
    let lines: Vec<&str> = export.text.lines().collect();
    assert!(lines.len() > 1_100, "{}", lines.len());
    let said = verified_as_documented(&export.text).unwrap();
    assert!(said.starts_with(&format!("{} entries", lines.len() - 1)), "{said}");
    let changed = export.text.replacen("owner7", "owner8", 1);
    assert!(verified_as_documented(&changed).unwrap_err().contains("was changed"));
    let missing = lines.iter().enumerate().filter(|(at, _)| *at != 5).map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
    verified_as_documented(&missing).unwrap_err();
    verified_as_documented(&lines[..lines.len() - 1].join("\n")).unwrap_err();
    world.control(&plain.key, "GET", "/v1/audit/export", Value::Null).await.refused(403, "forbidden");
    world.system.stop().await;
}
