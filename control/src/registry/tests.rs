#![allow(clippy::unwrap_used)] // a test that cannot be set up has failed
use keyward_shared::{
    feed::{Change, Subject},
    ids::{CompanyId, KeyId, OwnerId},
    permission::PermissionSet,
    policy::{Fallback, Policy},
    secret::SecretList,
    shard::Shard,
    time::Millis,
    timing::Timing,
};
use serde_json::{Value as Json, json};

use super::{Registry, Work};
use crate::{
    call::{Announced, Announcement, ApiAnswer, ApiCall, Caller, CallingKey, CompanyNotice, Credential},
    sql::{Sql as _, native::NativeSql},
};

pub(super) const NOW: Millis = Millis(1_800_000_000_000);
pub(super) const RULES: &str = r#"{"default":"deny","rules":[{"path":"/public/**","anonymous":true}]}"#;

pub(super) fn registry() -> Registry<NativeSql> {
    Registry::open(NativeSql::in_memory().unwrap(), Timing::default(), company("operator"), SecretList::single([5; 32])).unwrap()
}

fn company(id: &str) -> CompanyId {
    CompanyId::new(id).unwrap()
}

pub(super) fn after(ms: u64) -> Millis {
    NOW.plus(Millis(ms))
}

pub(super) fn at(stamp: Millis) -> Announced {
    Announced { announced_at: stamp, stamp }
}

pub(super) fn call(method: &str, path: &str, body: &str) -> ApiCall {
    let caller = Caller {
        token: false,
        company: company("operator"),
        owner: OwnerId::new("admin").unwrap(),
        key: None,
        permissions: PermissionSet::parse(["*", "keyward.operator"]).unwrap(),
    };
    ApiCall {
        method: method.into(),
        path: path.into(),
        query: String::new(),
        body: body.into(),
        idempotency_key: None,
        if_match: None,
        request_id: "r1".into(),
        address: None,
        credential: Credential::Vouched(caller),
        company: None,
        origin: "https://control.example".into(),
        policy: None,
    }
}

pub(super) fn answer(registry: &Registry<NativeSql>, call: &ApiCall) -> (u16, Json) {
    let ApiAnswer { status, body, .. } = registry.handle(NOW, call).unwrap().answer;
    (status, serde_json::from_str(&body).unwrap())
}

pub(super) fn put(registry: &Registry<NativeSql>, at: Millis) -> u64 {
    registry.handle(at, &call("PUT", "/v1/policy", RULES)).unwrap().changed.unwrap()
}

#[test]
fn companies_are_listed_by_id_page_by_page() {
    let registry = registry();
    for id in ["c", "a", "b"] {
        registry.register(NOW, company(id), Shard::of(&company(id)), &id.to_uppercase()).unwrap();
    }
    let first = ApiCall { query: "limit=2".into(), ..call("GET", "/v1/companies", "") };
    let a = json!({ "company": "a", "name": "A", "shard": Shard::of(&company("a")).as_str() });
    let (status, page) = answer(&registry, &first);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!((status, &page["companies"][0], cursor.len()), (200, &a, 2 + 1 + 64), "the place and a MAC over it");
    let second = ApiCall { query: format!("limit=2&cursor={cursor}"), ..first };
    let (_, page) = answer(&registry, &second);
    assert_eq!((page["companies"][0]["company"].as_str(), &page["next_cursor"]), (Some("c"), &Json::Null));
}

#[test]
fn a_removed_company_is_not_brought_back_by_a_late_notice() {
    let registry = registry();
    let notice = |rev, object| CompanyNotice { company: company("a"), shard: Shard::of(&company("a")), rev, object };
    registry.notice(NOW, &notice(5, Some(json!({ "name": "A" })))).unwrap();
    assert_eq!(registry.list(10, "").unwrap().companies.len(), 1);
    registry.notice(NOW, &notice(7, None)).unwrap();
    registry.notice(NOW, &notice(6, Some(json!({ "name": "A" })))).unwrap();
    assert!(registry.list(10, "").unwrap().companies.is_empty());
    registry.register(NOW, company("a"), Shard::of(&company("a")), "A").unwrap();
    registry.remove(NOW, company("a")).unwrap();
    assert!(registry.list(10, "").unwrap().companies.is_empty());
}

#[test]
fn bad_list_parameters_are_refused() {
    for query in ["limit=0", "limit=201", "limit=x", "cursor=%2F", "cursor=b", "sort=name", "limit=1&limit=2"] {
        let call = ApiCall { query: query.into(), ..call("GET", "/v1/companies", "") };
        assert_eq!(answer(&registry(), &call).0, 400, "{query}");
    }
}

#[test]
fn only_the_operator_of_the_operator_company_gets_further() {
    let registry = registry();
    let mut elsewhere = call("PUT", "/v1/policy", RULES);
    let Credential::Vouched(caller) = &mut elsewhere.credential else { unreachable!() };
    caller.company = company("demo");
    assert_eq!(answer(&registry, &elsewhere).1["code"], "forbidden");
    let mut weaker = call("PUT", "/v1/policy", RULES);
    let Credential::Vouched(caller) = &mut weaker.credential else { unreachable!() };
    caller.permissions = PermissionSet::parse(["*", "keyward.keys"]).unwrap();
    assert_eq!(answer(&registry, &weaker).1["code"], "forbidden");
    let mut no_manager = call("PUT", "/v1/policy", RULES);
    let Credential::Vouched(caller) = &mut no_manager.credential else { unreachable!() };
    let key = |manages_keys| CallingKey {
        id: KeyId::new("key_0123456789abcdefghij").unwrap(),
        manages_keys,
        bootstrap: false,
        restriction: None,
        networks: Vec::new(),
        expires_at: None,
    };
    caller.key = Some(key(false));
    for (method, path) in [("PUT", "/v1/policy"), ("GET", "/v1/policy"), ("POST", "/v1/policy/rollback"), ("GET", "/v1/companies")] {
        let call = ApiCall { method: method.into(), path: path.into(), ..no_manager.clone() };
        assert_eq!(answer(&registry, &call).1["code"], "forbidden", "{method} {path}: this key does not manage keys");
    }
    assert_eq!(registry.current(NOW).unwrap().rev, 0);
    let Credential::Vouched(caller) = &mut no_manager.credential else { unreachable!() };
    caller.key = Some(key(true));
    assert_eq!(answer(&registry, &no_manager).0, 200);
}

#[test]
fn unknown_paths_and_methods_are_refused() {
    assert_eq!(answer(&registry(), &call("GET", "/v1/keys", "")).0, 404);
    let refused = registry().handle(NOW, &call("DELETE", "/v1/policy", "")).unwrap().answer;
    assert_eq!((refused.status, refused.headers), (405, vec![("Allow".into(), "GET, HEAD, PUT".into())]));
}

#[test]
fn without_a_policy_the_default_one_of_revision_0_counts() {
    let stored = registry().current(NOW).unwrap();
    assert_eq!((stored.rev, stored.as_of, stored.policy), (0, NOW.minus(Millis(10_000)), Policy::default()));
    let (status, body) = answer(&registry(), &call("GET", "/v1/policy", ""));
    assert_eq!((status, body), (200, json!({ "default": "forward", "rules": [], "propagation": null })));
}

#[test]
fn a_policy_that_cannot_be_used_is_refused_and_changes_nothing() {
    let registry = registry();
    let (status, body) = answer(&registry, &call("PUT", "/v1/policy", r#"{"rules":[],"defualt":"deny"}"#));
    assert!(status == 400 && body["detail"].as_str().unwrap().contains("defualt"), "{body}");
    for body in
        ["", " ", "[]", "null", r#"{"rules":[["GET","/a"]]}"#, r#"{"rules":[[]]}"#, r#"{"rules":[],"rules":[]}"#, r#"{"default":{}}"#]
    {
        assert_eq!(answer(&registry, &call("PUT", "/v1/policy", body)).0, 400, "{body}");
    }
    let (status, body) = answer(&registry, &call("PUT", "/v1/policy", r#"{"rules":[{"path":"no-slash"}]}"#));
    assert_eq!((status, body["errors"][0]["field"].as_str()), (422, Some("rules[0].path")));
    assert_eq!((registry.current(NOW).unwrap().rev, registry.due()), (0, Ok(None)));
}

#[test]
fn a_change_raises_the_revision_and_keeps_what_was() {
    let registry = registry();
    let first = put(&registry, NOW);
    let second = put(&registry, NOW.minus(Millis(5_000)));
    assert_eq!((first, second), (NOW.0, NOW.0 + 1), "also when the clock went back");
    assert_eq!(registry.current(NOW).unwrap().policy.default, Fallback::Deny);
    let old = registry.policy_answer(Some(first)).unwrap();
    assert_eq!(old.headers, vec![("ETag".to_owned(), format!("\"{first}\""))]);
}

#[test]
fn what_get_answers_can_be_put_back() {
    let registry = registry();
    put(&registry, NOW);
    let body = registry.policy_answer(None).unwrap().body;
    assert_eq!(answer(&registry, &call("PUT", "/v1/policy", &body)).0, 200);
}

#[test]
fn a_change_on_top_of_another_version_than_the_named_one_is_a_conflict() {
    let registry = registry();
    for (if_match, status) in [("\"1\"", 409), ("W/\"0\"", 409), ("\"7\", \"0\"", 200), ("\"0\"", 409), ("*", 200)] {
        let call = ApiCall { if_match: Some(if_match.into()), ..call("PUT", "/v1/policy", RULES) };
        assert_eq!(answer(&registry, &call).0, status, "{if_match}");
    }
}

#[test]
fn the_answer_says_when_a_change_is_in_effect_once_it_is_announced() {
    let registry = registry();
    let rev = put(&registry, NOW);
    let (_, body) = answer(&registry, &call("GET", "/v1/policy", ""));
    let unannounced = json!({ "committed_at": "2027-01-15T08:00:00Z", "announced_at": null, "expected_by": null, "effective_by": null });
    assert_eq!(body["propagation"], unannounced);
    registry.announced(rev, at(after(2_000))).unwrap();
    let (_, body) = answer(&registry, &call("GET", "/v1/policy", ""));
    assert_eq!(body["propagation"]["announced_at"], "2027-01-15T08:00:02Z");
    assert_eq!(body["propagation"]["expected_by"], "2027-01-15T08:01:02Z");
    assert_eq!(body["propagation"]["effective_by"], "2027-01-15T08:03:02Z");
}

#[test]
fn a_change_announced_within_a_second_is_promised_for_the_end_of_that_second() {
    let registry = registry();
    let rev = put(&registry, NOW);
    registry.announced(rev, at(after(2_001))).unwrap();
    let (_, body) = answer(&registry, &call("GET", "/v1/policy", ""));
    assert_eq!(body["propagation"]["announced_at"], "2027-01-15T08:00:02Z");
    assert_eq!(body["propagation"]["expected_by"], "2027-01-15T08:01:03Z");
    assert_eq!(body["propagation"]["effective_by"], "2027-01-15T08:03:03Z");
}

#[test]
fn a_change_is_announced_published_and_written_in_the_trail() {
    let registry = registry();
    let rev = put(&registry, NOW);
    assert_eq!(registry.due(), Ok(Some(NOW)));
    let work = registry.begin_work(NOW).unwrap();
    let [Work::Announce { rev: announced }, Work::Audit { id, body }, Work::Publish { rev: published, round: 1 }] = work.as_slice() else {
        panic!("{work:?}");
    };
    assert_eq!((*announced, *published), (rev, rev));
    let note: Json = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&note["action"], &note["company"], &note["actor"], &note["at"]),
        (&json!("policy.put"), &json!("operator"), &json!("admin"), &json!(NOW))
    );
    registry.announced(rev, at(NOW)).unwrap();
    registry.delivered(id).unwrap();
    registry.published(NOW, rev, 1).unwrap();
    assert_eq!(registry.due(), Ok(Some(after(90_000))), "an earlier put may arrive late");
    assert_eq!(registry.begin_work(after(90_000)).unwrap(), vec![Work::Publish { rev, round: 2 }]);
    registry.published(after(90_000), rev, 2).unwrap();
    assert_eq!(registry.due(), Ok(None));
}

#[test]
fn what_fails_is_tried_again_after_a_growing_pause() {
    let registry = registry();
    put(&registry, NOW);
    assert_eq!(registry.begin_work(NOW).unwrap().len(), 3);
    assert!(registry.begin_work(after(999)).unwrap().is_empty());
    assert_eq!(registry.begin_work(after(1_000)).unwrap().len(), 3);
    assert_eq!(registry.due(), Ok(Some(after(3_000))));
}

#[test]
fn a_change_made_while_the_last_one_is_delivered_stays_to_be_done() {
    let registry = registry();
    let first = put(&registry, NOW);
    registry.begin_work(NOW).unwrap();
    let second = put(&registry, after(10));
    registry.announced(first, at(after(20))).unwrap();
    registry.published(after(20), first, 1).unwrap();
    let work = registry.begin_work(after(1_000)).unwrap();
    assert!(work.contains(&Work::Announce { rev: second }) && work.contains(&Work::Publish { rev: second, round: 1 }), "{work:?}");
}

#[test]
fn one_name_is_put_at_most_once_per_second() {
    let registry = registry();
    let first = put(&registry, NOW);
    registry.begin_work(NOW).unwrap();
    registry.published(NOW, first, 1).unwrap();
    put(&registry, after(10));
    let published = |work: Vec<Work>| work.iter().any(|work| matches!(work, Work::Publish { .. }));
    assert!(!published(registry.begin_work(after(999)).unwrap()));
    assert!(published(registry.begin_work(after(1_000)).unwrap()));
}

#[test]
fn a_question_publishes_the_policy_again_unless_that_happened_lately() {
    let registry = registry();
    registry.asked(NOW).unwrap();
    assert_eq!(registry.begin_work(NOW).unwrap(), vec![Work::Publish { rev: 0, round: 1 }]);
    registry.published(NOW, 0, 1).unwrap();
    registry.begin_work(after(90_000)).unwrap();
    registry.published(after(90_000), 0, 2).unwrap();
    registry.asked(after(100_000)).unwrap();
    assert_eq!(registry.due(), Ok(None));
    registry.asked(after(180_000)).unwrap();
    assert_eq!(registry.due(), Ok(Some(after(180_000))));
}

#[test]
fn a_restored_policy_becomes_a_new_version_above_all_that_were_given_and_is_announced_and_published() {
    let registry = registry();
    let by = OwnerId::new("admin").unwrap();
    let lost = put(&registry, NOW);
    registry.announced(lost, at(NOW)).unwrap();
    // What was given after the backup was made may be up to twice the skew of clocks ahead of this clock.
    let rev = registry.republish(after(5), &by).unwrap();
    assert_eq!(rev, after(10_005).0);
    assert_eq!(registry.current(NOW).unwrap().policy.default, Fallback::Deny);
    let work = registry.begin_work(after(5)).unwrap();
    assert!(work.contains(&Work::Announce { rev }) && work.contains(&Work::Publish { rev, round: 1 }), "{work:?}");
    assert_eq!(registry.republish(after(5), &by).unwrap(), rev + 1, "again");
    let (_, body) = answer(&registry, &call("GET", "/v1/policy", ""));
    assert_eq!(body["propagation"]["announced_at"], Json::Null);
}

#[test]
fn where_no_policy_was_restored_the_default_one_replaces_what_the_edges_know() {
    let registry = registry();
    let rev = registry.republish(NOW, &OwnerId::new("admin").unwrap()).unwrap();
    let stored = registry.current(NOW).unwrap();
    assert_eq!((stored.rev, stored.policy), (rev, Policy::default()));
}

#[test]
fn an_announcement_tells_the_feed_of_the_highest_stamp_that_it_gave() {
    let registry = registry();
    let rev = put(&registry, NOW);
    assert_eq!(
        registry.announcement(rev).unwrap(),
        Announcement { changes: vec![Change(Subject::policy(), rev)], seen: None, restored: false }
    );
    registry.announced(rev, Announced { announced_at: after(10_000), stamp: after(70) }).unwrap();
    registry.announced(rev, at(after(60))).unwrap();
    assert_eq!(registry.announcement(rev).unwrap().seen, Some(after(70)));
}

#[test]
fn an_instance_whose_writes_are_refused_gives_no_policy() {
    let registry = registry();
    put(&registry, NOW);
    let read_at = || registry.first("SELECT value FROM numbers WHERE name = 'read_at'", &[]).unwrap();
    registry.current(NOW).unwrap();
    let before = read_at();
    registry.current(NOW).unwrap();
    assert_ne!(read_at(), before, "a write that changes nothing would be none");
    registry.sql.execute("CREATE TRIGGER displaced BEFORE INSERT ON numbers BEGIN SELECT RAISE(ABORT, 'displaced'); END", &[]).unwrap();
    assert!(registry.current(NOW).is_err());
}

#[test]
fn the_first_shard_that_claims_a_digest_has_it_and_all_are_claimed_or_none() {
    use crate::call::{Claimed, Claims};
    use keyward_shared::{
        digest::Digest,
        messages::{ImportedAnswer, ImportedRequest},
    };

    let registry = registry();
    let digests: Vec<_> = (0..3).map(|n| Digest::from_bytes([n; 32])).collect();
    let claim = |shard: &str, wanted: &[usize]| {
        let digests = wanted.iter().map(|at| digests[*at]).collect();
        registry.claim(&Claims { shard: shard.parse().unwrap(), digests }).unwrap().taken
    };
    let holder = |at: usize| registry.imported(NOW, &ImportedRequest { digest: digests[at] }).unwrap();
    assert_eq!(claim("aaaa", &[0, 1]), [0; 0]);
    assert_eq!(claim("aaaa", &[1, 0]), [0; 0], "again is the same");
    assert_eq!(claim("bbbb", &[2, 1, 0]), [1, 2]);
    assert_eq!(holder(2), ImportedAnswer::Absent);
    assert_eq!(holder(0), ImportedAnswer::Shard("aaaa".parse().unwrap()));
    assert_eq!(claim("bbbb", &[2]), [0; 0]);
    assert_eq!(registry.claim(&Claims { shard: "bbbb".parse().unwrap(), digests: vec![] }).unwrap(), Claimed::default());
}
