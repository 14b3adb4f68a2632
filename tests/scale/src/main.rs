//! `keyward-scale`: what a million keys in one shard cost, beside a thousand. `cargo xtask scale` builds what it needs and runs it.
//!
//! The databases are the runtime's own: a system is started once per size, its shard's file is filled through the state machine
//! ([`shards`]), measured with this machine's `SQLite` ([`native`], [`storage`], [`turns`]), and then served by the runtime again
//! ([`runtime`]). All sizes are measured in turn, in one run.

mod conditions;
mod native;
mod report;
mod runtime;
mod shards;
mod statistics;
mod storage;
mod turns;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;

use crate::{conditions::Conditions, native::Asked, report::Report, runtime::Served, shards::Size, storage::Storage};

#[derive(Parser)]
#[command(name = "cargo xtask scale", about = "Measures what a million keys in one shard cost, beside a thousand")]
struct Arguments {
    /// How many keys one company has; the first is what the others are compared with
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 1_000_000])]
    keys: Vec<usize>,
    /// In how many companies of the shard the most keys are spread once more; 1: not at all
    #[arg(long, default_value_t = 40)]
    companies: usize,
    /// How many keys the shard has in which the work in the background is measured
    #[arg(long, default_value_t = 100_000)]
    background: usize,
    /// How often each operation is measured natively
    #[arg(long, default_value_t = 300)]
    rounds: usize,
    /// How many batches of each operation the runtime is asked for
    #[arg(long, default_value_t = 11)]
    batches: usize,
    /// Write scale.md into this folder
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is this program's result")]
async fn run(arguments: &Arguments) -> Result<()> {
    let conditions = Conditions::begin();
    let mut sizes: Vec<Size> = arguments.keys.iter().map(|&keys| Size { keys, companies: 1 }).collect();
    let most = arguments.keys.iter().max().copied().context("no keys")?;
    if arguments.companies > 1 {
        sizes.push(Size { keys: most, companies: arguments.companies.min(shards::COMPANIES.len()) });
    }

    let mut served = Vec::new();
    let mut asked = Vec::new();
    for size in sizes {
        let mut system = Served::start(size).await?;
        let (store, managers) = system.filled().await?;
        asked.push(Asked::new(store, &managers)?);
        system.managers = Some(managers);
        served.push(system);
    }
    let storage = asked.iter().map(|asked| Storage::of(&asked.store)).collect::<Result<Vec<_>>>()?;
    eprintln!("{:>12} natively", "Keyward");
    let native = native::rounds(&asked, arguments.rounds)?;
    for (system, asked) in served.iter_mut().zip(asked) {
        system.learn(&asked);
        drop(asked); // the file is the runtime's again
    }
    eprintln!("{:>12} in the runtime", "Keyward");
    for system in &mut served {
        system.start_control().await?;
    }
    let runtime = runtime::rounds(&mut served, arguments.batches).await?;
    let sizes = served.iter().map(|system| system.size).collect();
    for system in served {
        system.stop().await;
    }

    let background = Size { keys: arguments.background, companies: 1 };
    let mut system = Served::start(background).await?;
    system.managers = Some(system.filled().await?.1);
    system.start_control().await?;
    let beside = system.beside_a_sweep().await?;
    let turns = turns::longest(&mut system)?;
    system.stop().await;

    let report = Report { conditions: conditions.end(), sizes, storage, native, runtime, background, turns, beside };
    println!("{}", report.tables());
    if let Some(folder) = &arguments.docs {
        fs::write(folder.join("scale.md"), report.page()).context("cannot write scale.md")?;
    }
    Ok(())
}
