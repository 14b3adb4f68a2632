//! Stores and objects that say anything but what they should: each bad value by its name, for records, feeds and policies.

use keyward_shared::{ids::CompanyId, secret::SecretList, shard::Shard, tag::TagSecrets};

use super::*;

/// A record in which something is wrong, as text, and what.
fn bad_records() -> Vec<(&'static str, String)> {
    let (_, digest) = key(1);
    let good = record().seal(&secrets(), &digest).unwrap();
    let sealed = |record: Record| record.seal(&secrets(), &digest).unwrap();
    let elsewhere = Shard::of(&CompanyId::new("elsewhere").unwrap());
    vec![
        ("empty", String::new()),
        ("null", "null".into()),
        ("no envelope", good[good.find('{').unwrap()..].into()),
        ("truncated", good[..good.len() - 1].into()),
        ("longer than it was", format!("{good} ")),
        ("corrupt", good.replace("ann", "bob")),
        ("a wrong MAC", good.replacen(&good[2..4], if &good[2..4] == "00" { "11" } else { "00" }, 1)),
        ("a MAC of other secrets", record().seal(&SecretList::single([4; 32]), &digest).unwrap()),
        ("another schema version", sealed(Record { v: 2, ..record() })),
        ("another key's record", record().seal(&secrets(), &key(2).1).unwrap()),
        ("an imported key's record", record().seal_imported(&secrets(), &digest).unwrap()),
        ("another shard's record", sealed(Record { shard: elsewhere, ..record() })),
        ("from the future", sealed(Record { as_of: Millis(T + 5_001), ..record() })),
        ("a feed", feed(T, 0, &[])),
        ("a policy", policy(1, T, "{}")),
    ]
}

#[test]
fn a_record_in_the_store_that_cannot_be_believed_sends_the_question_to_the_authority() {
    let current = Record { as_of: Millis(T), ..record() };
    let revoked = Record { state: KeyState::Revoked, rev: 101, as_of: Millis(T), ..record() };
    for (what, text) in bad_records() {
        for (resolve, verdict) in [
            (found(resolved(&current, &key(1).1)), "Active"),
            (found(resolved(&revoked, &key(1).1)), "Revoked"),
            (absent(), "unknown_key"),
            (None, "unavailable"),
        ] {
            let world = World { record: found(text.clone()), resolve, ..World::default() };
            assert_eq!(verify(&mut verifier(), &key(1).0, T, &world), (vec!["record", "resolve"], verdict.into()), "{what}");
        }
    }
}

#[test]
fn an_answer_of_the_authority_that_cannot_be_believed_is_no_answer() {
    let inner = |text: &str| format!("{{\"record\":{}}}", keyward_shared::json::string(text));
    let good = record().seal(&secrets(), &key(1).1).unwrap();
    assert_eq!(inner(&good), resolved(&record(), &key(1).1), "the form of an answer");
    let wrapped = bad_records().into_iter().map(|(what, text)| (what, inner(&text)));
    let others = [
        ("not wrapped", good),
        ("a page of HTML", "<html>busy</html>".into()),
        ("an empty answer", String::new()),
        ("null", "null".into()),
    ];
    for (what, text) in wrapped.chain(others) {
        let world = World { record: Some(Lookup::Absent), resolve: found(text), ..World::default() };
        assert_eq!(verify(&mut verifier(), &key(1).0, T, &world), (vec!["record", "resolve"], "unavailable".into()), "{what}");
    }
}

#[test]
fn a_feed_that_cannot_be_believed_is_left_aside_and_its_object_is_asked() {
    let now = T + 100_000;
    let good = feed(now, 0, &[]);
    let other_group = keyward_shared::feed::Feed::new(1, Millis(now), Millis(0), vec![]).seal(&secrets()).unwrap();
    let foreign = keyward_shared::feed::Feed::new(0, Millis(now), Millis(0), vec![]).seal(&SecretList::single([4; 32])).unwrap();
    for (what, text) in [
        ("empty", String::new()),
        ("null", "null".into()),
        ("truncated", good[..good.len() - 1].into()),
        ("corrupt", good.replace("\"since\":0", "\"since\":1")),
        ("a wrong MAC", good.replacen(&good[2..4], if &good[2..4] == "00" { "11" } else { "00" }, 1)),
        ("a MAC of other secrets", foreign),
        ("another group's", other_group),
        ("from the future", feed(now + 5_001, 0, &[])),
        ("older than freshness", feed(now - 60_000, T + 1, &[])),
        ("older than the bound", feed(now - 180_000, 0, &[])),
        ("a record", record().seal(&secrets(), &key(1).1).unwrap()),
    ] {
        let mut world = World { record: stored(1, &record()), feed: found(text.clone()), ..World::default() };
        assert_eq!(verify(&mut verifier(), &key(1).0, now, &world).0, vec!["record", "feed", "feed!", "resolve"], "{what}");
        world.feed_direct = found(good.clone());
        let (reads, verdict) = verify(&mut verifier(), &key(1).0, now, &world);
        assert_eq!((reads, verdict.as_str()), (vec!["record", "feed", "feed!"], "Active"), "{what}");
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
fn a_feed_that_goes_back_in_time_or_forgets_takes_back_no_contradiction() {
    let mut verifier = verifier();
    let world = World { record: stored(1, &record()), ..World::default() };
    assert_eq!(verify(&mut verifier, &key(1).0, T, &world).1, "Active");
    let mut give = |text: String| verifier.provide(Read::Feed(0), Lookup::Found(text), Millis(T + 10), &mut Attempt::default());
    give(feed(T + 5, 0, &[Change(owner(), 101)]));
    assert_eq!(verify(&mut verifier, &key(1).0, T + 11, &world).1, "unavailable");
    for forgetful in [feed(T + 4, 0, &[]), feed(T + 6, 0, &[]), feed(T + 7, T + 7, &[])] {
        verifier.provide(Read::Feed(0), Lookup::Found(forgetful), Millis(T + 10), &mut Attempt::default());
        assert_eq!(verify(&mut verifier, &key(1).0, T + 3_000, &world).1, "unavailable");
    }
}

#[test]
fn a_policy_that_cannot_be_believed_or_used_leaves_the_last_good_one_in_its_place() {
    let (good, _) = key(1);
    let base = World { record: stored(1, &record()), ..World::default() };
    let deny = policy(1, T, r#"{"default":"deny"}"#);
    let open = policy(2, T, "{}");
    for (what, text) in [
        ("empty", String::new()),
        ("truncated", open[..open.len() - 1].into()),
        ("corrupt", open.replace("\"rev\":2", "\"rev\":3")),
        ("a record", record().seal(&secrets(), &key(1).1).unwrap()),
        ("from the future", policy(2, T + 5_001, "{}")),
        ("rules that cannot be used", policy(2, T, r#"{"rules":[{"path":"no slash"}]}"#)),
        ("an older revision", policy(0, T, "{}")),
    ] {
        let mut verifier = verifier();
        let world = World { policy: found(deny.clone()), ..base.clone() };
        assert_eq!(pass(&mut verifier, "GET", "/x", Some(&good), None, T, &world), "permission_denied");
        verifier.provide(Read::Policy, Lookup::Found(text.clone()), Millis(T), &mut Attempt::default());
        assert_eq!(pass(&mut verifier, "GET", "/x", Some(&good), None, T + 1, &base), "permission_denied", "{what}");
        if what != "an older revision" {
            let cold = World { policy: found(text), ..base.clone() };
            assert_eq!(pass(&mut self::verifier(), "GET", "/x", Some(&good), None, T, &cold), "verifier_unavailable", "{what}");
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
