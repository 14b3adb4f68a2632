//! Measures what signed identities cost on the warm path: the CPU time of the edge's process per request that it forwards, with a key to sign with and
//! without, in turns:
//!
//! ```sh
//! cargo xtask build
//! cargo run --release -p keyward-e2e --bin identity_cost -- [rounds] [requests a round]
//! ```
//!
//! Without arguments: 15 rounds of 4,000 requests with one key. The origin and the clients are this process, so their time does not count.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement; what goes wrong ends it")]

use std::{env, fs};

use keyward_e2e::{World, http};
use serde_json::json;

/// How many clients there are.
const CLIENTS: usize = 8;

#[tokio::main]
async fn main() {
    let arguments: Result<Vec<usize>, _> = env::args().skip(1).map(|argument| argument.parse()).collect();
    let Ok(arguments) = arguments else {
        eprintln!("usage: identity_cost [rounds] [requests a round], each a whole number");
        std::process::exit(2);
    };
    let argument = |index: usize, shipped| arguments.get(index).copied().unwrap_or(shipped).max(1);
    let (rounds, requests) = (argument(0, 15), argument(1, 4_000).max(CLIENTS));

    let mut world = World::with(|options| {
        options.bound_s = None;
        options.edges = 2;
    })
    .await;
    world.system.stop_edge(1).await;
    world.system.change_edge("IDENTITY_KEYS", "");
    world.system.start_edge(1).await.unwrap();
    world.owner("demo", "jane", &["orders.*", "bills.read", "customers.read", "customers.write"], true).await;
    let key = world.key("demo", "jane", json!({})).await.key;

    let mut costs = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        for edge in [0, 1] {
            let micros = round_of(&world, edge, &key, requests).await;
            if round > 0 {
                costs[edge].push(micros); // the first one warms up
            }
        }
    }
    let token = world.system.origin().unwrap().last().unwrap();
    assert!(token.header("x-keyward-identity").is_empty(), "the last request came through the edge without a key");
    let mut ratios: Vec<f64> = costs[0].iter().zip(&costs[1]).map(|(with, without)| with / without).collect();
    println!("with a signed identity: {:.1} µs a request (median of {rounds} rounds of {requests})", median(&mut costs[0]));
    println!("without: {:.1} µs", median(&mut costs[1]));
    println!("ratio: {:.3}, in the rounds from {:.3} to {:.3}", median(&mut ratios), ratios[0], ratios[ratios.len() - 1]);
    world.system.stop().await;
}

/// The CPU time of the edge's process per request, in microseconds.
async fn round_of(world: &World, edge: usize, key: &str, requests: usize) -> f64 {
    let url = &world.system.edge_urls()[edge];
    let process = world.system.edge(edge).unwrap().id().unwrap();
    let before = cpu_nanos(process);
    let clients = (0..CLIENTS).map(|_| {
        let request = world.http.get(url).header("x-api-key", key);
        tokio::spawn(async move {
            for _ in 0..requests / CLIENTS {
                http::send(request.try_clone().unwrap()).await.expect(200);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let nanos = u32::try_from((cpu_nanos(process) - before) / (requests / CLIENTS * CLIENTS) as u64).unwrap();
    f64::from(nanos) / 1000.0
}

/// What all threads of a process have run for.
fn cpu_nanos(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok();
    tasks.filter_map(|task| of(task.ok()?)).sum()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
