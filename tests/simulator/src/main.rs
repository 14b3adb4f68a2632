//! Runs the simulator from the command line: many seeds, or one, or a kept run; shortens what fails.

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use keyward_simulator::{Outcome, run, script::Script, shrink::shrink};

#[derive(Parser)]
#[command(name = "keyward-simulator", about = "Keyward's promise in simulated time, against every fault")]
struct Arguments {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 150)]
    seeds: u64,
    /// How many operations each run has
    #[arg(long, default_value_t = 1_500)]
    ops: usize,
    /// A kept run instead of seeds
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// For how many seconds a failing run is shortened; 0: not at all
    #[arg(long, default_value_t = 120)]
    shrink_s: u64,
    /// Where a failing run is written to
    #[arg(long, value_name = "DIR", default_value = "target/simulator")]
    keep: PathBuf,
    /// Say what happened how often
    #[arg(long)]
    counts: bool,
    /// Begin no further seed once one has failed
    #[arg(long)]
    first: bool,
}

#[derive(Default)]
struct Total {
    steps: u64,
    simulated: u64,
    passed: u64,
    failed: Vec<Script>,
    counts: std::collections::BTreeMap<String, u64>,
}

#[expect(clippy::print_stdout, reason = "the report is this program's result")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let begun = Instant::now();
    let total = match &arguments.script {
        Some(path) => match fs::read_to_string(path)
            .map_err(|e| e.to_string())
            .and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string()))
        {
            Ok(script) => one(&script),
            Err(error) => {
                eprintln!("error: {}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        },
        None => many(&arguments),
    };
    for script in total.failed.iter().take(3) {
        report(&arguments, script);
    }
    if arguments.counts {
        for (what, count) in &total.counts {
            println!("{count:>10} {what}");
        }
    }
    let days = total.simulated / 86_400_000;
    println!("{} steps, {days} simulated days, {:.1} s", total.steps, begun.elapsed().as_secs_f64());
    println!("{} passed, {} failed", total.passed, total.failed.len());
    if total.failed.is_empty() && total.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(script: &Script) -> Total {
    let mut total = Total::default();
    add(&mut total, script.clone(), run(script));
    total
}

/// One seed after the other, on all processors.
fn many(arguments: &Arguments) -> Total {
    let (next, total) = (AtomicU64::new(0), Mutex::new(Total::default()));
    let enough = AtomicBool::new(false);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= arguments.seeds || enough.load(Ordering::Relaxed) {
                        break;
                    }
                    let script = Script::generate(arguments.seed + number, arguments.ops);
                    let outcome = run(&script);
                    enough.fetch_or(arguments.first && outcome.violation.is_some(), Ordering::Relaxed);
                    add(&mut total.lock().unwrap_or_else(std::sync::PoisonError::into_inner), script, outcome);
                }
            });
        }
    });
    total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn add(total: &mut Total, script: Script, outcome: Outcome) {
    total.steps += outcome.steps;
    total.simulated += outcome.simulated;
    for (what, count) in outcome.counts {
        *total.counts.entry(what).or_default() += count;
    }
    match outcome.violation {
        None => total.passed += 1,
        Some(violation) => {
            eprintln!("seed {}: {} ({} ms): {}", script.seed, violation.invariant, violation.at, violation.detail);
            total.failed.push(script);
        }
    }
}

fn report(arguments: &Arguments, script: &Script) {
    if arguments.shrink_s == 0 {
        return;
    }
    let (short, outcome) = shrink(script, Duration::from_secs(arguments.shrink_s));
    let Some(violation) = outcome.violation else { return };
    let path = arguments.keep.join(format!("seed-{}.json", script.seed));
    let text = serde_json::to_string_pretty(&short).unwrap_or_default();
    if let Err(error) = fs::create_dir_all(&arguments.keep).and_then(|()| fs::write(&path, text)) {
        eprintln!("cannot keep the run: {error}");
    }
    eprintln!("seed {} shortened to {} operations, {}:", script.seed, short.ops.len(), path.display());
    for (at, op) in &short.ops {
        eprintln!("  {at:>10} {op:?}");
    }
    eprintln!("  {:>10} {}: {}", violation.at, violation.invariant, violation.detail);
}
