//! Administration → Owners, Companies and Policy, in a real browser and by plain forms, held against what the edge then does.

use std::time::Duration;

use keyward_e2e::{Answer, World, browser::Browser, eventually, http, world::BOUND};
use serde_json::{Value, json};
use url::form_urlencoded;

const SOON: Duration = Duration::from_secs(10);

async fn signed_in(world: &World) -> Browser {
    let browser = Browser::start().await;
    browser.open(&world.system.sign_in_link().unwrap()).await;
    browser
}

async fn open(world: &World, browser: &Browser, path: &str) {
    browser.open(&format!("{}{path}", world.system.control_url())).await;
}

/// Types into a field in the place of what is there.
async fn retype(browser: &Browser, id: &str, text: &str) {
    browser.run(&format!("document.getElementById('{id}').value = ''")).await;
    browser.fill(&format!("//*[@id='{id}']"), text).await;
}

async fn says(browser: &Browser, xpath: &str, words: &str) {
    eventually(SOON, async || {
        let text = browser.text(xpath).await;
        if text.contains(words) { Ok(()) } else { Err(text) }
    })
    .await;
}

async fn status_says(browser: &Browser, words: &str) {
    says(browser, "//*[@id='status']", words).await;
}

async fn edge_answers(world: &World, key: &str, path: &str, status: u16, code: &str) {
    eventually(BOUND, async || {
        let answer = world.call(key, path).await;
        if answer.verdict() == (status, code.to_owned()) { Ok(()) } else { Err(answer) }
    })
    .await;
}

async fn assert_clean_console(browser: &Browser) {
    // What a form was refused with is the status of the page that says so; the browser notes it.
    let noise = ["favicon", "status of 409", "status of 422", "status of 404"];
    let complaints: Vec<String> =
        browser.console().await.into_iter().filter(|line| !noise.iter().any(|known| line.contains(known))).collect();
    assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
}

/// The page in light, in dark and on a phone, where it must not be wider than the screen.
async fn pictures(browser: &Browser, name: &str) {
    let scheme = |value: &str| json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
    browser.screenshot(&format!("{name}-light")).await;
    browser.devtools("Emulation.setEmulatedMedia", scheme("dark")).await;
    tokio::time::sleep(Duration::from_millis(400)).await; // colours change slowly
    browser.screenshot(&format!("{name}-dark")).await;
    browser.devtools("Emulation.setEmulatedMedia", scheme("light")).await;
    let phone = json!({"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": true});
    browser.devtools("Emulation.setDeviceMetricsOverride", phone).await;
    let wide = browser.run("return document.documentElement.scrollWidth").await;
    browser.screenshot(&format!("{name}-phone")).await;
    browser.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    assert_eq!(wide, 360, "{name} is wider than a phone");
}

#[tokio::test]
async fn an_owner_is_added_narrowed_deactivated_and_deleted_on_the_page() {
    let world = World::start().await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/orders/**", "permission": "orders.read"}]})).await;
    let browser = signed_in(&world).await;
    open(&world, &browser, "/admin/owners").await;
    browser.click("//a[normalize-space()='New owner']").await;
    browser.fill("//*[@id='owner-id']", "auth0|jane").await;
    browser.fill("//*[@id='owner-name']", "Jane <b>Doe</b>").await;
    browser.fill("//*[@id='owner-permissions']", "orders.*\nOrders Read").await;
    browser.press("", "Create owner").await;
    says(&browser, "//*[@id='owner-permissions-problem']", "“Orders” must be dotted lower-case words").await;
    assert_eq!(browser.text("//*[@id='owner-permissions']").await, "orders.*\nOrders Read", "what was typed is still there");
    retype(&browser, "owner-permissions", "orders.*\nbilling.read").await;
    browser.press("", "Create owner").await;
    status_says(&browser, "can have keys now").await;
    assert!(browser.address().await.contains("/admin/owners/auth0%7Cjane"));
    pictures(&browser, "owner").await;

    let key = world.key("demo", "auth0%7Cjane", json!({"owner": "auth0|jane"})).await;
    world.call(&key.key, "/orders/1").await.expect(200);
    open(&world, &browser, "/admin/owners").await;
    pictures(&browser, "owners").await;
    browser.click("//a[.='Jane <b>Doe</b>']").await;

    // Somebody else is faster: nothing of theirs is overwritten unseen, nothing of mine is lost.
    retype(&browser, "owner-permissions", "billing.read").await;
    world.owner("demo", "auth0%7Cjane", &["orders.read"], true).await;
    browser.press("", "Save").await;
    says(&browser, "//div[@role='alert']", "orders.read").await;
    assert_eq!(browser.text("//*[@id='owner-permissions']").await, "billing.read");
    pictures(&browser, "owner-changed-meanwhile").await;
    world.call(&key.key, "/orders/1").await.expect(200);
    browser.press("", "Save").await;
    status_says(&browser, "Saved.").await;
    edge_answers(&world, &key.key, "/orders/1", 403, "permission_denied").await;

    browser.press("", "Deactivate owner").await;
    status_says(&browser, "deactivated").await;
    edge_answers(&world, &key.key, "/", 401, "owner_inactive").await;
    browser.press("", "Activate owner").await;
    status_says(&browser, "activated").await;
    edge_answers(&world, &key.key, "/", 200, "").await;

    browser.press("", "Make a sign-in link").await;
    let link = browser.text("//*[@id='sign-in-link']").await;
    http::send(world.http.get(&link)).await.expect(303);
    open(&world, &browser, "/admin/owners?owner=auth0%7Cjane").await;
    assert!(browser.address().await.contains("/admin/owners/auth0%7Cjane") && !browser.source().await.contains("token="));

    browser.fill("//*[@id='delete-id']", "jane").await;
    browser.press("", "Delete owner").await;
    says(&browser, "//*[@id='delete-id-problem']", "Nothing was deleted").await;
    retype(&browser, "delete-id", "auth0|jane").await;
    browser.press("", "Delete owner").await;
    status_says(&browser, "The owner was deleted").await;
    edge_answers(&world, &key.key, "/", 401, "key_revoked").await;
    assert_eq!(browser.count("//tr[@data-owner='auth0|jane']").await, 0);
    assert_clean_console(&browser).await;
    world.system.stop().await;
}

#[tokio::test]
async fn a_company_is_made_filled_and_erased_on_the_page() {
    let world = World::start().await;
    let browser = signed_in(&world).await;
    open(&world, &browser, "/admin/companies").await;
    browser.click("//a[normalize-space()='New company']").await;
    browser.fill("//*[@id='company-id']", "acme").await;
    browser.fill("//*[@id='company-name']", "Acme Inc").await;
    browser.fill("//*[@id='company-days']", "ninety").await;
    browser.press("", "Create company").await;
    says(&browser, "//*[@id='company-days-problem']", "must be a whole number").await;
    retype(&browser, "company-days", "90").await;
    browser.press("", "Create company").await;
    status_says(&browser, "Add its first owner next").await;
    pictures(&browser, "company").await;

    browser.click("//a[@aria-label='Owners of Acme Inc']").await;
    says(&browser, "//aside", "You are acting in the company acme").await;
    pictures(&browser, "owners-elsewhere").await;
    browser.click("//a[normalize-space()='New owner']").await;
    browser.fill("//*[@id='owner-id']", "bob").await;
    browser.fill("//*[@id='owner-name']", "Bob").await;
    browser.press("", "Create owner").await;
    status_says(&browser, "can have keys now").await;
    assert_eq!(world.operator("GET", "/v1/owners/bob?company=acme", Value::Null).await.json()["name"], "Bob");
    world.control(&world.operator, "GET", "/v1/owners/bob", Value::Null).await.expect(404);
    let key = world.key("acme", "bob", json!({})).await;
    world.call(&key.key, "/").await.expect(200);

    open(&world, &browser, "/admin/companies").await;
    eventually(SOON, async || {
        browser.reload().await;
        if browser.count("//tr[@data-company='acme']").await == 1 { Ok(()) } else { Err("not listed yet") }
    })
    .await;
    pictures(&browser, "companies").await;
    browser.click("//a[.='Acme Inc']").await;
    let export = browser.run("return fetch(document.querySelector('a[download]').href).then(answer => answer.text())").await;
    assert!(export.as_str().unwrap().contains("\"bob\""), "{export}");
    browser.press("", "Deactivate company").await;
    edge_answers(&world, &key.key, "/", 401, "owner_inactive").await;
    browser.fill("//*[@id='delete-id']", "acme").await;
    browser.press("", "Delete company").await;
    status_says(&browser, "being erased").await;
    world.control(&world.operator, "GET", "/v1/companies/acme", Value::Null).await.expect(404);
    eventually(BOUND, async || match world.call(&key.key, "/").await {
        answer if answer.status == 401 => Ok(()),
        answer => Err(answer),
    })
    .await;
    open(&world, &browser, "/admin/companies/demo").await;
    assert_eq!(browser.count("//button[normalize-space()='Delete company']").await, 0, "the operator's own company stays");
    assert_clean_console(&browser).await;
    world.system.stop().await;
}

async fn add_rule(browser: &Browser, at: usize, path: &str, permission: &str) {
    browser.press("", "Add a rule").await;
    browser.fill(&format!("//*[@id='rule-{at}-path']"), path).await;
    if !permission.is_empty() {
        browser.fill(&format!("//*[@id='rule-{at}-permission']"), permission).await;
    }
}

/// What the rules' order is in the editor.
async fn paths(browser: &Browser) -> Value {
    browser.run("return [...document.querySelectorAll('input[name=path]')].map(field => field.value)").await
}

#[tokio::test]
async fn the_policy_is_edited_tried_overtaken_and_rolled_back_on_the_page() {
    let world = World::start().await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    let browser = signed_in(&world).await;
    open(&world, &browser, "/admin/policy").await;
    assert!(browser.source().await.contains("every valid key may do everything that its owner may"));

    add_rule(&browser, 0, "/orders/**", "orders.write").await;
    add_rule(&browser, 1, "/orders//x", "").await;
    add_rule(&browser, 2, "/public/**", "").await;
    browser.click("//*[@id='rule-2-anonymous']/option[@value='anonymous']").await;
    browser.press("", "Save policy").await;
    says(&browser, "//*[@id='rule-1-path-problem']", "empty segment").await;
    let focus = browser.run("return document.activeElement.id").await;
    assert_eq!(focus, "rule-1-path", "what is wrong has the focus");
    retype(&browser, "rule-1-path", "/orders/drafts/**").await;
    browser.click("//button[@aria-label='Move rule 2 up']").await;
    eventually(SOON, async || match paths(&browser).await {
        order if order == json!(["/orders/drafts/**", "/orders/**", "/public/**"]) => Ok(()),
        order => Err(order),
    })
    .await;
    browser.fill("//*[@id='test-path']", "/orders/drafts/7").await;
    browser.press("", "Try").await;
    says(&browser, "//div[@role='status']", "By the rules in the editor").await;
    says(&browser, "//div[@role='status']", "Rule 1 decides").await;
    pictures(&browser, "policy").await;
    world.call(&key, "/orders/7").await.expect(200);
    browser.press("", "Save policy").await;
    status_says(&browser, "The policy was saved").await;
    says(&browser, "//dl[contains(@class,'propagation')]", "Guaranteed everywhere by").await;
    pictures(&browser, "policy-saved").await;
    edge_answers(&world, &key, "/orders/7", 403, "permission_denied").await;
    world.call(&key, "/orders/drafts/7").await.expect(200);
    world.get("/public/logo").await.expect(200);

    // The second editor: what the first one saved stands, what the second one typed too.
    browser.click("//button[@aria-label='Remove rule 2']").await;
    eventually(SOON, async || if browser.count("//input[@name='path']").await == 2 { Ok(()) } else { Err("not yet") }).await;
    let theirs = json!({"rules": [{"path": "/theirs", "permission": "a.b"}]});
    world.operator("PUT", "/v1/policy", theirs.clone()).await;
    browser.press("", "Save policy").await;
    says(&browser, "//*[@id='meanwhile']", "has saved another version while you had this open").await;
    says(&browser, "//*[@id='meanwhile']", "Any method /theirs → a key with a.b").await;
    assert_eq!(paths(&browser).await, json!(["/orders/drafts/**", "/public/**"]));
    assert_eq!(world.operator("GET", "/v1/policy", Value::Null).await.json()["rules"], theirs["rules"]);
    pictures(&browser, "policy-overtaken").await;
    browser.press("", "Save policy").await;
    status_says(&browser, "The policy was saved").await;
    edge_answers(&world, &key, "/orders/7", 200, "").await;

    // Back to the first version, by its difference.
    browser.click("//a[normalize-space()='History']").await;
    pictures(&browser, "policy-history").await;
    browser.click("(//table//th//a)[3]").await;
    says(&browser, "//section[@aria-labelledby='changed-title']", "it is the first one").await;
    pictures(&browser, "policy-version").await;
    browser.click("//input[@name='sure']").await;
    browser.press("", "Roll back to this version").await;
    status_says(&browser, "The earlier version is in its place again").await;
    edge_answers(&world, &key, "/orders/7", 403, "permission_denied").await;
    assert_eq!(browser.count("//fieldset").await, 3);

    browser.press("", "Edit as JSON").await;
    says(&browser, "//*[@id='policy-json']", "\"path\":\"/orders/drafts/**\"").await;
    pictures(&browser, "policy-json").await;
    assert_clean_console(&browser).await;
    world.system.stop().await;
}

/// Somebody with a session and no script: a form is what they send, a page or an address what they get.
struct Plain<'w> {
    world: &'w World,
    cookie: String,
}

impl<'w> Plain<'w> {
    async fn sign_in(world: &'w World) -> Self {
        let answer = http::send(world.http.get(world.system.sign_in_link().unwrap())).await.expect(303);
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        Self { world, cookie }
    }

    async fn get(&self, path: &str) -> Answer {
        http::send(self.world.http.get(format!("{}{path}", self.world.system.control_url())).header("cookie", &self.cookie)).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let own = self.world.system.control_url();
        let request = self.world.http.post(format!("{own}{path}")).header("cookie", &self.cookie).header("origin", own);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        http::send(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }
}

/// A hidden field's value.
fn hidden(page: &Answer, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let rest = page.text.split(&start).nth(1).unwrap_or_else(|| panic!("no {name}: {page:?}"));
    rest.split('"').next().unwrap().replace("&quot;", "\"")
}

#[tokio::test]
async fn everything_works_without_a_script_by_plain_forms() {
    let world = World::start().await;
    let plain = Plain::sign_in(&world).await;
    let made =
        [("id", "new"), ("seen", ""), ("name", "Somebody called new"), ("permissions", "orders.read"), ("active", "yes"), ("do", "save")];
    let answer = plain.post("/admin/owners/new", &made).await.expect(303);
    assert!(answer.header("location").ends_with("/admin/owners/-?id=new&done=created"), "{answer:?}");
    plain.post("/admin/owners/new", &made).await.expect(303);
    let page = plain.get("/admin/owners/-?id=new").await.expect(200);
    let seen = hidden(&page, "seen");
    let changed = [("seen", seen.as_str()), ("name", "Other"), ("permissions", ""), ("active", "yes"), ("do", "save")];
    plain.post("/admin/owners/-?id=new", &changed).await.expect(303);
    plain.post("/admin/owners/-?id=new", &[("seen", seen.as_str()), ("name", "Third"), ("do", "save")]).await.expect(409);
    assert_eq!(world.operator("GET", "/v1/owners/new", Value::Null).await.json()["name"], "Other");
    plain.post("/admin/owners/-?id=new", &[("do", "delete"), ("confirm", "new")]).await.expect(303);
    world.control(&world.operator, "GET", "/v1/owners/new", Value::Null).await.expect(404);

    let page = plain.get("/admin/policy").await.expect(200);
    let rule = [("methods", "get"), ("path", "/reports/**"), ("passes", "key"), ("permission", "reports.read"), ("bearer", "")];
    let (etag, form) = (hidden(&page, "etag"), hidden(&page, "form"));
    let editor = [("etag", etag.as_str()), ("form", form.as_str()), ("mode", "rows"), ("default", "deny")];
    let saved = [&editor[..], &rule, &[("do", "save")]].concat();
    let answer = plain.post("/admin/policy", &saved).await.expect(303);
    assert!(answer.header("location").ends_with("/admin/policy?done=saved"), "{answer:?}");
    plain.post("/admin/policy", &saved).await.expect(303);
    let versions = world.operator("GET", "/v1/policy/versions", Value::Null).await.json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1, "sent twice, saved once: {versions}");
    let other = [&editor[..], &rule, &[("methods", ""), ("path", "/x"), ("do", "save")]].concat();
    let told = plain.post("/admin/policy", &other).await.expect(409);
    assert!(told.text.contains("has saved another version") && told.text.contains("value=\"/x\""), "{told:?}");

    let history = plain.get("/admin/policy/history").await.expect(200);
    assert!(history.text.contains("/admin/policy/versions/"), "{history:?}");
    world.system.stop().await;
}

#[tokio::test]
async fn the_tester_says_what_the_edge_then_does() {
    let world = World::start().await;
    world.owner("demo", "jane", &["orders.read"], true).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    let plain = Plain::sign_in(&world).await;
    let rules = json!({"default": "deny", "rules": [
        {"methods": ["GET"], "path": "/orders/**", "permission": "orders.read"},
        {"path": "/orders/**", "permission": "orders.write"},
        {"path": "/public/*", "anonymous": true},
        {"path": "/caf%C3%A9"},
        {"path": "/app/**", "bearer": "origin"},
    ]});
    world.operator("PUT", "/v1/policy", rules).await;
    edge_answers(&world, &key, "/elsewhere", 403, "permission_denied").await;
    let etag = hidden(&plain.get("/admin/policy").await, "etag");
    let cases = [
        ("GET", "/orders/7", "Rule 1", 401, 200),
        ("HEAD", "/orders/", "Rule 1", 401, 200),
        ("POST", "/orders/7", "Rule 2", 401, 403),
        ("GET", "/public/logo.png", "Rule 3", 200, 200),
        ("GET", "/public/a/b", "No rule matches", 401, 403),
        ("GET", "/caf%c3%a9", "Rule 4", 401, 200),
        ("GET", "/app/", "Rule 5", 401, 200),
        ("GET", "/ORDERS/7", "No rule matches", 401, 403),
        ("GET", "/orders//7", "Refused with 400", 400, 400),
        ("GET", "/orders%2F7", "Refused with 400", 400, 400),
        ("GET", "/%6Frders/7", "Refused with 400", 400, 400),
        ("GET", "/orders;x/7", "Refused with 400", 400, 400),
        ("GET", "/orders./7", "Refused with 400", 400, 400),
        ("GET", "/%ff", "Refused with 400", 400, 400),
    ];
    for (method, path, verdict, without, with) in cases {
        let fields = [("do", "test"), ("mode", "json"), ("json", "{}"), ("etag", &etag), ("test_method", method), ("test_path", path)];
        let page = plain.post("/admin/policy", &fields).await.expect(200);
        let saved = page.text.split("By the rules that are saved").nth(1).unwrap_or(&page.text);
        let saved = saved.split("By the rules in the editor").next().unwrap();
        assert!(saved.contains(verdict), "{method} {path}: {saved}");
        let send = async |key: Option<&str>| {
            let request = world.http.request(method.parse().unwrap(), format!("{}{path}", world.system.edge_url()));
            http::send(key.into_iter().fold(request, |request, key| request.header("x-api-key", key))).await.status
        };
        assert_eq!((send(None).await, send(Some(&key)).await), (without, with), "{method} {path}");
    }
    world.system.stop().await;
}

/// What the browser is made to notice and keep from leaving: who was sent, and whether the page itself had held it back.
const NOTICE: &str = "window.sent = []; \
    addEventListener('submit', (event) => { sent.push([event.target.getAttribute('action'), event.defaultPrevented]); event.preventDefault() })";

#[tokio::test]
async fn a_form_that_did_not_leave_can_be_sent_again_and_what_was_typed_is_still_asked_about() {
    let world = World::start().await;
    let browser = signed_in(&world).await;
    open(&world, &browser, "/admin/policy").await;
    browser.run(NOTICE).await;
    let submit = "document.querySelector('form[data-keeps]').dispatchEvent(new SubmitEvent('submit', {bubbles: true, cancelable: true}))";
    let asks = "const leaving = new Event('beforeunload', {cancelable: true}); dispatchEvent(leaving); return leaving.defaultPrevented";
    assert_eq!(browser.run(asks).await, false, "nothing was typed");
    browser.run("document.querySelector('form[data-keeps]').dispatchEvent(new Event('input', {bubbles: true}))").await;
    assert_eq!(browser.run(asks).await, true);
    browser.press("//header", "Sign out").await;
    browser.press("//header", "Sign out").await;
    assert_eq!(browser.run("return sent").await, json!([["/sign-out", false], ["/sign-out", false]]), "who stays may sign out after all");

    browser.run(&format!("sent.length = 0; {submit}; {submit}; return null")).await;
    assert_eq!(browser.run("return sent").await, json!([["/admin/policy", false], ["/admin/policy", true]]), "sent twice it is sent once");
    assert_eq!(browser.run(asks).await, false, "the page that comes is the answer");
    eventually(SOON, async || match browser.run(asks).await {
        asked if asked == true => Ok(()),
        asked => Err(asked),
    })
    .await;
    browser.run(&format!("sent.length = 0; {submit}; return null")).await;
    assert_eq!(browser.run("return sent").await, json!([["/admin/policy", false]]), "what did not leave can be sent again");
    world.system.stop().await;
}
