//! What entries of the audit trail tell webhooks of, in the turn that writes them. Where no webhook wants to hear of it
//! there is no row.

use keyward_shared::{ids::KeyId, time::Millis};
use serde_json::{Value, json};

use super::{
    events::{EventType, add, key_data, wanted},
    watches,
};
use crate::{
    call::AuditNote,
    shard::{
        failure::Failure,
        rows::{self, KeyRow},
    },
    sql::{Sql, SqlError},
};

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

#[cfg(test)]
mod tests {
    use keyward_shared::ids::CompanyId;

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
