//! Keys that edges sign identities with, drawn as `IDENTITY_KEYS` holds them: private P-256 keys as JWKs, without a `kid`, so that their
//! thumbprint is their name.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_shared::mint;
use p256::{SecretKey, elliptic_curve::sec1::ToSec1Point};

/// A new private key, as the text of a JWK.
pub fn draw() -> Result<String, mint::NoRandomness> {
    let mut random = [0; 32];
    // A number outside the group is no key; one draw in four thousand million is.
    let key = loop {
        mint::fill(&mut random)?;
        if let Ok(key) = SecretKey::from_slice(&random) {
            break key;
        }
    };
    let point = key.public_key().to_sec1_point(false);
    // Uncompressed: a byte that says so, then both coordinates.
    let (x, y) = point.as_bytes().split_at(1).1.split_at(32);
    let [x, y, d] = [x, y, &random[..]].map(|number| URL_SAFE_NO_PAD.encode(number));
    Ok(format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","d":"{d}"}}"#))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_drawn_key_is_a_whole_jwk_and_no_two_are_the_same() {
        let [one, other] = [draw().unwrap(), draw().unwrap()].map(|text| serde_json::from_str::<Value>(&text).unwrap());
        for member in ["x", "y", "d"] {
            assert_ne!(one[member], other[member]);
            assert_eq!(URL_SAFE_NO_PAD.decode(one[member].as_str().unwrap()).unwrap().len(), 32, "{member}");
        }
        assert_eq!((&one["kty"], &one["crv"], one.as_object().unwrap().len()), (&"EC".into(), &"P-256".into(), 5));
    }
}
