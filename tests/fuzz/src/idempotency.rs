//! One effect per idempotency key.

use keyward_control::{call::ApiCall, route};
use keyward_shared::time::Millis;
use serde_json::{Value, json};

use crate::{
    input,
    world::{START, World, in_world, right_answer},
};

/// What a call may write that changes nothing.
const NO_CHANGE: [&str; 3] = ["audit", "audit_heads", "key_usage"];
/// Only this is written when an answer is repeated.
const NOTHING: [&str; 1] = ["key_usage"];

/// First line an idempotency key, second a method and a target, then two bodies with `---` on a line between them. The
/// second time the same call answers what it answered the first time, without what is given out once, and changes nothing;
/// with the other body it is refused. A key that is none is refused. What was refused is not remembered.
pub fn idempotency(data: &[u8]) {
    let Some([key, line, bodies]) = input::lines(data) else { return };
    let Some((method, target)) = line.split_once(' ') else { return };
    let (body, other) = bodies.split_once("\n---\n").unwrap_or((bodies, "{}"));
    in_world(|world| {
        let Some(call) = world.call("operator", method, target, body) else { return };
        let call = ApiCall { idempotency_key: Some(key.into()), ..call };
        if route::find(method, &call.path).is_ok_and(|found| found.endpoint.mutates()) {
            twice(world, key, &call, other);
        }
    });
}

fn twice(world: &World, key: &str, call: &ApiCall, other: &str) {
    let sql = world.shard.sql();
    let at = |seconds| START.plus(Millis::from_secs(seconds));
    let (first, said) = answered(world, at(10), call);
    let right = (1..=255).contains(&key.len()) && key.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    assert!(right || first >= 400, "{key:?} is no idempotency key");

    let before = sql.rows(&NOTHING);
    let (second, repeated) = answered(world, at(if first < 400 { 20 } else { 10 }), call);
    assert_eq!(second, first);
    if first >= 400 {
        assert_eq!(repeated, said);
        return;
    }
    assert_eq!(sql.rows(&NOTHING), before, "the second time changed something");
    assert_eq!(repeated, without_secrets(said));

    if other != call.body {
        let before = sql.rows(&NO_CHANGE);
        let (third, refusal) = answered(world, at(30), &ApiCall { body: other.into(), ..call.clone() });
        assert_eq!((third, refusal["code"].as_str()), (422, Some("idempotency_mismatch")));
        assert_eq!(sql.rows(&NO_CHANGE), before);
    }
    let elsewhere = ApiCall { idempotency_key: Some(format!("{key}.")), ..call.clone() };
    let (_, fresh) = answered(world, at(40), &elsewhere);
    assert_eq!(fresh.get("replayed"), None, "another key's answer was repeated");
    world.check_trails();
}

fn answered(world: &World, now: Millis, call: &ApiCall) -> (u16, Value) {
    let answer = world.handle(now, call).finish();
    (answer.status, right_answer(&answer))
}

fn without_secrets(mut said: Value) -> Value {
    for secret in ["key", "url"] {
        if said.get(secret).is_some() {
            said[secret] = Value::Null;
            said["replayed"] = json!(true);
        }
    }
    said
}
