//! What is to be reached, row by row, and whether it is: the lower end of the interval is at or under the limit.

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};

use crate::{
    run::{Measured, Sample},
    statistics::Interval,
};

/// One row.
#[derive(Clone, Debug)]
pub struct Target {
    /// What is compared; also its name in the JSON object.
    pub what: &'static str,
    /// At most this.
    pub limit: f64,
    /// What of: `×`, `µs`, `KB`.
    pub unit: &'static str,
    /// What was measured; `None` where the cells were left out.
    pub measured: Option<Interval>,
}

impl Target {
    /// Whether it is reached; `None` where it was not measured.
    pub fn is_reached(&self) -> Option<bool> {
        self.measured.map(|measured| measured.low <= self.limit)
    }
}

/// A ratio of two cells in the same round.
struct Ratio(&'static str, f64, &'static str, &'static str, fn(&Sample) -> f64);

const CPU: fn(&Sample) -> f64 = |sample| sample.cpu_us;
const START: fn(&Sample) -> f64 = |sample| sample.start_ms;

const RATIOS: [Ratio; 10] = [
    Ratio("warm verify (forward-auth, 200), CPU against the JavaScript constant", 1.25, "keyward-verify", "constant", CPU),
    Ratio("warm verify against the same verifier in JavaScript", 1.0, "keyward-verify", "javascript-verify", CPU),
    Ratio("gateway against a JavaScript Worker that only forwards", 1.30, "keyward-gateway", "forward", CPU),
    Ratio("gateway against the same gateway in JavaScript", 0.85, "keyward-gateway", "javascript-gateway", CPU),
    Ratio("cold verify (one KV read) against JavaScript with one KV read", 1.0, "keyward-cold", "javascript-cold", CPU),
    Ratio("warm verify against workers-oauth-provider", 0.3, "keyward-verify", "oauth-provider", CPU),
    Ratio("warm verify against better-auth", 0.12, "keyward-verify", "better-auth", CPU),
    Ratio("gateway against workers-oauth-provider", 0.65, "keyward-gateway", "oauth-provider-gateway", CPU),
    Ratio("gateway against better-auth", 0.25, "keyward-gateway", "better-auth-gateway", CPU),
    Ratio("runtime start to first answer, against a JavaScript constant", 1.2, "keyward-verify", "constant", START),
];

/// All rows that one run can measure. `wasm_kb` is the size of the edge's WebAssembly, gzipped.
pub fn targets(measured: &Measured, wasm_kb: f64) -> Vec<Target> {
    let mut targets: Vec<Target> = RATIOS
        .iter()
        .map(|Ratio(what, limit, cell, reference, figure)| Target {
            what,
            limit: *limit,
            unit: "×",
            measured: ratio(measured, cell, reference, *figure),
        })
        .collect();
    let decision = (!measured.decisions.is_empty()).then(|| Interval::of(&measured.decisions));
    targets.push(Target {
        what: "a warm decision inside wasm: parse, digest, cache, feed, policy of 100 rules",
        limit: 0.6,
        unit: "µs",
        measured: decision,
    });
    targets.push(Target { what: "edge wasm, gzip", limit: 80.0, unit: "KB", measured: Some(Interval::of(&[wasm_kb])) });
    targets
}

/// A figure of one cell against that of another, round by round.
pub fn ratio(measured: &Measured, cell: &str, reference: &str, figure: fn(&Sample) -> f64) -> Option<Interval> {
    let figures = |name: &str| Some(measured.cells.get(name)?.iter().map(figure).collect::<Vec<f64>>());
    Some(Interval::of_ratios(&figures(cell)?, &figures(reference)?))
}

/// The size of a file as it is transferred, in kilobytes of 1,000 bytes.
pub fn gzipped_kb(path: &Path) -> Result<f64> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {} (run `cargo xtask build`)", path.display()))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    Ok(f64::from(u32::try_from(encoder.finish()?.len())?) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_reached_when_the_lower_end_of_its_interval_is() {
        let row = |value, low, high| Target { what: "", limit: 1.0, unit: "×", measured: Some(Interval { value, low, high }) };
        assert_eq!(row(1.1, 1.0, 1.2).is_reached(), Some(true));
        assert_eq!(row(1.1, 1.01, 1.2).is_reached(), Some(false));
        assert_eq!(Target { measured: None, ..row(0.0, 0.0, 0.0) }.is_reached(), None);
    }

    #[test]
    fn a_row_without_its_cells_is_not_measured() {
        assert!(targets(&Measured::default(), 81.0).iter().all(|target| target.is_reached().is_none_or(|reached| !reached)));
        assert_eq!(targets(&Measured::default(), 80.0).last().unwrap().is_reached(), Some(true));
    }
}
