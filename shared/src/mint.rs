//! Minting with the platform's CSPRNG: `getrandom` natively, `crypto.getRandomValues` in browsers and
//! Workers.

use crate::{
    digest::Digest,
    key::{KeyString, Prefix, Secret},
    shard::Shard,
    tag::TagSecrets,
};

/// The platform gave no random numbers.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the platform gave no random numbers: {0}")]
pub struct NoRandomness(getrandom::Error);

/// Fills `buffer` with random bytes.
pub fn fill(buffer: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(buffer).map_err(NoRandomness)
}

/// Draws a secret.
pub fn secret() -> Result<Secret, NoRandomness> {
    Secret::draw(fill)
}

/// Makes a new key and the digest under which it is stored.
pub fn key(prefix: &Prefix, shard: Shard, tags: &TagSecrets) -> Result<(KeyString, Digest), NoRandomness> {
    let secret = secret()?;
    let digest = secret.digest(prefix, shard);
    Ok((KeyString::assemble(prefix, shard, &secret, tags.tag(shard, &digest)), digest))
}

#[cfg(all(test, not(target_arch = "wasm32")))] // browsers have their own test, in tests/browser.rs
mod tests {
    use super::*;
    use crate::{ids::CompanyId, key::ParsedKey};

    #[test]
    fn a_minted_key_parses_is_the_issuers_and_is_another_each_time() {
        let (prefix, shard) = (Prefix::new("kw_live").unwrap(), Shard::of(&CompanyId::new("demo").unwrap()));
        let tags = TagSecrets::parse(&"ab".repeat(32)).unwrap();
        let (key, digest) = self::key(&prefix, shard, &tags).unwrap();
        let parsed = ParsedKey::parse(key.reveal().as_bytes()).unwrap();
        assert_eq!((parsed.digest(), parsed.shard()), (digest, shard));
        assert!(tags.made(parsed.tag(), shard, &digest));
        assert_ne!(self::key(&prefix, shard, &tags).unwrap().1, digest);
    }
}
