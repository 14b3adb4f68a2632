//! Keys that were found where they do not belong: whoever reports one has it refused everywhere within the bound.

use std::time::Duration;

use keyward_e2e::{Answer, World, eventually, holds_until, http, scanner::Scanner, world::BOUND};
use keyward_shared::digest::Digest;
use serde_json::{Value, json};

async fn report(world: &World, credentials: &[&str]) -> Answer {
    let request = world.http.post(format!("{}/v1/credentials/revoke", world.system.control_url()));
    http::send(request.json(&json!({"credentials": credentials}))).await
}

async fn refused_within_the_bound(world: &World, key: &str) {
    let refused = async || {
        let answer = world.call(key, "/").await;
        if answer.verdict() == (401, "key_revoked".to_owned()) { Ok(()) } else { Err(answer) }
    };
    eventually(BOUND, refused).await;
    holds_until(std::time::Instant::now() + Duration::from_secs(1), refused).await;
}

async fn leak_entries(world: &World, company: &str) -> Vec<Value> {
    let trail = world.operator("GET", &format!("/v1/audit?company={company}&action=key.leak"), Value::Null).await.json();
    trail["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn whoever_holds_a_key_can_kill_it_and_learns_nothing_about_any() {
    let world = World::start().await;
    for company in ["acme", "other"] {
        world.company(company).await;
        world.owner(company, "jane", &["orders.read"], true).await;
    }
    let (leaked, kept, far) = (
        world.key("acme", "jane", json!({})).await,
        world.key("acme", "jane", json!({})).await,
        world.key("other", "jane", json!({})).await,
    );
    for key in [&leaked, &kept, &far] {
        world.call(&key.key, "/").await.expect(200);
    }
    let accepted = report(&world, &[&leaked.key, &far.key, "x"]).await.expect(202);
    let status = async |company: &str, id: &str| {
        world.operator("GET", &format!("/v1/keys/{id}?company={company}"), Value::Null).await.json()["status"].clone()
    };
    assert_eq!(status("acme", &leaked.id).await, "revoked", "it is committed when it is answered");
    assert_eq!(status("other", &far.id).await, "revoked");
    for key in [&leaked, &far] {
        refused_within_the_bound(&world, &key.key).await;
    }
    world.call(&kept.key, "/").await.expect(200);

    let made_up = [world.made_up_key("acme", true), world.made_up_key("acme", false)];
    for credentials in [[leaked.key.as_str()], [&made_up[0]], [&made_up[1]], ["x"]] {
        let again = report(&world, &credentials).await.expect(202);
        assert_eq!(again.text, accepted.text);
        let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&again), names(&accepted));
    }
    let entries = leak_entries(&world, "acme").await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!((&entries[0]["actor"], &entries[0]["address"]), (&json!("leak report"), &json!("127.0.0.1")));
    assert_eq!(world.files_with(&[&leaked.key, &far.key, &made_up[0], &made_up[1]]), Vec::<std::path::PathBuf>::new());

    let mut answers = Vec::new();
    for _ in 0..40 {
        answers.push(report(&world, &["x"]).await);
    }
    let limited = answers.iter().find(|answer| answer.status == 429).unwrap_or_else(|| panic!("{answers:?}"));
    limited.refused(429, "rate_limited");
    assert!(limited.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=2).contains(&seconds)), "{limited:?}");
    assert_eq!(limited.header("ratelimit-policy"), "\"leak-reports\";q=60;w=60");
    world.system.stop().await;
}

#[tokio::test]
async fn an_alert_that_github_signed_kills_the_key_and_one_that_it_did_not_does_nothing() {
    let scanner = Scanner::start().await;
    let world = World::with(|options| options.settings.push(("GITHUB_KEYS_URL".into(), scanner.keys_url().to_owned()))).await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.read"], true).await;
    let leaked = world.key("acme", "jane", json!({})).await;
    let made_up = world.made_up_key("acme", true);
    world.call(&leaked.key, "/").await.expect(200);
    let url = format!("https://github.com/o/r/blob/main/{}", leaked.key);
    let alerts = json!([
        {"token": leaked.key, "type": "keyward_api_key", "url": url, "source": "content"},
        {"token": made_up, "type": "keyward_api_key", "url": "", "source": "commit"},
    ]);
    let forged = scanner.alert(&world, &alerts, "[]").await;
    forged.refused(401, "unauthenticated");
    world.call(&leaked.key, "/").await.expect(200);

    let labels = scanner.alert(&world, &alerts, &alerts.to_string()).await.expect(200);
    let label =
        |token: &str, label: &str| json!({"token_hash": Digest::of(token.as_bytes()), "token_type": "keyward_api_key", "label": label});
    assert_eq!(labels.json(), json!([label(&leaked.key, "true_positive"), label(&made_up, "false_positive")]));
    refused_within_the_bound(&world, &leaked.key).await;
    assert_eq!(scanner.alert(&world, &alerts, &alerts.to_string()).await.expect(200).text, labels.text, "a replay does no harm");
    let entries = leak_entries(&world, "acme").await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!((&entries[0]["after"]["source"], &entries[0]["after"]["url"]), (&json!("github:content"), &Value::Null));
    assert_eq!(world.files_with(&[&leaked.key, &made_up]), Vec::<std::path::PathBuf>::new());
    world.system.stop().await;
}

#[tokio::test]
async fn without_githubs_keys_its_alerts_are_not_taken() {
    let world = World::with(|options| options.settings.push(("GITHUB_KEYS_URL".into(), String::new()))).await;
    let scanner = Scanner::start().await;
    scanner.alert(&world, &json!([]), "[]").await.refused(404, "not_found");
    world.system.stop().await;
}
