//! Keyward's promise, tried out: the real verifier, shards, feeds and registry, the objects over the real `SQLite`, in
//! simulated time of several days, with every fault that can be thought of, against a simple reference.
//!
//! Read top-down: [`script`] (what a run consists of), [`run`] (this file: one run), [`workload`] (changes that people
//! make, with [`calls`] and [`commit`]), [`faults`] (what goes wrong), [`edge`], [`shard`], [`feed`], [`registry`] (the adapters, effect by effect),
//! [`objects`] and [`message`] (instances, alarms, messages), [`store`] (the replicated store), [`executor`] (time),
//! [`model`] (the reference), [`check`] (the invariants), [`shrink`] (a failing run made short).
//!
//! Left to others: HTTP, WebAssembly and the runtime itself (the end-to-end tests), and an exhaustive search of a small
//! model (`tests/model`).

#![expect(clippy::indexing_slicing, reason = "numbers are taken modulo what there is")]

pub mod calls;
pub mod check;
pub mod commit;
pub mod edge;
pub mod executor;
pub mod faults;
pub mod feed;
pub mod message;
pub mod model;
pub mod objects;
pub mod registry;
pub mod script;
pub mod shard;
pub mod shrink;
pub mod store;
pub mod workload;
pub mod world;

use std::{collections::BTreeMap, rc::Rc};

use keyward_shared::{
    feed as feeds, policy, record,
    record::{KeyState, Record},
};

use crate::{
    check::{Violation, broken},
    executor::Owner,
    script::{Op, Script},
    world::World,
};

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first violation of an invariant.
    pub violation: Option<Violation>,
    /// Steps: how many times a task went on, each followed by checks.
    pub steps: u64,
    /// Simulated time, in milliseconds.
    pub simulated: u64,
    /// What happened how often.
    pub counts: BTreeMap<String, u64>,
}

/// The most steps of a run; a run that needs more does not come to rest.
const MOST_STEPS: u64 = 2_000_000;
/// For how long everything may go on after the last fault has ended, in simulated milliseconds.
const REST: u64 = 4 * 3_600_000;

/// Runs a script to its end, or to the first violation.
pub fn run(script: &Script) -> Outcome {
    let world = match World::new(script) {
        Ok(world) => world,
        Err(error) => {
            let violation = Some(Violation { invariant: "the world can be made", detail: error, at: 0 });
            return Outcome { violation, steps: 0, simulated: 0, counts: BTreeMap::new() };
        }
    };
    for (at, op) in &script.ops {
        if !go_on_until(&world, world::START + at) {
            break;
        }
        perform(&world, op);
    }
    if world.violation.borrow().is_none() {
        settle(&world);
    }
    let violation = world.violation.borrow().clone();
    let counts = world.counts.borrow().clone();
    let outcome = Outcome { violation, steps: world.time.steps(), simulated: world.time.now() - world::START, counts };
    world.time.end(); // tasks hold the world, and the world holds them
    outcome
}

/// Lets everything happen that happens until then; false where something is broken.
fn go_on_until(world: &Rc<World>, until: u64) -> bool {
    while world.violation.borrow().is_none() && world.time.step(until) {
        look_around(world);
        if world.time.steps() > MOST_STEPS {
            broken(world, "a run comes to rest", format!("{} steps", world.time.steps()));
        }
    }
    world.violation.borrow().is_none()
}

/// After every step some isolates are asked about some keys, one of them the one that changed last: nobody waits for the
/// answer of a request that needs a read, and what is answered at once must be right.
fn look_around(world: &World) {
    let mut draw = world.draw();
    for hot in [true, false] {
        let (edge, isolate) = (draw.usize(..script::EDGES), draw.usize(..script::ISOLATES));
        let key = if hot { world.hot.get() } else { draw.usize(..1_000) };
        if let Some(request) = edge::Request::with_key(world, key, draw.u8(..5)) {
            edge::glance(world, edge::isolate(world, edge, isolate), &request);
        }
    }
}

fn perform(world: &Rc<World>, op: &Op) {
    match op {
        Op::Request { edge, isolate, key, path } => {
            if let Some(request) = edge::Request::with_key(world, *key, *path) {
                ask(world, *edge, *isolate, request);
            }
        }
        Op::Traffic { edge, isolate, key, seconds } => {
            let (going, edge, isolate, key, seconds) = (Rc::clone(world), *edge, *isolate, *key, u64::from(*seconds));
            world.time.spawn(Owner::WORLD, async move {
                for round in 0..seconds * 2 {
                    if let Some(request) = edge::Request::with_key(&going, key, u8::from(round % 2 == 0)) {
                        ask(&going, edge, isolate, request);
                    }
                    going.time.sleep(500).await;
                }
            });
        }
        Op::Unknown { edge, isolate } => {
            let text = calls::unknown(world);
            ask(world, *edge, *isolate, edge::Request { key: None, text, path: "/free", address: [10, 1, 1, 1].into() });
        }
        Op::Inspect { key } => inspect(world, *key),
        change @ (Op::Create { .. }
        | Op::Patch { .. }
        | Op::Revoke { .. }
        | Op::RevokeMany { .. }
        | Op::Leak { .. }
        | Op::ImportKeys { .. }
        | Op::Rotate { .. }
        | Op::Delete { .. }
        | Op::PutOwner { .. }
        | Op::PutOwners { .. }
        | Op::DeleteOwner { .. }
        | Op::PutCompany { .. }
        | Op::DeleteCompany { .. }
        | Op::PutPolicy { .. }) => workload::change(world, change),
        fault => faults::bring_about(world, fault),
    }
}

fn ask(world: &Rc<World>, edge: usize, isolate: usize, request: edge::Request) {
    let asking = Rc::clone(world);
    world.time.spawn(Owner::WORLD, async move { edge::request(&asking, edge, isolate, request).await });
}

/// What an object holds about a key is what was acknowledged.
fn inspect(world: &Rc<World>, key: usize) {
    let model = world.model.borrow();
    let Some(index) = key.checked_rem(model.keys.len()) else { return };
    let key = &model.keys[index];
    let company = &model.companies[key.company];
    let (shard, name) = (company.shard, company.shard_name);
    let db = world.shard(shard).db.borrow().past_faults();
    let row = match keyward_control::shard::rows::key(&db, &company.id, &key.id) {
        Ok(row) => row,
        Err(error) => return broken(world, "an acknowledged change is kept", format!("key {index}: {error}")),
    };
    let worth = model.worth_now(index);
    let (Some(row), Some(worth)) = (&row, worth) else {
        if row.is_some() != worth.is_some() {
            broken(world, "an acknowledged change is kept", format!("key {index} is {row:?}, but was {worth:?}"));
        }
        return;
    };
    let record = row.record(&world.settings, name, 0, keyward_shared::time::Millis(0));
    let same = (record.state == KeyState::Revoked) == worth.key.revoked
        && record.owner_active == worth.owner_active
        && record.company_active == worth.company_active
        && record.expires_at.map(|at| at.0) == worth.key.expires_at;
    if !same {
        broken(world, "an acknowledged change is kept", format!("key {index} is {record:?}, but was {worth:?}"));
    }
}

/// Everything is mended, and comes to rest: then the store says what the objects say, and every change was announced.
fn settle(world: &Rc<World>) {
    faults::heal(world);
    for object in faults::objects(world) {
        message::set(world, object, world.time.now() + 1); // the next request would arm it
    }
    for _ in 0..2 {
        if !go_on_until(world, world.time.now() + REST) {
            return;
        }
        // What no put will mend any more is mended by the next request that comes upon it.
        for (edge, isolate) in faults::isolates().take(1) {
            edge::isolate(world, edge, isolate).restart(&world.settings.common);
            for key in 0..world.model.borrow().keys.len() {
                if let Some(request) = edge::Request::with_key(world, key, 1) {
                    ask(world, edge, isolate, request);
                }
            }
        }
    }
    if !go_on_until(world, world.time.now() + REST) {
        return;
    }
    for index in 0..world.model.borrow().keys.len() {
        inspect(world, index);
        converged(world, index);
    }
    let model = world.model.borrow();
    for (whose, pending) in model.pending.iter().enumerate() {
        if let Some(change) = pending.first() {
            broken(world, "every change is announced in the end", format!("{change:?} of {whose}"));
        }
    }
    for (group, feed) in world.feeds.iter().enumerate() {
        let rows = feed.db.borrow().peek("SELECT last_change, published_stamp FROM feed", &[]);
        let numbers: Vec<u64> = rows.first().map(|row| row.iter().map(keyward_control::sql::Value::number).collect()).unwrap_or_default();
        let name = feeds::name(u16::try_from(group).unwrap_or_default());
        if let [last_change, published] = numbers.as_slice()
            && (last_change > published || (*last_change > 0 && world.store.borrow().current(&name).is_none()))
        {
            broken(world, "the feed is published in the end", format!("group {group}: {last_change} after {published}"));
        }
    }
    // What somebody did to the policy is mended when it is asked for, which no refused key does.
    if let Some((rev, _, version)) = model.policies.last() {
        let stored = world.store.borrow().current(policy::NAME);
        let said = stored.and_then(|value| policy::StoredPolicy::open(&world.settings.common.record_secrets, &value.text).ok());
        if said.as_ref().is_none_or(|stored| stored.rev != *rev) && !meddled(world, policy::NAME) {
            broken(world, "the store equals the objects in the end", format!("policy {version} at {rev}, stored {said:?}"));
        }
    }
}

/// Whether what stands under `name` is no object's last word: a put that came too late, or somebody's doing. The objects
/// mend it when an edge comes upon it and asks.
fn meddled(world: &World, name: &str) -> bool {
    world.store.borrow().was_late(name) || world.store.borrow().was_tampered(name)
}

/// The store says about a key what its object says.
fn converged(world: &World, index: usize) {
    let model = world.model.borrow();
    let key = &model.keys[index];
    let shard = model.companies[key.company].shard_name;
    let name = if key.imported { record::imported_name(&key.digest) } else { record::name(shard, &key.digest) };
    let stored = world.store.borrow().current(&name);
    let (Some(value), Some(_)) = (&stored, model.worth_now(index)) else {
        let should_be = model.worth_now(index).is_some();
        let excused = meddled(world, &name) || key.orphan;
        if should_be != stored.is_some() && !excused {
            broken(world, "the store equals the objects in the end", format!("key {index}: {stored:?}, expected {should_be}"));
        }
        return;
    };
    let secrets = &world.settings.common.record_secrets;
    let opened = if key.imported {
        Record::open_imported(secrets, &key.digest, &value.text)
    } else {
        Record::open(secrets, shard, &key.digest, &value.text)
    };
    match opened {
        Ok(record) if record.rev >= model.last_change(index) => {}
        other => {
            if !meddled(world, &name) {
                let detail = format!("key {index} changed at {}: {other:?}", model.last_change(index));
                broken(world, "the store equals the objects in the end", detail);
            }
        }
    }
}
