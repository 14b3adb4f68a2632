//! What goes on beside the requests, carried by `waitUntil`: polling the feed, taking in what push brings, and
//! reporting usage. Nothing here is the only carrier of something that must not be lost. Who keeps the pushing
//! request open is `js/push.mjs`.

use keyward_shared::time::Millis;
use wasm_bindgen::prelude::*;

use super::{State, io, now, with_state};
use crate::verifier::{Attempt, Read};

/// The longest that a task waits before it reports: the platform ends it after 30 s, and the next request may never come.
const LONGEST_WAIT: Millis = Millis(25_000);

/// Whether [`background`] has something to do.
pub(super) fn is_due(state: &State, now: Millis) -> bool {
    let report = state.usage.due().is_some() && now >= state.report_expected_until;
    report || now >= state.verifier.next_poll()
}

/// Polls the feeds in use and reports usage. The entry calls it when a decision says so.
#[wasm_bindgen]
pub async fn background(env: JsValue) {
    poll(&env).await;
    report(&env).await;
}

async fn poll(env: &JsValue) {
    for group in with_state(|state| state.verifier.take_poll(now())).unwrap_or_default() {
        provide(env, Read::Feed(group)).await;
        if with_state(|state| state.verifier.feed_wants_waking(group, now())).unwrap_or(false) {
            provide(env, Read::FeedDirect(group)).await;
        }
    }
}

/// Takes in a feed of `group` that the Feed object pushed, where there is one; it is checked like one that was asked
/// for. Gives the stamp of the isolate's latest feed in milliseconds: 0 where there is none yet, -1 where the group is
/// not in use, or where what was pushed is not to be believed.
#[wasm_bindgen]
pub fn take_feed(group: u16, pushed: Option<String>) -> f64 {
    let stamp = with_state(|state| {
        let believed = pushed.is_none_or(|feed| state.verifier.take_pushed(group, feed, now()));
        if believed { state.verifier.feed_stamp(group) } else { None }
    });
    #[allow(clippy::cast_precision_loss)] // far below 2^53
    stamp.flatten().map_or(-1.0, |stamp| stamp.0 as f64)
}

async fn provide(env: &JsValue, read: Read) {
    let result = io::perform(env, read, io::deadline()).await;
    with_state(|state| state.verifier.provide(read, result, now(), &mut Attempt::default()));
}

async fn report(env: &JsValue) {
    let wait = with_state(|state| {
        let due = state.usage.due()?;
        let now = now();
        if now < state.report_expected_until {
            return None;
        }
        let wait = due.minus(now).min(LONGEST_WAIT);
        state.report_expected_until = now.plus(wait).plus(Millis(1_000));
        Some(wait)
    });
    let Some(Some(wait)) = wait else { return };
    if wait > Millis(0) {
        io::sleep(wait).await;
    }
    let interval = with_state(|state| state.settings.common.timing.usage_report).unwrap_or_default();
    let taken = with_state(|state| {
        // What is counted while this is delivered needs a task of its own.
        state.report_expected_until = Millis(0);
        state.usage.take(now(), interval)
    });
    for (shard, usage) in taken.unwrap_or_default() {
        if !io::report(env, shard, &usage).await {
            with_state(|state| state.usage.put_back(shard, usage));
        }
    }
}
