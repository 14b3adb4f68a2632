//! A third reader of JSON (RFC 8259), straight from the grammar, which keeps what the two readers may differ in: how deep
//! values stand in each other, halves of surrogate pairs, members that stand twice.

/// A value.
#[derive(Debug)]
pub(crate) enum Loose {
    Null,
    Truth,
    Number,
    Text,
    List(Vec<Loose>),
    Object(Vec<(String, Loose)>),
}

/// A whole text, read.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) value: Loose,
    /// How deep lists and objects stand in each other.
    pub(crate) depth: usize,
    /// Whether some string has half a surrogate pair, which is no character.
    pub(crate) half_pair: bool,
}

impl Document {
    /// Reads `text`, which is not too deep for the stack; `None` where it is not JSON.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text, depth: 0, deepest: 0, half_pair: false };
        let value = reader.value()?;
        reader.space();
        reader.rest.is_empty().then_some(Self { value, depth: reader.deepest, half_pair: reader.half_pair })
    }
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
    deepest: usize,
    half_pair: bool,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self) -> Option<Loose> {
        self.space();
        match self.rest.chars().next()? {
            'n' => self.take("null").then_some(Loose::Null),
            't' => self.take("true").then_some(Loose::Truth),
            'f' => self.take("false").then_some(Loose::Truth),
            '"' => self.text().map(|_| Loose::Text),
            '[' => self.entries("[", "]", Self::value).map(Loose::List),
            '{' => self.entries("{", "}", Self::member).map(Loose::Object),
            _ => self.number(),
        }
    }

    fn member(&mut self) -> Option<(String, Loose)> {
        self.space();
        let name = self.text()?;
        self.space();
        if self.take(":") { Some((name, self.value()?)) } else { None }
    }

    fn entries<T>(&mut self, open: &str, close: &str, entry: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.take(open);
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let mut entries = Vec::new();
        self.space();
        if !self.take(close) {
            loop {
                entries.push(entry(self)?);
                self.space();
                if self.take(close) {
                    break;
                }
                if !self.take(",") {
                    return None;
                }
            }
        }
        self.depth -= 1;
        Some(entries)
    }

    fn number(&mut self) -> Option<Loose> {
        self.take("-");
        if !self.take("0") && !self.digits() {
            return None;
        }
        if self.take(".") && !self.digits() {
            return None;
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            if !self.digits() {
                return None;
            }
        }
        Some(Loose::Number)
    }

    fn digits(&mut self) -> bool {
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let some = rest.len() < self.rest.len();
        self.rest = rest;
        some
    }

    fn text(&mut self) -> Option<String> {
        if !self.take("\"") {
            return None;
        }
        let mut units: Vec<u16> = Vec::new();
        loop {
            let character = self.rest.chars().next()?;
            self.rest = &self.rest[character.len_utf8()..];
            match character {
                '"' => break,
                '\0'..' ' => return None,
                '\\' => units.push(self.escape()?),
                _ => units.extend_from_slice(character.encode_utf16(&mut [0; 2])),
            }
        }
        self.half_pair |= String::from_utf16(&units).is_err();
        Some(String::from_utf16_lossy(&units))
    }

    fn escape(&mut self) -> Option<u16> {
        let kind = self.rest.chars().next()?;
        self.rest = &self.rest[kind.len_utf8()..];
        let plain = match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let digits = self.rest.get(..4).filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))?;
                self.rest = &self.rest[4..];
                return u16::from_str_radix(digits, 16).ok();
            }
            _ => return None,
        };
        u16::try_from(u32::from(plain)).ok()
    }
}
