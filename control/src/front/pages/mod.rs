//! The administration's pages: which there are, and who may look at them. Each page asks over the API that programs use
//! ([`visit`]), so it can do nothing that its reader could not do by a call, and has `crate::page` render what it learns.
//!
//! What a page changes comes as a form, with POST to the page's own address, so it works without a script; a script that sends the
//! same calls to the API itself spares the reader a new page. After a change the browser is sent on with GET.

mod account;
mod audit;
mod companies;
#[cfg(test)]
mod directory_tests;
mod ended;
mod form;
mod key;
mod keys;
mod new_key;
mod owners;
mod policy;
mod policy_history;
mod visit;
mod webhooks;

use percent_encoding::percent_decode_str;

use self::visit::Visit;
use super::{Answer, Context, Outside, Request, credential};
use crate::page::{self, elsewhere};

pub(super) use ended::{way_in, way_in_again};
pub(super) use visit::no_answer;

/// Where all pages are.
pub(super) const ADMIN: &str = "/admin/";

/// Answers a request to a page. The path's segments are decoded; one that cannot be decoded is nowhere.
pub(super) async fn answer<O: Outside>(request: &Request, context: &Context<'_, O>) -> Answer {
    let path = request.target.path.strip_prefix(ADMIN).unwrap_or_default();
    let Ok(segments) = path.split('/').map(|segment| percent_decode_str(segment).decode_utf8()).collect::<Result<Vec<_>, _>>() else {
        return Answer::html(404, page::not_found());
    };
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    if !matches!(request.method.as_str(), "GET" | "HEAD" | "POST") {
        return request.wrong_method("GET, HEAD, POST");
    }
    if let Err(refused) = credential::check_origin(request) {
        return refused;
    }
    let visit = match Visit::begin(request, context).await {
        Ok(visit) => visit,
        Err(answer) => return kept(request, answer),
    };
    let answer = match segments.as_slice() {
        [""] => Err(Answer::redirect(&page::start(&visit.reader))),
        ["account"] => Ok(account::show(&visit)),
        ["signed-in"] => Ok(Answer::html(200, page::signed_in())),
        ["keys"] => keys::list(&visit).await,
        ["keys", "new"] => new_key::answer(&visit).await,
        ["keys", id, rest @ ..] => key::answer(&visit, id, rest).await,
        ["companies"] => companies::list(&visit).await,
        ["companies", "new"] => companies::make(&visit).await,
        ["companies", id] => companies::one(&visit, &visit.id(id)).await,
        ["owners"] => owners::list(&visit).await,
        ["owners", "new"] => owners::make(&visit).await,
        ["owners", id] => owners::one(&visit, &visit.id(id)).await,
        ["policy"] => policy::edit(&visit).await,
        ["policy", "history"] => policy_history::list(&visit).await,
        ["policy", "versions", version] => policy_history::one(&visit, version).await,
        ["audit"] => audit::list(&visit).await,
        ["audit", "verify"] => audit::verify(&visit).await,
        ["webhooks"] => webhooks::list(&visit).await,
        ["webhooks", "new"] => webhooks::new(&visit).await,
        ["webhooks", id] => webhooks::one(&visit, id).await,
        ["webhooks", id, "delete"] => webhooks::delete(&visit, id).await,
        _ => Err(Answer::html(404, page::not_found())),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(answer) if answer.status == 403 => Answer::html(403, page::not_allowed(Some((&visit.reader, &request.target.path)))),
        Err(answer) => kept(request, answer),
    };
    match (visit.company(), answer.location()) {
        (Some(company), Some(location)) => {
            let location = elsewhere::address(location, company);
            answer.with("Location", &location)
        }
        _ => answer,
    }
}

/// An outage that the page itself has no answer to takes nothing away that was typed: the form comes back, to be sent again.
fn kept(request: &Request, answer: Answer) -> Answer {
    if answer.status != 503 || request.is_safe() {
        return answer;
    }
    let Ok(sent) = form::Form::read(request) else { return answer };
    let target = &request.target;
    let action = if target.query.is_empty() { target.path.clone() } else { format!("{}?{}", target.path, target.query) };
    let kept = ended::kept(&sent);
    let all = kept.len() == sent.sent().len();
    Answer::html(503, page::not_answered(&action, &kept, all)).with("Retry-After", "1")
}
