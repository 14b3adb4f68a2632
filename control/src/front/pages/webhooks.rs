//! `/admin/webhooks`: the list, a new one, one, and deleting one.

use std::collections::BTreeSet;

use keyward_shared::{digest::Digest, time::Millis};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    super::{Answer, Outside},
    form::Form,
    visit::{Told, Visit},
};
use crate::{
    page::{self, Delivery, PageWebhook, Problems, ReplayForm, WebhookForm, WebhookPage},
    time,
};

/// How many messages a page shows: each with all that it said.
const SHOWN: &str = "25";

/// What was done, by the word in the page's address.
const DONE: &[(&str, &str)] = &[
    ("saved", "The webhook was changed."),
    ("paused", "The webhook is paused. No message goes out."),
    ("resumed", "The webhook is active again."),
    ("deleted", "The webhook was deleted."),
    ("replayed", "The message is on its way again."),
    ("replayed-all", "These messages are on their way again."),
    (
        "replayed-more",
        "The first 200 of these messages are on their way again. For the others, send again since the time of the newest one that waits now.",
    ),
    ("replayed-none", "There is no such message since then."),
];

fn done<O: Outside>(visit: &Visit<'_, O>) -> &'static str {
    let word = visit.parameter("done").unwrap_or_default();
    DONE.iter().find(|(known, _)| *known == word).map(|(_, sentence)| *sentence).unwrap_or_default()
}

fn path(id: &str) -> String {
    format!("/v1/webhooks/{}", page::encoded(id))
}

/// What a call that changes something came to, where the page can go on with it: an outage is a problem of the form then, so that
/// nothing typed is lost. What would be done twice is done once for one form with one content; setting a field needs no such care,
/// and must not be taken for something done before.
async fn change<O: Outside>(
    visit: &Visit<'_, O>,
    method: &str,
    path: &str,
    body: Option<&Value>,
    form: &Form,
) -> Result<Result<Value, (u16, Problems)>, Answer> {
    let content = body.map(|body| Digest::of(body.to_string().as_bytes()).to_hex()).unwrap_or_default();
    let key =
        Some(form.text("form")).filter(|id| method != "PATCH" && !id.is_empty() && id.len() < 100).map(|id| format!("{id} {content}"));
    let told = match visit.call(method, path, &[], body, key.as_deref()).await {
        Ok(told) => told,
        Err(answer) if answer.status == 503 => {
            let sentence = "No answer came. It may have been done nevertheless: sending this again does it only once.";
            return Ok(Err((503, Problems { general: vec![sentence.into()], fields: Vec::new() })));
        }
        Err(answer) => return Err(answer),
    };
    Ok(match told.status {
        200..=299 => Ok(told.body),
        400 | 409 | 422 => Err((told.status, told.problems())),
        _ => return Err(told.granted::<Value>().err().unwrap_or_else(super::no_answer)),
    })
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, Answer> {
    Told { status: 200, body, etag: String::new() }.granted()
}

/// `/admin/webhooks`.
pub(super) async fn list<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    #[derive(Deserialize)]
    struct Listed {
        webhooks: Vec<PageWebhook>,
    }
    let listed: Listed = visit.get("/v1/webhooks", &[]).await?.granted()?;
    Ok(Answer::html(200, page::webhooks(&visit.reader, &listed.webhooks, done(visit))))
}

/// A webhook as it was typed; `prefix` names the fields of what the form began with.
fn typed(form: &Form, prefix: &str) -> WebhookForm {
    let name = |field: &str| format!("{prefix}{field}");
    WebhookForm {
        name: form.text(&name("name")).into(),
        url: form.text(&name("url")).into(),
        all: form.has(&name("all")),
        events: form.all(&name("events")).map(Into::into).collect(),
    }
}

/// The events that are asked for, in an order that says nothing.
fn asked(form: &WebhookForm) -> Option<BTreeSet<&str>> {
    (!form.all).then(|| form.events.iter().map(String::as_str).collect())
}

fn events(form: &WebhookForm) -> Value {
    if form.all { Value::Null } else { json!(form.events) }
}

/// Whether something is chosen that it hears of.
fn choice(form: &WebhookForm) -> Result<(), Problems> {
    if form.all || !form.events.is_empty() {
        return Ok(());
    }
    Err(Problems { general: Vec::new(), fields: vec![("events".into(), "Choose at least one, or everything.".into())] })
}

/// The members of a request about the fields that are not as in `began`.
fn members(form: &WebhookForm, began: &WebhookForm) -> Map<String, Value> {
    let mut members = Map::new();
    if form.name != began.name {
        members.insert("name".into(), if form.name.is_empty() { Value::Null } else { form.name.as_str().into() });
    }
    if form.url != began.url {
        members.insert("url".into(), form.url.as_str().into());
    }
    if asked(form) != asked(began) {
        members.insert("events".into(), events(form));
    }
    members
}

/// What somebody else has changed since the form was made that it changes too, to something else: a sentence at each field.
fn conflicts(form: &WebhookForm, began: &WebhookForm, now: &WebhookForm) -> Problems {
    let changed = |was: bool, also: bool, otherwise: bool| was && also && otherwise;
    let said = |text: String| format!("Somebody else changed this to {text} meanwhile. Save again to replace it.");
    let quoted = |text: &str| if text.is_empty() { "nothing".to_owned() } else { format!("“{text}”") };
    let mut fields = Vec::new();
    if changed(form.name != began.name, now.name != began.name, now.name != form.name) {
        fields.push(("name".to_owned(), said(quoted(&now.name))));
    }
    if changed(form.url != began.url, now.url != began.url, now.url != form.url) {
        fields.push(("url".to_owned(), said(quoted(&now.url))));
    }
    if changed(asked(form) != asked(began), asked(now) != asked(began), asked(now) != asked(form)) {
        fields.push(("events".to_owned(), said(now.heard())));
    }
    Problems { general: Vec::new(), fields }
}

/// Changes the webhook as the form says, where nobody else has changed the same meanwhile.
async fn save<O: Outside>(visit: &Visit<'_, O>, id: &str, sent: &Form) -> Result<Answer, Answer> {
    let (form, began) = (typed(sent, ""), typed(sent, "was_"));
    if let Err(form_problems) = choice(&form) {
        return show(visit, id, Shown { status: 422, form: Some((form, began)), form_problems, ..Shown::default() }).await;
    }
    let told = visit.get(&path(id), &[]).await?;
    if told.status == 404 {
        let sentence = "Somebody deleted this webhook meanwhile. What you typed is here: create it as a new one, with a secret of its own.";
        let wrong = Problems { general: vec![sentence.into()], fields: Vec::new() };
        return Ok(Answer::html(404, page::new_webhook(&visit.reader, &form, &wrong, visit.form_id())));
    }
    let now = WebhookForm::from(&told.granted::<PageWebhook>()?);
    let form_problems = conflicts(&form, &began, &now);
    if !form_problems.fields.is_empty() {
        // Whoever saves again has seen what it is now.
        return show(visit, id, Shown { status: 409, form: Some((form, now)), form_problems, ..Shown::default() }).await;
    }
    let body = Value::Object(members(&form, &began));
    match change(visit, "PATCH", &path(id), Some(&body), sent).await? {
        Ok(_) => Ok(Answer::redirect(&format!("{}/{}?done=saved", page::WEBHOOKS_PATH, page::encoded(id)))),
        Err((status, form_problems)) => {
            show(visit, id, Shown { status, form: Some((form, began)), form_problems, ..Shown::default() }).await
        }
    }
}

/// `/admin/webhooks/new`. The answer to the form holds the secret, once; sent again, it says that it was shown.
pub(super) async fn new<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    let shown = |status, form: &WebhookForm, wrong: &Problems, id: &str| {
        Ok(Answer::html(status, page::new_webhook(&visit.reader, form, wrong, id)))
    };
    if !visit.is_post() {
        // Who may not have webhooks learns it before they type.
        visit.get("/v1/webhooks", &[]).await?.granted::<Value>()?;
        let empty = WebhookForm { all: true, ..WebhookForm::default() };
        return shown(200, &empty, &Problems::default(), visit.form_id());
    }
    let sent = visit.form()?;
    let form = typed(&sent, "");
    let body = json!({
        "name": Some(&form.name).filter(|name| !name.is_empty()),
        "url": form.url,
        "events": events(&form),
    });
    let came = match choice(&form) {
        Ok(()) => change(visit, "POST", "/v1/webhooks", Some(&body), &sent).await?,
        Err(wrong) => Err((422, wrong)),
    };
    match came {
        Ok(body) => {
            let secret = body["secret"].as_str().map(ToOwned::to_owned);
            let webhook: PageWebhook = read(body)?;
            Ok(Answer::html(201, page::webhook_created(&visit.reader, &webhook, secret.as_deref())))
        }
        // After an outage it must stay the same form; what was refused was not done.
        Err((503, wrong)) => shown(503, &form, &wrong, sent.text("form")),
        Err((status, wrong)) => shown(status, &form, &wrong, visit.form_id()),
    }
}

/// `/admin/webhooks/{id}`.
pub(super) async fn one<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Answer, Answer> {
    if !visit.is_post() {
        return show(visit, id, Shown::default()).await;
    }
    let sent = visit.form()?;
    let went = |word: &str| Ok(Answer::redirect(&format!("{}/{}?done={word}", page::WEBHOOKS_PATH, page::encoded(id))));
    match sent.text("act") {
        "save" => save(visit, id, &sent).await,
        act @ ("pause" | "resume") => match change(visit, "PATCH", &path(id), Some(&json!({ "active": act == "resume" })), &sent).await? {
            Ok(_) => went(if act == "resume" { "resumed" } else { "paused" }),
            Err((status, form_problems)) => show(visit, id, Shown { status, form_problems, ..Shown::default() }).await,
        },
        act @ ("replay" | "replay_since") => {
            let is_one = act == "replay";
            let replay = ReplayForm { since: sent.text("since").into(), zone: sent.text("zone").into(), all: sent.has("all") };
            let body = if is_one {
                Ok(json!({ "delivery": sent.text("delivery") }))
            } else {
                since(&replay).map(|since| json!({ "since": since, "status": if replay.all { "all" } else { "failed" } }))
            };
            let came = match body {
                Ok(body) => change(visit, "POST", &format!("{}/replay", path(id)), Some(&body), &sent).await?,
                Err(problems) => Err((422, problems)),
            };
            match came {
                Ok(_) if is_one => went("replayed"),
                Ok(body) if body["more"] == true => went("replayed-more"),
                Ok(body) if body["replayed"] == 0 => went("replayed-none"),
                Ok(_) => went("replayed-all"),
                Err((status, replay_problems)) => {
                    // After an outage it must stay the same form, or what was sent again would be sent once more.
                    let form_id = if status == 503 { sent.text("form") } else { "" };
                    show(visit, id, Shown { status, form_id, replay, replay_problems, ..Shown::default() }).await
                }
            }
        }
        _ => Err(Answer::html(404, page::not_found())),
    }
}

/// The time that was typed, in the zone that the browser said, as the API takes it.
fn since(replay: &ReplayForm) -> Result<String, Problems> {
    let wrong = |detail: &str| Problems { general: Vec::new(), fields: vec![("since".into(), detail.into())] };
    if replay.since.is_empty() {
        return Err(wrong("is required"));
    }
    let ahead: i64 = if replay.zone.is_empty() { 0 } else { replay.zone.parse().map_err(|_| wrong("has no known time zone"))? };
    let text = if replay.since.len() == 16 { format!("{}:00Z", replay.since) } else { format!("{}Z", replay.since) };
    let local = time::parse(&text).map_err(|_| wrong("must be a day and a time such as 2027-01-31T09:00"))?;
    let at = i64::try_from(local.0).ok().filter(|_| ahead.abs() <= 24 * 60).and_then(|local| local.checked_sub(ahead * 60_000));
    let at = at.and_then(|at| u64::try_from(at).ok()).ok_or_else(|| wrong("is no time that there was"))?;
    Ok(time::rfc3339(Millis(at)))
}

/// What the page of one webhook shows besides what is there.
#[derive(Default)]
struct Shown<'a> {
    /// 0: 200.
    status: u16,
    /// The id of the page's forms; empty: a new one.
    form_id: &'a str,
    /// What was typed, and what the form began with.
    form: Option<(WebhookForm, WebhookForm)>,
    form_problems: Problems,
    replay: ReplayForm,
    replay_problems: Problems,
}

async fn show<O: Outside>(visit: &Visit<'_, O>, id: &str, shown: Shown<'_>) -> Result<Answer, Answer> {
    #[derive(Deserialize)]
    struct Listed {
        deliveries: Vec<Delivery>,
        next_cursor: Option<String>,
    }
    let webhook: PageWebhook = visit.get(&path(id), &[]).await?.granted()?;
    let status = visit.parameter("status").unwrap_or_default();
    let cursor = visit.parameter("cursor");
    let mut asked = vec![("payload", "true"), ("limit", SHOWN), ("status", status.as_str())];
    asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
    let told = visit.get(&format!("{}/deliveries", path(id)), &asked).await?;
    if told.status == 400 {
        // A cursor of another list, or a status that there is not: all of them are better than an error.
        return Ok(Answer::redirect(&format!("{}/{}", page::WEBHOOKS_PATH, page::encoded(id))));
    }
    let Listed { deliveries, next_cursor } = told.granted()?;
    let as_it_is = WebhookForm::from(&webhook);
    let (form, began) = shown.form.unwrap_or_else(|| (as_it_is.clone(), as_it_is));
    let page = WebhookPage {
        webhook,
        form,
        began,
        form_problems: shown.form_problems,
        status,
        deliveries,
        is_later_part: cursor.is_some(),
        next_cursor,
        replay: shown.replay,
        replay_problems: shown.replay_problems,
        form_id: if shown.form_id.is_empty() { visit.form_id() } else { shown.form_id }.into(),
        done: done(visit),
    };
    Ok(Answer::html(if shown.status == 0 { 200 } else { shown.status }, page::webhook(&visit.reader, &page)))
}

/// `/admin/webhooks/{id}/delete`.
pub(super) async fn delete<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Answer, Answer> {
    let mut shown = (200, Problems::default());
    if visit.is_post() {
        let sent = visit.form()?;
        match change(visit, "DELETE", &path(id), None, &sent).await {
            Ok(Ok(_)) => return Ok(Answer::redirect(&format!("{}?done=deleted", page::WEBHOOKS_PATH))),
            Ok(Err(refused)) => shown = refused,
            // Somebody else was faster: what was wanted is so.
            Err(answer) if answer.status == 404 => return Ok(Answer::redirect(&format!("{}?done=deleted", page::WEBHOOKS_PATH))),
            Err(answer) => return Err(answer),
        }
    }
    let webhook: PageWebhook = visit.get(&path(id), &[]).await?.granted()?;
    Ok(Answer::html(shown.0, page::delete_webhook(&visit.reader, &webhook, &shown.1, visit.form_id())))
}

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
