//! What a company's webhooks hear of. What somebody does is derived from the audit trail, in the turn that writes the
//! entry; what the clock does comes from [`super::watches`]. Where no webhook wants to hear of it there is no row.

use core::{fmt, str::FromStr};
use std::collections::BTreeSet;

use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, KeyId},
    time::Millis,
};
use serde_json::{Value, json};

use super::watches;
use crate::{
    call::AuditNote,
    shard::{
        failure::Failure,
        key_view::status,
        rows::{self, KeyRow},
    },
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

/// Takes note of an entry of the trail, whose hash is `hash`, in the turn that writes it.
pub(in crate::shard) fn follow(sql: &impl Sql, now: Millis, note: &AuditNote, hash: &str) -> Result<(), Failure> {
    if note.outcome != "done" {
        return Ok(());
    }
    let (said, moves) = (said_by(note), moves_expiries(&note.action));
    if said.is_empty() && !moves {
        return Ok(());
    }
    let wanted = wanted(sql, &note.company)?;
    if moves && !wanted.is_empty() {
        watches::touch(sql, &note.company, now)?;
    }
    for event in said.into_iter().filter(|event| wanted.contains(event)) {
        let data = match event {
            EventType::OwnerDeactivated => Some(owner_data(note)),
            EventType::KeyRotated => rotated_data(sql, now, note)?,
            _ => key(sql, note, &note.target)?.map(|key| key_data(&key, now)),
        };
        if let Some(data) = data {
            add(sql, now, &note.company, event, hash, &data)?;
        }
    }
    Ok(())
}

/// The events that an entry tells of. Whatever revokes a key tells of its revocation.
fn said_by(note: &AuditNote) -> Vec<EventType> {
    let (before, after) = (&note.before, &note.after);
    let deactivated = note.action == "owner.delete" || note.action == "owner.put" && before["active"] == true && after["active"] == false;
    let by_name = match note.action.as_str() {
        "key.create" | "key.import" => Some(EventType::KeyCreated),
        // The other entry of a rotation is the old key's.
        "key.rotate" if before.is_null() => Some(EventType::KeyRotated),
        "key.leak" => Some(EventType::KeyLeaked),
        _ if deactivated => Some(EventType::OwnerDeactivated),
        _ => None,
    };
    let ended = before["status"] != "revoked" && after["status"] == "revoked" && !before.is_null();
    let revoked = note.action == "key.revoke" || note.action.starts_with("key.") && ended;
    by_name.into_iter().chain(revoked.then_some(EventType::KeyRevoked)).collect()
}

/// Whether some key may have another expiry than before.
fn moves_expiries(action: &str) -> bool {
    matches!(action, "key.create" | "key.import" | "key.rotate" | "key.change" | "company.import")
}

fn key(sql: &impl Sql, note: &AuditNote, id: &str) -> Result<Option<KeyRow>, SqlError> {
    KeyId::new(id).ok().map(|id| rows::key(sql, &note.company, &id)).transpose().map(Option::flatten)
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

/// The successor, and the key that it takes the place of.
fn rotated_data(sql: &impl Sql, now: Millis, note: &AuditNote) -> Result<Option<Value>, Failure> {
    let Some(new) = key(sql, note, &note.target)? else { return Ok(None) };
    let old = new.supersedes.as_deref().map(|id| key(sql, note, id)).transpose()?.flatten();
    let mut data = key_data(&new, now);
    data["superseded"] = old.map_or(Value::Null, |old| key_data(&old, now));
    Ok(Some(data))
}

fn owner_data(note: &AuditNote) -> Value {
    json!({ "owner": note.target, "company": note.company, "name": note.before["name"], "deleted": note.after.is_null() })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: &str, before: Value, after: Value) -> AuditNote {
        AuditNote {
            id: String::new(),
            company: CompanyId::new("acme").unwrap(),
            actor: "ann".into(),
            key: None,
            address: None,
            action: action.into(),
            target: "t".into(),
            outcome: "done".into(),
            before,
            after,
            request_id: String::new(),
        }
    }

    #[test]
    fn an_entry_tells_of_what_it_changed() {
        use EventType::{KeyCreated, KeyLeaked, KeyRevoked, KeyRotated, OwnerDeactivated};
        let (active, revoked) = (|| json!({"status": "active"}), || json!({"status": "revoked"}));
        let owner = |active: bool| json!({"active": active});
        for (action, before, after, events) in [
            ("key.create", Value::Null, active(), vec![KeyCreated]),
            ("key.import", Value::Null, active(), vec![KeyCreated]),
            ("key.import", Value::Null, revoked(), vec![KeyCreated]),
            ("key.change", active(), active(), vec![]),
            ("key.revoke", active(), revoked(), vec![KeyRevoked]),
            ("key.revoke", Value::Null, Value::Null, vec![KeyRevoked]),
            ("key.rotate", Value::Null, active(), vec![KeyRotated]),
            ("key.rotate", active(), active(), vec![]),
            ("key.rotate", active(), revoked(), vec![KeyRevoked]),
            ("key.leak", active(), revoked(), vec![KeyLeaked, KeyRevoked]),
            ("key.leak", revoked(), revoked(), vec![KeyLeaked]),
            ("key.delete", active(), Value::Null, vec![]),
            ("owner.put", owner(true), owner(false), vec![OwnerDeactivated]),
            ("owner.put", owner(true), owner(true), vec![]),
            ("owner.put", owner(false), owner(false), vec![]),
            ("owner.put", Value::Null, owner(false), vec![]),
            ("owner.delete", owner(false), Value::Null, vec![OwnerDeactivated]),
            ("policy.put", active(), revoked(), vec![]),
        ] {
            assert_eq!(said_by(&entry(action, before, after)), events, "{action}");
        }
    }
}
