//! The Registry object's state machine: which companies exist and in which shard, which shard holds an imported digest,
//! and the route policy with its earlier versions, to which it can be put back. A refusal leaves nothing here: `front`
//! has it written in the caller's trail. Pure: SQL behind a trait, time as an argument. Delivering what is left to do and waking up
//! are `worker/registry_object.rs`'s business.

mod claims;
mod companies;
mod policy;
mod schema;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
mod versions;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod versions_tests;
mod work;

pub use companies::Page;
pub(crate) use policy::read as read_policy;
pub use work::Work;

use keyward_shared::{
    ids::CompanyId,
    problem::{Code, Problem},
    secret::SecretList,
    time::Millis,
    timing::Timing,
};

use crate::{
    call::{ApiAnswer, ApiCall, Caller, Credential, Refused},
    failure::Failure,
    idempotency::Place,
    query::Query,
    route::{self, Endpoint, Home, Missed},
    shard::ceilings,
    sql::{Row, Sql, SqlError, Value},
};

/// What all companies share.
#[derive(Debug)]
pub struct Registry<S> {
    sql: S,
    timing: Timing,
    operator: CompanyId,
    cursors: SecretList,
}

/// A call that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// The answer.
    pub answer: ApiAnswer,
    /// The revision of the policy that the call made. It must be announced before the answer is given, which
    /// is then [`Registry::policy_answer`].
    pub changed: Option<u64>,
}

impl<S: Sql> Registry<S> {
    /// The registry, with its tables. `operator`: the company whose operators may call it; `cursors`: the secrets that sign
    /// the cursors of its lists.
    pub fn open(sql: S, timing: Timing, operator: CompanyId, cursors: SecretList) -> Result<Self, SqlError> {
        schema::migrate(&sql)?;
        Ok(Self { sql, timing, operator, cursors })
    }

    /// Answers a call to the API. An error is the storage's; nothing was written then.
    pub fn handle(&self, now: Millis, call: &ApiCall) -> Result<Handled, SqlError> {
        match self.route(now, call) {
            Ok(handled) => Ok(handled),
            Err(Failure::Refused(Refused(problem))) => Ok(Handled { answer: refusal(&problem, call), changed: None }),
            Err(Failure::Sql(error)) => Err(error),
            Err(Failure::Json(error)) => Err(SqlError(format!("JSON failed: {error}"))),
        }
    }

    fn route(&self, now: Millis, call: &ApiCall) -> Result<Handled, Failure> {
        let caller = self.operator(&call.credential)?;
        let endpoint = match route::find(&call.method, &call.path) {
            Ok(found) if found.endpoint.home() == Home::Registry => found.endpoint,
            Err(Missed::Method { allow }) => return Err(Failure::refused(Code::MethodNotAllowed, format!("allowed: {allow}"))),
            Ok(_) | Err(Missed::Path) => return Err(Failure::not_found("path")),
        };
        ceilings::require(endpoint, "", caller)?;
        let answer = match endpoint {
            Endpoint::ListCompanies => self.companies_answer(&call.query)?,
            Endpoint::GetPolicy => self.asked_version(&call.query)?,
            Endpoint::ListPolicyVersions => self.list_versions(&call.query)?,
            Endpoint::PutPolicy => return self.once(now, caller, call, || self.put_policy(now, caller, call)),
            Endpoint::RollBackPolicy => return self.once(now, caller, call, || self.roll_back(now, caller, call)),
            _ => return Err(Failure::not_found("path")),
        };
        Ok(Handled { answer, changed: None })
    }

    /// Makes a change, or answers what it answered before: the version that it made, as far as that has come now.
    fn once(
        &self,
        now: Millis,
        caller: &Caller,
        call: &ApiCall,
        change: impl FnOnce() -> Result<u64, Failure>,
    ) -> Result<Handled, Failure> {
        let (rev, again) = self.sql.transaction(|| {
            Query::read(&call.query, &[])?;
            let place = Place::of(call, caller, caller.owner.as_str(), &self.operator)?;
            let Some(place) = place else { return Ok((change()?, false)) };
            if let Some(kept) = place.kept(&self.sql, now)? {
                return Ok((serde_json::from_str(&kept)?, true));
            }
            let rev = change()?;
            place.keep(&self.sql, now, serde_json::to_string(&rev)?)?;
            self.prune_answers(now)?;
            Ok::<_, Failure>((rev, false))
        })?;
        // What was announced already is not announced again.
        let changed = !again || self.version(Some(rev))?.is_some_and(|version| version.announced_at.is_none());
        Ok(Handled { answer: self.policy_answer(Some(rev))?, changed: changed.then_some(rev) })
    }

    /// Removes kept answers that have outlived their time, a handful at a time.
    fn prune_answers(&self, now: Millis) -> Result<(), SqlError> {
        let key = "company, actor, method, path, key";
        let statement =
            format!("DELETE FROM idempotency WHERE ({key}) IN (SELECT {key} FROM idempotency WHERE expires_at <= ?1 LIMIT 500)");
        self.sql.execute(&statement, &[now.into()]).map(|_| ())
    }

    /// The caller, whom another object has authenticated; only an operator gets further.
    fn operator<'c>(&self, credential: &'c Credential) -> Result<&'c Caller, Refused> {
        match credential {
            Credential::Vouched(caller) if caller.company == self.operator && ceilings::is_operator(caller) => Ok(caller),
            _ => Err(Refused::new(Code::Forbidden, "this needs the permission keyward.operator")),
        }
    }

    fn first(&self, statement: &str, parameters: &[Value]) -> Result<Option<Row>, SqlError> {
        Ok(self.sql.execute(statement, parameters)?.into_iter().next())
    }
}

fn refusal(problem: &Problem, call: &ApiCall) -> ApiAnswer {
    let allowed = match route::find(&call.method, &call.path) {
        Err(Missed::Method { allow }) if problem.code == Code::MethodNotAllowed => Some(("Allow".into(), allow)),
        _ => None,
    };
    ApiAnswer { status: problem.code.status(), headers: allowed.into_iter().collect(), body: problem.to_json(&call.request_id) }
}
