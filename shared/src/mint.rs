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
