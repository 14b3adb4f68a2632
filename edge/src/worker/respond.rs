//! The slow path: whatever needs a read, every refusal, and Keyward's own endpoints under `/.keyward/`.

use keyward_shared::{json, problem::Code, record::Record, time::Millis};
use wasm_bindgen::{JsValue, prelude::*};
use web_sys::{Headers, Request, Response, ResponseInit};

use super::{io, now, with_state};
use crate::{
    answer::Answer,
    credentials, forward_auth,
    gate::{self, Address, Facts, Outcome, Refused},
    headers::{self, CredentialHeaders},
    health,
    introspect::{self, Finding},
    settings::ForwardAuth,
    verifier::{Attempt, Held, Lookup, Progress, Read, Verifier},
};

/// The most bytes of an introspection request.
const MAX_BODY: u32 = 64 * 1024;

/// Answers a request. Gives a `Response`, or, where the entry is to let it pass, a text: `anonymous`, `bearer`, or `pass`, the
/// identity's number and the identity, one item per line. `path` is the path as it was sent, `address` the client's, where it is
/// known; `push` says whether push works, for health. `env` is that of this one request, which takes notes of what the log tells. Where
/// the entry has already read the key's record in vain, `missed` says when it began, and `absent` whether the store has none.
#[wasm_bindgen]
#[expect(clippy::too_many_arguments, reason = "an object would cross member by member")]
pub async fn respond(
    request: Request,
    env: JsValue,
    request_id: String,
    path: String,
    address: Option<String>,
    push: bool,
    missed: Option<f64>,
    absent: bool,
) -> Result<JsValue, JsValue> {
    let reads = Reads {
        env: &env,
        deadline: missed.map_or_else(io::deadline, |begun| io::deadline_since(Millis::from_js(begun))),
        missed: missed.map(|_| if absent { Lookup::Absent } else { Lookup::Unavailable }),
    };
    let address = || address.as_deref().and_then(|text| text.parse().ok());
    let passed = match path.strip_prefix("/.keyward/") {
        Some("health") => Err(health(&env, &request, push).await),
        Some("introspect") => Err(introspection(&env, &request, &request_id).await),
        Some(other) => match other.strip_prefix("forward-auth/").and_then(forward_auth::family) {
            Some(family) => proxy_question(reads, &request, family, &request_id).await,
            None => Err(Answer::problem(Code::NotFound, "there is no such endpoint", &request_id)),
        },
        None => gateway(reads, &request, &path, address()).await.map_err(|refused| Answer::refusal(&refused, &request_id)),
    };
    match passed {
        Ok(Outcome::Pass(held)) => {
            let lines = with_state(|state| state.identity_lines(&held)).unwrap_or_default();
            Ok(format!("pass\n{}\n{lines}", held.identity).into())
        }
        Ok(Outcome::PassBearer) => Ok("bearer".into()),
        Ok(Outcome::PassAnonymous | Outcome::NeedAddress | Outcome::Refuse(_)) => Ok("anonymous".into()), // the last two are errors by now
        Err(answer) => {
            if let Some(code) = answer.code {
                io::note(&env, "code", code.as_str());
            }
            response(&answer, &request_id)
        }
    }
}

fn response(answer: &Answer, request_id: &str) -> Result<JsValue, JsValue> {
    let headers = Headers::new()?;
    headers.set("Cache-Control", "no-store")?;
    headers.set("X-Request-Id", request_id)?;
    for (name, value) in &answer.headers {
        headers.set(name, value)?;
    }
    let init = ResponseInit::new();
    init.set_status(answer.status);
    init.set_headers(&headers);
    let body = (!answer.body.is_empty()).then_some(answer.body.as_str());
    Response::new_with_opt_str_and_init(body, &init).map(Into::into)
}

/// The reads of one request.
struct Reads<'e> {
    env: &'e JsValue,
    /// None goes on after this.
    deadline: Millis,
    /// What the entry got when it asked for the key's record.
    missed: Option<Lookup>,
}

/// Runs `step` until it is done, performing the reads that it needs.
async fn drive<T>(mut reads: Reads<'_>, mut step: impl FnMut(&mut Verifier, Millis, &mut Attempt) -> Progress<T>) -> Option<T> {
    let mut attempt = Attempt::default();
    loop {
        let read: Read = match with_state(|state| step(&mut state.verifier, now(), &mut attempt))? {
            Progress::Done(answer) => return Some(answer),
            Progress::Need(read) => read,
        };
        let known = if matches!(read, Read::Record(..)) { reads.missed.take() } else { None };
        let result = match known {
            Some(missed) => missed,
            None => io::perform(reads.env, read, reads.deadline).await,
        };
        with_state(|state| state.verifier.provide(read, result, now(), &mut attempt));
    }
}

/// Notes for the log which key a request has.
fn note_identity(env: &JsValue, held: &Held) {
    let Record { owner, company, key_id, .. } = &held.record;
    io::note(env, "identity", &format!("{owner}\n{company}\n{key_id}"));
}

/// Decides about one request and counts the use of its key.
async fn decide(reads: Reads<'_>, facts: &Facts<'_>) -> Result<Outcome, Refused> {
    let env = reads.env;
    let unavailable = || Refused { code: Code::VerifierUnavailable, detail: String::new(), permission: None, held: None };
    let outcome = drive(reads, |verifier, now, attempt| gate::evaluate(verifier, facts, now, attempt)).await.ok_or_else(unavailable)?;
    if let Some(held) = outcome.held() {
        note_identity(env, held);
    }
    if let Some((held, allowed)) = outcome.used() {
        with_state(|state| state.count(held, now(), allowed));
    }
    match outcome {
        Outcome::Refuse(refused) => Err(refused),
        Outcome::NeedAddress => Err(unavailable()), // the address was asked for; cannot be
        other => Ok(other),
    }
}

async fn gateway(reads: Reads<'_>, request: &Request, path: &str, address: Option<core::net::IpAddr>) -> Result<Outcome, Refused> {
    let sent = CredentialHeaders::read(&request.headers());
    let method = request.method();
    let preflight = preflight(&method, &request.headers());
    let facts = Facts {
        method: &method,
        path,
        sent: credentials::extract(sent.x_api_key.as_deref(), sent.authorization.as_deref()),
        preflight: preflight.as_deref(),
        address: Address::Asked(address),
    };
    decide(reads, &facts).await
}

/// The method that a CORS preflight asks for, where the request is one.
fn preflight(method: &str, headers: &Headers) -> Option<String> {
    let asks = method == "OPTIONS" && headers::get(headers, "origin").is_some();
    asks.then(|| headers::get(headers, "access-control-request-method")).flatten()
}

/// Whether the request that a proxy holds may pass.
async fn proxy_question(reads: Reads<'_>, request: &Request, family: ForwardAuth, request_id: &str) -> Result<Outcome, Answer> {
    if with_state(|state| state.settings.forward_auth) != Some(Some(family)) {
        return Err(Answer::problem(Code::NotFound, "this forward-auth family is not configured", request_id));
    }
    let header = |name: &str| headers::get(&request.headers(), name);
    let (method_name, uri_name) = forward_auth::header_names(family);
    let route = match forward_auth::route(header(method_name).as_deref(), header(uri_name).as_deref()) {
        Ok(route) => route,
        Err(detail) => return Err(Answer::problem(Code::InvalidRequest, detail, request_id)),
    };
    let trusted = header("x-keyward-proxy").is_some_and(|secret| super::is_proxy(&secret));
    let address =
        if trusted { forward_auth::client_address(header("x-real-ip").as_deref(), header("x-forwarded-for").as_deref()) } else { None };
    let sent = CredentialHeaders::read(&request.headers());
    let mut facts = gate::facts(&route.method, &route.path, sent.x_api_key.as_deref(), sent.authorization.as_deref());
    facts.address = Address::Asked(address);
    let preflight = preflight(&route.method, &request.headers());
    facts.preflight = preflight.as_deref();
    decide(reads, &facts).await.map_err(|refused| Answer::refusal(&refused, request_id))
}

async fn introspection(env: &JsValue, request: &Request, request_id: &str) -> Answer {
    if request.method() != "POST" {
        let mut answer = Answer::problem(Code::MethodNotAllowed, "use POST", request_id);
        answer.headers.push(("Allow", "POST".into()));
        return answer;
    }
    let sent = CredentialHeaders::read(&request.headers());
    if let Err(answer) = may_introspect(env, &sent, io::deadline(), request_id).await {
        return answer;
    }
    let body = match io::text(request, MAX_BODY).await {
        Ok(body) => body,
        Err(Code::TooLarge) => return Answer::problem(Code::TooLarge, "at most 64 KiB", request_id),
        Err(code) => return Answer::problem(code, "the body cannot be read as text", request_id),
    };
    let content_type = headers::get(&request.headers(), "content-type").unwrap_or_default();
    let questions = match introspect::read(&content_type, &body) {
        Ok(questions) => questions,
        Err((code, detail)) => return Answer::problem(code, &detail, request_id),
    };
    // However many questions there are, a slow store holds them up once.
    let deadline = io::deadline();
    let mut answers = Vec::with_capacity(questions.list.len());
    for question in &questions.list {
        match judged(env, deadline, question).await {
            None | Some(Finding::Unavailable) if !questions.many => return Answer::problem(Code::VerifierUnavailable, "", request_id),
            finding => answers.push(introspect::answer(&finding.unwrap_or(Finding::Unavailable))),
        }
    }
    Answer::json(200, if questions.many { json::list(answers) } else { answers.pop().unwrap_or_default() })
}

async fn judged(env: &JsValue, deadline: Millis, question: &introspect::Question) -> Option<Finding> {
    drive(Reads { env, deadline, missed: None }, |verifier, now, attempt| introspect::judge(verifier, question, now, attempt)).await
}

/// Whether the caller's own credential has the permission to ask.
async fn may_introspect(env: &JsValue, sent: &CredentialHeaders, deadline: Millis, request_id: &str) -> Result<(), Answer> {
    let problem = |code| Err(Answer::problem(code, "", request_id));
    let caller = match credentials::extract(sent.x_api_key.as_deref(), sent.authorization.as_deref()) {
        credentials::Sent::Nothing => return problem(Code::MissingCredentials),
        credentials::Sent::Ambiguous => return problem(Code::AmbiguousCredentials),
        credentials::Sent::One(text, _) => introspect::Question::about(text),
    };
    match judged(env, deadline, &caller).await {
        Some(Finding::Active(held)) => {
            note_identity(env, &held);
            with_state(|state| state.usage.count(&held.record, now(), true));
            Ok(())
        }
        Some(Finding::Inactive(Code::PermissionDenied)) => Err(Answer::missing_permission(introspect::PERMISSION, request_id)),
        Some(Finding::Inactive(code)) => problem(code),
        Some(Finding::Unavailable) | None => problem(Code::VerifierUnavailable),
    }
}

async fn health(env: &JsValue, request: &Request, push: bool) -> Answer {
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
        return Answer { status: 405, headers: vec![("Allow", "GET, HEAD".into())], body: String::new(), code: None };
    }
    let timing = with_state(|state| state.settings.common.timing).unwrap_or_default();
    // Without traffic nobody reads the feed: look before saying that it is old.
    for read in [Read::Feed(0), Read::FeedDirect(0)] {
        if with_state(|state| state.verifier.feed_wants_waking(0, now())).unwrap_or(false) {
            let result = io::perform(env, read, io::deadline()).await;
            with_state(|state| state.verifier.provide(read, result, now(), &mut Attempt::default()));
        }
    }
    let age = with_state(|state| state.verifier.feed_age(now())).flatten();
    let (status, body) = health::report(age, push, &timing);
    Answer::json(status, body)
}
