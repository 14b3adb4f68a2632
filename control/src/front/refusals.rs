//! Refusals that no Shard object has seen: of a caller whom an object has authenticated, but whose call the front itself or
//! the Registry refused. Each is written once into the trail of the caller's own company. The refusal stands whether that
//! succeeds or not: who may not, may not.
//!
//! What is refused before any object was asked (a malformed key, a body that is too large, a page of another site) has no
//! authenticated caller and is in no trail.

use keyward_shared::{ids::CompanyId, shard::Shard};
use serde_json::{Value, json};

use super::{Context, Object, Outside, Request};
use crate::{
    call::{AUDIT, AuditNote, Caller},
    route::{Endpoint, Found},
};

/// How often the caller's shard is asked to write it down. It has an identity, so twice is once.
const TRIES: usize = 2;

/// Has it written down that `caller` was refused with `code`, where the call would have changed something. `elsewhere`: the
/// company that it was meant for, where that is another.
pub(super) async fn record<O: Outside>(
    request: &Request,
    found: &Found,
    caller: &Caller,
    code: &str,
    elsewhere: Option<&CompanyId>,
    context: &Context<'_, O>,
) {
    let Some(note) = note(request, found, caller, code, elsewhere) else { return };
    let Ok(body) = serde_json::to_string(&note) else { return };
    let home = Object::Shard(Shard::of(&caller.company));
    for _ in 0..TRIES {
        if context.outside.post(home, AUDIT, body.clone()).await.is_some_and(|said| said.status < 300) {
            return;
        }
    }
    context.outside.log(&json!({"level": "error", "event": "refusal_not_in_trail", "action": note.action, "request_id": request.id}));
}

fn note(request: &Request, found: &Found, caller: &Caller, code: &str, elsewhere: Option<&CompanyId>) -> Option<AuditNote> {
    let target = match found.endpoint {
        Endpoint::PutPolicy | Endpoint::RollBackPolicy => "policy",
        _ => &found.argument,
    };
    Some(AuditNote {
        id: if request.id.is_empty() { String::new() } else { format!("refused-{}", request.id) },
        company: caller.company.clone(),
        actor: caller.owner.to_string(),
        key: caller.key.as_ref().map(|key| key.id.clone()),
        address: request.address,
        action: found.endpoint.action()?.to_owned(),
        target: target.to_owned(),
        outcome: elsewhere.map_or_else(|| code.to_owned(), |company| format!("{code} in {company}")),
        before: Value::Null,
        after: Value::Null,
        request_id: request.id.clone(),
    })
}
