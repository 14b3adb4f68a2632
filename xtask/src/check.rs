//! `cargo xtask check`: everything that can be said about the code without running it. All steps run, so that one sees all there is to mend.

use anyhow::{Result, bail};

use crate::{
    command::{capture, cargo, in_root, progress, run as run_command},
    rules, tools,
};

/// The crates that are compiled for the Workers runtime or for browsers.
const WASM: [&str; 4] = ["keyward-shared", "keyward-edge", "keyward-control", "keyward-browser"];
const TARGET: &str = "wasm32-unknown-unknown";
const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

type Check = fn() -> Result<()>;

/// Runs all checks.
pub(crate) fn run() -> Result<()> {
    let checks: [(&str, Check); 5] = [
        ("format", format),
        ("lints", native_lints),
        ("lints for WebAssembly", wasm_lints),
        ("dependency rules", rules::check),
        ("dependency audits", audits),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        progress(name);
        if let Err(error) = check() {
            eprintln!("error: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("not in order: {}", failed.join(", "));
    }
    progress("all checks passed");
    Ok(())
}

fn format() -> Result<()> {
    run_command(cargo().args(["fmt", "--all", "--check"]))
}

fn native_lints() -> Result<()> {
    run_command(cargo().args(["clippy", "--workspace", "--all-targets"]).args(DENY_WARNINGS))
}

fn wasm_lints() -> Result<()> {
    tools::wasm_target(TARGET)?;
    let mut command = cargo();
    command.args(["clippy", "--target", TARGET]);
    for package in WASM {
        command.args(["--package", package]);
    }
    run_command(command.args(DENY_WARNINGS))
}

/// Licences and sources. Known vulnerabilities too, where their database can be reached: it is not part of any package registry.
fn audits() -> Result<()> {
    let deny = tools::deny()?;
    run_command(in_root(&deny).args(["--log-level", "error", "check", "bans", "licenses", "sources"]))?;
    match capture(in_root(&deny).args(["--log-level", "error", "check", "advisories"])) {
        Err(error) if error.to_string().contains("failed to fetch advisory database") => {
            progress("known vulnerabilities were NOT checked: the advisory database cannot be reached from here");
            Ok(())
        }
        outcome => outcome.map(drop),
    }
}
