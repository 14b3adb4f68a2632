//! Replacing a key: which step has been reached follows from the keys and their use.

use keyward_shared::time::Millis;
use serde_json::{Value, json};

use super::{
    super::{
        super::{Answer, Outside},
        form::Form,
        visit::Visit,
    },
    Used, buckets, find, look_up, path,
};
use crate::{
    page::{self, By, GonePage, Key, NewPage, Problems, RotatePage, Traffic},
    time::rfc3339,
};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// For how long the counts of hours are surely kept.
const HOURS_KEPT: Millis = Millis(6 * DAY);

pub(super) async fn answer<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Answer, Answer> {
    if visit.is_post() {
        let form = visit.form()?;
        return match form.text("step") {
            "revoke" => revoke(visit, id, &form).await,
            _ => make(visit, id, &form).await,
        };
    }
    let key = find(visit, id).await?;
    let name = key.name.clone();
    show(visit, key, Typed { name, overlap: "keep".into() }, Problems::default(), 200).await
}

struct Typed {
    name: String,
    overlap: String,
}

async fn show<O: Outside>(visit: &Visit<'_, O>, key: Key, typed: Typed, problems: Problems, status: u16) -> Result<Answer, Answer> {
    let successor = match &key.superseded_by {
        Some(id) => look_up(visit, id).await?,
        None => None,
    };
    let page = RotatePage {
        traffic: traffic(visit, &key).await,
        key,
        successor,
        name: typed.name,
        overlap: typed.overlap,
        form_id: visit.form_id().into(),
        edge_url: edge_url(visit),
        drawing: visit.settings().drawing.clone(),
        problems,
        done: match visit.parameter("done").as_deref() {
            Some("made") => "The successor was made. Copy it into the program now.",
            Some("revoked") => "The old key was revoked.",
            _ => "",
        },
        now: visit.now(),
    };
    Ok(Answer::html(status, page::rotate_key(&visit.reader, &page)))
}

fn edge_url<O: Outside>(visit: &Visit<'_, O>) -> String {
    visit.settings().public_edge_url.clone().unwrap_or_default()
}

/// Use of the old key since its successor was made. Counts are by the hour, later by the day; so the hour or day in which that was is
/// counted whole.
async fn traffic<O: Outside>(visit: &Visit<'_, O>, key: &Key) -> Option<Traffic> {
    let at = key.superseded_at?;
    let (by, length) = if visit.now().minus(at) < HOURS_KEPT { (By::Hour, HOUR) } else { (By::Day, DAY) };
    let since = Millis(at.0 / length * length);
    let told = visit.get(&path(&key.id, "/usage"), &[("by", by.name()), ("from", &rfc3339(since))]).await.ok()?;
    let used: Used = told.granted().ok()?;
    let sum = |count: fn(&page::Bucket) -> u64| used.buckets.iter().map(count).fold(0, u64::saturating_add);
    Some(Traffic {
        since,
        allowed: sum(|bucket| bucket.allowed),
        refused: sum(|bucket| bucket.refused),
        hours: buckets(visit, &key.id, By::Hour).await?,
    })
}

/// Makes the successor and shows it once.
async fn make<O: Outside>(visit: &Visit<'_, O>, id: &str, form: &Form) -> Result<Answer, Answer> {
    let typed = Typed { name: form.text("name").into(), overlap: form.text("overlap").into() };
    let mut body = json!({ "name": typed.name });
    match typed.overlap.as_str() {
        "day" => body["overlap_s"] = (DAY / 1_000).into(),
        "week" => body["overlap_s"] = (7 * DAY / 1_000).into(),
        "now" => body["overlap_s"] = 0.into(),
        _ => {}
    }
    let form_id = Some(form.text("form")).filter(|form_id| !form_id.is_empty() && form_id.len() <= 255);
    let told = visit.call("POST", &path(id, "/rotate"), &[], Some(&body), form_id).await?;
    let Some(key) = look_up(visit, id).await? else { return Ok(gone(visit, typed.name)) };
    match told.status {
        201 => {
            let secret = told.body["key"].as_str().map(ToOwned::to_owned);
            Ok(Answer::html(200, page::key_rotated(&visit.reader, &NewPage { key, secret, edge_url: edge_url(visit) })))
        }
        404 => Ok(gone(visit, typed.name)),
        409 if key.superseded_by.is_some() => {
            let sentence =
                format!("Somebody made a successor meanwhile, so none was made now. The name that you chose was “{}”.", typed.name);
            show(visit, key, typed, Problems { general: vec![sentence], fields: vec![] }, 409).await
        }
        status => show(visit, key, typed, told.problems(), status).await,
    }
}

/// Revokes the old key, which ends the rotation.
async fn revoke<O: Outside>(visit: &Visit<'_, O>, id: &str, form: &Form) -> Result<Answer, Answer> {
    let Some(key) = look_up(visit, id).await? else { return Ok(gone(visit, String::new())) };
    let typed = Typed { name: key.name.clone(), overlap: "keep".into() };
    let on = format!("{}/rotate?done=revoked", key.path());
    let Some(successor) = key.superseded_by.clone() else {
        let sentence = "The key has no successor yet: make one first. To turn it off without one, revoke it.";
        return show(visit, key, typed, Problems { general: vec![sentence.into()], fields: vec![] }, 409).await;
    };
    if !form.has("sure") {
        let sentence = "Nothing was revoked. Confirm that the program works with the new key.";
        return show(visit, key, typed, Problems { general: vec![sentence.into()], fields: vec![] }, 422).await;
    }
    let body: Value = json!({ "reason": format!("rotated: {successor}") });
    let told = visit.call("POST", &path(id, "/revoke"), &[], Some(&body), None).await?;
    match told.status {
        200 => Ok(Answer::redirect(&on)),
        404 => Ok(gone(visit, String::new())),
        status => show(visit, key, typed, told.problems(), status).await,
    }
}

fn gone<O: Outside>(visit: &Visit<'_, O>, name: String) -> Answer {
    Answer::html(404, page::key_gone(&visit.reader, &GonePage { wanted: "rotated", typed: vec![("Name of the successor", name)] }))
}
