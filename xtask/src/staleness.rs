//! `cargo xtask staleness`: sets up, builds, and runs the measurement of how stale an edge can be, with whatever arguments it is given.

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
    /// For the measurement; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Measures.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    run_tool("keyward-staleness", &arguments.arguments)
}

/// Makes everything ready that a program of ours needs to start systems, and runs it. What it prints is this task's result.
#[expect(clippy::print_stdout, reason = "the report is this task's result")]
pub(crate) fn run_tool(package: &str, arguments: &[String]) -> Result<()> {
    tools::npm_packages()?;
    build::run()?;
    progress(format!("running {package}"));
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", package, "--"]).args(arguments);
    if !each_line(&mut command, |line| println!("{}", line.trim_end_matches('\n')))? {
        bail!("{package} failed");
    }
    Ok(())
}
