//! The digest: what is stored of a key instead of the key.

use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, block_api::compress256};
use thiserror::Error;

/// A text that is not 64 lower-case hexadecimal characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a digest is 64 lower-case hexadecimal characters")]
pub struct DigestError;

/// SHA-256 (FIPS 180-4) of the text that stands for a key. Public enough to be a name in the replicated
/// store: nobody can get back from it to a secret of 166 bits.
#[derive(Clone, Copy, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Eight bytes at a time: a request compares one with what is held, and WebAssembly would compare byte by byte.
impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        let words = self.0.as_chunks().0.iter().zip(other.0.as_chunks().0);
        words.fold(0, |differ, (one, other)| differ | (u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other))) == 0
    }
}

impl core::hash::Hash for Digest {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Digest {
    /// Hashes `text`.
    pub fn of(text: &[u8]) -> Self {
        one_block(text).unwrap_or_else(|| Self(Sha256::digest(text).into()))
    }

    /// The digest whose bytes are `bytes`.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal characters.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

/// The initial hash value (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The digest of a text that fits into one block together with its padding (FIPS 180-4 §5.1.1), as keys do: each request hashes one, and
/// without the buffer of a hash that more could follow it is a third less.
fn one_block(text: &[u8]) -> Option<Digest> {
    let mut block = [0; 64];
    if text.len() > block.len() - 9 {
        return None;
    }
    block[..text.len()].copy_from_slice(text);
    block[text.len()] = 0x80;
    block[62..].copy_from_slice(&u16::try_from(text.len() * 8).ok()?.to_be_bytes());
    let mut state = INITIAL;
    compress256(&mut state, &[block]);
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    Some(Digest(digest))
}

impl core::str::FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(DigestError);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_hex()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_have_the_digest_that_the_library_gives_them() {
        let text: Vec<u8> = (0..130).map(|n: u8| n.wrapping_mul(37)).collect();
        for end in 0..=text.len() {
            assert_eq!(Digest::of(&text[..end]).0, <[u8; 32]>::from(Sha256::digest(&text[..end])), "{end} bytes");
        }
    }
}
