//! Companies, owners and keys as they are stored, and how they are read.

use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, KeyId, OwnerId},
    network::Network,
    permission::PermissionSet,
    record::{self, KeyState, Record},
    shard::Shard,
    time::Millis,
};
use serde_json::{Map, Value};

use crate::{
    settings::ControlSettings,
    sql::{Columns, Row, Sql, SqlError},
};

/// When something changed and when every edge was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The revision of the change.
    pub rev: u64,
    /// When it was committed.
    pub at: Millis,
    /// The Feed object's stamp; `None`: not yet announced.
    pub announced_at: Option<Millis>,
}

impl Changed {
    fn read(columns: &mut Columns) -> Result<Self, SqlError> {
        Ok(Self { rev: columns.number()?, at: columns.time()?, announced_at: columns.optional_time()? })
    }
}

/// A company.
#[derive(Clone, Debug, PartialEq)]
pub struct CompanyRow {
    /// Its id.
    pub company: CompanyId,
    /// What people call it.
    pub name: String,
    /// Whether its people and keys may act.
    pub active: bool,
    /// The longest life of its keys.
    pub max_key_lifetime_days: Option<u64>,
    /// When it was made.
    pub created_at: Millis,
    /// Its last change.
    pub changed: Changed,
}

const COMPANY_COLUMNS: &str = "company, name, active, max_key_lifetime_days, created_at, rev, changed_at, announced_at";

fn read_company(row: Row) -> Result<CompanyRow, SqlError> {
    let mut c = Columns::of(row);
    Ok(CompanyRow {
        company: c.parsed()?,
        name: c.text()?,
        active: c.truth()?,
        max_key_lifetime_days: c.optional_number()?,
        created_at: c.time()?,
        changed: Changed::read(&mut c)?,
    })
}

/// The company, where it lives in this shard.
pub fn company(sql: &impl Sql, company: &CompanyId) -> Result<Option<CompanyRow>, SqlError> {
    let statement = format!("SELECT {COMPANY_COLUMNS} FROM companies WHERE company = ?1");
    sql.execute(&statement, &[company.into()])?.pop().map(read_company).transpose()
}

/// All companies of the shard.
pub fn companies(sql: &impl Sql) -> Result<Vec<CompanyRow>, SqlError> {
    let statement = format!("SELECT {COMPANY_COLUMNS} FROM companies ORDER BY company");
    sql.execute(&statement, &[])?.into_iter().map(read_company).collect()
}

/// A person.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnerRow {
    /// Their company.
    pub company: CompanyId,
    /// Their id.
    pub owner: OwnerId,
    /// What people call them.
    pub name: String,
    /// Where they can be written to.
    pub email: Option<String>,
    /// What they may do, as it was given.
    pub permissions: PermissionSet,
    /// Whether they may act.
    pub active: bool,
    /// When they were made known.
    pub created_at: Millis,
    /// Their last change.
    pub changed: Changed,
}

const OWNER_COLUMNS: &str = "company, owner, name, email, permissions, active, created_at, rev, changed_at, announced_at";

fn read_owner(row: Row) -> Result<OwnerRow, SqlError> {
    let mut c = Columns::of(row);
    Ok(OwnerRow {
        company: c.parsed()?,
        owner: c.parsed()?,
        name: c.text()?,
        email: c.optional_text()?,
        permissions: c.optional_json()?.unwrap_or_default(),
        active: c.truth()?,
        created_at: c.time()?,
        changed: Changed::read(&mut c)?,
    })
}

/// The owner, where the company has one of that name.
pub fn owner(sql: &impl Sql, company: &CompanyId, owner: &OwnerId) -> Result<Option<OwnerRow>, SqlError> {
    let statement = format!("SELECT {OWNER_COLUMNS} FROM owners WHERE company = ?1 AND owner = ?2");
    sql.execute(&statement, &[company.into(), owner.into()])?.pop().map(read_owner).transpose()
}

/// The company's owners in the order of their ids, `limit` of them after `after`.
pub fn owners_after(sql: &impl Sql, company: &CompanyId, after: &str, limit: u64) -> Result<Vec<OwnerRow>, SqlError> {
    let statement = format!("SELECT {OWNER_COLUMNS} FROM owners WHERE company = ?1 AND owner > ?2 ORDER BY owner LIMIT ?3");
    sql.execute(&statement, &[company.into(), after.into(), limit.into()])?.into_iter().map(read_owner).collect()
}

/// Active owners of the company, `limit` of them.
pub fn active_owners(sql: &impl Sql, company: &CompanyId, limit: u64) -> Result<Vec<OwnerRow>, SqlError> {
    let statement = format!("SELECT {OWNER_COLUMNS} FROM owners WHERE company = ?1 AND active = 1 ORDER BY owner LIMIT ?2");
    sql.execute(&statement, &[company.into(), limit.into()])?.into_iter().map(read_owner).collect()
}

/// A key with what decides about it: its owner and its company.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields of the key object in the API
pub struct KeyRow {
    pub company: CompanyId,
    pub id: KeyId,
    pub digest: Digest,
    pub owner: OwnerId,
    pub name: String,
    pub hint: String,
    /// Its place in the order of creation.
    pub place: u64,
    pub created_at: Millis,
    pub created_by: String,
    pub parent: Option<KeyId>,
    pub expires_at: Option<Millis>,
    /// Its own restriction.
    pub permissions: Option<PermissionSet>,
    pub networks: Vec<Network>,
    pub rate_limit: Option<String>,
    pub metadata: Map<String, Value>,
    pub manages_keys: bool,
    pub bootstrap: bool,
    /// Another system's key, known by the SHA-256 of its text.
    pub imported: bool,
    pub revoked_at: Option<Millis>,
    pub revoked_by: Option<String>,
    pub revoke_reason: Option<String>,
    pub supersedes: Option<String>,
    pub superseded_by: Option<String>,
    /// When the successor was made.
    pub superseded_at: Option<Millis>,
    pub changed: Changed,
    pub last_used_at: Option<Millis>,
    /// Name, permissions, active or not, last change; `None`: the owner was deleted.
    pub owner_state: Option<(String, PermissionSet, bool, Changed)>,
    /// Active or not, last change.
    pub company_state: (bool, Changed),
}

/// What stands in `key_usage` for a key that was never used: every key has a row there.
pub const NEVER: u64 = 0;
/// The departure of a key's owner, where it is not yet written that the key was revoked with it.
macro_rules! departures {
    () => {
        "LEFT JOIN departures d ON k.revoked_at IS NULL AND d.company = k.company AND d.owner = k.owner \
     AND d.rev = (SELECT e.rev FROM departures e WHERE e.company = k.company AND e.owner = k.owner AND e.last_place >= k.place ORDER BY e.rev LIMIT 1)"
    };
}

/// The columns that [`read_key`] reads, for a `keys k` joined by [`KEY_JOINS`].
pub const KEY_COLUMNS: &str = "k.company, k.key_id, k.digest, k.owner, k.name, k.hint, k.place, k.created_at, k.created_by, k.parent, k.expires_at, \
     k.permissions, k.networks, k.rate_limit, k.metadata, k.manages_keys, k.bootstrap, k.imported, COALESCE(k.revoked_at, d.at), \
     COALESCE(k.revoked_by, d.actor), IIF(d.rev IS NULL, k.revoke_reason, 'the owner was deleted'), k.supersedes, k.superseded_by, k.superseded_at, \
     COALESCE(d.rev, k.rev), COALESCE(d.at, k.changed_at), IIF(d.rev IS NULL, k.announced_at, d.announced_at), NULLIF(u.last_used_at, 0), c.active, c.rev, \
     c.changed_at, c.announced_at, \
     o.name, o.permissions, o.active, o.rev, o.changed_at, o.announced_at";
/// What a key is joined with, each by its primary key: its use, its company, its owner, and, where it is not yet written that it
/// was revoked with its owner, the owner's departure: the first after the key was made.
pub const KEY_JOINS: &str = concat!(
    "LEFT JOIN key_usage u ON u.company = k.company AND u.key_id = k.key_id JOIN companies c ON c.company = k.company \
     LEFT JOIN owners o ON o.company = k.company AND o.owner = k.owner ",
    departures!()
);
/// Only the departures of [`KEY_JOINS`].
pub const DEPARTURES: &str = departures!();
/// The columns of a key that a departure changes, as it makes them be.
pub const AS_DEPARTED: [(&str, &str); 5] = [
    ("revoked_at", "COALESCE(k.revoked_at, d.at)"),
    ("revoked_by", "COALESCE(k.revoked_by, d.actor)"),
    ("revoke_reason", "IIF(d.rev IS NULL, k.revoke_reason, 'the owner was deleted')"),
    ("changed_at", "COALESCE(d.at, k.changed_at)"),
    ("announced_at", "IIF(d.rev IS NULL, k.announced_at, d.announced_at)"),
];
/// When a key of [`KEY_JOINS`] was revoked.
pub const REVOKED_AT: &str = "COALESCE(k.revoked_at, d.at)";

/// Reads a row of [`KEY_COLUMNS`].
pub fn read_key(row: Row) -> Result<KeyRow, SqlError> {
    let mut c = Columns::of(row);
    let (company, id, digest, owner) = (c.parsed()?, c.parsed()?, c.parsed()?, c.parsed()?);
    let (name, hint, place, created_at, created_by) = (c.text()?, c.text()?, c.number()?, c.time()?, c.text()?);
    let parent = c.optional_text()?.and_then(|id| KeyId::new(&id).ok());
    let (expires_at, permissions) = (c.optional_time()?, c.optional_json()?);
    let networks = c.optional_json()?.unwrap_or_default();
    let rate_limit = c.optional_text()?;
    let metadata = c.optional_json()?.unwrap_or_default();
    let (manages_keys, bootstrap, imported) = (c.truth()?, c.truth()?, c.truth()?);
    let (revoked_at, revoked_by, revoke_reason) = (c.optional_time()?, c.optional_text()?, c.optional_text()?);
    let (supersedes, superseded_by, superseded_at) = (c.optional_text()?, c.optional_text()?, c.optional_time()?);
    let changed = Changed::read(&mut c)?;
    let last_used_at = c.optional_time()?;
    let company_state = (c.truth()?, Changed::read(&mut c)?);
    let owner_state = match c.optional_text()? {
        None => None,
        Some(name) => Some((name, c.optional_json()?.unwrap_or_default(), c.truth()?, Changed::read(&mut c)?)),
    };
    Ok(KeyRow {
        company,
        id,
        digest,
        owner,
        name,
        hint,
        place,
        created_at,
        created_by,
        parent,
        expires_at,
        permissions,
        networks,
        rate_limit,
        metadata,
        manages_keys,
        bootstrap,
        imported,
        revoked_at,
        revoked_by,
        revoke_reason,
        supersedes,
        superseded_by,
        superseded_at,
        changed,
        last_used_at,
        owner_state,
        company_state,
    })
}

/// The company's key of that id.
pub fn key(sql: &impl Sql, company: &CompanyId, id: &KeyId) -> Result<Option<KeyRow>, SqlError> {
    let statement = format!("SELECT {KEY_COLUMNS} FROM keys k {KEY_JOINS} WHERE k.company = ?1 AND k.key_id = ?2");
    sql.execute(&statement, &[company.into(), id.into()])?.pop().map(read_key).transpose()
}

/// The key with that digest, whosever it is.
pub fn key_by_digest(sql: &impl Sql, digest: &Digest) -> Result<Option<KeyRow>, SqlError> {
    let statement = format!("SELECT {KEY_COLUMNS} FROM keys k {KEY_JOINS} WHERE k.digest = ?1");
    sql.execute(&statement, &[digest.into()])?.pop().map(read_key).transpose()
}

/// Whether there are keys of an owner of that id, whatever became of them.
pub fn has_keys(sql: &impl Sql, company: &CompanyId, owner: &OwnerId) -> Result<bool, SqlError> {
    let statement = "SELECT 1 FROM keys WHERE company = ?1 AND owner = ?2 LIMIT 1";
    Ok(!sql.execute(statement, &[company.into(), owner.into()])?.is_empty())
}

/// What an owner's permissions are worth in `company`: `keyward.operator` counts in the operator's only.
pub fn worth(settings: &ControlSettings, company: &CompanyId, permissions: &PermissionSet) -> PermissionSet {
    if *company == settings.common.operator_company { permissions.clone() } else { permissions.without_operator() }
}

impl KeyRow {
    /// What the key may do now: the owner's permissions ∩ its own restriction.
    pub fn effective(&self, settings: &ControlSettings) -> PermissionSet {
        let owner = self.owner_state.as_ref().map(|(_, permissions, ..)| worth(settings, &self.company, permissions)).unwrap_or_default();
        self.permissions.as_ref().map_or_else(|| owner.clone(), |own| own.intersection(&owner))
    }

    /// Whether owner and company may act.
    pub fn owner_active(&self) -> bool {
        self.owner_state.as_ref().is_some_and(|state| state.2)
    }

    /// The record of the key for the edge, known true at `as_of`.
    pub fn record(&self, settings: &ControlSettings, shard: Shard, rev: u64, as_of: Millis) -> Record {
        Record {
            v: record::VERSION,
            key_id: self.id.clone(),
            company: self.company.clone(),
            owner: self.owner.clone(),
            shard,
            state: if self.revoked_at.is_some() { KeyState::Revoked } else { KeyState::Active },
            owner_active: self.owner_active(),
            company_active: self.company_state.0,
            expires_at: self.expires_at,
            created_at: self.created_at,
            permissions: self.effective(settings),
            networks: self.networks.clone(),
            rate_limit: self.rate_limit.clone(),
            metadata: (&self.metadata).into(),
            rev,
            as_of,
        }
    }
}
