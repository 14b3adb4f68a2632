//! Companies, for the operator. Each is executed in the company's own shard; the list is the Registry's.

use keyward_shared::{ids::CompanyId, problem::Code, shard::Shard};
use serde_json::{Value, json};

use super::{
    answer::Handled,
    background,
    backup::restore,
    failure::Failure,
    outbox, publish,
    query::Query,
    rows::{self, CompanyRow},
    turn::{Turn, next_rev},
    validate::Fields,
};
use crate::{call::CompanyNotice, sql::Sql, time::rfc3339};

/// The longest life of keys that a company can ask for: 100 years.
pub(super) const MAX_LIFETIME_DAYS: u64 = 36_500;

/// The company object.
pub(super) fn view(company: &CompanyRow) -> Value {
    json!({
        "company": company.company,
        "name": company.name,
        "active": company.active,
        "max_key_lifetime_days": company.max_key_lifetime_days,
        "created_at": rfc3339(company.created_at),
        "changed_at": rfc3339(company.changed.at),
    })
}

impl<S: Sql> Turn<'_, S> {
    /// `GET /v1/companies/{company}`.
    pub(super) fn get_company(&self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let company = rows::company(self.sql, &self.company)?.ok_or_else(|| Failure::not_found("company"))?;
        Ok(Handled::ok(view(&company)))
    }

    /// `PUT /v1/companies/{company}`: makes or replaces.
    pub(super) fn put_company(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let mut fields = Fields::read(&self.call.body, &["name", "active", "max_key_lifetime_days"])?;
        let name = fields.required_label("name", 100);
        let active = fields.truth("active").unwrap_or(true);
        let lifetime = fields.number("max_key_lifetime_days", 1, MAX_LIFETIME_DAYS);
        fields.check()?;
        if !active && self.company == self.settings.common.operator_company {
            return Err(Failure::refused(Code::Conflict, "the operator's company stays active"));
        }
        if background::is_being_erased(self.sql, &self.company)? {
            return Err(Failure::refused(Code::Conflict, "a company of that id is being erased; it can be made again when that is done"));
        }
        let old = rows::company(self.sql, &self.company)?;
        if old.is_none() && restore::is_under_way(self.sql, &self.company)? {
            return Err(Failure::refused(
                Code::Conflict,
                "this company is being restored from a backup, or what is left of that is being removed",
            ));
        }
        let rev = next_rev(self.sql, self.now)?;
        let announced = old.is_none().then_some(self.now);
        self.sql.execute(
            "INSERT INTO companies (company, name, active, max_key_lifetime_days, created_at, rev, changed_at, announced_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?7) ON CONFLICT (company) DO UPDATE SET \
             name = ?2, active = ?3, max_key_lifetime_days = ?4, rev = ?6, changed_at = ?5, announced_at = NULL",
            &[
                (&self.company).into(),
                name.unwrap_or_default().into(),
                active.into(),
                lifetime.into(),
                self.now.into(),
                rev.into(),
                announced.into(),
            ],
        )?;
        if old.is_some() {
            publish::sweep(self.sql, &self.company, "", rev)?;
            outbox::add_change(self.sql, self.now, outbox::Kind::Company, &self.company, "", rev)?;
        }
        let new = rows::company(self.sql, &self.company)?.ok_or_else(|| Failure::not_found("company"))?;
        self.register(&self.company, rev, Some(view(&new)))?;
        self.record(self.company.as_str(), old.as_ref().map_or(Value::Null, view), view(&new))?;
        Ok(Handled { status: if old.is_some() { 200 } else { 201 }, ..Handled::ok(view(&new)) })
    }

    /// `DELETE /v1/companies/{company}`: erases everything but the digests, which can never be used again. Without the company's row
    /// nobody finds anything of it; the other rows follow in handfuls, and only then can one of that id be made.
    pub(super) fn delete_company(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let company = self.company.clone();
        let old = rows::company(self.sql, &company)?.ok_or_else(|| Failure::not_found("company"))?;
        if company == self.settings.common.operator_company {
            return Err(Failure::refused(Code::Conflict, "the operator's company cannot be deleted"));
        }
        let rev = next_rev(self.sql, self.now)?;
        self.sql.execute("DELETE FROM companies WHERE company = ?1", &[(&company).into()])?;
        background::erase(self.sql, &company, rev)?;
        // So that nothing is sent any more of what is still to be erased.
        for table in ["webhooks", "webhook_watches"] {
            self.sql.execute(&format!("DELETE FROM {table} WHERE company = ?1"), &[(&company).into()])?;
        }
        // What the Registry was to hear before is no longer true.
        self.sql.execute("DELETE FROM outbox WHERE kind = 'registration' AND company = ?1", &[(&company).into()])?;
        outbox::add_change(self.sql, self.now, outbox::Kind::Company, &company, "", rev)?;
        self.register(&company, rev, None)?;
        self.record_at_home(self.note(company.as_str(), "done", view(&old), Value::Null))?;
        Ok(Handled::nothing())
    }

    fn register(&self, company: &CompanyId, rev: u64, object: Option<Value>) -> Result<(), Failure> {
        register(self.sql, self.now, self.shard, company, rev, object)
    }
}

/// Tells the Registry what became of a company.
pub(super) fn register(
    sql: &impl Sql,
    now: keyward_shared::time::Millis,
    shard: Shard,
    company: &CompanyId,
    rev: u64,
    object: Option<Value>,
) -> Result<(), Failure> {
    outbox::add_company(sql, now, &CompanyNotice { company: company.clone(), shard, rev, object })
}
