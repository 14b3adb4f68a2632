//! The path of a request as the policy may read it: only one with a single reading. The edge matches a
//! string and forwards that very string; if the origin could read it differently (`/a/../b`, `%2F`, `//`),
//! the request is refused instead of guessed at.

use std::borrow::Cow;

use thiserror::Error;

/// The path has more than one reading; what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmbiguousPath {
    /// Does not begin with a slash.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// `//`: an empty segment before the end.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.`, `..`, or a segment that ends in a dot, which some systems drop.
    #[error("the path has a segment of dots or one that ends in a dot")]
    Dots,
    /// `\`, which some systems read as a slash, or `;`, which some read as the end of a segment.
    #[error("the path has a backslash or a semicolon")]
    Separator,
    /// Control characters, space, quotes, brackets or anything beyond ASCII, which clients must encode (RFC
    /// 3986 §3.3) and fetch would.
    #[error("the path has a character that must be percent-encoded")]
    Unencoded,
    /// A percent sign without two hexadecimal digits.
    #[error("the path has an invalid percent sequence")]
    Percent,
    /// A percent sequence for a character that needs none, for a percent sign, for a separator or for a
    /// control character.
    #[error("the path has a percent sequence for a character that must not be encoded")]
    NeedlessPercent,
    /// Percent sequences that are not UTF-8.
    #[error("the path is not UTF-8")]
    Utf8,
}

/// Checks the path of a request target as it was sent, without its query.
pub fn check(path: &str) -> Result<(), AmbiguousPath> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(AmbiguousPath::NotAbsolute);
    }
    let mut encoded = false;
    let mut previous = b' ';
    for &byte in bytes {
        if !byte.is_ascii_alphanumeric() {
            match byte {
                b'/' if previous == b'/' => return Err(AmbiguousPath::EmptySegment),
                b'/' if previous == b'.' => return Err(AmbiguousPath::Dots),
                b'%' => encoded = true,
                b'\\' | b';' => return Err(AmbiguousPath::Separator),
                0..=b' ' | 0x7f.. | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#' | b'?' => {
                    return Err(AmbiguousPath::Unencoded);
                }
                _ => {}
            }
        }
        previous = byte;
    }
    if previous == b'.' {
        return Err(AmbiguousPath::Dots);
    }
    if encoded { check_percent(bytes) } else { Ok(()) }
}

fn check_percent(bytes: &[u8]) -> Result<(), AmbiguousPath> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or(AmbiguousPath::Percent)?;
        let mut value = [0];
        hex::decode_to_slice(digits, &mut value).map_err(|_| AmbiguousPath::Percent)?;
        match value[0] {
            0..0x20 | 0x7f | b'%' | b'/' | b'\\' | b'-' | b'.' | b'_' | b'~' => return Err(AmbiguousPath::NeedlessPercent),
            letter if letter.is_ascii_alphanumeric() => return Err(AmbiguousPath::NeedlessPercent),
            other => decoded.push(other),
        }
        rest = after;
    }
    core::str::from_utf8(&decoded).map(|_| ()).map_err(|_| AmbiguousPath::Utf8)
}

/// A segment with its percent sequences decoded: two that have passed [`check`] are the same segment where these are the same.
#[expect(clippy::manual_contains, reason = "segments are short: the library's search is made for long texts, and costs a request more")]
pub(crate) fn decoded(segment: &[u8]) -> Cow<'_, [u8]> {
    if !segment.iter().any(|byte| *byte == b'%') {
        return Cow::Borrowed(segment);
    }
    let mut bytes = segment.iter().copied();
    let decoded = core::iter::from_fn(move || match bytes.next()? {
        b'%' => {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).unwrap_or(0);
            let value = digit(bytes.next()) * 16 + digit(bytes.next());
            Some(u8::try_from(value).unwrap_or(0))
        }
        byte => Some(byte),
    });
    Cow::Owned(decoded.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_one_reading_passes() {
        for path in [
            "/",
            "/a",
            "/a/b/",
            "/a.b/c.d",
            "/a%20b",
            "/caf%C3%A9",
            "/caf%c3%a9",
            "/a:b@c!$&'()*+,=",
            "/v1/orders/42",
            "/%3Bx",
            "/.well-known/x",
            "/...x",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_path_with_two_readings_is_refused() {
        use AmbiguousPath as A;
        for (path, why) in [
            ("", A::NotAbsolute),
            ("a", A::NotAbsolute),
            ("*", A::NotAbsolute),
            ("http://x/a", A::NotAbsolute),
            ("/admin/../public", A::Dots),
            ("/./a", A::Dots),
            ("/a/.", A::Dots),
            ("/a/..", A::Dots),
            ("/admin.", A::Dots),
            ("/admin./x", A::Dots),
            ("/%2e%2e/admin", A::NeedlessPercent),
            ("/%252e", A::NeedlessPercent),
            ("/a%2Fb", A::NeedlessPercent),
            ("/a%5Cb", A::NeedlessPercent),
            ("/%61dmin", A::NeedlessPercent),
            ("/a%00b", A::NeedlessPercent),
            ("//admin", A::EmptySegment),
            ("/a//b", A::EmptySegment),
            ("/a\\b", A::Separator),
            ("/admin;x=1", A::Separator),
            ("/a%", A::Percent),
            ("/a%2", A::Percent),
            ("/a%zz", A::Percent),
            ("/%C0%AF", A::Utf8),
            ("/%FF", A::Utf8),
            ("/é", A::Unencoded),
            ("/a b", A::Unencoded),
            ("/a\u{0}", A::Unencoded),
            ("/{id}", A::Unencoded),
        ] {
            assert_eq!(check(path), Err(why), "{path}");
        }
    }

    #[test]
    fn segments_are_compared_decoded() {
        assert_eq!(decoded("caf%C3%A9".as_bytes()), decoded("caf%c3%a9".as_bytes()));
        assert_eq!(decoded("caf%C3%A9".as_bytes()), decoded("café".as_bytes()));
        assert_ne!(decoded("a%20b".as_bytes()), decoded("a%21b".as_bytes()));
    }
}
