//! Kills processes at even intervals, by turns the control process and the second edge, and starts them again a moment later. Meanwhile the
//! memory of all processes is sampled.

use std::{fs, time::Duration};

use keyward_e2e::World;
use tokio::time::{Instant, sleep_until};

use crate::{Plan, dice::Dice};

/// How often memory is sampled.
const SAMPLE: Duration = Duration::from_millis(500);

/// Resident memory in KiB: for each process, for each of its lives, the samples in order.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Of the edge that is never killed.
    pub(crate) steady_edge: Vec<u64>,
    /// Of each life of the control process.
    pub(crate) control: Vec<Vec<u64>>,
}

impl Memory {
    fn sample(&mut self, world: &World) {
        if let Some(kib) = world.system.edge(0).and_then(|process| resident(process.id()?)) {
            self.steady_edge.push(kib);
        }
        if let Some(kib) = world.system.control().and_then(|process| resident(process.id()?)) {
            if self.control.is_empty() {
                self.new_life();
            }
            self.control.last_mut().unwrap().push(kib);
        }
    }

    fn new_life(&mut self) {
        self.control.push(Vec::new());
    }
}

/// Plays the whole time of `plan`; says how many kills there were.
pub(crate) async fn play(world: &mut World, plan: &Plan, memory: &mut Memory) -> u32 {
    let begun = Instant::now();
    let mut dice = Dice::new(7);
    for kill in 0..plan.kills {
        idle(world, memory, begun + plan.time * (kill + 1) / (plan.kills + 1)).await;
        let down = Duration::from_millis(u64::try_from(dice.below(2_000)).unwrap_or(0));
        let control = kill % 2 == 0;
        if control {
            world.system.kill_control().await;
        } else {
            world.system.kill_edge(1).await;
        }
        idle(world, memory, Instant::now() + down).await;
        if control {
            world.system.start_control().await.unwrap_or_else(|error| panic!("after a kill: {error}"));
            memory.new_life();
        } else {
            world.system.start_edge(1).await.unwrap_or_else(|error| panic!("after a kill: {error}"));
        }
    }
    idle(world, memory, begun + plan.time).await;
    plan.kills
}

async fn idle(world: &World, memory: &mut Memory, until: Instant) {
    loop {
        memory.sample(world);
        let next = Instant::now() + SAMPLE;
        sleep_until(next.min(until)).await;
        if Instant::now() >= until {
            return;
        }
    }
}

/// The resident memory of a process in KiB.
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok())
}
