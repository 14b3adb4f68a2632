//! Making keys. The secret is drawn here and leaves once, in the answer; with blind creation it never comes here.

use core::convert::Infallible;

use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, KeyId, OwnerId},
    key::{KeyString, Secret},
    permission::PermissionSet,
    problem::Code,
    tag::Tag,
    time::Millis,
};
use serde_json::{Map, Value, json};

use crate::shard::{
    answer::Handled,
    ceilings::{self, Limits},
    failure::Failure,
    keys::view::{trail, view},
    numbers, publish,
    query::Query,
    rows::{self, KeyRow, NEVER, worth},
    turn::{Turn, next_rev},
    validate::Fields,
};
use crate::{
    settings::ControlSettings,
    sql::{Sql, Value as SqlValue},
};

/// What a request may say about a new key.
const FIELDS: &[&str] = &["name", "expires_at", "permissions", "allowed_ips", "rate_limit", "metadata", "manages_keys", "owner", "digest"];

/// A key to be stored.
pub(in crate::shard) struct NewKey<'a> {
    pub(in crate::shard) company: &'a CompanyId,
    pub(in crate::shard) id: &'a KeyId,
    pub(in crate::shard) digest: &'a Digest,
    pub(in crate::shard) owner: &'a OwnerId,
    pub(in crate::shard) name: &'a str,
    pub(in crate::shard) hint: &'a str,
    pub(in crate::shard) created_by: &'a str,
    pub(in crate::shard) parent: Option<&'a KeyId>,
    pub(in crate::shard) limits: &'a Limits,
    pub(in crate::shard) rate_limit: Option<&'a str>,
    pub(in crate::shard) metadata: &'a Map<String, Value>,
    pub(in crate::shard) manages_keys: bool,
    pub(in crate::shard) bootstrap: bool,
    pub(in crate::shard) imported: bool,
    pub(in crate::shard) supersedes: Option<&'a KeyId>,
}

/// What is wanted of a key that is about to be made for an owner of the company.
pub(in crate::shard) struct Wanted<'a> {
    pub(in crate::shard) owner: &'a OwnerId,
    pub(in crate::shard) name: &'a str,
    pub(in crate::shard) limits: &'a Limits,
    pub(in crate::shard) rate_limit: Option<&'a str>,
    pub(in crate::shard) metadata: &'a Map<String, Value>,
    pub(in crate::shard) manages_keys: bool,
    pub(in crate::shard) bootstrap: bool,
    pub(in crate::shard) supersedes: Option<&'a KeyId>,
}

/// What the answer to the making of a key says once.
pub(in crate::shard) enum Once {
    /// The key.
    Key(KeyString),
    /// With blind creation, its tag.
    Tag(Tag),
}

impl Once {
    /// Adds it to the key object.
    pub(in crate::shard) fn show(&self, body: &mut Value) {
        match self {
            Self::Key(key) => body["key"] = json!(key.reveal()),
            Self::Tag(tag) => body["tag"] = json!(tag.as_str()),
        }
    }
}

/// Whether the digest is in use or was once, whosever it is.
pub(in crate::shard) fn digest_taken(sql: &impl Sql, digest: &Digest) -> Result<bool, Failure> {
    let statement = "SELECT 1 FROM keys WHERE digest = ?1 UNION ALL SELECT 1 FROM tombstones WHERE digest = ?1";
    Ok(!sql.execute(statement, &[digest.into()])?.is_empty())
}

/// The place of a key that is made with revision `rev`: above all others, also where several are made with one revision,
/// which then runs ahead of no clock.
fn next_place(sql: &impl Sql, rev: u64) -> Result<u64, Failure> {
    let place = numbers::get(sql, numbers::PLACE)?.map_or(rev, |last| rev.max(last + 1));
    numbers::set(sql, numbers::PLACE, place)?;
    Ok(place)
}

/// Stores a key. No edge trusts the absence of a record, so its creation counts as announced at once.
pub(in crate::shard) fn insert(sql: &impl Sql, now: Millis, rev: u64, key: &NewKey<'_>) -> Result<(), Failure> {
    let parameters: Vec<SqlValue> = vec![
        key.company.into(),
        key.id.into(),
        key.digest.into(),
        key.owner.into(),
        key.name.into(),
        key.hint.into(),
        rev.into(),
        now.into(),
        key.created_by.into(),
        key.parent.into(),
        key.limits.expires_at.into(),
        key.limits.restriction.as_ref().map(serde_json::to_string).transpose()?.into(),
        serde_json::to_string(&key.limits.networks)?.into(),
        key.rate_limit.into(),
        serde_json::to_string(key.metadata)?.into(),
        key.manages_keys.into(),
        key.bootstrap.into(),
        key.supersedes.into(),
        key.imported.into(),
        next_place(sql, rev)?.into(),
    ];
    sql.execute(
        "INSERT INTO keys (company, key_id, digest, owner, name, hint, place, created_at, created_by, parent, expires_at, permissions, networks, \
         rate_limit, metadata, manages_keys, bootstrap, supersedes, imported, rev, changed_at, announced_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?20, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?7, ?8, ?8)",
        &parameters,
    )?;
    // A row of use from the beginning: the unused ones are found by it.
    sql.execute(
        "INSERT INTO key_usage (company, key_id, last_used_at) VALUES (?1, ?2, ?3)",
        &[key.company.into(), key.id.into(), NEVER.into()],
    )?;
    Ok(())
}

impl<S: Sql> Turn<'_, S> {
    /// `POST /v1/keys`.
    pub(in crate::shard) fn create_key(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let mut fields = Fields::read(&self.call.body, FIELDS)?;
        let name = fields.required_label("name", 100);
        let permissions = fields.permissions("permissions");
        let networks = fields.networks("allowed_ips").unwrap_or_default();
        let rate_limit = fields.label("rate_limit", 50);
        check_tier(&mut fields, rate_limit.as_deref(), self.settings);
        let metadata = fields.metadata("metadata").unwrap_or_default();
        let manages_keys = fields.truth("manages_keys").unwrap_or(false);
        let named = fields.owner("owner");
        let blind = fields.digest("digest");
        let asked_expiry = fields.future("expires_at", self.now);

        let foreign = self.caller.company != self.company;
        if foreign && named.is_none() && !fields.has("owner") {
            fields.wrong("owner", "is required in another company");
        }
        let owner = named.unwrap_or_else(|| self.caller.owner.clone());
        let other = foreign || owner != self.caller.owner;
        if other && !ceilings::is_operator(self.caller) {
            return Err(Failure::refused(Code::Forbidden, "only the operator makes keys for other owners"));
        }
        ceilings::changes(self.caller, &self.company, &owner)?;
        let company = rows::company(self.sql, &self.company)?.ok_or_else(|| Failure::not_found("company"))?;
        let row = rows::owner(self.sql, &self.company, &owner)?;
        if row.is_none() {
            fields.wrong("owner", "there is no such owner");
        }
        let owners = row.as_ref().map(|row| worth(self.settings, &self.company, &row.permissions)).unwrap_or_default();
        check_permissions(&mut fields, permissions.as_ref(), &owners);
        let latest = latest_expiry(company.max_key_lifetime_days, self.now);
        check_lifetime(&mut fields, asked_expiry, latest);
        fields.check()?;
        if !row.is_some_and(|row| row.active) || !company.active {
            return Err(Failure::refused(Code::Conflict, "the owner is not active"));
        }

        if manages_keys {
            ceilings::makes_managers(self.caller)?;
        }
        let asked = Limits { restriction: permissions, networks, expires_at: asked_expiry };
        let mut limits = ceilings::inherit(self.caller, other, &owners, asked)?;
        limits.expires_at = limits.expires_at.into_iter().chain(latest).min();

        let rev = next_rev(self.sql, self.now)?;
        let wanted = Wanted {
            owner: &owner,
            name: &name.unwrap_or_default(),
            limits: &limits,
            rate_limit: rate_limit.as_deref(),
            metadata: &metadata,
            manages_keys,
            bootstrap: false,
            supersedes: None,
        };
        let (key, once) = self.make_key(rev, blind, &wanted)?;
        self.record(key.id.as_str(), Value::Null, trail(&key, self.now))?;
        let mut body = view(&key, self.settings, self.now);
        once.show(&mut body);
        Ok(Handled::created(body, format!("/v1/keys/{}", key.id)).about(&self.company, &key.id))
    }

    /// Makes the key, with the digest of a secret that was drawn elsewhere where `blind` is one, and marks its record.
    pub(in crate::shard) fn make_key(&mut self, rev: u64, blind: Option<Digest>, wanted: &Wanted<'_>) -> Result<(KeyRow, Once), Failure> {
        let prefix = self.settings.common.prefixes.minting();
        let secret = match blind {
            Some(_) => None,
            None => Some(self.draw_secret()),
        };
        let digest = blind.or_else(|| secret.map(|secret| secret.digest(prefix, self.shard))).unwrap_or_else(|| Digest::of(b""));
        if digest_taken(self.sql, &digest)? {
            return Err(Failure::refused(Code::Conflict, "this digest is in use, or was once"));
        }
        let tag = self.settings.common.tag_secrets.tag(self.shard, &digest);
        let id = KeyId::from_random(self.draw());
        let hint = secret.map_or_else(|| format!("{}_…", prefix.as_str()), |secret| secret.hint(prefix));
        let new = NewKey {
            company: &self.company,
            id: &id,
            digest: &digest,
            owner: wanted.owner,
            name: wanted.name,
            hint: &hint,
            created_by: &self.actor(),
            parent: self.caller.key.as_ref().map(|key| &key.id),
            limits: wanted.limits,
            rate_limit: wanted.rate_limit,
            metadata: wanted.metadata,
            manages_keys: wanted.manages_keys,
            bootstrap: wanted.bootstrap,
            imported: false,
            supersedes: wanted.supersedes,
        };
        insert(self.sql, self.now, rev, &new)?;
        publish::mark(self.sql, &digest, false, rev, self.now, &self.settings.common.timing)?;
        let key = rows::key(self.sql, &self.company, &id)?.ok_or_else(|| Failure::not_found("key"))?;
        let once = match secret {
            Some(secret) => Once::Key(KeyString::assemble(prefix, self.shard, &secret, tag)),
            None => Once::Tag(tag),
        };
        Ok((key, once))
    }

    fn draw_secret(&mut self) -> Secret {
        let drawn: Result<Secret, Infallible> = Secret::draw(|bytes| {
            (self.random)(bytes);
            Ok(())
        });
        let Ok(secret) = drawn;
        secret
    }
}

/// Notes what a restriction has beyond its owner.
pub(in crate::shard) fn check_permissions(fields: &mut Fields, asked: Option<&PermissionSet>, owners: &PermissionSet) {
    for permission in asked.into_iter().flat_map(PermissionSet::iter).filter(|permission| !owners.allows(permission)) {
        fields.wrong("permissions", format!("the owner does not have {permission}"));
    }
}

/// Until when a key of the company that is made or changed now may live: a whole second, because that is what the API
/// shows.
pub(in crate::shard) fn latest_expiry(max_days: Option<u64>, now: Millis) -> Option<Millis> {
    max_days.map(|days| Millis::from_secs((now.0 / 1_000).saturating_add(days.saturating_mul(86_400))))
}

/// Notes a rate limit that is no tier of the deployment, where it has tiers.
pub(in crate::shard) fn check_tier(fields: &mut Fields, asked: Option<&str>, settings: &ControlSettings) {
    let tiers = &settings.tiers;
    if !tiers.is_empty() && asked.is_some_and(|asked| tiers.iter().all(|tier| tier.name != asked)) {
        let names: Vec<_> = tiers.iter().map(|tier| tier.name.as_str()).collect();
        fields.wrong("rate_limit", format!("must be one of {}", names.join(", ")));
    }
}

/// Notes an expiry beyond what the company allows.
pub(in crate::shard) fn check_lifetime(fields: &mut Fields, asked: Option<Millis>, latest: Option<Millis>) {
    // The caller reckons in whole seconds and with a clock of its own: a minute more is no longer life.
    if let (Some(asked), Some(latest)) = (asked, latest)
        && asked > latest.plus(Millis::from_secs(60))
    {
        fields.wrong("expires_at", "is later than the company's longest life of a key allows");
    }
}
