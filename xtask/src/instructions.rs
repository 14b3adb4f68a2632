//! `cargo xtask instructions`: counts the instructions of the pure paths and compares them with those in `tests/instructions/counts.txt`.
//! What is counted and how it is judged is that crate's business; this sets up what it needs and builds it so that the counts are the same
//! on every machine with the same compiler.

use std::{env::consts::ARCH, process::Command};

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    command::{capture, cargo, in_root, progress},
    paths, tools,
};

const PACKAGE: &str = "keyward-instructions";
/// A release, in which functions can be told apart.
const PROFILE: &str = "instructions";
/// What the edge's WebAssembly is built with, and SHA-256 as a loop, whatever instructions for it this processor has.
const FLAGS: [&str; 5] = ["--cfg", r#"sha2_backend="soft""#, "--cfg", r#"sha2_backend_soft="compact""#, "-Cllvm-args=-inline-threshold=30"];

/// The command line.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Keep the new counts, to be committed with the change that made them
    #[arg(long)]
    accept: bool,
}

/// Counts and compares, or counts and keeps.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut command = program()?;
    if arguments.accept {
        command.arg("--accept");
    }
    if !command.status()?.success() {
        bail!("the instructions were not counted, or rose (above)");
    }
    Ok(())
}

/// The built program, to be run.
pub(crate) fn program() -> Result<Command> {
    // With this C library in it the program is whole: no other machine's library is counted.
    let target = format!("{ARCH}-unknown-linux-musl");
    let valgrind = tools::valgrind()?;
    tools::rust_target(&target)?;
    progress("compiling what instructions are counted of");
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile", PROFILE, "--package", PACKAGE, "--target", &target, "--target-dir"]).arg(paths::target());
    build.arg("--config").arg(format!("target.{target}.rustflags={FLAGS:?}"));
    // Flags of this machine would take the place of those.
    build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    capture(&mut build)?; // without Cargo's warning that the edge's crate cannot also become a dynamic library

    progress("counting instructions");
    let output = paths::target().join(&target).join(PROFILE);
    let mut program = in_root(output.join(PACKAGE));
    program.arg("--valgrind").arg(&valgrind.program).arg("--dumps").arg(output.join("callgrind"));
    program.arg("--counts").arg("tests/instructions/counts.txt");
    program.args(["--compiler", capture(in_root("rustc").arg("--version"))?.trim(), "--target", &target]);
    program.envs(valgrind.library);
    Ok(program)
}
