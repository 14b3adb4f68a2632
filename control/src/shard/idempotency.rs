//! One effect per idempotency key: what a success answered is kept without what was secret in it, and given again.

use serde_json::Value;

use super::{answer::Handled, ceilings, failure::Failure, rows, turn::Turn};
use crate::{idempotency::Place, sql::Sql};

/// Members of an answer that are given out once.
const SECRET: [&str; 2] = ["key", "url"];

impl<S: Sql> Turn<'_, S> {
    /// Executes a change, or answers what it answered before.
    pub(super) fn execute_once(&mut self) -> Result<Handled, Failure> {
        let Some(place) = Place::of(self.call, self.caller, &self.actor(), &self.company)? else { return self.execute() };
        if let Some(kept) = place.kept(self.sql, self.now)? {
            return self.again(serde_json::from_str(&kept)?);
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
            place.keep(self.sql, self.now, serde_json::to_string(&kept)?)?;
        }
        Ok(handled)
    }

    /// What was answered before, where the caller may still see it.
    fn again(&self, handled: Handled) -> Result<Handled, Failure> {
        if let Some((company, id)) = &handled.key {
            let key = rows::key(self.sql, company, id)?.ok_or_else(|| Failure::not_found("key"))?;
            if !ceilings::sees(self.caller, company, &key.owner, id) {
                return Err(Failure::not_found("key"));
            }
        }
        Ok(handled)
    }
}
