//! What adapters do besides the state machines' turns: messages to other objects, puts into the store, alarms.

use std::{cell::RefCell, rc::Rc};

use keyward_shared::time::Millis;

use crate::{
    executor::Owner,
    script::{Alarm, Object},
    store::Value,
    world::{ANSWER_LIMIT, World},
};

/// Sends a message whose receiver does `work`, and gives what it answered within `limit` milliseconds. What is on its way
/// arrives, whatever becomes of the sender. `reachable`: whether there is a way to the receiver.
pub async fn send<T: 'static>(
    world: &Rc<World>,
    reachable: bool,
    limit: u64,
    work: impl FnOnce(&Rc<World>) -> Option<T> + 'static,
) -> Option<T> {
    let (there, back) = (world.latency(), world.latency());
    let reply = Rc::new(RefCell::new(None));
    let (receiver, answer) = (Rc::clone(world), Rc::clone(&reply));
    world.time.spawn(Owner::WORLD, async move {
        receiver.time.sleep(there).await;
        if reachable && !receiver.turned_away() {
            let said = work(&receiver);
            *answer.borrow_mut() = said;
        }
    });
    world.time.sleep((there + back).min(limit)).await;
    if there + back > limit { None } else { reply.take() }
}

/// Puts a value into the store, or removes the name; whether the store said that it did. At most for as long as an
/// object waits for an answer.
pub async fn put(world: &Rc<World>, name: String, value: Option<Rc<Value>>) -> bool {
    let writes = world.broken.writes.get();
    let mut draw = world.draw();
    let roll = draw.u8(..100);
    let (fails, persists) = (roll < writes.fail, roll < writes.fail.saturating_add(writes.persist));
    let late = draw.u8(..100) < writes.late.0;
    let there = if late { draw.u64(..writes.late.1.max(1)) } else { world.latency() };
    if fails {
        world.time.sleep(world.latency().min(ANSWER_LIMIT)).await;
        return false;
    }
    let store = Rc::clone(world);
    world.time.spawn(Owner::WORLD, async move {
        store.time.sleep(there).await;
        let now = store.time.now();
        let mut content = store.store.borrow_mut();
        if there >= store.timing().put_again.0 {
            content.note_late(&name);
        }
        content.arrive(now, &name, value);
    });
    world.time.sleep(there.min(ANSWER_LIMIT)).await;
    there <= ANSWER_LIMIT && !persists
}

/// Sets the alarm to `due` by the object's clock; without one there is nothing left to do.
pub fn schedule(world: &Rc<World>, object: Object, due: Option<Millis>) {
    let base = world.base(object);
    let Some(due) = due else { return base.alarm.set(None) };
    let now = world.time.now();
    set(world, object, base.true_time(due).max(now));
}

/// Sets the alarm where it is missing or later than `due`.
pub fn arm(world: &Rc<World>, object: Object, due: Option<Millis>) {
    let Some(due) = due else { return };
    let base = world.base(object);
    let at = base.true_time(due).max(world.time.now());
    if base.alarm.get().is_none_or(|armed| armed > at) {
        set(world, object, at);
    }
}

/// Sets the alarm to a true time.
pub fn set(world: &Rc<World>, object: Object, at: u64) {
    world.base(object).alarm.set(Some(at));
    let clock = Rc::clone(world);
    world.time.spawn(Owner::WORLD, async move {
        clock.time.sleep(at.saturating_sub(clock.time.now())).await;
        go_off(&clock, object, at).await;
    });
}

async fn go_off(world: &Rc<World>, object: Object, at: u64) {
    let base = world.base(object);
    if base.alarm.get() != Some(at) {
        return; // set to another time meanwhile
    }
    let mut times = 1;
    match base.alarm_fault.take() {
        Some(Alarm::Lost) => {
            world.count("alarm lost");
            return base.alarm.set(None);
        }
        Some(Alarm::Twice) => times = 2,
        Some(Alarm::Late(ms)) => {
            world.time.sleep(ms).await;
            if base.alarm.get() != Some(at) {
                return;
            }
        }
        None => {}
    }
    base.alarm.set(None);
    for _ in 0..times {
        base.waking.set(base.waking.get() + 1);
        let (awake, deaths) = (Rc::clone(world), base.deaths.get());
        world.time.spawn(base.owner, async move {
            match object {
                Object::Shard(index) => crate::shard::wake(&awake, index).await,
                Object::Feed(index) => crate::feed::wake(&awake, index).await,
                Object::Registry => crate::registry::wake(&awake).await,
            }
            let base = awake.base(object);
            if base.deaths.get() == deaths {
                base.waking.set(base.waking.get().saturating_sub(1));
            }
        });
    }
}
