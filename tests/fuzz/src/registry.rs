//! Calls of the API to the registry: the route policy and the list of companies.

use keyward_control::call::ApiCall;
use keyward_shared::{policy::StoredPolicy, secret::SecretList, time::Millis};
use serde_json::{Value, json};

use crate::{
    input,
    world::{START, registry_call, right_answer, with_registry},
};

/// The most calls of one input.
const CALLS: usize = 4;

/// Calls with `---` on a line between them; the first line of each is a method, a target and, where there is one, an
/// `If-Match`; the rest is its body. No call fails, every answer is JSON, a refused one changes nothing. A policy that was
/// taken is the one that is answered and the one that the edge reads. Nobody but the operator is answered.
pub fn registry(data: &[u8]) {
    let Some(text) = input::text(data) else { return };
    with_registry(|registry, sql| {
        let (mut now, secrets) = (START, SecretList::single([3; 32]));
        for call in text.split("\n---\n").take(CALLS) {
            let (line, body) = call.split_once('\n').unwrap_or((call, ""));
            let words: Vec<&str> = line.split(' ').collect();
            let [method, target, if_match @ ..] = words.as_slice() else { return };
            let before = sql.rows(&[]);
            let stranger = registry.handle(now, &registry_call(&["*", "keyward.*"], method, target, body)).unwrap();
            assert_eq!((stranger.answer.status, stranger.changed), (403, None));

            let call = registry_call(&["keyward.operator"], method, target, body);
            let call = ApiCall { if_match: if_match.first().map(|tags| (*tags).to_owned()), ..call };
            let handled = registry.handle(now, &call).unwrap();
            let said = right_answer(&handled.answer);
            let changed = handled.answer.status == 200 && matches!(*method, "PUT" | "POST");
            assert_eq!(handled.changed.is_some(), changed);
            if changed {
                assert_eq!(said, right_answer(&registry.policy_answer(None).unwrap()));
                let current = registry.current(now).unwrap();
                assert_eq!(handled.changed, Some(current.rev));
                assert_eq!(StoredPolicy::open(&secrets, &current.seal(&secrets).unwrap()).expect("the edge cannot read"), current);
                let mut policy = said;
                policy["propagation"].take();
                let kept = json!(current.policy);
                assert_eq!((&policy["default"], &policy["rules"]), (&kept["default"], &kept["rules"]));
                put_again(registry, now, &policy);
            } else {
                assert_eq!(sql.rows(&[]), before, "{} changed something", handled.answer.status);
            }
            registry.begin_work(now).unwrap();
            now = now.plus(Millis(700));
        }
    });
}

/// What is answered can be put as it is.
fn put_again(registry: &keyward_control::registry::Registry<&'static crate::world::Layered>, now: Millis, policy: &Value) {
    let again = registry.handle(now, &registry_call(&["keyward.operator"], "PUT", "/v1/policy", &policy.to_string())).unwrap();
    assert_eq!(again.answer.status, 200, "{}", again.answer.body);
}
