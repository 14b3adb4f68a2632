//! The reference: what was true when, kept as simply as can be. It is told of every change that an object committed and
//! of every announcement that the Feed object stamped; what it says about a key is worked out naively, with none of the
//! code under test.

use std::collections::HashMap;

use keyward_shared::{
    digest::Digest,
    feed::Subject,
    ids::{CompanyId, KeyId, OwnerId},
    shard::Shard,
};

/// The sets of permissions that owners and restrictions are given, by number.
pub const SETS: [&[&str]; 6] =
    [&["*"], &["orders.*", "billing.read"], &["orders.read"], &["orders.read", "orders.write"], &["billing.*"], &[]];
/// The permissions that are asked for.
pub const UNIVERSE: [&str; 5] = ["orders.read", "orders.write", "billing.read", "billing.write", "other.x"];

/// What was true from which revision on.
#[derive(Clone, Debug)]
pub struct History<T>(Vec<(u64, T)>);

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> History<T> {
    /// From `rev` on it is `state`.
    pub fn push(&mut self, rev: u64, state: T) {
        self.0.push((rev, state));
    }

    /// What it was at `rev`; `None` before there was anything.
    pub fn at(&self, rev: u64) -> Option<&T> {
        self.0.iter().rev().find(|(from, _)| *from <= rev).map(|(_, state)| state)
    }

    /// What it is now.
    pub fn latest(&self) -> Option<&T> {
        self.0.last().map(|(_, state)| state)
    }

    /// The revision of the last change; 0 before there was anything.
    pub fn last_rev(&self) -> u64 {
        self.0.last().map_or(0, |(rev, _)| *rev)
    }

    /// Everything that it was at `rev` or later.
    pub fn from(&self, rev: u64) -> impl Iterator<Item = Option<&T>> {
        let later = self.0.iter().filter(move |(from, _)| *from > rev).map(|(_, state)| Some(state));
        std::iter::once(self.at(rev)).chain(later)
    }
}

/// A company.
#[derive(Clone, Debug)]
pub struct Company {
    /// Its id.
    pub id: CompanyId,
    /// Its shard, by number.
    pub shard: usize,
    /// Its shard's name.
    pub shard_name: Shard,
    /// Active or not; `None`: erased.
    pub state: History<Option<bool>>,
    /// Its owners.
    pub owners: Vec<Owner>,
}

/// An owner.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its id.
    pub id: OwnerId,
    /// The number of the set of permissions, and active or not; `None`: there is no such owner.
    pub state: History<Option<(u8, bool)>>,
}

/// A key as it was at some revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// Revoked.
    pub revoked: bool,
    /// When it expires, in milliseconds.
    pub expires_at: Option<u64>,
    /// What of [`UNIVERSE`] its own restriction allows, a bit each; `None`: no restriction.
    pub restriction: Option<u8>,
    /// Whether it may only be used from the network.
    pub network: bool,
    /// Its number where it was renamed: see [`KeyState::name`].
    pub renamed: Option<u8>,
}

impl KeyState {
    /// What it is called.
    pub fn name(&self) -> String {
        self.renamed.map_or_else(|| "a key".to_owned(), |number| format!("renamed {number}"))
    }
}

/// A key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its company and owner, by number.
    pub company: usize,
    /// See `company`.
    pub owner: usize,
    /// Its id.
    pub id: KeyId,
    /// Its digest.
    pub digest: Digest,
    /// The key itself.
    pub text: String,
    /// Whether it was imported: its record has another name.
    pub imported: bool,
    /// The key that made it, by number.
    pub parent: Option<usize>,
    /// True time of its creation.
    pub created: u64,
    /// The revision of its row when it was made: of what is new nobody needs to hear.
    pub made: u64,
    /// What it was; `None`: deleted.
    pub state: History<Option<KeyState>>,
    /// Its subjects in the feed.
    pub subjects: [Subject; 4],
    /// Its shard was restored from a backup that does not know it: its record stays in the store, and nobody believes it.
    pub orphan: bool,
}

/// What a key was worth at some revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worth {
    /// The key itself.
    pub key: KeyState,
    /// The number of the owner's set of permissions; `None`: the owner is gone.
    pub owner: Option<u8>,
    /// Whether the owner may act.
    pub owner_active: bool,
    /// Whether the company may act.
    pub company_active: bool,
}

impl Worth {
    /// Whether it may do what `permission` stands for.
    pub fn allows(&self, permission: &str) -> bool {
        let has = |set: u8| SETS.get(usize::from(set)).is_some_and(|set| set.iter().any(|given| covers(given, permission)));
        let bit = UNIVERSE.iter().position(|known| *known == permission).map_or(0, |bit| 1 << bit);
        self.owner.is_some_and(has) && self.key.restriction.is_none_or(|allowed| allowed & bit != 0)
    }

    /// Whether it stands for its owner at `now`.
    pub fn acts(&self, now: u64) -> bool {
        !self.key.revoked && self.owner_active && self.company_active && self.key.expires_at.is_none_or(|at| now < at)
    }
}

/// What of [`UNIVERSE`] a list of permissions allows, a bit each.
pub fn mask(given: &[&str]) -> u8 {
    let bits = UNIVERSE.iter().enumerate().filter(|(_, asked)| given.iter().any(|given| covers(given, asked)));
    bits.fold(0, |mask, (bit, _)| mask | 1 << bit)
}

/// Whether having `given` is enough for `asked`.
fn covers(given: &str, asked: &str) -> bool {
    given == "*" || given == asked || given.strip_suffix(".*").is_some_and(|stem| asked.starts_with(&format!("{stem}.")))
}

/// A change that must be announced.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What changed.
    pub subject: Subject,
    /// At which revision.
    pub rev: u64,
}

/// Everything that was ever true.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Companies.
    pub companies: Vec<Company>,
    /// Keys, in the order of their creation.
    pub keys: Vec<Key>,
    /// Versions of the policy: revision, number of the rule, number of the version.
    pub policies: Vec<(u64, u8, u64)>,
    /// What was announced: revisions with the Feed object's stamps.
    pub announced: HashMap<Subject, Vec<(u64, u64)>>,
    /// What is still to be announced, per shard (two of them) and by the registry.
    pub pending: [Vec<Pending>; 3],
}

impl Model {
    /// What the key `index` was worth at `rev`; `None`: it did not exist.
    pub fn worth(&self, index: usize, rev: u64) -> Option<Worth> {
        let key = self.keys.get(index)?;
        let company = self.companies.get(key.company)?;
        let owner = company.owners.get(key.owner)?.state.at(rev).copied().flatten();
        let state = key.state.at(rev).copied().flatten()?;
        Some(Worth {
            key: state,
            owner: owner.map(|(set, _)| set),
            owner_active: owner.is_some_and(|(_, active)| active),
            company_active: company.state.at(rev).copied().flatten().unwrap_or(false),
        })
    }

    /// What it is worth now.
    pub fn worth_now(&self, index: usize) -> Option<Worth> {
        self.worth(index, u64::MAX)
    }

    /// The revision of the last change of the key, its owner or its company.
    pub fn last_change(&self, index: usize) -> u64 {
        let Some(key) = self.keys.get(index) else { return 0 };
        let Some(company) = self.companies.get(key.company) else { return 0 };
        if key.state.latest().is_none_or(Option::is_none) {
            return key.state.last_rev(); // what is gone does not change with its owner
        }
        let owner = company.owners.get(key.owner).map_or(0, |owner| owner.state.last_rev());
        key.state.last_rev().max(owner).max(company.state.last_rev())
    }

    /// Whether one of the key's states from `rev` on was `so`.
    pub fn was(&self, index: usize, rev: u64, so: impl Fn(&Worth) -> bool) -> bool {
        let Some(key) = self.keys.get(index) else { return false };
        let Some(company) = self.companies.get(key.company) else { return false };
        let Some(owner) = company.owners.get(key.owner) else { return false };
        let revs = [rev].into_iter().chain(key.state.0.iter().map(|(rev, _)| *rev));
        let revs = revs.chain(owner.state.0.iter().map(|(rev, _)| *rev)).chain(company.state.0.iter().map(|(rev, _)| *rev));
        revs.filter(|at| *at >= rev).any(|at| self.worth(index, at).is_some_and(|worth| so(&worth)))
    }

    /// The revision below which nothing may be used any more at `then`: the highest of what was announced by then.
    pub fn required(&self, subjects: &[Subject], then: u64) -> u64 {
        let revs = subjects.iter().filter_map(|subject| self.announced.get(subject)).flatten();
        revs.filter(|(_, announced_at)| *announced_at < then).map(|(rev, _)| *rev).max().unwrap_or(0)
    }

    /// The Feed object took and stamped changes of the shard, or the registry, `whose`.
    pub fn announce(&mut self, whose: usize, subject: Subject, rev: u64, stamp: u64) {
        self.announced.entry(subject).or_default().push((rev, stamp));
        if let Some(pending) = self.pending.get_mut(whose) {
            pending.retain(|change| change.subject != subject || change.rev > rev);
        }
    }

    /// Whether the key with this id was lost with a restored backup.
    pub fn is_orphan(&self, id: &KeyId) -> bool {
        self.find(id).and_then(|index| self.keys.get(index)).is_some_and(|key| key.orphan)
    }

    /// The key with this id.
    pub fn find(&self, id: &KeyId) -> Option<usize> {
        self.keys.iter().position(|key| key.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_the_owners_within_the_keys_own() {
        let key = KeyState { revoked: false, expires_at: Some(10), restriction: None, network: false, renamed: None };
        let worth = |owner, set: Option<usize>| Worth {
            key: KeyState { restriction: set.map(|set| mask(SETS[set])), ..key },
            owner,
            owner_active: true,
            company_active: true,
        };
        assert!(worth(Some(0), None).allows("other.x") && !worth(Some(0), Some(2)).allows("other.x"));
        assert!(worth(Some(1), Some(3)).allows("orders.write") && !worth(Some(4), Some(3)).allows("orders.write"));
        assert!(!worth(None, None).allows("orders.read"));
        assert!(worth(None, None).acts(9) && !worth(None, None).acts(10));
    }
}
