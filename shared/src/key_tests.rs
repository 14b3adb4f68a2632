//! The key format against vectors made by an independent implementation, and its properties.

use super::*;
use crate::tag::TagSecrets;

#[derive(serde::Deserialize)]
struct Vectors {
    good: Vec<Good>,
    bad: Vec<Bad>,
}

#[derive(serde::Deserialize)]
struct Good {
    tag_secret_hex: String,
    company: String,
    prefix: String,
    key: String,
    shard: String,
    secret: String,
    tag: String,
    checksum: String,
    digest_hex: String,
}

#[derive(serde::Deserialize)]
struct Bad {
    key: String,
    why: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/key-format.json")).unwrap()
}

#[test]
fn good_keys_parse_into_the_parts_they_were_made_of() {
    let vectors = vectors();
    assert_eq!(vectors.good.len(), 40);
    for good in vectors.good {
        let key = ParsedKey::parse(good.key.as_bytes()).unwrap_or_else(|e| panic!("{}: {e}", good.key));
        let company = CompanyId::new(&good.company).unwrap();
        let tags = TagSecrets::parse(&good.tag_secret_hex).unwrap();
        assert_eq!(key.prefix(), good.prefix);
        assert_eq!(key.shard().as_str(), good.shard);
        assert!(key.belongs_to(&company));
        assert_eq!(key.secret().as_str(), good.secret);
        assert_eq!(key.tag().as_str(), good.tag);
        assert!(good.key.ends_with(&good.checksum));
        assert_eq!(key.digest().to_hex(), good.digest_hex);
        assert!(tags.made(key.tag(), key.shard(), &key.digest()));
        assert!(!TagSecrets::parse(&"00".repeat(32)).unwrap().made(key.tag(), key.shard(), &key.digest()));

        let prefix = Prefix::new(&good.prefix).unwrap();
        let secret = Secret::from_bytes(good.secret.as_bytes().try_into().unwrap()).unwrap();
        let digest = secret.digest(&prefix, Shard::of(&company));
        let again = KeyString::assemble(&prefix, Shard::of(&company), &secret, tags.tag(Shard::of(&company), &digest));
        assert_eq!(again.reveal(), good.key);
    }
}

#[test]
fn bad_keys_are_refused() {
    let vectors = vectors();
    assert_eq!(vectors.bad.len(), 26);
    for bad in vectors.bad {
        assert!(ParsedKey::parse(bad.key.as_bytes()).is_err(), "{}", bad.why);
    }
}

#[test]
fn a_text_that_is_no_key_says_why() {
    let good = "kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5";
    for (text, why) in [
        ("", KeyError::Length),
        (&good[7..], KeyError::Length),
        (&good.replace("kw_live", "abcdefghijklmnopq"), KeyError::Length),
        (&good.replace("live_", "live-"), KeyError::Separator),
        (&good.replace("kw_live", "KW"), KeyError::Prefix),
        (&good.replace("MDeu", "MD-u"), KeyError::Character),
        (&good.replace("MDeu", "MDeU"), KeyError::Checksum),
    ] {
        assert_eq!(ParsedKey::parse(text.as_bytes()).err(), Some(why), "{text}");
    }
}

#[test]
fn the_length_is_checked_before_anything_else() {
    // Whatever else is wrong with it, a text of another length costs no look at its characters and no hash.
    for text in ["é".repeat(50_000), "_".repeat(100_000), format!("kw_live_{}", "0".repeat(100_000)), "\0".repeat(63)] {
        assert_eq!(ParsedKey::parse(text.as_bytes()).err(), Some(KeyError::Length));
    }
}

#[test]
fn the_shortest_and_the_longest_prefix_make_keys_too() {
    let shard = Shard::of(&CompanyId::new("demo").unwrap());
    for text in ["a", "abcdefghijklmnop"] {
        let (prefix, secret) = (Prefix::new(text).unwrap(), Secret::from_bytes([b'7'; SECRET_LEN]).unwrap());
        let key = KeyString::assemble(&prefix, shard, &secret, Tag::from_bytes([b'0'; TAG_LEN]).unwrap());
        assert_eq!(ParsedKey::parse(key.reveal().as_bytes()).map(|key| key.prefix().len()), Ok(text.len()));
    }
}

#[test]
fn parts_with_other_characters_are_refused() {
    assert_eq!(Secret::from_bytes([b'-'; SECRET_LEN]).err(), Some(KeyError::Character));
    assert!(Tag::from_bytes([b'-'; TAG_LEN]).is_err() && Shard::from_bytes([b'-'; 4]).is_err());
}

#[test]
fn a_key_belongs_to_the_companies_of_its_shard_only() {
    let key = ParsedKey::parse(b"kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5").unwrap();
    assert!(key.belongs_to(&CompanyId::new("demo").unwrap()) && !key.belongs_to(&CompanyId::new("other").unwrap()));
}

#[test]
fn a_key_and_its_parts_print_nothing_secret() {
    let text = "kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5";
    let key = ParsedKey::parse(text.as_bytes()).unwrap();
    let shown = format!("{key:?} {:?} {:?} {:?}", key.secret(), key.tag(), KeyString(text.into()));
    assert!(!shown.contains("q7Rm") && !shown.contains("HJcG"), "{shown}");
    assert_eq!(key.secret().hint(&Prefix::new("kw_live").unwrap()), "kw_live_…fA1e");
}

#[test]
#[cfg_attr(miri, ignore = "takes many minutes in the interpreter")]
fn characters_are_drawn_without_favour() {
    let mut next = 0_u8;
    let mut counts = [0_u32; 62];
    for _ in 0..62 * 50 {
        let secret = Secret::draw(|bytes| {
            bytes.fill_with(|| {
                next = next.wrapping_add(1);
                next
            });
            Ok::<_, ()>(())
        });
        for &digit in &secret.unwrap().0 {
            counts[base62::ALPHABET.iter().position(|&d| d == digit).unwrap()] += 1;
        }
    }
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*most < *least * 11 / 10, "{counts:?}");
}

#[test]
fn bytes_that_would_favour_a_character_are_thrown_away_and_more_are_drawn() {
    let mut draws = 0;
    let secret = Secret::draw(|bytes| {
        draws += 1;
        bytes.fill(248);
        bytes[..10].fill(draws);
        Ok::<_, ()>(())
    });
    assert_eq!(secret.unwrap().as_str(), "1111111111222222222233333333");
}

#[test]
fn a_failing_source_of_randomness_makes_no_secret() {
    assert!(Secret::draw(|_| Err("no randomness")).is_err());
}

#[test]
fn a_list_of_prefixes_has_one_that_mints_and_none_malformed() {
    let prefixes = Prefixes::parse("kw_live, kw_test").unwrap();
    assert_eq!(prefixes.minting().as_str(), "kw_live");
    assert!(prefixes.contains("kw_test") && !prefixes.contains("kw"));
    for bad in ["", "kw,", "KW", "kw-live", "abcdefghijklmnopq"] {
        assert!(Prefixes::parse(bad).is_err(), "{bad}");
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    /// A key drawn from `seed`, with a prefix of its own.
    fn minted(seed: u64, prefix: &str, company: &str) -> (String, Digest) {
        let mut state = seed;
        let secret = Secret::draw(|bytes| {
            bytes.fill_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            });
            Ok::<_, ()>(())
        });
        let (secret, prefix) = (secret.unwrap(), Prefix::new(prefix).unwrap());
        let shard = Shard::of(&CompanyId::new(company).unwrap());
        let digest = secret.digest(&prefix, shard);
        let tag = TagSecrets::parse(&"ab".repeat(32)).unwrap().tag(shard, &digest);
        (KeyString::assemble(&prefix, shard, &secret, tag).reveal().to_owned(), digest)
    }

    proptest! {
        #[test]
        fn any_minted_key_parses(seed: u64, prefix in "[a-z0-9]{1,7}(_[a-z0-9]{1,7})?", company in "[!$&'()*+.0-9:<=>@A-Z_`a-z{|}~-]{1,128}") {
            let (text, digest) = minted(seed, &prefix, &company);
            let key = ParsedKey::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(key.prefix(), prefix);
            prop_assert_eq!(key.digest(), digest);
        }

        #[test]
        fn any_one_character_change_is_refused(seed: u64, at in 0_usize..53, with in any::<char>()) {
            let (text, _) = minted(seed, "kw_live", "demo");
            let changed: String = text.chars().enumerate().map(|(i, c)| if i == at { with } else { c }).collect();
            prop_assume!(changed != text);
            prop_assert!(ParsedKey::parse(changed.as_bytes()).is_err());
        }

        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = ParsedKey::parse(&bytes);
        }

        #[test]
        fn parsing_text_like_a_key_never_panics(text in "[a-z_]{0,18}_[0-9A-Za-zé_]{40,50}") {
            let _ = ParsedKey::parse(text.as_bytes());
        }
    }
}
