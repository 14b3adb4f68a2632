//! What a company's webhooks can hear of, and how it is written down. What somebody does comes from the audit trail
//! ([`super::trail`]), what the clock does from [`super::watches`].

use core::{fmt, str::FromStr};
use std::collections::BTreeSet;

use keyward_shared::{digest::Digest, ids::CompanyId, time::Millis};
use serde_json::{Value, json};

use crate::{
    shard::{keys::view::status, rows::KeyRow},
    sql::{Columns, Sql, SqlError},
    time::rfc3339,
};

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    /// A key was created or imported.
    KeyCreated,
    /// A key expires soon.
    KeyExpiring,
    /// A key has expired.
    KeyExpired,
    /// A key was revoked, by whatever call.
    KeyRevoked,
    /// A key was given a successor.
    KeyRotated,
    /// A key was found where it should not be.
    KeyLeaked,
    /// A key was not used for long.
    KeyUnused,
    /// An owner may no longer act, or was deleted.
    OwnerDeactivated,
}

/// No event is called so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownEvent;

impl EventType {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::KeyCreated,
        Self::KeyExpiring,
        Self::KeyExpired,
        Self::KeyRevoked,
        Self::KeyRotated,
        Self::KeyLeaked,
        Self::KeyUnused,
        Self::OwnerDeactivated,
    ];

    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyCreated => "key.created",
            Self::KeyExpiring => "key.expiring",
            Self::KeyExpired => "key.expired",
            Self::KeyRevoked => "key.revoked",
            Self::KeyRotated => "key.rotated",
            Self::KeyLeaked => "key.leaked",
            Self::KeyUnused => "key.unused",
            Self::OwnerDeactivated => "owner.deactivated",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        Self::ALL.into_iter().find(|event| event.as_str() == text).ok_or(UnknownEvent)
    }
}

/// The events that a webhook asks for, as they are stored; `None`: all, also those of later versions.
pub(super) fn asks(stored: Option<&str>, event: &str) -> bool {
    stored.is_none_or(|list| serde_json::from_str::<Vec<String>>(list).is_ok_and(|list| list.iter().any(|asked| asked == event)))
}

/// The events that some active webhook of `company` asks for.
pub(super) fn wanted(sql: &impl Sql, company: &CompanyId) -> Result<BTreeSet<EventType>, SqlError> {
    let rows = sql.execute("SELECT events FROM webhooks WHERE company = ?1 AND active = 1 AND deleted = 0", &[company.into()])?;
    let lists = rows.into_iter().map(|row| Columns::of(row).optional_text()).collect::<Result<Vec<_>, _>>()?;
    Ok(EventType::ALL.into_iter().filter(|event| lists.iter().any(|list| asks(list.as_deref(), event.as_str()))).collect())
}

/// The key as people may know it.
pub(super) fn key_data(key: &KeyRow, now: Millis) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "owner": key.owner,
        "company": key.company,
        "status": status(key, now),
        "created_at": rfc3339(key.created_at),
        "created_by": key.created_by,
        "parent": key.parent,
        "expires_at": key.expires_at.map(rfc3339),
        "last_used_at": key.last_used_at.map(rfc3339),
        "permissions": key.permissions,
        "metadata": key.metadata,
        "manages_keys": key.manages_keys,
        "revoked_at": key.revoked_at.map(rfc3339),
        "revoked_by": key.revoked_by,
        "revoke_reason": key.revoke_reason,
        "supersedes": key.supersedes,
        "superseded_by": key.superseded_by,
    })
}

/// Writes an event down; once, however often, where `unique` says what makes it this one. So its id is the same after a
/// crash and from a restored backup.
pub(super) fn add(sql: &impl Sql, now: Millis, company: &CompanyId, event: EventType, unique: &str, data: &Value) -> Result<(), SqlError> {
    let digest = Digest::of(format!("{company}\n{event}\n{unique}").as_bytes()).to_hex();
    let id = format!("msg_{}", &digest[..32]);
    let body = format!(r#"{{"type":"{event}","timestamp":"{}","data":{data}}}"#, rfc3339(now));
    sql.execute(
        "INSERT INTO webhook_events (company, id, type, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (company, id) DO NOTHING",
        &[company.into(), id.into(), event.as_str().into(), body.into()],
    )?;
    Ok(())
}
