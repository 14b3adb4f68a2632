//! What a browser keeps while somebody signs in at the provider: a cookie with a MAC, so nothing is stored here and nobody else's
//! browser can end what this one began. It holds no secret of the deployment's, and works once: the Shard object remembers it.

use keyward_shared::{secret::SecretList, time::Millis};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{base64url, to_base64url};

/// The cookie that carries it.
pub const COOKIE: &str = "__Host-keyward-sign-in";
/// For how long somebody may take to sign in there: 10 minutes.
pub const LIFETIME: Millis = Millis::from_secs(600);
/// For how long the browser keeps it: whoever comes back too late is told so, and gets to where they wanted to go by beginning again.
pub const KEPT: Millis = Millis::from_secs(86_400);

const CONTEXT: &[u8] = b"keyward sign-in attempt v1\n";

/// A sign-in that was begun.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Comes back in the address: the answer is to this request (RFC 6749 §10.12).
    pub state: String,
    /// Comes back in the ID token: it was made for this request.
    pub nonce: String,
    /// Proves to the provider that who brings the code is who asked for it (RFC 7636).
    pub verifier: String,
    /// Where to go afterwards: an address within the administration.
    pub return_to: String,
    /// From when on it is too late.
    pub expires_at: Millis,
}

impl core::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Attempt(to {}, redacted)", self.return_to)
    }
}

/// Why a cookie is no attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Lost {
    /// Not made with one of the secrets.
    #[error("it was not begun here")]
    Unknown,
    /// Begun too long ago.
    #[error("it took too long")]
    Expired,
}

impl Attempt {
    /// A new one, of random bytes.
    pub fn new([state, nonce, verifier]: [[u8; 32]; 3], return_to: &str, now: Millis) -> Self {
        Self {
            state: to_base64url(state),
            nonce: to_base64url(nonce),
            verifier: to_base64url(verifier),
            return_to: return_to.into(),
            expires_at: now.plus(LIFETIME),
        }
    }

    /// What the provider is told of the verifier: `S256` (RFC 7636 §4.2).
    pub fn challenge(&self) -> String {
        to_base64url(Sha256::digest(self.verifier.as_bytes()))
    }

    /// The cookie's value.
    pub fn to_cookie(&self, secrets: &SecretList) -> String {
        let body = to_base64url(serde_json::to_vec(self).unwrap_or_default()); // strings and numbers always serialize
        let mac = hex::encode(secrets.mac(&[CONTEXT, body.as_bytes()]));
        format!("{body}.{mac}")
    }

    /// Reads a cookie's value.
    pub fn from_cookie(value: &str, secrets: &SecretList, now: Millis) -> Result<Self, Lost> {
        let attempt = Self::begun(value, secrets).ok_or(Lost::Unknown)?;
        if now < attempt.expires_at { Ok(attempt) } else { Err(Lost::Expired) }
    }

    /// The attempt of a cookie's value that was made here, also when it is too late for it.
    pub fn begun(value: &str, secrets: &SecretList) -> Option<Self> {
        let (body, mac) = value.split_once('.')?;
        if !secrets.verify_hex(&[CONTEXT, body.as_bytes()], mac) {
            return None;
        }
        serde_json::from_slice(&base64url(body)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_read_back_until_it_expires_and_nobody_else_makes_one() {
        let secrets = SecretList::single([5; 32]);
        let attempt = Attempt::new([[1; 32], [2; 32], [3; 32]], "/admin/keys?q=a", Millis(1_000));
        let cookie = attempt.to_cookie(&secrets);
        let last = Millis(attempt.expires_at.0 - 1);
        assert_eq!(Attempt::from_cookie(&cookie, &secrets, last), Ok(attempt.clone()));
        assert_eq!(Attempt::from_cookie(&cookie, &secrets, attempt.expires_at), Err(Lost::Expired));
        assert_eq!(Attempt::from_cookie(&cookie, &SecretList::single([6; 32]), last), Err(Lost::Unknown));
        let (body, mac) = cookie.split_once('.').unwrap();
        let other = Attempt { return_to: "https://evil.example/".into(), ..attempt.clone() };
        let moved = format!("{}.{mac}", other.to_cookie(&secrets).split_once('.').unwrap().0);
        for bad in ["", ".", body, &format!("{body}."), &format!("{body}.{}", mac.to_ascii_uppercase()), &moved] {
            assert_eq!(Attempt::from_cookie(bad, &secrets, last), Err(Lost::Unknown), "{bad}");
        }
        assert!(cookie.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "it needs no quoting: {cookie}");
        assert!(!format!("{attempt:?}").contains(&attempt.verifier));
    }

    #[test]
    fn a_session_or_a_link_is_no_attempt() {
        let secrets = SecretList::single([5; 32]);
        let company = keyward_shared::ids::CompanyId::new("demo").unwrap();
        let session = crate::session::mint(&company, [7; 32], &secrets);
        assert_eq!(Attempt::from_cookie(&session, &secrets, Millis(0)), Err(Lost::Unknown));
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        let attempt = Attempt { verifier, ..Attempt::new([[0; 32]; 3], "/", Millis(0)) };
        assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
