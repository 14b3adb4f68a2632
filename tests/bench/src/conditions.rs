//! Under what conditions was measured: the state of the project, the machine, how busy it was.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::cores::Cores;

/// What a run is named by.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// The day, as `2026-11-24`.
    day: String,
    /// The commit that was measured, and whether there were changes beside it.
    commit: String,
    /// The processor, as it calls itself.
    processor: String,
    kernel: String,
    cpus: usize,
    cores: String,
    /// Processes that ran or waited to, on average of the last minute: when the run began, and when it ended.
    load: [String; 2],
}

impl Conditions {
    /// As they are when a run of the repository `root` begins.
    pub fn begin(root: &Path, cores: Cores) -> Self {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
        let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
        Self {
            day: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            commit: if changed { format!("{commit} with changes") } else { commit },
            processor: processor(),
            kernel: first_word("/proc/sys/kernel/osrelease"),
            cpus: processors(),
            cores: cores.text(),
            load: [first_word("/proc/loadavg"), String::new()],
        }
    }

    /// With what only the end shows.
    #[must_use]
    pub fn end(mut self) -> Self {
        self.load[1] = first_word("/proc/loadavg");
        self
    }

    /// As a paragraph of the page.
    pub fn text(&self) -> String {
        let Self { day, commit, processor, kernel, cpus, cores, load: [before, after] } = self;
        format!(
            "Measured {day} at commit {commit} on a machine with {cpus} cores ({processor}, Linux {kernel}); {cores}. Load average {before} when the\n\
             run began, {after} when it ended: above 2 other work took part of the cores, and times are longer than on a quiet machine."
        )
    }

    /// As a part of the JSON object.
    pub fn json(&self) -> Value {
        let Self { day, commit, processor, kernel, cpus, cores, load } = self;
        json!({"day": day, "commit": commit, "processor": processor, "kernel": kernel, "cpus": cpus, "cores": cores, "load": load})
    }
}

fn processor() -> String {
    let said = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = said.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or_else(|| "unknown".into(), |(_, name)| name.trim().to_owned())
}

/// How many the machine has; this process and what it starts keep to one each.
fn processors() -> usize {
    let said = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    said.lines().filter(|line| line.starts_with("processor")).count()
}

fn first_word(path: &str) -> String {
    let said = fs::read_to_string(path).unwrap_or_default();
    said.split_whitespace().next().unwrap_or("unknown").to_owned()
}
