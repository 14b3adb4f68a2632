//! What the replicated store says of keys, and whether that is what the objects say.

use std::collections::BTreeMap;

use keyward_shared::{
    digest::Digest,
    key::ParsedKey,
    permission::Permission,
    record::{self, KeyState, Record},
    secret::SecretList,
    shard::Shard,
};
use serde_json::Value;

use crate::{World, eventually, world::BOUND};

/// What values in the store are sealed with.
pub fn secrets(world: &World) -> SecretList {
    SecretList::parse(&world.system.settings().edge["RECORD_SECRETS"]).unwrap()
}

/// Shard and digest of a key, and the name of its record.
pub fn name_of(key: &str) -> (Shard, Digest, String) {
    let parsed = ParsedKey::parse(key.as_bytes()).unwrap();
    let (shard, digest) = (parsed.shard(), parsed.digest());
    (shard, digest, record::name(shard, &digest))
}

/// The record of a key, as text and read, once the store has one in this state.
pub async fn record_of(world: &World, key: &str, state: KeyState) -> (String, Record) {
    let (shard, digest, name) = name_of(key);
    eventually(BOUND, async || {
        let entry = world.system.kv().get(&name).unwrap().ok_or_else(|| "it is not published yet".to_owned())?;
        let text = String::from_utf8_lossy(&entry.value).into_owned();
        let record = Record::open(&secrets(world), shard, &digest, &text).map_err(|error| error.to_string())?;
        if record.state == state { Ok((text, record)) } else { Err(format!("it is {:?}", record.state)) }
    })
    .await
}

/// Compares the records in the store with the keys of a company as the API shows them. `keys` holds the keys themselves by their id, deleted
/// ones too. The error says what differs.
pub async fn differs_from_objects(world: &World, company: &str, keys: &BTreeMap<String, String>) -> Result<(), String> {
    let secrets = secrets(world);
    for (id, key) in keys {
        let (shard, digest, name) = name_of(key);
        let stored = world.system.kv().get(&name).unwrap();
        let told = world.control(&world.operator, "GET", &format!("/v1/keys/{id}?company={company}"), Value::Null).await;
        match (stored, told.status) {
            (None, 404) => {}
            (Some(_), 404) => return Err(format!("{id} is deleted, yet has a record")),
            (None, 200) => return Err(format!("{id} has no record")),
            (Some(entry), 200) => {
                let text = String::from_utf8_lossy(&entry.value);
                let record = Record::open(&secrets, shard, &digest, &text).map_err(|error| format!("{id}: {error}"))?;
                same(&record, &told.json()).map_err(|what| format!("{id}: {what}: the store has {record:?}, the object {told:?}"))?;
            }
            (_, status) => return Err(format!("{id}: the control plane answers {status}")),
        }
    }
    Ok(())
}

/// The error names what differs.
fn same(record: &Record, key: &Value) -> Result<(), &'static str> {
    let revoked = key["status"] == "revoked";
    let expires = key["expires_at"].as_str().map(|text| text.parse::<jiff::Timestamp>().unwrap().as_second());
    let permissions: Vec<&str> = record.permissions.iter().map(Permission::as_str).collect();
    let told: Vec<&str> = key["effective_permissions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let checks = [
        ("the id", record.key_id.as_str() == key["id"]),
        ("the owner", record.owner.as_str() == key["owner"]),
        ("the company", record.company.as_str() == key["company"]),
        ("the state", (record.state == KeyState::Revoked) == revoked),
        ("whether owner and company are active", (record.owner_active && record.company_active) == key["owner_active"]),
        ("the expiry", record.expires_at.map(|at| i64::try_from(at.as_secs()).unwrap_or(i64::MAX)) == expires),
        ("the permissions", permissions == told),
    ];
    checks.into_iter().find(|(_, equal)| !equal).map_or(Ok(()), |(what, _)| Err(what))
}
