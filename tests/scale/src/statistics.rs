//! Medians of many, and how sure a ratio of two of them is.

/// How often the samples are drawn again.
const DRAWS: usize = 2_000;

/// The sample in the middle.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The ratio of two medians with its bootstrap interval of 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Ratio {
    /// `large` against `small`; what takes nothing in both is the same.
    pub(crate) fn of(large: &[f64], small: &[f64]) -> Self {
        let mut draw = fastrand::Rng::with_seed(7);
        let mut again = |samples: &[f64]| {
            let drawn: Vec<f64> = (0..samples.len()).map(|_| samples[draw.usize(..samples.len())]).collect();
            median(&drawn)
        };
        let mut ratios: Vec<f64> = (0..DRAWS).map(|_| ratio(again(large), again(small))).collect();
        ratios.sort_by(f64::total_cmp);
        Self { value: ratio(median(large), median(small)), low: ratios[DRAWS / 40], high: ratios[DRAWS - 1 - DRAWS / 40] }
    }
}

fn ratio(large: f64, small: f64) -> f64 {
    if (large - small).abs() < f64::EPSILON { 1.0 } else { large / small }
}

impl core::fmt::Display for Ratio {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let width = self.high - self.low;
        if width < 0.005 { write!(f, "{:.2}", self.value) } else { write!(f, "{:.2} ({:.2}–{:.2})", self.value, self.low, self.high) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_medians_lies_in_its_interval() {
        let small: Vec<f64> = (0..100).map(|n| 100.0 + f64::from(n % 10)).collect();
        let large: Vec<f64> = small.iter().map(|sample| sample * 2.0).collect();
        let ratio = Ratio::of(&large, &small);
        assert!((ratio.value - 2.0).abs() < 1e-9 && ratio.low <= 2.0 && ratio.high >= 2.0 && ratio.high - ratio.low < 0.1);
        assert_eq!(Ratio::of(&[3.0; 9], &[3.0; 9]).to_string(), "1.00");
        assert_eq!(Ratio::of(&[0.0; 9], &[0.0; 9]).to_string(), "1.00");
    }
}
