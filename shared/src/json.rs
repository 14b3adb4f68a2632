//! Reads JSON (RFC 8259) into types that derive `Deserialize`: strings, whole numbers from zero, booleans, lists and objects, which is all that
//! travels between Keyward's parts. Fractions, exponents and signs have no field to go to and are refused; where a value is skipped or kept as
//! text ([`RAW`]) they may stand.
//!
//! The edge uses it because a general reader carries the whole of floating-point parsing and printing, which would be half of its WebAssembly.
//! [`Object`], [`list`] and [`string`] write what the edge says itself.

mod write;

use core::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};

pub use write::{Object, list, string};

/// A newtype struct of this name is given the text of its value instead of the value.
pub const RAW: &str = "keyward::json::RAW";
/// How deep lists and objects may stand in each other.
const MAX_DEPTH: u8 = 64;

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

/// A problem inside the reader: a plain value, because it is part of every result.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Syntax,
    Value,
    /// The name is the string that was read last.
    UnknownField,
    MissingField(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(()) // never shown: `from_str` makes an `Error` of it
    }
}

impl core::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Value
    }
    fn invalid_type(_: Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::Value
    }
    fn invalid_value(_: Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::Value
    }
    fn invalid_length(_: usize, _: &dyn de::Expected) -> Self {
        Self::Value
    }
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::Value
    }
    fn duplicate_field(_: &'static str) -> Self {
        Self::Value
    }
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::UnknownField
    }
    fn missing_field(field: &'static str) -> Self {
        Self::MissingField(field)
    }
}

/// Reads the whole of `text`.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let mut reader = Reader { text, at: 0, depth: 0, last_string: 0 };
    let read = T::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|fault| reader.error(fault))
}

struct Reader<'t> {
    text: &'t str,
    /// The next byte; always between two characters.
    at: usize,
    depth: u8,
    /// Where the last string began.
    last_string: usize,
}

impl<'t> Reader<'t> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn error(&mut self, fault: Fault) -> Error {
        let at = self.at;
        let problem = match fault {
            Fault::Syntax => Problem::Syntax,
            Fault::Value => Problem::Value,
            Fault::MissingField(name) => Problem::MissingField(name),
            Fault::UnknownField => {
                self.at = self.last_string;
                match self.string() {
                    Ok(Ok(name)) => Problem::UnknownField(name.into()),
                    Ok(Err(name)) => Problem::UnknownField(name),
                    Err(_) => Problem::Value,
                }
            }
        };
        Error { problem, at }
    }

    fn end(&mut self) -> Result<(), Fault> {
        if self.peek().is_none() { Ok(()) } else { Err(Fault::Syntax) }
    }

    fn take(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.other());
        }
        self.at += 1;
        Ok(())
    }

    /// The error where something else was expected: another value, or none at all.
    fn other(&mut self) -> Fault {
        match self.peek() {
            Some(b'"' | b'[' | b'{' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => Fault::Value,
            _ => Fault::Syntax,
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some() && self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if found {
            self.at += word.len();
        }
        found
    }

    /// A whole number from zero.
    fn number(&mut self) -> Result<u64, Fault> {
        let Some(b'0'..=b'9') = self.peek() else { return Err(self.other()) };
        let number = self.digits();
        match self.text.as_bytes().get(self.at) {
            Some(b'.' | b'e' | b'E') => Err(Fault::Value),
            _ if number.len() > 1 && number.starts_with('0') => Err(Fault::Syntax),
            _ => number.parse().map_err(|_| Fault::Value),
        }
    }

    fn digits(&mut self) -> &'t str {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// A string; `Err` of the inner result: it had escapes and was written anew.
    fn string(&mut self) -> Result<Result<&'t str, String>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.other());
        }
        self.last_string = self.at;
        self.at += 1;
        let mut written = String::new();
        let mut start = self.at;
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    let part = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(if written.is_empty() { Ok(part) } else { Err(written + part) });
                }
                Some(b'\\') => {
                    written.push_str(self.text.get(start..self.at).unwrap_or_default());
                    written.push(self.escape()?);
                    start = self.at;
                }
                None | Some(..0x20) => return Err(Fault::Syntax),
                Some(_) => self.at += 1,
            }
        }
    }

    /// The character of the escape that begins here.
    fn escape(&mut self) -> Result<char, Fault> {
        let kind = self.text.as_bytes().get(self.at + 1).copied();
        let character = match kind {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let mut code = self.unit()?;
                if (0xd800..0xdc00).contains(&code) && self.text.as_bytes().get(self.at) == Some(&b'\\') {
                    let low = self.unit()?.wrapping_sub(0xdc00);
                    if low >= 0x400 {
                        return Err(Fault::Syntax);
                    }
                    code = 0x10000 + ((code - 0xd800) << 10) + low;
                }
                return char::from_u32(code).ok_or(Fault::Syntax);
            }
            _ => return Err(Fault::Syntax),
        };
        self.at += 2;
        Ok(character)
    }

    /// The four digits of the `\u` that begins here.
    fn unit(&mut self) -> Result<u32, Fault> {
        let digits = self.text.get(self.at..self.at + 6).and_then(|escape| escape.strip_prefix("\\u"));
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())).ok_or(Fault::Syntax)?;
        self.at += 6;
        u32::from_str_radix(digits, 16).map_err(|_| Fault::Syntax)
    }

    /// Any value, passed over; its text.
    fn skip(&mut self) -> Result<&'t str, Fault> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => drop(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.skip_number()?,
            Some(b'[') => {
                self.open(b'[')?;
                let mut first = true;
                while self.more(b']', &mut first)? {
                    self.skip()?;
                }
            }
            Some(b'{') => {
                self.open(b'{')?;
                let mut first = true;
                while self.more(b'}', &mut first)? {
                    drop(self.string()?);
                    self.take(b':')?;
                    self.skip()?;
                }
            }
            _ if ["null", "true", "false"].into_iter().any(|word| self.word(word)) => {}
            _ => return Err(Fault::Syntax),
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn skip_number(&mut self) -> Result<(), Fault> {
        let next = |reader: &mut Self, bytes: &[u8]| {
            let found = reader.text.as_bytes().get(reader.at).is_some_and(|byte| bytes.contains(byte));
            reader.at += usize::from(found);
            found
        };
        next(self, b"-");
        let whole = self.digits();
        let mut right = !whole.is_empty() && (whole.len() == 1 || !whole.starts_with('0'));
        if next(self, b".") {
            right &= !self.digits().is_empty();
        }
        if next(self, b"eE") {
            next(self, b"+-");
            right &= !self.digits().is_empty();
        }
        if right { Ok(()) } else { Err(Fault::Syntax) }
    }

    /// Enters a list or an object.
    fn open(&mut self, bracket: u8) -> Result<(), Fault> {
        self.take(bracket)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Fault::Syntax) } else { Ok(()) }
    }

    /// Whether another entry follows; if not, the closing bracket is taken.
    fn more(&mut self, bracket: u8, first: &mut bool) -> Result<bool, Fault> {
        let first = core::mem::replace(first, false);
        match self.peek() {
            Some(byte) if byte == bracket => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(Fault::Syntax),
        }
    }
}

/// The entries of a list or object.
struct Entries<'r, 't> {
    reader: &'r mut Reader<'t>,
    first: bool,
}

impl<'de> de::SeqAccess<'de> for Entries<'_, 'de> {
    type Error = Fault;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if self.reader.more(b']', &mut self.first)? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = Fault;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        if self.reader.more(b'}', &mut self.first)? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        self.reader.take(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

/// `{"variant": content}`.
struct Variant<'r, 't>(&'r mut Reader<'t>);

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Fault;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name = seed.deserialize(&mut *self.0)?;
        self.0.take(b':')?;
        Ok((name, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Fault;
    fn unit_variant(self) -> Result<(), Fault> {
        Err(Fault::Value)
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.0)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(Fault::Value)
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Fault> {
        Err(Fault::Value)
    }
}

macro_rules! forward {
    ($to:ident: $($from:ident)*) => {
        $(fn $from<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.$to(visitor)
        })*
    };
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(Fault::Value) // the types that are read all say what they are
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.word("true") {
            visitor.visit_bool(true)
        } else if self.word("false") {
            visitor.visit_bool(false)
        } else {
            Err(self.other())
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u64(self.number()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.string()? {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(text) => visitor.visit_str(&text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.word("null") { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        if name == RAW { visitor.visit_borrowed_str(self.skip()?) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.open(b'[')?;
        visitor.visit_seq(Entries { reader: self, first: true })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.open(b'[')?;
        let value = visitor.visit_seq(Entries { reader: &mut *self, first: true })?;
        if self.more(b']', &mut false)? { Err(Fault::Value) } else { Ok(value) }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.open(b'{')?;
        visitor.visit_map(Entries { reader: self, first: true })
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        if self.peek() == Some(b'"') {
            let name = self.string()?;
            return visitor.visit_enum(name.as_deref().unwrap_or_default().into_deserializer());
        }
        self.open(b'{')?;
        let value = visitor.visit_enum(Variant(&mut *self))?;
        if self.more(b'}', &mut false)? { Err(Fault::Value) } else { Ok(value) }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    forward!(deserialize_u64: deserialize_u8 deserialize_u16 deserialize_u32);
    forward!(deserialize_str: deserialize_string deserialize_identifier);
    forward!(deserialize_any: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_f32 deserialize_f64
        deserialize_char deserialize_bytes deserialize_byte_buf deserialize_unit);
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
