//! To the millisecond: until when knowledge serves, from when on it is asked for again, and what the isolate keeps.

use core::hash::BuildHasher;

use super::{super::cache::FirstBytes, *};

/// Asks for the policy in `world`; the reads made, and how the policy may be used.
fn policy_in(verifier: &mut Verifier, now: u64, world: &World) -> (Vec<&'static str>, &'static str) {
    let (mut attempt, mut reads) = (Attempt::default(), Vec::new());
    loop {
        assert!(reads.len() < 10, "a request must come to an end: {reads:?}");
        match verifier.policy(Millis(now), &attempt) {
            Progress::Need(read) => {
                reads.push(short(read));
                verifier.provide(read, world.answer(read), Millis(now), &mut attempt);
            }
            Progress::Done(PolicyStanding::Usable(_)) => return (reads, "usable"),
            Progress::Done(PolicyStanding::Outdated(_)) => return (reads, "outdated"),
            Progress::Done(PolicyStanding::Unknown) => return (reads, "unknown"),
        }
    }
}

/// A verifier that has read the policy of revision 1 as of `T`.
fn with_policy() -> Verifier {
    let mut verifier = verifier();
    let world = World { policy: found(policy(1, T, "{}")), ..World::default() };
    assert_eq!(policy_in(&mut verifier, T, &world), (vec!["policy"], "usable"));
    verifier
}

fn give(verifier: &mut Verifier, read: Read, result: Option<Lookup>, now: u64) {
    verifier.provide(read, result.unwrap_or(Lookup::Unavailable), Millis(now), &mut Attempt::default());
}

#[test]
fn a_record_serves_without_a_question_for_freshness_less_skew() {
    let mut verifier = verifier();
    let world = World { record: stored(1, &record()), ..World::default() };
    assert_eq!(verify(&mut verifier, &key(1).0, T, &world).1, "Active");
    assert_eq!(verify(&mut verifier, &key(1).0, T + 54_999, &World::default()).0, Vec::<&str>::new());
    assert_eq!(verify(&mut verifier, &key(1).0, T + 55_000, &World::default()).0, vec!["feed", "feed!", "resolve"]);
}

#[test]
fn a_feed_serves_for_freshness_less_skew() {
    let now = T + 3_600_000;
    for (age, reads) in [(54_999, vec!["record", "feed", "resolve"]), (55_000, vec!["record", "feed", "feed!", "resolve"])] {
        let world = World { record: stored(1, &record()), feed: found(feed(now - age, T + 1, &[])), ..World::default() };
        assert_eq!(verify(&mut verifier(), &key(1).0, now, &world).0, reads, "{age}");
    }
}

#[test]
fn a_policy_serves_without_a_question_for_freshness_and_at_all_until_the_bound() {
    let silent = World::default();
    for (late, reads, standing) in [
        (54_999, vec![], "usable"),
        (55_000, vec!["feed", "feed!", "policy!"], "usable"),
        (174_999, vec!["feed", "feed!", "policy!"], "usable"),
        (175_000, vec!["feed", "feed!", "policy!"], "outdated"),
    ] {
        assert_eq!(policy_in(&mut with_policy(), T + late, &silent), (reads, standing), "{late}");
    }
    assert_eq!(policy_in(&mut verifier(), T, &silent), (vec!["policy", "policy!"], "unknown"));
}

#[test]
fn a_fresh_feed_that_lists_no_later_change_makes_the_policy_known_true() {
    let now = T + 3_600_000;
    for (since, changes, reads) in [
        (T, vec![], vec!["feed"]),
        (T, vec![Change(Subject::policy(), 1)], vec!["feed"]),
        (T, vec![Change(Subject::policy(), 2)], vec!["feed", "policy", "policy!"]),
        (T + 1, vec![], vec!["feed", "policy!"]),
    ] {
        let world = World { feed: found(feed(now, since, &changes)), ..World::default() };
        let (made, standing) = policy_in(&mut with_policy(), now, &world);
        assert_eq!((made, standing), (reads.clone(), if reads.len() == 1 { "usable" } else { "outdated" }), "{since} {changes:?}");
    }
}

#[test]
fn a_lagging_store_does_not_bring_back_an_older_policy() {
    let mut verifier = verifier();
    give(&mut verifier, Read::Policy, found(policy(2, T, r#"{"default":"deny"}"#)), T);
    for older in [policy(1, T + 1, "{}"), policy(2, T - 1, "{}")] {
        give(&mut verifier, Read::Policy, found(older), T + 1);
    }
    let world = World { record: stored(1, &record()), ..World::default() };
    assert_eq!(pass(&mut verifier, "GET", "/x", Some(&key(1).0), None, T + 2, &world), "permission_denied");
    assert_eq!(policy_in(&mut verifier, T + 54_999, &world), (vec![], "usable"), "nor its age");
}

#[test]
fn stamps_may_be_ahead_by_the_skew_and_no_more() {
    for (ahead, believed) in [(5_000, true), (5_001, false)] {
        let record = Record { as_of: Millis(T + ahead), ..record() };
        let world = World { record: stored(1, &record), ..World::default() };
        assert_eq!(verify(&mut verifier(), &key(1).0, T, &world).1 == "Active", believed, "a record {ahead} ms ahead");
        let mut verifier = verifier();
        give(&mut verifier, Read::Feed(0), found(feed(T + ahead, 0, &[])), T);
        assert_eq!(verifier.feed_age(Millis(T)).is_some(), believed, "a feed {ahead} ms ahead");
        let world = World { policy: found(policy(1, T + ahead, "{}")), ..World::default() };
        assert_eq!(policy_in(&mut verifier, T, &world).1 == "usable", believed, "a policy {ahead} ms ahead");
    }
}

#[test]
fn what_did_not_answer_is_left_alone_for_its_pause_unless_it_answers_meanwhile() {
    let silent = World::default();
    let old = T + 100_000;
    let warm = || {
        let mut verifier = verifier();
        give(&mut verifier, Read::Record(shard(), key(1).1), stored(1, &record()), T);
        assert_eq!(verify(&mut verifier, &key(1).0, old, &silent).0, vec!["feed", "feed!", "resolve"]);
        verifier
    };
    for (pause, reads) in
        [(999, vec![]), (1_000, vec!["feed", "resolve"]), (9_999, vec!["feed", "resolve"]), (10_000, vec!["feed", "feed!", "resolve"])]
    {
        assert_eq!(verify(&mut warm(), &key(1).0, old + pause, &silent).0, reads, "{pause}");
    }
    let mut verifier = warm();
    give(&mut verifier, Read::Resolve(shard(), key(2).1), absent(), old + 1);
    assert_eq!(verify(&mut verifier, &key(1).0, old + 1, &silent).0, vec!["resolve"], "another key's answer shows that the object is back");
}

#[test]
fn a_stored_feed_that_is_too_old_is_not_read_again_at_once() {
    let mut verifier = verifier();
    let now = T + 100_000;
    let world = World { record: stored(1, &record()), feed: found(feed(T, 0, &[])), ..World::default() };
    assert_eq!(verify(&mut verifier, &key(1).0, now, &world).0, vec!["record", "feed", "feed!", "resolve"]);
    assert_eq!(verify(&mut verifier, &key(1).0, now + 999, &world).0, Vec::<&str>::new());
    assert_eq!(verify(&mut verifier, &key(1).0, now + 1_000, &world).0, vec!["feed", "resolve"]);
}

#[test]
fn an_object_that_answered_is_asked_for_the_next_key_too() {
    let mut verifier = verifier();
    let current = |n| World { record: Some(Lookup::Absent), resolve: found(resolved(&record(), &key(n).1)), ..World::default() };
    for n in [1, 2] {
        assert_eq!(verify(&mut verifier, &key(n).0, T, &current(n)), (vec!["record", "resolve"], "Active".into()));
    }
}

#[test]
fn one_silent_shard_keeps_no_other_from_being_asked_and_few_are_remembered() {
    let mut verifier = verifier();
    for n in 0..300_u64 {
        let name: Shard = core::str::from_utf8(&keyward_shared::base62::encode::<4>(n)).unwrap().parse().unwrap();
        give(&mut verifier, Read::Resolve(name, key(1).1), None, T);
    }
    assert_eq!(verify(&mut verifier, &key(1).0, T, &World::default()).0, vec!["record", "resolve"]);
}

#[test]
fn a_newer_feed_takes_the_place_of_an_older_one() {
    let mut verifier = verifier();
    give(&mut verifier, Read::Record(shard(), key(1).1), stored(1, &record()), T);
    for (issued, changes, expected) in [(T, vec![], "Active"), (T + 1, vec![Change(owner(), 101)], "unavailable")] {
        give(&mut verifier, Read::Feed(0), found(feed(issued, 0, &changes)), T + 10);
        assert_eq!(verifier.feed_age(Millis(T + 10)), Some(Millis(T + 10 - issued)));
        assert_eq!(verify(&mut verifier, &key(1).0, T + 10, &World::default()).1, expected);
    }
}

#[test]
fn a_key_keeps_its_identity_as_long_as_nothing_of_it_changes() {
    let mut verifier = verifier();
    let mut identity = |n: u8, record: &Record| {
        give(&mut verifier, Read::Record(shard(), key(n).1), stored(n, record), T);
        match verifier.verify(key(n).0.as_bytes(), Millis(T), &mut Attempt::default()) {
            Progress::Done(Verdict::Known(held)) => held.identity,
            other => panic!("{other:?}"),
        }
    };
    let first = identity(1, &record());
    let others: Vec<_> = (2..8).map(|n| identity(n, &record())).collect();
    let mut distinct = [vec![first], others].concat();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 7, "each digest has its own");
    assert!(distinct.iter().all(|identity| *identity <= 0x00ff_ffff), "three bytes, as the answer to the entry has room for");
    assert_eq!(identity(1, &Record { as_of: Millis(1_000_001), ..record() }), first, "read again");
    let mut last = first;
    for (rev, record) in (101..).zip([
        record(),
        Record { permissions: keyward_shared::permission::PermissionSet::parse(["orders.write"]).unwrap(), ..record() },
        Record { expires_at: Some(Millis(T * 2)), ..record() },
        Record { metadata: keyward_shared::record::Metadata::from(&serde_json::Map::from_iter([("a".to_owned(), 1.into())])), ..record() },
        Record { owner: keyward_shared::ids::OwnerId::new("bob").unwrap(), ..record() },
        Record { key_id: keyward_shared::ids::KeyId::new("key_00000000000000000000").unwrap(), ..record() },
        Record { company: keyward_shared::ids::CompanyId::new("other").unwrap(), ..record() },
        Record { rate_limit: Some("gold".into()), company: keyward_shared::ids::CompanyId::new("other").unwrap(), ..record() },
    ]) {
        let next = identity(1, &Record { rev, ..record });
        assert_ne!(next, last);
        last = next;
    }
}

#[test]
fn the_oldest_feed_in_use_is_the_one_that_counts() {
    let settings = CommonSettings { feed_groups: 2, ..verifier().settings().clone() };
    let mut verifier = Verifier::new(settings);
    let sealed = |group: u16, issued_at: u64| {
        found(keyward_shared::feed::Feed::new(group, Millis(issued_at), Millis(0), vec![]).seal(&secrets()).unwrap())
    };
    assert_eq!(verifier.feed_age(Millis(T)), None);
    assert!(verifier.feed_wants_waking(0, Millis(T)), "none was read yet");
    give(&mut verifier, Read::Feed(1), sealed(1, T), T);
    assert_eq!((verifier.take_poll(Millis(T)), verifier.next_poll()), (vec![1], Millis(T + 10_000)));
    give(&mut verifier, Read::Feed(0), sealed(0, T + 3), T + 3);
    assert_eq!(verifier.feed_age(Millis(T + 10)), Some(Millis(10)));
    assert_eq!(verifier.take_poll(Millis(T + 10_000)), vec![0, 1]);
    give(&mut verifier, Read::Feed(2), sealed(2, T + 4), T + 4);
    assert_eq!(verifier.take_poll(Millis(T + 20_000)), vec![0, 1], "a group that is not configured is not taken");
}

#[test]
fn a_digest_is_its_own_hash() {
    let bytes = core::array::from_fn(|at| u8::try_from(at).unwrap());
    for imported in [false, true] {
        let name = Name { digest: Digest::from_bytes(bytes), imported };
        assert_eq!(FirstBytes::default().hash_one(name), 0x0706_0504_0302_0100);
    }
}
