//! `/admin/owners`: the directory. A form says what it was made from; what somebody else has changed since is shown, not overwritten.

use keyward_shared::ids::OwnerId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{Answer, Outside},
    form::Form,
    visit::{Told, Visit},
};
use crate::page::{
    self, OWNERS_PATH, OwnerForm, OwnerPage, OwnersPage, PageOwner, Problems,
    directory::{CONFIRM, address, duration, encoded},
};

/// The part of `GET /v1/owners` that the page shows.
#[derive(Deserialize)]
struct Listed {
    owners: Vec<PageOwner>,
    next_cursor: Option<String>,
}

/// `/admin/owners`.
pub(super) async fn list<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    if visit.is_post() {
        return Err(Answer::redirect(&visit.reader.at(OWNERS_PATH)));
    }
    let looked_for = visit.parameter("owner").map(|id| id.trim().to_owned());
    // What cannot be an id is nobody's: the API is not asked for it.
    if let Some(id) = &looked_for
        && OwnerId::new(id).is_ok()
        && find(visit, id).await?.is_some()
    {
        return Ok(Answer::redirect(&visit.reader.at(&address(OWNERS_PATH, id))));
    }
    let cursor = visit.parameter("cursor");
    let query: Vec<_> = cursor.iter().map(|cursor| ("cursor", cursor.as_str())).collect();
    let told = visit.get("/v1/owners", &query).await?;
    if told.status == 400 && cursor.is_some() {
        return Ok(Answer::redirect(&visit.reader.at(OWNERS_PATH)));
    }
    let listed: Listed = told.granted()?;
    let page = OwnersPage {
        owners: listed.owners,
        next_cursor: listed.next_cursor,
        further: cursor.is_some(),
        missed: looked_for,
        done: if visit.parameter("done").as_deref() == Some("deleted") { "The owner was deleted. Their keys are revoked." } else { "" },
    };
    let status = match page.missed.as_deref() {
        None => 200,
        Some("") => 400,
        Some(_) => 404,
    };
    Ok(Answer::html(status, page::owners(&visit.reader, &page)))
}

/// `/admin/owners/new`.
pub(super) async fn make<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    if visit.is_post() {
        let form = read(&visit.form()?, None);
        return save(visit, form).await;
    }
    visit.get("/v1/owners", &[("limit", "1")]).await?.granted::<Value>()?; // says who may not
    Ok(show(visit, 200, OwnerPage { form: OwnerForm { active: true, ..OwnerForm::default() }, ..OwnerPage::default() }))
}

/// `/admin/owners/{owner}`.
pub(super) async fn one<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Answer, Answer> {
    if !visit.is_post() {
        let Some(owner) = find(visit, id).await? else { return Err(Answer::html(404, page::not_found())) };
        let done = done(visit);
        return Ok(show(visit, 200, OwnerPage { done, ..OwnerPage::of(owner) }));
    }
    let form = visit.form()?;
    match form.text("do") {
        "activate" => activate(visit, id, true).await,
        "deactivate" => activate(visit, id, false).await,
        "delete" => delete(visit, id, &form).await,
        "link" => sign_in_link(visit, id).await,
        _ => save(visit, read(&form, Some(id))).await,
    }
}

/// What has just been done, by the word in the address.
fn done<O: Outside>(visit: &Visit<'_, O>) -> String {
    let within = duration(visit.settings().common.timing.bound);
    let within = format!("Their keys follow mostly within a second, and within {within} at the latest.");
    match visit.parameter("done").as_deref() {
        Some("created") => "The owner was added, and can have keys now.".into(),
        Some("saved") => format!("Saved. {within}"),
        Some("deactivated") => format!("The owner was deactivated. {within}"),
        Some("activated") => format!("The owner was activated. {within}"),
        _ => String::new(),
    }
}

/// The owner of this id; `None`: nobody.
async fn find<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Option<PageOwner>, Answer> {
    let told = visit.get(&format!("/v1/owners/{}", encoded(id)), &[]).await?;
    if told.status == 404 { Ok(None) } else { told.granted().map(Some) }
}

fn read(form: &Form, id: Option<&str>) -> OwnerForm {
    let text = |name: &str| form.text(name).to_owned();
    OwnerForm {
        id: id.map_or_else(|| text("id"), ToOwned::to_owned),
        id_is_given: id.is_some(),
        name: text("name"),
        email: text("email"),
        permissions: text("permissions"),
        active: form.has("active"),
        seen: text("seen"),
    }
}

/// Makes or replaces the owner, where nobody else has done so since the form was made.
async fn save<O: Outside>(visit: &Visit<'_, O>, mut form: OwnerForm) -> Result<Answer, Answer> {
    if let Err(error) = OwnerId::new(&form.id) {
        let problems = Problems { fields: vec![("owner".into(), error.to_string())], ..Problems::default() };
        return Ok(show(visit, 422, OwnerPage { form, problems, ..OwnerPage::default() }));
    }
    let owner = find(visit, &form.id).await?;
    if let Some(owner) = owner.as_ref().filter(|_| !form.seen.is_empty()) {
        form.active = owner.active;
    }
    let version = owner.as_ref().map(PageOwner::version).unwrap_or_default();
    if version != form.seen {
        let is_new = form.seen.is_empty();
        if owner.as_ref().is_some_and(|owner| form.says(owner)) {
            return Ok(Answer::redirect(&at(visit, &form.id, if is_new { "created" } else { "saved" })));
        }
        if is_new {
            let detail = "There is already an owner with this id; open it from the list to change it.".to_owned();
            let problems = Problems { fields: vec![("owner".into(), detail)], ..Problems::default() };
            return Ok(show(visit, 409, OwnerPage { form, problems, ..OwnerPage::default() }));
        }
        form.seen = version;
        return Ok(show(visit, 409, OwnerPage { owner, form, changed_meanwhile: true, ..OwnerPage::default() }));
    }
    let told = put(visit, &form).await?;
    match told.status {
        200 | 201 => Ok(Answer::redirect(&at(visit, &form.id, if owner.is_none() { "created" } else { "saved" }))),
        status => Ok(show(visit, status, OwnerPage { owner, form, problems: told.problems(), ..OwnerPage::default() })),
    }
}

async fn put<O: Outside>(visit: &Visit<'_, O>, form: &OwnerForm) -> Result<Told, Answer> {
    let email = Some(&form.email).filter(|email| !email.is_empty());
    let permissions: Vec<&str> = form.permissions().collect();
    let body = json!({ "name": form.name, "email": email, "permissions": permissions, "active": form.active });
    visit.call("PUT", &format!("/v1/owners/{}", encoded(&form.id)), &[], Some(&body), None).await
}

/// Lets the owner act, or not, and leaves everything else as it is now.
async fn activate<O: Outside>(visit: &Visit<'_, O>, id: &str, active: bool) -> Result<Answer, Answer> {
    let Some(owner) = find(visit, id).await? else { return Err(Answer::html(404, page::not_found())) };
    let told = put(visit, &OwnerForm { active, ..OwnerForm::of(&owner) }).await?;
    if let 200 | 201 = told.status {
        return Ok(Answer::redirect(&at(visit, id, if active { "activated" } else { "deactivated" })));
    }
    Ok(show(visit, told.status, OwnerPage { problems: told.problems(), ..OwnerPage::of(owner) }))
}

async fn delete<O: Outside>(visit: &Visit<'_, O>, id: &str, sent: &Form) -> Result<Answer, Answer> {
    let gone = || Ok(Answer::redirect(&visit.reader.at(&format!("{OWNERS_PATH}?done=deleted"))));
    let Some(owner) = find(visit, id).await? else { return gone() };
    let typed = sent.text(CONFIRM).to_owned();
    if typed != id {
        let problems =
            Problems { fields: vec![(CONFIRM.into(), "This is not the id. Nothing was deleted.".into())], ..Problems::default() };
        return Ok(show(visit, 422, OwnerPage { problems, typed, ..OwnerPage::of(owner) }));
    }
    let told = visit.call("DELETE", &format!("/v1/owners/{}", encoded(id)), &[], None, None).await?;
    if let 204 | 404 = told.status {
        return gone();
    }
    Ok(show(visit, told.status, OwnerPage { problems: told.problems(), typed, ..OwnerPage::of(owner) }))
}

/// Shows a new link in the answer itself: it stands in no address and in no history.
async fn sign_in_link<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Answer, Answer> {
    let Some(owner) = find(visit, id).await? else { return Err(Answer::html(404, page::not_found())) };
    let company = visit.company().unwrap_or(&visit.reader.company);
    let told = visit.call("POST", "/v1/sign-in-links", &[], Some(&json!({ "owner": id, "company": company })), None).await?;
    if told.status == 201 {
        let link = Some(told.granted()?);
        return Ok(show(visit, 200, OwnerPage { link, ..OwnerPage::of(owner) }));
    }
    Ok(show(visit, told.status, OwnerPage { problems: told.problems(), ..OwnerPage::of(owner) }))
}

fn at<O: Outside>(visit: &Visit<'_, O>, id: &str, done: &str) -> String {
    let path = address(OWNERS_PATH, id);
    visit.reader.at(&format!("{path}{}done={done}", if path.contains('?') { '&' } else { '?' }))
}

fn show<O: Outside>(visit: &Visit<'_, O>, status: u16, page: OwnerPage) -> Answer {
    let page = OwnerPage { form_id: visit.form_id().to_owned(), bound: visit.settings().common.timing.bound, ..page };
    Answer::html(status, page::owner(&visit.reader, &page))
}
