//! The Shard object's adapter, effect by effect as in `control/src/worker/shard_object.rs`. Between any two of them the
//! instance can die.

use std::rc::Rc;

use keyward_control::{
    call::{Announced, Announcement, ApiCall, LeakReport, LeaksTaken},
    shard::{answer::Handled, outbox::Delivery, publish::Publication},
    sql::Sql as _,
};
use keyward_shared::{
    messages::{ResolveAnswer, ResolveRequest},
    shard::Shard as ShardName,
    time::Millis,
};

use crate::{
    feed,
    message::{arm, put, schedule, send},
    objects::{Gone, ShardCore},
    registry,
    script::Object,
    store::{Content, Value},
    world::{ANSWER_LIMIT, LONG_PAUSE, World, whose},
};

const BATCH: u64 = 6;
const PAUSE: u64 = 5;
const ALARM_LIMIT: u64 = 20_000;
const RESCUE: u64 = 6_000;

fn text(error: impl core::fmt::Display) -> String {
    error.to_string()
}

/// Answers a call of the API. `committed` hears what the turn made of it before anything else happens; what it changed
/// is then known to have been committed.
pub async fn api(world: &Rc<World>, index: usize, call: ApiCall, committed: impl FnOnce(&World, &Handled)) -> Option<Handled> {
    let claimed = match world.shard_turn(index, |core, now| Ok(core.claims(now, &call))).ok()? {
        None => None,
        Some(claims) => send(world, true, ANSWER_LIMIT, move |world| registry::claim(world, &claims)).await,
    };
    let handled =
        world.shard_turn(index, |core, now| Ok(core.handle_claimed(now, &mut |buffer| world.random(buffer), &call, claimed.as_ref())));
    let mut handled = handled.ok()?;
    committed(world, &handled);
    if handled.status < 300 && !matches!(call.method.as_str(), "GET" | "HEAD") {
        tell(world, index).await?;
        if let Err(Gone::Died) = world.shard_turn(index, |core, _| core.refresh(&mut handled).map_err(text)) {
            return None;
        }
    }
    rearm(world, index).ok()?;
    Some(handled)
}

/// Takes a report of leaked keys. `committed` hears what the turn made of it before anything else happens.
pub async fn leaked(
    world: &Rc<World>,
    index: usize,
    report: LeakReport,
    committed: impl FnOnce(&World, &LeaksTaken),
) -> Option<LeaksTaken> {
    let taken = world.shard_turn(index, |core, now| core.leaked(now, &report).map_err(text)).ok()?;
    committed(world, &taken);
    if taken.revoked > 0 {
        tell(world, index).await?;
    }
    rearm(world, index).ok()?;
    Some(taken)
}

/// Tells others of what was just committed; `None`: the instance died meanwhile.
async fn tell(world: &Rc<World>, index: usize) -> Option<()> {
    schedule(world, Object::Shard(index), Some(world.shard(index).base.clock(world.time.now()).plus(Millis(RESCUE))));
    match deliver_all(world, index).await {
        Err(Gone::Died) => None,
        Err(Gone::Failed(_)) | Ok(()) => Some(()),
    }
}

fn rearm(world: &Rc<World>, index: usize) -> Result<(), Gone> {
    match world.shard_turn(index, |core, now| core.next_alarm(now).map_err(text)) {
        Ok(due) => arm(world, Object::Shard(index), due),
        Err(Gone::Failed(_)) => {} // the next request arms it
        Err(Gone::Died) => return Err(Gone::Died),
    }
    Ok(())
}

/// The alarm.
pub async fn wake(world: &Rc<World>, index: usize) {
    if let Err(Gone::Failed(_)) = try_wake(world, index).await {
        let later = world.shard(index).base.clock(world.time.now()).plus(Millis(LONG_PAUSE));
        schedule(world, Object::Shard(index), Some(later));
    }
}

async fn try_wake(world: &Rc<World>, index: usize) -> Result<(), Gone> {
    let clock = || world.shard(index).base.clock(world.time.now());
    let start = clock();
    schedule(world, Object::Shard(index), Some(start.plus(Millis(LONG_PAUSE))));
    deliver_all(world, index).await?;
    while clock() < start.plus(Millis(ALARM_LIMIT)) {
        let (publications, rev) = world.shard_turn(index, |core, now| Ok((core.due(now, BATCH).map_err(text)?, revision(core)?)))?;
        if publications.is_empty() {
            if !world.shard_turn(index, |core, _| core.going_on().map_err(text))? {
                break;
            }
            world.time.sleep(PAUSE).await;
        }
        for publication in &publications {
            let success = publish(world, publication).await;
            world.shard_turn(index, |core, now| core.published(now, publication, success).map_err(text))?;
            if success {
                let mut put = world.put.borrow_mut();
                let known = put.entry(publication.digest).or_default();
                *known = rev.max(*known);
            }
            crate::check::after_shard_turn(world, index);
        }
    }
    world.shard_turn(index, |core, now| core.prune(now).map_err(text))?;
    let due = world.shard_turn(index, |core, now| core.next_alarm(now).map_err(text))?;
    schedule(world, Object::Shard(index), due);
    Ok(())
}

/// The shard's revision.
pub fn revision(core: &ShardCore) -> Result<u64, String> {
    let rows = core.sql().execute("SELECT value FROM numbers WHERE name = 'rev'", &[]).map_err(text)?;
    Ok(rows.first().and_then(|row| row.first()).map_or(0, keyward_control::sql::Value::number))
}

/// Puts one publication.
pub async fn publish(world: &Rc<World>, publication: &Publication) -> bool {
    let value = publication.value.clone().map(|text| Rc::new(Value { text, content: Content::Sealed }));
    put(world, publication.name.clone(), value).await
}

async fn deliver_all(world: &Rc<World>, index: usize) -> Result<(), Gone> {
    for delivery in world.shard_turn(index, |core, now| core.deliveries(now).map_err(text))? {
        let ids = delivery.ids();
        let announces = matches!(delivery, Delivery::Announce(..));
        if !deliver(world, index, delivery).await? {
            world.shard_turn(index, |core, now| core.undelivered(&ids, now).map_err(text))?;
            if !announces {
                break;
            }
        }
    }
    Ok(())
}

async fn deliver(world: &Rc<World>, index: usize, delivery: Delivery) -> Result<bool, Gone> {
    match delivery {
        Delivery::Announce(ids, announcement) => {
            let group = usize::from(world.shard_names[index % world.shard_names.len()].feed_group(world.settings.common.feed_groups));
            let Some(announced) = announce(world, group, announcement.clone()).await else { return Ok(false) };
            world.shard_turn(index, |core, _| core.announced(&ids, announced).map_err(text))?;
            crate::check::announced(world, whose(Object::Shard(index)), &announcement, announced.announced_at);
            crate::workload::watch_changed(world, &announcement);
            Ok(true)
        }
        Delivery::Register(id, notice) => {
            let taken = send(world, true, ANSWER_LIMIT, move |world| registry::notice(world, &notice)).await;
            if taken.is_none() {
                return Ok(false);
            }
            world.shard_turn(index, |core, _| core.delivered(id).map_err(text))?;
            Ok(true)
        }
        Delivery::RestorePolicy(id, message) => {
            let taken = send(world, true, ANSWER_LIMIT, move |world| registry::restored(world, &message)).await;
            if taken.is_none() {
                return Ok(false);
            }
            world.shard_turn(index, |core, _| core.delivered(id).map_err(text))?;
            Ok(true)
        }
        Delivery::Claim(id, claims) => {
            let taken = send(world, true, ANSWER_LIMIT, move |world| registry::claim(world, &claims)).await;
            if taken.is_none() {
                return Ok(false);
            }
            world.shard_turn(index, |core, _| core.delivered(id).map_err(text))?;
            Ok(true)
        }
        Delivery::Note(id, note) => {
            let home = world.shard_index(ShardName::of(&note.company));
            let taken = send(world, true, ANSWER_LIMIT, move |world| self::note(world, home, &note)).await;
            if taken.is_none() {
                return Ok(false);
            }
            world.shard_turn(index, |core, _| core.delivered(id).map_err(text))?;
            Ok(true)
        }
    }
}

/// Announces changes at the feed `group`; its stamps, where it answered.
pub async fn announce(world: &Rc<World>, group: usize, announcement: Announcement) -> Option<Announced> {
    let reachable = !world.broken.unannounced.get();
    send(world, reachable, ANSWER_LIMIT, move |world| feed::announce(world, group, &announcement)).await
}

/// Takes a note for the trail of a company of this shard.
pub fn note(world: &Rc<World>, index: usize, note: &keyward_control::call::AuditNote) -> Option<()> {
    world.shard_turn(index, |core, now| core.note(now, note).map_err(text)).ok()?;
    rearm(world, index).ok()
}

/// Answers an edge's question about a digest, that of an imported key or not.
pub fn resolve(world: &Rc<World>, index: usize, request: &ResolveRequest, imported: bool) -> Option<ResolveAnswer> {
    let answer = world.shard_turn(index, |core, now| asked(core, now, request, imported)).ok()?;
    rearm(world, index).ok()?;
    Some(answer)
}

/// The same, from an instance that was displaced and does not know it.
pub fn resolve_displaced(world: &World, index: usize, request: &ResolveRequest, imported: bool) -> Option<ResolveAnswer> {
    let (now, shard) = (world.time.now(), world.shard(index));
    shard.displaced_turn(now, |core| asked(core, shard.base.clock(now), request, imported).ok())
}

fn asked(core: &ShardCore, now: Millis, request: &ResolveRequest, imported: bool) -> Result<ResolveAnswer, String> {
    if imported { core.resolve_imported(now, request) } else { core.resolve(now, request) }.map_err(text)
}

/// Takes a report of use.
pub fn usage(world: &Rc<World>, index: usize, report: &keyward_shared::messages::UsageReport) -> Option<()> {
    world.shard_turn(index, |core, now| core.usage(now, report).map_err(text)).ok()?;
    rearm(world, index).ok()
}
