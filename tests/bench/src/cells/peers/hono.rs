//! hono's bearer authentication on the Workers runtime, with the keys' digests in KV.

use anyhow::{Context, Result};
use keyward_selfhost::kv::Entry;
use keyward_shared::digest::Digest;
use serde_json::json;

use super::{
    Once, asked,
    worker::{self, Worker},
};
use crate::{
    cell::{Asked, Cell, Credential, Ground, Running, Work},
    keys::{Key, PERMISSIONS},
};

/// When the keys expire: beyond any measurement.
const EXPIRES_AT: u64 = 4_102_444_800_000;

pub(super) fn all() -> Vec<Box<dyn Cell>> {
    vec![Box::new(Hono { stored: Once::new() })]
}

struct Hono {
    stored: Once<()>,
}

impl Cell for Hono {
    fn name(&self) -> &'static str {
        "hono"
    }

    fn what(&self) -> &'static str {
        "hono's bearer authentication on workerd: digests in KV, which each request reads."
    }

    fn work(&self) -> Work {
        Work::Verify
    }

    fn version(&self, ground: &Ground<'_>) -> Result<String> {
        worker::version(ground, "hono")
    }

    fn start(&self, ground: &Ground<'_>) -> Result<Running> {
        self.stored.get(|| store(ground)).context("storing the records of hono")?;
        let (address, process) = worker::start(ground, &Worker { name: "hono", store: "KEYS", origin: None })?;
        Ok(Running { address, processes: vec![process], asked: Asked { credential: Credential::Bearer, ..asked(ground) } })
    }
}

/// Puts a record of each key into the store, as whoever uses hono would design it.
fn store(ground: &Ground<'_>) -> Result<()> {
    let entries: Vec<(String, Entry)> = ground.keys.valid.iter().map(entry).collect();
    Ok(ground.store.put_all(entries.iter().map(|(name, entry)| (name.as_str(), entry)))?)
}

fn entry(key: &Key) -> (String, Entry) {
    let record = json!({"owner": key.owner.as_str(), "permissions": PERMISSIONS, "expires_at": EXPIRES_AT});
    (Digest::of(key.text.as_bytes()).to_hex(), Entry::new(record.to_string()))
}
