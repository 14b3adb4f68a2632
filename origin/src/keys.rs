//! The edge's public keys: where they come from, and how a set of them is read (RFC 7517).

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::VerifyingKey;
use serde::Deserialize;
use serde_json::Value;

use crate::FetchError;

/// Where the key set comes from.
pub trait KeySource: Send + Sync + 'static {
    /// Fetches the JSON text of `/.keyward/jwks.json`. It must come to an end by itself: requests wait for it.
    fn fetch(&self) -> impl Future<Output = Result<String, FetchError>> + Send;
}

/// Keys by their `kid`.
#[derive(Debug)]
pub(crate) struct KeySet(HashMap<String, VerifyingKey>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
    kid: String,
    #[serde(default)]
    alg: Option<String>,
    #[serde(rename = "use", default)]
    purpose: Option<String>,
}

impl KeySet {
    /// Reads a set. Keys of other kinds are passed over (RFC 7517 §5); a set without any usable one is an error.
    pub(crate) fn read(text: &str) -> Result<Self, FetchError> {
        let document: Document = serde_json::from_str(text).map_err(|_| FetchError::new("what was fetched is no key set"))?;
        let keys: HashMap<_, _> = document.keys.into_iter().filter_map(key).collect();
        if keys.is_empty() {
            return Err(FetchError::new("there is no ES256 key in the set"));
        }
        Ok(Self(keys))
    }

    pub(crate) fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }
}

fn key(jwk: Value) -> Option<(String, VerifyingKey)> {
    let Jwk { kty, crv, x, y, kid, alg, purpose } = serde_json::from_value(jwk).ok()?;
    let fits = kty == "EC" && crv == "P-256" && alg.is_none_or(|alg| alg == "ES256") && purpose.is_none_or(|purpose| purpose == "sig");
    if !fits {
        return None;
    }
    let number = |text: &str| <[u8; 32]>::try_from(URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    // Uncompressed: a byte that says so, then both coordinates. The library checks that they are on the curve.
    let point = [[4].as_slice(), &number(&x)?, &number(&y)?].concat();
    Some((kid, VerifyingKey::from_sec1_bytes(&point).ok()?))
}
