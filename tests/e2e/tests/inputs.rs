//! The control plane, in the real runtime, given what it must not take: each case by its name, and afterwards nothing has changed.

use keyward_e2e::{Answer, World, http};
use serde_json::{Value, json};

/// What is sent, what comes back, and which field a 422 names.
struct Case {
    name: &'static str,
    body: String,
    status: u16,
    field: &'static str,
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in a table")]
fn case(name: &'static str, body: impl ToString, status: u16, field: &'static str) -> Case {
    Case { name, body: body.to_string(), status, field }
}

async fn send(world: &World, method: &str, path: &str, body: &str) -> Answer {
    let request = world.http.request(method.parse().unwrap(), format!("{}{path}", world.system.control_url()));
    http::send(request.header("x-api-key", &world.operator).header("content-type", "application/json").body(body.to_owned())).await
}

/// What is wrong with the answers to `cases`.
async fn tried(world: &World, method: &str, path: &str, cases: &[Case]) -> Vec<String> {
    let mut wrong = Vec::new();
    for case in cases {
        let answer = send(world, method, path, &case.body).await;
        let problem = if answer.text.is_empty() { Value::Null } else { answer.json() };
        let named = problem["errors"].as_array().into_iter().flatten().any(|error| error["field"] == case.field);
        let well_formed = answer.header("content-type") == "application/problem+json" && problem["request_id"].is_string();
        if answer.status != case.status || !well_formed || (case.status == 422 && !named) {
            wrong.push(format!("{}: {} expected, {} {}", case.name, case.status, answer.status, answer.text));
        }
    }
    wrong
}

#[tokio::test]
async fn what_no_json_reader_agrees_on_is_refused() {
    let world = World::start().await;
    let cases = [
        case("a member twice", r#"{"name":"A","name":"B"}"#, 400, ""),
        case("a member twice, escaped", r#"{"name":"A","\u006eame":"B"}"#, 400, ""),
        case("a member twice, deep inside", r#"{"name":"A","metadata":{"a":{"b":1,"b":2}}}"#, 400, ""),
        case("__proto__ as a member", r#"{"name":"A","__proto__":{"manages_keys":true}}"#, 400, ""),
        case("constructor as a member", r#"{"name":"A","constructor":{}}"#, 400, ""),
        case("ten thousand arrays", format!("{{\"name\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000)), 400, ""),
        case(
            "metadata that nests too deep",
            format!("{{\"name\":\"A\",\"metadata\":{}1{}}}", "{\"a\":".repeat(20), "}".repeat(20)),
            400,
            "",
        ),
        case("a number past 2^53", r#"{"name":"A","metadata":{"n":9007199254740993}}"#, 400, ""),
        case("a number past every double", r#"{"name":"A","metadata":{"n":1e999}}"#, 400, ""),
        case("NaN", r#"{"name":"A","metadata":{"n":NaN}}"#, 400, ""),
        case("a lone surrogate", r#"{"name":"\ud800"}"#, 400, ""),
        case("a comment", "{\"name\":\"A\" /* b */}", 400, ""),
        case("a trailing comma", "{\"name\":\"A\",}", 400, ""),
        case("two documents", "{\"name\":\"A\"}{\"name\":\"B\"}", 400, ""),
        case("a list", "[]", 400, ""),
        case("a member that is not known", r#"{"name":"A","unknown":1}"#, 400, ""),
        case("half an object", "{\"name\":", 400, ""),
        case("two mebibytes", format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20)), 413, ""),
    ];
    let wrong = tried(&world, "POST", "/v1/keys", &cases).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    nothing_was_made(&world).await;
}

#[tokio::test]
async fn each_wrong_value_of_a_new_key_is_named() {
    let world = World::start().await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let new = |more: Value| {
        let mut body = json!({"name": "A", "owner": "jane"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let many: Vec<_> = (0..1_000).map(|n| format!("orders.p{n}")).collect();
    let networks: Vec<_> = (0..=50).map(|n| format!("10.0.{n}.0/24")).collect();
    let cases = [
        case("no name", json!({"owner": "jane"}), 422, "name"),
        case("a number as name", new(json!({"name": 7})), 422, "name"),
        case("an empty name", new(json!({"name": ""})), 422, "name"),
        case("a blank name", new(json!({"name": " \t "})), 422, "name"),
        case("a name of 101 characters", new(json!({"name": "ä".repeat(101)})), 422, "name"),
        case("a control character", new(json!({"name": "a\u{7}b"})), 422, "name"),
        case("a NUL", new(json!({"name": "a\u{0}b"})), 422, "name"),
        case("a right-to-left override", new(json!({"name": "invoice\u{202e}txt.exe"})), 422, "name"),
        case("an expiry in the past", new(json!({"expires_at": "2001-01-01T00:00:00Z"})), 422, "expires_at"),
        case("the year 10000", new(json!({"expires_at": "10000-01-01T00:00:00Z"})), 422, "expires_at"),
        case("a leap second", new(json!({"expires_at": "2028-12-31T23:59:60Z"})), 422, "expires_at"),
        case("a local time", new(json!({"expires_at": "2028-12-31T23:59:59"})), 422, "expires_at"),
        case("the thirtieth of February", new(json!({"expires_at": "2028-02-30T00:00:00Z"})), 422, "expires_at"),
        case("tomorrow", new(json!({"expires_at": "tomorrow"})), 422, "expires_at"),
        case("a number as expiry", new(json!({"expires_at": 1_900_000_000})), 422, "expires_at"),
        case("a permission that the owner lacks", new(json!({"permissions": ["orders.write"]})), 422, "permissions"),
        case("a star over what the owner has", new(json!({"permissions": ["orders.*"]})), 422, "permissions"),
        case("a permission with a space", new(json!({"permissions": ["orders read"]})), 422, "permissions[0]"),
        case("an empty permission", new(json!({"permissions": [""]})), 422, "permissions[0]"),
        case("a thousand permissions", new(json!({"permissions": many})), 422, "permissions"),
        case("a mask of 33 bits", new(json!({"allowed_ips": ["10.0.0.1/33"]})), 422, "allowed_ips[0]"),
        case("octal numbers", new(json!({"allowed_ips": ["010.0.0.1"]})), 422, "allowed_ips[0]"),
        case("a host name", new(json!({"allowed_ips": ["office.example"]})), 422, "allowed_ips[0]"),
        case("too many networks", new(json!({"allowed_ips": networks})), 422, "allowed_ips"),
        case("metadata that is no object", new(json!({"metadata": [1]})), 422, "metadata"),
        case("more than a kilobyte of metadata", new(json!({"metadata": {"a": "x".repeat(1_024)}})), 422, "metadata"),
        case("an owner who is not there", new(json!({"owner": "nobody"})), 422, "owner"),
        case("an owner with a slash", new(json!({"owner": "a/b"})), 422, "owner"),
        case("a digest in capitals", new(json!({"digest": "AB".repeat(32)})), 422, "digest"),
        case("half a digest", new(json!({"digest": "ab".repeat(16)})), 422, "digest"),
        case("a text for a truth", new(json!({"manages_keys": "true"})), 422, "manages_keys"),
    ];
    let wrong = tried(&world, "POST", "/v1/keys", &cases).await;
    assert!(wrong.is_empty(), "{wrong:#?}");

    let all = new(json!({"name": "", "expires_at": 7, "permissions": ["a b"], "allowed_ips": ["x"], "metadata": 1, "digest": "x"}));
    let answer = send(&world, "POST", "/v1/keys", &all.to_string()).await.expect(422).json();
    let named: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(named.len(), 6, "all at once: {answer}");
    nothing_was_made(&world).await;
}

#[tokio::test]
async fn what_only_looks_dangerous_is_text_like_any_other() {
    let world = World::start().await;
    for name in
        ["<script>alert(1)</script>", "'; DROP TABLE keys; --", "=cmd|' /C calc'!A0", "{{7*7}}", "ключ 🗝", "a\"b\\c", "../../etc/passwd"]
    {
        let made =
            send(&world, "POST", "/v1/keys", &json!({"name": name, "metadata": {"note": name}}).to_string()).await.expect(201).json();
        let read = world.operator("GET", &format!("/v1/keys/{}", made["id"].as_str().unwrap()), Value::Null).await.json();
        assert_eq!((read["name"].as_str(), read["metadata"]["note"].as_str()), (Some(name), Some(name)));
        assert_eq!(read["expires_at"], Value::Null);
    }
    for expires_at in ["9999-12-31T23:59:59Z", "2099-01-01T00:00:00+14:00", "2099-01-01T00:00:00.123Z"] {
        send(&world, "POST", "/v1/keys", &json!({"name": "A", "expires_at": expires_at}).to_string()).await.expect(201);
    }
    let made = send(&world, "POST", "/v1/keys", &json!({"name": "A", "allowed_ips": ["::ffff:10.1.2.3", "0.0.0.0/0"]}).to_string()).await;
    assert_eq!(made.expect(201).json()["allowed_ips"], json!(["0.0.0.0/0", "10.1.2.3/32"]));
    world.system.stop().await;
}

#[tokio::test]
async fn a_call_that_is_not_meant_like_that_is_refused_as_a_whole() {
    let world = World::start().await;
    let at = |path: &str| format!("{}{path}", world.system.control_url());
    let key = || world.http.post(at("/v1/keys")).header("x-api-key", &world.operator).json(&json!({"name": "A"}));
    let form = world.http.post(at("/v1/keys")).header("x-api-key", &world.operator);
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("name=A");
    let mut wrong = Vec::new();
    for (name, request, status) in [
        ("nothing", world.http.get(at("/v1/keys")), 401),
        ("a made-up key with a right tag", world.http.get(at("/v1/whoami")).header("x-api-key", world.made_up_key("demo", true)), 401),
        ("an idempotency key of a kilobyte", key().header("idempotency-key", "x".repeat(1_024)), 400),
        ("an empty idempotency key", key().header("idempotency-key", ""), 400),
        ("no content type", world.http.post(at("/v1/keys")).header("x-api-key", &world.operator).body("{\"name\":\"A\"}"), 415),
        ("a form", form, 415),
        ("a key in the query", world.http.get(at(&format!("/v1/keys?x-api-key={}", world.operator))), 401),
        ("a key in a cookie", world.http.get(at("/v1/keys")).header("cookie", format!("__Host-keyward={}", world.operator)), 401),
        ("basic credentials", world.http.get(at("/v1/keys")).basic_auth("operator", Some(&world.operator)), 401),
        ("a key of another deployment", world.http.get(at("/v1/keys")).header("x-api-key", world.made_up_key("demo", false)), 401),
        ("an unknown parameter", world.http.get(at("/v1/keys?page=2")).header("x-api-key", &world.operator), 400),
        ("a parameter twice", world.http.get(at("/v1/keys?q=a&q=b")).header("x-api-key", &world.operator), 400),
        ("a company that is none", world.http.get(at("/v1/keys?company=a%2Fb")).header("x-api-key", &world.operator), 404),
        ("a limit of zero", world.http.get(at("/v1/keys?limit=0")).header("x-api-key", &world.operator), 400),
        ("a limit below zero", world.http.get(at("/v1/keys?limit=-1")).header("x-api-key", &world.operator), 400),
        ("a limit of a thousand million", world.http.get(at("/v1/keys?limit=1e9")).header("x-api-key", &world.operator), 400),
        ("a cursor that is none", world.http.get(at("/v1/keys?cursor=abc")).header("x-api-key", &world.operator), 400),
        ("another method", world.http.put(at("/v1/keys")).header("x-api-key", &world.operator).json(&json!({})), 405),
        ("another path", world.http.get(at("/v1/keyz")).header("x-api-key", &world.operator), 404),
        ("another spelling of a path", world.http.get(at("/v1/Keys")).header("x-api-key", &world.operator), 404),
    ] {
        let answer = http::send(request).await;
        if answer.status != status || answer.code().is_empty() {
            wrong.push(format!("{name}: {status} expected, {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let not_allowed = world.control(&world.operator, "PUT", "/v1/keys", json!({})).await;
    assert_eq!((not_allowed.status, not_allowed.header("allow")), (405, "GET, HEAD, POST"));
    nothing_was_made(&world).await;
}

/// There is the operator's first key and no other, and the trail is whole.
async fn nothing_was_made(world: &World) {
    let keys = world.operator("GET", "/v1/keys", Value::Null).await.json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    assert_eq!(world.operator("GET", "/v1/audit/verify", Value::Null).await.json()["valid"], true);
}
