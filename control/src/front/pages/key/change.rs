//! The form that changes a key. What somebody else did meanwhile is said, and nothing that was typed is lost.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::{
        super::{Answer, Outside},
        form::Form,
        visit::Visit,
    },
    look_up, path, show,
};
use crate::page::{self, Change, Fields, GonePage, Key, Problems};

pub(super) async fn change<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Answer, Answer> {
    let form = visit.form()?;
    let Some(key) = look_up(visit, id).await? else { return Ok(gone(visit, &form)) };
    let mut change = read(&form, &key);
    let (wanted, now) = (change.fields(), Fields::of(&key));
    let changes = wanted.changes(&change.was);
    let conflicts = wanted.conflicts(&change.was, &now);
    if !conflicts.is_empty() {
        change.problems = Problems { general: vec![], fields: conflicts };
        // Whoever saves again has seen what it is now.
        change.was = now;
        return show(visit, key, change, 409).await;
    }
    if wanted.permissions.as_ref().is_some_and(BTreeSet::is_empty) && changes.contains_key("permissions") {
        let sentence = "Choose at least one, or everything.";
        change.problems = Problems { general: vec![], fields: vec![("permissions".into(), sentence.into())] };
        return show(visit, key, change, 422).await;
    }
    if changes.is_empty() {
        return Ok(Answer::redirect(&format!("{}?done=unchanged", key.path())));
    }
    let told = visit.call("PATCH", &path(id, ""), &[], Some(&Value::Object(changes)), None).await?;
    match told.status {
        200 => Ok(Answer::redirect(&format!("{}?done=changed", key.path()))),
        404 => Ok(gone(visit, &form)),
        status => {
            change.problems = told.problems();
            // It may have ended between the two calls.
            match look_up(visit, id).await? {
                Some(key) => show(visit, key, change, status).await,
                None => Ok(gone(visit, &form)),
            }
        }
    }
}

fn read(form: &Form, key: &Key) -> Change {
    Change {
        was: serde_json::from_str(form.text("was")).unwrap_or_else(|_| Fields::of(key)),
        name: form.text("name").into(),
        day: form.text("day").into(),
        exact_end: form.text("exact_end").into(),
        all: form.text("scope") != "some",
        ticked: form.all("permission").filter(|permission| !permission.is_empty()).map(Into::into).collect(),
        others: form.text("others").into(),
        networks: form.text("networks").into(),
        problems: Problems::default(),
        sent: true,
    }
}

fn gone<O: Outside>(visit: &Visit<'_, O>, form: &Form) -> Answer {
    let text = |name: &str| form.text(name).to_owned();
    let permissions: Vec<_> = form.all("permission").chain([form.text("others")]).filter(|text| !text.is_empty()).collect();
    let permissions = if form.text("scope") == "some" { permissions.join("\n") } else { String::new() };
    let typed = vec![("Name", text("name")), ("Expires", text("day")), ("Permissions", permissions), ("Networks", text("networks"))];
    Answer::html(404, page::key_gone(&visit.reader, &GonePage { wanted: "changed", typed }))
}
