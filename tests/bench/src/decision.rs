//! What one warm decision takes inside WebAssembly: parsing the key, its digest, the cache, the feed, a policy of a hundred rules. The shipped
//! modules run in the runtime; a loop around the export that the entry calls measures it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use keyward_selfhost::{
    arrangement,
    config::{Module, Source},
};
use serde_json::Value;

use crate::{
    cell::{Asked, Ground},
    cells::workers::PATH,
    cpu::Used,
    load::ask,
    statistics::median,
};

/// How many decisions one loop has, and how many loops there are.
const WHOLE: (u32, usize) = (100_000, 9);
const QUICK: (u32, usize) = (2_000, 1);
/// How often a loop is begun again in which what is known of the key grew too old: nothing is read while it runs.
const TRIES: usize = 3;

/// Microseconds of CPU time for one decision.
pub fn measure(ground: &Ground<'_>, whole: bool) -> Result<f64> {
    let address = ground.free_address()?;
    let mut modules = ground.installation.modules("edge")?;
    modules.insert(0, Module { name: "decisions.mjs".into(), source: Source::Script(include_str!("../js/decisions.mjs")) });
    let started = ground.workerd(&arrangement::edge(modules, ground.edge, ground.links, address.port()).to_text(), address)?;
    let (count, loops) = if whole { WHOLE } else { QUICK };
    let key = &ground.keys.valid.first().context("no keys")?.text;
    let mut each = Vec::new();
    for _ in 0..=loops {
        each.push(once(address, key, count, started.id()).with_context(|| started.tail())?);
    }
    Ok(median(&each[1..])) // the first one is for the compiler
}

fn once(address: SocketAddr, key: &str, count: u32, process: u32) -> Result<f64> {
    let headers = vec!["x-original-method: GET".into(), format!("x-original-uri: {PATH}")];
    let question = Asked { headers, ..Asked::plain("/.keyward/forward-auth/original") };
    let text = format!("GET\n{PATH}\n{key}\n");
    let request = format!("POST /decisions?n={count} HTTP/1.1\r\nhost: bench\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    let mut said = Value::Null;
    for _ in 0..TRIES {
        // Makes the isolate know key, feed and policy.
        let known = ask(address, &question.request(&question.path, Some(key)))?;
        if known.status != 200 {
            bail!("the key is answered with {}", known.status);
        }
        let before = Used::by(&[process]);
        let answer = ask(address, request.as_bytes())?;
        let spent = Used::by(&[process]).since(&before);
        said = serde_json::from_slice(&answer.body).with_context(|| String::from_utf8_lossy(&answer.body).into_owned())?;
        if said["passed"] == count {
            return Ok(Duration::from_nanos(spent.ns).as_secs_f64() * 1e6 / f64::from(count));
        }
    }
    bail!("not all of {count} decisions let the key pass: {said}")
}
