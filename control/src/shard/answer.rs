//! The answer to one call, before it is written: what it says, and what may still change in it before it goes out.

use keyward_shared::{
    ids::{CompanyId, KeyId},
    problem::{self, Problem},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::ApiAnswer;

/// An answer in the making.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Handled {
    /// HTTP status.
    pub status: u16,
    /// Extra headers.
    pub headers: Vec<(String, String)>,
    /// The body; `None`: there is none.
    pub body: Option<Value>,
    /// The key whose object the body is: its propagation is read again after the announcement.
    pub key: Option<(CompanyId, KeyId)>,
    /// The keys that the body shows. Kept for a repetition instead of the body, which may be too large to be: it is then made
    /// anew from the keys as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyId>,
    /// The body tells of a republication: its propagation is read again after the announcement.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub republished: bool,
    /// The company that came back from a backup: its propagation is read again after the announcement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<CompanyId>,
    /// The media type is a problem's.
    #[serde(skip)]
    pub problem: bool,
    /// What the log should hear of.
    #[serde(skip)]
    pub log: Option<String>,
}

impl Handled {
    /// 200 with `body`.
    pub fn ok(body: Value) -> Self {
        Self { status: 200, body: Some(body), ..Self::default() }
    }

    /// 201 with `body`, to be found at `location`.
    pub fn created(body: Value, location: String) -> Self {
        Self { status: 201, headers: vec![("Location".into(), location)], body: Some(body), ..Self::default() }
    }

    /// 204.
    pub fn nothing() -> Self {
        Self { status: 204, ..Self::default() }
    }

    /// A problem document.
    pub fn problem(problem: &Problem, request_id: &str) -> Self {
        let challenge = problem::challenge(problem.code, None).map(|challenge| ("WWW-Authenticate".to_owned(), challenge));
        let retry = (problem.code.status() == 503).then(|| ("Retry-After".to_owned(), "1".to_owned()));
        Self {
            status: problem.code.status(),
            headers: challenge.into_iter().chain(retry).collect(),
            body: serde_json::from_str(&problem.to_json(request_id)).ok(),
            problem: true,
            ..Self::default()
        }
    }

    /// The object of `key`, whose propagation may be read again.
    #[must_use]
    pub fn about(mut self, company: &CompanyId, key: &KeyId) -> Self {
        self.key = Some((company.clone(), key.clone()));
        self
    }

    /// As it goes out.
    pub fn finish(&self) -> ApiAnswer {
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        ApiAnswer { status: self.status, headers: self.headers.clone(), body }
    }
}
