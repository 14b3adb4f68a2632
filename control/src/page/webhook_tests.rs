//! What the page of one webhook must and must not contain.

use serde_json::json;

use super::*;
use crate::page::webhooks::tests::{EVIL, hook, reader};

fn delivery(change: &Value) -> Delivery {
    let mut object = json!({
        "id": "msg_1", "type": "key.revoked", "status": "delivered", "attempts": 2, "created_at": "2026-11-18T09:00:00Z",
        "last_attempt_at": "2026-11-18T09:00:05Z", "next_attempt_at": null, "ended_at": null, "last_status": 204, "last_error": null,
        "payload": {"type": "key.revoked", "timestamp": "2026-11-18T09:00:00Z", "data": {"name": "ERP nightly sync"}},
    });
    for (member, value) in change.as_object().unwrap() {
        object[member] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn page(change: impl FnOnce(&mut WebhookPage)) -> String {
    let hook = hook(&json!({}));
    let form = WebhookForm::from(&hook);
    let mut page = WebhookPage {
        form: form.clone(),
        began: form,
        form_problems: Problems::default(),
        status: String::new(),
        deliveries: Vec::new(),
        is_later_part: false,
        next_cursor: None,
        replay: ReplayForm::default(),
        replay_problems: Problems::default(),
        form_id: "f1".into(),
        done: "",
        webhook: hook,
    };
    change(&mut page);
    webhook(&reader(), &page)
}

#[test]
fn each_state_of_a_message_reads_as_it_is() {
    let text = |change: &Value| page(|page| page.deliveries = vec![delivery(change)]);
    let html = text(&json!({}));
    assert!(html.contains("<strong>Key revoked</strong>: “ERP nightly sync” <span class=\"badge good\">Delivered</span>"), "{html}");
    assert!(html.contains("2 attempts, the last one was answered with 204, <time"), "{html}");
    assert!(html.contains("&quot;name&quot;: &quot;ERP nightly sync&quot;") && html.contains(">Send again<"));
    let waiting = text(&json!({"status": "pending", "attempts": 1, "last_status": null, "last_error": "no answer within 10 s",
        "next_attempt_at": "2026-11-18T09:05:00Z"}));
    assert!(waiting.contains(">Waiting<") && waiting.contains("1 attempt, the last one: no answer within 10 s"), "{waiting}");
    assert!(waiting.contains("next attempt <time datetime=\"2026-11-18T09:05:00Z\""));
    assert!(!waiting.contains("value=\"replay\""), "it goes out anyhow");
    assert!(text(&json!({"status": "failed", "last_status": 500})).contains(">Failed<"));
    let unsent = text(&json!({"status": "pending", "attempts": 0, "last_status": null, "last_attempt_at": null}));
    assert!(unsent.contains("not sent yet"));
}

#[test]
fn what_is_not_active_can_be_resumed_and_sends_nothing_again() {
    let active = page(|page| page.deliveries = vec![delivery(&json!({"status": "failed"}))]);
    assert!(active.contains("value=\"pause\"") && active.contains("value=\"replay_since\"") && active.contains("value=\"replay\""));
    let paused = page(|page| {
        page.webhook = hook(&json!({"active": false}));
        page.deliveries = vec![delivery(&json!({"status": "failed"}))];
    });
    assert!(paused.contains("value=\"resume\"") && !paused.contains("value=\"pause\"") && !paused.contains("value=\"replay"));
    assert!(paused.contains("Resume it first"));
    let off = page(|page| page.webhook = hook(&json!({"active": false, "disabled_reason": "every attempt has failed for 5 days"})));
    assert!(off.contains("It was switched off: every attempt has failed for 5 days."));
}

#[test]
fn the_list_of_messages_keeps_what_is_listed_on_its_way_back() {
    let html = page(|page| {
        page.status = "failed".into();
        (page.is_later_part, page.next_cursor) = (true, Some("c+1".into()));
    });
    assert!(html.contains("href=\"/admin/webhooks/wh%5F1?status=failed&amp;cursor=c%2B1\">Older"), "{html}");
    assert!(html.contains("href=\"/admin/webhooks/wh%5F1?status=failed\">Newest"));
    assert!(html.contains("href=\"/admin/webhooks/wh%5F1?status=failed\" aria-current=\"true\">Failed"));
    assert!(html.contains("<p>None.</p>") && page(|_| ()).contains("None yet."));
}

#[test]
fn what_was_typed_stays_beside_what_the_form_began_with() {
    let html = page(|page| {
        page.form = WebhookForm { name: "typed".into(), url: "ftp://typed".into(), all: false, events: Vec::new() };
        page.form_problems.fields = vec![("url".into(), "must be https".into())];
        page.replay = ReplayForm { since: "2027-01-31T09:00".into(), zone: "60".into(), all: true };
        page.replay_problems.fields = vec![("since".into(), "is no time".into())];
    });
    assert!(html.contains("name=\"name\" value=\"typed\"") && html.contains("name=\"was_name\" value=\"Alerts\""), "{html}");
    assert!(html.contains("name=\"was_events\" value=\"key.leaked\"") && !html.contains("name=\"was_all\""));
    assert!(html.contains("name=\"since\" value=\"2027-01-31T09:00\"") && html.contains("id=\"again-since-problem\">is no time"));
    assert!(html.contains("name=\"all\" value=\"1\" checked"));
}

#[test]
fn hostile_text_is_escaped_everywhere() {
    let html = page(|page| {
        page.webhook = hook(&json!({"id": EVIL, "url": EVIL, "name": EVIL, "events": [EVIL], "disabled_reason": EVIL, "created_by": EVIL}));
        page.form = WebhookForm { name: EVIL.into(), url: EVIL.into(), all: false, events: vec![EVIL.into()] };
        page.began = page.form.clone();
        page.form_problems.general = vec![EVIL.into()];
        (page.status, page.form_id, page.next_cursor) = (EVIL.into(), EVIL.into(), Some(EVIL.into()));
        page.replay = ReplayForm { since: EVIL.into(), zone: EVIL.into(), all: false };
        page.replay_problems.fields = vec![("since".into(), EVIL.into())];
        let payload = json!({"type": EVIL, "data": {"name": EVIL}});
        page.deliveries = vec![delivery(&json!({"id": EVIL, "type": EVIL, "last_status": null, "last_error": EVIL, "payload": payload}))];
    });
    assert!(!html.contains("<script>") && !html.contains("<img") && !html.contains(" style="), "{html}");
    assert_eq!(html.matches("<script").count(), 2);
}
