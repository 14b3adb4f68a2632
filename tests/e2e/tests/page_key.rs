//! Administration → API Keys → a key: in a real browser, and by its forms alone, as a browser without a script sends them.

use std::time::{Duration, Instant};

use keyward_e2e::{Answer, World, browser::Browser, eventually, http, world::BOUND, world::NewKey};
use reqwest::Method;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A browser in which the operator is signed in, at a page.
pub(crate) async fn signed_in(world: &World, path: &str) -> Browser {
    let browser = Browser::start().await;
    browser.open(&world.system.sign_in_link().unwrap()).await;
    browser.open(&at(world, path)).await;
    browser
}

pub(crate) fn at(world: &World, path: &str) -> String {
    format!("{}{path}", world.system.control_url())
}

pub(crate) async fn key_of_operator(world: &World, name: &str) -> NewKey {
    world.key("demo", "admin", json!({"name": name})).await
}

/// Types into a field instead of what it holds.
async fn retype(browser: &Browser, id: &str, text: &str) {
    browser.run(&format!("document.getElementById('{id}').value = ''")).await;
    browser.fill(&format!("//*[@id='{id}']"), text).await;
}

pub(crate) async fn says(browser: &Browser, xpath: &str, text: &str) {
    eventually(SOON + SOON, async || {
        let script = format!(
            "return document.evaluate({}, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE).singleNodeValue?.textContent ?? 'nothing there'",
            json!(xpath)
        );
        let found = browser.run(&script).await;
        if found.as_str().unwrap_or_default().contains(text) { Ok(()) } else { Err(found) }
    })
    .await;
}

/// Pictures of the page from its top, as it is, in the dark and on a telephone; there nothing may stand out at the side.
pub(crate) async fn pictures(browser: &Browser, name: &str) {
    browser.run("scrollTo(0, 0)").await;
    browser.screenshot(name).await;
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.devtools("Emulation.setEmulatedMedia", dark).await;
    tokio::time::sleep(Duration::from_millis(500)).await; // colours change slowly
    browser.screenshot(&format!("{name}-dark")).await;
    browser.devtools("Emulation.setEmulatedMedia", json!({"features": []})).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let telephone = json!({"width": 360, "height": 2400, "deviceScaleFactor": 1, "mobile": true});
    browser.devtools("Emulation.setDeviceMetricsOverride", telephone).await;
    browser.screenshot(&format!("{name}-phone")).await;
    let widest = browser.run("return document.documentElement.scrollWidth").await;
    browser.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    assert!(widest.as_u64().unwrap() <= 360, "{name} is {widest} wide");
}

pub(crate) async fn assert_clean_console(browser: &Browser, but: &str) {
    let is_wrong = |line: &String| !line.contains("favicon") && (but.is_empty() || !line.contains(but));
    let complaints: Vec<String> = browser.console().await.into_iter().filter(is_wrong).collect();
    assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
}

/// How long it takes until the edge refuses the key like this.
pub(crate) async fn refused_by(world: &World, key: &str, code: &str) -> jiff::Timestamp {
    eventually(BOUND + SOON, async || {
        let answer = world.call(key, "/").await;
        if answer.verdict() == (401, code.to_owned()) { Ok(jiff::Timestamp::now()) } else { Err(answer) }
    })
    .await
}

/// Somebody who is signed in, with forms and no script.
pub(crate) struct Person<'w> {
    world: &'w World,
    session: String,
}

impl<'w> Person<'w> {
    pub(crate) async fn operator(world: &'w World) -> Self {
        Self::by_link(world, &world.system.sign_in_link().unwrap()).await
    }

    pub(crate) async fn owner(world: &'w World, owner: &str, permissions: &[&str]) -> Self {
        world.owner("demo", owner, permissions, true).await;
        let link = world.operator("POST", "/v1/sign-in-links", json!({"owner": owner})).await.json();
        Self::by_link(world, link["url"].as_str().unwrap()).await
    }

    pub(crate) async fn by_link(world: &'w World, link: &str) -> Self {
        let answer = http::send(world.http.get(link)).await.expect(303);
        let cookie = answer.header("set-cookie");
        let session = cookie.strip_prefix("__Host-keyward=").and_then(|rest| rest.split(';').next()).unwrap().to_owned();
        Self { world, session }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, site: &str, fields: &[(&str, &str)]) -> Answer {
        let mut request = self.world.http.request(method.clone(), at(self.world, path));
        request = request.header("cookie", format!("__Host-keyward={}", self.session)).header("sec-fetch-site", site);
        if method == Method::POST {
            let body = Serializer::new(String::new()).extend_pairs(fields).finish();
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        http::send(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "same-origin", &[]).await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, "same-origin", fields).await
    }

    /// Where the form leads that was sent, and what stands there.
    pub(crate) async fn done(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields).await.expect(303);
        let location = answer.header("location").to_owned();
        self.get(&location).await.expect(200).text
    }
}

/// The value of a field of a page.
pub(crate) fn value(html: &str, name: &str) -> String {
    let tag = html.split('<').find(|tag| tag.contains(&format!("name=\"{name}\""))).unwrap_or_else(|| panic!("no {name}: {html}"));
    let value = tag.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[track_caller]
pub(crate) fn contains(html: &str, wanted: &str) {
    assert!(html.contains(wanted), "{wanted}: {html}");
}

#[tokio::test]
async fn a_person_renames_a_key_revokes_it_with_a_reason_and_watches_it_take_effect() {
    let world = World::start().await;
    let key = key_of_operator(&world, "ERP nightly sync").await;
    for _ in 0..7 {
        world.call(&key.key, "/api/orders").await.expect(200);
    }
    let page = format!("/admin/keys/{}", key.id);
    let browser = signed_in(&world, &page).await;
    retype(&browser, "change-name", "ERP <b>sync</b>").await;
    browser.run("document.getElementById('change-expires').value = '2031-05-17'").await;
    browser.press("//form[@id='change-form']", "Save").await;
    says(&browser, "//*[@id='status']", "The change was saved.").await;
    says(&browser, "//h1", "ERP <b>sync</b>").await;
    assert_eq!(browser.run("return document.getElementById('change-expires').value").await, "2031-05-17");
    let stored = world.operator("GET", &format!("/v1/keys/{}", key.id), Value::Null).await.json();
    let zone = browser.run("const d = new Date(2031, 4, 17, 23, 59, 59); return d.toISOString().replace('.000', '')").await;
    assert_eq!((&stored["name"], &stored["expires_at"]), (&json!("ERP <b>sync</b>"), &zone), "the end of the day in the reader's zone");
    eventually(SOON, async || {
        // What an edge counts while it is telling is told after a later request.
        world.call(&key.key, "/api/orders").await.expect(200);
        browser.reload().await;
        let name = browser.text("//*[@id='usage']//*[@role='img']/*[local-name()='title']").await;
        let allowed = name.split(' ').rev().nth(3).and_then(|count| count.parse::<u64>().ok());
        if allowed.is_some_and(|allowed| allowed >= 7) { Ok(()) } else { Err(name) }
    })
    .await;
    pictures(&browser, "key-1-page").await;

    browser.fill("//*[@id='explain-path']", "/api/orders/17").await;
    browser.press("", "Ask").await;
    says(&browser, "//*[@id='explain']", "Let in").await;

    browser.click("//a[normalize-space()='Revoke']").await;
    browser.screenshot("key-2-revoke").await;
    browser.fill("//dialog[@open]//input[@name='reason']", "Replaced by <another>").await;
    browser.press("//dialog[@open]", "Revoke key").await;
    says(&browser, "//*[@id='status']", "The key was revoked.").await;
    says(&browser, "//*[@id='propagation']", "by admin: “Replaced by <another>”").await;
    says(&browser, "//*[@id='propagation'][@data-state='announced']", "guaranteed by").await;
    says(&browser, "//*[@data-until='guaranteed']", "(in ").await;
    browser.screenshot("key-3-revoked").await;
    let told = browser.run("return document.querySelector('[data-until=guaranteed] time').dateTime").await;
    let told: jiff::Timestamp = told.as_str().unwrap().parse().unwrap();
    let refused = refused_by(&world, &key.key, "key_revoked").await;
    assert!(refused <= told, "refused at {refused}, promised by {told}");
    says(&browser, "//*[@id='propagation'][@data-state='over']", "In effect everywhere since").await;
    says(&browser, "//*[@id='status']", "The change is in effect everywhere.").await;
    assert_eq!(browser.count("//form[@id='change-form']").await, 0, "a revoked key cannot be changed");
    says(&browser, "//*[@id='trail']", "key.revoke").await;
    assert_clean_console(&browser, "").await;
    world.system.stop().await;
}

#[tokio::test]
async fn a_person_deletes_a_key_by_its_name_and_by_no_other() {
    let world = World::start().await;
    let key = key_of_operator(&world, "Old export").await;
    world.call(&key.key, "/").await.expect(200);
    let browser = signed_in(&world, &format!("/admin/keys/{}", key.id)).await;
    browser.click("//a[normalize-space()='Delete']").await;
    browser.fill("//*[@id='delete-name']", "old export").await;
    browser.press("", "Delete key").await;
    says(&browser, "//*[@id='delete-name-problem']", "is not the name of this key").await;
    assert_eq!(browser.run("return document.getElementById('delete-name').value").await, "old export", "what was typed is kept");
    pictures(&browser, "key-9-delete").await;
    retype(&browser, "delete-name", "Old export").await;
    browser.press("", "Delete key").await;
    eventually(SOON, async || match browser.address().await {
        address if address.contains("/admin/keys?") => Ok(()),
        address => Err(address),
    })
    .await;
    refused_by(&world, &key.key, "unknown_key").await;
    browser.open(&at(&world, &format!("/admin/keys/{}", key.id))).await;
    says(&browser, "//h1", "Not found").await;
    assert_clean_console(&browser, "status of").await;
    world.system.stop().await;
}

#[tokio::test]
async fn every_form_works_without_a_script() {
    let world = World::start().await;
    let person = Person::operator(&world).await;
    let key = key_of_operator(&world, "Sync").await;
    let page = format!("/admin/keys/{}", key.id);
    let was = value(&person.get(&page).await.expect(200).text, "was");

    // Change: everything at once, then nothing, then nonsense.
    let fields = [
        ("was", &*was),
        ("name", "Sync 2"),
        ("day", "2031-05-17"),
        ("scope", "some"),
        ("permission", "orders.read"),
        ("permission", "orders.write"),
        ("others", "stock.read"),
        ("networks", "127.0.0.0/8\r\n::1"),
    ];
    let html = person.done(&page, &fields).await;
    contains(&html, "The change was saved.");
    let stored = world.operator("GET", &format!("/v1/keys/{}", key.id), Value::Null).await.json();
    assert_eq!((&stored["name"], &stored["expires_at"]), (&json!("Sync 2"), &json!("2031-05-17T23:59:59Z")));
    assert_eq!(stored["permissions"], json!(["orders.read", "orders.write", "stock.read"]));
    assert_eq!(stored["allowed_ips"].as_array().unwrap().len(), 2, "{stored}");
    let was = value(&html, "was");
    let networks = "127.0.0.0/8\n::1";
    let same = [
        ("was", &*was),
        ("name", "Sync 2"),
        ("day", "2031-05-17"),
        ("scope", "some"),
        ("permission", "orders.read"),
        ("others", "orders.write stock.read"),
        (
            "networks",
            &stored["allowed_ips"].as_array().unwrap().iter().map(|network| network.as_str().unwrap()).collect::<Vec<_>>().join("\n"),
        ),
    ];
    contains(&person.done(&page, &same).await, "Nothing was different");
    let wrong = [
        ("was", &*was),
        ("name", "Sync <3>"),
        ("day", "2001-01-01"),
        ("scope", "some"),
        ("others", "Not A Permission"),
        ("networks", "nowhere"),
    ];
    let refused = person.post(&page, &wrong).await.expect(422).text;
    for kept in [
        "value=\"Sync &lt;3&gt;\"",
        "value=\"2001-01-01\"",
        "Not A Permission</textarea>",
        "nowhere</textarea>",
        "change-expires-problem",
        "change-permissions-problem",
        "change-networks-problem",
    ] {
        contains(&refused, kept);
    }
    let all = [("was", &*was), ("name", "Sync 2"), ("day", ""), ("scope", "all"), ("networks", networks)];
    contains(&person.done(&page, &all).await, "may do what its owner may do");

    // Rotate: the key once, and once only.
    let rotation = format!("{page}/rotate");
    let form_id = value(&person.get(&rotation).await.expect(200).text, "form");
    let nameless =
        person.post(&rotation, &[("step", "make"), ("form", &*form_id), ("name", ""), ("overlap", "week")]).await.expect(422).text;
    contains(&nameless, "rotate-name-problem");
    contains(&nameless, "value=\"week\" checked");
    let form_id = value(&nameless, "form");
    let form = [("step", "make"), ("form", &*form_id), ("name", "Sync 3"), ("overlap", "keep")];
    let made = person.post(&rotation, &form).await.expect(200);
    assert_eq!(made.header("cache-control"), "no-store");
    let new = made.text.split("aria-label=\"The new key\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
    world.call(&new, "/api/orders").await.expect(200);
    contains(&made.text, "download=\"keyward.env\" href=\"data:text/plain,KEYWARD_KEY%3Dkw%5Flive%5F");
    let again = person.post(&rotation, &form).await.expect(200).text;
    contains(&again, "cannot be shown again");
    assert!(!again.contains(&new[12..40]) && !person.get(&rotation).await.text.contains(&new[12..40]));
    let other =
        person.post(&rotation, &[("step", "make"), ("form", "another"), ("name", "Mine"), ("overlap", "keep")]).await.expect(409).text;
    contains(&other, "Somebody made a successor meanwhile");
    contains(&other, "“Mine”");
    contains(&person.post(&rotation, &[("step", "revoke")]).await.expect(422).text, "Nothing was revoked");
    world.call(&key.key, "/").await.expect(200);
    contains(&person.done(&rotation, &[("step", "revoke"), ("sure", "on")]).await, "The old key was revoked.");
    refused_by(&world, &key.key, "key_revoked").await;

    // Revoke with a reason, delete by name.
    let next =
        world.operator("GET", &format!("/v1/keys/{}", key.id), Value::Null).await.json()["superseded_by"].as_str().unwrap().to_owned();
    let page = format!("/admin/keys/{next}");
    let long = "r".repeat(201);
    let refused = person.post(&format!("{page}/revoke"), &[("reason", &long)]).await.expect(422).text;
    contains(&refused, &long);
    contains(&person.done(&format!("{page}/revoke"), &[("reason", "No longer <needed>")]).await, "by admin: “No longer &lt;needed&gt;”");
    refused_by(&world, &new, "key_revoked").await;
    contains(&person.post(&format!("{page}/delete"), &[("name", "Sync")]).await.expect(422).text, "is not the name of this key");
    let gone = person.post(&format!("{page}/delete"), &[("name", "Sync 3")]).await.expect(303);
    assert_eq!(gone.header("location"), "/admin/keys?done=deleted");
    person.get(&page).await.expect(404);

    // From elsewhere nothing goes.
    let elsewhere = person.send(Method::POST, &format!("/admin/keys/{}/delete", key.id), "cross-site", &[("name", "Sync 2")]).await;
    assert_eq!(elsewhere.status, 403);
    person.get(&format!("/admin/keys/{}", key.id)).await.expect(200);
    world.system.stop().await;
}

#[tokio::test]
async fn two_people_at_once_are_told_what_happened_and_lose_nothing() {
    let world = World::start().await;
    let (first, second) = (Person::operator(&world).await, Person::operator(&world).await);
    let key = key_of_operator(&world, "Shared").await;
    let page = format!("/admin/keys/{}", key.id);
    let was = value(&first.get(&page).await.expect(200).text, "was");
    second.done(&page, &[("was", &was), ("name", "Theirs"), ("scope", "all")]).await;

    // Something else: both have their way.
    first.done(&page, &[("was", &was), ("name", "Shared"), ("scope", "all"), ("networks", "127.0.0.1")]).await;
    let stored = world.operator("GET", &format!("/v1/keys/{}", key.id), Value::Null).await.json();
    assert_eq!((&stored["name"], stored["allowed_ips"].as_array().unwrap().len()), (&json!("Theirs"), 1), "{stored}");

    // The same: told first, then done.
    let late = first.post(&page, &[("was", &was), ("name", "Mine"), ("scope", "all")]).await.expect(409).text;
    contains(&late, "Somebody else changed this to “Theirs” meanwhile");
    contains(&late, "value=\"Mine\"");
    let now = value(&late, "was");
    contains(
        &first.done(&page, &[("was", &now), ("name", "Mine"), ("scope", "all"), ("networks", "127.0.0.1")]).await,
        "The change was saved.",
    );

    // It was revoked meanwhile, then deleted.
    second.done(&format!("{page}/revoke"), &[("reason", "a leak")]).await;
    let late = first.post(&page, &[("was", &now), ("name", "Too late"), ("scope", "all")]).await.expect(409).text;
    contains(&late, "by admin: “a leak”");
    contains(&late, "value=\"Too late\"");
    contains(&first.done(&format!("{page}/revoke"), &[("reason", "a leak")]).await, "“a leak”");
    let other = first.post(&format!("{page}/revoke"), &[("reason", "my reason")]).await.expect(409).text;
    contains(&other, "already revoked");
    contains(&other, "was not recorded: “my reason”");
    second.post(&format!("{page}/delete"), &[("name", "Mine")]).await.expect(303);
    for (path, typed) in [
        ("", vec![("was", &*now), ("name", "Kept name")]),
        ("/revoke", vec![("reason", "Kept reason")]),
        ("/rotate", vec![("step", "make"), ("name", "Kept successor")]),
    ] {
        let gone = first.post(&format!("{page}{path}"), &typed).await.expect(404).text;
        contains(&gone, "The key is not there, or not yours to see any more. Nothing was done now");
        contains(&gone, typed.last().unwrap().1);
    }
    contains(&first.post(&format!("{page}/delete"), &[("name", "Mine")]).await.expect(404).text, "If you have sent this before");
    world.system.stop().await;
}

#[tokio::test]
async fn who_sees_everyones_keys_ends_them_and_changes_none() {
    let world = World::start().await;
    let manager = Person::owner(&world, "max", &["keyward.keys"]).await;
    let stranger = Person::owner(&world, "eve", &["keyward.keys.own"]).await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let key = world.key("demo", "jane", json!({"name": "Jane’s"})).await;
    let page = format!("/admin/keys/{}", key.id);
    let html = manager.get(&page).await.expect(200).text;
    assert!(!html.contains(">Rotate<") && !html.contains(">Save<") && html.contains(">Revoke<") && html.contains(">Delete<"), "{html}");
    let refused = manager.post(&page, &[("name", "Mine now"), ("scope", "all")]).await.expect(403).text;
    contains(&refused, "Only its owner or the operator may change it.");
    contains(&refused, "value=\"Mine now\"");
    manager.post(&format!("{page}/rotate"), &[("step", "make"), ("name", "Mine"), ("overlap", "keep")]).await.expect(403);
    for path in ["", "/revoke", "/delete", "/rotate"] {
        stranger.get(&format!("{page}{path}")).await.expect(404);
    }
    for fields in [("/revoke", ("reason", "envy")), ("/delete", ("name", "Jane’s"))] {
        stranger.post(&format!("{page}{}", fields.0), &[fields.1]).await.expect(404);
    }
    world.call(&key.key, "/").await.expect(200);
    let begun = Instant::now();
    manager.done(&format!("{page}/revoke"), &[("reason", "Jane left")]).await;
    refused_by(&world, &key.key, "key_revoked").await;
    assert!(begun.elapsed() < BOUND + SOON);
    world.system.stop().await;
}
