//! `keyward-staleness`: for how long a key is still let in after it was revoked, deleted or lost a right, with a store that lags by 0 s to for
//! ever, with and without push, and with the objects out of reach. `cargo xtask staleness` builds what it needs and runs it.
//!
//! [`plan`] says what is measured, [`measure`] measures one cell, [`report`], [`chart`] and [`page`] show it. That the bound holds is checked
//! by the same rules as in the end-to-end tests; if it does not, this program fails.

mod chart;
mod measure;
mod page;
mod plan;
mod report;

use std::{fs, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use tokio::task::JoinSet;

use crate::{
    measure::Sample,
    plan::{Lag, Plan, Series, lag_label},
    report::Report,
};

#[derive(Parser)]
#[command(name = "cargo xtask staleness", about = "Measures how stale an edge can be")]
struct Arguments {
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Everything twenty times as fast (a bound of 9 s), with fewer rounds: for trying
    #[arg(long)]
    quick: bool,
    /// Write staleness.md and staleness.svg into this folder
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
    let begun = Instant::now();
    let plan = if arguments.quick { Plan::quick() } else { Plan::shipped() };
    let mut report = Report::new(&plan);
    // The long series, in which nearly all time is spent waiting for the bound, runs beside the two short ones.
    let [pull, push, unreachable] = plan.rounds;
    let (short, long) = tokio::join!(
        async {
            let mut cells = series(&plan, pull).await?;
            cells.extend(series(&plan, push).await?);
            Ok::<_, anyhow::Error>(cells)
        },
        series(&plan, unreachable),
    );
    for (series, lag, samples) in short?.into_iter().chain(long?) {
        report.add(series, lag, &samples);
    }
    report.took_s = begun.elapsed().as_secs();
    if report.rows.iter().any(|row| row.samples.is_empty() || row.max() > report.bound_s) {
        bail!("a change is missing, or was in effect only after the bound:\n{}", report.table());
    }
    if let Some(folder) = &arguments.docs {
        let write = |name: &str, text: String| fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"));
        write("staleness.svg", chart::svg(&report))?;
        write("staleness.md", page::markdown(&report, &jiff::Timestamp::now().strftime("%Y-%m").to_string()))?;
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}\n{} edges, bound {} s, took {} s", report.table(), report.edges, report.bound_s, report.took_s);
    }
    Ok(())
}

/// Measures one series with all lags side by side, each on a system of its own. Empty where this build does not have what it is about.
async fn series(plan: &Plan, (series, rounds): (Series, usize)) -> Result<Vec<(Series, Lag, Vec<Sample>)>> {
    let mut running = JoinSet::new();
    for lag in plan.lags.clone() {
        let plan = plan.clone();
        running.spawn(async move { (lag, measure::cell(&plan, series, lag, rounds).await) });
    }
    let mut cells = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (lag, measured) = ended.map_err(|error| anyhow!("{}: the measurement broke off: {error}", series.title()))?;
        let label = lag_label(lag);
        match measured.with_context(|| format!("{}, lag {label}", series.title()))? {
            Some(samples) => {
                eprintln!("{:>12} {}, lag {label}: {} samples", "Keyward", series.title(), samples.len());
                cells.push((series, lag, samples));
            }
            None => eprintln!("{:>12} {}, lag {label}: left out, because this build has no push", "Keyward", series.title()),
        }
    }
    Ok(cells)
}
