//! Makes a failing run short: leaves out operations, in ever smaller groups, as long as the same invariant is still
//! broken.

use std::time::{Duration, Instant};

use crate::{Outcome, run, script::Script};

/// The shortest run found within `limit` that still breaks the invariant that `script` breaks.
pub fn shrink(script: &Script, limit: Duration) -> (Script, Outcome) {
    let (begun, mut best, mut outcome) = (Instant::now(), script.clone(), run(script));
    let Some(first) = outcome.violation.clone() else { return (best, outcome) };
    // Nothing after the violation matters.
    best.ops.retain(|(at, _)| *at <= first.at);
    let mut size = best.ops.len().div_ceil(2);
    while size > 0 && begun.elapsed() < limit {
        let (mut start, mut shorter) = (0, false);
        while start < best.ops.len() && begun.elapsed() < limit {
            let mut tried = best.clone();
            tried.ops.drain(start..(start + size).min(tried.ops.len()));
            let again = run(&tried);
            if again.violation.as_ref().is_some_and(|violation| violation.invariant == first.invariant) {
                (best, outcome, shorter) = (tried, again, true);
            } else {
                start += size;
            }
        }
        if size == 1 && !shorter {
            break;
        }
        size = if shorter && size == 1 { 1 } else { size / 2 };
    }
    (best, outcome)
}
