//! How entries read.

use serde_json::json;

use super::*;
use crate::route;

pub(in crate::page) fn entry_with(change: &Value) -> AuditEntry {
    let mut object = json!({
        "sequence": 7, "at": "2026-11-18T09:00:00Z", "company": "demo", "actor": "ann", "key": null, "address": "192.0.2.7",
        "action": "key.revoke", "target": "key_1", "outcome": "done", "before": {"name": "ERP nightly sync", "status": "active"},
        "after": {"name": "ERP nightly sync", "status": "revoked"}, "request_id": "r1", "previous": "00", "hash": "ab12",
    });
    for (member, value) in change.as_object().unwrap() {
        object[member] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

pub(in crate::page) fn names() -> Names {
    serde_json::from_value(json!({
        "owners": {"ann": "Ann Lee", "auth0|5f2": "Bob"},
        "keys": {"key_1": "ERP now", "key_2": "Its successor"},
        "webhooks": {"wh_1": "Alerts"},
    }))
    .unwrap()
}

fn reader(permissions: &[&str]) -> Reader {
    let permissions = keyward_shared::permission::PermissionSet::parse(permissions.iter().copied()).unwrap();
    Reader { owner: "ann".into(), company: "demo".into(), permissions, ..Reader::default() }
}

/// The sentence as it is heard.
fn sentence(change: &Value) -> String {
    let html = html_of(change, &["keyward.audit"]);
    let what = html.split("<p class=\"what\">").nth(1).unwrap().split("</p>").next().unwrap();
    what.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect::<String>().trim().to_owned()
}

fn html_of(change: &Value, permissions: &[&str]) -> String {
    entry(&reader(permissions), &entry_with(change), &names()).into_string()
}

#[test]
fn an_entry_is_a_sentence() {
    let inactive = json!({"name": "Bob", "active": false});
    let active = json!({"name": "Bob", "active": true});
    for (change, text) in [
        (json!({}), "Ann Lee revoked the key “ERP nightly sync”"),
        (json!({"action": "key.create", "before": null}), "Ann Lee created the key “ERP nightly sync”"),
        (json!({"action": "key.rotate", "before": null}), "Ann Lee created, as a successor, the key “ERP nightly sync”"),
        (
            json!({"action": "key.rotate", "after": {"name": "ERP nightly sync", "superseded_by": "key_2"}}),
            "Ann Lee rotated the key “ERP nightly sync”, replaced by “Its successor”",
        ),
        (json!({"action": "key.leak", "actor": "leak report"}), "A leak report reported as leaked the key “ERP nightly sync”"),
        (json!({"action": "owner.put", "target": "auth0|5f2", "before": null, "after": active}), "Ann Lee added Bob"),
        (json!({"action": "owner.put", "target": "auth0|5f2", "before": active, "after": inactive}), "Ann Lee deactivated Bob"),
        (json!({"action": "owner.put", "target": "auth0|5f2", "before": inactive, "after": active}), "Ann Lee activated again Bob"),
        (json!({"action": "owner.put", "target": "auth0|5f2", "before": active, "after": active}), "Ann Lee changed Bob"),
        (json!({"action": "session.begin", "target": "ann", "before": null, "after": null}), "Ann Lee signed in"),
        (json!({"action": "policy.put", "target": "policy"}), "Ann Lee changed the policy"),
        (
            json!({"action": "webhook.replay", "target": "wh_1", "before": null, "after": {"replayed": 3}}),
            "Ann Lee sent again messages of the webhook “Alerts”",
        ),
        (
            json!({"action": "webhook.disable", "actor": "keyward", "target": "wh_1", "before": {"active": true}, "after": {"active": false}}),
            "Keyward switched off the webhook “Alerts”",
        ),
        (
            json!({"action": "webhook.change", "target": "wh_9", "before": {"url": "https://h", "active": true}, "after": {"url": "https://h", "active": false}}),
            "Ann Lee paused the webhook “https://h”",
        ),
        (json!({"actor": "demo/admin"}), "admin of demo revoked the key “ERP nightly sync”"),
        (json!({"actor": "https://id.example/x"}), "https://id.example/x revoked the key “ERP nightly sync”"),
        (json!({"action": "door.open", "target": "door"}), "Ann Lee did “door.open” to “ERP nightly sync”"),
    ] {
        assert_eq!(sentence(&change), text);
    }
}

#[test]
fn what_was_refused_says_so_and_why() {
    let refused = |outcome: &str| sentence(&json!({"outcome": outcome, "before": null, "after": null}));
    assert_eq!(refused("forbidden"), "Ann Lee tried to revoke the key “ERP now” Refused: not allowed");
    assert_eq!(refused("forbidden in acme"), "Ann Lee tried to revoke the key “ERP now” Refused: not allowed, in the company acme");
    assert!(refused("unprocessable").ends_with("not filled in right") && refused("conflict").ends_with("no longer possible"));
    let unknown = sentence(&json!({"outcome": "forbidden", "target": "key_9", "before": null, "after": null}));
    assert!(unknown.contains("the key key_9"), "{unknown}");
}

#[test]
fn who_by_which_key_from_where_and_when_is_said() {
    let html = html_of(&json!({"key": "key_2"}), &["keyward.audit"]);
    assert!(html.contains("with the key <a href=\"/admin/keys/key%5F2\">“Its successor”</a>"), "{html}");
    assert!(html.contains("from <code>192.0.2.7</code>") && html.contains("<time datetime=\"2026-11-18T09:00:00Z\""));
    assert!(html.contains("<th scope=\"row\">Status</th><td>active</td><td>revoked</td>"), "{html}");
    assert!(html.contains("Everything they did") && html.contains("href=\"/admin/audit?target=key_1\""));
    let bare = html_of(&json!({"address": null}), &["keyward.audit"]);
    assert!(!bare.contains("with the key") && !bare.contains("from <code>"));
}

#[test]
fn there_is_a_link_only_to_what_is_there_and_may_be_looked_at() {
    assert!(html_of(&json!({}), &["keyward.audit"]).contains("<a href=\"/admin/keys/key%5F1\">"));
    assert!(!html_of(&json!({"target": "key_9"}), &["keyward.audit"]).contains("<a href=\"/admin/keys"), "it is gone");
    let owner = json!({"action": "owner.put", "target": "auth0|5f2"});
    assert!(!html_of(&owner, &["keyward.audit"]).contains("/admin/owners/"));
    assert!(html_of(&owner, &["keyward.audit", "keyward.owners"]).contains("<a href=\"/admin/owners/auth0%7C5f2\">"));
}

#[test]
fn everything_that_the_api_does_can_be_read_of() {
    let actions = route::all().filter_map(|(method, path)| route::find(method, &path.replace("{}", "x")).ok()?.endpoint.action());
    let unreadable: Vec<_> = actions.filter(|name| !ACTIONS.iter().any(|action| action.name == *name)).collect();
    assert_eq!(unreadable, Vec::<&str>::new());
}
