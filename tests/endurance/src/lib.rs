//! Load and crashes together, in the real runtime: many clients create, rotate, revoke, delete and use keys at two edges and the control
//! plane as fast as the machine lets them, while the control process and one edge are killed and started again.
//!
//! Read top-down: [`run`] (one run), [`ledger`] (what was acknowledged, and what must hold because of it), [`clients`] (the load), [`call`] (one
//! change, tried again until it is answered), [`crashes`] (kills and memory), [`verdict`] (what is checked afterwards and told).
//!
//! Whatever is not in order becomes a finding; a run without findings has passed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test tool ends where its own ground gives way")]

mod call;
mod clients;
mod crashes;
mod dice;
mod ledger;
mod verdict;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use keyward_e2e::World;

pub use self::verdict::Report;
use self::{clients::Load, crashes::Memory, ledger::Ledger};

/// How many edges there are. The first one is never killed.
const EDGES: usize = 2;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// For how long the load lasts.
    pub time: Duration,
    /// How often a process is killed.
    pub kills: u32,
    /// The bound.
    pub bound: Duration,
    /// How many requests the edge that is never killed gets before the load begins; with 0 its memory is not judged.
    pub warm_up: u64,
    /// How many clients use keys at each edge.
    pub users: usize,
    /// How many clients change keys.
    pub writers: usize,
    /// How many clients read at the control plane.
    pub readers: usize,
}

/// Runs a plan. The report tells what was done and what was not in order.
pub async fn run(plan: Plan) -> Report {
    let mut world = World::with(|options| (options.edges, options.bound_s) = (EDGES, Some(plan.bound.as_secs_f64()))).await;
    let companies = clients::companies(&world).await;
    clients::warm_up(&world, companies[0], plan.warm_up).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&world, &plan, &companies, &ledger);
    let mut memory = Memory::default();
    let begun = Instant::now();
    let kills = crashes::play(&mut world, &plan, &mut memory).await;
    load.stop().await;
    let took = begun.elapsed();
    let report = verdict::reach(&world, &plan, &companies, &ledger, memory, kills, took).await;
    world.system.stop().await;
    report
}
