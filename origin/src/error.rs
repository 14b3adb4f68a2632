//! Why there is no identity: the token is not one to believe, or nobody can tell at the moment.

use thiserror::Error;

/// Why a request has no identity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// No `X-Keyward-Identity`.
    #[error("there is no token")]
    Missing,
    /// More than one, of which nobody can say which one counts.
    #[error("there is more than one token")]
    Repeated,
    /// Not a signed token as the edge makes them.
    #[error("the token is malformed")]
    Malformed,
    /// Signed with something else than ES256, or not at all.
    #[error("the token is not signed with ES256")]
    Algorithm,
    /// Signed with a key that the edge does not publish.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// Of another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// For another audience.
    #[error("the token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come, or it was issued in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The edge's keys are not known: the token may be good.
    #[error("the edge's keys cannot be had: {0}")]
    Unavailable(FetchError),
}

impl VerifyError {
    /// Whether the request should be answered 503 instead of 401.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Why the key set could not be fetched; for the log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct FetchError(String);

impl FetchError {
    /// An error with a message for the log.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
