//! The records that the isolate holds: bounded, least recently used first out. A digest is random already,
//! so its first bytes are its hash.

use core::{
    cell::Cell,
    hash::{BuildHasher, Hash, Hasher},
    num::NonZeroUsize,
};
use std::rc::Rc;

use keyward_shared::{digest::Digest, feed::Subject, key::Ending, record::Record, shard::Shard, time::Millis, timing::Timing};
use lru::LruCache;

/// The most records held; about 1 KB each.
const MAX_RECORDS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// The most absences and claims remembered.
const MAX_OTHERS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// The last number of an identity. The answer to the entry has room for some more.
const LAST_IDENTITY: u32 = 0x00ff_ffff;

/// How a held record stands against the latest feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// No feed contradicts it, and this is the latest time at which it is known to be true.
    KnownTrue(Millis),
    /// A feed lists a later change of one of its subjects.
    Contradicted,
}

/// What a record is kept under. An imported key may be what another key's digest is made of, so the digest alone does not
/// tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) digest: Digest,
    pub(super) imported: bool,
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(first) = self.digest.as_bytes().first_chunk() {
            state.write_u64(u64::from_le_bytes(*first));
        }
    }
}

/// A record with what the isolate has found out about it.
#[derive(Debug)]
pub struct Held {
    /// The record.
    pub record: Record,
    /// Numbers the identity, so that prepared headers can be kept outside. Only a record of the same revision, which says
    /// the same about the same key, keeps it. 0: the numbers are used up, and nothing may be kept under it.
    pub identity: u32,
    pub(super) imported: bool,
    pub(super) subjects: [Subject; 4],
    pub(super) standing: Cell<Standing>,
    /// The generation of the feed that `standing` was judged by.
    pub(super) judged_by: Cell<u32>,
    /// The ending that the key last came with, once it was found to be the issuer's.
    pub(super) ending: Cell<Option<Ending>>,
}

/// Takes the digest's first bytes for a hash.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FirstBytes(u64);

impl BuildHasher for FirstBytes {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write_u64(&mut self, first: u64) {
        self.0 = first;
    }
    fn write(&mut self, _others: &[u8]) {} // a name hashes nothing else
}

/// One type for both caches: they are one piece of WebAssembly then.
type Cache = LruCache<Name, Entry, FirstBytes>;

#[derive(Debug)]
enum Entry {
    Held(Rc<Held>),
    /// Since when.
    Absent(Millis),
    /// An imported key's shard, which it has for good, as the Registry said. Whether the key lives is not known yet.
    Claimed(Shard),
}

impl Entry {
    fn held(&self) -> Option<&Rc<Held>> {
        match self {
            Self::Held(held) => Some(held),
            Self::Absent(_) | Self::Claimed(_) => None,
        }
    }
}

/// The isolate's records, and what it knows of keys of which it has none.
#[derive(Debug)]
pub(super) struct Records {
    held: Cache,
    others: Cache,
    identities: u32,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            held: LruCache::with_hasher(MAX_RECORDS, FirstBytes(0)),
            others: LruCache::with_hasher(MAX_OTHERS, FirstBytes(0)),
            identities: 0,
        }
    }
}

impl Records {
    pub(super) fn get(&mut self, name: &Name) -> Option<Rc<Held>> {
        self.held.get(name).and_then(Entry::held).map(Rc::clone)
    }

    /// Keeps `record`, unless the isolate already knows better: a lagging store must not bring back an older
    /// state, nor one that a feed has contradicted.
    pub(super) fn insert(&mut self, name: Name, record: Record) {
        let held = self.held.get(&name).and_then(Entry::held);
        let standing = match held {
            Some(held) if held.record.rev > record.rev => return,
            // The same state read again: what contradicted it still does, and what was known stays known.
            Some(held) if held.record.rev == record.rev => match held.standing.get() {
                Standing::Contradicted => return,
                Standing::KnownTrue(at) => Standing::KnownTrue(at.max(record.as_of)),
            },
            Some(_) | None => Standing::KnownTrue(record.as_of),
        };
        let same = |held: &&Rc<Held>| {
            let old = &held.record;
            old.rev == record.rev && old.key_id == record.key_id && old.owner == record.owner && old.company == record.company
        };
        let identity = held.filter(same).map(|held| held.identity);
        let identity = identity.unwrap_or_else(|| {
            // No number is given twice: what is kept outside under it would be given to another key.
            if self.identities == LAST_IDENTITY {
                return 0;
            }
            self.identities += 1;
            self.identities
        });
        self.others.pop(&name);
        let (subjects, imported) = (record.subjects(), name.imported);
        let (standing, judged_by, ending) = (Cell::new(standing), Cell::new(0), Cell::new(None));
        let held = Held { record, identity, imported, subjects, standing, judged_by, ending };
        self.held.put(name, Entry::Held(Rc::new(held)));
    }

    /// The authority says that there is no such key.
    pub(super) fn confirm_absent(&mut self, name: Name, now: Millis) {
        self.held.pop(&name);
        self.others.put(name, Entry::Absent(now));
    }

    /// Whether the authority said so within freshness.
    pub(super) fn is_absent(&mut self, name: &Name, now: Millis, timing: &Timing) -> bool {
        matches!(self.others.get(name), Some(Entry::Absent(at)) if now < at.plus(timing.freshness))
    }

    /// The Registry says that `shard` has this imported key, if anybody.
    pub(super) fn claim(&mut self, name: Name, shard: Shard) {
        self.others.put(name, Entry::Claimed(shard));
    }

    /// The shard that has this imported key, where that is remembered.
    pub(super) fn claimed(&mut self, name: &Name) -> Option<Shard> {
        match self.others.get(name) {
            Some(Entry::Claimed(shard)) => Some(*shard),
            Some(Entry::Held(_) | Entry::Absent(_)) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::testing::{key, record};

    #[test]
    fn no_two_keys_ever_have_the_same_identity_even_when_the_numbers_are_used_up() {
        let mut records = Records { identities: LAST_IDENTITY - 1, ..Records::default() };
        let mut identity = |n: u8| {
            let name = Name { digest: key(n).1, imported: false };
            records.insert(name, record());
            records.get(&name).unwrap().identity
        };
        assert_eq!([1, 2, 3, 1, 2].map(&mut identity), [LAST_IDENTITY, 0, 0, LAST_IDENTITY, 0]);
    }
}
