//! Tokens as an edge makes them, and others; key sets that can fail.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward_origin::{FetchError, KeySource, Settings};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};

/// What the tests' verifiers expect.
pub(crate) fn settings() -> Settings {
    Settings::new("keyward", "keyward-origin")
}

/// The time since 1970.
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key that signs, always the same for the same name.
pub(crate) fn signing(name: &str) -> SigningKey {
    let mut bytes = [7; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    SigningKey::from_slice(&bytes).unwrap()
}

/// Its public half as a JWK named like it.
pub(crate) fn jwk(name: &str) -> Value {
    let point = signing(name).verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": name, "use": "sig", "alg": "ES256"})
}

pub(crate) fn key_set(names: &[&str]) -> String {
    json!({"keys": names.iter().map(|name| jwk(name)).collect::<Vec<_>>()}).to_string()
}

/// The claims of a token that was made at `now`.
pub(crate) fn claims(now: Duration) -> Value {
    json!({
        "iss": "keyward", "aud": "keyward-origin", "sub": "ann", "company": "acme", "permissions": ["orders.*"],
        "act": {"sub": "key_0123456789abcdefghij"}, "iat": now.as_secs(), "exp": now.as_secs() + 60,
    })
}

pub(crate) fn header(kid: &str) -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": kid})
}

/// The token with this header and these claims, signed by the key `name`.
pub(crate) fn token_with(header: &str, claims: &str, name: &str) -> String {
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature: Signature = signing(name).sign(signed.as_bytes());
    format!("{signed}.{}", encode(signature.to_bytes()))
}

/// A good token of the key `name`, made at `now`.
pub(crate) fn token(name: &str, now: Duration) -> String {
    token_with(&header(name).to_string(), &claims(now).to_string(), name)
}

/// A source whose answer tests change, and which counts.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    answer: Arc<Mutex<Result<String, FetchError>>>,
    asked: Arc<AtomicUsize>,
}

impl Source {
    pub(crate) fn of(names: &[&str]) -> Self {
        Self { answer: Arc::new(Mutex::new(Ok(key_set(names)))), asked: Arc::default() }
    }

    pub(crate) fn answers(&self, text: &str) {
        *self.answer.lock().unwrap() = Ok(text.to_owned());
    }

    pub(crate) fn fails(&self) {
        *self.answer.lock().unwrap() = Err(FetchError::new("nobody is there"));
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl KeySource for Source {
    async fn fetch(&self) -> Result<String, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.answer.lock().unwrap().clone()
    }
}
