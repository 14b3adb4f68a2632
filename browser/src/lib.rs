//! Keyward's key format for browsers: tell a mistyped key before it is sent, and draw a new one here so that
//! the server never sees it ("blind creation").
//!
//! A blind key is made in two steps: [`BlindKey::draw`] gives the digest that is sent to
//! `POST /v1/keys`; the answer's tag goes to [`BlindKey::assemble`], which gives the whole key, once.

use keyward_shared::{
    key::{KeyString, ParsedKey, Prefix, Secret},
    mint,
    shard::Shard,
    tag::Tag,
};
use wasm_bindgen::prelude::*;

/// What is wrong with `text` as a key, or nothing where it is well-formed: shape, alphabet, length and
/// checksum. Whether the key lives only the server knows.
#[wasm_bindgen(js_name = problemWithKey)]
pub fn problem_with_key(text: &str) -> Option<String> {
    ParsedKey::parse(text.trim().as_bytes()).err().map(|error| error.to_string())
}

/// How lists name a well-formed key: `kw_live_…fA1e`.
#[wasm_bindgen(js_name = hintOfKey)]
pub fn hint_of_key(text: &str) -> Option<String> {
    let key = ParsedKey::parse(text.as_bytes()).ok()?;
    Some(key.secret().hint(&Prefix::new(key.prefix()).ok()?))
}

/// A key whose secret was drawn here and which still lacks the server's tag.
#[wasm_bindgen]
pub struct BlindKey {
    prefix: Prefix,
    shard: Shard,
    secret: Secret,
}

#[wasm_bindgen]
impl BlindKey {
    /// Draws a secret from the browser's CSPRNG. `prefix` and `shard` are those of `GET /v1/format`.
    pub fn draw(prefix: &str, shard: &str) -> Result<BlindKey, JsError> {
        Ok(Self { prefix: Prefix::new(prefix)?, shard: shard.parse()?, secret: mint::secret()? })
    }

    /// The digest to send: 64 hexadecimal characters, from which nobody gets back to the key.
    pub fn digest(&self) -> String {
        self.secret.digest(&self.prefix, self.shard).to_hex()
    }

    /// The whole key, with the tag that the server answered. Uses the drawn secret up.
    pub fn assemble(self, tag: &str) -> Result<String, JsError> {
        let tag = tag.as_bytes().try_into().map_err(|_| JsError::new("a tag is seven letters or digits"))?;
        let tag = Tag::from_bytes(tag).map_err(|_| JsError::new("a tag is seven letters or digits"))?;
        Ok(KeyString::assemble(&self.prefix, self.shard, &self.secret, tag).reveal().to_owned())
    }
}
