//! The key format in a real browser: the vectors, and the platform's CSPRNG.
#![cfg(all(target_arch = "wasm32", feature = "mint"))]

use std::collections::HashSet;

use keyward_shared::{
    ids::CompanyId,
    key::{ParsedKey, Prefix},
    mint,
    shard::Shard,
    tag::TagSecrets,
};
use serde_json::Value;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn the_vectors_hold_in_the_browser_too() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/key-format.json")).unwrap();
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let (good, bad) = (vectors["good"].as_array().unwrap(), vectors["bad"].as_array().unwrap());
    assert_eq!((good.len(), bad.len()), (40, 26));
    for vector in good {
        let key = text(vector, "key");
        let parsed = ParsedKey::parse(key.as_bytes()).unwrap();
        assert_eq!(parsed.digest().to_hex(), text(vector, "digest_hex"));
        let tags = TagSecrets::parse(&text(vector, "tag_secret_hex")).unwrap();
        assert!(tags.made(parsed.tag(), parsed.shard(), &parsed.digest()));
    }
    for vector in bad {
        assert!(ParsedKey::parse(text(vector, "key").as_bytes()).is_err(), "{}", text(vector, "why"));
    }
}

#[wasm_bindgen_test]
fn keys_minted_with_the_browsers_randomness_parse_and_differ() {
    let (prefix, shard) = (Prefix::new("kw_live").unwrap(), Shard::of(&CompanyId::new("demo").unwrap()));
    let tags = TagSecrets::parse(&"ab".repeat(32)).unwrap();
    let mut seen = HashSet::new();
    for _ in 0..200 {
        let (key, digest) = mint::key(&prefix, shard, &tags).unwrap();
        assert_eq!(ParsedKey::parse(key.reveal().as_bytes()).unwrap().digest(), digest);
        assert!(seen.insert(digest));
    }
}
