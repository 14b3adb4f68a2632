//! Performs the verifier's reads: the replicated store, and the objects when the store cannot answer. A
//! failure of any kind is `Unavailable`, never absence; no read outlives the request's budget.

use core::time::Duration;

use futures_util::future::{Either, select};
use keyward_shared::{
    feed,
    messages::{self, ResolveRequest, UsageReport},
    policy, record,
    shard::Shard,
    time::Millis,
};
use serde::Serialize;
use wasm_bindgen::JsValue;
use worker::{Delay, Env, Method, Request, RequestInit, Response, Stub};

use crate::verifier::{Lookup, Read};

/// How long all reads of one request may take together.
pub(super) const BUDGET: Millis = Millis(2_000);

/// For how long a location may keep a record that it read from the store.
const RECORD_CACHE_S: u64 = 300;
/// The same for the feed and the policy, which must not grow old: the least that the store allows.
const FEED_CACHE_S: u64 = 30;

/// Performs `read`, giving up at `deadline`.
pub(super) async fn perform(env: &Env, read: Read, deadline: Millis) -> Lookup {
    let left = deadline.minus(super::now());
    if left == Millis(0) {
        return Lookup::Unavailable;
    }
    let work = core::pin::pin!(attempt(env, read));
    match select(work, Delay::from(Duration::from_millis(left.0))).await {
        Either::Left((Ok(lookup), _)) => lookup,
        Either::Left((Err(_), _)) | Either::Right(_) => Lookup::Unavailable,
    }
}

async fn attempt(env: &Env, read: Read) -> worker::Result<Lookup> {
    match read {
        Read::Record(shard, digest) => stored(env, &record::name(shard, &digest), RECORD_CACHE_S).await,
        Read::Feed(group) => stored(env, &feed::name(group), FEED_CACHE_S).await,
        Read::Policy => stored(env, policy::NAME, FEED_CACHE_S).await,
        Read::FeedDirect(group) => {
            let object = stub(env, "FEED", &group.to_string())?;
            answered(object.fetch_with_str(&format!("http://feed{}?group={group}", messages::FEED)).await?).await
        }
        Read::PolicyDirect => {
            let object = stub(env, "REGISTRY", messages::REGISTRY_NAME)?;
            answered(object.fetch_with_str(&format!("http://registry{}", messages::POLICY)).await?).await
        }
        Read::Resolve(shard, digest) => answered(post(env, shard, messages::RESOLVE, &ResolveRequest { digest }).await?).await,
    }
}

async fn stored(env: &Env, name: &str, cache_s: u64) -> worker::Result<Lookup> {
    let value = env.kv("KEYS")?.get(name).cache_ttl(cache_s).text().await?;
    Ok(value.map_or(Lookup::Absent, Lookup::Found))
}

async fn answered(mut response: Response) -> worker::Result<Lookup> {
    if response.status_code() != 200 {
        return Ok(Lookup::Unavailable);
    }
    response.text().await.map(Lookup::Found)
}

fn stub(env: &Env, binding: &str, name: &str) -> worker::Result<Stub> {
    env.durable_object(binding)?.id_from_name(name)?.get_stub()
}

async fn post(env: &Env, shard: Shard, path: &str, message: &impl Serialize) -> worker::Result<Response> {
    let body = serde_json::to_string(message)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from_str(&body)));
    stub(env, "SHARDS", shard.as_str())?.fetch_with_request(Request::new_with_init(&format!("http://shard{path}"), &init)?).await
}

/// Tells a shard which of its keys were used; whether it took it.
pub(super) async fn report(env: &Env, shard: Shard, usage: &UsageReport) -> bool {
    let work = core::pin::pin!(post(env, shard, messages::USAGE, usage));
    match select(work, Delay::from(Duration::from_millis(5_000))).await {
        Either::Left((Ok(response), _)) => response.status_code() < 300,
        Either::Left((Err(_), _)) | Either::Right(_) => false,
    }
}
