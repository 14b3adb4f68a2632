//! Keys of a provider, and tokens made with them. `golden/tokens.json` was made by another implementation (see
//! `golden/make-tokens.mjs`); the keys in it are for tests only.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek as ed25519;
use ed25519_dalek::Signer as _;
use keyward_shared::{ids::CompanyId, time::Millis};
use p256::ecdsa::{self, signature::SignatureEncoding as _};
use rsa::{BoxedUint, pkcs1v15};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Provider, base64url, provider::Keys};

/// When everything happens, in seconds.
pub(crate) const NOW_S: u64 = 1_800_000_000;
pub(crate) const NOW: Millis = Millis::from_secs(NOW_S);
pub(crate) const ISSUER: &str = "https://issuer.example";

/// `golden/tokens.json`.
pub(crate) fn golden() -> Value {
    serde_json::from_str(include_str!("../../golden/tokens.json")).unwrap()
}

/// A provider whose tokens name the owner, and no more.
pub(crate) fn provider() -> Provider {
    Provider {
        issuer: ISSUER.into(),
        audience: "keyward".into(),
        owner: "sub".into(),
        company: None,
        permissions: None,
        keys: Keys::Discovered(format!("{ISSUER}/.well-known/openid-configuration")),
    }
}

pub(crate) fn operator() -> CompanyId {
    CompanyId::new("demo").unwrap()
}

/// A key set with the public halves of the keys called so.
pub(crate) fn key_set(names: &[&str]) -> Value {
    let golden = golden();
    let public = |name: &&str| {
        let mut jwk = golden["keys"][*name].as_object().unwrap_or_else(|| panic!("no key {name}")).clone();
        jwk.retain(|member, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&member.as_str()));
        Value::Object(jwk)
    };
    json!({ "keys": names.iter().map(public).collect::<Vec<_>>() })
}

/// What a good token says.
pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "keyward", "sub": "ann", "iat": NOW_S - 10, "exp": NOW_S + 300})
}

/// [`claims`] with `changed`; null takes one away.
pub(crate) fn claims_with(changed: &Value) -> Value {
    merged(claims(), changed)
}

fn merged(mut whole: Value, changed: &Value) -> Value {
    for (name, value) in changed.as_object().unwrap() {
        match value {
            Value::Null => drop(whole.as_object_mut().unwrap().remove(name)),
            _ => whole[name] = value.clone(),
        }
    }
    whole
}

/// The header of a token made with the key `name`, with `changed`.
pub(crate) fn header_with(name: &str, changed: &Value) -> Value {
    let algorithm = match name.split('_').next() {
        Some("rsa") => "RS256",
        Some("p256") => "ES256",
        _ => "EdDSA",
    };
    merged(json!({"alg": algorithm, "kid": name, "typ": "JWT"}), changed)
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with this text as header and claims, signed with the key `name`.
pub(crate) fn signed(name: &str, header: &str, claims: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(claims));
    format!("{input}.{}", encode(sign(name, input.as_bytes())))
}

/// A token signed with the key `name`.
pub(crate) fn token(name: &str, header: &Value, claims: &Value) -> String {
    signed(name, &header_with(name, header).to_string(), &claims.to_string())
}

/// The signature of the key `name` for `input`.
pub(crate) fn sign(name: &str, input: &[u8]) -> Vec<u8> {
    let jwk = &golden()["keys"][name];
    let bytes = |member: &str| base64url(jwk[member].as_str().unwrap()).unwrap();
    match jwk["kty"].as_str().unwrap() {
        "RSA" => {
            let number = |member: &str| BoxedUint::from_be_slice_vartime(&bytes(member));
            let primes = vec![number("p"), number("q")];
            let key = rsa::PrivateKey::from_components(number("n"), number("e"), number("d"), primes).unwrap();
            pkcs1v15::SigningKey::<Sha256>::new(key).sign(input).to_vec()
        }
        "EC" => {
            let signature: ecdsa::Signature = ecdsa::SigningKey::from_slice(&bytes("d")).unwrap().sign(input);
            signature.to_vec()
        }
        _ => ed25519::SigningKey::from_bytes(bytes("d").as_slice().try_into().unwrap()).sign(input).to_vec(),
    }
}
