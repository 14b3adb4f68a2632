//! Reports of leaked keys: which objects are asked, and what is told to whom.

use keyward_shared::{digest::Digest, key::ParsedKey};

use super::{
    super::github::tests::{listed, sign, signing_key},
    *,
};
use crate::call::{LEAKED, LeakReport, LeaksTaken, MAX_LEAKS};

const KEYS_URL: &str = "https://api.github.com/meta/public_keys/secret_scanning";

fn report(credentials: &[&str]) -> Request {
    let mut request = with_json(request("POST", "/v1/credentials/revoke"), &json!({"credentials": credentials}).to_string());
    request.address = Some("192.0.2.7".parse().unwrap());
    request
}

fn digest_of(key: &str) -> Digest {
    ParsedKey::parse(key.as_bytes()).unwrap().digest()
}

fn taken(known: &[Digest]) -> (u16, Value) {
    (200, serde_json::to_value(LeaksTaken { known: known.to_vec(), revoked: known.len() }).unwrap())
}

fn sent(objects: &Script, at: usize) -> LeakReport {
    serde_json::from_str(&objects.asked.borrow()[at].2).unwrap()
}

/// A well-formed key whose tag is another deployment's, and one with another prefix.
fn foreign() -> [String; 2] {
    let (shard, secret) = (Shard::of(&company("demo")), Secret::from_bytes([b'b'; 28]).unwrap());
    let make = |prefix: &str, hex: &str| {
        let prefix = Prefix::new(prefix).unwrap();
        let tag = keyward_shared::tag::TagSecrets::parse(&hex.repeat(32)).unwrap().tag(shard, &secret.digest(&prefix, shard));
        KeyString::assemble(&prefix, shard, &secret, tag).reveal().to_owned()
    };
    [make("kw_live", "cd"), make("other", "ab")]
}

#[test]
fn whoever_holds_a_key_has_its_shard_told_and_learns_nothing() {
    let (demo, acme) = (key_of("demo"), key_of("acme"));
    let (demo, acme) = (demo.reveal(), acme.reveal());
    let objects = Script::saying([taken(&[digest_of(acme)]), taken(&[])]);
    let accepted = run(&report(&[demo, acme, demo, "x"]), &objects);
    assert_eq!((accepted.status, &*accepted.body), (202, br#"{"status":"accepted"}"#.as_slice()));
    assert_eq!(header(&accepted, "x-request-id"), Some("r1"));

    let mut shards = [Shard::of(&company("demo")), Shard::of(&company("acme"))];
    shards.sort();
    assert_eq!(objects.asked(), shards.map(|shard| (Object::Shard(shard), LEAKED)), "one message each");
    let mut leaks: Vec<_> = [0, 1].map(|at| sent(&objects, at)).into_iter().flat_map(|report| report.leaks).collect();
    leaks.sort_by_key(|leak| leak.digest != digest_of(demo));
    assert_eq!(leaks.iter().map(|leak| leak.digest).collect::<Vec<_>>(), [digest_of(demo), digest_of(acme)], "each once");
    assert!(leaks.iter().all(|leak| leak.source == "open" && leak.url.is_none()));
    assert_eq!(sent(&objects, 0).address, "192.0.2.7".parse().ok());
    assert!(
        !objects.asked.borrow().iter().any(|(_, _, body)| body.contains(demo) || body.contains(acme)),
        "the keys themselves go nowhere"
    );
}

#[test]
fn made_up_keys_cost_no_object_a_call_and_every_answer_is_the_same() {
    let real = key_of("demo");
    let objects = Script::saying([taken(&[digest_of(real.reveal())])]);
    let expected = run(&report(&[real.reveal()]), &objects);
    let objects = Script::saying([taken(&[])]);
    assert_eq!(run(&report(&[real.reveal()]), &objects), expected, "there is no such key, or it was revoked before");

    let [other_tag, other_prefix] = foreign();
    let mistyped = real.reveal().replace("aaaa", "aaab");
    let cut = &real.reveal()[..real.reveal().len() - 1];
    let with_more = format!("{} ", real.reveal());
    for made_up in
        ["", "x", "kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5", &other_tag, &other_prefix, &mistyped, cut, &with_more, "ä\u{0}"]
    {
        assert_eq!(alone(&report(&[made_up])), expected, "{made_up}");
    }
    let many: Vec<&str> = vec!["x"; MAX_LEAKS];
    assert_eq!(alone(&report(&many)), expected);
}

#[test]
fn a_report_that_cannot_be_read_is_refused_and_a_credential_makes_no_difference() {
    for (body, expected) in [
        ("", "422 unprocessable"),
        ("{}", "422 unprocessable"),
        (r#"{"credentials":null}"#, "422 unprocessable"),
        (r#"{"credentials":[]}"#, "422 unprocessable"),
        (r#"{"credentials":"x"}"#, "422 unprocessable"),
        (r#"{"credentials":["x",1]}"#, "422 unprocessable"),
        (r#"{"credentials":["x"],"reason":"y"}"#, "400 invalid_request"),
        (r#"{"credentials":["x"],"credentials":["x"]}"#, "400 invalid_request"),
        ("[]", "400 invalid_request"),
        ("{", "400 invalid_request"),
    ] {
        assert_eq!(code(&alone(&with_json(request("POST", "/v1/credentials/revoke"), body))), expected, "{body}");
    }
    let too_many: Vec<&str> = vec!["x"; MAX_LEAKS + 1];
    assert_eq!(code(&alone(&report(&too_many))), "422 unprocessable");
    let mut parameter = report(&["x"]);
    parameter.target.query = "company=acme".into();
    assert_eq!(code(&alone(&parameter)), "400 invalid_request");
    let mut text = report(&["x"]);
    text.headers.content_type = None;
    assert_eq!(code(&alone(&text)), "415 unsupported_media_type");
    let mut large = report(&["x"]);
    large.body = vec![b' '; MAX_BODY + 1];
    assert_eq!(code(&alone(&large)), "413 too_large");
    assert_eq!(code(&alone(&request("GET", "/v1/credentials/revoke"))), "405 method_not_allowed");

    let mut with_credentials = with_session(report(&["x"]));
    with_credentials.headers.x_api_key = Some("made up".into());
    assert_eq!(alone(&with_credentials), alone(&report(&["x"])));
}

#[test]
fn a_shard_that_does_not_answer_is_503_and_nothing_is_claimed() {
    let (demo, acme) = (key_of("demo"), key_of("acme"));
    let (one, other) = (Said { status: 200, body: taken(&[]).1.to_string() }, Said { status: 500, body: String::new() });
    for answers in
        [vec![None, Some(one.clone())], vec![Some(one.clone()), Some(other)], vec![Some(one), Some(Said { status: 200, body: "?".into() })]]
    {
        let objects = Script { answers: RefCell::new(answers.into()), ..Script::default() };
        let answer = run(&report(&[demo.reveal(), acme.reveal()]), &objects);
        assert_eq!((code(&answer).as_str(), header(&answer, "retry-after")), ("503 unavailable", Some("1")));
        assert_eq!(objects.asked().len(), 2, "the others are told all the same");
    }
}

#[test]
fn one_address_reports_so_often_and_then_is_asked_to_wait() {
    let objects = Script::default();
    for _ in 0..30 {
        assert_eq!(run(&report(&["x"]), &objects).status, 202);
    }
    let refused = run(&report(&["x"]), &objects);
    assert_eq!(code(&refused), "429 rate_limited");
    assert_eq!((header(&refused, "retry-after"), header(&refused, "ratelimit-policy")), (Some("2"), Some("\"leak-reports\";q=60;w=60")));
    let mut elsewhere = report(&["x"]);
    elsewhere.address = Some("192.0.2.8".parse().unwrap());
    assert_eq!(run(&elsewhere, &objects).status, 202);
}

/// An alert as GitHub sends it, signed with the key `number` under the name `id`.
fn alert(body: &str, id: &str, number: u8) -> Request {
    let mut request = with_json(request("POST", "/v1/leaks/github"), body);
    request.headers.github_key_id = Some(id.into());
    request.headers.github_signature = Some(sign(&signing_key(number), body));
    request
}

/// A site that lists the key 1 as `one`.
fn site() -> Fetched {
    Fetched { status: 200, body: listed(&[("one", &signing_key(1))]), max_age_s: None }
}

fn with_site(mut objects: Script, answers: impl IntoIterator<Item = Option<Fetched>>) -> Script {
    objects.sites = RefCell::new(answers.into_iter().collect());
    objects
}

#[test]
fn a_signed_alert_has_its_keys_revoked_and_is_answered_with_labels() {
    let (real, gone) = (key_of("demo"), key_of("acme"));
    let [foreign, _] = foreign();
    let url = format!("https://github.com/o/r/blob/{}/.env", real.reveal());
    let body = json!([
        {"token": real.reveal(), "type": "keyward", "url": "https://github.com/o/r/blob/c/.env", "source": "content"},
        {"token": gone.reveal(), "type": "keyward", "url": url, "source": "npm"},
        {"token": foreign, "type": "keyward", "url": "", "source": "commit"},
        {"token": real.reveal(), "type": "keyward_again", "url": "https://github.com/other", "source": "commit"},
    ])
    .to_string();
    let mut shards = [("demo", &real), ("acme", &gone)];
    shards.sort_by_key(|(id, _)| Shard::of(&company(id)));
    let answers = shards.map(|(id, key)| if id == "demo" { taken(&[digest_of(key.reveal())]) } else { taken(&[]) });
    let objects = with_site(Script::saying(answers), [Some(site())]);
    let answer = run(&alert(&body, "one", 1), &objects);
    assert_eq!((answer.status, header(&answer, "content-type")), (200, Some("application/json")));
    let label =
        |token: &str, kind: &str, label: &str| json!({"token_hash": Digest::of(token.as_bytes()), "token_type": kind, "label": label});
    let expected = json!([
        label(real.reveal(), "keyward", "true_positive"),
        label(gone.reveal(), "keyward", "false_positive"),
        label(&foreign, "keyward", "false_positive"),
        label(real.reveal(), "keyward_again", "true_positive"),
    ]);
    assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), expected);
    assert_eq!(*objects.got.borrow(), [KEYS_URL]);

    let mut leaks: Vec<_> = [0, 1].map(|at| sent(&objects, at)).into_iter().flat_map(|report| report.leaks).collect();
    leaks.sort_by_key(|leak| leak.digest != digest_of(real.reveal()));
    let said: Vec<_> = leaks.iter().map(|leak| (leak.source.as_str(), leak.url.as_deref())).collect();
    assert_eq!(
        said,
        [("github:content", Some("https://github.com/o/r/blob/c/.env")), ("github:npm", None)],
        "an address that names a key is left out"
    );
    for (_, _, message) in objects.asked.borrow().iter() {
        assert!(!message.contains(real.reveal()));
    }
}

#[test]
fn an_alert_that_github_has_not_signed_asks_no_object() {
    let key = key_of("demo");
    let body = json!([{"token": key.reveal(), "type": "keyward"}]).to_string();
    let good = alert(&body, "one", 1);
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let reserialized = with(&|request| request.body = body.replace("\":", "\" :").into());
    for (request, why) in [
        (with(&|request| request.headers.github_key_id = None), "no id"),
        (with(&|request| request.headers.github_signature = None), "no signature"),
        (with(&|request| request.headers.github_signature = Some("?".into())), "garbage"),
        (with(&|request| request.headers.github_signature = Some(String::new())), "an empty signature"),
        (alert(&body, "two", 1), "an id that is not listed"),
        (alert(&body, "one", 2), "another key's signature"),
        (with(&|request| request.body.push(b' ')), "another body"),
        (reserialized, "the same JSON written again"),
    ] {
        let objects = with_site(Script::default(), [Some(site()), Some(site())]);
        let answer = run(&request, &objects);
        assert_eq!(code(&answer), "401 unauthenticated", "{why}");
        assert_eq!(objects.asked(), [], "{why}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(key.reveal()), "{why}");
    }
    let objects = with_site(Script::saying([taken(&[]), taken(&[])]), [Some(site())]);
    assert_eq!(run(&good, &objects), run(&good, &objects), "a replay does no harm");
}

#[test]
fn a_body_that_is_no_list_of_alerts_is_refused_without_repeating_it() {
    for body in ["", "{}", r#"["kw_live_secret"]"#, r#"[{"token":"kw_live_secret"}]"#, r#"[{"token":"kw_live_secret","type":1}]"#] {
        let objects = with_site(Script::default(), [Some(site())]);
        let answer = run(&alert(body, "one", 1), &objects);
        assert_eq!(code(&answer), "400 invalid_request", "{body}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"), "{body}");
    }
    let objects = with_site(Script::default(), [Some(site())]);
    let none = run(&alert("[]", "one", 1), &objects);
    assert_eq!((none.status, &*none.body), (200, b"[]".as_slice()));
    let large = " ".repeat(MAX_BODY + 1);
    assert_eq!(code(&alone(&alert(&large, "one", 1))), "413 too_large");
    let mut text = alert("[]", "one", 1);
    text.headers.content_type = Some("text/plain".into());
    assert_eq!(code(&alone(&text)), "415 unsupported_media_type");
}

#[test]
fn a_new_key_of_github_is_looked_for_once_and_an_outage_is_called_one() {
    let body = "[]";
    let old = Some(Fetched { status: 200, body: listed(&[("old", &signing_key(3))]), max_age_s: Some(3_600) });
    let objects = with_site(Script::default(), [old, Some(site())]);
    let at = |now: Millis| {
        let (request, settings) = (alert(body, "one", 1), settings());
        let context = Context { settings: &settings, outside: &objects, documents: &objects.documents, reporters: &objects.reporters, now };
        let mut future = pin!(answer(&request, &context));
        match future.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())) {
            task::Poll::Ready(answer) => answer.status,
            task::Poll::Pending => panic!("the script answers at once"),
        }
    };
    assert_eq!((at(NOW), objects.got.borrow().len()), (401, 1), "the list is from just now");
    assert_eq!((at(NOW.plus(Millis(60_000))), objects.got.borrow().len()), (200, 2));
    assert_eq!((at(NOW.plus(Millis(61_000))), objects.got.borrow().len()), (200, 2));

    for site in [
        None,
        Some(Fetched { status: 403, body: String::new(), max_age_s: None }),
        Some(Fetched { status: 200, body: "<html>".into(), max_age_s: None }),
    ] {
        let answer = run(&alert(body, "one", 1), &with_site(Script::default(), [site]));
        assert_eq!((code(&answer).as_str(), header(&answer, "retry-after")), ("503 unavailable", Some("10")));
    }
}

#[test]
fn where_no_keys_are_set_there_is_no_such_path() {
    let settings = ControlSettings { github_keys_url: None, ..settings() };
    let answer = run_with(&settings, &alert("[]", "one", 1), &Script::default());
    assert_eq!(code(&answer), "404 not_found");
}

#[test]
fn more_keys_of_one_shard_than_a_turn_takes_go_in_several_messages() {
    let (prefix, shard) = (Prefix::new("kw_live").unwrap(), Shard::of(&company("demo")));
    let tokens: Vec<_> = (0..=MAX_LEAKS)
        .map(|number| {
            let mut secret = [b'a'; 28];
            secret[..6].copy_from_slice(format!("{number:06}").as_bytes());
            let secret = Secret::from_bytes(secret).unwrap();
            let tag = super::settings().common.tag_secrets.tag(shard, &secret.digest(&prefix, shard));
            KeyString::assemble(&prefix, shard, &secret, tag).reveal().to_owned()
        })
        .collect();
    let alerts: Vec<_> = tokens.iter().map(|token| json!({"token": token, "type": "k"})).collect();
    let objects = with_site(Script::saying([taken(&[]), taken(&[])]), [Some(site())]);
    assert_eq!(run(&alert(&json!(alerts).to_string(), "one", 1), &objects).status, 200);
    assert_eq!([sent(&objects, 0).leaks.len(), sent(&objects, 1).leaks.len()], [MAX_LEAKS, 1]);
}
