//! Hands the runtime's requests to [`crate::front`] and its answers back. The settings are read once per isolate.

use core::future::Future;
use std::{cell::OnceCell, rc::Rc};

use futures_util::{TryStream, stream};
use keyward_shared::{mint, time::Millis};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use worker::{Date, Env, Headers as JsHeaders, Method, RequestInit, RequestRedirect, ResponseBuilder, event};

use crate::{
    front::{
        self, Answer, Buckets, Context, Documents, Fetched, Headers, MAX_BODY, MAX_FETCHED, More, Object, Outside, Request, Said,
        SenderGone, Source, Target,
    },
    settings::{ClientAddress, ControlSettings},
};

thread_local! {
    static DOCUMENTS: Rc<Documents> = Rc::default();
    static REPORTERS: Rc<Buckets> = Rc::default();
    static SETTINGS: OnceCell<Rc<ControlSettings>> = const { OnceCell::new() };
}

#[wasm_bindgen]
extern "C" {
    /// A body as it comes in.
    type Stream;
    #[wasm_bindgen(method, catch, js_name = getReader)]
    fn reader(this: &Stream) -> Result<Reader, JsValue>;

    type Reader;
    #[wasm_bindgen(method, catch)]
    async fn read(this: &Reader) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn cancel(this: &Reader) -> Result<JsValue, JsValue>;

    type Chunk;
    #[wasm_bindgen(method, getter)]
    fn done(this: &Chunk) -> bool;
    #[wasm_bindgen(method, getter)]
    fn value(this: &Chunk) -> Option<js_sys::Uint8Array>;
}

/// The way to the objects: the Worker's bindings.
struct Bindings(Env);

impl Outside for Bindings {
    async fn post(&self, object: Object, path: &'static str, body: String) -> Option<Said> {
        match self.try_post(object, path, body).await {
            Ok(said) => Some(said),
            Err(error) => {
                log(
                    &serde_json::json!({"level": "error", "event": "object_unreachable", "object": format!("{object:?}"), "path": path, "error": error.to_string()}),
                );
                None
            }
        }
    }

    async fn get(&self, url: &str) -> Option<Fetched> {
        reached(url, fetch(url, None, None)).await
    }

    async fn send_form(&self, url: &str, authorization: Option<&str>, body: String) -> Option<Fetched> {
        reached(url, fetch(url, authorization, Some(body))).await
    }

    fn random(&self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        mint::fill(&mut bytes).ok().map(|()| bytes)
    }

    fn log(&self, line: &serde_json::Value) {
        log(line);
    }
}

/// What a site answers within the time that it has.
async fn reached(url: &str, work: impl Future<Output = worker::Result<Fetched>>) -> Option<Fetched> {
    match super::object::in_time(work).await {
        Ok(fetched) => Some(fetched),
        Err(error) => {
            log(&serde_json::json!({"level": "error", "event": "site_unreachable", "url": url, "error": error.to_string()}));
            None
        }
    }
}

/// A document of another site, whole: got, or its answer to a form.
async fn fetch(url: &str, authorization: Option<&str>, form: Option<String>) -> worker::Result<Fetched> {
    let mut init = RequestInit::new();
    init.with_redirect(RequestRedirect::Manual);
    // Some sites refuse whoever does not say what they are.
    let headers = JsHeaders::new();
    headers.set("User-Agent", "Keyward")?;
    headers.set("Accept", "application/json")?;
    if let Some(authorization) = authorization {
        headers.set("Authorization", authorization)?;
    }
    if let Some(form) = form {
        headers.set("Content-Type", "application/x-www-form-urlencoded")?;
        init.with_method(Method::Post).with_body(Some(JsValue::from_str(&form)));
    }
    init.with_headers(headers);
    let request = worker::Request::new_with_init(url, &init)?;
    let response = worker::Fetch::Request(request).send().await?;
    let max_age_s = response.headers().get("cache-control")?.and_then(|value| front::max_age_s(&value));
    let status = response.status_code();
    let refused = |detail: &str| worker::Error::RustError(detail.into());
    let body = read_whole(web_sys::Response::from(response).body(), MAX_FETCHED).await.map_err(|_| refused("the document ends early"))?;
    if body.len() > MAX_FETCHED {
        return Err(refused("the document is too large"));
    }
    let body = String::from_utf8(body).map_err(|_| refused("the document is not UTF-8"))?;
    Ok(Fetched { status, body, max_age_s })
}

impl Bindings {
    async fn try_post(&self, object: Object, path: &str, body: String) -> worker::Result<Said> {
        let (binding, name) = match object {
            Object::Shard(shard) => ("SHARDS", shard.to_string()),
            Object::Registry => ("REGISTRY", keyward_shared::messages::REGISTRY_NAME.to_owned()),
        };
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(JsValue::from_str(&body)));
        let request = worker::Request::new_with_init(&format!("https://object{path}"), &init)?;
        let mut response = self.0.durable_object(binding)?.get_by_name(&name)?.fetch_with_request(request).await?;
        Ok(Said { status: response.status_code(), body: response.text().await? })
    }
}

/// A request's body as it comes in; none once all of it has come.
struct Incoming(Option<Reader>);

impl Source for Incoming {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, SenderGone> {
        let Some(reader) = &self.0 else { return Ok(None) };
        loop {
            let chunk = reader.read().await.map_err(|_| SenderGone)?.unchecked_into::<Chunk>();
            match chunk.value() {
                Some(bytes) => return Ok(Some(bytes.to_vec())),
                None if chunk.done() => {
                    self.0 = None;
                    return Ok(None);
                }
                None => {}
            }
        }
    }
}

/// The Worker's entry.
#[event(fetch)]
async fn entry(request: worker::Request, env: Env, _context: worker::Context) -> worker::Result<worker::Response> {
    let settings = match settings(&env) {
        Ok(settings) => settings,
        Err(error) => {
            log(&serde_json::json!({"level": "error", "event": "settings_refused", "error": error.to_string()}));
            return response(front::unavailable(&copied(&request, None, Vec::new())), Bindings(env));
        }
    };
    let mut copy = copied(&request, Some(&settings), Vec::new());
    if front::wants_body(&copy.method, &copy.target.path) {
        match read_whole(request.inner().body(), MAX_BODY).await {
            Ok(body) => copy.body = body,
            Err(_) => return response(front::unavailable(&copy), Bindings(env)), // whoever sent it has gone
        }
    }
    let (documents, reporters) = (DOCUMENTS.with(Rc::clone), REPORTERS.with(Rc::clone));
    let now = Millis(Date::now().as_millis());
    let bindings = Bindings(env);
    let context = Context { settings: &settings, outside: &bindings, documents: &documents, reporters: &reporters, now };
    if front::wants_stream(&copy.method, &copy.target.path) {
        let stream = request.inner().body().map(|stream| JsValue::from(stream).unchecked_into::<Stream>().reader());
        let Ok(reader) = stream.transpose() else { return response(front::unavailable(&copy), bindings) };
        let mut incoming = Incoming(reader);
        let answer = front::answer_stream(&copy, &mut incoming, &context).await;
        if let Some(reader) = incoming.0 {
            drop(reader.cancel().await); // the rest of a refused file is not waited for
        }
        return response(answer, bindings);
    }
    let answer = front::answer(&copy, &context).await;
    response(answer, bindings)
}

fn settings(env: &Env) -> Result<Rc<ControlSettings>, keyward_shared::settings::SettingsError> {
    if let Some(settings) = SETTINGS.with(|cell| cell.get().cloned()) {
        return Ok(settings);
    }
    let read = Rc::new(ControlSettings::read(&|name: &str| env.var(name).ok().map(|value| value.to_string()))?);
    SETTINGS.with(|cell| Ok(Rc::clone(cell.get_or_init(|| read))))
}

/// The parts of a request that the front looks at.
fn copied(request: &worker::Request, settings: Option<&ControlSettings>, body: Vec<u8>) -> Request {
    let sent = request.headers();
    let header = |name: &str| sent.get(name).ok().flatten();
    let target = Target::split(&request.inner().url());
    Request {
        id: request_id(),
        method: request.inner().method(),
        target: target.unwrap_or_else(|| Target { origin: String::new(), path: "/".into(), query: String::new() }),
        headers: Headers {
            x_api_key: header("x-api-key"),
            authorization: header("authorization"),
            cookie: header("cookie"),
            accept_encoding: header("accept-encoding"),
            content_type: header("content-type"),
            origin: header("origin"),
            sec_fetch_site: header("sec-fetch-site"),
            purpose: header("sec-purpose").or_else(|| header("purpose")),
            idempotency_key: header("idempotency-key"),
            if_match: header("if-match"),
            access_assertion: header("cf-access-jwt-assertion"),
            github_key_id: header("github-public-key-identifier"),
            github_signature: header("github-public-key-signature"),
        },
        body,
        address: settings.and_then(|settings| match settings.client_address {
            ClientAddress::Cloudflare => header("cf-connecting-ip")?.parse().ok(),
            ClientAddress::Peer => front::address_of_peer(&peer(request)?),
            ClientAddress::Proxy => {
                let introduced = header("x-keyward-proxy").is_some_and(|secret| settings.proxy_secrets.contains(&secret));
                if introduced {
                    front::address_from_proxy(header("x-real-ip").as_deref(), header("x-forwarded-for").as_deref())
                } else {
                    None
                }
            }
        }),
    }
}

/// The socket's address, which the runtime knows: `request.cf.clientIp`, there with its port.
fn peer(request: &worker::Request) -> Option<String> {
    let cf = js_sys::Reflect::get(request.inner(), &"cf".into()).ok()?;
    js_sys::Reflect::get(&cf, &"clientIp".into()).ok()?.as_string()
}

/// 32 random hexadecimal characters; without randomness, which the platform always has, none.
fn request_id() -> String {
    let mut bytes = [0; 16];
    if mint::fill(&mut bytes).is_err() {
        return String::new();
    }
    hex::encode(bytes)
}

/// How much of a body that is too large is read and thrown away, in bytes: whoever is cut off in the midst of sending does
/// not see the answer.
const DISCARDED: u32 = 8 << 20;

/// Reads a body, but keeps no more than one chunk beyond what is allowed.
async fn read_whole(stream: Option<web_sys::ReadableStream>, most: usize) -> Result<Vec<u8>, JsValue> {
    let Some(stream) = stream else { return Ok(Vec::new()) };
    let reader = JsValue::from(stream).unchecked_into::<Stream>().reader()?;
    let (mut body, mut beyond) = (Vec::new(), 0);
    while beyond < DISCARDED {
        let chunk = reader.read().await?.unchecked_into::<Chunk>();
        match chunk.value() {
            Some(bytes) if body.len() <= most => body.extend(bytes.to_vec()),
            Some(bytes) => beyond += bytes.length(),
            None if chunk.done() => return Ok(body),
            None => {}
        }
    }
    drop(reader.cancel().await); // the sender may have gone already
    Ok(body)
}

fn response(answer: Answer, bindings: Bindings) -> worker::Result<worker::Response> {
    let headers = JsHeaders::new();
    for (name, value) in &answer.headers {
        headers.append(name, value)?;
    }
    let builder = ResponseBuilder::new().with_status(answer.status).with_headers(headers);
    if let Some(more) = answer.more {
        return builder.from_stream(flowing(answer.body.into_owned(), more, bindings));
    }
    if answer.body.is_empty() { Ok(builder.empty()) } else { Ok(builder.fixed(answer.body.into_owned())) }
}

/// The first part of an answer and, as the client takes them, those that follow. An error ends the transfer before its end.
fn flowing(first: Vec<u8>, more: Box<More>, bindings: Bindings) -> impl TryStream<Ok = Vec<u8>, Error = worker::Error> + 'static {
    let ahead = (Some(first).filter(|first| !first.is_empty()), Some(more), bindings);
    stream::try_unfold(ahead, |(first, more, bindings)| async move {
        match (first, more) {
            (Some(first), more) => Ok(Some((first, (None, more, bindings)))),
            (None, None) => Ok(None),
            (None, Some(more)) => {
                let (bytes, more) = front::next(&bindings, more).await.map_err(|e| worker::Error::RustError(e.to_string()))?;
                Ok(Some((bytes, (None, more, bindings))))
            }
        }
    })
}

/// One JSON line. A request, and so a credential, is never part of it.
fn log(line: &serde_json::Value) {
    worker::console_error!("{line}");
}
