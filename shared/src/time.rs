//! Points in time and durations as whole milliseconds. No clock: whoever needs "now" is given it.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, or a duration in milliseconds. Arithmetic saturates: a stamp
/// can be wrong, it cannot wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// `seconds` as milliseconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or zero where `other` is larger.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// A clock's reading in milliseconds as a float, as JavaScript's `Date.now()` gives it. Negative and
    /// non-numbers become zero.
    pub fn from_js(ms: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates, NaN becomes 0
        Self(ms as u64)
    }
}
