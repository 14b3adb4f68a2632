//! One effect per idempotency key: where an object keeps what it answered to a success, for 24 hours per company, actor,
//! method, path and key. What of an answer is kept, and how it is given again, is each object's business. Everything runs
//! in the turn of the change, so nothing is ever found half-way.

use keyward_shared::{digest::Digest, ids::CompanyId, problem::Code, time::Millis};

use crate::{
    call::{ApiCall, Caller},
    failure::Failure,
    query::bad,
    sql::{Columns, Sql, Value},
};

/// The longest idempotency key.
const MAX_LEN: usize = 255;
/// For how long an answer is kept: 24 hours.
const KEPT: Millis = Millis::from_secs(86_400);

/// What an answer is kept under, and what tells whether another request is the same.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    columns: [Value; 5],
    fingerprint: String,
}

impl Place {
    /// The place of `call`, which `caller`, who is called `actor` there, makes in `company`; `None` where it has no
    /// idempotency key.
    pub(crate) fn of(call: &ApiCall, caller: &Caller, actor: &str, company: &CompanyId) -> Result<Option<Self>, Failure> {
        let Some(key) = call.idempotency_key.as_deref() else { return Ok(None) };
        if key.is_empty() || key.len() > MAX_LEN || !key.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Err(bad("Idempotency-Key must be 1 to 255 visible characters").into());
        }
        let with = caller.key.as_ref().map_or("", |key| key.id.as_str());
        let columns =
            [company.into(), format!("{actor} {with}").into(), call.method.as_str().into(), call.path.as_str().into(), key.into()];
        let fingerprint = Digest::of(format!("{}\n{}", call.query, call.body).as_bytes()).to_hex();
        Ok(Some(Self { columns, fingerprint }))
    }

    /// What was kept there; refuses where that was for another request.
    pub(crate) fn kept(&self, sql: &impl Sql, now: Millis) -> Result<Option<String>, Failure> {
        let statement = "SELECT fingerprint, answer, expires_at FROM idempotency WHERE company = ?1 AND actor = ?2 AND method = ?3 AND path = ?4 AND key = ?5";
        let Some(row) = sql.execute(statement, &self.columns)?.pop() else { return Ok(None) };
        let mut columns = Columns::of(row);
        let (fingerprint, answer, expires_at) = (columns.text()?, columns.text()?, columns.time()?);
        if now >= expires_at {
            return Ok(None);
        }
        if fingerprint != self.fingerprint {
            return Err(Failure::refused(Code::IdempotencyMismatch, "this idempotency key was used with another request"));
        }
        Ok(Some(answer))
    }

    /// Keeps `answer` there.
    pub(crate) fn keep(&self, sql: &impl Sql, now: Millis, answer: String) -> Result<(), Failure> {
        let mut parameters = self.columns.to_vec();
        parameters.extend([self.fingerprint.as_str().into(), answer.into(), now.plus(KEPT).into()]);
        sql.execute(
            "INSERT INTO idempotency (company, actor, method, path, key, fingerprint, answer, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT (company, actor, method, path, key) DO UPDATE SET fingerprint = ?6, answer = ?7, expires_at = ?8",
            &parameters,
        )?;
        Ok(())
    }
}
