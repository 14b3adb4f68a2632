//! `keyward-endurance`: the long run. `cargo xtask endure` builds what it needs and runs it.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use keyward_endurance::{Plan, run};

/// After about as many requests the memory of an edge no longer grows.
const WARM_UP: u64 = 80_000;

#[derive(Parser)]
#[command(name = "cargo xtask endure", about = "Load and crashes together")]
struct Arguments {
    /// For how long the load lasts
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,
    /// How often the control process or an edge is killed, at even intervals
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=100_000))]
    kills: u32,
    /// The revocation bound in seconds
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(5..=180))]
    bound: u32,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the report is this program's result")]
async fn main() -> ExitCode {
    let Arguments { minutes, kills, bound } = Arguments::parse();
    let plan = Plan {
        time: Duration::from_mins(minutes.into()),
        kills,
        bound: Duration::from_secs(bound.into()),
        warm_up: WARM_UP,
        users: 8,
        writers: 6,
        readers: 3,
    };
    let report = run(plan).await;
    println!("{report}");
    if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
