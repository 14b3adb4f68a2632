//! What reaches the origin and what comes back from it: nothing of a client's under Keyward's names, no credential, nothing that was meant for the
//! next neighbour alone, and otherwise exactly what was sent.

use std::{process::Command, time::Duration};

use keyward_e2e::{Answer, World, build, http, origin::Origin, raw};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::timeout};

const SOON: Duration = Duration::from_secs(10);

/// A world whose origin answers by the byte.
async fn world() -> (World, Origin) {
    let origin = Origin::start().await;
    let url = origin.url().to_owned();
    (World::with(|options| options.origin = Some(url)).await, origin)
}

/// A request with the operator's key, on its way.
fn call(world: &World, method: &str, path: &str, headers: &[(&'static str, &str)]) -> JoinHandle<Answer> {
    let request = world.http.request(method.parse().unwrap(), format!("{}{path}", world.system.edge_url()));
    let request = request.header("x-api-key", &world.operator);
    tokio::spawn(http::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))))
}

/// The same as bytes, with header lines (each ending in CR LF) and a body.
fn bytes(world: &World, request_line: &str, headers: &str, body: &str) -> JoinHandle<(u16, String)> {
    let (edge, key) = (world.system.edge_url(), &world.operator);
    let request = format!("{request_line} HTTP/1.1\r\nHost: edge.example\r\nx-api-key: {key}\r\n{headers}\r\n{body}");
    tokio::spawn(async move { raw::send(&edge, request.as_bytes()).await })
}

#[test]
fn headers_are_changed_as_the_gateways_own_tests_say() {
    for (test, least) in [("gateway.test.mjs", 4), ("wait.test.mjs", 3)] {
        let file = build::repository().join("edge/js").join(test);
        let output = Command::new("node").args(["--test", "--test-reporter=tap"]).arg(file).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let passed = output.status.success() && told.contains(&format!("\nok {least} ")) && told.contains("\n# fail 0\n");
        assert!(passed, "{test}: {told}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn nothing_of_a_clients_under_keywards_names_or_for_the_next_neighbour_reaches_the_origin() {
    let (world, mut origin) = world().await;
    for lines in [
        "X-Keyward-Owner: mallory\r\n",
        "x-KEYWARD-owner: mallory\r\nX-Keyward-Owner: mallory\r\n",
        "X_Keyward_Owner: mallory\r\nX_Keyward-Owner: mallory\r\nX-Keyward_Owner: mallory\r\n",
        "X.Keyward.Owner: mallory\r\nX-Keyward.Owner: mallory\r\nx!keyward!owner: mallory\r\n",
        "X-Keyward-Identity: mallory\r\nX-Keyward-Proxy: mallory\r\nX-Keyward-Anything: mallory\r\n",
        "Connection: X-Keyward-Owner, X-Keyward-Company, x-request-id\r\n",
        "Connection: close, X-Mallory\r\nX-Mallory: mallory\r\n",
        "Connection: close\r\nConnection: X-Mallory , mallory@, \r\nX-Mallory: mallory\r\n",
        "TE: mallory\r\nTrailer: mallory\r\nKeep-Alive: mallory\r\nProxy-Connection: mallory\r\nUpgrade: mallory\r\n",
        "Proxy-Authorization: Basic mallory\r\nProxy-Authenticate: mallory\r\n",
        "X-Original-URL: /mallory\r\nX-Original-URI: /mallory\r\nX-Original-Method: mallory\r\nX_Rewrite_URL: /mallory\r\n",
        "X-HTTP-Method-Override: mallory\r\nX-HTTP-Method: mallory\r\nX-Method-Override: mallory\r\n",
        "X-Forwarded-For: mallory\r\nX-Forwarded-Host: mallory\r\nX-Forwarded-Proto: mallory\r\nX-Forwarded-Prefix: /mallory\r\n",
        "X-Forwarded-Uri: /mallory\r\nX-Forwarded-Method: mallory\r\nX_Forwarded_User: mallory\r\nForwarded: for=mallory\r\n",
        "X-Real-IP: mallory\r\nTrue-Client-IP: mallory\r\nCF-Connecting-IP: mallory\r\nX-Request-Id: mallory\r\n",
    ] {
        let asked = bytes(&world, "GET /orders?x", lines, "");
        let request = origin.next().await;
        assert!(!request.head.contains("mallory"), "{lines}{}", request.head);
        assert!(!request.head.contains(&world.operator), "{}", request.head);
        let host = origin.url().trim_start_matches("http://");
        for (name, value) in [
            ("x-keyward-owner", "admin"),
            ("x-keyward-company", "demo"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-host", "edge.example"),
            ("x-forwarded-proto", "http"),
            ("host", host),
        ] {
            assert_eq!(request.header(name), [value], "{lines}{}", request.head);
        }
        assert_eq!(request.header("x-request-id").len(), 1);
        request.answer("200 OK", "", "").await;
        assert_eq!(asked.await.unwrap().0, 200);
    }
    // A folded line is one header, or the runtime refuses it.
    let mut asked = bytes(&world, "GET /", "X-Application: 1\r\n X-Keyward-Owner: mallory\r\n", "");
    tokio::select! {
        answer = &mut asked => assert_eq!(answer.unwrap().0, 400),
        request = origin.next() => {
            assert_eq!(request.header("x-keyward-owner"), ["admin"]);
            request.answer("200 OK", "", "").await;
        }
    }
    world.system.stop().await;
}

#[tokio::test]
async fn what_the_origin_says_to_its_neighbour_alone_does_not_reach_the_client() {
    let (world, mut origin) = world().await;
    let asked = call(&world, "GET", "/", &[]);
    let headers = "Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nTrailer: X-T\r\n\
        TE: gzip\r\nUpgrade: h2c\r\nProxy-Connection: close\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Application: stays\r\n";
    origin.next().await.answer("200 All Is Well", headers, "hello").await;
    let answer = asked.await.unwrap().expect(200);
    for name in ["x-hop", "keep-alive", "proxy-authenticate", "trailer", "te", "upgrade", "proxy-connection"] {
        assert_eq!(answer.header(name), "", "{name}");
    }
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!((cookies, answer.header("x-application"), &*answer.text), (vec!["a=1", "b=2"], "stays", "hello"));
    world.system.stop().await;
}

#[tokio::test]
async fn no_shared_cache_may_keep_what_a_caller_is_answered() {
    let (world, mut origin) = world().await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/public/**", "anonymous": true}]})).await;
    let single = "CDN-Cache-Control: max-age=60\r\nCloudflare-CDN-Cache-Control: max-age=60\r\nSurrogate-Control: max-age=60\r\n\
        Edge-Control: cache-maxage=60\r\nX-Accel-Expires: 60\r\n";
    for (sent, expected) in [
        ("", "private"),
        ("Cache-Control: public, max-age=600\r\n", "private, max-age=600"),
        ("Cache-Control: max-age=60, s-maxage=600, proxy-revalidate, must-revalidate\r\n", "private, max-age=60, must-revalidate"),
        ("Cache-Control: private=\"set-cookie, x-a\", no-cache=\"x-b, public\"\r\n", "private, no-cache=\"x-b, public\""),
        ("Cache-Control: no-store\r\n", "private, no-store"),
        ("Cache-Control: public\r\nCache-Control: immutable\r\n", "private, immutable"),
    ] {
        // The platform's own cache is told to stay out, so each request reaches the origin.
        for _ in 0..2 {
            let asked = call(&world, "GET", "/page", &[]);
            origin.next().await.answer("200 OK", &format!("{single}{sent}"), "mine").await;
            let answer = asked.await.unwrap().expect(200);
            assert_eq!(answer.header("cache-control"), expected, "{sent}");
            for name in ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "edge-control", "x-accel-expires"] {
                assert_eq!(answer.header(name), "", "{name}");
            }
        }
    }
    let asked = tokio::spawn(http::send(world.http.get(format!("{}/public/logo", world.system.edge_url()))));
    origin.next().await.answer("200 OK", "Cache-Control: public, max-age=600\r\nCDN-Cache-Control: max-age=60\r\n", "everybody's").await;
    let answer = asked.await.unwrap().expect(200);
    assert_eq!((answer.header("cache-control"), answer.header("cdn-cache-control")), ("public, max-age=600", "max-age=60"));
    world.system.stop().await;
}

#[tokio::test]
async fn exactly_the_query_that_was_sent_is_forwarded_or_the_request_is_refused() {
    let (world, mut origin) = world().await;
    for query in [
        "",
        "?",
        "??x",
        "?a&&b&=&=c&a=",
        "?%zz&%&%2F..%2F&%00&%C0%AF&%7e~",
        "?a;b&[1]={}|\\^`&+%20&http://x/?y",
        "?_method=DELETE&x-api-key=none",
        &format!("?{}", "a=%41&".repeat(1_000)),
        &format!("?{}", "x".repeat(12_000)),
    ] {
        let asked = bytes(&world, &format!("GET /a/b{query}"), "", "");
        let request = origin.next().await;
        assert_eq!(request.target(), format!("/a/b{query}"));
        assert!(request.head.starts_with("GET "), "{}", request.head);
        request.answer("200 OK", "", "").await;
        assert_eq!(asked.await.unwrap().0, 200, "{query}");
    }
    // The runtime percent-encodes this one, as the Fetch standard says; decoded it is the same.
    let asked = bytes(&world, "GET /a?x='y'", "", "");
    let request = origin.next().await;
    assert_eq!(request.target(), "/a?x=%27y%27");
    request.answer("200 OK", "", "").await;
    assert_eq!(asked.await.unwrap().0, 200);
    // These the runtime or the edge refuses.
    for target in ["/a?\u{e9}", "/a?x\u{1}", "/a?\u{7f}", "*"] {
        let (status, answer) = bytes(&world, &format!("GET {target}"), "", "").await.unwrap();
        assert!([400, 500].contains(&status), "{target}: {answer}");
    }
    let invalid = [b"GET /a?\xff\xfe HTTP/1.1\r\nHost: x\r\nx-api-key: ", world.operator.as_bytes(), b"\r\n\r\n"].concat();
    assert_eq!(raw::send(&world.system.edge_url(), &invalid).await.0, 400);
    assert!(origin.is_idle(), "none of these reaches the origin");
    world.system.stop().await;
}

#[tokio::test]
async fn what_cannot_be_forwarded_as_it_came_is_refused() {
    let (world, mut origin) = world().await;
    let whole = "Transfer-Encoding: chunked\r\n";
    for (line, headers, body, status, code) in [
        ("TRACE /a", "", "", 405, "method_not_allowed"),
        ("GET /a", "Content-Length: 5\r\n", "hello", 400, "invalid_request"),
        ("GET /a", whole, "5\r\nhello\r\n0\r\n\r\n", 400, "invalid_request"),
        ("HEAD /a", "Content-Length: 5\r\n", "hello", 400, ""),
        // What the runtime refuses by itself has no code, and another status from version to version.
        ("CONNECT edge.example:443", "", "", 0, ""),
        ("BREW /a", "", "", 0, ""),
        ("get /a", "", "", 0, ""),
        ("POST /a", "Content-Length: 0\r\nContent-Length: 5\r\n", "hello", 0, ""),
        ("POST /a", "Content-Length: +5\r\n", "hello", 0, ""),
        ("POST /a", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", 0, ""),
        ("GET /a", "Host: elsewhere.example\r\n", "", 0, ""),
        ("OPTIONS *", "", "", 0, ""),
    ] {
        let (answered, answer) = bytes(&world, line, headers, body).await.unwrap();
        let refused = if status == 0 { [400, 500, 501].contains(&answered) } else { answered == status };
        assert!(refused && answer.contains(code), "{line} {headers}: {answer}");
        if status == 405 {
            assert!(answer.to_ascii_lowercase().contains("\r\nallow: get, head, post"), "{answer}");
        }
    }
    // A host with a path would be read as part of the path.
    for host in ["edge/public?x", "edge/", "edge?x", "edge#x", "a@edge", "a, b", "edge\\public"] {
        let request = format!("GET /a HTTP/1.1\r\nHost: {host}\r\nx-api-key: {}\r\n\r\n", world.operator);
        let (status, answer) = raw::send(&world.system.edge_url(), request.as_bytes()).await;
        assert!(status == 400, "{host}: {answer}");
    }
    assert!(origin.is_idle(), "nothing of this reaches the origin");
    world.system.stop().await;
}

#[tokio::test]
async fn a_request_that_two_servers_would_end_at_different_places_is_refused_or_sent_on_with_one_end() {
    let (world, mut origin) = world().await;
    let body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut asked = bytes(&world, "POST /a", &format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", body.len()), body);
    tokio::select! {
        answer = &mut asked => assert_eq!(answer.unwrap().0, 400),
        mut request = origin.next() => {
            assert_eq!((request.header("transfer-encoding"), request.header("content-length")), (vec!["chunked"], vec![]));
            assert_eq!(request.read().await.as_deref(), Some(b"0\r\n\r\n".as_slice()));
            request.answer("200 OK", "", "").await;
            // What follows has no credential, if it is looked at.
            let (_, answer) = asked.await.unwrap();
            assert_eq!(answer.matches(" 200 OK").count(), 1, "{answer}");
        }
    }
    assert!(origin.is_idle(), "nothing is smuggled");
    // The address in a target counts for nothing.
    let mut asked = bytes(&world, "GET http://elsewhere.example/public?x", "", "");
    tokio::select! {
        answer = &mut asked => assert!([400, 500].contains(&answer.unwrap().0)),
        request = origin.next() => {
            assert_eq!((request.target(), request.header("x-forwarded-host")), ("/public?x", vec!["edge.example"]));
            request.answer("200 OK", "", "").await;
        }
    }
    world.system.stop().await;
}

#[tokio::test]
async fn every_other_method_is_forwarded_with_its_body() {
    let (world, mut origin) = world().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE"] {
        let asked = bytes(&world, &format!("{method} /a"), "Content-Length: 5\r\n", "hello");
        let mut request = origin.next().await;
        assert!(request.head.starts_with(&format!("{method} /a ")), "{}", request.head);
        assert_eq!((request.read().await.as_deref(), request.header("content-length")), (Some(b"hello".as_slice()), vec!["5"]), "{method}");
        request.answer("200 OK", "", "").await;
        assert_eq!(asked.await.unwrap().0, 200, "{method}");
    }
    for headers in ["", "Content-Length: 0\r\n"] {
        let asked = bytes(&world, "GET /a", headers, "");
        origin.next().await.answer("200 OK", "", "").await;
        assert_eq!(asked.await.unwrap().0, 200, "a body of nothing is none");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn trailers_are_nobodys_headers() {
    let (world, mut origin) = world().await;
    let trailers = "5\r\nhello\r\n0\r\nX-Keyward-Owner: mallory\r\nX-Api-Key: other\r\n\r\n";
    let asked = bytes(&world, "POST /a", "Transfer-Encoding: chunked\r\nTrailer: X-Keyward-Owner\r\n", trailers);
    let mut request = origin.next().await;
    let mut body = request.read().await.unwrap();
    while !body.ends_with(b"0\r\n\r\n") {
        body.extend(request.read().await.unwrap());
    }
    assert_eq!(request.header("x-keyward-owner"), ["admin"]);
    assert_eq!((request.header("trailer"), &*body), (vec![], b"5\r\nhello\r\n0\r\n\r\n".as_slice()));
    request.answer("200 OK", "", "").await;
    assert_eq!(asked.await.unwrap().0, 200);

    let credential = format!("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Api-Key: {}\r\n\r\n", world.operator);
    let (status, answer) = raw::send(&world.system.edge_url(), credential.as_bytes()).await;
    assert!(status == 401 && answer.contains("missing_credentials"), "{answer}");
    assert!(origin.is_idle());
    world.system.stop().await;
}

#[tokio::test]
async fn a_client_that_expects_to_be_told_to_go_on_is_answered_by_the_application() {
    let world = World::start().await; // the demo origin tells so whoever expects it
    let (status, answer) = bytes(&world, "POST /a", "Expect: 100-continue\r\nContent-Length: 5\r\n", "hello").await.unwrap();
    assert_eq!(status, 200, "{answer}");
    let received = world.system.origin().unwrap().last().unwrap();
    assert_eq!((received.body.as_str(), received.header("expect")), ("hello", [].as_slice()));
    world.system.stop().await;
}

#[tokio::test]
async fn redirects_errors_and_parts_are_passed_back_as_they_are() {
    let (world, mut origin) = world().await;
    for (status, headers) in [
        ("301 Moved Permanently", "Location: https://elsewhere.example/a\r\n"),
        ("302 Found", "Location: /elsewhere\r\n"),
        ("303 See Other", "Location: ?page=2\r\n"),
        ("307 Temporary Redirect", "Location: //elsewhere.example\r\n"),
        ("308 Permanent Redirect", "Location: /a%2Fb\r\n"),
        ("206 Partial Content", "Content-Range: bytes 0-1/5\r\n"),
        ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"the application's\"\r\n"),
        ("418 I'm a teapot", "X-Tea: yes\r\n"),
        ("500 Internal Server Error", "Retry-After: 7\r\n"),
        ("599 Whatever", "X-Tea: no\r\n"),
    ] {
        let asked = call(&world, "POST", "/a", &[]);
        origin.next().await.answer(status, headers, "ok").await;
        let answer = asked.await.unwrap();
        let (name, value) = headers.trim_end().split_once(": ").unwrap();
        let (code, _) = status.split_once(' ').unwrap();
        assert_eq!((answer.status.to_string(), answer.header(name), &*answer.text), (code.into(), value, "ok"), "{status}");
    }
    for status in ["204 No Content", "205 Reset Content", "304 Not Modified"] {
        let asked = call(&world, "PUT", "/a", &[]);
        let mut request = origin.next().await;
        request.send(format!("HTTP/1.1 {status}\r\nConnection: close\r\nETag: \"v1\"\r\nContent-Length: 0\r\n\r\n")).await;
        let answer = asked.await.unwrap();
        assert_eq!((answer.status.to_string(), answer.header("etag")), (status[..3].into(), "\"v1\""));
    }
    world.system.stop().await;
}

#[tokio::test]
async fn a_condition_or_a_range_is_the_origins_business_and_only_for_who_is_let_in() {
    let (world, mut origin) = world().await;
    let conditions = [("if-none-match", "\"v1\""), ("range", "bytes=0-1"), ("if-modified-since", "Tue, 24 Nov 2026 00:00:00 GMT")];
    for _ in 0..2 {
        for condition in conditions {
            let asked = call(&world, "GET", "/a", &[condition]);
            let mut request = origin.next().await;
            assert_eq!(request.header(condition.0), [condition.1]);
            request.send("HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: \"v1\"\r\nCache-Control: public\r\n\r\n").await;
            let answer = asked.await.unwrap().expect(304);
            assert_eq!((answer.header("etag"), answer.header("cache-control")), ("\"v1\"", "private"));
        }
        for (name, value) in conditions {
            for request in [world.http.get(world.system.edge_url()), world.http.head(world.system.edge_url())] {
                let answer = http::send(request.header(name, value)).await;
                assert_eq!(answer.status, 401, "never 304 without a credential: {answer:?}");
            }
        }
        assert!(origin.is_idle());
    }
    world.system.stop().await;
}

#[tokio::test]
async fn head_is_forwarded_as_head_and_follows_the_rule_for_get() {
    let (world, mut origin) = world().await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let rules = json!({"rules": [{"methods": ["GET"], "path": "/orders/**", "permission": "orders.read"},
        {"methods": ["GET"], "path": "/bills/**", "permission": "bills.read"}]});
    world.operator("PUT", "/v1/policy", rules).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    let head = |path: &str| world.http.head(format!("{}{path}", world.system.edge_url())).header("x-api-key", &key);
    let asked = tokio::spawn(http::send(head("/orders/1")));
    let mut request = origin.next().await;
    assert!(request.head.starts_with("HEAD /orders/1 "), "{}", request.head);
    request.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5000\r\nETag: \"v1\"\r\n\r\n").await;
    let answer = asked.await.unwrap().expect(200);
    assert_eq!((answer.header("content-length"), answer.header("etag"), &*answer.text), ("5000", "\"v1\"", ""));
    let denied = http::send(head("/bills/1")).await.expect(403);
    assert!(denied.header("www-authenticate").contains("scope=\"bills.read\""), "{denied:?}");
    assert!(origin.is_idle());
    world.system.stop().await;
}

#[tokio::test]
async fn what_only_a_proxy_may_say_means_nothing_at_the_gateway() {
    let world = World::start().await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/admin/**", "permission": "admin"}]})).await;
    let far = world.key("demo", "jane", json!({"allowed_ips": ["203.0.113.0/24", "2001:db8::/32"]})).await.key;
    let near = world.key("demo", "jane", json!({"allowed_ips": ["127.0.0.0/8"]})).await.key;
    let from = |key: &str, path: &str| {
        let mut request = world.http.get(format!("{}{path}", world.system.edge_url())).header("x-api-key", key);
        for name in ["x-forwarded-for", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip"] {
            request = request.header(name, "203.0.113.7");
        }
        let request = request.header("forwarded", "for=203.0.113.7").header("x-keyward-proxy", "0123456789abcdef");
        let request = request.header("x-original-uri", "/public").header("x-original-method", "GET").header("x-original-url", "/public");
        http::send(request.header("x-forwarded-uri", "/public").header("x-forwarded-method", "GET").header("x-rewrite-url", "/public"))
    };
    from(&far, "/orders").await.refused(403, "ip_not_allowed");
    from(&near, "/orders").await.expect(200);
    let received = world.system.origin().unwrap().last().unwrap();
    assert_eq!((received.path.as_str(), received.header("x-forwarded-for")), ("/orders", ["127.0.0.1".to_owned()].as_slice()));
    from(&near, "/admin/users").await.refused(403, "permission_denied");
    world.system.stop().await;
}

#[tokio::test]
async fn an_origin_that_is_away_or_talks_nonsense_is_unreachable_and_one_that_is_silent_times_out() {
    let mut origin = Origin::start().await;
    let url = origin.url().to_owned();
    let world = World::with(|options| {
        options.origin = Some(url);
        options.settings = vec![("ORIGIN_TIMEOUT_S".into(), "1".into())];
    })
    .await;
    for nonsense in ["nonsense\r\n\r\n", "HTTP/1.1 999 Too Much\r\nContent-Length: 0\r\n\r\n", ""] {
        let asked = call(&world, "GET", "/", &[]);
        let mut request = origin.next().await;
        request.send(nonsense).await;
        drop(request);
        asked.await.unwrap().refused(502, "origin_unreachable");
    }
    for body in ["", "hello"] {
        let request = world.http.post(world.system.edge_url()).header("x-api-key", &world.operator).body(body);
        let asked = tokio::spawn(http::send(request));
        let mut silent = origin.next().await;
        asked.await.unwrap().refused(504, "origin_timeout");
        timeout(SOON, silent.rest()).await.expect("the origin is left alone");
    }
    drop(origin);
    call(&world, "GET", "/", &[]).await.unwrap().refused(502, "origin_unreachable");
    world.get("/").await.refused(401, "missing_credentials");
    world.system.stop().await;
}

#[tokio::test]
async fn the_origin_may_be_a_service_binding() {
    let world = World::with(|options| options.bind_origin = true).await;
    let request = world.http.put(format!("{}/orders/7?x=%2F&y", world.system.edge_url()));
    http::send(request.header("x-api-key", &world.operator).header("x-keyward-owner", "mallory").body("a body")).await.expect(200);
    let received = world.system.origin().unwrap().last().unwrap();
    assert_eq!((&*received.method, &*received.path, &*received.body), ("PUT", "/orders/7?x=%2F&y", "a body"));
    assert_eq!(received.header("x-keyward-owner"), ["admin"]);
    assert!(!format!("{received:?}").contains(&world.operator), "{received:?}");
    world.call(&world.made_up_key("demo", false), "/").await.refused(401, "unknown_key");
    assert_eq!(world.operator("GET", "/v1/whoami", Value::Null).await.json()["owner"], "admin");
    world.system.stop().await;
}
