//! Tokens and assertions at the front: which one counts beside other credentials, where the issuer's keys come from, and
//! what is said while they cannot be had.

use std::cell::RefCell;

use keyward_shared::{permission::OPERATOR, shard::Shard, time::Millis};
use serde_json::{Value, json};

use super::{
    Answer, Fetched, Object, Request,
    tests::{Script, api_answer, caller, code, company, header, key_of, request, run_at, run_with, settings, with_json, with_session},
};
use crate::{
    call::{API, AUTHENTICATE, Credential, Token},
    oidc::{
        Provider,
        fixtures::{ISSUER, NOW, claims_with, key_set, provider, token},
        provider::Keys,
    },
    settings::ControlSettings,
};

const CONFIGURATION: &str = "https://issuer.example/.well-known/openid-configuration";
const KEYS: &str = "https://issuer.example/jwks";
const ACCESS: &str = "https://team.example";
const CERTS: &str = "https://team.example/cdn-cgi/access/certs";

fn with_providers() -> ControlSettings {
    let oidc = Provider { company: Some("company".into()), ..provider() };
    let access =
        Provider { issuer: ACCESS.into(), audience: "app".into(), owner: "email".into(), keys: Keys::At(CERTS.into()), ..provider() };
    ControlSettings { oidc: Some(oidc), access: Some(access), ..settings() }
}

#[allow(clippy::unnecessary_wraps)] // as a site answers
fn document(body: &Value) -> Option<Fetched> {
    Some(Fetched { status: 200, body: body.to_string(), max_age_s: None })
}

fn configuration() -> Option<Fetched> {
    document(&json!({"issuer": ISSUER, "jwks_uri": KEYS}))
}

fn good() -> String {
    token("p256", &json!({}), &claims_with(&json!({"company": "acme"})))
}

fn assertion() -> String {
    token("rsa", &json!({}), &claims_with(&json!({"iss": ACCESS, "aud": ["app"], "email": "ann@acme.example", "sub": "7"})))
}

fn bearer(mut request: Request, token: &str) -> Request {
    request.headers.authorization = Some(format!("Bearer {token}"));
    request
}

fn asserted(mut request: Request, token: &str) -> Request {
    request.headers.access_assertion = Some(token.into());
    request
}

/// Objects that take one call, and sites that say this.
fn script(sites: impl IntoIterator<Item = Option<Fetched>>) -> Script {
    Script { sites: RefCell::new(sites.into_iter().collect()), ..Script::saying([api_answer(200, &json!({}))]) }
}

fn provided() -> Script {
    script([configuration(), document(&key_set(&["p256"]))])
}

fn run(request: &Request, script: &Script) -> Answer {
    run_with(&with_providers(), request, script)
}

/// Answers a request for which no object may be asked: its code.
fn refused(request: &Request, script: &Script) -> String {
    let answer = run(request, script);
    assert_eq!(script.asked(), [], "no object is asked");
    code(&answer)
}

fn passed_on(script: &Script, at: usize) -> Token {
    match script.call(at).credential {
        Credential::Token(token) => token,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_goes_to_the_shard_of_its_company_as_what_it_says() {
    let script = provided();
    assert_eq!(run(&bearer(request("GET", "/v1/keys"), &good()), &script).status, 200);
    assert_eq!(script.asked(), [(Object::Shard(Shard::of(&company("acme"))), API)]);
    let said = passed_on(&script, 0);
    assert_eq!((said.company.as_str(), said.owner.as_str(), said.issuer.as_str()), ("acme", "ann", ISSUER));
    assert_eq!(*script.got.borrow(), [CONFIGURATION, KEYS]);
    let sent = serde_json::to_string(&script.call(0)).unwrap();
    assert!(!sent.contains(&good()) && !sent.contains(good().rsplit('.').next().unwrap()), "the token itself is not passed on");
}

#[test]
fn with_a_token_of_its_own_a_program_needs_no_origin() {
    let script = provided();
    assert_eq!(run(&with_json(bearer(request("POST", "/v1/keys"), &good()), "{}"), &script).status, 200);
}

#[test]
fn where_no_issuer_is_set_a_token_is_no_key() {
    let script = Script::default();
    let answer = run_with(&settings(), &bearer(request("GET", "/v1/keys"), &good()), &script);
    assert_eq!((code(&answer).as_str(), script.asked().len(), script.got.borrow().len()), ("401 unauthenticated", 0, 0));
}

#[test]
fn what_was_sent_on_purpose_decides_alone() {
    let own = |mut request: Request| {
        request.headers.sec_fetch_site = Some("same-origin".into());
        request
    };
    let bad = token("p256_other", &json!({"kid": "p256"}), &claims_with(&json!({"company": "acme"})));
    let keyed = |mut request: Request, key: &str| {
        request.headers.x_api_key = Some(key.into());
        request
    };
    // A token and a session, a token and an assertion: the token.
    for request in
        [bearer(with_session(request("GET", "/v1/keys")), &good()), asserted(bearer(request("GET", "/v1/keys"), &good()), &assertion())]
    {
        let script = provided();
        assert_eq!(run(&request, &script).status, 200);
        assert_eq!(passed_on(&script, 0).owner.as_str(), "ann");
    }
    // A bad one never falls back to what would do.
    for bad in [bad.as_str(), "a.b.c", "..", "made-up", "a.b.c.d.e"] {
        let request = asserted(bearer(own(with_session(request("POST", "/v1/keys"))), bad), &assertion());
        assert_eq!(refused(&request, &script([configuration(), document(&key_set(&["p256"]))])), "401 unauthenticated", "{bad}");
    }
    // A token is no key.
    assert_eq!(refused(&keyed(request("GET", "/v1/keys"), &good()), &provided()), "401 unauthenticated");
    assert_eq!(refused(&bearer(keyed(request("GET", "/v1/keys"), &good()), &good()), &provided()), "401 unauthenticated");
    let key = key_of("acme");
    assert_eq!(refused(&bearer(keyed(request("GET", "/v1/keys"), key.reveal()), &good()), &provided()), "400 ambiguous_credentials");
    assert_eq!(refused(&bearer(request("GET", "/v1/keys"), &format!("{}, {}", good(), good())), &provided()), "400 ambiguous_credentials");
    // A key as Bearer stays one.
    let script = provided();
    run(&asserted(bearer(request("GET", "/v1/keys"), key.reveal()), &assertion()), &script);
    assert!(matches!(script.call(0).credential, Credential::Key(_)));
    assert_eq!(script.got.borrow().len(), 0);
}

#[test]
fn the_operator_reaches_other_companies_with_a_token_too() {
    let script = Script { sites: provided().sites, ..Script::saying([caller("demo", OPERATOR), api_answer(200, &json!({}))]) };
    let of_demo = token("p256", &json!({}), &claims_with(&json!({"company": "demo"})));
    assert_eq!(run(&bearer(request("GET", "/v1/keys?company=acme"), &of_demo), &script).status, 200);
    let (demo, acme) = (Object::Shard(Shard::of(&company("demo"))), Object::Shard(Shard::of(&company("acme"))));
    assert_eq!(script.asked(), [(demo, AUTHENTICATE), (acme, API)]);
    assert!(matches!(script.call(1).credential, Credential::Vouched(_)));

    let script = Script { sites: provided().sites, ..Script::saying([caller("acme", "* keyward.*")]) };
    assert_eq!(code(&run(&bearer(request("GET", "/v1/keys?company=demo"), &good()), &script)), "404 not_found");
}

#[test]
fn an_issuer_that_cannot_be_reached_is_503_and_never_401() {
    let down = || Some(Fetched { status: 500, body: String::new(), max_age_s: None });
    let no_key_set = || document(&json!({"error": "maintenance"}));
    for sites in [
        vec![None],
        vec![down()],
        vec![configuration(), None],
        vec![configuration(), down()],
        vec![configuration(), no_key_set()],
        vec![no_key_set()],
        vec![document(&json!({"issuer": "https://other.example", "jwks_uri": KEYS}))],
        vec![document(&json!({"issuer": ISSUER, "jwks_uri": "http://127.0.0.1/jwks"}))],
    ] {
        let script = script(sites.clone());
        let answer = run(&bearer(request("GET", "/v1/keys"), &good()), &script);
        assert_eq!((code(&answer).as_str(), header(&answer, "retry-after")), ("503 unavailable", Some("10")), "{sites:?}");
        assert_eq!(script.asked(), [], "{sites:?}");
    }
}

#[test]
fn a_token_that_is_no_good_costs_the_issuer_nothing() {
    for token in [
        "a.b.c".to_owned(),
        token("p256", &json!({"alg": "none"}), &claims_with(&json!({"company": "acme"}))),
        token("p256", &json!({}), &claims_with(&json!({"company": "acme", "exp": 1}))),
        token("p256", &json!({}), &claims_with(&json!({"company": "acme", "iss": ACCESS}))),
        token("p256", &json!({}), &claims_with(&json!({}))),
    ] {
        let script = Script::default();
        assert_eq!(refused(&bearer(request("GET", "/v1/keys"), &token), &script), "401 unauthenticated", "{token}");
        assert_eq!(script.got.borrow().len(), 0, "{token}");
    }
}

#[test]
fn keys_are_fetched_once_and_again_for_a_name_that_is_not_known() {
    let settings = with_providers();
    let script = Script::saying((0..4).map(|_| api_answer(200, &json!({}))));
    script.sites.borrow_mut().extend([configuration(), document(&key_set(&["p256"]))]);
    let call = |name: &str, seconds: u64| {
        let token = token(name, &json!({}), &claims_with(&json!({"company": "acme"})));
        run_at(NOW.plus(Millis::from_secs(seconds)), &settings, &bearer(request("GET", "/v1/keys"), &token), &script)
    };
    assert_eq!((call("p256", 0).status, call("p256", 1).status), (200, 200));
    assert_eq!(script.got.borrow().len(), 2);
    // In the same minute the issuer is not asked again for a key that it did not have: names are made up easily.
    assert_eq!(code(&call("p256_other", 59)), "401 unauthenticated");
    assert_eq!(script.got.borrow().len(), 2);
    // A minute later it is, and has the key, but not the earlier one any more.
    script.sites.borrow_mut().push_back(document(&key_set(&["p256_other"])));
    assert_eq!(call("p256_other", 60).status, 200);
    assert_eq!((script.got.borrow().len(), script.got.borrow().last().cloned()), (3, Some(KEYS.into())));
    assert_eq!(code(&call("p256", 60)), "401 unauthenticated");
    // While it is down, what is known counts; whether a key is new cannot be told.
    assert_eq!(code(&call("p256", 121)), "503 unavailable");
    assert_eq!(call("p256_other", 122).status, 200);
    assert_eq!(script.got.borrow().len(), 4);
}

#[test]
fn an_assertion_counts_where_access_is_set_up_and_changes_nothing_from_another_site() {
    let certs = || script([document(&key_set(&["rsa"]))]);
    let script = certs();
    assert_eq!(run(&asserted(request("GET", "/v1/keys"), &assertion()), &script).status, 200);
    let said = passed_on(&script, 0);
    assert_eq!((said.company.as_str(), said.owner.as_str(), said.issuer.as_str()), ("demo", "ann@acme.example", ACCESS));
    assert_eq!(*script.got.borrow(), [CERTS]);

    let post = |site: Option<&str>, origin: Option<&str>| {
        let mut request = with_json(asserted(request("POST", "/v1/keys"), &assertion()), "{}");
        request.headers.sec_fetch_site = site.map(Into::into);
        request.headers.origin = origin.map(Into::into);
        request
    };
    for (site, origin) in [
        (None, None),
        (Some("cross-site"), Some("https://evil.example")),
        (Some("same-site"), None),
        (Some("none"), None),
        (None, Some("https://evil.example")),
        (None, Some("null")),
    ] {
        assert_eq!(refused(&post(site, origin), &certs()), "403 forbidden", "{site:?} {origin:?}");
    }
    for (site, origin) in [(Some("same-origin"), None), (None, Some("https://control.example"))] {
        assert_eq!(run(&post(site, origin), &certs()).status, 200);
    }

    // Beside a session, the session: it is whom the page shows.
    let script = certs();
    run(&asserted(with_session(request("GET", "/v1/keys")), &assertion()), &script);
    assert!(matches!(script.call(0).credential, Credential::Session { .. }));

    // One provider's token is not the other's, and without settings it is nothing.
    assert_eq!(refused(&asserted(request("GET", "/v1/keys"), &good()), &provided()), "401 unauthenticated");
    assert_eq!(refused(&bearer(request("GET", "/v1/keys"), &assertion()), &certs()), "401 unauthenticated");
    assert_eq!(refused(&asserted(request("GET", "/v1/keys"), ""), &certs()), "401 unauthenticated");
    let without = ControlSettings { access: None, ..with_providers() };
    let script = certs();
    let answer = run_with(&without, &asserted(request("GET", "/v1/keys"), &assertion()), &script);
    assert_eq!((code(&answer).as_str(), script.asked().len(), script.got.borrow().len()), ("401 unauthenticated", 0, 0));
    assert_eq!(refused(&asserted(request("GET", "/v1/keys"), &assertion()), &self::script([None])), "503 unavailable");
}
