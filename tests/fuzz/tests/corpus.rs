//! Every input of the corpus through its target: what continuous integration runs of the fuzz targets.
#![allow(clippy::unwrap_used, clippy::panic)] // what cannot be read is a failure of the test

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use keyward_fuzz::TARGETS;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names in `folder`, without their extensions.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(here().join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = here().join("corpus").join(target);
    let mut inputs: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("the target {target} has no corpus: {}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn every_property_holds_of_every_input_of_the_corpus() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let inputs = inputs(name);
        assert!(inputs.len() >= 5, "the corpus of {name} has {} inputs", inputs.len());
        broken.extend(inputs.into_iter().filter(|input| {
            let data = fs::read(input).unwrap();
            std::panic::catch_unwind(|| target(&data)).is_err()
        }));
    }
    assert!(broken.is_empty(), "a property does not hold of {broken:?}");
}

#[test]
fn every_target_has_a_program_and_a_corpus_and_nothing_else_has() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len());
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("harness/fuzz_targets"), targets);
    let manifest = fs::read_to_string(here().join("harness/Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name}");
        let program = fs::read_to_string(here().join(format!("harness/fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("keyward_fuzz::{name}(data)")), "{name}");
    }
}

#[test]
fn the_corpus_stays_small() {
    let sizes: Vec<u64> = TARGETS.iter().flat_map(|(name, _)| inputs(name)).map(|input| fs::metadata(input).unwrap().len()).collect();
    assert!(sizes.len() <= 3_000, "{} files", sizes.len());
    assert!(sizes.iter().sum::<u64>() <= 1 << 20, "{} bytes", sizes.iter().sum::<u64>());
}
