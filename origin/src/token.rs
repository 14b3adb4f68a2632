//! One token, taken apart (RFC 7515, RFC 7519). Only what the edge makes is read: three parts, ES256, a `kid`. What else a header may say (`jwk`,
//! `jku`, `x5u`) is never looked at.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{Settings, VerifyError, identity::Claims};

/// Longer ones are not looked at: a hundred permissions of a hundred characters fit.
const MAX_LEN: usize = 32 * 1024;

/// A token whose signature nobody has looked at yet.
pub(crate) struct Unverified<'t> {
    pub(crate) kid: String,
    signed: &'t str,
    payload: &'t str,
    signature: Signature,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

impl<'t> Unverified<'t> {
    /// Takes `token` apart.
    pub(crate) fn read(token: &'t str) -> Result<Self, VerifyError> {
        if token.len() > MAX_LEN {
            return Err(VerifyError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(VerifyError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(VerifyError::Malformed)?;
        if payload.contains('.') {
            return Err(VerifyError::Malformed);
        }
        let header: Header = json(header)?;
        if header.alg != "ES256" {
            return Err(VerifyError::Algorithm);
        }
        // What is critical and not understood makes a token unreadable (RFC 7515 §4.1.11); the edge makes no such one.
        if header.crit.is_some() || header.typ.as_deref() != Some("JWT") {
            return Err(VerifyError::Malformed);
        }
        let kid = header.kid.ok_or(VerifyError::Malformed)?;
        let signature = Signature::from_slice(&bytes(signature)?).map_err(|_| VerifyError::Signature)?;
        Ok(Self { kid, signed, payload, signature })
    }

    /// What the token says, if `key` signed it and it serves at `now` (since 1970).
    pub(crate) fn verify(&self, key: &VerifyingKey, settings: &Settings, now: Duration) -> Result<Claims, VerifyError> {
        key.verify(self.signed.as_bytes(), &self.signature).map_err(|_| VerifyError::Signature)?;
        let claims: Claims = json(self.payload)?;
        if claims.iss != settings.issuer {
            return Err(VerifyError::Issuer);
        }
        if claims.aud != settings.audience {
            return Err(VerifyError::Audience);
        }
        let latest = now.saturating_add(settings.leeway);
        if Duration::from_secs(claims.exp) <= now.saturating_sub(settings.leeway) {
            return Err(VerifyError::Expired);
        }
        if [Some(claims.iat), claims.nbf].into_iter().flatten().any(|begin| Duration::from_secs(begin) > latest) {
            return Err(VerifyError::NotYetValid);
        }
        Ok(claims)
    }
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, VerifyError> {
    serde_json::from_slice(&bytes(part)?).map_err(|_| VerifyError::Malformed)
}

fn bytes(part: &str) -> Result<Vec<u8>, VerifyError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| VerifyError::Malformed)
}
