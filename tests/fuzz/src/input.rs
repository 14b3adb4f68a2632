//! Reading inputs that have several parts. Parts are lines, so that a corpus can be read and written by hand.

/// The input as text, where it is.
pub(crate) fn text(data: &[u8]) -> Option<&str> {
    core::str::from_utf8(data).ok()
}

/// The first `N - 1` lines, and everything after them; what is not there is empty.
pub(crate) fn lines<const N: usize>(data: &[u8]) -> Option<[&str; N]> {
    let mut rest = text(data)?;
    let mut parts = [""; N];
    for part in parts.iter_mut().take(N - 1) {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        (*part, rest) = (line, after);
    }
    parts[N - 1] = rest;
    Some(parts)
}

/// A header's value: a line that begins with `-` stands for a header that is not there.
pub(crate) fn header(line: &str) -> Option<&str> {
    (!line.starts_with('-')).then_some(line)
}

/// `text` with the character at `at` (counted around its end) replaced by `with`; `None` where that changes nothing.
pub(crate) fn edited(text: &str, at: usize, with: char) -> Option<String> {
    let length = text.chars().count();
    let changed: String = text.chars().enumerate().map(|(index, c)| if length > 0 && index == at % length { with } else { c }).collect();
    (changed != text).then_some(changed)
}
