//! What the pages ask of the API, and what they make of its answers.

use serde_json::{Value, json};

use super::super::super::tests::{Script, api_answer, request, run, with_session};
use crate::front::Request;

fn whoami() -> (u16, Value) {
    api_answer(200, &json!({"owner": "ann", "company": "demo", "permissions": ["keyward.keys"]}))
}

fn hook() -> Value {
    json!({"id": "wh_1", "url": "https://h.example/", "events": null, "name": "Alerts", "active": true, "disabled_reason": null,
        "created_at": "2026-11-18T09:00:00Z", "created_by": "ann"})
}

fn post(path: &str, form: &[(&str, &str)]) -> Request {
    let mut request = with_session(request("POST", path));
    request.headers.sec_fetch_site = Some("same-origin".into());
    request.headers.content_type = Some("application/x-www-form-urlencoded".into());
    request.body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
    request
}

/// Status, place where the browser is sent, and text.
fn sent(request: &Request, objects: &Script) -> (u16, String, String) {
    let answer = run(request, objects);
    let location = answer.headers.iter().find(|(name, _)| name == "Location").map(|(_, place)| place.clone()).unwrap_or_default();
    (answer.status, location, String::from_utf8(answer.body.into_owned()).unwrap())
}

#[test]
fn a_new_one_is_made_once_however_often_the_form_is_sent() {
    let form = [("form", "f1"), ("name", " Alerts "), ("url", "https://h.example/"), ("events", "key.leaked"), ("events", "key.revoked")];
    let mut made = hook();
    made["secret"] = "whsec_abc".into();
    let objects = Script::saying([whoami(), api_answer(201, &made), whoami(), api_answer(201, &hook())]);
    let (status, _, text) = sent(&post("/admin/webhooks/new", &form), &objects);
    assert_eq!((status, text.matches("whsec_abc").count()), (201, 1));
    let (first, body) = (objects.call(1), serde_json::from_str::<Value>(&objects.call(1).body).unwrap());
    assert_eq!(body, json!({"name": "Alerts", "url": "https://h.example/", "events": ["key.leaked", "key.revoked"]}));
    let (_, _, again) = sent(&post("/admin/webhooks/new", &form), &objects);
    assert!(again.contains("shown before"));
    assert!(first.idempotency_key.is_some() && first.idempotency_key == objects.call(3).idempotency_key);
}

#[test]
fn nothing_typed_is_lost_by_a_refusal_or_an_outage() {
    let form = [("form", "f1"), ("name", "Alerts & more"), ("url", "http://h.example/"), ("all", "1")];
    let wrong = json!({"code": "unprocessable", "errors": [{"field": "url", "detail": "must be https"}]});
    for (answer, status, sentence) in [
        (Some(api_answer(422, &wrong)), 422, "must be https"),
        (Some(api_answer(409, &json!({"detail": "a company has at most 20 webhooks"}))), 409, "at most 20"),
        (None, 503, "No answer came"),
    ] {
        let objects = Script::saying([whoami()].into_iter().chain(answer));
        let (got, _, text) = sent(&post("/admin/webhooks/new", &form), &objects);
        assert_eq!(got, status, "{text}");
        assert!(text.contains(sentence) && text.contains("value=\"Alerts &amp; more\"") && text.contains("value=\"http://h.example/\""));
        assert_eq!(text.contains("name=\"form\" value=\"f1\""), status == 503, "after an outage it is the same form");
    }
    let objects = Script::saying([whoami()]);
    let (got, _, text) = sent(&post("/admin/webhooks/new", &[("url", "https://h.example/")]), &objects);
    assert_eq!((got, objects.asked().len()), (422, 1), "nothing was chosen that it hears of");
    assert!(text.contains("Choose at least one") && text.contains("https://h.example/"));
}

#[test]
fn only_what_was_changed_is_changed() {
    let began = [("act", "save"), ("was_name", "Alerts"), ("was_url", "https://h.example/"), ("was_all", "1")];
    for (typed, body) in [
        (vec![("name", "Alerts"), ("url", "https://h.example/"), ("all", "1")], json!({})),
        (vec![("name", ""), ("url", "https://h.example/"), ("all", "1")], json!({"name": null})),
        (
            vec![("name", "Alerts"), ("url", "https://new.example/"), ("events", "key.leaked")],
            json!({"url": "https://new.example/", "events": ["key.leaked"]}),
        ),
    ] {
        let objects = Script::saying([whoami(), api_answer(200, &hook()), api_answer(200, &hook())]);
        let (status, location, _) = sent(&post("/admin/webhooks/wh_1", &[&began[..], &typed].concat()), &objects);
        assert_eq!((status, location.as_str()), (303, "/admin/webhooks/wh%5F1?done=saved"));
        let call = objects.call(2);
        assert_eq!((call.method.as_str(), serde_json::from_str::<Value>(&call.body).unwrap()), ("PATCH", body));
    }
}

#[test]
fn what_somebody_else_changed_too_is_said_beside_what_was_typed_and_saved_only_when_sent_again() {
    let began = [("act", "save"), ("was_name", "Alerts"), ("was_url", "https://h.example/"), ("was_all", "1")];
    let typed = [("name", "Mine"), ("url", "https://h.example/"), ("events", "key.leaked")];
    let mut theirs = hook();
    theirs["name"] = "Theirs".into();
    theirs["events"] = json!(["key.expired"]);
    let list = || api_answer(200, &json!({"deliveries": [], "next_cursor": null}));
    let objects = Script::saying([whoami(), api_answer(200, &theirs), api_answer(200, &theirs), list()]);
    let (status, _, text) = sent(&post("/admin/webhooks/wh_1", &[&began[..], &typed].concat()), &objects);
    assert_eq!((status, objects.asked().len()), (409, 4), "nothing was changed");
    for wanted in [
        "changed this to “Theirs” meanwhile",
        "changed this to key expired meanwhile",
        "value=\"Mine\"",
        "name=\"was_name\" value=\"Theirs\"",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    // Whoever changed something else is in nobody's way; and the order of events says nothing.
    theirs = hook();
    theirs["url"] = "https://theirs.example/".into();
    let began = [
        ("act", "save"),
        ("was_name", "Alerts"),
        ("was_url", "https://h.example/"),
        ("was_events", "key.leaked"),
        ("was_events", "key.expired"),
    ];
    let typed = [("name", "Mine"), ("url", "https://h.example/"), ("events", "key.expired"), ("events", "key.leaked")];
    let objects = Script::saying([whoami(), api_answer(200, &theirs), api_answer(200, &theirs)]);
    assert_eq!(sent(&post("/admin/webhooks/wh_1", &[&began[..], &typed].concat()), &objects).0, 303);
    assert_eq!(objects.call(2).body, "{\"name\":\"Mine\"}");
}

#[test]
fn what_was_typed_for_a_webhook_that_is_gone_can_be_made_anew() {
    let form = [("act", "save"), ("name", "Mine"), ("url", "https://mine.example/"), ("all", "1"), ("was_all", "1")];
    let objects = Script::saying([whoami(), api_answer(404, &json!({"detail": "there is no such webhook"}))]);
    let (status, _, text) = sent(&post("/admin/webhooks/wh_1", &form), &objects);
    assert_eq!(status, 404);
    assert!(text.contains("deleted this webhook meanwhile") && text.contains("value=\"https://mine.example/\""), "{text}");
    assert!(text.contains("action=\"/admin/webhooks/new\""), "{text}");
}

#[test]
fn after_an_outage_sending_again_is_the_same_form() {
    let page = || [whoami(), api_answer(200, &hook()), api_answer(200, &json!({"deliveries": [], "next_cursor": null}))];
    let form = [("act", "replay_since"), ("form", "f1"), ("since", "2027-01-31T09:00"), ("all", "1")];
    let [who, webhook, list] = page();
    let objects = Script::saying([who, (503, Value::Null), webhook, list]);
    let (status, _, text) = sent(&post("/admin/webhooks/wh_1", &form), &objects);
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("sending this again does it only once") && text.contains("name=\"form\" value=\"f1\""), "{text}");
    let [who, webhook, list] = page();
    let refused = api_answer(422, &json!({"errors": [{"field": "since", "detail": "is too long ago"}]}));
    let (status, _, text) = sent(&post("/admin/webhooks/wh_1", &form), &Script::saying([who, refused, webhook, list]));
    assert!(status == 422 && !text.contains("name=\"form\" value=\"f1\""), "what was refused was not done: {text}");
}

#[test]
fn pausing_twice_from_one_page_pauses_twice() {
    let objects = Script::saying([whoami(), api_answer(200, &hook())]);
    let (status, location, _) = sent(&post("/admin/webhooks/wh_1", &[("act", "pause"), ("form", "f1")]), &objects);
    assert_eq!((status, location.as_str()), (303, "/admin/webhooks/wh%5F1?done=paused"));
    let call = objects.call(1);
    assert_eq!((call.body.as_str(), call.idempotency_key), ("{\"active\":false}", None), "what was answered before is not given again");
}

#[test]
fn what_is_sent_again_is_one_message_or_those_since_a_time_in_the_readers_zone() {
    let replay = |form: &[(&str, &str)], answer: Value| {
        let objects = Script::saying([whoami(), api_answer(202, &answer)]);
        let (_, location, _) = sent(&post("/admin/webhooks/wh_1", form), &objects);
        let call = objects.call(1);
        (location.rsplit('=').next().unwrap().to_owned(), serde_json::from_str::<Value>(&call.body).unwrap(), call.idempotency_key.unwrap())
    };
    let one = |id: &str| replay(&[("act", "replay"), ("form", "f1"), ("delivery", id)], json!({"replayed": 1, "more": false}));
    assert_eq!((one("msg_1").0.as_str(), one("msg_1").1), ("replayed", json!({"delivery": "msg_1"})));
    assert!(one("msg_1").2 == one("msg_1").2 && one("msg_1").2 != one("msg_2").2, "each message of a page, and each once");
    let since = |zone: &str, answer: Value| {
        replay(&[("act", "replay_since"), ("form", "f1"), ("since", "2027-01-31T09:00"), ("zone", zone), ("all", "1")], answer)
    };
    let (word, body, _) = since("", json!({"replayed": 200, "more": true}));
    assert_eq!((word.as_str(), body), ("replayed-more", json!({"since": "2027-01-31T09:00:00Z", "status": "all"})));
    assert_eq!(since("60", json!({"replayed": 0, "more": false})).1["since"], "2027-01-31T08:00:00Z");
    assert_eq!(since("-330", json!({"replayed": 3, "more": false})).1["since"], "2027-01-31T14:30:00Z");
    assert_eq!(since("60", json!({"replayed": 0, "more": false})).0, "replayed-none");
}

#[test]
fn what_is_no_time_is_said_at_its_field_and_nothing_is_sent() {
    for (since, zone) in [
        ("", ""),
        ("yesterday", ""),
        ("2027-02-30T09:00", ""),
        ("2027-01-31T09:00", "x"),
        ("2027-01-31T09:00", "9999999999999"),
        ("1970-01-01T00:00", "60"),
    ] {
        let objects =
            Script::saying([whoami(), api_answer(200, &hook()), api_answer(200, &json!({"deliveries": [], "next_cursor": null}))]);
        let form = [("act", "replay_since"), ("since", since), ("zone", zone)];
        let (status, _, text) = sent(&post("/admin/webhooks/wh_1", &form), &objects);
        assert_eq!((status, objects.call(1).method.as_str()), (422, "GET"), "{since} {zone}");
        assert!(text.contains("id=\"again-since-problem\"") && text.contains(&format!("value=\"{since}\"")), "{text}");
    }
}

#[test]
fn deleting_what_somebody_else_has_deleted_is_done() {
    for answer in [api_answer(204, &Value::Null), api_answer(404, &json!({"detail": "there is no such webhook"}))] {
        let objects = Script::saying([whoami(), answer]);
        let (status, location, _) = sent(&post("/admin/webhooks/wh_1/delete", &[("form", "f1")]), &objects);
        assert_eq!((status, location.as_str()), (303, "/admin/webhooks?done=deleted"));
        assert_eq!(objects.call(1).method, "DELETE");
    }
}

#[test]
fn what_may_not_be_looked_at_or_is_not_there_is_said() {
    for (status, path) in [
        (403, "/admin/webhooks"),
        (403, "/admin/webhooks/new"),
        (404, "/admin/webhooks/wh_1"),
        (403, "/admin/audit"),
        (403, "/admin/audit?from=x"),
    ] {
        let objects = Script::saying([whoami(), api_answer(status, &json!({"detail": "no"}))]);
        assert_eq!(sent(&with_session(request("GET", path)), &objects).0, status, "{path}");
    }
    let objects = Script::saying([whoami()]);
    assert_eq!(sent(&post("/admin/webhooks/wh_1", &[("act", "explode")]), &objects).0, 404);
}

#[test]
fn the_trail_is_asked_for_what_the_form_says() {
    let trail = json!({"entries": [], "next_cursor": null, "names": {"owners": {}, "keys": {}, "webhooks": {}}});
    let objects = Script::saying([whoami(), api_answer(200, &trail)]);
    let (status, ..) = sent(&with_session(request("GET", "/admin/audit?actor=+ann+&action=&to=2027-01-31&cursor=c1")), &objects);
    assert_eq!((status, objects.call(1).query.as_str()), (200, "actor=ann&to=2027-02-01T00%3A00%3A00Z&names=true&cursor=c1"));

    let objects = Script::saying([whoami(), api_answer(400, &json!({"detail": "the cursor is not one of this list"}))]);
    let (status, location, _) = sent(&with_session(request("GET", "/admin/audit?actor=ann&cursor=old")), &objects);
    assert_eq!((status, location.as_str()), (303, "/admin/audit?actor=ann"), "the newest part is better than an error");

    let objects = Script::saying([whoami(), api_answer(200, &trail)]);
    assert_eq!(sent(&with_session(request("GET", "/admin/audit?from=yesterday")), &objects).0, 422);
}
