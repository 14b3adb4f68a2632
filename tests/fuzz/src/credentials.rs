//! The headers that carry a credential, as the edge and as the control plane read them.

use core::{cell::RefCell, future::Future, pin::pin, task};

use keyward_control::{
    call::{ApiCall, Credential},
    front::{self, Buckets, Context, Documents, Fetched, Headers, Object, Outside, Request, Said, Target},
};
use keyward_edge::credentials::{Sent, Source, extract};
use keyward_shared::{digest::Digest, key::ParsedKey, shard::Shard};

use crate::{input, world};

/// Objects that note what they are asked and say nothing.
#[derive(Default)]
struct Silent(RefCell<Vec<(Object, ApiCall)>>);

impl Outside for Silent {
    async fn get(&self, url: &str) -> Option<Fetched> {
        panic!("{url} is asked for although no issuer is set")
    }

    async fn post(&self, object: Object, _: &'static str, body: String) -> Option<Said> {
        self.0.borrow_mut().push((object, serde_json::from_str(&body).expect("what the front sends is a call")));
        None
    }

    async fn send_form(&self, _: &str, _: Option<&str>, _: String) -> Option<Fetched> {
        None
    }

    fn random(&self) -> Option<[u8; 32]> {
        None
    }

    fn log(&self, _: &serde_json::Value) {}
}

/// `x-api-key`, `Authorization` and `Cookie`, one on a line (`-`: not sent). The edge reads what a naive reading of RFC 6750
/// finds. The control plane asks an object for a key exactly where the edge would look one up: the same key, at the object
/// of its shard. Neither says back what was sent.
pub fn credentials(data: &[u8]) {
    let Some([x_api_key, authorization, cookie]) = input::lines(data) else { return };
    let (x_api_key, authorization) = (input::header(x_api_key), input::header(authorization));
    let sent = extract(x_api_key, authorization);
    assert_eq!(sent, naively(x_api_key, authorization), "{x_api_key:?} {authorization:?}");

    let credential = ours(sent);
    let (status, asked, said) = at_control(x_api_key, authorization, input::header(cookie));
    match (&sent, asked) {
        (Sent::Ambiguous, asked) => assert!(asked.is_none() || malformed_bearer(authorization)),
        (_, Some((Object::Shard(shard), Credential::Key(digest)))) => assert_eq!(Some((shard, digest)), credential),
        (_, Some((Object::Shard(shard), Credential::Session { company, .. }))) => {
            assert_eq!((credential, shard), (None, Shard::of(&company)), "a key goes before a session");
        }
        (_, Some(other)) => panic!("{other:?} was asked"),
        (_, None) => {
            assert_eq!(credential, None, "the edge would look up what the control plane refuses");
            assert!(matches!(status, 400 | 401 | 403), "{status}");
        }
    }
    // Unlike anything that an answer says by itself.
    let secret = |text: &&str| text.len() >= 20 && text.bytes().filter(|b| b.is_ascii_digit() || b.is_ascii_uppercase()).count() >= 10;
    for secret in [x_api_key, authorization].into_iter().flatten().filter(secret) {
        assert!(!said.contains(secret), "a credential was said back");
        assert!(!format!("{sent:?}").contains(secret));
    }
}

/// `Authorization: Bearer` with something that is no token right after the scheme. The edge takes it for a credential and
/// refuses two; the control plane takes it for another scheme.
fn malformed_bearer(authorization: Option<&str>) -> bool {
    authorization.and_then(|value| value.get(6..)).is_some_and(|rest| !rest.starts_with(' '))
}

/// The key that is sent, where it is one of this deployment's.
fn ours(sent: Sent<'_>) -> Option<(Shard, Digest)> {
    let Sent::One(text, _) = sent else { return None };
    let key = ParsedKey::parse(text.as_bytes()).ok()?;
    let common = &world::settings().common;
    let known = common.prefixes.contains(key.prefix()) && common.tag_secrets.made(key.tag(), key.shard(), &key.digest());
    known.then(|| (key.shard(), key.digest()))
}

fn at_control(x_api_key: Option<&str>, authorization: Option<&str>, cookie: Option<&str>) -> (u16, Option<(Object, Credential)>, String) {
    let headers = Headers {
        x_api_key: x_api_key.map(Into::into),
        authorization: authorization.map(Into::into),
        cookie: cookie.map(Into::into),
        ..Headers::default()
    };
    let target = Target::split("https://control.example/v1/whoami").unwrap();
    let request = Request { id: "r1".into(), method: "GET".into(), target, headers, body: Vec::new(), address: None };
    let (settings, objects) = (world::settings(), Silent::default());
    let (documents, reporters) = (Documents::default(), Buckets::default());
    let context = Context { settings: &settings, outside: &objects, documents: &documents, reporters: &reporters, now: world::START };
    let mut future = pin!(front::answer(&request, &context));
    let task::Poll::Ready(answer) = future.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())) else {
        panic!("the objects answer at once");
    };
    let asked = objects.0.take();
    assert!(asked.len() <= 1);
    let said = format!("{:?} {}", answer.headers, String::from_utf8(answer.body.to_vec()).expect("a problem is text"));
    (answer.status, asked.into_iter().next().map(|(object, call)| (object, call.credential)), said)
}

/// A comma anywhere, or two that differ, is ambiguous; an empty `x-api-key` and another scheme are nothing.
fn naively<'a>(x_api_key: Option<&'a str>, authorization: Option<&'a str>) -> Sent<'a> {
    let both: Vec<&str> = [x_api_key, authorization].into_iter().flatten().collect();
    if both.concat().contains(',') {
        return Sent::Ambiguous;
    }
    let key = x_api_key.filter(|value| !value.is_empty()).map(|value| (value, Source::ApiKey));
    let bearer = authorization.and_then(token).map(|value| (value, Source::Bearer));
    let mut found: Vec<(&str, Source)> = [key, bearer].into_iter().flatten().collect();
    found.dedup_by_key(|(value, _)| *value);
    match found.as_slice() {
        [] => Sent::Nothing,
        [(value, source)] => Sent::One(value, *source),
        _ => Sent::Ambiguous,
    }
}

/// The scheme is the longest run of token characters (RFC 9110 §11.4) at the beginning; a slash belongs to no scheme and
/// is not let to end one either. One space parts it from the token.
fn token(value: &str) -> Option<&str> {
    let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/".contains(c))).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    let token = rest.strip_prefix(' ').unwrap_or(rest);
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
