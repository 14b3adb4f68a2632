//! Changing, revoking and deleting keys.

use std::collections::BTreeSet;

use keyward_shared::{ids::KeyId, problem::Code, time::Millis};
use serde_json::Value;

use crate::shard::{
    answer::Handled,
    ceilings::{self, Limits},
    failure::Failure,
    keys::create::{check_lifetime, check_permissions, check_tier, latest_expiry},
    keys::view::{status, trail, view},
    outbox, publish,
    query::Query,
    rows::{self, KeyRow, worth},
    turn::{Turn, next_rev},
    validate::Fields,
};
use crate::{
    settings::ControlSettings,
    sql::{Columns, Sql, SqlError},
};

/// The most keys that one call revokes.
const MOST: usize = 1_000;
/// The most keys that one call looks at for those that come from the key that it revokes.
const WALK: u64 = 10_000;

impl<S: Sql> Turn<'_, S> {
    /// `PATCH /v1/keys/{id}`: null takes a limit away.
    pub(in crate::shard) fn change_key(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let old = self.visible_key()?;
        ceilings::changes(self.caller, &self.company, &old.owner)?;
        let mut fields = Fields::read(&self.call.body, &["name", "expires_at", "permissions", "allowed_ips", "rate_limit", "metadata"])?;
        if status(&old, self.now) != "active" {
            return Err(Failure::refused(Code::Conflict, "an expired or revoked key cannot be changed"));
        }
        let owners = old.owner_state.as_ref().map(|state| worth(self.settings, &self.company, &state.1)).unwrap_or_default();
        let mut new = old.clone();
        if fields.has("name") {
            new.name = fields.required_label("name", 100).unwrap_or_default();
        }
        if fields.has("expires_at") {
            new.expires_at = fields.future("expires_at", self.now);
            let company = rows::company(self.sql, &self.company)?.ok_or_else(|| Failure::not_found("company"))?;
            let latest = latest_expiry(company.max_key_lifetime_days, old.created_at);
            if new.expires_at != old.expires_at {
                check_lifetime(&mut fields, new.expires_at, latest);
            }
            new.expires_at = new.expires_at.or(latest);
        }
        if fields.has("permissions") {
            new.permissions = fields.permissions("permissions");
            if new.permissions != old.permissions {
                check_permissions(&mut fields, new.permissions.as_ref(), &owners);
            }
        }
        if fields.has("allowed_ips") {
            new.networks = fields.networks("allowed_ips").unwrap_or_default();
        }
        if fields.has("rate_limit") {
            new.rate_limit = fields.label("rate_limit", 50);
            if new.rate_limit != old.rate_limit {
                check_tier(&mut fields, new.rate_limit.as_deref(), self.settings);
            }
        }
        if fields.has("metadata") {
            new.metadata = fields.metadata("metadata").unwrap_or_default();
        }
        fields.check()?;
        ceilings::widen(self.caller, &owners, &limits(&old), &limits(&new))?;
        if new == old {
            return Ok(self.key_answer(&old));
        }
        let rev = next_rev(self.sql, self.now)?;
        self.sql.execute(
            "UPDATE keys SET name = ?3, expires_at = ?4, permissions = ?5, networks = ?6, rate_limit = ?7, metadata = ?8, rev = ?9, changed_at = ?10, \
             announced_at = NULL WHERE company = ?1 AND key_id = ?2",
            &[
                (&self.company).into(),
                (&old.id).into(),
                new.name.into(),
                new.expires_at.into(),
                new.permissions.as_ref().map(serde_json::to_string).transpose()?.into(),
                serde_json::to_string(&new.networks)?.into(),
                new.rate_limit.into(),
                serde_json::to_string(&new.metadata)?.into(),
                rev.into(),
                self.now.into(),
            ],
        )?;
        self.key_changed(&old, rev)?;
        let new = self.reread(&old.id)?;
        self.record(old.id.as_str(), trail(&old, self.now), trail(&new, self.now))?;
        Ok(self.key_answer(&new))
    }

    /// `POST /v1/keys/{id}/revoke`: again is the same answer. As long as one with `cascade` says `more`, another goes on.
    pub(in crate::shard) fn revoke_key(&mut self) -> Result<Handled, Failure> {
        let query = Query::read(&self.call.query, &["cascade"])?;
        let cascade = query.truth("cascade")?;
        let key = self.visible_key()?;
        let mut fields = Fields::read(&self.call.body, &["reason"])?;
        let reason = fields.label("reason", 200);
        fields.check()?;
        if !cascade {
            if key.revoked_at.is_none() {
                revoke(self.sql, self.settings, self.now, &key, &self.actor(), reason.as_deref())?;
                self.record_revoked(&key)?;
            }
            return Ok(self.key_answer(&self.reread(&key.id)?));
        }
        let more = self.revoke_family(&key.id, reason.as_deref())?;
        let mut handled = self.key_answer(&self.reread(&key.id)?);
        if let (true, Some(body)) = (more, handled.body.as_mut()) {
            body["more"] = true.into();
        }
        Ok(handled)
    }

    /// Revokes the key `id` and those that come from it, as many as one turn may; whether there may be more.
    fn revoke_family(&self, id: &KeyId, reason: Option<&str>) -> Result<bool, Failure> {
        let (family, mut more) = self.unrevoked_family(id)?;
        let mut keys = Vec::new();
        for id in &family {
            let key = self.reread(id)?;
            if key.revoked_at.is_some() || !ceilings::sees(self.caller, &self.company, &key.owner, &key.id) {
                continue;
            }
            if keys.len() == MOST {
                more = true;
                break;
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Ok(false); // whoever called again would get no further
        }
        let rev = next_rev(self.sql, self.now)?;
        for key in &keys {
            self.set_revoked(key, reason, rev)?;
            publish::mark(self.sql, &key.digest, key.imported, rev, self.now, &self.settings.common.timing)?;
        }
        let ids: Vec<KeyId> = keys.into_iter().map(|key| key.id).collect();
        outbox::add_keys(self.sql, self.now, &self.company, &ids, rev)?;
        Ok(more)
    }

    /// The key `id`, the keys that it made, and those that they made; and whether there are more than are looked at in one
    /// turn. Only keys that manage keys make any. Of the others those that are revoked are passed over without a look, so
    /// that whoever calls again gets further.
    fn unrevoked_family(&self, id: &KeyId) -> Result<(Vec<KeyId>, bool), Failure> {
        let (mut makers, mut family) = (vec![id.clone()], vec![id.clone()]);
        let mut known: BTreeSet<KeyId> = makers.iter().cloned().collect();
        let (mut next, mut left) = (0, WALK);
        while let Some(parent) = makers.get(next).cloned() {
            next += 1;
            for (manages, which) in [(true, "manages_keys = 1"), (false, "manages_keys = 0 AND revoked_at IS NULL")] {
                let statement = format!(
                    "SELECT key_id FROM keys INDEXED BY keys_by_parent WHERE company = ?1 AND parent = ?2 AND {which} LIMIT {}",
                    left + 1
                );
                for row in self.sql.execute(&statement, &[(&self.company).into(), (&parent).into()])? {
                    if left == 0 {
                        return Ok((family, true));
                    }
                    left -= 1;
                    let child: KeyId = Columns::of(row).parsed()?;
                    if !known.insert(child.clone()) {
                        continue; // a restored company may say that a key made itself
                    }
                    if manages {
                        makers.push(child.clone());
                    }
                    family.push(child);
                }
            }
        }
        Ok((family, false))
    }

    /// Revokes a key with revision `rev` and records it. To be marked and announced by the caller.
    pub(in crate::shard) fn set_revoked(&self, old: &KeyRow, reason: Option<&str>, rev: u64) -> Result<(), Failure> {
        set_revoked(self.sql, self.now, old, &self.actor(), reason, rev)?;
        self.record_revoked(old)
    }

    fn record_revoked(&self, old: &KeyRow) -> Result<(), Failure> {
        self.record_one("key.revoke", old.id.as_str(), trail(old, self.now), trail(&self.reread(&old.id)?, self.now))
    }

    /// `DELETE /v1/keys/{id}`: the digest can never be used again, the trail remembers.
    pub(in crate::shard) fn delete_key(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let old = self.visible_key()?;
        let rev = next_rev(self.sql, self.now)?;
        self.sql.execute("INSERT OR IGNORE INTO tombstones (digest) VALUES (?1)", &[(&old.digest).into()])?;
        for table in ["keys", "key_usage", "key_buckets"] {
            self.sql
                .execute(&format!("DELETE FROM {table} WHERE company = ?1 AND key_id = ?2"), &[(&self.company).into(), (&old.id).into()])?;
        }
        self.key_changed(&old, rev)?;
        self.record(old.id.as_str(), trail(&old, self.now), Value::Null)?;
        Ok(Handled::nothing())
    }

    fn reread(&self, id: &KeyId) -> Result<KeyRow, Failure> {
        rows::key(self.sql, &self.company, id)?.ok_or_else(|| Failure::not_found("key"))
    }

    fn key_answer(&self, key: &KeyRow) -> Handled {
        Handled::ok(view(key, self.settings, self.now)).about(&self.company, &key.id)
    }
}

/// Revokes a key, marks its record for publishing and announces it. The trail is the caller's.
pub(in crate::shard) fn revoke(
    sql: &impl Sql,
    settings: &ControlSettings,
    now: Millis,
    old: &KeyRow,
    by: &str,
    reason: Option<&str>,
) -> Result<(), Failure> {
    let rev = next_rev(sql, now)?;
    set_revoked(sql, now, old, by, reason, rev)?;
    publish::mark(sql, &old.digest, old.imported, rev, now, &settings.common.timing)?;
    outbox::add_change(sql, now, outbox::Kind::Key, &old.company, old.id.as_str(), rev)
}

fn set_revoked(sql: &impl Sql, now: Millis, old: &KeyRow, by: &str, reason: Option<&str>, rev: u64) -> Result<(), SqlError> {
    sql.execute(
        "UPDATE keys SET revoked_at = ?3, revoked_by = ?4, revoke_reason = ?5, rev = ?6, changed_at = ?3, announced_at = NULL \
         WHERE company = ?1 AND key_id = ?2",
        &[(&old.company).into(), (&old.id).into(), now.into(), by.into(), reason.into(), rev.into()],
    )
    .map(|_| ())
}

fn limits(key: &KeyRow) -> Limits {
    Limits { restriction: key.permissions.clone(), networks: key.networks.clone(), expires_at: key.expires_at }
}
