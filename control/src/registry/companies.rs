//! Which companies exist, and in which shard each one's data lies: told by the shards' objects, listed for the
//! operator. The shards' objects are the truth; this is the directory.

use keyward_shared::{ids::CompanyId, shard::Shard, time::Millis};
use serde_json::{Value as Json, json};

use super::Registry;
use crate::{
    call::{ApiAnswer, CompanyNotice},
    cursor::Pages,
    failure::Failure,
    query::Query,
    sql::{Columns, Sql, SqlError},
};

/// Some companies, ordered by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Id, name and shard of each.
    pub companies: Vec<(String, String, String)>,
    /// The id after which the next page begins; `None` on the last one.
    pub next: Option<String>,
}

impl<S: Sql> Registry<S> {
    /// Takes up what a shard's object tells of a company; one that is older than what is known changes nothing.
    pub fn notice(&self, now: Millis, notice: &CompanyNotice) -> Result<(), SqlError> {
        let name = notice.object.as_ref().and_then(|object| object.get("name")).and_then(Json::as_str).unwrap_or_default();
        self.sql.execute(
            "INSERT INTO companies (id, shard, name, registered_at, rev, removed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET shard = excluded.shard, name = excluded.name, rev = excluded.rev, removed = excluded.removed
             WHERE excluded.rev >= rev",
            &[
                notice.company.as_str().into(),
                notice.shard.as_str().into(),
                name.into(),
                now.into(),
                notice.rev.into(),
                notice.object.is_none().into(),
            ],
        )?;
        Ok(())
    }

    /// Takes up a company as of now.
    pub fn register(&self, now: Millis, company: CompanyId, shard: Shard, name: &str) -> Result<(), SqlError> {
        let rev = self.next_rev(now, &company)?;
        self.notice(now, &CompanyNotice { company, shard, rev, object: Some(json!({ "name": name })) })
    }

    /// Removes a company as of now.
    pub fn remove(&self, now: Millis, company: CompanyId) -> Result<(), SqlError> {
        let (shard, rev) = (Shard::of(&company), self.next_rev(now, &company)?);
        self.notice(now, &CompanyNotice { company, shard, rev, object: None })
    }

    fn next_rev(&self, now: Millis, company: &CompanyId) -> Result<u64, SqlError> {
        let known = self.first("SELECT rev FROM companies WHERE id = ?1", &[company.as_str().into()])?;
        Ok(known.map_or(Ok(0), |row| Columns::of(row).number())?.saturating_add(1).max(now.0))
    }

    /// At most `limit` companies whose id comes after `after`.
    pub fn list(&self, limit: u64, after: &str) -> Result<Page, SqlError> {
        let rows = self.sql.execute(
            "SELECT id, name, shard FROM companies WHERE id > ?1 AND removed = 0 ORDER BY id LIMIT ?2",
            &[after.into(), limit.saturating_add(1).into()],
        )?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        let mut companies = Vec::new();
        for row in rows.into_iter().take(limit) {
            let mut columns = Columns::of(row);
            companies.push((columns.text()?, columns.text()?, columns.text()?));
        }
        let next = companies.last().filter(|_| more).map(|last| last.0.clone());
        Ok(Page { companies, next })
    }

    /// `GET /v1/companies`.
    pub(super) fn companies_answer(&self, query: &str) -> Result<ApiAnswer, Failure> {
        let query = Query::read(query, &["limit", "cursor"])?;
        let pages = Pages::new(&self.cursors, "companies", &self.operator, "", &query);
        let page = self.list(query.limit()?, &pages.place(&query)?.unwrap_or_default())?;
        let companies: Vec<_> =
            page.companies.iter().map(|(id, name, shard)| json!({ "company": id, "name": name, "shard": shard })).collect();
        let next = page.next.map(|id| pages.cursor(&id));
        let body = json!({ "companies": companies, "next_cursor": next }).to_string();
        Ok(ApiAnswer { status: 200, headers: Vec::new(), body })
    }
}
