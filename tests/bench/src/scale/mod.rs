//! What a request costs, and what an isolate holds, when there is more of everything: keys in the store, changes in the feed, rules in the policy,
//! permissions of a key. `cargo xtask bench --scale`.
//!
//! Each step of a curve has a store of its own ([`store`]), in which feed and policy are published as the control plane does it; Keyward's shipped
//! edge reads from there. In each round every step is measured in a fresh process, in another order. [`report`] makes tables of it.

pub mod report;
pub mod store;

use std::time::Duration;

use anyhow::{Context, Result};
use keyward_selfhost::{Installation, arrangement};
use serde_json::{Value, json};

use self::store::{Contents, Store};
use crate::{
    cell::{Asked, Ground, Running},
    cells::workers::PATH,
    cpu::{Used, resident_kb},
    deployment::{Deployment, policy},
    load::{CONNECTIONS, Load},
    run::{Folder, in_folder},
};

/// The keys that warm requests carry in turn. The smallest store has as many besides as the cold ones need.
const WARM: usize = 200;
/// The keys that a process sees for the first time before that is measured, and while it is.
const COLD: (usize, usize) = (300, 500);
/// How many requests, for keys drawn from all, an isolate gets before its memory is looked at: more than it keeps records.
const DRAWN: usize = 25_000;
/// How many keys the store has while something else grows.
const FEW: usize = 1_000;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// Keys in the store.
    Keys,
    /// Changes that the feed lists.
    Changes,
    /// Rules of the policy, each for another part of the API.
    Rules,
    /// Rules of the policy that all begin with the same segment.
    RulesBelowOne,
    /// Permissions of a key.
    Permissions,
}

impl Curve {
    /// As a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Keys => "keys in the store",
            Self::Changes => "changes in the feed",
            Self::Rules => "rules of the policy, for as many parts of the API",
            Self::RulesBelowOne => "rules of the policy, all below one part of the API",
            Self::Permissions => "permissions of each key",
        }
    }

    /// Its steps; the first one is what the others are compared with.
    fn steps(self, keys: &[usize]) -> Vec<usize> {
        match self {
            Self::Keys => keys.to_vec(),
            Self::Changes => vec![0, 1_000, 20_000],
            Self::Rules | Self::RulesBelowOne => vec![1, 100, 5_000],
            Self::Permissions => vec![1, 100],
        }
    }
}

/// All curves.
pub const CURVES: [Curve; 5] = [Curve::Keys, Curve::Changes, Curve::Rules, Curve::RulesBelowOne, Curve::Permissions];

/// One step of one curve, with its samples.
#[derive(Debug)]
pub struct Step {
    /// What grows.
    pub curve: Curve,
    /// How much of it there is.
    pub size: usize,
    /// One for each round.
    pub samples: Vec<Sample>,
    store: Store,
}

/// One step in one round.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// CPU time of a warm request, in microseconds.
    pub warm_us: f64,
    /// CPU time of the first request with a key.
    pub cold_us: f64,
    /// The memory of the process after requests with keys drawn from all of the store, in megabytes.
    pub resident_mb: f64,
}

/// Fills the stores and measures all curves.
pub fn measure(deployment: &Deployment, installation: &Installation, keys: &[usize], rounds: usize, time: Duration) -> Result<Vec<Step>> {
    let folder = Folder::new()?;
    let mut steps = Vec::new();
    for curve in CURVES {
        for size in curve.steps(keys) {
            eprintln!("{:>12} a store for {size} {}", "filling", curve.title());
            let store = Store::fill(deployment, &folder.path().join(format!("{curve:?}-{size}.sqlite")), &contents(curve, size))?;
            steps.push(Step { curve, size, samples: Vec::new(), store });
        }
    }
    let mut random = fastrand::Rng::with_seed(2026);
    for round in 1..=rounds {
        let mut order: Vec<&mut Step> = steps.iter_mut().collect();
        random.shuffle(&mut order);
        for step in order {
            let sample = in_folder(&folder, |dir| sample(&deployment.ground(dir, installation)?, step, time));
            let sample = sample.with_context(|| format!("{} {} in round {round}", step.size, step.curve.title()))?;
            let Sample { warm_us, cold_us, resident_mb } = sample;
            eprintln!(
                "{:>12} round {round}/{rounds}: {:>10} {:<52} warm {warm_us:>6.1} µs, cold {cold_us:>6.1} µs, {resident_mb:.0} MB",
                "measured",
                step.size,
                step.curve.title()
            );
            step.samples.push(sample);
        }
    }
    Ok(steps)
}

fn contents(curve: Curve, size: usize) -> Contents {
    let usual = Contents { keys: FEW, changes: 0, policy: policy(100), permissions: vec!["orders.read".into()] };
    match curve {
        Curve::Keys => Contents { keys: size, ..usual },
        Curve::Changes => Contents { changes: size, ..usual },
        Curve::Rules => Contents { policy: policy(size), ..usual },
        Curve::RulesBelowOne => Contents { policy: below_one(size), ..usual },
        Curve::Permissions => {
            let others = (1..size).map(|number| format!("part-{number:03}.read"));
            Contents { permissions: std::iter::once("orders.read".to_owned()).chain(others).collect(), ..usual }
        }
    }
}

/// A policy whose rules all concern `/orders`; the one that matches is the last one.
fn below_one(rules: usize) -> Value {
    let rule = |number: usize| match number + 1 {
        last if last == rules => json!({"methods": ["GET"], "path": "/orders/**", "permission": "orders.read"}),
        number => json!({"path": format!("/orders/part-{number}/**"), "permission": format!("part-{number}.use")}),
    };
    json!({"rules": (0..rules).map(rule).collect::<Vec<_>>()})
}

fn sample(ground: &Ground<'_>, step: &Step, time: Duration) -> Result<Sample> {
    let publishing = step.store.publish()?;
    let running = start(ground, &step.store)?;
    let ids = [running.processes.first().context("no process")?.id()];
    let load = |keys: &[String], once| {
        let asked = Asked { keys: keys.to_vec(), ..running.asked.clone() };
        Load::new(running.address, asked.requests(), 200, once)
    };
    let spent = |load: &Load, most: usize, time: Duration| {
        let before = Used::by(&ids);
        let (count, _) = load.send(most, time, CONNECTIONS)?;
        let ns = Used::by(&ids).since(&before).ns;
        anyhow::Ok(Duration::from_nanos(ns).as_secs_f64() * 1e6 / f64::from(u32::try_from(count)?))
    };
    let (warm, cold) = step.store.sample.split_at(WARM);
    let (warm, cold) = (load(warm, false), load(&cold[..COLD.0 + COLD.1], true));
    spent(&warm, 8_000, time)?;
    spent(&cold, COLD.0, Duration::MAX)?;
    let cold_us = spent(&cold, COLD.1, Duration::MAX)?;
    let warm_us = spent(&warm, usize::MAX, time)?;
    let drawn = load(&step.store.drawn(DRAWN), false);
    if time > Duration::from_secs(1) {
        spent(&drawn, DRAWN, Duration::MAX)?;
    }
    let resident_mb = f64::from(u32::try_from(resident_kb(&ids))?) / 1024.0;
    drop(publishing);
    Ok(Sample { warm_us, cold_us, resident_mb })
}

/// Keyward's edge on this store.
fn start(ground: &Ground<'_>, store: &Store) -> Result<Running> {
    let address = ground.free_address()?;
    let mut links = ground.links.clone();
    links.kv = store.address();
    let mut variables = ground.edge.clone();
    // What the objects of the deployment would push is not about this store.
    variables.insert("PUSH".into(), "off".into());
    let config = arrangement::edge(ground.installation.modules("edge")?, &variables, &links, address.port());
    let started = ground.workerd(&config.to_text(), address)?;
    let mut asked = Asked::plain("/.keyward/forward-auth/original");
    asked.headers = vec!["x-original-method: GET".into(), format!("x-original-uri: {PATH}")];
    Ok(Running { address, processes: vec![started], asked })
}
