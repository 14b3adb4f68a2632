//! Signing in at the identity provider (`OpenID` Connect, authorization code with PKCE): leaving for it, and coming back. Where the
//! provider, or an object, does not do its part, the answer is 503: nobody is called unauthorized because something is down.

use keyward_shared::shard::Shard;
use serde_json::json;

use super::{ask, begun};
use crate::{
    call::{BEGIN_SESSION, BeginSession, Token},
    front::{
        Answer, Context, Object, Outside, Request, credential,
        pages::{no_answer, way_in},
        tokens::{self, Trouble},
    },
    oidc::{
        Attempt, Client,
        attempt::{self, Lost},
        client::{self, Declined, Endpoints, Exchanged, declined, exchanged},
    },
    page::{self, CALLBACK_PATH, START_PATH, SignInProblem},
};

/// Sends the browser to the provider, with a cookie to come back with.
/// `another`: as another account than the one that the provider would say again by itself.
pub(super) async fn leave<O: Outside>(
    request: &Request,
    client: &Client,
    context: &Context<'_, O>,
    return_to: &str,
    another: bool,
) -> Answer {
    let endpoints = match endpoints(client, context).await {
        Ok(endpoints) => endpoints,
        Err(trouble) => return told(request, context, &trouble.into(), return_to),
    };
    let drawn = [context.outside.random(), context.outside.random(), context.outside.random()];
    let [Some(state), Some(nonce), Some(verifier)] = drawn else { return no_answer() };
    let attempt = Attempt::new([state, nonce, verifier], return_to, context.now);
    let cookie = attempt.to_cookie(&context.settings.session_secrets);
    let way = client.way(&endpoints, &attempt, &redirect_uri(request, context), another);
    Answer::redirect(&way).with_cookie(attempt::COOKIE, &cookie, attempt::KEPT.as_secs())
}

/// `GET /sign-in/callback`: the provider's answer, in the browser of whom it speaks of.
pub(in super::super) async fn callback<O: Outside>(request: &Request, context: &Context<'_, O>) -> Answer {
    let Some(client) = &context.settings.sign_in else { return Answer::html(404, page::not_found()) };
    if request.method == "HEAD" || request.is_prefetch() {
        return Answer::empty(204);
    }
    let attempt = match begun_here(request, context) {
        Ok(attempt) => attempt,
        // Whose cookie it is not, takes it from nobody: a sign-in that is under way in this browser goes on.
        Err(lost) => {
            let begun = cookie(request).and_then(|cookie| Attempt::begun(cookie, &context.settings.session_secrets));
            return told(request, context, &lost, begun.as_ref().map_or(START_PATH, |attempt| &attempt.return_to));
        }
    };
    let answer = match finished(request, client, &attempt, context).await {
        Ok(answer) => answer,
        Err(problem) => told(request, context, &problem, &attempt.return_to),
    };
    answer.with_cookie(attempt::COOKIE, "", 0)
}

/// The sign-in that this browser began and that the answer belongs to.
fn begun_here<O>(request: &Request, context: &Context<'_, O>) -> Result<Attempt, SignInProblem> {
    let state = request.parameter("state").ok().flatten().ok_or(SignInProblem::NotBegunHere)?;
    let cookie = cookie(request).ok_or(SignInProblem::NotBegunHere)?;
    match Attempt::from_cookie(cookie, &context.settings.session_secrets, context.now) {
        Ok(attempt) if attempt.state == state => Ok(attempt),
        Ok(_) | Err(Lost::Unknown) => Err(SignInProblem::NotBegunHere),
        Err(Lost::Expired) => Err(SignInProblem::TookTooLong),
    }
}

fn cookie(request: &Request) -> Option<&str> {
    credential::cookie(request.headers.cookie.as_deref()?, attempt::COOKIE)
}

/// Takes an answer to `attempt` to its end: a session.
async fn finished<O: Outside>(
    request: &Request,
    client: &Client,
    attempt: &Attempt,
    context: &Context<'_, O>,
) -> Result<Answer, SignInProblem> {
    let endpoints = endpoints(client, context).await?;
    let parameter = |name: &str| request.parameter(name).map_err(|_| SignInProblem::Unproven(format!("{name} stands twice")));
    // RFC 9207: an answer of another provider is not to be taken to this one.
    match parameter("iss")? {
        Some(issuer) if issuer == client.provider.issuer => {}
        None if !endpoints.names_itself => {}
        _ => return Err(SignInProblem::Unproven("the answer is of another issuer".into())),
    }
    if let Some(error) = parameter("error")? {
        return Err(match declined(&error) {
            Declined::Denied => SignInProblem::Denied,
            Declined::Unavailable => SignInProblem::Unavailable,
            Declined::Misconfigured(word) => SignInProblem::Misconfigured(word),
        });
    }
    let code = parameter("code")?.filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| SignInProblem::Unproven("the answer has no code".into()))?;
    let exchange = client.exchange(&endpoints, &code, attempt, &redirect_uri(request, context));
    let said = context.outside.send_form(&exchange.url, exchange.authorization.as_deref(), exchange.body).await;
    let said = said.ok_or(SignInProblem::Unavailable)?;
    let token = match exchanged(said.status, &said.body) {
        Exchanged::IdToken(text) => proven(&text, client, attempt, context).await?,
        Exchanged::Refused => return Err(SignInProblem::CodeRefused),
        Exchanged::Misconfigured(word) => return Err(SignInProblem::Misconfigured(word)),
        Exchanged::NoIdToken => return Err(SignInProblem::Unusable("the identity provider gives no ID token for the code".into())),
        Exchanged::Nothing => return Err(SignInProblem::Unavailable),
    };
    let (object, account) = (Object::Shard(Shard::of(&token.company)), token.owner.to_string());
    let (nonce, until) = (attempt.nonce.clone(), attempt.expires_at);
    let question = BeginSession { token, nonce, until, address: request.address, request_id: request.id.clone() };
    let said = ask(context, object, BEGIN_SESSION, &question).await.ok_or(SignInProblem::NoAnswer)?;
    match said.status {
        200 => begun(request, context, &said, &attempt.return_to).await.ok_or(SignInProblem::NoAnswer),
        409 => Err(SignInProblem::NotBegunHere),
        401 | 403 | 404 => Err(SignInProblem::Stranger(Some(account))),
        _ => Err(SignInProblem::NoAnswer),
    }
}

/// What the ID token says, where it answers `attempt` and is the provider's.
async fn proven<O: Outside>(text: &str, client: &Client, attempt: &Attempt, context: &Context<'_, O>) -> Result<Token, SignInProblem> {
    let refused = |invalid: crate::oidc::Invalid| SignInProblem::Unproven(invalid.to_string());
    let provider = &client.provider;
    let unproven = provider.read(text, &context.settings.common.operator_company, context.now).map_err(refused)?;
    unproven.answers(&attempt.nonce, client.id()).map_err(refused)?;
    tokens::prove(&unproven, provider, context).await?.map_err(refused)
}

/// The page that says why somebody is not signed in. What an administrator has to see to is in the log too.
fn told<O: Outside>(request: &Request, context: &Context<'_, O>, problem: &SignInProblem, return_to: &str) -> Answer {
    let way = way_in(context.settings, return_to);
    let log = |because: &str| {
        context.outside.log(&json!({"level": "error", "event": "sign_in_refused", "request_id": request.id, "because": because}));
    };
    let status = match problem {
        SignInProblem::NotBegunHere | SignInProblem::TookTooLong | SignInProblem::CodeRefused => 400,
        SignInProblem::Denied | SignInProblem::Stranger(_) => 403,
        SignInProblem::Unproven(why) => {
            log(why);
            400
        }
        SignInProblem::Misconfigured(word) => {
            log(word);
            502
        }
        SignInProblem::Unusable(why) => {
            log(why);
            502
        }
        SignInProblem::Unavailable | SignInProblem::NoAnswer => 503,
    };
    let answer = Answer::html(status, page::sign_in_problem(problem, Some(&way)));
    match problem {
        SignInProblem::Unavailable => answer.with("Retry-After", "10"),
        SignInProblem::NoAnswer => answer.with("Retry-After", "1"),
        _ => answer,
    }
}

impl From<Trouble> for SignInProblem {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away => Self::Unavailable,
            Trouble::Unusable(why) => Self::Unusable(why),
        }
    }
}

async fn endpoints<O: Outside>(client: &Client, context: &Context<'_, O>) -> Result<Endpoints, Trouble> {
    let read =
        |configuration: &str| client.endpoints(configuration).ok_or_else(|| client.provider.fault(configuration, &client::ENDPOINTS));
    tokens::configured(client.configuration(), context, read).await
}

/// Where the provider sends people back to: the address that people see, as it is registered there.
fn redirect_uri<O>(request: &Request, context: &Context<'_, O>) -> String {
    let origin = context.settings.public_control_url.as_deref().unwrap_or(&request.target.origin);
    format!("{origin}{CALLBACK_PATH}")
}
