//! Sessions that end: in the middle of a form, everywhere at once, and behind Cloudflare Access.

use std::cell::RefCell;

use keyward_shared::shard::Shard;
use serde_json::{Value, json};

use super::{
    super::{
        Fetched, Object, Request, Said,
        tests::{Script, alone, api_answer, code, company, header, key_of, request, run_with, settings, with_session},
    },
    tests::{cookies, document, script, text, with_client},
};
use crate::{
    call::{API, Credential, END_SESSIONS, EndSessions, SIGN_OUT},
    oidc::{
        Provider,
        fixtures::{claims_with, key_set, provider, token},
        provider::Keys,
    },
    settings::ControlSettings,
};

fn with_access() -> ControlSettings {
    let certs = Keys::At("https://team.example/cdn-cgi/access/certs".into());
    let access =
        Provider { issuer: "https://team.example".into(), audience: "app".into(), owner: "email".into(), keys: certs, ..provider() };
    ControlSettings { access: Some(access), ..settings() }
}

fn asserted(mut request: Request) -> Request {
    let claims = json!({"iss": "https://team.example", "aud": ["app"], "email": "ann@acme.example", "sub": "7"});
    request.headers.access_assertion = Some(token("rsa", &json!({}), &claims_with(&claims)));
    request
}

fn certs() -> Option<Fetched> {
    document(&key_set(&["rsa"]))
}

fn own(mut request: Request) -> Request {
    request.headers.sec_fetch_site = Some("same-origin".into());
    request
}

/// A form that comes when nobody is signed in any more.
fn late(body: &str) -> Request {
    let mut request = own(with_session(request("POST", "/admin/keys?a=1")));
    request.headers.content_type = Some("application/x-www-form-urlencoded".into());
    request.body = body.into();
    request
}

#[test]
fn a_session_that_ends_in_the_middle_of_a_form_loses_nothing() {
    let ended = || Script::saying([api_answer(401, &json!({"code": "unauthenticated"}))]);
    let key = key_of("demo").reveal().to_owned();
    let body = format!("name=%22%3E%3Cscript%3E&permissions=a&permissions=b&note=l1%0D%0Al2&form=r7&password=hunter2&leaked=my+{key}");
    let expired = late(&body);
    let mut without = expired.clone();
    without.headers.cookie = None;
    for (what, request, script) in [("an ended session", expired, ended()), ("no session", without, Script::default())] {
        let answer = run_with(&with_client(), &request, &script);
        let html = text(&answer);
        assert_eq!((answer.status, header(&answer, "content-type")), (401, Some("text/html; charset=utf-8")), "{what}");
        assert!(html.contains(r#"method="post"><input type="hidden""#), "it goes to where it was sent: {what}: {html}");
        for kept in [
            r#"name="name" value="&quot;&gt;&lt;script&gt;""#,
            r#"name="permissions" value="a""#,
            r#"name="permissions" value="b""#,
            "name=\"note\" value=\"l1\r\nl2\"",
            r#"name="form" value="r7""#,
        ] {
            assert!(html.contains(kept), "{what}: {kept}: {html}");
        }
        assert!(!html.contains("hunter2") && !html.contains(&key) && !html.contains("<script"), "{what}");
        assert!(html.contains("not kept") && html.contains("/sign-in?return=%2Fadmin%2Fsigned-in"), "{what}");
    }
    // Whoever has no provider is told about links.
    assert!(text(&run_with(&settings(), &late("name=x"), &ended())).contains("in another tab"));
    // An outage is one, and no session ends by it.
    let answer = run_with(&with_client(), &late("name=x"), &Script::default());
    assert_eq!((answer.status, cookies(&answer).len()), (503, 0));
    // Another site's form is not shown to anybody.
    let mut foreign = late("name=x");
    foreign.headers.sec_fetch_site = Some("cross-site".into());
    assert_eq!(code(&run_with(&with_client(), &foreign, &Script::default())), "403 forbidden");
    // What is no form is not kept.
    let mut text_plain = late("name=x");
    text_plain.headers.content_type = Some("text/plain".into());
    let answer = run_with(&with_client(), &text_plain, &ended());
    assert!(answer.status == 401 && text(&answer).contains("Not signed in"));
}

#[test]
fn signing_out_everywhere_ends_all_sessions_of_who_asks() {
    let post = || with_session(request("POST", "/sign-out/everywhere"));
    assert_eq!(code(&alone(&post())), "403 forbidden", "of another site");
    let script = Script::saying([(204, Value::Null)]);
    let answer = run_with(&settings(), &own(post()), &script);
    assert_eq!(script.asked(), [(Object::Shard(Shard::of(&company("demo"))), END_SESSIONS)]);
    let asked: EndSessions = serde_json::from_str(&script.asked.borrow()[0].2).unwrap();
    assert!(matches!(asked.credential, Credential::Session { .. }));
    assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/")));
    assert!(cookies(&answer)[0].contains("Max-Age=0"));
    // Whose session has ended already has to say first who they are.
    let answer = run_with(&with_client(), &own(post()), &Script::saying([(401, json!({}))]));
    assert_eq!(answer.status, 401);
    assert!(text(&answer).contains("/sign-in?return=%2Fadmin%2Faccount"));
    assert_eq!(run_with(&settings(), &own(request("POST", "/sign-out/everywhere")), &Script::default()).status, 401);
    let failing = Script { answers: RefCell::new([Some(Said { status: 500, body: String::new() })].into()), ..Script::default() };
    for script in [Script::default(), failing] {
        let answer = run_with(&settings(), &own(post()), &script);
        assert_eq!((answer.status, cookies(&answer).len()), (503, 0), "what may live on is not called ended");
        assert!(text(&answer).contains(r#"method="post" action="/sign-out/everywhere""#), "{}", text(&answer));
    }
    assert_eq!(code(&alone(&request("GET", "/sign-out/everywhere"))), "405 method_not_allowed");
}

#[test]
fn whom_access_lets_in_sees_the_pages_and_leaves_through_access() {
    let whoami = json!({"owner": "ann@acme.example", "company": "demo", "permissions": ["keyward.keys.own"]});
    let listed = json!({"keys": [], "next_cursor": null});
    let script = script([certs()], [api_answer(200, &whoami), api_answer(200, &listed)]);
    let answer = run_with(&with_access(), &asserted(request("GET", "/admin/keys")), &script);
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert!(text(&answer).contains("ann@acme.example"));
    assert!(script.asked().iter().all(|(_, path)| *path == API));
    assert!(matches!(script.call(0).credential, Credential::Token(_)));

    // A form too, from this site only.
    let post = || Request { method: "POST".into(), ..asserted(request("POST", "/admin/account")) };
    assert_eq!(code(&run_with(&with_access(), &post(), &Script::default())), "403 forbidden");
    let script = super::tests::script([certs()], [api_answer(200, &whoami)]);
    let answer = run_with(&with_access(), &own(post()), &script);
    assert!(answer.status == 200 && text(&answer).contains("Cloudflare Access"), "{}", text(&answer));

    // Signing in is done already, so it only leads back; an earlier session, maybe somebody else's, does not go before it.
    let script = super::tests::script([certs()], [(204, Value::Null)]);
    let answer = run_with(&with_access(), &with_session(asserted(request("GET", "/sign-in?return=%2Fadmin%2Faudit"))), &script);
    assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/audit")));
    assert_eq!(script.asked()[0].1, SIGN_OUT);
    assert!(cookies(&answer)[0].contains("Max-Age=0"));
    let answer = run_with(&with_access(), &asserted(request("GET", "/sign-in")), &super::tests::script([None], []));
    assert_eq!(answer.status, 503, "while its keys cannot be fetched nobody knows");

    // Out again, with and without a session beside it.
    for (request, objects) in [
        (asserted(request("POST", "/sign-out")), vec![]),
        (with_session(asserted(request("POST", "/sign-out"))), vec![(204, Value::Null)]),
        (asserted(request("POST", "/sign-out/everywhere")), vec![(204, Value::Null)]),
    ] {
        let answer = run_with(&with_access(), &own(request), &super::tests::script([certs()], objects));
        assert_eq!((answer.status, header(&answer, "refresh")), (200, Some("0; url=/cdn-cgi/access/logout")));
        assert!(cookies(&answer)[0].contains("Max-Age=0"));
    }
    // Who is not in the directory is told so, and not to sign in again.
    let script = super::tests::script([certs()], [api_answer(401, &json!({"code": "unauthenticated"}))]);
    let answer = run_with(&with_access(), &asserted(request("GET", "/admin/keys")), &script);
    assert!(answer.status == 401 && text(&answer).contains("not known here"), "{}", text(&answer));
    // Whose session of another kind has ended is still let in by Access: they go on, and need no link.
    let ended = || super::tests::script([], [api_answer(401, &json!({"code": "unauthenticated"}))]);
    let answer = run_with(&with_access(), &with_session(asserted(request("GET", "/admin/keys?q=erp"))), &ended());
    assert!(answer.status == 401 && cookies(&answer)[0].contains("Max-Age=0"));
    assert!(text(&answer).contains(r#"href="/admin/keys?q=erp">Go on"#) && !text(&answer).contains("sign-in link"), "{}", text(&answer));
    let form = Request { method: "POST".into(), ..asserted(late("name=x")) };
    let answer = run_with(&with_access(), &form, &ended());
    assert!(text(&answer).contains("Send again") && !text(&answer).contains("sign-in link"), "{}", text(&answer));
    let script = super::tests::script([], [(401, json!({}))]);
    let answer = run_with(&with_access(), &own(with_session(asserted(request("POST", "/sign-out/everywhere")))), &script);
    assert!(answer.status == 401 && text(&answer).contains(r#"href="/admin/account">Go on"#), "{}", text(&answer));
    // Where Access is not set up its header is nothing.
    let answer = run_with(&settings(), &own(with_session(asserted(request("POST", "/sign-out")))), &Script::saying([(204, Value::Null)]));
    assert_eq!((answer.status, header(&answer, "refresh")), (303, None));
}
