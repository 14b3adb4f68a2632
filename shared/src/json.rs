//! Reads JSON (RFC 8259) into types that say how ([`FromJson`]): strings, whole numbers from zero, booleans, lists and objects, which is all that
//! travels between Keyward's parts. Fractions, exponents and signs have no field to go to and are refused; where a value is skipped or kept as
//! text ([`Reader::skip`]) they may stand.
//!
//! The edge uses it because a general reader carries the whole of floating-point parsing and printing, and derived code for each type carries a copy of
//! the reader: together that would be most of its WebAssembly. [`Object`], [`list`] and [`string`] write what the edge says itself.

mod from_json;
mod reader;
mod write;

use core::fmt;

pub use from_json::FromJson;
pub use reader::{Fault, Reader};
pub use write::{Object, list, string};

/// Why a text could not be read. Quotes names of fields, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub problem: Problem,
    /// After how many bytes.
    pub at: usize,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is not JSON, or not of the kind that this reads.
    Syntax,
    /// A value is not of the expected kind or form.
    Value,
    /// An object has a field that it must not have.
    UnknownField(String),
    /// An object lacks a field.
    MissingField(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Syntax => f.write_str("no readable JSON")?,
            Problem::Value => f.write_str("an unexpected value")?,
            Problem::UnknownField(name) => write!(f, "unknown field {name}")?,
            Problem::MissingField(name) => write!(f, "{name} is missing")?,
        }
        write!(f, ", at byte {}", self.at)
    }
}

impl core::error::Error for Error {}

/// Reads the whole of `text`.
pub fn from_str<T: FromJson>(text: &str) -> Result<T, Error> {
    let mut reader = Reader::new(text);
    let read = T::from_json(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|fault| reader.error(fault))
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
