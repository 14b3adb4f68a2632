//! Stores and objects that answer with everything but what they should, in the real runtime: nothing that they say lets a key pass that is not
//! good, refuses one that is, or holds a request longer than `READ_BUDGET_MS`.

use std::time::{Duration, Instant};

use keyward_e2e::{
    Answer, World, eventually, http, instrumented, probe,
    stored::{name_of, record_of, secrets},
    world::BOUND,
};
use keyward_selfhost::kv::{Effect, Entry, Fault};
use keyward_shared::{
    digest::Digest,
    feed::{self, Feed},
    ids::CompanyId,
    record::{KeyState, Record},
    secret::SecretList,
    shard::Shard,
    time::Millis,
};
use serde_json::json;
use tokio::time::sleep;

/// What a busy machine may add to a time.
const MARGIN: Duration = Duration::from_millis(1_500);
/// Makes a bad value of a key's record, as text and read, and its digest.
type Spoil<'a> = Box<dyn Fn(&str, &Record, &Digest) -> Vec<u8> + 'a>;
/// Makes a bad value for a feed at a time; `None`: there is none.
type BadFeed<'a> = Box<dyn Fn(u64) -> Option<Vec<u8>> + 'a>;
/// Longer than anybody waits.
const HANGS: Effect = Effect::Delay(Duration::from_mins(2));

fn entry(value: &[u8]) -> Entry {
    Entry { value: value.into(), metadata: None, expiration: None }
}

#[tokio::test]
async fn whatever_the_store_holds_under_a_keys_name_the_key_is_verified_through_the_authority() {
    let world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let other = world.key("demo", "jane", json!({})).await;
    let (others, _) = record_of(&world, &other.key, KeyState::Active).await;
    let elsewhere = Shard::of(&CompanyId::new("elsewhere").unwrap());
    let secrets = secrets(&world);
    let sealed = |record: &Record, digest: &Digest| record.seal(&secrets, digest).unwrap().into_bytes();
    let cases: Vec<(&str, Spoil)> = vec![
        ("an empty value", Box::new(|_, _, _| Vec::new())),
        ("bytes that are no text", Box::new(|_, _, _| vec![0xff, 0xfe, 0x00, 0xc3])),
        ("a page of HTML", Box::new(|_, _, _| b"<html>busy</html>".to_vec())),
        ("null", Box::new(|_, _, _| b"null".to_vec())),
        ("two megabytes of nothing", Box::new(|_, _, _| vec![b'1'; 2 << 20])),
        ("a truncated record", Box::new(|text, _, _| text[..text.len() - 5].into())),
        ("a corrupt record", Box::new(|text, _, _| text.replace("\"v\":1", "\"v\":01").into())),
        ("a record whose state was changed", Box::new(|text, _, _| text.replace("revoked", "active").replace("jane", "ann_").into())),
        ("a wrong MAC", Box::new(|text, _, _| flipped(text))),
        ("a MAC of other secrets", Box::new(|_, record, digest| record.seal(&SecretList::single([9; 32]), digest).unwrap().into())),
        ("another schema version", Box::new(|_, record, digest| sealed(&Record { v: 99, ..active(record) }, digest))),
        ("another key's record", Box::new(|_, _, _| others.clone().into())),
        ("another shard's record", Box::new(|_, record, digest| sealed(&Record { shard: elsewhere, ..active(record) }, digest))),
        (
            "a record from the future",
            Box::new(|_, record, digest| sealed(&Record { as_of: Millis(probe::now_ms() + 3_600_000), ..active(record) }, digest)),
        ),
    ];
    for (what, spoil) in cases {
        let (good, bad) = (world.key("demo", "jane", json!({})).await, world.key("demo", "jane", json!({})).await);
        world.revoke("demo", &bad.id).await;
        let stored = [record_of(&world, &good.key, KeyState::Active).await, record_of(&world, &bad.key, KeyState::Revoked).await];
        // What is put again later would mend what is spoilt here.
        world.system.kv().inject(Fault::writing("k:", Effect::Fail(500)));
        for (key, (text, record)) in [&good, &bad].into_iter().zip(stored) {
            let (_, digest, name) = name_of(&key.key);
            let value = spoil(&text, &record, &digest);
            assert_ne!(value, text.as_bytes(), "{what}: nothing was spoilt");
            world.system.kv().put(&name, &entry(&value)).unwrap();
        }
        assert_eq!(world.call(&good.key, "/").await.status, 200, "{what}");
        assert_eq!(world.call(&bad.key, "/").await.verdict(), (401, "key_revoked".into()), "{what}");
        world.system.kv().heal();
    }
    world.system.stop().await;
}

/// The record as whoever wants to get in would have it.
fn active(record: &Record) -> Record {
    Record { state: KeyState::Active, ..record.clone() }
}

/// A sealed text with one digit of its MAC changed.
fn flipped(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let digit = &mut bytes[5];
    *digit = if *digit == b'0' { b'1' } else { b'0' };
    bytes
}

#[tokio::test]
async fn an_older_revision_in_the_store_does_not_bring_a_revoked_key_back() {
    let mut world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await;
    let (old, _) = record_of(&world, &key.key, KeyState::Active).await;
    world.call(&key.key, "/").await.expect(200);
    world.revoke("demo", &key.id).await;
    eventually(BOUND, async || {
        let answer = world.call(&key.key, "/").await;
        if answer.status == 401 { Ok(()) } else { Err(answer) }
    })
    .await;
    world.system.kv().inject(Fault::writing("k:", Effect::Fail(500)));
    for again in ["warm", "cold"] {
        world.system.kv().put(&name_of(&key.key).2, &entry(old.as_bytes())).unwrap();
        sleep(Duration::from_millis(300)).await;
        // A cold edge learns of the change from the feed, or, where the old record is still within its bound, by then at the latest.
        eventually(BOUND, async || {
            let answer = world.call(&key.key, "/").await;
            if answer.verdict() == (401, "key_revoked".into()) { Ok(()) } else { Err((again, answer)) }
        })
        .await;
        world.system.kill_edge(0).await;
        world.system.start_edge(0).await.unwrap();
    }
    world.system.stop().await;
}

#[tokio::test]
async fn whatever_the_store_holds_for_a_feed_keys_go_on_and_a_revocation_takes_effect() {
    let world = World::with(|options| options.settings = vec![("PUSH".into(), "off".into())]).await;
    world.owner("demo", "jane", &["*"], true).await;
    let steady = world.key("demo", "jane", json!({})).await;
    world.call(&steady.key, "/").await.expect(200);
    let name = feed::name(0);
    let real = eventually(BOUND, async || {
        let found = world.system.kv().get(&name).unwrap().ok_or("no feed yet")?;
        Ok::<_, &str>(String::from_utf8(found.value).unwrap())
    })
    .await;
    let secrets = secrets(&world);
    let sealed = |group, issued_at, since| Feed::new(group, Millis(issued_at), Millis(since), vec![]).seal(&secrets).unwrap().into_bytes();
    let hour = 3_600_000;
    // Only this test writes feeds now.
    world.system.kv().inject(Fault::writing("f:", Effect::Fail(500)));
    let cases: [(&str, BadFeed); 8] = [
        ("an empty value", Box::new(|_| Some(Vec::new()))),
        ("corrupt", Box::new(|_| Some(real.as_bytes()[..real.len() - 3].into()))),
        ("a wrong MAC", Box::new(|_| Some(flipped(&real)))),
        ("another group's", Box::new(|now| Some(sealed(1, now, 0)))),
        ("from the future", Box::new(|now| Some(sealed(0, now + hour, 0)))),
        ("older than the bound", Box::new(|now| Some(sealed(0, now - hour, 0)))),
        ("complete only from later on", Box::new(|now| Some(sealed(0, now, now + hour)))),
        ("nothing at all", Box::new(|_| None)),
    ];
    for (what, bad) in cases {
        let key = world.key("demo", "jane", json!({})).await;
        world.call(&key.key, "/").await.expect(200);
        match bad(probe::now_ms()) {
            Some(value) => world.system.kv().put(&name, &entry(&value)).unwrap(),
            None => world.system.kv().delete(&name).unwrap(),
        }
        // Longer than freshness: without the feed nothing would be known any more.
        let end = Instant::now() + BOUND / 2;
        while Instant::now() < end {
            assert_eq!(world.call(&key.key, "/").await.status, 200, "{what}");
            sleep(Duration::from_millis(50)).await;
        }
        world.revoke("demo", &key.id).await;
        eventually(BOUND, async || {
            let answer = world.call(&key.key, "/").await;
            if answer.verdict() == (401, "key_revoked".into()) { Ok(()) } else { Err((what, answer)) }
        })
        .await;
    }
    world.system.stop().await;
}

#[tokio::test]
async fn whatever_status_the_store_answers_with_a_cold_key_is_verified_through_the_authority() {
    let world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let gone = world.made_up_key("demo", true);
    for status in [400, 401, 403, 404, 410, 429, 500, 502, 503] {
        let (cold, revoked) = (world.key("demo", "jane", json!({})).await, world.key("demo", "jane", json!({})).await);
        world.revoke("demo", &revoked.id).await;
        world.system.kv().inject(Fault::reading("", Effect::Fail(status)));
        world.call(&cold.key, "/").await.expect(200);
        world.call(&revoked.key, "/").await.refused(401, "key_revoked");
        world.call(&gone, "/").await.refused(401, "unknown_key");
        world.system.kv().heal();
    }
    world.system.stop().await;
}

#[tokio::test]
async fn whatever_the_objects_answer_a_cold_key_is_unavailable_and_neither_let_in_nor_refused() {
    let mut workers = None;
    let world = World::with(|options| {
        workers = Some(instrumented::edges(options));
        options.settings = vec![("READ_BUDGET_MS".into(), "700".into())];
    })
    .await;
    world.owner("demo", "jane", &["*"], true).await;
    let warm = world.key("demo", "jane", json!({})).await;
    world.call(&warm.key, "/").await.expect(200);
    let origin = world.system.origin().unwrap();
    world.system.kv().inject(Fault::reading("k:", Effect::Fail(500)));
    for how in ["throws", "hangs", "empty", "garbage", "400", "401", "403", "404", "429", "500", "503"] {
        for key in [world.key("demo", "jane", json!({})).await.key, world.made_up_key("demo", true)] {
            let reached = origin.count();
            let begun = Instant::now();
            let request = world.http.get(world.system.edge_url()).header("x-api-key", &key).header("x-spoil", format!("objects {how}"));
            let answer = http::send(request).await;
            answer.refused(503, "verifier_unavailable");
            assert!(begun.elapsed() < Duration::from_millis(700) + MARGIN, "{how}: {:?}", begun.elapsed());
            assert_eq!(origin.count(), reached, "{how}");
            // A shard's object that did not answer is left alone for a moment.
            let code = answered(&world, &key).await.code();
            assert!(["", "unknown_key"].contains(&code.as_str()), "{how}: {code}");
        }
    }
    world.system.stop().await;
    drop(workers);
}

/// The first answer that is one about the key.
async fn answered(world: &World, key: &str) -> Answer {
    eventually(BOUND, async || {
        let answer = world.call(key, "/").await;
        if answer.status == 503 { Err(answer) } else { Ok(answer) }
    })
    .await
}

#[tokio::test]
async fn a_store_that_hangs_holds_no_request_longer_than_the_budget() {
    for budget_ms in [600, 2_400] {
        let budget = Duration::from_millis(budget_ms);
        let mut world = World::with(|options| options.settings = vec![("READ_BUDGET_MS".into(), budget_ms.to_string())]).await;
        world.owner("demo", "jane", &["*"], true).await;
        let mut cold = Vec::new();
        for _ in 0..3 {
            cold.push(world.key("demo", "jane", json!({})).await);
        }
        world.system.kv().inject(Fault::reading("", HANGS));
        let took = async |world: &World, key: &str| {
            let begun = Instant::now();
            let answer = world.call(key, "/").await;
            (answer, begun.elapsed())
        };

        // Through the objects: the store gets half of the time that is left. The first request has the policy to read, too.
        let (answer, first) = took(&world, &cold[0].key).await;
        assert!(answer.status == 200 || answer.verdict() == (503, "verifier_unavailable".into()), "{answer:?}");
        assert!(first >= budget / 2 && first < budget + MARGIN, "{budget:?}: {first:?}");
        let (answer, second) = took(&world, &cold[1].key).await;
        assert!(second < budget + MARGIN, "{budget:?}: {second:?}");
        if budget_ms > 2_000 {
            answer.expect(200);
        }

        // With nobody else to ask.
        world.system.kill_edge(0).await;
        world.system.start_edge(0).await.unwrap();
        world.system.control().unwrap().pause();
        let (answer, last) = took(&world, &cold[2].key).await;
        world.system.control().unwrap().resume();
        answer.refused(503, "verifier_unavailable");
        assert!(last >= budget.mul_f64(0.9) && last < budget + MARGIN, "{budget:?}: {last:?}");
        world.system.kv().heal();
        world.system.stop().await;
    }
}
