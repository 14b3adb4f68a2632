//! Which paths have one reading: against RFC 3986 read naively, and against the URL parser of the WHATWG standard.

use keyward_shared::path::check;
use url::Url;

use crate::input;

/// A path passes exactly where the naive reading finds nothing wrong. What passes is not changed by parsing it as part of a
/// URL, alone or relative to another, nor by decoding it twice; and no decoding of it has more or other segments.
pub fn path(data: &[u8]) {
    let Some(text) = input::text(data) else { return };
    let taken = check(text).is_ok();
    assert_eq!(taken, single_reading(text), "{text:?}");
    if taken {
        one_reading(text);
    }
}

/// What holds of every path that was taken.
pub(crate) fn one_reading(path: &str) {
    let base = Url::parse("https://origin.example/base/x?y#z").unwrap();
    for url in [Url::parse(&format!("https://origin.example{path}")).unwrap(), base.join(path).unwrap()] {
        assert_eq!((url.path(), url.query(), url.fragment()), (path, None, None));
        assert_eq!(url.host_str(), Some("origin.example"));
    }
    let segments: Vec<&str> = path[1..].split('/').collect();
    let last = segments.len() - 1;
    for (at, segment) in segments.iter().enumerate() {
        let once: Vec<u8> = percent_encoding::percent_decode_str(segment).collect();
        let twice: Vec<u8> = percent_encoding::percent_decode(&once).collect();
        assert_eq!(once, twice, "decoded twice");
        assert!(!once.contains(&b'/') && !once.contains(&b'\\'), "a hidden separator");
        assert!(!once.ends_with(b"."), "a hidden dot");
        assert!(!once.iter().any(u8::is_ascii_control), "a hidden control character");
        assert!(!segment.is_empty() || at == last, "an empty segment");
        assert!(core::str::from_utf8(&once).is_ok());
    }
}

/// Said segment by segment: visible ASCII without what must be encoded, no empty segment but the last, none that ends in a
/// dot, and only what must be encoded is.
fn single_reading(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let segments: Vec<&str> = rest.split('/').collect();
    let (last, inner) = segments.split_last().unwrap();
    inner.iter().all(|segment| !segment.is_empty() && segment_is_right(segment)) && segment_is_right(last)
}

fn segment_is_right(segment: &str) -> bool {
    let mut decoded = Vec::new();
    let mut characters = segment.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            if !character.is_ascii_graphic() || "\"<>\\^`{|};#?".contains(character) {
                return false;
            }
            decoded.push(u8::try_from(character).unwrap());
            continue;
        }
        let [Some(high), Some(low)] = [characters.next(), characters.next()].map(|digit| digit?.to_digit(16)) else { return false };
        let byte = u8::try_from(high * 16 + low).unwrap();
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if unreserved || byte.is_ascii_control() || b"%/\\".contains(&byte) {
            return false;
        }
        decoded.push(byte);
    }
    !segment.ends_with('.') && String::from_utf8(decoded).is_ok()
}
