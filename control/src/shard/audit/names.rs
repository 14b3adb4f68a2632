//! What people call, at present, the owners, keys and webhooks that entries of the trail tell of: an entry holds their ids, and
//! what was done to them then. Who is gone has no name.

use std::collections::BTreeSet;

use keyward_shared::ids::{CompanyId, KeyId, OwnerId};
use serde_json::{Map, Value, json};

use crate::{
    shard::{rows, webhooks},
    sql::{Sql, SqlError},
};

/// Names by id, of each kind.
pub(super) fn of(sql: &impl Sql, company: &CompanyId, entries: &[Value]) -> Result<Value, SqlError> {
    let told_of = |member| entries.iter().filter_map(move |entry: &Value| entry[member].as_str());
    let ids: BTreeSet<&str> = ["actor", "target", "key"].into_iter().flat_map(told_of).collect();
    let (mut owners, mut keys, mut hooks) = (Map::new(), Map::new(), Map::new());
    for id in ids {
        if let Ok(owner) = OwnerId::new(id)
            && let Some(row) = rows::owner(sql, company, &owner)?
        {
            owners.insert(id.into(), row.name.into());
        }
        if let Ok(key) = KeyId::new(id)
            && let Some(row) = rows::key(sql, company, &key)?
        {
            keys.insert(id.into(), row.name.into());
        }
        if webhooks::is_id(id)
            && let Some(name) = webhooks::name(sql, company, id)?
        {
            hooks.insert(id.into(), name.into());
        }
    }
    Ok(json!({ "owners": owners, "keys": keys, "webhooks": hooks }))
}
