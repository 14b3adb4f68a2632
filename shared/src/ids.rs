//! Names of companies, owners and keys. A value of these types is always well-formed.

use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::base62;

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// Empty or longer than 128 characters.
    #[error("must be 1 to 128 characters long")]
    Length,
    /// A character outside visible ASCII, or one of `" \ / ? # % , ;`.
    #[error("must be visible ASCII without space \" \\ / ? # % , ;")]
    Character,
    /// Not `key_` and 20 base62 characters.
    #[error("must be key_ followed by 20 letters or digits")]
    KeyId,
}

fn check_external(text: &str) -> Result<(), IdError> {
    if text.is_empty() || text.len() > 128 {
        return Err(IdError::Length);
    }
    let fits = |b: u8| b.is_ascii_graphic() && !b"\"\\/?#%,;".contains(&b);
    if text.bytes().all(fits) { Ok(()) } else { Err(IdError::Character) }
}

fn check_key_id(text: &str) -> Result<(), IdError> {
    match text.strip_prefix("key_") {
        Some(rest) if rest.len() == 20 && rest.bytes().all(base62::is_digit) => Ok(()),
        _ => Err(IdError::KeyId),
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        $crate::json_text!($name: $name::new);

        impl $name {
            /// Checks `text` and keeps a copy.
            pub fn new(text: &str) -> Result<Self, IdError> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                $check(&text)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

identifier!(
    /// A tenant, named by the application that uses Keyward: 1–128 visible ASCII characters other than
    /// space `" \ / ? # % , ;`.
    CompanyId,
    check_external
);
identifier!(
    /// A person in a company; same characters as [`CompanyId`] (so `auth0|5f2` is one).
    OwnerId,
    check_external
);
identifier!(
    /// The public name of a key: `key_` and 20 base62 characters. Not a secret.
    KeyId,
    check_key_id
);

impl KeyId {
    /// The identifier made of 20 base62 digits taken from `random` bytes (119 bits of them count).
    pub fn from_random(random: [u8; 16]) -> Self {
        let [high, low] = [&random[..8], &random[8..]].map(|half| half.iter().fold(0_u64, |n, &b| (n << 8) | u64::from(b)));
        let mut text = String::with_capacity(24);
        text.push_str("key_");
        for digit in base62::encode::<10>(high).into_iter().chain(base62::encode::<10>(low)) {
            text.push(char::from(digit));
        }
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_companies_and_owners_are_visible_ascii_without_separators() {
        for good in ["demo", "auth0|5f2", "a@b.c", "x".repeat(128).as_str()] {
            assert!(CompanyId::new(good).is_ok(), "{good:?}");
        }
        for bad in ["", " ", "a b", "a/b", "a%2F", "a,b", "a;b", "a?b", "a#b", "a\"b", "a\\b", "é", "a\u{7f}", "a\n"] {
            assert!(OwnerId::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(OwnerId::new(&"x".repeat(129)), Err(IdError::Length));
    }

    #[test]
    fn a_key_id_is_made_of_random_bytes_and_parses_again() {
        let id = KeyId::from_random([0xff; 16]);
        assert_eq!(KeyId::new(id.as_str()), Ok(id));
        let counted = KeyId::from_random([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(counted.as_str(), "key_5McJmDgrvcm7AQFuv3B2", "each half big-endian, in ten digits");
        for bad in ["key_", "key_0000000000000000000", "key_000000000000000000000", "kex_00000000000000000000", "key_0000000000000000000-"]
        {
            assert_eq!(KeyId::new(bad), Err(IdError::KeyId), "{bad:?}");
        }
    }
}
