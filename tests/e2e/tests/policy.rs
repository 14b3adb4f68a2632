//! The route policy at a real edge: each sentence of its contract, and what a broken one changes: nothing. What single rules match is
//! `shared`'s own table; how fast a change arrives is the staleness tests' business.

use std::time::{Duration, Instant};

use keyward_e2e::{Answer, World, eventually, holds_until, http, world::BOUND};
use keyward_selfhost::kv::{Effect, Entry, Fault};
use keyward_shared::{
    policy::{NAME, Policy, StoredPolicy, VERSION},
    seal,
    secret::SecretList,
    time::Millis,
};
use serde_json::{Value, json};

/// Method, path, headers; then status with the code of a refusal or the owner that the origin is told.
type Case = (&'static str, &'static str, Vec<(&'static str, String)>, u16, &'static str);

async fn sent(world: &World, method: &str, path: &str, headers: &[(&str, String)]) -> Answer {
    let request = world.http.request(method.parse().unwrap(), format!("{}{path}", world.system.edge_url()));
    http::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, value))).await
}

/// What is wrong with the answers to `cases`.
async fn tried(world: &World, cases: &[Case]) -> Vec<String> {
    let mut wrong = Vec::new();
    let origin = world.system.origin().unwrap();
    for (method, path, headers, status, what) in cases {
        let reached = origin.count();
        let answer = sent(world, method, path, headers).await;
        let code = answer.code();
        let passed = answer.status == 200;
        let told = if passed { origin.last().unwrap().header("x-keyward-owner").concat() } else { code };
        let told = if *method == "HEAD" && !passed { (*what).to_owned() } else { told };
        if (answer.status, told.as_str()) != (*status, *what) || (origin.count() > reached) != passed {
            wrong.push(format!("{method} {path} {headers:?}: {status} {what} expected, {told} {answer:?}"));
        }
    }
    wrong
}

async fn takes_effect(world: &World, policy: Value, key: &str, path: &str, status: u16) {
    world.operator("PUT", "/v1/policy", policy).await;
    eventually(BOUND, async || {
        let answer = world.call(key, path).await;
        if answer.status == status { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn each_sentence_about_rules_holds_at_a_real_edge() {
    let world = World::start().await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    let rules = json!([
        {"path": "/api/orders/drafts/**", "permission": "drafts.write"},
        {"methods": ["GET"], "path": "/api/orders/**", "permission": "orders.read"},
        {"path": "/api/*/archive", "permission": "orders.read"},
        {"path": "/public/secret", "permission": "secrets.read"},
        {"path": "/public/**", "anonymous": true},
        {"path": "/app/**", "bearer": "origin"},
        {"methods": ["HEAD"], "path": "/only-head"},
        {"path": "/open"},
    ]);
    takes_effect(&world, json!({"default": "deny", "rules": rules}), &key, "/elsewhere", 403).await;
    let none = Vec::new;
    let with = || vec![("x-api-key", key.clone())];
    let bearer = |text: &str| vec![("authorization", format!("Bearer {text}"))];
    let preflight =
        |announced: &str| vec![("origin", "https://app.example".to_owned()), ("access-control-request-method", announced.to_owned())];
    let cases: Vec<Case> = vec![
        // The first rule that matches wins, also where a later one would let it pass.
        ("GET", "/api/orders/drafts/1", with(), 403, "permission_denied"),
        ("GET", "/api/orders/7", with(), 200, "jane"),
        ("GET", "/public/secret", none(), 401, "missing_credentials"),
        ("GET", "/public/secret", with(), 403, "permission_denied"),
        // `*` is one segment, `**` any number at the end, none included.
        ("POST", "/api/bills/archive", with(), 200, "jane"),
        ("POST", "/api/archive", with(), 403, "permission_denied"),
        ("POST", "/api/a/b/archive", with(), 403, "permission_denied"),
        ("GET", "/api/orders", with(), 200, "jane"),
        ("GET", "/api/orders/7/lines/3", with(), 200, "jane"),
        ("GET", "/api/ordersx", with(), 403, "permission_denied"),
        // No methods: all of them. HEAD follows GET, where nothing is said of HEAD itself.
        ("DELETE", "/open", with(), 200, "jane"),
        ("POST", "/api/orders/7", with(), 403, "permission_denied"),
        ("HEAD", "/api/orders/7", with(), 200, "jane"),
        ("HEAD", "/only-head", with(), 200, "jane"),
        ("GET", "/only-head", with(), 403, "permission_denied"),
        // A preflight goes to the origin without a credential where the request that it announces may follow.
        ("OPTIONS", "/api/orders/7", preflight("GET"), 200, ""),
        ("OPTIONS", "/api/orders/7", none(), 401, "missing_credentials"),
        ("OPTIONS", "/elsewhere", preflight("GET"), 401, "missing_credentials"),
        // Anonymous: without a credential nobody is named, a valid key is, a bad one is refused.
        ("GET", "/public/page", none(), 200, ""),
        ("GET", "/public/page", with(), 200, "jane"),
        ("GET", "/public/page", vec![("x-api-key", "no key".into())], 401, "malformed_key"),
        ("GET", "/public/page", vec![("x-api-key", world.made_up_key("demo", false))], 401, "unknown_key"),
        ("GET", "/public/page", bearer("somebody.elses.token"), 401, "malformed_key"),
        // A Bearer that is no key is the origin's business where the rule says so; keys are verified as ever.
        ("GET", "/app/x", bearer("somebody.elses.token"), 200, ""),
        ("GET", "/app/x", bearer(&key), 200, "jane"),
        ("GET", "/app/x", bearer(&world.made_up_key("demo", false)), 401, "unknown_key"),
        ("GET", "/app/x", bearer(&key[..key.len() - 1]), 401, "malformed_key"),
        ("GET", "/app/x", vec![("x-api-key", "somebody.elses.token".into())], 401, "malformed_key"),
        ("GET", "/app/x", none(), 401, "missing_credentials"),
        ("GET", "/app/x", vec![("authorization", "Basic YTpi".into())], 401, "missing_credentials"),
        ("GET", "/open", bearer("somebody.elses.token"), 401, "malformed_key"),
        // Two readings are refused before any rule.
        ("GET", "/public/a%2Fb", none(), 400, "ambiguous_path"),
        ("GET", "/public//x", with(), 400, "ambiguous_path"),
        // What no rule matches.
        ("GET", "/elsewhere", none(), 401, "missing_credentials"),
        ("GET", "/elsewhere", with(), 403, "permission_denied"),
    ];
    let wrong = tried(&world, &cases).await;
    assert!(wrong.is_empty(), "{wrong:#?}");

    let session = "Bearer  AbC.d-E_f~g+h/i==";
    sent(&world, "GET", "/app/x?a=b", &[("authorization", session.into())]).await.expect(200);
    let received = world.system.origin().unwrap().last().unwrap();
    assert_eq!((received.header("authorization"), received.path.as_str()), (&[session.to_owned()][..], "/app/x?a=b"), "unchanged");
    let named: Vec<_> = received.headers.keys().filter(|name| name.starts_with("x-keyward-")).collect();
    assert!(named.is_empty(), "without an identity: {named:?}");
    sent(&world, "GET", "/app/x", &with()).await.expect(200);
    assert!(world.system.origin().unwrap().last().unwrap().header("authorization").is_empty(), "a key is not passed on");

    takes_effect(&world, json!({"default": "forward", "rules": rules}), &key, "/elsewhere", 200).await;
    let wrong = tried(
        &world,
        &[
            ("GET", "/elsewhere", with(), 200, "jane"),
            ("GET", "/elsewhere", none(), 401, "missing_credentials"),
            ("OPTIONS", "/elsewhere", preflight("GET"), 200, ""),
            ("GET", "/api/orders/drafts/1", with(), 403, "permission_denied"),
        ],
    )
    .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.system.stop().await;
}

#[tokio::test]
async fn an_open_route_is_open_whatever_the_stores_do() {
    let mut world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    let rules = json!([{"path": "/public/**", "anonymous": true}, {"path": "/closed", "permission": "admin"}]);
    takes_effect(&world, json!({"rules": rules}), &world.operator, "/public/page", 200).await;
    eventually(BOUND, async || {
        let answer = world.get("/public/page").await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    world.call(&key, "/public/page").await.expect(200);
    world.system.kv().inject(Fault::everywhere(Effect::Fail(500)));
    world.system.kill_control().await;
    holds_until(Instant::now() + BOUND + Duration::from_secs(3), async || {
        let answer = world.get("/public/page").await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    world.get("/elsewhere").await.refused(503, "verifier_unavailable");
    world.call(&key, "/public/page").await.refused(503, "verifier_unavailable");
    world.call(&world.made_up_key("demo", false), "/public/page").await.refused(401, "unknown_key");
    world.system.stop().await;
}

/// What becomes of a policy that would open everything.
fn broken(secrets: &SecretList) -> Vec<(&'static str, Option<String>)> {
    let open: Policy = serde_json::from_value(json!({"rules": [{"path": "/**", "anonymous": true}]})).unwrap();
    let at = |rev| StoredPolicy { v: VERSION, rev, as_of: Millis(now_ms()), policy: open.clone() };
    let good = at(u64::MAX >> 12).seal(secrets).unwrap();
    let body = &good["1.".len() + 64 + 1..];
    vec![
        ("nothing", None),
        ("an empty value", Some(String::new())),
        ("half of it", Some(good[..good.len() / 2].into())),
        ("corrupt", Some(good.replacen("anonymous", "Anonymous", 1))),
        ("without a MAC", Some(body.into())),
        ("a wrong MAC", Some(at(u64::MAX >> 12).seal(&SecretList::single([9; 32])).unwrap())),
        ("of another schema", Some(seal::seal(secrets, NAME, &body.replacen("\"v\":1", "\"v\":2", 1)))),
        ("with a rule that is none", Some(seal::seal(secrets, NAME, &body.replacen("/**", "public", 1)))),
        ("from the future", Some(StoredPolicy { as_of: Millis(now_ms() + 3_600_000), ..at(u64::MAX >> 12) }.seal(secrets).unwrap())),
    ]
}

fn now_ms() -> u64 {
    keyward_e2e::probe::now_ms()
}

#[tokio::test]
async fn a_broken_policy_in_the_store_leaves_the_last_good_one() {
    let mut world = World::start().await;
    let secrets = SecretList::parse(&world.system.settings().edge["RECORD_SECRETS"]).unwrap();
    world.owner("demo", "jane", &["orders.read"], true).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    let rules = |path: &str| json!({"rules": [{"path": "/public/**", "anonymous": true}, {"path": path, "permission": "admin"}]});
    takes_effect(&world, rules("/closed/**"), &key, "/closed/x", 403).await;
    let put = |world: &World, value: Option<String>| match value {
        Some(text) => world.system.kv().put(NAME, &Entry { value: text.into_bytes(), ..Entry::default() }).unwrap(),
        None => world.system.kv().delete(NAME).unwrap(),
    };
    let good = async |world: &World, what: &str| {
        world.call(&key, "/closed/x").await.refused(403, "permission_denied");
        world.get("/closed/x").await.refused(401, "missing_credentials");
        assert_eq!(world.get("/public/page").await.status, 200, "{what}");
        assert_eq!(world.call(&key, "/elsewhere").await.status, 200, "{what}");
    };
    for (what, value) in broken(&secrets) {
        // An edge that knows none asks the Registry.
        put(&world, value.clone());
        world.system.kill_edge(0).await;
        world.system.start_edge(0).await.unwrap();
        good(&world, what).await;
    }
    // An edge that knows one hears of a new one, finds a broken one, and gets the new one from the Registry.
    for (at, (what, value)) in broken(&secrets).into_iter().enumerate() {
        let path = format!("/closed-{at}/**");
        world.operator("PUT", "/v1/policy", rules(&path)).await;
        eventually(BOUND, async || {
            put(&world, value.clone());
            let answer = world.call(&key, &format!("/closed-{at}/x")).await;
            if answer.status == 403 { Ok(()) } else { Err((what, answer)) }
        })
        .await;
    }
    // With the Registry away the last good one is kept, until the bound.
    takes_effect(&world, rules("/closed/**"), &key, "/closed/x", 403).await;
    good(&world, "before the Registry goes").await;
    world.system.kill_control().await;
    let gone = Instant::now();
    for (what, value) in broken(&secrets) {
        put(&world, value);
        let answer = world.call(&key, "/closed/x").await;
        let late = gone.elapsed() > BOUND / 2 && answer.status == 503;
        assert!(late || answer.verdict() == (403, "permission_denied".into()), "{what}: {answer:?}");
        assert_eq!(world.get("/public/page").await.status, 200, "{what}");
        assert_ne!(world.get("/closed/x").await.status, 200, "{what}");
    }
    world.system.kill_edge(0).await;
    world.system.start_edge(0).await.unwrap();
    world.get("/public/page").await.refused(503, "verifier_unavailable");
    world.system.stop().await;
}
