//! The changes that people make: sent, answered, tried again, and watched when a promise falls due. What is sent stands in
//! [`crate::calls`], what the reference is told of it in [`crate::commit`].

use std::{cell::RefCell, rc::Rc};

use keyward_control::{
    call::{Announcement, ApiCall, LeaksTaken},
    shard::answer::Handled,
    time::parse,
};
use keyward_shared::{digest::Digest, ids::KeyId};

use crate::{
    calls::{self, Planned, plan},
    check,
    commit::{self, committed},
    edge,
    executor::Owner,
    model::Pending,
    registry,
    script::{COMPANIES, EDGES, ISOLATES, OWNERS, Object, Op},
    shard,
    world::{World, policy_subject, whose},
};

/// Makes the companies and their owners, before anything can fail.
pub fn people(world: &Rc<World>) -> Result<(), String> {
    for company in 0..COMPANIES {
        let ops = [Op::PutCompany { company, active: true }].into_iter();
        let owners = (0..OWNERS).map(|owner| Op::PutOwner { company, owner, permissions: 0, active: true });
        for op in ops.chain(owners) {
            let Some(Planned { shard, call, .. }) = plan(world, &op) else { continue };
            let done = world.shard_turn(shard, |core, now| {
                let handled = core.handle(now, &mut |buffer| world.random(buffer), &call);
                Ok(handled)
            });
            let handled = done.map_err(|gone| format!("{gone:?}"))?;
            committed(world, &op, &call, &handled, world.revision(shard), None);
        }
    }
    Ok(())
}

/// Makes the change `op`; once more where it says so, with the same idempotency key.
pub fn change(world: &Rc<World>, op: &Op) {
    if let Op::PutPolicy { rule } = op {
        return put_policy(world, *rule);
    }
    if let Op::Leak { key, keys } = op {
        return report_leaks(world, *key, *keys);
    }
    let Some(planned) = plan(world, op) else { return };
    let times = if matches!(op, Op::Create { retry: true, .. }) { 2 } else { 1 };
    let first = Rc::new(RefCell::new(None::<KeyId>));
    for again in 0..times {
        let (calling, op, call, first) = (Rc::clone(world), op.clone(), planned.call.clone(), Rc::clone(&first));
        let (shard, blind) = (planned.shard, planned.blind.clone());
        let wait = world.latency() + again * world.draw().u64(..3_000);
        world.time.spawn(Owner::WORLD, async move {
            calling.time.sleep(wait).await;
            let (answering, owner) = (Rc::clone(&calling), calling.shard(shard).base.owner);
            calling.time.spawn(owner, async move {
                let handled =
                    shard::api(&answering, shard, call.clone(), |world, handled| heard(world, shard, &op, &call, handled, blind, &first))
                        .await;
                if let Some(handled) = handled {
                    claimed(&answering, &op, &handled);
                }
            });
        });
    }
}

/// A turn of the shard answered the call.
fn heard(world: &World, shard: usize, op: &Op, call: &ApiCall, handled: &Handled, blind: Option<String>, first: &RefCell<Option<KeyId>>) {
    world.count(&format!("{} {}", call.method, handled.status));
    if handled.status >= 500 {
        return;
    }
    let before = world.revs.borrow()[shard % 2];
    let rev = world.revision_of_change(shard, before);
    let body = handled.body.as_ref();
    let replayed = body.is_some_and(|body| body.get("replayed").is_some());
    if matches!(op, Op::Create { .. } | Op::Rotate { .. }) && handled.status == 201 {
        let id = body.and_then(|body| body["id"].as_str()).and_then(|id| KeyId::new(id).ok());
        let known = first.borrow().clone();
        match known {
            // A restored backup knows nothing of the first time.
            Some(known) if id.as_ref() != Some(&known) && !world.model.borrow().is_orphan(&known) => {
                check::broken(world, "one effect per idempotency key", format!("{known} and {id:?}"));
            }
            Some(known) if id.as_ref() == Some(&known) => return, // the same answer again, blind or not
            Some(_) => {}
            None if replayed => check::broken(world, "one effect per idempotency key", format!("{id:?} was never made")),
            None => *first.borrow_mut() = id,
        }
    }
    if let Op::PutCompany { company, active } = op {
        made_again(world, *company, *active, handled.status);
    }
    if (200..300).contains(&handled.status) {
        let changed = rev > before;
        if !changed && !unchanged(op, handled) {
            check::broken(world, "a change raises the revision", format!("{op:?}: {rev} after {before}"));
        }
        if changed {
            world.revs.borrow_mut()[shard % 2] = rev;
        }
        if changed || matches!(op, Op::PutOwners { .. }) {
            committed(world, op, call, handled, rev, blind);
        }
    }
}

/// Whether a change may have found everything as it wants it.
fn unchanged(op: &Op, handled: &Handled) -> bool {
    let none = |count: &str| handled.body.as_ref().is_some_and(|body| body[count] == 0);
    match op {
        Op::Patch { .. } | Op::Revoke { .. } => true,
        Op::PutOwners { .. } => ["created", "updated", "deactivated"].into_iter().all(none),
        _ => false,
    }
}

/// A company that is there can be changed; one that was erased can be made again once nothing of it is left, and not before.
fn made_again(world: &World, company: usize, active: bool, status: u16) {
    let model = world.model.borrow();
    let (place, number) = (&model.companies[company % COMPANIES], company % COMPANIES);
    let was = place.state.latest().copied();
    let stays_active = number == 0 && !active; // the operator's
    match (status, was) {
        (409, Some(None)) => world.count("company still being erased"),
        (409, _) if !stays_active => {
            check::broken(world, "a company is refused only while it is being erased", format!("{}: {was:?}", place.id));
        }
        (201, Some(None)) => {
            let left = world.rows_of(place.shard, &place.id);
            if left != [0, 0, 0, 1] {
                check::broken(world, "a company that is made again has nothing of the earlier one", format!("{}: {left:?}", place.id));
            }
            world.count("company made again");
        }
        _ => {}
    }
}

/// The answer went out: what it claims about its announcement must be so.
fn claimed(world: &World, op: &Op, handled: &Handled) {
    let Some(body) = handled.body.as_ref() else { return };
    let announced = body["propagation"]["announced_at"].as_str().and_then(|at| parse(at).ok());
    let (Op::Revoke { .. } | Op::Patch { .. }, Some(at), Some(id)) = (op, announced, body["id"].as_str()) else { return };
    let model = world.model.borrow();
    let Some(key) = KeyId::new(id).ok().and_then(|id| model.find(&id)).and_then(|index| model.keys.get(index)) else { return };
    let rev = world.row_revision(model.companies[key.company].shard, &key.id);
    let all = key.subjects.iter().filter_map(|subject| model.announced.get(subject)).flatten();
    let told = rev == 0 || rev == key.made || all.map(|(known, _)| *known).any(|known| known >= rev);
    if !told {
        check::broken(world, "announced is said only of what was announced", format!("{op:?} at {}: {body}", at.0));
    }
}

/// Somebody reports keys as leaked: each shard is told of its own.
fn report_leaks(world: &Rc<World>, key: usize, keys: usize) {
    for (shard, report) in calls::leaks(world, key, keys) {
        let (calling, wait) = (Rc::clone(world), world.latency());
        world.time.spawn(Owner::WORLD, async move {
            calling.time.sleep(wait).await;
            let (answering, owner) = (Rc::clone(&calling), calling.shard(shard).base.owner);
            calling.time.spawn(owner, async move {
                let digests: Vec<_> = report.leaks.iter().map(|leak| leak.digest).collect();
                shard::leaked(&answering, shard, report, |world, taken| leaked(world, shard, &digests, taken)).await;
            });
        });
    }
}

/// A turn of the shard took the report.
fn leaked(world: &World, shard: usize, digests: &[Digest], taken: &LeaksTaken) {
    let before = world.revs.borrow()[shard % 2];
    let rev = world.revision_of_change(shard, before);
    if taken.revoked > 0 && rev <= before {
        check::broken(world, "a change raises the revision", format!("{taken:?}: {rev} after {before}"));
    }
    let revoked = commit::leaked(world, digests);
    if revoked != taken.revoked {
        check::broken(world, "a reported key is revoked", format!("{taken:?}, and {revoked} were not revoked before"));
    }
    if taken.revoked > 0 {
        world.revs.borrow_mut()[shard % 2] = rev;
    }
    world.count(if taken.revoked > 0 { "leak revoked" } else { "leak known" });
}

fn put_policy(world: &Rc<World>, rule: u8) {
    let version = world.policy_versions.get() + 1;
    world.policy_versions.set(version);
    let Some(call) = calls::policy(world, rule, version) else { return };
    let (calling, wait) = (Rc::clone(world), world.latency());
    world.time.spawn(Owner::WORLD, async move {
        calling.time.sleep(wait).await;
        let (answering, owner) = (Rc::clone(&calling), calling.registry.base.owner);
        let watching = Rc::clone(&calling);
        calling.time.spawn(owner, async move {
            registry::api(&answering, call, |world| {
                // Also where the answer failed: what is there was committed.
                let rows = world
                    .registry
                    .db
                    .borrow()
                    .peek("SELECT rev FROM policies WHERE json LIKE ?1", &[format!("%policy.v{version}\"%").into()]);
                let Some(rev) = rows.first().and_then(|row| row.first()).map(keyward_control::sql::Value::number) else { return };
                let mut model = world.model.borrow_mut();
                model.policies.push((rev, rule, version));
                model.pending[whose(Object::Registry)].push(Pending { subject: policy_subject(), rev });
                drop(model);
                world.count("policy put");
                watch(&watching, None);
            })
            .await;
        });
    });
}

/// Watches some keys that an announcement is about.
pub fn watch_changed(world: &Rc<World>, announcement: &Announcement) {
    let mut draw = world.draw();
    for change in announcement.changes.iter().take(3) {
        let model = world.model.borrow();
        let about: Vec<usize> = (0..model.keys.len()).filter(|key| model.keys[*key].subjects.contains(&change.0)).collect();
        drop(model);
        if let Some(key) = draw.choice(&about) {
            watch(world, Some(*key));
        }
    }
}

/// Looks, from several places, at the key that changed, around the moments at which a promise falls due.
pub fn watch(world: &Rc<World>, key: Option<usize>) {
    let timing = world.timing();
    let mut draw = world.draw();
    for after in [timing.freshness.0 + 2_600, timing.bound.0 + 10, timing.bound.0 + 12_000] {
        for edge in 0..EDGES {
            let (isolate, path) = (draw.usize(..ISOLATES), draw.u8(..2));
            let (looking, wait) = (Rc::clone(world), after + draw.u64(..40));
            world.time.spawn(Owner::WORLD, async move {
                looking.time.sleep(wait).await;
                let key = key.unwrap_or(looking.hot.get());
                if let Some(request) = edge::Request::with_key(&looking, key, path) {
                    edge::request(&looking, edge, isolate, request).await;
                }
            });
        }
    }
}
