//! `/admin/audit`: the trail, and the check of its chain.

use serde::Deserialize;

use super::{
    super::{Answer, Outside},
    visit::Visit,
};
use crate::page::{self, AuditEntry, AuditFilters, AuditPage, Names, Problems};

/// The part of `GET /v1/audit` that the page shows.
#[derive(Deserialize)]
struct Listed {
    entries: Vec<AuditEntry>,
    next_cursor: Option<String>,
    names: Names,
}

pub(super) async fn list<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    let given = |name| visit.parameter(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    let filters =
        AuditFilters { target: given("target"), actor: given("actor"), action: given("action"), from: given("from"), to: given("to") };
    let cursor = visit.parameter("cursor");
    let refused = |status, filters, problems: Problems| {
        let page = AuditPage { filters, problems, ..AuditPage::default() };
        Ok(Answer::html(status, page::audit(&visit.reader, &page)))
    };
    let query = match filters.query() {
        Ok(query) => query,
        Err(problems) => {
            // Who may not look at the trail is told that, not what is wrong with their question.
            visit.get("/v1/audit", &[("limit", "1")]).await?.granted::<serde_json::Value>()?;
            return refused(422, filters, problems);
        }
    };
    let mut asked: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    asked.push(("names", "true"));
    asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
    let told = visit.get("/v1/audit", &asked).await?;
    if told.status == 400 {
        // A cursor of another list, or one that was cut: the newest part is better than an error.
        let Some(_) = cursor else { return refused(400, filters, told.problems()) };
        return Ok(Answer::redirect(&filters.address(None)));
    }
    let Listed { entries, next_cursor, names } = told.granted()?;
    let page = AuditPage { filters, problems: Problems::default(), entries, names, is_later_part: cursor.is_some(), next_cursor };
    Ok(Answer::html(200, page::audit(&visit.reader, &page)))
}

/// The part of `GET /v1/audit/verify` that the page shows.
#[derive(Deserialize)]
struct Verified {
    valid: bool,
    entries: u64,
    first_broken: Option<u64>,
}

pub(super) async fn verify<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    let verified: Verified = visit.get("/v1/audit/verify", &[]).await?.granted()?;
    let found = if verified.valid { Ok(verified.entries) } else { Err(verified.first_broken) };
    Ok(Answer::html(200, page::audit_verified(&visit.reader, found)))
}
