//! Administration → API Keys in a real browser.

use std::time::Duration;

use keyward_e2e::{Answer, World, browser::Browser, eventually, http, world::BOUND};
use reqwest::Method;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);

/// The row of the key with this name.
fn row(name: &str) -> String {
    format!("//tr[@data-key-id][contains(.,'{name}')]")
}

/// A browser whose reader is the operator's administrator.
pub(crate) async fn signed_in(world: &World) -> Browser {
    let browser = Browser::start().await;
    browser.open(&world.system.sign_in_link().unwrap()).await;
    let address = browser.address().await;
    assert!(address.ends_with("/admin/keys"), "{address}: {}\n{}", browser.source().await, world.system.log_tails());
    browser
}

/// Creates a key by the dialog, as far as the key is shown, and gives the key.
async fn create(browser: &Browser, name: &str) -> String {
    browser.press("", "New API Key").await;
    browser.fill("//input[@name='name']", name).await;
    browser.press("", "Create").await;
    browser.text("//*[@id='new-key']").await
}

async fn edge_answers(world: &World, key: &str, status: u16, code: &str) {
    eventually(BOUND, async || {
        let answer = world.call(key, "/").await;
        if answer.verdict() == (status, code.to_owned()) { Ok(()) } else { Err(answer) }
    })
    .await;
}

async fn rows_become(browser: &Browser, xpath: &str, wanted: usize) {
    eventually(SOON, async || match browser.count(xpath).await {
        found if found == wanted => Ok(()),
        found => Err(format!("{found} of {xpath}")),
    })
    .await;
}

async fn assert_clean_console(browser: &Browser) {
    let complaints: Vec<String> = browser.console().await.into_iter().filter(|line| !line.contains("favicon")).collect();
    assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
}

#[tokio::test]
async fn a_person_creates_stores_revokes_and_deletes_a_key_on_the_page() {
    let world = World::start().await;
    let browser = signed_in(&world).await;
    browser.allow_clipboard().await;
    browser.screenshot("1-keys").await;

    browser.press("", "New API Key").await;
    let placeholder = browser.run("return document.querySelector('dialog[open] input[name=name]').placeholder").await;
    assert_eq!(placeholder, "ERP nightly sync");
    browser.screenshot("2-new-key-dialog").await;
    browser.fill("//input[@name='name']", "Nightly export").await;
    browser.press("", "Create").await;
    let key = browser.text("//*[@id='new-key']").await;
    assert!(key.starts_with("kw_live_"), "{key}");
    browser.screenshot("3-the-key-once").await;
    browser.press("", "Copy").await;
    eventually(SOON, async || {
        let copied = browser.run("return navigator.clipboard.readText()").await;
        if copied == *key { Ok(()) } else { Err("the clipboard holds something else") }
    })
    .await;
    world.call(&key, "/").await.expect(200);
    browser.press("", "I have stored it").await;
    rows_become(&browser, &row("Nightly export"), 1).await;
    assert!(!browser.source().await.contains(&key), "the key is gone from the page");
    browser.reload().await;
    rows_become(&browser, &row("Nightly export"), 1).await;
    assert!(!browser.source().await.contains(&key[12..40]), "the key does not come back");
    browser.screenshot("4-keys-with-one").await;

    browser.click(&format!("{}//a[normalize-space()='Revoke']", row("Nightly export"))).await;
    browser.screenshot("5-revoke-dialog").await;
    browser.press("", "Revoke key").await;
    rows_become(&browser, &format!("{}[contains(.,'Revoked')]", row("Nightly export")), 1).await;
    edge_answers(&world, &key, 401, "key_revoked").await;
    browser.screenshot("6-revoked").await;

    browser.click(&format!("{}//a[normalize-space()='Delete']", row("Nightly export"))).await;
    browser.fill("//input[@id='delete-name']", "Nightly export").await;
    browser.screenshot("7-delete").await;
    browser.press("", "Delete key").await;
    rows_become(&browser, &row("Nightly export"), 0).await;
    edge_answers(&world, &key, 401, "unknown_key").await;
    assert_clean_console(&browser).await;
    world.system.stop().await;
}

#[tokio::test]
async fn a_name_is_shown_as_text_whatever_it_says() {
    let world = World::start().await;
    let browser = signed_in(&world).await;
    let name = "<img src=x onerror=alert(1)>";
    create(&browser, name).await;
    browser.press("", "I have stored it").await;
    rows_become(&browser, "//tr[@data-key-id][contains(.,'onerror')]", 1).await;
    assert_eq!(browser.count("//img").await, 0);
    browser.reload().await;
    rows_become(&browser, "//tr[@data-key-id][contains(.,'onerror')]", 1).await;
    assert_eq!(browser.count("//img").await, 0);
    assert_clean_console(&browser).await;
    world.system.stop().await;
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let world = World::start().await;
    let browser = signed_in(&world).await;
    let cookie = browser.cookie("__Host-keyward").await.unwrap();
    assert_eq!(
        (&cookie["httpOnly"], &cookie["secure"], &cookie["sameSite"], &cookie["path"]),
        (&json!(true), &json!(true), &json!("Lax"), &json!("/"))
    );
    let session = cookie["value"].as_str().unwrap().to_owned();
    with_cookie(&world, &session, Method::GET, "/v1/whoami", &[]).await.expect(200);
    browser.click("//form[contains(@action,'/sign-out')]//button").await;
    eventually(SOON, async || match browser.cookie("__Host-keyward").await {
        None => Ok(()),
        Some(cookie) => Err(cookie),
    })
    .await;
    browser.screenshot("8-signed-out").await;
    assert_eq!(with_cookie(&world, &session, Method::GET, "/v1/whoami", &[]).await.status, 401, "the old cookie is worth nothing");
    browser.open(&format!("{}/admin/keys", world.system.control_url())).await;
    assert_eq!(browser.count("//button[normalize-space()='New API Key']").await, 0);
    world.system.stop().await;
}

async fn with_cookie(world: &World, session: &str, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = world.http.request(method.clone(), format!("{}{path}", world.system.control_url()));
    request = request.header("cookie", format!("__Host-keyward={session}"));
    if method == Method::POST {
        request = request.json(&json!({"name": "From elsewhere"}));
    }
    http::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

/// Signs in without a browser and gives the session.
pub(crate) async fn session(world: &World) -> String {
    let answer = http::send(world.http.get(world.system.sign_in_link().unwrap())).await.expect(303);
    let cookie = answer.header("set-cookie");
    cookie.strip_prefix("__Host-keyward=").and_then(|rest| rest.split(';').next()).unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

#[tokio::test]
async fn a_sign_in_link_works_once_and_looking_at_it_does_not_use_it_up() {
    let world = World::start().await;
    let link = world.system.sign_in_link().unwrap();
    http::send(world.http.head(&link)).await;
    http::send(world.http.get(&link).header("sec-purpose", "prefetch")).await;
    let first = http::send(world.http.get(&link)).await.expect(303);
    assert!(first.header("location").ends_with("/admin/"), "{first:?}");
    let cookie = first.header("set-cookie").to_owned();
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let second = http::send(world.http.get(&link)).await;
    assert!((400..500).contains(&second.status) && second.header("set-cookie").is_empty(), "{second:?}");
    let forged = http::send(world.http.get(format!("{}x", world.system.sign_in_link().unwrap()))).await;
    assert!((400..500).contains(&forged.status) && forged.header("set-cookie").is_empty(), "{forged:?}");
    world.system.stop().await;
}

#[tokio::test]
async fn a_cross_site_request_with_the_cookie_changes_nothing() {
    let world = World::start().await;
    let session = session(&world).await;
    let own = world.system.control_url();
    for headers in [
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![("sec-fetch-site", "cross-site"), ("origin", own.as_str())],
        vec![("sec-fetch-site", "same-site")],
        vec![],
    ] {
        let answer = with_cookie(&world, &session, Method::POST, "/v1/keys", &headers).await;
        assert_eq!(answer.status, 403, "{headers:?}: {answer:?}");
    }
    with_cookie(&world, &session, Method::POST, "/v1/keys", &[("origin", &own)]).await.expect(201);
    with_cookie(&world, &session, Method::POST, "/v1/keys", &[("sec-fetch-site", "same-origin")]).await.expect(201);
    let tampered = format!("{}0", &session[..session.len() - 1]);
    if tampered != session {
        assert_eq!(with_cookie(&world, &tampered, Method::GET, "/v1/whoami", &[]).await.status, 401);
    }
    let listed = world.operator("GET", "/v1/keys?q=elsewhere", Value::Null).await.json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2, "{listed}");
    world.system.stop().await;
}

#[tokio::test]
async fn the_page_may_load_and_be_framed_by_nothing_foreign() {
    let world = World::start().await;
    let session = session(&world).await;
    let page = with_cookie(&world, &session, Method::GET, "/admin/keys", &[]).await.expect(200);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") || policy.contains("default-src 'self'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("script-src 'self' 'wasm-unsafe-eval';"), "{policy}");
    assert_eq!(policy.matches("unsafe-").count(), 1, "WebAssembly, and no more: {policy}");
    assert_eq!((page.header("cache-control"), page.header("x-content-type-options")), ("no-store", "nosniff"));
    let without = http::send(world.http.get(format!("{}/admin/keys", world.system.control_url()))).await;
    assert!(!without.text.contains("new-key"), "{without:?}");
    world.system.stop().await;
}
