//! hono's bearer authentication on the Workers runtime, with the keys' digests in KV.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use keyward_shared::digest::Digest;
use serde_json::json;

use super::{
    Once,
    worker::{self, Worker},
};
use crate::{
    cell::{Asked, Cell, Credential, Ground, Running, Work},
    keys::{Key, PERMISSIONS},
    load::Load,
};

pub(super) fn all() -> Vec<Box<dyn Cell>> {
    vec![Box::new(Hono { stored: Once::new() })]
}

struct Hono {
    stored: Once<SocketAddr>,
}

impl Cell for Hono {
    fn name(&self) -> &'static str {
        "hono"
    }

    fn what(&self) -> &'static str {
        "hono's bearer authentication on workerd; digests in KV, which each request reads"
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
        let keys = ground.keys.texts(ground.keys.valid.len());
        let asked = Asked { credential: Credential::Bearer, ..Asked::with_keys("/orders/1", keys, ground.keys.wrong.clone()) };
        Ok(Running { address, processes: vec![process], asked })
    }
}

/// Puts a record of each key into the store, as whoever uses hono would design it.
fn store(ground: &Ground<'_>) -> Result<SocketAddr> {
    let requests = ground.keys.valid.iter().map(put).collect::<Vec<_>>();
    let count = requests.len();
    Load::new(ground.kv, requests, 200, true).send(count, 4)?;
    Ok(ground.kv)
}

fn put(key: &Key) -> Vec<u8> {
    let record = json!({"owner": key.owner.as_str(), "permissions": PERMISSIONS, "expires_at": 4_102_444_800_000_u64}).to_string();
    let name = Digest::of(key.text.as_bytes()).to_hex();
    format!("PUT /{name}?urlencoded=true HTTP/1.1\r\nhost: kv\r\ncontent-length: {}\r\n\r\n{record}", record.len()).into_bytes()
}
