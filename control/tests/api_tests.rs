//! Every call of the API is tested for its success, its refusals and its races: `docs/api-tests.md` says by which
//! tests. Here that table is held against the routes and the tests that there are.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use keyward_control::route;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The names of all tests under `folder`.
fn tests(folder: &Path, found: &mut BTreeSet<String>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut lines = text.lines().map(str::trim);
            while let Some(line) = lines.next() {
                if matches!(line, "#[test]" | "#[tokio::test]") {
                    let name = lines.by_ref().find_map(|line| line.split_once("fn ")).map(|(_, rest)| rest);
                    found.extend(name.and_then(|rest| rest.split('(').next()).map(str::to_owned));
                }
            }
        }
    }
}

/// Method and path of a row, and the tests that its other columns name.
fn rows() -> Vec<(String, Vec<Vec<String>>)> {
    let text = fs::read_to_string(root().join("docs/api-tests.md")).unwrap();
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(quoted);
        (cells.next().unwrap().remove(0), cells.collect())
    })
    .collect()
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let routes: BTreeSet<String> = route::all().map(|(method, path)| format!("{method} {path}")).collect();
    let rows: BTreeSet<String> = rows().into_iter().map(|(call, _)| call).collect();
    assert_eq!(rows, routes);
}

#[test]
fn every_test_that_the_table_names_is_there() {
    let mut known = BTreeSet::new();
    for folder in ["control/src", "control/tests", "tests/e2e/tests", "tests/fuzz/tests", "tests/simulator/tests"] {
        tests(&root().join(folder), &mut known);
    }
    assert!(known.len() > 200, "{}", known.len());
    for (call, columns) in rows() {
        let [success, refusals, _races] = columns.as_slice() else { panic!("{call}: four columns") };
        assert!(!success.is_empty() && !refusals.is_empty(), "{call}: no test of its success or of its refusals");
        for name in columns.iter().flatten() {
            assert!(known.contains(name), "{call}: there is no test {name}");
        }
    }
}
