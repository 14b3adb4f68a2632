//! The credentials that cases speak of by name: those that a deployment made, and what somebody makes of one of them.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_shared::{
    base62,
    ids::CompanyId,
    key::{BODY_LEN, KeyString, ParsedKey, Prefix, SUM_LEN, Secret},
    mint,
    shard::Shard,
    tag::TagSecrets,
};

/// The secret by which the proxy of the deployments introduces itself.
pub const PROXY_SECRET: &str = "a secret that only the proxy of this table knows";

/// The policy of the deployments.
pub const POLICY: &str = r#"{"default":"forward","rules":[
    {"methods":["GET"],"path":"/orders/**","permission":"orders.read"},
    {"path":"/orders/**","permission":"orders.write"},
    {"path":"/admin/**","permission":"admin"},
    {"path":"/public/**","anonymous":true},
    {"path":"/app/**","bearer":"origin"}]}"#;

/// The keys that a deployment has to make, with what is true of each. jane and john may `orders.read` and nothing else.
pub const MADE: [(&str, &str); 11] = [
    ("key", "jane's"),
    ("other", "john's"),
    ("elsewhere", "jane's, only from 203.0.113.0/24 and 2001:db8::/32"),
    ("revoked", "jane's, revoked"),
    ("expired", "jane's, expired"),
    ("overlapping", "jane's, which has a successor and still lives"),
    ("overlapped", "jane's, whose time after its rotation is over"),
    ("owner-inactive", "of an owner who is not active"),
    ("company-inactive", "of a company that is not active"),
    ("withdrawn", "of an owner from whom orders.read was taken away"),
    ("introspector", "of a program with keyward.introspect"),
];

/// Placeholders and what stands for them.
#[derive(Clone, Debug)]
pub struct Words(BTreeMap<&'static str, String>);

impl Words {
    /// All words, from the keys that a deployment made ([`MADE`], and whatever else it knows) and its tag secrets, newest first.
    pub fn new(made: impl IntoIterator<Item = (&'static str, String)>, tag_secrets: &str) -> Self {
        let mut words: BTreeMap<_, _> = made.into_iter().collect();
        for (name, what) in MADE {
            assert!(words.contains_key(name), "no key that is {what}");
        }
        let key = words["key"].clone();
        let other = words["other"].clone();
        let oldest = tag_secrets.rsplit(',').next().unwrap_or_default();
        words.extend([
            ("proxy-secret", PROXY_SECRET.to_owned()),
            ("basic", STANDARD.encode(format!("{key}:"))),
            ("halves", format!("{} {}", &key[..20], &key[20..])),
            ("percent-encoded", key.replace('_', "%5F")),
            ("case-flipped", flipped(&key)),
            ("upper", key.to_ascii_uppercase()),
            ("short", key[..key.len() - 1].to_owned()),
            ("long", format!("{key}0")),
            ("wrong-sum", with_last(&key, |last| if last == '0' { '1' } else { '0' })),
            ("one-letter-off", one_letter_off(&key)),
            ("homoglyph", key.replacen('k', "\u{43a}", 1)),
            ("full-width", key.chars().map(full_width).collect()),
            ("hundred-kilobytes", "k".repeat(100_000)),
            ("sixty-kilobytes", key.repeat(1_200)),
            ("foreign", drawn("other_live", "demo", tag_secrets)),
            ("another-companys-body", spliced(&key, &other)),
            ("made-up", drawn("kw_live", "demo", &"5a".repeat(32))),
            ("unknown", drawn("kw_live", "demo", tag_secrets)),
            ("unknown-of-the-older-secret", drawn("kw_live", "demo", oldest)),
            ("sixteen-kilobytes", "x".repeat(16 * 1024)),
            ("thousand-parameters", (0..1_000).map(|n| format!("p{n}={n}")).collect::<Vec<_>>().join("&")),
        ]);
        Self(words)
    }

    /// What stands for a placeholder.
    #[track_caller]
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("{{{name}}} stands for nothing"))
    }

    /// Bytes with the placeholders filled in.
    pub fn fill(&self, template: &[u8]) -> Vec<u8> {
        let mut filled = template.to_vec();
        for (name, word) in &self.0 {
            filled = replaced(&filled, format!("{{{name}}}").as_bytes(), word.as_bytes());
        }
        filled
    }

    /// Text with the placeholders filled in.
    pub fn fill_text(&self, template: &str) -> String {
        self.0.iter().fold(template.to_owned(), |text, (name, word)| text.replace(&format!("{{{name}}}"), word))
    }

    /// Whether a text gives away anything that was sent: 20 characters of a word that is a key or was made of one.
    pub fn gives_away(&self, text: &str) -> Option<&'static str> {
        let secret = |word: &&String| word.len() >= 20 && !word.starts_with("xxxx") && !word.starts_with("p0=");
        self.0.iter().filter(|(_, word)| secret(word)).find(|(_, word)| contains_part(text, word)).map(|(name, _)| *name)
    }
}

fn contains_part(text: &str, word: &str) -> bool {
    let part: String = word.chars().skip(8).take(20).collect();
    text.contains(&part)
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    result.extend_from_slice(rest);
    result
}

fn flipped(key: &str) -> String {
    let (head, last) = key.split_at(key.len() - 20);
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    format!("{head}{}", last.chars().map(swap).collect::<String>())
}

fn full_width(c: char) -> char {
    if c.is_ascii_digit() { char::from_u32(u32::from(c) - u32::from('0') + 0xff10).unwrap_or(c) } else { c }
}

fn with_last(key: &str, change: impl FnOnce(char) -> char) -> String {
    let mut text = key.to_owned();
    let last = text.pop().expect("a key has characters");
    text.push(change(last));
    text
}

/// The key with another character in the middle of its secret, as a mistake in copying makes it.
fn one_letter_off(key: &str) -> String {
    let at = key.len() - BODY_LEN + 10;
    let other = if key.as_bytes()[at] == b'a' { "b" } else { "a" };
    format!("{}{other}{}", &key[..at], &key[at + 1..])
}

/// The secret of one key with the tag of another and a right checksum.
fn spliced(key: &str, other: &str) -> String {
    let covered = format!("{}{}", &key[..key.len() - 13], &other[other.len() - 13..other.len() - SUM_LEN]);
    let sum = base62::encode::<SUM_LEN>(u64::from(crc32(covered.as_bytes())));
    let whole = format!("{covered}{}", String::from_utf8_lossy(&sum));
    assert!(ParsedKey::parse(whole.as_bytes()).is_ok(), "the checksum is right");
    whole
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// A well-formed key of the company, whose tag is made with the first of `tag_secrets`.
pub fn drawn(prefix: &str, company: &str, tag_secrets: &str) -> String {
    let prefix = Prefix::new(prefix).expect("a prefix");
    let shard = Shard::of(&CompanyId::new(company).expect("an id"));
    let secret: Secret = mint::secret().expect("random numbers");
    let tag = TagSecrets::parse(tag_secrets).expect("tag secrets").tag(shard, &secret.digest(&prefix, shard));
    KeyString::assemble(&prefix, shard, &secret, tag).reveal().to_owned()
}
