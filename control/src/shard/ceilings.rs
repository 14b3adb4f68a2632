//! Who may do what, as pure rules. Nobody grants, creates or widens beyond what the caller's own credential may do
//! now; what a key makes has the key's permissions, networks and expiry as upper bounds and is never a manager.
//!
//! Chosen answers: beyond the caller is 403, beyond the target owner is 422 (that is `validate`'s), another company's
//! is 404.

use keyward_shared::{
    ids::{CompanyId, KeyId, OwnerId},
    network::Network,
    permission::{OPERATOR, PermissionSet},
    problem::Code,
    time::Millis,
};

use crate::{
    call::{Caller, CallingKey, Refused},
    route::Endpoint,
};

/// Own keys.
pub const KEYS_OWN: &str = "keyward.keys.own";
/// Everyone's keys in the company: see, revoke, delete.
pub const KEYS: &str = "keyward.keys";
/// The directory.
pub const OWNERS: &str = "keyward.owners";
/// The audit trail.
pub const AUDIT: &str = "keyward.audit";

/// Whether `caller` is the operator. The permission itself only reaches a caller of the operator's company.
pub fn is_operator(caller: &Caller) -> bool {
    caller.permissions.allows_str(OPERATOR)
}

/// The permissions of which one is needed for a call; empty: none.
const fn needed(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::CreateKey | Endpoint::ChangeKey | Endpoint::RotateKey => &[KEYS_OWN, OPERATOR],
        Endpoint::ListKeys
        | Endpoint::GetKey
        | Endpoint::RevokeKey
        | Endpoint::RevokeKeys
        | Endpoint::DeleteKey
        | Endpoint::ReadKeyUsage
        | Endpoint::ExplainKey => &[KEYS_OWN, KEYS, OPERATOR],
        Endpoint::PutOwner | Endpoint::PutOwners | Endpoint::GetOwner | Endpoint::DeleteOwner | Endpoint::ListOwners => &[OWNERS],
        Endpoint::ListAudit | Endpoint::VerifyAudit | Endpoint::ExportAudit => &[AUDIT],
        // What they tell is what the list of everyone's keys tells.
        Endpoint::ListWebhooks
        | Endpoint::CreateWebhook
        | Endpoint::GetWebhook
        | Endpoint::ChangeWebhook
        | Endpoint::DeleteWebhook
        | Endpoint::ListDeliveries
        | Endpoint::ReplayDeliveries => &[KEYS, OPERATOR],
        Endpoint::PutCompany
        | Endpoint::GetCompany
        | Endpoint::DeleteCompany
        | Endpoint::ListCompanies
        | Endpoint::ExportCompany
        | Endpoint::ImportCompany
        | Endpoint::ImportKeys
        | Endpoint::GetPolicy
        | Endpoint::PutPolicy
        | Endpoint::ListPolicyVersions
        | Endpoint::RollBackPolicy
        | Endpoint::CreateSignInLink
        | Endpoint::Republish => &[OPERATOR],
        Endpoint::Whoami | Endpoint::Format | Endpoint::RevokeCredentials | Endpoint::ReportLeaks | Endpoint::OpenApi => &[],
    }
}

/// Whether `caller` may make this call at all. `argument` is the variable part of the path.
pub fn require(endpoint: Endpoint, argument: &str, caller: &Caller) -> Result<(), Refused> {
    if matches!(endpoint, Endpoint::Whoami | Endpoint::OpenApi) {
        return Ok(());
    }
    if let Some(key) = &caller.key {
        let itself = matches!(endpoint, Endpoint::GetKey | Endpoint::RevokeKey) && argument == key.id.as_str();
        if itself {
            return Ok(());
        }
        if !key.manages_keys {
            return Err(forbidden("this key was not made to manage keys: it may only read and revoke itself"));
        }
    }
    match needed(endpoint) {
        [] => Ok(()),
        any if any.iter().any(|permission| caller.permissions.allows_str(permission)) => Ok(()),
        [.., OPERATOR] if needed(endpoint).len() == 1 => Err(forbidden("only the operator may do this")),
        [first, ..] => Err(forbidden(format!("the permission {first} is missing"))),
    }
}

/// Whether `caller` may see, revoke and delete the key `id` of `owner` in `company`.
pub fn sees(caller: &Caller, company: &CompanyId, owner: &OwnerId, id: &KeyId) -> bool {
    let is_calling = |key: &CallingKey| key.id == *id;
    sees_all(caller) || caller.company == *company && caller.owner == *owner || caller.key.as_ref().is_some_and(is_calling)
}

/// Whether `caller` sees everyone's keys.
pub fn sees_all(caller: &Caller) -> bool {
    caller.permissions.allows_str(KEYS) || is_operator(caller)
}

/// Whether `caller` may change a key of `owner` in `company`.
pub fn changes(caller: &Caller, company: &CompanyId, owner: &OwnerId) -> Result<(), Refused> {
    let own = caller.company == *company && caller.owner == *owner && caller.permissions.allows_str(KEYS_OWN);
    if own || is_operator(caller) { Ok(()) } else { Err(forbidden("only the owner or the operator may change a key")) }
}

/// What limits a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Its own restriction; `None`: whatever its owner may do.
    pub restriction: Option<PermissionSet>,
    /// From where it may be used; empty: from anywhere.
    pub networks: Vec<Network>,
    /// From when on it no longer works.
    pub expires_at: Option<Millis>,
}

/// The limits of a key that `caller` makes with the limits `asked`, for an owner with the permissions `owners` who is
/// somebody else where `other`. What was not asked for is inherited, what exceeds the caller is refused.
pub fn inherit(caller: &Caller, other: bool, owners: &PermissionSet, asked: Limits) -> Result<Limits, Refused> {
    let restricted = caller.key.as_ref().and_then(|key| key.restriction.as_ref());
    let restriction = match (asked.restriction, restricted) {
        (Some(asked), _) => Some(asked),
        (None, Some(own)) if !other => Some(own.clone()),
        (None, Some(_)) => Some(caller.permissions.clone()),
        (None, None) => None,
    };
    let networks = match &caller.key {
        Some(key) if asked.networks.is_empty() => key.networks.clone(),
        _ => asked.networks,
    };
    let expires_at = asked.expires_at.or_else(|| caller.key.as_ref().and_then(|key| key.expires_at));
    let limits = Limits { restriction, networks, expires_at };
    within(caller, owners, &limits)?;
    Ok(limits)
}

/// Whether a key of an owner with the permissions `owners` may be given the limits `new` by `caller`, having had `old`.
/// What narrows is free; what widens must stay within the caller's own bounds as a whole.
pub fn widen(caller: &Caller, owners: &PermissionSet, old: &Limits, new: &Limits) -> Result<(), Refused> {
    let restriction = match (&old.restriction, &new.restriction) {
        (None, _) => true,
        (Some(old), Some(new)) => old.covers(new),
        (Some(_), None) => false,
    };
    let narrower = restriction && inside(&new.networks, &old.networks) && earlier(new.expires_at, old.expires_at);
    if narrower { Ok(()) } else { within(caller, owners, new) }
}

/// Whether a key of an owner with the permissions `owners` may be given the limits `limits` by `caller`, who made it.
pub fn within(caller: &Caller, owners: &PermissionSet, limits: &Limits) -> Result<(), Refused> {
    let restricted = caller.key.as_ref().is_some_and(|key| key.restriction.is_some());
    let permissions = match &limits.restriction {
        Some(own) => own,
        None if restricted => return Err(forbidden("a restricted key makes no unrestricted one")),
        None => owners,
    };
    if let Some(missing) = caller.permissions.first_missing(permissions) {
        return Err(forbidden(format!("the permission {missing} is beyond what you may do yourself")));
    }
    let Some(key) = &caller.key else { return Ok(()) };
    if !inside(&limits.networks, &key.networks) {
        return Err(forbidden("the networks reach beyond those of the calling key"));
    }
    if !earlier(limits.expires_at, key.expires_at) {
        return Err(forbidden("the key would outlive the calling key"));
    }
    Ok(())
}

/// Whether every address of `inner` is one of `outer`; an empty list is all addresses.
fn inside(inner: &[Network], outer: &[Network]) -> bool {
    outer.is_empty() || !inner.is_empty() && inner.iter().all(|network| outer.iter().any(|wide| wide.covers(network)))
}

/// Whether `one` ends no later than `other`; `None` never ends.
fn earlier(one: Option<Millis>, other: Option<Millis>) -> bool {
    other.is_none_or(|other| one.is_some_and(|one| one <= other))
}

/// Whether `caller` may make a manager: a person who is signed in, or the bootstrap key.
pub fn makes_managers(caller: &Caller) -> Result<(), Refused> {
    match &caller.key {
        Some(key) if !key.bootstrap => Err(forbidden("only a signed-in person or the bootstrap key makes keys that manage keys")),
        _ => Ok(()),
    }
}

/// Whether `caller` may give an owner, who had `before` (none where the owner is new or could not act), the
/// permissions `after`. Taking away is free.
pub fn gives(caller: &Caller, before: Option<&PermissionSet>, after: &PermissionSet) -> Result<(), Refused> {
    let added = after.iter().find(|permission| !before.is_some_and(|had| had.allows(permission)) && !caller.permissions.allows(permission));
    added.map_or(Ok(()), |missing| Err(forbidden(format!("nobody gives a permission that they lack: {missing}"))))
}

fn forbidden(detail: impl Into<String>) -> Refused {
    Refused::new(Code::Forbidden, detail)
}

#[cfg(test)]
#[path = "ceilings_tests.rs"]
mod tests;
