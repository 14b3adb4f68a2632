//! The model's edge answers as the real verifier does: both are driven through the same histories of records, feeds and outages.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot be set up has failed

use keyward_edge::verifier::{self, Attempt, Lookup, Progress, Read, Verifier};
use keyward_model::{
    edge::{Answers, Document, Edge, Record, Rules, Verdict},
    mistake::{Mistake, Mistakes},
    scope::{Row, Time, Timing},
};
use keyward_shared::{
    digest::Digest,
    feed::{Change, Feed, Subject},
    ids::{CompanyId, KeyId, OwnerId},
    key::{KeyString, Prefix, Secret},
    messages::ResolveAnswer,
    permission::PermissionSet,
    problem::Code,
    record::{KeyState, Metadata, Record as RealRecord, VERSION},
    secret::SecretList,
    settings::CommonSettings,
    shard::Shard,
    tag::TagSecrets,
    time::Millis,
};
use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

/// The shipped times in ticks of 5 s.
const TIMING: Timing = Timing::ticks(1, 2, 12, 36);

/// What happens next, after a pause that is longer than any in which the real edge leaves an object alone.
#[derive(Clone, Debug)]
struct Step {
    pause: Time,
    event: Event,
}

#[derive(Clone, Debug)]
enum Event {
    /// The background poll brings a feed.
    Poll(Document),
    /// A request about the key, with what its reads give.
    Request(Answers),
    /// A request about the key while nothing can be read.
    Outage,
}

/// Stamps are drawn as ages; the histories' clock makes them times.
fn document() -> impl Strategy<Value = Document> {
    (-12..200_i16, prop_oneof![Just(2_000_i16), -12..300_i16], [0..4_u8, 0..4_u8]).prop_map(|(issued_at, since, listed)| Document {
        listed,
        since,
        issued_at,
    })
}

fn record() -> impl Strategy<Value = Record> {
    (1..4_u8, -12..300_i16).prop_map(|(rev, as_of)| Record { row: Row(rev), rev, as_of })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let answers = (prop::option::of(record()), prop::option::of(document()), document(), prop::option::weighted(0.8, record()))
        .prop_map(|(record, feed, direct, truth)| Answers { record, feed, direct, truth });
    let event = prop_oneof![2 => document().prop_map(Event::Poll), 4 => answers.prop_map(Event::Request), 3 => Just(Event::Outage)];
    prop::collection::vec((17..60_i16, event).prop_map(|(pause, event)| Step { pause, event }), 1..12)
}

fn at(now: Time, document: Document) -> Document {
    Document { since: now - document.since, issued_at: now - document.issued_at, ..document }
}

fn of(now: Time, record: Record) -> Record {
    Record { as_of: now - record.as_of, ..record }
}

fn millis(time: Time) -> Millis {
    Millis((1_800_000_000_000_i64 + i64::from(time) * 625).unsigned_abs())
}

/// The real verifier, one key, and what it needs to be told anything.
struct Real {
    verifier: Verifier,
    key: String,
    digest: Digest,
    template: RealRecord,
}

impl Real {
    fn new() -> Self {
        let hex = "03".repeat(32);
        let settings = CommonSettings::read(&|name: &str| match name {
            "OPERATOR_COMPANY" => Some("demo".to_owned()),
            "TAG_SECRETS" | "RECORD_SECRETS" => Some(hex.clone()),
            _ => None,
        })
        .unwrap();
        let timing = settings.timing;
        assert_eq!((timing.skew, timing.freshness, timing.bound), (span(TIMING.skew), span(TIMING.freshness), span(TIMING.bound)));
        let company = CompanyId::new("demo").unwrap();
        let shard = Shard::of(&company);
        let prefix = Prefix::new("kw_live").unwrap();
        let secret = Secret::draw(|bytes| {
            bytes.fill(1);
            Ok::<_, ()>(())
        })
        .unwrap();
        let digest = secret.digest(&prefix, shard);
        let tag = TagSecrets::parse(&hex).unwrap().tag(shard, &digest);
        let template = RealRecord {
            v: VERSION,
            key_id: KeyId::new("key_0123456789abcdefghij").unwrap(),
            company,
            owner: OwnerId::new("ann").unwrap(),
            shard,
            state: KeyState::Active,
            owner_active: true,
            company_active: true,
            expires_at: None,
            created_at: Millis(0),
            permissions: PermissionSet::parse(["orders.read"]).unwrap(),
            networks: vec![],
            rate_limit: None,
            metadata: Metadata::default(),
            rev: 0,
            as_of: Millis(0),
        };
        let key = KeyString::assemble(&prefix, shard, &secret, tag).reveal().to_owned();
        Self { verifier: Verifier::new(settings), key, digest, template }
    }

    fn record(&self, record: Record) -> String {
        let record = RealRecord { rev: u64::from(record.rev), as_of: millis(record.as_of), ..self.template.clone() };
        record.seal(&SecretList::single([3; 32]), &self.digest).unwrap()
    }

    fn feed(&self, document: Document) -> Lookup {
        let RealRecord { shard, company, owner, key_id, .. } = &self.template;
        let subjects = [Subject::owner(*shard, company, owner), Subject::key(*shard, company, key_id)];
        let listed = subjects.into_iter().zip(document.listed).filter(|(_, rev)| *rev > 0);
        let changes = listed.map(|(subject, rev)| Change(subject, u64::from(rev))).collect();
        let feed = Feed::new(0, millis(document.issued_at), millis(document.since), changes);
        Lookup::Found(feed.seal(&SecretList::single([3; 32])).unwrap())
    }

    fn poll(&mut self, document: Document, now: Time) {
        let feed = self.feed(document);
        self.verifier.provide(Read::Feed(0), feed, millis(now), &mut Attempt::default());
    }

    /// `None`: nothing can be read.
    fn answer(&mut self, answers: Option<&Answers>, now: Time) -> Verdict {
        let mut attempt = Attempt::default();
        loop {
            let read = match self.verifier.verify(self.key.as_bytes(), millis(now), &mut attempt) {
                Progress::Need(read) => read,
                Progress::Done(verifier::Verdict::Known(held)) => return Verdict::Known(Row(u8::try_from(held.record.rev).unwrap())),
                Progress::Done(verifier::Verdict::Refused(Code::UnknownKey)) => return Verdict::Unknown,
                Progress::Done(verifier::Verdict::Unavailable) => return Verdict::Unavailable,
                Progress::Done(other) => panic!("{other:?}"),
            };
            let result = match (read, answers) {
                (_, None) => Lookup::Unavailable,
                (Read::Record(..), Some(answers)) => answers.record.map_or(Lookup::Absent, |record| Lookup::Found(self.record(record))),
                (Read::Feed(_), Some(answers)) => answers.feed.map_or(Lookup::Absent, |feed| self.feed(feed)),
                (Read::FeedDirect(_), Some(answers)) => self.feed(answers.direct),
                (Read::Resolve(..), Some(answers)) => {
                    let answer = answers.truth.map_or(ResolveAnswer::Absent, |record| ResolveAnswer::Record(self.record(record)));
                    Lookup::Found(serde_json::to_string(&answer).unwrap())
                }
                (
                    Read::Policy | Read::PolicyDirect | Read::ImportedRecord(_) | Read::ImportedShard(_) | Read::ResolveImported(..),
                    Some(_),
                ) => {
                    panic!("{read:?}")
                }
            };
            self.verifier.provide(read, result, millis(now), &mut attempt);
        }
    }
}

fn span(time: Time) -> Millis {
    Millis(u64::from(time.unsigned_abs()) * 625)
}

/// Drives both through one history; the first answers that differ, the real one first.
fn difference(steps: Vec<Step>, rules: Rules) -> Option<(Verdict, Verdict)> {
    let (mut real, mut model) = (Real::new(), Edge::default());
    let mut now = 0;
    for Step { pause, event } in steps {
        now += pause;
        let answers = match event {
            Event::Poll(document) => {
                real.poll(at(now, document), now);
                model.take_feed(at(now, document), now, rules);
                continue;
            }
            Event::Outage => (real.answer(None, now), model.answer_in_outage(now, rules)),
            Event::Request(Answers { record, feed, direct, truth }) => {
                let answers = Answers {
                    record: record.map(|record| of(now, record)),
                    feed: feed.map(|feed| at(now, feed)),
                    direct: at(now, direct),
                    truth: truth.map(|record| of(now, record)),
                };
                (real.answer(Some(&answers), now), model.answer(now, &answers, rules))
            }
        };
        if answers.0 != answers.1 {
            return Some(answers);
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_models_edge_answers_as_the_real_verifier_does(steps in steps()) {
        let rules = Rules { timing: TIMING, mistakes: Mistakes::NONE };
        prop_assert_eq!(difference(steps, rules), None);
    }
}

#[test]
fn an_edge_that_makes_a_mistake_answers_otherwise() {
    let mut runner = TestRunner::deterministic();
    for mistake in [
        Mistake::IgnoreSince,
        Mistake::TrustKvAge,
        Mistake::NoSkewSubtraction,
        Mistake::ContradictionForgotten,
        Mistake::OlderRecordTaken,
        Mistake::OlderFeedTaken,
        Mistake::OutageIsUnknown,
        Mistake::ContradictionOutweighed,
        Mistake::NeverAsks,
    ] {
        let rules = Rules { timing: TIMING, mistakes: Mistakes::just(mistake) };
        let mut histories = (0..5_000).map(|_| steps().new_tree(&mut runner).unwrap().current());
        let found = histories.position(|steps| difference(steps, rules).is_some());
        println!("{mistake:?}: history {found:?}");
        assert!(found.is_some(), "{mistake:?}");
    }
}
