//! What the page of keys must and must not contain.

use serde_json::{Value, json};

use super::{choice::Sort, *};
use crate::page::{Drawing, asset, time::relative};

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
    let making = Making { edge_url: "https://api.example/".into(), ..Making::default() };
    KeysPage { keys, next_cursor: None, choice: Choice::default(), problems: Problems::default(), making, deleted: false, now: NOW }
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
    let somebody =
        Reader { owner_name: Some(evil.into()), company_name: Some(evil.into()), ..reader(&["keyward.keys", "keyward.keys.own"]) };
    let operator = Reader { elsewhere: Some(evil.into()), ..reader(&["keyward.operator"]) };
    let evil_text = || evil.to_owned();
    let typed = NewKey {
        id: evil_text(),
        owner: evil_text(),
        name: evil_text(),
        last_day: evil_text(),
        narrower: evil_text(),
        networks: evil_text(),
        problems: Problems { general: vec![evil_text()], fields: vec![("name".into(), evil_text()), (evil_text(), evil_text())] },
        ..NewKey::default()
    };
    let drawing = Some(Drawing { script: evil_text(), wasm: evil_text() });
    let making = Making { form: typed, edge_url: evil.into(), drawing, longest: Some(90) };
    let choice = Choice { everyones: true, q: evil_text(), owner: evil_text(), cursor: Some(evil_text()), ..Choice::default() };
    let hostile = KeysPage {
        next_cursor: Some(evil.into()),
        choice,
        problems: Problems { general: vec![evil_text()], fields: vec![("q".into(), evil_text())] },
        making: making.clone(),
        ..page(vec![key(
            &json!({"id": evil, "name": evil, "hint": evil, "owner": evil, "owner_name": evil, "permissions": [evil, evil, evil]}),
        )])
    };
    let html = keys(&somebody, &hostile);
    let made = Created {
        id: evil_text(),
        name: evil_text(),
        key: Some(evil_text()),
        owner: Some(evil_text()),
        expires_at: Some(NOW),
        edge_url: evil_text(),
    };
    let again = Created { key: None, ..made.clone() };
    let elsewhere = [keys(&operator, &hostile), new_key(&operator, &making), created(&operator, &made), created(&operator, &again)];
    let here = [&html, &new_key(&somebody, &making), &created(&somebody, &made), &created(&somebody, &again)];
    for html in here.into_iter().chain(&elsewhere) {
        assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(1)"));
    }
    assert!(html.contains("data-name=\"&quot;&gt;&lt;script"));
    assert!(html.contains("cursor=%22%3E%3Cscript"));
    assert!(html.contains("href=\"/admin/keys/%22%3E%3Cscript"));
}

#[test]
fn nothing_is_inline() {
    let html = rendered(&page(vec![key(&json!({}))]));
    assert!(!html.contains(" style=") && !html.contains("<style") && !html.contains("javascript:"));
    assert!(!html.split('<').any(|tag| tag.split('>').next().unwrap_or_default().contains(" on")), "a handler");
    assert_eq!(html.matches("<script").count(), 3);
    assert_eq!(html.matches("<script type=\"module\" src=\"/assets/").count(), 3);
    assert!(html.contains("\"></script>"));
}

#[test]
fn every_address_of_an_asset_resolves() {
    let html = rendered(&page(Vec::new()));
    let addresses: Vec<&str> = html.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert_eq!(addresses.len(), 9);
    for address in addresses {
        assert!(asset(address).is_some(), "{address}");
    }
}

#[test]
fn each_status_reads_as_it_is() {
    for (change, text, revocable) in [
        (json!({}), ">Active<", true),
        (json!({"owner_active": false}), ">Active, but blocked<", true),
        (json!({"status": "expired"}), ">Expired<", false),
        (json!({"status": "revoked", "owner_active": false}), ">Revoked<", false),
    ] {
        let html = render(&change);
        assert!(html.contains(text), "{text}");
        assert_eq!(html.contains("data-action=\"revoke\""), revocable, "{text}");
        assert_eq!(html.contains("href=\"/admin/keys/key_1/revoke\""), revocable, "{text}: also without a script");
        assert!(html.contains("href=\"/admin/keys/key_1/delete\""), "{text}");
    }
}

#[test]
fn times_are_relative_exact_or_never() {
    assert!(render(&json!({})).contains("data-label=\"Last used\"><span class=\"stack\">never<"));
    let html = render(&json!({"last_used_at": "2026-11-18T09:00:00Z", "expires_at": "2027-01-31T22:59:59Z"}));
    assert!(
        html.contains("<time datetime=\"2026-11-18T09:00:00Z\" title=\"18 Nov 2026, 09:00 UTC\" data-show=\"relative\">2 hours ago</time>")
    );
    assert!(html.contains("datetime=\"2027-01-31T22:59:59Z\""));
    assert!(html.contains("title=\"1 Nov 2026, 08:00 UTC\" data-show=\"day\">1 Nov 2026</time>"));
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
    assert!(!keys(&manager, &mine).contains("data-label=\"Owner\""), "also a manager sees only their own at first");
    let everyones = KeysPage { choice: Choice { everyones: true, ..Choice::default() }, ..mine };
    assert!(keys(&manager, &everyones).contains("data-label=\"Owner\"><span title=\"ann\">Ann Lee<"));
    let unnamed = KeysPage { keys: vec![key(&json!({"owner_name": null}))], ..everyones };
    assert!(keys(&manager, &unnamed).contains("data-label=\"Owner\"><span title=\"ann\">ann<"));
}

#[test]
fn the_example_names_the_edge() {
    assert!(render(&json!({})).contains("$KEYWARD_KEY&quot; https://api.example/</code>"));
}

#[test]
fn the_policy_allows_nothing_inline() {
    let (_, policy) = crate::page::SECURITY_HEADERS[0];
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self' 'wasm-unsafe-eval';"));
    assert_eq!(policy.matches("unsafe").count(), 1, "WebAssembly, and no more");
}

#[test]
fn a_name_leads_to_the_page_of_its_key() {
    assert!(render(&json!({"id": "key_0a"})).contains("<a href=\"/admin/keys/key_0a\">ERP nightly sync</a>"));
}

#[test]
fn a_key_that_works_but_is_not_used_is_stale_and_one_that_ends_soon_is_warned_of() {
    let stale = |change: Value| render(&change).contains(">stale<");
    let (ninety, less) = ("2026-08-20T11:06:40Z", "2026-08-20T11:06:41Z");
    assert!(stale(json!({"last_used_at": ninety})) && !stale(json!({"last_used_at": less})));
    assert!(stale(json!({"created_at": ninety})) && !stale(json!({"created_at": less})), "never used is as old as it is");
    assert!(!stale(json!({"last_used_at": ninety, "status": "revoked"})), "an ended key wants nothing");
    for (expires_at, warning) in [
        ("2026-11-19T11:06:39Z", Some(">within a day<")),
        ("2026-11-19T11:06:40Z", Some(">in 1 day<")),
        ("2026-12-02T11:06:40Z", Some(">in 14 days<")),
        ("2026-12-02T11:06:41Z", None),
    ] {
        let html = render(&json!({"expires_at": expires_at}));
        assert_eq!(html.contains("badge warn"), warning.is_some(), "{expires_at}");
        assert!(html.contains(warning.unwrap_or_default()), "{expires_at}");
    }
    assert!(!render(&json!({"status": "expired", "expires_at": "2026-11-18T00:00:00Z"})).contains("badge warn"));
}

#[test]
fn permissions_are_said_in_short() {
    let short = |permissions: Value| render(&json!({ "permissions": permissions }));
    assert!(short(Value::Null).contains("all of the owner’s"));
    assert!(short(json!([])).contains("title=\"\">none<"));
    let many = short(json!(["a.read", "b.read", "c.read", "d.read", "e.read"]));
    assert!(many.contains("<code>a.<wbr>read</code><code>b.<wbr>read</code>") && many.contains(">+3<") && !many.contains("<code>c."));
    assert!(many.contains("title=\"a.read, b.read, c.read, d.read, e.read\""));
    assert!(!short(json!(["a.read", "b.read"])).contains(">+"));
}

#[test]
fn the_last_thirty_days_are_a_picture_with_a_name() {
    assert!(render(&json!({})).contains("<title>No requests in 30 days</title>"));
    let used = render(
        &json!({"usage": [{"at": "2026-10-20T00:00:00Z", "allowed": 3, "refused": 0}, {"at": "2026-11-18T00:00:00Z", "allowed": 1, "refused": 2}]}),
    );
    assert!(used.contains("<title>6 requests in 30 days, 2 of them refused</title>"), "{used}");
}

#[test]
fn search_filters_order_and_pages_keep_each_other() {
    let choice = Choice {
        everyones: true,
        q: "sync".into(),
        status: Some(Status::Active),
        owner: "bob".into(),
        unused: true,
        sort: Some(Sort::Name),
        ..Choice::default()
    };
    let page = KeysPage { next_cursor: Some("c.d".into()), choice, ..page(vec![key(&json!({}))]) };
    let html = keys(&reader(&["keyward.keys"]), &page);
    // The form has them all as fields.
    let form = html.split("<search>").nth(1).unwrap().split("</form>").next().unwrap();
    for field in [
        "type=\"hidden\" name=\"owners\" value=\"all\"",
        "name=\"q\" value=\"sync\"",
        "value=\"active\" selected",
        "name=\"owner\" value=\"bob\"",
        "name=\"unused\" checked",
        "value=\"name\" selected",
    ] {
        assert!(form.contains(field), "{field}: {form}");
    }
    assert!(!form.contains("cursor"), "another search begins at its beginning");
    // And every link says them again.
    let kept = "owners=all&amp;q=sync&amp;status=active&amp;owner=bob&amp;unused=on&amp;sort=";
    for (sort, title) in [("name", "Name"), ("last_used_at", "Last used"), ("-created_at", "Created"), ("expires_at", "Expires")] {
        assert!(html.contains(&format!("<a href=\"/admin/keys?{kept}{sort}\">{title}</a>")), "{sort}: {html}");
    }
    assert!(html.contains(&format!("{kept}name&amp;since=2026-11-18T11%3A06%3A40Z&amp;cursor=c.d\">Next page")));
    assert!(html.contains("href=\"/admin/keys?q=sync&amp;status=active&amp;unused=on&amp;sort=name\">Mine"));
    assert_eq!(html.matches("aria-sort=").count(), 1);
    assert!(html.contains("aria-sort=\"ascending\"><a href=\"/admin/keys?owners=all&amp;q=sync"));
}

#[test]
fn the_order_of_creation_turns_around() {
    for (sort, direction, next) in [(None, "descending", "created_at"), (Some(Sort::Oldest), "ascending", "-created_at")] {
        let page = KeysPage { choice: Choice { sort, ..Choice::default() }, ..page(vec![key(&json!({}))]) };
        let heading = format!("aria-sort=\"{direction}\"><a href=\"/admin/keys?sort={next}\">Created<");
        assert!(rendered(&page).contains(&heading), "{sort:?}");
    }
}

#[test]
fn an_empty_page_says_why_it_is() {
    let empty = |choice: Choice, next: Option<&str>| {
        let html = rendered(&KeysPage { choice, next_cursor: next.map(Into::into), ..page(Vec::new()) });
        let from = html.find("<article class=\"empty\"").unwrap();
        html[from..].split("</h2>").next().unwrap().rsplit('>').next().unwrap().to_owned()
    };
    let searched = || Choice { q: "x".into(), ..Choice::default() };
    assert_eq!(empty(Choice::default(), None), "No keys yet");
    assert_eq!(empty(searched(), None), "No key matches");
    assert_eq!(empty(searched(), Some("c")), "Nothing found so far");
    assert_eq!(empty(Choice { cursor: Some("c".into()), ..Choice::default() }, None), "No more keys");
    let none = rendered(&page(Vec::new()));
    assert!(none.contains("each integration a key of its own") && !none.contains("<search>"));
}

#[test]
fn the_dialog_and_the_page_have_the_same_form() {
    let form = |html: &str| html.split("<form id=\"create-form\"").nth(1).unwrap().split("</form>").next().unwrap().to_owned();
    let list = page(Vec::new());
    let somebody = reader(&["orders.*", "billing.read", "keyward.keys.own"]);
    let (dialog, alone) = (keys(&somebody, &list), new_key(&somebody, &list.making));
    assert_eq!(form(&dialog), form(&alone));
    assert!(form(&alone).contains("placeholder=\"ERP nightly sync\"") && form(&alone).contains("Power BI dashboard"));
    assert!(form(&alone).contains("value=\"billing.read\"") && form(&alone).contains("name=\"narrower\""));
    assert!(!form(&new_key(&reader(&["billing.read"]), &list.making)).contains("narrower"), "nothing is less than what has no star");
    assert!(!form(&alone).contains("data-wasm"), "without the files the server makes keys");
    let drawing = Some(Drawing { script: "/assets/b.mjs".into(), wasm: "/assets/b.wasm".into() });
    assert!(
        form(&new_key(&somebody, &Making { drawing, ..list.making }))
            .contains("data-script=\"/assets/b.mjs\" data-wasm=\"/assets/b.wasm\"")
    );
}

#[test]
fn a_key_is_on_the_page_that_answers_its_form_and_not_on_the_one_that_answers_it_again() {
    let made = Created {
        id: "key_1".into(),
        name: "Sync".into(),
        key: Some("kw_live_x".into()),
        owner: None,
        expires_at: None,
        edge_url: "https://api.example".into(),
    };
    let html = created(&reader(&[]), &made);
    assert!(html.contains(">kw_live_x</code>"));
    for warning in [
        "acts as you",
        "does not expire",
        "secrets manager",
        "mail, chat",
        "revoke it and make a new one",
        "will not be shown again",
        "https://api.example/",
    ] {
        assert!(html.contains(warning), "{warning}");
    }
    let limited = created(&reader(&[]), &Created { owner: Some("bob".into()), expires_at: Some(NOW), ..made.clone() });
    assert!(limited.contains("until <time datetime=\"2026-11-18T11:06:40Z\"") && limited.contains("acts as bob"));
    let again = created(&reader(&[]), &Created { key: None, ..made });
    assert!(again.contains("did not see it") && again.contains("<a href=\"/admin/keys/key%5F1/revoke\">"), "{again}");
    assert!(again.contains("made already") && !again.contains("id=\"new-key\""));
}

fn operator_elsewhere() -> Reader {
    Reader { elsewhere: Some("acme".into()), ..reader(&["keyward.operator", "keyward.keys.own", "orders.read"]) }
}

#[test]
fn in_another_company_nothing_is_said_to_be_the_reader_s_own() {
    let choice = Choice { everyones: true, ..Choice::default() };
    let html = keys(&operator_elsewhere(), &KeysPage { choice, ..page(Vec::new()) });
    for own in
        [">Mine<", "Your keys", "in your name", "what you can do", "the person who made it", "acts as <span>you", "Everything I may do"]
    {
        assert!(!html.contains(own), "{own}");
    }
    assert!(html.contains("in its owner’s name") && html.contains("No keys yet"));
}

#[test]
fn in_another_company_a_key_is_made_for_an_owner_there() {
    let typed = NewKey {
        owner: "bob".into(),
        narrower: "a.read".into(),
        problems: Problems { general: Vec::new(), fields: vec![("owner".into(), "there is no such owner".into())] },
        ..NewKey::default()
    };
    let making = Making { form: typed, ..Making::default() };
    let html = new_key(&operator_elsewhere(), &making);
    for part in [
        "name=\"owner\" value=\"bob\" required",
        "aria-describedby=\"create-owner-help create-owner-problem\" aria-invalid=\"true\"",
        "id=\"create-owner-problem\">there is no such owner<",
        "action=\"/admin/keys/new?company=acme\"",
        "id=\"created-owner\">its owner<",
        ">a.read</textarea>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("type=\"checkbox\""), "the reader's own permissions are none of the owner's");
    let own = new_key(&reader(&["keyward.keys.own"]), &making);
    assert!(!own.contains("name=\"owner\"") && own.contains("owner: there is no such owner"));
}

#[test]
fn who_may_make_no_keys_is_not_offered_it() {
    let html = keys(&reader(&["keyward.keys"]), &page(vec![key(&json!({}))]));
    for part in ["New API Key", "create-dialog", "created-dialog", "/assets/new-key"] {
        assert!(!html.contains(part), "{part}");
    }
    assert!(html.contains("data-action=\"revoke\"") && html.contains("id=\"revoke-dialog\""));
}

#[test]
fn a_key_is_offered_no_longer_life_than_it_may_have() {
    let form = |longest: Option<u64>| {
        let form = NewKey { at: NOW, ..NewKey::default() };
        new_key(&reader(&["keyward.keys.own"]), &Making { form, longest, ..Making::default() })
    };
    let unlimited = form(None);
    assert!(unlimited.contains(">Never<") && unlimited.contains(">In 365 days<") && !unlimited.contains(" max=\""));
    let limited = form(Some(90));
    assert!(limited.contains(">As long as allowed: 90 days<") && limited.contains("a key lives for 90 days at most"));
    assert!(
        !limited.contains(">Never<") && limited.contains(">In 30 days<") && !limited.contains("In 90 days") && !limited.contains("365")
    );
    assert!(limited.contains("max=\"2027-02-16\"") && limited.contains("data-longest=\"90\""), "{limited}");
    assert!(form(Some(1)).contains("As long as allowed: 1 day<"));
    assert!(form(Some(u64::MAX)).contains("As long as allowed"));
}

#[test]
fn the_usual_order_is_called_what_it_is() {
    let first = |choice: Choice| {
        let html = rendered(&KeysPage { choice, ..page(vec![key(&json!({}))]) });
        let orders = html.split("id=\"filter-sort\"").nth(1).unwrap().split("</select>").next().unwrap().to_owned();
        assert_eq!(orders.matches("<option").count(), 5, "each once: {orders}");
        orders.split("<option value=\"\">").nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    assert_eq!(first(Choice::default()), "Newest first");
    assert_eq!(first(Choice { expiring: true, ..Choice::default() }), "Expiring first");
    assert_eq!(first(Choice { unused: true, sort: Some(Sort::Newest), ..Choice::default() }), "Longest unused first");
}
