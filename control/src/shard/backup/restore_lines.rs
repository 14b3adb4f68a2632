//! What each line of a backup must be. A file may have been changed by whoever it went past, so everything is checked that
//! a call of the API would check, and nobody restores what they could not have made themselves.

use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, KeyId},
    permission::OPERATOR,
    problem::Code,
    time::Millis,
};
use serde_json::{Map, Value};

use crate::shard::{
    audit::{Entry, canonical},
    background,
    backup::restore::{CompanyLine, Header, Progress},
    ceilings::{self, Limits},
    companies::MAX_LIFETIME_DAYS,
    failure::Failure,
    keys::create::digest_taken,
    keys::reclaim,
    rows::{self, worth},
    turn::Turn,
    validate::{Fields, MAX_WHOLE},
    webhooks,
};
use crate::{
    sql::{Sql, Value as SqlValue},
    time::{self, END, rfc3339},
};

/// How much later than now a time in a backup may be: the clock of the machine that wrote it.
const MOST_AHEAD: Millis = Millis::from_secs(86_400);
/// The longest text in columns that people do not fill.
const MOST_NAMED: usize = 300;

/// A row to be stored: its columns in the order of its kind.
pub(in crate::shard) type Values = Vec<SqlValue>;

fn unprocessable(field: &str, detail: &str) -> Failure {
    let error = keyward_shared::problem::FieldError { field: field.into(), detail: detail.into() };
    Failure::Refused(crate::call::Refused::fields(vec![error]))
}

impl<S: Sql> Turn<'_, S> {
    /// The header.
    pub(in crate::shard) fn header_line(&self, members: Map<String, Value>) -> Result<Header, Failure> {
        let mut fields = Fields::of(members, &["kind", "format", "company", "shard", "rev", "exported_at"])?;
        let format = fields.required_number("format", 0, MAX_WHOLE);
        let company = fields.company("company");
        let shard = fields.required_label("shard", 4);
        let rev = fields.required_number("rev", 0, self.now.plus(MOST_AHEAD).0);
        let exported_at = fields.required_label("exported_at", 40);
        if exported_at.as_deref().is_some_and(|text| time::parse(text).is_err()) {
            fields.wrong("exported_at", "must be a time");
        }
        if format.is_some_and(|format| format != super::export::FORMAT) {
            fields.wrong("format", "this program does not know this form of a backup");
        }
        if company.is_none_or(|company| company != self.company) {
            fields.wrong("company", "is not the company that is to be restored");
        }
        if shard.is_some_and(|shard| shard != self.shard.as_str()) {
            fields.wrong("shard", "is not the one that the company belongs to");
        }
        fields.check()?;
        Ok(Header { rev: rev.unwrap_or_default(), exported_at: exported_at.unwrap_or_default() })
    }

    /// The company itself.
    pub(in crate::shard) fn company_line(&self, members: Map<String, Value>) -> Result<CompanyLine, Failure> {
        let mut fields = Fields::of(members, &["kind", "name", "active", "max_key_lifetime_days", "created_at"])?;
        let name = fields.required_label("name", 100);
        let active = fields.required_truth("active");
        let max_key_lifetime_days = fields.number("max_key_lifetime_days", 1, MAX_LIFETIME_DAYS);
        let created_at = self.past(&mut fields, "created_at");
        fields.check()?;
        Ok(CompanyLine {
            name: name.unwrap_or_default(),
            active: active.unwrap_or_default(),
            max_key_lifetime_days,
            created_at: created_at.unwrap_or_default(),
        })
    }

    /// A person.
    pub(in crate::shard) fn owner_line(&self, fields: &mut Fields, header: &Header) -> Result<Values, Failure> {
        let owner = required(fields, "owner", Fields::owner);
        let name = fields.required_label("name", 100);
        let email = fields.email("email");
        let permissions = required(fields, "permissions", Fields::permissions).unwrap_or_default();
        let active = fields.required_truth("active").unwrap_or_default();
        let created_at = self.past(fields, "created_at");
        let stamps = self.stamps(fields, header);
        if self.company != self.settings.common.operator_company && permissions.iter().any(|permission| permission.as_str() == OPERATOR) {
            fields.wrong("permissions", "keyward.operator is for the operator's company only");
        }
        fields.check()?;
        let owner = owner.ok_or_else(|| Failure::not_found("owner"))?;
        if rows::owner(self.sql, &self.company, &owner)?.is_some() {
            return Err(unprocessable("owner", "stands twice"));
        }
        ceilings::gives(self.caller, None, &permissions)?;
        let mut values: Values = vec![
            (&owner).into(),
            name.unwrap_or_default().into(),
            email.into(),
            serde_json::to_string(&permissions)?.into(),
            active.into(),
            created_at.into(),
        ];
        values.extend(stamps);
        Ok(values)
    }

    /// A key.
    pub(in crate::shard) fn key_line(&self, fields: &mut Fields, header: &Header) -> Result<Values, Failure> {
        let id = required(fields, "key_id", key_id);
        let digest = required(fields, "digest", Fields::digest);
        let owner = required(fields, "owner", Fields::owner);
        let name = fields.required_label("name", 100);
        let hint = fields.required_label("hint", 40);
        let place = fields.required_number("place", 1, header.rev);
        let created_at = self.past(fields, "created_at");
        let created_by = fields.required_label("created_by", MOST_NAMED);
        let parent = key_id(fields, "parent");
        let expires_at = fields.number("expires_at", 1, END.0);
        let permissions = fields.permissions("permissions");
        let networks = required(fields, "networks", Fields::networks).unwrap_or_default();
        let rate_limit = fields.label("rate_limit", 50);
        let metadata = required(fields, "metadata", Fields::metadata).unwrap_or_default();
        let manages_keys = fields.required_truth("manages_keys").unwrap_or_default();
        let bootstrap = fields.required_truth("bootstrap").unwrap_or_default();
        let revoked_at = if fields.given("revoked_at") { self.past(fields, "revoked_at") } else { None };
        let revoked_by = fields.label("revoked_by", MOST_NAMED);
        let revoke_reason = fields.label("revoke_reason", MOST_NAMED);
        let supersedes = key_id(fields, "supersedes");
        let superseded_by = key_id(fields, "superseded_by");
        let superseded_at = if fields.given("superseded_at") { self.past(fields, "superseded_at") } else { None };
        let imported = fields.truth("imported").unwrap_or(false);
        let stamps = self.stamps(fields, header);
        if bootstrap && self.company != self.settings.common.operator_company {
            fields.wrong("bootstrap", "the bootstrap key is the operator's company's");
        }
        fields.check()?;
        let (Some(id), Some(digest), Some(owner)) = (id, digest, owner) else { return Err(Failure::not_found("key")) };

        let row = rows::owner(self.sql, &self.company, &owner)?;
        if row.is_none() && revoked_at.is_none() {
            return Err(unprocessable("owner", "there is no such owner, and the key is not revoked"));
        }
        let owners = row.map(|row| worth(self.settings, &self.company, &row.permissions)).unwrap_or_default();
        let limits = Limits { restriction: permissions, networks, expires_at: expires_at.map(Millis) };
        // What a revoked or expired key could do once nobody can do with it again.
        let lives = revoked_at.is_none() && limits.expires_at.is_none_or(|at| at > self.now);
        if lives && manages_keys {
            ceilings::makes_managers(self.caller)?;
        }
        if lives {
            let effective = limits.restriction.as_ref().map(|own| own.intersection(&owners));
            ceilings::within(self.caller, &owners, &Limits { restriction: effective, ..limits.clone() })?;
        }
        if digest_taken(self.sql, &digest)? {
            return Err(Failure::refused(Code::Conflict, "this digest is in use, or was once"));
        }
        if !self.sql.execute("SELECT 1 FROM keys WHERE company = ?1 AND key_id = ?2", &[(&self.company).into(), (&id).into()])?.is_empty() {
            return Err(unprocessable("key_id", "stands twice"));
        }
        if imported {
            reclaim::remember(self.sql, &digest)?;
        }
        let mut values: Values = vec![
            (&id).into(),
            (&digest).into(),
            (&owner).into(),
            name.unwrap_or_default().into(),
            hint.unwrap_or_default().into(),
            place.into(),
            created_at.into(),
            created_by.unwrap_or_default().into(),
            parent.as_ref().into(),
            limits.expires_at.into(),
            limits.restriction.as_ref().map(serde_json::to_string).transpose()?.into(),
            serde_json::to_string(&limits.networks)?.into(),
            rate_limit.into(),
            serde_json::to_string(&metadata)?.into(),
            manages_keys.into(),
            bootstrap.into(),
            revoked_at.into(),
            revoked_by.into(),
            revoke_reason.into(),
            supersedes.as_ref().into(),
            superseded_by.as_ref().into(),
            superseded_at.into(),
            imported.into(),
        ];
        values.extend(stamps);
        Ok(values)
    }

    /// When a key was used last.
    pub(in crate::shard) fn use_line(&self, fields: &mut Fields) -> Result<Values, Failure> {
        let id = required(fields, "key_id", key_id);
        let at = self.past(fields, "last_used_at");
        fields.check()?;
        Ok(vec![self.restored_key(id)?, at.into()])
    }

    /// How often a key was used in an hour or on a day.
    pub(in crate::shard) fn bucket_line(&self, fields: &mut Fields) -> Result<Values, Failure> {
        let id = required(fields, "key_id", key_id);
        let width = fields.required_label("width", 4);
        if width.as_deref().is_some_and(|width| !["hour", "day"].contains(&width)) {
            fields.wrong("width", "must be hour or day");
        }
        let at = self.past(fields, "at");
        let (allowed, refused) = (fields.required_number("allowed", 0, MAX_WHOLE / 2), fields.required_number("refused", 0, MAX_WHOLE / 2));
        fields.check()?;
        Ok(vec![self.restored_key(id)?, width.unwrap_or_default().into(), at.into(), allowed.into(), refused.into()])
    }

    fn restored_key(&self, id: Option<KeyId>) -> Result<SqlValue, Failure> {
        let id = id.ok_or_else(|| Failure::not_found("key"))?;
        let known = self.sql.execute("SELECT 1 FROM keys WHERE company = ?1 AND key_id = ?2", &[(&self.company).into(), (&id).into()])?;
        if known.is_empty() { Err(unprocessable("key_id", "there is no such key in this backup")) } else { Ok((&id).into()) }
    }

    /// A webhook. It hears of what happens from now on.
    pub(in crate::shard) fn webhook_line(&self, fields: &mut Fields) -> Result<Values, Failure> {
        let id = fields.required_text("id");
        if id.as_deref().is_some_and(|id| !webhooks::is_id(id)) {
            fields.wrong("id", "is not the id of a webhook");
        }
        let url = fields.required_text("url").and_then(|url| {
            webhooks::target::check(&url, self.settings.webhook_targets).map_err(|error| fields.wrong("url", error.to_string())).ok()
        });
        let events = webhooks::events_of(fields);
        let name = fields.label("name", 100);
        let active = fields.required_truth("active").unwrap_or_default();
        let disabled_reason = fields.label("disabled_reason", MOST_NAMED);
        let created_at = self.past(fields, "created_at");
        let created_by = fields.required_label("created_by", MOST_NAMED);
        fields.check()?;
        let (count, since) = webhooks::count_and_last_event(self.sql, &self.company)?;
        if count >= webhooks::MOST {
            return Err(unprocessable("id", "a company has at most 20 webhooks"));
        }
        Ok(vec![
            id.into(),
            url.into(),
            events.as_ref().map(serde_json::to_string).transpose()?.into(),
            name.into(),
            active.into(),
            disabled_reason.into(),
            created_at.into(),
            created_by.into(),
            since.into(),
        ])
    }

    /// An entry of the trail, which must be the next link of the chain.
    pub(in crate::shard) fn audit_line(&self, fields: &mut Fields, progress: &mut Progress) -> Result<Values, Failure> {
        let sequence = fields.required_number("sequence", 1, MAX_WHOLE);
        let at = self.past(fields, "at");
        let note = fields.label("note", MOST_NAMED);
        let (text, hash) = (fields.required_text("entry"), required(fields, "hash", Fields::digest));
        fields.check()?;
        let broken = || unprocessable("entry", "is not the next link of the chain of hashes");
        let (Some(text), Some(hash), Some(at)) = (text, hash, at) else { return Err(broken()) };
        let entry: Entry = serde_json::from_str(&text).map_err(|_| broken())?;
        let right = canonical(&entry)? == text
            && Digest::of(text.as_bytes()) == hash
            && sequence == Some(progress.trail + 1)
            && entry.sequence == progress.trail + 1
            && entry.previous == progress.hash
            && entry.company == self.company
            && entry.at == rfc3339(at);
        if !right {
            return Err(broken());
        }
        (progress.trail, progress.hash) = (entry.sequence, hash.to_hex());
        Ok(vec![
            entry.sequence.into(),
            at.into(),
            note.into(),
            text.into(),
            (&hash).into(),
            entry.actor.into(),
            entry.action.into(),
            entry.target.into(),
        ])
    }

    /// A time that has been.
    fn past(&self, fields: &mut Fields, field: &str) -> Option<Millis> {
        fields.required_number(field, 0, self.now.plus(MOST_AHEAD).0).map(Millis)
    }

    /// When it was changed last and when that was announced, and a revision: the whole company is announced anew.
    fn stamps(&self, fields: &mut Fields, header: &Header) -> [SqlValue; 3] {
        let changed_at = self.past(fields, "changed_at");
        let announced_at = if fields.given("announced_at") { self.past(fields, "announced_at") } else { changed_at };
        [changed_at.into(), announced_at.into(), header.rev.into()]
    }
}

/// What `read` reads, which must be there.
fn required<T>(fields: &mut Fields, field: &str, read: impl FnOnce(&mut Fields, &str) -> Option<T>) -> Option<T> {
    if !fields.given(field) {
        fields.wrong(field, "is required");
        return None;
    }
    read(fields, field)
}

fn key_id(fields: &mut Fields, field: &str) -> Option<KeyId> {
    let text = fields.label(field, 100)?;
    KeyId::new(&text).map_err(|error| fields.wrong(field, error.to_string())).ok()
}

/// The company of an import is not there, and nothing of it but what an import brought.
pub(in crate::shard) fn must_be_absent(sql: &impl Sql, company: &CompanyId) -> Result<(), Failure> {
    if background::is_being_erased(sql, company)? {
        return Err(Failure::refused(Code::Conflict, "what is left of the company of that id is still being erased; try again"));
    }
    match rows::company(sql, company)? {
        None => Ok(()),
        Some(_) => Err(Failure::refused(Code::Conflict, "there is such a company already; a backup is restored where there is none")),
    }
}
