//! The key object of the API, and how far a key's last change has come.

use keyward_shared::{time::Millis, timing::Timing};
use serde_json::{Value, json};

use crate::shard::rows::{Changed, KeyRow};
use crate::{
    settings::ControlSettings,
    time::{rfc3339, rfc3339_not_before},
};

/// When the last change of the key, its owner or its company was made, announced, and by when it is in effect.
pub(in crate::shard) fn propagation(key: &KeyRow, timing: &Timing) -> Value {
    let owner = key.owner_state.as_ref().map(|state| state.3);
    let changes: Vec<Changed> = [Some(key.changed), owner, Some(key.company_state.1)].into_iter().flatten().collect();
    let committed = changes.iter().map(|change| change.at).max().unwrap_or_default();
    let announced = changes.iter().map(|change| change.announced_at).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    stages(committed, announced, timing)
}

/// When something was committed, when it was announced, and by when it is in effect then.
pub(in crate::shard) fn stages(committed: Millis, announced: Option<Millis>, timing: &Timing) -> Value {
    json!({
        "committed_at": rfc3339(committed),
        "announced_at": announced.map(rfc3339),
        "expected_by": announced.map(|at| rfc3339_not_before(at.plus(timing.freshness))),
        "effective_by": announced.map(|at| rfc3339_not_before(at.plus(timing.bound))),
    })
}

/// `active`, `expired` or `revoked`.
pub(in crate::shard) fn status(key: &KeyRow, now: Millis) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|at| at <= now) {
        "expired"
    } else {
        "active"
    }
}

/// The key object.
pub(in crate::shard) fn view(key: &KeyRow, settings: &ControlSettings, now: Millis) -> Value {
    let owner_name = key.owner_state.as_ref().map_or(key.owner.as_str(), |state| state.0.as_str());
    json!({
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "owner": key.owner,
        "owner_name": owner_name,
        "owner_active": key.owner_active() && key.company_state.0,
        "company": key.company,
        "status": status(key, now),
        "created_at": rfc3339(key.created_at),
        "created_by": key.created_by,
        "parent": key.parent,
        "expires_at": key.expires_at.map(rfc3339),
        "last_used_at": key.last_used_at.map(rfc3339),
        "permissions": key.permissions,
        "effective_permissions": key.effective(settings),
        "allowed_ips": key.networks,
        "rate_limit": key.rate_limit,
        "metadata": key.metadata,
        "manages_keys": key.manages_keys,
        "imported": key.imported,
        "revoked_at": key.revoked_at.map(rfc3339),
        "revoked_by": key.revoked_by,
        "revoke_reason": key.revoke_reason,
        "supersedes": key.supersedes,
        "superseded_by": key.superseded_by,
        "superseded_at": key.superseded_at.map(rfc3339),
        "propagation": propagation(key, &settings.common.timing),
    })
}

/// What the audit trail holds of a key: what people decided about it.
pub(in crate::shard) fn trail(key: &KeyRow, now: Millis) -> Value {
    json!({
        "name": key.name,
        "owner": key.owner,
        "status": status(key, now),
        "expires_at": key.expires_at.map(rfc3339),
        "permissions": key.permissions,
        "allowed_ips": key.networks,
        "rate_limit": key.rate_limit,
        "metadata": key.metadata,
        "manages_keys": key.manages_keys,
        "parent": key.parent,
        "revoke_reason": key.revoke_reason,
        "supersedes": key.supersedes,
        "superseded_by": key.superseded_by,
    })
}
