//! Token introspection (RFC 7662): asked by a library that others wrote, and with what no library sends.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use keyward_e2e::{Answer, World, build, http, raw};
use keyward_selfhost::kv::{Effect, Fault};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, task::spawn_blocking, time::timeout};

const FORM: &str = "application/x-www-form-urlencoded";

/// A world with a key that may ask.
async fn world() -> (World, String) {
    let world = World::start().await;
    world.owner("demo", "jane", &["orders.read", "bills.*"], true).await;
    world.owner("demo", "verifier", &["keyward.introspect"], true).await;
    let verifier = world.key("demo", "verifier", json!({})).await.key;
    (world, verifier)
}

/// What the library makes of it.
async fn library(world: &World, caller: &str, token: &str, hint: Option<&str>) -> Value {
    let input = json!({"edge": world.system.edge_url(), "caller": caller, "token": token, "hint": hint}).to_string();
    let script = build::repository().join("tests/e2e/js/introspect.mjs");
    // The store is served by this very program: it must not wait.
    let ask = move || {
        let mut node = Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        node.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        node.wait_with_output().unwrap()
    };
    let output = spawn_blocking(ask).await.unwrap();
    assert!(output.status.success(), "the library refuses the answer, or cannot be used: run `npm ci --ignore-scripts`");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn send(world: &World, caller: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = world.http.post(format!("{}/.keyward/introspect", world.system.edge_url())).header("x-api-key", caller);
    http::send(if content_type.is_empty() { request } else { request.header("content-type", content_type) }.body(body)).await
}

#[tokio::test]
async fn a_library_for_oauth_understands_every_answer() {
    let (world, verifier) = world().await;
    let plain = world.key("demo", "jane", json!({"metadata": {"plan": "gold"}})).await;
    let ending = world.key("demo", "jane", json!({"expires_at": "2099-01-01T00:00:00Z", "permissions": ["orders.read"]})).await;
    let gone = world.key("demo", "jane", json!({})).await;
    world.revoke("demo", &gone.id).await;

    for hint in [None, Some("access_token"), Some("api_key")] {
        let found = library(&world, &verifier, &plain.key, hint).await["result"].take();
        let expected = [("active", json!(true)), ("sub", json!("jane")), ("company", json!("demo")), ("key_id", json!(plain.id))];
        for (field, value) in expected {
            assert_eq!(found[field], value, "{found}");
        }
        assert_eq!(
            (&found["scope"], &found["permissions"]),
            (&json!("bills.* orders.read"), &json!(["bills.*", "orders.read"])),
            "{found}"
        );
        assert_eq!((&found["metadata"], found.get("exp"), found["iat"].is_u64()), (&json!({"plan": "gold"}), None, true), "{found}");
    }
    let found = library(&world, &verifier, &ending.key, None).await["result"].take();
    assert_eq!((&found["exp"], &found["scope"]), (&json!(4_070_908_800_u64), &json!("orders.read")), "{found}");
    for (token, code) in [
        (gone.key.as_str(), "key_revoked"),
        (&world.made_up_key("demo", false), "unknown_key"),
        (&world.made_up_key("demo", true), "unknown_key"),
        ("a.session.token", "malformed_key"),
        ("+ %&=", "malformed_key"),
    ] {
        assert_eq!(library(&world, &verifier, token, None).await["result"], json!({"active": false, "code": code}), "{token}");
    }
    // Errors are those of a Bearer credential (RFC 7662 §2.3, RFC 6750 §3).
    let refused = library(&world, &plain.key, &plain.key, None).await;
    assert_eq!((&refused["status"], &refused["challenges"][0]["scheme"]), (&json!(403), &json!("bearer")), "{refused}");
    let parameters = &refused["challenges"][0]["parameters"];
    assert_eq!((&parameters["error"], &parameters["scope"]), (&json!("insufficient_scope"), &json!("keyward.introspect")), "{refused}");
    for caller in [&gone.key, "kw_live_nonsense"] {
        let refused = library(&world, caller, &plain.key, None).await;
        assert_eq!(
            (&refused["status"], &refused["challenges"][0]["parameters"]["error"]),
            (&json!(401), &json!("invalid_token")),
            "{refused}"
        );
    }
    world.system.stop().await;
}

#[tokio::test]
async fn every_other_request_is_answered_with_what_is_wrong_and_without_the_token() {
    let (world, verifier) = world().await;
    let key = world.key("demo", "jane", json!({})).await.key;
    let many = |count: usize| {
        json!(vec![json!({"token": key, "method": "GET", "path": "/", "permission": "orders.read", "ip": "::1"}); count]).to_string()
    };
    for (content_type, body, status, code) in [
        (FORM, format!("token={key}"), 200, ""),
        ("Application/X-WWW-Form-URLencoded; charset=utf-8", format!("a=b&token={key}&token_type_hint=x"), 200, ""),
        ("application/json; charset=utf-8", json!({"token": key}).to_string(), 200, ""),
        ("application/json", many(100), 200, ""),
        ("application/json", "[]".into(), 200, ""),
        ("application/json", many(101), 400, "invalid_request"),
        ("application/json", json!({"token": "x".repeat(70_000)}).to_string(), 413, "too_large"),
        (FORM, format!("token={}", "x".repeat(70_000)), 413, "too_large"),
        ("", format!("token={key}"), 415, "unsupported_media_type"),
        ("text/plain", format!("token={key}"), 415, "unsupported_media_type"),
        ("multipart/form-data; boundary=x", format!("token={key}"), 415, "unsupported_media_type"),
        ("application/jwt", key.clone(), 415, "unsupported_media_type"),
        (FORM, String::new(), 400, "invalid_request"),
        (FORM, format!("Token={key}"), 400, "invalid_request"),
        (FORM, format!("token={key}&token={key}"), 400, "invalid_request"),
        (FORM, json!({"token": key}).to_string(), 400, "invalid_request"),
        ("application/json", format!("token={key}"), 400, "invalid_request"),
        ("application/json", json!([[{"token": key}]]).to_string(), 400, "invalid_request"),
        ("application/json", json!({"token": key, "token_type_hint": "x"}).to_string(), 400, "invalid_request"),
        ("application/json", json!({"token": key, "path": "/"}).to_string(), 400, "invalid_request"),
        ("application/json", json!({"token": key, "ip": "somewhere"}).to_string(), 400, "invalid_request"),
        ("application/json", json!({"token": [key]}).to_string(), 400, "invalid_request"),
        ("application/json", format!("{{\"token\":\"{key}\",\"token\":\"x\"}}"), 400, "invalid_request"),
    ] {
        let answer = send(&world, &verifier, content_type, body.clone()).await;
        let shown = &body[..body.len().min(100)];
        assert_eq!(answer.verdict(), (status, code.into()), "{content_type} {shown}: {answer:?}");
        if status == 200 {
            assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/json", "no-store"));
        } else {
            answer.refused(status, code);
        }
        assert!(!answer.text.contains(&key), "{answer:?}");
    }
    assert_eq!(send(&world, &verifier, "application/json", many(100)).await.json().as_array().unwrap().len(), 100);
    let invalid = [b"token=\xff\xfe".as_slice(), key.as_bytes()].concat();
    assert_eq!(send(&world, &verifier, FORM, invalid).await.verdict(), (400, "invalid_request".into()));
    for method in ["GET", "PUT", "DELETE"] {
        let request = world.http.request(method.parse().unwrap(), format!("{}/.keyward/introspect?token={key}", world.system.edge_url()));
        let answer = http::send(request.header("x-api-key", &verifier)).await;
        answer.refused(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "POST");
    }
    let basic = world.http.post(format!("{}/.keyward/introspect", world.system.edge_url())).basic_auth("a", Some(&verifier));
    http::send(basic.header("content-type", FORM).body(format!("token={key}"))).await.refused(401, "missing_credentials");
    world.system.stop().await;
}

#[tokio::test]
async fn a_question_without_end_is_not_read_to_its_end() {
    let (world, verifier) = world().await;
    for caller in [verifier.as_str(), "kw_live_nonsense"] {
        let mut client = raw::open(&world.system.edge_url()).await;
        let head = format!(
            "POST /.keyward/introspect HTTP/1.1\r\nHost: x\r\nx-api-key: {caller}\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        client.write_all(head.as_bytes()).await.unwrap();
        let piece = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        // The edge may close before it has taken everything.
        for _ in 0..40 {
            let _ = timeout(Duration::from_secs(1), client.write_all(piece.as_bytes())).await;
        }
        let (status, answer) = raw::answer(&mut client).await;
        let expected = if caller == verifier { (413, "too_large") } else { (401, "malformed_key") };
        assert!(status == expected.0 && answer.contains(expected.1), "{answer}");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn many_questions_are_held_up_by_a_slow_store_no_longer_than_one() {
    let (mut world, verifier) = world().await;
    let key = world.key("demo", "jane", json!({})).await.key;
    send(&world, &verifier, FORM, format!("token={key}")).await.expect(200);
    world.system.kv().inject(Fault::everywhere(Effect::Delay(Duration::from_secs(30))));
    world.system.kill_control().await;
    let mut questions = vec![json!({"token": key})];
    questions.extend((0..20).map(|_| json!({"token": world.made_up_key("demo", true)})));
    let begun = Instant::now();
    let found = send(&world, &verifier, "application/json", json!(questions).to_string()).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    // What is known all the same is answered, until the bound; nothing becomes unknown by an outage.
    if found.status == 200 {
        for (index, one) in found.json().as_array().unwrap().iter().enumerate() {
            assert!(one["code"] == "verifier_unavailable" || (index == 0 && one["active"] == true), "{found:?}");
        }
    } else {
        found.refused(503, "verifier_unavailable");
    }
    world.system.stop().await;
}
