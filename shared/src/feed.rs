//! The feed: a short list, with a MAC, of what changed lately and when it was issued. Short enough to be
//! read every few seconds, it tells whether a long-lived record still holds.

use core::fmt;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{
    ids::{CompanyId, KeyId, OwnerId},
    json::{self, Fault, FromJson, Reader},
    json_object, json_text,
    seal::{self, SealError},
    secret::SecretList,
    shard::Shard,
    time::Millis,
};

/// The version of the feed's JSON that this code writes and reads.
pub const VERSION: u32 = 1;
/// The most changes that a feed lists; beyond, `since` rises.
pub const MAX_CHANGES: usize = 20_000;
/// How long a change stays listed: 7 days.
pub const KEPT: Millis = Millis::from_secs(7 * 86_400);

/// Something that can change: a key, an owner, a company, a whole shard, the policy. Eight bytes of
/// SHA-256 over kind, shard, company and id, separated by zero bytes; a collision only costs a needless
/// question to the authority.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(u64);

impl Subject {
    fn of(kind: &str, shard: &str, company: &str, id: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [kind, shard, company, id] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        Self(hash.finalize().iter().take(8).fold(0, |n, &byte| (n << 8) | u64::from(byte)))
    }

    /// One key.
    pub fn key(shard: Shard, company: &CompanyId, key: &KeyId) -> Self {
        Self::of("key", shard.as_str(), company.as_str(), key.as_str())
    }

    /// All keys of one owner.
    pub fn owner(shard: Shard, company: &CompanyId, owner: &OwnerId) -> Self {
        Self::of("owner", shard.as_str(), company.as_str(), owner.as_str())
    }

    /// All keys of one company.
    pub fn company(shard: Shard, company: &CompanyId) -> Self {
        Self::of("company", shard.as_str(), company.as_str(), "")
    }

    /// All keys of one shard.
    pub fn shard(shard: Shard) -> Self {
        Self::of("shard", shard.as_str(), "", "")
    }

    /// The route policy.
    pub fn policy() -> Self {
        Self::of("policy", "", "", "")
    }
}

json_text!(Subject: str::parse);

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 16 lower-case hexadecimal characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a subject is 16 lower-case hexadecimal characters")]
pub struct SubjectError;

impl core::str::FromStr for Subject {
    type Err = SubjectError;
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        if text.len() != 16 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(SubjectError);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| SubjectError)
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;
    fn try_from(text: String) -> Result<Self, SubjectError> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

/// One subject and the revision of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change(pub Subject, pub u64);

impl FromJson for Change {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        FromJson::from_json(reader).map(|(subject, rev)| Self(subject, rev))
    }
}

/// What changed since [`Feed::since`], as of [`Feed::issued_at`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// [`VERSION`].
    pub v: u32,
    /// The group of shards that the feed tells of.
    pub group: u16,
    /// When the Feed object read the changes to write this; strictly increasing.
    pub issued_at: Millis,
    /// From when on the list is complete.
    pub since: Millis,
    /// Sorted by subject, each once.
    pub changes: Vec<Change>,
}

json_object!(Feed { v, group, issued_at, since, changes } passing over others);

/// Why a stored value is no feed that may be used.
#[derive(Debug, Error)]
pub enum FeedError {
    /// The envelope or its MAC.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The MAC is right, the content is not what this version writes.
    #[error("a feed is not readable: {0}")]
    Form(#[from] json::Error),
    /// Another version of the schema.
    #[error("a feed is of another version")]
    Version,
    /// Another group's feed.
    #[error("a feed belongs to another group")]
    Group,
}

/// The name of a group's feed in the replicated store: `f:<group>`.
pub fn name(group: u16) -> String {
    format!("f:{group}")
}

impl Feed {
    /// A feed of `changes`, in any order; of several changes of a subject the highest revision counts.
    pub fn new(group: u16, issued_at: Millis, since: Millis, mut changes: Vec<Change>) -> Self {
        sort(&mut changes);
        Self { v: VERSION, group, issued_at, since, changes }
    }

    /// The feed as it is stored under [`name`].
    pub fn seal(&self, secrets: &SecretList) -> Result<String, serde_json::Error> {
        Ok(seal::seal(secrets, &name(self.group), &serde_json::to_string(self)?))
    }

    /// Reads what was stored for `group`.
    pub fn open(secrets: &SecretList, group: u16, value: &str) -> Result<Self, FeedError> {
        let body = seal::open(secrets, &name(group), value)?;
        if seal::version_of(body)? != VERSION {
            return Err(FeedError::Version);
        }
        let mut feed: Self = json::from_str(body)?;
        if feed.group != group {
            return Err(FeedError::Group);
        }
        sort(&mut feed.changes); // the reader searches in it: do not trust the writer for the order
        Ok(feed)
    }

    /// The revision of the last change of `subject`, where it is listed.
    pub fn rev_of(&self, subject: Subject) -> Option<u64> {
        let at = self.changes.binary_search_by_key(&subject, |change| change.0).ok()?;
        self.changes.get(at).map(|change| change.1)
    }
}

fn sort(changes: &mut Vec<Change>) {
    if changes.is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    // Heap sort: the order that the writer left is nearly always right, and another sort would be much more WebAssembly.
    *changes = BinaryHeap::from(core::mem::take(changes)).into_sorted_vec();
    changes.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = kept.1.max(later.1);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed() -> Feed {
        let (shard, company) = ("MDeu".parse().unwrap(), CompanyId::new("demo").unwrap());
        let owner = Subject::owner(shard, &company, &OwnerId::new("ann").unwrap());
        let key = Subject::key(shard, &company, &KeyId::new("key_0123456789abcdefghij").unwrap());
        let changes = vec![
            Change(Subject::policy(), 5),
            Change(owner, 7),
            Change(owner, 9),
            Change(owner, 8),
            Change(key, 3),
            Change(Subject::company(shard, &company), 4),
            Change(Subject::shard(shard), 2),
        ];
        Feed::new(0, Millis(1_795_000_000_000), Millis(1_794_000_000_000), changes)
    }

    #[test]
    fn the_stored_form_is_the_golden_one() {
        let secrets = SecretList::single([3; 32]);
        let stored = feed().seal(&secrets).unwrap();
        assert_eq!(stored, include_str!("../golden/feed-v1.txt").trim_end());
        assert_eq!(Feed::open(&secrets, 0, &stored).unwrap(), feed());
        assert!(matches!(Feed::open(&secrets, 1, &stored), Err(FeedError::Seal(SealError::Mac))));
    }

    #[test]
    fn of_several_changes_of_a_subject_the_highest_revision_counts() {
        let (shard, company) = ("MDeu".parse().unwrap(), CompanyId::new("demo").unwrap());
        assert_eq!(feed().rev_of(Subject::owner(shard, &company, &OwnerId::new("ann").unwrap())), Some(9));
        assert_eq!(feed().rev_of(Subject::owner(shard, &company, &OwnerId::new("bob").unwrap())), None);
        assert_eq!(feed().changes.len(), 5);
    }

    #[test]
    fn the_order_of_the_changes_makes_no_difference() {
        let sorted = feed().changes;
        let backwards = sorted.iter().copied().rev().collect();
        assert_eq!(Feed::new(0, feed().issued_at, feed().since, backwards), feed());
        let [twice, ..] = sorted[..] else { panic!("the feed lists nothing") };
        let again = Feed::new(0, Millis(1), Millis(0), vec![twice, Change(twice.0, twice.1 + 1)]);
        assert_eq!((again.changes.len(), again.rev_of(twice.0)), (1, Some(twice.1 + 1)));
    }

    #[test]
    fn a_change_stays_listed_for_seven_days() {
        assert_eq!(KEPT.as_secs(), 604_800);
    }

    #[test]
    fn a_subject_is_sixteen_lower_case_hexadecimal_characters() {
        let subject = Subject::policy();
        assert_eq!(subject.to_string().parse(), Ok(subject));
        for bad in ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg", "+123456789abcdef"] {
            assert_eq!(bad.parse::<Subject>(), Err(SubjectError), "{bad}");
        }
    }

    #[test]
    fn another_groups_feed_and_another_version_are_refused() {
        let secrets = SecretList::single([3; 32]);
        let misplaced = seal::seal(&secrets, &name(1), &serde_json::to_string(&feed()).unwrap());
        assert!(matches!(Feed::open(&secrets, 1, &misplaced), Err(FeedError::Group)));
        let newer = Feed { v: 2, ..feed() }.seal(&secrets).unwrap();
        assert!(matches!(Feed::open(&secrets, 0, &newer), Err(FeedError::Version)));
    }
}
