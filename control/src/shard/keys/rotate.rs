//! Rotating a key: a successor with the same limits, while the old one goes on for as long as it is wanted. A key has one successor that
//! works; once that one is revoked, expired or deleted, as a lost one is, an active key can be given another.

use keyward_shared::{ids::KeyId, problem::Code, time::Millis};
use serde_json::Value;

use crate::shard::{
    answer::Handled,
    ceilings::{self, Limits},
    failure::Failure,
    keys::create::{Wanted, check_lifetime, latest_expiry},
    keys::view::{status, trail, view},
    query::Query,
    rows::{self, Changed, KeyRow, worth},
    turn::{Turn, next_rev},
    validate::Fields,
};
use crate::sql::Sql;

/// The longest overlap: a year, in seconds.
const MAX_OVERLAP_S: u64 = 31_536_000;

impl<S: Sql> Turn<'_, S> {
    /// `POST /v1/keys/{id}/rotate`.
    pub(in crate::shard) fn rotate_key(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let old = self.visible_key()?;
        ceilings::changes(self.caller, &self.company, &old.owner)?;
        let mut fields = Fields::read(&self.call.body, &["overlap_s", "name", "expires_at", "digest"])?;
        let conflict = |detail: String| Err(Failure::refused(Code::Conflict, detail));
        let earlier = self.earlier_successor(&old)?;
        if let Some(successor) = earlier.as_ref().filter(|key| status(key, self.now) == "active") {
            return conflict(format!("the key was rotated before; its successor is {}", successor.id));
        }
        if status(&old, self.now) != "active" {
            return conflict("an expired or revoked key cannot be rotated".into());
        }
        if !old.owner_active() || !old.company_state.0 {
            return conflict("the owner is not active".into());
        }

        let company = rows::company(self.sql, &self.company)?.ok_or_else(|| Failure::not_found("company"))?;
        let latest = latest_expiry(company.max_key_lifetime_days, self.now);
        let overlap = fields.number("overlap_s", 0, MAX_OVERLAP_S);
        let name = if fields.has("name") { fields.required_label("name", 100) } else { Some(old.name.clone()) };
        let asked_expiry = fields.future("expires_at", self.now);
        // By name and without a time: never, as where a key is made or changed.
        let expires_at = if fields.has("expires_at") { asked_expiry } else { self.inherited_expiry(&old, earlier.as_ref()) };
        let blind = fields.digest("digest");
        check_lifetime(&mut fields, asked_expiry, latest);
        fields.check()?;

        if old.manages_keys {
            ceilings::makes_managers(self.caller)?;
        }
        let owners = old.owner_state.as_ref().map(|state| worth(self.settings, &self.company, &state.1)).unwrap_or_default();
        let limits = Limits {
            // What the owner lost since is no longer the key's either, and is not given anew.
            restriction: old.permissions.as_ref().map(|own| own.intersection(&owners)),
            networks: old.networks.clone(),
            expires_at: expires_at.into_iter().chain(latest).min(),
        };
        ceilings::within(self.caller, &owners, &limits)?;

        let rev = next_rev(self.sql, self.now)?;
        let wanted = Wanted {
            owner: &old.owner,
            name: &name.unwrap_or_default(),
            limits: &limits,
            rate_limit: old.rate_limit.as_deref(),
            metadata: &old.metadata,
            manages_keys: old.manages_keys,
            // Whoever may make managers is given nothing more by it, and the operator's first key can be rotated too.
            bootstrap: old.bootstrap,
            supersedes: Some(&old.id),
        };
        let (new, once) = self.make_key(rev, blind, &wanted)?;
        self.supersede(&old, &new.id, overlap, rev)?;
        self.record(new.id.as_str(), Value::Null, trail(&new, self.now))?;
        let mut body = view(&new, self.settings, self.now);
        once.show(&mut body);
        Ok(Handled::created(body, format!("/v1/keys/{}", new.id)).about(&self.company, &new.id))
    }

    /// The successor that `old` was given before, where it is still there.
    fn earlier_successor(&self, old: &KeyRow) -> Result<Option<KeyRow>, Failure> {
        let id = old.superseded_by.as_deref().and_then(|id| KeyId::new(id).ok());
        Ok(id.map(|id| rows::key(self.sql, &self.company, &id)).transpose()?.flatten())
    }

    /// When a successor ends by itself: when the old key does. What an earlier successor was given counts instead, where that has not
    /// passed: the old key's own end may since be that of an overlap.
    fn inherited_expiry(&self, old: &KeyRow, earlier: Option<&KeyRow>) -> Option<Millis> {
        match earlier {
            Some(earlier) if earlier.expires_at.is_none_or(|at| at > self.now) => earlier.expires_at,
            _ => old.expires_at,
        }
    }

    /// Notes the successor of `old`, and for how many seconds `old` still works; `None`: as long as it would have.
    fn supersede(&self, old: &KeyRow, successor: &KeyId, overlap: Option<u64>, rev: u64) -> Result<(), Failure> {
        let mut new = KeyRow { superseded_by: Some(successor.to_string()), superseded_at: Some(self.now), ..old.clone() };
        match overlap {
            None => {}
            Some(0) => {
                new.revoked_at = Some(self.now);
                new.revoked_by = Some(self.actor());
                new.revoke_reason = Some(format!("rotated: {successor}"));
            }
            Some(seconds) => {
                // A whole second, because that is what the API shows.
                let end = Millis::from_secs(self.now.0.div_ceil(1_000) + seconds);
                new.expires_at = Some(old.expires_at.map_or(end, |own| own.min(end)));
            }
        }
        // Who comes after it changes nothing that an edge decides: that alone needs no announcement and no other record.
        let decides = new.revoked_at != old.revoked_at || new.expires_at != old.expires_at;
        if decides {
            new.changed = Changed { rev, at: self.now, announced_at: None };
        }
        self.sql.execute(
            "UPDATE keys SET superseded_by = ?3, expires_at = ?4, revoked_at = ?5, revoked_by = ?6, revoke_reason = ?7, rev = ?8, changed_at = ?9, \
             announced_at = ?10, superseded_at = ?11 WHERE company = ?1 AND key_id = ?2",
            &[
                (&self.company).into(),
                (&old.id).into(),
                new.superseded_by.as_ref().into(),
                new.expires_at.into(),
                new.revoked_at.into(),
                new.revoked_by.as_ref().into(),
                new.revoke_reason.as_ref().into(),
                new.changed.rev.into(),
                new.changed.at.into(),
                new.changed.announced_at.into(),
                new.superseded_at.into(),
            ],
        )?;
        if decides {
            self.key_changed(old, rev)?;
        }
        self.record(old.id.as_str(), trail(old, self.now), trail(&new, self.now))
    }
}
