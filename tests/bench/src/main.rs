//! `keyward-bench`: what a verified request costs. `cargo xtask bench` builds what it needs and runs it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use keyward_bench::{
    cells,
    conditions::Conditions,
    cores::Cores,
    deployment::Deployment,
    keys,
    report::{self, Report},
    run::{self, Effort},
    scale, targets, wasm,
};
use keyward_selfhost::Installation;

#[derive(Parser)]
#[command(name = "cargo xtask bench", about = "Measures what a verified request costs, side by side with what people would use instead")]
struct Arguments {
    /// How often everything is measured, in another order each time
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Only these, by name
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// One short round, which shows no more than that everything works
    #[arg(long)]
    quick: bool,
    /// Instead: what a request costs when there are more keys, changes, rules and permissions
    #[arg(long)]
    scale: bool,
    /// With --scale: how many keys the store has; the first is what the others are compared with
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 10_000_000])]
    keys: Vec<usize>,
    /// Another build of the Workers than the repository's: a folder with edge and control in it
    #[arg(long, value_name = "DIR")]
    workers: Option<PathBuf>,
    /// One JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Write benchmarks.md and benchmarks.svg (with --scale: benchmarks-scale.md) into this folder
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is this program's result")]
fn run(arguments: &Arguments) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("no repository")?;
    let mut installation = Installation::in_repository(root);
    if let Some(workers) = &arguments.workers {
        installation.workers.clone_from(workers);
    }
    let mut cells = cells::all();
    if let Some(unknown) = arguments.only.iter().find(|name| *name != DECISION && cells.iter().all(|cell| cell.name() != name.as_str())) {
        let names: Vec<&str> = cells.iter().map(|cell| cell.name()).collect();
        bail!("there is no {unknown}; there are {} and {DECISION}", names.join(", "));
    }
    cells.retain(|cell| arguments.only.is_empty() || arguments.only.iter().any(|name| name == cell.name()));
    let cores = Cores::divide();
    eprintln!("{:>12} {}", "Keyward", cores.text());
    let conditions = Conditions::begin(root, cores);
    let deployment = Deployment::start(root, cores, keys::COUNT)?;
    if arguments.scale {
        return scale(arguments, &deployment, &installation, conditions);
    }
    let cells_described = report::described(&deployment, &installation, &cells)?;
    let effort = if arguments.quick { Effort::quick() } else { Effort::whole(arguments.rounds) };
    let decides = arguments.only.is_empty() || arguments.only.iter().any(|name| name == DECISION);
    let measured = run::rounds(&deployment, &installation, &cells, effort, decides)?;
    let wasm_kb = targets::gzipped_kb(&installation.workers.join("edge/edge_bg.wasm"))?;
    let targets = targets::targets(&measured, wasm_kb);
    let named = installation.workers.join(NAMED);
    let shares = if named.is_file() { wasm::shares(&named)? } else { Vec::new() };
    let report = Report { conditions: conditions.end(), cells: cells_described, measured, targets, shares, command: command() };
    if arguments.json {
        println!("{}", report.json());
    } else {
        println!("{}", report.tables());
    }
    if let Some(folder) = &arguments.docs {
        report.write(folder).with_context(|| format!("cannot write into {}", folder.display()))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report is this program's result")]
fn scale(arguments: &Arguments, deployment: &Deployment, installation: &Installation, conditions: Conditions) -> Result<()> {
    let quick = arguments.quick;
    let (rounds, time) = if quick { (1, Duration::from_millis(200)) } else { (arguments.rounds, Duration::from_secs(10)) };
    if arguments.keys.is_empty() || arguments.keys.iter().any(|keys| *keys < 1_000) {
        bail!("a store has at least 1000 keys here: as many are asked for");
    }
    let steps = scale::measure(deployment, installation, &arguments.keys, rounds, time)?;
    let report = scale::report::Report { conditions: conditions.end(), steps, command: command() };
    if arguments.json {
        println!("{}", report.json());
    } else {
        println!("{}", report.tables());
    }
    if let Some(folder) = &arguments.docs {
        fs::write(folder.join("benchmarks-scale.md"), report.page()).context("cannot write benchmarks-scale.md")?;
    }
    Ok(())
}

/// The edge's WebAssembly with the names of its functions, among the built Workers.
const NAMED: &str = "named/edge_bg.wasm";

/// The name by which `--only` asks for a warm decision inside WebAssembly.
const DECISION: &str = "decision";

/// The command that made this run.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ["cargo xtask bench".to_owned(), arguments.join(" ")].join(" ").trim().to_owned()
}
