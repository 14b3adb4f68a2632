//! Who a credential stands for, read anew on every request, and what the caller is told about themselves.

use core::net::IpAddr;

use keyward_shared::{
    base62,
    decide::{Refusal, decide},
    digest::Digest,
    ids::{CompanyId, OwnerId},
    key::BODY_LEN,
    problem::Code,
    shard::Shard,
    time::Millis,
};
use serde_json::json;

use super::{
    answer::Handled,
    ceilings,
    failure::Failure,
    query::Query,
    rows::{self, worth},
    turn::Turn,
};
use crate::{
    call::{Caller, CallingKey, Credential, Token},
    settings::ControlSettings,
    sql::{Columns, Sql},
};

/// The caller that `credential` stands for at `now`.
pub fn authenticate(
    sql: &impl Sql,
    settings: &ControlSettings,
    shard: Shard,
    now: Millis,
    credential: &Credential,
    address: Option<IpAddr>,
) -> Result<Caller, Failure> {
    match credential {
        Credential::Key(digest) => key(sql, settings, shard, now, digest, address),
        Credential::Session { digest, company } => session(sql, settings, now, digest, company),
        Credential::Token(token) => person(sql, settings, now, token),
        Credential::Vouched(caller) => Ok(caller.clone()),
    }
}

fn unauthenticated(detail: &str) -> Failure {
    Failure::refused(Code::Unauthenticated, detail)
}

fn key(
    sql: &impl Sql,
    settings: &ControlSettings,
    shard: Shard,
    now: Millis,
    digest: &Digest,
    address: Option<IpAddr>,
) -> Result<Caller, Failure> {
    // What was imported carries no tag: it is a credential for the edges only.
    let key = rows::key_by_digest(sql, digest)?.filter(|key| !key.imported).ok_or_else(|| unauthenticated("this API key is not known"))?;
    let record = key.record(settings, shard, 0, now);
    decide(&record, now, address, None).map_err(|refusal| match refusal {
        Refusal::Revoked => unauthenticated("this API key was revoked"),
        Refusal::Expired => unauthenticated("this API key has expired"),
        Refusal::OwnerInactive => unauthenticated("the owner of this API key is not active"),
        Refusal::AddressNotAllowed | Refusal::PermissionDenied => {
            Failure::refused(Code::Forbidden, "this API key may not be used from this network")
        }
    })?;
    Ok(Caller {
        company: key.company,
        owner: key.owner,
        permissions: record.permissions,
        token: false,
        key: Some(CallingKey {
            id: key.id,
            manages_keys: key.manages_keys,
            bootstrap: key.bootstrap,
            restriction: key.permissions,
            networks: key.networks,
            expires_at: key.expires_at,
        }),
    })
}

fn session(sql: &impl Sql, settings: &ControlSettings, now: Millis, digest: &Digest, company: &CompanyId) -> Result<Caller, Failure> {
    let statement = "SELECT owner, expires_at FROM sessions WHERE company = ?1 AND digest = ?2";
    let row = sql.execute(statement, &[company.into(), digest.into()])?.pop().ok_or_else(|| unauthenticated("this session has ended"))?;
    let mut columns = Columns::of(row);
    let (owner, expires_at) = (columns.parsed()?, columns.time()?);
    if now >= expires_at {
        return Err(unauthenticated("this session has ended"));
    }
    signed_in(sql, settings, company, &owner)
}

/// Whom a token speaks of, whose entry in the directory [`super::sign_in`] has brought up to date where tokens do that.
fn person(sql: &impl Sql, settings: &ControlSettings, now: Millis, token: &Token) -> Result<Caller, Failure> {
    if now >= token.expires_at {
        return Err(unauthenticated("the token has expired"));
    }
    Ok(Caller { token: true, ..signed_in(sql, settings, &token.company, &token.owner)? })
}

/// A person of the directory who may act, with everything that they may do.
fn signed_in(sql: &impl Sql, settings: &ControlSettings, company: &CompanyId, owner: &OwnerId) -> Result<Caller, Failure> {
    let owner = rows::owner(sql, company, owner)?.filter(|owner| owner.active).ok_or_else(|| unauthenticated("the owner is not active"))?;
    if !rows::company(sql, company)?.is_some_and(|company| company.active) {
        return Err(unauthenticated("the company is not active"));
    }
    let permissions = worth(settings, company, &owner.permissions);
    Ok(Caller { company: company.clone(), owner: owner.owner, key: None, token: false, permissions })
}

/// What somebody calls with.
fn kind(caller: &Caller) -> &'static str {
    match (&caller.key, caller.token) {
        (Some(_), _) => "key",
        (None, true) => "token",
        (None, false) => "session",
    }
}

impl<S: Sql> Turn<'_, S> {
    /// `GET /v1/whoami`. The names are null for an operator who acts in another shard.
    pub(super) fn whoami(&self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let caller = self.caller;
        let owner = rows::owner(self.sql, &caller.company, &caller.owner)?;
        let company = rows::company(self.sql, &caller.company)?;
        Ok(Handled::ok(json!({
            "owner": caller.owner,
            "owner_name": owner.map(|owner| owner.name),
            "company": caller.company,
            "max_key_lifetime_days": company.as_ref().and_then(|company| company.max_key_lifetime_days),
            "company_name": company.map(|company| company.name),
            "permissions": caller.permissions,
            "key_id": caller.key.as_ref().map(|key| &key.id),
            "manages_keys": caller.key.as_ref().is_none_or(|key| key.manages_keys),
            "makes_managers": ceilings::makes_managers(caller).is_ok(),
            "credential": kind(caller),
            "session": kind(caller) == "session",
            "operator": ceilings::is_operator(caller),
        })))
    }

    /// `GET /v1/format`: what blind creation and a secret scanner need.
    pub(super) fn format(&self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let prefix = self.settings.common.prefixes.minting().as_str();
        Ok(Handled::ok(json!({
            "prefix": prefix,
            "shard": self.shard,
            "alphabet": core::str::from_utf8(base62::ALPHABET).unwrap_or_default(),
            "scanner": format!("\\b{prefix}_[0-9A-Za-z]{{{BODY_LEN}}}\\b"),
        })))
    }
}
