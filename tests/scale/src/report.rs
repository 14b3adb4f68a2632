//! What was measured, as tables and as a page.

use std::fmt::Write as _;

use crate::{
    native, runtime,
    runtime::Beside,
    shards::Size,
    statistics::{Ratio, median},
    storage::{KEY, Storage},
    turns::Turns,
};

/// A whole run.
pub(crate) struct Report {
    pub(crate) sizes: Vec<Size>,
    pub(crate) storage: Vec<Storage>,
    pub(crate) native: Vec<Vec<Vec<native::Sample>>>,
    pub(crate) runtime: Vec<Vec<Vec<runtime::Sample>>>,
    pub(crate) turns: Vec<Turns>,
    pub(crate) beside: Vec<Beside>,
}

/// One figure of a sample, and how it is written.
struct Figure<S> {
    title: &'static str,
    of: fn(&S) -> f64,
    digits: usize,
}

impl Report {
    /// Everything as Markdown tables.
    pub(crate) fn tables(&self) -> String {
        let native: [Figure<native::Sample>; 5] = [
            Figure { title: "statements", of: |sample| sample.statements, digits: 0 },
            Figure { title: "steps", of: |sample| sample.steps, digits: 0 },
            Figure { title: "rows changed", of: |sample| sample.written, digits: 0 },
            Figure { title: "SQL, µs", of: |sample| sample.sql_us, digits: 0 },
            Figure { title: "whole, µs", of: |sample| sample.turn_us, digits: 0 },
        ];
        let runtime: [Figure<runtime::Sample>; 5] = [
            Figure { title: "statements", of: |sample| sample.statements, digits: 0 },
            Figure { title: "rows read", of: |sample| sample.rows_read, digits: 0 },
            Figure { title: "rows written", of: |sample| sample.rows_written, digits: 0 },
            Figure { title: "latency, µs", of: |sample| sample.latency_us, digits: 0 },
            Figure { title: "CPU, µs", of: |sample| sample.cpu_us, digits: 0 },
        ];
        let mut text = String::from("## In the runtime\n\n");
        text += &self.table(&self.runtime, &runtime::OPERATIONS.map(|(title, _)| title), &runtime);
        text += "\n## Natively\n\n";
        text += &self.table(&self.native, &native::OPERATIONS, &native);
        text += "\n## What goes on in the background\n\n";
        text += &self.turns();
        text += "\n## Storage\n\n";
        text += &self.bytes();
        text
    }

    fn table<S>(&self, samples: &[Vec<Vec<S>>], operations: &[&str], figures: &[Figure<S>]) -> String {
        let mut text = String::from("| | |");
        for (index, size) in self.sizes.iter().enumerate() {
            let _ = write!(text, " {} |{}", size.title(), if index > 0 { " ratio |" } else { "" });
        }
        text += "\n| --- | --- |";
        text += &" ---: |".repeat(2 * self.sizes.len() - 1);
        text.push('\n');
        for (place, operation) in operations.iter().enumerate() {
            for (row, figure) in figures.iter().enumerate() {
                let of = |size: usize| samples[size][place].iter().map(figure.of).collect::<Vec<f64>>();
                let _ = write!(text, "| {} | {} |", if row == 0 { operation } else { "" }, figure.title);
                let first = of(0);
                for size in 0..self.sizes.len() {
                    let _ = write!(text, " {:.*} |", figure.digits, median(&of(size)));
                    if size > 0 {
                        let _ = write!(text, " {} |", Ratio::of(&of(size), &first));
                    }
                }
                text.push('\n');
            }
        }
        text
    }

    fn turns(&self) -> String {
        let largest = self.sizes.iter().filter(|size| size.companies == 1).max_by_key(|size| size.keys);
        let mut text = format!("In a shard with {} keys, natively:\n\n", largest.map(|size| size.title()).unwrap_or_default());
        text.push_str("| | the change | turns after it | the longest | all of them |\n| --- | ---: | ---: | ---: | ---: |\n");
        for turns in &self.turns {
            let Turns { what, change_ms, count, longest_ms, all_s } = turns;
            let _ = writeln!(text, "| {what} | {change_ms:.1} ms | {count} | {longest_ms:.1} ms | {all_s:.1} s |");
        }
        text += "\nIn the runtime, what another caller waits for `GET /v1/owners/{owner}` in the first 10 s after:\n\n\
                 | | the change | median | longest |\n| --- | ---: | ---: | ---: |\n";
        for Beside { what, answer_ms, median_ms, longest_ms } in &self.beside {
            let change = if *answer_ms > 0.0 { format!("{answer_ms:.0} ms") } else { String::new() };
            let _ = writeln!(text, "| {what} | {change} | {median_ms:.1} ms | {longest_ms:.1} ms |");
        }
        text
    }

    fn bytes(&self) -> String {
        let mut text = String::from("Bytes per key, by the pages of tables and indexes:\n\n| |");
        for size in &self.sizes {
            let _ = write!(text, " {} |", size.title());
        }
        text += "\n| --- |";
        text += &" ---: |".repeat(self.sizes.len());
        text.push('\n');
        let mut line = |name: &str, of: &dyn Fn(&Storage) -> f64| {
            let _ = write!(text, "| {name} |");
            for storage in &self.storage {
                let _ = write!(text, " {:.0} |", of(storage));
            }
            text.push('\n');
        };
        line("**the key**: row, indexes, state of its publication", &|storage| storage.sum(&KEY));
        line("**the entry of its creation in the trail**", &|storage| storage.sum(&["audit"]));
        let largest = self.storage.iter().max_by(|a, b| a.parts.len().cmp(&b.parts.len()).then(b.file.total_cmp(&a.file)));
        for (name, _) in largest.iter().flat_map(|storage| &storage.parts).filter(|(_, bytes)| *bytes >= 1.0) {
            line(name, &|storage: &Storage| storage.parts.iter().find(|(known, _)| known == name).map_or(0.0, |(_, bytes)| *bytes));
        }
        line("the whole file", &|storage| storage.file);
        text
    }

    /// The page of the documentation.
    pub(crate) fn page(&self, month: &str) -> String {
        let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        format!(
            "# Scale\n\nWhat a shard with a million keys costs beside one with a thousand: a million of one company, and of many companies that\n\
             share the shard. `cargo xtask scale --docs docs` measures it and writes this page. Every size is measured in the same run, in\n\
             turn; the figures are medians, the ratios are against the first size, with a bootstrap interval of 95 %. Measured {month} on a\n\
             machine with {cpus} cores that others used too: compare ratios.\n\n\
             Rows are what the platform bills, by the runtime's own counters (`LOG_COST=on`), the announcement of a change included. A step\n\
             is one of SQLite's virtual machine. SQL time leaves out the commit. Nobody is answered while a turn lasts.\n\n{}",
            self.tables()
        )
    }
}
