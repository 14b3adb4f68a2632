//! `cargo xtask fuzz`: gives each fuzz target to libFuzzer for a while and says how often it was tried. A run begins with the corpus that
//! is checked in, which it does not change; what it finds on the way lies under `target/fuzz`, as do its logs and what broke a property.

use std::{
    collections::VecDeque,
    fmt::Display,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    command::{capture, in_root, progress, run as run_command},
    paths, tools,
};

/// The longest input, in bytes: longer ones are slower and find nothing that shorter ones do not.
const MAX_LEN: usize = 4096;
/// For how many seconds one input may take on a busy machine.
const TIMEOUT_S: u64 = 60;

/// The command line.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these targets
    targets: Vec<String>,
    /// For how many seconds each of them runs
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How many run at the same time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

/// What came of one target.
struct Outcome {
    target: String,
    log: PathBuf,
    statistics: Statistics,
    /// What broke, or why it could not run.
    failure: Option<String>,
}

/// What libFuzzer says of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Statistics {
    /// Inputs that were tried.
    executions: u64,
    /// Edges of the control flow that were reached.
    coverage: u64,
    /// Edges with how often they were taken.
    features: u64,
    /// The file with the input that broke a property.
    artifact: Option<String>,
}

/// Runs the targets.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let targets = chosen(&arguments.targets)?;
    tools::nightly()?;
    let fuzzer = tools::cargo_fuzz()?;
    progress("building the fuzz targets");
    let programs = build(&fuzzer)?;

    let waiting = Mutex::new(VecDeque::from(targets));
    let finished = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let Some(target) = lock(&waiting).pop_front() else { break };
                    progress(format!("{target}: {} s", arguments.seconds));
                    let outcome = one(&programs, target, arguments.seconds);
                    lock(&finished).push(outcome);
                }
            });
        }
    });
    let outcomes = finished.into_inner().unwrap_or_else(PoisonError::into_inner);
    report(&outcomes);
    match outcomes.iter().filter(|outcome| outcome.failure.is_some()).count() {
        0 => Ok(()),
        broken => bail!("{broken} of {} targets failed", outcomes.len()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn folder() -> PathBuf {
    paths::root().join("tests/fuzz")
}

/// The targets that were asked for; all where none was.
fn chosen(asked: &[String]) -> Result<Vec<String>> {
    let programs = folder().join("harness/fuzz_targets");
    let entries = fs::read_dir(&programs).with_context(|| format!("cannot read {}", programs.display()))?;
    let mut known: Vec<String> =
        entries.flatten().filter_map(|entry| Some(entry.path().file_stem()?.to_string_lossy().into_owned())).collect();
    known.sort();
    if let Some(unknown) = asked.iter().find(|target| !known.contains(target)) {
        bail!("there is no fuzz target {unknown}; there are {}", known.join(", "));
    }
    Ok(if asked.is_empty() { known } else { asked.to_vec() })
}

/// Builds all targets with the nightly compiler, instrumented and with `AddressSanitizer`; gives the folder with their programs, which are
/// then run as they are: what changes in the sources meanwhile changes nothing.
fn build(fuzzer: &Path) -> Result<PathBuf> {
    let folder_of_build = output("build");
    let mut command = in_root(fuzzer);
    command.args(["fuzz", "build", "--fuzz-dir"]).arg(folder().join("harness")).arg("--target-dir").arg(&folder_of_build);
    // The cargo that runs this task is another toolchain's.
    command.env("RUSTUP_TOOLCHAIN", tools::NIGHTLY).env_remove("CARGO");
    run_command(&mut command)?;
    let version = capture(in_root("rustup").args(["run", tools::NIGHTLY, "rustc", "--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not say what machine this is")?;
    Ok(folder_of_build.join(host).join("release"))
}

fn output(name: &str) -> PathBuf {
    paths::target().join("fuzz").join(name)
}

fn one(programs: &Path, target: String, seconds: u64) -> Outcome {
    let log = output("logs").join(format!("{target}.log"));
    let ended = tried(&programs.join(&target), &target, seconds, &log);
    let statistics = fs::read(&log).map(|text| Statistics::read(&String::from_utf8_lossy(&text))).unwrap_or_default();
    let failure = match (ended, &statistics.artifact) {
        (Err(error), _) => Some(format!("{error:#}")),
        (Ok(_), Some(artifact)) => Some(format!("a property does not hold of {artifact}")),
        (Ok(false), None) => Some("it ended with an error".to_owned()),
        (Ok(true), None) if statistics.executions == 0 => Some("it tried nothing".to_owned()),
        (Ok(true), None) => None,
    };
    Outcome { target, log, statistics, failure }
}

/// Runs one target with its output in `log`; says whether it ended well.
fn tried(program: &Path, target: &str, seconds: u64, log: &Path) -> Result<bool> {
    let (corpus, artifacts) = (output("corpus").join(target), output("artifacts").join(target));
    for folder in [&corpus, &artifacts, &output("logs")] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut command = in_root(program);
    command.arg(&corpus).arg(folder().join("corpus").join(target)).env("ASAN_OPTIONS", "detect_odr_violation=0");
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={MAX_LEN}")).arg(format!("-timeout={TIMEOUT_S}"));
    command.arg("-print_final_stats=1").arg(format!("-artifact_prefix={}/", artifacts.display()));
    let dictionary = folder().join("dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let same = file.try_clone().with_context(|| format!("cannot write {}", log.display()))?;
    let status = command.stdout(file).stderr(same).status().with_context(|| format!("cannot start {}", program.display()))?;
    Ok(status.success())
}

impl Statistics {
    fn read(log: &str) -> Self {
        let mut read = Self::default();
        for line in log.lines() {
            let after = |name: &str| line.split_once(name).and_then(|(_, rest)| rest.split_whitespace().next());
            let number = |name: &str| after(name).and_then(|text| text.parse().ok());
            if let Some(executions) = number("stat::number_of_executed_units:") {
                read.executions = executions;
            }
            if let (true, Some(coverage), Some(features)) = (line.starts_with('#'), number(" cov: "), number(" ft: ")) {
                (read.coverage, read.features) = (coverage, features);
            }
            if let Some(artifact) = after("Test unit written to ") {
                read.artifact = Some(artifact.to_owned());
            }
        }
        read
    }
}

fn report(outcomes: &[Outcome]) {
    say(format_args!("{:<14} {:>12} {:>9} {:>9}", "target", "executions", "coverage", "features"));
    for Outcome { target, log, statistics, failure } in outcomes {
        let Statistics { executions, coverage, features, .. } = statistics;
        say(format_args!("{target:<14} {executions:>12} {coverage:>9} {features:>9}"));
        if let Some(failure) = failure {
            say(format_args!("  FAILED: {failure}; see {}", log.display()));
        }
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
    fn what_libfuzzer_says_is_read() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 40Mb\n\
                   #99\tNEW    cov: 120 ft: 345 corp: 7/70b lim: 4 exec/s: 50 rss: 41Mb L: 9/9 MS: 1 ChangeByte-\n\
                   stat::number_of_executed_units: 4711\nstat::average_exec_per_sec:     50\n";
        assert_eq!(Statistics::read(log), Statistics { executions: 4711, coverage: 120, features: 345, artifact: None });
        let crash = "artifact_prefix='x/'; Test unit written to x/crash-0a\nBase64: AA==\n";
        assert_eq!(Statistics::read(crash).artifact.as_deref(), Some("x/crash-0a"));
        assert_eq!(Statistics::read(""), Statistics::default());
    }

    #[test]
    fn a_target_that_is_not_there_is_refused_by_its_name() {
        assert!(chosen(&[]).unwrap().contains(&"key".to_owned()));
        assert_eq!(chosen(&["key".to_owned()]).unwrap(), ["key"]);
        assert!(chosen(&["kez".to_owned()]).unwrap_err().to_string().contains("no fuzz target kez"));
    }
}
