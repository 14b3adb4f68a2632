//! Signing in with a one-time link, and out again.

use keyward_shared::{
    link::{LinkError, SignInLink},
    shard::Shard,
};

use super::{Answer, Context, Object, Outside, Request, credential, pages::no_answer};
use crate::{
    call::{Credential, REDEEM, Redeem, Redeemed, SIGN_OUT, SignOut},
    page,
};

/// `GET /sign-in?token=…`: a session for whom the link was made for, once. Whoever only looks (HEAD, a browser that
/// guesses, a mail scanner that asks for the head) does not use the link up.
pub(super) async fn sign_in<O: Outside>(request: &Request, context: &Context<'_, O>) -> Answer {
    if request.method == "HEAD" || request.is_prefetch() {
        return Answer::empty(204);
    }
    let token = request.parameter("token").ok().flatten().unwrap_or_default();
    let link = match SignInLink::from_token(&token, &context.settings.session_secrets, context.now) {
        Ok(link) => link,
        Err(LinkError::Expired) => return Answer::html(410, page::link_problem("It has expired.")),
        Err(LinkError::Invalid) => return Answer::html(400, page::link_problem("It is not complete, or not one of this site.")),
    };
    let object = Object::Shard(Shard::of(&link.company));
    let question = Redeem { link, address: request.address, request_id: request.id.clone() };
    let Ok(body) = serde_json::to_string(&question) else { return no_answer() };
    let Some(said) = context.outside.post(object, REDEEM, body).await else { return no_answer() };
    match said.status {
        200 => match serde_json::from_str::<Redeemed>(&said.body) {
            Ok(session) => Answer::redirect(page::KEYS_PATH).with_session(&session.token, session.max_age_s),
            Err(_) => no_answer(),
        },
        409 | 410 => Answer::html(410, page::link_problem("It has been used already.")),
        401 | 403 | 404 => Answer::html(403, page::link_problem("The person it was made for cannot sign in.")),
        _ => no_answer(),
    }
}

/// `POST /sign-out`: ends the session and takes the cookie away.
pub(super) async fn sign_out<O: Outside>(request: &Request, context: &Context<'_, O>) -> Answer {
    if let Err(refused) = credential::check_origin(request) {
        return refused;
    }
    let leave = Answer::redirect(page::KEYS_PATH).without_session();
    let Some(session) = credential::of_session(request, context.settings) else { return leave };
    let Credential::Session { digest, company } = session.credential else { return leave };
    let question = SignOut { digest, company, address: request.address, request_id: request.id.clone() };
    let Ok(body) = serde_json::to_string(&question) else { return no_answer() };
    match context.outside.post(Object::Shard(session.shard), SIGN_OUT, body).await {
        Some(said) if said.status < 300 => leave,
        // The session still lives: do not pretend that it ended.
        _ => no_answer(),
    }
}
