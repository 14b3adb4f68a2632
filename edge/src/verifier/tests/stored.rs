//! What the store may hold, or an object answer, and nobody may believe: records, feeds and policies that are broken, somebody else's, or
//! from another time.

use keyward_shared::{feed::Feed, ids::CompanyId, policy::StoredPolicy, seal, secret::SecretList, shard::Shard, tag::TagSecrets};

use super::*;

const NOW: u64 = T + 100_000;

/// `text` with one character in the middle of its body changed.
fn corrupt(text: &str) -> String {
    let at = text.len() - 20;
    let other = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

/// What becomes of any sealed value on its way; `name` is the one that it is stored under.
fn broken(sealed: &str, name: &str) -> Vec<(&'static str, String)> {
    let body = &sealed["1.".len() + 64 + 1..];
    vec![
        ("empty", String::new()),
        ("white space", " \n".into()),
        ("null", "null".into()),
        ("without a MAC", body.into()),
        ("one byte short", sealed[..sealed.len() - 1].into()),
        ("half", sealed[..sealed.len() / 2].into()),
        ("one byte longer", format!("{sealed} ")),
        ("corrupt", corrupt(sealed)),
        ("of another envelope", sealed.replacen("1.", "2.", 1)),
        ("with a MAC of nobody's", seal::seal(&SecretList::single([9; 32]), name, body)),
        ("of another schema", seal::seal(&secrets(), name, &body.replacen("\"v\":1", "\"v\":2", 1))),
        ("sealed garbage", seal::seal(&secrets(), name, "not JSON")),
        ("sealed nothing", seal::seal(&secrets(), name, "")),
    ]
}

/// Records of whose MAC nothing is wrong, and which are none of the first key all the same.
fn wrong_records(record: &Record) -> [(&'static str, String); 6] {
    let digest = key(1).1;
    let elsewhere = Shard::of(&CompanyId::new("acme").unwrap());
    let future = Record { as_of: Millis(NOW + 5_001), ..record.clone() };
    [
        ("another key's", record.seal(&secrets(), &key(2).1).unwrap()),
        ("an imported key's", record.seal_imported(&secrets(), &digest).unwrap()),
        ("from the future", future.seal(&secrets(), &digest).unwrap()),
        ("another shard's", Record { shard: elsewhere, ..record.clone() }.seal(&secrets(), &digest).unwrap()),
        ("a feed", feed(NOW, 0, &[])),
        ("a policy", policy(1, NOW, "{}")),
    ]
}

#[test]
fn a_record_that_is_not_to_be_believed_lets_nobody_in_and_keeps_nobody_out() {
    let (text, digest) = key(1);
    let name = keyward_shared::record::name(shard(), &digest);
    let active = record();
    let revoked = Record { state: KeyState::Revoked, rev: 101, as_of: Millis(NOW), ..record() };
    for (stored_record, truth, said) in [(&revoked, &active, "Active"), (&active, &revoked, "Revoked")] {
        let sealed = stored_record.seal(&secrets(), &digest).unwrap();
        let mut cases = broken(&sealed, &name);
        cases.extend(wrong_records(stored_record));
        for (what, value) in cases {
            let truth = Record { as_of: Millis(NOW), rev: truth.rev + 10, ..truth.clone() };
            let told = World { record: found(value.clone()), resolve: found(resolved(&truth, &digest)), ..World::default() };
            assert_eq!(verify(&mut verifier(), &text, NOW, &told), (vec!["record", "resolve"], said.to_owned()), "{what}");
            let silent = World { record: found(value.clone()), ..World::default() };
            assert_eq!(verify(&mut verifier(), &text, NOW, &silent).1, "unavailable", "{what}: neither a pass nor a refusal");
            // Nor does it take the place of what is known.
            let mut warm = verifier();
            assert_eq!(verify(&mut warm, &text, NOW, &told).1, said);
            warm.provide(Read::Record(shard(), digest), Lookup::Found(value), Millis(NOW), &mut Attempt::default());
            assert_eq!(verify(&mut warm, &text, NOW, &World::default()), (vec![], said.to_owned()), "{what}");
        }
    }
}

#[test]
fn an_answer_of_the_authority_that_cannot_be_believed_is_no_answer() {
    let (text, digest) = key(1);
    let inner = |text: &str| format!("{{\"record\":{}}}", keyward_shared::json::string(text));
    let good = record().seal(&secrets(), &digest).unwrap();
    assert_eq!(inner(&good), resolved(&record(), &digest), "the form of an answer");
    let name = keyward_shared::record::name(shard(), &digest);
    let wrapped = broken(&good, &name).into_iter().chain(wrong_records(&record())).map(|(what, text)| (what, inner(&text)));
    let others = [
        ("not wrapped", good.clone()),
        ("a page of HTML", "<html>busy</html>".into()),
        ("an empty answer", String::new()),
        ("null", "null".into()),
    ];
    for (what, answer) in wrapped.chain(others) {
        let world = World { record: Some(Lookup::Absent), resolve: found(answer), ..World::default() };
        assert_eq!(verify(&mut verifier(), &text, NOW, &world), (vec!["record", "resolve"], "unavailable".into()), "{what}");
    }
}

#[test]
fn a_feed_that_is_not_to_be_believed_changes_nothing() {
    let good = feed(NOW, 0, &[]);
    let old = [Change(owner(), 101)];
    let mut cases = broken(&good, &keyward_shared::feed::name(0));
    cases.extend([
        ("from the future", feed(NOW + 5_001, 0, &[])),
        ("another group's", Feed::new(1, Millis(NOW), Millis(0), vec![]).seal(&secrets()).unwrap()),
        ("older than the bound", feed(NOW - 200_000, 0, &[])),
        ("complete only from the future on", feed(NOW, NOW + 1_000_000, &[])),
        ("emptied, complete only from now on", feed(NOW, NOW, &[])),
    ]);
    for (what, value) in cases {
        // It makes nothing fresher: an old record is as old as before, and the next one is asked.
        let world = World { record: stored(1, &record()), feed: found(value.clone()), ..World::default() };
        assert_eq!(verify(&mut verifier(), &key(1).0, NOW, &world).0.last(), Some(&"resolve"), "{what}");
        // And nothing true again that was contradicted.
        let mut warm = verifier();
        assert_eq!(verify(&mut warm, &key(1).0, T, &World { record: stored(1, &record()), ..World::default() }).1, "Active");
        warm.provide(Read::Feed(0), Lookup::Found(feed(NOW - 1, 0, &old)), Millis(NOW), &mut Attempt::default());
        assert_eq!(verify(&mut warm, &key(1).0, NOW, &World::default()).1, "unavailable", "{what}");
        warm.provide(Read::Feed(0), Lookup::Found(value), Millis(NOW), &mut Attempt::default());
        assert_eq!(verify(&mut warm, &key(1).0, NOW + 30_000, &World::default()).1, "unavailable", "{what}");
    }
    // A feed whose stamp goes back is an earlier one: what the later one said stays said.
    let mut warm = verifier();
    assert_eq!(verify(&mut warm, &key(1).0, T, &World { record: stored(1, &record()), ..World::default() }).1, "Active");
    for text in [feed(NOW, 0, &old), feed(NOW - 1, 0, &[])] {
        warm.provide(Read::Feed(0), Lookup::Found(text), Millis(NOW), &mut Attempt::default());
    }
    assert_eq!(warm.feed_stamp(0), Some(Millis(NOW)));
    assert_eq!(verify(&mut warm, &key(1).0, NOW, &World::default()).1, "unavailable");
}

#[test]
fn a_feed_that_is_not_to_be_believed_is_left_aside_and_its_object_is_asked() {
    let good = feed(NOW, 0, &[]);
    let mut cases = broken(&good, &keyward_shared::feed::name(0));
    cases.extend([
        ("from the future", feed(NOW + 5_001, 0, &[])),
        ("another group's", Feed::new(1, Millis(NOW), Millis(0), vec![]).seal(&secrets()).unwrap()),
        ("older than freshness", feed(NOW - 60_000, T + 1, &[])),
        ("older than the bound", feed(NOW - 180_000, 0, &[])),
        ("a record", record().seal(&secrets(), &key(1).1).unwrap()),
    ]);
    for (what, value) in cases {
        let mut world = World { record: stored(1, &record()), feed: found(value), ..World::default() };
        assert_eq!(verify(&mut verifier(), &key(1).0, NOW, &world).0, vec!["record", "feed", "feed!", "resolve"], "{what}");
        world.feed_direct = found(good.clone());
        assert_eq!(verify(&mut verifier(), &key(1).0, NOW, &world), (vec!["record", "feed", "feed!"], "Active".into()), "{what}");
    }
}

#[test]
fn a_feed_without_the_past_says_nothing_of_records_from_then() {
    let now = T + 100_000;
    // Emptied, or begun anew: complete only from its beginning on, or even only from later on.
    for (what, since) in
        [("emptied", now + 5_000), ("complete from the future on", now + 3_600_000), ("complete from after the record on", T + 1)]
    {
        let world = World { record: stored(1, &record()), feed: found(feed(now, since, &[])), ..World::default() };
        let (reads, verdict) = verify(&mut verifier(), &key(1).0, now, &world);
        assert_eq!(
            (reads, verdict.as_str()),
            (vec!["record", "feed", "resolve"], "Active"),
            "{what}: within the bound of the record itself"
        );
        let late = Record { as_of: Millis(now - 175_000), ..record() };
        let world = World { record: stored(1, &late), ..world };
        assert_eq!(verify(&mut verifier(), &key(1).0, now, &world).1, "unavailable", "{what}: and not longer");
    }
}

#[test]
fn a_policy_that_is_not_to_be_believed_leaves_the_last_good_one() {
    let (good, bad) = (
        r#"{"default":"deny","rules":[{"path":"/open/**","anonymous":true},{"path":"/orders/**","permission":"orders.read"}]}"#,
        r#"{"rules":[{"path":"/**","anonymous":true}]}"#,
    );
    let newer = policy(8, NOW, bad);
    let with_rules =
        |rules: &str| seal::seal(&secrets(), keyward_shared::policy::NAME, &format!(r#"{{"v":1,"rev":8,"as_of":{NOW},"policy":{rules}}}"#));
    let mut cases = broken(&newer, keyward_shared::policy::NAME);
    cases.extend([
        ("sealed under another name", seal::seal(&secrets(), "p:other", &newer["1.".len() + 64 + 1..])),
        ("a feed", feed(NOW, 0, &[])),
        ("older", policy(6, NOW, bad)),
        ("from the future", policy(8, NOW + 5_001, bad)),
        ("with a pattern that is none", with_rules(r#"{"rules":[{"path":"open"}]}"#)),
        ("with a pattern of two readings", with_rules(r#"{"rules":[{"path":"/a/../**","anonymous":true}]}"#)),
        ("with a member that nobody knows", with_rules(r#"{"rules":[{"path":"/**","anonymous":true,"unless":"x"}]}"#)),
        ("with a default that is none", with_rules(r#"{"default":"allow","rules":[]}"#)),
        ("with a member twice", with_rules(r#"{"default":"deny","default":"forward"}"#)),
    ]);
    assert!(StoredPolicy::open(&secrets(), &with_rules(bad)).is_ok(), "only what the case says is wrong with it");
    let asked = |verifier: &mut Verifier, path: &str, key: Option<&str>, world: &World| pass(verifier, "GET", path, key, None, NOW, world);
    let known = key(1).0;
    let current = World { record: stored(1, &Record { as_of: Millis(NOW), ..record() }), ..World::default() };
    for (what, value) in cases {
        let mut warm = verifier();
        let first = World { policy: found(policy(7, NOW, good)), ..current.clone() };
        assert_eq!(asked(&mut warm, "/orders/1", Some(&known), &first), "ann");
        warm.provide(Read::Policy, Lookup::Found(value.clone()), Millis(NOW), &mut Attempt::default());
        assert_eq!(asked(&mut warm, "/orders/1", None, &World::default()), "missing_credentials", "{what}");
        assert_eq!(asked(&mut warm, "/elsewhere", Some(&known), &World::default()), "permission_denied", "{what}");
        assert_eq!(asked(&mut warm, "/open/x", None, &World::default()), "anonymous", "{what}");
        // Known to have changed, and the new one is broken: then only what the last good one opened is open.
        let changed = feed(NOW, 0, &[Change(Subject::policy(), 9)]);
        warm.provide(Read::Feed(0), Lookup::Found(changed), Millis(NOW), &mut Attempt::default());
        let store = World { policy: found(value.clone()), ..current.clone() };
        assert_eq!(asked(&mut warm, "/orders/1", Some(&known), &store), "verifier_unavailable", "{what}");
        assert_eq!(asked(&mut warm, "/open/x", None, &store), "anonymous", "{what}");
        if what != "older" {
            // An isolate that knows none lets nobody in.
            assert_eq!(asked(&mut verifier(), "/open/x", None, &store), "verifier_unavailable", "{what}");
            assert_eq!(asked(&mut verifier(), "/orders/1", Some(&known), &store), "verifier_unavailable", "{what}");
        }
    }
}

#[test]
fn a_tag_is_taken_from_every_secret_and_from_no_other() {
    let (good, digest) = key(1);
    let current = World { resolve: found(resolved(&Record { as_of: Millis(T), ..record() }, &digest)), ..World::default() };
    let (ours, another, third) = (secret_hex(), "04".repeat(32), "05".repeat(32));
    for (configured, accepted) in [
        (ours.clone(), true),
        (format!("{another},{ours}"), true),
        (format!("{ours},{another}"), true),
        (another.clone(), false),
        (format!("{another},{third}"), false),
    ] {
        let settings = CommonSettings { tag_secrets: TagSecrets::parse(&configured).unwrap(), ..verifier().settings().clone() };
        let expected = if accepted { (vec!["record", "resolve"], "Active".to_owned()) } else { (vec![], "unknown_key".to_owned()) };
        assert_eq!(verify(&mut Verifier::new(settings), &good, T, &current), expected, "{configured}");
    }
    for none in ["", ",", " "] {
        assert!(TagSecrets::parse(none).is_err(), "a deployment without a tag secret does not start");
    }
}
