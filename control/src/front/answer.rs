//! An HTTP answer before it is handed to the runtime, and the headers that every one carries.

use std::borrow::Cow;

use keyward_shared::problem::{self, Code, Problem};
use serde::Deserialize;

use super::{
    Request,
    portions::{self, More},
};
use crate::{
    call::ApiAnswer,
    page::{Asset, SECURITY_HEADERS},
    session,
};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Each name once, but `Set-Cookie`.
    pub headers: Vec<(String, String)>,
    /// Empty: none.
    pub body: Cow<'static, [u8]>,
    /// What follows the body, where that is not yet the whole answer.
    pub more: Option<Box<More>>,
}

impl Answer {
    fn new(status: u16, content_type: &str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        let answer = Self { status, headers: Vec::new(), body: body.into(), more: None };
        if content_type.is_empty() { answer } else { answer.with("Content-Type", content_type) }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self::new(status, "", Vec::new())
    }

    pub(super) fn json(status: u16, body: String) -> Self {
        Self::new(status, "application/json", body.into_bytes())
    }

    /// Lines of JSON.
    pub(super) fn lines(text: String) -> Self {
        Self::new(200, portions::MEDIA_TYPE, text.into_bytes())
    }

    /// A problem document with its challenge.
    pub(super) fn problem(problem: &Problem, request_id: &str) -> Self {
        let answer = Self::new(problem.code.status(), problem::MEDIA_TYPE, problem.to_json(request_id).into_bytes());
        match problem::challenge(problem.code, None) {
            Some(challenge) => answer.with("WWW-Authenticate", &challenge),
            None => answer,
        }
    }

    /// What an object answered to a call of the API.
    pub(super) fn api(answer: ApiAnswer) -> Self {
        let content_type = match (answer.body.is_empty(), answer.status) {
            (true, _) => "",
            (false, 400..) => problem::MEDIA_TYPE,
            (false, _) => "application/json",
        };
        let mut made = Self::new(answer.status, content_type, answer.body.into_bytes());
        for (name, value) in answer.headers {
            made = made.with(&name, &value);
        }
        made
    }

    /// A page, which may load only what this origin serves.
    pub(super) fn html(status: u16, html: String) -> Self {
        secured(Self::new(status, "text/html; charset=utf-8", html.into_bytes()))
    }

    /// A file whose address names its content.
    pub(super) fn asset(asset: Asset) -> Self {
        secured(Self::new(200, asset.content_type, asset.body)).with("Cache-Control", "public, max-age=31536000, immutable")
    }

    /// Sends the browser on with GET.
    pub(super) fn redirect(location: &str) -> Self {
        Self::empty(303).with("Location", location)
    }

    /// Sets a header; of a name set before the newer value counts.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Gives the browser a session.
    #[must_use]
    pub(super) fn with_session(self, token: &str, max_age_s: u64) -> Self {
        self.with_cookie(session::COOKIE, token, max_age_s)
    }

    /// Gives the browser a cookie; of one name the newer value counts. Age 0 takes it away.
    #[must_use]
    pub(super) fn with_cookie(mut self, name: &str, value: &str, max_age_s: u64) -> Self {
        let same =
            |header: &str, cookie: &str| header == "Set-Cookie" && cookie.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        self.headers.retain(|(header, cookie)| !same(header, cookie));
        let cookie = format!("{name}={value}; Path=/; Max-Age={max_age_s}; Secure; HttpOnly; SameSite=Lax");
        self.headers.push(("Set-Cookie".into(), cookie));
        self
    }

    /// Takes the session away from the browser.
    #[must_use]
    pub(super) fn without_session(self) -> Self {
        self.with_session("", 0)
    }

    /// Where it sends the browser, where it does.
    pub(super) fn location(&self) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == "Location").map(|(_, value)| value.as_str())
    }

    /// Whether a header is set.
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Adds what every answer carries, and takes the body away where only the head was asked for.
    pub(super) fn finished(mut self, request: &Request) -> Self {
        if request.method == "HEAD" {
            self.body = Cow::Borrowed(&[]);
            self.more = None;
        }
        // Pages and their files; the runtime does it where it is told that it is so.
        if self.headers.iter().any(|(name, value)| name == "Content-Type" && value.starts_with("text/")) && !self.body.is_empty() {
            self = self.with("Vary", "Accept-Encoding");
            if request.accepts_gzip() {
                self = self.with("Content-Encoding", "gzip");
            }
        }
        if !self.has("Cache-Control") {
            self = self.with("Cache-Control", "no-store");
        }
        self.with("X-Request-Id", &request.id).with("X-Content-Type-Options", "nosniff")
    }
}

fn secured(mut answer: Answer) -> Answer {
    for (name, value) in SECURITY_HEADERS {
        answer = answer.with(name, value);
    }
    answer
}

/// The code in a problem document.
pub(super) fn code_of(document: &str) -> Option<Code> {
    #[derive(Deserialize)]
    struct Document {
        code: String,
    }
    let document = serde_json::from_str::<Document>(document).ok()?;
    Code::ALL.iter().copied().find(|known| known.as_str() == document.code)
}

/// An object's problem document, with the challenge that belongs to it.
pub(super) fn passed_on(status: u16, body: String) -> Answer {
    let headers =
        code_of(&body).and_then(|code| problem::challenge(code, None)).map(|challenge| ("WWW-Authenticate".to_owned(), challenge));
    Answer::api(ApiAnswer { status, headers: headers.into_iter().collect(), body })
}

#[cfg(test)]
mod tests {
    use super::{super::tests::request, *};

    #[test]
    fn an_error_of_an_object_is_a_problem_document_and_keeps_its_headers() {
        let headers = vec![("Allow".to_owned(), "GET".to_owned())];
        let answer = Answer::api(ApiAnswer { status: 405, headers, body: "{}".into() });
        assert!(answer.headers.contains(&("Content-Type".into(), problem::MEDIA_TYPE.into())));
        assert!(answer.headers.contains(&("Allow".into(), "GET".into())));
        assert!(!Answer::api(ApiAnswer { status: 204, headers: Vec::new(), body: String::new() }).has("Content-Type"));
    }

    #[test]
    fn pages_and_files_come_compressed_to_whoever_takes_it() {
        let mut request = request("GET", "/admin/keys");
        let coding = |answer: Answer, request: &Request| {
            let answer = answer.finished(request);
            let value = |name: &str| answer.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            (value("Content-Encoding"), value("Vary"))
        };
        assert_eq!(coding(Answer::html(200, "x".into()), &request), (None, Some("Accept-Encoding".into())));
        request.headers.accept_encoding = Some("gzip".into());
        assert_eq!(coding(Answer::html(200, "x".into()), &request), (Some("gzip".into()), Some("Accept-Encoding".into())));
        for other in [Answer::json(200, "{}".into()), Answer::lines("{}".into()), Answer::redirect("/"), Answer::empty(204)] {
            assert_eq!(coding(other, &request), (None, None));
        }
        request.method = "HEAD".into();
        assert_eq!(coding(Answer::html(200, "x".into()), &request), (None, None), "there is nothing to compress");
    }

    #[test]
    fn one_cookie_does_not_take_the_place_of_another() {
        let answer = Answer::empty(303).with_session("a", 60).with_cookie("__Host-keyward-sign-in", "", 0).with_session("b", 60);
        let cookies: Vec<_> = answer.headers.iter().map(|(_, cookie)| cookie.split(';').next().unwrap()).collect();
        assert_eq!(cookies, ["__Host-keyward-sign-in=", "__Host-keyward=b"]);
    }

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_other_hosts_and_plain_http() {
        let answer = Answer::empty(303).with_session("t", 60);
        let expected = "__Host-keyward=t; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(answer.headers, vec![("Set-Cookie".into(), expected.into())]);
    }
}
