//! What was measured, as numbers: one row for each series, lag and change.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use crate::{
    measure::Sample,
    plan::{CHANGES, EDGES, Lag, Plan, Series, lag_label},
};

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The bound in seconds.
    pub(crate) bound_s: f64,
    /// Freshness in seconds.
    pub(crate) freshness_s: f64,
    /// How many edges there were.
    pub(crate) edges: usize,
    /// Whether this build has push, and so a series with it.
    pub(crate) push: bool,
    /// How long the run took.
    pub(crate) took_s: u64,
    /// One for each series, lag and change.
    pub(crate) rows: Vec<Row>,
}

/// One change in one circumstance.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// How edges learn of it.
    pub(crate) series: Series,
    /// The store's lag in seconds; `null`: nothing ever arrives.
    pub(crate) lag_s: Option<f64>,
    /// What was done.
    pub(crate) change: &'static str,
    /// Seconds from the acknowledgement until the last edge kept the key out, in ascending order.
    pub(crate) samples: Vec<f64>,
}

impl Report {
    /// An empty report.
    pub(crate) fn new(plan: &Plan) -> Self {
        let (bound_s, freshness_s) = (plan.bound.as_secs_f64(), plan.freshness().as_secs_f64());
        Self { bound_s, freshness_s, edges: EDGES, push: false, took_s: 0, rows: Vec::new() }
    }

    /// Adds what one cell gave.
    pub(crate) fn add(&mut self, series: Series, lag: Lag, samples: &[Sample]) {
        self.push |= series == Series::Push;
        for (change, title) in CHANGES {
            let of_change = samples.iter().filter(|sample| sample.change == change);
            let mut samples: Vec<f64> = of_change.map(|sample| sample.seconds).collect();
            samples.sort_by(f64::total_cmp);
            self.rows.push(Row { series, lag_s: lag.map(|lag| lag.as_secs_f64()), change: title, samples });
        }
        // Systems end in any order.
        let place = |row: &Row| CHANGES.iter().position(|(_, title)| *title == row.change);
        let lag = |row: &Row| row.lag_s.unwrap_or(f64::INFINITY);
        self.rows.sort_by(|a, b| a.series.cmp(&b.series).then(lag(a).total_cmp(&lag(b))).then(place(a).cmp(&place(b))));
    }

    /// The longest of all times in a series, in seconds.
    pub(crate) fn worst(&self, series: Series) -> Option<f64> {
        self.rows.iter().filter(|row| row.series == series).map(Row::max).max_by(f64::total_cmp)
    }

    /// The rows as a table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text =
            "| how edges learn of it | store's lag | change | n | median | longest |\n| --- | --- | --- | ---: | ---: | ---: |\n"
                .to_owned();
        for row in &self.rows {
            let (series, lag, n) = (row.series.title(), row.lag(), row.samples.len());
            let line = format!("| {series} | {lag} | {} | {n} | {} | {} |", row.change, seconds(row.median()), seconds(row.max()));
            let _ = writeln!(text, "{line}"); // a String takes everything
        }
        text
    }
}

impl Row {
    /// The lag as people write it.
    pub(crate) fn lag(&self) -> String {
        lag_label(self.lag_s.map(Duration::from_secs_f64))
    }

    /// The sample in the middle; of an even number, the later of the two.
    pub(crate) fn median(&self) -> f64 {
        self.samples.get(self.samples.len() / 2).copied().unwrap_or_default()
    }

    /// The longest.
    pub(crate) fn max(&self) -> f64 {
        self.samples.last().copied().unwrap_or_default()
    }
}

/// `0.3 s`, `12.0 s`.
pub(crate) fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

#[cfg(test)]
mod tests {
    use keyward_e2e::changes::Change;

    use super::*;

    #[test]
    fn rows_are_sorted_and_summed_up() {
        let mut report = Report::new(&Plan::shipped());
        let samples = |seconds: &[f64]| seconds.iter().map(|&seconds| Sample { change: Change::Revoked, seconds }).collect::<Vec<_>>();
        report.add(Series::Pull, None, &samples(&[3.0, 1.0, 2.0]));
        report.add(Series::Pull, Some(Duration::from_mins(5)), &samples(&[9.0]));
        let table = report.table();
        let lines: Vec<&str> = table.lines().filter(|line| line.contains("| revoked |")).collect();
        assert_eq!(lines, ["| without push | 5 min | revoked | 1 | 9.0 s | 9.0 s |", "| without push | ∞ | revoked | 3 | 2.0 s | 3.0 s |"]);
        assert_eq!((report.worst(Series::Pull), report.worst(Series::Push), report.push), (Some(9.0), None, false));
    }
}
