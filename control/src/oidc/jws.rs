//! A token's outside: JSON Web Signature in its compact form (RFC 7515 §3.1). What its header says chooses among the few
//! things that are taken; that the algorithm is the key's own is `jwk.rs`'s to say. `jwk`, `jku`, `x5u` and `x5c` are not looked at:
//! a token does not bring its own key.

use serde_json::{Map, Value};

use super::{
    Invalid, base64url,
    jwk::{Algorithm, PublicKey},
};
use crate::shard::json;

/// The longest token: 8 KB.
pub const MAX_LEN: usize = 8 << 10;
/// The longest name of a key.
const MAX_KID: usize = 256;

/// A token that was taken apart. Who made it is not known yet.
#[derive(Clone)]
pub struct Jws<'t> {
    /// How it says that it was signed.
    pub algorithm: Algorithm,
    /// The name of the key.
    pub kid: Option<String>,
    /// What it says.
    pub claims: Map<String, Value>,
    signed: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// Takes `token` apart.
    pub fn parse(token: &'t str) -> Result<Self, Invalid> {
        if token.len() > MAX_LEN {
            return Err(Invalid::TooLong);
        }
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, claims, signature] = parts.as_slice() else { return Err(Invalid::Malformed("it must have three parts")) };
        let signed = &token[..header.len() + 1 + claims.len()];
        let header = object(header)?;
        let text = |name: &'static str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Invalid::Malformed("a member of its header is no text")),
        };
        let algorithm = text("alg")?.and_then(Algorithm::named).ok_or(Invalid::Algorithm)?;
        // What a reader that does not know them must not ignore (RFC 7515 §4.1.11, RFC 7797 §3), and what encryption brings.
        if let Some(name) = ["crit", "b64", "zip", "enc"].into_iter().find(|name| header.contains_key(*name)) {
            return Err(Invalid::Header(name));
        }
        if !text("typ")?.is_none_or(is_token) {
            return Err(Invalid::Header("another typ"));
        }
        let kid = text("kid")?.map(ToOwned::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(Invalid::Malformed("the name of its key is too long"));
        }
        let signature = base64url(signature).ok_or(Invalid::Malformed("its signature is not base64url"))?;
        Ok(Self { algorithm, kid, claims: object(claims)?, signed, signature })
    }

    /// Whether `key` made it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.algorithm() == self.algorithm && key.verifies(self.signed.as_bytes(), &self.signature)
    }
}

/// `JWT`, or an access token (RFC 9068 §2.1), with or without the `application/` that may be left away.
fn is_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

/// One part as a JSON object in which no member stands twice.
fn object(part: &str) -> Result<Map<String, Value>, Invalid> {
    let bytes = base64url(part).ok_or(Invalid::Malformed("it is not base64url"))?;
    let text = core::str::from_utf8(&bytes).ok().filter(|text| !text.trim().is_empty());
    text.and_then(|text| json::object(text).ok()).ok_or(Invalid::Malformed("it is not a JSON object, or has a member twice"))
}
