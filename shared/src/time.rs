//! Points in time and durations as whole milliseconds. No clock: whoever needs "now" is given it.

use serde::{Deserialize, Serialize};

use crate::json::{Fault, FromJson, Reader};

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

impl FromJson for Millis {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.number().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let most = Millis(u64::MAX);
        assert_eq!((Millis(7).plus(Millis(3)), Millis(7).minus(Millis(3))), (Millis(10), Millis(4)));
        assert_eq!((most.plus(Millis(1)), Millis(3).minus(Millis(7)), Millis::from_secs(u64::MAX)), (most, Millis(0), most));
        assert_eq!((Millis::from_secs(2), Millis(2_999).as_secs()), (Millis(2_000), 2));
    }

    #[test]
    fn a_javascript_clock_is_read_and_nonsense_is_zero() {
        for (ms, read) in [(1_795_000_000_000.9, 1_795_000_000_000), (0.0, 0), (-1.0, 0), (f64::NAN, 0), (f64::INFINITY, u64::MAX)] {
            assert_eq!(Millis::from_js(ms), Millis(read), "{ms}");
        }
    }
}
