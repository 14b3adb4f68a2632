//! What the objects' adapters share: time, settings, alarms, and messages to other objects.

use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use js_sys::{Date, Reflect};
use keyward_shared::{
    problem::{self, Code, Problem},
    settings::{CommonSettings, Variables},
    time::Millis,
};
use serde::Serialize;
use wasm_bindgen::JsValue;
use worker::{Delay, Env, Error, Method, Request, RequestInit, Response, Result, ScheduledTime, State, console_error};

/// How long another object may take to answer while somebody waits.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// When an object that cannot work at all tries again.
pub(super) const LONG_PAUSE: Millis = Millis(60_000);

/// The time by the platform's clock.
pub(super) fn now() -> Millis {
    Millis::from_js(Date::now())
}

/// The settings; a bad one is logged by its name and becomes 503.
pub(super) fn settings(env: &Env) -> Result<CommonSettings> {
    CommonSettings::read(&variables(env)).map_err(|e| Error::RustError(e.to_string()))
}

/// The Worker's variables.
pub(super) fn variables(env: &Env) -> impl Variables {
    |name: &str| Reflect::get(env, &name.into()).ok()?.as_string()
}

/// What was asked for: path and query of a request.
pub(super) fn target(request: &Request) -> (String, String) {
    let url = request.inner().url();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    (request.path(), query.to_owned())
}

/// A problem document; 500 does not exist between the objects.
pub(super) fn refused(code: Code, detail: &str) -> Result<Response> {
    let body = Problem::new(code, detail).to_json("");
    Ok(Response::builder().with_status(code.status()).with_header("content-type", problem::MEDIA_TYPE)?.fixed(body.into_bytes()))
}

/// The answer of a call that may have failed inside: the failure is logged, whoever asked gets a 503.
pub(super) fn answered(object: &str, result: Result<Response>) -> Result<Response> {
    result.or_else(|error| {
        console_error!("{object}: {error}");
        refused(Code::Unavailable, "the object cannot answer right now")
    })
}

/// Sets the alarm to `due`; without one there is nothing left to do.
pub(super) async fn schedule(state: &State, due: Option<Millis>) -> Result<()> {
    match due {
        Some(due) => state.storage().set_alarm(at(due.max(now()))).await,
        None => state.storage().delete_alarm().await,
    }
}

/// Sets the alarm where it is missing or later than `due` says once the alarm is known: a request may have changed
/// what is due meanwhile.
pub(super) async fn arm(state: &State, due: impl FnOnce() -> Result<Option<Millis>>) -> Result<()> {
    let armed = state.storage().get_alarm().await?.and_then(|at| u64::try_from(at).ok());
    match due()? {
        Some(due) if armed.is_none_or(|armed| armed > due.max(now()).0) => schedule(state, Some(due)).await,
        _ => Ok(()),
    }
}

fn at(time: Millis) -> ScheduledTime {
    #[allow(clippy::cast_precision_loss)] // far below 2^53
    ScheduledTime::new(Date::new(&JsValue::from_f64(time.0 as f64)))
}

/// Sends `body` to the object `name` behind `binding`; anything but success is an error.
pub(super) async fn post(env: &Env, binding: &str, name: &str, path: &str, body: String) -> Result<Response> {
    let stub = env.durable_object(binding)?.id_from_name(name)?.get_stub()?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from_str(&body)));
    let request = Request::new_with_init(&format!("http://object{path}"), &init)?;
    let response = in_time(stub.fetch_with_request(request)).await?;
    match response.status_code() {
        200..300 => Ok(response),
        status => Err(Error::RustError(format!("{binding} {name} answers {status} to {path}"))),
    }
}

/// As JSON; what is sent here always has that form.
pub(super) fn to_json(message: &impl Serialize) -> Result<String> {
    serde_json::to_string(message).map_err(Error::from)
}

pub(super) async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let (mut work, mut end) = (pin!(work), pin!(Delay::from(ANSWER_LIMIT)));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => end.as_mut().poll(context).map(|()| Err(Error::RustError("no answer in time".into()))),
    })
    .await
}
