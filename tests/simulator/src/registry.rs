//! The Registry object's adapter, effect by effect as in `control/src/worker/registry_object.rs`.

use std::rc::Rc;

use keyward_control::{
    call::{ApiCall, AuditNote, Claimed, Claims, CompanyNotice, PolicyRestored},
    registry::Work,
};
use keyward_shared::{
    messages::{ImportedAnswer, ImportedRequest},
    policy,
    shard::Shard as ShardName,
    time::Millis,
};

use crate::{
    message::{arm, put, schedule, send},
    objects::Gone,
    script::Object,
    shard,
    store::{Content, Value},
    world::{ANSWER_LIMIT, LONG_PAUSE, World, whose},
};

/// The group of shards whose feed tells of the policy.
const POLICY_GROUP: usize = 0;

fn text(error: impl core::fmt::Display) -> String {
    error.to_string()
}

/// Answers a call of the API. `committed` may look at what the turn made of it before anything else happens.
pub async fn api(world: &Rc<World>, call: ApiCall, committed: impl FnOnce(&World)) -> Option<()> {
    let handled = world.registry_turn(|core, now| core.handle(now, &call).map_err(text));
    committed(world);
    let handled = handled.ok()?;
    if let Some(rev) = handled.changed {
        match announce(world, rev).await {
            Err(Gone::Died) => return None,
            Err(Gone::Failed(_)) | Ok(_) => {}
        }
    }
    rearm(world)
}

/// Takes up a notice of a company.
pub fn notice(world: &Rc<World>, notice: &CompanyNotice) -> Option<()> {
    world.registry_turn(|core, now| core.notice(now, notice).map_err(text)).ok()?;
    rearm(world)
}

/// Claims digests for a shard.
pub fn claim(world: &Rc<World>, claims: &Claims) -> Option<Claimed> {
    let claimed = world.registry_turn(|core, _| core.claim(claims).map_err(text)).ok()?;
    rearm(world)?;
    Some(claimed)
}

/// Answers an edge that asks which shard has an imported key.
pub fn imported(world: &Rc<World>, request: &ImportedRequest) -> Option<ImportedAnswer> {
    let answer = world.registry_turn(|core, now| core.imported(now, request).map_err(text)).ok()?;
    rearm(world)?;
    Some(answer)
}

/// The operator says that the registry was restored.
pub fn restored(world: &Rc<World>, message: &PolicyRestored) -> Option<()> {
    let rev = world.registry_turn(|core, now| core.republish(now, &message.by).map_err(text)).ok()?;
    crate::faults::policy_again(world, rev, None);
    rearm(world)
}

/// Answers an edge that asks for the policy as of now.
pub fn direct(world: &Rc<World>) -> Option<Rc<Value>> {
    world.registry_turn(|core, now| core.asked(now).map_err(text)).ok()?;
    let value = current(world).ok()?;
    rearm(world)?;
    Some(value)
}

fn current(world: &World) -> Result<Rc<Value>, Gone> {
    let stored = world.registry_turn(|core, now| core.current(now).map_err(text))?;
    let sealed = stored.seal(&world.settings.common.record_secrets).map_err(|e| Gone::Failed(text(e)))?;
    Ok(Rc::new(Value { text: sealed, content: Content::Sealed }))
}

fn rearm(world: &Rc<World>) -> Option<()> {
    match world.registry_turn(|core, _| core.due().map_err(text)) {
        Ok(due) => arm(world, Object::Registry, due),
        Err(Gone::Failed(_)) => {} // the next request arms it
        Err(Gone::Died) => return None,
    }
    Some(())
}

/// The alarm.
pub async fn wake(world: &Rc<World>) {
    if let Err(Gone::Failed(_)) = try_wake(world).await {
        let later = world.registry.base.clock(world.time.now()).plus(Millis(LONG_PAUSE));
        schedule(world, Object::Registry, Some(later));
    }
}

async fn try_wake(world: &Rc<World>) -> Result<(), Gone> {
    let work = world.registry_turn(|core, now| core.begin_work(now).map_err(text))?;
    schedule(world, Object::Registry, world.registry_turn(|core, _| core.due().map_err(text))?);
    for work in work {
        match deliver(world, work).await {
            Err(Gone::Died) => return Err(Gone::Died),
            Err(Gone::Failed(_)) | Ok(()) => {}
        }
    }
    schedule(world, Object::Registry, world.registry_turn(|core, _| core.due().map_err(text))?);
    Ok(())
}

async fn deliver(world: &Rc<World>, work: Work) -> Result<(), Gone> {
    match work {
        Work::Announce { rev } => announce(world, rev).await.map(drop),
        Work::Publish { rev, round } => {
            let value = current(world)?;
            if put(world, policy::NAME.into(), Some(value)).await {
                world.registry_turn(|core, now| core.published(now, rev, round).map_err(text))?;
            }
            Ok(())
        }
        Work::Audit { id, body } => {
            let home = world.shard_index(ShardName::of(&world.settings.common.operator_company));
            let note: AuditNote = serde_json::from_str(&body).map_err(|e| Gone::Failed(text(e)))?;
            if send(world, true, ANSWER_LIMIT, move |world| shard::note(world, home, &note)).await.is_some() {
                world.registry_turn(|core, _| core.delivered(&id).map_err(text))?;
            }
            Ok(())
        }
    }
}

async fn announce(world: &Rc<World>, rev: u64) -> Result<bool, Gone> {
    let announcement = world.registry_turn(|core, _| core.announcement(rev).map_err(text))?;
    let Some(announced) = shard::announce(world, POLICY_GROUP, announcement.clone()).await else { return Ok(false) };
    world.registry_turn(|core, _| core.announced(rev, announced).map_err(text))?;
    crate::check::announced(world, whose(Object::Registry), &announcement, announced.announced_at);
    Ok(true)
}
