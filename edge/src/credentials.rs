//! Which credential a request carries: `x-api-key` or `Authorization: Bearer` (RFC 6750 §2.1), never the
//! query, a cookie or the body. Whether it is a key, and whose, is the verifier's question.

use keyward_shared::key::Prefixes;

/// The header that a credential came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `x-api-key`, alone or together with the same Bearer.
    ApiKey,
    /// `Authorization: Bearer`.
    Bearer,
}

/// What a request sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sent<'a> {
    /// No credential, or one of another scheme.
    Nothing,
    /// One credential, not yet looked at.
    One(&'a str, Source),
    /// Two that differ, a repeated header, or a comma.
    Ambiguous,
}

impl core::fmt::Debug for Sent<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::One(_, Source::ApiKey) => "One(x-api-key, redacted)",
            Self::One(_, Source::Bearer) => "One(Bearer, redacted)",
            Self::Ambiguous => "Ambiguous",
        })
    }
}

/// Reads the two headers. The runtime joins a repeated header with a comma, and no key has one, so a comma
/// is refused rather than guessed at. White space around a value was removed by whoever read it from the wire.
pub fn extract<'a>(x_api_key: Option<&'a str>, authorization: Option<&'a str>) -> Sent<'a> {
    let repeated = |value: Option<&str>| value.is_some_and(|value| value.as_bytes().contains(&b','));
    if repeated(x_api_key) || repeated(authorization) {
        return Sent::Ambiguous;
    }
    let api_key = x_api_key.filter(|value| !value.is_empty());
    match (api_key, authorization.and_then(bearer)) {
        (None, None) => Sent::Nothing,
        (Some(key), None) => Sent::One(key, Source::ApiKey),
        (None, Some(key)) => Sent::One(key, Source::Bearer),
        (Some(a), Some(b)) if a == b => Sent::One(a, Source::ApiKey),
        (Some(_), Some(_)) => Sent::Ambiguous,
    }
}

/// The token of a Bearer credential; `None` for other schemes and for a scheme without a token.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_at_checked("bearer".len())?;
    if !scheme.eq_ignore_ascii_case("bearer")
        || token.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/'))
    {
        return None;
    }
    // One space: what stands after it is the token, and no key begins with a space.
    let token = token.strip_prefix(' ').unwrap_or(token);
    (!token.is_empty()).then_some(token)
}

/// Whether a word of `text`, which is no key, begins as this deployment's keys do: a key that was mistyped, quoted or sent with something
/// around it. Nobody else may get to see that. Words end where neither base64url nor a key goes on, so a JWT is not taken for one.
pub fn resembles_a_key(text: &str, prefixes: &Prefixes) -> bool {
    let words = text.as_bytes().split(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')));
    words.filter_map(|word| word.get(..word.iter().rposition(|b| *b == b'_')?)).any(|prefix| prefixes.contains_bytes(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_resembles_a_key_is_told_from_an_applications_own_tokens() {
        let prefixes = Prefixes::parse("kw_live,k").unwrap();
        for (text, resembles) in [
            ("kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5", true),
            ("\"kw_live_MDeuq7Rm\"", true),
            (" kw_live_MDeuq7Rm", true),
            ("secret-token:kw_live_MDeuq7Rm", true),
            ("kw_live_MDeuq7Rm x", true),
            ("k_MDeuq7Rm", true),
            ("kw_live", false),
            ("kw_test_MDeuq7Rm", false),
            ("kw_live_session_MDeuq7Rm", false),
            ("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.a-k_9kw_live_0Zz", false),
            ("app_session_MDeuq7Rm", false),
            ("", false),
        ] {
            assert_eq!(resembles_a_key(text, &prefixes), resembles, "{text}");
        }
    }

    #[test]
    fn a_credential_is_read_from_either_header() {
        use Source::{ApiKey, Bearer};
        for (x_api_key, authorization, expected) in [
            (None, None, Sent::Nothing),
            (Some(""), None, Sent::Nothing),
            (Some("k"), None, Sent::One("k", ApiKey)),
            (Some("k "), None, Sent::One("k ", ApiKey)),
            (None, Some("Bearer k"), Sent::One("k", Bearer)),
            (None, Some("bearer k"), Sent::One("k", Bearer)),
            (None, Some("BEARER k"), Sent::One("k", Bearer)),
            (None, Some("Bearer  k"), Sent::One(" k", Bearer)),
            (None, Some("Bearer\tk"), Sent::One("\tk", Bearer)),
            (None, Some("Bearer"), Sent::Nothing),
            (None, Some("Bearer "), Sent::Nothing),
            (None, Some("Bearerk"), Sent::Nothing),
            (None, Some("Basic a2V5"), Sent::Nothing),
            (None, Some("Token k"), Sent::Nothing),
            (None, Some("ApiKey k"), Sent::Nothing),
            (None, Some("é"), Sent::Nothing),
            (Some("k"), Some("Basic a2V5"), Sent::One("k", ApiKey)),
            (Some("k"), Some("Bearer k"), Sent::One("k", ApiKey)),
            (Some("k"), Some("Bearer j"), Sent::Ambiguous),
            (Some("k, k"), None, Sent::Ambiguous),
            (None, Some("Bearer k, Bearer k"), Sent::Ambiguous),
            (None, Some("Basic x, Bearer k"), Sent::Ambiguous),
        ] {
            assert_eq!(extract(x_api_key, authorization), expected, "{x_api_key:?} {authorization:?}");
        }
    }

    #[test]
    fn what_was_sent_is_never_printed() {
        assert!(!format!("{:?}", extract(Some("s3cret"), None)).contains("s3cret"));
    }
}
