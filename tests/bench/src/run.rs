//! The rounds: in each all cells in a drawn order, each in a fresh process that is warmed up, measured and ended.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use keyward_selfhost::Installation;

use crate::{
    cell::{Cell, Work},
    check::check,
    cpu::{Used, resident_kb},
    decision,
    deployment::Deployment,
    load::{CONNECTIONS, Load},
    statistics::quantile,
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds.
    pub rounds: usize,
    /// Requests before anything is measured, and the longest that they may take.
    warm_up: (usize, Duration),
    /// The most requests that are measured, and how long.
    measured: (usize, Duration),
    /// Requests over one connection.
    latencies: usize,
}

impl Effort {
    /// What a report is made from.
    pub fn whole(rounds: usize) -> Self {
        let (warm_up, measured) = ((8_000, Duration::from_secs(12)), (30_000, Duration::from_secs(3)));
        Self { rounds, warm_up, measured, latencies: 1_000 }
    }

    /// What only shows that it works.
    pub fn quick() -> Self {
        let short = Duration::from_millis(200);
        Self { rounds: 1, warm_up: (50, short), measured: (200, short), latencies: 20 }
    }
}

/// One cell in one round.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// CPU time per request, in microseconds.
    pub cpu_us: f64,
    /// Requests per second over all connections.
    pub per_second: f64,
    /// How much of a core the process used meanwhile, from 0 to its number of threads: far below 1 the load was the limit, not the process.
    pub busy: f64,
    /// Half of the requests over one connection were quicker, in microseconds.
    pub p50_us: f64,
    /// 99 of 100 were.
    pub p99_us: f64,
    /// From the start of the process to its first answer, in milliseconds.
    pub start_ms: f64,
    /// CPU time until then, in milliseconds.
    pub start_cpu_ms: f64,
    /// The memory held at the end, in megabytes.
    pub resident_mb: f64,
    /// Threads that ended took some of the account with them.
    pub incomplete: bool,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// By the name of the cell, one sample for each round.
    pub cells: BTreeMap<&'static str, Vec<Sample>>,
    /// A warm decision inside WebAssembly in microseconds, one of each round.
    pub decisions: Vec<f64>,
}

/// Measures all `cells`.
pub fn rounds(
    deployment: &Deployment,
    installation: &Installation,
    cells: &[Box<dyn Cell>],
    effort: Effort,
    decides: bool,
) -> Result<Measured> {
    let folder = Folder::new()?;
    let mut measured = Measured::default();
    let mut random = fastrand::Rng::with_seed(2026);
    for round in 1..=effort.rounds {
        let mut order: Vec<&dyn Cell> = cells.iter().map(AsRef::as_ref).collect();
        random.shuffle(&mut order);
        for cell in order {
            let sample = in_folder(&folder, |dir| measure(deployment, installation, cell, effort, dir));
            let sample = sample.with_context(|| format!("{} in round {round}", cell.name()))?;
            eprintln!(
                "{:>12} round {round}/{}: {:<24} {:>7.1} µs of CPU, {:>6.0}/s, p50 {:>5.0} µs, first answer after {:.0} ms",
                "measured",
                effort.rounds,
                cell.name(),
                sample.cpu_us,
                sample.per_second,
                sample.p50_us,
                sample.start_ms
            );
            measured.cells.entry(cell.name()).or_default().push(sample);
        }
        if decides {
            let us = in_folder(&folder, |dir| decision::measure(&deployment.ground(dir, installation)?, effort.measured.0 > 1_000))?;
            eprintln!("{:>12} round {round}/{}: a warm decision inside WebAssembly {us:.3} µs", "measured", effort.rounds);
            measured.decisions.push(us);
        }
    }
    Ok(measured)
}

fn measure(deployment: &Deployment, installation: &Installation, cell: &dyn Cell, effort: Effort, dir: &Path) -> Result<Sample> {
    let ground = deployment.ground(dir, installation)?;
    let running = cell.start(&ground)?;
    let ids: Vec<u32> = running.processes.iter().map(crate::cell::Started::id).collect();
    let cold = cell.work() == Work::VerifyCold;
    let mut requests = running.asked.requests();
    if cold {
        requests.pop(); // the check's
    }
    let load = Load::new(running.address, requests, running.asked.status, cold);

    let first = running.processes.first().context("a cell without a process")?;
    load.latencies(1).with_context(|| first.tail())?;
    let start_ms = first.began.elapsed().as_secs_f64() * 1e3;
    let start_cpu_ms = nanoseconds(Used::by(&ids).since(&Used::default()).ns) / 1e6;
    check(&running, cell.work(), deployment.origin()).context("it does not do the work")?;

    let (requests, time) = effort.warm_up;
    load.send(if cold { requests / 4 } else { requests }, time, CONNECTIONS)?;
    let before = Used::by(&ids);
    let (requests, time) = effort.measured;
    let kept = if cold { effort.latencies } else { 0 };
    let (count, elapsed) = load.send(requests.min(load.left().saturating_sub(kept)), time, CONNECTIONS)?;
    let spent = Used::by(&ids).since(&before);
    let latencies: Vec<f64> = load.latencies(effort.latencies)?.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    let count = f64::from(u32::try_from(count)?);
    Ok(Sample {
        cpu_us: nanoseconds(spent.ns) / 1e3 / count,
        per_second: count / elapsed.as_secs_f64(),
        busy: nanoseconds(spent.ns) / 1e9 / elapsed.as_secs_f64(),
        p50_us: quantile(&latencies, 0.5),
        p99_us: quantile(&latencies, 0.99),
        start_ms,
        start_cpu_ms,
        resident_mb: nanoseconds(resident_kb(&ids)) / 1024.0,
        incomplete: spent.is_incomplete(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn nanoseconds(count: u64) -> f64 {
    count as f64
}

/// A folder for one run, removed with all that is in it when this is dropped: stores of ten million keys are not to stay.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("keyward-bench-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("warning: cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Runs `work` with an empty folder in `folder`.
pub fn in_folder<T>(folder: &Folder, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let dir = folder.path().join("start");
    drop(fs::remove_dir_all(&dir));
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    work(&dir)
}
