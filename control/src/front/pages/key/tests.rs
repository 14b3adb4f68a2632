//! What the pages of a key ask of the API, in which order, and what they make of its answers and of outages.

use serde_json::{Value, json};

use super::super::super::{
    Object,
    tests::{NOW, Script, api_answer, caller, request, run, with_session},
};
use crate::{front::Request, time::rfc3339};

fn whoami(permissions: &[&str]) -> (u16, Value) {
    api_answer(200, &json!({"owner": "ann", "company": "demo", "permissions": permissions}))
}

fn me() -> (u16, Value) {
    whoami(&["keyward.keys.own", "orders.*"])
}

fn key(change: &Value) -> Value {
    let mut key = json!({
        "id": "key_1", "name": "Sync", "hint": "kw_live_…fA1e", "owner": "ann", "owner_name": "Ann", "owner_active": true, "company": "demo",
        "status": "active", "created_at": "2026-11-01T08:00:00Z", "created_by": "ann", "parent": null, "expires_at": null,
        "last_used_at": null, "permissions": null, "effective_permissions": ["orders.read"], "allowed_ips": [], "rate_limit": null,
        "metadata": {}, "manages_keys": false, "imported": false, "revoked_at": null, "revoked_by": null, "revoke_reason": null,
        "supersedes": null, "superseded_by": null, "superseded_at": null,
        "propagation": {"committed_at": "2026-11-01T08:00:00Z", "announced_at": "2026-11-01T08:00:01Z",
                        "expected_by": "2026-11-01T08:01:01Z", "effective_by": "2026-11-01T08:03:01Z"},
    });
    key.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
    key
}

fn found(change: &Value) -> (u16, Value) {
    api_answer(200, &key(change))
}

fn gone() -> (u16, Value) {
    api_answer(404, &json!({"code": "not_found"}))
}

const OUTAGE: u16 = 500;

fn outage() -> (u16, Value) {
    (OUTAGE, json!({}))
}

fn post(path: &str, form: &[(&str, &str)]) -> Request {
    let mut request = with_session(request("POST", path));
    request.headers.sec_fetch_site = Some("same-origin".into());
    request.headers.content_type = Some("application/x-www-form-urlencoded".into());
    request.body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
    request
}

/// Status, place where the browser is sent, and text.
fn answered(request: &Request, objects: &Script) -> (u16, String, String) {
    let answer = run(request, objects);
    let location = answer.headers.iter().find(|(name, _)| name == "Location").map(|(_, place)| place.clone()).unwrap_or_default();
    (answer.status, location, String::from_utf8(answer.body.into_owned()).unwrap())
}

const MAKE: [(&str, &str); 4] = [("step", "make"), ("form", "f1"), ("name", "Sync 2"), ("overlap", "week")];

/// A reference to what was asked, as far as tests look at it: method and path.
fn calls(objects: &Script) -> Vec<String> {
    (0..objects.asked().len())
        .filter(|at| matches!(objects.asked()[*at].0, Object::Shard(_)))
        .map(|at| objects.call(at))
        .map(|call| format!("{} {}", call.method, call.path))
        .collect()
}

#[test]
fn a_key_that_was_made_is_shown_whatever_could_not_be_asked_any_more() {
    let made = api_answer(201, &json!({"id": "key_2", "key": "kw_live_new"}));
    // Everything after the creation fails.
    let objects = Script::saying([me(), found(&json!({})), made, outage(), outage()]);
    let (status, _, text) = answered(&post("/admin/keys/key_1/rotate", &MAKE), &objects);
    assert!(status == 200 && text.contains("kw_live_new"), "{status}: {text}");
    assert_eq!(calls(&objects).last().unwrap(), "POST /v1/keys/key_1/rotate", "nothing is asked after it");
    let body: Value = serde_json::from_str(&objects.call(2).body).unwrap();
    assert_eq!(body, json!({"name": "Sync 2", "overlap_s": 604_800}));
    assert_eq!(objects.call(2).idempotency_key.as_deref(), Some("f1"));

    let objects = Script::saying([me(), outage()]);
    let (status, _, text) = answered(&post("/admin/keys/key_1/rotate", &MAKE), &objects);
    assert!(status == 503 && text.contains("value=\"Sync 2\""), "nothing typed is lost: {text}");
    assert!(!calls(&objects).iter().any(|call| call.starts_with("POST")), "and nothing was made");
    let objects = Script::saying([me(), gone()]);
    let (status, _, text) = answered(&post("/admin/keys/key_1/rotate", &MAKE), &objects);
    assert!(status == 404 && text.contains("Nothing was done now") && text.contains("Sync 2"), "{text}");
}

#[test]
fn the_life_that_was_chosen_is_sent_and_stays_the_same_when_it_is_sent_again() {
    let made = || api_answer(201, &json!({"id": "key_2", "key": null}));
    let sent = |life: &str, at: u64| {
        let at = at.to_string();
        let form = [&MAKE[..], &[("life", life), ("at", &at)]].concat();
        let objects = Script::saying([me(), found(&json!({})), made()]);
        answered(&post("/admin/keys/key_1/rotate", &form), &objects);
        serde_json::from_str::<Value>(&objects.call(2).body).unwrap()
    };
    let now = NOW.as_secs();
    let days = |days: u64, at: u64| json!(rfc3339(keyward_shared::time::Millis::from_secs(at + days * 86_400)));
    assert_eq!(sent("", now).get("expires_at"), None, "the API's own answer");
    assert_eq!(sent("never", now)["expires_at"], Value::Null);
    assert!(sent("never", now).get("expires_at").is_some());
    assert_eq!(sent("90", now - 600)["expires_at"], days(90, now - 600));
    assert_eq!(sent("90", now + 9)["expires_at"], days(90, now), "a form from the future");
    for wrong in ["0", "soon", "99999999999999999999"] {
        let form = [&MAKE[..], &[("life", wrong)]].concat();
        let objects = Script::saying([me(), found(&json!({}))]);
        let (status, _, text) = answered(&post("/admin/keys/key_1/rotate", &form), &objects);
        assert!(status == 422 && text.contains("rotate-life-problem") && text.contains("value=\"Sync 2\""), "{wrong}: {text}");
    }
}

#[test]
fn who_was_slower_is_told_of_the_successor_and_who_may_go_on_is_not() {
    let refused = || api_answer(409, &json!({"detail": "the key was rotated before; its successor is key_2"}));
    let with = || found(&json!({"superseded_by": "key_2", "superseded_at": "2026-11-18T10:00:00Z"}));
    let works = || found(&json!({"id": "key_2"}));
    let objects = Script::saying([me(), found(&json!({})), refused(), with(), works(), works()]);
    let (status, _, text) = answered(&post("/admin/keys/key_1/rotate", &MAKE), &objects);
    assert!(status == 409 && text.contains("Somebody made a successor meanwhile") && text.contains("“Sync 2”"), "{text}");
    // Another reason, with a successor that does not work.
    let inactive = api_answer(409, &json!({"detail": "the owner is not active"}));
    let objects = Script::saying([me(), with(), inactive, with(), gone(), gone()]);
    let (status, _, text) = answered(&post("/admin/keys/key_1/rotate", &MAKE), &objects);
    assert!(status == 409 && text.contains("the owner is not active") && !text.contains("Somebody made"), "{text}");
    assert!(text.contains("value=\"Sync 2\"") && text.contains("make another one"), "{text}");
}

#[test]
fn the_old_key_is_not_revoked_while_its_successor_does_not_work() {
    let with = || found(&json!({"superseded_by": "key_2"}));
    for successor in [gone(), found(&json!({"id": "key_2", "status": "revoked"}))] {
        let objects = Script::saying([me(), with(), successor.clone(), successor]);
        let (status, _, text) = answered(&post("/admin/keys/key_1/rotate", &[("step", "revoke"), ("sure", "on")]), &objects);
        assert!(status == 409 && text.contains("Nothing was revoked"), "{text}");
        assert!(!calls(&objects).iter().any(|call| call.starts_with("POST")));
    }
    let objects = Script::saying([me(), with(), found(&json!({"id": "key_2"})), found(&json!({}))]);
    let (status, on, _) = answered(&post("/admin/keys/key_1/rotate", &[("step", "revoke"), ("sure", "on")]), &objects);
    assert_eq!((status, on.as_str()), (303, "/admin/keys/key_1/rotate?done=revoked"));
}

fn explained(owners: &[&str]) -> (u16, Value) {
    let answer =
        json!({"decision": "allow", "status": 200, "detail": "it passes", "rule": null, "owner_permissions": owners, "checks": []});
    api_answer(200, &answer)
}

/// The queries with which the key was explained.
fn asked_about(objects: &Script) -> Vec<String> {
    let shard = (0..objects.asked().len()).filter(|at| matches!(objects.asked()[*at].0, Object::Shard(_)));
    shard.map(|at| objects.call(at)).filter(|call| call.path.ends_with("/explain")).map(|call| call.query).collect()
}

#[test]
fn a_request_is_asked_about_as_it_would_come() {
    let networks = || found(&json!({"allowed_ips": ["10.0.0.0/8"]}));
    let policy = || (200, json!({"policy": {"rules": []}}));
    let ask = |query: &str| {
        let objects = Script::saying([me(), networks(), policy(), explained(&["orders.*"])]);
        answered(&with_session(request("GET", &format!("/admin/keys/key_1?{query}"))), &objects);
        asked_about(&objects).first().cloned().unwrap_or_default()
    };
    for (query, asked) in [
        ("method=GET&path=/a", "method=GET&path=%2Fa&ip=10.0.0.0"),
        ("method=head&path=+/a?b=c+&ip=192.0.2.7", "method=HEAD&path=%2Fa&ip=192.0.2.7"),
        ("method=GET&path=https://api.example/a/b%23c", "method=GET&path=%2Fa%2Fb&ip=10.0.0.0"),
    ] {
        assert_eq!(ask(query), asked, "{query}");
    }
    let objects = Script::saying([me(), networks(), policy(), explained(&["orders.*"])]);
    let (status, _, text) = answered(&with_session(request("GET", "/admin/keys/key_1?path=/a&ip=nonsense")), &objects);
    assert!(status == 200 && text.contains("This is no address") && text.contains("value=\"nonsense\""), "{text}");
    assert!(text.contains("value=\"orders.*\""), "the boxes are there nevertheless: {text}");
}

#[test]
fn an_outage_of_a_part_is_not_called_absence() {
    let with = found(&json!({"supersedes": "key_0"}));
    let objects = Script::saying([whoami(&["keyward.keys.own", "keyward.audit"]), with, outage(), outage(), outage(), outage(), outage()]);
    let (status, _, text) = answered(&with_session(request("GET", "/admin/keys/key_1")), &objects);
    assert_eq!(status, 200);
    for wanted in [
        "its name cannot be shown right now",
        "The audit trail cannot be shown right now",
        "The counts cannot be shown",
        "may do cannot be shown",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn a_choice_of_nothing_is_refused_as_for_a_new_key() {
    let was = json!({"name": "Sync", "expires_at": null, "permissions": null, "allowed_ips": []}).to_string();
    let form = [("was", &*was), ("name", "Kept"), ("scope", "some"), ("others", " ")];
    let objects = Script::saying([me(), found(&json!({}))]);
    let (status, _, text) = answered(&post("/admin/keys/key_1", &form), &objects);
    assert!(status == 422 && text.contains("Choose at least one, or everything.") && text.contains("value=\"Kept\""), "{text}");
    assert!(!calls(&objects).iter().any(|call| call.starts_with("PATCH")));
    // A key that may do nothing already can be given another name.
    let nothing = json!({"permissions": []});
    let was = json!({"name": "Sync", "expires_at": null, "permissions": [], "allowed_ips": []}).to_string();
    let form = [("was", &*was), ("name", "Other"), ("scope", "some")];
    let objects = Script::saying([me(), found(&nothing), found(&nothing)]);
    assert_eq!(answered(&post("/admin/keys/key_1", &form), &objects).0, 303);
}

#[test]
fn a_deletion_that_was_done_meanwhile_is_done() {
    let objects = Script::saying([me(), found(&json!({})), gone()]);
    let (status, on, _) = answered(&post("/admin/keys/key_1/delete", &[("name", "Sync")]), &objects);
    assert_eq!((status, on.as_str()), (303, "/admin/keys?done=deleted"));
    let objects = Script::saying([me(), gone()]);
    let (status, _, text) = answered(&post("/admin/keys/key_1/delete", &[("name", "Sync")]), &objects);
    assert!(status == 404 && text.contains("not yours to see any more") && text.contains("If you have sent this before"), "{text}");
}

#[test]
fn a_cascade_that_is_not_over_is_gone_on_with_by_the_form_that_comes_back() {
    let more = || api_answer(200, &json!({"more": true}));
    let maker = || found(&json!({"status": "revoked", "revoked_at": "2026-11-18T10:00:00Z", "manages_keys": true}));
    let form = [("reason", "a leak"), ("cascade", "on")];
    let objects = Script::saying([me(), maker()].into_iter().chain((0..10).map(|_| more())).chain([maker()]));
    let (status, _, text) = answered(&post("/admin/keys/key_1/revoke", &form), &objects);
    assert!(status == 409 && text.contains("send this again to go on"), "{text}");
    assert!(text.contains("id=\"family-form\"") && text.contains("value=\"a leak\"") && !text.contains("was not recorded"), "{text}");
    let objects = Script::saying([me(), maker(), found(&json!({}))]);
    let (status, on, _) = answered(&post("/admin/keys/key_1/revoke", &form), &objects);
    assert_eq!((status, on.as_str()), (303, "/admin/keys/key_1?done=family"));
}

#[test]
fn the_longest_life_is_that_of_the_company_that_is_looked_at() {
    let operator = || whoami(&["*", "keyward.*", "keyward.operator"]);
    let theirs = found(&json!({"company": "acme", "owner": "joe"}));
    let acme = api_answer(200, &json!({"id": "acme", "name": "Acme", "active": true, "max_key_lifetime_days": 40}));
    let who = || caller("demo", "* keyward.* keyward.operator");
    let objects = Script::saying([operator(), who(), theirs, who(), acme]);
    let (_, _, text) = answered(&with_session(request("GET", "/admin/keys/key_1/rotate?company=acme")), &objects);
    assert!(text.contains("lets a key live for 40 days"), "{text}\n{:?}", objects.asked());
}
