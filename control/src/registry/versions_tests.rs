#![allow(clippy::unwrap_used)] // a test that cannot be set up has failed
use serde_json::{Value as Json, json};

use super::{
    Work,
    tests::{NOW, RULES, after, answer, at, call, put, registry},
};
use crate::{call::ApiCall, sql::Sql as _};

const OPEN: &str = r#"{"rules":[]}"#;

fn versions(body: &Json) -> Vec<u64> {
    body["versions"].as_array().unwrap().iter().map(|version| version["version"].as_u64().unwrap()).collect()
}

#[test]
fn all_versions_are_listed_newest_first_page_by_page() {
    let registry = registry();
    let revs: Vec<u64> = (0..5).map(|n| put(&registry, after(1_000 * n))).collect();
    registry.announced(revs[1], at(after(1_500))).unwrap();
    let list = |query: &str| answer(&registry, &ApiCall { query: query.into(), ..call("GET", "/v1/policy/versions", "") });
    let (status, all) = list("");
    let mut newest_first = revs.clone();
    newest_first.reverse();
    assert_eq!((status, versions(&all), &all["next_cursor"]), (200, newest_first.clone(), &Json::Null));
    let second = json!({"version": revs[1], "changed_by": "admin", "changed_at": "2027-01-15T08:00:01Z",
        "announced_at": "2027-01-15T08:00:01Z", "rules": 1, "rolled_back_to": null});
    assert_eq!(all["versions"][3], second);
    let (_, first) = list("limit=2");
    let (_, rest) = list(&format!("limit=3&cursor={}", first["next_cursor"].as_str().unwrap()));
    assert_eq!([versions(&first), versions(&rest)].concat(), newest_first);
    assert_eq!(rest["next_cursor"], Json::Null);
    for bad in ["limit=0", "cursor=1", "version=1", "cursor=31.00"] {
        assert_eq!(list(bad).0, 400, "{bad}");
    }
    let of_companies = ApiCall { query: format!("cursor={}", first["next_cursor"].as_str().unwrap()), ..call("GET", "/v1/companies", "") };
    assert_eq!(answer(&registry, &of_companies).0, 400, "a cursor belongs to one list");
}

#[test]
fn an_earlier_version_is_read_by_its_number() {
    let registry = registry();
    let first = put(&registry, NOW);
    registry.handle(after(1), &call("PUT", "/v1/policy", OPEN)).unwrap();
    let read = |version: &str| {
        let call = ApiCall { query: format!("version={version}"), ..call("GET", "/v1/policy", "") };
        let answer = registry.handle(NOW, &call).unwrap().answer;
        (answer.status, answer.headers, serde_json::from_str::<Json>(&answer.body).unwrap())
    };
    let (status, headers, body) = read(&first.to_string());
    assert_eq!((status, headers), (200, vec![("ETag".to_owned(), format!("\"{first}\""))]));
    assert_eq!(body["default"], "deny");
    for (version, status) in [("7", 404), ("0", 404), ("18446744073709551615", 404), ("x", 400), ("-1", 400)] {
        assert_eq!(read(version).0, status, "{version}");
    }
}

#[test]
fn a_rollback_is_a_new_version_equal_to_the_earlier_one_announced_published_and_in_the_trail() {
    let registry = registry();
    let first = put(&registry, NOW);
    let second = registry.handle(after(1), &call("PUT", "/v1/policy", OPEN)).unwrap().changed.unwrap();
    for work in registry.begin_work(after(1)).unwrap() {
        match work {
            Work::Announce { rev } => registry.announced(rev, at(after(1))).unwrap(),
            Work::Publish { rev, round } => registry.published(after(1), rev, round).unwrap(),
            Work::Audit { id, .. } => registry.delivered(&id).unwrap(),
        }
    }
    let back = call("POST", "/v1/policy/rollback", &json!({"version": first}).to_string());
    let stale = ApiCall { if_match: Some(format!("\"{first}\"")), ..back.clone() };
    assert_eq!(answer(&registry, &stale).0, 409, "as with PUT, on top of another version than the named one");

    let right = ApiCall { if_match: Some(format!("\"{second}\"")), ..back };
    let handled = registry.handle(after(5_000), &right).unwrap();
    let rev = handled.changed.unwrap();
    assert_eq!((handled.answer.status, handled.answer.headers), (200, vec![("ETag".to_owned(), format!("\"{rev}\""))]));
    assert!(rev > second);
    let body: Json = serde_json::from_str(&handled.answer.body).unwrap();
    assert_eq!((&body["default"], &body["rules"][0]["path"]), (&json!("deny"), &json!("/public/**")));
    assert_eq!(body["propagation"]["announced_at"], Json::Null);
    let current = registry.current(after(5_000)).unwrap();
    assert_eq!((current.rev, json!(current.policy)["default"].clone()), (rev, json!("deny")));
    let (_, list) = answer(&registry, &call("GET", "/v1/policy/versions", ""));
    assert_eq!((versions(&list), &list["versions"][0]["rolled_back_to"]), (vec![rev, second, first], &json!(first)));

    let work = registry.begin_work(after(5_000)).unwrap();
    let [Work::Announce { rev: announced }, Work::Audit { body, .. }, Work::Publish { rev: published, .. }] = work.as_slice() else {
        panic!("{work:?}")
    };
    assert_eq!((*announced, *published), (rev, rev));
    let note: Json = serde_json::from_str(body).unwrap();
    assert_eq!((&note["action"], &note["actor"], &note["target"]), (&json!("policy.rollback"), &json!("admin"), &json!("policy")));
    assert_eq!((&note["before"]["default"], &note["after"]["default"]), (&json!("forward"), &json!("deny")));
    assert_eq!(note["after"]["rolled_back_to"], first);
}

#[test]
fn a_rollback_that_cannot_be_changes_nothing() {
    let registry = registry();
    let rev = put(&registry, NOW);
    for (body, status) in [
        ("", 422),
        ("{}", 422),
        (r#"{"version":"1"}"#, 422),
        (r#"{"version":0}"#, 422),
        (r#"{"version":1.5}"#, 422),
        (r#"{"version":1,"why":"x"}"#, 400),
        ("[]", 400),
        (r#"{"version":1}"#, 404),
    ] {
        assert_eq!(answer(&registry, &call("POST", "/v1/policy/rollback", body)).0, status, "{body}");
    }
    let strange = ApiCall { query: "x=1".into(), ..call("POST", "/v1/policy/rollback", &json!({"version": rev}).to_string()) };
    assert_eq!(answer(&registry, &strange).0, 400);
    // A version that was made when something else was allowed.
    registry.sql.execute("UPDATE policies SET json = '{\"default\":\"forward\",\"rules\":[{\"path\":\"no-slash\"}]}'", &[]).unwrap();
    assert_eq!(answer(&registry, &call("POST", "/v1/policy/rollback", &json!({"version": rev}).to_string())).0, 422);
    assert_eq!(registry.current_rev().unwrap(), rev);
}

#[test]
fn one_effect_per_idempotency_key() {
    let registry = registry();
    let with_key =
        |key: &str, method: &str, path: &str, body: &str| ApiCall { idempotency_key: Some(key.into()), ..call(method, path, body) };
    let change = with_key("a", "PUT", "/v1/policy", RULES);
    let first = registry.handle(NOW, &change).unwrap();
    let rev = first.changed.unwrap();
    assert_eq!(registry.handle(after(1), &change).unwrap(), first, "not yet announced: so it is announced now");
    registry.announced(rev, at(after(2))).unwrap();
    let again = registry.handle(after(3), &change).unwrap();
    assert_eq!(again.changed, None);
    let body: Json = serde_json::from_str(&again.answer.body).unwrap();
    assert_eq!(body["propagation"]["announced_at"], "2027-01-15T08:00:00Z", "as far as it has come");
    // Also when another version came meanwhile, and with the condition under which it was made.
    let other = put(&registry, after(4));
    let conditional = ApiCall { if_match: Some("\"0\"".into()), ..change.clone() };
    assert_eq!(registry.handle(after(5), &conditional).unwrap().answer, again.answer);
    assert_eq!(registry.current_rev().unwrap(), other);

    let (status, body) = answer(&registry, &with_key("a", "PUT", "/v1/policy", OPEN));
    assert_eq!((status, &body["code"]), (422, &json!("idempotency_mismatch")));
    for bad in ["", "\u{e9}", &"x".repeat(256)] {
        assert_eq!(answer(&registry, &with_key(bad, "PUT", "/v1/policy", RULES)).0, 400, "{bad}");
    }
    let back = with_key("a", "POST", "/v1/policy/rollback", &json!({"version": rev}).to_string());
    let rolled_back = registry.handle(after(6), &back).unwrap().changed.unwrap();
    assert_eq!(registry.handle(after(7), &back).unwrap().changed, Some(rolled_back), "another path is another place");
    let refused = with_key("b", "PUT", "/v1/policy", "[]");
    assert_eq!(answer(&registry, &refused).0, 400);
    assert_eq!(answer(&registry, &with_key("b", "PUT", "/v1/policy", RULES)).0, 200, "only successes are kept");

    let later = registry.handle(after(86_400_000 + 10), &change).unwrap().changed.unwrap();
    assert!(later > rolled_back, "after 24 hours it is a new request");
    assert_eq!(registry.sql.execute("SELECT count(*) FROM idempotency", &[]).unwrap()[0][0].number(), 1, "and the old answers are gone");
}
