//! The Feed object's adapter: answers the edge and the other objects, tells waiting edges of changes, puts the feed into
//! the store, and wakes itself up. What is due when is the state machine's business.

use std::{cell::OnceCell, rc::Rc};

use keyward_shared::{feed, messages, problem::Code, secret::SecretList, time::Millis};
use worker::{DurableObject, Env, Error, Method, Request, Response, Result, State, console_error, durable_object};

use super::{
    hanging::{Ended, Hanging},
    object::{self, LONG_PAUSE, now},
    sql::ObjectSql,
};
use crate::{
    call::{ANNOUNCE, Announcement},
    feed::{
        Feed as Changes, FeedError,
        waiters::{Line, Waiters},
    },
    settings,
    sql::SqlError,
};

/// The object of one group of shards, named by the group's number.
#[durable_object(alarm)]
pub struct Feed {
    state: State,
    env: Env,
    core: OnceCell<Rc<Core>>,
}

/// What the object works with. Nothing is in memory that the storage does not hold, but the requests that hang.
struct Core {
    group: u16,
    changes: Changes<ObjectSql>,
    record_secrets: SecretList,
    hanging: Hanging,
}

impl DurableObject for Feed {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, core: OnceCell::new() }
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
        let (path, query) = object::target(&request);
        let Some(group) = number_in(&query, "group") else { return object::refused(Code::InvalidRequest, "group must be a number") };
        let core = self.open(group)?;
        match (request.method(), path.as_str()) {
            (Method::Get, messages::FEED) => {
                core.changes.asked(now()).map_err(failed)?;
                let sealed = core.sealed()?;
                self.arm(&core).await;
                Response::ok(sealed)
            }
            (Method::Get, messages::PUSH) => {
                let Some(known) = number_in(&query, "known") else { return object::refused(Code::InvalidRequest, "known must be a time") };
                if core.changes.awaited(now()).map_err(failed)? {
                    self.arm(&core).await;
                }
                core.push(Millis(known)).await
            }
            (Method::Post, ANNOUNCE) => {
                let Ok(announcement) = serde_json::from_str::<Announcement>(&request.text().await?) else {
                    return object::refused(Code::InvalidRequest, "the body is not an announcement");
                };
                let announced = core.changes.announce(now(), &announcement).map_err(failed)?;
                self.arm(&core).await;
                core.hanging.order_round(Line::Current);
                Response::from_json(&announced)
            }
            _ => object::refused(Code::NotFound, "there is no such path"),
        }
    }

    /// Sets the alarm where it is missing; the next request does it if this fails.
    async fn arm(&self, core: &Core) {
        if let Err(error) = object::arm(&self.state, || core.changes.due(now()).map_err(failed)).await {
            console_error!("feed: cannot set the alarm: {error}");
        }
    }

    async fn wake(&self) -> Result<()> {
        let Some(group) = Changes::stored_group(&self.sql()?).map_err(|e| failed(e.into()))? else { return Ok(()) };
        let core = self.open(group)?;
        let document = core.changes.begin_publication(now()).map_err(failed)?;
        // First of all the next try: whatever happens below, there is one.
        self.schedule(&core).await?;
        let Some(document) = document else { return Ok(()) };
        let sealed = document.seal(&core.record_secrets)?;
        if let Err(error) = self.env.kv("KEYS")?.put(&feed::name(group), sealed)?.execute().await {
            console_error!("feed: cannot publish: {error}");
            return Ok(());
        }
        core.changes.published(document.issued_at).map_err(failed)?;
        self.schedule(&core).await
    }

    async fn schedule(&self, core: &Core) -> Result<()> {
        let due: Option<Millis> = core.changes.due(now()).map_err(failed)?;
        object::schedule(&self.state, due).await
    }

    /// The state machine of `group`, whose object this must be; opened once per instance.
    fn open(&self, group: u16) -> Result<Rc<Core>> {
        if let Some(core) = self.core.get() {
            return if core.group == group { Ok(core.clone()) } else { Err(failed(FeedError::Group(core.group.into()))) };
        }
        let settings = object::settings(&self.env)?;
        let limit = settings::push_waiters(&object::variables(&self.env)).map_err(|e| Error::RustError(e.to_string()))?;
        let core = Rc::new(Core {
            group,
            changes: Changes::open(self.sql()?, settings.timing, group, now()).map_err(failed)?,
            record_secrets: settings.record_secrets,
            hanging: Hanging::new(Waiters::new(limit)),
        });
        Ok(self.core.get_or_init(|| core).clone())
    }

    fn sql(&self) -> Result<ObjectSql> {
        ObjectSql::new(&self.state).map_err(|error: SqlError| failed(error.into()))
    }
}

impl Core {
    /// The feed as of now, as it is stored.
    fn sealed(&self) -> Result<String> {
        Ok(self.changes.issue(now()).map_err(failed)?.seal(&self.record_secrets)?)
    }

    /// Answers an edge whose feed was issued at `known` when something has changed since.
    async fn push(&self, known: Millis) -> Result<Response> {
        // In one turn, so that no change comes between looking and waiting.
        let line = if self.changes.is_news_to(known).map_err(failed)? { Line::Behind } else { Line::Current };
        let Some(place) = self.hanging.enter(line) else { return object::refused(Code::RateLimited, "too many edges wait already") };
        if line == Line::Behind {
            self.hanging.order_round(line);
        }
        match place.wait(|| self.sealed()).await {
            Ended::Told(sealed) => Response::ok(&*sealed),
            Ended::Failed => object::refused(Code::Unavailable, "the feed cannot be issued right now"),
            Ended::InSilence => Ok(Response::empty()?.with_status(204)),
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // the form that map_err asks for
fn failed(error: FeedError) -> Error {
    Error::RustError(error.to_string())
}

fn number_in<T: core::str::FromStr>(query: &str, name: &str) -> Option<T> {
    form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name)?.1.parse().ok()
}
