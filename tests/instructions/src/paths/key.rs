//! What is done with the text of a key before anything is looked up.

use std::hint::black_box;

use anyhow::Result;
use keyward_edge::credentials::{self, Sent, Source};
use keyward_shared::key::{KeyError, ParsedKey};

use super::counted;
use crate::fixtures;

pub(super) fn find_in_x_api_key() -> Result<bool> {
    let text = fixtures::key(1)?.text;
    let mut find = || credentials::extract(black_box(Some(&text)), None) == Sent::One(&text, Source::ApiKey);
    Ok(counted(&mut find))
}

pub(super) fn find_in_authorization() -> Result<bool> {
    let text = fixtures::key(1)?.text;
    let header = format!("Bearer {text}");
    let mut find = || credentials::extract(None, black_box(Some(&header))) == Sent::One(&text, Source::Bearer);
    Ok(counted(&mut find))
}

pub(super) fn parse() -> Result<bool> {
    let text = fixtures::key(1)?.text;
    Ok(counted(&mut || ParsedKey::parse(black_box(text.as_bytes())).is_ok()))
}

pub(super) fn refuse_mistyped() -> Result<bool> {
    let text = fixtures::mistyped()?;
    Ok(counted(&mut || ParsedKey::parse(black_box(text.as_bytes())).err() == Some(KeyError::Checksum)))
}

pub(super) fn digest() -> Result<bool> {
    let key = fixtures::key(1)?;
    let parsed = ParsedKey::parse(key.text.as_bytes())?;
    Ok(counted(&mut || black_box(&parsed).digest() == key.digest))
}

pub(super) fn check_tag() -> Result<bool> {
    let key = fixtures::key(1)?;
    let (parsed, tags) = (ParsedKey::parse(key.text.as_bytes())?, fixtures::tags()?);
    Ok(counted(&mut || tags.made(black_box(parsed.tag()), parsed.shard(), &key.digest)))
}
