//! How the edge's keys are kept: rotation, outages, made-up names of keys.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use crate::signer::{Source, jwk, key_set, settings, token, wall};
use keyward_origin::{FetchError, KeySource, Verifier, VerifyError};
use serde_json::json;

/// A verifier and its source, with a clock of the tests' own.
struct World {
    verifier: Arc<Verifier<Source>>,
    source: Source,
    begun: Instant,
}

impl World {
    fn with(names: &[&str]) -> Self {
        let source = Source::of(names);
        Self { verifier: Arc::new(Verifier::new(settings(), source.clone())), source, begun: Instant::now() }
    }

    /// What becomes of a good token of the key `name`, so many seconds later.
    async fn at(&self, seconds: u64, name: &str) -> Result<(), VerifyError> {
        let now = wall();
        self.verifier.verify_at(&token(name, now), now, self.begun + Duration::from_secs(seconds)).await.map(|_| ())
    }
}

fn nobody() -> VerifyError {
    VerifyError::Unavailable(FetchError::new("nobody is there"))
}

#[tokio::test]
async fn the_set_is_fetched_once_for_many_requests_and_again_when_it_is_five_minutes_old() {
    let world = World::with(&["a"]);
    let many: Vec<_> = (0..100)
        .map(|_| {
            let (verifier, begun, now) = (Arc::clone(&world.verifier), world.begun, wall());
            tokio::spawn(async move { verifier.verify_at(&token("a", now), now, begun).await })
        })
        .collect();
    for one in many {
        one.await.unwrap().unwrap();
    }
    for (seconds, asked) in [(0, 1), (299, 1), (300, 2), (599, 2), (600, 3)] {
        world.at(seconds, "a").await.unwrap();
        assert_eq!(world.source.asked(), asked, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_key_that_is_new_is_found_at_once_and_one_that_is_gone_no_longer_counts() {
    let world = World::with(&["old"]);
    world.at(0, "old").await.unwrap();
    world.source.answers(&key_set(&["new", "old"]));
    world.at(20, "new").await.unwrap();
    world.at(20, "old").await.unwrap();
    assert_eq!(world.source.asked(), 2);
    world.source.answers(&key_set(&["new"]));
    world.at(319, "old").await.unwrap();
    assert_eq!(world.at(320, "old").await, Err(VerifyError::UnknownKey));
    world.at(320, "new").await.unwrap();
}

#[tokio::test]
async fn made_up_names_of_keys_cost_one_question_in_ten_seconds() {
    let world = World::with(&["a"]);
    for second in 0..100 {
        for _ in 0..10 {
            assert_eq!(world.at(second, "made_up").await, Err(VerifyError::UnknownKey));
        }
    }
    assert_eq!(world.source.asked(), 10);
    world.at(100, "a").await.unwrap();
}

#[tokio::test]
async fn an_outage_is_not_the_callers_fault_and_ends_by_itself() {
    let world = World::with(&["a"]);
    world.source.fails();
    assert_eq!((world.at(0, "a").await, world.at(0, "a").await), (Err(nobody()), Err(nobody())));
    assert!(nobody().is_unavailable());
    assert_eq!(world.source.asked(), 1, "not at every request");
    world.source.answers(&key_set(&["a"]));
    world.at(1, "a").await.unwrap();
}

#[tokio::test]
async fn the_last_good_set_is_kept_for_a_day_while_none_can_be_fetched() {
    let world = World::with(&["a"]);
    world.at(0, "a").await.unwrap();
    world.source.fails();
    for seconds in [300, 305, 310, 86_399] {
        world.at(seconds, "a").await.unwrap();
    }
    assert_eq!(world.source.asked(), 4, "asked again ten seconds after a failure");
    assert_eq!(world.at(86_399, "other").await, Err(nobody()), "it may be a key that nobody could fetch");
    assert_eq!(world.at(86_400, "a").await, Err(nobody()));
    world.source.answers(&key_set(&["a"]));
    world.at(86_410, "a").await.unwrap();
}

#[tokio::test]
async fn what_is_no_usable_set_counts_as_a_failure() {
    for (what, text) in [
        ("no JSON", "<html>".to_owned()),
        ("no set", json!([jwk("a")]).to_string()),
        ("an empty set", json!({"keys": []}).to_string()),
        ("another kind", json!({"keys": [{"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"}]}).to_string()),
        ("a secret", json!({"keys": [{"kty": "oct", "kid": "a", "k": "AQAB"}]}).to_string()),
        ("another curve", json!({"keys": [changed("crv", "P-384")]}).to_string()),
        ("another alg", json!({"keys": [changed("alg", "ES384")]}).to_string()),
        ("another use", json!({"keys": [changed("use", "enc")]}).to_string()),
        ("a short number", json!({"keys": [changed("x", "AQAB")]}).to_string()),
        ("a point beside the curve", json!({"keys": [changed("x", jwk("b")["x"].as_str().unwrap())]}).to_string()),
        ("a key without a name", json!({"keys": [changed("kid", "")]}).to_string().replace("\"kid\":\"\"", "\"no\":\"\"")),
    ] {
        let world = World::with(&["a"]);
        world.at(0, "a").await.unwrap();
        world.source.answers(&text);
        world.at(300, "a").await.unwrap_or_else(|error| panic!("{what}: the good set is kept: {error}"));
        assert!(world.at(311, "b").await.is_err_and(|error| error.is_unavailable()), "{what}");
    }
    let world = World::with(&["a"]);
    world.source.answers(&json!({"keys": [{"kty": "OKP", "crv": "Ed25519"}, 7, jwk("a")], "more": 1}).to_string());
    world.at(0, "a").await.unwrap();
}

fn changed(member: &str, value: &str) -> serde_json::Value {
    let mut jwk = jwk("a");
    jwk[member] = json!(value);
    jwk
}

/// Answers only when it is told to.
#[derive(Clone)]
struct Slow(Arc<tokio::sync::Semaphore>);

impl KeySource for Slow {
    async fn fetch(&self) -> Result<String, FetchError> {
        self.0.acquire().await.unwrap().forget();
        Ok(key_set(&["a"]))
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_while_it_fetches_blocks_nobody() {
    let source = Slow(Arc::new(tokio::sync::Semaphore::new(0)));
    let verifier = Arc::new(Verifier::new(settings(), source.clone()));
    let (begun, now) = (Instant::now(), wall());
    let token = token("a", now);
    {
        let mut given_up = pin!(verifier.verify_at(&token, now, begun));
        poll_fn(|context| {
            assert!(given_up.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    assert!(verifier.verify_at(&token, now, begun).await.is_err_and(|error| error.is_unavailable()));
    let again = tokio::spawn(async move { verifier.verify_at(&token, now, begun + Duration::from_secs(1)).await });
    tokio::task::yield_now().await;
    source.0.add_permits(1);
    again.await.unwrap().unwrap();
}
