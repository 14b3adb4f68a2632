//! What Keyward is tried with because somebody will send it: `list.md`, a line for each family, and here a table with a case for each line.
//!
//! The table is data: what is sent ([`case`], with the credentials of [`words`] as placeholders) and what must come of it. Each case says at
//! which levels it runs: against the pure code ([`pure`], natively), against the real runtime through an HTTP library, over a raw socket, and
//! against the control plane (those three in `tests/e2e/tests/bad_inputs`). Where only another test can show something (an outage, a stream, a
//! race), the case names that test, and [`tests_named`] finds out whether it is there.
//!
//! Besides what a case says, each level checks what holds for every refusal: the challenge, a body that does not vary with what was sent,
//! `no-store`, and no read about a key unless the case allows one.

#![expect(clippy::expect_used, clippy::panic, clippy::missing_panics_doc, reason = "a test fails by panicking")]
#![expect(clippy::return_self_not_must_use, reason = "a case that is not put into the table runs nowhere, which its row shows")]

mod control;
mod credentials;
mod paths;
mod smuggling;
mod state;

pub mod case;
pub mod list;
pub mod pure;
pub mod tests_named;
pub mod words;

use case::{Case, Level, Row};

/// A part of the list, under its heading.
#[derive(Debug)]
pub struct Section {
    /// The heading, up to a parenthesis.
    pub heading: &'static str,
    /// Its lines in order, each with its cases.
    pub rows: Vec<Row>,
}

/// The whole table.
pub fn table() -> Vec<Section> {
    vec![
        Section { heading: "Credentials", rows: credentials::rows() },
        Section { heading: "Paths and methods", rows: paths::rows() },
        Section { heading: "Smuggling and spoofing", rows: smuggling::rows() },
        Section { heading: "Bodies, state, caches", rows: state::rows() },
        Section { heading: "Control", rows: control::rows() },
    ]
}

/// All cases that run at `level`.
pub fn cases(level: Level) -> Vec<Case> {
    table().into_iter().flat_map(|section| section.rows).flat_map(|row| row.cases).filter(|case| case.runs_at(level)).collect()
}
