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
    page::{self, By, GonePage, Key, NewPage, Problems, RotatePage, Status, Traffic},
    time::rfc3339,
};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// For how long the counts of hours are surely kept.
const HOURS_KEPT: Millis = Millis(6 * DAY);
/// For how long a form's own time counts; later the days are reckoned from the present.
const FORM_LIFE: Millis = Millis(DAY);

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
    show(visit, key, Typed::of(name, visit.now()), Problems::default(), 200).await
}

struct Typed {
    name: String,
    overlap: String,
    life: String,
    at: Millis,
}

impl Typed {
    /// The form before anything is typed.
    fn of(name: String, now: Millis) -> Self {
        Self { name, overlap: "keep".into(), life: String::new(), at: now }
    }

    fn read(form: &Form, now: Millis) -> Self {
        let at = form.text("at").parse().ok().map(Millis::from_secs).filter(|at| *at <= now && at.plus(FORM_LIFE) > now);
        let text = |name: &str| form.text(name).to_owned();
        Self { name: text("name"), overlap: text("overlap"), life: text("life"), at: at.unwrap_or(now) }
    }

    /// What the API is to make; `None`: the form does not say it.
    fn wanted(&self) -> Option<Value> {
        let mut body = json!({ "name": self.name });
        match self.overlap.as_str() {
            "day" => body["overlap_s"] = (DAY / 1_000).into(),
            "week" => body["overlap_s"] = (7 * DAY / 1_000).into(),
            "now" => body["overlap_s"] = 0.into(),
            _ => {}
        }
        match self.life.as_str() {
            "" => {}
            "never" => body["expires_at"] = Value::Null,
            days => {
                let days = days.parse::<u64>().ok().filter(|days| (1..=3_650).contains(days))?;
                body["expires_at"] = rfc3339(self.at.plus(Millis(days * DAY))).into();
            }
        }
        Some(body)
    }
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
        life: typed.life,
        at: typed.at,
        longest: visit.longest_life().await,
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

/// Makes the successor and shows it once: after that nothing else may fail, or its key would be lost.
async fn make<O: Outside>(visit: &Visit<'_, O>, id: &str, form: &Form) -> Result<Answer, Answer> {
    let typed = Typed::read(form, visit.now());
    let Some(key) = look_up(visit, id).await? else { return Ok(gone(visit, typed.name)) };
    let Some(body) = typed.wanted() else {
        let problems = Problems { general: vec![], fields: vec![("expires_at".into(), "Choose when it ends.".into())] };
        return show(visit, key, typed, problems, 422).await;
    };
    let form_id = Some(form.text("form")).filter(|form_id| !form_id.is_empty() && form_id.len() <= 255);
    let told = visit.call("POST", &path(id, "/rotate"), &[], Some(&body), form_id).await?;
    match told.status {
        201 => {
            let secret = told.body["key"].as_str().map(ToOwned::to_owned);
            return Ok(Answer::html(200, page::key_rotated(&visit.reader, &NewPage { key, secret, edge_url: edge_url(visit) })));
        }
        404 => return Ok(gone(visit, typed.name)),
        _ => {}
    }
    // As it is now: somebody may have been faster.
    let Some(key) = look_up(visit, id).await? else { return Ok(gone(visit, typed.name)) };
    let has_successor = key.superseded_by.is_some() && (key.status != Status::Active || succeeded(visit, &key).await?);
    let problems = if told.status == 409 && has_successor {
        let sentence = format!("Somebody made a successor meanwhile, so none was made now. The name that you chose was “{}”.", typed.name);
        Problems { general: vec![sentence], fields: vec![] }
    } else {
        told.problems()
    };
    show(visit, key, typed, problems, told.status).await
}

/// Whether the key has a successor that works.
async fn succeeded<O: Outside>(visit: &Visit<'_, O>, key: &Key) -> Result<bool, Answer> {
    let Some(id) = &key.superseded_by else { return Ok(false) };
    Ok(look_up(visit, id).await?.is_some_and(|successor| successor.status == Status::Active))
}

/// Revokes the old key, which ends the rotation.
async fn revoke<O: Outside>(visit: &Visit<'_, O>, id: &str, form: &Form) -> Result<Answer, Answer> {
    let Some(key) = look_up(visit, id).await? else { return Ok(gone(visit, String::new())) };
    let typed = Typed::of(key.name.clone(), visit.now());
    let on = format!("{}/rotate?done=revoked", key.path());
    let refuse = |sentence: &str| Problems { general: vec![sentence.to_owned()], fields: vec![] };
    let Some(successor) = key.superseded_by.clone() else {
        let sentence = "The key has no successor yet: make one first. To turn it off without one, revoke it.";
        return show(visit, key, typed, refuse(sentence), 409).await;
    };
    if !form.has("sure") {
        let sentence = "Nothing was revoked. Confirm that the program works with the new key.";
        return show(visit, key, typed, refuse(sentence), 422).await;
    }
    if key.status == Status::Active && !succeeded(visit, &key).await? {
        let sentence = "Nothing was revoked: the successor does not work any more, so the program would be left without a key.";
        return show(visit, key, typed, refuse(sentence), 409).await;
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
