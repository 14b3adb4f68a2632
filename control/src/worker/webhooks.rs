//! Sends messages to webhooks. On Cloudflare nothing but the public Internet can be reached; where the runtime is one's
//! own, the binding `WEBHOOKS` leads to a network that has only those addresses, whatever a name resolves to.

use core::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, Request, RequestInit, RequestRedirect, Response};
use worker::{Delay, Env};

use crate::shard::webhooks::deliveries::{Message, Outcome};

/// How long a receiver may take to answer, in milliseconds.
const TIME_LIMIT_MS: u32 = 10_000;

/// A message on its way, with what comes of it.
pub(super) type Sending = Pin<Box<dyn Future<Output = (Message, Outcome)>>>;

/// Sends `message`.
pub(super) fn send(env: &Env, message: Message) -> Sending {
    let env = env.clone();
    Box::pin(async move {
        let outcome = post(&env, &message).await.map_or_else(|error| Outcome::Failed(said(&error)), Outcome::Answered);
        (message, outcome)
    })
}

/// The first of `sending` that ends within `pause`, which is no longer there then.
pub(super) async fn first(sending: &mut Vec<Sending>, pause: Duration) -> Option<(Message, Outcome)> {
    let mut end = pin!(Delay::from(pause));
    poll_fn(|context| {
        for index in 0..sending.len() {
            if let Poll::Ready(outcome) = sending[index].as_mut().poll(context) {
                drop(sending.swap_remove(index));
                return Poll::Ready(Some(outcome));
            }
        }
        end.as_mut().poll(context).map(|()| None)
    })
    .await
}

async fn post(env: &Env, message: &Message) -> Result<u16, JsValue> {
    let headers = Headers::new()?;
    headers.set("content-type", "application/json")?;
    headers.set("user-agent", "Keyward")?;
    headers.set("webhook-id", &message.id)?;
    headers.set("webhook-timestamp", &message.timestamp_s.to_string())?;
    headers.set("webhook-signature", &message.signature)?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&JsValue::from_str(&message.body));
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(TIME_LIMIT_MS)));
    let request = Request::new_with_str_and_init(&message.url, &init)?;

    let network = Reflect::get(env, &"WEBHOOKS".into()).ok().filter(JsValue::is_object).unwrap_or_else(|| js_sys::global().into());
    let fetch: Function = Reflect::get(&network, &"fetch".into())?.dyn_into()?;
    let promise: Promise = fetch.call1(&network, &request)?.dyn_into()?;
    let response: Response = JsFuture::from(promise).await?.dyn_into()?;
    if let Some(body) = response.body() {
        // Nobody reads it; its connection is free then.
        JsFuture::from(body.cancel()).await.ok();
    }
    Ok(response.status())
}

/// What the log says of an error.
fn said(error: &JsValue) -> String {
    let member = |name: &str| Reflect::get(error, &name.into()).ok().and_then(|value| value.as_string());
    match member("name").as_deref() {
        Some("TimeoutError") => format!("no answer within {} s", TIME_LIMIT_MS / 1_000),
        _ => format!("cannot be reached: {}", member("message").unwrap_or_default()),
    }
}
