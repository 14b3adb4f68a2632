//! Problem codes and their form on the wire: RFC 9457 `application/problem+json`, and the challenges of
//! RFC 6750 §3.

use serde::Serialize;

use crate::json::{self, Object};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// Everything that Keyward refuses with, at the edge and in the control plane.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What it means, for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// No credential was sent.
    MissingCredentials = "missing_credentials", 401, "An API key is needed";
    /// Two different credentials, a repeated header or a comma in one.
    AmbiguousCredentials = "ambiguous_credentials", 400, "More than one credential was sent";
    /// Not a key: shape, alphabet, length or checksum.
    MalformedKey = "malformed_key", 401, "This is not an API key";
    /// Made up, deleted, or never existed.
    UnknownKey = "unknown_key", 401, "This API key is not known";
    /// The key was revoked.
    KeyRevoked = "key_revoked", 401, "This API key was revoked";
    /// The key has expired.
    KeyExpired = "key_expired", 401, "This API key has expired";
    /// The owner or the company may not act.
    OwnerInactive = "owner_inactive", 401, "The owner of this API key is not active";
    /// The owner or this key lacks a permission.
    PermissionDenied = "permission_denied", 403, "A permission is missing";
    /// The caller's network is not on the key's list.
    IpNotAllowed = "ip_not_allowed", 403, "This API key may not be used from this network";
    /// The path has more than one reading.
    AmbiguousPath = "ambiguous_path", 400, "The path has more than one reading";
    /// Too many requests.
    RateLimited = "rate_limited", 429, "Too many requests";
    /// Nothing fresh enough to decide with.
    VerifierUnavailable = "verifier_unavailable", 503, "API keys cannot be verified right now";
    /// The origin cannot be reached.
    OriginUnreachable = "origin_unreachable", 502, "The application cannot be reached";
    /// The origin does not answer.
    OriginTimeout = "origin_timeout", 504, "The application does not answer";
    /// The request has passed this deployment's edge before.
    LoopDetected = "loop_detected", 508, "The request came back: the origin leads to this edge";
    /// The caller of the control plane is not known.
    Unauthenticated = "unauthenticated", 401, "Sign in or send an API key";
    /// The caller may not do this.
    Forbidden = "forbidden", 403, "This is not allowed";
    /// There is no such thing, or it is another company's.
    NotFound = "not_found", 404, "Not found";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, "This method is not allowed here";
    /// The state of things forbids it.
    Conflict = "conflict", 409, "This conflicts with the present state";
    /// The request is not well-formed.
    InvalidRequest = "invalid_request", 400, "The request is not valid";
    /// The body is too large.
    TooLarge = "too_large", 413, "The body is too large";
    /// The body is of another type than asked for.
    UnsupportedMediaType = "unsupported_media_type", 415, "The body must be JSON";
    /// Well-formed, but a field's value cannot be taken.
    Unprocessable = "unprocessable", 422, "A value cannot be taken";
    /// The idempotency key was used with another body.
    IdempotencyMismatch = "idempotency_mismatch", 422, "This idempotency key was used with another request";
    /// A part that is needed does not answer.
    Unavailable = "unavailable", 503, "Not available right now";
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field, with dots into objects and indices into arrays.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

/// A problem document (RFC 9457 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub code: Code,
    /// What exactly; never any part of a credential.
    pub detail: String,
    /// One entry per wrong field, on 422.
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem with `detail`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new() }
    }

    /// The document, naming the request it answers.
    pub fn to_json(&self, request_id: &str) -> String {
        let document = Object::default()
            .text("type", &format!("urn:keyward:problem:{}", self.code.as_str()))
            .text("title", self.code.title())
            .number("status", self.code.status().into())
            .text("code", self.code.as_str())
            .text("detail", &self.detail)
            .text("request_id", request_id);
        if self.errors.is_empty() {
            return document.end();
        }
        let error = |error: &FieldError| Object::default().text("field", &error.field).text("detail", &error.detail).end();
        document.raw("errors", &json::list(self.errors.iter().map(error))).end()
    }
}

/// The `WWW-Authenticate` challenge that goes with `code`, where one does (RFC 6750 §3). `permission` is
/// the one that was missing.
pub fn challenge(code: Code, permission: Option<&str>) -> Option<String> {
    const REALM: &str = "Bearer realm=\"keyward\"";
    match (code, code.status()) {
        (Code::MissingCredentials | Code::Unauthenticated, _) => Some(REALM.into()),
        (Code::PermissionDenied, _) => {
            let scope = permission.unwrap_or_default();
            Some(format!("{REALM}, error=\"insufficient_scope\", scope=\"{scope}\""))
        }
        (_, 401) => Some(format!("{REALM}, error=\"invalid_token\", error_description=\"{}\"", code.title())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_rfc_9457_and_the_request_it_answers() {
        let problem = Problem::new(Code::PermissionDenied, "orders.read is missing");
        assert_eq!(
            problem.to_json("r1"),
            r#"{"type":"urn:keyward:problem:permission_denied","title":"A permission is missing","status":403,"code":"permission_denied","detail":"orders.read is missing","request_id":"r1"}"#
        );
        let errors = vec![FieldError { field: "name".into(), detail: "is empty".into() }];
        let json = Problem { errors, ..Problem::new(Code::Unprocessable, "see errors") }.to_json("r1");
        assert!(json.ends_with(r#""errors":[{"field":"name","detail":"is empty"}]}"#), "{json}");
    }

    #[test]
    fn codes_are_unique_words_with_an_error_status() {
        let mut words: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| (400..600).contains(&code.status())));
    }

    #[test]
    fn a_401_carries_a_challenge_and_a_missing_permission_its_scope() {
        assert_eq!(challenge(Code::MissingCredentials, None).as_deref(), Some("Bearer realm=\"keyward\""));
        let expired = challenge(Code::KeyExpired, None).unwrap();
        assert_eq!(expired, "Bearer realm=\"keyward\", error=\"invalid_token\", error_description=\"This API key has expired\"");
        let denied = challenge(Code::PermissionDenied, Some("orders.read")).unwrap();
        assert_eq!(denied, "Bearer realm=\"keyward\", error=\"insufficient_scope\", scope=\"orders.read\"");
        assert_eq!(challenge(Code::Conflict, None), None);
        for code in Code::ALL.iter().filter(|code| code.status() == 401) {
            assert!(challenge(*code, None).is_some());
        }
    }
}
