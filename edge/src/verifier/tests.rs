//! The verifier against a world of tables: what each store and object answers, which reads it makes, and
//! what it says in the end.

use keyward_shared::{
    feed::{Change, Subject},
    record::{KeyState, Record},
    time::Millis,
};

use super::{testing::*, *};
use crate::gate::{self, Outcome};

mod gate_tests;
mod imported;
mod limits;
mod stored;

const T: u64 = 1_000_000;

/// What every read gives; what is not set is unavailable.
#[derive(Clone, Default)]
struct World {
    record: Option<Lookup>,
    feed: Option<Lookup>,
    feed_direct: Option<Lookup>,
    resolve: Option<Lookup>,
    policy: Option<Lookup>,
    registry: Option<Lookup>,
}

#[allow(clippy::unnecessary_wraps)] // for the fields of World
fn found(text: String) -> Option<Lookup> {
    Some(Lookup::Found(text))
}

impl World {
    fn answer(&self, read: Read) -> Lookup {
        let answer = match read {
            Read::Record(..) | Read::ImportedRecord(_) => &self.record,
            Read::Feed(_) => &self.feed,
            Read::FeedDirect(_) => &self.feed_direct,
            Read::Resolve(..) | Read::ResolveImported(..) => &self.resolve,
            Read::ImportedShard(_) => &self.registry,
            Read::Policy | Read::PolicyDirect => &self.policy,
        };
        answer.clone().unwrap_or(Lookup::Unavailable)
    }
}

fn short(read: Read) -> &'static str {
    match read {
        Read::Record(..) => "record",
        Read::Feed(_) => "feed",
        Read::FeedDirect(_) => "feed!",
        Read::Resolve(..) => "resolve",
        Read::Policy => "policy",
        Read::PolicyDirect => "policy!",
        Read::ImportedRecord(_) => "imported",
        Read::ImportedShard(_) => "shard",
        Read::ResolveImported(..) => "resolve imported",
    }
}

/// Verifies `key` in `world`; the reads made, and the verdict in a word.
fn verify(verifier: &mut Verifier, key: &str, now: u64, world: &World) -> (Vec<&'static str>, String) {
    let (mut attempt, mut reads) = (Attempt::default(), Vec::new());
    loop {
        assert!(reads.len() < 10, "a request must come to an end: {reads:?}");
        match verifier.verify(key.as_bytes(), Millis(now), &mut attempt) {
            Progress::Need(read) => {
                reads.push(short(read));
                verifier.provide(read, world.answer(read), Millis(now), &mut attempt);
            }
            Progress::Done(Verdict::Known(held)) => return (reads, format!("{:?}", held.record.state)),
            Progress::Done(Verdict::Refused(code)) => return (reads, code.as_str().into()),
            Progress::Done(Verdict::Unavailable) => return (reads, "unavailable".into()),
        }
    }
}

fn stored(n: u8, record: &Record) -> Option<Lookup> {
    found(record.seal(&secrets(), &key(n).1).unwrap())
}

fn absent() -> Option<Lookup> {
    found("\"absent\"".into())
}

fn owner() -> Subject {
    Subject::owner(shard(), &record().company, &record().owner)
}

#[test]
fn what_is_not_a_key_or_not_the_issuers_is_refused_without_a_read() {
    let (good, _) = key(1);
    let other = good.replace("kw_live", "kw_test");
    let sum = |text: &str| {
        let covered = &text[..text.len() - 6];
        let digits = keyward_shared::base62::encode::<6>(u64::from(crc32(covered.as_bytes())));
        format!("{covered}{}", core::str::from_utf8(&digits).unwrap())
    };
    let tag_at = good.len() - 13;
    let wrong_tag = sum(&format!("{}0000000{}", &good[..tag_at], &good[tag_at + 7..]));
    for (sent, code) in [
        ("", "malformed_key"),
        ("x", "malformed_key"),
        (&good[1..], "malformed_key"),
        (&sum(&other), "unknown_key"),
        (&wrong_tag, "unknown_key"),
    ] {
        assert_eq!(verify(&mut verifier(), sent, T, &World::default()), (vec![], code.to_owned()), "{sent}");
    }
}

#[test]
fn a_wrong_ending_is_refused_also_where_the_key_itself_is_in_use() {
    let (good, other) = (key(1).0, key(2).0);
    let tag_at = good.len() - 13;
    let covered = format!("{}{}", &good[..tag_at], &other[tag_at..tag_at + 7]);
    let sum = keyward_shared::base62::encode::<6>(u64::from(crc32(covered.as_bytes())));
    let spliced = format!("{covered}{}", core::str::from_utf8(&sum).unwrap());
    let mistyped = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    let mut verifier = verifier();
    let world = World { record: stored(1, &record()), ..World::default() };
    for (text, reads, said) in [
        (&spliced, vec![], "unknown_key"),
        (&good, vec!["record"], "Active"),
        (&spliced, vec![], "unknown_key"),
        (&mistyped, vec![], "malformed_key"),
        (&good, vec![], "Active"),
        (&spliced, vec![], "unknown_key"),
        (&mistyped, vec![], "malformed_key"),
    ] {
        assert_eq!(verify(&mut verifier, text, T, &world), (reads, said.to_owned()));
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn a_fresh_record_needs_one_read_and_then_none() {
    let mut verifier = verifier();
    let world = World { record: stored(1, &record()), ..World::default() };
    assert_eq!(verify(&mut verifier, &key(1).0, T, &world), (vec!["record"], "Active".into()));
    assert_eq!(verify(&mut verifier, &key(1).0, T + 54_999, &World::default()), (vec![], "Active".into()));
}

#[test]
fn an_old_record_is_known_true_by_a_fresh_feed_that_lists_no_change() {
    let mut verifier = verifier();
    let now = T + 3_600_000;
    let world = World { record: stored(1, &record()), feed: found(feed(now - 1_000, 0, &[])), ..World::default() };
    assert_eq!(verify(&mut verifier, &key(1).0, now, &world), (vec!["record", "feed"], "Active".into()));
    assert_eq!(verify(&mut verifier, &key(1).0, now + 50_000, &World::default()), (vec![], "Active".into()));
}

#[test]
fn the_authority_can_be_told_whether_there_is_a_record_of_what_it_is_asked_for() {
    let mut verifier = verifier();
    let (text, digest) = key(1);
    let garbage = World { record: stored(1, &record()), ..World::default() };
    let now = T + 3_600_000;
    assert!(!verifier.holds(&digest));
    assert_eq!(verify(&mut verifier, &text, now, &garbage).1, "unavailable");
    assert!(verifier.holds(&digest), "too old to be used, and from the store");
    let later = now + 20_000;
    assert_eq!(verify(&mut verifier, &text, later, &World { resolve: absent(), ..garbage }).1, "unknown_key");
    assert!(!verifier.holds(&digest));
}

#[test]
fn a_feed_that_is_not_complete_since_the_record_does_not_make_it_true() {
    let now = T + 3_600_000;
    let current = Record { as_of: Millis(now), ..record() };
    let world = World {
        record: stored(1, &record()),
        feed: found(feed(now, T + 1, &[])),
        resolve: found(resolved(&current, &key(1).1)),
        ..World::default()
    };
    assert_eq!(verify(&mut verifier(), &key(1).0, now, &world), (vec!["record", "feed", "resolve"], "Active".into()));
}

#[test]
fn a_change_in_the_feed_sends_the_question_to_the_authority() {
    let now = T + 10_000;
    let revoked = Record { state: KeyState::Revoked, rev: 101, as_of: Millis(now), ..record() };
    for subject in record().subjects() {
        let mut verifier = verifier();
        let before = World { record: stored(1, &record()), ..World::default() };
        assert_eq!(verify(&mut verifier, &key(1).0, T, &before).1, "Active");
        let mut attempt = Attempt::default();
        verifier.provide(Read::Feed(0), Lookup::Found(feed(now, 0, &[Change(subject, 101)])), Millis(now), &mut attempt);
        let after = World { resolve: found(resolved(&revoked, &key(1).1)), ..before };
        assert_eq!(verify(&mut verifier, &key(1).0, now, &after), (vec!["record", "resolve"], "Revoked".into()), "{subject}");
    }
}

#[test]
fn a_group_is_in_use_once_something_of_it_was_read() {
    let mut verifier = verifier();
    assert_eq!([verifier.feed_stamp(0), verifier.feed_stamp(1)], [None, None]);
    let world = World { record: stored(1, &record()), ..World::default() };
    assert_eq!(verify(&mut verifier, &key(1).0, T, &world).1, "Active");
    assert_eq!([verifier.feed_stamp(0), verifier.feed_stamp(1)], [Some(Millis(0)), None], "in use, but without a feed yet");
    verifier.provide(Read::Feed(0), Lookup::Found(feed(T, 0, &[])), Millis(T), &mut Attempt::default());
    assert_eq!(verifier.feed_stamp(0), Some(Millis(T)));
}

#[test]
fn what_push_brings_is_believed_as_little_as_what_a_poll_brings() {
    let mut verifier = verifier();
    let mut pushed = |text: String| {
        verifier.provide(Read::FeedDirect(0), Lookup::Found(text), Millis(T), &mut Attempt::default());
        verifier.feed_stamp(0)
    };
    let good = feed(T, 0, &[]);
    assert_eq!(pushed(good.replace("since", "sinec")), None, "the MAC is wrong");
    assert_eq!(pushed(feed(T + 5_001, 0, &[])), None, "from the future");
    assert_eq!(pushed(good), Some(Millis(T)));
    assert_eq!(pushed(feed(T - 1, 0, &[])), Some(Millis(T)), "an older one comes back");
    assert_eq!(pushed(String::new()), Some(Millis(T)));
    assert_eq!(pushed(feed(T + 1, 0, &[Change(owner(), 101)])), Some(Millis(T + 1)));
}

#[test]
fn a_contradicted_record_is_never_used_even_when_nobody_answers() {
    let mut verifier = verifier();
    let world = World { record: stored(1, &record()), ..World::default() };
    assert_eq!(verify(&mut verifier, &key(1).0, T, &world).1, "Active");
    let mut attempt = Attempt::default();
    verifier.provide(Read::Feed(0), Lookup::Found(feed(T + 1, 0, &[Change(owner(), 101)])), Millis(T + 1), &mut attempt);
    assert_eq!(verify(&mut verifier, &key(1).0, T + 2, &world).1, "unavailable");
    // A later feed that no longer lists the change does not make the old record true again.
    verifier.provide(Read::Feed(0), Lookup::Found(feed(T + 2, 0, &[])), Millis(T + 2), &mut attempt);
    assert_eq!(verify(&mut verifier, &key(1).0, T + 5_000, &world).1, "unavailable");
}

#[test]
fn a_change_that_comes_right_after_the_authoritys_answer_makes_the_request_ask_once_more_and_not_for_ever() {
    let (now, (text, digest)) = (Millis(T + 1_000), key(1));
    for (second, verdict) in [(150, "Active"), (101, "unavailable")] {
        let (mut verifier, mut attempt, mut answers) = (verifier(), Attempt::default(), vec![101, second].into_iter());
        let said = loop {
            match verifier.verify(text.as_bytes(), now, &mut attempt) {
                Progress::Need(read @ Read::Resolve(..)) => {
                    let record = Record { rev: answers.next().expect("the authority is asked twice at most"), as_of: now, ..record() };
                    verifier.provide(read, Lookup::Found(resolved(&record, &digest)), now, &mut attempt);
                    let changed = feed(now.0, 0, &[Change(owner(), 150)]);
                    verifier.provide(Read::Feed(0), Lookup::Found(changed), now, &mut Attempt::default());
                }
                Progress::Need(read) => verifier.provide(read, Lookup::Absent, now, &mut attempt),
                Progress::Done(Verdict::Known(held)) => break format!("{:?}", held.record.state),
                Progress::Done(Verdict::Unavailable) => break "unavailable".into(),
                Progress::Done(Verdict::Refused(code)) => break code.as_str().into(),
            }
        };
        assert_eq!((said.as_str(), answers.len()), (verdict, 0), "{second}");
    }
}

#[test]
fn a_change_older_than_the_record_does_not_contradict_it() {
    let now = T + 100_000;
    let world = World { record: stored(1, &record()), feed: found(feed(now, 0, &[Change(owner(), 100)])), ..World::default() };
    assert_eq!(verify(&mut verifier(), &key(1).0, now, &world).1, "Active");
}

#[test]
fn when_nothing_answers_a_held_record_serves_until_the_bound_and_not_longer() {
    let mut verifier = verifier();
    let world = World { record: stored(1, &record()), ..World::default() };
    assert_eq!(verify(&mut verifier, &key(1).0, T, &world).1, "Active");
    let silent = World::default();
    assert_eq!(verify(&mut verifier, &key(1).0, T + 100_000, &silent), (vec!["feed", "feed!", "resolve"], "Active".into()));
    // Objects that did not answer are not asked again for a moment.
    assert_eq!(verify(&mut verifier, &key(1).0, T + 100_001, &silent), (vec![], "Active".into()));
    assert_eq!(verify(&mut verifier, &key(1).0, T + 174_999, &silent).1, "Active");
    assert_eq!(verify(&mut verifier, &key(1).0, T + 175_000, &silent).1, "unavailable");
}

#[test]
fn a_cold_key_asks_the_authority_and_is_never_called_unknown_for_an_outage() {
    let current = Record { as_of: Millis(T), ..record() };
    let new = World { record: Some(Lookup::Absent), resolve: found(resolved(&current, &key(1).1)), ..World::default() };
    assert_eq!(verify(&mut verifier(), &key(1).0, T, &new), (vec!["record", "resolve"], "Active".into()));
    let outage = World { record: Some(Lookup::Absent), ..World::default() };
    assert_eq!(verify(&mut verifier(), &key(1).0, T, &outage), (vec!["record", "resolve"], "unavailable".into()));
    assert_eq!(verify(&mut verifier(), &key(1).0, T, &World::default()).1, "unavailable");
}

#[test]
fn absence_is_confirmed_by_the_authority_and_remembered_for_freshness() {
    let mut verifier = verifier();
    let gone = World { record: Some(Lookup::Absent), resolve: absent(), ..World::default() };
    assert_eq!(verify(&mut verifier, &key(1).0, T, &gone), (vec!["record", "resolve"], "unknown_key".into()));
    assert_eq!(verify(&mut verifier, &key(1).0, T + 59_999, &gone), (vec![], "unknown_key".into()));
    assert_eq!(verify(&mut verifier, &key(1).0, T + 60_000, &gone), (vec!["record", "resolve"], "unknown_key".into()));
}

#[test]
fn a_deleted_key_is_unknown_although_the_store_still_has_its_record() {
    let now = T + 100_000;
    let key_subject = record().subjects()[0];
    let world = World {
        record: stored(1, &record()),
        feed: found(feed(now, 0, &[Change(key_subject, 101)])),
        resolve: absent(),
        ..World::default()
    };
    assert_eq!(verify(&mut verifier(), &key(1).0, now, &world), (vec!["record", "feed", "resolve"], "unknown_key".into()));
}

#[test]
fn a_lagging_store_does_not_bring_back_an_older_record() {
    let mut verifier = verifier();
    let newer = Record { state: KeyState::Revoked, rev: 101, as_of: Millis(T + 50_000), ..record() };
    let first = World { record: stored(1, &newer), ..World::default() };
    assert_eq!(verify(&mut verifier, &key(1).0, T + 50_000, &first).1, "Revoked");
    let mut attempt = Attempt::default();
    let old = record().seal(&secrets(), &key(1).1).unwrap();
    verifier.provide(Read::Record(shard(), key(1).1), Lookup::Found(old), Millis(T + 50_001), &mut attempt);
    assert_eq!(verify(&mut verifier, &key(1).0, T + 50_001, &World::default()).1, "Revoked");
}

#[test]
fn what_cannot_be_believed_counts_as_unavailable() {
    let (_, other) = key(2);
    let from_the_future = Record { as_of: Millis(T + 5_001), ..record() };
    let mut broken = record().seal(&secrets(), &key(1).1).unwrap();
    broken.pop();
    for text in [
        String::new(),
        broken,
        record().seal(&secrets(), &other).unwrap(),
        from_the_future.seal(&secrets(), &key(1).1).unwrap(),
        Record { v: 2, ..record() }.seal(&secrets(), &key(1).1).unwrap(),
    ] {
        let world = World { record: found(text.clone()), ..World::default() };
        assert_eq!(verify(&mut verifier(), &key(1).0, T, &world), (vec!["record", "resolve"], "unavailable".into()), "{text}");
    }
    let now = T + 100_000;
    for text in [String::new(), feed(now + 5_001, 0, &[]), feed(now, 0, &[]).replace("\"since\":0", "\"since\":1")] {
        let world = World { record: stored(1, &record()), feed: found(text), ..World::default() };
        assert_eq!(verify(&mut verifier(), &key(1).0, now, &world).0, vec!["record", "feed", "feed!", "resolve"]);
    }
}

#[test]
fn an_older_feed_is_ignored() {
    let mut verifier = verifier();
    let mut attempt = Attempt::default();
    for issued in [T + 2, T + 1] {
        verifier.provide(Read::Feed(0), Lookup::Found(feed(issued, 0, &[])), Millis(T + 10), &mut attempt);
    }
    assert_eq!(verifier.feed_age(Millis(T + 10)), Some(Millis(8)));
}

#[test]
fn the_poll_is_due_every_ten_seconds_for_the_groups_in_use() {
    let mut verifier = verifier();
    assert_eq!(verifier.take_poll(Millis(T)), Vec::<u16>::new());
    verifier.provide(Read::Feed(0), Lookup::Found(feed(T, 0, &[])), Millis(T), &mut Attempt::default());
    assert_eq!(verifier.take_poll(Millis(T + 9_999)), Vec::<u16>::new());
    assert_eq!(verifier.take_poll(Millis(T + 10_000)), vec![0]);
    assert_eq!(verifier.take_poll(Millis(T + 10_001)), Vec::<u16>::new());
    // Whoever uses a key wants to hear of its changes, long before the record itself has to be looked at again.
    let mut fresh = self::verifier();
    let world = World { record: stored(1, &record()), ..World::default() };
    assert_eq!(verify(&mut fresh, &key(1).0, T, &world).0, vec!["record"]);
    assert_eq!(fresh.take_poll(Millis(T)), vec![0]);
    assert!(!verifier.feed_wants_waking(0, Millis(T + 30_000)) && verifier.feed_wants_waking(0, Millis(T + 30_001)));
}

/// What becomes of a request with this method, path and x-api-key.
fn pass(
    verifier: &mut Verifier,
    method: &str,
    path: &str,
    x_api_key: Option<&str>,
    authorization: Option<&str>,
    now: u64,
    world: &World,
) -> String {
    let mut attempt = Attempt::default();
    let facts = gate::facts(method, path, x_api_key, authorization);
    loop {
        match gate::evaluate(verifier, &facts, Millis(now), &mut attempt) {
            Progress::Need(read) => verifier.provide(read, world.answer(read), Millis(now), &mut attempt),
            Progress::Done(Outcome::Pass(held)) => return held.record.owner.to_string(),
            Progress::Done(Outcome::PassAnonymous) => return "anonymous".into(),
            Progress::Done(Outcome::PassBearer) => return "bearer".into(),
            Progress::Done(Outcome::NeedAddress) => return "address?".into(),
            Progress::Done(Outcome::Refuse(refused)) => return refused.code.as_str().into(),
        }
    }
}

#[test]
fn the_gate_asks_path_credential_and_policy() {
    let rules = r#"{"default":"deny","rules":[{"methods":["GET"],"path":"/orders/**","permission":"orders.read"},
        {"path":"/admin/**","permission":"admin.all"},{"path":"/public/**","anonymous":true},{"path":"/app/**","bearer":"origin"}]}"#;
    let (good, _) = key(1);
    let world = World { record: stored(1, &record()), policy: found(policy(1, T, rules)), ..World::default() };
    let (good, bearer) = (good.as_str(), format!("Bearer {good}"));
    for (method, path, x_api_key, authorization, expected) in [
        ("GET", "/orders/1", Some(good), None, "ann"),
        ("HEAD", "/orders/1", None, Some(bearer.as_str()), "ann"),
        ("GET", "/orders/../admin", Some(good), None, "ambiguous_path"),
        ("GET", "/orders/1", Some(good), Some("Bearer other"), "ambiguous_credentials"),
        ("GET", "/orders/1", None, None, "missing_credentials"),
        ("GET", "/orders/1", Some("x"), None, "malformed_key"),
        ("GET", "/admin/x", Some(good), None, "permission_denied"),
        ("GET", "/elsewhere", Some(good), None, "permission_denied"),
        ("GET", "/public/x", None, None, "anonymous"),
        ("GET", "/public/x", Some(good), None, "ann"),
        ("GET", "/public/x", Some("x"), None, "malformed_key"),
        ("GET", "/app/x", None, Some("Bearer eyJhbGciOi"), "bearer"),
        ("GET", "/app/x", None, Some(bearer.as_str()), "ann"),
        ("GET", "/orders/1", None, Some("Bearer eyJhbGciOi"), "malformed_key"),
    ] {
        assert_eq!(pass(&mut verifier(), method, path, x_api_key, authorization, T, &world), expected, "{method} {path}");
    }
}

#[test]
fn without_any_policy_nothing_passes_and_with_an_outdated_one_only_what_is_open() {
    let (good, _) = key(1);
    let current = World { record: stored(1, &Record { as_of: Millis(T), ..record() }), ..World::default() };
    assert_eq!(pass(&mut verifier(), "GET", "/x", Some(&good), None, T, &current), "verifier_unavailable");
    let mut verifier = verifier();
    let open = World { policy: found(policy(1, T, r#"{"rules":[{"path":"/public/**","anonymous":true}]}"#)), ..current };
    assert_eq!(pass(&mut verifier, "GET", "/x", Some(&good), None, T, &open), "ann");
    let late = T + 200_000;
    assert_eq!(pass(&mut verifier, "GET", "/public/x", None, None, late, &World::default()), "anonymous");
    assert_eq!(pass(&mut verifier, "GET", "/x", None, None, late, &World::default()), "verifier_unavailable");
}

#[test]
fn a_key_with_networks_asks_for_the_address() {
    let office = Record { networks: vec!["10.0.0.0/8".parse().unwrap()], ..record() };
    let world = World { record: stored(1, &office), policy: found(policy(0, T, "{}")), ..World::default() };
    assert_eq!(pass(&mut verifier(), "GET", "/x", Some(&key(1).0), None, T, &world), "address?");
}

#[test]
fn a_changed_policy_is_read_again() {
    let mut verifier = verifier();
    let (good, _) = key(1);
    let world = World { record: stored(1, &record()), policy: found(policy(1, T, "{}")), ..World::default() };
    assert_eq!(pass(&mut verifier, "GET", "/x", Some(&good), None, T, &world), "ann");
    verifier.provide(Read::Feed(0), Lookup::Found(feed(T + 1, 0, &[Change(Subject::policy(), 2)])), Millis(T + 1), &mut Attempt::default());
    let changed = World { policy: found(policy(2, T + 1, r#"{"default":"deny"}"#)), ..world.clone() };
    assert_eq!(pass(&mut verifier, "GET", "/x", Some(&good), None, T + 2, &world), "verifier_unavailable");
    assert_eq!(pass(&mut verifier, "GET", "/x", Some(&good), None, T + 11_000, &changed), "permission_denied");
}
