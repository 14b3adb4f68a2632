//! `cargo xtask simulate`: builds the simulator as fast as a release with every check of a development build, and runs it. What it
//! simulates and checks is `tests/simulator`'s business.

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    command::{cargo, in_root, progress, run as run_command},
    paths,
};

/// The command line. Whatever else the simulator takes comes after `--`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 400)]
    seeds: u64,
    /// How many operations each run has
    #[arg(long, default_value_t = 800)]
    ops: usize,
    /// For the simulator itself: `--script FILE`, `--shrink-s N`, `--keep DIR`, `--counts`
    #[arg(last = true)]
    more: Vec<String>,
}

/// Runs the simulator.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut command = simulator()?;
    for (name, value) in [("--seed", arguments.seed), ("--seeds", arguments.seeds), ("--ops", arguments.ops as u64)] {
        command.arg(name).arg(value.to_string());
    }
    if !command.args(&arguments.more).status()?.success() {
        bail!("an invariant is broken");
    }
    Ok(())
}

/// The built simulator, to be run.
pub(crate) fn simulator() -> Result<Command> {
    progress("compiling the simulator");
    run_command(cargo().args(["build", "--profile", "simulate", "--package", "keyward-simulator", "--target-dir"]).arg(paths::target()))?;
    Ok(in_root(paths::target().join("simulate/keyward-simulator")))
}
