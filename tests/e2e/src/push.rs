//! What the tests of push have in common: traffic at an edge, the time until an edge refuses a key, and hanging requests to the Feed
//! object that are not an edge's.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use keyward_selfhost::arrangement::Links;
use keyward_shared::messages::PUSH;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::{task::JoinHandle, time::sleep};

use crate::{Answer, World, http};

/// The pause between two requests of [`Traffic`].
const PAUSE: Duration = Duration::from_millis(20);

/// Somebody who uses a key at an edge all the time, until this is dropped.
#[derive(Debug)]
pub struct Traffic(JoinHandle<()>);

impl Traffic {
    /// Traffic at every edge.
    pub fn everywhere(world: &World, key: &str) -> Vec<Self> {
        world.system.edge_urls().iter().map(|edge| Self::at(&world.http, edge, key)).collect()
    }

    fn at(client: &Client, edge: &str, key: &str) -> Self {
        let (client, url, key) = (client.clone(), edge.to_owned(), key.to_owned());
        Self(tokio::spawn(async move {
            loop {
                let _ = client.get(&url).header("x-api-key", &key).send().await; // what it is answered is not the point
                sleep(PAUSE).await;
            }
        }))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Uses `key` at every edge until it is refused as revoked, and gives the time from `begun` to the first refusal of each. Panics where that
/// takes longer than `limit`.
pub async fn times_to_refusal(world: &World, key: &str, begun: Instant, limit: Duration) -> Vec<Duration> {
    let asked = world.system.edge_urls().into_iter().map(|edge| {
        let request = world.http.get(edge).header("x-api-key", key);
        tokio::spawn(async move {
            loop {
                let answer = http::send(request.try_clone().unwrap()).await;
                match answer.verdict() {
                    (401, code) if code == "key_revoked" => return Ok(begun.elapsed()),
                    // In a moment of overload an edge that knows of the change may not learn in time what became of the key.
                    (200 | 503, _) if begun.elapsed() <= limit => sleep(Duration::from_millis(5)).await,
                    _ => return Err(format!("after {:?}: {answer:?}", begun.elapsed())),
                }
            }
        })
    });
    let mut times = Vec::new();
    for asked in asked.collect::<Vec<_>>() {
        times.push(asked.await.unwrap().unwrap_or_else(|problem| panic!("{problem}\n{}", world.system.log_tails())));
    }
    times
}

/// A request to the Feed object of group 0 as an edge makes it that knows the feed issued at `known` (ms).
pub fn hanging(links: &Links, client: &Client, known: impl Display) -> RequestBuilder {
    client
        .get(format!("http://127.0.0.1:{}{PUSH}?group=0&known={known}", links.relay_port))
        .header("keyward-relay-secret", &links.relay_secret)
        .header("keyward-relay-object", "FEED/0")
}

/// When a sealed feed was issued.
pub fn stamp_of(sealed: &str) -> Option<u64> {
    let feed: Value = serde_json::from_str(sealed.splitn(3, '.').nth(2)?).ok()?;
    feed["issued_at"].as_u64()
}

/// Whether the edge with this address says that push works.
pub async fn works(world: &World, edge: &str) -> Result<(), Box<Answer>> {
    let health = http::send(world.http.get(format!("{edge}/.keyward/health"))).await;
    if health.json()["push"] == true { Ok(()) } else { Err(Box::new(health)) }
}
