//! Whatever somebody sends or serves: it is refused, and nothing breaks.

use std::time::Instant;

use keyward_origin::Verifier;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use serde_json::json;

use crate::signer::{Source, claims, encode, header, settings, token, wall};

/// A part of a token: nearly right, JSON that is not, or any text.
fn part() -> impl Strategy<Value = String> {
    let right = prop_oneof![Just(header("a")), Just(claims(wall())), Just(json!({})), Just(json!([])), Just(json!(null))];
    prop_oneof![right.prop_map(|json| encode(json.to_string())), any::<Vec<u8>>().prop_map(encode), any::<String>()]
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

proptest! {
    #[test]
    fn what_nobody_signed_is_refused(header in part(), claims in part(), signature in part(), whole in any::<String>()) {
        let verifier = Verifier::new(settings(), Source::of(&["a"]));
        for token in [format!("{header}.{claims}.{signature}"), whole] {
            let refused = block_on(verifier.verify_at(&token, wall(), Instant::now()));
            assert!(refused.is_err_and(|error| !error.is_unavailable()), "{token}");
        }
    }

    #[test]
    fn what_is_no_key_set_verifies_nothing(number in part(), whole in any::<String>()) {
        let with_a_number = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "a", "x": number, "y": number}]}).to_string();
        for set in [with_a_number, whole] {
            let source = Source::of(&["a"]);
            source.answers(&set);
            let refused = block_on(Verifier::new(settings(), source).verify(&token("a", wall())));
            assert!(refused.is_err_and(|error| error.is_unavailable()), "{set}");
        }
    }
}
