//! Administration → API Keys → a key → Rotate: the successor in a real browser, what is lost on the way, and the old key's end.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use keyward_e2e::{World, browser::Browser, eventually};
use serde_json::{Value, json};

use crate::{
    page_key::{Person, SOON, assert_clean_console, contains, key_of_operator, pictures, refused_by, says, signed_in, value},
    page_keys::{DAY, life},
};

#[tokio::test]
async fn a_person_rotates_a_key_watches_the_old_ones_requests_end_and_revokes_it() {
    let world = World::start().await;
    let old = key_of_operator(&world, "Power BI dashboard").await;
    world.call(&old.key, "/").await.expect(200);
    let page = format!("/admin/keys/{}/rotate", old.id);
    let browser = signed_in(&world, &page).await;
    browser.allow_clipboard().await;
    says(&browser, "//*[@id='rotate-birth']", "made in this browser").await;
    pictures(&browser, "key-4-rotate").await;
    browser.run(LISTEN).await;
    browser.press("", "Make the successor").await;
    let new = browser.text("//*[@id='new-key']").await;
    assert!(new.starts_with("kw_live_") && new != old.key, "{new}");
    // Drawn in the browser: nothing that was sent or answered has the secret in it.
    let heard = browser.run("return JSON.stringify(heard)").await.to_string();
    assert!(heard.contains("/rotate") && heard.contains("digest") && !heard.contains(&new[12..40]), "{heard}");
    browser.press("//dialog[@open]", "Copy").await;
    eventually(SOON, async || {
        let copied = browser.run("return navigator.clipboard.readText()").await;
        if copied == *new { Ok(()) } else { Err("the clipboard holds something else") }
    })
    .await;
    let file = browser.run("return fetch(document.getElementById('download-key').href).then(r => r.text(), () => document.getElementById('download-key').href)").await;
    assert!(file.as_str().unwrap().contains(&format!("KEYWARD_KEY%3D{new}")) || file == format!("KEYWARD_KEY={new}\n"), "{file}");
    browser.screenshot("key-5-new-key").await;
    browser.press("//dialog[@open]", "I have stored it").await;
    says(&browser, "//*[@id='status']", "The successor was made").await;
    assert!(!browser.source().await.contains(&new[12..40]), "the key is gone from the page");
    browser.run("history.back()").await;
    browser.run("history.forward()").await;
    browser.reload().await;
    assert!(!browser.source().await.contains(&new[12..40]), "the key does not come back");

    // The integration still has the old key.
    let uses_old = AtomicBool::new(true);
    let traffic = async {
        while uses_old.load(Ordering::Relaxed) {
            world.call(&old.key, "/api/orders").await.expect(200);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let watch = async {
        says(&browser, "//*[@id='old-use']", "was used since").await;
        says(&browser, "//ol[@id='progress']", "The new key has not been used yet").await;
        let seen = count(&browser).await;
        // Without a hand: the page looks by itself.
        eventually(SOON + SOON, async || match count(&browser).await {
            now if now > seen => Ok(()),
            now => Err(now),
        })
        .await;
        pictures(&browser, "key-6-traffic").await;
        uses_old.store(false, Ordering::Relaxed);
    };
    tokio::join!(traffic, watch);
    // The times of the last requests are told by the second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.call(&new, "/api/orders").await.expect(200);
    eventually(SOON, async || {
        browser.click("//a[normalize-space()='Look again']").await;
        if browser.count("//ol[@id='progress']/li[contains(@class, 'reached')]").await == 3 { Ok(()) } else { Err(browser.source().await) }
    })
    .await;
    let last = count(&browser).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    browser.reload().await;
    assert_eq!(count(&browser).await, last, "nobody uses the old key any more");
    pictures(&browser, "key-7-quiet").await;

    browser.click("//input[@name='sure']").await;
    browser.press("", "Revoke the old key").await;
    says(&browser, "//*[@id='status']", "The old key was revoked.").await;
    refused_by(&world, &old.key, "key_revoked").await;
    world.call(&new, "/").await.expect(200);
    says(&browser, "//*[@id='propagation']", "In effect everywhere since").await;
    assert_eq!(browser.count("//ol[@id='progress']/li[contains(@class, 'reached')]").await, 4);
    browser.screenshot("key-8-rotated").await;
    assert_clean_console(&browser, "data:text/plain").await;
    world.system.stop().await;
}

/// Notes every call of the page's, with what was sent and what came.
const LISTEN: &str = "window.heard = []; const real = window.fetch; window.fetch = async (address, how) => { \
    const answer = await real(address, how); heard.push({ address: String(address), sent: how?.body ?? '', told: await answer.clone().text() }); \
    return answer; };";

#[tokio::test]
async fn a_rotation_whose_answer_is_lost_makes_one_successor_and_still_shows_it() {
    let world = World::start().await;
    let old = key_of_operator(&world, "ERP nightly sync").await;
    let browser = signed_in(&world, &format!("/admin/keys/{}/rotate", old.id)).await;
    says(&browser, "//*[@id='rotate-birth']", "made in this browser").await;
    browser.fill("//*[@id='rotate-name']", "ERP, next").await;
    // A page that was open over a weekend, on a machine that slept.
    browser.run("const now = Date.now; Date.now = () => now() + 3 * 86_400_000").await;
    browser.click("//select[@name='life']/option[@value='30']").await;
    let lose = "window.real = fetch; window.fetch = async (a, how) => { const answer = await real(a, how); \
                if (how?.method === 'POST') throw new TypeError('lost'); return answer; }";
    browser.run(lose).await;
    browser.press("", "Make the successor").await;
    says(&browser, "//*[@id='rotate-form']//*[@role='alert']", "press Make the successor again without changing anything").await;
    browser.run("window.fetch = real").await;
    browser.press("", "Make the successor").await;
    let new = browser.text("//*[@id='new-key']").await;
    world.call(&new, "/").await.expect(200);
    let listed = world.operator("GET", "/v1/keys?q=ERP", Value::Null).await.json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2, "{listed}");
    let made = listed["keys"].as_array().unwrap().iter().find(|key| key["id"] != *old.id).unwrap();
    assert!((33 * DAY - 60..=33 * DAY + 5).contains(&life(made)), "thirty days from when it was made: {made}");
    browser.press("//dialog[@open]", "I have stored it").await;
    says(&browser, "//*[@id='status']", "The successor was made").await;
    assert_clean_console(&browser, "").await;
    world.system.stop().await;
}

#[tokio::test]
async fn a_key_lost_in_a_rotation_is_replaced_by_rotating_again() {
    let world = World::start().await;
    let person = Person::operator(&world).await;
    let old = world.key("demo", "admin", json!({"name": "Sync", "expires_at": "2031-05-17T23:59:59Z"})).await;
    let rotation = format!("/admin/keys/{}/rotate", old.id);
    let form_id = value(&person.get(&rotation).await.expect(200).text, "form");
    let form = [("step", "make"), ("form", &*form_id), ("name", "Sync 2"), ("overlap", "week")];
    person.post(&rotation, &form).await.expect(200);
    let again = person.post(&rotation, &form).await.expect(200).text;
    contains(&again, "revoke the successor and rotate this key again");
    let stored = async || world.operator("GET", &format!("/v1/keys/{}", old.id), Value::Null).await.json();
    let first = stored().await["superseded_by"].as_str().unwrap().to_owned();
    assert!(!person.get(&rotation).await.expect(200).text.contains("Make the successor</button>"), "one that works is enough");
    person.done(&format!("/admin/keys/{first}/revoke"), &[("reason", "its key was lost")]).await;

    let html = person.get(&rotation).await.expect(200).text;
    contains(&html, "The successor does not work any more: make another one");
    contains(&html, "“its key was lost”");
    contains(&html, "As the successor before: 17 May 2031, 23:59 UTC");
    let refused = person.post(&rotation, &[("step", "revoke"), ("sure", "on")]).await.expect(409).text;
    contains(&refused, "Nothing was revoked");
    let (form_id, now) = (value(&refused, "form"), value(&refused, "at"));
    let form = [("step", "make"), ("form", &*form_id), ("at", &*now), ("name", "Sync 3"), ("overlap", "keep"), ("life", "90")];
    let made = person.post(&rotation, &form).await.expect(200).text;
    let new = made.split("aria-label=\"The new key\">").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
    world.call(&new, "/").await.expect(200);
    world.call(&old.key, "/").await.expect(200);
    let second = stored().await["superseded_by"].as_str().unwrap().to_owned();
    assert_ne!(second, first);
    let ends = world.operator("GET", &format!("/v1/keys/{second}"), Value::Null).await.json()["expires_at"].as_str().unwrap().to_owned();
    let days = ends.parse::<jiff::Timestamp>().unwrap().as_second() - now.parse::<i64>().unwrap();
    assert_eq!(days, 90 * 86_400, "as it was chosen");
    contains(&person.done(&rotation, &[("step", "revoke"), ("sure", "on")]).await, "The old key was revoked.");
    world.system.stop().await;
}

#[tokio::test]
async fn a_rotation_in_another_company_stays_there_and_says_when_it_is_not_fresh_any_more() {
    let world = World::start().await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.read"], true).await;
    let old = world.key("acme", "jane", json!({"name": "Acme’s sync"})).await;
    let browser = signed_in(&world, &format!("/admin/keys/{}/rotate?company=acme", old.id)).await;
    says(&browser, "//*[@id='rotate-birth']", "made in this browser").await;
    browser.run("document.getElementById('rotate-life').value = '30'").await;
    browser.press("", "Make the successor").await;
    let new = browser.text("//*[@id='new-key']").await;
    world.call(&new, "/").await.expect(200);
    browser.press("//dialog[@open]", "I have stored it").await;
    says(&browser, "//*[@id='status']", "The successor was made").await;
    assert!(browser.address().await.ends_with("/rotate?company=acme&done=made"), "{}", browser.address().await);
    says(&browser, "//ol[@id='progress']", "The successor is made").await;
    let target = format!("/v1/keys/{}?company=acme", old.id);
    let next = world.operator("GET", &target, Value::Null).await.json()["superseded_by"].as_str().unwrap().to_owned();
    let next = world.operator("GET", &format!("/v1/keys/{next}?company=acme"), Value::Null).await.json();
    let ends: jiff::Timestamp = next["expires_at"].as_str().unwrap().parse().unwrap();
    let days = ends.duration_since(jiff::Timestamp::now()).as_hours() / 24;
    assert!((29..=30).contains(&days), "{next}");

    browser.devtools("Network.clearBrowserCookies", json!({})).await;
    eventually(Duration::from_secs(40), async || match browser.count("//*[@id='progress-stale']//a").await {
        0 => Err("nothing is said"),
        _ => Ok(()),
    })
    .await;
    says(&browser, "//*[@id='progress-stale']", "not fresh any more: your session has ended").await;
    assert_eq!(browser.count("//ol[@id='progress']").await, 1, "what was there stays");
    assert_clean_console(&browser, "status of 401").await;
    world.system.stop().await;
}

/// The requests with the old key, as the page shows them.
async fn count(browser: &Browser) -> u64 {
    browser.text("//*[@id='old-count']").await.replace(',', "").parse().unwrap()
}
