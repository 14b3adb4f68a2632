//! People who are signed in elsewhere: tokens of a real identity provider, while its keys change and while it is down, and assertions of
//! Cloudflare Access.

use std::time::Duration;

use keyward_e2e::{
    Answer, World, eventually, http,
    provider::{AUDIENCE, Provider},
    world::BOUND,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

/// For how long the control plane does not ask an issuer again that did not answer, or for a key that it did not have; with room.
const AFTER_FAILURE: Duration = Duration::from_secs(20);
const AFTER_LOOKING: Duration = Duration::from_secs(75);

async fn with_provider(settings: &[(&str, &str)]) -> (World, Provider) {
    let provider = Provider::start("RS256");
    let issuer = provider.issuer();
    let world = World::with(|options| {
        let all = [("OIDC_ISSUER", issuer.as_str()), ("OIDC_AUDIENCE", AUDIENCE), ("OIDC_CLAIM_COMPANY", "company")];
        options.settings.extend(all.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    })
    .await;
    (world, provider)
}

/// A request to the control plane with `headers`; without a body where it is null.
async fn send(world: &World, headers: &[(&str, &str)], method: &str, path: &str, body: Value) -> Answer {
    let mut request = world.http.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", world.system.control_url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    http::send(if body.is_null() { request } else { request.json(&body) }).await
}

async fn bearer(world: &World, token: &str, method: &str, path: &str, body: Value) -> Answer {
    send(world, &[("authorization", &format!("Bearer {token}"))], method, path, body).await
}

async fn whoami(world: &World, token: &str) -> Answer {
    bearer(world, token, "GET", "/v1/whoami", Value::Null).await
}

#[tokio::test]
async fn who_has_a_token_of_the_provider_manages_their_keys_as_the_directory_allows() {
    let (world, provider) = with_provider(&[]).await;
    world.company("acme").await;
    world.owner("acme", "ann", &["orders.read", "keyward.keys.own"], true).await;
    let acme = json!({"company": "acme"});
    let ann = provider.token("ann", acme.clone()).await;

    let who = whoami(&world, &ann).await.expect(200).json();
    assert_eq!((&who["owner"], &who["company"], &who["owner_name"]), (&json!("ann"), &json!("acme"), &json!("ann")), "{who}");
    assert_eq!((&who["credential"], &who["session"], &who["key_id"]), (&json!("token"), &json!(false), &Value::Null), "{who}");
    let made = bearer(&world, &ann, "POST", "/v1/keys", json!({"name": "Nightly", "manages_keys": true})).await.expect(201).json();
    world.call(made["key"].as_str().unwrap(), "/").await.expect(200);

    // What it is not.
    let changed = format!("{}{}", &ann[..ann.len() - 8], if ann.ends_with("AAAAAAAA") { "BBBBBBBB" } else { "AAAAAAAA" });
    let (header, rest) = ann.split_once('.').unwrap();
    for (what, token) in [
        ("for another audience", provider.token_for("https://other.example", "ann", acme.clone()).await),
        ("of a person whom nobody knows", provider.token("nobody", acme.clone()).await),
        ("of another company", provider.token("ann", json!({"company": "demo"})).await),
        ("of no company", provider.token("ann", json!({})).await),
        ("of a malformed company", provider.token("ann", json!({"company": "acme/demo"})).await),
        ("changed", changed),
        ("unsigned", format!("{header}.{}.", rest.split_once('.').unwrap().0)),
    ] {
        let refused = whoami(&world, &token).await;
        refused.refused(401, "unauthenticated");
        assert!(!refused.text.contains(&token[..40]), "{what}: {refused:?}");
    }
    send(&world, &[("x-api-key", &ann)], "GET", "/v1/whoami", Value::Null).await.refused(401, "unauthenticated");
    let both = [("authorization", &*format!("Bearer {ann}")), ("x-api-key", &world.operator)];
    send(&world, &both, "GET", "/v1/whoami", Value::Null).await.refused(400, "ambiguous_credentials");

    // The directory has the last word, on the next call.
    bearer(&world, &ann, "GET", "/v1/keys", Value::Null).await.expect(200);
    bearer(&world, &ann, "GET", "/v1/keys?company=demo", Value::Null).await.refused(404, "not_found");
    world.owner("acme", "ann", &["orders.read"], true).await;
    bearer(&world, &ann, "GET", "/v1/keys", Value::Null).await.refused(403, "forbidden");
    world.owner("acme", "ann", &["orders.read", "keyward.keys.own"], false).await;
    whoami(&world, &ann).await.refused(401, "unauthenticated");
    world.owner("acme", "ann", &["orders.read", "keyward.keys.own"], true).await;
    whoami(&world, &ann).await.expect(200);
    let trail = world.operator("GET", "/v1/audit?company=acme&actor=ann&action=key.create", Value::Null).await.json();
    assert_eq!((&trail["entries"][0]["key"], &trail["entries"][0]["outcome"]), (&Value::Null, &json!("done")), "{trail}");
    assert_eq!(world.files_with(&[ann.rsplit('.').next().unwrap()]), Vec::<std::path::PathBuf>::new(), "no token is kept");
    world.system.stop().await;
}

#[tokio::test]
async fn keys_of_the_provider_come_and_go_and_while_it_is_down_nobody_is_called_unauthorized() {
    let (mut world, mut provider) = with_provider(&[]).await;
    world.owner("demo", "ann", &["keyward.keys.own"], true).await;
    let demo = json!({"company": "demo"});
    let rs256 = provider.token("ann", demo.clone()).await;
    whoami(&world, &rs256).await.expect(200);

    // Its keys are known: they do while it is down.
    provider.stop();
    whoami(&world, &rs256).await.expect(200);
    // A new isolate knows none.
    world.system.stop_control().await;
    world.system.start_control().await.unwrap();
    let cold = whoami(&world, &rs256).await;
    cold.refused(503, "unavailable");
    assert!(!cold.header("retry-after").is_empty());
    world.operator("GET", "/v1/whoami", Value::Null).await;

    // It is back, with other keys: those count, and the earlier ones no longer.
    provider.rotate("ES256");
    let es256 = provider.token("ann", demo.clone()).await;
    eventually(AFTER_FAILURE, async || {
        let answer = whoami(&world, &es256).await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    whoami(&world, &rs256).await.refused(401, "unauthenticated");

    // The keys change while they are known: the new one is looked for, which brings the set up to date.
    provider.rotate("EdDSA");
    let eddsa = provider.token("ann", demo).await;
    whoami(&world, &es256).await.expect(200);
    eventually(AFTER_LOOKING, async || {
        let answer = whoami(&world, &eddsa).await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    whoami(&world, &es256).await.refused(401, "unauthenticated");
    world.system.stop().await;
}

#[tokio::test]
async fn where_the_provider_says_what_people_may_do_the_next_token_brings_it() {
    let (world, provider) = with_provider(&[("OIDC_CLAIM_PERMISSIONS", "https://keyward.example/permissions")]).await;
    world.company("acme").await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/orders/**", "permission": "orders.read"}]})).await;
    let with = |permissions: Value| json!({"company": "acme", "name": "Eve", "https://keyward.example/permissions": permissions});

    let eve = provider.token("eve", with(json!(["orders.read", "keyward.keys.own"]))).await;
    let made = bearer(&world, &eve, "POST", "/v1/keys", json!({"name": "Nightly"})).await.expect(201).json();
    let key = made["key"].as_str().unwrap();
    world.call(key, "/orders/7").await.expect(200);
    let owner = world.operator("GET", "/v1/owners/eve?company=acme", Value::Null).await.json();
    assert_eq!((&owner["name"], &owner["active"]), (&json!("Eve"), &json!(true)), "{owner}");
    let trail = world.operator("GET", "/v1/audit?company=acme&target=eve", Value::Null).await.json();
    assert_eq!(
        (&trail["entries"][0]["actor"], &trail["entries"][0]["action"]),
        (&json!(provider.issuer()), &json!("owner.put")),
        "{trail}"
    );

    // A token that cannot be understood changes nothing.
    let bad = provider.token("eve", with(json!(["Orders Read"]))).await;
    let refused = whoami(&world, &bad).await;
    refused.refused(401, "unauthenticated");
    assert!(refused.json()["detail"].as_str().unwrap().contains("https://keyward.example/permissions"), "{refused:?}");
    let elevated = provider.token("eve", with(json!(["keyward.operator"]))).await;
    whoami(&world, &elevated).await.refused(401, "unauthenticated");

    // Issued in a later second, it takes away; that reaches the edges as any change of an owner does, though nobody wrote anything.
    sleep(Duration::from_millis(1_100)).await;
    let less = provider.token("eve", with(json!(["stock.read"]))).await;
    assert_eq!(whoami(&world, &less).await.expect(200).json()["permissions"], json!(["stock.read"]));
    eventually(BOUND, async || {
        let answer = world.call(key, "/orders/7").await;
        if answer.verdict() == (403, "permission_denied".into()) { Ok(()) } else { Err(answer) }
    })
    .await;
    // The first one is still valid; it acts as the directory now says, and does not turn it back.
    assert_eq!(whoami(&world, &eve).await.expect(200).json()["permissions"], json!(["stock.read"]));

    // Who was shut out stays so, whatever the provider says.
    world.owner("acme", "eve", &["stock.read"], false).await;
    sleep(Duration::from_millis(1_100)).await;
    let again = provider.token("eve", with(json!(["orders.read"]))).await;
    whoami(&world, &again).await.refused(401, "unauthenticated");
    world.system.stop().await;
}

#[tokio::test]
async fn behind_cloudflare_access_its_assertion_says_who_calls_and_other_sites_change_nothing_with_it() {
    let mut provider = Provider::start("RS256");
    let world = World::with(|options| {
        options.settings.push(("ACCESS_ISSUER".into(), provider.access_issuer()));
        options.settings.push(("ACCESS_AUDIENCE".into(), "4714c1358e65fe4b408ad6d432a5f878".into()));
    })
    .await;
    world.owner("demo", "ann@acme.example", &["keyward.keys.own"], true).await;
    let says = json!({"aud": ["4714c1358e65fe4b408ad6d432a5f878"], "email": "ann@acme.example"});
    let ann = provider.assertion(says.clone()).await;
    let header = ("cf-access-jwt-assertion", ann.as_str());

    let who = send(&world, &[header], "GET", "/v1/whoami", Value::Null).await.expect(200).json();
    assert_eq!(
        (&who["owner"], &who["company"], &who["credential"]),
        (&json!("ann@acme.example"), &json!("demo"), &json!("token")),
        "{who}"
    );
    let own = world.system.control_url();
    for (more, status) in [
        (vec![], 403),
        (vec![("origin", "https://evil.example")], 403),
        (vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], 403),
        (vec![("sec-fetch-site", "same-origin")], 201),
        (vec![("origin", own.as_str())], 201),
    ] {
        let headers: Vec<_> = [header].into_iter().chain(more).collect();
        let answer = send(&world, &headers, "POST", "/v1/keys", json!({"name": "Mine"})).await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
    for claims in [
        json!({"aud": ["another"], "email": "ann@acme.example"}),
        json!({"aud": ["4714c1358e65fe4b408ad6d432a5f878"]}),
        json!({"aud": ["4714c1358e65fe4b408ad6d432a5f878"], "email": "bob@acme.example"}),
        json!({"aud": ["4714c1358e65fe4b408ad6d432a5f878"], "email": "ann@acme.example", "iss": provider.issuer()}),
        json!({"aud": ["4714c1358e65fe4b408ad6d432a5f878"], "email": "ann@acme.example", "exp": 1}),
    ] {
        let other = provider.assertion(claims.clone()).await;
        let answer = send(&world, &[("cf-access-jwt-assertion", &other)], "GET", "/v1/whoami", Value::Null).await;
        assert_eq!(answer.verdict(), (401, "unauthenticated".into()), "{claims}: {answer:?}");
    }
    // A key that is sent goes first; an assertion is nothing as Bearer.
    let operator = send(&world, &[header, ("x-api-key", &world.operator)], "GET", "/v1/whoami", Value::Null).await.expect(200).json();
    assert_eq!(operator["owner"], "admin", "{operator}");
    bearer(&world, &ann, "GET", "/v1/whoami", Value::Null).await.refused(401, "unauthenticated");
    provider.stop();
    send(&world, &[header], "GET", "/v1/whoami", Value::Null).await.expect(200);
    world.system.stop().await;
}
