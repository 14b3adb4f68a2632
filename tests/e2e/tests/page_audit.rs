//! Administration → Audit in a real browser.

use std::time::Duration;

use keyward_e2e::{World, browser::Browser, eventually};
use serde_json::{Value, json};

async fn signed_in(world: &World) -> Browser {
    let browser = Browser::start().await;
    browser.open(&world.system.sign_in_link().unwrap()).await;
    browser
}

/// Waits until the page that a click leads to has so many.
async fn has(browser: &Browser, xpath: &str, wanted: usize) {
    eventually(Duration::from_secs(20), async || match browser.count(xpath).await {
        found if found == wanted => Ok(()),
        found => Err(format!("{found} of {xpath}")),
    })
    .await;
}

/// An entry of the trail that says this.
fn entry(text: &str) -> String {
    format!("//ol[@id='entries']/li[contains(normalize-space(.),'{text}')]")
}

#[tokio::test]
async fn the_trail_is_read_searched_checked_and_downloaded() {
    let world = World::start().await;
    world.owner("demo", "ann", &["orders.*", "keyward.keys.own"], true).await;
    let hostile = "<img src=x onerror=alert(1)>";
    let key = world.key("demo", "ann", json!({"name": hostile})).await;
    world.operator("PATCH", &format!("/v1/keys/{}", key.id), json!({"name": "ERP nightly sync"})).await;
    world.revoke("demo", &key.id).await;
    assert_eq!(world.control(&key.key, "POST", "/v1/keys", json!({"name": "x"})).await.status, 401, "it is revoked");
    let browser = signed_in(&world).await;

    browser.click("//nav[@aria-label='Administration']//a[.='Audit']").await;
    has(&browser, "//h1[.='Audit']", 1).await;
    has(&browser, &entry("revoked the key “ERP nightly sync”"), 1).await;
    has(&browser, &entry("created the key “<img src=x onerror=alert(1)>”"), 1).await;
    has(&browser, "//img", 0).await;

    // What was different is behind the sentence.
    browser.click(&format!("{}//summary", entry("changed the key “ERP nightly sync”"))).await;
    let changed = entry("changed the key “ERP nightly sync”");
    assert_eq!(browser.text(&format!("{changed}//th[.='Name']/following-sibling::td[1]")).await, hostile);
    assert_eq!(browser.text(&format!("{changed}//th[.='Name']/following-sibling::td[2]")).await, "ERP nightly sync");
    browser.screenshot("audit-difference").await;

    // Everything about the key, then only its revocation.
    browser.click(&format!("{changed}//a[.='Everything about it']")).await;
    assert_eq!(browser.text("//input[@name='target']").await, key.id);
    has(&browser, "//ol[@id='entries']/li", 3).await;
    browser.click("//select[@name='action']/option[@value='key.revoke']").await;
    browser.press("//search/form", "Search").await;
    has(&browser, &entry("revoked the key"), 1).await;
    has(&browser, "//ol[@id='entries']/li", 1).await;
    assert_eq!(browser.text("//input[@name='target']").await, key.id, "what was looked for stays");

    browser.open(&format!("{}/admin/audit?from=2027-02-02&to=2027-02-01&actor=ann", world.system.control_url())).await;
    assert!(browser.text("//*[@id='audit-to-problem']").await.contains("before the first day"));
    assert_eq!(
        (browser.text("//input[@name='actor']").await, browser.text("//input[@name='to']").await),
        ("ann".into(), "2027-02-01".into())
    );

    browser.open(&format!("{}/admin/audit", world.system.control_url())).await;
    browser.press("", "Check the trail").await;
    has(&browser, "//main//*[.='In order']", 1).await;
    browser.screenshot("audit-checked").await;
    browser.click("//a[.='Back to the trail']").await;
    has(&browser, "//a[@download]", 1).await;
    let exported = browser.run("return fetch(document.querySelector('a[download]').href).then((answer) => answer.text())").await;
    let lines: Vec<Value> = exported.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["end"], true);
    assert!(lines.iter().any(|line| line["action"] == "key.revoke" && line["target"] == key.id.as_str()));
    let complaints: Vec<String> = browser.console().await.into_iter().filter(|line| !line.contains("422")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    world.system.stop().await;
}

#[tokio::test]
async fn a_long_trail_comes_in_parts_and_keeps_what_was_looked_for() {
    let world = World::start().await;
    for number in 0..60 {
        world.owner("demo", &format!("person-{number}"), &[], true).await;
    }
    let browser = signed_in(&world).await;
    browser.allow_scripts(false).await;
    browser.open(&format!("{}/admin/audit?action=owner.put", world.system.control_url())).await;
    has(&browser, "//ol[@id='entries']/li", 50).await;
    has(&browser, &entry("added person-59"), 1).await;
    browser.click("//a[@rel='next']").await;
    has(&browser, "//ol[@id='entries']/li", 10).await;
    has(&browser, &entry("added person-0"), 1).await;
    has(&browser, &entry("added person-59"), 0).await;
    has(&browser, "//select[@name='action']/option[@selected][@value='owner.put']", 1).await;
    browser.click("//a[.='Newest']").await;
    has(&browser, &entry("added person-59"), 1).await;
    world.system.stop().await;
}

#[tokio::test]
async fn who_may_not_look_at_the_trail_does_not() {
    let world = World::start().await;
    world.owner("demo", "ann", &["keyward.keys.own"], true).await;
    let link = world.operator("POST", "/v1/sign-in-links", json!({"owner": "ann"})).await.json();
    let browser = Browser::start().await;
    browser.open(link["url"].as_str().unwrap()).await;
    has(&browser, "//a[@href='/admin/audit']", 0).await;
    for path in ["/admin/audit", "/admin/audit/verify", "/admin/audit?from=x", "/admin/webhooks", "/admin/webhooks/new"] {
        browser.open(&format!("{}{path}", world.system.control_url())).await;
        has(&browser, "//ol | //search/form | //input[@name='url']", 0).await;
        has(&browser, "//h1", 1).await;
    }
    world.system.stop().await;
}
