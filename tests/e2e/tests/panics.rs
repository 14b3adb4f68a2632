//! A real panic in the edge's WebAssembly, wherever a request can be at that moment: that request is 503 and never passes, the next one works on a
//! new instance, and push comes back. (What becomes of requests that wait in the same instance is tested in `selfhost`.)

use std::{
    fs,
    time::{Duration, Instant},
};

use keyward_e2e::{
    Answer, World, eventually, http, instrumented,
    push::{Traffic, times_to_refusal, works},
    stored::record_of,
};
use keyward_selfhost::kv::{Effect, Fault};
use keyward_shared::record::KeyState;
use serde_json::json;
use tokio::join;

/// A lost request is answered at once, not when some time-out ends.
const AT_ONCE: Duration = Duration::from_secs(4);

async fn spoilt(world: &World, key: &str, spoil: &str) -> (Answer, Duration) {
    let begun = Instant::now();
    let request = world.http.get(format!("{}/", world.system.edge_url())).header("x-api-key", key).header("x-spoil", spoil);
    (http::send(request).await, begun.elapsed())
}

/// How many panics the edge's log has.
fn panics(world: &World) -> usize {
    let log = fs::read(world.system.folder().log("edge-0")).unwrap();
    String::from_utf8_lossy(&log).matches("panicked at").count()
}

#[tokio::test]
async fn a_panic_is_answered_503_and_never_a_pass_and_the_next_request_works() {
    let mut workers = None;
    let world = World::with(|options| workers = Some(instrumented::edges(options))).await;
    world.owner("demo", "jane", &["*"], true).await;
    let (good, revoked) = (world.key("demo", "jane", json!({})).await, world.key("demo", "jane", json!({})).await);
    world.revoke("demo", &revoked.id).await;
    record_of(&world, &revoked.key, KeyState::Revoked).await;
    world.call(&good.key, "/").await.expect(200);
    let origin = world.system.origin().unwrap();
    for (number, spoil) in ["panic-at-once", "panic-in-task", "panic-after-read"].into_iter().cycle().take(6).enumerate() {
        // Of the others this edge has to read something first.
        let cold = world.key("demo", "jane", json!({})).await;
        let key = if spoil == "panic-at-once" { &good.key } else { &cold.key };
        let reached = origin.count();
        let (answer, took) = spoilt(&world, key, spoil).await;
        answer.refused(503, "verifier_unavailable");
        assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
        assert!(took < AT_ONCE, "{spoil}: {took:?}");
        assert_eq!((origin.count(), panics(&world)), (reached, number + 1), "{spoil}: {}", world.system.log_tails());
        world.call(key, "/").await.expect(200);
        world.call(&revoked.key, "/").await.refused(401, "key_revoked");
        let line = instrumented::logged(&world, "refused").into_iter().find(|line| line["request_id"] == answer.header("x-request-id"));
        assert!(line.is_some_and(|line| line["code"] == "verifier_unavailable" && line["level"] == "warn"), "{spoil}: it is told of");
    }
    world.system.stop().await;
    drop(workers);
}

#[tokio::test]
async fn requests_beside_a_panic_get_an_answer_of_their_own_or_503() {
    let mut workers = None;
    let world = World::with(|options| workers = Some(instrumented::edges(options))).await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    world.call(&key.key, "/").await.expect(200);
    // They wait for the store when the instance is lost.
    world.system.kv().inject(Fault::reading("k:", Effect::Delay(Duration::from_millis(500))));
    let cold = [world.key("demo", "jane", json!({})).await, world.key("demo", "jane", json!({})).await];
    let begun = Instant::now();
    let (first, second, (lost, _)) = join!(world.call(&cold[0].key, "/"), world.call(&cold[1].key, "/"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        spoilt(&world, &key.key, "panic-at-once").await
    });
    lost.refused(503, "verifier_unavailable");
    for answer in [first, second] {
        assert!(answer.status == 200 || answer.verdict() == (503, "verifier_unavailable".into()), "{answer:?}");
    }
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    for key in &cold {
        world.call(&key.key, "/").await.expect(200);
    }
    world.system.stop().await;
    drop(workers);
}

#[tokio::test]
async fn push_survives_a_panic_in_between() {
    let mut workers = None;
    let world = World::with(|options| {
        options.bound_s = None;
        workers = Some(instrumented::edges(options));
    })
    .await;
    world.owner("demo", "jane", &["*"], true).await;
    let steady = world.key("demo", "jane", json!({})).await;
    let traffic = Traffic::everywhere(&world, &steady.key);
    let edge = world.system.edge_url();
    eventually(AT_ONCE, async || works(&world, &edge).await).await;
    // From here on no poll can bring a feed.
    world.system.kv().inject(Fault::everywhere(Effect::Fail(500)));
    for spoil in ["panic-at-once", "panic-in-task"] {
        let cold = world.key("demo", "jane", json!({})).await;
        let key = if spoil == "panic-at-once" { &steady.key } else { &cold.key };
        spoilt(&world, key, spoil).await.0.refused(503, "verifier_unavailable");
        eventually(AT_ONCE, async || works(&world, &edge).await).await;
        let key = world.key("demo", "jane", json!({})).await;
        world.call(&key.key, "/").await.expect(200);
        world.revoke("demo", &key.id).await;
        times_to_refusal(&world, &key.key, Instant::now(), AT_ONCE).await;
    }
    drop(traffic);
    world.system.stop().await;
    drop(workers);
}
