//! Taking over another system's keys by the SHA-256 of their text: all that a request names, or none.
//!
//! An imported key says nothing of its shard, so before the turn the adapter claims the digests in the Registry, for what
//! [`Turn::wanted_digests`] says; the turn checks everything again. A digest that was claimed stays the shard's: a crash in
//! between, or a refusal by the turn, leaves a claim without a key, which the next try finds to be its own. Digests of
//! deleted keys are kept as tombstones, and their claims too ([`super::reclaim`]).

use std::collections::BTreeMap;

use keyward_shared::{
    digest::Digest,
    ids::{KeyId, OwnerId},
    problem::{Code, FieldError},
};
use serde_json::{Map, Value, json};

use crate::shard::{
    answer::Handled,
    ceilings::{self, Limits},
    failure::Failure,
    keys::create::{NewKey, check_lifetime, check_permissions, digest_taken, insert, latest_expiry},
    keys::reclaim,
    keys::view::{trail, view},
    publish,
    query::Query,
    rows::{self, OwnerRow, worth},
    turn::{Turn, next_rev},
    validate::Fields,
};
use crate::{
    call::Refused,
    sql::{Sql, SqlError},
};

/// The most keys in one request.
const MOST: usize = 1_000;
/// What is shown of a key of which nothing but its digest is known.
const HINT: &str = "imported";

/// One key that is wanted.
struct Import {
    digest: Digest,
    name: String,
    owner: OwnerId,
    limits: Limits,
}

impl<S: Sql> Turn<'_, S> {
    /// The digests of the keys that `POST /v1/keys/import` would take over, in the order of the request; an error where it
    /// would be refused.
    pub(in crate::shard) fn wanted_digests(&self) -> Result<Vec<Digest>, Failure> {
        Ok(self.wanted_imports()?.into_iter().map(|import| import.digest).collect())
    }

    /// `POST /v1/keys/import`.
    pub(in crate::shard) fn import_keys(&mut self) -> Result<Handled, Failure> {
        let imports = self.wanted_imports()?;
        let claimed =
            self.claimed.ok_or_else(|| Failure::refused(Code::Unavailable, "the digests cannot be claimed right now; try again"))?;
        if !claimed.taken.is_empty() {
            return Err(taken(claimed.taken.iter().copied()));
        }
        let rev = next_rev(self.sql, self.now)?;
        let (actor, parent) = (self.actor(), self.caller.key.as_ref().map(|key| key.id.clone()));
        let (mut ids, mut objects) = (Vec::new(), Vec::new());
        for import in &imports {
            let id = KeyId::from_random(self.draw());
            let new = NewKey {
                company: &self.company,
                id: &id,
                digest: &import.digest,
                owner: &import.owner,
                name: &import.name,
                hint: HINT,
                created_by: &actor,
                parent: parent.as_ref(),
                limits: &import.limits,
                rate_limit: None,
                metadata: &Map::new(),
                manages_keys: false,
                bootstrap: false,
                imported: true,
                supersedes: None,
            };
            insert(self.sql, self.now, rev, &new)?;
            reclaim::remember(self.sql, &import.digest)?;
            publish::mark(self.sql, &import.digest, true, rev, self.now, &self.settings.common.timing)?;
            let key = rows::key(self.sql, &self.company, &id)?.ok_or_else(|| Failure::not_found("key"))?;
            self.record_one("key.import", id.as_str(), Value::Null, trail(&key, self.now))?;
            objects.push(view(&key, self.settings, self.now));
            ids.push(id);
        }
        Ok(Handled { status: 201, keys: ids, ..Handled::ok(json!({ "keys": objects })) })
    }

    /// The body that shows `keys` as they are now, as far as there still are any.
    pub(in crate::shard) fn keys_body(&self, keys: &[KeyId]) -> Result<Value, Failure> {
        let mut objects = Vec::new();
        for id in keys {
            objects.extend(rows::key(self.sql, &self.company, id)?.map(|key| view(&key, self.settings, self.now)));
        }
        Ok(json!({ "keys": objects }))
    }

    /// What the request asks for, checked against everything that is known here.
    fn wanted_imports(&self) -> Result<Vec<Import>, Failure> {
        Query::read(&self.call.query, &[])?;
        let mut fields = Fields::read(&self.call.body, &["keys"])?;
        let company = rows::company(self.sql, &self.company)?.ok_or_else(|| Failure::not_found("company"))?;
        let latest = latest_expiry(company.max_key_lifetime_days, self.now);
        let mut owners: BTreeMap<OwnerId, Option<OwnerRow>> = BTreeMap::new();
        let mut digests: BTreeMap<Digest, usize> = BTreeMap::new();
        let mut wanted = Vec::new();
        for (at, mut key) in
            fields.objects("keys", MOST, &["sha256", "name", "owner", "expires_at", "permissions"])?.into_iter().enumerate()
        {
            key.require("sha256");
            let digest = key.sha256("sha256");
            if let Some(first) = digest.and_then(|digest| digests.insert(digest, at)) {
                key.wrong("sha256", format!("is the same as that of keys[{first}]"));
            }
            let name = key.required_label("name", 100);
            key.require("owner");
            let owner = key.owner("owner");
            let permissions = key.permissions("permissions");
            let expires_at = key.future("expires_at", self.now);
            check_lifetime(&mut key, expires_at, latest);
            if let Some(owner) = &owner {
                match self.owner_of(&mut owners, owner)? {
                    None => key.wrong("owner", "there is no such owner"),
                    Some(row) if !row.active => key.wrong("owner", "is not active"),
                    Some(row) => check_permissions(&mut key, permissions.as_ref(), &worth(self.settings, &self.company, &row.permissions)),
                }
            }
            fields.add_errors(key);
            if let (Some(digest), Some(name), Some(owner), true) = (digest, name, owner, fields.is_right()) {
                let asked = Limits { restriction: permissions, networks: Vec::new(), expires_at };
                wanted.push((digest, name, owner, asked));
            }
        }
        fields.check()?;
        if !company.active {
            return Err(Failure::refused(Code::Conflict, "the company is not active"));
        }
        let mut imports = Vec::new();
        for (at, (digest, name, owner, asked)) in wanted.into_iter().enumerate() {
            let had = self.owner_of(&mut owners, &owner)?.as_ref().map(|row| worth(self.settings, &self.company, &row.permissions));
            let other = self.caller.company != self.company || owner != self.caller.owner;
            let mut limits = ceilings::inherit(self.caller, other, &had.unwrap_or_default(), asked).map_err(|mut refused| {
                refused.0.detail = format!("keys[{at}]: {}", refused.0.detail);
                refused
            })?;
            limits.expires_at = limits.expires_at.into_iter().chain(latest).min();
            imports.push(Import { digest, name, owner, limits });
        }
        let mut in_use = Vec::new();
        for (at, import) in imports.iter().enumerate() {
            in_use.extend(digest_taken(self.sql, &import.digest)?.then_some(at));
        }
        if in_use.is_empty() { Ok(imports) } else { Err(taken(in_use.into_iter())) }
    }

    fn owner_of<'o>(&self, known: &'o mut BTreeMap<OwnerId, Option<OwnerRow>>, owner: &OwnerId) -> Result<&'o Option<OwnerRow>, SqlError> {
        if !known.contains_key(owner) {
            known.insert(owner.clone(), rows::owner(self.sql, &self.company, owner)?);
        }
        Ok(known.get(owner).unwrap_or(&None))
    }
}

/// 409 with the places of the digests that cannot be had. Whose they are stays unsaid.
fn taken(places: impl Iterator<Item = usize>) -> Failure {
    let detail = "this digest is in use, or was once";
    let errors: Vec<_> = places.map(|at| FieldError { field: format!("keys[{at}].sha256"), detail: detail.into() }).collect();
    let mut refused = Refused::new(Code::Conflict, format!("{}: {detail}", errors.first().map_or("keys", |error| error.field.as_str())));
    refused.0.errors = errors;
    refused.into()
}
