//! The Feed object: what it lists, and its stamps. It follows `control/src/feed/mod.rs`.

use crate::{
    edge::Document,
    mistake::{Mistake, Mistakes},
    scope::{Time, UNIT},
};

/// The stored state, or what an instance remembers of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Feed {
    /// For each change the revision it is listed with; 0: it is not listed.
    pub listed: [u8; 2],
    /// When it was last announced; 0 where it is not listed.
    announced_at: [Time; 2],
    since: Time,
    last_stamp: Time,
}

impl Feed {
    /// A feed that has long been complete, with nothing to list.
    pub const fn new(now: Time) -> Self {
        Self { listed: [0; 2], announced_at: [0; 2], since: now - 100 * UNIT, last_stamp: now }
    }

    /// From when on the list is complete.
    pub const fn since(&self) -> Time {
        self.since
    }

    fn stamp(&mut self, now: Time) -> Time {
        self.last_stamp = now.max(self.last_stamp + 1);
        self.last_stamp
    }

    /// Takes up changes and stamps them above every stamp issued before.
    pub fn announce(&mut self, now: Time, revs: [u8; 2], mistakes: Mistakes) -> Time {
        let announced_at = if mistakes.has(Mistake::StampBelowIssued) { now } else { self.stamp(now) };
        for (number, rev) in revs.into_iter().enumerate().filter(|(_, rev)| *rev > 0) {
            self.listed[number] = self.listed[number].max(rev);
            self.announced_at[number] = announced_at;
        }
        announced_at
    }

    /// The feed as of now, its stamp stored in the same turn.
    pub fn issue(&mut self, now: Time) -> Document {
        let issued_at = self.stamp(now);
        Document { listed: self.listed, since: self.since, issued_at }
    }

    /// Drops what was announced first, as it does with more changes than a feed may list; `false`: there is nothing.
    pub fn forget(&mut self, mistakes: Mistakes) -> bool {
        let listed = || (0..2).filter(|&number| self.listed[number] > 0);
        let Some(dropped) = listed().map(|number| self.announced_at[number]).min() else { return false };
        for number in 0..2 {
            if self.listed[number] > 0 && self.announced_at[number] <= dropped {
                (self.listed[number], self.announced_at[number]) = (0, 0);
            }
        }
        if !mistakes.has(Mistake::SinceNotRaised) {
            self.since = self.since.max(dropped + 1);
        }
        true
    }
}
