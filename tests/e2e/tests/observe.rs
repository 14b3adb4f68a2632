//! What an edge tells of requests, in the real runtime: the log's lines against the page that describes them, counters, `Server-Timing`, and what
//! is never told.

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use keyward_e2e::{Answer, World, build, eventually, http, instrumented, stored::record_of};
use keyward_selfhost::Options;
use keyward_shared::record::KeyState;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(8);

fn set(settings: &[(&str, &str)]) -> impl FnOnce(&mut Options) {
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    move |options| options.settings = settings
}

/// A policy, and an owner with a key.
async fn prepared(world: &World) -> keyward_e2e::world::NewKey {
    let rules = json!({"rules": [{"path": "/admin/**", "permission": "admin"}, {"path": "/orders/**", "permission": "orders.read"}, {"path": "/open/**", "anonymous": true}]});
    world.operator("PUT", "/v1/policy", rules).await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    // The policy is in effect once it refuses.
    eventually(SOON, async || {
        let answer = world.call(&key.key, "/admin/x").await;
        if answer.verdict() == (403, "permission_denied".into()) { Ok(()) } else { Err(answer) }
    })
    .await;
    key
}

/// The line about the request that was answered like this.
async fn line_of(world: &World, event: &str, answer: &Answer) -> Value {
    let id = answer.header("x-request-id").to_owned();
    line_with(world, event, &id).await
}

async fn line_with(world: &World, event: &str, id: &str) -> Value {
    eventually(SOON, async || {
        let lines = instrumented::logged(world, event);
        lines.iter().find(|line| line["request_id"] == id).cloned().ok_or_else(|| lines.last().cloned())
    })
    .await
}

/// The request id that the origin got with its last request.
fn last_id(world: &World) -> String {
    world.system.origin().unwrap().last().unwrap().header("x-request-id")[0].clone()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Array(_) => "list",
        _ => "something else",
    }
}

/// The fields of lines, and what they are.
fn fields<'a>(lines: impl IntoIterator<Item = &'a Value>) -> BTreeMap<String, &'static str> {
    let all = lines.into_iter().flat_map(|line| line.as_object().unwrap());
    all.map(|(name, value)| (name.clone(), kind(value))).collect()
}

#[tokio::test]
async fn the_page_describes_the_lines_that_an_edge_writes() {
    let world = World::with(set(&[("LOG_PATHS", "on"), ("LOG_ALLOWED_SAMPLE", "1"), ("LOG_LINES_PER_S", "20")])).await;
    let key = prepared(&world).await;
    let revoked = world.key("demo", "jane", json!({})).await;
    world.revoke("demo", &revoked.id).await;
    record_of(&world, &revoked.key, KeyState::Revoked).await;

    let refused = line_of(&world, "refused", &world.call(&revoked.key, "/orders/17?x=1").await.expect(401)).await;
    for (field, value) in [
        ("code", json!("key_revoked")),
        ("status", json!(401)),
        ("endpoint", json!("gateway")),
        ("method", json!("GET")),
        ("key", json!(revoked.id)),
        ("owner", json!("jane")),
        ("company", json!("demo")),
        ("rule", json!(1)),
        ("rule_path", json!("/orders/**")),
        ("path", json!("/orders/17")),
    ] {
        assert_eq!(refused[field], value, "{field}: {refused}");
    }
    assert!(refused["reads"].as_array().is_some_and(|reads| reads.iter().any(|read| read["got"] == "found")), "it was cold: {refused}");
    world.call(&key.key, "/orders/1").await.expect(200);
    let allowed = line_with(&world, "allowed", &last_id(&world)).await;
    assert_eq!((&allowed["code"], &allowed["key"], &allowed["status"]), (&json!("allowed"), &json!(key.id), &json!(200)), "{allowed}");
    for _ in 0..60 {
        world.call("nonsense", "/orders/1").await.refused(401, "malformed_key");
    }
    let left_out = eventually(SOON, async || instrumented::logged(&world, "left_out").first().cloned().ok_or("none is told")).await;

    let page = fs::read_to_string(build::repository().join("docs/observability.md")).unwrap();
    let section = page.split("## Log lines").nth(1).unwrap().split("\n## ").next().unwrap();
    let described: BTreeMap<String, &str> = section
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?))
        })
        .collect();
    let mut written = fields([&refused, &allowed, &left_out]);
    assert_eq!(written.insert("colo".into(), "text"), None, "only Cloudflare has places");
    assert_eq!(written, described);
    let examples: Vec<Value> =
        section.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(examples.len(), 3, "one for each event");
    for example in &examples {
        assert!(fields([example]).iter().all(|field| described.get(field.0) == Some(field.1)), "{example}");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn every_refusal_is_one_line_and_what_passes_is_none_unless_it_is_asked_for() {
    let world = World::with(set(&[("FORWARD_AUTH", "original"), ("LOG_LINES_PER_S", "1000")])).await;
    let key = prepared(&world).await;
    let edge = world.system.edge_url();
    world.call(&key.key, "/orders/1").await.expect(200);
    let asks = |uri: &str| {
        let request = world.http.get(format!("{edge}/.keyward/forward-auth/original"));
        request.header("x-original-method", "PUT").header("x-original-uri", uri)
    };
    for (request, status, code, endpoint, known) in [
        (world.http.get(format!("{edge}/orders/1")), 401, "missing_credentials", "gateway", false),
        (world.http.get(format!("{edge}/orders/1")).header("x-api-key", "nonsense"), 401, "malformed_key", "gateway", false),
        (
            world.http.get(format!("{edge}/orders/1")).header("x-api-key", world.made_up_key("demo", false)),
            401,
            "unknown_key",
            "gateway",
            false,
        ),
        (
            world.http.get(format!("{edge}/orders/1")).header("x-api-key", world.made_up_key("demo", true)),
            401,
            "unknown_key",
            "gateway",
            false,
        ),
        (world.http.get(format!("{edge}/orders//1")).header("x-api-key", &key.key), 400, "ambiguous_path", "gateway", false),
        (world.http.get(format!("{edge}/admin/1")).header("x-api-key", &key.key), 403, "permission_denied", "gateway", true),
        (asks("/admin/1").header("x-api-key", &key.key), 403, "permission_denied", "forward-auth", true),
        (asks("/orders/1"), 401, "missing_credentials", "forward-auth", false),
        (world.http.post(format!("{edge}/.keyward/introspect")).header("x-api-key", "nonsense"), 401, "malformed_key", "introspect", false),
        (world.http.get(format!("{edge}/.keyward/nothing")), 404, "not_found", "other", false),
    ] {
        let answer = http::send(request).await;
        assert_eq!(answer.verdict(), (status, code.into()), "{answer:?}");
        let line = line_of(&world, "refused", &answer).await;
        let told = (&line["status"], &line["code"], &line["endpoint"], line["key"] == key.id.as_str(), line["owner"] == "jane");
        assert_eq!(told, (&json!(status), &json!(code), &json!(endpoint), known, known), "{line}");
        assert_eq!(line.get("path"), None, "{line}");
        let lines = instrumented::logged(&world, "refused");
        assert_eq!(lines.iter().filter(|other| other["request_id"] == line["request_id"]).count(), 1, "{line}");
    }
    let forward_auth = instrumented::logged(&world, "refused").into_iter().find(|line| line["endpoint"] == "forward-auth").unwrap();
    assert_eq!((&forward_auth["method"], &forward_auth["rule_path"]), (&json!("PUT"), &json!("/admin/**")), "{forward_auth}");
    world.get("/.keyward/health").await;
    assert_eq!(instrumented::logged(&world, "allowed"), Vec::<Value>::new());
    world.system.stop().await;
}

#[tokio::test]
async fn an_origin_that_does_not_answer_is_told_with_the_key_that_asked() {
    let world = World::with(|options| {
        set(&[("LOG_ALLOWED_SAMPLE", "1")])(options);
        options.origin = Some("http://127.0.0.1:9".into());
    })
    .await;
    world.owner("demo", "jane", &[], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    let answer = eventually(SOON, async || {
        let answer = world.call(&key.key, "/").await;
        if answer.status == 502 { Ok(answer) } else { Err(answer) }
    })
    .await;
    let line = line_of(&world, "refused", &answer).await;
    assert_eq!((&line["level"], &line["code"], &line["key"]), (&json!("warn"), &json!("origin_unreachable"), &json!(key.id)), "{line}");
    world.system.stop().await;
}

#[tokio::test]
async fn no_line_holds_a_key_a_query_or_a_header() {
    let world = World::with(set(&[("LOG_PATHS", "on"), ("LOG_ALLOWED_SAMPLE", "1"), ("LOG_LINES_PER_S", "1000")])).await;
    let key = prepared(&world).await;
    let made_up = world.made_up_key("demo", true);
    let edge = world.system.edge_url();
    let tried = |request: reqwest::RequestBuilder| http::send(request.header("x-other", "header-secret"));
    for sent in [key.key.as_str(), made_up.as_str()] {
        for path in [
            format!("/{sent}"),
            format!("/orders/{sent}/x"),
            format!("/orders/1?key={sent}&q=query-secret"),
            format!("/{}", sent.replace('_', "%5F")),
        ] {
            tried(world.http.get(format!("{edge}{path}")).header("x-api-key", sent)).await;
            tried(world.http.get(format!("{edge}{path}"))).await;
        }
        tried(world.http.get(format!("{edge}/orders/1")).header("authorization", format!("Basic {sent}"))).await;
        tried(world.http.get(format!("{edge}/orders/1")).header("x-api-key", format!("\"{sent}\""))).await;
        let question = json!({"token": sent}).to_string();
        tried(world.http.post(format!("{edge}/.keyward/introspect")).header("x-api-key", sent).body(question)).await;
    }
    eventually(SOON, async || {
        let lines = instrumented::logged(&world, "refused");
        if lines.iter().any(|line| line["endpoint"] == "introspect") { Ok(()) } else { Err(lines.len()) }
    })
    .await;
    assert!(instrumented::logged(&world, "refused").iter().any(|line| line["path"] == "/orders/kw_live_[long]/x"));
    let secret = |key: &str| key["kw_live_".len() + 4..].to_owned();
    let needles = [secret(&key.key), secret(&made_up), "query-secret".into(), "header-secret".into()];
    let found = world.files_with(&needles.each_ref().map(String::as_str));
    assert!(found.is_empty(), "{found:?}");
    world.system.stop().await;
}

#[tokio::test]
async fn a_flood_of_refusals_is_no_flood_of_lines_and_none_is_uncounted() {
    const FLOOD: u64 = 400;
    let world = World::with(set(&[("LOG_LINES_PER_S", "5")])).await;
    world.call(&world.operator, "/").await.expect(200);
    let before = instrumented::logged(&world, "refused").len();
    let begun = std::time::Instant::now();
    for _ in 0..FLOOD {
        world.call("nonsense", "/").await.refused(401, "malformed_key");
    }
    let seconds = begun.elapsed().as_secs() + 2;
    eventually(SOON, async || {
        let lines = u64::try_from(instrumented::logged(&world, "refused").len() - before).unwrap();
        assert!(lines <= 5 * seconds, "{lines} lines in {seconds} s");
        let left_out: u64 = instrumented::logged(&world, "left_out").iter().map(|line| line["lines"].as_u64().unwrap()).sum();
        if lines + left_out == FLOOD { Ok(()) } else { Err((lines, left_out)) }
    })
    .await;
    world.system.stop().await;
}

#[tokio::test]
async fn with_a_dataset_every_request_is_counted_by_code_key_and_rule() {
    let mut workers = None;
    let world = World::with(|options| {
        workers = Some(instrumented::edges(options));
        set(&[("LOG_REFUSED", "off")])(options);
    })
    .await;
    let key = prepared(&world).await;
    for _ in 0..3 {
        world.call(&key.key, "/orders/1").await.expect(200);
    }
    world.get("/open/x").await.expect(200);
    world.call("nonsense", "/orders/1").await.refused(401, "malformed_key");
    let count = |code: &str, key: &str, rule: &str, company: &str| {
        let points = instrumented::logged(&world, "data_point");
        let same = |point: &&Value| point["blobs"] == json!([code, key, rule, "", if company == "-" { "" } else { company }]);
        points.iter().filter(same).filter(|point| point["indexes"] == json!([company]) && point["doubles"][0] == 1).count()
    };
    for (code, key, rule, company, expected) in [
        ("allowed", key.id.as_str(), "1 /orders/**", "demo", 3),
        ("anonymous", "", "2 /open/**", "-", 1),
        ("malformed_key", "", "1 /orders/**", "-", 1),
    ] {
        eventually(SOON, async || if count(code, key, rule, company) == expected { Ok(()) } else { Err(world.system.log_tails()) }).await;
    }
    assert!(count("permission_denied", &key.id, "0 /admin/**", "demo") > 0);
    assert_eq!(instrumented::logged(&world, "refused"), Vec::<Value>::new(), "that is switched off");
    world.system.stop().await;
    drop(workers);
}

#[tokio::test]
async fn how_long_the_verification_took_is_answered_to_who_asks_where_that_is_allowed() {
    for (setting, unasked, asked) in [("off", false, false), ("asked", false, true), ("on", true, true)] {
        let world = World::with(set(&[("SERVER_TIMING", setting), ("FORWARD_AUTH", "original")])).await;
        let key = prepared(&world).await;
        let cold = world.key("demo", "jane", json!({})).await;
        let edge = world.system.edge_url();
        let ask = async |key: &str, path: &str, asks: bool| {
            let mut request = world.http.get(format!("{edge}{path}")).header("x-api-key", key);
            request = request.header("x-original-method", "GET").header("x-original-uri", "/orders/1");
            if asks {
                request = request.header("x-keyward-timing", "1");
            }
            http::send(request).await
        };
        for (asks, expected) in [(false, unasked), (true, asked)] {
            for (path, key) in [("/orders/1", key.key.as_str()), ("/orders/1", "nonsense"), ("/.keyward/forward-auth/original", &key.key)] {
                let answer = ask(key, path, asks).await;
                let timing = answer.header("server-timing");
                assert_eq!(timing.starts_with("keyward;dur=") && timing.contains(";desc=\""), expected, "{setting} {path}: {answer:?}");
                assert_eq!(timing.is_empty(), !expected, "{setting} {path}: {answer:?}");
            }
        }
        if asked {
            let answer = ask(&cold.key, "/orders/1", true).await.expect(200);
            let timing = answer.header("server-timing");
            assert!(timing.contains(";desc=\"cold\", keyward-kv-record;dur="), "{timing}");
            assert!(ask(&cold.key, "/orders/1", true).await.header("server-timing").ends_with(";desc=\"warm\""));
        }
        world.system.stop().await;
    }
}

#[tokio::test]
async fn a_setting_that_only_javascript_understands_stops_the_edge_all_the_same() {
    let world = World::with(set(&[("LOG_ALLOWED_SAMPLE", "often")])).await;
    world.call(&world.operator, "/").await.refused(503, "verifier_unavailable");
    let tails = world.system.log_tails();
    assert!(tails.contains("setting LOG_ALLOWED_SAMPLE: must be a number from 0 to 1"), "{tails}");
    world.system.stop().await;
}

#[test]
fn the_edge_tells_as_its_own_tests_say_and_reads_as_its_own_tests_say() {
    for (test, least) in [("observe.test.mjs", 30), ("io.test.mjs", 10), ("record.test.mjs", 5)] {
        let test = build::repository().join("edge/js").join(test);
        let output = Command::new("node").args(["--test", "--test-reporter=tap"]).arg(test).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let passed = output.status.success() && told.contains(&format!("\nok {least} ")) && told.contains("\n# fail 0\n");
        assert!(passed, "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
