//! The table against the list: nothing of it without a case, no case without it, and every test that is named is there.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeSet;

use keyward_bad_inputs::{
    case::{Case, Level, Proof},
    list::{self, wants_raw},
    table, tests_named,
};

/// Lines that no request and answer of the edge's pure code shows, and why.
const NOT_PURE: &[(&str, &str)] = &[
    ("the identity headers sent by a client, in any case, with `_`, repeated, folded", "the gateway's JavaScript removes them"),
    ("an identity header named in `Connection:`", "the gateway's JavaScript reads Connection"),
    ("`Connection: x-foo` with `X-Foo`", "the gateway's JavaScript reads Connection"),
    ("`Content-Length` with `Transfer-Encoding` ◦", "the runtime reads the framing"),
    ("two `Content-Length` ◦", "the runtime reads the framing"),
    ("`Expect: 100-continue` ◦", "the runtime reads the expectation"),
    ("trailers carrying a credential ◦", "the runtime reads trailers"),
    ("the edge's own address as origin (loop)", "needs the real thing twice"),
    ("`X-Forwarded-For` against the network list (only the platform's client address counts)", "the entry's JavaScript finds the address"),
    ("`CF-Connecting-IP` sent by a client on plain workerd", "the entry's JavaScript finds the address"),
    ("never-ending upload (streamed, not buffered)", "bodies do not pass through the pure code"),
    ("5 GB body", "bodies do not pass through the pure code"),
    ("gzip bomb", "bodies do not pass through the pure code"),
    ("client gone mid-body", "bodies do not pass through the pure code"),
    ("origin gone mid-response", "the gateway's JavaScript speaks to the origin"),
    ("origin never answers (504)", "the gateway's JavaScript speaks to the origin"),
    ("WebSocket, then the key revoked (documented: open connections stay)", "the gateway's JavaScript speaks to the origin"),
];

/// Whether a named test runs natively, without the runtime.
fn is_native(file: &str) -> bool {
    !file.starts_with("tests/e2e/")
}

fn has(cases: &[Case], fits: impl Fn(&Case) -> bool) -> bool {
    cases.iter().any(fits)
}

#[test]
fn every_line_of_the_list_is_a_row_of_the_table_and_no_other_is() {
    let listed: Vec<_> =
        list::sections().into_iter().map(|section| (section.heading, section.lines.into_iter().collect::<BTreeSet<_>>())).collect();
    let rows: Vec<_> = table()
        .into_iter()
        .map(|section| {
            let words: Vec<_> = section.rows.iter().map(|row| row.words.to_owned()).collect();
            let set: BTreeSet<_> = words.iter().cloned().collect();
            assert_eq!(set.len(), words.len(), "a line has two rows in {}", section.heading);
            (section.heading.to_owned(), set)
        })
        .collect();
    for ((heading, listed), (of_table, rows)) in listed.iter().zip(&rows) {
        assert_eq!(heading, of_table);
        assert_eq!(listed.difference(rows).collect::<Vec<_>>(), Vec::<&String>::new(), "lines of {heading} without a row");
        assert_eq!(rows.difference(listed).collect::<Vec<_>>(), Vec::<&String>::new(), "rows of {heading} that are no line");
    }
    assert_eq!(listed.len(), rows.len());
}

#[test]
fn every_row_is_tried_against_the_pure_code_and_the_real_runtime() {
    for section in table() {
        for row in section.rows {
            assert!(!row.cases.is_empty(), "nothing tries: {}", row.words);
            let runtime = |case: &Case| match &case.proof {
                Proof::Test { file, .. } => !is_native(file),
                Proof::Edge(_) | Proof::Control(_) => {
                    !(case.runs_at(Level::Pure) && !case.runs_at(Level::Runtime) && !case.runs_at(Level::Raw))
                }
            };
            let pure = |case: &Case| case.runs_at(Level::Pure) || matches!(&case.proof, Proof::Test { file, .. } if is_native(file));
            let native_only = section.heading == "Control";
            assert!(native_only || has(&row.cases, runtime), "nothing tries in the real runtime: {}", row.words);
            let excused = NOT_PURE.iter().any(|(words, _)| *words == row.words);
            assert!(native_only || excused || has(&row.cases, pure), "nothing tries against the pure code: {}", row.words);
        }
    }
    let rows: BTreeSet<_> = table().into_iter().flat_map(|section| section.rows).map(|row| row.words).collect();
    for (words, _) in NOT_PURE {
        assert!(rows.contains(words), "no row: {words}");
    }
}

#[test]
fn every_row_with_the_mark_is_tried_over_a_raw_socket() {
    for row in table().into_iter().flat_map(|section| section.rows).filter(|row| wants_raw(row.words)) {
        assert!(has(&row.cases, |case| case.runs_at(Level::Raw)), "nothing tries over a raw socket: {}", row.words);
    }
}

#[test]
fn every_case_has_a_name_of_its_own_and_runs_somewhere() {
    for section in table() {
        let mut names = BTreeSet::new();
        for row in section.rows {
            for case in row.cases {
                assert!(names.insert(case.name.clone()), "two cases of {} are called: {}", section.heading, case.name);
                let levels = [Level::Pure, Level::Runtime, Level::Raw, Level::Control];
                let runs = levels.iter().any(|level| case.runs_at(*level)) || matches!(case.proof, Proof::Test { .. });
                assert!(runs, "runs nowhere: {}", case.name);
            }
        }
    }
}

#[test]
fn every_test_that_a_case_names_is_there() {
    let mut missing = Vec::new();
    for case in table().into_iter().flat_map(|section| section.rows).flat_map(|row| row.cases) {
        if let Proof::Test { file, name } = case.proof {
            missing.extend(tests_named::find(file, name).err());
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
