//! What the page of keys must and must not contain.

use serde_json::{Value, json};

use super::*;
use crate::page::asset;

const NOW: Millis = Millis(1_795_000_000_000); // 2026-11-18T11:06:40Z

fn key(change: &Value) -> PageKey {
    let mut object = json!({
        "id": "key_1", "name": "ERP nightly sync", "hint": "kw_live_…fA1e", "owner": "ann", "owner_name": "Ann Lee",
        "owner_active": true, "company": "demo", "status": "active", "created_at": "2026-11-01T08:00:00Z",
        "expires_at": null, "last_used_at": null, "permissions": null, "propagation": {"announced_at": null},
    });
    for (field, value) in change.as_object().unwrap() {
        object[field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn page(keys: Vec<PageKey>) -> KeysPage {
    KeysPage { keys, next_cursor: None, edge_url: "https://api.example/".into(), now: NOW }
}

fn reader(permissions: &[&str]) -> Reader {
    let permissions = keyward_shared::permission::PermissionSet::parse(permissions.iter().copied()).unwrap();
    Reader { owner: "ann".into(), owner_name: Some("Ann Lee".into()), company: "demo".into(), permissions, ..Reader::default() }
}

fn rendered(page: &KeysPage) -> String {
    keys(&reader(&["keyward.keys.own"]), page)
}

fn render(change: &Value) -> String {
    rendered(&page(vec![key(change)]))
}

#[test]
fn hostile_text_is_escaped_everywhere() {
    let evil = "\"><script>alert(1)</script><img src=x onerror='a()'>";
    let somebody = Reader { owner_name: Some(evil.into()), company_name: Some(evil.into()), ..reader(&["keyward.keys"]) };
    let hostile = KeysPage {
        edge_url: evil.into(),
        next_cursor: Some(evil.into()),
        ..page(vec![key(&json!({"id": evil, "name": evil, "hint": evil, "owner_name": evil}))])
    };
    let html = keys(&somebody, &hostile);
    assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)"));
    assert!(html.contains("data-name=\"&quot;&gt;&lt;script"));
    assert!(html.contains("?cursor=%22%3E%3Cscript"));
}

#[test]
fn nothing_is_inline() {
    let html = rendered(&page(vec![key(&json!({}))]));
    assert!(!html.contains(" style=") && !html.contains("<style") && !html.contains("javascript:"));
    assert!(!html.split('<').any(|tag| tag.split('>').next().unwrap_or_default().contains(" on")), "a handler");
    assert_eq!(html.matches("<script").count(), 2);
    assert_eq!(html.matches("<script type=\"module\" src=\"/assets/").count(), 2);
    assert!(html.contains("\"></script>"));
}

#[test]
fn every_address_of_an_asset_resolves() {
    let html = rendered(&page(Vec::new()));
    let addresses: Vec<&str> = html.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert_eq!(addresses.len(), 4);
    for address in addresses {
        assert!(asset(address).is_some(), "{address}");
    }
}

#[test]
fn each_status_reads_as_it_is() {
    for (change, text, revocable) in [
        (json!({}), ">Active<", true),
        (json!({"owner_active": false}), ">Active, owner inactive<", true),
        (json!({"status": "expired"}), ">Expired<", false),
        (json!({"status": "revoked", "owner_active": false}), ">Revoked<", false),
    ] {
        let html = render(&change);
        assert!(html.contains(text), "{text}");
        assert_eq!(html.contains("data-action=\"revoke\""), revocable, "{text}");
        assert!(html.contains("data-action=\"delete\""), "{text}");
    }
}

#[test]
fn times_are_relative_exact_or_never() {
    assert!(render(&json!({})).contains("data-label=\"Last used\">never<"));
    let html = render(&json!({"last_used_at": "2026-11-18T09:00:00Z", "expires_at": "2027-01-31T22:59:59Z"}));
    assert!(
        html.contains("<time datetime=\"2026-11-18T09:00:00Z\" title=\"18 Nov 2026, 09:00 UTC\" data-show=\"relative\">2 hours ago</time>")
    );
    assert!(html.contains("datetime=\"2027-01-31T22:59:59Z\""));
    assert!(html.contains(">1 Nov 2026, 08:00 UTC</time>"));
}

#[test]
fn how_long_ago_is_said_in_the_largest_whole_unit() {
    for (seconds, text) in [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7_199, "1 hour ago"),
        (3 * 86_400, "3 days ago"),
        (65 * 86_400, "2 months ago"),
        (800 * 86_400, "2 years ago"),
    ] {
        assert_eq!(relative(NOW.minus(Millis::from_secs(seconds)), NOW), text);
    }
    assert_eq!(relative(NOW.plus(Millis(5_000)), NOW), "just now", "a clock ahead of ours");
}

#[test]
fn a_time_that_is_none_is_refused() {
    let broken = json!({"id": "k", "name": "n", "hint": "h", "owner": "o", "owner_active": true, "status": "active",
        "created_at": "yesterday"});
    assert!(serde_json::from_value::<PageKey>(broken).is_err());
}

#[test]
fn an_empty_list_explains_what_keys_are_for() {
    let html = rendered(&page(Vec::new()));
    assert!(html.contains("No keys yet") && !html.contains("<table"));
}

#[test]
fn owners_are_named_where_everyones_keys_are_listed() {
    let mine = page(vec![key(&json!({}))]);
    assert!(!rendered(&mine).contains("data-label=\"Owner\""));
    let manager = reader(&["keyward.keys"]);
    assert!(keys(&manager, &mine).contains("data-label=\"Owner\">Ann Lee<"));
    let unnamed = KeysPage { keys: vec![key(&json!({"owner_name": null}))], ..mine };
    assert!(keys(&manager, &unnamed).contains("data-label=\"Owner\">ann<"));
}

#[test]
fn the_example_names_the_edge() {
    assert!(render(&json!({})).contains("$KEYWARD_KEY&quot; https://api.example/</code>"));
}

#[test]
fn the_policy_allows_nothing_inline() {
    let (_, policy) = crate::page::SECURITY_HEADERS[0];
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
}
