//! Signing in on the pages at a real identity provider, in a real browser: there and back, when a session ends in the middle of a form, and
//! out again everywhere; and by hand what a browser would not do.

use std::time::Duration;

use keyward_e2e::{Answer, World, browser::Browser, eventually, http, provider::Provider};
use keyward_selfhost::listen::free_port;
use serde_json::{Value, json};
use tokio::time::sleep;

const SOON: Duration = Duration::from_secs(10);
const SESSION: &str = "__Host-keyward";
const ATTEMPT: &str = "__Host-keyward-sign-in";

async fn with_provider(public: bool) -> (World, Provider) {
    let (provider, port) = (Provider::start("ES256"), free_port().unwrap());
    let client = Provider::client(&format!("http://127.0.0.1:{port}"), public);
    let world = World::with(|options| {
        options.control_port = Some(port);
        let mut set = |name: &str, value: &str| options.settings.push((name.into(), value.into()));
        set("OIDC_ISSUER", &provider.issuer());
        set("OIDC_CLIENT_ID", &client);
        set("OIDC_CLIENT_SECRET", if public { "" } else { "secret" });
    })
    .await;
    world.owner("demo", "ann", &["keyward.keys.own"], true).await;
    (world, provider)
}

fn control(world: &World, path: &str) -> String {
    format!("{}{path}", world.system.control_url())
}

async fn address_becomes(browser: &Browser, end: &str) {
    eventually(SOON, async || match browser.address().await {
        address if address.ends_with(end) => Ok(()),
        address => Err(address),
    })
    .await;
}

/// Says at the provider who one is.
async fn log_in(browser: &Browser, who: &str) {
    browser.fill("//input[@name='login']", who).await;
    browser.press("", "Continue").await;
}

async fn session_of(browser: &Browser) -> String {
    browser.cookie(SESSION).await.unwrap_or_else(|| panic!("no session"))["value"].as_str().unwrap().to_owned()
}

/// A request with these cookies, as a page of this origin makes it.
async fn with_cookies(world: &World, method: &str, url: &str, cookies: &str) -> Answer {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let origin = world.system.control_url();
    http::send(world.http.request(method, url).header("cookie", cookies).header("origin", origin)).await
}

async fn whoami(world: &World, session: &str) -> u16 {
    with_cookies(world, "GET", &control(world, "/v1/whoami"), &format!("{SESSION}={session}")).await.status
}

/// Ends the session, and all others of the same person, from elsewhere.
async fn end_elsewhere(world: &World, session: &str) {
    with_cookies(world, "POST", &control(world, "/sign-out/everywhere"), &format!("{SESSION}={session}")).await.expect(303);
    assert_eq!(whoami(world, session).await, 401);
}

/// Pictures of the page in light, dark and phone width. Colours take a moment to change.
async fn pictures(browser: &Browser, name: &str) {
    browser.screenshot(&format!("sign-in-{name}-light")).await;
    browser.devtools("Emulation.setEmulatedMedia", json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]})).await;
    sleep(Duration::from_millis(500)).await;
    browser.screenshot(&format!("sign-in-{name}-dark")).await;
    browser.devtools("Emulation.setEmulatedMedia", json!({"features": []})).await;
    sleep(Duration::from_millis(500)).await;
    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
    browser.devtools("Emulation.setDeviceMetricsOverride", phone).await;
    let wider = browser.run("return document.documentElement.scrollWidth - innerWidth").await;
    assert!(wider.as_i64().is_some_and(|wider| wider <= 0), "{name}: {wider} px too wide for a phone");
    browser.screenshot(&format!("sign-in-{name}-phone")).await;
    browser.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
}

#[tokio::test]
async fn a_person_signs_in_at_the_provider_and_loses_nothing_when_the_session_ends() {
    let (world, provider) = with_provider(false).await;
    let browser = Browser::start().await;

    // There and back, to where one wanted to go.
    browser.open(&control(&world, "/admin/keys?q=erp")).await;
    pictures(&browser, "not-signed-in").await;
    browser.click("//a[normalize-space()='Sign in']").await;
    log_in(&browser, "ann").await;
    address_becomes(&browser, "/admin/keys?q=erp").await;
    assert!(browser.source().await.contains("ann · "), "{}", browser.source().await);
    let first = session_of(&browser).await;
    let cookie = browser.cookie(SESSION).await.unwrap();
    assert_eq!((&cookie["httpOnly"], &cookie["secure"], &cookie["sameSite"]), (&json!(true), &json!(true), &json!("Lax")));
    assert!(browser.cookie(ATTEMPT).await.is_none(), "what was only for the way is gone");

    // In the middle of a dialog.
    browser.press("", "New API Key").await;
    browser.fill("//input[@name='name']", "ERP nightly sync").await;
    end_elsewhere(&world, &first).await;
    browser.press("", "Create").await;
    assert!(browser.text("//dialog[@open]//*[@role='alert']").await.contains("Nothing that you typed is lost"));
    browser.screenshot("sign-in-dialog-ended").await;
    browser.click("//dialog[@open]//a[normalize-space()='Sign in in a new tab']").await;
    browser.look_at_tab(1).await;
    address_becomes(&browser, "/admin/signed-in").await; // the provider still knows who it is
    pictures(&browser, "signed-in").await;
    let second = session_of(&browser).await;
    browser.close_tab().await;
    browser.look_at_tab(0).await;
    assert_eq!(browser.run("return document.querySelector('dialog[open] input[name=name]').value").await, "ERP nightly sync");
    browser.press("", "Create").await;
    let key = browser.text("//*[@id='new-key']").await;
    world.call(&key, "/").await.expect(200);
    browser.press("", "I have stored it").await;
    assert_eq!((second == first, whoami(&world, &second).await), (false, 200));

    // In the middle of a form that works without a script.
    browser.open(&control(&world, "/admin/account?from=here")).await;
    pictures(&browser, "account").await;
    let text = "\"><script>alert(1)</script> & two\nlines";
    let fill = format!(
        "const form = Object.assign(document.createElement('form'), {{method: 'post', action: ''}}); \
         for (const [name, value] of [['name', {text}], ['tick', '1'], ['tick', '2'], ['password', 'hunter2']]) \
           form.append(Object.assign(document.createElement('textarea'), {{name, value}})); \
         document.querySelector('main').append(form); window.form = form",
        text = json!(text)
    );
    browser.run(&fill).await;
    end_elsewhere(&world, &second).await;
    browser.run("window.form.submit()").await;
    browser.text("//h1[.='Your session has ended']").await;
    pictures(&browser, "session-ended").await;
    let kept =
        "return [...document.querySelectorAll('input[type=hidden]')].map(field => [field.name, field.value.replaceAll('\\r\\n', '\\n')])";
    assert_eq!(browser.run(kept).await, json!([["name", text], ["tick", "1"], ["tick", "2"]]));
    assert!(!browser.source().await.contains("hunter2"));
    browser.press("", "Send again").await;
    browser.text("//h1[.='Your session has ended']").await;
    assert_eq!(browser.run(kept).await, json!([["name", text], ["tick", "1"], ["tick", "2"]]), "too early it loses nothing either");
    browser.click("//a[normalize-space()='Sign in']").await;
    browser.look_at_tab(1).await;
    address_becomes(&browser, "/admin/signed-in").await;
    browser.close_tab().await;
    browser.look_at_tab(0).await;
    browser.press("", "Send again").await;
    browser.text("//h1[.='Your account']").await;
    address_becomes(&browser, "/admin/account?from=here").await;

    // Out everywhere: another browser of the same person too, and nobody else's.
    let other = world.operator("POST", "/v1/sign-in-links", json!({"owner": "ann"})).await.json();
    let other = http::send(world.http.get(other["url"].as_str().unwrap())).await.expect(303);
    let other = cookie_of(&other, SESSION).unwrap();
    let admin = http::send(world.http.get(world.system.sign_in_link().unwrap())).await.expect(303);
    let admin = cookie_of(&admin, SESSION).unwrap();
    let third = session_of(&browser).await;
    assert_eq!((whoami(&world, &other).await, whoami(&world, &third).await), (200, 200));
    browser.press("", "Sign out everywhere").await;
    browser.text("//h1[.='Not signed in']").await;
    assert_eq!((whoami(&world, &other).await, whoami(&world, &third).await, whoami(&world, &admin).await), (401, 401, 200));
    assert!(browser.cookie(SESSION).await.is_none());
    let trail = world.operator("GET", "/v1/audit?actor=ann&action=sessions.end&limit=1", Value::Null).await.json();
    assert_eq!(trail["entries"][0]["after"], json!({"ended": 2}), "{trail}");
    let complaints: Vec<_> =
        browser.console().await.into_iter().filter(|line| !line.contains("401") && !line.contains("favicon")).collect();
    assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
    assert_eq!(world.files_with(&["hunter2", &first, &second, &third]), Vec::<std::path::PathBuf>::new(), "no session is stored as it is");
    drop(provider);
    world.system.stop().await;
}

#[tokio::test]
async fn who_says_no_or_is_not_known_here_is_told_so() {
    let (world, provider) = with_provider(true).await;
    let browser = Browser::start().await;
    browser.open(&control(&world, "/sign-in")).await;
    browser.press("", "Cancel").await;
    assert!(browser.text("//main").await.contains("cancelled"));
    pictures(&browser, "cancelled").await;
    browser.click("//a[normalize-space()='Sign in']").await;
    log_in(&browser, "stranger@acme.example").await;
    browser.text("//h1[.='You are not known here']").await;
    assert!(browser.text("//main").await.contains("stranger@acme.example"));
    pictures(&browser, "stranger").await;
    assert!(browser.cookie(SESSION).await.is_none());
    let trail = world.operator("GET", "/v1/audit?actor=stranger@acme.example", Value::Null).await.json();
    assert_eq!(
        (&trail["entries"][0]["action"], &trail["entries"][0]["outcome"]),
        (&json!("session.begin"), &json!("forbidden")),
        "{trail}"
    );
    // As soon as they are, they are let in.
    world.owner("demo", "stranger@acme.example", &["keyward.keys.own"], true).await;
    // The provider still knows who it was, and asks all the same: who has two accounts takes the other one.
    browser.click("//a[normalize-space()='Try again']").await;
    log_in(&browser, "stranger@acme.example").await;
    address_becomes(&browser, "/admin/keys").await;
    session_of(&browser).await;
    drop(provider);
    world.system.stop().await;
}

/// The value of a cookie that an answer sets.
fn cookie_of(answer: &Answer, name: &str) -> Option<String> {
    let set = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    set.filter_map(|cookie| cookie.strip_prefix(name)?.strip_prefix('=')?.split(';').next())
        .map(ToOwned::to_owned)
        .find(|value| !value.is_empty())
}

/// Goes to the provider and back as a browser does, as far as the callback's address: that, and the cookie of the way.
async fn to_the_callback(world: &World, provider: &Provider, who: &str) -> (String, String) {
    let leave = http::send(world.http.get(control(world, "/sign-in?return=%2F%2Fevil.example"))).await.expect(303);
    let attempt = cookie_of(&leave, ATTEMPT).unwrap();
    let absolute =
        |location: &str| if location.starts_with('/') { format!("{}{location}", provider.issuer()) } else { location.to_owned() };
    let mut cookies: Vec<String> = Vec::new();
    let (mut url, mut form) = (leave.header("location").to_owned(), None);
    assert!(url.starts_with(&provider.issuer()), "{url}");
    for _ in 0..6 {
        if url.starts_with(&world.system.control_url()) {
            return (url, format!("{ATTEMPT}={attempt}"));
        }
        let request = match form.take() {
            Some(body) => world.http.post(&url).header("content-type", "application/x-www-form-urlencoded").body(body),
            None => world.http.get(&url),
        };
        let answer = http::send(request.header("cookie", cookies.join("; "))).await;
        let set =
            answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()?.split(';').next().map(ToOwned::to_owned));
        cookies.extend(set);
        if answer.status == 200 {
            form = Some(format!("login={who}"));
        } else {
            url = absolute(answer.header("location"));
        }
    }
    panic!("the provider leads to {url}");
}

#[tokio::test]
async fn an_answer_of_the_provider_counts_once_and_in_the_browser_that_asked() {
    let (world, mut provider) = with_provider(true).await;
    let (callback, cookie) = to_the_callback(&world, &provider, "ann").await;
    let refused = async |what: &str, url: &str, cookies: &str, status: u16, words: &str| {
        let answer = with_cookies(&world, "GET", url, cookies).await;
        assert_eq!((answer.status, cookie_of(&answer, SESSION)), (status, None), "{what}: {answer:?}");
        assert!(answer.text.contains(words) && answer.header("location").is_empty(), "{what}: {answer:?}");
    };
    let (_, other) = to_the_callback(&world, &provider, "ann").await;
    refused("another browser", &callback, "a=b", 400, "another browser").await;
    refused("another sign-in", &callback, &other, 400, "another browser").await;
    refused("another issuer", &callback.replace("iss=http", "iss=https"), &cookie, 400, "another issuer").await;

    let link = world.operator("POST", "/v1/sign-in-links", json!({"owner": "ann"})).await.json();
    let earlier = cookie_of(&http::send(world.http.get(link["url"].as_str().unwrap())).await.expect(303), SESSION).unwrap();
    let begun = with_cookies(&world, "GET", &callback, &format!("{cookie}; {SESSION}={earlier}")).await.expect(303);
    assert!(begun.header("location").ends_with("/admin/") && !begun.header("location").contains("evil"), "{begun:?}");
    let session = cookie_of(&begun, SESSION).unwrap();
    assert_eq!(whoami(&world, &session).await, 200);
    assert_eq!(whoami(&world, &earlier).await, 401, "the session that was there before has ended");
    refused("again", &callback, &cookie, 400, "too late, or twice").await;
    assert_eq!(whoami(&world, &session).await, 200, "who was let in stays in");

    // A code of the provider's that somebody else was given.
    let (theirs, _) = to_the_callback(&world, &provider, "ann").await;
    let (mine, cookie) = to_the_callback(&world, &provider, "ann").await;
    let state = |url: &str| url.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let injected = theirs.replace(&state(&theirs), &state(&mine));
    refused("a code from elsewhere", &injected, &cookie, 400, "too late, or twice").await;

    // The provider goes away between the code and its exchange: that is nobody's fault.
    let (callback, cookie) = to_the_callback(&world, &provider, "ann").await;
    provider.stop();
    refused("while the provider is away", &callback, &cookie, 503, "does not answer").await;
    assert_eq!(whoami(&world, &session).await, 200, "who is signed in stays so");

    // What may be done is read at each request.
    world.owner("demo", "ann", &["keyward.keys.own"], false).await;
    assert_eq!(whoami(&world, &session).await, 401);
    assert_eq!(world.files_with(&[&session, &cookie[ATTEMPT.len() + 1..]]), Vec::<std::path::PathBuf>::new());
    world.system.stop().await;
}

#[tokio::test]
async fn behind_cloudflare_access_one_is_signed_in_and_out_through_it() {
    let provider = Provider::start("RS256");
    let world = World::with(|options| {
        options.settings.push(("ACCESS_ISSUER".into(), provider.access_issuer()));
        options.settings.push(("ACCESS_AUDIENCE".into(), "app".into()));
    })
    .await;
    world.owner("demo", "ann@acme.example", &["keyward.keys.own"], true).await;
    let browser = Browser::start().await;
    let assertion = provider.assertion(json!({"aud": ["app"], "email": "ann@acme.example"})).await;
    browser.devtools("Network.enable", json!({})).await;
    browser.devtools("Network.setExtraHTTPHeaders", json!({"headers": {"Cf-Access-Jwt-Assertion": assertion}})).await;
    browser.open(&control(&world, "/sign-in?return=%2Fadmin%2Faccount")).await;
    address_becomes(&browser, "/admin/account").await;
    assert!(browser.text("//main").await.contains("ann@acme.example"));
    browser.open(&control(&world, "/admin/keys")).await;
    browser.press("", "New API Key").await;
    browser.fill("//input[@name='name']", "Through Access").await;
    browser.press("", "Create").await;
    world.call(&browser.text("//*[@id='new-key']").await, "/").await.expect(200);
    browser.press("", "I have stored it").await;
    browser.press("//header", "Sign out").await;
    address_becomes(&browser, "/cdn-cgi/access/logout").await;
    let complaints: Vec<_> =
        browser.console().await.into_iter().filter(|line| !line.contains("404") && !line.contains("favicon")).collect();
    assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
    world.system.stop().await;
}
