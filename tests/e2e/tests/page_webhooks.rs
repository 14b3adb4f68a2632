//! Administration → Webhooks in a real browser.

use std::time::Duration;

use keyward_e2e::{
    World,
    browser::Browser,
    eventually,
    receiver::{Receiver, is_signed},
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

async fn started() -> (World, Browser) {
    let world = World::with(|options| options.settings.push(("WEBHOOK_TARGETS".into(), "any".into()))).await;
    let browser = Browser::start().await;
    browser.open(&world.system.sign_in_link().unwrap()).await;
    (world, browser)
}

/// Replaces what is in a field.
async fn replace(browser: &Browser, name: &str, text: &str) {
    browser.run(&format!("document.querySelector('form [name=\"{name}\"]').value = ''")).await;
    browser.fill(&format!("//form//input[@name='{name}']"), text).await;
}

async fn webhooks(world: &World) -> Value {
    world.operator("GET", "/v1/webhooks", Value::Null).await.json()["webhooks"].clone()
}

/// Waits until the page that a click leads to shows this.
async fn shows(browser: &Browser, xpath: &str) {
    eventually(SOON, async || if browser.count(xpath).await > 0 { Ok(()) } else { Err(format!("no {xpath}: {}", browser.source().await)) })
        .await;
}

/// Waits until it is said that this was done.
async fn says(browser: &Browser, sentence: &str) {
    shows(browser, &format!("//*[@id='status'][contains(.,'{sentence}')]")).await;
}

/// Loads the page again until it shows this.
async fn comes(browser: &Browser, xpath: &str) {
    eventually(SOON, async || {
        browser.reload().await;
        if browser.count(xpath).await > 0 { Ok(()) } else { Err(format!("no {xpath}")) }
    })
    .await;
}

/// The whole path; without scripts it must work the same.
async fn walked(scripts: bool) {
    let (world, browser) = started().await;
    let receiver = Receiver::start().await;
    browser.allow_clipboard().await;
    browser.allow_scripts(scripts).await;
    browser.open(&format!("{}/admin/webhooks", world.system.control_url())).await;
    assert!(browser.text("//main").await.contains("No webhooks yet"));

    // What is wrong is said at its field, and nothing that was typed is lost.
    browser.click("//a[.='New webhook']").await;
    browser.fill("//input[@name='name']", "Alerts <b>").await;
    browser.fill("//input[@name='url']", "ftp://hooks.example.com/").await;
    browser.click("//input[@name='all']").await;
    browser.press("", "Create webhook").await;
    assert!(browser.text("//*[@id='webhook-events-problem']").await.contains("Choose at least one"));
    browser.click("//input[@value='key.created']").await;
    browser.press("", "Create webhook").await;
    shows(&browser, "//*[@id='webhook-url-problem']").await;
    assert_eq!(browser.text("//input[@name='name']").await, "Alerts <b>");
    assert_eq!(browser.count("//input[@value='key.created'][@checked]").await, 1);

    // The secret, once.
    replace(&browser, "url", &receiver.url()).await;
    browser.press("", "Create webhook").await;
    let secret = browser.text("//*[@id='new-secret']").await;
    assert!(secret.starts_with("whsec_"), "{secret}");
    browser.screenshot(if scripts { "webhook-secret" } else { "webhook-secret-without-scripts" }).await;
    if scripts {
        browser.press("", "Copy").await;
        eventually(SOON, async || {
            let copied = browser.run("return navigator.clipboard.readText()").await;
            if copied == *secret { Ok(()) } else { Err(copied) }
        })
        .await;
    }
    browser.click("//a[.='I have stored it']").await;
    shows(&browser, "//h1[.='Alerts <b>']").await;
    assert!(!browser.source().await.contains(&secret));
    let there = browser.address().await;
    browser.run("history.back()").await;
    eventually(SOON, async || if browser.address().await == there { Err("still there") } else { Ok(()) }).await;
    assert!(!browser.source().await.contains(&secret[10..30]), "the way back does not show it again");
    assert_eq!(webhooks(&world).await.as_array().unwrap().len(), 1);

    // A message, and once more.
    let id = webhooks(&world).await[0]["id"].as_str().unwrap().to_owned();
    browser.open(&format!("{}/admin/webhooks/{id}", world.system.control_url())).await;
    world.key("demo", "admin", json!({"name": "ERP nightly sync"})).await;
    comes(&browser, "//li[contains(.,'Key created')][contains(.,'ERP nightly sync')]//span[.='Delivered']").await;
    browser.click("//ol//summary").await;
    assert!(browser.text("//ol//pre").await.contains("\"name\": \"ERP nightly sync\""));
    browser.screenshot(if scripts { "webhook-message" } else { "webhook-message-without-scripts" }).await;
    browser.press("//ol/li[1]", "Send again").await;
    says(&browser, "on its way again").await;
    eventually(SOON, async || if receiver.got().len() == 2 { Ok(()) } else { Err(receiver.got()) }).await;
    let got = receiver.got();
    assert_eq!(got[0].body, got[1].body);
    assert!(got.iter().all(|message| is_signed(&secret, message)));

    // Since a time; one that is none first.
    browser.press("//form[@id='again-form']", "Send again").await;
    assert!(browser.text("//*[@id='again-since-problem']").await.contains("is required"));
    browser.run("document.querySelector('[name=since]').value = '2020-01-31T09:00'").await;
    browser.click("//input[@id='again-all']").await;
    browser.press("//form[@id='again-form']", "Send again").await;
    says(&browser, "on their way again").await;
    eventually(SOON, async || if receiver.got().len() == 3 { Ok(()) } else { Err(receiver.got().len()) }).await;

    // Changed, paused, resumed, deleted.
    replace(&browser, "name", "Operations").await;
    browser.press("", "Save").await;
    says(&browser, "The webhook was changed.").await;
    browser.press("", "Pause").await;
    shows(&browser, "//header//span[.='Paused']").await;
    assert_eq!(browser.count("//button[.='Send again']").await, 0);
    let now = webhooks(&world).await[0].clone();
    assert_eq!((&now["name"], &now["active"], &now["events"]), (&json!("Operations"), &json!(false), &json!(["key.created"])));
    browser.press("", "Resume").await;
    shows(&browser, "//header//span[.='Active']").await;
    browser.click("//a[.='Delete this webhook']").await;
    browser.press("", "Delete webhook").await;
    says(&browser, "The webhook was deleted.").await;
    assert_eq!(webhooks(&world).await, json!([]));
    let complaints: Vec<String> = browser.console().await.into_iter().filter(|line| !line.contains("422")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    world.system.stop().await;
}

#[tokio::test]
async fn a_webhook_is_made_read_changed_and_deleted_on_the_page() {
    walked(true).await;
}

#[tokio::test]
async fn all_of_it_works_without_scripts() {
    walked(false).await;
}

#[tokio::test]
async fn of_two_people_who_change_one_webhook_neither_takes_back_what_the_other_did() {
    let (world, browser) = started().await;
    let made =
        world.operator("POST", "/v1/webhooks", json!({"url": "https://hooks.example.com/a", "name": "Alerts"})).await.expect(201).json();
    let id = made["id"].as_str().unwrap();
    browser.open(&format!("{}/admin/webhooks/{id}", world.system.control_url())).await;
    world.operator("PATCH", &format!("/v1/webhooks/{id}"), json!({"url": "https://hooks.example.com/b", "active": false})).await;
    replace(&browser, "name", "Operations").await;
    browser.press("", "Save").await;
    says(&browser, "The webhook was changed.").await;
    let now = webhooks(&world).await[0].clone();
    assert_eq!((&now["name"], &now["url"], &now["active"]), (&json!("Operations"), &json!("https://hooks.example.com/b"), &json!(false)));

    // One is deleted under the hands of whoever wants to delete it.
    browser.click("//a[.='Delete this webhook']").await;
    eventually(SOON, async || if browser.count("//button[.='Delete webhook']").await == 1 { Ok(()) } else { Err("not there") }).await;
    world.operator("DELETE", &format!("/v1/webhooks/{id}"), Value::Null).await.expect(204);
    browser.press("", "Delete webhook").await;
    says(&browser, "The webhook was deleted.").await;
    world.system.stop().await;
}
