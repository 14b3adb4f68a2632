//! How large a world is explored: which changes are made, how the clocks go, how much may go wrong, and for how long.

use core::fmt;

/// A time or a span, in moments; [`UNIT`] moments are one tick of the model's clock.
pub type Time = i16;

/// Moments per tick. Between two ticks there is room for a few stamps, so that "strictly above" costs no tick.
pub const UNIT: Time = 8;

/// When every history begins.
pub const START: Time = 4 * UNIT;

/// The four times of the promise. Only their order and the sums that the code makes of them matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How far a clock may be from true time.
    pub skew: Time,
    /// How much earlier than its reading a record is dated.
    pub as_of_margin: Time,
    /// How old an edge's knowledge may grow before it must ask.
    pub freshness: Time,
    /// After how long a change is in effect whatever fails.
    pub bound: Time,
}

impl Timing {
    /// The smallest numbers in the order of the real ones: skew 1, margin 2, freshness 3, bound 5.
    pub const SMALL: Self = Self::ticks(1, 2, 3, 5);
    /// Numbers with room for every clock, as the real ones have: freshness above margin and three skews.
    pub const ROOMY: Self = Self::ticks(1, 2, 6, 8);

    /// The times, each in ticks.
    pub const fn ticks(skew: Time, as_of_margin: Time, freshness: Time, bound: Time) -> Self {
        Self { skew: skew * UNIT, as_of_margin: as_of_margin * UNIT, freshness: freshness * UNIT, bound: bound * UNIT }
    }

    /// Whether what an object says is fresh at every edge, however their clocks are set.
    pub const fn answers_are_fresh(&self) -> bool {
        self.freshness > self.as_of_margin + 3 * self.skew
    }
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The key is made. Nobody is told: without a record the edge asks.
    Create,
    /// The owner loses a permission or may no longer act: the owner's keys are marked by a sweep.
    OwnerLoses,
    /// The key is revoked: its record stays.
    Revoke,
    /// The key is deleted: its record goes.
    Delete,
}

impl Kind {
    /// Whether the change takes something away, and so is announced.
    pub const fn takes(self) -> bool {
        !matches!(self, Self::Create)
    }
}

/// The row of the key: which of the changes have been made to it, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(pub u8);

impl Row {
    /// Whether change `number` has been made.
    pub const fn has(self, number: usize) -> bool {
        self.0 & (1 << number) != 0
    }

    /// The row after change `number`.
    #[must_use]
    pub const fn with(self, number: usize) -> Self {
        Self(self.0 | (1 << number))
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row{}", self.0)
    }
}

/// How far each clock is from true time, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clocks {
    /// The shard's instance, and the one that takes its place.
    pub shard: [i8; 2],
    /// The feed's instance, and the one that takes its place.
    pub feed: [i8; 2],
    /// The edges.
    pub edges: [i8; 2],
}

impl Clocks {
    /// Every combination of clocks that are as slow or as fast as they may be. The edges are alike, so only one of two
    /// mirrored combinations is among them.
    pub fn corners() -> Vec<Self> {
        let ends = [-1, 1];
        let pairs = || ends.into_iter().flat_map(move |a| ends.into_iter().map(move |b| [a, b]));
        let edges = || pairs().filter(|pair| pair[0] <= pair[1]);
        pairs().flat_map(|shard| pairs().flat_map(move |feed| edges().map(move |edges| Self { shard, feed, edges }))).collect()
    }

    /// The combinations that make knowledge look freshest: slow edges, a shard that is fast, a feed that is slow, and the same where
    /// an instance moves to a clock at the other end.
    pub fn worst() -> Vec<Self> {
        let slow = [-1, -1];
        vec![
            Self { shard: [1, 1], feed: slow, edges: slow },
            Self { shard: [1, -1], feed: [1, -1], edges: slow },
            Self { shard: [-1, 1], feed: slow, edges: [-1, 1] },
        ]
    }
}

/// Whether records are put into the store step by step. Edges can read every record that was ever sealed, put or not, so without
/// these steps they know no less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publishing {
    /// What becomes of the store is not explored.
    Left,
    /// Records are put because they changed.
    Changes,
    /// Records are also put because an edge, of the many that are not modelled, had to ask.
    ChangesAndQuestions,
}

/// The world to explore.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The times.
    pub timing: Timing,
    /// The changes that are made, in any order, at any time.
    pub changes: Vec<Kind>,
    /// Within how many ticks from the start they are made. What comes before a change only lets knowledge age.
    pub changes_within: Time,
    /// The clocks: a world of its own for each entry.
    pub clocks: Vec<Clocks>,
    /// How many ticks a history has.
    pub ticks: Time,
    /// Whether the way of records to the store is explored.
    pub publishing: Publishing,
    /// How many reads change what the edges know, both together.
    pub reads: u8,
    /// How many instances of objects are displaced, both objects together.
    pub restarts: u8,
    /// How many announcements are not answered in time. Each is stamped when it arrives all the same, so without an end to them
    /// there would be no end of stamps.
    pub unanswered: u8,
    /// Whether the feed may forget the change that it announced first.
    pub forgets: bool,
    /// Whether a read may give any stamp between the first and the freshest of a content, not only the freshest that is believed.
    pub every_stamp: bool,
}

impl Scope {
    /// The change with this number.
    pub fn kind(&self, number: usize) -> Option<Kind> {
        self.changes.get(number).copied()
    }

    /// The changes that take something away.
    pub fn taking(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.changes.len()).filter(|&number| self.changes[number].takes())
    }

    /// Whether there is a key, and so a record.
    pub fn exists(&self, row: Row) -> bool {
        self.changes.iter().enumerate().all(|(number, kind)| match kind {
            Kind::Create => row.has(number),
            Kind::Delete => !row.has(number),
            Kind::OwnerLoses | Kind::Revoke => true,
        })
    }

    /// Whether a record with this content lets the key pass.
    pub fn passes(&self, row: Row) -> bool {
        self.exists(row) && self.taking().all(|number| !row.has(number))
    }
}
