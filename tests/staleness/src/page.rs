//! The page that shows a run: `docs/staleness.md`.

use std::thread::available_parallelism;

use crate::{
    plan::{EVERY, Series},
    report::{Report, seconds},
};

/// The page in Markdown; `month` says when it was measured.
pub(crate) fn markdown(report: &Report, month: &str) -> String {
    let Report { bound_s, freshness_s, edges, .. } = report;
    let processors = available_parallelism().map_or(0, usize::from);
    let every = EVERY.as_millis();
    let finding = |series: Series| Some(format!("- **{}**: at most {}", series.title(), seconds(report.worst(series)?)));
    let findings: Vec<String> = [Series::Pull, Series::Push, Series::ObjectsUnreachable].into_iter().filter_map(finding).collect();
    let findings = findings.join("\n");
    let push = if report.push { "" } else { "The series with push was not measured: this build has no push.\n\n" };
    format!(
        "# How stale an edge can be, measured

Made by `cargo xtask staleness --docs docs`; do not edit. The real runtime, the shipped timing (freshness {freshness_s} s, bound {bound_s} s) and
{edges} edges, each with its own view of the store, which is behind by the lag: up to five minutes, and for ever. Each key is in use at
every edge every {every} ms, before the change and after it. What is measured is the time from the acknowledgement of a change until the
last edge keeps the key out. {month}, {processors} processors shared with other work.

![Times by circumstance](staleness.svg)

{findings}

{push}Without push an edge with traffic reads the feed in the store every 10 s, and asks the Feed object itself once the feed that it has is half
as old as freshness: a store that lags costs that much, however far it is behind.

In the series with the objects unreachable the edges are cut off from them while the change is made, the control plane is killed the
moment it has acknowledged, and nothing of the change comes into the store. All that is left is the bound, less the 5 s that edges leave
for clocks, less the age that their knowledge had.

The run fails if a key is let in after the bound, refused before the change, or let in after it was refused.

{}",
        report.table()
    )
}
