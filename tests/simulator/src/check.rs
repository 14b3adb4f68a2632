//! The invariants, checked where they could be broken: at every answer of an edge, at every announcement, at every feed
//! that is issued, after the turns of a shard. Each is stated against the reference alone.

use std::rc::Rc;

use keyward_control::call::Announcement;
use keyward_edge::{
    gate::{Outcome, Refused},
    verifier::{Attempt, Held, PolicyStanding, Progress},
};
use keyward_shared::{permission::Permission, policy::Requirement, problem::Code, record::KeyState, time::Millis};

use crate::{
    edge::{IMPORTED, Isolate, Request},
    model::{UNIVERSE, Worth},
    store::{Content, Value},
    world::{World, policy_subject},
};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which, in a few words that stay the same while a run is made shorter.
    pub invariant: &'static str,
    /// What exactly.
    pub detail: String,
    /// Milliseconds since the beginning.
    pub at: u64,
}

/// How long a read and the request around it may take.
const ANSWER_TIME: u64 = 2_500;

/// Notes a violation; the first one counts.
pub fn broken(world: &World, invariant: &'static str, detail: String) {
    let mut violation = world.violation.borrow_mut();
    if violation.is_none() {
        *violation = Some(Violation { invariant, detail, at: world.time.now() - crate::world::START });
    }
}

/// An edge answered a request.
pub fn answered(world: &World, who: &Isolate, request: &Request, outcome: &Outcome, attempt: &Attempt) {
    match outcome {
        Outcome::Pass(held) => {
            world.count(if request.text.starts_with(IMPORTED) { "passed, imported" } else { "passed" });
            known(world, who, request, held);
            passed(world, who, request, held, attempt);
        }
        Outcome::PassAnonymous | Outcome::PassBearer | Outcome::NeedAddress => {
            broken(world, "a key is never passed over", format!("{request:?}: {outcome:?}"));
        }
        Outcome::Refuse(refused) => {
            world.count(refused.code.as_str());
            refusal(world, who, request, refused, attempt);
        }
    }
}

/// What an edge decided with: is it what was true, and may it still be used?
fn known(world: &World, who: &Isolate, request: &Request, held: &Held) {
    let (now, model, record) = (world.time.now(), world.model.borrow(), &held.record);
    let Some((index, key)) = request.key.and_then(|index| Some((index, model.keys.get(index)?))) else {
        return broken(world, "nobody made this key", format!("{record:?}"));
    };
    let about = || format!("key {index} ({}) at rev {}: {record:?}", key.id, record.rev);
    let company = &model.companies[key.company];
    let identity = (&record.key_id, &record.company, &record.owner);
    if identity != (&key.id, &company.id, &company.owners[key.owner].id) {
        broken(world, "a key stands for its own owner in its own company", about());
    }
    match model.worth(index, record.rev) {
        None => broken(world, "a record says what was true at its revision", format!("there was no such key: {}", about())),
        Some(worth) if !says(held, &worth) => {
            broken(world, "a record says what was true at its revision", format!("{worth:?} but {}", about()));
        }
        Some(_) => {}
    }
    let timing = world.timing();
    let required = model.required(&key.subjects, now.saturating_sub(timing.bound.0));
    if record.rev < required {
        let late = format!("change {required} is in effect everywhere; {}", about());
        broken(world, "a change is in effect after the bound", late);
    }
    let fresh = model.required(&key.subjects, now.saturating_sub(timing.freshness.0 + ANSWER_TIME));
    let recently = timing.poll.0 + ANSWER_TIME;
    if record.rev < fresh && who.trouble.get() + recently < now {
        let late = format!("change {fresh}; nothing failed since {} ms; {}", now - who.trouble.get(), about());
        broken(world, "a change is in effect after freshness where everything answers", late);
    }
    let told = who.told.borrow();
    if let Some(rev) =
        key.subjects.iter().flat_map(|subject| told.values().filter_map(|told| told.get(subject))).max().filter(|rev| **rev > record.rev)
    {
        broken(world, "what a feed contradicts is not used", format!("a feed told of {rev}; {}", about()));
    }
}

/// Whether a record says what the reference says.
fn says(held: &Held, worth: &Worth) -> bool {
    let record = &held.record;
    let same = |permission: &&str| record.permissions.allows_str(permission) == worth.allows(permission);
    (record.state == KeyState::Revoked) == worth.key.revoked
        && record.owner_active == worth.owner_active
        && record.company_active == worth.company_active
        && record.expires_at == worth.key.expires_at.map(Millis)
        && record.networks.is_empty() != worth.key.network
        && UNIVERSE.iter().all(same)
}

/// A request was let in.
fn passed(world: &World, who: &Isolate, request: &Request, held: &Held, attempt: &Attempt) {
    let (now, model) = (world.time.now(), world.model.borrow());
    let Some(worth) = request.key.and_then(|index| model.worth(index, held.record.rev)) else { return };
    let clock = who.clock(now).0;
    if !worth.acts(clock) {
        broken(world, "only a living key of somebody who may act passes", format!("{worth:?} at {clock}"));
    }
    if worth.key.network && !inside(request) {
        broken(world, "a key passes from its networks only", format!("{request:?}"));
    }
    if request.path.starts_with("/open") {
        return;
    }
    let Some((rev, permission)) = policy_used(world, who, request, attempt) else { return };
    let required = model.required(&[policy_subject()], now.saturating_sub(world.timing().bound.0));
    if rev < required {
        broken(world, "a policy is in effect after the bound", format!("rev {rev} instead of {required}"));
    }
    if let Some(permission) = permission
        && !worth.allows(&permission)
    {
        broken(world, "nothing passes without the permission that its route asks for", format!("{permission}: {worth:?}"));
    }
}

/// The policy that the decision was made by: its revision, and what it asks of the request.
fn policy_used(world: &World, who: &Isolate, request: &Request, attempt: &Attempt) -> Option<(u64, Option<String>)> {
    let now = who.clock(world.time.now());
    let policy = match who.verifier.borrow_mut().policy(now, attempt) {
        Progress::Done(PolicyStanding::Usable(policy)) => policy,
        Progress::Done(PolicyStanding::Outdated(_) | PolicyStanding::Unknown) | Progress::Need(_) => {
            broken(world, "a route is judged by a policy that may be used", format!("{request:?}"));
            return None;
        }
    };
    let asks = |path: &str| match policy.requirement("GET", path) {
        Requirement::Key { permission, .. } => permission.map(|permission: &Permission| permission.as_str().to_owned()),
        Requirement::Anonymous | Requirement::Denied => None,
    };
    let version = asks("/version").and_then(|name| name.strip_prefix("policy.v")?.parse::<u64>().ok());
    let model = world.model.borrow();
    let rev = match version {
        None => 0,
        Some(version) => {
            let Some((rev, ..)) = model.policies.iter().rev().find(|known| known.2 == version) else {
                broken(world, "a policy is one that was set", format!("version {version}"));
                return None;
            };
            *rev
        }
    };
    Some((rev, asks(request.path)))
}

fn inside(request: &Request) -> bool {
    matches!(request.address, std::net::IpAddr::V4(v4) if v4.octets()[0] == 10)
}

/// A request was refused: was there a reason?
fn refusal(world: &World, who: &Isolate, request: &Request, refused: &Refused, attempt: &Attempt) {
    let (now, timing) = (world.time.now(), world.timing());
    if let Some(held) = &refused.held {
        known(world, who, request, held);
    }
    if refused.code == Code::VerifierUnavailable {
        let recently = timing.poll.0 + ANSWER_TIME;
        if who.trouble.get() + recently < now {
            broken(
                world,
                "unavailable is said only where something failed",
                format!("{request:?}; last trouble {} ms ago", now - who.trouble.get()),
            );
        }
        return;
    }
    let Some(index) = request.key else {
        if refused.code != Code::UnknownKey {
            broken(world, "a made-up key is unknown", format!("{:?}", refused.code));
        }
        return;
    };
    let model = world.model.borrow();
    let Some(key) = model.keys.get(index) else { return };
    let required = model.required(&key.subjects, now.saturating_sub(timing.bound.0));
    let clock = who.clock(now).0;
    let say =
        |reason: &'static str| broken(world, reason, format!("{request:?} at {clock}: {refused:?}; now {:?}", model.worth_now(index)));
    match refused.code {
        Code::UnknownKey => {
            if key.state.from(required).all(|state| state.copied().flatten().is_some()) {
                say("unknown is said only of what is not there");
            }
        }
        Code::KeyRevoked => {
            if !model.was(index, required, |worth| worth.key.revoked) {
                say("revoked is said only of a revoked key");
            }
        }
        Code::KeyExpired => {
            if !model.was(index, required, |worth| worth.key.expires_at.is_some_and(|at| clock >= at)) {
                say("expired is said only of an expired key");
            }
        }
        Code::OwnerInactive => {
            if !model.was(index, required, |worth| !(worth.owner_active && worth.company_active)) {
                say("inactive is said only of somebody who is");
            }
        }
        Code::IpNotAllowed => {
            let restricted =
                refused.held.as_ref().and_then(|held| model.worth(index, held.record.rev)).is_some_and(|worth| worth.key.network);
            if !restricted || inside(request) {
                say("an address is refused only where the key's networks say so");
            }
        }
        Code::PermissionDenied => {
            let worth = refused.held.as_ref().and_then(|held| model.worth(index, held.record.rev));
            let asked = policy_used(world, who, request, attempt).and_then(|(_, permission)| permission);
            if worth.zip(asked).is_none_or(|(worth, asked)| worth.allows(&asked)) {
                say("a permission is missed only where it is missing");
            }
        }
        _ => say("a good key is never malformed or ambiguous"),
    }
}

/// The Feed object stamped an announcement, and whoever made the change knows.
pub fn announced(world: &World, whose: usize, announcement: &Announcement, stamp: Millis) {
    world.count("announced");
    let mut model = world.model.borrow_mut();
    for change in &announcement.changes {
        model.announce(whose, change.0, change.1, stamp.0);
    }
}

/// A feed was issued, with a stamp of its own.
pub fn issued(world: &World, group: usize, value: &Rc<Value>) {
    let Content::Feed(document) = &value.content else { return };
    world.count("feeds issued");
    stamped(world, group, document.issued_at);
}

/// The Feed object gave a stamp, to a feed or to an announcement: it is above every earlier one, so that no feed issued
/// before an announcement can be taken for one that lists it.
pub fn stamped(world: &World, group: usize, stamp: Millis) {
    let mut stamps = world.stamps.borrow_mut();
    if let Some(last) = stamps.get_mut(group) {
        if stamp.0 <= *last {
            broken(world, "the stamps of a feed strictly increase", format!("{} after {last}", stamp.0));
        }
        *last = stamp.0;
    }
}

/// A shard's turn is over: whatever the store does not have yet is marked, and nothing that changed is forgotten.
pub fn after_shard_turn(world: &World, index: usize) {
    if world.draw().u8(..4) != 0 {
        return;
    }
    let (model, shard) = (world.model.borrow(), world.shard(index));
    let db = shard.db.borrow();
    let rows = |statement: &str| db.peek(statement, &[]);
    let (waiting, sweeps) =
        (rows("SELECT count(*) FROM outbox"), rows("SELECT (SELECT count(*) FROM sweeps) + (SELECT count(*) FROM erasures)"));
    let number =
        |rows: &[keyward_control::sql::Row]| rows.first().and_then(|row| row.first()).map_or(0, keyward_control::sql::Value::number);
    let pending = model.pending.get(index % 2).map_or(0, Vec::len);
    if pending > 0 && number(&waiting) == 0 {
        broken(
            world,
            "a change waits for its announcement until it is announced",
            format!("{pending} changes of shard {index} are forgotten"),
        );
    }
    if number(&sweeps) > 0 {
        return;
    }
    let dirty = rows("SELECT digest FROM dirty");
    let dirty: std::collections::BTreeSet<&str> =
        dirty.iter().filter_map(|row| row.first()).map(keyward_control::sql::Value::text).collect();
    let put = world.put.borrow();
    let here = |key: &crate::model::Key| model.companies[key.company].shard == index % 2 && !key.orphan;
    for (at, key) in model.keys.iter().enumerate().filter(|(_, key)| here(key)) {
        let known = put.get(&key.digest).copied().unwrap_or(0);
        if model.last_change(at) > known && !dirty.contains(key.digest.to_hex().as_str()) {
            let detail = format!("key {at} ({}) changed at {}, put at {known}", key.id, model.last_change(at));
            broken(world, "a changed key is marked until it is put", detail);
        }
    }
}
