//! Keyward's own JSON reader and writer, against `serde_json`.
//!
//! Whatever Keyward's reader reads, `serde_json` reads as the same value by what is derived for the same type. The other way round there are four intended
//! differences, all of them refusals, and no fifth: Keyward's reader refuses (1) what stands deeper than 64, (2) half a
//! surrogate pair in a string that is passed over (`serde_json` does not look into those), (3) a struct written as a list,
//! (4) a variant without content written as an object. Fractions, exponents and signs are refused by both where a whole
//! number belongs.

use core::fmt;
use std::collections::BTreeMap;

use keyward_shared::{
    json::{self, Fault, FromJson, Object, Reader, list, string},
    json_object,
};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    input,
    loose::{Document, Loose},
};

/// How deep Keyward's reader goes.
const MAX_DEPTH: usize = 64;

/// One field of every kind that the reader has.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Tree {
    text: Option<String>,
    number: u64,
    half: u16,
    word: Option<u32>,
    small: u8,
    flag: bool,
    kind: Option<Kind>,
    pair: Option<(String, u64)>,
    list: Vec<Tree>,
    named: BTreeMap<String, Tree>,
    raw: Option<Raw>,
    strict: Option<Box<Strict>>,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Kind {
    Plain,
    With(String),
    Deep(Box<Tree>),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    needed: u64,
    #[serde(default)]
    more: Option<Box<Strict>>,
}

/// A value kept as its text, by either reader.
#[derive(Debug, PartialEq)]
struct Raw(String);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(raw.get().into()))
    }
}

json_object!(Tree { ; or default text, number, half, word, small, flag, kind, pair, list, named, raw, strict } passing over others);
json_object!(Strict { needed; or default more } strict);

impl FromJson for Kind {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.peek() == Some(b'"') {
            return reader.text(|text| (text == "Plain").then_some(Self::Plain));
        }
        let (mut with, mut deep) = (None, None);
        reader.object(&mut |reader, name| match name {
            "With" => reader.member(&mut with),
            "Deep" => reader.member(&mut deep),
            _ => Err(Fault::Value),
        })?;
        match (with, deep) {
            (Some(text), None) => Ok(Self::With(text)),
            (None, Some(tree)) => Ok(Self::Deep(tree)),
            _ => Err(Fault::Value),
        }
    }
}

impl FromJson for Raw {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        reader.skip().map(|text| Self(text.into()))
    }
}

/// The input is read as several types by both readers; the input as text is written by both writers.
pub fn json(data: &[u8]) {
    let Some(text) = input::text(data) else { return };
    if nesting(text) > 2 * MAX_DEPTH {
        assert!(json::from_str::<()>(text).is_err() && json::from_str::<Tree>(text).is_err());
        return; // too deep for the grammar's own reader
    }
    let document = Document::read(text);
    passed_over(text, document.as_ref());

    differ_only_where_intended::<Tree>(text, document.as_ref(), intended_in_tree);
    differ_only_where_intended::<Vec<Tree>>(text, document.as_ref(), |value| each(value, intended_in_tree));
    differ_only_where_intended::<Strict>(text, document.as_ref(), intended_in_strict);
    differ_only_where_intended::<Raw>(text, document.as_ref(), |_| false);
    differ_only_where_intended::<String>(text, document.as_ref(), |_| false);
    differ_only_where_intended::<(u64, Option<bool>)>(text, document.as_ref(), |_| false);
    differ_only_where_intended::<BTreeMap<String, u64>>(text, document.as_ref(), |_| false);

    assert_eq!(string(text), serde_json::to_string(text).unwrap());
    assert_eq!(json::from_str::<String>(&string(text)).as_deref(), Ok(text));
    written(text);
}

/// How deep brackets outside of strings stand in each other.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            b'"' if !escaped => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = quoted && byte == b'\\' && !escaped;
        deepest = deepest.max(depth);
    }
    deepest
}

/// Any value at all: the grammar decides, with the two limits that hold for what is passed over.
fn passed_over(text: &str, document: Option<&Document>) {
    let ours = json::from_str::<()>(text).is_ok();
    assert_eq!(ours, document.is_some_and(|document| document.depth <= MAX_DEPTH && !document.half_pair), "{text:?}");
    if document.is_some() {
        assert!(serde_json::from_str::<IgnoredAny>(text).is_ok());
    }
}

fn differ_only_where_intended<T>(text: &str, document: Option<&Document>, intended: impl Fn(&Loose) -> bool)
where
    T: FromJson + serde::de::DeserializeOwned + PartialEq + fmt::Debug,
{
    match (json::from_str::<T>(text), serde_json::from_str::<T>(text)) {
        (Ok(ours), theirs) => assert_eq!(Some(ours), theirs.ok(), "{text:?}"),
        (Err(_), Err(_)) => {}
        (Err(error), Ok(theirs)) => {
            let document = document.expect("what serde_json reads is JSON");
            let known = document.depth > MAX_DEPTH || document.half_pair || intended(&document.value);
            assert!(known, "{text:?} is refused ({error}) and read by serde_json as {theirs:?}");
        }
    }
}

fn each(value: &Loose, intended: fn(&Loose) -> bool) -> bool {
    match value {
        Loose::List(values) => values.iter().any(intended),
        _ => false,
    }
}

/// Whether a tree, or one in it, is written in a way that only `serde_json` takes.
fn intended_in_tree(value: &Loose) -> bool {
    match value {
        Loose::List(_) => true,
        Loose::Object(members) => members.iter().any(|(name, value)| match (name.as_str(), value) {
            ("list", list) => each(list, intended_in_tree),
            ("named", Loose::Object(members)) => members.iter().any(|(_, value)| intended_in_tree(value)),
            ("strict", value) => intended_in_strict(value),
            ("kind", Loose::Object(members)) => members.iter().any(|(name, value)| match name.as_str() {
                "Plain" => true,
                "Deep" => intended_in_tree(value),
                _ => false,
            }),
            _ => false,
        }),
        _ => false,
    }
}

fn intended_in_strict(value: &Loose) -> bool {
    match value {
        Loose::List(_) => true,
        Loose::Object(members) => members.iter().any(|(name, value)| name == "more" && intended_in_strict(value)),
        _ => false,
    }
}

/// An object made of the lines of `text` is written as `serde_json` writes it.
fn written(text: &str) {
    #[derive(Serialize)]
    struct Written<'t> {
        lines: Vec<&'t str>,
        count: u64,
        last: &'t str,
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let (count, last) = (lines.len() as u64, *lines.last().unwrap());
    let ours = Object::default().raw("lines", &list(lines.iter().map(|line| string(line)))).number("count", count).text("last", last).end();
    assert_eq!(ours, serde_json::to_string(&Written { lines, count, last }).unwrap());
}
