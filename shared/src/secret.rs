//! The deployment's secrets as types: their `Debug` prints nothing, and each is a list, newest first, so
//! that it can be rotated.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// HMAC-SHA256 (RFC 2104, FIPS 198-1).
type HmacSha256 = Hmac<Sha256>;

/// Why a list of secrets cannot be used. Never shows any part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    /// No secret at all.
    #[error("needs at least one secret")]
    Empty,
    /// An entry that is not 64 hexadecimal characters.
    #[error("must be a comma-separated list of 64 hexadecimal characters each, newest first")]
    Malformed,
}

/// One 32-byte secret, kept as a keyed HMAC.
#[derive(Clone)]
struct Keyed(HmacSha256);

/// A list of 32-byte secrets, newest first: the newest makes MACs, all of them are accepted.
#[derive(Clone)]
pub struct SecretList(Vec<Keyed>);

impl SecretList {
    /// Reads `<64 hex>[,<64 hex>…]`, newest first.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        if text.trim().is_empty() {
            return Err(SecretError::Empty);
        }
        let one = |entry: &str| {
            let mut bytes = [0_u8; 32];
            hex::decode_to_slice(entry.trim(), &mut bytes).map_err(|_| SecretError::Malformed)?;
            Self::keyed(&bytes)
        };
        text.split(',').map(one).collect::<Result<_, _>>().map(Self)
    }

    /// A list of one.
    pub fn single(secret: [u8; 32]) -> Self {
        Self(Self::keyed(&secret).into_iter().collect())
    }

    fn keyed(secret: &[u8]) -> Result<Keyed, SecretError> {
        HmacSha256::new_from_slice(secret).map(Keyed).map_err(|_| SecretError::Malformed)
    }

    /// The MAC of the concatenated `parts` under the newest secret.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.0.first().map_or([0; 32], |newest| Self::keyed_mac(newest, parts).finalize().into_bytes().into())
    }

    /// Whether `mac` is the MAC of `parts` under any of the secrets; compared in constant time.
    pub fn verify(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        self.0.iter().any(|secret| Self::keyed_mac(secret, parts).verify_slice(mac).is_ok())
    }

    /// [`SecretList::verify`] for a MAC in 64 lower-case hexadecimal characters: a token that carries one has one spelling.
    pub fn verify_hex(&self, parts: &[&[u8]], mac: &str) -> bool {
        let mut bytes = [0; 32];
        let lower = !mac.bytes().any(|b| b.is_ascii_uppercase());
        lower && hex::decode_to_slice(mac, &mut bytes).is_ok() && self.verify(parts, &bytes)
    }

    /// The MACs of `parts` under each of the secrets, newest first.
    pub fn macs<'a>(&'a self, parts: &'a [&'a [u8]]) -> impl Iterator<Item = [u8; 32]> + 'a {
        self.0.iter().map(move |secret| Self::keyed_mac(secret, parts).finalize().into_bytes().into())
    }

    fn keyed_mac(secret: &Keyed, parts: &[&[u8]]) -> HmacSha256 {
        let mut mac = secret.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for SecretList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretList({} redacted)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_secret_still_verifies_what_it_made() {
        let [old, new] = ["11".repeat(32), "22".repeat(32)];
        let made_by_old = SecretList::parse(&old).unwrap().mac(&[b"a", b"b"]);
        let both = SecretList::parse(&format!("{new},{old}")).unwrap();
        assert!(both.verify(&[b"ab"], &made_by_old));
        assert_ne!(both.mac(&[b"ab"]), made_by_old);
        assert!(!SecretList::parse(&new).unwrap().verify(&[b"ab"], &made_by_old));
    }

    #[test]
    fn a_malformed_list_is_refused_and_nothing_of_it_is_shown() {
        assert_eq!(SecretList::parse(" ").err(), Some(SecretError::Empty));
        for bad in ["11", "zz".repeat(32).as_str(), &format!("{},", "11".repeat(32))] {
            assert_eq!(SecretList::parse(bad).err(), Some(SecretError::Malformed), "{bad}");
        }
        assert_eq!(format!("{:?}", SecretList::single([7; 32])), "SecretList(1 redacted)");
    }
}
