//! Sign-in links: a token that signs one owner in, once, within ten minutes. It carries what it says and a
//! MAC, so whoever holds a session secret can make one without asking anybody; that it works only once is
//! the Shard object's business, which remembers the used ones.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    ids::{CompanyId, OwnerId},
    secret::SecretList,
    time::Millis,
};

/// For how long a link works: 10 minutes.
pub const LIFETIME: Millis = Millis::from_secs(600);

/// What separates a link's MAC from any other made with the same secrets.
const CONTEXT: &[u8] = b"keyward sign-in link v1\n";

/// Why a token signs nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// Not a token, or not made with one of the secrets.
    #[error("this sign-in link is not valid")]
    Invalid,
    /// Older than ten minutes.
    #[error("this sign-in link has expired")]
    Expired,
}

/// Whom a token signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInLink {
    /// The company.
    pub company: CompanyId,
    /// The owner who is signed in.
    pub owner: OwnerId,
    /// From when on it no longer works.
    pub expires_at: Millis,
    /// 32 random hexadecimal characters, which make it unique.
    pub nonce: String,
}

impl SignInLink {
    /// A link that works for ten minutes from `now`.
    pub fn new(company: CompanyId, owner: OwnerId, now: Millis, random: [u8; 16]) -> Self {
        Self { company, owner, expires_at: now.plus(LIFETIME), nonce: hex::encode(random) }
    }

    /// The token: hexadecimal JSON, a dot, a hexadecimal MAC. Safe in a URL's query.
    pub fn to_token(&self, secrets: &SecretList) -> String {
        let body = hex::encode(serde_json::to_vec(self).unwrap_or_default()); // strings and numbers always serialize
        let mac = hex::encode(secrets.mac(&[CONTEXT, body.as_bytes()]));
        format!("{body}.{mac}")
    }

    /// Reads a token that was made with one of `secrets` and has not expired at `now`.
    pub fn from_token(token: &str, secrets: &SecretList, now: Millis) -> Result<Self, LinkError> {
        let (body, mac) = token.split_once('.').ok_or(LinkError::Invalid)?;
        if !secrets.verify_hex(&[CONTEXT, body.as_bytes()], mac) {
            return Err(LinkError::Invalid);
        }
        let json = hex::decode(body).map_err(|_| LinkError::Invalid)?;
        let link: Self = serde_json::from_slice(&json).map_err(|_| LinkError::Invalid)?;
        if now < link.expires_at { Ok(link) } else { Err(LinkError::Expired) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_signs_in_whom_it_was_made_for_until_it_expires() {
        let secrets = SecretList::single([5; 32]);
        let link = SignInLink::new(CompanyId::new("demo").unwrap(), OwnerId::new("auth0|5f2").unwrap(), Millis(1_000), [7; 16]);
        let token = link.to_token(&secrets);
        assert_eq!(SignInLink::from_token(&token, &secrets, Millis(1_000)), Ok(link.clone()));
        assert_eq!(SignInLink::from_token(&token, &secrets, link.expires_at), Err(LinkError::Expired));
        assert_eq!(SignInLink::from_token(&token, &SecretList::single([6; 32]), Millis(1_000)), Err(LinkError::Invalid));
        let other = SignInLink { owner: OwnerId::new("bob").unwrap(), ..link }.to_token(&secrets);
        let in_capitals = format!("{}.{}", token.split('.').next().unwrap(), token.split('.').nth(1).unwrap().to_ascii_uppercase());
        let mixed = format!("{}.{}", other.split('.').next().unwrap(), token.split('.').nth(1).unwrap());
        for bad in ["", ".", "00.00", &token[1..], &mixed, &token.to_ascii_uppercase(), &in_capitals] {
            assert_eq!(SignInLink::from_token(bad, &secrets, Millis(1_000)), Err(LinkError::Invalid), "{bad}");
        }
    }
}
