//! The longest turns: nobody is answered while one lasts. Natively, with the largest shard.

use std::time::Instant;

use anyhow::Result;
use keyward_shared::ids::CompanyId;
use serde_json::json;

use crate::{
    runtime::Served,
    shards::{COMPANIES, MANY, Store},
};

/// A change and what follows it in the background.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    pub(crate) what: String,
    /// The change itself, and taking its announcement, in milliseconds.
    pub(crate) change_ms: f64,
    /// How many turns follow.
    pub(crate) count: usize,
    /// The longest of them, in milliseconds.
    pub(crate) longest_ms: f64,
    /// All of them, in seconds.
    pub(crate) all_s: f64,
}

/// A thousand owners, one with a tenth of the keys, and the company itself; of the last nothing is left.
pub(crate) fn longest(served: &mut Served) -> Result<Vec<Turns>> {
    let store = served.store()?;
    let company = CompanyId::new(&format!("acme-{}", COMPANIES[0])).map_err(|error| anyhow::anyhow!("{error}"))?;
    while store.shard.going_on()? {
        store.shard.due(store.at(), 0)?; // what the runtime left
    }
    store.settle()?;
    let people = |permission: &str| {
        let one = |n: usize| json!({"owner": format!("person-{n}"), "name": format!("Person {n}"), "permissions": [permission]});
        json!({"owners": (0..1_000).map(one).collect::<Vec<_>>()}).to_string()
    };
    let active = |active: bool| json!({"name": "Owner 0", "permissions": ["orders.*"], "active": active}).to_string();
    let owner = format!("/v1/owners/{MANY}");
    let mut turns = Vec::new();
    for (what, method, path, body) in [
        ("1,000 owners are made", "PUT", "/v1/owners", people("orders.read")),
        ("1,000 owners are changed", "PUT", "/v1/owners", people("orders.*")),
        ("an owner with a tenth of the keys is made again", "PUT", &owner, active(true)),
        ("that owner is deactivated", "PUT", &owner, active(false)),
        ("that owner is deleted", "DELETE", &owner, String::new()),
        ("the company is deleted", "DELETE", &format!("/v1/companies/{company}"), String::new()),
    ] {
        let call = store.operators(&company, method, path, &body)?;
        let begun = Instant::now();
        store.done(&call)?;
        let mut change_ms = begun.elapsed().as_secs_f64() * 1e3;
        while !store.shard.deliveries(store.at())?.is_empty() {
            let begun = Instant::now();
            store.announce()?;
            change_ms = change_ms.max(begun.elapsed().as_secs_f64() * 1e3);
        }
        turns.push(background(&store, what, change_ms)?);
    }
    Ok(turns)
}

/// Takes what goes on in the background to its end.
fn background(store: &Store, what: &str, change_ms: f64) -> Result<Turns> {
    let mut turns = Turns { what: what.into(), change_ms, count: 0, longest_ms: 0.0, all_s: 0.0 };
    while store.shard.going_on()? {
        let begun = Instant::now();
        store.shard.due(store.at(), 6)?;
        let taken = begun.elapsed().as_secs_f64();
        turns.count += 1;
        turns.longest_ms = turns.longest_ms.max(taken * 1e3);
        turns.all_s += taken;
    }
    store.settle()?;
    Ok(turns)
}
