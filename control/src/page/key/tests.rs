//! What the pages about one key must and must not contain.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{end::propagation, *};
use crate::page::{
    asset,
    audit_entry::tests::{entry_with, names},
    filled,
};

mod told;

const NOW: Millis = Millis(1_795_000_000_000); // 2026-11-18T11:06:40Z
const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror='a()'>";

fn object(change: &Value) -> Key {
    let mut object = json!({
        "id": "key_1", "name": "ERP nightly sync", "hint": "kw_live_…fA1e", "owner": "ann", "owner_name": "Ann Lee", "owner_active": true,
        "company": "demo", "status": "active", "created_at": "2026-11-01T08:00:00Z", "created_by": "ann", "parent": null,
        "expires_at": null, "last_used_at": null, "permissions": null, "effective_permissions": ["orders.read"], "allowed_ips": [],
        "rate_limit": null, "metadata": {}, "manages_keys": false, "imported": false, "revoked_at": null, "revoked_by": null,
        "revoke_reason": null, "supersedes": null, "superseded_by": null, "superseded_at": null,
        "propagation": {"committed_at": "2026-11-01T08:00:00Z", "announced_at": "2026-11-01T08:00:01Z",
                        "expected_by": "2026-11-01T08:01:01Z", "effective_by": "2026-11-01T08:03:01Z"},
    });
    for (field, value) in change.as_object().unwrap() {
        object[field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn revoked() -> Value {
    json!({"status": "revoked", "revoked_at": "2026-11-18T11:06:20Z", "revoked_by": "joe", "revoke_reason": "left"})
}

fn reader(permissions: &[&str]) -> Reader {
    let permissions = PermissionSet::parse(permissions.iter().copied()).unwrap();
    Reader { owner: "ann".into(), company: "demo".into(), permissions, ..Reader::default() }
}

fn owner() -> Reader {
    reader(&["keyward.keys.own", "orders.*"])
}

fn page(change: &Value) -> KeyPage {
    let key = object(change);
    KeyPage {
        change: Change::of(&key),
        key,
        related: Vec::new(),
        buckets: Some(filled(&[], By::Day, NOW)),
        by: By::Day,
        trail: Trail::NotTheirs,
        longest: None,
        asked: Asked { method: "GET".into(), ..Asked::default() },
        grantable: Some(PermissionSet::parse(["orders.*"]).unwrap()),
        done: "",
        now: NOW,
    }
}

fn shown(change: &Value) -> String {
    key(&owner(), &page(change))
}

fn rotation(change: &Value) -> RotatePage {
    let key = object(change);
    RotatePage {
        name: key.name.clone(),
        key,
        successor: None,
        traffic: None,
        overlap: "keep".into(),
        life: String::new(),
        at: NOW,
        longest: None,
        form_id: "r1".into(),
        edge_url: "https://api.example".into(),
        drawing: None,
        problems: crate::page::Problems::default(),
        done: "",
        now: NOW,
    }
}

fn rotated(more: &Value) -> Value {
    let mut change = json!({"superseded_by": "key_2", "superseded_at": "2026-11-18T10:30:00Z"});
    change.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    change
}

fn assert_tidy(html: &str) {
    assert!(!html.contains(" style=") && !html.contains("javascript:"), "{html}");
    let bare: String = html.split('"').step_by(2).collect(); // without the values of attributes
    assert!(!bare.split('<').any(|tag| tag.split('>').next().unwrap_or_default().contains(" on")), "a handler");
    assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
    assert_eq!(html.matches("<h1").count(), 1);
    for address in html.split('"').filter(|text| text.starts_with("/assets/")) {
        assert!(asset(address).is_some(), "{address}");
    }
    let ids: Vec<_> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id stands twice: {ids:?}");
}

#[test]
fn hostile_text_is_escaped_on_every_page() {
    let hostile = json!({
        "id": EVIL, "name": EVIL, "hint": EVIL, "owner": EVIL, "owner_name": EVIL, "company": EVIL, "created_by": EVIL, "parent": EVIL,
        "allowed_ips": [EVIL], "rate_limit": EVIL, "metadata": {EVIL: EVIL}, "supersedes": EVIL, "superseded_by": EVIL, "manages_keys": true,
    });
    let evil = || EVIL.to_owned();
    let problems = || crate::page::Problems { general: vec![evil()], fields: vec![("name".into(), evil()), (evil(), evil())] };
    let operator = reader(&["keyward.operator"]);
    let mut whole = page(&hostile);
    whole.related = vec![Related { id: evil(), name: Named::Known(evil()) }];
    let entry = json!({"actor": EVIL, "action": EVIL, "target": EVIL, "outcome": EVIL, "before": {EVIL: 1}, "after": {EVIL: EVIL}});
    whole.trail = Trail::Known(vec![entry_with(&entry)], names());
    let explained = json!({"decision": "refuse", "status": 403, "detail": EVIL, "rule": {"index": 1, "path": EVIL}, "owner_permissions": [],
                           "checks": [{"check": EVIL, "passed": false, "detail": EVIL}]});
    whole.asked = Asked {
        method: evil(),
        path: evil(),
        address: evil(),
        assumed: Some(evil()),
        answer: Some(serde_json::from_value(explained).unwrap()),
        problems: problems(),
    };
    whole.change = Change {
        name: evil(),
        day: evil(),
        exact_end: evil(),
        others: evil(),
        networks: evil(),
        ticked: [evil()].into(),
        problems: problems(),
        sent: true,
        ..whole.change
    };
    let mut way = rotation(&hostile);
    (way.name, way.form_id, way.edge_url, way.problems) = (evil(), evil(), evil(), problems());
    way.successor = Some(object(&hostile));
    let mut begin = rotation(&json!({"name": EVIL}));
    (begin.name, begin.form_id, begin.life, begin.problems) = (evil(), evil(), evil(), problems());
    let mut lost = rotation(&json!({"name": EVIL, "superseded_by": EVIL}));
    lost.successor = Some(object(&json!({"id": EVIL, "name": EVIL, "status": "revoked", "revoked_by": EVIL, "superseded_by": EVIL})));
    let mut maker = revoked();
    maker.as_object_mut().unwrap().extend(json!({"name": EVIL, "manages_keys": true}).as_object().cloned().unwrap());
    for html in [
        rotate_key(&owner(), &lost),
        revoke_key(&operator, &RevokePage { key: object(&maker), reason: evil(), cascade: true, problems: problems() }),
        key(&operator, &whole),
        rotate_key(&operator, &way),
        rotate_key(&owner(), &begin),
        key_rotated(&operator, &NewPage { key: object(&hostile), secret: Some(evil()), edge_url: evil() }),
        revoke_key(&operator, &RevokePage { key: object(&hostile), reason: evil(), cascade: true, problems: problems() }),
        revoke_key(
            &operator,
            &RevokePage {
                key: object(&json!({"name": EVIL, "status": "revoked", "revoke_reason": EVIL, "revoked_by": EVIL})),
                reason: evil(),
                cascade: true,
                problems: problems(),
            },
        ),
        delete_key(&operator, &DeletePage { key: object(&hostile), typed: evil(), problems: problems() }),
        key_gone(&operator, &GonePage { wanted: "changed", typed: vec![("Name", evil())] }),
    ] {
        assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
        assert_tidy(&html);
    }
}

#[test]
fn everything_that_a_person_understands_is_told() {
    let html = shown(&json!({
        "expires_at": "2027-01-31T23:59:59Z", "last_used_at": "2026-11-18T10:06:40Z", "allowed_ips": ["10.0.0.0/8"], "rate_limit": "slow",
        "metadata": {"team": "erp"}, "manages_keys": true, "parent": "key_0", "supersedes": "key_00", "permissions": ["orders.read"],
    }));
    for wanted in [
        "Ann Lee (ann)",
        "31 Jan 2027, 23:59 UTC",
        "1 hour ago",
        "10.0.0.0/8",
        "slow",
        "&quot;team&quot;: &quot;erp&quot;",
        "it may make and revoke",
        "key_0</code> (deleted, or not yours to see)",
        "/admin/keys/key_00/rotate",
        "It was limited to the following",
        "data-opens=\"revoke-dialog\"",
        "/admin/keys/key_1/delete",
        "href=\"/admin/keys/key_1?by=hour#usage\"",
    ] {
        assert!(html.contains(wanted), "{wanted}: {html}");
    }
    assert_tidy(&html);
    assert!(!html.contains("Audit trail</h2>"), "that is not the reader's to see");
}

#[test]
fn only_what_the_reader_may_do_is_offered() {
    let others = json!({"owner": "joe"});
    let offered = |reader: &Reader, change: &Value| {
        let html = key(reader, &page(change));
        [">Rotate<", ">Save<", ">Revoke<", ">Delete<"].map(|button| html.contains(button))
    };
    assert_eq!(offered(&owner(), &json!({})), [true; 4]);
    assert_eq!(offered(&reader(&["keyward.keys"]), &others), [false, false, true, true], "who sees everyone's keys only ends them");
    assert_eq!(
        offered(&reader(&["keyward.keys"]), &json!({})),
        [false, false, true, true],
        "an own key, without the permission for own keys"
    );
    assert_eq!(offered(&reader(&["keyward.operator"]), &others), [true; 4]);
    assert_eq!(offered(&owner(), &revoked()), [false, false, false, true]);
    assert_eq!(offered(&owner(), &json!({"status": "expired"})), [false, false, false, true]);
    let html = rotate_key(&reader(&["keyward.keys"]), &rotation(&others));
    assert!(html.contains("Only its owner or the operator") && !html.contains("Make the successor</button>"));
}

#[test]
fn a_state_is_told_with_its_reason() {
    assert!(shown(&revoked()).contains("by joe: “left”. It cannot be changed any more."));
    assert!(shown(&json!({"status": "expired", "expires_at": "2026-11-18T11:00:00Z"})).contains("does not work, and cannot be changed"));
    assert!(
        shown(&json!({"owner_active": false})).contains("Active, owner or company inactive")
            && shown(&json!({"owner_active": false})).contains("its owner or company is not")
    );
}

#[test]
fn the_way_of_a_revocation_is_told_stage_by_stage() {
    let stage = |stages: Value| {
        let mut change = revoked();
        change["propagation"] = stages;
        propagation(&object(&change), NOW).into_string()
    };
    let waiting = stage(json!({"committed_at": "2026-11-18T11:06:20Z", "announced_at": null, "expected_by": null, "effective_by": null}));
    assert!(
        waiting.contains("data-state=\"waiting\"") && waiting.contains("not announced yet") && waiting.contains("11:06:20 UTC"),
        "{waiting}"
    );
    let announced = |effective: &str| {
        stage(json!({"committed_at": "2026-11-18T11:06:20Z", "announced_at": "2026-11-18T11:06:21Z", "expected_by": "2026-11-18T11:07:21Z",
                     "effective_by": effective}))
    };
    let going = announced("2026-11-18T11:09:21Z");
    for wanted in
        ["data-state=\"announced\"", "11:06:21 UTC</time> · expected everywhere by", "11:07:21 UTC", "guaranteed by", "11:09:21 UTC"]
    {
        assert!(going.contains(wanted), "{wanted}: {going}");
    }
    let over = announced("2026-11-18T11:06:40Z");
    assert!(over.contains("data-state=\"over\"") && over.contains("In effect everywhere since"), "{over}");
    assert_eq!(propagation(&object(&json!({})), NOW).into_string(), "", "an old change of a key that works is nothing new");
}

#[test]
fn a_form_keeps_what_was_typed_and_names_what_is_wrong() {
    let mut page = page(&json!({"permissions": ["orders.read"]}));
    page.change.name = "New <name>".into();
    page.change.networks = "10.0.0.0/8\nnonsense".into();
    page.change.sent = true;
    page.change.problems.fields = vec![("allowed_ips[1]".into(), "is no network".into())];
    let html = key(&owner(), &page);
    for wanted in [
        "value=\"New &lt;name&gt;\"",
        "10.0.0.0/8\nnonsense</textarea>",
        "id=\"change-networks-problem\">is no network",
        "value=\"orders.read\" checked",
        "value=\"some\" checked",
        "value=\"orders.*\">",
    ] {
        assert!(html.contains(wanted), "{wanted}: {html}");
    }
    assert_tidy(&html);
}

#[test]
fn what_was_typed_for_a_key_that_ended_meanwhile_is_given_back() {
    let mut page = page(&revoked());
    page.change.name = "Typed".into();
    page.change.sent = true;
    let html = key(&owner(), &page);
    assert!(
        html.contains("Nothing was changed")
            && html.contains("by joe: “left”")
            && html.contains("value=\"Typed\"")
            && !html.contains(">Save<")
    );
    let gone = key_gone(&owner(), &GonePage { wanted: "changed", typed: vec![("Name", "Typed".into()), ("Expires", String::new())] });
    assert!(
        gone.contains("not there, or not yours to see any more. Nothing was done now: it was not changed.")
            && gone.contains("Typed</dd>")
            && !gone.contains("Expires")
            && !gone.contains("sent this before")
    );
}

#[test]
fn the_longest_life_is_said() {
    let limited = Reader { max_key_lifetime_days: Some(90), ..owner() };
    let html = key(&limited, &page(&json!({})));
    assert!(html.contains("for 90 days: this one until 30 Jan 2027, 08:00 UTC at the latest"), "{html}");
}

fn fields(change: &Value) -> Fields {
    Fields::of(&object(change))
}

#[test]
fn only_what_differs_is_sent_on() {
    let was = fields(&json!({"permissions": ["orders.read"], "expires_at": "2027-01-31T12:00:00Z"}));
    assert!(was.changes(&was).is_empty());
    let new = Fields { name: "Other".into(), permissions: None, expires_at: None, ..was.clone() };
    assert_eq!(Value::Object(new.changes(&was)), json!({"name": "Other", "permissions": null, "expires_at": null}));
}

#[test]
fn who_changes_the_same_at_once_is_told_and_who_changes_something_else_is_not() {
    let was = fields(&json!({}));
    let theirs = fields(&json!({"name": "Theirs"}));
    let mine = Fields { name: "Mine".into(), ..was.clone() };
    let said = mine.conflicts(&was, &theirs);
    assert!(said.len() == 1 && said[0].0 == "name" && said[0].1.contains("“Theirs”"), "{said:?}");
    let elsewhere = Fields { allowed_ips: ["10.0.0.0/8".into()].into(), ..was.clone() };
    assert!(elsewhere.conflicts(&was, &theirs).is_empty());
    assert_eq!(Value::Object(elsewhere.changes(&was)), json!({"allowed_ips": ["10.0.0.0/8"]}), "their name is not undone");
    assert!(theirs.conflicts(&was, &theirs).is_empty(), "the same wish");
}

#[test]
fn a_day_means_its_end_and_one_that_was_not_touched_stays_exact() {
    let stored = object(&json!({"expires_at": "2027-01-31T12:00:00Z"}));
    let end = |day: &str, exact: &str| Change { day: day.into(), exact_end: exact.into(), ..Change::of(&stored) }.fields().expires_at;
    assert_eq!(end("", ""), None);
    assert_eq!(end("", "2027-01-01T00:00:00Z"), None, "an emptied field");
    assert_eq!(end("2027-01-31", "").as_deref(), Some("2027-01-31T12:00:00Z"));
    assert_eq!(end("2027-02-01", "").as_deref(), Some("2027-02-01T23:59:59Z"));
    assert_eq!(end("2027-02-01", "2027-02-01T22:59:59Z").as_deref(), Some("2027-02-01T22:59:59Z"), "as the script says it");
}

#[test]
fn lists_are_read_line_by_line() {
    let mut change = Change::of(&object(&json!({})));
    change.networks = " 10.0.0.0/8\r\n\r\n192.0.2.1, 192.0.2.1 ".into();
    change.all = false;
    change.ticked = ["orders.read".into()].into();
    change.others = "orders.write\norders.read".into();
    let fields = change.fields();
    assert_eq!(fields.allowed_ips, ["10.0.0.0/8".to_owned(), "192.0.2.1".to_owned()].into());
    assert_eq!(fields.permissions, Some(["orders.read".to_owned(), "orders.write".to_owned()].into()));
    change.all = true;
    assert_eq!(change.fields().permissions, None, "a choice that is not in effect");
}

#[test]
fn the_step_of_a_rotation_follows_from_the_keys() {
    let html = rotate_key(&owner(), &rotation(&json!({})));
    assert!(
        html.contains("Make the successor</button>") && html.contains("value=\"keep\" checked") && html.contains("value=\"r1\""),
        "{html}"
    );
    assert_tidy(&html);

    let mut way = rotation(&rotated(&json!({"last_used_at": "2026-11-18T11:06:00Z"})));
    way.successor = Some(object(&json!({"id": "key_2"})));
    let last = Bucket { at: Millis(1_794_999_600_000), allowed: 11, refused: 1 };
    way.traffic = Some(Traffic { since: Millis(1_794_996_000_000), allowed: 11, refused: 1, hours: filled(&[last], By::Hour, NOW) });
    let html = rotate_key(&owner(), &way);
    for wanted in [
        "has not been used yet",
        "The old key was used since: last request at",
        "<strong id=\"old-count\">12</strong>",
        "</strong> requests with the old key since",
        "; 1 was refused",
        "Revoke the old key</button>",
        "data-live",
    ] {
        assert!(html.contains(wanted), "{wanted}: {html}");
    }
    assert_eq!(html.matches(">done<").count(), 1);
    assert_tidy(&html);

    way.key = object(&rotated(&json!({"last_used_at": "2026-11-18T10:00:00Z"})));
    way.successor = Some(object(&json!({"id": "key_2", "last_used_at": "2026-11-18T11:00:00Z"})));
    let html = rotate_key(&owner(), &way);
    assert!(
        html.contains("was not used since")
            && html.contains("The new key is in use")
            && html.matches(">done<").count() == 2
            && html.contains(">quiet<"),
        "{html}"
    );

    let mut ended = revoked();
    ended.as_object_mut().unwrap().extend(rotated(&json!({})).as_object().cloned().unwrap());
    way.key = object(&ended);
    let html = rotate_key(&owner(), &way);
    assert!(
        !html.contains("Revoke the old key</button>") && html.contains("id=\"propagation\"") && html.matches(">done<").count() == 4,
        "{html}"
    );

    way.successor = None;
    assert!(rotate_key(&owner(), &way).contains("the successor is gone"));
    assert!(rotate_key(&owner(), &rotation(&revoked())).contains("cannot be replaced"));
}

#[test]
fn a_key_that_was_shown_before_is_not_promised_again() {
    let page = |secret: Option<&str>| {
        key_rotated(&owner(), &NewPage { key: object(&rotated(&json!({}))), secret: secret.map(Into::into), edge_url: String::new() })
    };
    assert!(page(Some("kw_live_new")).contains("kw_live_new") && page(None).contains("cannot be shown again"));
    assert_tidy(&page(Some("kw_live_new")));
    let dialog = rotate_key(&owner(), &rotation(&json!({})));
    assert!(dialog.contains("aria-label=\"The new key\"></code>"), "the dialog is sent empty");
}

#[test]
fn deleting_says_what_is_lost_and_offers_what_is_better() {
    let html =
        delete_key(&owner(), &DeletePage { key: object(&json!({})), typed: "ERP".into(), problems: crate::page::Problems::default() });
    for wanted in ["What is lost", "its counts of requests", "Only the audit trail", "value=\"ERP\"", "/admin/keys/key_1/revoke"] {
        assert!(html.contains(wanted), "{wanted}: {html}");
    }
    assert_tidy(&html);
    let late = revoke_key(
        &owner(),
        &RevokePage { key: object(&revoked()), reason: "mine".into(), cascade: false, problems: crate::page::Problems::default() },
    );
    assert!(
        late.contains("by joe: “left”")
            && late.contains("was not recorded: “mine”")
            && !late.contains("<form method=\"post\" action=\"/admin/keys")
    );
}

#[test]
fn the_form_says_where_the_successor_is_made_and_the_dialog_whom_it_acts_as() {
    let mut way = rotation(&json!({}));
    assert!(!rotate_key(&owner(), &way).contains("data-wasm"), "without the files the server makes it");
    way.drawing = Some(crate::page::Drawing { script: "/assets/b.mjs".into(), wasm: "/assets/b.wasm".into() });
    let html = rotate_key(&owner(), &way);
    assert!(html.contains("data-script=\"/assets/b.mjs\" data-wasm=\"/assets/b.wasm\"") && html.contains("id=\"rotate-birth\""), "{html}");
    assert!(html.contains("acts as you, with"), "{html}");
    let others = json!({"owner": "joe", "owner_name": "Joe"});
    let html = rotate_key(&reader(&["*"]), &rotation(&others));
    assert!(html.contains("acts as Joe, with") && !html.contains("acts as you"), "{html}");
    let made = NewPage { key: object(&others), secret: Some("kw_live_x".into()), edge_url: String::new() };
    assert!(key_rotated(&reader(&["*"]), &made).contains("acts as Joe, with"));
}
