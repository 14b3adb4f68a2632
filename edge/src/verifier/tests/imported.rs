//! Imported keys: found by the digest of their whole text, in the store, then at the Registry, then at the object of the shard
//! that the Registry names; judged fresh like any other key.

use super::*;

const KEY: &str = "acme_QmXbYtHRVvKPfWqZyLxEmJcdNsTk";

fn accepting() -> Verifier {
    verifier().accepting(Some(|text| text.starts_with("acme_")))
}

fn digest() -> Digest {
    Digest::of(KEY.as_bytes())
}

fn imported(record: &Record) -> Option<Lookup> {
    found(record.seal_imported(&secrets(), &digest()).unwrap())
}

/// The object's answer with a record.
fn truth(record: &Record) -> Option<Lookup> {
    found(serde_json::to_string(&ResolveAnswer::Record(record.seal_imported(&secrets(), &digest()).unwrap())).unwrap())
}

fn claimed() -> Option<Lookup> {
    found(format!("{{\"shard\":\"{}\"}}", shard()))
}

#[test]
fn an_imported_key_is_read_from_the_store_once_and_judged_fresh_like_any_other() {
    let mut verifier = accepting();
    let world = World { record: imported(&record()), ..World::default() };
    assert_eq!(verify(&mut verifier, KEY, T, &world), (vec!["imported"], "Active".into()));
    assert_eq!(verifier.feed_stamp(0), Some(Millis(0)), "the feed of its shard is in use");
    assert!(verifier.holds_imported(&digest()) && !verifier.holds(&digest()));
    assert_eq!(verify(&mut verifier, KEY, T + 54_999, &World::default()), (vec![], "Active".into()));
    let silent = World::default();
    assert_eq!(verify(&mut verifier, KEY, T + 55_000, &silent), (vec!["feed", "feed!", "resolve imported"], "Active".into()));
    assert_eq!(verify(&mut verifier, KEY, T + 174_999, &silent).1, "Active");
    assert_eq!(verify(&mut verifier, KEY, T + 175_000, &silent).1, "unavailable");
    let world = World { feed: found(feed(T + 175_000, 0, &[])), ..silent };
    assert_eq!(verify(&mut verifier, KEY, T + 176_000, &world), (vec!["feed"], "Active".into()));
}

#[test]
fn without_a_record_in_the_store_the_registry_says_whom_to_ask() {
    let world = World { record: Some(Lookup::Absent), registry: claimed(), resolve: truth(&record()), ..World::default() };
    assert_eq!(verify(&mut accepting(), KEY, T, &world), (vec!["imported", "shard", "resolve imported"], "Active".into()));
    // What the Registry says it says for good, so it is asked once, whatever becomes of the rest.
    let mut verifier = accepting();
    let away = World { resolve: None, ..world.clone() };
    assert_eq!(verify(&mut verifier, KEY, T, &away), (vec!["imported", "shard", "resolve imported"], "unavailable".into()));
    assert_eq!(verify(&mut verifier, KEY, T + 1_000, &world), (vec!["imported", "resolve imported"], "Active".into()));
}

#[test]
fn absence_is_the_registrys_or_the_objects_word_and_remembered_for_freshness() {
    for (registry, resolve, reads) in
        [(absent(), None, vec!["imported", "shard"]), (claimed(), absent(), vec!["imported", "shard", "resolve imported"])]
    {
        let mut verifier = accepting();
        let world = World { record: Some(Lookup::Absent), registry, resolve, ..World::default() };
        assert_eq!(verify(&mut verifier, KEY, T, &world), (reads.clone(), "unknown_key".into()));
        assert_eq!(verify(&mut verifier, KEY, T + 59_999, &world), (vec![], "unknown_key".into()));
        assert_eq!(verify(&mut verifier, KEY, T + 60_000, &world), (reads, "unknown_key".into()));
    }
}

#[test]
fn an_outage_is_never_called_an_unknown_key() {
    for (record, registry, resolve, reads) in [
        (None, None, None, vec!["imported", "shard"]),
        (Some(Lookup::Absent), None, None, vec!["imported", "shard"]),
        (Some(Lookup::Absent), found("nonsense".into()), None, vec!["imported", "shard"]),
        (Some(Lookup::Absent), Some(Lookup::Absent), None, vec!["imported", "shard"]),
        (Some(Lookup::Absent), claimed(), None, vec!["imported", "shard", "resolve imported"]),
        (Some(Lookup::Absent), claimed(), found("nonsense".into()), vec!["imported", "shard", "resolve imported"]),
        (Some(Lookup::Absent), claimed(), Some(Lookup::Absent), vec!["imported", "shard", "resolve imported"]),
    ] {
        let mut verifier = accepting();
        let world = World { record, resolve, registry, ..World::default() };
        assert_eq!(verify(&mut verifier, KEY, T, &world), (reads, "unavailable".into()));
        // Whom nobody reached is left alone for a moment.
        assert_eq!(verify(&mut verifier, KEY, T + 1, &world), (vec!["imported"], "unavailable".into()));
    }
}

#[test]
fn a_change_of_each_subject_contradicts_the_record_until_the_object_has_spoken() {
    let now = T + 10_000;
    for subject in record().subjects() {
        let mut verifier = accepting();
        let before = World { record: imported(&record()), ..World::default() };
        assert_eq!(verify(&mut verifier, KEY, T, &before).1, "Active");
        verifier.provide(Read::Feed(0), Lookup::Found(feed(now, 0, &[Change(subject, 101)])), Millis(now), &mut Attempt::default());
        assert_eq!(verify(&mut verifier, KEY, now, &before), (vec!["imported", "resolve imported"], "unavailable".into()), "{subject}");
        let revoked = Record { state: KeyState::Revoked, rev: 101, as_of: Millis(now), ..record() };
        let after = World { resolve: truth(&revoked), ..before };
        assert_eq!(verify(&mut verifier, KEY, now + 1_000, &after).1, "Revoked", "{subject}");
        let deleted = World { resolve: absent(), ..World::default() };
        verifier.provide(Read::Feed(0), Lookup::Found(feed(now + 1, 0, &[Change(subject, 102)])), Millis(now), &mut Attempt::default());
        assert_eq!(verify(&mut verifier, KEY, now + 3_000, &deleted), (vec!["imported", "resolve imported"], "unknown_key".into()));
    }
}

#[test]
fn what_has_not_the_declared_shape_is_malformed_and_read_nowhere() {
    let long = format!("acme_{}", "x".repeat(508));
    for text in ["", "acme_x1", "other_QmXbYtHRVvKPfWqZ", "acme_with space", "acme_\u{e4}\u{e4}\u{e4}\u{e4}", "acme_\u{7f}xx", &long] {
        assert_eq!(verify(&mut accepting(), text, T, &World::default()), (vec![], "malformed_key".into()), "{text}");
    }
    for text in ["acme_x12", &long[..512]] {
        assert_eq!(verify(&mut accepting(), text, T, &World::default()).0, vec!["imported", "shard"], "{text}");
    }
    let world = World { record: imported(&record()), ..World::default() };
    assert_eq!(verify(&mut verifier(), KEY, T, &world), (vec![], "malformed_key".into()), "nothing is accepted unless it is declared");
}

#[test]
fn what_looks_like_our_own_key_is_never_taken_for_an_imported_one() {
    let anything = || verifier().accepting(Some(|_| true));
    let (good, digest) = key(1);
    let world = World { record: stored(1, &record()), ..World::default() };
    assert_eq!(verify(&mut anything(), &good, T, &world).0, vec!["record"]);
    // Our own digest is of the key without tag and checksum: that text is another credential, warm or cold.
    let cut = &good[..good.len() - 13];
    assert_eq!(Digest::of(cut.as_bytes()), digest);
    let mut verifier = anything();
    assert_eq!(verify(&mut verifier, &good, T, &world).1, "Active");
    let unclaimed = World { record: stored(1, &record()), registry: absent(), ..World::default() };
    assert_eq!(verify(&mut verifier, cut, T, &unclaimed), (vec!["imported", "shard"], "unknown_key".into()));
    assert_eq!(verify(&mut verifier, &good, T, &World::default()), (vec![], "Active".into()));
}

#[test]
fn another_keys_record_is_not_believed() {
    let other = record().seal_imported(&secrets(), &Digest::of(b"other")).unwrap();
    let own = record().seal(&secrets(), &digest()).unwrap();
    let future = Record { as_of: Millis(T + 5_001), ..record() }.seal_imported(&secrets(), &digest()).unwrap();
    for text in [other, own, future] {
        let world = World { record: found(text), registry: claimed(), ..World::default() };
        assert_eq!(verify(&mut accepting(), KEY, T, &world), (vec!["imported", "shard", "resolve imported"], "unavailable".into()));
    }
}

#[test]
fn a_bearer_of_that_shape_is_a_key_also_where_others_are_the_origins() {
    let rules = r#"{"rules":[{"path":"/app/**","bearer":"origin"}]}"#;
    let world = World { record: imported(&record()), policy: found(policy(1, T, rules)), registry: absent(), ..World::default() };
    for (x_api_key, authorization, expected) in [
        (None, Some(format!("Bearer {KEY}")), "ann"),
        (Some(KEY), None, "ann"),
        (Some(KEY), Some(format!("Bearer {KEY}")), "ann"),
        (None, Some("Bearer eyJhbGciOiJFUzI1NiJ9".to_owned()), "bearer"),
        (Some("eyJhbGciOiJFUzI1NiJ9"), None, "malformed_key"),
    ] {
        let mut verifier = accepting();
        assert_eq!(pass(&mut verifier, "GET", "/app/x", x_api_key, authorization.as_deref(), T, &world), expected, "{authorization:?}");
    }
    let unknown = World { record: Some(Lookup::Absent), ..world };
    assert_eq!(pass(&mut accepting(), "GET", "/app/x", None, Some(&format!("Bearer {KEY}")), T, &unknown), "unknown_key");
}
