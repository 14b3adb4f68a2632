//! One effect per idempotency key: the answer of a success is kept for 24 hours per company, actor, method and path,
//! without what was secret in it. Everything runs in one turn, so nothing is ever found half-way.

use keyward_shared::{digest::Digest, problem::Code, time::Millis};
use serde_json::Value;

use super::{
    answer::Handled,
    ceilings,
    failure::Failure,
    query::bad,
    rows,
    turn::{Turn, actor},
};
use crate::sql::{Columns, Sql, Value as SqlValue};

/// The longest idempotency key.
const MAX_LEN: usize = 255;
/// For how long an answer is kept: 24 hours.
const KEPT: Millis = Millis::from_secs(86_400);
/// Members of an answer that are given out once.
const SECRET: [&str; 2] = ["key", "url"];

impl<S: Sql> Turn<'_, S> {
    /// Executes a change, or answers what it answered before.
    pub(super) fn execute_once(&mut self) -> Result<Handled, Failure> {
        let Some(key) = self.call.idempotency_key.as_deref() else { return self.execute() };
        if key.is_empty() || key.len() > MAX_LEN || !key.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Err(bad("Idempotency-Key must be 1 to 255 visible characters").into());
        }
        let place = self.place(key);
        let fingerprint = Digest::of(format!("{}\n{}", self.call.query, self.call.body).as_bytes()).to_hex();
        if let Some(stored) = self.stored(&place, &fingerprint)? {
            return Ok(stored);
        }
        let handled = self.execute()?;
        if (200..300).contains(&handled.status) {
            let mut kept = handled.clone();
            for secret in SECRET {
                if let Some(Value::Object(body)) = kept.body.as_mut().filter(|body| body.get(secret).is_some()) {
                    body.insert(secret.into(), Value::Null);
                    body.insert("replayed".into(), true.into());
                }
            }
            let mut parameters = place.to_vec();
            parameters.extend([fingerprint.into(), serde_json::to_string(&kept)?.into(), self.now.plus(KEPT).into()]);
            self.sql.execute(
                "INSERT INTO idempotency (company, actor, method, path, key, fingerprint, answer, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                 ON CONFLICT (company, actor, method, path, key) DO UPDATE SET fingerprint = ?6, answer = ?7, expires_at = ?8",
                &parameters,
            )?;
        }
        Ok(handled)
    }

    /// Company, actor, method, path and key: what an answer is kept under.
    fn place(&self, key: &str) -> [SqlValue; 5] {
        let with = self.caller.key.as_ref().map_or("", |key| key.id.as_str());
        let actor = format!("{} {with}", actor(self.caller, &self.company));
        [(&self.company).into(), actor.into(), self.call.method.as_str().into(), self.call.path.as_str().into(), key.into()]
    }

    fn stored(&self, place: &[SqlValue; 5], fingerprint: &str) -> Result<Option<Handled>, Failure> {
        let statement = "SELECT fingerprint, answer, expires_at FROM idempotency WHERE company = ?1 AND actor = ?2 AND method = ?3 AND path = ?4 AND key = ?5";
        let Some(row) = self.sql.execute(statement, place)?.pop() else { return Ok(None) };
        let mut columns = Columns::of(row);
        let (known, answer, expires_at) = (columns.text()?, columns.text()?, columns.time()?);
        if self.now >= expires_at {
            return Ok(None);
        }
        if known != fingerprint {
            return Err(Failure::refused(Code::IdempotencyMismatch, "this idempotency key was used with another request"));
        }
        let handled: Handled = serde_json::from_str(&answer)?;
        if let Some((company, id)) = &handled.key {
            let key = rows::key(self.sql, company, id)?.ok_or_else(|| Failure::not_found("key"))?;
            if !ceilings::sees(self.caller, company, &key.owner, id) {
                return Err(Failure::not_found("key"));
            }
        }
        Ok(Some(handled))
    }
}
