//! Everything that can go wrong, done to the world.

use std::rc::Rc;

use keyward_shared::feed::Subject;

use crate::{
    edge, message,
    model::{Company, History, Key, Model, Pending},
    objects::Db,
    script::{EDGES, ISOLATES, Object, Op, Writes},
    store::View,
    world::{World, policy_subject, whose},
};

/// An object's storage as it was, with what was true then.
pub struct Backup {
    db: Db,
    companies: Vec<Company>,
    keys: Vec<Key>,
    policies: Vec<(u64, u8, u64)>,
}

/// Does what the operation says. A fault that cannot be brought about is left out.
pub fn bring_about(world: &Rc<World>, op: &Op) {
    let now = world.time.now();
    match op {
        Op::See { edge, view, caching } => world.store.borrow_mut().set_view(edge % EDGES, *view, *caching),
        Op::Writes(writes) => world.broken.writes.set(*writes),
        Op::CutOff { edge, cut } => world.broken.cut_off[edge % EDGES].set(*cut),
        Op::Unannounced { cut } => world.broken.unannounced.set(*cut),
        Op::Overload { percent } => world.broken.overload.set(*percent),
        Op::Crash(object) => {
            world.count("crash");
            end(world, *object);
        }
        Op::CrashInTurn(object) => world.base(*object).lose_turn.set(true),
        Op::StorageFails { object, after } => match object {
            Object::Shard(index) => world.shard(*index).fail_statement(*after),
            Object::Feed(index) => world.feed(*index).fail_statement(*after),
            Object::Registry => world.registry.fail_statement(*after),
        },
        Op::Clock { object, offset_ms } => {
            // A clock changes when the object moves to another machine.
            end(world, *object);
            world.base(*object).offset.set(*offset_ms);
        }
        Op::EdgeClock { edge, isolate, offset_ms } => {
            let who = edge::isolate(world, *edge, *isolate);
            who.restart(&world.settings.common);
            who.offset.set(*offset_ms);
        }
        Op::Restart { edge, isolate } => edge::isolate(world, *edge, *isolate).restart(&world.settings.common),
        Op::Alarm { object, what } => world.base(*object).alarm_fault.set(Some(*what)),
        Op::Displace { shard, seconds } => displace_shard(world, *shard, now + u64::from(*seconds) * 1000),
        Op::DisplaceFeed { group, seconds } => displace_feed(world, *group, now + u64::from(*seconds) * 1000),
        Op::RollBack { hours } => world.store.borrow_mut().roll_back(now, now.saturating_sub(u64::from(*hours) * 3_600_000)),
        Op::Tamper { how, every } => {
            let mut draw = world.draw();
            world.store.borrow_mut().tamper(now, *how, *every, &mut draw);
        }
        Op::EmptyStore => world.store.borrow_mut().empty(now),
        Op::EmptyFeed { group } => {
            end(world, Object::Feed(*group));
            if let Ok(db) = Db::empty() {
                world.feed(*group).replace_storage(db);
                world.count("feed emptied");
            }
        }
        Op::Backup(object) => back_up(world, *object),
        Op::Restore(object) => restore(world, *object),
        Op::Heal => heal(world),
        _ => {}
    }
}

/// Everything works again. Clocks stay as they are: nobody notices that one is off.
pub fn heal(world: &World) {
    for edge in 0..EDGES {
        world.store.borrow_mut().set_view(edge, View::Fresh, false);
        world.broken.cut_off[edge].set(false);
    }
    world.broken.unannounced.set(false);
    world.broken.overload.set(0);
    world.broken.writes.set(Writes::default());
    for object in objects(world) {
        let base = world.base(object);
        base.lose_turn.set(false);
        base.alarm_fault.set(None);
    }
    for shard in &world.shards {
        shard.db.borrow().mend();
    }
    for feed in &world.feeds {
        feed.db.borrow().mend();
    }
    world.registry.db.borrow().mend();
}

/// All objects.
pub fn objects(world: &World) -> Vec<Object> {
    let shards = (0..world.shards.len()).map(Object::Shard);
    shards.chain((0..world.feeds.len()).map(Object::Feed)).chain([Object::Registry]).collect()
}

/// An instance ends; where it was answering an alarm, that comes again.
fn end(world: &Rc<World>, object: Object) {
    world.end_instance(object);
    if let Some(at) = world.base(object).alarm.get() {
        message::set(world, object, at);
    }
}

/// From now on two instances believe to be the shard. The older one's puts may still be on their way.
fn displace_shard(world: &Rc<World>, index: usize, until: u64) {
    let shard = world.shard(index);
    let Ok(copy) = shard.db.borrow().copy() else { return };
    let name = world.shard_names[index % world.shard_names.len()];
    let Ok(core) = crate::objects::ShardCore::new(copy.clone(), world.settings.clone(), name) else { return };
    let core = core.with_handful(crate::world::HANDFUL);
    world.count("displaced");
    end(world, Object::Shard(index));
    *shard.displaced.borrow_mut() = Some((Rc::new(core), copy, until));
    // What it was about to put arrives, unless reading it needed a write.
    let (late, clock) = (Rc::clone(world), shard.base.clock(world.time.now()));
    let publications = shard.displaced_turn(world.time.now(), |core| core.due(clock, 6).ok()).unwrap_or_default();
    world.time.spawn(crate::executor::Owner::WORLD, async move {
        late.time.sleep(late.draw().u64(..60_000)).await;
        for publication in &publications {
            crate::shard::publish(&late, publication).await;
        }
    });
}

fn displace_feed(world: &Rc<World>, group: usize, until: u64) {
    let feed = world.feed(group);
    let Ok(copy) = feed.db.borrow().copy() else { return };
    let number = u16::try_from(group % world.feeds.len()).unwrap_or_default();
    let clock = feed.base.clock(world.time.now());
    let Ok(core) = crate::objects::FeedCore::open(copy.clone(), world.timing(), number, clock) else { return };
    world.count("feed displaced");
    end(world, Object::Feed(group));
    *feed.displaced.borrow_mut() = Some((Rc::new(core), copy, until));
}

fn slot(world: &World, object: Object) -> usize {
    match object {
        Object::Shard(index) => index % world.shards.len(),
        Object::Feed(index) => world.shards.len() + index % world.feeds.len(),
        Object::Registry => world.shards.len() + world.feeds.len(),
    }
}

fn database(world: &World, object: Object) -> Option<Db> {
    let db = match object {
        Object::Shard(index) => world.shard(index).db.borrow().copy(),
        Object::Feed(index) => world.feed(index).db.borrow().copy(),
        Object::Registry => world.registry.db.borrow().copy(),
    };
    db.ok()
}

fn back_up(world: &World, object: Object) {
    let Some(db) = database(world, object) else { return };
    let model = world.model.borrow();
    let backup = Backup { db, companies: model.companies.clone(), keys: model.keys.clone(), policies: model.policies.clone() };
    world.backups.borrow_mut()[slot(world, object)] = Some(backup);
}

/// The object's storage is what it was at the backup, and the operator says so before anything else is asked of it.
fn restore(world: &Rc<World>, object: Object) {
    let backups = world.backups.borrow();
    let Some(backup) = &backups[slot(world, object)] else { return };
    let (Ok(db), Some(before)) = (backup.db.copy(), database(world, object)) else { return };
    end(world, object);
    world.base(object).lose_turn.set(false);
    match object {
        Object::Feed(group) => {
            world.feed(group).replace_storage(db);
            if world.feed_turn(group, |core, now| core.restored(now).map_err(|e| e.to_string())).is_err() {
                return world.feed(group).replace_storage(before);
            }
        }
        Object::Shard(index) => {
            world.shard(index).replace_storage(db);
            let Some(rev) = crate::calls::republish(world, index) else { return world.shard(index).replace_storage(before) };
            world.revs.borrow_mut()[index % 2] = rev;
            turn_back(&mut world.model.borrow_mut(), backup, index % world.shards.len(), rev);
        }
        Object::Registry => {
            world.registry.replace_storage(db);
            let operator = world.operator().map(|caller| caller.owner);
            let again = operator.and_then(|by| world.registry_turn(|core, now| core.republish(now, &by).map_err(|e| e.to_string())));
            let Ok(rev) = again else { return world.registry.replace_storage(before) };
            policy_again(world, rev, Some(backup));
        }
    }
    world.count("restored");
    message::set(world, object, world.time.now());
}

/// The policy as it is in the registry, or was at the backup, has a new revision.
pub fn policy_again(world: &World, rev: u64, backup: Option<&Backup>) {
    let mut model = world.model.borrow_mut();
    let policies = backup.map_or(&model.policies, |backup| &backup.policies);
    let (rule, version) = policies.last().map_or((0, 0), |(_, rule, version)| (*rule, *version));
    model.policies.push((rev, rule, version));
    model.pending[2].clear();
    model.pending[2].push(Pending { subject: policy_subject(), rev });
}

/// What was true at the backup is true again, as one change of the whole shard.
fn turn_back(model: &mut Model, backup: &Backup, shard: usize, rev: u64) {
    let same = |history: &History<Option<crate::model::KeyState>>| history.latest().copied().flatten();
    for (index, company) in model.companies.iter_mut().enumerate().filter(|(_, company)| company.shard == shard) {
        let was = &backup.companies[index];
        company.state.push(rev, was.state.latest().copied().flatten());
        for (owner, was) in company.owners.iter_mut().zip(&was.owners) {
            owner.state.push(rev, was.state.latest().copied().flatten());
        }
    }
    for (index, key) in model.keys.iter_mut().enumerate().filter(|(_, key)| model.companies[key.company].shard == shard) {
        let was = backup.keys.get(index);
        key.orphan = was.is_none_or(|was| was.orphan);
        let (was, is) = (was.and_then(|was| same(&was.state)), same(&key.state));
        if was.is_some() || is.is_some() {
            key.state.push(rev, was);
        }
    }
    let name = model.companies.iter().find(|company| company.shard == shard).map(|company| company.shard_name);
    if let Some(name) = name {
        let pending = &mut model.pending[whose(Object::Shard(shard))];
        pending.clear();
        pending.push(Pending { subject: Subject::shard(name), rev });
    }
}

/// Every isolate of every edge.
pub fn isolates() -> impl Iterator<Item = (usize, usize)> {
    (0..EDGES).flat_map(|edge| (0..ISOLATES).map(move |isolate| (edge, isolate)))
}
