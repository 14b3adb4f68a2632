//! The deployment's times, all derived from two numbers: freshness and bound.
//!
//! At the shipped 60 s and 180 s the others are round; smaller ones shrink them in proportion, so that a
//! test of the whole promise takes seconds.

use thiserror::Error;

use crate::time::Millis;

/// The bound at which the derived times have the values that their fields name.
const NOMINAL_BOUND_MS: u64 = 180_000;

/// Why two numbers are no timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TimingError {
    /// Not a number of seconds.
    #[error("must be a number of seconds")]
    NotANumber,
    /// A bound under five seconds or over a day.
    #[error("REVOCATION_BOUND_S must be between 5 and 86400 seconds")]
    Bound,
    /// Freshness of zero, or above the bound.
    #[error("FRESHNESS_S must be at least 1 second and at most REVOCATION_BOUND_S")]
    Freshness,
}

/// How old knowledge may be, and how often the parts talk to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How old the edge's knowledge may grow before it must ask.
    pub freshness: Millis,
    /// The longest time for which a change can stay without effect at any edge, whatever fails.
    pub bound: Millis,
    /// How far two clocks may be apart: 5 s.
    pub skew: Millis,
    /// How much earlier than its reading a record is dated: 10 s, twice the skew, so that a record never
    /// claims to be newer than a change that it lacks.
    pub as_of_margin: Millis,
    /// How often an isolate with traffic reads the feed: 10 s.
    pub poll: Millis,
    /// How often the Feed object publishes while somebody asks: 15 s.
    pub heartbeat: Millis,
    /// For how long after the last question the Feed object goes on publishing: 10 min.
    pub asked_window: Millis,
    /// The least time between two publications of a feed or two puts of one key: 1 s.
    pub put_interval: Millis,
    /// After how long a changed record is put a second time, because an earlier put may arrive late: 90 s.
    pub put_again: Millis,
    /// How often an isolate reports "last used": 30 s.
    pub usage_report: Millis,
}

impl Timing {
    /// Derives the times from `freshness` and `bound`.
    pub fn new(freshness: Millis, bound: Millis) -> Result<Self, TimingError> {
        if !(5_000..=86_400_000).contains(&bound.0) {
            return Err(TimingError::Bound);
        }
        if freshness.0 < 1_000 || freshness > bound {
            return Err(TimingError::Freshness);
        }
        let scale = NOMINAL_BOUND_MS.min(bound.0).min(freshness.0 * 3);
        let scaled = |nominal_ms: u64| Millis((nominal_ms * scale / NOMINAL_BOUND_MS).max(1));
        Ok(Self {
            freshness,
            bound,
            skew: scaled(5_000),
            as_of_margin: scaled(10_000),
            poll: scaled(10_000),
            heartbeat: scaled(15_000),
            asked_window: scaled(600_000),
            put_interval: scaled(1_000),
            put_again: scaled(90_000),
            usage_report: scaled(30_000),
        })
    }

    /// Reads the two settings `FRESHNESS_S` and `REVOCATION_BOUND_S`: seconds, up to three decimals allowed.
    pub fn parse(freshness_s: &str, bound_s: &str) -> Result<Self, TimingError> {
        let millis = |text: &str| millis(text.trim()).ok_or(TimingError::NotANumber);
        Self::new(millis(freshness_s)?, millis(bound_s)?)
    }
}

/// `12`, `0.5`, `1.125`: seconds with at most three decimals.
fn millis(text: &str) -> Option<Millis> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 || whole.len() > 9 {
        return None;
    }
    let thousandths = (0..3).fold(0, |sum, at| sum * 10 + decimals.as_bytes().get(at).map_or(0, |digit| u64::from(digit - b'0')));
    Some(Millis(whole.parse::<u64>().ok()? * 1000 + thousandths))
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            freshness: Millis(60_000),
            bound: Millis(NOMINAL_BOUND_MS),
            skew: Millis(5_000),
            as_of_margin: Millis(10_000),
            poll: Millis(10_000),
            heartbeat: Millis(15_000),
            asked_window: Millis(600_000),
            put_interval: Millis(1_000),
            put_again: Millis(90_000),
            usage_report: Millis(30_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_numbers_are_the_defaults_and_smaller_bounds_shrink_them() {
        assert_eq!(Timing::parse("60", "180"), Ok(Timing::default()));
        let quick = Timing::parse("2", "6").unwrap();
        assert_eq!((quick.poll, quick.skew, quick.heartbeat), (Millis(333), Millis(166), Millis(500)));
        let uneven = Timing::parse("1.25", "5.005").unwrap();
        assert_eq!((uneven.freshness, uneven.bound), (Millis(1_250), Millis(5_005)));
        let slow = Timing::parse("60", "600").unwrap();
        assert_eq!((slow.poll, slow.skew), (Millis(10_000), Millis(5_000)));
    }

    #[test]
    fn impossible_times_are_refused() {
        for (freshness, bound, error) in [
            ("x", "180", TimingError::NotANumber),
            ("-1", "180", TimingError::NotANumber),
            ("NaN", "180", TimingError::NotANumber),
            ("1.", "180", TimingError::NotANumber),
            (".5", "180", TimingError::NotANumber),
            ("1.0005", "180", TimingError::NotANumber),
            ("1e3", "180", TimingError::NotANumber),
            ("1.x", "180", TimingError::NotANumber),
            ("1", "1000000000", TimingError::NotANumber),
            ("1", "999999999", TimingError::Bound),
            ("1", "4", TimingError::Bound),
            ("1", "90000", TimingError::Bound),
            ("1", "4.999", TimingError::Bound),
            ("1", "86400.001", TimingError::Bound),
            ("0.5", "180", TimingError::Freshness),
            ("0.999", "180", TimingError::Freshness),
            ("180.001", "180", TimingError::Freshness),
            ("181", "180", TimingError::Freshness),
        ] {
            assert_eq!(Timing::parse(freshness, bound), Err(error), "{freshness} {bound}");
        }
        for (freshness, bound) in [("1", "5"), ("5", "5"), ("1", "86400"), ("86400", "86400")] {
            assert!(Timing::parse(freshness, bound).is_ok(), "{freshness} {bound}");
        }
    }
}
