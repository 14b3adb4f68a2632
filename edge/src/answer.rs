//! The edge's own answers: problem documents with their challenge, never a byte of a credential.

use keyward_shared::problem::{self, Code, Problem};

use crate::gate::Refused;

/// After how many seconds to try again when nothing fresh could be reached.
const RETRY_AFTER_S: &str = "5";

/// An answer with a small body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers besides `X-Request-Id` and `Cache-Control`.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty: none.
    pub body: String,
    /// Which problem it is, where it is one.
    pub code: Option<Code>,
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, body: String) -> Self {
        Self { status, headers: vec![("Content-Type", "application/json".into())], body, code: None }
    }

    /// The answer to a refused request.
    pub fn refusal(refused: &Refused, request_id: &str) -> Self {
        let permission = refused.permission.as_ref().map(keyward_shared::permission::Permission::as_str);
        Self::problem_with(refused.code, &refused.detail, permission, request_id)
    }

    /// A problem; an empty `detail` becomes the code's title.
    pub fn problem(code: Code, detail: &str, request_id: &str) -> Self {
        Self::problem_with(code, detail, None, request_id)
    }

    /// 403 with the permission that was missing.
    pub fn missing_permission(permission: &str, request_id: &str) -> Self {
        Self::problem_with(Code::PermissionDenied, &format!("the permission {permission} is missing"), Some(permission), request_id)
    }

    fn problem_with(code: Code, detail: &str, permission: Option<&str>, request_id: &str) -> Self {
        let detail = if detail.is_empty() { code.title() } else { detail };
        let mut headers = vec![("Content-Type", problem::MEDIA_TYPE.into())];
        if let Some(challenge) = problem::challenge(code, permission) {
            headers.push(("WWW-Authenticate", challenge));
        }
        if code.status() == 503 {
            headers.push(("Retry-After", RETRY_AFTER_S.into()));
        }
        Self { status: code.status(), headers, body: Problem::new(code, detail).to_json(request_id), code: Some(code) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_401_has_a_challenge_and_every_503_says_when_to_come_back() {
        for code in Code::ALL {
            let answer = Answer::problem(*code, "", "r");
            let has = |name: &str| answer.headers.iter().any(|(known, _)| *known == name);
            assert_eq!(has("WWW-Authenticate"), code.status() == 401 || *code == Code::PermissionDenied, "{code:?}");
            assert_eq!(has("Retry-After"), code.status() == 503, "{code:?}");
        }
    }
}
