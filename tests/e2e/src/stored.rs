//! Whether the replicated store says what the objects say.

use std::collections::BTreeMap;

use keyward_shared::{
    key::ParsedKey,
    permission::Permission,
    record::{self, KeyState, Record},
    secret::SecretList,
};
use serde_json::Value;

use crate::World;

/// Compares the records in the store with the keys of a company as the API shows them. `keys` holds the keys themselves by their id, deleted
/// ones too. The error says what differs.
pub async fn differs_from_objects(world: &World, company: &str, keys: &BTreeMap<String, String>) -> Result<(), String> {
    let secrets = SecretList::parse(&world.system.settings().edge["RECORD_SECRETS"]).unwrap();
    for (id, key) in keys {
        let parsed = ParsedKey::parse(key.as_bytes()).unwrap();
        let (shard, digest) = (parsed.shard(), parsed.digest());
        let stored = world.system.kv().get(&record::name(shard, &digest)).unwrap();
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
