//! Signing in and out: links that work once, and the sessions that they begin.

use keyward_shared::{digest::Digest, link::SignInLink, permission::OPERATOR, problem::Code, shard::Shard, time::Millis};
use serde_json::{Value, json};

use super::{
    answer::Handled,
    audit,
    failure::Failure,
    query::Query,
    rows::{self, OwnerRow, worth},
    turn::{Random, Turn},
    validate::Fields,
};
use crate::{
    call::{AuditNote, Redeem, Redeemed, SignOut},
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
        let signed_in = worth(self.settings, &self.company, &active(self.sql, &link)?.permissions);
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

/// The link's owner; refuses where owner or company is not there or may not act.
fn active(sql: &impl Sql, link: &SignInLink) -> Result<OwnerRow, Failure> {
    if rows::company(sql, &link.company)?.is_none() {
        return Err(Failure::not_found("company"));
    }
    let owner = rows::owner(sql, &link.company, &link.owner)?.ok_or_else(|| Failure::not_found("owner"))?;
    if owner.active && rows::company(sql, &link.company)?.is_some_and(|company| company.active) {
        Ok(owner)
    } else {
        Err(Failure::refused(Code::Conflict, "the owner is not active"))
    }
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
    let fresh = sql.execute(
        "INSERT INTO used_links (company, nonce, expires_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING RETURNING nonce",
        &[(&link.company).into(), (&link.nonce).into(), link.expires_at.into()],
    )?;
    if fresh.is_empty() {
        return refuse("this sign-in link was used already");
    }
    if active(sql, link).is_err() {
        return Err(Failure::refused(Code::Forbidden, "the owner is not active"));
    }
    let mut bytes = [0; 32];
    random(&mut bytes);
    let token = session::mint(&link.company, bytes, &settings.session_secrets);
    sql.execute(
        "INSERT INTO sessions (digest, company, owner, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[(&Digest::of(token.as_bytes())).into(), (&link.company).into(), (&link.owner).into(), now.into(), now.plus(LIFETIME).into()],
    )?;
    let after = json!({ "expires_at": crate::time::rfc3339(now.plus(LIFETIME)) });
    audit::append(sql, now, &begin_note(request, "done", after))?;
    Ok(Redeemed { token, max_age_s: LIFETIME.as_secs() })
}

/// Writes down that a link, which this deployment made, was refused: it may have been used by somebody else before.
pub(super) fn record_refusal(sql: &impl Sql, now: Millis, request: &Redeem, failure: &Failure) -> Result<(), Failure> {
    if rows::company(sql, &request.link.company)?.is_none() {
        return Ok(());
    }
    audit::append(sql, now, &begin_note(request, failure.problem().code.as_str(), Value::Null))
}

fn begin_note(request: &Redeem, outcome: &str, after: Value) -> AuditNote {
    AuditNote {
        id: String::new(),
        company: request.link.company.clone(),
        actor: request.link.owner.to_string(),
        key: None,
        address: request.address,
        action: "session.begin".into(),
        target: request.link.owner.to_string(),
        outcome: outcome.into(),
        before: Value::Null,
        after,
        request_id: request.request_id.clone(),
    }
}

/// Ends a session; one that has ended already is no error. A company that is gone has no trail to say so.
pub(super) fn sign_out(sql: &impl Sql, now: Millis, request: &SignOut) -> Result<(), Failure> {
    let statement = "DELETE FROM sessions WHERE company = ?1 AND digest = ?2 RETURNING owner";
    let Some(row) = sql.execute(statement, &[(&request.company).into(), (&request.digest).into()])?.pop() else { return Ok(()) };
    if rows::company(sql, &request.company)?.is_none() {
        return Ok(());
    }
    let owner = Columns::of(row).text()?;
    let note = AuditNote {
        id: String::new(),
        company: request.company.clone(),
        actor: owner.clone(),
        key: None,
        address: request.address,
        action: "session.end".into(),
        target: owner,
        outcome: "done".into(),
        before: Value::Null,
        after: Value::Null,
        request_id: request.request_id.clone(),
    };
    audit::append(sql, now, &note)
}
