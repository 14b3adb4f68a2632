//! The Registry object's state machine: which companies exist and in which shard, and the route policy with its
//! earlier versions. Pure: SQL behind a trait, time as an argument. Delivering what is left to do and waking up
//! are `worker/registry_object.rs`'s business.

mod companies;
mod policy;
mod schema;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
mod work;

pub use companies::Page;
pub use work::Work;

use keyward_shared::{
    ids::CompanyId,
    problem::{Code, Problem},
    time::Millis,
    timing::Timing,
};

use crate::{
    call::{ApiAnswer, ApiCall, Caller, Credential, Refused},
    sql::{Row, Sql, SqlError, Value},
};

/// What all companies share.
#[derive(Debug)]
pub struct Registry<S> {
    sql: S,
    timing: Timing,
    operator: CompanyId,
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

/// Why a call was not carried out.
#[derive(Debug)]
enum Failure {
    Refused(Refused),
    Sql(SqlError),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl<S: Sql> Registry<S> {
    /// The registry, with its tables. `operator`: the company whose operators may call it.
    pub fn open(sql: S, timing: Timing, operator: CompanyId) -> Result<Self, SqlError> {
        schema::migrate(&sql)?;
        Ok(Self { sql, timing, operator })
    }

    /// Answers a call to the API. An error is the storage's; nothing was written then.
    pub fn handle(&self, now: Millis, call: &ApiCall) -> Result<Handled, SqlError> {
        match self.route(now, call) {
            Ok(handled) => Ok(handled),
            Err(Failure::Refused(Refused(problem))) => Ok(Handled { answer: refusal(&problem, call), changed: None }),
            Err(Failure::Sql(error)) => Err(error),
        }
    }

    fn route(&self, now: Millis, call: &ApiCall) -> Result<Handled, Failure> {
        let caller = self.operator(&call.credential)?;
        match (call.path.as_str(), call.method.as_str()) {
            ("/v1/companies", "GET" | "HEAD") => Ok(Handled { answer: self.companies_answer(&call.query)?, changed: None }),
            ("/v1/policy", "GET" | "HEAD") => Ok(Handled { answer: self.policy_answer(None)?, changed: None }),
            ("/v1/policy", "PUT") => {
                let rev = self.put_policy(now, caller, call)?;
                Ok(Handled { answer: self.policy_answer(Some(rev))?, changed: Some(rev) })
            }
            ("/v1/companies" | "/v1/policy", method) => {
                Err(Refused::new(Code::MethodNotAllowed, format!("{method} is not allowed here")).into())
            }
            _ => Err(Refused::new(Code::NotFound, "there is no such path").into()),
        }
    }

    /// The caller, whom another object has authenticated; only an operator gets further.
    fn operator<'c>(&self, credential: &'c Credential) -> Result<&'c Caller, Refused> {
        match credential {
            Credential::Vouched(caller) if caller.company == self.operator && caller.permissions.allows_str("keyward.operator") => {
                Ok(caller)
            }
            _ => Err(Refused::new(Code::Forbidden, "this needs the permission keyward.operator")),
        }
    }

    fn first(&self, statement: &str, parameters: &[Value]) -> Result<Option<Row>, SqlError> {
        Ok(self.sql.execute(statement, parameters)?.into_iter().next())
    }
}

fn refusal(problem: &Problem, call: &ApiCall) -> ApiAnswer {
    let mut headers = Vec::new();
    if problem.code == Code::MethodNotAllowed {
        let allow = if call.path == "/v1/policy" { "GET, HEAD, PUT" } else { "GET, HEAD" };
        headers.push(("Allow".into(), allow.into()));
    }
    ApiAnswer { status: problem.code.status(), headers, body: problem.to_json(&call.request_id) }
}
