//! The Registry object's adapter: answers the edge, the shards' objects and the operator, delivers what a change of
//! the policy leaves to do, and wakes itself up.

use keyward_shared::{ids::CompanyId, messages, policy, problem::Code, shard::Shard};
use serde::{Deserialize, Serialize};
use worker::{DurableObject, Env, Error, Method, Request, Response, Result, State, console_error, durable_object};

use super::{
    object::{self, LONG_PAUSE, now},
    sql::ObjectSql,
};
use crate::{
    call::{ANNOUNCE, API, AUDIT, Announced, ApiCall, CLAIM, COMPANY, CompanyNotice, POLICY_RESTORED, PolicyRestored, READ_POLICY},
    registry::{Registry as Directory, Work},
    settings::ControlSettings,
    sql::SqlError,
};

/// The group of shards whose feed tells of the policy.
const POLICY_GROUP: &str = "0";

/// The one object of what all companies share.
#[durable_object(alarm)]
pub struct Registry {
    state: State,
    env: Env,
}

/// `POST /control/register`.
#[derive(Deserialize)]
struct Registration {
    company: CompanyId,
    shard: Shard,
    name: String,
}

/// `POST /control/unregister`.
#[derive(Deserialize)]
struct Removal {
    company: CompanyId,
}

impl DurableObject for Registry {
    fn new(state: State, env: Env) -> Self {
        Self { state, env }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        object::answered("registry", self.answer(request).await)
    }

    async fn alarm(&self) -> Result<Response> {
        if let Err(error) = self.wake().await {
            console_error!("registry: {error}");
            if let Err(error) = object::schedule(&self.state, Some(now().plus(LONG_PAUSE))).await {
                console_error!("registry: cannot set the alarm: {error}");
            }
        }
        Response::empty()
    }
}

impl Registry {
    async fn answer(&self, mut request: Request) -> Result<Response> {
        let settings = self.settings()?;
        let (path, _) = object::target(&request);
        let is_post = request.method() == Method::Post;
        let body = if is_post { request.text().await? } else { String::new() };
        let directory = self.open(&settings)?;
        let answer = match path.as_str() {
            messages::POLICY if request.method() == Method::Get => {
                directory.asked(now()).map_err(failed)?;
                Ok(Response::ok(directory.current(now()).map_err(failed)?.seal(&settings.common.record_secrets)?)?)
            }
            READ_POLICY if is_post => Response::from_json(&directory.current(now()).map_err(failed)?),
            CLAIM if is_post => asked(&body, |claims| directory.claim(&claims)),
            messages::IMPORTED if is_post => asked(&body, |request| directory.imported(now(), &request)),
            API if is_post => self.api(&directory, &body).await,
            COMPANY if is_post => noted(&body, |notice: CompanyNotice| directory.notice(now(), &notice)),
            POLICY_RESTORED if is_post => noted(&body, |restored: PolicyRestored| directory.republish(now(), &restored.by).map(|_| ())),
            "/control/register" if is_post => noted(&body, |r: Registration| directory.register(now(), r.company, r.shard, &r.name)),
            "/control/unregister" if is_post => noted(&body, |r: Removal| directory.remove(now(), r.company)),
            _ => object::refused(Code::NotFound, "there is no such path"),
        };
        // The next request arms it if this fails.
        if let Err(error) = object::arm(&self.state, || directory.due().map_err(failed)).await {
            console_error!("registry: cannot set the alarm: {error}");
        }
        answer
    }

    /// A change of the policy is announced before it is answered; where that fails the answer says so, and the alarm
    /// tries again.
    async fn api(&self, directory: &Directory<ObjectSql>, body: &str) -> Result<Response> {
        let Ok(call) = serde_json::from_str::<ApiCall>(body) else {
            return object::refused(Code::InvalidRequest, "the body is not a call");
        };
        let handled = directory.handle(now(), &call).map_err(failed)?;
        let Some(rev) = handled.changed else { return Response::from_json(&handled.answer) };
        if let Err(error) = self.announce(directory, rev).await {
            console_error!("registry: cannot announce: {error}");
            return Response::from_json(&handled.answer);
        }
        Response::from_json(&directory.policy_answer(Some(rev)).map_err(failed)?)
    }

    async fn wake(&self) -> Result<()> {
        let settings = self.settings()?;
        let directory = self.open(&settings)?;
        let work = directory.begin_work(now()).map_err(failed)?;
        // First of all the next try: whatever happens below, there is one.
        object::schedule(&self.state, directory.due().map_err(failed)?).await?;
        for work in work {
            if let Err(error) = self.deliver(&settings, &directory, work).await {
                console_error!("registry: will try again: {error}");
            }
        }
        object::schedule(&self.state, directory.due().map_err(failed)?).await
    }

    async fn deliver(&self, settings: &ControlSettings, directory: &Directory<ObjectSql>, work: Work) -> Result<()> {
        match work {
            Work::Announce { rev } => self.announce(directory, rev).await,
            Work::Publish { rev, round } => {
                let sealed = directory.current(now()).map_err(failed)?.seal(&settings.common.record_secrets)?;
                self.env.kv("KEYS")?.put(policy::NAME, sealed)?.execute().await?;
                directory.published(now(), rev, round).map_err(failed)
            }
            Work::Audit { id, body } => {
                let shard = Shard::of(&settings.common.operator_company);
                object::post(&self.env, "SHARDS", shard.as_str(), AUDIT, body).await?;
                directory.delivered(&id).map_err(failed)
            }
        }
    }

    async fn announce(&self, directory: &Directory<ObjectSql>, rev: u64) -> Result<()> {
        let announcement = object::to_json(&directory.announcement(rev).map_err(failed)?)?;
        let path = format!("{ANNOUNCE}?group={POLICY_GROUP}");
        let announced: Announced = object::post(&self.env, "FEED", POLICY_GROUP, &path, announcement).await?.json().await?;
        directory.announced(rev, announced).map_err(failed)
    }

    fn settings(&self) -> Result<ControlSettings> {
        ControlSettings::read(&object::variables(&self.env)).map_err(|e| Error::RustError(e.to_string()))
    }

    fn open(&self, settings: &ControlSettings) -> Result<Directory<ObjectSql>> {
        let sql = ObjectSql::new(&self.state).map_err(failed)?;
        let common = &settings.common;
        Directory::open(sql, common.timing, common.operator_company.clone(), settings.session_secrets.clone()).map_err(failed)
    }
}

/// Answers a question, or 400 where it is not readable.
fn asked<'b, Q: Deserialize<'b>, A: Serialize>(
    body: &'b str,
    answer: impl FnOnce(Q) -> core::result::Result<A, SqlError>,
) -> Result<Response> {
    match serde_json::from_str(body) {
        Ok(question) => Response::from_json(&answer(question).map_err(failed)?),
        Err(_) => object::refused(Code::InvalidRequest, "the body is not such a question"),
    }
}

/// Takes up a notice: 204, or 400 where it is not readable.
fn noted<'b, N: Deserialize<'b>>(body: &'b str, take: impl FnOnce(N) -> core::result::Result<(), SqlError>) -> Result<Response> {
    let Ok(notice) = serde_json::from_str(body) else {
        return object::refused(Code::InvalidRequest, "the body is not such a notice");
    };
    take(notice).map_err(failed)?;
    Ok(Response::empty()?.with_status(204))
}

#[allow(clippy::needless_pass_by_value)] // the form that map_err asks for
fn failed(error: SqlError) -> Error {
    Error::RustError(error.to_string())
}
