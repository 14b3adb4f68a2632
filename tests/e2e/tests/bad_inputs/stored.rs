//! What stands in the store because somebody put it there, or because the store failed.

use std::time::{Duration, Instant};

use keyward_e2e::{World, eventually, world::BOUND};
use keyward_selfhost::kv::{Effect, Entry, Fault};
use keyward_shared::{
    key::ParsedKey,
    record::{self, Record},
    seal,
    secret::SecretList,
};
use serde_json::json;

const FEED: &str = "f:0";

/// A key's name in the store, and its record as it is stored there once it is.
async fn stored(world: &World, key: &str, state: &str) -> (String, Entry) {
    let parsed = ParsedKey::parse(key.as_bytes()).unwrap();
    let name = record::name(parsed.shard(), &parsed.digest());
    let entry = eventually(BOUND, async || {
        let entry = world.system.kv().get(&name).unwrap().ok_or("no record")?;
        if String::from_utf8_lossy(&entry.value).contains(&format!("\"state\":\"{state}\"")) { Ok(entry) } else { Err("another state") }
    })
    .await;
    (name, entry)
}

/// What somebody with write access to the store could make of a record, of another one and of an older one.
fn tampered(name: &str, own: &str, other: &str) -> Vec<(&'static str, Option<String>)> {
    let forged = |body: &str| Some(seal::seal(&SecretList::single([9; 32]), name, body));
    let body = &own["1.".len() + 64 + 1..];
    vec![
        ("nothing", None),
        ("an empty value", Some(String::new())),
        ("half of it", Some(own[..own.len() / 2].into())),
        ("other bytes", Some(own.replacen("\"demo\"", "\"evil\"", 1))),
        ("without a MAC", Some(body.into())),
        ("with a MAC of their own", forged(body)),
        ("another key's", Some(other.into())),
        ("of another schema", Some(own.replacen("\"v\":1", "\"v\":2", 1))),
    ]
}

#[tokio::test]
async fn what_somebody_put_into_the_store_is_not_believed() {
    let world = World::with(|options| options.settings = vec![("PUSH".into(), "off".into())]).await;
    world.owner("demo", "jane", &["*"], true).await;
    world.company("acme").await;
    world.owner("acme", "mallory", &["*"], true).await;
    let secrets = SecretList::parse(&world.system.settings().edge["RECORD_SECRETS"]).unwrap();
    let put = |name: &str, value: Option<&str>| match value {
        Some(text) => world.system.kv().put(name, &Entry { value: text.as_bytes().to_vec(), ..Entry::default() }).unwrap(),
        None => world.system.kv().delete(name).unwrap(),
    };
    let text = |entry: &Entry| String::from_utf8_lossy(&entry.value).into_owned();

    // Records of keys that no edge has seen yet: of living ones, and of revoked ones in whose place a living one's is put.
    let theirs = world.key("acme", "mallory", json!({})).await.key;
    let (_, of_another_shard) = stored(&world, &theirs, "active").await;
    let cases = tampered("", &text(&of_another_shard), "").len() + 1;
    let mut keys = Vec::new();
    for _ in 0..2 * cases {
        keys.push(world.key("demo", "jane", json!({})).await);
    }
    let neighbour = world.key("demo", "jane", json!({})).await.key;
    let (_, of_a_neighbour) = stored(&world, &neighbour, "active").await;
    for at in 0..cases {
        let (living, revoked) = (&keys[2 * at], &keys[2 * at + 1]);
        let (name, own) = stored(&world, &living.key, "active").await;
        let (revoked_name, alive) = stored(&world, &revoked.key, "active").await;
        world.revoke("demo", &revoked.id).await;
        stored(&world, &revoked.key, "revoked").await;
        for (key, name, own, expected) in
            [(living, name, own, (200, String::new())), (revoked, revoked_name, alive, (401, "key_revoked".to_owned()))]
        {
            let variants = tampered(&name, &text(&own), &text(&of_a_neighbour));
            let (what, value) = variants.get(at).cloned().unwrap_or(("another shard's", Some(text(&of_another_shard))));
            put(&name, value.as_deref());
            let answer = world.call(&key.key, "/").await;
            assert_eq!(answer.verdict(), expected, "{what}: {answer:?}");
        }
    }

    // A record that once was true, put back after the revocation: it passes for as long as its own stamp allows, and not beyond the bound.
    let key = world.key("demo", "jane", json!({})).await;
    let (name, alive) = stored(&world, &key.key, "active").await;
    assert!(
        Record::open(
            &secrets,
            ParsedKey::parse(key.key.as_bytes()).unwrap().shard(),
            &ParsedKey::parse(key.key.as_bytes()).unwrap().digest(),
            &text(&alive)
        )
        .is_ok()
    );
    world.revoke("demo", &key.id).await;
    let revoked = Instant::now();
    while revoked.elapsed() < BOUND + Duration::from_secs(2) {
        put(&name, Some(&text(&alive)));
        let answer = world.call(&key.key, "/").await;
        assert!(answer.status == 401 || revoked.elapsed() < BOUND, "{:?}: {answer:?}", revoked.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Feeds that say nothing, or nothing any more.
    let before = text(&world.system.kv().get(FEED).unwrap().unwrap());
    for (what, value) in [("garbage", Some("garbage".to_owned())), ("nothing", None), ("an earlier feed", Some(before))] {
        let key = world.key("demo", "jane", json!({})).await;
        world.call(&key.key, "/").await.expect(200);
        world.revoke("demo", &key.id).await;
        eventually(BOUND, async || {
            put(FEED, value.as_deref());
            let answer = world.call(&key.key, "/").await;
            if answer.verdict() == (401, "key_revoked".into()) { Ok(()) } else { Err((what, answer)) }
        })
        .await;
    }
    world.system.stop().await;
}

#[tokio::test]
async fn a_503_may_be_stored_by_nobody_and_ends_with_the_outage() {
    let mut world = World::start().await;
    world.owner("demo", "jane", &["*"], true).await;
    let key = world.key("demo", "jane", json!({})).await.key;
    world.system.kv().inject(Fault::everywhere(Effect::Fail(500)));
    world.system.stop_control().await;
    let answer = world.call(&key, "/").await;
    answer.refused(503, "verifier_unavailable"); // among others: no-store
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
    world.call(&world.made_up_key("demo", false), "/").await.refused(401, "unknown_key");
    world.system.kv().heal();
    world.system.start_control().await.unwrap();
    eventually(2 * BOUND, async || {
        let answer = world.call(&key, "/").await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    world.system.stop().await;
}
