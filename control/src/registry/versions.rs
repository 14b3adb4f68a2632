//! Earlier versions of the route policy: listed, read, and put back. Putting one back makes a new version that is equal to
//! it, so that edges, which know versions by their revision, follow it as any other change.

use keyward_shared::time::Millis;
use serde_json::json;

use super::{
    Registry,
    policy::{note, stamped},
};
use crate::{
    call::{ApiAnswer, ApiCall, Caller, Refused},
    cursor::Pages,
    failure::Failure,
    query::{Query, bad},
    shard::validate::{Fields, MAX_WHOLE},
    sql::{Columns, Sql},
    time::rfc3339,
};

impl<S: Sql> Registry<S> {
    /// `GET /v1/policy`, with `?version=` an earlier one.
    pub(super) fn asked_version(&self, query: &str) -> Result<ApiAnswer, Failure> {
        let query = Query::read(query, &["version"])?;
        let Some(text) = query.get("version") else { return Ok(self.policy_answer(None)?) };
        let rev: u64 = text.parse().map_err(|_| bad("version must be a whole number"))?;
        match self.version(Some(rev))? {
            Some(_) => Ok(self.policy_answer(Some(rev))?),
            None => Err(Failure::not_found("version")),
        }
    }

    /// `GET /v1/policy/versions`: newest first.
    pub(super) fn list_versions(&self, query: &str) -> Result<ApiAnswer, Failure> {
        let query = Query::read(query, &["limit", "cursor"])?;
        let pages = Pages::new(&self.cursors, "policy versions", &self.operator, "", &query);
        let before = pages.place(&query)?.and_then(|place| place.parse().ok()).unwrap_or(u64::MAX);
        let limit = query.limit()?;
        let statement = "SELECT rev, changed_by, changed_at, announced_at, rules, rolled_back_to FROM policies WHERE rev < ?1 ORDER BY rev DESC LIMIT ?2";
        let rows = self.sql.execute(statement, &[before.into(), (limit + 1).into()])?;
        let more = rows.len() as u64 > limit;
        let (mut versions, mut last) = (Vec::new(), None);
        for row in rows.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            let mut columns = Columns::of(row);
            let rev = columns.number()?;
            versions.push(json!({
                "version": rev,
                "changed_by": columns.text()?,
                "changed_at": rfc3339(columns.time()?),
                "announced_at": columns.optional_time()?.map(rfc3339),
                "rules": columns.number()?,
                "rolled_back_to": columns.optional_number()?,
            }));
            last = Some(rev);
        }
        let next = last.filter(|_| more).map(|rev| pages.cursor(&rev.to_string()));
        let body = json!({ "versions": versions, "next_cursor": next }).to_string();
        Ok(ApiAnswer { status: 200, headers: Vec::new(), body })
    }

    /// `POST /v1/policy/rollback`: makes a new version that is equal to an earlier one.
    pub(super) fn roll_back(&self, now: Millis, caller: &Caller, call: &ApiCall) -> Result<u64, Failure> {
        let mut fields = Fields::read(&call.body, &["version"])?;
        let Some(version) = fields.required_number("version", 1, MAX_WHOLE) else {
            fields.check()?;
            return Err(Failure::not_found("version"));
        };
        let before = self.replaceable(call)?;
        let Some(earlier) = self.version(Some(version))? else { return Err(Failure::not_found("version")) };
        // Rules that a later version of this program reads otherwise are not put back unseen.
        let problems = earlier.policy.problems();
        if !problems.is_empty() {
            return Err(Refused::fields(problems).into());
        }
        let rev = self.add_version(now, Millis(0), &caller.owner, &earlier.policy, Some(earlier.rev))?;
        let mut after = json!(earlier.policy);
        after["rolled_back_to"] = earlier.rev.into();
        let note = note(rev, caller, call, "policy.rollback", json!(before.policy), after);
        self.must_audit(now, rev, &stamped(&note, now)?)?;
        Ok(rev)
    }
}
