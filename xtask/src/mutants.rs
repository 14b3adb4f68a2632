//! `cargo xtask mutants`: changes a crate in many small ways, one at a time, and sees whether the crate's own tests notice. Works on a copy
//! under `target/`, on one core, with whatever else runs on the machine going first.

use std::{fs, path::Path, time::SystemTime};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{
    command::{find, in_root, progress},
    paths, tools,
};

/// How many in a hundred changes must be noticed, of those that compile.
const LEAST_PERCENT: u64 = 95;

/// The command line.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The crate that is changed and tested
    #[arg(long, value_enum, default_value_t = Package::Shared)]
    package: Package,
    /// Only every n-th change, from the k-th (counted from 0) on: a sample of all files
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
    /// Passed on to cargo-mutants, such as `--file control/src/feed/mod.rs` or `--iterate`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    extra: Vec<String>,
}

/// The crates whose native tests say enough about them to be tested in turn.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Package {
    Shared,
    Edge,
    Control,
}

impl Package {
    fn name(self) -> &'static str {
        match self {
            Self::Shared => "keyward-shared",
            Self::Edge => "keyward-edge",
            Self::Control => "keyward-control",
        }
    }

    fn features(self) -> &'static [&'static str] {
        match self {
            Self::Shared => &["--features", "mint"],
            Self::Edge | Self::Control => &[],
        }
    }
}

/// How many changes there were and how they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tally {
    caught: u64,
    missed: u64,
    timed_out: u64,
    unviable: u64,
}

/// Makes the changes and counts what the tests notice.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mutants = tools::mutants()?;
    let package = arguments.package;
    // Of its own for each crate, so that two can be tested at a time without waiting for each other's builds.
    let folder = paths::target().join("mutants").join(package.name());
    let copies = folder.join("copies");
    fs::create_dir_all(&copies).with_context(|| format!("cannot create {}", copies.display()))?;

    let mut command = match find("nice") {
        Some(nice) => {
            let mut command = in_root(nice);
            command.args(["-n", "19"]).arg(mutants);
            command
        }
        None => in_root(mutants),
    };
    command.args(["mutants", "--package", package.name(), "--jobs", "1", "--output"]).arg(&folder).args(package.features());
    if let Some(shard) = &arguments.shard {
        command.args(["--sharding", "round-robin", "--shard", shard]);
    }
    // Unit and integration tests; documentation examples would take as long again to build as everything else.
    command.args(["--cargo-test-arg", "--tests"]).args(&arguments.extra);
    command.env("TMPDIR", &copies).env("CARGO_TARGET_DIR", folder.join("build")).env("CARGO_PROFILE_DEV_DEBUG", "0");

    let begun = SystemTime::now();
    let status = command.status().context("cargo-mutants cannot be started")?;
    let outcomes = folder.join("mutants.out/outcomes.json");
    // 0: all noticed, 2: some were not, 3: some took too long. Anything else: there is nothing to count.
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        bail!("cargo-mutants failed ({status})");
    }
    if !fs::metadata(&outcomes).and_then(|file| file.modified()).is_ok_and(|at| at >= begun) {
        return Ok(()); // it was asked for something else, such as a list
    }
    Tally::read(&outcomes)?.judge()
}

impl Tally {
    fn read(outcomes: &Path) -> Result<Self> {
        let text = fs::read_to_string(outcomes).with_context(|| format!("cannot read {}", outcomes.display()))?;
        let outcomes: Value = serde_json::from_str(&text).context("cargo-mutants wrote no JSON")?;
        let count = |name: &str| outcomes[name].as_u64().with_context(|| format!("cargo-mutants does not say how many are {name}"));
        Ok(Self { caught: count("caught")?, missed: count("missed")?, timed_out: count("timeout")?, unviable: count("unviable")? })
    }

    /// A change that makes the tests endless is noticed as well as one that makes them fail; one that does not compile counts for nothing.
    fn judge(self) -> Result<()> {
        let Self { caught, missed, timed_out, unviable } = self;
        let (noticed, viable) = (caught + timed_out, caught + timed_out + missed);
        progress(format!("{noticed} of {viable} changes noticed ({timed_out} by taking too long); {unviable} more do not compile"));
        if noticed * 100 < viable * LEAST_PERCENT {
            bail!("less than {LEAST_PERCENT} % of the changes were noticed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nineteen_in_twenty_changes_must_be_noticed() {
        let judged = |caught, missed, timed_out| Tally { caught, missed, timed_out, unviable: 7 }.judge().is_ok();
        assert!(judged(95, 5, 0) && judged(94, 5, 1) && judged(0, 0, 0));
        assert!(!judged(94, 6, 0) && !judged(0, 1, 0));
    }
}
