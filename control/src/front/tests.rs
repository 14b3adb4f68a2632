mod leaks;

use core::{
    cell::{Cell, RefCell},
    future::Future,
    pin::pin,
    task,
};
use std::collections::VecDeque;

use keyward_shared::{
    ids::{CompanyId, OwnerId},
    key::{KeyString, Prefix, Secret},
    link::SignInLink,
    permission::PermissionSet,
    shard::Shard,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    call::{API, AUDIT, AUTHENTICATE, ApiAnswer, ApiCall, AuditNote, Caller, Credential, READ_POLICY, REDEEM, SIGN_OUT},
    session,
};

pub(super) const NOW: Millis = Millis(1_800_000_000_000);

/// Objects that say what they are told to, in order, and note what they were asked.
#[derive(Default)]
pub(super) struct Script {
    pub(super) answers: RefCell<VecDeque<Option<Said>>>,
    pub(super) asked: RefCell<Vec<(Object, &'static str, String)>>,
    /// What other sites say, in order, and what they were asked for.
    pub(super) sites: RefCell<VecDeque<Option<Fetched>>>,
    pub(super) got: RefCell<Vec<String>>,
    /// What other sites were sent, with which authorization.
    pub(super) sent: RefCell<Vec<(String, Option<String>, String)>>,
    /// How often random bytes were drawn.
    pub(super) drawn: Cell<u8>,
    pub(super) documents: Documents,
    pub(super) reporters: Buckets,
    pub(super) logged: RefCell<Vec<Value>>,
}

impl Outside for Script {
    async fn get(&self, url: &str) -> Option<Fetched> {
        self.got.borrow_mut().push(url.to_owned());
        self.sites.borrow_mut().pop_front().flatten()
    }

    async fn send_form(&self, url: &str, authorization: Option<&str>, body: String) -> Option<Fetched> {
        self.sent.borrow_mut().push((url.to_owned(), authorization.map(Into::into), body));
        self.sites.borrow_mut().pop_front().flatten()
    }

    fn random(&self) -> Option<[u8; 32]> {
        self.drawn.set(self.drawn.get() + 1);
        Some([self.drawn.get(); 32])
    }

    async fn post(&self, object: Object, path: &'static str, body: String) -> Option<Said> {
        self.asked.borrow_mut().push((object, path, body));
        self.answers.borrow_mut().pop_front().flatten()
    }

    fn log(&self, line: &Value) {
        self.logged.borrow_mut().push(line.clone());
    }
}

impl Script {
    pub(super) fn saying(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        let answers = answers.into_iter().map(|(status, body)| Some(Said { status, body: body.to_string() })).collect();
        Self { answers: RefCell::new(answers), ..Self::default() }
    }

    pub(super) fn asked(&self) -> Vec<(Object, &'static str)> {
        self.asked.borrow().iter().map(|(object, path, _)| (*object, *path)).collect()
    }

    pub(super) fn call(&self, at: usize) -> ApiCall {
        serde_json::from_str(&self.asked.borrow()[at].2).unwrap()
    }
}

pub(super) fn settings() -> ControlSettings {
    let hex = "ab".repeat(32);
    let known = [("OPERATOR_COMPANY", "demo"), ("TAG_SECRETS", &hex), ("RECORD_SECRETS", &hex), ("SESSION_SECRETS", &hex)];
    ControlSettings::read(&|name: &str| known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())).unwrap()
}

pub(super) fn company(id: &str) -> CompanyId {
    CompanyId::new(id).unwrap()
}

pub(super) fn key_of(id: &str) -> KeyString {
    let (prefix, shard, secret) = (Prefix::new("kw_live").unwrap(), Shard::of(&company(id)), Secret::from_bytes([b'a'; 28]).unwrap());
    let tag = settings().common.tag_secrets.tag(shard, &secret.digest(&prefix, shard));
    KeyString::assemble(&prefix, shard, &secret, tag)
}

pub(super) fn request(method: &str, url: &str) -> Request {
    let target = Target::split(&format!("https://control.example{url}")).unwrap();
    Request { id: "r1".into(), method: method.into(), target, headers: Headers::default(), body: Vec::new(), address: None }
}

pub(super) fn with_key(mut request: Request, id: &str) -> Request {
    request.headers.x_api_key = Some(key_of(id).reveal().into());
    request
}

pub(super) fn with_session(mut request: Request) -> Request {
    let token = session::mint(&company("demo"), [7; 32], &settings().session_secrets);
    request.headers.cookie = Some(format!("{}={token}", session::COOKIE));
    request
}

pub(super) fn with_json(mut request: Request, body: &str) -> Request {
    request.headers.content_type = Some("application/json".into());
    request.body = body.into();
    request
}

pub(super) fn run(request: &Request, objects: &Script) -> Answer {
    run_with(&settings(), request, objects)
}

pub(super) fn run_with(settings: &ControlSettings, request: &Request, objects: &Script) -> Answer {
    run_at(NOW, settings, request, objects)
}

pub(super) fn run_at(now: Millis, settings: &ControlSettings, request: &Request, objects: &Script) -> Answer {
    let context = Context { settings, outside: objects, documents: &objects.documents, reporters: &objects.reporters, now };
    let mut future = pin!(answer(request, &context));
    match future.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())) {
        task::Poll::Ready(answer) => answer,
        task::Poll::Pending => panic!("the script answers at once"),
    }
}

/// Answers a request that no object must be asked for.
pub(super) fn alone(request: &Request) -> Answer {
    let objects = Script::default();
    let answer = run(request, &objects);
    assert_eq!(objects.asked(), [], "no object is asked");
    answer
}

pub(super) fn code(answer: &Answer) -> String {
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document["request_id"], "r1");
    format!("{} {}", answer.status, document["code"].as_str().unwrap())
}

pub(super) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

pub(super) fn api_answer(status: u16, body: &Value) -> (u16, Value) {
    (200, serde_json::to_value(ApiAnswer { status, headers: Vec::new(), body: body.to_string() }).unwrap())
}

pub(super) fn caller(company_id: &str, permissions: &str) -> (u16, Value) {
    let permissions = PermissionSet::parse(permissions.split_whitespace()).unwrap();
    let caller = Caller { company: company(company_id), owner: OwnerId::new("admin").unwrap(), key: None, token: false, permissions };
    (200, serde_json::to_value(caller).unwrap())
}

#[test]
fn paths_and_methods_that_do_not_exist_are_refused_before_anything_else() {
    assert_eq!(code(&alone(&request("GET", "/v1/nothing"))), "404 not_found");
    assert_eq!(code(&alone(&request("GET", "/nothing"))), "404 not_found");
    assert_eq!(code(&alone(&request("GET", "/assets/other.css"))), "404 not_found");
    let answer = alone(&request("PUT", "/v1/keys"));
    assert_eq!(code(&answer), "405 method_not_allowed");
    assert_eq!(header(&answer, "allow"), Some("GET, HEAD, POST"));
    assert_eq!(code(&alone(&request("GET", "/sign-out"))), "405 method_not_allowed");
}

#[test]
fn every_answer_names_the_request_and_is_not_cached() {
    for url in ["/", "/health", "/admin/keys", "/v1/keys", "/nothing"] {
        let answer = alone(&request("GET", url));
        assert_eq!(header(&answer, "x-request-id"), Some("r1"), "{url}");
        assert_eq!(header(&answer, "cache-control"), Some("no-store"), "{url}");
    }
}

#[test]
fn a_call_without_a_usable_credential_asks_no_object() {
    let answer = alone(&request("GET", "/v1/keys"));
    assert_eq!((code(&answer).as_str(), header(&answer, "www-authenticate")), ("401 unauthenticated", Some("Bearer realm=\"keyward\"")));
    for (x_api_key, authorization, expected) in [
        ("k,k", "", "400 ambiguous_credentials"),
        ("k", "Bearer j", "400 ambiguous_credentials"),
        ("made-up", "", "401 unauthenticated"),
        ("kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5", "", "401 unauthenticated"), // another deployment's tag
    ] {
        let mut request = request("GET", "/v1/keys");
        request.headers.x_api_key = Some(x_api_key.into());
        request.headers.authorization = Some(authorization.into());
        assert_eq!(code(&alone(&request)), expected, "{x_api_key} {authorization}");
    }
}

#[test]
fn a_call_goes_to_the_shard_of_the_key_and_comes_back_as_it_was_answered() {
    let objects = Script::saying([api_answer(201, &json!({"id": "key_1"}))]);
    let answer = run(&with_json(with_key(request("POST", "/v1/keys?x=1"), "acme"), "{}"), &objects);
    assert_eq!((answer.status, header(&answer, "content-type")), (201, Some("application/json")));
    assert_eq!(objects.asked(), [(Object::Shard(Shard::of(&company("acme"))), API)]);
    let call = objects.call(0);
    assert_eq!((call.query.as_str(), call.body.as_str(), call.company), ("x=1", "{}", None));
    assert!(matches!(call.credential, Credential::Key(_)));
    let sent = &objects.asked.borrow()[0].2;
    assert!(!sent.contains(key_of("acme").reveal()), "the key itself is not passed on");
}

#[test]
fn bodies_must_be_json_and_at_most_a_mebibyte() {
    let large = with_json(with_key(request("POST", "/v1/keys"), "demo"), &"x".repeat(MAX_BODY + 1));
    assert_eq!(code(&alone(&large)), "413 too_large");
    let mut text = with_json(with_key(request("POST", "/v1/keys"), "demo"), "{}");
    text.headers.content_type = Some("text/plain".into());
    assert_eq!(code(&alone(&text)), "415 unsupported_media_type");
    let mut binary = with_json(with_key(request("POST", "/v1/keys"), "demo"), "");
    binary.body = vec![0xff];
    assert_eq!(code(&alone(&binary)), "400 invalid_request");
}

#[test]
fn an_object_that_does_not_answer_is_503_and_never_401() {
    for said in [None, Some(Said { status: 500, body: String::new() }), Some(Said { status: 200, body: "?".into() })] {
        let objects = Script { answers: RefCell::new([said].into()), ..Script::default() };
        let answer = run(&with_key(request("GET", "/v1/keys"), "demo"), &objects);
        assert_eq!((code(&answer).as_str(), header(&answer, "retry-after")), ("503 unavailable", Some("1")));
    }
}

#[test]
fn only_the_operator_reaches_another_company_and_is_vouched_for() {
    let objects = Script::saying([caller("demo", "* keyward.* keyward.operator"), api_answer(200, &json!({}))]);
    let answer = run(&with_key(request("GET", "/v1/keys?company=acme"), "demo"), &objects);
    assert_eq!(answer.status, 200);
    let acme = Object::Shard(Shard::of(&company("acme")));
    assert_eq!(objects.asked(), [(Object::Shard(Shard::of(&company("demo"))), AUTHENTICATE), (acme, API)]);
    assert!(matches!(objects.call(1).credential, Credential::Vouched(_)));
    assert_eq!(objects.call(1).company, Some(company("acme")));

    for (who, permissions, url, expected) in [
        ("acme", "* keyward.* keyward.operator", "/v1/keys?company=demo", "404 not_found"),
        ("acme", "* keyward.* keyward.operator", "/v1/companies/demo", "403 forbidden"),
        ("demo", "* keyward.*", "/v1/companies/acme", "403 forbidden"),
    ] {
        let objects = Script::saying([caller(who, permissions)]);
        assert_eq!(code(&run(&with_key(request("GET", url), who), &objects)), expected, "{who} {url}");
    }
}

#[test]
fn what_the_registry_is_asked_is_vouched_for() {
    let objects = Script::saying([caller("demo", "keyward.operator"), api_answer(200, &json!({}))]);
    run(&with_key(request("HEAD", "/v1/policy"), "demo"), &objects);
    assert_eq!(objects.asked()[1], (Object::Registry, API));
    assert_eq!(objects.call(1).method, "GET");

    let refused = json!({"code": "key_revoked", "request_id": "r1"});
    let objects = Script::saying([(401, refused)]);
    let answer = run(&with_key(request("GET", "/v1/policy"), "demo"), &objects);
    assert_eq!(code(&answer), "401 key_revoked");
    assert!(header(&answer, "www-authenticate").unwrap().contains("invalid_token"));
}

#[test]
fn a_company_in_the_query_that_would_be_passed_over_is_refused() {
    for path in ["/v1/companies/acme", "/v1/companies/acme/export", "/v1/companies", "/v1/policy", "/v1/policy/versions"] {
        let objects = Script::saying([]);
        let answer = run(&with_key(request("GET", &format!("{path}?company=other")), "demo"), &objects);
        assert_eq!(code(&answer), "400 invalid_request", "{path}");
        assert!(objects.asked().is_empty(), "{path}");
    }
    let link = with_json(with_key(request("POST", "/v1/sign-in-links?company=other"), "demo"), r#"{"owner":"ann","company":"acme"}"#);
    assert_eq!(code(&run(&link, &Script::saying([]))), "400 invalid_request");
    let objects = Script::saying([caller("demo", "* keyward.operator"), (200, json!({"company": "acme"}))]);
    run(&with_key(request("GET", "/v1/companies/acme?company=acme"), "demo"), &objects);
    assert_eq!(objects.asked().len(), 2, "the same once more is no contradiction");
}

/// What the front had written into a trail.
pub(super) fn written(objects: &Script, at: usize) -> AuditNote {
    let asked = objects.asked.borrow();
    let (object, path, body) = &asked[at];
    let note: AuditNote = serde_json::from_str(body).unwrap();
    assert_eq!((*object, *path), (Object::Shard(Shard::of(&note.company)), AUDIT));
    note
}

#[test]
fn a_change_that_the_front_refuses_is_in_the_trail_of_the_callers_own_company() {
    for (method, url, action, target, outcome) in [
        ("DELETE", "/v1/companies/acme", "company.delete", "acme", "forbidden in acme"),
        ("POST", "/v1/keys?company=acme", "key.create", "", "not_found in acme"),
        ("PUT", "/v1/owners/ann?company=acme", "owner.put", "ann", "not_found in acme"),
        ("POST", "/v1/keys/key_1/revoke?company=acme", "key.revoke", "key_1", "not_found in acme"),
    ] {
        let objects = Script::saying([caller("demo", "* keyward.*"), (204, json!({}))]);
        let mut request = with_key(request(method, url), "demo");
        request.address = Some("192.0.2.7".parse().unwrap());
        let answer = run(&request, &objects);
        assert!(code(&answer).ends_with(outcome.split(' ').next().unwrap()), "{method} {url}");
        let note = written(&objects, 1);
        assert_eq!((note.company.as_str(), note.actor.as_str(), note.address), ("demo", "admin", request.address), "{method} {url}");
        assert_eq!((note.action.as_str(), note.target.as_str(), note.outcome.as_str()), (action, target, outcome), "{method} {url}");
        assert_eq!((note.id.as_str(), note.request_id.as_str()), ("refused-r1", "r1"));
        assert_eq!(objects.asked().len(), 2, "once");
    }
    let link = with_json(with_key(request("POST", "/v1/sign-in-links"), "demo"), r#"{"owner":"ann","company":"acme"}"#);
    let objects = Script::saying([caller("demo", "* keyward.*"), (204, json!({}))]);
    assert_eq!(code(&run(&link, &objects)), "403 forbidden");
    assert_eq!((written(&objects, 1).action.as_str(), written(&objects, 1).outcome.as_str()), ("sign_in_link.create", "forbidden in acme"));
}

#[test]
fn a_change_that_the_registry_refuses_is_in_the_trail_of_the_callers_own_company() {
    for (company, permissions, method, path, action, status, refusal) in [
        ("acme", "* keyward.*", "PUT", "/v1/policy", "policy.put", 403, "forbidden"),
        ("demo", "* keyward.operator", "PUT", "/v1/policy", "policy.put", 409, "conflict"),
        ("demo", "* keyward.operator", "PUT", "/v1/policy", "policy.put", 422, "unprocessable"),
        ("demo", "* keyward.operator", "POST", "/v1/policy/rollback", "policy.rollback", 404, "not_found"),
        ("demo", "* keyward.operator", "POST", "/v1/policy/rollback", "policy.rollback", 400, "invalid_request"),
    ] {
        let answered = api_answer(status, &json!({"code": refusal, "request_id": "r1"}));
        let objects = Script::saying([caller(company, permissions), answered, (204, json!({}))]);
        let answer = run(&with_json(with_key(request(method, path), company), "{}"), &objects);
        assert_eq!(code(&answer), format!("{status} {refusal}"));
        let note = written(&objects, 2);
        assert_eq!((note.company.as_str(), note.action.as_str(), note.target.as_str()), (company, action, "policy"));
        assert_eq!(note.outcome, refusal);
    }
}

#[test]
fn what_changes_nothing_or_was_done_or_is_of_nobody_known_is_not_recorded() {
    let refused = |status, code: &str| api_answer(status, &json!({"code": code, "request_id": "r1"}));
    for (method, url, answers) in [
        ("GET", "/v1/keys?company=acme", vec![caller("demo", "*")]),
        ("GET", "/v1/policy", vec![caller("demo", "*"), refused(403, "forbidden")]),
        ("PUT", "/v1/policy", vec![caller("demo", "keyward.operator"), api_answer(200, &json!({}))]),
        ("PUT", "/v1/policy", vec![caller("demo", "keyward.operator"), refused(503, "unavailable")]),
        ("PUT", "/v1/policy", vec![(401, json!({"code": "unauthenticated", "request_id": "r1"}))]),
        // In one shard the Shard object sees the refusal, and records it.
        ("POST", "/v1/keys", vec![refused(422, "unprocessable")]),
    ] {
        let objects = Script::saying(answers);
        run(&with_json(with_key(request(method, url), "demo"), "{}"), &objects);
        assert!(objects.asked().iter().all(|(_, path)| *path != AUDIT), "{method} {url}");
    }
}

#[test]
fn a_refusal_stands_though_it_cannot_be_written_down_and_the_log_hears_of_it() {
    let said = |status| Some(Said { status, body: caller("demo", "*").1.to_string() });
    for (answers, asked, logged) in
        [(vec![said(200), None, said(204)], 3, 0), (vec![said(200), said(503), said(503)], 3, 1), (vec![said(200), None, None], 3, 1)]
    {
        let objects = Script { answers: RefCell::new(answers.into()), ..Script::default() };
        let answer = run(&with_key(request("DELETE", "/v1/companies/acme"), "demo"), &objects);
        assert_eq!(code(&answer), "403 forbidden");
        assert_eq!((objects.asked().len(), objects.logged.borrow().len()), (asked, logged));
        assert_eq!(written(&objects, 1).id, written(&objects, asked - 1).id, "so that twice is once");
    }
}

#[test]
fn with_a_session_only_a_page_of_this_origin_changes_anything() {
    let post = with_json(with_session(request("POST", "/v1/keys")), "{}");
    assert_eq!(code(&alone(&post)), "403 forbidden");
    let mut cross_site = post.clone();
    cross_site.headers.sec_fetch_site = Some("cross-site".into());
    assert_eq!(code(&alone(&cross_site)), "403 forbidden");

    let mut own = post;
    own.headers.sec_fetch_site = Some("same-origin".into());
    let objects = Script::saying([api_answer(201, &json!({}))]);
    assert_eq!(run(&own, &objects).status, 201);
    assert!(matches!(objects.call(0).credential, Credential::Session { .. }));

    let mut tampered = with_session(request("GET", "/v1/keys"));
    tampered.headers.cookie = tampered.headers.cookie.map(|cookie| cookie.replace("07", "08"));
    assert_eq!(code(&alone(&tampered)), "401 unauthenticated");
}

#[test]
fn the_page_shows_the_keys_of_who_is_signed_in() {
    let whoami = json!({"owner": "admin", "owner_name": "Ann", "company": "demo", "company_name": "Demo Inc", "permissions": ["*"]});
    let objects = Script::saying([api_answer(200, &whoami), api_answer(200, &json!({"keys": [], "next_cursor": null}))]);
    let answer = run(&with_session(request("GET", "/admin/keys?cursor=a%2Bb")), &objects);
    assert_eq!((answer.status, header(&answer, "content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(header(&answer, "content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(String::from_utf8_lossy(&answer.body).contains("Demo Inc"));
    let query = "owner=admin&sort=-created_at&usage=30d&limit=50&cursor=a%2Bb";
    assert_eq!((objects.call(1).path.as_str(), objects.call(1).query.as_str()), ("/v1/keys", query));
}

#[test]
fn without_a_living_session_the_page_says_how_to_get_in_and_an_outage_is_called_one() {
    assert_eq!(alone(&request("GET", "/admin/keys")).status, 401);
    let objects = Script::saying([api_answer(401, &json!({"code": "unauthenticated"}))]);
    let answer = run(&with_session(request("GET", "/admin/keys")), &objects);
    assert_eq!(answer.status, 401);
    assert!(header(&answer, "set-cookie").unwrap().contains("Max-Age=0"));
    let answer = run(&with_session(request("GET", "/admin/keys")), &Script::default());
    assert_eq!((answer.status, header(&answer, "set-cookie")), (503, None), "an outage ends no session");
}

fn link(expires_at: Millis) -> String {
    let link = SignInLink { expires_at, ..SignInLink::new(company("demo"), OwnerId::new("admin").unwrap(), NOW, [1; 16]) };
    format!("/sign-in?token={}", link.to_token(&settings().session_secrets))
}

#[test]
fn a_link_signs_in_and_looking_at_it_does_not_use_it_up() {
    let url = link(NOW.plus(Millis(1)));
    let objects = Script::saying([(200, json!({"token": "kws_t", "max_age_s": 60}))]);
    let answer = run(&request("GET", &url), &objects);
    assert_eq!(objects.asked(), [(Object::Shard(Shard::of(&company("demo"))), REDEEM)]);
    assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/")));
    assert!(header(&answer, "set-cookie").unwrap().starts_with("__Host-keyward=kws_t;"));

    alone(&request("HEAD", &url));
    let mut guess = request("GET", &url);
    guess.headers.purpose = Some("prefetch;prerender".into());
    alone(&guess);
}

#[test]
fn a_link_that_cannot_be_used_leads_to_a_page_that_says_so() {
    assert_eq!(alone(&request("GET", &link(NOW))).status, 410);
    assert_eq!(alone(&request("GET", "/sign-in?token=x")).status, 400);
    assert_eq!(alone(&request("GET", "/sign-in")).status, 400);
    for (said, expected) in [(409, 410), (403, 403), (503, 503)] {
        let objects = Script::saying([(said, json!({}))]);
        assert_eq!(run(&request("GET", &link(NOW.plus(Millis(1)))), &objects).status, expected, "{said}");
    }
}

#[test]
fn signing_out_ends_the_session_first_and_is_not_done_by_other_sites() {
    let mut request = with_session(request("POST", "/sign-out"));
    assert_eq!(code(&alone(&request)), "403 forbidden");
    request.headers.sec_fetch_site = Some("same-origin".into());
    let objects = Script { answers: RefCell::new([Some(Said { status: 204, body: String::new() })].into()), ..Script::default() };
    let answer = run(&request, &objects);
    assert_eq!(objects.asked()[0].1, SIGN_OUT);
    assert!(header(&answer, "set-cookie").unwrap().contains("Max-Age=0"));
    let answer = run(&request, &Script::default());
    assert_eq!((answer.status, header(&answer, "set-cookie")), (503, None));
    let html = String::from_utf8(answer.body.into_owned()).unwrap();
    assert!(
        html.contains(r#"method="post" action="/sign-out""#) && !html.contains("href=\"\""),
        "a form, for the address takes no other: {html}"
    );
}

#[test]
fn a_page_tells_its_own_site_where_a_form_comes_from_and_no_other() {
    // Without that, browsers that know no Sec-Fetch-Site send `Origin: null` with every form, which is refused.
    assert_eq!(header(&alone(&request("GET", "/admin/keys")), "referrer-policy"), Some("same-origin"));
}

#[test]
fn assets_are_kept_for_ever_and_heads_have_no_body() {
    let html = String::from_utf8(alone(&request("GET", "/admin/keys")).body.into_owned()).unwrap();
    let at = html.find("/assets/").unwrap();
    let path = html[at..].split('"').next().unwrap().to_owned();
    let answer = alone(&request("GET", &path));
    assert_eq!((answer.status, header(&answer, "cache-control")), (200, Some("public, max-age=31536000, immutable")));
    assert!(alone(&request("HEAD", &path)).body.is_empty());
}

#[test]
fn what_explains_a_key_gets_the_policy_from_the_registry_and_goes_on_without_it() {
    let policy = json!({"v": 1, "rev": 7, "as_of": 5, "policy": {"default": "deny", "rules": [{"path": "/a/**", "permission": "a.read"}]}});
    let asked = [(Object::Registry, READ_POLICY), (Object::Shard(Shard::of(&company("demo"))), API)];
    let explain = with_key(request("GET", "/v1/keys/key_1/explain?path=/a"), "demo");
    for (said, brought) in [((200, policy.clone()), Some(policy["policy"].clone())), ((503, json!({})), None), ((200, json!([])), None)] {
        let objects = Script::saying([said, api_answer(200, &json!({}))]);
        assert_eq!(run(&explain, &objects).status, 200);
        assert_eq!(objects.asked(), asked);
        assert_eq!(objects.call(1).policy.map(|policy| json!(policy)), brought);
    }
    let objects = Script::saying([api_answer(200, &json!({}))]);
    run(&with_key(request("GET", "/v1/keys/key_1"), "demo"), &objects);
    assert_eq!((objects.asked().len(), objects.call(0).policy), (1, None), "nothing else needs it");
}
