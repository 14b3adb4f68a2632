//! What comes back from an HTTP request, whole.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, header::HeaderMap, redirect::Policy};
use serde_json::Value;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

/// A client that follows no redirect, keeps no cookie and gives up after 30 s. The runtime closes connections that nobody used for five
/// seconds; one that is about to be closed must not be used again, so they are given up before.
pub fn client() -> Client {
    let builder = Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(30)).pool_idle_timeout(Duration::from_secs(2));
    builder.build().unwrap()
}

/// Sends a request.
pub async fn send(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"));
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, headers, text: answer.text().await.unwrap_or_else(|error| panic!("no whole answer: {error:?}")) }
}

impl Answer {
    /// The answer, which must have this status.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "often only the check is wanted")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The code of a problem; empty where it is none.
    pub fn code(&self) -> String {
        serde_json::from_str::<Value>(&self.text).ok().and_then(|problem| Some(problem["code"].as_str()?.to_owned())).unwrap_or_default()
    }

    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Status and code: what most tests compare.
    pub fn verdict(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// Asserts that this is Keyward's refusal with status and code, and in the form that the contract asks for.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.verdict(), (status, code.to_owned()), "{self:?}");
        let problem = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        assert_eq!(problem["type"], format!("urn:keyward:problem:{code}"), "{self:?}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{self:?}");
        assert_eq!(status == 401, self.header("www-authenticate").starts_with("Bearer realm=\"keyward\"") && status != 403, "{self:?}");
    }
}
