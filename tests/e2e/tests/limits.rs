//! What keeps callers out besides the key itself: networks, the tiers of keys, and a limit on those who fail.

use std::{fs, process::Command, time::Duration};

use keyward_e2e::{Answer, World, build, eventually, http, world::BOUND};
use keyward_selfhost::{
    Options, arrangement,
    listen::free_port,
    process::{Launch, Process},
};
use serde_json::{Value, json};

fn set(settings: &[(&str, &str)]) -> impl FnOnce(&mut Options) {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    |options| options.settings = settings
}

#[test]
fn limits_are_kept_as_their_own_tests_say() {
    for (test, passed) in [("edge/js/limits.test.mjs", 10), ("edge/js/address.test.mjs", 3), ("edge/src/worker/shape.test.mjs", 5)] {
        let output = Command::new("node").args(["--test", "--test-reporter=tap"]).arg(build::repository().join(test)).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let all = output.status.success() && told.contains(&format!("\n# pass {passed}\n")) && told.contains("\n# fail 0\n");
        assert!(all, "{test}:\n{told}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

const PROXY_SECRET: &str = "a secret that only the proxy of this test knows";

/// Sends `headers` with `key`, and says whether the network was right.
async fn from(world: &World, key: &str, headers: &[(&str, &str)]) -> bool {
    let request = world.http.get(world.system.edge_url()).header("x-api-key", key);
    let answer = http::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await;
    match answer.verdict() {
        (200, _) => true,
        (403, code) if code == "ip_not_allowed" => false,
        _ => panic!("{headers:?}: {answer:?}"),
    }
}

/// Addresses, and whether a key of `10.0.0.0/8` and `2001:db8::/32` may be used from there.
const ADDRESSES: [(&str, bool); 12] = [
    ("10.1.2.3", true),
    ("::ffff:10.1.2.3", true),
    ("::FFFF:0A01:0203", true),
    ("2001:db8::1", true),
    ("2001:0DB8:0:0:0:0:0:1", true),
    ("11.1.2.3", false),
    ("::ffff:11.1.2.3", false),
    ("::10.1.2.3", false),
    ("2001:db9::1", false),
    ("010.1.2.3", false),
    ("10.1.2.3, 10.1.2.4", false),
    ("unknown", false),
];

async fn office_key(world: &World) -> String {
    world.owner("demo", "jane", &["orders.*"], true).await;
    world.key("demo", "jane", json!({"allowed_ips": ["10.0.0.0/8", "2001:db8::/32"]})).await.key
}

#[tokio::test]
async fn on_cloudflare_the_address_is_the_one_that_the_platform_names() {
    let world = World::with(set(&[("CLIENT_ADDRESS", "cloudflare")])).await;
    let key = office_key(&world).await;
    for (address, inside) in ADDRESSES {
        assert_eq!(from(&world, &key, &[("cf-connecting-ip", address)]).await, inside, "{address}");
    }
    for other in ["x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip"] {
        assert!(!from(&world, &key, &[(other, "10.1.2.3")]).await, "{other}");
        assert!(!from(&world, &key, &[("cf-connecting-ip", "11.1.2.3"), (other, "10.1.2.3")]).await, "{other}");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn behind_a_proxy_the_address_is_the_one_that_it_added_if_it_knows_the_secret() {
    let world = World::with(set(&[("CLIENT_ADDRESS", "proxy"), ("PROXY_SECRETS", PROXY_SECRET)])).await;
    let key = office_key(&world).await;
    let proxy = ("x-keyward-proxy", PROXY_SECRET);
    for (address, inside) in ADDRESSES {
        assert_eq!(from(&world, &key, &[proxy, ("x-real-ip", address)]).await, inside, "{address}");
        assert!(!from(&world, &key, &[("x-real-ip", address)]).await, "without the secret: {address}");
        assert!(!from(&world, &key, &[("x-real-ip", address), ("x-keyward-proxy", "another secret of such a length")]).await, "{address}");
    }
    for (forwarded, inside) in [("10.1.2.3", true), ("11.1.1.1, 10.1.2.3", true), ("10.1.2.3, 11.1.1.1", false), ("10.1.2.3,", false)] {
        assert_eq!(from(&world, &key, &[proxy, ("x-forwarded-for", forwarded)]).await, inside, "{forwarded}");
    }
    assert!(!from(&world, &key, &[proxy, ("cf-connecting-ip", "10.1.2.3")]).await);
    world.system.stop().await;
}

#[tokio::test]
async fn on_a_plain_runtime_the_address_is_the_sockets_of_either_family_and_nothing_that_a_client_says() {
    let world = World::start().await;
    let office = office_key(&world).await;
    let key = |networks: Value| world.key("demo", "jane", json!({"allowed_ips": networks}));
    let (four, six) = (key(json!(["127.0.0.0/8"])).await.key, key(json!(["::1"])).await.key);
    for name in ["cf-connecting-ip", "x-real-ip", "x-forwarded-for", "x-keyward-client"] {
        assert!(!from(&world, &office, &[(name, "10.1.2.3")]).await, "{name}");
        assert!(from(&world, &four, &[(name, "10.1.2.3")]).await, "{name}");
    }
    assert!(!from(&world, &six, &[]).await);

    // The same edge on a socket of both families, where an IPv4 client has a mapped address.
    let installation = build::installation();
    let port = free_port().unwrap();
    let mut config = arrangement::edge(installation.modules("edge").unwrap(), &world.system.settings().edge, world.system.links(), port);
    config.sockets[0].address = format!("*:{port}");
    let folder = world.system.folder().path();
    let file = folder.join("both-families.capnp");
    fs::write(&file, config.to_text()).unwrap();
    let launch = Launch {
        name: "both families",
        workerd: installation.workerd().unwrap(),
        config: &file,
        log: folder.join("both-families.log"),
        pid_file: folder.join("both-families.pid"),
        sockets: 1,
    };
    let process = Process::start(launch).await.unwrap();
    for (host, key, status) in [
        ("127.0.0.1", &four, 200),
        ("127.0.0.1", &six, 403),
        ("127.0.0.1", &office, 403),
        ("[::1]", &six, 200),
        ("[::1]", &four, 403),
        ("[::1]", &office, 403),
    ] {
        http::send(world.http.get(format!("http://{host}:{port}/")).header("x-api-key", key)).await.expect(status);
    }
    process.stop().await;
    world.system.stop().await;
}

/// How many of so many requests are let in; the others are refused by the limit.
async fn let_in(requests: usize, send: impl AsyncFn() -> Answer) -> usize {
    let mut passed = 0;
    for _ in 0..requests {
        match send().await {
            answer if answer.status == 200 => passed += 1,
            answer => answer.refused(429, "rate_limited"),
        }
    }
    passed
}

#[tokio::test]
async fn a_key_may_make_as_many_requests_as_its_tier_allows() {
    let tiers = [("RATE_LIMITS", "tiny=TINY_LIMIT 3/60, wide=WIDE_LIMIT 1000/60"), ("FORWARD_AUTH", "original")];
    let world = World::with(set(&tiers)).await;
    world.owner("demo", "jane", &["orders.*"], true).await;
    let key = async |tier: Option<&str>| world.key("demo", "jane", json!({"rate_limit": tier})).await;
    let (tiny, other, wide, free) = (key(Some("tiny")).await, key(Some("tiny")).await, key(Some("wide")).await, key(None).await);

    // A window may end meanwhile, so of ten requests three to six are let in.
    let passed = let_in(10, async || world.call(&tiny.key, "/").await).await;
    assert!((3..=6).contains(&passed), "{passed}");
    let reached = world.system.origin().unwrap().count();
    let refused = world.call(&tiny.key, "/").await.expect(429);
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit-policy")), ("60", "\"tiny\";q=3;w=60"));
    assert_eq!(world.system.origin().unwrap().count(), reached, "nothing of it reaches the origin");
    for key in [&wide, &free] {
        assert_eq!(let_in(10, async || world.call(&key.key, "/").await).await, 10, "others have limits of their own, or none");
    }

    // A proxy that asks is told the same.
    let asked = async || {
        let request = world.http.get(format!("{}/.keyward/forward-auth/original", world.system.edge_url()));
        http::send(request.header("x-original-method", "GET").header("x-original-uri", "/").header("x-api-key", &other.key)).await
    };
    let passed = let_in(10, asked).await;
    assert!((3..=6).contains(&passed), "{passed}");

    // Each is a use of the key, let in or refused.
    let expected = (passed as u64, 10 - passed as u64);
    eventually(BOUND * 2, async || {
        let usage = world.operator("GET", &format!("/v1/keys/{}/usage", other.id), Value::Null).await.json();
        let sum = |field: &str| usage["buckets"].as_array().unwrap().iter().map(|bucket| bucket[field].as_u64().unwrap()).sum::<u64>();
        if (sum("allowed"), sum("refused")) == expected { Ok(()) } else { Err(usage) }
    })
    .await;

    // Another tier takes effect like every change.
    world.operator("PATCH", &format!("/v1/keys/{}", tiny.id), json!({"rate_limit": "wide"})).await;
    eventually(BOUND, async || {
        let answer = world.call(&tiny.key, "/").await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;

    // The control plane knows the tiers.
    let new = json!({"name": "A", "owner": "jane", "rate_limit": "gold"});
    let unknown = world.control(&world.operator, "POST", "/v1/keys", new).await;
    unknown.refused(422, "unprocessable");
    assert_eq!(unknown.json()["errors"][0], json!({"field": "rate_limit", "detail": "must be one of tiny, wide"}));
    let path = format!("/v1/keys/{}", free.id);
    world.control(&world.operator, "PATCH", &path, json!({"rate_limit": "gold"})).await.refused(422, "unprocessable");
    world.operator("PATCH", &format!("/v1/keys/{}", wide.id), json!({"rate_limit": null})).await;
    world.system.stop().await;
}

#[tokio::test]
async fn a_default_tier_limits_keys_that_name_none() {
    let world = World::with(set(&[("RATE_LIMITS", "tiny=TINY_LIMIT 3/60"), ("RATE_LIMIT_DEFAULT", "tiny")])).await;
    world.owner("demo", "jane", &["orders.*"], true).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    let passed = let_in(10, async || world.call(&key, "/").await).await;
    assert!((3..=6).contains(&passed), "{passed}");
    world.system.stop().await;
}

#[tokio::test]
async fn a_default_that_is_no_tier_and_a_limit_that_is_no_number_stop_the_edge() {
    for (name, value, problem) in
        [("RATE_LIMIT_DEFAULT", "gold", "is no tier of RATE_LIMITS"), ("FAILED_KEYS", "often", "must be off, or a number and seconds")]
    {
        let world = World::with(set(&[(name, value)])).await;
        world.call(&world.operator, "/").await.refused(503, "verifier_unavailable");
        assert!(world.system.log_tails().contains(&format!("setting {name}: {problem}")), "{}", world.system.log_tails());
        world.system.stop().await;
    }
}

#[tokio::test]
async fn who_guesses_is_slowed_down_and_who_has_a_key_is_not() {
    let world = World::with(set(&[("FAILED_KEYS", "20/60")])).await;
    world.owner("demo", "jane", &["orders.*"], true).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    world.call(&key, "/").await.expect(200);
    let mut told = Vec::new();
    for number in 0..40 {
        let made_up = if number % 2 == 0 { world.made_up_key("demo", false) } else { format!("nonsense {number}") };
        let answer = world.call(&made_up, "/").await;
        if answer.status == 429 {
            answer.refused(429, "rate_limited");
            let wait: u64 = answer.header("retry-after").parse().unwrap();
            assert!((1..=3).contains(&wait) && answer.header("ratelimit-policy") == "\"failed-keys\";q=40;w=60", "{answer:?}");
        }
        told.push(answer.status);
    }
    assert!(told[..20].iter().all(|status| *status == 401), "{told:?}");
    assert!(told.iter().filter(|status| **status == 429).count() >= 10, "{told:?}");

    // From the same address: warm and cold keys, those that were revoked, and who has none.
    world.call(&key, "/").await.expect(200);
    let cold = world.key("demo", "jane", json!({})).await;
    world.call(&cold.key, "/").await.expect(200);
    world.revoke("demo", &cold.id).await;
    eventually(BOUND, async || match world.call(&cold.key, "/").await.verdict() {
        (401, code) if code == "key_revoked" => Ok(()),
        other => Err(other),
    })
    .await;
    world.get("/").await.refused(401, "missing_credentials");
    assert_eq!(world.call("nonsense", "/").await.status, 429);
    tokio::time::sleep(Duration::from_secs(4)).await;
    world.call("nonsense", "/").await.refused(401, "malformed_key");
    world.system.stop().await;
}

#[tokio::test]
async fn as_shipped_a_thousand_bad_keys_of_one_address_are_each_told_why() {
    let world = World::start().await;
    for number in 0..1_000 {
        world.call(&format!("nonsense {number}"), "/").await.refused(401, "malformed_key");
    }
    world.system.stop().await;
}
