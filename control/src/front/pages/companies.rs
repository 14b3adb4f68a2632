//! `/admin/companies`: the companies of the deployment. As with owners, what somebody else has changed since a form was made is shown, not
//! overwritten.

use keyward_shared::ids::CompanyId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{Answer, Outside},
    form::Form,
    visit::{Told, Visit},
};
use crate::page::{
    self, COMPANIES_PATH, CompaniesPage, CompanyForm, CompanyPage, ListedCompany, PageCompany, Problems,
    directory::{CONFIRM, address, duration, encoded},
};

/// `GET /v1/companies`.
#[derive(Deserialize)]
struct Listed {
    companies: Vec<ListedCompany>,
    next_cursor: Option<String>,
}

/// `/admin/companies`.
pub(super) async fn list<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    if visit.is_post() {
        return Err(Answer::redirect(COMPANIES_PATH));
    }
    let cursor = visit.parameter("cursor");
    let query: Vec<_> = cursor.iter().map(|cursor| ("cursor", cursor.as_str())).collect();
    let told = visit.get("/v1/companies", &query).await?;
    if told.status == 400 && cursor.is_some() {
        return Ok(Answer::redirect(COMPANIES_PATH));
    }
    let listed: Listed = told.granted()?;
    let deleted = "The company was deleted. Its keys are refused, and its data is being erased.";
    let page = CompaniesPage {
        companies: listed.companies,
        next_cursor: listed.next_cursor,
        further: cursor.is_some(),
        done: if visit.parameter("done").as_deref() == Some("deleted") { deleted } else { "" },
    };
    Ok(Answer::html(200, page::companies(&visit.reader, &page)))
}

/// `/admin/companies/new`.
pub(super) async fn make<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    if visit.is_post() {
        return save(visit, read(&visit.form()?, None)).await;
    }
    visit.get("/v1/companies", &[("limit", "1")]).await?.granted::<Value>()?; // says who may not
    Ok(show(visit, 200, CompanyPage { form: CompanyForm { active: true, ..CompanyForm::default() }, ..CompanyPage::default() }))
}

/// `/admin/companies/{company}`.
pub(super) async fn one<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Answer, Answer> {
    let missing = || Answer::html(404, page::not_found());
    if !visit.is_post() {
        let company = find(visit, id).await?.ok_or_else(missing)?;
        return Ok(show(visit, 200, CompanyPage { done: done(visit), ..CompanyPage::of(company) }));
    }
    let form = visit.form()?;
    match form.text("do") {
        "activate" => activate(visit, find(visit, id).await?.ok_or_else(missing)?, true).await,
        "deactivate" => activate(visit, find(visit, id).await?.ok_or_else(missing)?, false).await,
        "delete" => delete(visit, id, &form).await,
        _ => save(visit, read(&form, Some(id))).await,
    }
}

/// What has just been done, by the word in the address.
fn done<O: Outside>(visit: &Visit<'_, O>) -> String {
    let within = duration(visit.settings().common.timing.bound);
    let within = format!("Its keys follow mostly within a second, and within {within} at the latest.");
    match visit.parameter("done").as_deref() {
        Some("created") => "The company was made. Add its first owner next.".into(),
        Some("saved") => "Saved.".into(),
        Some("deactivated") => format!("The company was deactivated. {within}"),
        Some("activated") => format!("The company was activated. {within}"),
        _ => String::new(),
    }
}

fn path(id: &str) -> String {
    format!("/v1/companies/{}", encoded(id))
}

/// The company of this id; `None`: there is none.
async fn find<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Option<PageCompany>, Answer> {
    let told = visit.get(&path(id), &[]).await?;
    if told.status == 404 { Ok(None) } else { told.granted().map(Some) }
}

fn read(form: &Form, id: Option<&str>) -> CompanyForm {
    let text = |name: &str| form.text(name).to_owned();
    CompanyForm {
        id: id.map_or_else(|| text("id"), ToOwned::to_owned),
        id_is_given: id.is_some(),
        name: text("name"),
        days: text("days"),
        active: form.has("active"),
        seen: text("seen"),
    }
}

/// Makes or replaces the company, where nobody else has done so since the form was made.
async fn save<O: Outside>(visit: &Visit<'_, O>, mut form: CompanyForm) -> Result<Answer, Answer> {
    let wrong_id = |detail: String| Problems { fields: vec![("company".into(), detail)], ..Problems::default() };
    if let Err(error) = CompanyId::new(&form.id) {
        return Ok(show(visit, 422, CompanyPage { form, problems: wrong_id(error.to_string()), ..CompanyPage::default() }));
    }
    let company = find(visit, &form.id).await?;
    if let Some(company) = company.as_ref().filter(|_| !form.seen.is_empty()) {
        form.active = company.active;
    }
    let version = company.as_ref().map(PageCompany::version).unwrap_or_default();
    if version != form.seen {
        let is_new = form.seen.is_empty();
        if company.as_ref().is_some_and(|company| form.says(company)) {
            return Ok(Answer::redirect(&at(&form.id, if is_new { "created" } else { "saved" })));
        }
        if is_new {
            let problems = wrong_id("There is already a company with this id; open it from the list to change it.".into());
            return Ok(show(visit, 409, CompanyPage { form, problems, ..CompanyPage::default() }));
        }
        form.seen = version;
        return Ok(show(visit, 409, CompanyPage { company, form, changed_meanwhile: true, ..CompanyPage::default() }));
    }
    let told = put(visit, &form).await?;
    match told.status {
        200 | 201 => Ok(Answer::redirect(&at(&form.id, if company.is_none() { "created" } else { "saved" }))),
        status => Ok(show(visit, status, CompanyPage { company, form, problems: told.problems(), ..CompanyPage::default() })),
    }
}

async fn put<O: Outside>(visit: &Visit<'_, O>, form: &CompanyForm) -> Result<Told, Answer> {
    // What is no number goes on as it is: the API says what is wrong with it.
    let days = match (form.days.as_str(), form.days.parse::<u64>()) {
        ("", _) => Value::Null,
        (_, Ok(days)) => days.into(),
        (text, Err(_)) => text.into(),
    };
    let body = json!({ "name": form.name, "active": form.active, "max_key_lifetime_days": days });
    visit.call("PUT", &path(&form.id), &[], Some(&body), None).await
}

/// Lets the company's people act, or not, and leaves everything else as it is now.
async fn activate<O: Outside>(visit: &Visit<'_, O>, company: PageCompany, active: bool) -> Result<Answer, Answer> {
    let told = put(visit, &CompanyForm { active, ..CompanyForm::of(&company) }).await?;
    if let 200 | 201 = told.status {
        return Ok(Answer::redirect(&at(&company.company, if active { "activated" } else { "deactivated" })));
    }
    Ok(show(visit, told.status, CompanyPage { problems: told.problems(), ..CompanyPage::of(company) }))
}

async fn delete<O: Outside>(visit: &Visit<'_, O>, id: &str, sent: &Form) -> Result<Answer, Answer> {
    let gone = || Ok(Answer::redirect(&format!("{COMPANIES_PATH}?done=deleted")));
    let Some(company) = find(visit, id).await? else { return gone() };
    let typed = sent.text(CONFIRM).to_owned();
    if typed != id {
        let problems =
            Problems { fields: vec![(CONFIRM.into(), "This is not the id. Nothing was deleted.".into())], ..Problems::default() };
        return Ok(show(visit, 422, CompanyPage { problems, typed, ..CompanyPage::of(company) }));
    }
    let told = visit.call("DELETE", &path(id), &[], None, None).await?;
    if let 204 | 404 = told.status {
        return gone();
    }
    Ok(show(visit, told.status, CompanyPage { problems: told.problems(), typed, ..CompanyPage::of(company) }))
}

fn at(id: &str, done: &str) -> String {
    let path = address(COMPANIES_PATH, id);
    format!("{path}{}done={done}", if path.contains('?') { '&' } else { '?' })
}

fn show<O: Outside>(visit: &Visit<'_, O>, status: u16, page: CompanyPage) -> Answer {
    let common = &visit.settings().common;
    let is_operators = page.company.as_ref().is_some_and(|company| company.company == common.operator_company.as_str());
    let page = CompanyPage { is_operators, bound: common.timing.bound, ..page };
    Answer::html(status, page::company(&visit.reader, &page))
}
