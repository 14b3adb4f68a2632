//! The report: tables for the terminal and the page, and one JSON object. What is to be reached is [`crate::targets`]' business, the picture [`crate::chart`]'s.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::{
    cell::{Cell, Work},
    conditions::Conditions,
    deployment::Deployment,
    run::{Folder, Measured, Sample, in_folder},
    statistics::{Interval, median},
    targets::{self, Target},
};
use keyward_selfhost::Installation;

/// What a cell says of itself.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// What it does.
    pub work: Work,
    /// What runs.
    pub version: String,
}

/// All that the cells say of themselves.
pub fn described(deployment: &Deployment, installation: &Installation, cells: &[Box<dyn Cell>]) -> Result<Vec<Described>> {
    let folder = Folder::new()?;
    in_folder(&folder, |dir| {
        let ground = deployment.ground(dir, installation)?;
        cells
            .iter()
            .map(|cell| Ok(Described { name: cell.name(), what: cell.what(), work: cell.work(), version: cell.version(&ground)? }))
            .collect()
    })
}

/// A run, measured.
#[derive(Debug)]
pub struct Report {
    /// Under which conditions.
    pub conditions: Conditions,
    /// What was measured.
    pub cells: Vec<Described>,
    /// The figures.
    pub measured: Measured,
    /// What is to be reached.
    pub targets: Vec<Target>,
    /// The bytes of the edge's WebAssembly by where they come from; empty where no build with names was made.
    pub shares: Vec<(String, usize)>,
    /// The command line that measured it.
    pub command: String,
}

/// The kinds of work that are shown together: heading, floor, and who stands in the table.
pub const GROUPS: [(&str, &str, [Work; 2]); 3] = [
    ("Verify a key that was seen before, and answer", "constant", [Work::Answer, Work::Verify]),
    ("Verify a key that was never seen: one read of the store", "constant", [Work::VerifyCold, Work::VerifyCold]),
    ("Verify and forward to the origin", "forward", [Work::Forward, Work::Gateway]),
];

impl Report {
    /// The figures of the rounds of one cell.
    pub fn interval(&self, name: &str, figure: fn(&Sample) -> f64) -> Interval {
        let samples = self.measured.cells.get(name).map(Vec::as_slice).unwrap_or_default();
        Interval::of(&samples.iter().map(figure).collect::<Vec<f64>>())
    }

    /// The cells of one of [`GROUPS`], those that cost least first.
    pub fn group(&self, works: [Work; 2]) -> Vec<&Described> {
        let mut cells: Vec<&Described> = self.cells.iter().filter(|cell| works.contains(&cell.work)).collect();
        cells.sort_by(|a, b| self.interval(a.name, |s| s.cpu_us).value.total_cmp(&self.interval(b.name, |s| s.cpu_us).value));
        cells
    }

    /// Everything as Markdown tables.
    pub fn tables(&self) -> String {
        let mut text = String::from("## What is to be reached\n\n");
        text.push_str("| | measured | interval of 95 % | at most | |\n| --- | ---: | ---: | ---: | --- |\n");
        for target in &self.targets {
            let Target { what, limit, unit, measured } = target;
            let reached = target.is_reached().map_or("not measured", |reached| if reached { "yes" } else { "**no**" });
            let (value, interval) =
                measured.map_or_else(Default::default, |m| (number(m.value), format!("{}–{}", number(m.low), number(m.high))));
            put(&mut text, &format!("| {what}, {unit} | {value} | {interval} | {} | {reached} |", number(*limit)));
        }
        for (heading, floor, works) in GROUPS {
            let group = self.group(works);
            if group.is_empty() {
                continue;
            }
            put(&mut text, &format!("\n## {heading}\n"));
            put(
                &mut text,
                &format!(
                    "| | CPU, µs a request | interval of 95 % | × `{floor}` | requests/s | cores used | p50, µs | p99, µs | memory, MB |"
                ),
            );
            put(&mut text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
            for cell in group {
                put(&mut text, &self.row(cell.name, floor));
            }
        }
        put(&mut text, "\n## From the start of a process to its first answer\n");
        put(&mut text, "| | ms | interval of 95 % | CPU, ms | × `constant` |\n| --- | ---: | ---: | ---: | ---: |");
        for cell in &self.cells {
            let (ms, cpu) = (self.interval(cell.name, |s| s.start_ms), self.interval(cell.name, |s| s.start_cpu_ms));
            let ratio = targets::ratio(&self.measured, cell.name, "constant", |s| s.start_ms).map(|ratio| number(ratio.value));
            let (low, high) = (number(ms.low), number(ms.high));
            put(
                &mut text,
                &format!(
                    "| `{}` | {} | {low}–{high} | {} | {} |",
                    cell.name,
                    number(ms.value),
                    number(cpu.value),
                    ratio.unwrap_or_default()
                ),
            );
        }
        if !self.shares.is_empty() {
            put(&mut text, "\n## What the edge's WebAssembly is made of\n");
            put(&mut text, "| crate | bytes | of all |\n| --- | ---: | ---: |");
            let all: usize = self.shares.iter().map(|(_, size)| size).sum();
            for (name, size) in &self.shares {
                put(&mut text, &format!("| {name} | {size} | {} % |", tenths(size * 1_000 / all.max(1))));
            }
        }
        text
    }

    fn row(&self, name: &str, floor: &str) -> String {
        let cpu = self.interval(name, |s| s.cpu_us);
        let ratio = targets::ratio(&self.measured, name, floor, |s| s.cpu_us).map(|ratio| number(ratio.value)).unwrap_or_default();
        let samples = self.measured.cells.get(name).map(Vec::as_slice).unwrap_or_default();
        let middle = |figure: fn(&Sample) -> f64| median(&samples.iter().map(figure).collect::<Vec<f64>>());
        let incomplete = if samples.iter().any(|sample| sample.incomplete) { " (at least)" } else { "" };
        format!(
            "| `{name}` | {}{incomplete} | {}–{} | {ratio} | {:.0} | {:.2} | {:.0} | {:.0} | {:.0} |",
            number(cpu.value),
            number(cpu.low),
            number(cpu.high),
            middle(|s| s.per_second),
            middle(|s| s.busy),
            middle(|s| s.p50_us),
            middle(|s| s.p99_us),
            middle(|s| s.resident_mb),
        )
    }

    /// The page.
    pub fn page(&self) -> String {
        let rounds = self.measured.cells.values().map(Vec::len).max().unwrap_or_default();
        let mut versions = BTreeMap::<&str, Vec<String>>::new();
        for cell in &self.cells {
            versions.entry(cell.version.as_str()).or_default().push(format!("`{}`", cell.name));
        }
        let versions: Vec<String> = versions.iter().map(|(version, names)| format!("- {version}: {}", names.join(", "))).collect();
        let whats: Vec<String> = self.cells.iter().map(|cell| format!("- `{}`: {}", cell.name, cell.what)).collect();
        format!(
            "# What a verified request costs\n\n\
             Made by `{}`; do not edit. Everything is measured in one run, in {rounds} rounds: in each all cells in another order, each in a\n\
             fresh process that is warmed up, has {} connections from another process, and then one. Before it is measured it must show that it lets\n\
             right keys in and keeps wrong ones out, and that the origin gets what it should.\n\n\
             {}\n\n\
             The main figure is the CPU time of the process per request, with all its threads and children. Figures are medians of the rounds; a ratio is\n\
             the median of the ratios within each round, with a bootstrap interval of 95 %. A row is reached when the lower end of its interval is at or under the\n\
             limit. Throughput says something about a cell only where it used its core wholly; else the load was the limit.\n\n\
             ![CPU time per request](benchmarks.svg)\n\n{}\n\
             ## What they are\n\n{}\n\n\
             Requests have six headers. Warm cells are sent {} keys in turn, cold ones each time another of {}. {}\n\n{}\n",
            self.command,
            crate::load::CONNECTIONS,
            self.conditions.text(),
            self.tables(),
            whats.join("\n"),
            crate::cells::keyward::WARM,
            crate::keys::COUNT,
            "The policy has 100 rules.",
            versions.join("\n"),
        )
    }

    /// Everything as one JSON object; the rows to be reached by their names.
    pub fn json(&self) -> Value {
        let target = |target: &Target| {
            let measured = target.measured.map(|m| json!({"value": m.value, "low": m.low, "high": m.high}));
            (
                target.what.to_owned(),
                json!({"unit": target.unit, "limit": target.limit, "measured": measured, "reached": target.is_reached()}),
            )
        };
        let cell = |cell: &Described| {
            let cpu = self.interval(cell.name, |s| s.cpu_us);
            let middle = |figure: fn(&Sample) -> f64| self.interval(cell.name, figure).value;
            let figures = json!({
                "version": cell.version,
                "cpu_us": {"value": cpu.value, "low": cpu.low, "high": cpu.high},
                "per_second": middle(|s| s.per_second),
                "cores_used": middle(|s| s.busy),
                "p50_us": middle(|s| s.p50_us),
                "p99_us": middle(|s| s.p99_us),
                "start_ms": middle(|s| s.start_ms),
                "start_cpu_ms": middle(|s| s.start_cpu_ms),
                "resident_mb": middle(|s| s.resident_mb),
            });
            (cell.name.to_owned(), figures)
        };
        json!({
            "conditions": self.conditions.json(),
            "ratios": self.targets.iter().map(target).collect::<Map<String, Value>>(),
            "cells": self.cells.iter().map(cell).collect::<Map<String, Value>>(),
            "wasm_bytes": self.shares.iter().map(|(name, size)| (name.clone(), json!(size))).collect::<Map<String, Value>>(),
        })
    }

    /// Writes page and picture into `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::write(folder.join("benchmarks.md"), self.page())?;
        Ok(std::fs::write(folder.join("benchmarks.svg"), crate::chart::svg(self))?)
    }
}

fn tenths(share: usize) -> String {
    format!("{}.{}", share / 10, share % 10)
}

/// As many digits as say something.
pub fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn put(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}"); // a String takes everything
}
