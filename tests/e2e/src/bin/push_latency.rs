//! Measures how long a revocation takes to be refused at edges with traffic, with the shipped times:
//!
//! ```sh
//! cargo xtask push-latency [revocations] [edges] [other waiters] [milliseconds between revocations]
//! ```
//!
//! Without arguments: 200 revocations, 4 edges, 1,000 other waiters, 2,000 ms on average. With 0 ms each follows the one before at once; the object
//! answers 1,000 waiters at most once a second then, so that is a measurement of a storm of revocations. A time counts from the moment in which the revocation's answer has arrived
//! to the arrival of an edge's first refusal; every edge is asked without a pause meanwhile. The other waiters hang at the same Feed object
//! and come back whenever they are answered, as edges with traffic do.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement; what goes wrong ends it")]

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use keyward_e2e::{
    World, eventually, http,
    push::{Traffic, hanging, stamp_of, times_to_refusal, works},
};
use reqwest::Client;
use serde_json::json;
use tokio::{task::JoinHandle, time::sleep};

/// What an edge leaves between an answer and its next request: `SPACING_MS` in edge/js/push.mjs.
const SPACING: Duration = Duration::from_millis(100);
/// Longer than any time that is expected, shorter than a poll would need.
const LIMIT: Duration = Duration::from_secs(8);

#[tokio::main]
async fn main() {
    let arguments: Result<Vec<usize>, _> = env::args().skip(1).map(|argument| argument.parse()).collect();
    let Ok(arguments) = arguments else {
        eprintln!("usage: push_latency [revocations] [edges] [other waiters] [milliseconds between revocations], each a whole number");
        std::process::exit(2);
    };
    let argument = |index: usize, shipped| arguments.get(index).copied().unwrap_or(shipped);
    let (revocations, edges, others, between) = (argument(0, 200), argument(1, 4), argument(2, 1_000), argument(3, 2_000));

    let mut world = World::with(|options| {
        options.bound_s = None;
        options.edges = edges;
    })
    .await;
    // The runtime closes connections that were idle for five seconds, and a busy one does not notice that they are used again.
    world.http = Client::builder().pool_idle_timeout(Duration::from_secs(1)).timeout(Duration::from_secs(30)).build().unwrap();
    world.owner("demo", "jane", &["*"], true).await;
    let steady = world.key("demo", "jane", json!({})).await;
    let traffic = Traffic::everywhere(&world, &steady.key);
    for edge in world.system.edge_urls() {
        eventually(LIMIT, async || works(&world, &edge).await).await;
    }
    let (answered, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let crowd: Vec<_> = (0..others).map(|_| waiter(&world, answered.clone(), failed.clone())).collect();
    eventually(Duration::from_mins(1), async || match answered.load(Ordering::Relaxed) {
        all if all >= others => Ok(()),
        some => Err(format!("{some} of {others} other waiters")),
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    println!(
        "{revocations} revocations {between} ms apart, {edges} edges with traffic, {others} other waiters at the Feed object; {}",
        load()
    );

    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    for number in 0..revocations {
        // From half to one and a half times as long: in step with no poll and no heartbeat.
        sleep(Duration::from_millis(u64::try_from(between / 2 + (number * 619) % between.max(1)).unwrap())).await;
        let key = world.key("demo", "jane", json!({})).await;
        for edge in world.system.edge_urls() {
            eventually(LIMIT, async || {
                let answer = http::send(world.http.get(&edge).header("x-api-key", &key.key)).await;
                if answer.status == 200 { Ok(()) } else { Err(answer) }
            })
            .await;
        }
        let begun = Instant::now();
        world.revoke("demo", &key.id).await;
        acknowledged.push(begun.elapsed());
        refused.extend(times_to_refusal(&world, &key.key, Instant::now(), LIMIT).await);
    }
    report("revoke acknowledged", acknowledged);
    report("then refused", refused);
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!("the other waiters: {} answers, {} failures; {}", count(&answered), count(&failed), load());
    crowd.iter().for_each(JoinHandle::abort);
    drop(traffic);
    world.system.stop().await;
}

/// Somebody who waits for changes all the time.
fn waiter(world: &World, answered: Arc<AtomicUsize>, failed: Arc<AtomicUsize>) -> JoinHandle<()> {
    let client: Client = world.http.clone();
    let links = world.system.links().clone();
    tokio::spawn(async move {
        let mut known = 0;
        loop {
            // The crowd at its beginning may be too much for the machine; a waiter that is not answered tries again, as an edge does.
            let answer = match hanging(&links, &client, known).send().await {
                Ok(answer) if answer.status() == 200 => answer.text().await.ok().and_then(|text| stamp_of(&text)),
                Ok(answer) if answer.status() == 204 => Some(known),
                Ok(_) | Err(_) => None,
            };
            if let Some(stamp) = answer {
                known = stamp;
                answered.fetch_add(1, Ordering::Relaxed);
                sleep(SPACING).await;
            } else {
                failed.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_secs(1)).await;
            }
        }
    })
}

/// How busy the machine is, everything on it included.
fn load() -> String {
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load {} on {processors} processors", average.split(' ').next().unwrap_or("unknown"))
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000].as_secs_f64() * 1000.0;
    println!(
        "{what}: p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms, longest {:.0} ms ({} times)",
        at(500),
        at(900),
        at(990),
        at(1000),
        times.len()
    );
}
