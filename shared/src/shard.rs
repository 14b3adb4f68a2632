//! The shard: four base62 characters computed from the company's id. It names the object that owns the
//! company's data and is part of every key, so a key tells where its truth lives.

use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{base62, ids::CompanyId, json_text};

/// How many shards there are: 62⁴.
const COUNT: u64 = 62 * 62 * 62 * 62;

/// A text that is not four base62 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a shard is four letters or digits")]
pub struct ShardError;

/// Four base62 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard([u8; 4]);

impl Shard {
    /// The shard of `company`: the first four bytes of SHA-256 of its id, big-endian, modulo 62⁴.
    pub fn of(company: &CompanyId) -> Self {
        let hash = Sha256::digest(company.as_str().as_bytes());
        let number = hash.iter().take(4).fold(0_u64, |n, &byte| (n << 8) | u64::from(byte));
        Self(base62::encode(number % COUNT))
    }

    /// Reads four base62 characters.
    pub fn from_bytes(bytes: [u8; 4]) -> Result<Self, ShardError> {
        if bytes.iter().copied().all(base62::is_digit) { Ok(Self(bytes)) } else { Err(ShardError) }
    }

    /// The characters.
    pub fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    /// The characters as text; the name of the shard's object.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default() // base62 digits are ASCII
    }

    /// Which of `groups` feeds tells of this shard's changes; 0 where there is one.
    pub fn feed_group(&self, groups: u16) -> u16 {
        if groups <= 1 {
            return 0; // as nearly everywhere, and asked for each request
        }
        let number = base62::decode(&self.0).unwrap_or(0) % u64::from(groups);
        u16::try_from(number).unwrap_or(0)
    }
}

json_text!(Shard: str::parse);

impl TryFrom<String> for Shard {
    type Error = ShardError;
    fn try_from(text: String) -> Result<Self, ShardError> {
        text.as_str().parse()
    }
}

impl core::str::FromStr for Shard {
    type Err = ShardError;
    fn from_str(text: &str) -> Result<Self, ShardError> {
        Self::from_bytes(text.as_bytes().try_into().map_err(|_| ShardError)?)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.as_str().into()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_of_a_company_never_changes() {
        assert_eq!(CompanyId::new("demo").map(|id| Shard::of(&id).to_string()), Ok("MDeu".to_owned()));
    }

    #[test]
    fn a_feed_group_is_below_their_number() {
        for groups in [0, 1, 2, 7, 1000] {
            assert!("zzzz".parse::<Shard>().unwrap().feed_group(groups) < groups.max(1));
        }
        assert_eq!(
            "MDeu".parse::<Shard>().unwrap().feed_group(1000),
            724,
            "the edge and the control plane count alike, version after version"
        );
    }
}
