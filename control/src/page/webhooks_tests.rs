//! What the pages of webhooks must and must not contain.

use serde_json::{Value, json};

use super::*;
use crate::shard::webhooks::events::EventType;

pub(in crate::page) const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror='a()'>";

pub(in crate::page) fn hook(change: &Value) -> PageWebhook {
    let mut object = json!({
        "id": "wh_1", "url": "https://hooks.example.com/in?x=1", "events": ["key.revoked", "key.leaked"], "name": "Alerts", "active": true,
        "disabled_reason": null, "created_at": "2026-11-18T09:00:00Z", "created_by": "ann",
    });
    for (member, value) in change.as_object().unwrap() {
        object[member] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

pub(in crate::page) fn reader() -> Reader {
    let permissions = keyward_shared::permission::PermissionSet::parse(["keyward.keys"]).unwrap();
    Reader { owner: "ann".into(), company: "demo".into(), permissions, ..Reader::default() }
}

#[test]
fn the_list_says_of_each_what_it_hears_of_and_whether_it_works() {
    let html = webhooks(&reader(), &[hook(&json!({}))], "");
    assert!(html.contains("<a href=\"/admin/webhooks/wh%5F1\"><strong>Alerts</strong></a>") && html.contains(">Active<"), "{html}");
    assert!(html.contains("Hears of key revoked, key leaked"), "{html}");
    let all = webhooks(&reader(), &[hook(&json!({"name": null, "events": null, "active": false}))], "");
    assert!(all.contains("<strong>https://hooks.example.com/in?x=1</strong>") && all.contains("Hears of everything"));
    assert!(all.contains(">Paused<") && !all.contains(">Active<"));
    let off = webhooks(&reader(), &[hook(&json!({"active": false, "disabled_reason": "it answered 410"}))], "");
    assert!(off.contains(">Switched off<") && off.contains("Switched off: it answered 410."));
    assert!(webhooks(&reader(), &[], "It was deleted.").contains("No webhooks yet"));
    assert!(webhooks(&reader(), &[], "It was deleted.").contains("role=\"status\">It was deleted.<"));
}

#[test]
fn every_event_that_there_is_can_be_chosen() {
    let html = new_webhook(&reader(), &WebhookForm::default(), &Problems::default(), "f1");
    assert_eq!(EVENTS.map(|(name, ..)| name), EventType::ALL.map(EventType::as_str));
    for (name, title, help) in EVENTS {
        assert!(html.contains(&format!("value=\"{name}\"")) && html.contains(title) && html.contains(help), "{name}");
    }
    assert!(html.contains("name=\"form\" value=\"f1\""));
}

#[test]
fn what_was_typed_stays_and_what_is_wrong_stands_at_its_field() {
    let form = WebhookForm { name: "N".into(), url: "ftp://x".into(), all: false, events: vec!["key.leaked".into()] };
    let wrong = Problems {
        general: vec!["It is full.".into()],
        fields: vec![("url".into(), "must be https".into()), ("events[0]".into(), "there is no such event".into())],
    };
    let html = new_webhook(&reader(), &form, &wrong, "f1");
    assert!(html.contains("value=\"N\"") && html.contains("value=\"ftp://x\"") && html.contains("value=\"key.leaked\" checked"), "{html}");
    assert!(!html.contains("name=\"all\" value=\"1\" checked"));
    assert!(html.contains("id=\"webhook-url-problem\">must be https") && html.contains("id=\"webhook-events-problem\">there is no such"));
    assert!(html.contains("It is full."));
}

#[test]
fn the_secret_is_shown_where_it_is_known_and_its_loss_explained_where_not() {
    let html = webhook_created(&reader(), &hook(&json!({})), Some("whsec_abc"));
    assert_eq!(html.matches("whsec_abc").count(), 1);
    assert!(html.contains("will not be shown again"));
    let again = webhook_created(&reader(), &hook(&json!({})), None);
    assert!(again.contains("was shown before") && !again.contains("new-secret"));
}

#[test]
fn deleting_says_what_is_lost_and_offers_to_pause() {
    let html = delete_webhook(&reader(), &hook(&json!({})), &Problems::default(), "f1");
    assert!(html.contains("action=\"/admin/webhooks/wh%5F1/delete\"") && html.contains("pause it instead"), "{html}");
}

#[test]
fn hostile_text_is_escaped_everywhere() {
    let hook = hook(
        &json!({"id": EVIL, "url": EVIL, "events": [EVIL], "name": EVIL, "active": false, "disabled_reason": EVIL, "created_by": EVIL}),
    );
    let form = WebhookForm { name: EVIL.into(), url: EVIL.into(), all: false, events: vec![EVIL.into()] };
    let wrong = Problems { general: vec![EVIL.into()], fields: vec![("url".into(), EVIL.into()), (EVIL.into(), EVIL.into())] };
    for html in [
        webhooks(&reader(), std::slice::from_ref(&hook), EVIL),
        new_webhook(&reader(), &form, &wrong, EVIL),
        webhook_created(&reader(), &hook, Some(EVIL)),
        delete_webhook(&reader(), &hook, &wrong, EVIL),
    ] {
        assert!(!html.contains("<script>") && !html.contains("<img") && !html.contains(" style="), "{html}");
        assert!(html.contains("&lt;script&gt;"));
    }
}
