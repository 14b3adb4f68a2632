//! `cargo xtask <task>`: everything that is done with this repository by machine. Each task has a module; this file only reads the
//! command line and tells how a task ended.

mod build;
mod check;
mod command;
mod dev;
mod fuzz;
mod instructions;
mod measure;
mod miri;
mod mutants;
mod paths;
mod peers;
mod rules;
mod seeded_bugs;
mod simulate;
mod test;
mod tools;

use std::{path::Path, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Keyward's own tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds both Workers: WebAssembly, bindings, entry modules
    Build,
    /// Sets everything up and runs the edge, the control plane and a demo origin on this machine
    Dev(dev::Arguments),
    /// Sets up and runs every test there is
    Test(test::Arguments),
    /// The promise in simulated time, against every fault: many seeds, or more of them than the tests run
    Simulate(simulate::Arguments),
    /// Deliberate mistakes, one at a time, and which test notices
    SeededBugs(seeded_bugs::Arguments),
    /// Counts the instructions of the pure paths and compares them with those that are kept
    Instructions(instructions::Arguments),
    /// Prints the Python of the end-to-end tests, installed where it is missing
    #[command(hide = true)]
    Python,
    /// Format, lints, dependency rules
    Check,
    /// Measures how stale an edge can be
    Staleness(measure::Arguments),
    /// Measures how long a revocation takes to be refused at edges with traffic, with a thousand others who wait for changes
    PushLatency(measure::Arguments),
    /// Load and crashes together
    Endure(measure::Arguments),
    /// What a verified request costs, side by side with what people would use instead
    Bench(measure::Arguments),
    /// What a million keys in one shard cost, beside a thousand
    Scale(measure::Arguments),
    /// Changes a crate in many small ways and sees whether its tests notice
    Mutants(mutants::Arguments),
    /// Gives each fuzz target to libFuzzer for a while; needs a nightly compiler
    Fuzz(fuzz::Arguments),
    /// Runs the tests of `shared` in Rust's interpreter; needs a nightly compiler
    Miri,
}

#[expect(clippy::print_stdout, reason = "the path is this task's result")]
fn say(program: &Path) {
    println!("{}", program.display());
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Build => build::run(),
        Task::Dev(arguments) => dev::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Simulate(arguments) => simulate::run(&arguments),
        Task::SeededBugs(arguments) => seeded_bugs::run(&arguments),
        Task::Instructions(arguments) => instructions::run(&arguments),
        Task::Python => tools::pyjwt().map(|program| say(&program)),
        Task::Check => check::run(),
        Task::Staleness(arguments) => measure::run("keyward-staleness", "keyward-staleness", "dev", &arguments),
        // As fast as a release: the thousand waiters share the machine with what is measured.
        Task::PushLatency(arguments) => measure::run("keyward-e2e", "push_latency", "simulate", &arguments),
        Task::Endure(arguments) => measure::run("keyward-endurance", "keyward-endurance", "dev", &arguments),
        Task::Bench(arguments) => measure::bench(&arguments),
        // As fast as a release: the state machine fills the shard, and is itself measured.
        Task::Scale(arguments) => measure::run("keyward-scale", "keyward-scale", "simulate", &arguments),
        Task::Mutants(arguments) => mutants::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Miri => miri::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
