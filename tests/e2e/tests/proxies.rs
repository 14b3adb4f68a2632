//! nginx (`auth_request`) and Caddy (`forward_auth`) in front of an origin, with the files of `docs/integrations` as they stand.

use axum::{Router, http::StatusCode};
use keyward_e2e::{
    Answer, World, eventually, http,
    origin::Origin,
    proxy::{Proxy, SECRET},
    raw,
    world::BOUND,
};
use keyward_selfhost::listen::{Served, free_port};
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Nginx,
    Caddy,
}

use Program::{Caddy, Nginx};

impl Program {
    const ALL: [Self; 2] = [Nginx, Caddy];

    fn family(self) -> &'static str {
        match self {
            Nginx => "original",
            Caddy => "forwarded",
        }
    }

    async fn start(self, edge: &str, origin: &str) -> Proxy {
        match self {
            Nginx => Proxy::nginx(edge, origin).await,
            Caddy => Proxy::caddy(edge, origin).await,
        }
    }
}

/// A proxy in front of the demo origin, asking an edge where jane may read orders but no bills.
async fn world(program: Program) -> (World, Proxy) {
    let settings = [("FORWARD_AUTH", program.family()), ("PROXY_SECRETS", SECRET)];
    let world = World::with(|options| options.settings = settings.map(|(name, value)| (name.into(), value.into())).to_vec()).await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let rules = json!([
        {"methods": ["GET"], "path": "/orders/**", "permission": "orders.read"},
        {"path": "/bills/**", "permission": "bills.read"},
        {"path": "/public/**", "anonymous": true},
    ]);
    world.operator("PUT", "/v1/policy", json!({"rules": rules})).await;
    let proxy = program.start(&world.system.edge_url(), world.system.origin_url()).await;
    (world, proxy)
}

async fn call(world: &World, proxy: &Proxy, path: &str, headers: &[(&'static str, &str)]) -> Answer {
    let request = world.http.get(format!("{}{path}", proxy.url()));
    http::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test]
async fn a_right_key_passes_with_its_identity_and_without_itself() {
    for program in Program::ALL {
        let (world, proxy) = world(program).await;
        let key = world.key("demo", "jane", json!({})).await;
        for credential in [("x-api-key", key.key.clone()), ("authorization", format!("Bearer {}", key.key))] {
            let answer = call(&world, &proxy, "/orders/1?x=%2F&y=,", &[(credential.0, &credential.1)]).await.expect(200);
            let cached: Vec<_> = answer.headers.get_all("cache-control").iter().collect();
            assert_eq!(cached, ["private"], "{program:?}: {answer:?}");
            let received = world.system.origin().unwrap().last().unwrap();
            assert_eq!(received.path, "/orders/1?x=%2F&y=,", "{program:?}");
            for (name, value) in [("x-keyward-owner", "jane"), ("x-keyward-company", "demo"), ("x-keyward-key", &*key.id)] {
                assert_eq!(received.header(name), [value], "{program:?}");
            }
            assert_eq!(received.header("x-forwarded-for"), ["127.0.0.1"], "{program:?}");
            let everything = format!("{received:?}{answer:?}");
            assert!(!everything.contains(&key.key) && !everything.contains(SECRET), "{program:?}: {everything}");
        }
        let posted = world.http.post(format!("{}/elsewhere", proxy.url())).header("x-api-key", &key.key).body("a body");
        http::send(posted).await.expect(200);
        let received = world.system.origin().unwrap().last().unwrap();
        assert_eq!(
            (&*received.method, &*received.body, received.header("x-keyward-owner")),
            ("POST", "a body", ["jane".to_owned()].as_slice())
        );
        world.system.stop().await;
    }
}

#[tokio::test]
async fn nobody_else_passes_and_is_told_why() {
    for program in Program::ALL {
        let (world, proxy) = world(program).await;
        let key = world.key("demo", "jane", json!({})).await;
        call(&world, &proxy, "/orders/1", &[("x-api-key", &key.key)]).await.expect(200);
        let reached = world.system.origin().unwrap().count();
        let made_up = world.made_up_key("demo", false);
        for (path, credential, status, challenge) in [
            ("/orders/1", None, 401, "Bearer realm=\"keyward\""),
            ("/orders/1", Some(&*made_up), 401, "error=\"invalid_token\""),
            ("/orders/1", Some("kw_live_nonsense"), 401, "error=\"invalid_token\""),
            ("/bills/1", Some(&*key.key), 403, "error=\"insufficient_scope\", scope=\"bills.read\""),
        ] {
            let lines: Vec<_> = credential.map(|key| ("x-api-key", key)).into_iter().collect();
            let answer = call(&world, &proxy, path, &lines).await.expect(status);
            let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect();
            assert!(matches!(challenges[..], [one] if one.contains(challenge)), "{program:?} {path}: {answer:?}");
            assert_eq!(answer.header("cache-control"), "no-store", "{program:?} {path}: {answer:?}");
            assert_eq!(answer.code().is_empty(), program == Nginx, "Caddy passes on what the edge says, nginx only the status: {answer:?}");
        }
        let method = world.http.post(format!("{}/bills/1", proxy.url())).header("x-api-key", &key.key).body("x");
        http::send(method).await.expect(403);
        world.revoke("demo", &key.id).await;
        eventually(BOUND, async || match call(&world, &proxy, "/orders/1", &[("x-api-key", &key.key)]).await.status {
            401 => Ok(()),
            other => Err(other),
        })
        .await;
        let last = world.system.origin().unwrap().count();
        call(&world, &proxy, "/orders/1", &[("x-api-key", &key.key)]).await.expect(401);
        assert_eq!(world.system.origin().unwrap().count(), last, "nothing of this reaches the origin");
        assert!(last >= reached);
        world.system.stop().await;
    }
}

/// What an application is told of who calls, by name.
const TOLD: [&str; 4] = ["x-keyward-company", "x-keyward-identity", "x-keyward-key", "x-keyward-owner"];

#[tokio::test]
async fn what_a_client_sends_under_keywards_or_a_proxys_names_arrives_nowhere() {
    for program in Program::ALL {
        let (world, proxy) = world(program).await;
        let key = world.key("demo", "jane", json!({})).await.key;
        let far = world.key("demo", "jane", json!({"allowed_ips": ["203.0.113.0/24"]})).await.key;
        let near = world.key("demo", "jane", json!({"allowed_ips": ["127.0.0.0/8"]})).await.key;
        let forged = "X-Keyward-Owner: mallory\r\nx-keyward-OWNER: mallory\r\nX_Keyward_Owner: mallory\r\nX-Keyward_Owner: mallory\r\n\
            X.Keyward.Owner: mallory\r\nX-Keyward-Company: mallory\r\nX-Keyward-Key: mallory\r\nX-Keyward-Identity: mallory\r\n\
            X-Keyward-Permissions: mallory\r\nX-Keyward-Metadata: mallory\r\nX-Keyward-Proxy: mallory\r\n\
            X-Original-URL: /mallory\r\nX-Original-URI: /mallory\r\nX-Original-Method: mallory\r\nX-Rewrite-URL: /mallory\r\n\
            X-HTTP-Method-Override: mallory\r\nX-Forwarded-Method: mallory\r\nX-Forwarded-Uri: /mallory\r\n\
            X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\nCF-Connecting-IP: 203.0.113.7\r\nForwarded: for=203.0.113.7\r\n";
        for (path, credential, status, owner) in [
            ("/public/logo", String::new(), 200, vec![]),
            ("/public/logo", format!("X-Api-Key: {key}\r\n"), 200, vec!["jane"]),
            ("/orders/1", format!("X-Api-Key: {key}\r\n"), 200, vec!["jane"]),
            ("/orders/1", format!("X-Api-Key: {near}\r\n"), 200, vec!["jane"]),
            ("/orders/1", format!("X-Api-Key: {far}\r\n"), 403, vec![]),
            ("/bills/1", format!("X-Api-Key: {key}\r\nX-Original-URI: /orders/1\r\nX-Forwarded-Uri: /orders/1\r\n"), 403, vec![]),
        ] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{forged}{credential}\r\n");
            let (answered, answer) = raw::send(proxy.url(), request.as_bytes()).await;
            assert_eq!(answered, status, "{program:?} {path}: {answer}");
            if status == 200 {
                let received = world.system.origin().unwrap().last().unwrap();
                assert_eq!(received.path, path);
                assert_eq!(received.header("x-keyward-owner"), owner, "{program:?} {path}");
                let names = received.headers.keys().map(|name| name.replace(['_', '.'], "-"));
                let keywards: Vec<_> = names.filter(|name| name.starts_with("x-keyward-")).collect();
                let told: &[&str] = if owner.is_empty() { &[] } else { &TOLD };
                assert_eq!(keywards, told, "{program:?}: {received:?}");
                assert!(!format!("{received:?}").contains("mallory"), "{program:?} {path}: {received:?}");
                assert!(!format!("{received:?}").contains("203.0.113.7"), "{program:?} {path}: {received:?}");
                for name in ["x-original-url", "x-rewrite-url", "x-http-method-override", "forwarded"] {
                    assert!(received.header(name).is_empty(), "{program:?} {name}");
                }
            }
        }
        world.system.stop().await;
    }
}

#[tokio::test]
async fn a_path_with_two_readings_is_refused_and_what_was_judged_is_what_arrives() {
    for program in Program::ALL {
        let (world, proxy) = world(program).await;
        let credential = format!("Connection: close\r\nX-Api-Key: {}\r\n", world.operator);
        for path in [
            "/a/../bills",
            "/%2e%2e/bills",
            "//bills",
            "/bills;x=1",
            "/a%2Fb",
            "/bills.",
            "/a\\b",
            "/a/%252e",
            "/public/../bills",
            "/a#/../bills",
        ] {
            let reached = world.system.origin().unwrap().count();
            let (status, answer) = raw::get(proxy.url(), path, credential.as_bytes()).await;
            // What a program itself cannot read it refuses, too.
            let forwarded = || world.system.origin().unwrap().last().unwrap().path;
            let refused = status == 400 && world.system.origin().unwrap().count() == reached;
            assert!(refused || (path.contains('#') && forwarded() == "/a"), "{program:?} {path}: {answer}");
        }
        for path in ["/", "/a/b/?q=%2F..%2F&x", "/caf%C3%A9", "/a:b@c", "/A/a?", "/a?b=c&&=;%zz"] {
            let (status, answer) = raw::get(proxy.url(), path, credential.as_bytes()).await;
            assert_eq!(status, 200, "{program:?} {path}: {answer}");
            assert_eq!(world.system.origin().unwrap().last().unwrap().path, path, "{program:?}");
        }
        world.system.stop().await;
    }
}

#[tokio::test]
async fn an_outage_is_an_outage_behind_a_proxy_too() {
    for program in Program::ALL {
        let (mut world, proxy) = world(program).await;
        let key = world.key("demo", "jane", json!({})).await.key;
        world.system.kill_control().await;
        world.system.kv().inject(keyward_selfhost::kv::Fault::everywhere(keyward_selfhost::kv::Effect::Fail(500)));
        let answer = call(&world, &proxy, "/orders/1", &[("x-api-key", &key)]).await.expect(503);
        assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{program:?}: {answer:?}");
        world.system.kill_edge(0).await;
        let answer = call(&world, &proxy, "/orders/1", &[("x-api-key", &key)]).await;
        assert!([502, 503].contains(&answer.status), "{program:?}: {answer:?}");
        assert_eq!(world.system.origin().unwrap().count(), 0);
        world.system.stop().await;
    }
}

#[tokio::test]
async fn what_an_edge_can_say_becomes_what_the_proxy_says() {
    // The edge says each of these only now and then; here it is played.
    for program in Program::ALL {
        for (said, heard) in [(400, 400), (401, 401), (403, 403), (429, 429), (503, 503), (404, 500), (500, 503), (302, 503)] {
            let edge = Router::new().fallback(move || async move {
                (StatusCode::from_u16(said).unwrap(), [("retry-after", "7"), ("www-authenticate", "Bearer realm=\"keyward\"")], "said")
            });
            let edge = Served::start(edge, None).await.unwrap();
            let mut origin = Origin::start().await;
            let proxy = program.start(&format!("http://{}", edge.address()), origin.url()).await;
            let answer = http::send(http::client().get(format!("{}/orders/1", proxy.url()))).await;
            let expected = if program == Caddy { said } else { heard };
            assert_eq!(answer.status, expected, "{program:?} {said}: {answer:?}");
            assert_eq!(answer.header("retry-after"), "7", "{program:?} {said}: {answer:?}");
            assert!(origin.is_idle(), "{program:?} {said}");
        }
    }
}

#[tokio::test]
async fn without_the_secret_a_proxy_gets_no_identity_and_passes_on_none() {
    for program in Program::ALL {
        let settings = vec![("FORWARD_AUTH".into(), program.family().into()), ("PROXY_SECRETS".into(), "another-secret-than-that".into())];
        let world = World::with(|options| options.settings = settings).await;
        let proxy = program.start(&world.system.edge_url(), world.system.origin_url()).await;
        let lines = [("x-api-key", &*world.operator), ("x-keyward-owner", "mallory"), ("x-keyward-proxy", "another-secret-than-that")];
        call(&world, &proxy, "/", &lines).await.expect(200);
        let received = world.system.origin().unwrap().last().unwrap();
        assert!(received.header("x-keyward-owner").is_empty(), "{program:?}: {received:?}");
        assert!(!format!("{received:?}").contains(&world.operator), "{program:?}: {received:?}");
        world.system.stop().await;
    }
}

#[tokio::test]
async fn a_cache_in_front_of_the_edge_serves_nobody_what_another_was_answered() {
    let mut origin = Origin::start().await;
    let url = origin.url().to_owned();
    let world = World::with(|options| options.origin = Some(url)).await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/public/**", "anonymous": true}]})).await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    let port = free_port().unwrap();
    let host = world.system.edge_url().replace("http://", "");
    let cache = std::env::temp_dir().join(format!("keyward-cache-{port}"));
    let place = cache.display();
    let caching = format!(
        "proxy_cache_path {place} keys_zone=all:1m;\nserver {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{host}; proxy_cache all;\n\
         add_header X-Cache $upstream_cache_status always; }} }}"
    );
    let proxy = Proxy::nginx_with(port, &caching).await;
    let ask = |key: Option<&str>, path: &str| {
        let request = world.http.get(format!("{}{path}", proxy.url()));
        tokio::spawn(http::send(key.iter().fold(request, |request, key| request.header("x-api-key", *key))))
    };
    let headers = "Cache-Control: public, max-age=600, s-maxage=600\r\nX-Accel-Expires: 600\r\nETag: \"1\"\r\n";
    for (asking, mine) in [(&world.operator, "the operator's"), (&key, "jane's"), (&world.operator, "the operator's again")] {
        let asked = ask(Some(asking), "/orders");
        let request = origin.next().await;
        assert_eq!(request.header("x-keyward-owner").len(), 1);
        request.answer("200 OK", headers, mine).await;
        let answer = asked.await.unwrap().expect(200);
        assert_eq!((&*answer.text, answer.header("x-cache")), (mine, "MISS"));
    }
    for _ in 0..2 {
        let refused = ask(None, "/orders").await.unwrap();
        assert_eq!((refused.verdict(), refused.header("x-cache")), ((401, "missing_credentials".into()), "MISS"), "nor is a refusal kept");
    }
    // What is everybody's may be kept, or this test could not fail.
    let asked = ask(None, "/public/logo");
    origin.next().await.answer("200 OK", headers, "everybody's").await;
    asked.await.unwrap().expect(200);
    let kept = ask(None, "/public/logo").await.unwrap().expect(200);
    assert_eq!((&*kept.text, kept.header("x-cache")), ("everybody's", "HIT"));
    assert!(origin.is_idle());
    world.system.stop().await;
    drop(proxy);
    std::fs::remove_dir_all(cache).unwrap();
}
