//! Answers that are too long for one message, or take too long for one turn, given in parts. Each part is one turn of its own, so nothing
//! grows with the number of entries; the caller is authenticated and the call is permitted anew each time.

use keyward_shared::time::Millis;
use serde_json::{Map, Value};

use super::{Shard, failure::Failure, turn::Random};
use crate::{
    call::{ApiAnswer, AskPortion, Portion},
    route::Endpoint,
    sql::Sql,
};

/// The most lines of one part, and after how many bytes no further line is added.
pub(super) const MOST_LINES: u64 = 500;
pub(super) const MOST_BYTES: u64 = 512 << 10;

/// A part as it is made.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Whole lines; or, in the last part, the answer itself.
    pub(super) lines: String,
    /// Where the next part begins.
    pub(super) next: Option<String>,
    /// See [`Portion::seal`].
    pub(super) seal: Option<Map<String, Value>>,
}

impl<S: Sql> Shard<S> {
    /// Answers a part of a call whose answer comes in parts.
    pub fn portion(&self, now: Millis, random: Random<'_>, ask: &AskPortion) -> (Portion, Option<String>) {
        let after = ask.after.as_deref();
        let part = self.with_turn(now, random, &ask.call, None, |turn| {
            turn.permitted()?;
            match turn.found.endpoint {
                Endpoint::VerifyAudit => turn.verify_audit(after),
                Endpoint::ExportAudit => turn.export_audit(after),
                Endpoint::ExportCompany => turn.export_company(after),
                _ => Err(Failure::not_found("path")),
            }
        });
        match part {
            Ok(part) => {
                let answer = ApiAnswer { status: 200, headers: Vec::new(), body: part.lines };
                (Portion { answer, next: part.next, seal: part.seal }, None)
            }
            Err(failure) => {
                let handled = Self::failed(&failure, &ask.call);
                (Portion { answer: handled.finish(), next: None, seal: None }, handled.log)
            }
        }
    }
}
