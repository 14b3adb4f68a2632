//! What an origin is told of who calls: the token that the edge signs, read by other people's libraries through the key set, by the crate for Rust,
//! and through a rotation of the key.

use std::{fs, process::Command, sync::Arc, time::Duration};

use axum::{Extension, Router, body::Body, extract::State, http::Response, routing::get};
use keyward_e2e::{
    Answer, World, build, eventually,
    foreign::{ForeignOrigin, Language},
    http, raw,
    signer::{draw, forgeries, key_of, now, part, resigned},
    world::BOUND,
};
use keyward_origin::{HttpKeys, Identity, IdentityLayer, Settings, Verifier};
use keyward_selfhost::listen::{Served, free_port};
use reqwest::Client;
use serde_json::{Value, json};

const SECRET: &str = "the secret of a proxy";
const KEY_SET: &str = "/.keyward/jwks.json";

/// A world whose proxies may ask, which is how tests get a token to look at; with these settings besides.
async fn world_with(settings: &[(&str, &str)]) -> World {
    World::with(|options| {
        let all = [("FORWARD_AUTH", "original"), ("PROXY_SECRETS", SECRET)];
        options.settings = all.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    })
    .await
}

async fn ask_as_a_proxy(world: &World, key: &str, secret: &str) -> Answer {
    let ask = world.http.get(format!("{}/.keyward/forward-auth/original", world.system.edge_url()));
    let ask = ask.header("x-original-method", "GET").header("x-original-uri", "/").header("x-keyward-proxy", secret);
    http::send(ask.header("x-api-key", key)).await
}

/// The token that the edge sends for a key.
async fn token_of(world: &World, key: &str) -> String {
    let answer = ask_as_a_proxy(world, key, SECRET).await.expect(200);
    let token = answer.header("x-keyward-identity");
    assert_eq!(token.split('.').count(), 3, "{answer:?}\n{}", world.system.log_tails());
    token.to_owned()
}

/// What the demo origin received last under a name.
fn received(world: &World, name: &str) -> Vec<String> {
    world.system.origin().unwrap().last().unwrap().header(name).to_vec()
}

async fn with_tokens(client: &Client, url: &str, tokens: &[String]) -> Answer {
    http::send(tokens.iter().fold(client.get(url), |request, token| request.header("x-keyward-identity", token))).await
}

/// Whom the origin at `url` takes the caller for, if it lets them in.
fn told(answer: &Answer) -> Value {
    answer.clone().expect(200).json()
}

#[tokio::test]
async fn the_token_says_what_the_key_may_do_now() {
    let world = world_with(&[("IDENTITY_ISSUER", "https://edge.example"), ("IDENTITY_AUDIENCE", "orders")]).await;
    world.company("acme").await;
    world.owner("acme", "ann|1", &["orders.*", "bills.read"], true).await;
    let key = world.key("acme", "ann|1", json!({"permissions": ["orders.read", "bills.read"]})).await;
    world.call(&key.key, "/").await.expect(200);
    let cold = received(&world, "x-keyward-identity");
    world.call(&key.key, "/").await.expect(200);
    let warm = received(&world, "x-keyward-identity");
    assert_eq!((cold.len(), &cold), (1, &warm), "signed once");
    let (header, claims) = (part(&cold[0], 0), part(&cold[0], 1));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
    let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!(iat.abs_diff(now()) < 10 && exp == iat + 60, "{claims}");
    let expected = json!({
        "iss": "https://edge.example", "aud": "orders", "sub": "ann|1", "company": "acme", "permissions": ["bills.read", "orders.read"],
        "act": {"sub": key.id}, "iat": iat, "exp": exp,
    });
    assert_eq!(claims, expected);
    for plain in ["x-keyward-permissions", "x-keyward-metadata"] {
        assert!(received(&world, plain).is_empty(), "{plain} was not asked for");
    }

    world.owner("acme", "ann|1", &["orders.read"], true).await;
    eventually(BOUND, async || {
        world.call(&key.key, "/").await.expect(200);
        let claims = part(&received(&world, "x-keyward-identity")[0], 1);
        if claims["permissions"] == json!(["orders.read"]) { Ok(()) } else { Err(claims) }
    })
    .await;
    let ends = now() + 20;
    let at = jiff::Timestamp::from_second(i64::try_from(ends).unwrap()).unwrap().to_string();
    let short = world.key("acme", "ann|1", json!({"expires_at": at})).await;
    assert_eq!(part(&token_of(&world, &short.key).await, 1)["exp"], ends, "not longer than the key");
    world.system.stop().await;
}

#[tokio::test]
async fn the_largest_token_arrives_whole() {
    let world = world_with(&[]).await;
    let permissions: Vec<String> = (0..100).map(|n| format!("{n:0>3}.{}", "x".repeat(96))).collect();
    let names: Vec<&str> = permissions.iter().map(String::as_str).collect();
    world.owner("demo", "jane", &names, true).await;
    let key = world.key("demo", "jane", json!({})).await;
    for _ in 0..2 {
        world.call(&key.key, "/").await.expect(200);
        let token = received(&world, "x-keyward-identity").concat();
        assert!((13_000..15_000).contains(&token.len()), "{}", token.len());
        let verifier = verifier(&format!("{}{KEY_SET}", world.system.edge_url()));
        assert_eq!(verifier.verify(&token).await.unwrap().permissions(), permissions);
    }
    world.system.stop().await;
}

#[tokio::test]
async fn permissions_and_metadata_are_headers_where_a_setting_asks_for_them() {
    let world = world_with(&[("IDENTITY_HEADERS", "permissions,metadata"), ("IDENTITY_KEYS", "")]).await;
    let metadata = json!({"plan": "größer 🗝", "line": "a\r\nX-Injected: 1", "del": "\u{7f}"});
    let key = world.key("demo", "admin", json!({"permissions": ["orders.read", "bills.*"], "metadata": metadata})).await;
    for _ in 0..2 {
        world.call(&key.key, "/").await.expect(200);
        assert_eq!(received(&world, "x-keyward-permissions"), ["bills.* orders.read"]);
        let sent = received(&world, "x-keyward-metadata");
        assert!(sent.len() == 1 && sent[0].bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{sent:?}");
        assert_eq!(serde_json::from_str::<Value>(&sent[0]).unwrap(), metadata);
        assert!(received(&world, "x-injected").is_empty());
    }
    let answer = ask_as_a_proxy(&world, &key.key, SECRET).await.expect(200);
    assert_eq!((answer.header("x-keyward-permissions"), answer.header("x-keyward-identity")), ("bills.* orders.read", ""));
    world.system.stop().await;
}

#[tokio::test]
async fn only_a_proxy_with_the_secret_gets_the_token_whether_the_key_is_warm_or_not() {
    let world = world_with(&[]).await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let key = world.key("demo", "admin", json!({})).await;
        for (secret, given) in [("not the secret of a proxy", false), (SECRET, true), ("", false), (SECRET, true)] {
            let answer = ask_as_a_proxy(&world, &key.key, secret).await.expect(200);
            for name in ["x-keyward-owner", "x-keyward-company", "x-keyward-key", "x-keyward-identity"] {
                assert_eq!(!answer.header(name).is_empty(), given, "{name} for {secret:?}: {answer:?}");
            }
            assert_eq!((answer.header("cache-control"), answer.text.as_str()), ("no-store", ""));
        }
        let cold = world.key("demo", "admin", json!({})).await;
        tokens.extend([token_of(&world, &key.key).await, token_of(&world, &cold.key).await]);
        assert_eq!(tokens.last().unwrap(), &token_of(&world, &cold.key).await, "the same when it is warm");
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 4, "each key has its own");
    world.system.stop().await;
}

#[tokio::test]
async fn a_crowd_of_first_requests_gets_one_token() {
    let world = Arc::new(world_with(&[]).await);
    let key = world.key("demo", "admin", json!({})).await;
    token_of(&world, &world.operator.clone()).await;
    let crowd: Vec<_> = (0..60)
        .map(|_| {
            let (world, key) = (Arc::clone(&world), key.key.clone());
            tokio::spawn(async move { token_of(&world, &key).await })
        })
        .collect();
    let mut tokens = Vec::new();
    for one in crowd {
        tokens.push(one.await.unwrap());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
}

#[tokio::test]
async fn nothing_of_a_clients_identity_arrives_over_a_raw_socket_either() {
    let world = World::start().await;
    let edge = world.system.edge_url();
    world.call(&world.operator, "/").await.expect(200);
    let lines = "X-Keyward-Identity: forged\r\nx-keyward-identity: forged\r\nX-KEYWARD-IDENTITY:forged\r\nX_Keyward_Identity: forged\r\n\
                 x-keyward_identity: forged\r\nConnection: x-keyward-identity\r\n";
    for credential in [format!("x-api-key: {}\r\n", world.operator), String::new()] {
        let reached = world.system.origin().unwrap().count();
        let request = format!("GET / HTTP/1.1\r\nHost: edge.example\r\n{credential}{lines}\r\n");
        let (status, answer) = raw::send(&edge, request.as_bytes()).await;
        if credential.is_empty() {
            assert_eq!((status, world.system.origin().unwrap().count()), (401, reached), "{answer}");
            continue;
        }
        assert_eq!(status, 200, "{answer}");
        let everything = format!("{:?}", world.system.origin().unwrap().last().unwrap());
        assert!(!everything.contains("forged"), "{everything}");
        assert_eq!(received(&world, "x-keyward-identity").len(), 1, "not taken away by Connection: {everything}");
    }
    // Where nobody is known, there is no identity.
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/open/**", "anonymous": true}]})).await;
    eventually(BOUND, async || {
        let (status, _) = raw::send(&edge, format!("GET /open/x HTTP/1.1\r\nHost: edge.example\r\n{lines}\r\n").as_bytes()).await;
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;
    let last = format!("{:?}", world.system.origin().unwrap().last().unwrap());
    assert!(!last.contains("forged") && !last.contains("keyward-identity"), "{last}");
    world.system.stop().await;
}

#[tokio::test]
async fn the_key_set_is_public_and_holds_nothing_private() {
    let keys = [draw(), draw()];
    let world = world_with(&[("IDENTITY_KEYS", &json!({"keys": keys}).to_string())]).await;
    let url = format!("{}{KEY_SET}", world.system.edge_url());
    let answer = http::send(world.http.get(&url)).await.expect(200);
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/jwk-set+json", "public, max-age=300"));
    assert!(!answer.header("x-request-id").is_empty());
    let set = answer.json();
    for (published, key) in set["keys"].as_array().unwrap().iter().zip(&keys) {
        let kid = published["kid"].as_str().unwrap();
        let expected = json!({"kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"], "kid": kid, "use": "sig", "alg": "ES256"});
        assert_eq!((published, kid.len()), (&expected, 43), "named by its thumbprint");
    }
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    let head = http::send(world.http.head(&url)).await.expect(200);
    assert_eq!((head.header("content-type"), head.text.as_str()), ("application/jwk-set+json", ""));
    assert_eq!(http::send(world.http.post(&url)).await.expect(405).header("allow"), "GET, HEAD");
    http::send(world.http.get(format!("{url}/"))).await.refused(404, "not_found");
    for key in &keys {
        let d = key["d"].as_str().unwrap();
        assert!(!answer.text.contains(d) && !world.system.log_tails().contains(d));
    }
    world.system.stop().await;
}

#[tokio::test]
async fn where_there_is_no_key_nothing_is_signed_and_nothing_published() {
    let world = world_with(&[("IDENTITY_KEYS", "")]).await;
    world.call(&world.operator, "/").await.expect(200);
    assert_eq!((received(&world, "x-keyward-owner"), received(&world, "x-keyward-identity")), (vec!["admin".to_owned()], vec![]));
    let answer = ask_as_a_proxy(&world, &world.operator, SECRET).await.expect(200);
    assert_eq!((answer.header("x-keyward-owner"), answer.header("x-keyward-identity")), ("admin", ""));
    world.get(KEY_SET).await.refused(404, "not_found");
    world.system.stop().await;
}

#[tokio::test]
async fn a_key_that_cannot_be_used_stops_the_edge_and_is_not_told() {
    let (mut mismatched, mut off_the_curve) = (draw(), draw());
    mismatched["d"] = draw()["d"].clone();
    off_the_curve["y"] = draw()["y"].clone();
    for (keys, detail) in [
        (draw().to_string(), "must be a list"),
        (json!([draw(), mismatched]).to_string(), "key 2 is no key pair on the curve P-256"),
        (json!([off_the_curve]).to_string(), "key 1 is no key pair on the curve P-256"),
        (format!("[{}", draw()), "must be JSON"),
    ] {
        let world = world_with(&[("IDENTITY_KEYS", &keys)]).await;
        for _ in 0..2 {
            world.call(&world.operator, "/").await.refused(503, "verifier_unavailable");
            world.get(KEY_SET).await.refused(503, "verifier_unavailable");
            world.get("/.keyward/health").await.refused(503, "verifier_unavailable");
        }
        assert_eq!(world.system.origin().unwrap().count(), 0);
        let told = world.system.log_tails();
        assert!(told.contains(&format!("setting IDENTITY_KEYS: {detail}")), "{told}");
        for secret in keys.split('"').filter(|text| text.len() == 43) {
            assert!(!told.contains(secret), "{told}");
        }
        world.system.stop().await;
    }
}

#[tokio::test]
async fn a_request_whose_token_cannot_be_signed_is_refused() {
    let folder = build::output().join(format!("identity-broken-{}", free_port().unwrap()));
    let workers = build::installation().workers;
    fs::create_dir_all(folder.join("edge")).unwrap();
    copy(&workers.join("edge"), &folder.join("edge"));
    std::os::unix::fs::symlink(workers.join("control"), folder.join("control")).unwrap();
    let module = folder.join("edge/identity_keys.mjs");
    let sound = fs::read_to_string(&module).unwrap();
    let broken =
        sound.replace("return { kid, signing, ", "return { kid, signing: verifying, ").replace("let signing;", "let signing, verifying;");
    let broken = broken.replace("const verifying = ", "verifying = ");
    assert!(broken.contains("signing: verifying") && !broken.contains("const verifying"), "the module changed: so must this test");
    fs::write(module, broken).unwrap();
    let world = World::with(|options| {
        options.installation.workers.clone_from(&folder);
        options.settings = vec![("FORWARD_AUTH".into(), "original".into()), ("PROXY_SECRETS".into(), SECRET.into())];
    })
    .await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/open/**", "anonymous": true}]})).await;
    for _ in 0..3 {
        world.call(&world.operator, "/").await.refused(503, "verifier_unavailable");
        ask_as_a_proxy(&world, &world.operator, SECRET).await.refused(503, "verifier_unavailable");
    }
    assert_eq!(world.system.origin().unwrap().count(), 0, "none went on without");
    ask_as_a_proxy(&world, &world.operator, "another").await.expect(200);
    eventually(BOUND, async || {
        let answer = world.get("/open/x").await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    assert!(world.system.log_tails().contains("edge.identity"), "{}", world.system.log_tails());
    world.system.stop().await;
    fs::remove_dir_all(folder).unwrap();
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry, &target);
        } else {
            fs::copy(entry, target).unwrap();
        }
    }
}

#[test]
fn identities_are_prepared_as_their_own_tests_say() {
    let test = build::repository().join("edge/js/identity.test.mjs");
    let output = Command::new("node").args(["--test", "--test-reporter=tap"]).arg(test).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && told.contains("\nok 30 ") && told.contains("\n# fail 0\n");
    assert!(passed, "{told}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The crate for Rust, as shipped.
fn verifier(key_set: &str) -> Verifier<HttpKeys> {
    Verifier::new(Settings::new("keyward", "keyward-origin"), HttpKeys::new(key_set).unwrap())
}

/// The origin in Rust: who calls, as JSON. It ends when the second part is dropped.
async fn rust_origin(port: u16, key_set: &str) -> Served {
    let verifier = verifier(key_set);
    let greet = async |Extension(identity): Extension<Identity>| {
        let permissions = identity.permissions();
        json!({"owner": identity.owner(), "company": identity.company(), "key": identity.key_id(), "permissions": permissions}).to_string()
    };
    let router = Router::new().route("/", get(greet)).layer(IdentityLayer::new(verifier));
    Served::start(router, Some(port)).await.unwrap()
}

/// An origin of any kind; it ends when it is dropped.
#[expect(dead_code, reason = "held until its test is over")]
enum Origin {
    Rust(Served),
    Foreign(ForeignOrigin),
}

async fn start(language: Option<Language>, port: u16, key_set: &str) -> Origin {
    match language {
        None => Origin::Rust(rust_origin(port, key_set).await),
        Some(language) => Origin::Foreign(ForeignOrigin::start(language, port, key_set).await),
    }
}

/// The crate for Rust, and the languages of `docs/identity.md` that this machine has.
fn kinds() -> impl Iterator<Item = Option<Language>> {
    [Language::Node, Language::Python, Language::DotNet].into_iter().filter(|language| language.is_here()).map(Some).chain([None])
}

#[tokio::test]
async fn an_origin_of_any_kind_lets_in_whom_the_edge_let_in_and_nobody_else() {
    for kind in kinds() {
        let port = free_port().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let world = World::with(|options| {
            options.origin = Some(url.clone());
            options.settings = vec![("FORWARD_AUTH".into(), "original".into()), ("PROXY_SECRETS".into(), SECRET.into())];
        })
        .await;
        world.company("acme").await;
        world.owner("acme", "ann", &["orders.*", "bills.read"], true).await;
        let key = world.key("acme", "ann", json!({})).await;
        let _origin = start(kind, port, &format!("{}{KEY_SET}", world.system.edge_url())).await;
        let ann = json!({"owner": "ann", "company": "acme", "key": key.id, "permissions": ["bills.read", "orders.*"]});
        for _ in 0..2 {
            assert_eq!(told(&world.call(&key.key, "/").await), ann, "{kind:?}");
        }
        let token = token_of(&world, &key.key).await;
        assert_eq!(told(&with_tokens(&world.http, &url, std::slice::from_ref(&token)).await), ann, "{kind:?}");
        let own = key_of(&world);
        let changed = [resigned(&token, &json!({"sub": "bob"}), &own)];
        assert_eq!(
            told(&with_tokens(&world.http, &url, &changed).await)["owner"],
            "bob",
            "{kind:?}: forgeries are of a token that would be good"
        );
        for (what, tokens) in forgeries(&token, &own) {
            let answer = with_tokens(&world.http, &url, &tokens).await;
            assert_eq!(answer.status, 401, "{kind:?}, {what}: {answer:?}");
        }
        assert_eq!(told(&world.call(&key.key, "/").await), ann, "{kind:?}: it is well");
        world.system.stop().await;
    }
}

#[tokio::test]
async fn an_origin_that_cannot_get_the_keys_says_so_and_works_when_it_can() {
    for kind in kinds() {
        let port = free_port().unwrap();
        let keys = KeysOnTheWay::start().await;
        let world = World::with(|options| options.origin = Some(format!("http://127.0.0.1:{port}"))).await;
        keys.lead_to(None);
        let _origin = start(kind, port, &keys.url()).await;
        let answer = world.call(&world.operator, "/").await;
        assert_eq!(answer.status, 503, "{kind:?}: {answer:?}");
        keys.lead_to(Some(&world.system.edge_url()));
        eventually(Duration::from_mins(1), async || {
            let answer = world.call(&world.operator, "/").await;
            if answer.status == 200 { Ok(()) } else { Err(answer) }
        })
        .await;
        world.system.stop().await;
    }
}

/// The key set on its way from the edge to an origin: tests count who fetches it, and cut it off.
struct KeysOnTheWay {
    served: Served,
    way: Arc<std::sync::Mutex<Way>>,
}

#[derive(Default)]
struct Way {
    edge: Option<String>,
    fetched: usize,
}

impl KeysOnTheWay {
    async fn start() -> Self {
        let way = Arc::new(std::sync::Mutex::new(Way::default()));
        let router = Router::new().fallback(Self::pass_on).with_state(Arc::clone(&way));
        Self { served: Served::start(router, None).await.unwrap(), way }
    }

    async fn pass_on(State(way): State<Arc<std::sync::Mutex<Way>>>) -> Response<Body> {
        let edge = way.lock().unwrap().edge.clone();
        let Some(edge) = edge else { return Response::builder().status(500).body(Body::empty()).unwrap() };
        let set = http::send(http::client().get(format!("{edge}{KEY_SET}"))).await.expect(200);
        way.lock().unwrap().fetched += 1;
        Response::builder().header("content-type", set.header("content-type")).body(Body::from(set.text)).unwrap()
    }

    fn url(&self) -> String {
        format!("http://{}{KEY_SET}", self.served.address())
    }

    fn lead_to(&self, edge: Option<&str>) {
        self.way.lock().unwrap().edge = edge.map(ToOwned::to_owned);
    }

    fn fetched(&self) -> usize {
        self.way.lock().unwrap().fetched
    }
}

/// Starts the edge anew with these keys.
async fn turn_to(world: &mut World, keys: &[&Value]) {
    world.system.stop_edge(0).await;
    world.system.change_edge("IDENTITY_KEYS", &json!(keys).to_string());
    world.system.start_edge(0).await.unwrap();
}

#[tokio::test]
async fn through_a_rotation_an_origin_that_kept_the_key_set_refuses_nobody() {
    let (old, new) = (draw(), draw());
    let ports: Vec<_> = kinds().map(|kind| (kind, free_port().unwrap())).collect();
    let mut world = world_with(&[("IDENTITY_KEYS", &json!([old]).to_string())]).await;
    let key = world.key("demo", "admin", json!({})).await;
    let keys = KeysOnTheWay::start().await;
    let edge = world.system.edge_url();
    keys.lead_to(Some(&edge));
    let kid = |token: &str| part(token, 0)["kid"].clone();

    let first = token_of(&world, &key.key).await;
    // The new key is published, and does not sign yet.
    turn_to(&mut world, &[&old, &new]).await;
    let second = token_of(&world, &key.key).await;
    assert_eq!(kid(&first), kid(&second));
    let mut origins = Vec::new();
    for (kind, port) in &ports {
        origins.push(start(*kind, *port, &keys.url()).await);
        for token in [&first, &second] {
            told(&with_tokens(&world.http, &format!("http://127.0.0.1:{port}"), std::slice::from_ref(token)).await);
        }
    }
    // From now on nobody can fetch anything: what the origins have kept must do.
    keys.lead_to(None);
    let fetched = keys.fetched();
    assert_eq!(fetched, ports.len(), "once each");
    turn_to(&mut world, &[&new, &old]).await;
    let third = token_of(&world, &key.key).await;
    assert_ne!(kid(&third), kid(&first));
    turn_to(&mut world, &[&new]).await;
    let fourth = token_of(&world, &key.key).await;
    assert_eq!(kid(&fourth), kid(&third));
    for (kind, port) in &ports {
        for token in [&third, &second, &fourth] {
            let answer = with_tokens(&world.http, &format!("http://127.0.0.1:{port}"), std::slice::from_ref(token)).await;
            assert_eq!(answer.status, 200, "{kind:?}: {answer:?}");
        }
    }
    assert_eq!(keys.fetched(), fetched);
    // One that comes later knows the new key alone: the old one's tokens are over.
    keys.lead_to(Some(&edge));
    let port = free_port().unwrap();
    let _origin = start(None, port, &keys.url()).await;
    let url = format!("http://127.0.0.1:{port}");
    with_tokens(&world.http, &url, std::slice::from_ref(&fourth)).await.expect(200);
    with_tokens(&world.http, &url, std::slice::from_ref(&second)).await.expect(401);
    world.system.stop().await;
}

#[tokio::test]
async fn a_permission_means_to_an_origin_what_it_means_to_the_edge() {
    let world = world_with(&[]).await;
    let token = token_of(&world, &world.operator).await;
    let own = key_of(&world);
    let verifier = verifier(&format!("{}{KEY_SET}", world.system.edge_url()));
    let names = [
        "*",
        "a",
        "a.*",
        "a.b",
        "a.b.*",
        "a.b.c",
        "ab.c",
        "keyward.*",
        "keyward.keys",
        "keyward.keys.own",
        "keyward.operator",
        "keyward",
        "keywards.x",
    ];
    for held in names {
        let identity = verifier.verify(&resigned(&token, &json!({"permissions": [held]}), &own)).await.unwrap();
        let set = keyward_shared::permission::PermissionSet::parse([held]).unwrap();
        for asked in names {
            assert_eq!(identity.may(asked), set.allows_str(asked), "{held} {asked}");
        }
    }
    world.system.stop().await;
}
