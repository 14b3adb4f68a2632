//! One edge: the record it holds, the latest feed it has seen, and what it answers. It follows `edge/src/verifier` step by step.

use crate::{
    mistake::{Mistake, Mistakes},
    scope::{Row, Time, Timing},
};

/// A record as an edge gets it: MAC and form are taken for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// The content.
    pub row: Row,
    /// The shard's revision when the row was read.
    pub rev: u8,
    /// When it was read, less the margin, by the clock of the instance that read it.
    pub as_of: Time,
}

/// A feed as an edge gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Document {
    /// For each change the revision it is listed with; 0: it is not listed.
    pub listed: [u8; 2],
    /// From when on the list is complete.
    pub since: Time,
    /// When the list was read, by the clock of the Feed object's instance.
    pub issued_at: Time,
}

/// How a held record stands against the feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Nothing contradicts it; known true at this time.
    KnownTrue(Time),
    /// A feed lists a later change.
    Contradicted,
}

impl Standing {
    /// Whether nothing contradicts the record.
    pub const fn is_known_true(&self) -> bool {
        matches!(self, Self::KnownTrue(_))
    }
}

/// A held record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Held {
    /// The record.
    pub record: Record,
    /// How it stands.
    pub standing: Standing,
    /// Whether `standing` was judged by the latest feed.
    pub judged: bool,
}

/// What an edge says about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Decided by a record with this content.
    Known(Row),
    /// 401: there is no such key.
    Unknown,
    /// 503: nothing fresh enough to decide with.
    Unavailable,
}

/// The reads of one request about one key, in the order of the code's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Record,
    Feed,
    FeedDirect,
    Resolve,
}

/// What the reads of one request give.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    /// The store about the record; `None`: absent.
    pub record: Option<Record>,
    /// The store about the feed.
    pub feed: Option<Document>,
    /// The Feed object.
    pub direct: Document,
    /// The Shard object; `None`: there is no such key.
    pub truth: Option<Record>,
}

/// One edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// The record in its memory.
    pub held: Option<Held>,
    /// The latest feed.
    pub feed: Option<Document>,
    /// When the authority said that there is no such key, by the edge's clock.
    pub absent: Option<Time>,
    /// For the properties alone: records up to this revision are known to this edge to be outdated.
    pub outdated: u8,
    /// For the properties alone: the highest revision that any feed has shown this edge, judged or not.
    pub shown: u8,
    /// For the properties alone: the last absence that the edge learned of was none when it was told.
    pub misled: bool,
}

/// What an edge works with.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The times.
    pub timing: Timing,
    /// What it does wrong.
    pub mistakes: Mistakes,
}

impl Rules {
    fn limit(&self, known_true_at: Time, span: Time) -> Time {
        let skew = if self.mistakes.has(Mistake::NoSkewSubtraction) { 0 } else { self.timing.skew };
        known_true_at + span - skew
    }

    fn freshness(&self) -> Time {
        if self.mistakes.has(Mistake::NeverAsks) { self.timing.bound } else { self.timing.freshness }
    }
}

impl Edge {
    /// Judges the held record by the latest feed, as every request about the key does.
    pub fn judge(&mut self, rules: Rules) {
        let (Some(held), Some(feed)) = (&mut self.held, &self.feed) else { return };
        if held.judged {
            return;
        }
        held.judged = true;
        let Standing::KnownTrue(at) = held.standing else { return };
        if feed.listed.iter().any(|rev| *rev > held.record.rev) {
            held.standing = Standing::Contradicted;
            self.outdated = self.outdated.max(held.record.rev);
        } else if feed.since <= held.record.as_of || rules.mistakes.has(Mistake::IgnoreSince) {
            held.standing = Standing::KnownTrue(at.max(feed.issued_at));
        }
    }

    /// Whether to judge now would change what is known.
    pub fn judging_matters(&self, rules: Rules) -> bool {
        let mut judged = *self;
        judged.judge(rules);
        judged.held.map(|held| held.standing) != self.held.map(|held| held.standing)
    }

    /// Takes a record that was read at `now`; `false` where it is not to be believed.
    pub fn take_record(&mut self, record: Record, now: Time, rules: Rules) -> bool {
        if record.as_of > now + rules.timing.skew {
            return false;
        }
        let as_of = if rules.mistakes.has(Mistake::TrustKvAge) { now } else { record.as_of };
        let standing = match self.held {
            Some(held) if held.record.rev > record.rev && !rules.mistakes.has(Mistake::OlderRecordTaken) => return true,
            Some(held) if held.record.rev == record.rev => match held.standing {
                Standing::Contradicted if rules.mistakes.has(Mistake::ContradictionForgotten) => Standing::KnownTrue(as_of),
                Standing::Contradicted => return true,
                Standing::KnownTrue(at) => Standing::KnownTrue(at.max(as_of)),
            },
            Some(held) => {
                self.outdated = self.outdated.max(held.record.rev.min(record.rev));
                Standing::KnownTrue(as_of)
            }
            None => Standing::KnownTrue(as_of),
        };
        self.absent = None;
        self.misled = false;
        self.held = Some(Held { record, standing, judged: self.feed.is_none() });
        true
    }

    /// Takes a feed that was read at `now`; `false` where it is not to be believed.
    pub fn take_feed(&mut self, feed: Document, now: Time, rules: Rules) -> bool {
        if feed.issued_at > now + rules.timing.skew {
            return false;
        }
        let newer = self.feed.is_none_or(|latest| latest.issued_at < feed.issued_at);
        if newer || rules.mistakes.has(Mistake::OlderFeedTaken) {
            self.feed = Some(feed);
            self.shown = feed.listed.into_iter().fold(self.shown, u8::max);
            if let Some(held) = &mut self.held {
                held.judged = false;
            }
        }
        true
    }

    /// Takes the word that there is no such key; `exists`: there is one all the same.
    pub fn confirm_absent(&mut self, now: Time, exists: bool) {
        self.held = None;
        self.absent = Some(now);
        self.misled = exists;
        self.outdated = 0; // what is held no longer is remembered no longer
    }

    fn is_absent(&self, now: Time, rules: Rules) -> bool {
        self.absent.is_some_and(|at| now < at + rules.timing.freshness)
    }

    /// The answer to a request at `now`, by the edge's clock, if nothing can be read. Whatever a request is answered within
    /// freshness is answered so too.
    pub fn answer_in_outage(&mut self, now: Time, rules: Rules) -> Verdict {
        self.judge(rules);
        self.last_answer(now, rules)
    }

    /// What is left to say when no read helps any more.
    fn last_answer(&self, now: Time, rules: Rules) -> Verdict {
        let unavailable = if rules.mistakes.has(Mistake::OutageIsUnknown) { Verdict::Unknown } else { Verdict::Unavailable };
        match self.held {
            None if self.is_absent(now, rules) => Verdict::Unknown,
            None => unavailable,
            Some(held) => match held.standing {
                Standing::KnownTrue(at) if now < rules.limit(at, rules.timing.bound) => Verdict::Known(held.record.row),
                Standing::Contradicted if rules.mistakes.has(Mistake::ContradictionOutweighed) => Verdict::Known(held.record.row),
                Standing::KnownTrue(_) | Standing::Contradicted => unavailable,
            },
        }
    }

    /// The answer to a request at `now`, by the edge's clock, whose reads give `answers`. Each is made at most once.
    pub fn answer(&mut self, now: Time, answers: &Answers, rules: Rules) -> Verdict {
        let mut made: Vec<Read> = Vec::new();
        let mut confirmed_absent = false;
        loop {
            self.judge(rules);
            let fresh_feed = self.feed.is_some_and(|feed| now < rules.limit(feed.issued_at, rules.timing.freshness));
            let helpful: &[Read] = match self.held {
                None if confirmed_absent || self.is_absent(now, rules) => return Verdict::Unknown,
                None => &[Read::Record, Read::Resolve],
                Some(held) => match held.standing {
                    Standing::KnownTrue(at) if now < rules.limit(at, rules.freshness()) => return Verdict::Known(held.record.row),
                    Standing::Contradicted => &[Read::Record, Read::Resolve],
                    Standing::KnownTrue(_) if fresh_feed => &[Read::Resolve],
                    Standing::KnownTrue(_) => &[Read::Feed, Read::FeedDirect, Read::Resolve],
                },
            };
            let Some(read) = helpful.iter().find(|read| !made.contains(read)) else { return self.last_answer(now, rules) };
            made.push(*read);
            match (read, answers.record, answers.feed, answers.truth) {
                (Read::Record, Some(record), ..) | (Read::Resolve, _, _, Some(record)) => self.take_record(record, now, rules),
                (Read::Feed, _, Some(feed), _) => self.take_feed(feed, now, rules),
                (Read::FeedDirect, ..) => self.take_feed(answers.direct, now, rules),
                (Read::Resolve, _, _, None) => {
                    self.confirm_absent(now, false);
                    confirmed_absent = true;
                    true
                }
                (Read::Record, None, ..) | (Read::Feed, _, None, _) => false,
            };
        }
    }
}
