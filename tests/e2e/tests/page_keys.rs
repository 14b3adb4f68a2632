//! The list of keys and the making of one, in a real browser and without a script.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keyward_e2e::{Answer, World, browser::Browser, eventually, http};
use keyward_shared::key::ParsedKey;
use serde_json::{Value, json};

use super::page::{session, signed_in};

const SOON: Duration = Duration::from_secs(10);

/// Takes pictures of the page as it is, in light and dark, wide and as narrow as a telephone, where it must not be wider than that.
async fn pictures(browser: &Browser, name: &str) {
    for scheme in ["light", "dark"] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.devtools("Emulation.setEmulatedMedia", features).await;
        browser.screenshot(&format!("{name}-{scheme}")).await;
    }
    browser.devtools("Emulation.setEmulatedMedia", json!({"features": []})).await;
    let phone = json!({"width": 360, "height": 780, "deviceScaleFactor": 1, "mobile": true});
    browser.devtools("Emulation.setDeviceMetricsOverride", phone).await;
    assert_eq!(browser.run("return document.documentElement.scrollWidth").await, 360, "{name}: wider than the screen");
    browser.screenshot(&format!("{name}-phone")).await;
    browser.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
}

/// The form in its dialog.
const DIALOG: &str = "//dialog[@id='create-dialog']";

async fn becomes(browser: &Browser, script: &str, wanted: impl Into<Value>) {
    let wanted = wanted.into();
    eventually(SOON, async || match browser.run(script).await {
        found if found == wanted => Ok(()),
        found => Err(format!("{script}: {found}")),
    })
    .await;
}

async fn says(browser: &Browser, xpath: &str, part: &str) {
    eventually(SOON, async || match browser.text(xpath).await {
        text if text.contains(part) => Ok(()),
        text => Err(format!("{xpath}: {text}")),
    })
    .await;
}

/// Opens the dialog and types a name. The browser will make the key.
async fn begin(browser: &Browser, name: &str) {
    browser.press("", "New API Key").await;
    says(browser, "//*[@id='create-birth']", "made in this browser").await;
    browser.fill("//*[@id='create-name']", name).await;
}

/// Waits for the row of the only key with this name.
async fn listed(browser: &Browser, name: &str) {
    becomes(browser, &format!("return document.querySelectorAll('tr[data-name=\"{name}\"]').length"), 1).await;
}

async fn the_key(browser: &Browser) -> String {
    browser.text("//dialog[@open]//*[@id='new-key']").await
}

/// Notes every call of the page's, with what was sent and what came.
const LISTEN: &str = "window.heard = []; const real = window.fetch; window.fetch = async (address, how) => { \
    const answer = await real(address, how); const told = String(address).endsWith('.wasm') ? '' : await answer.clone().text(); \
    heard.push({ address: String(address), sent: how?.body ?? '', told }); return answer; };";

#[tokio::test]
async fn a_key_is_born_in_the_browser_and_the_server_never_has_it() {
    let world = World::start().await;
    let browser = signed_in(&world).await;
    assert_eq!(browser.run("return performance.getEntriesByType('resource').filter(e => e.name.endsWith('.wasm')).length").await, 0);
    browser.run(LISTEN).await;
    begin(&browser, "Power BI dashboard").await;
    pictures(&browser, "keys-create").await;
    browser.press(DIALOG, "Create").await;
    let key = the_key(&browser).await;
    says(&browser, "//*[@id='copy-status']", "the server never saw it").await;
    pictures(&browser, "keys-created").await;

    let parsed = ParsedKey::parse(key.as_bytes()).unwrap();
    world.call(&key, "/").await.expect(200);
    let heard = browser.run("return heard").await;
    let heard = heard.as_array().unwrap();
    let creation = heard.iter().find(|call| call["address"] == "/v1/keys").unwrap();
    let sent: Value = serde_json::from_str(creation["sent"].as_str().unwrap()).unwrap();
    assert_eq!(sent, json!({"name": "Power BI dashboard", "digest": parsed.digest().to_hex()}));
    let secret = &key[12..40];
    assert!(!json!(heard).to_string().contains(secret), "neither sent nor told");
    let told: Value = serde_json::from_str(creation["told"].as_str().unwrap()).unwrap();
    assert!(told.get("key").is_none() && told["tag"].is_string(), "{told}");

    let file = browser.run("return decodeURIComponent(document.getElementById('download-key').href)").await;
    assert_eq!(file, format!("data:text/plain,KEYWARD_KEY={key}\n"));
    let edge = world.system.edge_url();
    let example = format!("return document.getElementById('created-dialog').textContent.includes('$KEYWARD_KEY\" {edge}/')");
    assert_eq!(browser.run(&example).await, true);

    browser.press("", "I have stored it").await;
    listed(&browser, "Power BI dashboard").await;
    assert!(!browser.source().await.contains(secret), "the key is gone from the page");
    assert_eq!(browser.run("return document.activeElement.id").await, "new-key-button");
    assert_eq!(world.files_with(&[secret]), Vec::<std::path::PathBuf>::new(), "neither stored nor logged");
    let listed = world.operator("GET", "/v1/keys?q=Power", Value::Null).await.json();
    assert!(listed["keys"][0]["hint"].as_str().unwrap().ends_with('…'), "{listed}");
    assert_eq!(browser.console().await, Vec::<String>::new());
    world.system.stop().await;
}

#[tokio::test]
async fn a_new_key_is_gone_after_a_reload_and_after_going_back() {
    let world = World::start().await;
    let browser = signed_in(&world).await;
    begin(&browser, "Reloaded").await;
    browser.press(DIALOG, "Create").await;
    let reloaded = the_key(&browser).await;
    for script in ["keydown", "cancel"] {
        // Neither Escape nor the browser's own way of closing a dialog loses it.
        let event =
            format!("new {}('{script}', {{key: 'Escape', cancelable: true}})", if script == "keydown" { "KeyboardEvent" } else { "Event" });
        assert_eq!(browser.run(&format!("return document.getElementById('created-dialog').dispatchEvent({event})")).await, false);
    }
    browser.reload().await;
    listed(&browser, "Reloaded").await;
    assert!(!browser.source().await.contains(&reloaded[12..40]));

    begin(&browser, "Left").await;
    browser.press(DIALOG, "Create").await;
    let left = the_key(&browser).await;
    browser.open(&format!("{}/admin/keys?sort=name", world.system.control_url())).await;
    browser.run("history.back()").await;
    becomes(&browser, "return location.search + document.readyState", "complete").await;
    listed(&browser, "Left").await;
    assert!(!browser.source().await.contains(&left[12..40]), "neither from the network nor from the browser's memory");
    assert_eq!(browser.count("//dialog[@open]").await, 0);
    world.system.stop().await;
}

#[tokio::test]
async fn what_goes_wrong_is_said_where_it_is_and_loses_nothing() {
    let world = World::start().await;
    let browser = signed_in(&world).await;
    begin(&browser, "Careful").await;
    browser.click("//select[@name='expires']/option[@value='date']").await;
    browser.click("//input[@name='restricted'][@value='on']").await;
    browser.fill("//textarea[@name='networks']", "203.0.113.0/24\nnowhere").await;
    browser.press(DIALOG, "Create").await;
    says(&browser, "//*[@id='create-expires-problem']", "Choose the last day").await;
    says(&browser, "//*[@id='create-permissions-problem']", "Choose at least one").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "create-expires");
    pictures(&browser, "keys-create-problems").await;
    browser.run("document.querySelector('[name=last_day]').value = '2031-05-06'").await;
    browser.fill("//textarea[@name='narrower']", "orders.read").await;
    browser.press(DIALOG, "Create").await;
    says(&browser, "//*[@id='create-networks-problem']", "").await;
    assert_eq!(browser.count("//*[@id='create-expires-problem']").await, 0);
    assert_eq!(browser.run("return document.getElementById('create-networks').getAttribute('aria-invalid')").await, "true");

    // The session ends while the form is open.
    browser.devtools("Network.clearBrowserCookies", json!({})).await;
    browser.run("document.querySelector('[name=networks]').value = '203.0.113.0/24\\n127.0.0.0/8'").await;
    browser.press(DIALOG, "Create").await;
    says(&browser, "//*[@id='create-dialog-alert']", "session has ended").await;
    let link = world.system.sign_in_link().unwrap();
    assert_eq!(browser.run(&format!("return fetch('{link}').then(answer => answer.status)")).await, 200);

    // An answer is lost on its way: sent again, there is still one key, and it is whole.
    let lose = "window.real = fetch; window.fetch = async (a, how) => { const answer = await real(a, how); \
                if (how?.method === 'POST') throw new TypeError('lost'); return answer; }";
    browser.run(lose).await;
    browser.press(DIALOG, "Create").await;
    says(&browser, "//*[@id='create-dialog-alert']", "may have been made").await;
    browser.run("window.fetch = real").await;
    browser.press(DIALOG, "Create").await;
    let key = the_key(&browser).await;
    world.call(&key, "/").await.expect(200);
    let listed = world.operator("GET", "/v1/keys?q=Careful", Value::Null).await.json();
    let keys = listed["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1, "{listed}");
    assert_eq!((&keys[0]["permissions"], &keys[0]["allowed_ips"]), (&json!(["orders.read"]), &json!(["127.0.0.0/8", "203.0.113.0/24"])));
    assert!(keys[0]["expires_at"].as_str().unwrap().starts_with("2031-05-0"), "{listed}");
    browser.press("", "I have stored it").await;

    // A browser that cannot: the page says so, and the server makes the key.
    browser.reload().await;
    let block = "window.real = fetch; window.fetch = (a, how) => String(a).endsWith('.wasm') ? Promise.reject(new TypeError('blocked')) : real(a, how)";
    browser.run(block).await;
    browser.press("", "New API Key").await;
    says(&browser, "//*[@id='create-birth']", "cannot make the key itself").await;
    browser.fill("//*[@id='create-name']", "Made there").await;
    browser.click("//select[@name='expires']/option[@value='30']").await;
    browser.press(DIALOG, "Create").await;
    world.call(&the_key(&browser).await, "/").await.expect(200);
    let made = world.operator("GET", "/v1/keys?q=Made", Value::Null).await.json();
    assert!(!made["keys"][0]["hint"].as_str().unwrap().ends_with('…') && made["keys"][0]["expires_at"].is_string(), "{made}");
    world.system.stop().await;
}

/// A form as browsers send it.
fn encoded(form: &[(&str, &str)]) -> String {
    let byte = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    form.iter().map(|(name, value)| format!("{name}={}", value.bytes().map(byte).collect::<String>())).collect::<Vec<_>>().join("&")
}

async fn send(world: &World, session: &str, form: &[(&str, &str)]) -> Answer {
    let control = world.system.control_url();
    let request = world
        .http
        .post(format!("{control}/admin/keys/new"))
        .header("cookie", format!("__Host-keyward={session}"))
        .header("origin", &control);
    http::send(request.header("content-type", "application/x-www-form-urlencoded").body(encoded(form))).await
}

#[tokio::test]
async fn without_a_script_a_key_is_made_by_a_form_and_shown_by_its_answer() {
    let world = World::start().await;
    let browser = signed_in(&world).await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    browser.open(&format!("{}/admin/keys", world.system.control_url())).await;
    browser.press("", "New API Key").await;
    eventually(SOON, async || if browser.count("//*[@id='create-page']").await == 1 { Ok(()) } else { Err("no form") }).await;
    browser.fill("//*[@id='create-name']", "Plain").await;
    browser.click("//select[@name='expires']/option[@value='90']").await;
    browser.press("", "Create").await;
    let key = browser.text("//*[@id='new-key']").await;
    browser.screenshot("keys-created-without-script").await;
    assert!(key.starts_with("kw_live_"), "{key}");
    world.call(&key, "/").await.expect(200);
    browser.click("//a[normalize-space()='I have stored it']").await;
    eventually(SOON, async || if browser.count("//tr[@data-key-id][contains(.,'Plain')]").await == 1 { Ok(()) } else { Err("no row") })
        .await;

    browser.click("//tr[contains(.,'Plain')]//a[normalize-space()='Revoke']").await;
    browser.press("", "Revoke key").await;
    browser.open(&format!("{}/admin/keys", world.system.control_url())).await;
    assert_eq!(browser.count("//tr[contains(.,'Plain')][contains(.,'Revoked')]").await, 1);

    // What a reload does: the same form again.
    let session = session(&world).await;
    let form = [("form", "0123456789abcdef"), ("name", "Twice"), ("expires", "")];
    let first = send(&world, &session, &form).await.expect(201);
    assert_eq!(first.header("cache-control"), "no-store");
    assert!(first.text.contains("kw_live_"));
    let again = send(&world, &session, &form).await.expect(201);
    assert!(again.text.contains("made already") && !again.text.contains("kw_live_"), "{again:?}");
    let listed = world.operator("GET", "/v1/keys?q=Twice", Value::Null).await.json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
    let wrong = send(&world, &session, &[("name", "<i>Kept</i>"), ("networks", "nowhere")]).await.expect(422);
    assert!(wrong.text.contains("create-networks-problem") && wrong.text.contains("&lt;i&gt;Kept") && wrong.text.contains(">nowhere<"));
    world.system.stop().await;
}

/// The names on the page, from the top.
async fn names(browser: &Browser) -> Vec<String> {
    let names = browser.run("return [...document.querySelectorAll('tr[data-key-id]')].map(row => row.dataset.name)").await;
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_list_is_searched_filtered_sorted_and_paged() {
    let world = World::start().await;
    world.owner("demo", "bob", &["orders.read", "orders.write", "billing.read", "keyward.keys.own"], true).await;
    let browser = Browser::start().await;
    let link = world.operator("POST", "/v1/sign-in-links", json!({"owner": "bob"})).await.json();
    browser.open(link["url"].as_str().unwrap()).await;
    pictures(&browser, "keys-none").await;
    assert_eq!(browser.count("//article[contains(.,'Give each integration a key of its own')]").await, 1);
    assert_eq!(browser.count("//nav[@aria-label='Whose keys']").await, 0, "everyone's are not for everyone");
    browser.open(&world.system.sign_in_link().unwrap()).await;
    let soon = (Timestamp::now() + SignedDuration::from_hours(5 * 24)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for n in 0..55 {
        world.key("demo", "admin", json!({"name": format!("Number {n:02}")})).await;
    }
    world.key("demo", "bob", json!({"name": "Sync <b>", "permissions": ["orders.read", "orders.write", "billing.read"]})).await;
    let gone = world.key("demo", "bob", json!({"name": "Old sync"})).await;
    world.revoke("demo", &gone.id).await;
    let used = world.key("demo", "admin", json!({"name": "Busy", "expires_at": soon})).await;
    world.call(&used.key, "/").await.expect(200);
    eventually(SOON * 3, async || {
        let key = world.operator("GET", &format!("/v1/keys/{}", used.id), Value::Null).await.json();
        if key["last_used_at"].is_string() { Ok(()) } else { Err(key) }
    })
    .await;

    browser.reload().await;
    let first = names(&browser).await;
    assert_eq!((first.len(), first[0].as_str()), (50, "Busy"), "mine, newest first");
    assert!(
        browser.count("//tr[@data-name='Busy'][contains(.,'in 4 days')]//*[name()='title'][contains(.,'1 request in 30 days')]").await == 1
    );
    pictures(&browser, "keys-many").await;
    browser.click("//a[@rel='next']").await;
    becomes(&browser, "return document.querySelectorAll('tr[data-key-id]').length", 7).await; // with the operator's first key
    assert!(names(&browser).await.contains(&"Number 00".to_owned()));
    browser.click("//a[@rel='first']").await;
    browser.click("//th/a[normalize-space()='Name']").await;
    becomes(&browser, "return document.querySelector('th[aria-sort]').textContent", "Name").await;
    let by_name = names(&browser).await;
    assert!(by_name.is_sorted(), "{by_name:?}");

    browser.click("//a[normalize-space()='Everyone’s']").await;
    becomes(&browser, "return document.querySelector('nav.tabs [aria-current]').textContent", "Everyone’s").await;
    browser.fill("//input[@name='q']", "sync").await;
    browser.press("//search", "Apply").await;
    becomes(&browser, "return document.querySelectorAll('tr[data-key-id]').length", 2).await;
    assert_eq!(names(&browser).await, ["Old sync", "Sync <b>"], "and still by name");
    assert_eq!(browser.count("//tr[contains(.,'Sync <b>')][contains(.,'bob')][contains(.,'+1')]").await, 1);
    browser.click("//select[@name='status']/option[@value='revoked']").await;
    browser.press("//search", "Apply").await;
    becomes(&browser, "return document.querySelectorAll('tr[data-key-id]').length", 1).await;
    browser.fill("//input[@name='owner']", "admin").await;
    browser.press("//search", "Apply").await;
    says(&browser, "//article[@class='empty']//h2", "No key matches").await;
    pictures(&browser, "keys-nothing-matches").await;
    browser.click("//a[normalize-space()='Show all keys']").await;
    becomes(&browser, "return document.querySelectorAll('tr[data-key-id]').length", 50).await;
    browser.click("//input[@name='expiring']").await;
    browser.press("//search", "Apply").await;
    becomes(&browser, "return document.querySelectorAll('tr[data-key-id]').length", 1).await;
    assert_eq!(names(&browser).await, ["Busy"]);
    browser.click("//input[@name='expiring']").await;
    browser.click("//input[@name='unused']").await;
    browser.press("//search", "Apply").await;
    says(&browser, "//article[@class='empty']//h2", "No key matches").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    world.system.stop().await;
}

/// The only key of this name in a company.
async fn found(world: &World, company: &str, name: &str) -> Value {
    let listed = world.operator("GET", &format!("/v1/keys?q={name}&company={company}"), Value::Null).await.json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1, "{listed}");
    listed["keys"][0].clone()
}

/// In how many seconds a key expires.
pub(crate) fn life(key: &Value) -> i64 {
    let end: Timestamp = key["expires_at"].as_str().unwrap().parse().unwrap();
    end.as_second() - Timestamp::now().as_second()
}

pub(crate) const DAY: i64 = 86_400;

#[tokio::test]
async fn in_another_company_the_operator_sees_its_keys_and_makes_some_for_its_owners() {
    let world = World::start().await;
    let acme = json!({"name": "Acme", "active": true, "max_key_lifetime_days": 30});
    world.operator("PUT", "/v1/companies/acme", acme).await.expect(201);
    world.owner("acme", "bob", &["orders.read", "billing.read"], true).await;
    world.key("acme", "bob", json!({"name": "Theirs"})).await;
    let browser = signed_in(&world).await;
    browser.open(&format!("{}/admin/keys?company=acme", world.system.control_url())).await;
    assert_eq!(names(&browser).await, ["Theirs"]);
    assert_eq!(browser.count("//*[normalize-space()='Mine']").await, 0);

    begin(&browser, "Nightly").await;
    assert_eq!(browser.count("//option[normalize-space()='As long as allowed: 30 days']").await, 1);
    assert_eq!(browser.count("//option[normalize-space()='In 90 days' or normalize-space()='Never']").await, 0);
    browser.fill("//*[@id='create-owner']", "nobody").await;
    browser.click("//select[@name='expires']/option[@value='date']").await;
    browser.run("const day = document.querySelector('[name=last_day]'); day.value = day.max").await;
    browser.click("//input[@name='restricted'][@value='on']").await;
    browser.fill("//textarea[@name='narrower']", "orders.read").await;
    browser.press(DIALOG, "Create").await;
    says(&browser, "//*[@id='create-owner-problem']", "no such owner").await;
    browser.run("document.getElementById('create-owner').value = ''").await;
    browser.fill("//*[@id='create-owner']", "bob").await;
    pictures(&browser, "keys-create-elsewhere").await;
    browser.press(DIALOG, "Create").await;
    let key = the_key(&browser).await;
    says(&browser, "//*[@id='created-dialog']", "acts as bob, with").await;
    says(&browser, "//*[@id='created-end']", "It works until").await;
    world.call(&key, "/").await.expect(200);
    browser.press("", "I have stored it").await;
    listed(&browser, "Nightly").await;
    assert_eq!(browser.run("return location.search").await, "?company=acme");
    let made = found(&world, "acme", "Nightly").await;
    assert_eq!((&made["owner"], &made["permissions"]), (&json!("bob"), &json!(["orders.read"])));
    assert!((30 * DAY - 60..=30 * DAY + 5).contains(&life(&made)), "the last day ends with the longest life: {made}");
    assert_eq!(browser.console().await.into_iter().filter(|line| !line.contains("422")).collect::<Vec<_>>(), Vec::<String>::new());
    world.system.stop().await;
}

#[tokio::test]
async fn neither_a_cut_answer_nor_a_weekend_nor_the_way_back_takes_anything_away() {
    let world = World::start().await;
    let browser = signed_in(&world).await;

    // A list that was open over a weekend, on a machine that slept.
    browser.run("window.real = fetch; window.now = Date.now; Date.now = () => now() + 3 * 86_400_000").await;
    begin(&browser, "Patient").await;
    browser.click("//select[@name='expires']/option[@value='30']").await;
    // Nothing was asked for: nothing may have been done.
    browser
        .run("window.fetch = (a, how) => String(a).startsWith('/v1/format') ? Promise.reject(new TypeError('lost')) : real(a, how)")
        .await;
    browser.press(DIALOG, "Create").await;
    says(&browser, "//*[@id='create-dialog-alert']", "No answer came. Try again.").await;
    // The answer with the key ends in its midst.
    let cut = "window.fetch = async (a, how) => { const answer = await real(a, how); \
               if (how?.method !== 'POST') return answer; const text = await answer.text(); \
               return new Response(text.slice(0, 40), { status: answer.status }); }";
    browser.run(cut).await;
    browser.press(DIALOG, "Create").await;
    says(&browser, "//*[@id='create-dialog-alert']", "may have been made").await;
    browser.run("window.fetch = real; Date.now = now").await;
    browser.press(DIALOG, "Create").await;
    let key = the_key(&browser).await;
    world.call(&key, "/").await.expect(200);
    let made = found(&world, "demo", "Patient").await;
    assert!((33 * DAY - 60..=33 * DAY + 5).contains(&life(&made)), "thirty days from when it was made: {made}");
    browser.press("", "I have stored it").await;
    listed(&browser, "Patient").await;

    // A key in the search goes nowhere, and is not kept.
    browser.fill("//input[@name='q']", &key).await;
    browser.press("//search", "Apply").await;
    says(&browser, "//*[@id='filter-q-problem']", "Never paste one here").await;
    assert_eq!(browser.run("return location.search + document.getElementById('filter-q').value").await, "");
    assert_eq!(browser.run("return document.activeElement.id").await, "filter-q");

    // Back on a page that a browser kept: where a key was made it is loaded anew. Where something was only typed it stays, over a fresh list.
    // (This browser keeps no page that must not be stored, so it is told as one that does would tell it.)
    let back = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))";
    browser.run("window.stayed = true").await;
    browser.run(back).await;
    becomes(&browser, "return String(window.stayed) + document.readyState", "undefinedcomplete").await;
    begin(&browser, "Half typed").await;
    browser.run("window.stayed = true").await;
    world.key("demo", "admin", json!({"name": "Meanwhile"})).await;
    browser.run(back).await;
    listed(&browser, "Meanwhile").await;
    let typed = "return [window.stayed, document.querySelector('dialog[open] [name=name]').value]";
    assert_eq!(browser.run(typed).await, json!([true, "Half typed"]));

    // An outage while the list is fetched again, with a fragment in the address: the page is loaded, not scrolled.
    browser.run("document.getElementById('create-dialog').close(); location.hash = 'keys'").await;
    browser.click("//tr[@data-name='Meanwhile']//a[normalize-space()='Revoke']").await;
    browser.run("window.real = fetch; window.fetch = (a, how) => how?.method ? real(a, how) : Promise.reject(new TypeError('lost'))").await;
    browser.press("//dialog[@id='revoke-dialog']", "Revoke key").await;
    becomes(&browser, "return String(window.stayed) + document.readyState", "undefinedcomplete").await;
    assert_eq!(browser.count("//tr[@data-name='Meanwhile'][contains(.,'Revoked')]").await, 1);
    world.system.stop().await;
}

#[tokio::test]
async fn a_session_that_ends_in_the_midst_of_the_form_takes_nothing_away_without_a_script_either() {
    let world = World::start().await;
    let browser = signed_in(&world).await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    browser.open(&format!("{}/admin/keys/new", world.system.control_url())).await;
    browser.fill("//*[@id='create-name']", "Kept <b>").await;
    browser.click("//select[@name='expires']/option[@value='90']").await;
    browser.click("//input[@name='restricted'][@value='on']").await;
    browser.fill("//textarea[@name='narrower']", "orders.read\nbilling.read").await;
    browser.fill("//textarea[@name='networks']", "127.0.0.0/8").await;
    browser.devtools("Network.clearBrowserCookies", json!({})).await;
    browser.press("", "Create").await;
    says(&browser, "//h1", "Your session has ended").await;
    browser.devtools("Target.createTarget", json!({"url": world.system.sign_in_link().unwrap()})).await;
    eventually(SOON, async || browser.cookie("__Host-keyward").await.ok_or("not signed in in the other tab")).await;
    browser.press("", "Send again").await;
    let key = browser.text("//*[@id='new-key']").await;
    world.call(&key, "/").await.expect(200);
    let made = found(&world, "demo", "Kept").await;
    assert_eq!(
        (&made["name"], &made["permissions"], &made["allowed_ips"]),
        (&json!("Kept <b>"), &json!(["billing.read", "orders.read"]), &json!(["127.0.0.0/8"]))
    );
    assert!((90 * DAY - 120..=90 * DAY + 5).contains(&life(&made)), "{made}");
    world.system.stop().await;
}
