//! Replacing many owners of a company in one call, as a directory is taken over from elsewhere: all or none.

use std::collections::{BTreeMap, BTreeSet};

use keyward_shared::ids::OwnerId;
use serde_json::{Value, json};

use crate::shard::{
    answer::Handled,
    failure::Failure,
    owners::{WantedOwner, view},
    query::Query,
    rows::{self, OwnerRow},
    turn::{Turn, next_rev},
    validate::Fields,
};
use crate::{call::Refused, route::Endpoint, sql::Sql};

/// The most owners of one call, and of a company that a call may say the whole of.
const MOST: usize = 1_000;

/// An owner as it was, and as it is to be.
type Change = (Option<OwnerRow>, WantedOwner);

impl<S: Sql> Turn<'_, S> {
    /// `PUT /v1/owners`. An owner who is as the request wants is left alone: no revision, no entry, no announcement.
    pub(in crate::shard) fn put_owners(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        if rows::company(self.sql, &self.company)?.is_none() {
            return Err(Failure::not_found("company"));
        }
        let mut fields = Fields::read(&self.call.body, &["owners", "deactivate_missing"])?;
        let wanted = self.wanted_owners(&mut fields)?;
        let deactivate = fields.truth("deactivate_missing").unwrap_or(false);
        let missing = if deactivate { self.missing(&wanted, &mut fields)? } else { Vec::new() };
        fields.check()?;

        let mut changes: Vec<Change> = Vec::new();
        for (index, owner) in wanted.into_iter().flatten().enumerate() {
            let old = rows::owner(self.sql, &self.company, &owner.id)?;
            self.may_make(old.as_ref(), &owner).map_err(|refused| {
                let detail = format!("owners[{index}]: {}", refused.0.detail);
                Refused::new(refused.0.code, detail)
            })?;
            changes.push((old, owner));
        }
        let named = changes.len();
        changes.retain(|(old, wanted)| old.as_ref().is_none_or(|old| !is(old, wanted)));
        let unchanged = named - changes.len();
        let created = changes.iter().filter(|(old, _)| old.is_none()).count();
        let (updated, deactivated) = (changes.len() - created, missing.len());
        changes.extend(missing);
        let owners = self.make_all(&changes)?;
        Ok(Handled::ok(json!({
            "created": created,
            "updated": updated,
            "unchanged": unchanged,
            "deactivated": deactivated,
            "owners": owners,
        })))
    }

    /// What the request says of each owner: `None` where something is wrong with it.
    fn wanted_owners(&self, fields: &mut Fields) -> Result<Vec<Option<WantedOwner>>, Refused> {
        let mut first: BTreeMap<OwnerId, usize> = BTreeMap::new();
        let mut wanted = Vec::new();
        for (index, mut object) in
            fields.objects("owners", MOST, &["owner", "name", "email", "permissions", "active"])?.into_iter().enumerate()
        {
            let id = object.owner("owner");
            if id.is_none() && !object.given("owner") {
                object.wrong("owner", "is required");
            }
            if let Some(earlier) = id.as_ref().and_then(|id| first.get(id)) {
                object.wrong("owner", format!("is the one of owners[{earlier}]"));
            } else if let Some(id) = &id {
                first.insert(id.clone(), index);
            }
            wanted.push(self.wanted_owner(&mut object, id));
            fields.add_errors(object);
        }
        Ok(wanted)
    }

    /// The active owners whom the request does not name, as they are to be; the caller is none of them. A request that cannot
    /// name all owners of the company would lock out those of the next one: so it is refused.
    fn missing(&self, wanted: &[Option<WantedOwner>], fields: &mut Fields) -> Result<Vec<Change>, Failure> {
        if wanted.iter().any(Option::is_none) {
            return Ok(Vec::new()); // it is refused anyway, and whom it names is not known
        }
        let named: BTreeSet<&OwnerId> = wanted.iter().flatten().map(|owner| &owner.id).collect();
        let active = rows::active_owners(self.sql, &self.company, MOST as u64 + 1)?;
        let is_caller = |id: &OwnerId| self.caller.company == self.company && self.caller.owner == *id;
        let missing: Vec<OwnerRow> = active.into_iter().filter(|row| !named.contains(&row.owner) && !is_caller(&row.owner)).collect();
        if missing.len() + named.len() > MOST {
            fields.wrong("deactivate_missing", format!("the company has more than {MOST} owners, who cannot all be named in one call"));
            return Ok(Vec::new());
        }
        let inactive = |old: OwnerRow| {
            let wanted = WantedOwner {
                id: old.owner.clone(),
                name: old.name.clone(),
                email: old.email.clone(),
                permissions: old.permissions.clone(),
                active: false,
            };
            (Some(old), wanted)
        };
        Ok(missing.into_iter().map(inactive).collect())
    }

    /// Makes all changes, with one revision; gives the owners as they are then. Each is one entry of the trail.
    fn make_all(&self, changes: &[Change]) -> Result<Vec<Value>, Failure> {
        let mut owners = Vec::new();
        if changes.is_empty() {
            return Ok(owners);
        }
        let rev = next_rev(self.sql, self.now)?;
        let action = Endpoint::PutOwner.action().unwrap_or_default();
        for (old, wanted) in changes {
            let new = view(&self.store_owner(old.as_ref(), wanted, rev)?);
            self.record_one(action, wanted.id.as_str(), old.as_ref().map_or(Value::Null, view), new.clone())?;
            owners.push(new);
        }
        Ok(owners)
    }
}

/// Whether `old` is as `wanted` already.
fn is(old: &OwnerRow, wanted: &WantedOwner) -> bool {
    (&old.name, &old.email, &old.permissions, old.active) == (&wanted.name, &wanted.email, &wanted.permissions, wanted.active)
}
