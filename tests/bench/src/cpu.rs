//! The CPU time that processes used, with all their threads and children: from the scheduler's own account in nanoseconds, compared with the coarse
//! one that also remembers threads that ended.

use std::{collections::BTreeMap, fs};

/// A clock tick of `/proc/PID/stat`, in nanoseconds: `USER_HZ` is 100 wherever Linux runs.
const TICK_NS: u64 = 10_000_000;

/// What processes used up to a moment.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// By thread, in nanoseconds: `/proc/PID/task/TID/schedstat`.
    threads: BTreeMap<u32, u64>,
    /// By process, in ticks: user and system time of all its threads, of those that ended too.
    processes: BTreeMap<u32, u64>,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// By the threads that lived at the end, in nanoseconds.
    pub ns: u64,
    /// By all, in nanoseconds, no finer than 10 ms.
    pub coarse_ns: u64,
}

impl Spent {
    /// Whether threads that ended in between took more with them than the coarse account can be wrong by.
    pub fn is_incomplete(self) -> bool {
        self.coarse_ns > self.ns + self.ns / 20 + 4 * TICK_NS
    }
}

impl Used {
    /// By the processes `roots` and all their descendants, until now.
    pub fn by(roots: &[u32]) -> Self {
        let mut used = Self::default();
        for pid in descendants(roots) {
            if let Some(ticks) = fs::read_to_string(format!("/proc/{pid}/stat")).ok().as_deref().and_then(ticks) {
                used.processes.insert(pid, ticks);
            }
            for entry in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let Some(tid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
                let said = fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
                if let Some(ns) = said.split_whitespace().next().and_then(|word| word.parse().ok()) {
                    used.threads.insert(tid, ns);
                }
            }
        }
        used
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Spent {
        Spent { ns: difference(&self.threads, &earlier.threads), coarse_ns: difference(&self.processes, &earlier.processes) * TICK_NS }
    }
}

fn difference(later: &BTreeMap<u32, u64>, earlier: &BTreeMap<u32, u64>) -> u64 {
    later.iter().map(|(id, now)| now.saturating_sub(earlier.get(id).copied().unwrap_or_default())).sum()
}

/// The memory that processes and their descendants hold, in kilobytes.
pub fn resident_kb(roots: &[u32]) -> u64 {
    descendants(roots).into_iter().filter_map(|pid| field(pid, "VmRSS:")).sum()
}

fn field(pid: u32, name: &str) -> Option<u64> {
    let said = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    said.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// `roots` with all their children.
fn descendants(roots: &[u32]) -> Vec<u32> {
    let mut parents: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let said = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if let Some(parent) = after_name(&said).and_then(|mut words| words.nth(1)).and_then(|word| word.parse().ok()) {
            parents.push((pid, parent));
        }
    }
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(&process) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == process).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// User and system time.
fn ticks(stat: &str) -> Option<u64> {
    let mut words = after_name(stat)?.skip(11);
    let mut number = || words.next()?.parse::<u64>().ok();
    Some(number()? + number()?)
}

/// The fields behind the name, which may hold anything, beginning with the state.
fn after_name(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

#[cfg(test)]
mod tests {
    use std::{
        process::{self, Command},
        thread,
        time::Duration,
    };

    use super::*;

    /// Works until this thread has used `ms` of CPU time, however busy the machine is.
    fn work(ms: u64) {
        let used = || {
            let said = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            said.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1_000_000
        };
        let end = used() + ms;
        while used() < end {}
    }

    #[test]
    fn the_fields_are_found_behind_any_name() {
        assert_eq!(ticks("7 (a) b) (c) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 1 0 100"), Some(42));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn what_a_thread_used_is_counted_and_what_an_ended_one_used_is_noticed() {
        let own = [process::id()];
        let before = Used::by(&own);
        work(20);
        let spent = Used::by(&own).since(&before);
        assert!(spent.ns > 19_000_000, "{spent:?}");

        let before = Used::by(&own);
        thread::spawn(|| work(200)).join().unwrap();
        let spent = Used::by(&own).since(&before);
        assert!(spent.coarse_ns > 100_000_000 && spent.is_incomplete(), "{spent:?}");
    }

    #[test]
    fn children_of_children_count() {
        let mut shell = Command::new("sh").args(["-c", "sh -c 'while :; do :; done' & wait"]).spawn().unwrap();
        thread::sleep(Duration::from_millis(100));
        let all = descendants(&[shell.id()]);
        let before = Used::by(&[shell.id()]);
        thread::sleep(Duration::from_millis(300));
        let spent = Used::by(&[shell.id()]).since(&before);
        for pid in all.iter().skip(1) {
            Command::new("kill").arg("-9").arg(pid.to_string()).status().unwrap();
        }
        shell.wait().unwrap();
        assert_eq!(all.len(), 2);
        assert!(spent.ns > 1_000_000, "{spent:?}");
    }
}
