//! What was measured, as tables and as a page.

use std::fmt::Write as _;

use crate::{
    conditions::Conditions,
    native, runtime,
    runtime::Beside,
    shards::Size,
    statistics::{Ratio, median},
    storage::{AUDIT, KEY, Storage, USE},
    turns::Turns,
};

/// How many times what it costs at the first size an operation may cost at another.
const RATIO: f64 = 1.5;
/// The bytes of storage that a key may take.
const BYTES: f64 = 1_000.0;
/// The operations for which that holds, by what their names have in them.
const WANTED: [&str; 4] = ["create", "revoke", "get", "page"];

/// A whole run.
pub(crate) struct Report {
    pub(crate) conditions: Conditions,
    pub(crate) sizes: Vec<Size>,
    pub(crate) storage: Vec<Storage>,
    pub(crate) native: Vec<Vec<Vec<native::Sample>>>,
    pub(crate) runtime: Vec<Vec<Vec<runtime::Sample>>>,
    /// The shard in which the work in the background was measured.
    pub(crate) background: Size,
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
        let mut text = String::from("## Targets\n\n");
        text += &self.targets(&native, &runtime);
        text += "\n## In the runtime\n\n";
        text += &self.table(&self.runtime, &runtime::OPERATIONS.map(|(title, _)| title), &runtime);
        text += "\n## Natively\n\n";
        text += &self.table(&self.native, &native::OPERATIONS, &native);
        text += "\n## What goes on in the background\n\n";
        text += &self.turns();
        text += "\n## Storage\n\n";
        text += &self.bytes();
        text
    }

    /// Whether what is wanted holds: create, revoke, get and pages of the list at most [`RATIO`] times as dear, and a key in [`BYTES`].
    fn targets(&self, native: &[Figure<native::Sample>], runtime: &[Figure<runtime::Sample>]) -> String {
        let mut text = format!(
            "`create`, `revoke`, `get` and every page of the list may cost at most {RATIO} times what they cost at the first size. The highest\n\
             ratio of each figure, over these operations and all sizes:\n\n| | highest | in | at most {RATIO} |\n| --- | ---: | --- | --- |\n"
        );
        let names = runtime::OPERATIONS.map(|(name, _)| name);
        for figure in runtime.iter().filter(|figure| !figure.title.contains("latency")) {
            text += &self.highest("in the runtime", &self.runtime, &names, figure);
        }
        for figure in native {
            text += &self.highest("natively", &self.native, &native::OPERATIONS, figure);
        }
        text.push_str("\nBytes of storage per key, where it takes the most:\n\n");
        let most = |tables: &[&[&str]]| {
            let sum = |storage: &Storage| tables.iter().map(|tables| storage.sum(tables)).sum::<f64>();
            self.storage.iter().map(sum).fold(0.0, f64::max)
        };
        for (what, tables) in [
            ("the key itself (a)", [&KEY[..], &[], &[]]),
            ("the key and its row of use (a + b)", [&KEY, &USE, &[]]),
            ("the key, its row of use and the entry of its creation in the audit trail (a + b + c)", [&KEY, &USE, &AUDIT]),
        ] {
            let bytes = most(&tables);
            let side = if bytes <= BYTES { "under" } else { "**over**" };
            let _ = writeln!(text, "- {what}: {bytes:.0} bytes, {side} 1 KB ({BYTES:.0} bytes)");
        }
        text
    }

    /// The row of a figure's highest ratio.
    fn highest<S>(&self, place: &str, samples: &[Vec<Vec<S>>], names: &[&str], figure: &Figure<S>) -> String {
        let of = |size: usize, operation: usize| samples[size][operation].iter().map(figure.of).collect::<Vec<f64>>();
        let wanted = (0..names.len()).filter(|&operation| WANTED.iter().any(|wanted| names[operation].contains(wanted)));
        let ratios = wanted.flat_map(|operation| (1..self.sizes.len()).map(move |size| (operation, size)));
        let ratios = ratios.map(|(operation, size)| (Ratio::of(&of(size, operation), &of(0, operation)), operation, size));
        let Some((ratio, operation, size)) = ratios.max_by(|a, b| a.0.value.total_cmp(&b.0.value)) else { return String::new() };
        let holds = if ratio.value <= RATIO { "yes" } else { "**no**" };
        let (name, size, title) = (names[operation], self.sizes[size].title(), figure.title);
        let which = if ratio.value <= 1.0 { "none costs more".into() } else { format!("{name}, {size}") };
        format!("| {title} {place} | {ratio} | {which} | {holds} |\n")
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
        let mut text = format!("In a shard with {} keys of one company, natively:\n\n", self.background.title());
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
        let mut text = String::from(
            "Bytes per key, by the pages of tables and indexes. Every key expires, so it is in all indexes of keys but the one by the key\n\
             that made it; none has limits or metadata. What is counted of its use (`key_buckets`) comes on top.\n\n| |",
        );
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
        line("**(a) the key**: row, indexes, state of its publication", &|storage| storage.sum(&KEY));
        line("**(b) its row of use** and the index of it", &|storage| storage.sum(&USE));
        line("**(c) the entry of its creation in the trail**, with indexes", &|storage| storage.sum(&AUDIT));
        line("**(a) + (b)**", &|storage| storage.sum(&KEY) + storage.sum(&USE));
        line("**(a) + (b) + (c)**", &|storage| storage.sum(&KEY) + storage.sum(&USE) + storage.sum(&AUDIT));
        let largest = self.storage.iter().max_by(|a, b| a.parts.len().cmp(&b.parts.len()).then(b.file.total_cmp(&a.file)));
        for (name, _) in largest.iter().flat_map(|storage| &storage.parts).filter(|(_, bytes)| *bytes >= 1.0) {
            line(name, &|storage: &Storage| storage.parts.iter().find(|(known, _)| known == name).map_or(0.0, |(_, bytes)| *bytes));
        }
        line("the whole file", &|storage| storage.file);
        text
    }

    /// The page of the documentation.
    pub(crate) fn page(&self) -> String {
        format!(
            "# Scale\n\nWhat a shard with a million keys costs beside one with a thousand: a million of one company, and of many companies that\n\
             share the shard. `cargo xtask scale --docs docs` measures it and writes this page. Every size is measured in the same run, in\n\
             turn; the figures are medians, the ratios are against the first size, with a bootstrap interval of 95 %.\n\n{}\n\n\
             Rows are what the platform bills, by the runtime's own counters (`LOG_COST=on`), the announcement of a change included. A step\n\
             is one of SQLite's virtual machine. SQL time leaves out the commit. Nobody is answered while a turn lasts. A page has 100 keys.\n\n{}",
            self.conditions.text(),
            self.tables()
        )
    }
}
