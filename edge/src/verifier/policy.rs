//! The route policy that the isolate holds, judged fresh like a record. One that cannot be read or used is
//! not taken, so the last good one stays.

use std::rc::Rc;

use keyward_shared::{
    feed::Subject,
    policy::{CompiledPolicy, StoredPolicy},
    secret::SecretList,
    time::Millis,
    timing::Timing,
};

use super::{cache::Standing, feeds::Latest};

/// How the policy may be used.
#[derive(Clone, Debug)]
pub enum PolicyStanding {
    /// Known true within the bound.
    Usable(Rc<CompiledPolicy>),
    /// The last one known, but too old: only what needs no key may pass by it.
    Outdated(Rc<CompiledPolicy>),
    /// None was ever read.
    Unknown,
}

#[derive(Debug, Default)]
pub(super) struct HeldPolicy {
    held: Option<(u64, Millis)>,
    standing: Option<Standing>,
    judged_by: u32,
    compiled: Rc<CompiledPolicy>,
}

impl HeldPolicy {
    /// Takes a newer policy; `false` where the text is not to be believed.
    pub(super) fn take(&mut self, secrets: &SecretList, text: &str, now: Millis, timing: &Timing) -> bool {
        let Ok(stored) = StoredPolicy::open(secrets, text) else { return false };
        if stored.as_of > now.plus(timing.skew) {
            return false;
        }
        let newer = (stored.rev, stored.as_of);
        if self.held.is_some_and(|held| held > newer) {
            return true;
        }
        if self.held.is_none_or(|(rev, _)| rev != stored.rev) {
            self.compiled = Rc::new(CompiledPolicy::new(&stored.policy));
        }
        self.held = Some(newer);
        self.standing = Some(Standing::KnownTrue(stored.as_of));
        self.judged_by = 0;
        true
    }

    /// How the held policy stands against the latest feed of group 0, which tells of policies.
    pub(super) fn standing(&mut self, latest: Option<&Latest>) -> Option<Standing> {
        let (rev, as_of) = self.held?;
        if let (Some(latest), Some(Standing::KnownTrue(at))) = (latest, self.standing)
            && latest.generation != self.judged_by
        {
            self.judged_by = latest.generation;
            let changed = latest.feed.rev_of(Subject::policy()).is_some_and(|changed| changed > rev);
            self.standing = Some(if changed {
                Standing::Contradicted
            } else if latest.feed.since <= as_of {
                Standing::KnownTrue(at.max(latest.feed.issued_at))
            } else {
                Standing::KnownTrue(at)
            });
        }
        self.standing
    }

    pub(super) fn compiled(&self) -> Rc<CompiledPolicy> {
        Rc::clone(&self.compiled)
    }
}
