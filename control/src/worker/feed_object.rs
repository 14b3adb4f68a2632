//! The Feed object's adapter: answers the edge and the other objects, puts the feed into the store, and wakes
//! itself up. What is due when is the state machine's business.

use keyward_shared::{feed, messages, problem::Code, settings::CommonSettings, time::Millis};
use worker::{DurableObject, Env, Error, Method, Request, Response, Result, State, console_error, durable_object};

use super::{
    object::{self, LONG_PAUSE, now},
    sql::ObjectSql,
};
use crate::{
    call::{ANNOUNCE, Announcement},
    feed::{Feed as Changes, FeedError},
    sql::SqlError,
};

/// The object of one group of shards, named by the group's number.
#[durable_object(alarm)]
pub struct Feed {
    state: State,
    env: Env,
}

impl DurableObject for Feed {
    fn new(state: State, env: Env) -> Self {
        Self { state, env }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        object::answered("feed", self.answer(request).await)
    }

    async fn alarm(&self) -> Result<Response> {
        if let Err(error) = self.wake().await {
            console_error!("feed: {error}");
            if let Err(error) = object::schedule(&self.state, Some(now().plus(LONG_PAUSE))).await {
                console_error!("feed: cannot set the alarm: {error}");
            }
        }
        Response::empty()
    }
}

impl Feed {
    async fn answer(&self, mut request: Request) -> Result<Response> {
        let settings = object::settings(&self.env)?;
        let (path, query) = object::target(&request);
        let Some(group) = group_in(&query) else { return object::refused(Code::InvalidRequest, "group must be a number") };
        let response = match (request.method(), path.as_str()) {
            (Method::Get, messages::FEED) => {
                let changes = self.open(&settings, group)?;
                changes.asked(now()).map_err(failed)?;
                Response::ok(changes.issue(now()).map_err(failed)?.seal(&settings.record_secrets)?)
            }
            (Method::Post, ANNOUNCE) => {
                let Ok(announcement) = serde_json::from_str::<Announcement>(&request.text().await?) else {
                    return object::refused(Code::InvalidRequest, "the body is not an announcement");
                };
                Response::from_json(&self.open(&settings, group)?.announce(now(), &announcement).map_err(failed)?)
            }
            _ => return object::refused(Code::NotFound, "there is no such path"),
        };
        // The next request arms it if this fails.
        if let Err(error) = object::arm(&self.state, || self.open(&settings, group)?.due(now()).map_err(failed)).await {
            console_error!("feed: cannot set the alarm: {error}");
        }
        response
    }

    async fn wake(&self) -> Result<()> {
        let settings = object::settings(&self.env)?;
        let Some(group) = Changes::stored_group(&self.sql()?).map_err(|e| failed(e.into()))? else { return Ok(()) };
        let changes = self.open(&settings, group)?;
        let document = changes.begin_publication(now()).map_err(failed)?;
        // First of all the next try: whatever happens below, there is one.
        self.schedule(&changes).await?;
        let Some(document) = document else { return Ok(()) };
        let sealed = document.seal(&settings.record_secrets)?;
        if let Err(error) = self.env.kv("KEYS")?.put(&feed::name(group), sealed)?.execute().await {
            console_error!("feed: cannot publish: {error}");
            return Ok(());
        }
        changes.published(document.issued_at).map_err(failed)?;
        self.schedule(&changes).await
    }

    async fn schedule(&self, changes: &Changes<ObjectSql>) -> Result<()> {
        let due: Option<Millis> = changes.due(now()).map_err(failed)?;
        object::schedule(&self.state, due).await
    }

    fn open(&self, settings: &CommonSettings, group: u16) -> Result<Changes<ObjectSql>> {
        Changes::open(self.sql()?, settings.timing, group, now()).map_err(failed)
    }

    fn sql(&self) -> Result<ObjectSql> {
        ObjectSql::new(&self.state).map_err(|error: SqlError| failed(error.into()))
    }
}

#[allow(clippy::needless_pass_by_value)] // the form that map_err asks for
fn failed(error: FeedError) -> Error {
    Error::RustError(error.to_string())
}

fn group_in(query: &str) -> Option<u16> {
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "group")?.1.parse().ok()
}
