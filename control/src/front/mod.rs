//! The Worker's front: from an HTTP request to the object that answers it, and from what the object says to an HTTP
//! answer. It checks what needs no data (path, size, content type, shape of the credential, cross-site requests),
//! holds none, and asks the objects and other sites through one small trait; so all of it runs in native tests.
//! `worker/front.rs` reads and writes the runtime's requests and answers.

mod addressed;
mod answer;
mod api;
mod buckets;
mod credential;
mod documents;
mod github;
mod import;
mod leaks;
#[cfg(test)]
mod long_tests;
mod openapi;
mod pages;
mod portions;
mod refusals;
mod request;
mod sign_in;
#[cfg(test)]
mod tests;
mod tokens;
#[cfg(test)]
mod tokens_tests;

use core::future::Future;

use keyward_shared::{problem::Code, shard::Shard, time::Millis};

pub use self::{
    answer::Answer,
    buckets::Buckets,
    documents::{Documents, max_age_s},
    import::{SenderGone, Source},
    portions::{BrokenOff, More, next},
    request::{Headers, MAX_BODY, Request, Target, address_from_proxy, address_of_peer},
};
use crate::{
    page,
    route::{self, Endpoint, Found},
    settings::ControlSettings,
};

/// An object that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// The owner of a shard's companies.
    Shard(Shard),
    /// The one Registry.
    Registry,
}

/// What an object said. An object that cannot be reached or fails says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: String,
}

/// What another site answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its status; redirects are not followed.
    pub status: u16,
    /// Its body: UTF-8, at most [`MAX_FETCHED`].
    pub body: String,
    /// `max-age` of its `Cache-Control`, in seconds.
    pub max_age_s: Option<u64>,
}

/// The largest document that is taken from another site: 256 KiB.
pub const MAX_FETCHED: usize = 256 << 10;

/// The way to the objects and to other sites.
pub trait Outside {
    /// Posts `body` (JSON) to `path` of `object`; `None` where it cannot be reached or fails.
    fn post(&self, object: Object, path: &'static str, body: String) -> impl Future<Output = Option<Said>>;

    /// Gets a document of another site; `None` where it cannot be reached in time or sends something else than a small text.
    fn get(&self, url: &str) -> impl Future<Output = Option<Fetched>>;

    /// Posts a form to another site; `None` as with [`Outside::get`]. `authorization`: the header of that name.
    fn send_form(&self, url: &str, authorization: Option<&str>, body: String) -> impl Future<Output = Option<Fetched>>;

    /// Random bytes that nobody can guess; `None` where there are none.
    fn random(&self) -> Option<[u8; 32]>;

    /// Writes a line into the log. It never holds anything of a request but its id.
    fn log(&self, line: &serde_json::Value);
}

/// Everything that an answer is made from, besides the request.
#[derive(Debug)]
pub struct Context<'a, O> {
    /// The deployment's settings.
    pub settings: &'a ControlSettings,
    /// The way to the objects and to other sites.
    pub outside: &'a O,
    /// Documents of other sites that were fetched before.
    pub documents: &'a Documents,
    /// Who has reported leaked keys lately.
    pub reporters: &'a Buckets,
    /// The present.
    pub now: Millis,
}

/// Where a request leads.
enum Place {
    Api(Found),
    Start,
    Asset,
    Page,
    SignIn,
    Callback,
    SignOut,
    SignOutEverywhere,
    Health,
}

/// Finds the place; an answer where there is none.
fn place(request: &Request) -> Result<Place, Answer> {
    let path = request.target.path.as_str();
    if path == "/v1" || path.starts_with("/v1/") {
        return route::find(&request.method, path).map(Place::Api).map_err(|missed| match missed {
            route::Missed::Path => request.refuse(Code::NotFound, "there is no such path"),
            route::Missed::Method { allow } => request.wrong_method(&allow),
        });
    }
    let (found, methods): (_, &[&str]) = match path {
        "/" | "/admin" => (Place::Start, &["GET", "HEAD"]),
        "/health" => (Place::Health, &["GET", "HEAD"]),
        page::SIGN_IN_PATH => (Place::SignIn, &["GET", "HEAD"]),
        page::CALLBACK_PATH => (Place::Callback, &["GET", "HEAD"]),
        page::SIGN_OUT_PATH => (Place::SignOut, &["POST"]),
        page::SIGN_OUT_EVERYWHERE_PATH => (Place::SignOutEverywhere, &["POST"]),
        _ if path.starts_with(pages::ADMIN) => return Ok(Place::Page),
        _ if path.starts_with("/assets/") => (Place::Asset, &["GET", "HEAD"]),
        _ => return Err(request.refuse(Code::NotFound, "there is no such path")),
    };
    if methods.contains(&request.method.as_str()) { Ok(found) } else { Err(request.wrong_method(&methods.join(", "))) }
}

/// Whether the body of a request must be read: only where a call of the API or a page takes one.
pub fn wants_body(method: &str, path: &str) -> bool {
    let takes_one = path.starts_with(pages::ADMIN) || route::find(method, path).is_ok();
    !matches!(method, "GET" | "HEAD") && takes_one && !wants_stream(method, path)
}

/// Whether a request is answered by [`answer_stream`], while its body comes in.
pub fn wants_stream(method: &str, path: &str) -> bool {
    route::find(method, path).is_ok_and(|found| found.endpoint == Endpoint::ImportCompany)
}

/// Answers a request whose body may be of any size.
pub async fn answer_stream<O: Outside>(request: &Request, source: &mut impl Source, context: &Context<'_, O>) -> Answer {
    let answer = match route::find(&request.method, &request.target.path) {
        Ok(found) if found.endpoint == Endpoint::ImportCompany => import::answer(request, &found, source, context).await,
        _ => request.refuse(Code::NotFound, "there is no such path"),
    };
    answer.finished(request)
}

/// Answers a request.
pub async fn answer<O: Outside>(request: &Request, context: &Context<'_, O>) -> Answer {
    let answer = match place(request) {
        Err(answer) => answer,
        Ok(Place::Api(found)) => api::answer(request, &found, context).await,
        Ok(Place::Start) => Answer::redirect(page::START_PATH),
        Ok(Place::Health) => Answer::json(200, r#"{"status":"ok"}"#.into()),
        Ok(Place::Asset) => {
            page::asset(&request.target.path).map_or_else(|| request.refuse(Code::NotFound, "there is no such file"), Answer::asset)
        }
        Ok(Place::Page) => pages::answer(request, context).await,
        Ok(Place::SignIn) => sign_in::sign_in(request, context).await,
        Ok(Place::Callback) => sign_in::callback(request, context).await,
        Ok(Place::SignOut) => sign_in::sign_out(request, context).await,
        Ok(Place::SignOutEverywhere) => sign_in::sign_out_everywhere(request, context).await,
    };
    answer.finished(request)
}

/// The answer where an object, or the platform, does not do its part.
pub fn unavailable(request: &Request) -> Answer {
    request.refuse(Code::Unavailable, "a part that is needed does not answer; try again").with("Retry-After", "1").finished(request)
}
