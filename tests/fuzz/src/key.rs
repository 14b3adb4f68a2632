//! The key format, against a slow parser of its own.

use keyward_shared::{
    digest::Digest,
    key::{KeyError, KeyString, ParsedKey, Prefix, Secret},
    shard::Shard,
    tag::{Tag, TagSecrets},
};

const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The parts of a key as the naive parser finds them.
#[derive(Debug, PartialEq)]
struct Parts<'t> {
    prefix: &'t str,
    shard: &'t str,
    secret: &'t str,
    tag: &'t str,
}

/// What is a key here is one there, with the same parts; it is what its parts assemble to; no other text is it with one
/// character changed. The same of the input with the checksum put right, and of a key made from the input.
pub fn key(data: &[u8]) {
    agree(data);
    if let Some(covered) = data.len().checked_sub(6).and_then(|end| data.get(..end)) {
        agree(&[covered, sum(covered).as_bytes()].concat());
    }
    minted(data);
}

fn agree(text: &[u8]) {
    let slow = slowly(text);
    let parsed = match ParsedKey::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert_eq!(slow, None, "refused: {error}");
            assert!(error != KeyError::Checksum || slowly(&corrected(text)).is_some(), "only the checksum was wrong");
            return;
        }
    };
    let parts = slow.expect("a text that the slow parser refuses was taken for a key");
    assert_eq!(parsed.prefix(), parts.prefix);
    assert_eq!(parsed.shard().as_str(), parts.shard);
    assert_eq!(parsed.tag().as_str(), parts.tag);
    let covered = format!("{}_{}{}", parts.prefix, parts.shard, parts.secret);
    assert_eq!(parsed.digest(), Digest::of(covered.as_bytes()));

    let prefix = Prefix::new(parts.prefix).unwrap();
    let secret = Secret::from_bytes(parts.secret.as_bytes().try_into().unwrap()).unwrap();
    assert_eq!(secret.digest(&prefix, parsed.shard()), parsed.digest());
    for secret in [&secret, &parsed.secret()] {
        assert_eq!(KeyString::assemble(&prefix, parsed.shard(), secret, parsed.tag()).reveal().as_bytes(), text);
    }
    let tags = TagSecrets::parse(&"ab".repeat(32)).unwrap();
    let right = tags.tag(parsed.shard(), &parsed.digest());
    assert_eq!(tags.made(parsed.tag(), parsed.shard(), &parsed.digest()), parsed.tag() == right);
    assert!(!format!("{parsed:?} {secret:?}").contains(parts.secret));

    for at in 0..text.len() {
        let mut changed = text.to_vec();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        assert!(ParsedKey::parse(&changed).is_err(), "one character changed");
        assert!(ParsedKey::parse(&text[at + 1..]).is_err() && ParsedKey::parse(&text[..at]).is_err(), "cut off");
    }
}

fn minted(data: &[u8]) {
    let mut bytes = data.iter().copied().cycle();
    let Some(first) = data.first() else { return };
    let length = usize::from(first % 16) + 1;
    let prefix: String =
        bytes.by_ref().take(length).map(|b| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[usize::from(b % 36)])).collect();
    let mut digits = || bytes.next().map_or(b'0', |b| ALPHABET.as_bytes()[usize::from(b % 62)]);
    let shard = Shard::from_bytes(core::array::from_fn(|_| digits())).unwrap();
    let secret = Secret::from_bytes(core::array::from_fn(|_| digits())).unwrap();
    let tag = Tag::from_bytes(core::array::from_fn(|_| digits())).unwrap();
    let prefix = Prefix::new(&prefix).unwrap();
    let text = KeyString::assemble(&prefix, shard, &secret, tag);
    let parsed = ParsedKey::parse(text.reveal().as_bytes()).expect("what is assembled is a key");
    assert_eq!((parsed.prefix(), parsed.shard(), parsed.tag()), (prefix.as_str(), shard, tag));
    agree(text.reveal().as_bytes());
}

fn slowly(text: &[u8]) -> Option<Parts<'_>> {
    let text = core::str::from_utf8(text).ok()?;
    let (prefix, body) = text.rsplit_once('_')?;
    let words = prefix.split('_').all(|word| !word.is_empty() && word.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9')));
    let right = words
        && (1..=16).contains(&prefix.len())
        && body.len() == 45
        && body.chars().all(|c| ALPHABET.contains(c))
        && text.ends_with(&sum(&text.as_bytes()[..text.len() - 6]));
    right.then(|| Parts { prefix, shard: &body[..4], secret: &body[4..32], tag: &body[32..39] })
}

fn corrected(text: &[u8]) -> Vec<u8> {
    let covered = &text[..text.len() - 6];
    [covered, sum(covered).as_bytes()].concat()
}

/// CRC-32 bit by bit (reflected polynomial 0xEDB88320), as six base62 digits.
fn sum(covered: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in covered {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut rest = !crc;
    let mut digits = Vec::new();
    for _ in 0..6 {
        digits.push(ALPHABET.chars().nth(usize::try_from(rest % 62).unwrap()).unwrap());
        rest /= 62;
    }
    digits.into_iter().rev().collect()
}
