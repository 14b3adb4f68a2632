//! Values in Cap'n Proto's text form, as far as a configuration of workerd needs them. Whatever a text contains, it ends up as that text:
//! nothing can leave its quotes.

use std::fmt::{self, Display, Formatter, Write};

/// A value of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, quoted when written.
    Text(String),
    /// A word of the schema: an enumerant, `true`, `void`.
    Word(&'static str),
    /// The contents of the file at an absolute path (found with `--import-path=/`).
    Embed(String),
    /// A list.
    List(Vec<Value>),
    /// A struct: fields in order.
    Struct(Vec<(&'static str, Value)>),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => quote(text, f),
            Self::Word(word) => f.write_str(word),
            Self::Embed(path) => {
                f.write_str("embed ")?;
                quote(path, f)
            }
            Self::List(items) => separated(f, ('[', ']'), items, |item, f| write!(f, "{item}")),
            Self::Struct(fields) => separated(f, ('(', ')'), fields, |(name, value), f| write!(f, "{name} = {value}")),
        }
    }
}

fn separated<T>(
    f: &mut Formatter<'_>,
    (open, close): (char, char),
    items: &[T],
    mut write: impl FnMut(&T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(",\n")?;
        }
        write(item, f)?;
    }
    f.write_char(close)
}

/// Everything but printable ASCII is written byte by byte as `\xNN`, so the reader's idea of encodings does not matter.
fn quote(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for byte in text.bytes() {
        match byte {
            b'"' => f.write_str("\\\"")?,
            b'\\' => f.write_str("\\\\")?,
            b'\n' => f.write_str("\\n")?,
            b' '..=b'~' => f.write_char(char::from(byte))?,
            _ => write!(f, "\\x{byte:02x}")?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_leave_its_quotes() {
        let written = |text: &str| Value::text(text).to_string();
        assert_eq!(written("plain text"), "\"plain text\"");
        assert_eq!(written("\"), evil = (x = \"\\"), "\"\\\"), evil = (x = \\\"\\\\\"");
        assert_eq!(written("a\nb\r\t\0"), "\"a\\nb\\x0d\\x09\\x00\"");
        assert_eq!(written("ü"), "\"\\xc3\\xbc\"");
    }

    #[test]
    fn structs_and_lists_nest() {
        let value = Value::Struct(vec![
            ("name", Value::text("kv")),
            ("http", Value::Struct(vec![])),
            ("modules", Value::List(vec![Value::Embed("/a b".into()), Value::Word("void")])),
        ]);
        assert_eq!(value.to_string(), "(name = \"kv\",\nhttp = (),\nmodules = [embed \"/a b\",\nvoid])");
    }
}
