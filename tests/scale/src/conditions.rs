//! Under what conditions was measured: the state of the project, the machine, and how busy it was.

use std::{fs, process::Command, thread};

/// What a run is named by.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    /// The day, as `2026-11-24`.
    day: String,
    /// The commit that was measured, and whether there were changes beside it.
    commit: String,
    /// The processor, as it calls itself.
    processor: String,
    cpus: usize,
    /// Processes that ran or waited to, on average of the last minute: when the run began, and when it ended.
    load: [String; 2],
}

impl Conditions {
    /// As they are when a run begins.
    pub(crate) fn begin() -> Self {
        let known = |text: Option<String>| text.unwrap_or_else(|| "unknown".into());
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
        let commit = known(git(&["rev-parse", "--short=12", "HEAD"]));
        Self {
            day: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            commit: if changed { format!("{commit} with changes") } else { commit },
            processor: known(processor()),
            cpus: thread::available_parallelism().map_or(0, std::num::NonZero::get),
            load: [load(), String::new()],
        }
    }

    /// With what only the end shows.
    pub(crate) fn end(mut self) -> Self {
        self.load[1] = load();
        self
    }

    /// As a paragraph of the page.
    pub(crate) fn text(&self) -> String {
        let Self { day, commit, processor, cpus, load: [before, after] } = self;
        format!(
            "Measured {day} at commit {commit}, on {cpus} cores of a machine ({processor}) on which other work ran at the same time\n\
             (load average {before} when the run began, {after} when it ended): times are longer than on a quiet machine and their intervals\n\
             wide; compare ratios, and rely on rows and steps, which nothing else changes."
        )
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn processor() -> Option<String> {
    let said = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = said.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn load() -> String {
    let said = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    said.split(' ').next().filter(|text| !text.is_empty()).unwrap_or("unknown").to_owned()
}
