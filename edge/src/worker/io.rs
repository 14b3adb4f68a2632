//! Performs the verifier's reads: the replicated store, and the objects when the store cannot answer. A
//! failure of any kind is `Unavailable`, never absence; no read outlives the request's budget, and the store gets at
//! most half of what is left of it, so that the objects can still be asked when the store does not answer. And the
//! body of a question, read no further than it may be long.

use js_sys::Promise;
use keyward_shared::{
    feed,
    messages::{self, ImportedRequest, ResolveRequest, UsageReport},
    policy,
    problem::Code,
    record,
    shard::Shard,
    time::Millis,
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Request;

use crate::verifier::{Lookup, Read};

/// For how long a location may keep a record that it read from the store.
pub(super) const RECORD_CACHE_S: u32 = 300;
/// The same for the feed and the policy, which must not grow old: the least that the store allows.
const FEED_CACHE_S: u32 = 30;
/// How long a report of usage may take.
const REPORT_LIMIT: Millis = Millis(5_000);

#[wasm_bindgen(module = "/src/worker/io.mjs")]
extern "C" {
    fn stored(env: &JsValue, name: &str, cache_s: u32, limit_ms: u32) -> Promise;
    fn ask(env: &JsValue, binding: &str, name: &str, path: &str, body: Option<String>, limit_ms: u32) -> Promise;
    fn body(request: &Request, most: u32) -> Promise;
    fn pause(ms: u32) -> Promise;
    /// Notes something about the request that `env` is of: the problem's `code`, or the key's `identity`.
    pub(super) fn note(env: &JsValue, what: &str, text: &str);
}

/// Until when all reads of one request that begins now have to be done.
pub(super) fn deadline() -> Millis {
    deadline_since(super::now())
}

/// The same of one whose reads began at `begun`.
pub(super) fn deadline_since(begun: Millis) -> Millis {
    begun.plus(super::with_state(|state| state.settings.read_budget).unwrap_or_default())
}

/// Performs `read`, giving up at `deadline`.
pub(super) async fn perform(env: &JsValue, read: Read, deadline: Millis) -> Lookup {
    let limit = milliseconds(deadline.minus(super::now()));
    if limit == 0 {
        return Lookup::Unavailable;
    }
    let half = limit.div_ceil(2);
    let promise = match read {
        Read::Record(shard, digest) => stored(env, &record::name(shard, &digest), RECORD_CACHE_S, half),
        Read::Feed(group) => stored(env, &feed::name(group), FEED_CACHE_S, half),
        Read::Policy => stored(env, policy::NAME, FEED_CACHE_S, half),
        Read::FeedDirect(group) => ask(env, "FEED", &group.to_string(), &format!("{}?group={group}", messages::FEED), None, limit),
        Read::PolicyDirect => ask(env, "REGISTRY", messages::REGISTRY_NAME, messages::POLICY, None, limit),
        Read::Resolve(shard, digest) => {
            let stored = super::with_state(|state| state.verifier.holds(&digest)).unwrap_or_default();
            let body = Some(ResolveRequest { digest, stored }.to_json());
            ask(env, "SHARDS", shard.as_str(), messages::RESOLVE, body, limit)
        }
        Read::ImportedRecord(digest) => stored(env, &record::imported_name(&digest), RECORD_CACHE_S, limit),
        Read::ImportedShard(digest) => {
            ask(env, "REGISTRY", messages::REGISTRY_NAME, messages::IMPORTED, Some(ImportedRequest { digest }.to_json()), limit)
        }
        Read::ResolveImported(shard, digest) => {
            let stored = super::with_state(|state| state.verifier.holds_imported(&digest)).unwrap_or_default();
            let body = Some(ResolveRequest { digest, stored }.to_json());
            ask(env, "SHARDS", shard.as_str(), messages::RESOLVE_IMPORTED, body, limit)
        }
    };
    match settled(promise).await {
        Some(value) if value.is_null() => Lookup::Absent,
        Some(value) => value.as_string().map_or(Lookup::Unavailable, Lookup::Found),
        None => Lookup::Unavailable,
    }
}

/// Tells a shard which of its keys were used; whether it took it.
pub(super) async fn report(env: &JsValue, shard: Shard, usage: &UsageReport) -> bool {
    let body = Some(usage.to_json());
    let answer = settled(ask(env, "SHARDS", shard.as_str(), messages::USAGE, body, milliseconds(REPORT_LIMIT))).await;
    answer.is_some_and(|answer| answer.is_string())
}

/// A request's body as text, read no further than `most` bytes.
pub(super) async fn text(request: &Request, most: u32) -> Result<String, Code> {
    match settled(body(request, most)).await {
        Some(value) if value.is_null() => Err(Code::TooLarge),
        value => value.and_then(|value| value.as_string()).ok_or(Code::InvalidRequest),
    }
}

/// Waits.
pub(super) async fn sleep(time: Millis) {
    settled(pause(milliseconds(time))).await;
}

async fn settled(promise: Promise) -> Option<JsValue> {
    JsFuture::from(promise).await.ok()
}

fn milliseconds(time: Millis) -> u32 {
    u32::try_from(time.0).unwrap_or(u32::MAX)
}
