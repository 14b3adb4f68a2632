//! The Feed object's adapter, effect by effect as in `control/src/worker/feed_object.rs`, and the release of the
//! isolates that wait for a change.

use std::rc::Rc;

use keyward_control::call::{Announced, Announcement};
use keyward_shared::{feed, time::Millis};

use crate::{
    edge,
    executor::Owner,
    message::{arm, put, schedule},
    objects::{FeedCore, Gone},
    script::Object,
    store::{Content, Value},
    world::{LONG_PAUSE, World},
};

fn text(error: impl core::fmt::Display) -> String {
    error.to_string()
}

/// How long after an announcement the isolates are released that wait.
const RELEASE: u64 = 5;

/// Takes up changes; the stamps.
pub fn announce(world: &Rc<World>, group: usize, announcement: &Announcement) -> Option<Announced> {
    let announced = world.feed_turn(group, |core, now| core.announce(now, announcement).map_err(text)).ok()?;
    crate::check::stamped(world, group, announced.stamp);
    rearm(world, group).ok()?;
    if world.push {
        let releasing = Rc::clone(world);
        world.time.spawn(world.feed(group).base.owner, async move {
            releasing.time.sleep(RELEASE).await;
            release(&releasing, group);
        });
    }
    Some(announced)
}

/// All isolates that wait get the same feed, issued now.
fn release(world: &Rc<World>, group: usize) {
    let Some(value) = issue(world, group) else { return };
    for edge in 0..world.edges.len() {
        if world.broken.cut_off[edge].get() {
            continue;
        }
        for isolate in 0..world.edges[edge].len() {
            let (way, ms, value) = (Rc::clone(world), world.latency(), Rc::clone(&value));
            world.time.spawn(Owner::WORLD, async move {
                way.time.sleep(ms).await;
                edge::pushed(&way, edge, isolate, group, &value);
            });
        }
    }
}

/// Answers an edge that asks for the feed as of now.
pub fn direct(world: &Rc<World>, group: usize) -> Option<Rc<Value>> {
    world.feed_turn(group, |core, now| core.asked(now).map_err(text)).ok()?;
    let value = issue(world, group)?;
    rearm(world, group).ok()?;
    Some(value)
}

/// The same, from an instance that was displaced and does not know it.
pub fn direct_displaced(world: &World, group: usize) -> Option<Rc<Value>> {
    let (now, feed) = (world.time.now(), world.feed(group));
    feed.displaced_turn(now, |core| {
        let now = feed.base.clock(now);
        core.asked(now).ok()?;
        sealed(world, core, now).ok()
    })
}

fn issue(world: &World, group: usize) -> Option<Rc<Value>> {
    let value = world.feed_turn(group, |core, now| sealed(world, core, now)).ok()?;
    crate::check::issued(world, group, &value);
    Some(value)
}

fn sealed(world: &World, core: &FeedCore, now: Millis) -> Result<Rc<Value>, String> {
    let document = core.issue(now).map_err(text)?;
    seal(world, document)
}

fn seal(world: &World, document: feed::Feed) -> Result<Rc<Value>, String> {
    let sealed = document.seal(&world.settings.common.record_secrets).map_err(text)?;
    Ok(Rc::new(Value { text: sealed, content: Content::Feed(Rc::new(document)) }))
}

fn rearm(world: &Rc<World>, group: usize) -> Result<(), Gone> {
    match world.feed_turn(group, |core, now| core.due(now).map_err(text)) {
        Ok(due) => arm(world, Object::Feed(group), due),
        Err(Gone::Failed(_)) => {} // the next request arms it
        Err(Gone::Died) => return Err(Gone::Died),
    }
    Ok(())
}

/// The alarm.
pub async fn wake(world: &Rc<World>, group: usize) {
    if let Err(Gone::Failed(_)) = try_wake(world, group).await {
        let later = world.feed(group).base.clock(world.time.now()).plus(Millis(LONG_PAUSE));
        schedule(world, Object::Feed(group), Some(later));
    }
}

async fn try_wake(world: &Rc<World>, group: usize) -> Result<(), Gone> {
    let document = world.feed_turn(group, |core, now| core.begin_publication(now).map_err(text))?;
    schedule(world, Object::Feed(group), world.feed_turn(group, |core, now| core.due(now).map_err(text))?);
    let Some(document) = document else { return Ok(()) };
    let (issued_at, name) = (document.issued_at, feed::name(document.group));
    let value = seal(world, document).map_err(Gone::Failed)?;
    crate::check::issued(world, group, &value);
    if !put(world, name, Some(value)).await {
        return Ok(());
    }
    world.feed_turn(group, |core, _| core.published(issued_at).map_err(text))?;
    schedule(world, Object::Feed(group), world.feed_turn(group, |core, now| core.due(now).map_err(text))?);
    Ok(())
}
