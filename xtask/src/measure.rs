//! `cargo xtask staleness`, `push-latency`, `endure`, `bench` and `scale`: programs of ours that start systems by themselves. This sets up and
//! builds what they need, and runs them with whatever arguments it is given.

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    build,
    command::{cargo, each_line, progress},
    tools,
};

/// The command line.
#[derive(Args)]
pub(crate) struct Arguments {
    /// For the program itself; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the `program` of `package`, built with `profile`. What it prints is this task's result.
#[expect(clippy::print_stdout, reason = "the report is this task's result")]
pub(crate) fn run(package: &str, program: &str, profile: &str, arguments: &Arguments) -> Result<()> {
    tools::npm_packages()?;
    build::run()?;
    progress(format!("running {program}"));
    let mut command = cargo();
    command.args(["run", "--quiet", "--profile", profile, "--package", package, "--bin", program, "--"]).args(&arguments.arguments);
    if !each_line(&mut command, |line| println!("{}", line.trim_end_matches('\n')))? {
        bail!("{program} failed");
    }
    Ok(())
}

/// Runs the benchmark. As fast as a release: load, origin and stores share a core.
pub(crate) fn bench(arguments: &Arguments) -> Result<()> {
    tools::npm_packages()?;
    build::run()?;
    build::named()?;
    run("keyward-bench", "keyward-bench", "simulate", arguments)
}
