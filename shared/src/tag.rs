//! The tag: seven characters that only the issuer can make, so that a made-up key is refused without a
//! store read. It authenticates nothing: the digest does.

use core::fmt;

use crate::{
    base62,
    digest::Digest,
    secret::{SecretError, SecretList},
    shard::{Shard, ShardError},
};

/// Characters of a tag.
pub const TAG_LEN: usize = 7;

/// The first five bytes of HMAC-SHA256(tag secret, shard ‖ digest) in base62.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag([u8; TAG_LEN]);

impl Tag {
    /// Reads seven base62 characters.
    pub fn from_bytes(bytes: [u8; TAG_LEN]) -> Result<Self, ShardError> {
        if bytes.iter().copied().all(base62::is_digit) { Ok(Self(bytes)) } else { Err(ShardError) }
    }

    /// The characters as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default() // base62 digits are ASCII
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(redacted)")
    }
}

/// The deployment's tag secrets: the newest mints, all are accepted for ever, because tags sit in
/// customers' vaults. A leaked one costs store reads, not security.
#[derive(Clone, Debug)]
pub struct TagSecrets(SecretList);

impl TagSecrets {
    /// Reads `<64 hex>[,<64 hex>…]`, newest first.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        SecretList::parse(text).map(Self)
    }

    /// The tag of a new key.
    pub fn tag(&self, shard: Shard, digest: &Digest) -> Tag {
        shorten(self.0.mac(&[shard.as_bytes(), digest.as_bytes()]))
    }

    /// Whether one of the secrets made `tag`.
    pub fn made(&self, tag: Tag, shard: Shard, digest: &Digest) -> bool {
        self.0.macs(&[shard.as_bytes(), digest.as_bytes()]).any(|mac| shorten(mac) == tag)
    }
}

fn shorten(mac: [u8; 32]) -> Tag {
    Tag(base62::encode(mac.iter().take(5).fold(0, |n, &byte| (n << 8) | u64::from(byte))))
}
