//! The verifier: a state machine that answers at once when it can and otherwise names the read that it
//! needs. No I/O, no clock; the Worker, the tests and the simulator drive it the same way:
//! `verify` → `Need(read)` → perform it → `provide` → `verify` again, with one [`Attempt`] per request.
//!
//! It trusts nothing that it reads: records, feeds and policies are opened by their MAC, judged by their
//! stamps, and known true only as far as the feed says. Another system's key that was imported has no tag
//! and says nothing of its shard: it is found by the digest of its whole text, and where the store has no
//! record of it the Registry says which shard's object to ask. Which credential a request carries and what
//! a refusal looks like are others' business.

mod cache;
mod feeds;
mod policy;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use keyward_shared::{
    digest::Digest,
    json,
    key::{self, ParsedKey},
    messages::{ImportedAnswer, ResolveAnswer},
    problem::Code,
    record::Record,
    settings::CommonSettings,
    shard::Shard,
    time::Millis,
};

pub use self::cache::Held;
pub use self::policy::PolicyStanding;
use self::{
    cache::{Name, Records, Standing},
    feeds::Feeds,
};

/// How many characters an imported key may have. Whatever is shorter can be guessed.
pub const IMPORTED_LENGTH: core::ops::RangeInclusive<usize> = 8..=512;

/// A read that the verifier needs. Where and how it is performed is the driver's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The record of a digest in the replicated store.
    Record(Shard, Digest),
    /// A group's feed in the replicated store.
    Feed(u16),
    /// A group's feed from the Feed object.
    FeedDirect(u16),
    /// The truth about a digest from its shard's object.
    Resolve(Shard, Digest),
    /// The policy in the replicated store.
    Policy,
    /// The policy from the Registry object.
    PolicyDirect,
    /// The record of an imported key in the replicated store.
    ImportedRecord(Digest),
    /// Which shard has an imported key, from the Registry object.
    ImportedShard(Digest),
    /// The truth about an imported key from that shard's object.
    ResolveImported(Shard, Digest),
}

/// What a read gave. Absence is knowledge; unavailability is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The stored text, or the object's answer.
    Found(String),
    /// The store says that there is nothing under the name.
    Absent,
    /// Error, timeout, overload.
    Unavailable,
}

/// Either an answer, or the read without which there is none.
#[derive(Debug)]
pub enum Progress<T> {
    /// The answer.
    Done(T),
    /// Perform this, `provide` the result, and ask again.
    Need(Read),
}

/// What the verifier says about a key.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Known; whether it may pass is decided by its record.
    Known(Rc<Held>),
    /// `malformed_key` or `unknown_key`.
    Refused(Code),
    /// Nothing fresh enough to decide with.
    Unavailable,
}

/// Which reads one request has already made: each is made at most once, the authority is asked at most twice, so every
/// request comes to an end.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    made: Vec<Read>,
    /// The authority said in this request that there is no such key.
    confirmed_absent: bool,
}

impl Attempt {
    fn times(&self, read: Read) -> usize {
        self.made.iter().filter(|made| **made == read).count()
    }
}

/// The knowledge of one isolate.
#[derive(Debug)]
pub struct Verifier {
    settings: CommonSettings,
    records: Records,
    feeds: Feeds,
    policy: policy::HeldPolicy,
    imported_shape: Option<fn(&str) -> bool>,
}

impl Verifier {
    /// A verifier that knows nothing yet.
    pub fn new(settings: CommonSettings) -> Self {
        let feeds = Feeds::new(settings.feed_groups);
        Self { settings, records: Records::default(), feeds, policy: policy::HeldPolicy::default(), imported_shape: None }
    }

    /// The same, which also lets in imported keys: what is no key, but of a text that `has_shape`, is looked up.
    /// `has_shape` is asked only of [`IMPORTED_LENGTH`] visible ASCII characters.
    #[must_use]
    pub fn accepting(mut self, has_shape: Option<fn(&str) -> bool>) -> Self {
        self.imported_shape = has_shape;
        self
    }

    /// The settings it works with.
    pub fn settings(&self) -> &CommonSettings {
        &self.settings
    }

    /// What is known about the key `text`, which came with a request at `now`.
    pub fn verify(&mut self, text: &[u8], now: Millis, attempt: &mut Attempt) -> Progress<Verdict> {
        let Some((digest, ending)) = key::digest_and_ending(text) else {
            return self.verify_imported(text, now, attempt);
        };
        let name = Name { digest, imported: false };
        let held = self.records.get(&name);
        if let Some(held) = held.as_ref().filter(|held| held.ending.get() == Some(ending)) {
            return self.judge(Rc::clone(held), digest, now, attempt);
        }
        let Ok(key) = ParsedKey::parse(text) else {
            return self.verify_imported(text, now, attempt);
        };
        // With a wrong tag a key is made up wherever it comes, not only where it has not been seen yet.
        let shard = key.shard();
        if !self.settings.prefixes.contains(key.prefix()) || !self.settings.tag_secrets.made(key.tag(), shard, &digest) {
            return Progress::Done(Verdict::Refused(Code::UnknownKey));
        }
        if let Some(held) = held {
            if held.record.shard != shard {
                return Progress::Done(Verdict::Refused(Code::UnknownKey));
            }
            held.ending.set(Some(ending));
            return self.judge(held, digest, now, attempt);
        }
        if attempt.confirmed_absent || self.records.is_absent(&name, now, &self.settings.timing) {
            return Progress::Done(Verdict::Refused(Code::UnknownKey));
        }
        self.first_of(&[Read::Record(shard, digest), Read::Resolve(shard, digest)], false, now, attempt)
            .map_or(Progress::Done(Verdict::Unavailable), Progress::Need)
    }

    /// What is known about a text that is no key of ours.
    fn verify_imported(&mut self, text: &[u8], now: Millis, attempt: &Attempt) -> Progress<Verdict> {
        let refuse = |code| Progress::Done(Verdict::Refused(code));
        let Some(has_shape) = self.imported_shape else { return refuse(Code::MalformedKey) };
        if !IMPORTED_LENGTH.contains(&text.len()) || !text.iter().all(u8::is_ascii_graphic) {
            return refuse(Code::MalformedKey);
        }
        let name = Name { digest: Digest::of(text), imported: true };
        if let Some(held) = self.records.get(&name) {
            return self.judge(held, name.digest, now, attempt);
        }
        if attempt.confirmed_absent || self.records.is_absent(&name, now, &self.settings.timing) {
            return refuse(Code::UnknownKey);
        }
        if !core::str::from_utf8(text).is_ok_and(has_shape) {
            return refuse(Code::MalformedKey);
        }
        let authority = match self.records.claimed(&name) {
            Some(shard) => Read::ResolveImported(shard, name.digest),
            None => Read::ImportedShard(name.digest),
        };
        self.first_of(&[Read::ImportedRecord(name.digest), authority], false, now, attempt)
            .map_or(Progress::Done(Verdict::Unavailable), Progress::Need)
    }

    /// Whether a held record may be used now, and if not, what would help.
    fn judge(&mut self, held: Rc<Held>, digest: Digest, now: Millis, attempt: &Attempt) -> Progress<Verdict> {
        let timing = &self.settings.timing;
        let shard = held.record.shard;
        let group = shard.feed_group(self.settings.feed_groups);
        let standing = self.feeds.standing(&held, group);
        match standing {
            Standing::KnownTrue(at) if now < at.plus(timing.freshness).minus(timing.skew) => return Progress::Done(Verdict::Known(held)),
            Standing::KnownTrue(_) | Standing::Contradicted => {}
        }
        let (stored, resolve) = if held.imported {
            (Read::ImportedRecord(digest), Read::ResolveImported(shard, digest))
        } else {
            (Read::Record(shard, digest), Read::Resolve(shard, digest))
        };
        let helpful: &[Read] = match standing {
            Standing::Contradicted => &[stored, resolve],
            Standing::KnownTrue(_) if self.feeds.is_fresh(group, now, timing) => &[resolve],
            Standing::KnownTrue(_) => &[Read::Feed(group), Read::FeedDirect(group), resolve],
        };
        if let Some(read) = self.first_of(helpful, standing == Standing::Contradicted, now, attempt) {
            return Progress::Need(read);
        }
        match standing {
            Standing::KnownTrue(at) if now < at.plus(timing.bound).minus(timing.skew) => Progress::Done(Verdict::Known(held)),
            Standing::KnownTrue(_) | Standing::Contradicted => Progress::Done(Verdict::Unavailable),
        }
    }

    /// The first of `reads` that this request has not made and whose object is not known to be unreachable. `changed`:
    /// what the last of them, the authority, said is contradicted, because a change came right after it; so it is asked
    /// once more.
    fn first_of(&self, reads: &[Read], changed: bool, now: Millis, attempt: &Attempt) -> Option<Read> {
        let most = |index| if changed && index + 1 == reads.len() { 2 } else { 1 };
        let helps = |(index, read): &(usize, Read)| attempt.times(*read) < most(*index) && !self.feeds.backs_off(*read, now);
        reads.iter().copied().enumerate().find(helps).map(|(_, read)| read)
    }

    /// Whether a record of `digest` is held, be it one that must not be used.
    pub fn holds(&mut self, digest: &Digest) -> bool {
        self.records.get(&Name { digest: *digest, imported: false }).is_some()
    }

    /// The same of an imported key's.
    pub fn holds_imported(&mut self, digest: &Digest) -> bool {
        self.records.get(&Name { digest: *digest, imported: true }).is_some()
    }

    /// Takes in what a read gave. Whatever cannot be believed counts as unavailable.
    pub fn provide(&mut self, read: Read, result: Lookup, now: Millis, attempt: &mut Attempt) {
        self.take(read, result, now, attempt);
    }

    /// Takes in a feed that its object gave unasked; whether it can be believed.
    pub fn take_pushed(&mut self, group: u16, feed: String, now: Millis) -> bool {
        self.take(Read::FeedDirect(group), Lookup::Found(feed), now, &mut Attempt::default())
    }

    fn take(&mut self, read: Read, result: Lookup, now: Millis, attempt: &mut Attempt) -> bool {
        attempt.made.push(read);
        let timing = self.settings.timing;
        let believed = match (read, result) {
            (Read::Record(shard, digest), Lookup::Found(text)) => self.take_record(Some(shard), digest, &text, now),
            (Read::ImportedRecord(digest), Lookup::Found(text)) => self.take_record(None, digest, &text, now),
            (Read::Resolve(shard, digest), Lookup::Found(text)) => self.take_answer(Some(shard), digest, &text, now, attempt),
            (Read::ResolveImported(_, digest), Lookup::Found(text)) => self.take_answer(None, digest, &text, now, attempt),
            (Read::ImportedShard(digest), Lookup::Found(text)) => match json::from_str(&text) {
                Ok(ImportedAnswer::Shard(shard)) => {
                    self.records.claim(Name { digest, imported: true }, shard);
                    true
                }
                Ok(ImportedAnswer::Absent) => self.take_absence(Name { digest, imported: true }, now, attempt),
                Err(_) => false,
            },
            (Read::Feed(group) | Read::FeedDirect(group), Lookup::Found(text)) => {
                self.feeds.take(&self.settings.record_secrets, group, &text, now, &timing)
            }
            (Read::Policy | Read::PolicyDirect, Lookup::Found(text)) => {
                self.policy.take(&self.settings.record_secrets, &text, now, &timing)
            }
            (Read::Record(..) | Read::ImportedRecord(_) | Read::Feed(_) | Read::Policy, Lookup::Absent) => true,
            (
                Read::Resolve(..) | Read::FeedDirect(_) | Read::PolicyDirect | Read::ImportedShard(_) | Read::ResolveImported(..),
                Lookup::Absent,
            )
            | (_, Lookup::Unavailable) => false,
        };
        // A stored feed that is too old answers nothing either: the next requests need not look again at once.
        let helped = believed && !matches!(read, Read::Feed(group) if !self.feeds.is_fresh(group, now, &timing));
        self.feeds.note(read, helped, now, &timing);
        believed
    }

    /// Takes what the authority says about a key. `shard`: where it must be; `None`: imported, the record says it itself.
    fn take_answer(&mut self, shard: Option<Shard>, digest: Digest, text: &str, now: Millis, attempt: &mut Attempt) -> bool {
        match json::from_str(text) {
            Ok(ResolveAnswer::Record(sealed)) => self.take_record(shard, digest, &sealed, now),
            Ok(ResolveAnswer::Absent) => self.take_absence(Name { digest, imported: shard.is_none() }, now, attempt),
            Err(_) => false,
        }
    }

    fn take_absence(&mut self, name: Name, now: Millis, attempt: &mut Attempt) -> bool {
        self.records.confirm_absent(name, now);
        attempt.confirmed_absent = true;
        true
    }

    fn take_record(&mut self, shard: Option<Shard>, digest: Digest, text: &str, now: Millis) -> bool {
        let opened = match shard {
            Some(shard) => Record::open(&self.settings.record_secrets, shard, &digest, text),
            None => Record::open_imported(&self.settings.record_secrets, &digest, text),
        };
        match opened {
            Ok(record) if record.as_of <= now.plus(self.settings.timing.skew) => {
                self.feeds.mark_used(record.shard.feed_group(self.settings.feed_groups));
                self.records.insert(Name { digest, imported: shard.is_none() }, record);
                true
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// The policy as it may be used at `now`.
    pub fn policy(&mut self, now: Millis, attempt: &Attempt) -> Progress<PolicyStanding> {
        let timing = &self.settings.timing;
        let standing = self.policy.standing(self.feeds.latest(0));
        let helpful: &[Read] = match standing {
            Some(Standing::KnownTrue(at)) if now < at.plus(timing.freshness).minus(timing.skew) => {
                return Progress::Done(PolicyStanding::Usable(self.policy.compiled()));
            }
            None | Some(Standing::Contradicted) => &[Read::Policy, Read::PolicyDirect],
            Some(Standing::KnownTrue(_)) if self.feeds.is_fresh(0, now, timing) => &[Read::PolicyDirect],
            Some(Standing::KnownTrue(_)) => &[Read::Feed(0), Read::FeedDirect(0), Read::PolicyDirect],
        };
        if let Some(read) = self.first_of(helpful, standing == Some(Standing::Contradicted), now, attempt) {
            return Progress::Need(read);
        }
        Progress::Done(match standing {
            None => PolicyStanding::Unknown,
            Some(Standing::KnownTrue(at)) if now < at.plus(timing.bound).minus(timing.skew) => {
                PolicyStanding::Usable(self.policy.compiled())
            }
            Some(_) => PolicyStanding::Outdated(self.policy.compiled()),
        })
    }

    /// Place, from 0, and path of the rule by which the policy that is held judges a route, usable or not; for the log.
    pub fn matched_rule(&self, method: &str, path: &str) -> Option<(usize, String)> {
        let policy = self.policy.compiled();
        let at = policy.first_match(method, path)?;
        Some((at, policy.path_of(at)?.to_owned()))
    }

    /// Whether the background poll is due; it is marked as begun. Call it when there is traffic.
    pub fn take_poll(&mut self, now: Millis) -> Vec<u16> {
        self.feeds.take_poll(now, &self.settings.timing)
    }

    /// When [`Verifier::take_poll`] has something to do.
    pub fn next_poll(&self) -> Millis {
        self.feeds.next_poll()
    }

    /// Whether a polled feed is so old that the Feed object should be asked, which wakes its publishing.
    pub fn feed_wants_waking(&self, group: u16, now: Millis) -> bool {
        let half = Millis(self.settings.timing.freshness.0 / 2);
        self.feeds.age(group, now).is_none_or(|age| age > half)
    }

    /// The stamp of the latest feed of a group of which something was read, 0 before the first; `None` for the other groups.
    pub fn feed_stamp(&self, group: u16) -> Option<Millis> {
        self.feeds.stamp(group)
    }

    /// How old the oldest feed in use is; `None` where none was read yet.
    pub fn feed_age(&self, now: Millis) -> Option<Millis> {
        self.feeds.oldest_age(now)
    }
}
