//! Tokens of identity providers (`OpenID` Connect, and Cloudflare Access, whose assertions are of the same make): whether one is
//! for this deployment, who it speaks of, and whether the provider's key made it. Pure: the present and the provider's
//! documents are arguments; fetching them is `front/tokens.rs`'s business, what the person may do the Shard object's.
//!
//! Read top-down: [`provider`] (what is configured), [`jws`] (the token's outside), [`claims`] (what it says), [`jwk`] (the keys). For
//! sign-in on the pages: [`client`] (what the provider is asked), [`attempt`] (what the browser keeps meanwhile).

pub mod attempt;
pub mod claims;
pub mod client;
pub mod jwk;
pub mod jws;
pub mod provider;

use thiserror::Error;

pub use self::{attempt::Attempt, claims::Unproven, client::Client, jwk::Missing, provider::Provider};

/// Why a token is refused: told to whoever sent it. No text names what the token holds.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    /// Longer than [`jws::MAX_LEN`].
    #[error("the token is longer than 8 KB")]
    TooLong,
    /// Not three parts of base64url, or not JSON in the first two.
    #[error("this is not a token: {0}")]
    Malformed(&'static str),
    /// An algorithm that is not taken.
    #[error("the token must be signed with RS256, ES256 or EdDSA")]
    Algorithm,
    /// Something in its header that changes its meaning.
    #[error("the token's header has {0}, which is not supported")]
    Header(&'static str),
    /// Of another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// No longer valid.
    #[error("the token has expired")]
    Expired,
    /// Not yet valid.
    #[error("the token is not valid yet")]
    Early,
    /// A claim that is missing or cannot be taken.
    #[error("the token's claim {0} {1}")]
    Claim(String, String),
    /// Its key is not among the issuer's.
    #[error("the token's key is not one of its issuer's")]
    UnknownKey,
    /// An ID token that answers another request, or none.
    #[error("the token does not answer this sign-in")]
    Nonce,
    /// An ID token that was made for another client.
    #[error("the token was made for another client")]
    Party,
    /// Made by somebody else, or changed.
    #[error("the token's signature is not right")]
    Signature,
}

/// The one spelling of `text` in base64url without padding (RFC 7515 §2).
fn base64url(text: &str) -> Option<Vec<u8>> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// `bytes` in base64url without padding.
fn to_base64url(bytes: impl AsRef<[u8]>) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
