//! The credential of a request as the platform gives it: a thin reader over the `Headers` of the Fetch
//! standard, the same in Workers and in browsers.

use web_sys::Headers;

/// The two headers that may carry a credential, copied out once.
#[derive(Default)]
pub struct CredentialHeaders {
    /// `x-api-key`; repeated ones arrive joined with a comma.
    pub x_api_key: Option<String>,
    /// `Authorization`.
    pub authorization: Option<String>,
}

impl CredentialHeaders {
    /// Reads the two by name; no loop over the others.
    pub fn read(headers: &Headers) -> Self {
        Self { x_api_key: get(headers, "x-api-key"), authorization: get(headers, "authorization") }
    }
}

/// One header's value, where it is set.
pub fn get(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}
