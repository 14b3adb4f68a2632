//! Signing in with a token where the identity provider says what people may do (`OIDC_CLAIM_PERMISSIONS`): the directory's entry
//! of whom the token speaks of is made, or brought up to date, when the token is first used. Who is not active stays so.
//!
//! Only a token that was issued after the last one that was taken counts, and after whatever was done to the entry in another way
//! since: an older one, still valid, undoes neither.

use core::net::IpAddr;

use keyward_shared::time::Millis;
use serde_json::Value;

use super::{
    audit,
    failure::Failure,
    owners::{self, WantedOwner},
    rows::{self, OwnerRow},
    sign_in_memory::{decides, note, outdated_until},
    turn::next_rev,
    validate::{is_email, label},
};
use crate::{
    call::{AuditNote, Credential, Token},
    settings::ControlSettings,
    sql::Sql,
};

/// The longest name in the directory, and the longest address, in characters.
const MAX_NAME: usize = 100;
const MAX_EMAIL: usize = 254;

/// Brings the directory up to date, where `credential` is a token that has a say in it. Whether the owner may act is not
/// decided here.
pub(super) fn take(
    sql: &impl Sql,
    settings: &ControlSettings,
    now: Millis,
    credential: &Credential,
    address: Option<IpAddr>,
    request_id: &str,
) -> Result<(), Failure> {
    let Credential::Token(token) = credential else { return Ok(()) };
    let (Some(permissions), true) = (&token.permissions, decides(settings)) else { return Ok(()) };
    if now >= token.expires_at || !rows::company(sql, &token.company)?.is_some_and(|company| company.active) {
        return Ok(());
    }
    let old = rows::owner(sql, &token.company, &token.owner)?;
    if old.as_ref().is_some_and(|old| !old.active) || outdated_until(sql, token, old.as_ref())? >= Some(token.issued_at) {
        return Ok(());
    }
    let wanted = WantedOwner {
        id: token.owner.clone(),
        name: name(token, old.as_ref()),
        email: email(token).or_else(|| old.as_ref()?.email.clone()),
        permissions: permissions.clone(),
        active: true,
    };
    let same = |old: &&OwnerRow| (&old.name, &old.email, &old.permissions) == (&wanted.name, &wanted.email, &wanted.permissions);
    if let Some(old) = old.as_ref().filter(same) {
        return Ok(note(sql, &token.company, &token.owner, token.issued_at, old.changed.rev)?);
    }
    let new = owners::write(sql, now, &token.company, old.is_some(), &wanted, next_rev(sql, now)?)?;
    note(sql, &token.company, &token.owner, token.issued_at, new.changed.rev)?;
    audit::append(
        sql,
        now,
        &AuditNote {
            id: String::new(),
            company: token.company.clone(),
            actor: token.issuer.clone(),
            key: None,
            address,
            action: "owner.put".into(),
            target: token.owner.to_string(),
            outcome: "done".into(),
            before: old.as_ref().map_or(Value::Null, owners::view),
            after: owners::view(&new),
            request_id: request_id.to_owned(),
        },
    )
}

/// The token's name where it is one, else what the directory has, else the owner's id.
fn name(token: &Token, old: Option<&OwnerRow>) -> String {
    let sent = token.name.as_deref().and_then(|name| label(name, MAX_NAME).ok());
    sent.map(ToOwned::to_owned)
        .or_else(|| old.map(|old| old.name.clone()))
        .unwrap_or_else(|| token.owner.as_str().chars().take(MAX_NAME).collect())
}

fn email(token: &Token) -> Option<String> {
    let text = label(token.email.as_deref()?, MAX_EMAIL).ok()?;
    is_email(text).then(|| text.to_owned())
}
