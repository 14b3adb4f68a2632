//! Which core is whose: what is measured has one to itself, everything else shares the other. The scheduler would move them otherwise, and a cold
//! cache costs more than the difference that is looked for.

use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The two cores; none where the machine, or what this process may use of it, has fewer.
#[derive(Clone, Copy, Debug)]
pub struct Cores(Option<(usize, usize)>);

impl Cores {
    /// Takes two of the cores that this process may use, and moves this thread, with all that it starts from now on, to the second.
    pub fn divide() -> Self {
        let Ok(allowed) = sched_getaffinity(None) else { return Self(None) };
        let mut usable = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let (Some(measured), Some(rest)) = (usable.next(), usable.next()) else { return Self(None) };
        let this = Self(Some((measured, rest)));
        if move_to(rest) { this } else { Self(None) }
    }

    /// Runs `work`, which starts a process, so that the process runs on the core that is measured.
    pub fn measured<T>(self, work: impl FnOnce() -> T) -> T {
        let Some((measured, rest)) = self.0 else { return work() };
        move_to(measured);
        let done = work();
        move_to(rest);
        done
    }

    /// For the report.
    pub fn text(self) -> String {
        match self.0 {
            Some((measured, rest)) => format!("what is measured alone on core {measured}, load, origin and stores on core {rest}"),
            None => format!("no core of its own for what is measured: {} in all", thread::available_parallelism().map_or(1, usize::from)),
        }
    }
}

fn move_to(core: usize) -> bool {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).is_ok()
}
