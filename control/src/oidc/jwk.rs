//! A provider's public keys: a JSON Web Key set (RFC 7517). Each key's type, and what it says of its own use, decides which
//! algorithm it verifies; what a token says only has to agree. Keys that cannot be used are passed over (§5).

use ed25519_dalek as ed25519;
use p256::ecdsa::{self, signature::Verifier as _};
use rsa::{BoxedUint, pkcs1v15};
use serde_json::Value;
use sha2::Sha256;

use super::base64url;

/// The sizes of an RSA modulus that are taken, in bits.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;

/// The algorithms that are taken (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// By its name; Ed25519 also by the one of RFC 9864.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A public key that can be used.
#[derive(Clone, Debug)]
pub enum PublicKey {
    /// `kty` RSA.
    Rsa(pkcs1v15::VerifyingKey<Sha256>),
    /// `kty` EC, `crv` P-256.
    P256(ecdsa::VerifyingKey),
    /// `kty` OKP, `crv` Ed25519.
    Ed25519(ed25519::VerifyingKey),
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The document is not a key set.
    NoKeySet,
    /// None of its keys is the one, or more than one is.
    NoKey,
}

/// The key in `document` that is called `kid` and verifies `algorithm`; without `kid` the only one that does.
pub fn find(document: &str, algorithm: Algorithm, kid: Option<&str>) -> Result<PublicKey, Missing> {
    let document: Value = serde_json::from_str(document).map_err(|_| Missing::NoKeySet)?;
    let keys = document.get("keys").and_then(Value::as_array).ok_or(Missing::NoKeySet)?;
    let called = |key: &&Value| kid.is_none_or(|kid| key.get("kid").and_then(Value::as_str) == Some(kid));
    let mut found = keys.iter().filter(called).filter_map(PublicKey::read).filter(|key| key.algorithm() == algorithm);
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(Missing::NoKey),
    }
}

impl PublicKey {
    /// Reads one key of a set; `None` where it is of another kind, too weak, or not for signatures.
    fn read(jwk: &Value) -> Option<Self> {
        let bytes = |name: &str| base64url(jwk.get(name)?.as_str()?);
        let named = |name: &str, value: &str| jwk.get(name).and_then(Value::as_str) == Some(value);
        let key = match jwk.get("kty")?.as_str()? {
            "RSA" => {
                let number = |name: &str| Some(BoxedUint::from_be_slice_vartime(&bytes(name)?));
                let key = rsa::PublicKey::new_with_size_limits(number("n")?, number("e")?, RSA_BITS).ok()?;
                Self::Rsa(pkcs1v15::VerifyingKey::new(key))
            }
            "EC" if named("crv", "P-256") => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                Self::P256(ecdsa::VerifyingKey::from_sec1_bytes(&[&[4], x.as_slice(), y.as_slice()].concat()).ok()?)
            }
            "OKP" if named("crv", "Ed25519") => {
                let key = ed25519::VerifyingKey::from_bytes(bytes("x")?.as_slice().try_into().ok()?).ok()?;
                Self::Ed25519(key)
            }
            _ => return None,
        };
        let right = |name: &str, fits: &dyn Fn(&Value) -> bool| jwk.get(name).is_none_or(fits);
        let usable = right("use", &|value| value.as_str() == Some("sig"))
            && right("key_ops", &|value| value.as_array().is_some_and(|ops| ops.iter().any(|op| op.as_str() == Some("verify"))))
            && right("alg", &|value| value.as_str().and_then(Algorithm::named) == Some(key.algorithm()));
        usable.then_some(key)
    }

    /// The one algorithm that it is used for.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether `signature` is this key's for `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::P256(key) => ecdsa::Signature::from_slice(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Ed25519(key) => {
                ed25519::Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
        }
    }
}
