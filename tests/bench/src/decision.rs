//! What one warm decision takes inside WebAssembly: parsing the key, its digest, the cache, the feed, a policy of a hundred rules. The shipped
//! modules run in the runtime; a loop around the export that the entry calls measures it.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use keyward_selfhost::{
    arrangement,
    config::{Module, Source},
};
use serde_json::Value;

use crate::{
    cell::{Asked, Ground},
    cells::workers::PATH,
    load::ask,
    statistics::median,
};

/// How many decisions one loop has, and how many loops there are.
const WHOLE: (u32, usize) = (200_000, 7);
const QUICK: (u32, usize) = (2_000, 1);

/// Microseconds for one decision.
pub fn measure(ground: &Ground<'_>, whole: bool) -> Result<f64> {
    let address = ground.free_address()?;
    let mut modules = ground.installation.modules("edge")?;
    modules.insert(0, Module { name: "loop.mjs".into(), source: Source::Script(include_str!("../js/loop.mjs")) });
    let started = ground.workerd(&arrangement::edge(modules, ground.edge, ground.links, address.port()).to_text(), address)?;
    // Makes the isolate know key, feed and policy.
    let key = &ground.keys.valid.first().context("no keys")?.text;
    let question = Asked { path: "/.keyward/forward-auth/original".into(), ..Asked::plain(PATH) };
    let question = Asked { headers: vec!["x-original-method: GET".into(), format!("x-original-uri: {PATH}")], ..question };
    let known = ask(address, &question.request(&question.path, Some(key)))?;
    if known.status != 200 {
        bail!("the key is answered with {}: {}", known.status, started.tail());
    }
    let (count, loops) = if whole { WHOLE } else { QUICK };
    let mut each = Vec::new();
    for _ in 0..=loops {
        each.push(once(address, key, count)?);
    }
    Ok(median(&each[1..])) // the first one is for the compiler
}

fn once(address: SocketAddr, key: &str, count: u32) -> Result<f64> {
    let text = format!("GET\n{PATH}\n{key}\n");
    let request = format!("POST /loop?n={count} HTTP/1.1\r\nhost: loop\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    let answer = ask(address, request.as_bytes())?;
    let said: Value = serde_json::from_slice(&answer.body).with_context(|| String::from_utf8_lossy(&answer.body).into_owned())?;
    if said["passed"] != count {
        bail!("not all of {count} decisions let the key pass: {said}");
    }
    let ms = said["ms"].as_f64().filter(|ms| *ms > 0.0).context("no time")?;
    Ok(ms * 1e3 / f64::from(count))
}
