//! Calls of the API: passed on to the object that answers, or answered here. Which object that is, [`super::addressed`] says.

use keyward_shared::problem::Code;

use super::{
    Answer, Context, Object, Outside, Request,
    addressed::{Addressed, addressed},
    answer::code_of,
    leaks, openapi, portions, refusals, unavailable,
};
use crate::{
    call::{API, ApiAnswer, ApiCall, Credential},
    route::{self, Endpoint, Found},
};

/// Answers a call that exists.
pub(super) async fn answer<O: Outside>(request: &Request, found: &Found, context: &Context<'_, O>) -> Answer {
    match call(request, found, context).await {
        Ok(answer) | Err(answer) => answer,
    }
}

async fn call<O: Outside>(request: &Request, found: &Found, context: &Context<'_, O>) -> Result<Answer, Answer> {
    if found.endpoint.home() == route::Home::Worker {
        return match found.endpoint {
            Endpoint::OpenApi => Ok(openapi::answer()),
            Endpoint::RevokeCredentials => leaks::revoke(request, context).await,
            Endpoint::ReportLeaks => leaks::github(request, context).await,
            _ => Err(request.refuse(Code::NotFound, "there is no such path")),
        };
    }
    let body = if request.is_safe() { "" } else { request.json()? };
    let Addressed { object, call, home } = addressed(request, found, body, context).await?;
    match found.endpoint {
        Endpoint::VerifyAudit => return portions::whole(request, Addressed { object, call, home }, context).await,
        Endpoint::ExportAudit => return portions::begin(request, Addressed { object, call, home }, "audit", context).await,
        Endpoint::ExportCompany => return portions::begin(request, Addressed { object, call, home }, "company", context).await,
        _ => {}
    }
    let answer = ask(request, object, &call, context).await?;
    if let (Object::Registry, Credential::Vouched(caller), Some(code)) = (object, &call.credential, refused(&answer)) {
        refusals::record(request, found, caller, code.as_str(), None, context).await;
    }
    Ok(Answer::api(answer))
}

/// The code of a refusal; `None` for what is none.
fn refused(answer: &ApiAnswer) -> Option<Code> {
    let is_refusal = (400..500).contains(&answer.status);
    code_of(&answer.body).filter(|_| is_refusal)
}

/// Passes a call on to an object.
pub(super) async fn ask<O: Outside>(
    request: &Request,
    object: Object,
    call: &ApiCall,
    context: &Context<'_, O>,
) -> Result<ApiAnswer, Answer> {
    let body = serde_json::to_string(call).map_err(|_| unavailable(request))?;
    let said = context.outside.post(object, API, body).await.filter(|said| said.status == 200).ok_or_else(|| unavailable(request))?;
    serde_json::from_str(&said.body).map_err(|_| unavailable(request))
}
