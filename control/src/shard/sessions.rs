//! Signing in and out: links that work once, what the identity provider says of people, and the sessions that both begin.

use core::net::IpAddr;

use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, OwnerId},
    link::SignInLink,
    permission::OPERATOR,
    problem::Code,
    shard::Shard,
    time::Millis,
};
use serde_json::{Value, json};

use super::{
    answer::Handled,
    audit, authenticate,
    failure::Failure,
    query::Query,
    rows::{self, OwnerRow, worth},
    sign_in,
    turn::{Random, Turn},
    validate::Fields,
};
use crate::{
    call::{AuditNote, BeginSession, Credential, EndSessions, Redeem, Redeemed, SignOut},
    session::{self, LIFETIME},
    settings::ControlSettings,
    sql::{Columns, Sql},
};

impl<S: Sql> Turn<'_, S> {
    /// `POST /v1/sign-in-links`. The company in the body says where it acts, as `?company=` does.
    pub(super) fn create_sign_in_link(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let mut fields = Fields::read(&self.call.body, &["owner", "company"])?;
        let owner = fields.owner("owner");
        let company = fields.company("company").unwrap_or_else(|| self.company.clone());
        if !fields.given("owner") {
            fields.wrong("owner", "is required");
        }
        fields.check()?;
        if Shard::of(&company) != self.shard {
            return Err(Failure::not_found("company"));
        }
        self.company = company;
        let owner = owner.ok_or_else(|| Failure::not_found("owner"))?;
        let link = SignInLink::new(self.company.clone(), owner.clone(), self.now, self.draw());
        let signed_in = worth(self.settings, &self.company, &active(self.sql, &link.company, &link.owner)?.permissions);
        // Signing others in is the operator's business; becoming an operator who may more is not.
        if signed_in.allows_str(OPERATOR) && !self.caller.permissions.covers(&signed_in) {
            return Err(Failure::refused(Code::Forbidden, "this operator may do more than you"));
        }
        let origin = self.settings.public_control_url.as_deref().unwrap_or(self.call.origin.trim_end_matches('/'));
        let url = format!("{origin}/sign-in?token={}", link.to_token(&self.settings.session_secrets));
        let expires_at = crate::time::rfc3339(link.expires_at);
        self.record(owner.as_str(), Value::Null, json!({ "expires_at": expires_at }))?;
        Ok(Handled { status: 201, ..Handled::ok(json!({ "url": url, "expires_at": expires_at })) })
    }
}

/// Who is to be signed in; refuses where owner or company is not there or may not act.
fn active(sql: &impl Sql, company: &CompanyId, owner: &OwnerId) -> Result<OwnerRow, Failure> {
    let company = rows::company(sql, company)?.ok_or_else(|| Failure::not_found("company"))?;
    let owner = rows::owner(sql, &company.company, owner)?.ok_or_else(|| Failure::not_found("owner"))?;
    if owner.active && company.active { Ok(owner) } else { Err(Failure::refused(Code::Conflict, "the owner is not active")) }
}

/// Who signs in or out, for the trail.
#[derive(Clone, Copy)]
struct Person<'a> {
    company: &'a CompanyId,
    owner: &'a OwnerId,
    address: Option<IpAddr>,
    request_id: &'a str,
}

impl<'a> Person<'a> {
    fn with_link(request: &'a Redeem) -> Self {
        let Redeem { link, address, request_id } = request;
        Self { company: &link.company, owner: &link.owner, address: *address, request_id }
    }

    fn with_token(request: &'a BeginSession) -> Self {
        let BeginSession { token, address, request_id, .. } = request;
        Self { company: &token.company, owner: &token.owner, address: *address, request_id }
    }

    /// Writes down what they did.
    fn note(self, sql: &impl Sql, now: Millis, action: &str, outcome: &str, after: Value) -> Result<(), Failure> {
        let note = AuditNote {
            id: String::new(),
            company: self.company.clone(),
            actor: self.owner.to_string(),
            key: None,
            address: self.address,
            action: action.into(),
            target: self.owner.to_string(),
            outcome: outcome.into(),
            before: Value::Null,
            after,
            request_id: self.request_id.to_owned(),
        };
        audit::append(sql, now, &note)
    }

    /// Begins a session of theirs.
    fn begin(self, sql: &impl Sql, settings: &ControlSettings, now: Millis, random: Random<'_>) -> Result<Redeemed, Failure> {
        if matches!(active(sql, self.company, self.owner), Err(Failure::Refused(_))) {
            return Err(Failure::refused(Code::Forbidden, "the owner is not active"));
        }
        let mut bytes = [0; 32];
        random(&mut bytes);
        let token = session::mint(self.company, bytes, &settings.session_secrets);
        sql.execute(
            "INSERT INTO sessions (digest, company, owner, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            &[(&Digest::of(token.as_bytes())).into(), self.company.into(), self.owner.into(), now.into(), now.plus(LIFETIME).into()],
        )?;
        self.note(sql, now, "session.begin", "done", json!({ "expires_at": crate::time::rfc3339(now.plus(LIFETIME)) }))?;
        Ok(Redeemed { token, max_age_s: LIFETIME.as_secs() })
    }

    /// Writes down that they were refused. A company that is gone has no trail.
    fn refused(self, sql: &impl Sql, now: Millis, failure: &Failure) -> Result<(), Failure> {
        if rows::company(sql, self.company)?.is_none() {
            return Ok(());
        }
        self.note(sql, now, "session.begin", failure.problem().code.as_str(), Value::Null)
    }
}

/// Whether this is the first time that `nonce` comes; it is remembered `until` then.
fn comes_first(sql: &impl Sql, company: &CompanyId, nonce: &str, until: Millis) -> Result<bool, Failure> {
    let statement = "INSERT INTO used_links (company, nonce, expires_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING RETURNING nonce";
    Ok(!sql.execute(statement, &[company.into(), nonce.into(), until.into()])?.is_empty())
}

/// Uses a link, whose token the Worker has read: begins a session.
pub(super) fn redeem(
    sql: &impl Sql,
    settings: &ControlSettings,
    now: Millis,
    random: Random<'_>,
    request: &Redeem,
) -> Result<Redeemed, Failure> {
    let link = &request.link;
    let refuse = |detail: &str| Err(Failure::refused(Code::Conflict, detail));
    if now >= link.expires_at {
        return refuse("this sign-in link has expired");
    }
    if !comes_first(sql, &link.company, &link.nonce, link.expires_at)? {
        return refuse("this sign-in link was used already");
    }
    Person::with_link(request).begin(sql, settings, now, random)
}

/// Writes down that a link, which this deployment made, was refused: it may have been used by somebody else before.
pub(super) fn record_refusal(sql: &impl Sql, now: Millis, request: &Redeem, failure: &Failure) -> Result<(), Failure> {
    Person::with_link(request).refused(sql, now, failure)
}

/// Begins a session of somebody who has signed in at the identity provider. Where tokens have a say in the directory, this one has
/// it first.
pub(super) fn begin(
    sql: &impl Sql,
    settings: &ControlSettings,
    now: Millis,
    random: Random<'_>,
    request: &BeginSession,
) -> Result<Redeemed, Failure> {
    let BeginSession { token, nonce, until, address, request_id } = request;
    if now >= *until || now >= token.expires_at {
        return Err(Failure::refused(Code::Conflict, "this sign-in took too long"));
    }
    if !comes_first(sql, &token.company, nonce, *until)? {
        return Err(Failure::refused(Code::Conflict, "this sign-in was used already"));
    }
    sign_in::take(sql, settings, now, &Credential::Token(token.clone()), *address, request_id)?;
    Person::with_token(request).begin(sql, settings, now, random)
}

/// Writes down that somebody whom the identity provider knows was not let in.
pub(super) fn record_stranger(sql: &impl Sql, now: Millis, request: &BeginSession, failure: &Failure) -> Result<(), Failure> {
    Person::with_token(request).refused(sql, now, failure)
}

/// Ends a session; one that has ended already is no error. A company that is gone has no trail to say so.
pub(super) fn sign_out(sql: &impl Sql, now: Millis, request: &SignOut) -> Result<(), Failure> {
    let statement = "DELETE FROM sessions WHERE company = ?1 AND digest = ?2 RETURNING owner";
    let Some(row) = sql.execute(statement, &[(&request.company).into(), (&request.digest).into()])?.pop() else { return Ok(()) };
    if rows::company(sql, &request.company)?.is_none() {
        return Ok(());
    }
    let owner: OwnerId = Columns::of(row).parsed()?;
    let person = Person { company: &request.company, owner: &owner, address: request.address, request_id: &request.request_id };
    person.note(sql, now, "session.end", "done", Value::Null)
}

/// Ends all sessions of whom the credential stands for: the one that asks too.
pub(super) fn end_all(sql: &impl Sql, settings: &ControlSettings, shard: Shard, now: Millis, request: &EndSessions) -> Result<(), Failure> {
    let caller = authenticate::authenticate(sql, settings, shard, now, &request.credential, request.address)?;
    if caller.key.is_some() {
        return Err(Failure::refused(Code::Forbidden, "only a person who is signed in may do this"));
    }
    let statement = "DELETE FROM sessions INDEXED BY sessions_by_owner WHERE company = ?1 AND owner = ?2 RETURNING digest";
    let ended = sql.execute(statement, &[(&caller.company).into(), (&caller.owner).into()])?.len();
    let person = Person { company: &caller.company, owner: &caller.owner, address: request.address, request_id: &request.request_id };
    person.note(sql, now, "sessions.end", "done", json!({ "ended": ended }))
}
