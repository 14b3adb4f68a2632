//! `/admin/keys/new`: the form for a new key, and what becomes of it where no script sends it to the API: the answer to the form is the
//! page that shows the key, once.

use core::str::FromStr;

use jiff::civil::Date;
use keyward_shared::{problem::Code, time::Millis};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{Answer, Outside},
    form::Form,
    visit::Visit,
};
use crate::{
    page::{self, Created, Making, NewKey, Problems},
    time::rfc3339,
};

/// For how long a form's own time counts; later the days are reckoned from the present.
const FORM_LIFE: Millis = Millis::from_secs(86_400);

/// The part of the answer to `POST /v1/keys` that the page shows.
#[derive(Deserialize)]
struct Answered {
    id: String,
    name: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    key: Option<String>,
}

/// How a new key is made on any page of this visit, with nothing typed yet.
pub(super) async fn making<O: Outside>(visit: &Visit<'_, O>) -> Making {
    let settings = visit.settings();
    Making {
        form: NewKey { id: visit.form_id().into(), at: visit.now(), ..NewKey::default() },
        edge_url: settings.public_edge_url.clone().unwrap_or_default(),
        drawing: settings.drawing.clone(),
        longest: visit.longest_life().await,
    }
}

pub(super) async fn answer<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    if !visit.is_post() && !visit.reader.makes_keys() {
        return Err(Answer::html(403, page::not_allowed(None)));
    }
    let mut making = making(visit).await;
    if !visit.is_post() {
        return Ok(Answer::html(200, page::new_key(&visit.reader, &making)));
    }
    let fresh = making.form.id.clone();
    making.form = typed(&visit.form()?, &making.form);
    let wanted = match wanted(&making, visit.company().is_some()) {
        Ok(wanted) => wanted,
        Err(problems) => return Ok(again(visit, making, 422, problems)),
    };
    let told = match visit.call("POST", "/v1/keys", &[], Some(&wanted), Some(&making.form.id)).await {
        Err(answer) if answer.status == 503 => {
            let sentence = "No answer came. The key may have been made all the same. Press Create again: at most one key is made.";
            return Ok(again(visit, making, 503, general(sentence)).with("Retry-After", "1"));
        }
        told => told?,
    };
    if told.body["code"] == Code::IdempotencyMismatch.as_str() {
        making.form.id = fresh;
        let sentence = "A key was made with this form before you changed it; it is in the list. Press Create again to make another one.";
        return Ok(again(visit, making, 422, general(sentence)));
    }
    if told.status >= 400 {
        let problems = told.problems();
        return Ok(again(visit, making, told.status, problems));
    }
    let Answered { id, name, owner, expires_at, key } = told.granted()?;
    let owner = visit.company().map(|_| owner);
    let expires_at = expires_at.and_then(|at| crate::time::parse(&at).ok());
    Ok(Answer::html(201, page::created(&visit.reader, &Created { id, name, key, owner, expires_at, edge_url: making.edge_url })))
}

fn general(sentence: &str) -> Problems {
    Problems { general: vec![sentence.into()], fields: Vec::new() }
}

/// The form once more, with what was typed and what is wrong with it.
fn again<O: Outside>(visit: &Visit<'_, O>, mut making: Making, status: u16, problems: Problems) -> Answer {
    making.form.problems = problems;
    Answer::html(status, page::new_key(&visit.reader, &making))
}

/// What was typed. A form without a usable id or time of its own gets those of `fresh`.
fn typed(form: &Form, fresh: &NewKey) -> NewKey {
    let text = |name: &str| form.text(name).to_owned();
    let id = Some(text("form")).filter(|id| (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let at = form.text("at").parse().ok().map(Millis::from_secs);
    let at = at.filter(|at| *at <= fresh.at && at.plus(FORM_LIFE) > fresh.at);
    NewKey {
        id: id.unwrap_or_else(|| fresh.id.clone()),
        at: at.unwrap_or(fresh.at),
        owner: text("owner"),
        name: text("name"),
        expires: text("expires"),
        last_day: text("last_day"),
        restricted: form.text("restricted") == "on",
        chosen: form.all("permission").map(ToOwned::to_owned).collect(),
        narrower: text("narrower"),
        networks: text("networks"),
        problems: Problems::default(),
    }
}

/// The body of the call that makes what was typed, in another company for its owner; or what cannot be said in one.
fn wanted(making: &Making, elsewhere: bool) -> Result<Value, Problems> {
    let typed = &making.form;
    let mut body = Map::new();
    let mut wrong = Vec::new();
    body.insert("name".into(), json!(typed.name));
    if elsewhere && typed.owner.is_empty() {
        wrong.push(("owner".to_owned(), "Say whose key it will be: the owner’s id.".to_owned()));
    } else if elsewhere {
        body.insert("owner".into(), json!(typed.owner));
    }
    match expiry(making) {
        Ok(None) => {}
        Ok(Some(at)) => drop(body.insert("expires_at".into(), at.into())),
        Err(sentence) => wrong.push(("expires_at".to_owned(), sentence.to_owned())),
    }
    if typed.restricted {
        let permissions: Vec<_> = typed.chosen.iter().map(String::as_str).chain(lines(&typed.narrower)).collect();
        if permissions.is_empty() {
            wrong.push(("permissions".into(), "Choose at least one, or everything.".into()));
        }
        body.insert("permissions".into(), json!(permissions));
    }
    let networks: Vec<_> = lines(&typed.networks).collect();
    if !networks.is_empty() {
        body.insert("allowed_ips".into(), json!(networks));
    }
    if wrong.is_empty() { Ok(body.into()) } else { Err(Problems { general: Vec::new(), fields: wrong }) }
}

fn expiry(making: &Making) -> Result<Option<String>, &'static str> {
    let typed = &making.form;
    match typed.expires.as_str() {
        "" => Ok(None),
        "date" if typed.last_day.is_empty() => Err("Choose the last day."),
        "date" => match Date::from_str(&typed.last_day) {
            Ok(day) if typed.last_day.len() == 10 => {
                let end = format!("{day}T23:59:59Z");
                // The longest life ends within a day, and that day can be chosen too.
                let latest = making.latest().map(rfc3339).filter(|latest| latest.starts_with(&typed.last_day));
                Ok(Some(latest.map_or(end.clone(), |latest| latest.min(end))))
            }
            _ => Err("The last day is no day: write it as 2027-01-31."),
        },
        days => match days.parse::<u64>() {
            Ok(days @ 1..=3_650) => Ok(Some(rfc3339(typed.at.plus(Millis::from_secs(days * 86_400))))),
            _ => Err("Choose when it expires."),
        },
    }
}

/// The lines of a text that say something; a comma ends one too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', ',']).map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::tests::{NOW, Script, api_answer, caller, header, request, run, with_session},
        *,
    };

    fn whoami() -> (u16, Value) {
        api_answer(200, &json!({"owner": "ann", "company": "demo", "permissions": ["orders.*", "billing.read", "keyward.keys.own"]}))
    }

    fn send(body: &str, answers: impl IntoIterator<Item = (u16, Value)>) -> (Answer, String, Script) {
        send_to("/admin/keys/new", body, [whoami()].into_iter().chain(answers))
    }

    fn send_to(address: &str, body: &str, answers: impl IntoIterator<Item = (u16, Value)>) -> (Answer, String, Script) {
        let objects = Script::saying(answers);
        let mut request = with_session(request("POST", address));
        request.headers.content_type = Some("application/x-www-form-urlencoded".into());
        request.headers.origin = Some("https://control.example".into());
        request.body = body.into();
        let answer = run(&request, &objects);
        let html = String::from_utf8(answer.body.to_vec()).unwrap();
        (answer, html, objects)
    }

    fn made(key: &Value) -> (u16, Value) {
        api_answer(201, &json!({"id": "key_1", "name": "<b>Sync</b>", "key": key}))
    }

    #[test]
    fn the_form_has_what_the_reader_may_do_and_an_id_of_its_own() {
        let objects = Script::saying([whoami()]);
        let answer = run(&with_session(request("GET", "/admin/keys/new")), &objects);
        let html = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(html.contains("value=\"billing.read\"") && html.contains("name=\"form\" value=\"r1\""), "{html}");
        assert!(html.contains("action=\"/admin/keys/new\"") && html.contains("name=\"narrower\""));
    }

    #[test]
    fn what_was_typed_becomes_a_call_that_has_one_effect_and_its_answer_shows_the_key_once() {
        let at = NOW.as_secs();
        let body = format!(
            "form=abc123&at={at}&name=+Sync+&expires=30&restricted=on&permission=billing.read&narrower=orders.read%0D%0Aorders.write%0D%0A&networks=203.0.113.7%0D%0A%0D%0A2001:db8::/32"
        );
        let (answer, html, objects) = send(&body, [made(&json!("kw_live_secret"))]);
        assert_eq!((answer.status, header(&answer, "cache-control")), (201, Some("no-store")));
        assert!(html.contains("kw_live_secret") && html.contains("“&lt;b&gt;Sync&lt;/b&gt;” works") && html.contains("$KEYWARD_KEY"));
        let call = objects.call(1);
        assert_eq!(call.idempotency_key.as_deref(), Some("abc123"));
        assert_eq!(
            serde_json::from_str::<Value>(&call.body).unwrap(),
            json!({"name": "Sync", "expires_at": rfc3339(NOW.plus(Millis::from_secs(30 * 86_400))), "permissions": ["billing.read", "orders.read",
                "orders.write"], "allowed_ips": ["203.0.113.7", "2001:db8::/32"]})
        );
        let (answer, html, _) = send(&body, [made(&Value::Null)]);
        assert_eq!(answer.status, 201);
        assert!(html.contains("made already") && html.contains("shown only once"));
    }

    #[test]
    fn the_last_day_of_the_longest_life_is_that_life_s_end() {
        let at = NOW.as_secs();
        let latest = rfc3339(NOW.plus(Millis::from_secs(90 * 86_400)));
        let whoami = || {
            api_answer(200, &json!({"owner": "ann", "company": "demo", "max_key_lifetime_days": 90, "permissions": ["keyward.keys.own"]}))
        };
        let before = rfc3339(NOW.plus(Millis::from_secs(89 * 86_400)));
        for (day, expected) in [(&latest[..10], latest.clone()), (&before[..10], format!("{}T23:59:59Z", &before[..10]))] {
            let body = format!("form=a&at={at}&name=n&expires=date&last_day={day}");
            let (_, _, objects) = send_to("/admin/keys/new", &body, [whoami(), made(&Value::Null)]);
            assert_eq!(serde_json::from_str::<Value>(&objects.call(1).body).unwrap()["expires_at"], *expected);
        }
    }

    #[test]
    fn in_another_company_the_form_names_the_owner_and_the_answer_does_too() {
        let operator = || api_answer(200, &json!({"owner": "ann", "company": "demo", "permissions": ["keyward.operator"]}));
        let who = || caller("demo", "keyward.operator");
        let company = || api_answer(200, &json!({"max_key_lifetime_days": null}));
        let answered = json!({"id": "key_1", "name": "n", "key": "kw_live_x", "owner": "bo<b>", "expires_at": "2027-01-31T22:59:59Z"});
        let address = "/admin/keys/new?company=acme";
        let body = "form=a&name=n&owner=+bob+&restricted=on&narrower=orders.read";
        let (answer, html, objects) = send_to(address, body, [operator(), who(), company(), who(), api_answer(201, &answered)]);
        assert_eq!((answer.status, objects.call(4).query.as_str()), (201, "company=acme"));
        let sent: Value = serde_json::from_str(&objects.call(4).body).unwrap();
        assert_eq!(sent, json!({"name": "n", "owner": "bob", "permissions": ["orders.read"]}));
        assert!(html.contains("acts as bo&lt;b&gt;") && html.contains("datetime=\"2027-01-31T22:59:59Z\""), "{html}");
        let (answer, html, objects) = send_to(address, "form=a&name=kept&owner=+", [operator(), who(), company()]);
        assert_eq!((answer.status, objects.asked().len()), (422, 3));
        assert!(html.contains("id=\"create-owner-problem\">Say whose") && html.contains("value=\"kept\""));
    }

    #[test]
    fn who_may_make_no_keys_sees_no_form_for_one() {
        let whoami = api_answer(200, &json!({"owner": "ann", "company": "demo", "permissions": ["keyward.keys"]}));
        let answer = run(&with_session(request("GET", "/admin/keys/new")), &Script::saying([whoami]));
        assert_eq!(answer.status, 403);
    }

    #[test]
    fn a_form_is_the_same_call_however_late_it_is_sent_again() {
        let bodies = [0, 3_600].map(|ago| {
            let (_, _, objects) = send(&format!("form=a&name=n&expires=90&at={}", NOW.as_secs() - ago), [made(&Value::Null)]);
            objects.call(1).body
        });
        assert_ne!(bodies[0], bodies[1]);
        for at in ["", "x", "0", &(NOW.as_secs() + 9).to_string()] {
            let (_, _, objects) = send(&format!("form=a&name=n&expires=90&at={at}"), [made(&Value::Null)]);
            assert_eq!(objects.call(1).body, bodies[0], "without a time of its own the present counts");
        }
    }

    #[test]
    fn what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost() {
        let errors = json!([{"field": "name", "detail": "is <long>"}, {"field": "allowed_ips[1]", "detail": "is no network"},
            {"field": "owner", "detail": "is gone"}]);
        let refusal = api_answer(422, &json!({"detail": "see errors", "errors": errors}));
        let typed = "form=a&name=%3Ci%3E&expires=365&restricted=on&permission=billing.read&narrower=orders.read&networks=1.2.3.4%0Ax%3C";
        let (answer, html, _) = send(typed, [refusal]);
        assert_eq!(answer.status, 422);
        for kept in [
            "value=\"&lt;i&gt;\"",
            "value=\"365\" selected",
            "value=\"on\" checked",
            "value=\"billing.read\" checked",
            ">orders.read</textarea>",
            "1.2.3.4\nx&lt;</textarea>",
            "name=\"form\" value=\"a\"",
            "id=\"create-name-problem\">is &lt;long&gt;",
            "id=\"create-networks-problem\">is no network",
            "owner: is gone",
        ] {
            assert!(html.contains(kept), "{kept}: {html}");
        }
    }

    #[test]
    fn what_no_call_can_say_is_refused_here() {
        for (typed, problem) in [
            ("expires=date", "Choose the last day."),
            ("expires=date&last_day=2027-02-30", "is no day"),
            ("expires=soon", "Choose when"),
            ("expires=0", "Choose when"),
            ("expires=99999999999999999999", "Choose when"),
            ("restricted=on&narrower=%20", "Choose at least one"),
        ] {
            let (answer, html, objects) = send(&format!("name=kept&{typed}"), []);
            assert_eq!((answer.status, objects.asked().len()), (422, 1), "{typed}");
            assert!(html.contains(problem) && html.contains("value=\"kept\""), "{typed}: {html}");
        }
        let (_, _, objects) = send("form=a&name=n&expires=date&last_day=2027-01-31", [made(&Value::Null)]);
        assert!(objects.call(1).body.contains("\"expires_at\":\"2027-01-31T23:59:59Z\""));
    }

    #[test]
    fn an_outage_and_a_changed_form_say_what_may_have_happened_and_keep_what_was_typed() {
        let (answer, html, _) = send("form=a&name=kept", [(500, json!({}))]);
        assert_eq!((answer.status, header(&answer, "retry-after")), (503, Some("1")));
        assert!(html.contains("at most one key") && html.contains("value=\"kept\"") && html.contains("name=\"form\" value=\"a\""));
        let mismatch = api_answer(422, &json!({"code": "idempotency_mismatch", "detail": "other body"}));
        let (_, html, _) = send("form=a&name=kept", [mismatch]);
        assert!(html.contains("make another one") && html.contains("value=\"kept\"") && html.contains("name=\"form\" value=\"r1\""));
        let (answer, ..) = send("form=a&name=kept", [api_answer(409, &json!({"title": "Conflict", "detail": "in flight"}))]);
        assert_eq!(answer.status, 409);
    }
}
