//! Revoking and deleting a key.

use serde_json::{Map, Value, json};

use super::{
    super::{
        super::{Answer, Outside},
        visit::Visit,
    },
    find, look_up, path,
};
use crate::page::{self, DELETED, DeletePage, GonePage, KEYS_PATH, Problems, RevokePage, Status};

/// How often a revocation that goes on with the keys that a key made is continued within one request.
const PARTS: usize = 10;

pub(super) async fn revoke<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Answer, Answer> {
    if !visit.is_post() {
        let key = find(visit, id).await?;
        let page = RevokePage { key, reason: String::new(), cascade: false, problems: Problems::default() };
        return Ok(Answer::html(200, page::revoke_key(&visit.reader, &page)));
    }
    let form = visit.form()?;
    let (reason, cascade) = (form.text("reason").to_owned(), form.has("cascade"));
    let gone = || {
        let typed = vec![("Reason", reason.clone())];
        Answer::html(404, page::key_gone(&visit.reader, &GonePage { wanted: "revoked", typed }))
    };
    let Some(key) = look_up(visit, id).await? else { return Ok(gone()) };
    if key.status == Status::Revoked && !cascade {
        // Sent twice it is the same; where somebody else was first, theirs is the reason that counts.
        if key.revoke_reason.as_deref().unwrap_or_default() == reason {
            return Ok(Answer::redirect(&format!("{}?done=revoked", key.path())));
        }
        let problems = Problems { general: vec!["The key was already revoked.".into()], fields: vec![] };
        return Ok(Answer::html(409, page::revoke_key(&visit.reader, &RevokePage { key, reason, cascade, problems })));
    }
    let mut body = Map::new();
    if !reason.is_empty() {
        body.insert("reason".into(), json!(reason));
    }
    let body = Value::Object(body);
    let query: &[(&str, &str)] = if cascade { &[("cascade", "true")] } else { &[] };
    for _ in 0..PARTS {
        let told = visit.call("POST", &path(id, "/revoke"), query, Some(&body), None).await?;
        match told.status {
            200 if told.body["more"] == true => {}
            200 => {
                let done = if key.status == Status::Active { "revoked" } else { "family" };
                return Ok(Answer::redirect(&format!("{}?done={done}", key.path())));
            }
            404 => return Ok(gone()),
            status => {
                let problems = told.problems();
                return Ok(Answer::html(status, page::revoke_key(&visit.reader, &RevokePage { key, reason, cascade, problems })));
            }
        }
    }
    // As it is now: it was itself among the first.
    let key = look_up(visit, id).await.ok().flatten().unwrap_or(key);
    let problems =
        Problems { general: vec!["Some of the keys that it made are not revoked yet: send this again to go on.".into()], fields: vec![] };
    Ok(Answer::html(409, page::revoke_key(&visit.reader, &RevokePage { key, reason, cascade, problems })))
}

pub(super) async fn delete<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Answer, Answer> {
    if !visit.is_post() {
        let key = find(visit, id).await?;
        return Ok(Answer::html(
            200,
            page::delete_key(&visit.reader, &DeletePage { key, typed: String::new(), problems: Problems::default() }),
        ));
    }
    let form = visit.form()?;
    let typed = form.text("name").to_owned();
    let gone = || Answer::html(404, page::key_gone(&visit.reader, &GonePage { wanted: DELETED, typed: vec![] }));
    let Some(key) = look_up(visit, id).await? else { return Ok(gone()) };
    let refuse =
        |status, key, typed, problems| Ok(Answer::html(status, page::delete_key(&visit.reader, &DeletePage { key, typed, problems })));
    if typed != key.name {
        let problem =
            if typed.is_empty() { "is needed, so that no other key is deleted by mistake" } else { "is not the name of this key" };
        return refuse(422, key, typed, Problems { general: vec![], fields: vec![("name".into(), format!("This {problem}."))] });
    }
    let told = visit.call("DELETE", &path(id, ""), &[], None, None).await?;
    match told.status {
        // Gone since it was looked up, by a click too many or by somebody else: that is what was wanted.
        204 | 404 => Ok(Answer::redirect(&format!("{KEYS_PATH}?done=deleted"))),
        status => refuse(status, key, typed, told.problems()),
    }
}
