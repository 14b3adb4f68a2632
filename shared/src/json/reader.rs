//! Takes a JSON text apart, value by value.

use super::{Error, FromJson, Problem};

/// How deep lists and objects may stand in each other.
const MAX_DEPTH: u8 = 64;

/// A problem inside the reader: a plain value, because it is part of every result. [`super::from_str`] makes an [`Error`] of it.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// See [`Problem::Syntax`].
    Syntax,
    /// See [`Problem::Value`].
    Value,
    /// The name is the string that was read last.
    UnknownField,
    /// See [`Problem::MissingField`].
    MissingField(&'static str),
}

/// A text that is being read.
#[derive(Debug)]
pub struct Reader<'t> {
    text: &'t str,
    /// The next byte; always between two characters.
    at: usize,
    depth: u8,
    /// Where the last string began.
    last_string: usize,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, depth: 0, last_string: 0 }
    }

    /// The next byte that is no white space: what kind of value follows.
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    pub(super) fn error(&mut self, fault: Fault) -> Error {
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

    pub(super) fn end(&mut self) -> Result<(), Fault> {
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
    pub(super) fn other(&mut self) -> Fault {
        match self.peek() {
            Some(b'"' | b'[' | b'{' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => Fault::Value,
            _ => Fault::Syntax,
        }
    }

    /// Whether `word` follows; if so, it is taken.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some() && self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if found {
            self.at += word.len();
        }
        found
    }

    /// A whole number from zero.
    pub fn number(&mut self) -> Result<u64, Fault> {
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
    pub(super) fn string(&mut self) -> Result<Result<&'t str, String>, Fault> {
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
    pub fn skip(&mut self) -> Result<&'t str, Fault> {
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

    /// A string, as `take` reads it; a fault where that says that it is of no right form.
    pub fn text<T>(&mut self, take: impl FnOnce(&str) -> Option<T>) -> Result<T, Fault> {
        let text = self.string()?;
        take(text.as_deref().unwrap_or_else(|written| written)).ok_or(Fault::Value)
    }

    /// The entries of a list: `entry` reads each.
    pub fn list(&mut self, entry: &mut dyn FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.open(b'[')?;
        let mut first = true;
        while self.more(b']', &mut first)? {
            entry(self)?;
        }
        Ok(())
    }

    /// The members of an object: `member` is given the name of each, and reads its value.
    pub fn object(&mut self, member: &mut dyn FnMut(&mut Self, &str) -> Result<(), Fault>) -> Result<(), Fault> {
        self.open(b'{')?;
        let mut first = true;
        while self.more(b'}', &mut first)? {
            let name = self.string()?;
            member(self, name.as_deref().unwrap_or_else(|written| written))?;
        }
        Ok(())
    }

    /// The value of the member whose name was just read, which may stand once.
    pub fn member<T: FromJson>(&mut self, slot: &mut Option<T>) -> Result<(), Fault> {
        self.once(slot.is_some())?;
        *slot = Some(T::from_json(self)?);
        Ok(())
    }

    fn once(&mut self, twice: bool) -> Result<(), Fault> {
        if twice { Err(Fault::Value) } else { self.take(b':') }
    }

    /// The value of a member that nothing is known of; a fault where there must be none.
    pub fn unknown(&mut self, allowed: bool) -> Result<(), Fault> {
        if !allowed {
            return Err(Fault::UnknownField);
        }
        self.take(b':')?;
        self.skip().map(drop)
    }
}
