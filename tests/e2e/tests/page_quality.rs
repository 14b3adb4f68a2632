//! Every page of the administration as everybody meets it: on a wide screen in light and dark and on a phone, with the keyboard, and by
//! those who listen to it. One table names the pages; a page that is added there is looked at in every way.
//!
//! `KEYWARD_SCREENSHOTS=1 cargo test -p keyward-e2e --test e2e page_quality::` writes pictures of them into `docs/screenshots/` too.

use std::{env, fmt::Write as _, time::Duration};

use keyward_e2e::{
    World,
    browser::{Browser, look::Look},
    build, eventually,
    receiver::Receiver,
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// The most bytes that a page may cost, without WebAssembly.
const MOST_BYTES: u64 = 100 << 10;
/// The most that it may jump while it loads: what nobody sees.
const MOST_SHIFT: f64 = 0.01;

/// A page.
struct Row {
    /// What it is called in complaints and pictures.
    name: &'static str,
    /// Its address; `{key}` and so on are of [`Data`].
    address: &'static str,
    /// Whether somebody is signed in there.
    signed_in: bool,
}

const fn page(name: &'static str, address: &'static str) -> Row {
    Row { name, address, signed_in: true }
}

/// Every page.
const PAGES: &[Row] = &[
    page("keys", "/admin/keys"),
    page("keys-of-everyone", "/admin/keys?owners=all"),
    page("new-key", "/admin/keys/new"),
    page("key", "/admin/keys/{key}"),
    page("key-revoked", "/admin/keys/{revoked}"),
    page("rotate-key", "/admin/keys/{key}/rotate"),
    page("revoke-key", "/admin/keys/{key}/revoke"),
    page("delete-key", "/admin/keys/{revoked}/delete"),
    page("owners", "/admin/owners"),
    page("owner", "/admin/owners/{owner}"),
    page("companies", "/admin/companies"),
    page("policy", "/admin/policy"),
    page("audit", "/admin/audit"),
    page("audit-search", "/admin/audit?target={key}&action=key.change"),
    page("audit-nothing", "/admin/audit?actor=nobody"),
    page("audit-check", "/admin/audit/verify"),
    page("webhooks", "/admin/webhooks"),
    page("new-webhook", "/admin/webhooks/new"),
    page("webhook", "/admin/webhooks/{webhook}"),
    page("webhook-paused", "/admin/webhooks/{paused}"),
    page("delete-webhook", "/admin/webhooks/{webhook}/delete"),
    Row { name: "not-signed-in", address: "/admin/keys", signed_in: false },
];

/// What the pages show.
struct Data {
    key: String,
    revoked: String,
    webhook: String,
    paused: String,
}

impl Data {
    /// Keys in every state, owners, rules of every kind, entries of the trail, webhooks with messages that arrived and that did not.
    async fn made(world: &World, receiver: &Receiver) -> Self {
        world.owner("demo", "ann", &["orders.read", "keyward.keys.own"], true).await;
        world.owner("demo", "bob", &["orders.*", "shipping.labels.print", "keyward.keys.own"], true).await;
        let rules = json!([
            {"path": "/health", "anonymous": true},
            {"path": "/orders/**", "methods": ["GET"], "permission": "orders.read"},
            {"path": "/orders/**", "methods": ["POST", "PUT", "PATCH", "DELETE"], "permission": "orders.write"},
            {"path": "/companies/*/shipping/labels", "methods": ["POST"], "permission": "shipping.labels.print"},
            {"path": "/app/**", "bearer": "origin"},
        ]);
        world.operator("PUT", "/v1/policy", json!({"rules": rules})).await;
        let hook = async |body: Value| {
            let made = world.operator("POST", "/v1/webhooks", body).await.expect(201).json();
            made["id"].as_str().unwrap().to_owned()
        };
        let webhook = hook(json!({"url": receiver.url(), "name": "Alerts to the operations chat"})).await;
        let paused = hook(json!({"url": receiver.url(), "events": ["key.leaked", "key.revoked"], "active": false})).await;

        let in_days = |days: i64| (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)).to_string();
        let named = async |owner: &str, name: &str, more: Value| {
            let mut body = json!({"name": name});
            body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
            world.key("demo", owner, body).await
        };
        let key = named("admin", "ERP nightly sync", json!({"expires_at": in_days(300)})).await;
        named("ann", "Power BI dashboard", json!({"permissions": ["orders.read"], "expires_at": in_days(5)})).await;
        let printing = json!({"permissions": ["orders.read", "shipping.labels.print"], "allowed_ips": ["10.20.0.0/16"]});
        named("bob", "Warehouse scanner", printing).await;
        let revoked = named("admin", "Old import", json!({})).await;
        let expires = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2)).to_string();
        named("admin", "Trial", json!({"expires_at": expires})).await;
        for _ in 0..3 {
            world.call(&key.key, "/").await.expect(200);
        }
        let change = json!({"name": "ERP nightly synchronisation", "allowed_ips": ["10.0.0.0/8", "192.168.7.0/24"]});
        world.operator("PATCH", &format!("/v1/keys/{}", key.id), change).await;
        world.revoke("demo", &revoked.id).await;
        world.owner("demo", "bob", &["orders.read", "keyward.keys.own"], false).await;
        assert_eq!(world.control(&key.key, "POST", "/v1/keys", json!({"name": "Refused"})).await.status, 403);
        receiver.answer_with(500, Duration::ZERO);
        world.operator("POST", &format!("/v1/keys/{}/rotate", key.id), json!({"overlap_s": 3_600})).await;
        eventually(Duration::from_secs(20), async || {
            let all = world.operator("GET", &format!("/v1/webhooks/{webhook}/deliveries"), Value::Null).await.json();
            let is = |status: u64| all["deliveries"].as_array().unwrap().iter().any(|delivery| delivery["last_status"] == status);
            if is(204) && is(500) { Ok(()) } else { Err(all) }
        })
        .await;
        sleep(Duration::from_secs(2)).await; // until the trial has ended
        Self { key: key.id, revoked: revoked.id, webhook, paused }
    }

    fn address(&self, pattern: &str) -> String {
        let values = [("{key}", &self.key), ("{revoked}", &self.revoked), ("{webhook}", &self.webhook), ("{paused}", &self.paused)];
        values.into_iter().fold(pattern.replace("{owner}", "ann"), |address, (name, value)| address.replace(name, value))
    }
}

/// What is wrong with the page that is open, as a line each.
async fn complaints(browser: &Browser, look: Look) -> Vec<String> {
    let mut wrong = browser.violations().await;
    let overflow = browser.overflow(look).await;
    if overflow > 0 {
        // What can be scrolled by itself is not what makes the page wide.
        let script = "const scrolls = (e) => e && (getComputedStyle(e).overflowX !== 'visible' || scrolls(e.parentElement));
            return [...document.querySelectorAll('body *')]
              .filter((e) => e.getBoundingClientRect().right > document.body.clientWidth + 1 && !scrolls(e.parentElement))
              .slice(0, 5).map((e) => e.outerHTML.slice(0, 200))";
        wrong.push(format!("it is {overflow} pixels too wide: {}", browser.run(script).await));
    }
    let head = browser.run("return [document.querySelectorAll('h1').length, document.title, document.documentElement.lang]").await;
    if head[0] != 1 {
        wrong.push(format!("it has {} first headings", head[0]));
    }
    if !head[1].as_str().is_some_and(|title| title.ends_with(" · Keyward") && title.len() > 12) || head[2] != "en" {
        wrong.push(format!("its title or language: {head}"));
    }
    wrong.extend(faint(browser).await);
    wrong
}

/// Fields, boxes and circles whose border can hardly be told from what is around them or in them (WCAG 1.4.11, which axe-core leaves out).
async fn faint(browser: &Browser) -> Vec<String> {
    let script = r"
        const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
        const light = (color) => {
          canvas.fillStyle = color;
          canvas.fillRect(0, 0, 1, 1);
          const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
        const ground = (element) => {
          const {backgroundColor} = getComputedStyle(element);
          return /^rgba\(.*, 0\)$/.test(backgroundColor) && element.parentElement ? ground(element.parentElement) : backgroundColor;
        };
        return [...document.querySelectorAll('input,select,textarea')].filter((control) => control.checkVisibility())
          .map((control) => [control.outerHTML.slice(0, 100), getComputedStyle(control).borderTopColor, ground(control.parentElement)])
          .map(([html, border, around]) => [html, contrast(border, around)])
          .filter(([, ratio]) => ratio < 3).map(([html, ratio]) => `its border has a contrast of ${ratio}: ${html}`)";
    browser.run(script).await.as_array().into_iter().flatten().map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
}

/// How many pixels have to be scrolled sideways on a small laptop.
async fn overflow_on_a_small_laptop(browser: &Browser) -> i64 {
    let screen = json!({"width": 1_000, "height": 700, "deviceScaleFactor": 1, "mobile": false});
    browser.devtools("Emulation.setDeviceMetricsOverride", screen).await;
    let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    browser.run(script).await.as_i64().unwrap_or(i64::MAX)
}

/// What is wrong with the way through the page by keyboard.
async fn lost_with_the_keyboard(browser: &Browser) -> Vec<String> {
    let way = browser.way_by_keyboard().await;
    let mut wrong: Vec<String> = way.missed.iter().map(|control| format!("Tab does not come by {control}")).collect();
    if way.stops.first() != Some(&("link".into(), "Skip to the content".into())) {
        wrong.push(format!("the first stop is {:?}", way.stops.first()));
    }
    wrong.extend(way.stops.iter().filter(|(_, name)| name.trim().is_empty()).map(|(role, _)| format!("a {role} has no name: {way:?}")));
    wrong
}

#[tokio::test]
async fn everybody_can_use_every_page_and_it_weighs_little() {
    let receiver = Receiver::start().await;
    let world = World::with(|options| options.settings.push(("WEBHOOK_TARGETS".into(), "any".into()))).await;
    let data = Data::made(&world, &receiver).await;
    let (signed_in, stranger) = (Browser::start().await, Browser::start().await);
    signed_in.open(&world.system.sign_in_link().unwrap()).await;
    let pictures = env::var_os("KEYWARD_SCREENSHOTS").map(|_| build::repository().join("docs/screenshots"));
    let (mut wrong, mut report) = (String::new(), String::new());
    for browser in [&signed_in, &stranger] {
        browser.forget_files().await;
    }
    for row in PAGES {
        let browser = if row.signed_in { &signed_in } else { &stranger };
        browser.console().await;
        for look in Look::ALL {
            browser.look(look).await;
            browser.open(&format!("{}{}", world.system.control_url(), data.address(row.address))).await;
            let cost = browser.cost().await;
            writeln!(
                report,
                "{} {}: {} bytes, first paint after {:.0} ms, layout shift {}",
                row.name,
                look.name(),
                cost.transferred,
                cost.first_paint_ms,
                cost.layout_shift
            )
            .unwrap();
            let mut here = Vec::new();
            if cost.transferred > MOST_BYTES || cost.transferred == 0 {
                here.push(format!("it costs {} bytes", cost.transferred));
            }
            if cost.layout_shift > MOST_SHIFT {
                here.push(format!("it jumps while it loads: {}", cost.layout_shift));
            }
            if let Some(folder) = &pictures {
                browser.picture(&folder.join(format!("{}-{}.png", row.name, look.name()))).await;
            } else {
                browser.screenshot(&format!("{}-{}", row.name, look.name())).await;
            }
            here.extend(complaints(browser, look).await);
            if look != Look::Dark {
                here.extend(lost_with_the_keyboard(browser).await);
            }
            if look == Look::Light {
                let overflow = overflow_on_a_small_laptop(browser).await;
                here.extend((overflow > 0).then(|| format!("on a small laptop it is {overflow} pixels too wide")));
            }
            // A page that is refused is one too; the browser says so.
            let said = browser.console().await.into_iter().filter(|line| row.signed_in || !line.contains("401"));
            here.extend(said.map(|line| format!("the browser complains: {line}")));
            for line in here {
                writeln!(wrong, "{} ({}), {}: {line}", row.name, row.address, look.name()).unwrap();
            }
        }
    }
    println!("{report}");
    assert!(wrong.is_empty(), "{wrong}");
    world.system.stop().await;
}

#[tokio::test]
async fn on_a_phone_what_there_is_comes_before_its_search_and_a_script_is_not_needed() {
    let world = World::start().await;
    let browser = Browser::start().await;
    browser.open(&world.system.sign_in_link().unwrap()).await;
    browser.allow_scripts(false).await;
    let is_seen = async || browser.run("return document.querySelector('search form').checkVisibility()").await;
    for (page, search) in [("/admin/keys", "?status=active"), ("/admin/audit", "?actor=admin")] {
        browser.look(Look::Light).await;
        browser.open(&format!("{}{page}", world.system.control_url())).await;
        assert_eq!(
            (is_seen().await, browser.run("return document.querySelector('summary').checkVisibility()").await),
            (true.into(), false.into())
        );
        browser.look(Look::Phone).await;
        assert_eq!(is_seen().await, false, "{page}");
        browser.click("//summary[.='Search and filter']").await;
        assert_eq!(is_seen().await, true, "{page}");
        browser.open(&format!("{}{page}{search}", world.system.control_url())).await;
        assert_eq!(is_seen().await, true, "what is searched for is shown: {page}");
    }
    world.system.stop().await;
}
