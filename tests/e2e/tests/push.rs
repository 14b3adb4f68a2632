//! Push: where there is traffic a change takes effect at once, with the shipped times, whose polls of ten seconds could not explain it. Without
//! push everything still works, by polling.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use keyward_e2e::{
    World, build, eventually, holds_until, http,
    push::{Traffic, hanging, stamp_of, times_to_refusal, works},
};
use keyward_selfhost::{
    Options,
    kv::{Effect, Fault, Operation},
};
use keyward_shared::messages::PUSH_HOLD;
use serde_json::json;
use tokio::time::{sleep, timeout};

/// About a second is promised, some milliseconds are usual, and a poll comes every ten seconds.
const AT_ONCE: Duration = Duration::from_secs(4);
/// The poll interval of the shipped times, with the time that an edge leaves the object alone after a failure.
const COMES_BACK: Duration = Duration::from_secs(30);
/// A stamp from which on nothing will ever be news.
const KNOWS_EVERYTHING: u64 = 1 << 52;

/// Shipped times, and so many edges.
fn shipped(edges: usize) -> impl FnOnce(&mut Options) {
    move |options| {
        options.bound_s = None;
        options.edges = edges;
    }
}

/// An owner, a key that is used at every edge all the time, and push at every edge.
async fn with_traffic(world: &World) -> Vec<Traffic> {
    world.owner("demo", "jane", &["*"], true).await;
    let steady = world.key("demo", "jane", json!({})).await;
    let traffic = Traffic::everywhere(world, &steady.key);
    for edge in world.system.edge_urls() {
        eventually(COMES_BACK, async || works(world, &edge).await).await;
    }
    traffic
}

/// A key that every edge has let in.
async fn known_key(world: &World) -> keyward_e2e::world::NewKey {
    let key = world.key("demo", "jane", json!({})).await;
    for edge in world.system.edge_urls() {
        http::send(world.http.get(edge).header("x-api-key", &key.key)).await.expect(200);
    }
    key
}

/// Revokes a key that every edge knows, and sees that every edge with traffic refuses it at once.
async fn a_revocation_takes_effect_at_once(world: &World, what: &str) {
    let key = known_key(world).await;
    let revoked = world.revoke("demo", &key.id).await;
    assert!(revoked["propagation"]["announced_at"].is_string(), "{revoked}");
    let times = times_to_refusal(world, &key.key, Instant::now(), AT_ONCE).await;
    tell(what, &times);
}

#[expect(clippy::print_stdout, reason = "how long it took is worth knowing")]
fn tell(what: &str, times: &[Duration]) {
    println!("{what}: refused after {times:?}");
}

#[tokio::test]
async fn a_revocation_takes_effect_at_once_at_every_edge_with_traffic() {
    let world = World::with(shipped(3)).await;
    let _traffic = with_traffic(&world).await;
    for round in 1..=4 {
        a_revocation_takes_effect_at_once(&world, &format!("round {round}")).await;
    }
    world.system.stop().await;
}

#[tokio::test]
async fn push_needs_no_store_and_misses_no_change_between_two_requests() {
    let world = World::with(shipped(2)).await;
    let _traffic = with_traffic(&world).await;
    // From here on no poll can bring a feed.
    world.system.kv().inject(Fault::everywhere(Effect::Fail(500)));
    a_revocation_takes_effect_at_once(&world, "without the store").await;

    // The second change comes while the edges are about to ask again.
    let (first, second) = (known_key(&world).await, known_key(&world).await);
    world.revoke("demo", &first.id).await;
    world.revoke("demo", &second.id).await;
    let begun = Instant::now();
    tell("the first of two", &times_to_refusal(&world, &first.key, begun, AT_ONCE).await);
    tell("the second of two", &times_to_refusal(&world, &second.key, begun, AT_ONCE).await);

    // Other changes than revocations take the same way.
    let key = known_key(&world).await;
    world.owner("demo", "jane", &["*"], false).await;
    for edge in world.system.edge_urls() {
        eventually(AT_ONCE, async || {
            let answer = http::send(world.http.get(&edge).header("x-api-key", &key.key)).await;
            if answer.verdict() == (401, "owner_inactive".into()) { Ok(()) } else { Err(answer) }
        })
        .await;
    }
    world.system.stop().await;
}

#[tokio::test]
async fn push_comes_back_by_itself_when_the_control_plane_does() {
    let mut world = World::with(shipped(2)).await;
    let traffic = with_traffic(&world).await;
    world.system.kill_control().await;
    for edge in world.system.edge_urls() {
        // A success of a moment ago counts for thirty seconds; what hung is lost at once.
        eventually(COMES_BACK + Duration::from_secs(10), async || match works(&world, &edge).await {
            Ok(()) => Err("push is said to work without an object"),
            Err(_) => Ok(()),
        })
        .await;
    }
    world.system.start_control().await.unwrap();
    for edge in world.system.edge_urls() {
        eventually(COMES_BACK, async || works(&world, &edge).await).await;
    }
    world.system.kv().inject(Fault::everywhere(Effect::Fail(500)));
    a_revocation_takes_effect_at_once(&world, "after the restart").await;
    drop(traffic);
    world.system.stop().await;
}

/// The one place of an object that has one: whether it is taken is told at once, an own request would hang.
async fn the_place_is_taken(world: &World) -> bool {
    match timeout(Duration::from_secs(2), http::send(hanging(world.system.links(), &world.http, KNOWS_EVERYTHING))).await {
        Ok(answer) => answer.expect(429).code() == "rate_limited",
        Err(_) => false,
    }
}

#[tokio::test]
async fn one_request_hangs_where_push_is_on_and_none_where_it_is_off() {
    for (setting, taken) in [("on", true), ("off", false)] {
        let world = World::with(|options| {
            shipped(1)(options);
            options.settings = vec![("PUSH".into(), setting.into()), ("PUSH_WAITERS".into(), "1".into())];
        })
        .await;
        let key = world.operator.clone();
        let _traffic = Traffic::everywhere(&world, &key);
        let edge = world.system.edge_url();
        if taken {
            eventually(AT_ONCE, async || works(&world, &edge).await).await;
        } else {
            let end = Instant::now() + Duration::from_secs(2);
            holds_until(end, async || if works(&world, &edge).await.is_ok() { Err("push is off") } else { Ok(()) }).await;
        }
        assert_eq!(the_place_is_taken(&world).await, taken, "PUSH={setting}");
        world.system.stop().await;
    }
}

#[tokio::test]
async fn an_isolate_has_one_place_however_much_traffic_it_has() {
    let world = World::with(|options| {
        shipped(1)(options);
        options.settings = vec![("PUSH_WAITERS".into(), "2".into())];
    })
    .await;
    let key = world.operator.clone();
    let _crowd: Vec<_> = (0..16).flat_map(|_| Traffic::everywhere(&world, &key)).collect();
    let edge = world.system.edge_url();
    eventually(AT_ONCE, async || works(&world, &edge).await).await;
    sleep(Duration::from_secs(2)).await;
    let mut other = tokio::spawn(http::send(hanging(world.system.links(), &world.http, KNOWS_EVERYTHING)));
    assert!(timeout(Duration::from_secs(1), &mut other).await.is_err(), "there was one more place");
    assert!(the_place_is_taken(&world).await, "and no other");
    other.abort();
    world.system.stop().await;
}

#[test]
fn the_edge_asks_again_as_its_own_tests_say() {
    let test = build::repository().join("edge/js/push.test.mjs");
    let output = Command::new("node").args(["--test", "--test-reporter=tap"]).arg(test).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && told.contains("\nok 10 ") && told.contains("\n# fail 0\n");
    assert!(passed, "{told}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_setting_that_is_neither_on_nor_off_stops_the_edge() {
    let world = World::with(|options| options.settings = vec![("PUSH".into(), "sometimes".into())]).await;
    world.call(&world.operator, "/").await.refused(503, "verifier_unavailable");
    assert!(world.system.log_tails().contains("setting PUSH: must be on or off"), "{}", world.system.log_tails());
    world.system.stop().await;
}

#[tokio::test]
async fn an_edge_without_a_place_gets_changes_by_polling_and_takes_a_place_that_becomes_free() {
    const BOUND: Duration = Duration::from_secs(18); // polls every second
    let world = World::with(|options| {
        options.bound_s = Some(BOUND.as_secs_f64());
        options.edges = 2;
        options.settings = vec![("PUSH_WAITERS".into(), "1".into())];
    })
    .await;
    let mut place = tokio::spawn(http::send(hanging(world.system.links(), &world.http, KNOWS_EVERYTHING)));
    assert!(timeout(Duration::from_secs(1), &mut place).await.is_err(), "it hangs");
    assert!(the_place_is_taken(&world).await);
    world.owner("demo", "jane", &["*"], true).await;
    let steady = world.key("demo", "jane", json!({})).await;
    let _traffic = Traffic::everywhere(&world, &steady.key);
    let key = known_key(&world).await;
    sleep(Duration::from_secs(2)).await;
    for edge in world.system.edge_urls() {
        let health = http::send(world.http.get(format!("{edge}/.keyward/health"))).await.expect(200).json();
        assert_eq!((&health["push"], &health["status"]), (&json!(false), &json!("ok")), "{health}");
    }
    world.revoke("demo", &key.id).await;
    tell("by polling", &times_to_refusal(&world, &key.key, Instant::now(), BOUND / 3 + Duration::from_secs(2)).await);
    let told = place.await.unwrap().expect(200);
    assert!(told.text.starts_with("1."), "the sealed feed: {told:?}");

    let working = eventually(BOUND, async || {
        let mut working = 0;
        for edge in world.system.edge_urls() {
            working += u32::from(works(&world, &edge).await.is_ok());
        }
        if working > 0 { Ok(working) } else { Err(working) }
    });
    assert_eq!(working.await, 1, "there is one place");
    world.system.stop().await;
}

#[tokio::test]
async fn a_request_that_hangs_ends_by_itself_and_hinders_nothing() {
    let world = World::with(|options| {
        shipped(1)(options);
        options.settings = vec![("PUSH".into(), "off".into()), ("PUSH_WAITERS".into(), "2".into())];
    })
    .await;
    let ask = async |known: &str| http::send(hanging(world.system.links(), &world.http, known)).await;
    // An edge that has nothing yet gets the feed at once.
    let first = ask("0").await.expect(200);
    assert!(stamp_of(&first.text).is_some(), "{first:?}");
    for bad in ["", "-1", "soon"] {
        assert_eq!(ask(bad).await.expect(400).code(), "invalid_request", "{bad}");
    }

    world.system.kv().reset_counts();
    let begun = Instant::now();
    let waiting = tokio::spawn(http::send(hanging(world.system.links(), &world.http, KNOWS_EVERYTHING)));
    let gone = timeout(Duration::from_secs(1), ask(&KNOWS_EVERYTHING.to_string())).await;
    assert!(gone.is_err(), "it hangs: {gone:?}");
    assert!(the_place_is_taken(&world).await, "nobody tells the object that its client is gone");
    let answer = waiting.await.unwrap().expect(204);
    let hung = begun.elapsed();
    assert_eq!(answer.text, "");
    let hold = Duration::from_millis(PUSH_HOLD.0);
    assert!(hung >= hold && hung < hold + Duration::from_secs(3), "{hung:?}");
    assert!(world.system.kv().counts().of(Operation::Put, "f:") > 0, "the alarm went off meanwhile");

    sleep(Duration::from_secs(2)).await;
    let (one, other) = tokio::join!(the_place_is_taken(&world), the_place_is_taken(&world));
    assert_eq!((one, other), (false, false), "both places are free again");
    world.system.stop().await;
}

#[tokio::test]
async fn a_control_plane_that_answers_nobody_is_noticed_and_costs_no_request() {
    let world = World::with(shipped(1)).await;
    let _traffic = with_traffic(&world).await;
    let key = known_key(&world).await;
    let edge = world.system.edge_url();
    let control = world.system.control().unwrap();
    control.pause();
    eventually(COMES_BACK + Duration::from_secs(10), async || {
        world.call(&key.key, "/").await.expect(200);
        if works(&world, &edge).await.is_ok() { Err("push is said to work while nobody answers") } else { Ok(()) }
    })
    .await;
    control.resume();
    eventually(COMES_BACK, async || works(&world, &edge).await).await;
    a_revocation_takes_effect_at_once(&world, "after the pause").await;
    world.system.stop().await;
}
