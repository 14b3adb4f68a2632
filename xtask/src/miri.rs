//! `cargo xtask miri`: runs the tests of `shared`, whose code the edge trusts for every request, in Rust's interpreter, which notices undefined
//! behaviour that a processor does not. `shared` has no unsafe code of its own; the crates that it hashes with have.

use anyhow::Result;

use crate::{
    command::{in_root, progress, run as run_command},
    tools,
};

/// Runs the tests.
pub(crate) fn run() -> Result<()> {
    tools::miri()?;
    progress("running the tests of keyward-shared in the interpreter");
    let mut command = in_root("cargo");
    command.args(["miri", "test", "--package", "keyward-shared"]);
    // Properties are tried a few times instead of 256: the interpreter is a thousand times slower.
    command.env("PROPTEST_CASES", "4");
    // Vectors and golden files are read, and properties are given random seeds.
    command.env("MIRIFLAGS", "-Zmiri-disable-isolation");
    command.env("RUSTUP_TOOLCHAIN", tools::NIGHTLY).env_remove("CARGO");
    run_command(&mut command)
}
