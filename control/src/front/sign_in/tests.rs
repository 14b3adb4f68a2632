//! Signing in at the front: everything that is done to a sign-in to make it end somewhere else, and every part that can be away.

use std::cell::RefCell;

use keyward_shared::{ids::OwnerId, link::SignInLink, shard::Shard, time::Millis};
use serde_json::{Value, json};

use super::super::{
    Answer, Fetched, Object, Request,
    tests::{NOW, Script, alone, code, company, header, request, run_at, run_with, settings, with_session},
};
use crate::{
    call::{BEGIN_SESSION, BeginSession, REDEEM, SIGN_OUT},
    oidc::{
        Attempt, Client,
        attempt::{self, LIFETIME},
        fixtures::{ISSUER, claims_with, key_set, token},
    },
    settings::ControlSettings,
};

const KEYS: &str = "https://issuer.example/jwks";
const CALLBACK: &str = "/sign-in/callback";

/// Deployment and provider, set up for each other.
pub(super) fn with_client() -> ControlSettings {
    let set = [("OIDC_ISSUER", ISSUER), ("OIDC_CLIENT_ID", "keyward"), ("OIDC_CLIENT_SECRET", "hush-hush")];
    let client = Client::read(&|name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()));
    ControlSettings { sign_in: client.unwrap(), ..settings() }
}

#[allow(clippy::unnecessary_wraps)] // as a site answers
pub(super) fn document(body: &Value) -> Option<Fetched> {
    Some(Fetched { status: 200, body: body.to_string(), max_age_s: None })
}

#[allow(clippy::unnecessary_wraps)] // as a site answers
fn refusal(status: u16, error: &str) -> Option<Fetched> {
    Some(Fetched { status, body: json!({"error": error, "error_description": "<b>"}).to_string(), max_age_s: None })
}

fn configuration(names_itself: bool) -> Option<Fetched> {
    document(&json!({
        "issuer": ISSUER, "jwks_uri": KEYS, "authorization_endpoint": "https://issuer.example/auth",
        "token_endpoint": "https://issuer.example/token", "authorization_response_iss_parameter_supported": names_itself,
    }))
}

/// The ID token of a sign-in that drew the first three random numbers, with `changed` claims.
fn id_token(changed: &Value) -> String {
    let mut claims = json!({"nonce": attempt(NOW).nonce});
    claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    token("p256", &json!({}), &claims_with(&claims))
}

fn tokens(id_token: &str) -> Option<Fetched> {
    document(&json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token}))
}

fn attempt(now: Millis) -> Attempt {
    Attempt::new([[1; 32], [2; 32], [3; 32]], "/admin/keys?q=erp", now)
}

pub(super) fn script(sites: impl IntoIterator<Item = Option<Fetched>>, objects: impl IntoIterator<Item = (u16, Value)>) -> Script {
    Script { sites: RefCell::new(sites.into_iter().collect()), ..Script::saying(objects) }
}

fn session() -> (u16, Value) {
    (200, json!({"token": "kws_new", "max_age_s": 28800}))
}

/// The callback of `attempt`'s browser.
fn callback(query: &str, cookie: &str) -> Request {
    let mut request = request("GET", &format!("{CALLBACK}?{query}"));
    request.headers.cookie = Some(format!("a=b; {}={cookie}", attempt::COOKIE));
    request
}

fn good() -> Request {
    let attempt = attempt(NOW);
    callback(
        &format!("code=c0de&state={}&iss=https%3A%2F%2Fissuer.example", attempt.state),
        &attempt.to_cookie(&settings().session_secrets),
    )
}

pub(super) fn cookies(answer: &Answer) -> Vec<&str> {
    answer.headers.iter().filter(|(name, _)| name == "Set-Cookie").map(|(_, value)| value.as_str()).collect()
}

pub(super) fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[test]
fn the_way_to_the_provider_is_bound_to_this_browser() {
    let script = script([configuration(true)], []);
    let answer = run_with(&with_client(), &request("GET", "/sign-in?return=%2Fadmin%2Fkeys%3Fq%3Derp"), &script);
    let attempt = attempt(NOW);
    let (place, query) = header(&answer, "location").unwrap().split_once('?').unwrap();
    assert_eq!((answer.status, place), (303, "https://issuer.example/auth"));
    let sent: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for (name, value) in [
        ("state", attempt.state.as_str()),
        ("nonce", &attempt.nonce),
        ("code_challenge", &attempt.challenge()),
        ("redirect_uri", "https://control.example/sign-in/callback"),
    ] {
        assert!(sent.contains(&(name.into(), value.into())), "{name}: {query}");
    }
    assert!(!query.contains(&attempt.verifier) && !query.contains("hush-hush"));
    let expected = format!(
        "__Host-keyward-sign-in={}; Path=/; Max-Age=86400; Secure; HttpOnly; SameSite=Lax",
        attempt.to_cookie(&settings().session_secrets)
    );
    assert_eq!(cookies(&answer), [expected]);

    // People see another address than this Worker does.
    let seen = ControlSettings { public_control_url: Some("https://keys.example".into()), ..with_client() };
    let answer = run_with(&seen, &request("GET", "/sign-in"), &self::script([configuration(true)], []));
    assert!(header(&answer, "location").unwrap().contains("redirect_uri=https%3A%2F%2Fkeys.example%2Fsign-in%2Fcallback"));
}

#[test]
fn whoever_comes_back_gets_a_session_and_is_where_they_wanted_to_go() {
    let script = script([configuration(true), tokens(&id_token(&json!({}))), document(&key_set(&["p256"]))], [session()]);
    let answer = run_with(&with_client(), &good(), &script);
    assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/keys?q=erp")), "{}", text(&answer));
    let session = "__Host-keyward=kws_new; Path=/; Max-Age=28800; Secure; HttpOnly; SameSite=Lax";
    assert_eq!(cookies(&answer), [session, "__Host-keyward-sign-in=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"]);

    let sent = script.sent.borrow();
    let (url, authorization, form) = &sent[0];
    assert_eq!((url.as_str(), authorization.as_deref()), ("https://issuer.example/token", Some("Basic a2V5d2FyZDpodXNoLWh1c2g=")));
    assert!(form.contains("code=c0de") && form.contains(&format!("code_verifier={}", attempt(NOW).verifier)), "{form}");
    assert_eq!(script.asked(), [(Object::Shard(Shard::of(&company("demo"))), BEGIN_SESSION)]);
    let asked = script.asked.borrow()[0].2.clone();
    let begin: BeginSession = serde_json::from_str(&asked).unwrap();
    assert_eq!((begin.token.owner.as_str(), begin.nonce, begin.until), ("ann", attempt(NOW).nonce, NOW.plus(LIFETIME)));
    assert!(!asked.contains(&id_token(&json!({}))), "the token itself is not passed on");
}

#[test]
fn the_session_that_this_browser_had_before_ends() {
    let earlier = with_session(request("GET", "/")).headers.cookie.unwrap();
    let demo = Object::Shard(Shard::of(&company("demo")));
    let ended = || (204, Value::Null);
    let mut back = good();
    back.headers.cookie = back.headers.cookie.map(|cookie| format!("{cookie}; {earlier}"));
    let sites = || [configuration(true), tokens(&id_token(&json!({}))), document(&key_set(&["p256"]))];
    let script = script(sites(), [session(), ended()]);
    assert_eq!(run_with(&with_client(), &back, &script).status, 303);
    assert_eq!(script.asked(), [(demo, BEGIN_SESSION), (demo, SIGN_OUT)]);

    // Where that cannot be done the new one counts all the same, and the log hears of it.
    let script = self::script(sites(), [session()]);
    assert_eq!(run_with(&with_client(), &back, &script).status, 303);
    assert_eq!((script.asked().len(), script.logged.borrow()[0]["event"].clone()), (3, json!("session_not_ended")));

    let mut link = request("GET", &link("admin"));
    link.headers.cookie = Some(earlier);
    let script = self::script([], [session(), ended()]);
    assert_eq!(run_with(&settings(), &link, &script).status, 303);
    assert_eq!(script.asked(), [(demo, REDEEM), (demo, SIGN_OUT)]);
    // A link that does not work ends nothing.
    let script = self::script([], [(409, json!({}))]);
    assert_eq!((run_with(&settings(), &link, &script).status, script.asked().len()), (410, 1));
}

/// What must not lead to a session, and what is said: nobody is asked for more than `asked` says.
#[track_caller]
fn refused(what: &str, request: &Request, script: &Script, status: u16, words: &str) {
    let answer = run_with(&with_client(), request, script);
    let html = text(&answer);
    assert_eq!(answer.status, status, "{what}: {html}");
    assert!(html.contains(words), "{what}: {html}");
    assert!(!cookies(&answer).iter().any(|cookie| cookie.starts_with("__Host-keyward=")), "{what}");
    assert!(script.asked().iter().all(|(_, path)| *path == BEGIN_SESSION), "{what}");
    assert_eq!(header(&answer, "location"), None, "{what}");
}

#[test]
fn an_answer_that_this_browser_did_not_ask_for_is_not_taken_anywhere() {
    let (attempt, secrets) = (attempt(NOW), settings().session_secrets);
    let state = &attempt.state;
    let cookie = attempt.to_cookie(&secrets);
    let other = Attempt::new([[9; 32], [8; 32], [7; 32]], "/admin/keys", NOW).to_cookie(&secrets);
    let old = self::attempt(Millis(NOW.0 - LIFETIME.0)).to_cookie(&secrets);
    let forged = attempt.to_cookie(&keyward_shared::secret::SecretList::single([6; 32]));
    let without = |query: &str| request("GET", &format!("{CALLBACK}?{query}"));
    let twice = {
        let mut request = callback(&format!("code=c&state={state}"), &cookie);
        request.headers.cookie = request.headers.cookie.map(|one| format!("{one}; {}={cookie}", attempt::COOKIE));
        request
    };
    for (what, request, words) in [
        ("another browser, or the callback again", without(&format!("code=c&state={state}")), "another browser"),
        ("another state", callback("code=c&state=x", &cookie), "another browser"),
        ("an empty state", callback("code=c&state=", &cookie), "another browser"),
        ("no state", callback("code=c", &cookie), "another browser"),
        ("two states", callback(&format!("code=c&state={state}&state={state}"), &cookie), "another browser"),
        ("another sign-in of this browser", callback(&format!("code=c&state={state}"), &other), "another browser"),
        ("a cookie of somebody's own making", callback(&format!("code=c&state={state}"), &forged), "another browser"),
        ("no cookie of ours", callback(&format!("code=c&state={state}"), "x"), "another browser"),
        ("two cookies", twice, "another browser"),
        ("after ten minutes", callback(&format!("code=c&state={state}"), &old), "too long"),
        ("an error of nobody knows whom", without("error=access_denied&state=x"), "another browser"),
    ] {
        let script = Script::default();
        refused(what, &request, &script, 400, words);
        assert_eq!((script.got.borrow().len(), script.sent.borrow().len(), script.asked().len()), (0, 0, 0), "{what}");
        let answer = run_with(&with_client(), &request, &Script::default());
        assert!(cookies(&answer).is_empty(), "a sign-in that is under way goes on: {what}");
    }
}

#[test]
fn an_answer_of_another_issuer_or_without_a_code_is_refused_before_the_code_is_used() {
    let (state, cookie) = (attempt(NOW).state, attempt(NOW).to_cookie(&settings().session_secrets));
    for (what, query, words) in [
        ("another issuer", "code=c&iss=https%3A%2F%2Fevil.example", "another issuer"),
        ("nearly the issuer", "code=c&iss=https%3A%2F%2Fissuer.example%2F", "another issuer"),
        ("an empty issuer", "code=c&iss=", "another issuer"),
        ("two issuers", "code=c&iss=https%3A%2F%2Fissuer.example&iss=https%3A%2F%2Fissuer.example", "iss stands twice"),
        ("no issuer, from one that names itself", "code=c", "another issuer"),
        ("an error of another issuer", "error=access_denied&iss=https%3A%2F%2Fevil.example", "another issuer"),
        ("no code", "iss=https%3A%2F%2Fissuer.example", "no code"),
        ("an empty code", "code=&iss=https%3A%2F%2Fissuer.example", "no code"),
        ("two codes", "code=c&code=d&iss=https%3A%2F%2Fissuer.example", "code stands twice"),
    ] {
        let script = script([configuration(true)], []);
        refused(what, &callback(&format!("{query}&state={state}"), &cookie), &script, 400, words);
        assert_eq!((script.sent.borrow().len(), script.asked().len()), (0, 0), "{what}");
        assert_eq!(script.logged.borrow()[0]["event"], "sign_in_refused");
    }
    // One that does not name itself anywhere need not do so here.
    let sites = [configuration(false), tokens(&id_token(&json!({}))), document(&key_set(&["p256"]))];
    let answer = run_with(&with_client(), &callback(&format!("code=c&state={state}"), &cookie), &script(sites, [session()]));
    assert_eq!(answer.status, 303);
}

#[test]
fn what_the_provider_says_instead_of_a_code_becomes_a_page() {
    let (state, cookie) = (attempt(NOW).state, attempt(NOW).to_cookie(&settings().session_secrets));
    for (error, status, words) in [
        ("access_denied", 403, "cancelled"),
        ("login_required", 403, "cancelled"),
        ("server_error", 503, "does not answer"),
        ("temporarily_unavailable", 503, "does not answer"),
        ("invalid_scope", 502, "invalid_scope"),
        ("%3Cscript%3Ealert(1)%3C%2Fscript%3E", 502, "another error"),
    ] {
        let query = format!("error={error}&error_description=%3Cscript%3E&state={state}&iss=https%3A%2F%2Fissuer.example");
        let request = callback(&query, &cookie);
        refused(error, &request, &script([configuration(true)], []), status, words);
        let answer = run_with(&with_client(), &request, &script([configuration(true)], []));
        let html = text(&answer);
        assert!(!html.contains("<script") && !html.contains("&lt;script"), "nothing of the address is shown: {html}");
        assert!(html.contains("/sign-in?return=%2Fadmin%2Fkeys%3Fq%3Derp"), "and one may try again: {html}");
        assert_eq!(cookies(&answer), ["__Host-keyward-sign-in=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"]);
    }
}

#[test]
fn a_code_that_is_refused_and_a_wrong_setting_are_told_apart() {
    for (answered, status, words) in [
        (refusal(400, "invalid_grant"), 400, "too late, or twice"),
        (refusal(401, "invalid_client"), 502, "invalid_client"),
        (refusal(400, "unauthorized_client"), 502, "unauthorized_client"),
    ] {
        let script = script([configuration(true), answered.clone()], []);
        refused("the code", &good(), &script, status, words);
        assert_eq!(script.asked(), [], "{answered:?}");
    }
}

#[test]
fn an_id_token_that_is_not_for_this_sign_in_begins_no_session() {
    for (what, id_token, words) in [
        ("no nonce", id_token(&json!({"nonce": null})), "does not answer this sign-in"),
        ("the nonce of another sign-in", id_token(&json!({"nonce": "x"})), "does not answer this sign-in"),
        ("a nonce that is no text", id_token(&json!({"nonce": [attempt(NOW).nonce]})), "does not answer this sign-in"),
        ("another issuer", id_token(&json!({"iss": "https://evil.example"})), "another issuer"),
        ("for another client", id_token(&json!({"aud": "other"})), "another audience"),
        ("made for another client", id_token(&json!({"azp": "other"})), "made for another client"),
        ("for several, made for nobody knows whom", id_token(&json!({"aud": ["keyward", "other"]})), "made for another client"),
        ("expired", id_token(&json!({"exp": NOW.0 / 1000})), "expired"),
        ("no owner", id_token(&json!({"sub": null})), "claim sub is missing"),
        ("no token", "a.b.c".into(), "not a token"),
        (
            "signed by another",
            token("p256_other", &json!({"kid": "p256"}), &claims_with(&json!({"nonce": attempt(NOW).nonce}))),
            "signature",
        ),
        ("signed by nobody", token("p256", &json!({"alg": "none"}), &claims_with(&json!({"nonce": attempt(NOW).nonce}))), "signed with"),
    ] {
        let script = script([configuration(true), tokens(&id_token), document(&key_set(&["p256"]))], []);
        refused(what, &good(), &script, 400, words);
        assert_eq!(script.asked(), [], "{what}");
        assert!(!script.logged.borrow()[0].to_string().contains(&id_token), "{what}");
    }
    let several = id_token(&json!({"aud": ["keyward", "other"], "azp": "keyward"}));
    let sites = [configuration(true), tokens(&several), document(&key_set(&["p256"]))];
    assert_eq!(run_with(&with_client(), &good(), &script(sites, [session()])).status, 303, "for several, made for this one");
}

#[test]
fn while_the_provider_is_away_nobody_is_called_unauthorized() {
    let down = || Some(Fetched { status: 500, body: "<html>".into(), max_age_s: None });
    for (what, sites) in [
        ("no configuration", vec![None]),
        ("no answer to the code", vec![configuration(true), None]),
        ("an error", vec![configuration(true), down()]),
        ("a redirect", vec![configuration(true), Some(Fetched { status: 302, body: String::new(), max_age_s: None })]),
        ("too many requests", vec![configuration(true), refusal(429, "slow_down")]),
        ("no keys", vec![configuration(true), tokens(&id_token(&json!({}))), None]),
    ] {
        let script = script(sites, []);
        refused(what, &good(), &script, 503, "does not answer");
        assert_eq!(script.asked(), [], "{what}");
    }
    let answer = run_with(&with_client(), &request("GET", "/sign-in"), &script([None], []));
    assert_eq!((answer.status, header(&answer, "retry-after"), header(&answer, "location")), (503, Some("10"), None));
    // And while the object is away.
    let sites = [configuration(true), tokens(&id_token(&json!({}))), document(&key_set(&["p256"]))];
    let answer = run_with(&with_client(), &good(), &script(sites, []));
    assert_eq!((answer.status, header(&answer, "retry-after")), (503, Some("1")));
    // The code is used up and the cookie with it: one begins again, and gets to where one wanted to go.
    assert!(
        text(&answer).contains("/sign-in?return=%2Fadmin%2Fkeys%3Fq%3Derp") && text(&answer).contains("Try again"),
        "{}",
        text(&answer)
    );
    let sites = [configuration(true), tokens(&id_token(&json!({}))), document(&key_set(&["p256"]))];
    let answer = run_with(&with_client(), &good(), &script(sites, [(200, json!("not a session"))]));
    assert!(answer.status == 503 && text(&answer).contains("/sign-in?return=%2Fadmin%2Fkeys%3Fq%3Derp"));
}

#[test]
fn a_provider_that_is_set_up_wrongly_is_called_so_and_the_log_says_why() {
    let gone = || Some(Fetched { status: 404, body: "<html>".into(), max_age_s: None });
    let without = |name: &str| {
        let mut configuration: Value = serde_json::from_str(&configuration(true).unwrap().body).unwrap();
        configuration.as_object_mut().unwrap().remove(name);
        document(&configuration)
    };
    for (what, sites, why) in [
        ("no such configuration", vec![gone()], "answers 404"),
        ("a page instead of it", vec![Some(Fetched { status: 200, body: "<html>".into(), max_age_s: None })], "is not JSON"),
        ("a configuration that is none", vec![document(&json!({}))], "another issuer than OIDC_ISSUER"),
        ("the configuration of another", vec![document(&json!({"issuer": "https://evil.example"}))], "another issuer than OIDC_ISSUER"),
        ("no way in", vec![without("authorization_endpoint")], "no authorization_endpoint"),
        ("nowhere to take a code", vec![without("token_endpoint")], "no token_endpoint"),
        ("no ID token", vec![configuration(true), document(&json!({"access_token": "x"}))], "no ID token"),
        ("no such keys", vec![configuration(true), tokens(&id_token(&json!({}))), gone()], "answers 404"),
        ("keys that are none", vec![configuration(true), tokens(&id_token(&json!({}))), document(&json!({}))], "no key set"),
    ] {
        let script = script(sites.clone(), []);
        refused(what, &good(), &script, 502, why);
        assert_eq!(script.asked(), [], "{what}");
        let logged = script.logged.borrow();
        assert_eq!((logged.len(), &logged[0]["event"]), (1, &json!("sign_in_refused")), "{what}");
        assert!(logged[0]["because"].as_str().unwrap().contains(why) && !logged[0].to_string().contains("evil"), "{what}: {logged:?}");
        if sites.len() == 1 {
            let script = self::script(sites, []);
            let answer = run_with(&with_client(), &request("GET", "/sign-in?return=%2Fadmin%2Faudit"), &script);
            assert_eq!((answer.status, script.logged.borrow().len(), header(&answer, "location")), (502, 1, None), "{what}");
            assert!(text(&answer).contains("/sign-in?return=%2Fadmin%2Faudit"), "{what}");
        }
    }
}

#[test]
fn whom_nobody_knows_here_may_sign_in_as_somebody_else() {
    let script = self::script([configuration(true), tokens(&id_token(&json!({}))), document(&key_set(&["p256"]))], [(403, json!({}))]);
    let page = text(&run_with(&with_client(), &good(), &script));
    let at = page.find("/sign-in?return=").unwrap();
    let way = page[at..].split('"').next().unwrap().replace("&amp;", "&");
    let location = |url: &str| {
        let answer = run_with(&with_client(), &request("GET", url), &self::script([configuration(true)], []));
        header(&answer, "location").unwrap().to_owned()
    };
    assert!(location(&way).ends_with("&prompt=login"), "{way}");
    assert!(!location("/sign-in?return=%2Fadmin%2Fkeys").contains("prompt="));
}

#[test]
fn whoever_comes_back_too_late_begins_again_for_where_they_wanted_to_go() {
    let late = attempt(Millis(NOW.0 - LIFETIME.0)).to_cookie(&settings().session_secrets);
    let answer = run_with(&with_client(), &callback(&format!("code=c&state={}", attempt(NOW).state), &late), &Script::default());
    assert!(text(&answer).contains("too long") && text(&answer).contains("/sign-in?return=%2Fadmin%2Fkeys%3Fq%3Derp"), "{}", text(&answer));
    // From a cookie of somebody's own making nobody is led anywhere.
    let forged = attempt(NOW).to_cookie(&keyward_shared::secret::SecretList::single([6; 32]));
    let answer = run_with(&with_client(), &callback("code=c&state=x", &forged), &Script::default());
    assert!(text(&answer).contains("/sign-in?return=%2Fadmin%2F\""), "{}", text(&answer));
}

#[test]
fn whom_the_directory_does_not_know_is_told_their_account_and_a_sign_in_counts_once() {
    let sites = || [configuration(true), tokens(&id_token(&json!({"sub": "auth0|<b>"}))), document(&key_set(&["p256"]))];
    for status in [403, 404, 401] {
        let script = script(sites(), [(status, json!({}))]);
        refused("a stranger", &good(), &script, 403, "auth0|&lt;b&gt;");
    }
    refused("a sign-in that was used already", &good(), &script(sites(), [(409, json!({}))]), 400, "finished already");
}

#[test]
fn nobody_is_led_to_another_site() {
    for bad in
        ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example%2Fadmin%2F", "%2Fadmin%2F..%2F..%2F%2Fevil.example", "%2F%5Cevil.example", ""]
    {
        let script = script([configuration(true)], []);
        let answer = run_with(&with_client(), &request("GET", &format!("/sign-in?return={bad}")), &script);
        let cookie = cookies(&answer)[0].split_once('=').unwrap().1.split(';').next().unwrap().to_owned();
        let attempt = Attempt::from_cookie(&cookie, &settings().session_secrets, NOW).unwrap();
        assert_eq!(attempt.return_to, "/admin/", "{bad}");
        let link = run_with(&settings(), &request("GET", &format!("{}&return={bad}", link("admin"))), &self::script([], [session()]));
        assert_eq!(header(&link, "location"), Some("/admin/"), "{bad}");
    }
    // What the callback's own address says of that is not looked at.
    let mut back = good();
    back.target.query.push_str("&return=https%3A%2F%2Fevil.example&return_to=%2F%2Fevil.example");
    let sites = [configuration(true), tokens(&id_token(&json!({}))), document(&key_set(&["p256"]))];
    assert_eq!(header(&run_with(&with_client(), &back, &script(sites, [session()])), "location"), Some("/admin/keys?q=erp"));
}

fn link(owner: &str) -> String {
    let link = SignInLink::new(company("demo"), OwnerId::new(owner).unwrap(), NOW, [1; 16]);
    format!("/sign-in?token={}", link.to_token(&settings().session_secrets))
}

#[test]
fn an_application_may_say_where_its_link_leads() {
    let url = format!("{}&return=%2Fadmin%2Fkeys%2Fkey_7", link("admin"));
    let answer = run_with(&with_client(), &request("GET", &url), &script([], [session()]));
    assert_eq!((answer.status, header(&answer, "location")), (303, Some("/admin/keys/key_7")));
    // A link that does not work leaves the other way in.
    let answer = run_with(&with_client(), &request("GET", "/sign-in?token=x&return=%2Fadmin%2Fkeys%2Fkey_7"), &Script::default());
    assert_eq!(answer.status, 400);
    assert!(text(&answer).contains("/sign-in?return=%2Fadmin%2Fkeys%2Fkey_7"));
}

#[test]
fn looking_begins_nothing_and_without_a_provider_there_is_nothing_to_come_back_from() {
    for url in ["/sign-in".to_owned(), good().target.path + "?" + &good().target.query] {
        let mut head = request("HEAD", &url);
        head.headers.cookie = good().headers.cookie;
        let mut guess = Request { method: "GET".into(), ..head.clone() };
        guess.headers.purpose = Some("prefetch;prerender".into());
        for looking in [head, guess] {
            let script = Script::default();
            let answer = run_with(&with_client(), &looking, &script);
            assert_eq!((answer.status, script.got.borrow().len(), cookies(&answer).len()), (204, 0, 0), "{url}");
        }
    }
    assert_eq!(alone(&good()).status, 404);
    let answer = alone(&request("GET", "/sign-in"));
    assert!(text(&answer).contains("sign-in link") && !text(&answer).contains("class=\"button\""));
    assert_eq!(code(&alone(&request("POST", "/sign-in"))), "405 method_not_allowed");
    assert_eq!(code(&alone(&request("POST", CALLBACK))), "405 method_not_allowed");
}

#[test]
fn the_page_for_who_is_not_signed_in_leads_back_to_where_they_wanted_to_go() {
    for (url, back) in [
        ("/admin/keys?q=erp&sort=name", "%2Fadmin%2Fkeys%3Fq%3Derp%26sort%3Dname"),
        ("/admin/owners/auth0%7C5f2", "%2Fadmin%2Fowners%2Fauth0%257C5f2"),
        ("/admin/..//evil.example", "%2Fadmin%2F"),
    ] {
        let answer = run_with(&with_client(), &request("GET", url), &Script::default());
        assert_eq!(answer.status, 401);
        assert!(text(&answer).contains(&format!("/sign-in?return={back}\"")), "{url}: {}", text(&answer));
    }
}

#[test]
fn a_sign_in_that_takes_its_ten_minutes_is_not_too_late() {
    let sites = || [configuration(true), tokens(&id_token(&json!({"exp": NOW.0 / 1000 + 3600}))), document(&key_set(&["p256"]))];
    let at = |later: Millis| run_at(NOW.plus(later), &with_client(), &good(), &script(sites(), [session()])).status;
    assert_eq!((at(Millis(LIFETIME.0 - 1)), at(LIFETIME)), (303, 400));
}
