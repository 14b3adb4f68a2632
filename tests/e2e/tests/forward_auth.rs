//! A proxy asks whether the request that it holds may pass. Which headers describe that request is a setting, and who is not the proxy learns nothing
//! but yes or no. The real programs are in `proxies`.

use keyward_e2e::{Answer, World, http, proxy::SECRET};
use serde_json::json;

const ORIGINAL: &str = "/.keyward/forward-auth/original";
const FORWARDED: &str = "/.keyward/forward-auth/forwarded";

/// A world where jane may read orders but no bills, and everybody `/public`.
async fn world(family: &str) -> (World, String) {
    let settings =
        vec![("FORWARD_AUTH".to_owned(), family.to_owned()), ("PROXY_SECRETS".to_owned(), format!("an-older-secret-of-it,{SECRET}"))];
    let world = World::with(|options| options.settings = settings).await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let rules = json!([
        {"methods": ["GET"], "path": "/orders/**", "permission": "orders.read"},
        {"path": "/bills/**", "permission": "bills.read"},
        {"path": "/public/**", "anonymous": true},
        {"path": "/app/**", "bearer": "origin"},
    ]);
    world.operator("PUT", "/v1/policy", json!({"default": "deny", "rules": rules})).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    (world, key)
}

async fn ask(world: &World, endpoint: &str, headers: &[(&'static str, &str)]) -> Answer {
    let request = world.http.get(format!("{}{endpoint}", world.system.edge_url()));
    http::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test]
async fn only_the_method_and_uri_of_the_configured_family_count_and_each_exactly_once() {
    for (family, endpoint, other, names, foreign) in [
        ("original", ORIGINAL, FORWARDED, ["x-original-method", "x-original-uri"], ["x-forwarded-method", "x-forwarded-uri"]),
        ("forwarded", FORWARDED, ORIGINAL, ["x-forwarded-method", "x-forwarded-uri"], ["x-original-method", "x-original-uri"]),
    ] {
        let (world, key) = world(family).await;
        let [method, uri] = names;
        let of = async |lines: &[(&'static str, &str)]| {
            let credential = [("x-api-key", key.as_str())];
            ask(&world, endpoint, &[&credential[..], lines].concat()).await.verdict()
        };
        let (passes, denied) = ((200, String::new()), (403, "permission_denied".to_owned()));
        let (refused, ambiguous) = ((400, "invalid_request".to_owned()), (400, "ambiguous_path".to_owned()));
        // Each twice: cold and warm take different ways.
        for _ in 0..2 {
            for (lines, expected) in [
                (vec![(method, "GET"), (uri, "/orders/1")], &passes),
                (vec![(method, "GET"), (uri, "/orders/1?a=//../bills;x&b=%2F,y")], &passes),
                (vec![(method, "HEAD"), (uri, "/orders/1")], &passes),
                (vec![(method, "POST"), (uri, "/orders/1")], &denied),
                (vec![(method, "GET"), (uri, "/bills/1")], &denied),
                (vec![(method, "GET"), (uri, "/elsewhere")], &denied),
                // The other family does not count, alone or beside it.
                (vec![(foreign[0], "GET"), (foreign[1], "/orders/1")], &refused),
                (vec![(method, "GET"), (uri, "/bills/1"), (foreign[0], "GET"), (foreign[1], "/orders/1")], &denied),
                (vec![(method, "GET"), (uri, "/orders/1"), (foreign[0], "POST"), (foreign[1], "/bills/1")], &passes),
                (vec![(uri, "/orders/1")], &refused),
                (vec![(method, "GET")], &refused),
                (vec![(method, ""), (uri, "/orders/1")], &refused),
                (vec![(method, "GET"), (uri, "")], &refused),
                (vec![(method, "GET"), (method, "GET"), (uri, "/orders/1")], &refused),
                (vec![(method, "GET"), (uri, "/orders/1"), (uri, "/bills/1")], &refused),
                (vec![(method, "GET"), (uri, "/orders/1"), (uri, "/orders/1")], &refused),
                (vec![(method, "GET"), (uri, "/bills/../orders/1")], &ambiguous),
                (vec![(method, "GET"), (uri, "/orders/%2e%2e/bills")], &ambiguous),
                (vec![(method, "GET"), (uri, "//orders/1")], &ambiguous),
                (vec![(method, "GET"), (uri, "/orders;x/1")], &ambiguous),
                (vec![(method, "GET"), (uri, "/orders/1#/../../bills")], &ambiguous),
                (vec![(method, "GET"), (uri, "http://elsewhere.example/orders/1")], &ambiguous),
                (vec![(method, "GET"), (uri, "orders/1")], &ambiguous),
            ] {
                assert_eq!(of(&lines).await, *expected, "{family}: {lines:?}");
            }
        }
        for closed in [other, "/.keyward/forward-auth/", "/.keyward/forward-auth", &format!("{endpoint}/orders/1")] {
            let answer = ask(&world, closed, &[("x-api-key", &key), (method, "GET"), (uri, "/orders/1")]).await;
            answer.refused(404, "not_found");
        }
        let asked = world.http.post(format!("{}{endpoint}?x", world.system.edge_url())).header("x-api-key", &key).body("a body");
        http::send(asked.header(method, "GET").header(uri, "/orders/1")).await.expect(200);
        world.system.stop().await;
    }
}

#[tokio::test]
async fn who_is_not_the_proxy_learns_no_identity_and_cannot_say_where_a_call_comes_from() {
    let (world, key) = world("original").await;
    let near = world.key("demo", "jane", json!({"allowed_ips": ["203.0.113.0/24"]})).await.key;
    let route = [("x-original-method", "GET"), ("x-original-uri", "/orders/1")];
    for _ in 0..2 {
        let proxy = ask(&world, ORIGINAL, &[&route[..], &[("x-api-key", &key), ("x-keyward-proxy", SECRET)]].concat()).await.expect(200);
        assert_eq!((proxy.header("x-keyward-owner"), proxy.header("x-keyward-company"), &*proxy.text), ("jane", "demo", ""));
        assert!(proxy.header("x-keyward-key").starts_with("key_") && proxy.header("cache-control") == "no-store", "{proxy:?}");
        let repeated = format!("{SECRET}, {SECRET}");
        for wrong in ["", "the-secret-of-this-prox", "the-secret-of-another-proxy", &repeated, &SECRET.to_uppercase()] {
            let answer =
                ask(&world, ORIGINAL, &[&route[..], &[("x-api-key", &key), ("x-keyward-proxy", wrong)]].concat()).await.expect(200);
            assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("x-keyward-")), "{wrong}: {answer:?}");
        }
        for (secret, address, status) in [
            (Some(SECRET), "203.0.113.7", 200),
            (Some("an-older-secret-of-it"), "203.0.113.7", 200),
            (Some(SECRET), "198.51.100.7", 403),
            (Some(SECRET), "203.0.113.7, 198.51.100.7", 403),
            (Some(SECRET), "nowhere", 403),
            (Some("the-secret-of-another-proxy"), "203.0.113.7", 403),
            (None, "203.0.113.7", 403),
        ] {
            let mut lines = [&route[..], &[("x-api-key", near.as_str()), ("x-real-ip", address)]].concat();
            lines.extend(secret.map(|secret| ("x-keyward-proxy", secret)));
            assert_eq!(ask(&world, ORIGINAL, &lines).await.status, status, "{secret:?} {address}");
        }
    }
    assert_eq!(world.system.origin().unwrap().count(), 0, "nothing of this is forwarded");
    world.system.stop().await;
}

#[tokio::test]
async fn the_rules_of_the_policy_hold_as_at_the_gateway() {
    let (world, key) = world("forwarded").await;
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
    for (method, uri, credential, more, expected) in [
        ("GET", "/public/logo", "", &[][..], (200, "")),
        ("GET", "/public/logo", "kw_live_nonsense", &[], (401, "malformed_key")),
        ("GET", "/orders/1", "", &[], (401, "missing_credentials")),
        ("OPTIONS", "/orders/1", "", &preflight, (200, "")),
        ("OPTIONS", "/orders/1", "", &[], (401, "missing_credentials")),
        ("OPTIONS", "/elsewhere", "", &preflight, (401, "missing_credentials")),
        ("GET", "/orders/1", "", &preflight, (401, "missing_credentials")),
        ("GET", "/orders/1", &world.made_up_key("demo", false), &[], (401, "unknown_key")),
        ("GET", "/orders/1", &key, &[], (200, "")),
    ] {
        let mut lines = vec![("x-forwarded-method", method), ("x-forwarded-uri", uri), ("x-keyward-proxy", SECRET)];
        lines.extend((!credential.is_empty()).then_some(("x-api-key", credential)));
        let answer = ask(&world, FORWARDED, &[&lines[..], more].concat()).await;
        assert_eq!(answer.verdict(), (expected.0, expected.1.into()), "{method} {uri} {credential}: {answer:?}");
        let identity = answer.status == 200 && !credential.is_empty();
        assert_eq!(!answer.header("x-keyward-owner").is_empty(), identity, "{answer:?}");
    }
    let own = [("x-forwarded-method", "GET"), ("x-forwarded-uri", "/app/x"), ("authorization", "Bearer a.session.token")];
    ask(&world, FORWARDED, &own).await.expect(200);
    world.system.stop().await;

    let (closed, key) = self::world("").await;
    for endpoint in [ORIGINAL, FORWARDED] {
        let lines = [("x-api-key", &*key), ("x-original-method", "GET"), ("x-original-uri", "/orders/1")];
        ask(&closed, endpoint, &lines).await.refused(404, "not_found");
    }
    closed.system.stop().await;
}
