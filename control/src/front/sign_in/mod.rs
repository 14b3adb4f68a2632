//! Signing in, with a one-time link, at the identity provider ([`provider`]) or through Cloudflare Access, and out again. However
//! somebody signs in, they get a session of their own, and the one that this browser had before ends.

#[cfg(test)]
mod end_tests;
mod provider;
mod return_to;
#[cfg(test)]
mod tests;

use keyward_shared::{
    link::{LinkError, SignInLink},
    shard::Shard,
};
use serde::Serialize;

use super::{
    Answer, Context, Object, Outside, Request, Said, credential,
    pages::{no_answer, way_in, way_in_again},
    tokens,
};
use crate::{
    call::{Credential, END_SESSIONS, EndSessions, REDEEM, Redeem, Redeemed, SIGN_OUT, SignOut},
    page::{self, START_PATH},
};

pub(super) use self::{provider::callback, return_to::within_admin};

/// Where Cloudflare Access signs people out, on each site that it stands in front of.
const ACCESS_SIGN_OUT: &str = "/cdn-cgi/access/logout";

/// `GET /sign-in`: with a link's token a session for whom it was made for, else whatever other way in there is. Whoever only
/// looks (HEAD, a browser that guesses, a mail scanner that asks for the head) begins nothing and uses nothing up.
pub(super) async fn sign_in<O: Outside>(request: &Request, context: &Context<'_, O>) -> Answer {
    if request.method == "HEAD" || request.is_prefetch() {
        return Answer::empty(204);
    }
    let wanted = request.parameter("return").ok().flatten();
    let return_to = wanted.as_deref().and_then(within_admin).unwrap_or(START_PATH);
    match request.parameter("token") {
        Ok(None) => other_ways(request, context, return_to).await,
        token => with_link(request, context, &token.ok().flatten().unwrap_or_default(), return_to).await,
    }
}

async fn with_link<O: Outside>(request: &Request, context: &Context<'_, O>, token: &str, return_to: &str) -> Answer {
    let problem = |status, detail| Answer::html(status, page::link_problem(detail, &way_in(context.settings, return_to)));
    let link = match SignInLink::from_token(token, &context.settings.session_secrets, context.now) {
        Ok(link) => link,
        Err(LinkError::Expired) => return problem(410, "It has expired."),
        Err(LinkError::Invalid) => return problem(400, "It is not complete, or not one of this site."),
    };
    let object = Object::Shard(Shard::of(&link.company));
    let question = Redeem { link, address: request.address, request_id: request.id.clone() };
    let Some(said) = ask(context, object, REDEEM, &question).await else { return no_answer() };
    match said.status {
        200 => begun(request, context, &said, return_to).await.unwrap_or_else(no_answer),
        409 | 410 => problem(410, "It has been used already."),
        401 | 403 | 404 => problem(403, "The person it was made for cannot sign in."),
        _ => no_answer(),
    }
}

/// Without a link. Whom Access lets in is signed in already; a session of somebody else's would go before that, so it ends.
async fn other_ways<O: Outside>(request: &Request, context: &Context<'_, O>, return_to: &str) -> Answer {
    if let (Some(access), Some(assertion)) = (&context.settings.access, &request.headers.access_assertion) {
        match tokens::verify(request, access, assertion, context).await {
            Ok(_) => {
                end_earlier(request, context).await;
                return Answer::redirect(return_to).without_session();
            }
            Err(answer) if answer.status >= 500 => return no_answer(),
            Err(_) => {}
        }
    }
    match &context.settings.sign_in {
        Some(client) => {
            let another = request.parameter(page::ANOTHER.0).ok().flatten().as_deref() == Some(page::ANOTHER.1);
            provider::leave(request, client, context, return_to, another).await
        }
        None => Answer::html(400, page::not_signed_in(&way_in(context.settings, return_to))),
    }
}

/// The answer to who has just been signed in: what the object `said` is the new session; `None`: it said nothing of the kind.
async fn begun<O: Outside>(request: &Request, context: &Context<'_, O>, said: &Said, return_to: &str) -> Option<Answer> {
    let session = serde_json::from_str::<Redeemed>(&said.body).ok()?;
    end_earlier(request, context).await;
    Some(Answer::redirect(return_to).with_session(&session.token, session.max_age_s))
}

/// Ends the session that this browser had before. It loses the cookie in any case; where the object does not answer twice, the log
/// hears of a session that lives on until its time is over.
async fn end_earlier<O: Outside>(request: &Request, context: &Context<'_, O>) {
    for _ in 0..2 {
        if end(request, context).await {
            return;
        }
    }
    context.outside.log(&serde_json::json!({"level": "error", "event": "session_not_ended", "request_id": request.id}));
}

/// Ends the session of the request's cookie, where there is one; false: nobody knows whether it has ended.
async fn end<O: Outside>(request: &Request, context: &Context<'_, O>) -> bool {
    let Some(session) = credential::of_session(request, context.settings) else { return true };
    let Credential::Session { digest, company } = session.credential else { return true };
    let question = SignOut { digest, company, address: request.address, request_id: request.id.clone() };
    ask(context, Object::Shard(session.shard), SIGN_OUT, &question).await.is_some_and(|said| said.status < 300)
}

async fn ask<O: Outside>(context: &Context<'_, O>, object: Object, path: &'static str, question: &impl Serialize) -> Option<Said> {
    context.outside.post(object, path, serde_json::to_string(question).ok()?).await
}

/// `POST /sign-out`: ends the session and takes the cookie away.
pub(super) async fn sign_out<O: Outside>(request: &Request, context: &Context<'_, O>) -> Answer {
    if let Err(refused) = credential::check_origin(request) {
        return refused;
    }
    // Where it may still live: do not pretend that it ended.
    if end(request, context).await { left(request, context) } else { still_in(false) }
}

/// The answer where nobody knows whether sessions have ended: a form that asks for it again.
fn still_in(everywhere: bool) -> Answer {
    Answer::html(503, page::not_signed_out(everywhere)).with("Retry-After", "1")
}

/// `POST /sign-out/everywhere`: ends all sessions of whoever asks.
pub(super) async fn sign_out_everywhere<O: Outside>(request: &Request, context: &Context<'_, O>) -> Answer {
    if let Err(refused) = credential::check_origin(request) {
        return refused;
    }
    let not_signed_in =
        || Answer::html(401, page::not_signed_in(&way_in_again(request, context.settings, page::ACCOUNT_PATH))).without_session();
    let presented = match credential::of_call(request, context).await {
        Ok(presented) => presented,
        Err(answer) if answer.status >= 500 => return still_in(true),
        Err(_) => return not_signed_in(),
    };
    let question = EndSessions { credential: presented.credential, address: request.address, request_id: request.id.clone() };
    match ask(context, Object::Shard(presented.shard), END_SESSIONS, &question).await.map(|said| said.status) {
        Some(200..=299) => left(request, context),
        Some(401 | 403) => not_signed_in(),
        _ => still_in(true),
    }
}

/// The answer to who has signed out. Whom Access let in would be in again at once: they are led out of it too, by the page and not by
/// a redirect, because the answer to a form may lead to this site only, and Access has a site of its own.
fn left<O>(request: &Request, context: &Context<'_, O>) -> Answer {
    if context.settings.access.is_some() && request.headers.access_assertion.is_some() {
        let onwards = format!("0; url={ACCESS_SIGN_OUT}");
        return Answer::html(200, page::left_access(ACCESS_SIGN_OUT)).with("Refresh", &onwards).without_session();
    }
    Answer::redirect(START_PATH).without_session()
}
