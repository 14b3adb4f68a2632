//! `cargo xtask test`: sets up and runs every test there is, one step after the other, and adds up what they report. A step that cannot run
//! counts as a failure; a run without any test fails.

use std::{fmt::Display, process::Command, time::Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    build,
    command::{cargo, each_line, in_root},
    peers, simulate, tools,
};

/// The crates with tests for browsers, and the features that those need.
const BROWSER: [(&str, &[&str]); 3] = [("shared", &["--features", "mint"]), ("edge", &["--no-default-features"]), ("browser", &[])];

/// What the simulator runs among the tests: more than a million steps. Each seed counts as a test.
const SIMULATED: [&str; 6] = ["--seed", "1", "--seeds", "60", "--ops", "800"];

/// The command line.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these steps
    #[arg(value_enum)]
    steps: Vec<Step>,
}

/// A part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Everything that runs in the test process, and documentation examples
    Native,
    /// The promise in simulated time, against every fault
    Simulator,
    /// The whole system in the real runtime
    EndToEnd,
    /// The running control plane against its own description
    Contract,
    /// The crates that run in browsers
    Browser,
}

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

/// Runs the steps.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let steps = if arguments.steps.is_empty() { Step::value_variants() } else { &arguments.steps };
    let needs_system = steps.iter().any(|step| matches!(step, Step::Native | Step::EndToEnd | Step::Contract));
    let mut total = Tally::default();
    if needs_system {
        total.failed += run_part("set up: npm packages, Workers", set_up).failed;
    }
    for step in steps {
        let tally = run_part(title(*step), |tally| perform(*step, tally));
        total = Tally { passed: total.passed + tally.passed, failed: total.failed + tally.failed };
    }
    say(format_args!("\n{} passed, {} failed", total.passed, total.failed));
    if total.failed > 0 || total.passed == 0 {
        bail!("the tests did not pass");
    }
    Ok(())
}

/// Runs a part under a heading of its own. What goes wrong in it counts as a failure, and the other parts still run.
fn run_part(title: &str, work: impl FnOnce(&mut Tally) -> Result<()>) -> Tally {
    say(format_args!("\n=== {title}"));
    let begun = Instant::now();
    let mut tally = Tally::default();
    if let Err(error) = work(&mut tally) {
        say(format_args!("error: {error:#}"));
        tally.failed = tally.failed.max(1);
    }
    let took = begun.elapsed().as_secs_f64();
    say(format_args!("--- {title}: {} passed, {} failed, took {took:.1} s", tally.passed, tally.failed));
    tally
}

fn set_up(_: &mut Tally) -> Result<()> {
    tools::npm_packages()?;
    build::run()
}

fn title(step: Step) -> &'static str {
    match step {
        Step::Native => "native tests",
        Step::Simulator => "simulator",
        Step::EndToEnd => "end-to-end tests",
        Step::Contract => "contract tests",
        Step::Browser => "browser tests",
    }
}

fn perform(step: Step, tally: &mut Tally) -> Result<()> {
    match step {
        Step::Native => {
            let programs = peers::install()?; // those that are measured beside Keyward
            count(cargo().envs(programs).args(["test", "--workspace", "--exclude", "keyward-e2e", "--no-fail-fast"]), tally)
        }
        Step::Simulator => count(simulate::simulator()?.args(SIMULATED), tally),
        Step::EndToEnd => {
            tools::chromedriver()?; // some of them open the administration page in a browser
            let python = tools::pyjwt()?; // some verify identities in Python
            let [nginx, caddy] = tools::proxies()?; // and some let these ask
            let mut tests = cargo();
            tests.env("KEYWARD_PYTHON", python).env("KEYWARD_NGINX", nginx).env("KEYWARD_CADDY", caddy);
            count(tests.args(["test", "--package", "keyward-e2e", "--no-fail-fast"]), tally)
        }
        Step::Contract => {
            let schemathesis = tools::schemathesis()?;
            count(cargo().args(["run", "--quiet", "--package", "keyward-e2e", "--bin", "contract", "--"]).arg(schemathesis), tally)
        }
        Step::Browser => {
            tools::wasm_target("wasm32-unknown-unknown")?;
            let (wasm_pack, runner, driver) = (tools::wasm_pack()?, tools::wasm_test_runner()?, tools::chromedriver()?);
            for (folder, features) in BROWSER {
                let mut command = in_root(&wasm_pack);
                command.args(["test", "--headless", "--chrome", "--chromedriver"]).arg(&driver).arg(folder).args(features);
                // wasm-pack takes the runner of this version from the search path instead of fetching one.
                command.env("PATH", tools::path_with(&runner)?);
                count(&mut command, tally)?;
            }
            Ok(())
        }
    }
}

/// Runs a command that reports tests, passes its output on, and adds up what it reports.
fn count(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let before = tally.failed;
    let succeeded = each_line(command, |line| {
        say(line);
        if let Some(reported) = Tally::read(line) {
            tally.passed += reported.passed;
            tally.failed += reported.failed;
        }
    })?;
    if !succeeded && tally.failed == before {
        bail!("the command failed, and no test said why");
    }
    Ok(())
}

impl Tally {
    /// Reads a line such as `test result: ok. 3 passed; 0 failed; …`, or the simulator's `3 passed, 0 failed`.
    fn read(line: &str) -> Option<Self> {
        if let Some((passed, failed)) = line.strip_suffix(" failed").and_then(|line| line.split_once(" passed, ")) {
            return Some(Self { passed: passed.parse().ok()?, failed: failed.parse().ok()? });
        }
        let (_, report) = line.split_once("test result: ")?;
        let (_, counts) = report.split_once(". ")?;
        let number = |word: &str| {
            let count = counts.split(';').find_map(|part| part.trim().strip_suffix(word))?;
            count.trim().parse().ok()
        };
        Some(Self { passed: number("passed")?, failed: number("failed")? })
    }
}

#[expect(clippy::print_stdout, reason = "the report is this task's result")]
fn say(text: impl Display) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_from_both_harnesses() {
        let read = |line| Tally::read(line).map(|tally| (tally.passed, tally.failed));
        assert_eq!(read("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s"), Some((12, 0)));
        assert_eq!(read("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 filtered out"), Some((1, 2)));
        assert_eq!(read("    test result: ok. 3 passed; 0 failed; 0 ignored; 0 filtered out"), Some((3, 0)));
        assert_eq!(read("60 passed, 1 failed"), Some((60, 1)));
        assert_eq!(read("running 3 tests"), None);
    }
}
