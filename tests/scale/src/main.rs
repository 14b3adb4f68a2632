//! `keyward-scale`: what a million keys in one shard cost, beside a thousand. `cargo xtask scale` builds what it needs and runs it.
//!
//! The databases are the runtime's own: a system is started once per size, its shard's file is filled through the state machine
//! ([`shards`]), measured with this machine's `SQLite` ([`native`], [`storage`], [`turns`]), and then served by the runtime again
//! ([`runtime`]). All sizes are measured in turn, in one run.

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

use crate::{native::Asked, report::Report, runtime::Served, shards::Size, storage::Storage};

#[derive(Parser)]
#[command(name = "cargo xtask scale", about = "Measures what a million keys in one shard cost, beside a thousand")]
struct Arguments {
    /// How many keys one company has; the first is what the others are compared with
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 1_000_000])]
    keys: Vec<usize>,
    /// In how many companies of the shard the most keys are spread once more; 1: not at all
    #[arg(long, default_value_t = 40)]
    companies: usize,
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
    // The largest company last: it is gone then.
    let largest = served.iter().position(|system| system.size.keys == most && system.size.companies == 1).context("no largest")?;
    let beside = served[largest].beside_a_sweep().await?;
    let turns = turns::longest(&mut served[largest])?;

    let report = Report { sizes: served.iter().map(|system| system.size).collect(), storage, native, runtime, turns, beside };
    println!("{}", report.tables());
    if let Some(folder) = &arguments.docs {
        let month = jiff::Timestamp::now().strftime("%Y-%m").to_string();
        fs::write(folder.join("scale.md"), report.page(&month)).context("cannot write scale.md")?;
    }
    for system in served {
        system.stop().await;
    }
    Ok(())
}
