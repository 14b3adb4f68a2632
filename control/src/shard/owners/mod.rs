//! The directory: who the people of a company are and what they may do.

mod put_many;

use keyward_shared::{
    ids::{CompanyId, OwnerId},
    permission::{OPERATOR, PermissionSet},
    problem::Code,
    time::Millis,
};
use serde_json::{Value, json};

use crate::shard::{
    answer::Handled,
    background, ceilings,
    cursor::Pages,
    failure::Failure,
    publish,
    query::Query,
    rows::{self, OwnerRow},
    sign_in_memory,
    turn::{self, Turn, next_rev},
    validate::Fields,
};
use crate::{call::Refused, sql::Sql, time::rfc3339};

/// An owner as a request wants it to be.
pub(in crate::shard) struct WantedOwner {
    pub(in crate::shard) id: OwnerId,
    pub(in crate::shard) name: String,
    pub(in crate::shard) email: Option<String>,
    pub(in crate::shard) permissions: PermissionSet,
    pub(in crate::shard) active: bool,
}

pub(in crate::shard) fn view(owner: &OwnerRow) -> Value {
    json!({
        "owner": owner.owner,
        "company": owner.company,
        "name": owner.name,
        "email": owner.email,
        "permissions": owner.permissions,
        "active": owner.active,
        "created_at": rfc3339(owner.created_at),
        "changed_at": rfc3339(owner.changed.at),
    })
}

impl<S: Sql> Turn<'_, S> {
    /// The owner that the path names.
    fn named_owner(&self) -> Result<OwnerId, Failure> {
        OwnerId::new(&self.found.argument).map_err(|_| Failure::not_found("owner"))
    }

    /// `GET /v1/owners/{owner}`.
    pub(in crate::shard) fn get_owner(&self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let owner = rows::owner(self.sql, &self.company, &self.named_owner()?)?.ok_or_else(|| Failure::not_found("owner"))?;
        Ok(Handled::ok(view(&owner)))
    }

    /// `GET /v1/owners`: in the order of their ids.
    pub(in crate::shard) fn list_owners(&self) -> Result<Handled, Failure> {
        let query = Query::read(&self.call.query, &["limit", "cursor"])?;
        let pages = Pages::new(&self.settings.session_secrets, "owners", &self.company, "", &query);
        let after = pages.place(&query)?.unwrap_or_default();
        let limit = query.limit()?;
        let mut owners = rows::owners_after(self.sql, &self.company, &after, limit + 1)?;
        let more = owners.len() as u64 > limit;
        owners.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = owners.last().filter(|_| more).map(|last| pages.cursor(last.owner.as_str()));
        Ok(Handled::ok(json!({ "owners": owners.iter().map(view).collect::<Vec<_>>(), "next_cursor": next })))
    }

    /// `PUT /v1/owners/{owner}`: makes or replaces.
    pub(in crate::shard) fn put_owner(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        if rows::company(self.sql, &self.company)?.is_none() {
            return Err(Failure::not_found("company"));
        }
        let mut fields = Fields::read(&self.call.body, &["name", "email", "permissions", "active"])?;
        let id = OwnerId::new(&self.found.argument);
        if let Err(error) = &id {
            fields.wrong("owner", error.to_string());
        }
        let wanted = self.wanted_owner(&mut fields, id.ok());
        fields.check()?;
        let wanted = wanted.ok_or_else(|| Failure::not_found("owner"))?;
        let old = rows::owner(self.sql, &self.company, &wanted.id)?;
        self.may_make(old.as_ref(), &wanted)?;

        let rev = next_rev(self.sql, self.now)?;
        let new = self.store_owner(old.as_ref(), &wanted, rev)?;
        self.record(wanted.id.as_str(), old.as_ref().map_or(Value::Null, view), view(&new))?;
        Ok(Handled { status: if old.is_some() { 200 } else { 201 }, ..Handled::ok(view(&new)) })
    }

    /// What a request's `fields` say of the owner `id`; where that is `None` only to find what is wrong.
    pub(in crate::shard) fn wanted_owner(&self, fields: &mut Fields, id: Option<OwnerId>) -> Option<WantedOwner> {
        let name = fields.required_label("name", 100);
        let email = fields.email("email");
        let permissions = fields.permissions("permissions").unwrap_or_default();
        let active = fields.truth("active").unwrap_or(true);
        if permissions.iter().any(|permission| permission.as_str() == OPERATOR) && self.company != self.settings.common.operator_company {
            fields.wrong("permissions", "keyward.operator is for the operator's company only");
        }
        Some(WantedOwner { id: id?, name: name?, email, permissions, active })
    }

    /// Whether the caller may make an owner, who is `old` now, be as `wanted`.
    pub(in crate::shard) fn may_make(&self, old: Option<&OwnerRow>, wanted: &WantedOwner) -> Result<(), Refused> {
        // Who could not act had nothing: to let them act again gives them everything that they then have.
        let had = old.filter(|old| old.active || !wanted.active).map(|old| &old.permissions);
        ceilings::gives(self.caller, had, &wanted.permissions)
    }

    /// Makes an owner, who is `old` now, be as `wanted`: the row, the marks of the owner's keys and what is to be announced.
    pub(in crate::shard) fn store_owner(&self, old: Option<&OwnerRow>, wanted: &WantedOwner, rev: u64) -> Result<OwnerRow, Failure> {
        write(self.sql, self.now, &self.company, old.is_some(), wanted, rev)
    }

    /// `DELETE /v1/owners/{owner}`: revokes the owner's keys and ends the owner's sessions. The keys read as revoked at once; their
    /// rows follow in handfuls.
    pub(in crate::shard) fn delete_owner(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let id = self.named_owner()?;
        let old = rows::owner(self.sql, &self.company, &id)?.ok_or_else(|| Failure::not_found("owner"))?;
        if self.caller.company == self.company && self.caller.owner == id {
            return Err(Failure::refused(Code::Conflict, "nobody deletes themselves"));
        }
        let rev = next_rev(self.sql, self.now)?;
        let pair: [crate::sql::Value; 2] = [(&self.company).into(), (&id).into()];
        background::depart(self.sql, &self.company, id.as_str(), rev, self.now, &self.actor())?;
        for table in ["owners", "sessions"] {
            self.sql.execute(&format!("DELETE FROM {table} WHERE company = ?1 AND owner = ?2"), &pair)?;
        }
        self.owner_changed(&id, rev)?;
        sign_in_memory::deleted(self.sql, self.settings, self.now, &self.company, &id)?;
        self.record(id.as_str(), view(&old), Value::Null)?;
        Ok(Handled::nothing())
    }
}

/// Writes an entry of the directory with revision `rev`, marks the records of the owner's keys and announces the change.
/// Whether it may be, and the trail, are the caller's. `known`: there is an entry already.
pub(in crate::shard) fn write(
    sql: &impl Sql,
    now: Millis,
    company: &CompanyId,
    known: bool,
    wanted: &WantedOwner,
    rev: u64,
) -> Result<OwnerRow, Failure> {
    let announced = (!known).then_some(now); // nothing that is known of the owner can be outdated
    sql.execute(
        "INSERT INTO owners (company, owner, name, email, permissions, active, created_at, rev, changed_at, announced_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7, ?9) ON CONFLICT (company, owner) DO UPDATE SET \
         name = ?3, email = ?4, permissions = ?5, active = ?6, rev = ?8, changed_at = ?7, announced_at = NULL",
        &[
            company.into(),
            (&wanted.id).into(),
            wanted.name.as_str().into(),
            wanted.email.as_ref().into(),
            serde_json::to_string(&wanted.permissions)?.into(),
            wanted.active.into(),
            now.into(),
            rev.into(),
            announced.into(),
        ],
    )?;
    if known {
        turn::owner_changed(sql, now, company, &wanted.id, rev)?;
    } else if rows::has_keys(sql, company, &wanted.id)? {
        // Of an earlier owner of that id: they stay revoked, so no edge need hear of it; but their records name the owner.
        publish::sweep(sql, company, wanted.id.as_str(), rev)?;
    }
    rows::owner(sql, company, &wanted.id)?.ok_or_else(|| Failure::not_found("owner"))
}

/// What the owner of a bootstrap key may do.
pub(in crate::shard) fn bootstrap_permissions() -> PermissionSet {
    PermissionSet::parse(["*", "keyward.*", OPERATOR]).unwrap_or_default() // well-formed
}
