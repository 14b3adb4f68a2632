//! Token introspection (RFC 7662): another program asks what a key is worth. Reading the request and
//! writing the answer; the verdict is the verifier's.

use core::net::IpAddr;
use std::rc::Rc;

use keyward_shared::{
    decide, json, json_object, path, permission::Permission, policy::Requirement, problem::Code, record::Record, time::Millis,
};

use crate::verifier::{Attempt, Held, PolicyStanding, Progress, Verdict, Verifier};

/// The permission that the caller needs.
pub const PERMISSION: &str = "keyward.introspect";
/// The most questions in one request.
pub const MAX_QUESTIONS: usize = 100;

/// One question about one key.
#[derive(Clone)]
pub struct Question {
    /// The key.
    pub token: String,
    /// The route that it is to be judged for, with `path`.
    pub method: Option<String>,
    /// See `method`.
    pub path: Option<String>,
    /// A permission that it must have.
    pub permission: Option<Permission>,
    /// The address that it is used from.
    pub ip: Option<IpAddr>,
}

json_object!(Question { token; or default method, path, permission, ip } strict);

impl Question {
    /// Whether the caller with this credential may introspect.
    pub fn about(caller: &str) -> Self {
        Self { token: caller.into(), method: None, path: None, permission: Permission::new(PERMISSION).ok(), ip: None }
    }
}

/// A request body: one question, or a list of them.
pub struct Questions {
    /// In order.
    pub list: Vec<Question>,
    /// Whether the answer is a list too.
    pub many: bool,
}

/// Reads a form (RFC 7662 §2.1) or JSON body. The error names what is wrong and never the token.
pub fn read(content_type: &str, body: &str) -> Result<Questions, (Code, String)> {
    let invalid = |detail: String| (Code::InvalidRequest, detail);
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let questions = if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let mut tokens = form_urlencoded::parse(body.as_bytes()).filter(|(name, _)| name == "token").map(|(_, value)| value);
        let token = tokens.next().ok_or_else(|| invalid("token is missing".into()))?.into_owned();
        if tokens.next().is_some() {
            return Err(invalid("token is repeated".into()));
        }
        // token_type_hint and extensions may be there (RFC 7662 §2.1); they change nothing.
        Questions { list: vec![Question { token, method: None, path: None, permission: None, ip: None }], many: false }
    } else if media_type.eq_ignore_ascii_case("application/json") {
        let many = body.trim_start().starts_with('[');
        let list = if many { json::from_str(body) } else { json::from_str(body).map(|one| vec![one]) };
        Questions { list: list.map_err(|e| invalid(describe(e)))?, many }
    } else {
        return Err((Code::UnsupportedMediaType, "send a form or JSON".into()));
    };
    if questions.list.len() > MAX_QUESTIONS {
        return Err(invalid(format!("at most {MAX_QUESTIONS} questions at once")));
    }
    if questions.list.iter().any(|question| question.method.is_some() != question.path.is_some()) {
        return Err(invalid("method and path go together".into()));
    }
    Ok(questions)
}

/// What is wrong with a body, without quoting values: a token might be among them.
fn describe(error: json::Error) -> String {
    match error.problem {
        json::Problem::UnknownField(name) => format!("unknown field {name}"),
        json::Problem::MissingField(name) => format!("{name} is missing"),
        json::Problem::Syntax | json::Problem::Value => format!("the body cannot be read, at byte {}", error.at),
    }
}

/// The verdict on one question.
pub enum Finding {
    /// The key is known and passes.
    Active(Rc<Held>),
    /// It does not, for this reason.
    Inactive(Code),
    /// Nothing fresh enough to tell.
    Unavailable,
}

/// Judges one question, or names the read that is needed. Introspection is not a use of the key.
pub fn judge(verifier: &mut Verifier, question: &Question, now: Millis, attempt: &mut Attempt) -> Progress<Finding> {
    let held = match verifier.verify(question.token.as_bytes(), now, attempt) {
        Progress::Need(read) => return Progress::Need(read),
        Progress::Done(Verdict::Unavailable) => return Progress::Done(Finding::Unavailable),
        Progress::Done(Verdict::Refused(code)) => return Progress::Done(Finding::Inactive(code)),
        Progress::Done(Verdict::Known(held)) => held,
    };
    if let (Some(method), Some(route)) = (&question.method, &question.path) {
        if path::check(route).is_err() {
            return Progress::Done(Finding::Inactive(Code::AmbiguousPath));
        }
        let policy = match verifier.policy(now, attempt) {
            Progress::Need(read) => return Progress::Need(read),
            Progress::Done(PolicyStanding::Usable(policy)) => policy,
            Progress::Done(PolicyStanding::Outdated(_) | PolicyStanding::Unknown) => return Progress::Done(Finding::Unavailable),
        };
        match policy.requirement(method, route) {
            Requirement::Denied => return Progress::Done(Finding::Inactive(Code::PermissionDenied)),
            Requirement::Key { permission: Some(permission), .. } if !held.record.permissions.allows(permission) => {
                let authenticated = decide::authenticate(&held.record, now);
                let code = authenticated.err().map_or(Code::PermissionDenied, decide::Refusal::code);
                return Progress::Done(Finding::Inactive(code));
            }
            Requirement::Key { .. } | Requirement::Anonymous => {}
        }
    }
    // Without an address there is nothing to hold against the key's networks: the asker did not say.
    let decision = match question.ip {
        None => decide::authenticate(&held.record, now).and_then(|()| decide::permit(&held.record, question.permission.as_ref())),
        address => decide::decide(&held.record, now, address, question.permission.as_ref()),
    };
    Progress::Done(match decision {
        Ok(()) => Finding::Active(held),
        Err(refusal) => Finding::Inactive(refusal.code()),
    })
}

/// The answer to one question, as JSON.
pub fn answer(finding: &Finding) -> String {
    let code = match finding {
        Finding::Active(held) => return active(&held.record),
        Finding::Inactive(code) => *code,
        Finding::Unavailable => Code::VerifierUnavailable,
    };
    format!(r#"{{"active":false,"code":"{}"}}"#, code.as_str())
}

fn active(record: &Record) -> String {
    let permissions = record.permissions.iter().map(|permission| json::string(permission.as_str()));
    let mut active = json::Object::default().raw("active", "true").text("company", record.company.as_str());
    // A number or nothing (RFC 7662 §2.2): not every reader takes `null`.
    if let Some(at) = record.expires_at {
        active = active.number("exp", at.as_secs());
    }
    active
        .number("iat", record.created_at.as_secs())
        .text("key_id", record.key_id.as_str())
        .raw("metadata", record.metadata.as_str())
        .raw("permissions", &json::list(permissions))
        .text("scope", &record.permissions.to_scope())
        .text("sub", record.owner.as_str())
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(content_type: &str, body: &str) -> (Code, String) {
        read(content_type, body).err().unwrap()
    }

    #[test]
    fn a_form_and_json_are_read() {
        assert_eq!(read("application/x-www-form-urlencoded; charset=UTF-8", "token_type_hint=x&token=a%2Bb").unwrap().list[0].token, "a+b");
        let many =
            read("application/json", r#"[{"token":"a"},{"token":"b","method":"GET","path":"/x","permission":"a.b","ip":"::1"}]"#).unwrap();
        assert!(many.many && many.list.len() == 2);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        assert_eq!(error("text/plain", "x").0, Code::UnsupportedMediaType);
        for body in [
            r#"{"token":"s3cret","x":1}"#,
            r#"{"token":"s3cret","ip":"s3cret"}"#,
            r#"{"token":"s3cret","method":"GET"}"#,
            "{\"s3cret",
            r#"["s3cret"]"#,
        ] {
            let (code, detail) = error("application/json", body);
            assert_eq!(code, Code::InvalidRequest);
            assert!(!detail.contains("s3cret"), "{detail}");
        }
        assert_eq!(error("application/json", "{}").1, "token is missing");
        assert_eq!(error("application/x-www-form-urlencoded", "token=a&token=b").1, "token is repeated");
        let many = format!("[{}]", vec![r#"{"token":"a"}"#; 101].join(","));
        assert_eq!(error("application/json", &many).0, Code::InvalidRequest);
    }
}
