//! Measures one cell: a system of its own, its edges' views of the store behind by the cell's lag from the start, keys in use at every edge,
//! and for each change the time from its acknowledgement until the last edge keeps the key out.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use keyward_e2e::{
    World,
    changes::{self, Acknowledged, Case, Change},
    eventually,
    probe::{Outcome, Probe, judge, now_ms},
};
use keyward_selfhost::{
    kv::{Effect, FOREVER, Fault},
    wire::Wire,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::plan::{CHANGES, EDGES, EVERY, Lag, Plan, Series};

/// For how long edges are watched after they have begun to keep a key out.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// How long a key may take until it is in use at every edge, and an edge until it has a connection to the Feed object.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long one change took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Which.
    pub(crate) change: Change,
    /// From its acknowledgement until the last edge kept the key out.
    pub(crate) seconds: f64,
}

/// A key in use.
struct InUse {
    case: Case,
    probes: Vec<Probe>,
}

/// Measures all changes, `rounds` times. `None`: this build has no push. An error where an edge did what it must not do.
pub(crate) async fn cell(plan: &Plan, series: Series, lag: Lag, rounds: usize) -> Result<Option<Vec<Sample>>> {
    let mut world = World::with(|options| {
        (options.edges, options.apart) = (EDGES, true);
        options.bound_s = Some(plan.bound.as_secs_f64());
        options.settings.push(("PUSH".into(), if series == Series::Push { "on" } else { "off" }.into()));
    })
    .await;
    if lag != Some(Duration::ZERO) {
        for edge in 0..EDGES {
            world.system.view(edge).lag(lag.unwrap_or(FOREVER));
        }
    }
    changes::guard(&world).await;
    let mut samples = Vec::new();
    for round in 0..rounds {
        let keys = put_to_use(&world, round).await;
        // Rounds begin at different places between two polls.
        sleep(plan.bound / 36 + plan.bound / 18 * u32::try_from(round).unwrap_or(0) / u32::try_from(rounds).unwrap_or(1)).await;
        if series == Series::Push && round == 0 && !has_push(&world).await {
            world.system.stop().await;
            return Ok(None);
        }
        samples.extend(self::round(plan, series, &mut world, &keys).await.with_context(|| world.system.log_tails())?);
    }
    world.system.stop().await;
    Ok(Some(samples))
}

async fn put_to_use(world: &World, round: usize) -> Vec<InUse> {
    let mut keys = Vec::new();
    for (change, _) in CHANGES {
        let case = Case::prepare(world, change, round).await;
        let watch = |url: String| Probe::start(world.http.clone(), url + change.path(), case.key.key.clone(), EVERY);
        let probes = world.system.edge_urls().into_iter().map(watch).collect();
        keys.push(InUse { case, probes });
    }
    let let_in = |probe: &Probe| probe.last().is_some_and(|last| last.outcome == Outcome::LetIn);
    eventually(
        PATIENCE,
        async || if keys.iter().flat_map(|key| &key.probes).all(let_in) { Ok(()) } else { Err("not all keys are in use") },
    )
    .await;
    keys
}

/// Whether every edge says that the Feed object tells it of changes.
async fn has_push(world: &World) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut all = true;
        for url in world.system.edge_urls() {
            let answer = keyward_e2e::http::send(world.http.get(format!("{url}/.keyward/health"))).await;
            all &= serde_json::from_str::<Value>(&answer.text).is_ok_and(|health| health["push"] == true);
        }
        if all || Instant::now() > deadline {
            return all;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn round(plan: &Plan, series: Series, world: &mut World, keys: &[InUse]) -> Result<Vec<Sample>> {
    for key in keys {
        for probe in &key.probes {
            let last = probe.last().context("no answer yet")?;
            ensure!(last.outcome == Outcome::LetIn, "{:?}: not let in before the change: {last:?}", key.case.change);
        }
    }
    if series == Series::ObjectsUnreachable {
        world.system.kv().inject(Fault::writing("", Effect::Fail(500)));
        wires(world).for_each(Wire::cut);
    }
    let mut done = Vec::new();
    for key in keys {
        done.push(key.case.apply(world).await);
    }
    if series == Series::ObjectsUnreachable {
        world.system.kill_control().await;
    }
    until_kept_out(keys, Instant::now() + plan.bound + AFTERWARDS).await;
    sleep(AFTERWARDS).await;
    let mut samples = Vec::new();
    for (key, done) in keys.iter().zip(&done) {
        samples.push(sample(plan, key, done)?);
    }
    if series == Series::ObjectsUnreachable {
        world.system.kv().heal();
        world.system.start_control().await?;
        wires(world).for_each(Wire::mend);
    }
    Ok(samples)
}

fn wires(world: &World) -> impl Iterator<Item = &Wire> {
    (0..EDGES).filter_map(|edge| world.system.wire(edge))
}

/// Waits until no edge lets a key in, or until `deadline`.
async fn until_kept_out(keys: &[InUse], deadline: Instant) {
    let let_in = |probe: &Probe| probe.last().is_none_or(|last| last.outcome == Outcome::LetIn);
    while keys.iter().flat_map(|key| &key.probes).any(let_in) && Instant::now() < deadline {
        sleep(EVERY).await;
    }
}

/// What the edges did about one change.
fn sample(plan: &Plan, key: &InUse, done: &Acknowledged) -> Result<Sample> {
    let change = key.case.change;
    let effective_ms = done.acknowledged_ms + u64::try_from(plan.bound.as_millis())?;
    let mut latest = 0;
    for (edge, probe) in key.probes.iter().enumerate() {
        let seen = probe.seen();
        let course = match judge(&seen, done.sent_ms, effective_ms, change.refusal()) {
            Ok(course) => course,
            Err(wrong) => bail!("{change:?} at edge {edge}: {wrong}"),
        };
        let kept_out = course.first_kept_out_ms.with_context(|| format!("{change:?} at edge {edge}: still let in"))?;
        ensure!(kept_out <= now_ms(), "an answer from the future");
        latest = latest.max(kept_out);
    }
    let ms = u32::try_from(latest.saturating_sub(done.acknowledged_ms))?;
    Ok(Sample { change, seconds: f64::from(ms) / 1000.0 })
}
