//! The administration page: reads who is signed in and which keys there are, over the API that programs use, and has
//! them rendered.

use serde::Deserialize;

use super::{
    Answer, Context, Object, Outside, Request, api,
    credential::{self, Presented},
};
use crate::{
    call::{ApiAnswer, ApiCall},
    page::{self, KeysPage, PageKey},
};

/// The part of `GET /v1/whoami` that the page shows.
#[derive(Deserialize)]
struct Whoami {
    owner: String,
    owner_name: Option<String>,
    company: String,
    company_name: Option<String>,
    permissions: keyward_shared::permission::PermissionSet,
}

/// The part of `GET /v1/keys` that the page shows.
#[derive(Deserialize)]
struct Listed {
    keys: Vec<PageKey>,
    next_cursor: Option<String>,
}

/// `GET /admin/keys`.
pub(super) async fn keys<O: Outside>(request: &Request, context: &Context<'_, O>) -> Answer {
    let Some(session) = credential::of_session(request, context.settings) else {
        return Answer::html(401, page::not_signed_in());
    };
    match read(request, &session, context).await {
        Ok(page) => Answer::html(200, page::keys(&page)),
        Err(answer) => answer,
    }
}

async fn read<O: Outside>(request: &Request, session: &Presented, context: &Context<'_, O>) -> Result<KeysPage, Answer> {
    let cursor = request.parameter("cursor").ok().flatten();
    let query =
        cursor.map_or_else(String::new, |cursor| form_urlencoded::Serializer::new(String::new()).append_pair("cursor", &cursor).finish());
    let is_first = query.is_empty();

    let whoami: Whoami = parsed(&get(request, session, "/v1/whoami", String::new(), context).await?)?;
    let listed = get(request, session, "/v1/keys", query, context).await;
    let listed: Listed = match listed {
        Ok(answer) => parsed(&answer)?,
        // A cursor of another list, or one that was cut: the first page is better than an error.
        Err(answer) if answer.status == 400 && !is_first => return Err(Answer::redirect(page::KEYS_PATH)),
        Err(answer) => return Err(answer),
    };
    Ok(KeysPage {
        owner: whoami.owner_name.unwrap_or(whoami.owner),
        company: whoami.company_name.unwrap_or(whoami.company),
        keys: listed.keys,
        next_cursor: listed.next_cursor,
        edge_url: context.settings.public_edge_url.clone().unwrap_or_default(),
        can_see_everyone: whoami.permissions.allows_str("keyward.keys"),
        now: context.now,
    })
}

/// Asks the session's shard. What is no success becomes a page.
async fn get<O: Outside>(
    request: &Request,
    session: &Presented,
    path: &str,
    query: String,
    context: &Context<'_, O>,
) -> Result<ApiAnswer, Answer> {
    let call = ApiCall {
        method: "GET".into(),
        path: path.into(),
        query,
        body: String::new(),
        idempotency_key: None,
        if_match: None,
        request_id: request.id.clone(),
        address: request.address,
        credential: session.credential.clone(),
        company: None,
        origin: request.target.origin.clone(),
        policy: None,
    };
    let answer = api::ask(request, Object::Shard(session.shard), &call, context).await.map_err(|_| no_answer())?;
    match answer.status {
        200 => Ok(answer),
        401 => Err(Answer::html(401, page::not_signed_in()).without_session()),
        400 => Err(Answer::html(400, page::unavailable())),
        403 => Err(Answer::html(403, page::not_allowed())),
        _ => Err(no_answer()),
    }
}

fn parsed<T: for<'de> Deserialize<'de>>(answer: &ApiAnswer) -> Result<T, Answer> {
    serde_json::from_str(&answer.body).map_err(|_| no_answer())
}

pub(super) fn no_answer() -> Answer {
    Answer::html(503, page::unavailable()).with("Retry-After", "1")
}
