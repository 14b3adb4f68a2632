//! The Shard object's adapter: hands messages to the state machine, tells other objects what changed, puts records into
//! the store, and wakes itself up. A failed delivery never fails a request: the alarm tries again.

use core::time::Duration;
use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
};

use js_sys::Reflect;
use keyward_shared::{
    messages::{REGISTRY_NAME, RESOLVE, RESOLVE_IMPORTED, ResolveRequest, USAGE, UsageReport},
    mint,
    problem::{self, Code},
    shard::Shard as ShardName,
    time::Millis,
};
use serde::de::DeserializeOwned;
use worker::{Delay, DurableObject, Env, Error, Method, Request, Response, Result, State, console_error, console_log, durable_object};

use super::{
    object::{self, LONG_PAUSE, now},
    sql::ObjectSql,
    webhooks,
};
use crate::{
    call::{
        ANNOUNCE, API, AUDIT, AUTHENTICATE, Announced, ApiCall, BEGIN_SESSION, CLAIM, COMPANY, Claimed, Claims, END_SESSIONS, IMPORT,
        ImportAnswer, ImportPart, LEAKED, LeakReport, POLICY_RESTORED, PORTION, REDEEM, SIGN_OUT,
    },
    route,
    settings::ControlSettings,
    shard::{Shard as Core, answer::Handled, backup::restore::Taken, failure::Failure, outbox::Delivery, publish::Publication},
    sql::{Columns, Cost, Sql, SqlError},
    together::all,
};

/// How many records are put at once.
const BATCH: u64 = 6;
/// When the alarm takes a change further whose request did not: later than a request waits for the Feed object.
const RESCUE: Millis = Millis(6_000);
/// How long an alarm pauses between handfuls of what goes on in them.
const PAUSE: Duration = Duration::from_millis(5);
/// How long one alarm may go on publishing.
const ALARM_LIMIT: Millis = Millis(20_000);
/// How many messages to webhooks are on their way at once: fewer than the connections that the platform allows, because
/// the store needs some too.
const REQUESTS: usize = 4;
/// How much of the other work for webhooks is done without a break.
const MOST_TURNS: u32 = 20;
/// How often, while receivers take their time, the alarm looks for what else is due.
const PACE: Duration = Duration::from_millis(250);
/// For how long it then goes on with that before it looks at receivers again.
const PACE_LIMIT: Millis = Millis(2_000);

/// The object of one shard, named by the shard.
#[durable_object(alarm)]
pub struct Shard {
    state: State,
    env: Env,
    core: OnceCell<Rc<Core<ObjectSql>>>,
}

impl DurableObject for Shard {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, core: OnceCell::new() }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        object::answered("shard", self.answer(request).await)
    }

    async fn alarm(&self) -> Result<Response> {
        if let Err(error) = self.wake().await {
            console_error!("shard: {error}");
            if let Err(error) = object::schedule(&self.state, Some(now().plus(LONG_PAUSE))).await {
                console_error!("shard: cannot set the alarm: {error}");
            }
        }
        Response::empty()
    }
}

impl Shard {
    async fn answer(&self, mut request: Request) -> Result<Response> {
        let core = self.open()?;
        core.prepare(now(), &mut random).map_err(failed)?;
        let path = request.path();
        if request.method() != Method::Post {
            return object::refused(Code::NotFound, "there is no such path");
        }
        let body = request.text().await?;
        let answer = match path.as_str() {
            API => self.api(&core, &body).await,
            IMPORT => self.import(&core, &read(&body)?).await,
            PORTION => {
                let ask = read(&body)?;
                let (portion, failure) = core.portion(now(), &mut random, &ask);
                if let Some(failure) = failure {
                    console_error!("shard {}: request {}: {failure}", core.name(), ask.call.request_id);
                }
                Response::from_json(&portion)
            }
            AUTHENTICATE => {
                let request: crate::call::Authenticate = read(&body)?;
                let spent = Cell::default();
                let caller = spend(&core, &spent, || core.authenticate(now(), &request));
                log_cost(&core, "authenticate", &request.request_id, &spent);
                said(caller, &request.request_id)
            }
            REDEEM => {
                let request: crate::call::Redeem = read(&body)?;
                said(core.redeem(now(), &mut random, &request), &request.request_id)
            }
            BEGIN_SESSION => {
                let request: crate::call::BeginSession = read(&body)?;
                said(core.begin_session(now(), &mut random, &request), &request.request_id)
            }
            END_SESSIONS => {
                let request: crate::call::EndSessions = read(&body)?;
                match core.end_sessions(now(), &request) {
                    Ok(()) => nothing(),
                    refused => said(refused, &request.request_id),
                }
            }
            SIGN_OUT => core.sign_out(now(), &read(&body)?).map_err(failed).and_then(|()| nothing()),
            AUDIT => core.note(now(), &read(&body)?).map_err(failed).and_then(|()| nothing()),
            LEAKED => self.leaked(&core, &body).await,
            RESOLVE => {
                let request: ResolveRequest = read(&body)?;
                let spent = Cell::default();
                let answer = spend(&core, &spent, || core.resolve(now(), &request));
                log_cost(&core, "resolve", "", &spent);
                answer.map_err(failed).and_then(|answer| Response::from_json(&answer))
            }
            RESOLVE_IMPORTED => {
                let request: ResolveRequest = read(&body)?;
                core.resolve_imported(now(), &request).map_err(failed).and_then(|answer| Response::from_json(&answer))
            }
            USAGE => {
                let report: UsageReport = read(&body)?;
                core.usage(now(), &report).map_err(failed).and_then(|()| nothing())
            }
            _ => return object::refused(Code::NotFound, "there is no such path"),
        };
        // The next request arms it if this fails.
        if let Err(error) = object::arm(&self.state, || core.next_alarm(now()).map_err(sql_failed)).await {
            console_error!("shard: cannot set the alarm: {error}");
        }
        answer
    }

    /// A change is announced before it is answered; where that fails the answer says so, and the alarm tries again.
    async fn api(&self, core: &Core<ObjectSql>, body: &str) -> Result<Response> {
        let call: ApiCall = read(body)?;
        let spent = Cell::default();
        // What is claimed and then not imported stays the shard's, and is claimed again by the next try.
        let claimed = match spend(core, &spent, || core.claims(now(), &call)) {
            None => None,
            Some(claims) => match self.claim(&claims).await {
                Ok(claimed) => Some(claimed),
                Err(error) => {
                    console_error!("shard {}: cannot claim: {error}", core.name());
                    None
                }
            },
        };
        let mut handled = spend(core, &spent, || core.handle_claimed(now(), &mut random, &call, claimed.as_ref()));
        if let Some(failure) = &handled.log {
            console_error!("shard {}: request {}: {failure}", core.name(), call.request_id);
        }
        if handled.status < 300 && !matches!(call.method.as_str(), "GET" | "HEAD") {
            self.announce(core, &mut handled, &spent).await;
        }
        let endpoint = route::find(&call.method, &call.path).map_or_else(|_| String::new(), |found| found.endpoint.name());
        log_cost(core, &endpoint, &call.request_id, &spent);
        Response::from_json(&handled.finish())
    }

    /// Keys that were found are revoked, and that is announced, before it is said.
    async fn leaked(&self, core: &Core<ObjectSql>, body: &str) -> Result<Response> {
        let report: LeakReport = read(body)?;
        let spent = Cell::default();
        let taken = spend(core, &spent, || core.leaked(now(), &report)).map_err(failed)?;
        if taken.revoked > 0
            && let Err(error) = self.tell(core, &spent).await
        {
            console_error!("shard {}: {error}", core.name());
        }
        log_cost(core, "leaked", &report.request_id, &spent);
        Response::from_json(&taken)
    }

    /// Tells others of what was just committed. First the alarm is set, in the turn of the commit, so that a crash right
    /// after it leaves no change that nobody takes further.
    async fn tell(&self, core: &Core<ObjectSql>, spent: &Cell<Cost>) -> Result<()> {
        if let Err(error) = object::schedule(&self.state, Some(now().plus(RESCUE))).await {
            console_error!("shard: cannot set the alarm: {error}");
        }
        self.deliver_all(core, spent).await
    }

    async fn claim(&self, claims: &Claims) -> Result<Claimed> {
        object::post(&self.env, "REGISTRY", REGISTRY_NAME, CLAIM, object::to_json(claims)?).await?.json().await
    }

    /// A part of a backup; the last one makes a change, which is announced before it is answered.
    async fn import(&self, core: &Core<ObjectSql>, part: &ImportPart) -> Result<Response> {
        let spent = Cell::default();
        let (taken, failure) = spend(core, &spent, || core.import(now(), &mut random, part));
        if let Some(failure) = failure {
            console_error!("shard {}: request {}: {failure}", core.name(), part.call.request_id);
        }
        let answer = match taken {
            Taken::Further => ImportAnswer::Further,
            Taken::Again => ImportAnswer::Again,
            Taken::Not(handled) => ImportAnswer::Answer(handled.finish()),
            Taken::Done(mut handled) => {
                self.announce(core, &mut handled, &spent).await;
                ImportAnswer::Answer(handled.finish())
            }
        };
        log_cost(core, "import", &part.call.request_id, &spent);
        Response::from_json(&answer)
    }

    /// Tells of a change that was just committed, and reads again how far it has come. The change stands, whatever becomes of
    /// its announcement.
    async fn announce(&self, core: &Core<ObjectSql>, handled: &mut Handled, spent: &Cell<Cost>) {
        let told = self.tell(core, spent).await;
        if let Err(error) = told.and_then(|()| spend(core, spent, || core.refresh(handled)).map_err(sql_failed)) {
            console_error!("shard {}: {error}", core.name());
        }
    }

    async fn wake(&self) -> Result<()> {
        let core = self.open()?;
        let start = now();
        // First of all the next try: whatever happens below, there is one.
        object::schedule(&self.state, Some(start.plus(LONG_PAUSE))).await?;
        let (end, spent) = (start.plus(ALARM_LIMIT), Cell::default());
        self.deliver_all(&core, &spent).await?;
        self.publish_due(&core, end, &spent).await?;
        self.notify(&core, end, &spent).await?;
        spend(&core, &spent, || core.prune(now())).map_err(failed)?;
        log_cost(&core, "alarm", "", &spent);
        object::schedule(&self.state, core.next_alarm(now()).map_err(sql_failed)?).await
    }

    /// Publishes what is due.
    async fn publish_due(&self, core: &Core<ObjectSql>, end: Millis, spent: &Cell<Cost>) -> Result<()> {
        while now() < end {
            let publications = spend(core, spent, || core.due(now(), BATCH)).map_err(failed)?;
            if publications.is_empty() {
                if !core.going_on().map_err(sql_failed)? {
                    break;
                }
                Delay::from(PAUSE).await; // requests come in between
            }
            let puts = publications.iter().map(|publication| object::in_time(self.publish(publication)));
            for (publication, outcome) in publications.iter().zip(all(puts).await) {
                if let Err(error) = &outcome {
                    console_error!("shard {}: cannot publish: {error}", core.name());
                }
                spend(core, spent, || core.published(now(), publication, outcome.is_ok())).map_err(sql_failed)?;
            }
        }
        Ok(())
    }

    /// Sends what is due to webhooks. Receivers take their time: meanwhile everything else goes on, and is not stopped by
    /// what fails here.
    async fn notify(&self, core: &Core<ObjectSql>, end: Millis, spent: &Cell<Cost>) -> Result<()> {
        let mut sending = Vec::new();
        // Time stands still while nothing is waited for: so work without waiting is counted.
        let mut turns = 0;
        loop {
            let mut worked = false;
            if sending.len() < REQUESTS && turns < MOST_TURNS && now() < end {
                worked = spend(core, spent, || core.advance_webhooks(now())).map_err(failed)?;
                let free = (REQUESTS - sending.len()) as u64;
                let (messages, more) = spend(core, spent, || core.messages(now(), &mut random, free)).map_err(failed)?;
                worked |= more;
                sending.extend(messages.into_iter().map(|message| webhooks::send(&self.env, message)));
                turns += 1;
            }
            if sending.is_empty() {
                if worked {
                    continue;
                }
                return Ok(());
            }
            turns = 0;
            if let Some((message, outcome)) = webhooks::first(&mut sending, PACE).await {
                spend(core, spent, || core.answered(now(), &mut random, &message, &outcome)).map_err(failed)?;
            } else if let Err(error) = self.go_on(core, spent).await {
                console_error!("shard {}: {error}", core.name());
            }
        }
    }

    /// What must not wait for receivers of webhooks.
    async fn go_on(&self, core: &Core<ObjectSql>, spent: &Cell<Cost>) -> Result<()> {
        self.deliver_all(core, spent).await?;
        self.publish_due(core, now().plus(PACE_LIMIT), spent).await
    }

    async fn publish(&self, publication: &Publication) -> Result<()> {
        let store = self.env.kv("KEYS")?;
        match &publication.value {
            Some(value) => store.put(&publication.name, value)?.execute().await?,
            None => store.delete(&publication.name).await?,
        }
        Ok(())
    }

    /// Delivers what is due. Nothing waits for one receiver longer than once.
    async fn deliver_all(&self, core: &Core<ObjectSql>, spent: &Cell<Cost>) -> Result<()> {
        for delivery in spend(core, spent, || core.deliveries(now())).map_err(failed)? {
            let ids = delivery.ids();
            let announces = matches!(delivery, Delivery::Announce(..));
            if let Err(error) = self.deliver(core, delivery, spent).await {
                console_error!("shard {}: will try again: {error}", core.name());
                core.undelivered(&ids, now()).map_err(sql_failed)?;
                if !announces {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn deliver(&self, core: &Core<ObjectSql>, delivery: Delivery, spent: &Cell<Cost>) -> Result<()> {
        match delivery {
            Delivery::Announce(ids, announcement) => {
                let group = core.name().feed_group(core.settings().common.feed_groups).to_string();
                let path = format!("{ANNOUNCE}?group={group}");
                let body = object::to_json(&announcement)?;
                let announced: Announced = object::post(&self.env, "FEED", &group, &path, body).await?.json().await?;
                spend(core, spent, || core.announced(&ids, announced)).map_err(sql_failed)
            }
            Delivery::Register(id, notice) => {
                object::post(&self.env, "REGISTRY", REGISTRY_NAME, COMPANY, object::to_json(&notice)?).await?;
                spend(core, spent, || core.delivered(id)).map_err(sql_failed)
            }
            Delivery::RestorePolicy(id, message) => {
                object::post(&self.env, "REGISTRY", REGISTRY_NAME, POLICY_RESTORED, object::to_json(&message)?).await?;
                spend(core, spent, || core.delivered(id)).map_err(sql_failed)
            }
            Delivery::Claim(id, claims) => {
                let Claimed { taken } = self.claim(&claims).await?;
                if !taken.is_empty() {
                    console_error!("shard {}: {} imported digests are another shard's by now", core.name(), taken.len());
                }
                core.delivered(id).map_err(sql_failed)
            }
            Delivery::Note(id, note) => {
                let shard = ShardName::of(&note.company);
                object::post(&self.env, "SHARDS", shard.as_str(), AUDIT, object::to_json(&note)?).await?;
                spend(core, spent, || core.delivered(id)).map_err(sql_failed)
            }
        }
    }

    /// The state machine; opened once per instance. Nothing is in memory that the storage does not hold.
    fn open(&self) -> Result<Rc<Core<ObjectSql>>> {
        if let Some(core) = self.core.get() {
            return Ok(core.clone());
        }
        let variable = |name: &str| Reflect::get(&self.env, &name.into()).ok()?.as_string();
        let settings = ControlSettings::read(&variable).map_err(|e| Error::RustError(e.to_string()))?;
        let sql = ObjectSql::new(&self.state).map_err(sql_failed)?;
        let name = self.name(&sql)?;
        let core = Rc::new(Core::new(sql, settings, name).map_err(sql_failed)?);
        Ok(self.core.get_or_init(|| core).clone())
    }

    /// The shard's name: the object's own, or, where an alarm does not know it, what was written down before.
    fn name(&self, sql: &ObjectSql) -> Result<ShardName> {
        crate::shard::schema::migrate(sql).map_err(sql_failed)?;
        let known = if let Some(name) = self.state.id().name() {
            let statement = "INSERT INTO texts (name, value) VALUES ('shard', ?1) ON CONFLICT (name) DO NOTHING";
            sql.execute(statement, &[name.as_str().into()]).map_err(sql_failed)?;
            name
        } else {
            let row = sql.execute("SELECT value FROM texts WHERE name = 'shard'", &[]).map_err(sql_failed)?.pop();
            Columns::of(row.ok_or_else(|| Error::RustError("the object has no name".into()))?).text().map_err(sql_failed)?
        };
        known.parse().map_err(|e| Error::RustError(format!("the object's name: {e}")))
    }
}

#[allow(clippy::expect_used)] // without random numbers nothing may be made; the instance is started anew
fn random(buffer: &mut [u8]) {
    mint::fill(buffer).expect("the platform gives random numbers");
}

/// Does `work`, which does not wait, and adds to `spent` what it took.
fn spend<T>(core: &Core<ObjectSql>, spent: &Cell<Cost>, work: impl FnOnce() -> T) -> T {
    let before = core.sql().cost();
    let done = work();
    spent.set(spent.get() + (core.sql().cost() - before));
    done
}

/// One line of JSON about what a request, or an alarm, took of the database, where that is wanted.
fn log_cost(core: &Core<ObjectSql>, endpoint: &str, request_id: &str, spent: &Cell<Cost>) {
    if core.settings().log_cost {
        let Cost { statements, rows_read, rows_written } = spent.get();
        let line = serde_json::json!({
            "log": "cost",
            "shard": core.name(),
            "endpoint": endpoint,
            "request_id": request_id,
            "rows_read": rows_read,
            "rows_written": rows_written,
            "statements": statements,
        });
        console_log!("{line}");
    }
}

fn read<T: DeserializeOwned>(body: &str) -> Result<T> {
    serde_json::from_str(body).map_err(Error::from)
}

fn nothing() -> Result<Response> {
    Ok(Response::empty()?.with_status(204))
}

/// 200 with what was found, or the problem.
fn said(result: core::result::Result<impl serde::Serialize, Failure>, request_id: &str) -> Result<Response> {
    match result {
        Ok(value) => Response::from_json(&value),
        Err(Failure::Refused(refused)) => {
            let builder = Response::builder().with_status(refused.0.code.status()).with_header("content-type", problem::MEDIA_TYPE)?;
            Ok(builder.fixed(refused.0.to_json(request_id).into_bytes()))
        }
        Err(failure) => Err(failed(failure)),
    }
}

#[allow(clippy::needless_pass_by_value)] // the form that map_err asks for
fn failed(failure: Failure) -> Error {
    Error::RustError(failure.to_string())
}

#[allow(clippy::needless_pass_by_value)] // the form that map_err asks for
fn sql_failed(error: SqlError) -> Error {
    Error::RustError(error.to_string())
}
