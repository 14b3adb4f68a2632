//! Ratios of what was measured in the same round, and how sure they are.

/// How often the rounds are drawn again.
const DRAWS: usize = 5_000;

/// The value in the middle; of an even number, halfway between the two.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => f64::NAN,
        (middle, 1) => sorted[middle],
        (middle, _) => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The value below which `share` of the samples are.
pub fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a list")]
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// A median of rounds with its bootstrap interval of 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The median of the rounds.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Of values, one of each round.
    pub fn of(rounds: &[f64]) -> Self {
        let value = median(rounds);
        if rounds.len() < 2 {
            return Self { value, low: value, high: value };
        }
        let mut random = fastrand::Rng::with_seed(7);
        let mut again = || {
            let drawn: Vec<f64> = (0..rounds.len()).map(|_| rounds[random.usize(..rounds.len())]).collect();
            median(&drawn)
        };
        let medians: Vec<f64> = (0..DRAWS).map(|_| again()).collect();
        Self { value, low: quantile(&medians, 0.025), high: quantile(&medians, 0.975) }
    }

    /// Of `above` against `below`, round by round: what slows one round down slows both.
    pub fn of_ratios(above: &[f64], below: &[f64]) -> Self {
        let ratios: Vec<f64> = above.iter().zip(below).map(|(above, below)| above / below).collect();
        Self::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert!(close(median(&[3.0, 1.0, 2.0]), 2.0) && close(median(&[4.0, 1.0, 2.0, 3.0]), 2.5) && median(&[]).is_nan());
        assert!(close(quantile(&[1.0, 2.0, 3.0, 4.0], 0.99), 4.0) && close(quantile(&[4.0, 3.0, 2.0, 1.0], 0.0), 1.0));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The second round was three times as slow for both.
        let ratio = Interval::of_ratios(&[120.0, 360.0, 121.0], &[100.0, 300.0, 100.0]);
        assert!(close(ratio.value, 1.2) && close(ratio.low, 1.2) && ratio.high <= 1.21, "{ratio:?}");
    }

    #[test]
    fn an_interval_holds_the_median_and_narrows_with_agreement() {
        let wide = Interval::of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert!(wide.low < wide.value && wide.value < wide.high && close(wide.value, 5.0), "{wide:?}");
        let agreed = Interval::of(&[2.0; 9]);
        assert!(close(agreed.low, 2.0) && close(agreed.high, 2.0));
        assert_eq!(Interval::of(&[1.0, 2.0, 3.0]), Interval::of(&[1.0, 2.0, 3.0]), "the same draws each time");
        let one = Interval::of(&[3.0]);
        assert!(close(one.low, 3.0) && close(one.high, 3.0));
    }
}
