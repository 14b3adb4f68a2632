//! `cargo xtask staleness`, `push-latency`, `endure`, `bench` and `scale`: programs of ours that start systems by themselves. This sets up and
//! builds what they need, and runs them with whatever arguments it is given.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    build,
    command::{cargo, each_line, progress},
    peers, tools,
};

/// The command line.
#[derive(Args)]
pub(crate) struct Arguments {
    /// For the program itself; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the `program` of `package`, built with `profile`. What it prints is this task's result.
pub(crate) fn run(package: &str, program: &str, profile: &str, arguments: &Arguments) -> Result<()> {
    run_with(package, program, profile, arguments, [])
}

/// Runs the benchmark. As fast as a release: load, origin and stores share a core.
pub(crate) fn bench(arguments: &Arguments) -> Result<()> {
    let programs = peers::install()?;
    tools::npm_packages()?;
    build::run()?;
    build::named()?;
    run_with("keyward-bench", "keyward-bench", "simulate", arguments, programs)
}

#[expect(clippy::print_stdout, reason = "the report is this task's result")]
fn run_with<const N: usize>(
    package: &str,
    program: &str,
    profile: &str,
    arguments: &Arguments,
    programs: [(&str, PathBuf); N],
) -> Result<()> {
    tools::npm_packages()?;
    build::run()?;
    progress(format!("running {program}"));
    let mut command = cargo();
    command.envs(programs);
    command.args(["run", "--quiet", "--profile", profile, "--package", package, "--bin", program, "--"]).args(&arguments.arguments);
    if !each_line(&mut command, |line| println!("{}", line.trim_end_matches('\n')))? {
        bail!("{program} failed");
    }
    Ok(())
}
