//! The Shard object as a state machine over SQL: the only writer of its companies' data. Synchronous and pure: time
//! and random bytes are arguments; delivering, publishing and alarms are the adapter's.
//!
//! Read top-down: [`Shard::handle`] (one API call), `turn` (what every call needs), `ceilings` (who may do what), then
//! one folder or file per kind of call (`keys`, `owners`, `audit`, `backup`, `webhooks`, …); `outbox` and `publish` are what is left
//! to do afterwards.

pub mod answer;
pub mod audit;
pub mod authenticate;
pub mod background;
pub mod backup;
mod bootstrap;
pub mod ceilings;
mod companies;
mod idempotency;
pub(crate) mod json;
mod keys;
mod leaks;
mod numbers;
pub mod outbox;
mod owners;
mod portions;
pub mod publish;
mod republish;
pub mod rows;
pub mod schema;
mod sessions;
mod sha256;
mod sign_in;
mod sign_in_memory;
mod turn;
mod usage;
pub mod validate;
pub mod webhooks;

use keyward_shared::{
    ids::CompanyId,
    messages::{ResolveAnswer, ResolveRequest, UsageReport},
    problem::Code,
    shard::Shard as ShardName,
    time::Millis,
};

pub use self::turn::Random;
use self::{
    answer::Handled,
    failure::Failure,
    outbox::Delivery,
    publish::Publication,
    turn::Turn,
    webhooks::deliveries::{self, Message, Outcome},
};
use crate::cursor;
use crate::{
    call::{
        Announced, ApiCall, AuditNote, Authenticate, BeginSession, Caller, Claimed, Claims, Credential, EndSessions, LeakReport,
        LeaksTaken, Redeem, Redeemed, SignOut,
    },
    route::{self, Endpoint, Found, Home, Missed},
    settings::ControlSettings,
    sql::{Sql, SqlError},
};
pub use crate::{failure, query};

/// One shard.
#[derive(Debug)]
pub struct Shard<S> {
    sql: S,
    settings: ControlSettings,
    name: ShardName,
    handful: u64,
}

impl<S: Sql> Shard<S> {
    /// The shard called `name`, whose data lies in `sql`.
    pub fn new(sql: S, settings: ControlSettings, name: ShardName) -> Result<Self, SqlError> {
        schema::migrate(&sql)?;
        Ok(Self { sql, settings, name, handful: background::HANDFUL })
    }

    /// The same shard, which handles only so many rows in one turn of what goes on in handfuls.
    #[must_use]
    pub fn with_handful(self, handful: u64) -> Self {
        Self { handful, ..self }
    }

    /// The database.
    pub fn sql(&self) -> &S {
        &self.sql
    }

    /// The settings.
    pub fn settings(&self) -> &ControlSettings {
        &self.settings
    }

    /// The shard's name.
    pub fn name(&self) -> ShardName {
        self.name
    }

    /// Makes the operator's company where it is missing. To be called before anything is asked.
    pub fn prepare(&self, now: Millis, random: Random<'_>) -> Result<(), Failure> {
        if bootstrap::wanted(&self.sql, &self.settings, self.name)? {
            self.sql.transaction(|| bootstrap::bootstrap(&self.sql, &self.settings, self.name, now, random))?;
        }
        Ok(())
    }

    /// Who a credential stands for. Another object will act on what is said here: so it is said by the object, and not by
    /// an instance that was displaced and knows nothing of the revocation that another has committed.
    pub fn authenticate(&self, now: Millis, request: &Authenticate) -> Result<Caller, Failure> {
        self.sql.transaction(|| {
            sign_in::take(&self.sql, &self.settings, now, &request.credential, request.address, &request.request_id)?;
            publish::note_reading(&self.sql, now)?;
            authenticate::authenticate(&self.sql, &self.settings, self.name, now, &request.credential, request.address)
        })
    }

    /// Answers one API call. A change is whole or not at all; a refused one is recorded.
    pub fn handle(&self, now: Millis, random: Random<'_>, call: &ApiCall) -> Handled {
        self.handle_claimed(now, random, call, None)
    }

    /// The digests that the Registry must be asked for before the call may be handled; `None`: none, or the call will be
    /// refused anyway. Nothing is changed by it.
    pub fn claims(&self, now: Millis, call: &ApiCall) -> Option<Claims> {
        let found = route::find(&call.method, &call.path).ok().filter(|found| found.endpoint == Endpoint::ImportKeys)?;
        let caller = authenticate::authenticate(&self.sql, &self.settings, self.name, now, &call.credential, call.address).ok()?;
        let mut no_random = |_: &mut [u8]| {};
        let turn = self.turn(now, &mut no_random, call, &caller, &found, None).ok()?;
        turn.permitted().ok()?;
        let digests = if turn.repeated().ok()?.is_some() { None } else { turn.wanted_digests().ok() };
        digests.map(|digests| Claims { shard: self.name, digests })
    }

    /// The same as [`Shard::handle`], with what the Registry said to [`Shard::claims`]; `None` where it did not answer.
    pub fn handle_claimed(&self, now: Millis, random: Random<'_>, call: &ApiCall, claimed: Option<&Claimed>) -> Handled {
        if let Err(Missed::Method { allow }) = route::find(&call.method, &call.path) {
            let refused = Failure::refused(Code::MethodNotAllowed, format!("allowed: {allow}"));
            let mut handled = Handled::problem(&refused.problem(), &call.request_id);
            handled.headers.push(("Allow".into(), allow));
            return handled;
        }
        let done = self.with_turn(now, random, call, claimed, |turn| {
            if !turn.found.endpoint.mutates() {
                turn.permitted()?;
                return turn.execute();
            }
            let done = self.sql.transaction(|| {
                turn.permitted()?;
                turn.execute_once()
            });
            if let Err(failure @ Failure::Refused(_)) = &done {
                self.sql.transaction(|| turn.record_refusal(failure))?;
            }
            done
        });
        done.unwrap_or_else(|failure| Self::failed(&failure, call))
    }

    /// The answer where there is no ordinary one.
    fn failed(failure: &Failure, call: &ApiCall) -> Handled {
        let log = (!matches!(failure, Failure::Refused(_))).then(|| failure.to_string());
        Handled { log, ..Handled::problem(&failure.problem(), &call.request_id) }
    }

    /// Authenticates the caller and finds the company, and so begins the call's turn.
    fn with_turn<T>(
        &self,
        now: Millis,
        random: Random<'_>,
        call: &ApiCall,
        claimed: Option<&Claimed>,
        work: impl FnOnce(&mut Turn<'_, S>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let found = match route::find(&call.method, &call.path) {
            Ok(found) if found.endpoint.home() == Home::Shard => found,
            Ok(_) | Err(_) => return Err(Failure::not_found("path")),
        };
        if matches!(&call.credential, Credential::Token(token) if token.permissions.is_some()) {
            self.sql.transaction(|| sign_in::take(&self.sql, &self.settings, now, &call.credential, call.address, &call.request_id))?;
        }
        let caller = match authenticate::authenticate(&self.sql, &self.settings, self.name, now, &call.credential, call.address) {
            Err(failure) => return Err(self.locked_out(now, call, &found, failure)?),
            Ok(caller) => caller,
        };
        if let Some(key) = &caller.key
            && !matches!(call.credential, Credential::Vouched(_))
        {
            usage::touch(&self.sql, &caller.company, &key.id, now)?;
        }
        work(&mut self.turn(now, random, call, &caller, &found, claimed)?)
    }

    /// A change that was tried with a real key from a network where it may not be used is in the trail: the key is with
    /// somebody else.
    fn locked_out(&self, now: Millis, call: &ApiCall, found: &route::Found, failure: Failure) -> Result<Failure, Failure> {
        let code = failure.problem().code;
        let (Credential::Key(digest), Code::Forbidden, Some(action)) = (&call.credential, code, found.endpoint.action()) else {
            return Ok(failure);
        };
        let Some(key) = rows::key_by_digest(&self.sql, digest)? else { return Ok(failure) };
        let note = AuditNote {
            id: String::new(),
            company: key.company,
            actor: key.owner.to_string(),
            key: Some(key.id),
            address: call.address,
            action: action.into(),
            target: found.argument.clone(),
            outcome: code.as_str().into(),
            before: serde_json::Value::Null,
            after: serde_json::Value::Null,
            request_id: call.request_id.clone(),
        };
        self.sql.transaction(|| audit::append(&self.sql, now, &note))?;
        Ok(failure)
    }

    /// The call in progress, in the company that it acts in.
    fn turn<'a>(
        &'a self,
        now: Millis,
        random: Random<'a>,
        call: &'a ApiCall,
        caller: &'a Caller,
        found: &'a Found,
        claimed: Option<&'a Claimed>,
    ) -> Result<Turn<'a, S>, Failure> {
        let company = match &call.company {
            _ if found.endpoint.names_company() => CompanyId::new(&found.argument).map_err(|_| Failure::not_found("company"))?,
            Some(company) => company.clone(),
            None => caller.company.clone(),
        };
        Ok(Turn { sql: &self.sql, settings: &self.settings, shard: self.name, now, call, caller, company, found, claimed, random })
    }

    /// Reads again how far the change has come that `handled` tells of, after the announcement.
    pub fn refresh(&self, handled: &mut Handled) -> Result<(), SqlError> {
        if let (Some((company, id)), Some(body)) = (&handled.key, handled.body.as_mut())
            && let Some(key) = rows::key(&self.sql, company, id)?
        {
            body["propagation"] = keys::view::propagation(&key, &self.settings.common.timing);
        }
        if let (Some(company), Some(body)) = (&handled.restored, handled.body.as_mut())
            && let Some(row) = rows::company(&self.sql, company)?
        {
            body["propagation"] = keys::view::stages(row.changed.at, row.changed.announced_at, &self.settings.common.timing);
        }
        if let (true, Some(body)) = (handled.republished, handled.body.as_mut()) {
            body["propagation"] = republish::propagation(&self.sql, &self.settings.common.timing)?;
        }
        Ok(())
    }

    /// Begins a session with a sign-in link; a refused one is recorded.
    pub fn redeem(&self, now: Millis, random: Random<'_>, request: &Redeem) -> Result<Redeemed, Failure> {
        let done = self.sql.transaction(|| sessions::redeem(&self.sql, &self.settings, now, random, request));
        if let Err(failure @ Failure::Refused(_)) = &done {
            self.sql.transaction(|| sessions::record_refusal(&self.sql, now, request, failure))?;
        }
        done
    }

    /// Begins a session of somebody who has signed in at the identity provider; a refused one is recorded.
    pub fn begin_session(&self, now: Millis, random: Random<'_>, request: &BeginSession) -> Result<Redeemed, Failure> {
        let done = self.sql.transaction(|| sessions::begin(&self.sql, &self.settings, now, random, request));
        if let Err(failure @ Failure::Refused(_)) = &done {
            self.sql.transaction(|| sessions::record_stranger(&self.sql, now, request, failure))?;
        }
        done
    }

    /// Ends all sessions of a person.
    pub fn end_sessions(&self, now: Millis, request: &EndSessions) -> Result<(), Failure> {
        self.sql.transaction(|| sessions::end_all(&self.sql, &self.settings, self.name, now, request))
    }

    /// Ends a session.
    pub fn sign_out(&self, now: Millis, request: &SignOut) -> Result<(), Failure> {
        self.sql.transaction(|| sessions::sign_out(&self.sql, now, request))
    }

    /// Writes down what another object did for a caller of one of this shard's companies. Of a company that is not
    /// here there is no trail.
    pub fn note(&self, now: Millis, note: &AuditNote) -> Result<(), Failure> {
        self.sql.transaction(|| match rows::company(&self.sql, &note.company)? {
            Some(_) => audit::append(&self.sql, now, note),
            None => Ok(()),
        })
    }

    /// Revokes the keys that were found where they do not belong, all or none. What is said of a key that is not here is
    /// said by the object itself, as in [`Shard::authenticate`].
    pub fn leaked(&self, now: Millis, report: &LeakReport) -> Result<LeaksTaken, Failure> {
        self.sql.transaction(|| {
            publish::note_reading(&self.sql, now)?;
            leaks::take(&self.sql, &self.settings, now, report)
        })
    }

    /// The truth about one digest.
    pub fn resolve(&self, now: Millis, request: &ResolveRequest) -> Result<ResolveAnswer, Failure> {
        self.sql.transaction(|| publish::resolve(&self.sql, &self.settings, self.name, now, request, false))
    }

    /// The truth about the digest of an imported key.
    pub fn resolve_imported(&self, now: Millis, request: &ResolveRequest) -> Result<ResolveAnswer, Failure> {
        self.sql.transaction(|| publish::resolve(&self.sql, &self.settings, self.name, now, request, true))
    }

    /// Takes a report of use.
    pub fn usage(&self, now: Millis, report: &UsageReport) -> Result<(), Failure> {
        self.sql.transaction(|| Ok(usage::report(&self.sql, now, &self.settings.common.timing, report)?))
    }

    /// What other objects are to be told now.
    pub fn deliveries(&self, now: Millis) -> Result<Vec<Delivery>, Failure> {
        outbox::due(&self.sql, now, self.name)
    }

    /// The Feed object took changes and stamped them.
    pub fn announced(&self, ids: &[u64], announced: Announced) -> Result<(), SqlError> {
        self.sql.transaction(|| outbox::announced(&self.sql, ids, announced))
    }

    /// Something else was delivered.
    pub fn delivered(&self, id: u64) -> Result<(), SqlError> {
        outbox::delivered(&self.sql, id)
    }

    /// Something could not be delivered.
    pub fn undelivered(&self, ids: &[u64], now: Millis) -> Result<(), SqlError> {
        self.sql.transaction(|| outbox::failed(&self.sql, ids, now))
    }

    /// What is to be put into the replicated store now, at most `limit`; takes what goes on in handfuls one of them further.
    pub fn due(&self, now: Millis, limit: u64) -> Result<Vec<Publication>, Failure> {
        self.sql.transaction(|| {
            background::advance(&self.sql, now, &self.settings.common.timing, self.handful)?;
            keys::reclaim::advance(&self.sql, now, &self.settings.common.operator_company)?;
            publish::due(&self.sql, &self.settings, self.name, now, limit)
        })
    }

    /// A publication went out, or failed.
    pub fn published(&self, now: Millis, publication: &Publication, success: bool) -> Result<(), SqlError> {
        self.sql.transaction(|| publish::published(&self.sql, &self.settings.common.timing, now, publication, success))
    }

    /// Takes notifications one handful further: what is due by the clock, and which webhooks are to hear of what happened.
    /// False: there is nothing to do.
    pub fn advance_webhooks(&self, now: Millis) -> Result<bool, Failure> {
        self.sql.transaction(|| webhooks::advance(&self.sql, now))
    }

    /// At most `limit` messages to webhooks that are due now; true: there was other work, and may be more. Whoever takes them
    /// says with [`Self::answered`] what came of each; where nobody does they are due again.
    pub fn messages(&self, now: Millis, random: Random<'_>, limit: u64) -> Result<(Vec<Message>, bool), Failure> {
        self.sql.transaction(|| deliveries::take(&self.sql, &self.settings, now, random, limit))
    }

    /// A message was answered, or not.
    pub fn answered(&self, now: Millis, random: Random<'_>, message: &Message, outcome: &Outcome) -> Result<(), Failure> {
        self.sql.transaction(|| deliveries::answered(&self.sql, now, random, message, outcome))
    }

    /// Removes what has outlived its time.
    pub fn prune(&self, now: Millis) -> Result<(), Failure> {
        self.sql.transaction(|| {
            backup::restore::advance(&self.sql, now)?;
            usage::prune(&self.sql, now)?;
            Ok(deliveries::prune(&self.sql, now)?)
        })
    }

    /// Whether something is going on in handfuls, so that [`Shard::due`] has more to do although it gave nothing.
    pub fn going_on(&self) -> Result<bool, SqlError> {
        Ok(background::pending(&self.sql)? || keys::reclaim::is_left(&self.sql)?)
    }

    /// When there is next something to do; `None`: nothing is left.
    pub fn next_alarm(&self, now: Millis) -> Result<Option<Millis>, SqlError> {
        if self.going_on()? {
            return Ok(Some(now));
        }
        let (told, put) = (outbox::next_due(&self.sql)?, publish::next_due(&self.sql)?);
        Ok([told, put, backup::restore::next_due(&self.sql, now)?, deliveries::next_due(&self.sql)?].into_iter().flatten().min())
    }
}

impl<S: Sql> Turn<'_, S> {
    /// Whether the caller may make this call, and make it in this company.
    fn permitted(&self) -> Result<(), Failure> {
        let names_company = self.found.endpoint.names_company();
        ceilings::require(self.found.endpoint, &self.found.argument, self.caller)?;
        if ShardName::of(&self.company) != self.shard {
            return Err(Failure::not_found("company"));
        }
        if self.company == self.caller.company {
            return Ok(());
        }
        let known = || Ok::<_, SqlError>(names_company || rows::company(self.sql, &self.company)?.is_some());
        if ceilings::is_operator(self.caller) && known()? { Ok(()) } else { Err(Failure::not_found("company")) }
    }

    /// Records a refused change: in the company that it was meant for, where the caller may act there at all, else in
    /// the caller's own.
    fn record_refusal(&self, failure: &Failure) -> Result<(), Failure> {
        let code = failure.problem().code;
        let mut note = self.note(&self.found.argument, code.as_str(), serde_json::Value::Null, serde_json::Value::Null);
        let within = self.company == self.caller.company || ceilings::is_operator(self.caller);
        if within && rows::company(self.sql, &self.company)?.is_some() {
            return audit::append(self.sql, self.now, &note);
        }
        note.outcome = format!("{code_text} in {company}", code_text = code.as_str(), company = self.company);
        self.record_at_home(note)
    }
}
