//! Runs that once broke an invariant, made short and kept: each must hold now, and go on holding.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use keyward_simulator::{run, script::Script};

fn kept() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("failures")
}

fn replay(name: &str) {
    let text = fs::read_to_string(kept().join(format!("{name}.json"))).unwrap();
    let script: Script = serde_json::from_str(&text).unwrap();
    let outcome = run(&script);
    assert_eq!(outcome.violation, None);
    assert!(outcome.steps > 0);
}

macro_rules! kept {
    ($($(#[$about:meta])* $name:ident)*) => {
        $($(#[$about])* #[test] fn $name() { replay(stringify!($name)); })*

        #[test]
        fn every_kept_run_is_a_test() {
            let mut files: Vec<String> = fs::read_dir(kept()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            files.sort();
            let mut tests = vec![$(concat!(stringify!($name), ".json").to_owned()),*];
            tests.sort();
            assert_eq!(files, tests);
        }
    };
}

kept! {
    /// An owner was deleted and made again: the records of the old, revoked keys still called the owner inactive.
    owner_made_again
    /// A change came while a request for a cold key was under way, between the authority's answer and the decision: it was
    /// answered 503 although nothing had failed.
    change_during_a_cold_request
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    let script = Script::generate(7, 300);
    assert_eq!(script, Script::generate(7, 300));
    let (first, second) = (run(&script), run(&script));
    assert_eq!((first.steps, &first.counts, first.violation), (second.steps, &second.counts, None));
}
