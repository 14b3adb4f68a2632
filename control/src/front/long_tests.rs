use core::{cell::RefCell, future::Future, pin::pin, task};
use std::collections::VecDeque;

use keyward_shared::{digest::Digest, shard::Shard};
use serde_json::{Value, json};

use super::{
    tests::{NOW, Script, caller, code, company, header, request, run, settings, with_key, written},
    *,
};
use crate::call::{AUTHENTICATE, ApiAnswer, AskPortion, IMPORT, ImportAnswer, ImportPart, ImportStep, PORTION, Portion};

fn portion(lines: &str, next: Option<&str>) -> (u16, Value) {
    let answer = ApiAnswer { status: 200, headers: Vec::new(), body: lines.into() };
    (200, serde_json::to_value(Portion { answer, next: next.map(Into::into), seal: None }).unwrap())
}

fn done<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut task::Context::from_waker(task::Waker::noop())) {
        task::Poll::Ready(value) => value,
        task::Poll::Pending => panic!("the script answers at once"),
    }
}

/// The whole of an answer that comes in parts, or what came before it was broken off.
fn drained(answer: Answer, objects: &Script) -> (String, Result<(), BrokenOff>) {
    let (mut text, mut more) = (String::from_utf8(answer.body.into_owned()).unwrap(), answer.more);
    while let Some(rest) = more {
        match done(next(objects, rest)) {
            Ok((bytes, following)) => {
                text.push_str(&String::from_utf8(bytes).unwrap());
                more = following;
            }
            Err(broken) => return (text, Err(broken)),
        }
    }
    (text, Ok(()))
}

#[test]
fn a_long_answer_is_passed_on_part_by_part_and_asked_for_as_it_is_taken() {
    let export = with_key(request("GET", "/v1/audit/export?from=x"), "demo");
    let objects = Script::saying([portion("1\n", Some("a")), portion("", Some("b")), portion("2\n3\n", Some("c")), portion("4\n", None)]);
    let answer = run(&export, &objects);
    assert_eq!((answer.status, header(&answer, "content-type")), (200, Some("application/x-ndjson")));
    assert_eq!(header(&answer, "content-disposition"), Some("attachment; filename=\"audit.ndjson\""));
    assert_eq!(objects.asked().len(), 1, "the rest only when somebody takes it");
    assert_eq!(drained(answer, &objects), ("1\n2\n3\n4\n".into(), Ok(())));
    let asked = objects.asked.borrow();
    let places: Vec<_> = asked.iter().map(|(_, _, body)| serde_json::from_str::<AskPortion>(body).unwrap().after).collect();
    assert_eq!(places, [None, Some("a".into()), Some("b".into()), Some("c".into())]);
    assert!(asked.iter().all(|(object, path, _)| (*object, *path) == (Object::Shard(Shard::of(&company("demo"))), PORTION)));
    drop(asked);

    let objects = Script::saying([portion("1\n", Some("a"))]);
    let head = run(&with_key(request("HEAD", "/v1/audit/export"), "demo"), &objects);
    assert!(head.body.is_empty() && head.more.is_none());
}

#[test]
fn a_refusal_is_an_ordinary_answer_and_a_failure_in_the_middle_breaks_the_answer_off() {
    let export = with_key(request("GET", "/v1/audit/export"), "demo");
    let refused = |status: u16| {
        let answer = ApiAnswer { status, headers: Vec::new(), body: json!({"code": "forbidden", "request_id": "r1"}).to_string() };
        (200, serde_json::to_value(Portion { answer, next: None, seal: None }).unwrap())
    };
    assert_eq!(code(&run(&export, &Script::saying([refused(403)]))), "403 forbidden");
    assert_eq!(code(&run(&export, &Script::default())), "503 unavailable");

    // Twice nothing is no failure: objects move.
    let said = |(status, body): (u16, Value)| Some(Said { status, body: body.to_string() });
    let answers = [said(portion("1\n", Some("a"))), None, said(refused(503)), said(portion("2\n", None))];
    let objects = Script { answers: RefCell::new(answers.into()), ..Script::default() };
    let answer = run(&export, &objects);
    assert_eq!(drained(answer, &objects), ("1\n2\n".into(), Ok(())));

    for rest in [vec![], vec![said(refused(401))], vec![said((500, json!({})))]] {
        let answers = [said(portion("1\n", Some("a")))].into_iter().chain(rest);
        let objects = Script { answers: RefCell::new(answers.collect()), ..Script::default() };
        let answer = run(&export, &objects);
        assert_eq!(drained(answer, &objects), ("1\n".into(), Err(BrokenOff)));
        assert_eq!(objects.logged.borrow()[0]["event"], "answer_broken_off");
    }
}

#[test]
fn in_a_long_exchange_a_caller_from_another_shard_is_asked_for_again() {
    let export = with_key(request("GET", "/v1/companies/acme/export"), "demo");
    let operator = || caller("demo", "* keyward.operator");
    let objects = Script::saying([operator(), portion("1\n", Some("a")), operator(), portion("2\n", None)]);
    let answer = run(&export, &objects);
    assert_eq!(drained(answer, &objects), ("1\n2\n".into(), Ok(())));
    assert_eq!(objects.asked().iter().map(|(_, path)| *path).collect::<Vec<_>>(), [AUTHENTICATE, PORTION, AUTHENTICATE, PORTION]);
    let revoked = || (401, json!({"code": "unauthenticated", "request_id": "r1"}));
    let objects = Script::saying([operator(), portion("1\n", Some("a")), revoked()]);
    let answer = run(&export, &objects);
    assert_eq!(drained(answer, &objects), ("1\n".into(), Err(BrokenOff)));

    let mut import = import_request();
    import.target.path = "/v1/companies/acme/import".into();
    let file = "1\n".repeat(800);
    let objects = Script::saying([operator(), taken(&ImportAnswer::Further), revoked(), taken(&ImportAnswer::Further)]);
    assert_eq!(code(&run_import(&import, &mut Pieces::of(file.as_bytes(), 100), &objects)), "401 unauthenticated");
    let last: ImportPart = serde_json::from_str(&objects.asked.borrow()[3].2).unwrap();
    assert_eq!(last.step, ImportStep::Abandon { because: None });
}

#[test]
fn the_last_line_may_be_sealed_with_the_hash_of_all_before_it() {
    let seal = json!({"kind": "end", "keys": 2});
    let last =
        Portion { answer: ApiAnswer { status: 200, headers: Vec::new(), body: "2\n".into() }, next: None, seal: seal.as_object().cloned() };
    let objects = Script::saying([portion("1\n", Some("a")), (200, serde_json::to_value(last).unwrap())]);
    let (text, end) = drained(run(&with_key(request("GET", "/v1/audit/export"), "demo"), &objects), &objects);
    let hash = Digest::of(b"1\n2\n").to_hex();
    assert_eq!((text, end), (format!("1\n2\n{{\"keys\":2,\"kind\":\"end\",\"sha256\":\"{hash}\"}}\n"), Ok(())));
}

#[test]
fn a_verification_takes_several_turns_and_is_one_answer() {
    let verify = with_key(request("GET", "/v1/audit/verify"), "demo");
    let valid = r#"{"valid":true,"entries":12000}"#;
    let objects = Script::saying([portion("", Some("a")), portion("", Some("b")), portion(valid, None)]);
    let answer = run(&verify, &objects);
    assert_eq!((answer.status, header(&answer, "content-type")), (200, Some("application/json")));
    assert!(answer.more.is_none() && header(&answer, "content-disposition").is_none());
    assert_eq!(answer.body.as_ref(), valid.as_bytes());
    let asked = objects.asked.borrow();
    let places: Vec<_> = asked.iter().map(|(_, _, body)| serde_json::from_str::<AskPortion>(body).unwrap().after).collect();
    assert_eq!(places, [None, Some("a".into()), Some("b".into())]);
    assert!(asked.iter().all(|(object, path, _)| (*object, *path) == (Object::Shard(Shard::of(&company("demo"))), PORTION)));
    drop(asked);

    // Nothing, or a failure, is asked for again; what is then still not there is not half an answer.
    let said = |(status, body): (u16, Value)| Some(Said { status, body: body.to_string() });
    let refused = |status: u16, code: &str| {
        let answer = ApiAnswer { status, headers: Vec::new(), body: json!({"code": code, "request_id": "r1"}).to_string() };
        (200, serde_json::to_value(Portion { answer, next: None, seal: None }).unwrap())
    };
    for (rest, expected) in [
        (vec![None, said(refused(503, "unavailable")), said(portion(valid, None))], "200"),
        (vec![None, None, None, said(portion(valid, None))], "503 unavailable"),
        (vec![said(refused(401, "unauthenticated"))], "401 unauthenticated"),
        (vec![said(refused(404, "not_found"))], "404 not_found"),
    ] {
        let answers = [said(portion("", Some("a")))].into_iter().chain(rest);
        let objects = Script { answers: RefCell::new(answers.collect()), ..Script::default() };
        let answer = run(&verify, &objects);
        let said = if answer.status == 200 { "200".into() } else { code(&answer) };
        assert_eq!(said, expected);
    }
}

#[test]
fn whoever_verifies_from_another_shard_is_asked_for_again_at_each_turn() {
    let verify = with_key(request("GET", "/v1/audit/verify?company=acme"), "demo");
    let operator = || caller("demo", "* keyward.operator");
    let valid = r#"{"valid":true,"entries":6000}"#;
    let objects = Script::saying([operator(), portion("", Some("a")), operator(), portion(valid, None)]);
    assert_eq!(run(&verify, &objects).body.as_ref(), valid.as_bytes());
    assert_eq!(objects.asked().iter().map(|(_, path)| *path).collect::<Vec<_>>(), [AUTHENTICATE, PORTION, AUTHENTICATE, PORTION]);
    let revoked = || (401, json!({"code": "unauthenticated", "request_id": "r1"}));
    let objects = Script::saying([operator(), portion("", Some("a")), revoked(), portion(valid, None)]);
    assert_eq!(code(&run(&verify, &objects)), "401 unauthenticated");
    assert_eq!(code(&run(&verify, &Script::saying([operator(), portion("", Some("a"))]))), "503 unavailable");
}

/// A body that comes in pieces; `None`: its sender goes away.
struct Pieces(VecDeque<Option<Vec<u8>>>);

impl Pieces {
    fn of(text: &[u8], size: usize) -> Self {
        Self(text.chunks(size).map(|piece| Some(piece.to_vec())).collect())
    }
}

impl Source for Pieces {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, SenderGone> {
        match self.0.pop_front() {
            Some(Some(piece)) => Ok(Some(piece)),
            Some(None) => Err(SenderGone),
            None => Ok(None),
        }
    }
}

fn import_request() -> Request {
    let mut request = with_key(request("POST", "/v1/companies/demo/import"), "demo");
    request.headers.content_type = Some("application/x-ndjson".into());
    request
}

fn run_import(request: &Request, body: &mut Pieces, objects: &Script) -> Answer {
    let settings = settings();
    done(answer_stream(
        request,
        body,
        &Context { settings: &settings, outside: objects, documents: &objects.documents, reporters: &objects.reporters, now: NOW },
    ))
}

fn taken(answer: &ImportAnswer) -> (u16, Value) {
    (200, serde_json::to_value(answer).unwrap())
}

fn imported(status: u16, code: &str) -> (u16, Value) {
    taken(&ImportAnswer::Answer(ApiAnswer { status, headers: Vec::new(), body: json!({"code": code, "request_id": "r1"}).to_string() }))
}

/// What was sent to the object.
fn steps(objects: &Script) -> Vec<ImportStep> {
    let asked = objects.asked.borrow();
    assert!(asked.iter().all(|(object, path, _)| (*object, *path) == (Object::Shard(Shard::of(&company("demo"))), IMPORT)));
    asked.iter().map(|(_, _, body)| serde_json::from_str::<ImportPart>(body).unwrap().step).collect()
}

fn texts(steps: &[ImportStep]) -> Vec<(u64, String, bool)> {
    let text = |step: &ImportStep| match step {
        ImportStep::Lines { number, text, seal } => (*number, text.clone(), seal.is_some()),
        ImportStep::Abandon { because } => panic!("{because:?}"),
    };
    steps.iter().map(text).collect()
}

#[test]
fn a_backup_goes_to_its_object_in_parts_of_whole_lines_with_the_hash_of_all_but_the_last_one() {
    let file = (0..1_234).map(|number| format!("{{\"é\":{number}}}\n")).collect::<Vec<_>>().concat();
    let hash = |text: &str| Digest::of(text.as_bytes()).to_hex();
    for (file, size) in [(file.as_str(), 1_000_000), (&file, 7), (&file, 4_096), (file.trim_end(), 100), ("1\n2\n", 1), ("1\n", 10)] {
        let parts = if file.len() > 10 { 3 } else { 1 };
        let answers = (1..parts).map(|_| taken(&ImportAnswer::Further)).chain([imported(201, "")]);
        let objects = Script::saying(answers);
        let mut body = Pieces::of(file.as_bytes(), size);
        assert_eq!(run_import(&import_request(), &mut body, &objects).status, 201, "{size}");
        let sent = texts(&steps(&objects));
        assert_eq!(sent.iter().map(|(number, ..)| *number).collect::<Vec<_>>(), (0..parts).collect::<Vec<_>>());
        let whole: String = sent.iter().map(|(_, text, _)| text.as_str()).collect();
        assert_eq!(whole.trim_end(), file.trim_end());
        assert!(sent.iter().all(|(_, text, _)| text.ends_with('\n') && text.lines().count() <= 501));
        let ImportStep::Lines { seal, .. } = steps(&objects).pop().unwrap() else { panic!() };
        let before = whole.trim_end().rsplit_once('\n').map_or(String::new(), |(before, _)| format!("{before}\n"));
        assert_eq!(seal, Some(hash(&before)), "{size}");
        assert!(sent.iter().rev().skip(1).all(|(_, _, sealed)| !sealed));
    }
    let large = format!("{}\n", "x".repeat(400_000)).repeat(4);
    let answers = (1..4).map(|_| taken(&ImportAnswer::Further)).chain([imported(201, "")]);
    let objects = Script::saying(answers);
    run_import(&import_request(), &mut Pieces::of(large.as_bytes(), 65_536), &objects);
    assert!(texts(&steps(&objects)).iter().all(|(_, text, _)| text.len() < 1_000_000), "parts are small");
}

#[test]
fn a_part_is_sent_again_where_its_answer_is_lost_or_where_an_earlier_import_is_still_there() {
    let said = |(status, body): (u16, Value)| Some(Said { status, body: body.to_string() });
    let answers =
        [None, said(taken(&ImportAnswer::Again)), said((503, json!({}))), said(taken(&ImportAnswer::Again)), said(imported(201, ""))];
    let objects = Script { answers: RefCell::new(answers.into()), ..Script::default() };
    assert_eq!(run_import(&import_request(), &mut Pieces::of(b"1\n2\n", 9), &objects).status, 201);
    assert!(texts(&steps(&objects)).iter().all(|sent| *sent == (0, "1\n2\n".into(), true)));
    assert_eq!(objects.asked().len(), 5);
    assert_eq!(run_import(&import_request(), &mut Pieces::of(b"1\n", 9), &Script::default()).status, 503);
}

#[test]
fn a_refused_backup_is_read_no_further_and_one_whose_sender_goes_is_forgotten() {
    let file = "1\n".repeat(3_000);
    let objects = Script::saying([taken(&ImportAnswer::Further), imported(422, "unprocessable")]);
    let mut body = Pieces::of(file.as_bytes(), 100);
    assert_eq!(code(&run_import(&import_request(), &mut body, &objects)), "422 unprocessable");
    assert!(body.0.len() > 30);

    let objects = Script::saying([taken(&ImportAnswer::Further)]);
    let mut body = Pieces([Some(b"1\n".to_vec()), None].into());
    assert_eq!(code(&run_import(&import_request(), &mut body, &objects)), "503 unavailable");
    assert_eq!(steps(&objects), [ImportStep::Abandon { because: None }]);

    for (bad, because) in [
        (b"1\n\xff\n3\n".to_vec(), "line 2: is not UTF-8"),
        (format!("1\n{}", "x".repeat(4 << 20)).into_bytes(), "line 2: is longer than any line of a backup"),
    ] {
        let objects = Script::saying([imported(422, "unprocessable")]);
        assert_eq!(code(&run_import(&import_request(), &mut Pieces::of(&bad, 1 << 16), &objects)), "422 unprocessable");
        assert_eq!(steps(&objects), [ImportStep::Abandon { because: Some(because.into()) }], "the object says so, and has it in the trail");
    }
}

#[test]
fn a_backup_is_said_to_be_one_and_comes_from_who_may_call_at_all() {
    let none = || Pieces::of(b"1\n", 9);
    let mut text = import_request();
    text.headers.content_type = Some("application/json".into());
    assert_eq!(code(&run_import(&text, &mut none(), &Script::default())), "415 unsupported_media_type");
    let mut nobody = import_request();
    nobody.headers.x_api_key = None;
    assert_eq!(code(&run_import(&nobody, &mut none(), &Script::default())), "401 unauthenticated");
    let mut elsewhere = import_request();
    elsewhere.target.path = "/v1/companies/acme/import".into();
    let objects = Script::saying([caller("demo", "* keyward.*"), (204, json!({}))]);
    assert_eq!(code(&run_import(&elsewhere, &mut none(), &objects)), "403 forbidden");
    assert_eq!((written(&objects, 1).action.as_str(), written(&objects, 1).target.as_str()), ("company.import", "acme"));
    assert!(wants_stream("POST", "/v1/companies/acme/import") && !wants_body("POST", "/v1/companies/acme/import"));
    assert!(!wants_stream("GET", "/v1/companies/acme/export") && !wants_stream("PUT", "/v1/companies/acme"));
}
