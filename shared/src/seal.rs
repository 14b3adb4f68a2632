//! The MAC on everything in the replicated store: `1.<64 hex>.<body>` with HMAC-SHA256 over name, line
//! feed, body. Write access to the store is then not enough to make, change or move a value.

use thiserror::Error;

use crate::{json, json_object, secret::SecretList};

/// What stands before the MAC: the version of the envelope.
const VERSION: &str = "1.";
/// Characters of a MAC in hexadecimal.
const MAC_LEN: usize = 64;

/// Why a stored value is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// Truncated, or of another version.
    #[error("a stored value is not in the form of this version")]
    Form,
    /// None of the secrets made the MAC for this name and body.
    #[error("a stored value's MAC is wrong")]
    Mac,
}

/// Puts the MAC before `body`, to be stored under `name`.
pub fn seal(secrets: &SecretList, name: &str, body: &str) -> String {
    let mac = hex::encode(secrets.mac(&[name.as_bytes(), b"\n", body.as_bytes()]));
    let mut sealed = String::with_capacity(VERSION.len() + MAC_LEN + 1 + body.len());
    for part in [VERSION, &mac, ".", body] {
        sealed.push_str(part);
    }
    sealed
}

/// The body of `value` as it was sealed under `name`.
pub fn open<'v>(secrets: &SecretList, name: &str, value: &'v str) -> Result<&'v str, SealError> {
    let rest = value.strip_prefix(VERSION).ok_or(SealError::Form)?;
    let (hex_mac, rest) = rest.split_at_checked(MAC_LEN).ok_or(SealError::Form)?;
    let body = rest.strip_prefix('.').ok_or(SealError::Form)?;
    let mut mac = [0; MAC_LEN / 2];
    hex::decode_to_slice(hex_mac, &mut mac).map_err(|_| SealError::Form)?;
    if secrets.verify(&[name.as_bytes(), b"\n", body.as_bytes()], &mac) { Ok(body) } else { Err(SealError::Mac) }
}

/// The `v` of a versioned JSON object, whatever else is in it.
pub(crate) fn version_of(body: &str) -> Result<u32, json::Error> {
    struct Versioned {
        v: u32,
    }
    json_object!(Versioned { v } passing over others);
    json::from_str::<Versioned>(body).map(|versioned| versioned.v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_under_its_own_name_only() {
        let secrets = SecretList::single([1; 32]);
        let value = seal(&secrets, "k:a", "{}");
        assert_eq!(open(&secrets, "k:a", &value), Ok("{}"));
        assert_eq!(open(&secrets, "k:b", &value), Err(SealError::Mac));
        assert_eq!(open(&SecretList::single([2; 32]), "k:a", &value), Err(SealError::Mac));
        assert_eq!(open(&secrets, "k:a", &value.replace("{}", "{ }")), Err(SealError::Mac));
    }

    #[test]
    fn a_truncated_or_foreign_value_does_not_open() {
        let secrets = SecretList::single([1; 32]);
        let value = seal(&secrets, "k:a", "{}");
        for end in 0..value.len() - 2 {
            assert_eq!(open(&secrets, "k:a", &value[..end]), Err(SealError::Form), "{end}");
        }
        for foreign in ["", "{}", "2.00.{}", &value.replacen("1.", "2.", 1), &format!("1.{}é", "0".repeat(63))] {
            assert_eq!(open(&secrets, "k:a", foreign), Err(SealError::Form), "{foreign}");
        }
    }
}
