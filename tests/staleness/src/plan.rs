//! What is measured: which changes, in which circumstances, how often.

use std::time::Duration;

use keyward_e2e::changes::Change;
use serde::Serialize;

/// The changes of every cell, and how people call them.
pub(crate) const CHANGES: [(Change, &str); 5] = [
    (Change::Revoked, "revoked"),
    (Change::PermissionWithdrawn, "permission withdrawn"),
    (Change::OwnerDeactivated, "owner deactivated"),
    (Change::KeyDeleted, "deleted"),
    (Change::Rotated, "rotated (the old key)"),
];

/// How many edges there are.
pub(crate) const EDGES: usize = 3;
/// How often each key is used at each edge.
pub(crate) const EVERY: Duration = Duration::from_millis(100);

/// How edges learn of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Series {
    /// By reading the store and, where that is too old, by asking the objects.
    Pull,
    /// The Feed object tells them as well.
    Push,
    /// Not at all: they are cut off from the objects while the change is made, the control plane dies with its acknowledgement, and nothing of
    /// the change comes into the store.
    ObjectsUnreachable,
}

impl Series {
    /// What people call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Pull => "without push",
            Self::Push => "with push",
            Self::ObjectsUnreachable => "objects unreachable",
        }
    }
}

/// How long a write to the store takes to arrive at an edge; `None`: it never does.
pub(crate) type Lag = Option<Duration>;

/// `0 s`, `5 min`, `∞`.
pub(crate) fn lag_label(lag: Lag) -> String {
    match lag.map(|lag| lag.as_secs_f64()) {
        None => "∞".into(),
        Some(seconds) if seconds >= 120.0 => format!("{} min", seconds / 60.0),
        Some(seconds) => format!("{seconds} s"),
    }
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The bound; freshness is a third of it.
    pub(crate) bound: Duration,
    /// The lags, each with a system of its own.
    pub(crate) lags: Vec<Lag>,
    /// How often each change is made, by series.
    pub(crate) rounds: [(Series, usize); 3],
}

impl Plan {
    /// The shipped timing.
    pub(crate) fn shipped() -> Self {
        Self::with(180, [(Series::Pull, 5), (Series::Push, 5), (Series::ObjectsUnreachable, 3)])
    }

    /// Everything twenty times as fast, and fewer rounds: for trying.
    pub(crate) fn quick() -> Self {
        Self::with(9, [(Series::Pull, 2), (Series::Push, 2), (Series::ObjectsUnreachable, 1)])
    }

    fn with(bound_s: u32, rounds: [(Series, usize); 3]) -> Self {
        let bound = Duration::from_secs(bound_s.into());
        let scaled = |nominal_s: u32| Some(bound * nominal_s / 180);
        Self { bound, lags: vec![scaled(0), scaled(30), scaled(300), None], rounds }
    }

    /// How old an edge's knowledge may grow before it must ask.
    pub(crate) fn freshness(&self) -> Duration {
        self.bound / 3
    }
}
