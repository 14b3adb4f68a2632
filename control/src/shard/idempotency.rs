//! One effect per idempotency key: what a success answered is kept without what was secret in it, and given again.

use serde_json::Value;

use super::{answer::Handled, ceilings, failure::Failure, rows, turn::Turn};
use crate::{idempotency::Place, sql::Sql};

/// Members of an answer that are given out once.
const SECRET: [&str; 3] = ["key", "url", "secret"];
/// Members that are left out of an answer that is longer than [`LONGEST`].
const BULKY: [&str; 1] = ["owners"];
/// The longest answer that is kept whole, in bytes: the object's storage takes no more than two million in a row.
const LONGEST: usize = 1_000_000;

/// Makes members of an answer null, and says so where there were any.
fn leave_out(kept: &mut Handled, members: &[&str]) {
    for member in members {
        if let Some(Value::Object(body)) = kept.body.as_mut().filter(|body| body.get(member).is_some()) {
            body.insert((*member).into(), Value::Null);
            body.insert("replayed".into(), true.into());
        }
    }
}

impl<S: Sql> Turn<'_, S> {
    /// What was answered before, where the call is a repetition.
    pub(super) fn repeated(&self) -> Result<Option<Handled>, Failure> {
        let Some(place) = Place::of(self.call, self.caller, &self.actor(), &self.company)? else { return Ok(None) };
        let Some(kept) = place.kept(self.sql, self.now)? else { return Ok(None) };
        self.again(serde_json::from_str(&kept)?).map(Some)
    }

    /// Executes a change, or answers what it answered before.
    pub(super) fn execute_once(&mut self) -> Result<Handled, Failure> {
        let Some(place) = Place::of(self.call, self.caller, &self.actor(), &self.company)? else { return self.execute() };
        if let Some(kept) = place.kept(self.sql, self.now)? {
            return self.again(serde_json::from_str(&kept)?);
        }
        let handled = self.execute()?;
        if (200..300).contains(&handled.status) {
            let mut kept = handled.clone();
            if !kept.keys.is_empty() {
                kept.body = None;
            }
            leave_out(&mut kept, &SECRET);
            let mut text = serde_json::to_string(&kept)?;
            if text.len() > LONGEST {
                leave_out(&mut kept, &BULKY);
                text = serde_json::to_string(&kept)?;
            }
            place.keep(self.sql, self.now, text)?;
        }
        Ok(handled)
    }

    /// What was answered before, where the caller may still see it.
    fn again(&self, mut handled: Handled) -> Result<Handled, Failure> {
        if !handled.keys.is_empty() {
            handled.body = Some(self.keys_body(&handled.keys)?);
        }
        if let Some((company, id)) = &handled.key {
            let key = rows::key(self.sql, company, id)?.ok_or_else(|| Failure::not_found("key"))?;
            if !ceilings::sees(self.caller, company, &key.owner, id) {
                return Err(Failure::not_found("key"));
            }
        }
        Ok(handled)
    }
}
