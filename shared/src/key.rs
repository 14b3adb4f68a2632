//! Key format v1: `<prefix>_<shard 4><secret 28><tag 7><sum 6>`, base62 after the last `_`.
//!
//! Parsing checks shape, alphabet, length and checksum; it touches no store and allocates nothing. Whether
//! the tag is the issuer's is [`crate::tag`]'s question, whether the key lives is the verifier's.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use thiserror::Error;

use crate::{
    base62,
    digest::Digest,
    ids::CompanyId,
    shard::Shard,
    tag::{TAG_LEN, Tag},
};

/// Characters after the separator.
pub const BODY_LEN: usize = 4 + SECRET_LEN + TAG_LEN + SUM_LEN;
/// Characters of the secret: 166 bits.
pub const SECRET_LEN: usize = 28;
/// Characters of the checksum.
pub const SUM_LEN: usize = 6;
/// The longest prefix.
pub const MAX_PREFIX_LEN: usize = 16;
/// The longest key: prefix, separator, body.
pub const MAX_KEY_LEN: usize = MAX_PREFIX_LEN + 1 + BODY_LEN;

/// Why a text is not a key. The order is the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Shorter than the shortest or longer than the longest key.
    #[error("a key has the wrong length")]
    Length,
    /// No `_` before the last 45 characters.
    #[error("a key has no separator where one belongs")]
    Separator,
    /// Not `[a-z0-9]+(_[a-z0-9]+)*` of at most 16 characters.
    #[error("a key's prefix is malformed")]
    Prefix,
    /// A character outside base62.
    #[error("a key has a character that does not belong")]
    Character,
    /// Mistyped or truncated: the checksum is another.
    #[error("a key's checksum is wrong")]
    Checksum,
}

/// What stands in front of a key's last `_`: 1–16 characters, `[a-z0-9]+(_[a-z0-9]+)*`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Prefix(Box<str>);

impl Prefix {
    /// Checks `text`.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        check_prefix(text.as_bytes())?;
        Ok(Self(text.into()))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_prefix(bytes: &[u8]) -> Result<(), KeyError> {
    let words = |part: &[u8]| !part.is_empty() && part.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9'));
    if bytes.len() <= MAX_PREFIX_LEN && bytes.split(|&b| b == b'_').all(words) { Ok(()) } else { Err(KeyError::Prefix) }
}

/// The 28 secret characters. `Debug` prints nothing of them.
#[derive(Clone, Copy)]
pub struct Secret([u8; SECRET_LEN]);

impl Secret {
    /// Reads 28 base62 characters.
    pub fn from_bytes(bytes: [u8; SECRET_LEN]) -> Result<Self, KeyError> {
        if bytes.iter().copied().all(base62::is_digit) { Ok(Self(bytes)) } else { Err(KeyError::Character) }
    }

    /// Draws the characters uniformly from `random`, which fills a buffer with random bytes. Bytes of 248
    /// and above are thrown away: 248 is the largest multiple of 62 in a byte, so no character is favoured.
    pub fn draw<E>(mut random: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = [0; SECRET_LEN];
        let mut filled = 0;
        while filled < SECRET_LEN {
            let mut bytes = [0; 40];
            random(&mut bytes)?;
            for byte in bytes.into_iter().filter(|&b| b < 248).take(SECRET_LEN - filled) {
                secret[filled] = base62::digit_for(u64::from(byte));
                filled += 1;
            }
        }
        Ok(Self(secret))
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default() // base62 digits are ASCII
    }

    /// The digest of the key with this secret: SHA-256 of `<prefix>_<shard><secret>`, without tag and
    /// checksum, so that a browser can compute it before it has the tag.
    pub fn digest(&self, prefix: &Prefix, shard: Shard) -> Digest {
        Digest::of(format!("{}_{}{}", prefix.as_str(), shard, self.as_str()).as_bytes())
    }

    /// How lists name the key: prefix and the last four characters of the secret, `kw_live_…fA1e`.
    pub fn hint(&self, prefix: &Prefix) -> String {
        format!("{}_…{}", prefix.as_str(), &self.as_str()[SECRET_LEN - 4..])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// A whole key, to be shown once. `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyString(Box<str>);

impl KeyString {
    /// Puts the parts together and adds the checksum.
    pub fn assemble(prefix: &Prefix, shard: Shard, secret: &Secret, tag: Tag) -> Self {
        let mut text = format!("{}_{}{}{}", prefix.as_str(), shard, secret.as_str(), tag.as_str());
        let sum = checksum(text.as_bytes());
        text.extend(sum.map(char::from));
        Self(text.into())
    }

    /// The key itself: the only way to it, so that every use can be found.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyString(redacted)")
    }
}

/// A well-formed key, borrowed from the text it was read from. `Debug` prints nothing of it.
#[derive(Clone, Copy)]
pub struct ParsedKey<'a> {
    text: &'a [u8],
    shard: Shard,
    tag: Tag,
}

impl<'a> ParsedKey<'a> {
    /// Reads a key: length, separator, prefix, alphabet, checksum.
    ///
    /// ```
    /// use keyward_shared::key::ParsedKey;
    /// let key = ParsedKey::parse(b"kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5").unwrap();
    /// assert_eq!(key.prefix(), "kw_live");
    /// assert_eq!(key.shard().as_str(), "MDeu");
    /// ```
    pub fn parse(text: &'a [u8]) -> Result<Self, KeyError> {
        if text.len() < 2 + BODY_LEN || text.len() > MAX_KEY_LEN {
            return Err(KeyError::Length);
        }
        let (head, body) = text.split_at(text.len() - BODY_LEN);
        let (&separator, prefix) = head.split_last().ok_or(KeyError::Length)?;
        if separator != b'_' {
            return Err(KeyError::Separator);
        }
        check_prefix(prefix)?;
        if !body.iter().copied().all(base62::is_digit) {
            return Err(KeyError::Character);
        }
        let (covered, sum) = text.split_at(text.len() - SUM_LEN);
        if checksum(covered) != sum {
            return Err(KeyError::Checksum);
        }
        let mut shard = [0; 4];
        shard.copy_from_slice(&body[..4]);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&covered[covered.len() - TAG_LEN..]);
        Ok(Self {
            text,
            shard: Shard::from_bytes(shard).map_err(|_| KeyError::Character)?,
            tag: Tag::from_bytes(tag).map_err(|_| KeyError::Character)?,
        })
    }

    /// What stands before the last `_`.
    pub fn prefix(&self) -> &'a str {
        core::str::from_utf8(&self.text[..self.text.len() - BODY_LEN - 1]).unwrap_or_default() // checked ASCII
    }

    /// The shard of the key's company.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// The issuer's mark, not yet verified.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// SHA-256 of everything before the tag.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.text[..self.text.len() - SUM_LEN - TAG_LEN])
    }

    /// The secret part.
    pub fn secret(&self) -> Secret {
        let mut secret = [0; SECRET_LEN];
        let end = self.text.len() - SUM_LEN - TAG_LEN;
        secret.copy_from_slice(&self.text[end - SECRET_LEN..end]);
        Secret(secret)
    }

    /// Whether the key's shard is that of `company`.
    pub fn belongs_to(&self, company: &CompanyId) -> bool {
        Shard::of(company) == self.shard
    }
}

impl fmt::Debug for ParsedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParsedKey({}_{}, redacted)", self.prefix(), self.shard)
    }
}

/// The last characters of a key, tag and checksum. `Debug` prints nothing of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ending([u8; TAG_LEN + SUM_LEN]);

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ending(redacted)")
    }
}

/// The digest that `text` has if it is a key, and its ending; `None` where it has not the length of a key or no `_` where one belongs.
/// Nothing else is checked. But two texts with the same digest and the same ending are the same text, so of one that was
/// parsed before, and whose tag was checked, this is all that there is to find out.
pub fn digest_and_ending(text: &[u8]) -> Option<(Digest, Ending)> {
    if text.len() < 2 + BODY_LEN || text.len() > MAX_KEY_LEN || text[text.len() - BODY_LEN - 1] != b'_' {
        return None;
    }
    let (covered, ending) = text.split_last_chunk()?;
    Some((Digest::of(covered), Ending(*ending)))
}

/// CRC-32 (ISO-HDLC, the one of zlib) of `covered` as six base62 characters.
fn checksum(covered: &[u8]) -> [u8; SUM_LEN] {
    /// Without a table: only a key that was not seen before is checked, and a kilobyte less of the edge's WebAssembly is worth more.
    static CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
    base62::encode(u64::from(CRC.checksum(covered)))
}

/// The prefixes of a deployment: the first mints, all are read.
#[derive(Clone, Debug)]
pub struct Prefixes(Vec<Prefix>);

impl Prefixes {
    /// Reads a comma-separated list with at least one prefix.
    pub fn parse(list: &str) -> Result<Self, KeyError> {
        list.split(',').map(|entry| Prefix::new(entry.trim())).collect::<Result<_, _>>().map(Self)
    }

    /// The prefix of new keys.
    pub fn minting(&self) -> &Prefix {
        &self.0[0] // parse() never makes an empty list: splitting gives at least one entry
    }

    /// Whether keys with this prefix are this deployment's.
    pub fn contains(&self, prefix: &str) -> bool {
        self.contains_bytes(prefix.as_bytes())
    }

    /// The same of bytes that need not be text.
    pub fn contains_bytes(&self, prefix: &[u8]) -> bool {
        self.0.iter().any(|known| known.as_str().as_bytes() == prefix)
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
