//! Which object answers a call, and as whom it is asked: only the operator reaches another company's.

use keyward_shared::{
    ids::CompanyId,
    permission::OPERATOR,
    policy::{Policy, StoredPolicy},
    problem::Code,
    shard::Shard,
};

use super::{Answer, Context, Object, Outside, Request, answer::passed_on, credential, refusals, unavailable};
use crate::{
    call::{AUTHENTICATE, ApiCall, Authenticate, Caller, Credential, READ_POLICY},
    route::{self, Endpoint, Found},
};

/// The longest idempotency key, in characters.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// The company that a call names, and what a caller is told who may not act there.
struct Named {
    company: CompanyId,
    refusal: Code,
}

/// A call and the object that answers it.
pub(super) struct Addressed {
    pub(super) object: Object,
    pub(super) call: ApiCall,
    /// Where the caller is from another shard: who said who the caller is.
    pub(super) home: Option<Home>,
}

/// The object that knows a caller whom another one is to believe in, and the question that it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    object: Object,
    question: Authenticate,
}

impl Home {
    /// The caller as of now: in a long exchange a credential may be revoked.
    pub(super) async fn caller<O: Outside>(&self, objects: &O) -> Result<Caller, Option<Answer>> {
        let body = serde_json::to_string(&self.question).map_err(|_| None)?;
        let said = objects.post(self.object, AUTHENTICATE, body).await.ok_or(None)?;
        match said.status {
            200 => serde_json::from_str(&said.body).map_err(|_| None),
            401 | 403 => Err(Some(passed_on(said.status, said.body))),
            _ => Err(None),
        }
    }
}

/// Finds who calls and which object answers; only the operator reaches another shard's companies.
pub(super) async fn addressed<O: Outside>(
    request: &Request,
    found: &Found,
    body: &str,
    context: &Context<'_, O>,
) -> Result<Addressed, Answer> {
    if request.headers.idempotency_key.as_ref().is_some_and(|key| key.is_empty() || key.chars().count() > MAX_IDEMPOTENCY_KEY) {
        return Err(request.refuse(Code::InvalidRequest, "Idempotency-Key must be 1 to 255 characters long"));
    }
    let presented = credential::of_call(request, context).await?;
    let named = named_company(request, found, body)?;

    let shard = named.as_ref().map_or(presented.shard, |named| Shard::of(&named.company));
    let question = Authenticate { credential: presented.credential.clone(), address: request.address, request_id: request.id.clone() };
    let home = Home { object: Object::Shard(presented.shard), question };
    let authenticate = async || home.caller(context.outside).await.map_err(|refused| refused.unwrap_or_else(|| unavailable(request)));
    let (object, credential) = if found.endpoint.home() == route::Home::Registry {
        (Object::Registry, Credential::Vouched(authenticate().await?))
    } else if shard == presented.shard {
        (Object::Shard(shard), presented.credential)
    } else {
        let caller = authenticate().await?;
        let is_operator = caller.company == context.settings.common.operator_company && caller.permissions.allows_str(OPERATOR);
        if !is_operator {
            let code = named.as_ref().map_or(Code::NotFound, |named| named.refusal);
            let elsewhere = named.as_ref().map(|named| &named.company);
            refusals::record(request, found, &caller, code.as_str(), elsewhere, context).await;
            return Err(request.refuse(code, "only the operator acts in another company"));
        }
        (Object::Shard(shard), Credential::Vouched(caller))
    };
    let policy = if found.endpoint == Endpoint::ExplainKey { policy(context).await } else { None };
    let call = ApiCall {
        method: if request.is_safe() { "GET".into() } else { request.method.clone() },
        path: request.target.path.clone(),
        query: request.target.query.clone(),
        body: body.into(),
        idempotency_key: request.headers.idempotency_key.clone(),
        if_match: request.headers.if_match.clone(),
        request_id: request.id.clone(),
        address: request.address,
        credential,
        company: named.map(|named| named.company),
        origin: request.target.origin.clone(),
        policy,
    };
    let vouched = matches!(call.credential, Credential::Vouched(_));
    Ok(Addressed { object, call, home: vouched.then_some(home) })
}

/// The company that a call is to act in, where it names one: in its path, as `?company=`, or, for a sign-in link, in its
/// body.
fn named_company(request: &Request, found: &Found, body: &str) -> Result<Option<Named>, Answer> {
    let passed_over = || request.refuse(Code::InvalidRequest, "unknown parameter: company");
    if found.endpoint.names_company() {
        if request.parameter("company")?.is_some_and(|text| text != found.argument) {
            return Err(passed_over()); // the path says which company
        }
        let company = CompanyId::new(&found.argument).map_err(|_| request.refuse(Code::NotFound, "there is no such company"))?;
        return Ok(Some(Named { company, refusal: Code::Forbidden }));
    }
    if found.endpoint.home() == route::Home::Registry && request.parameter("company")?.is_some() {
        return Err(passed_over()); // it is about no company
    }
    let inside = (found.endpoint == Endpoint::CreateSignInLink).then(|| company_in(body)).flatten();
    let (text, refusal) = match (request.parameter("company")?, inside) {
        (Some(query), Some(inside)) if query != inside => {
            return Err(request.refuse(Code::InvalidRequest, "the body names another company than the query"));
        }
        (Some(query), _) => (Some(query), Code::NotFound),
        (None, inside) => (inside, Code::Forbidden),
    };
    let Some(text) = text else { return Ok(None) };
    let company = CompanyId::new(&text).map_err(|_| request.refuse(Code::NotFound, "there is no such company"))?;
    Ok(Some(Named { company, refusal }))
}

/// The member `company` of a JSON object. Whether the rest of it is right is the object's to say.
fn company_in(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(body.get("company")?.as_str()?.to_owned())
}

/// The route policy, which the Registry keeps. Without it the object answers whoever may not ask, and everybody else that
/// this part is missing.
async fn policy<O: Outside>(context: &Context<'_, O>) -> Option<Policy> {
    let said = context.outside.post(Object::Registry, READ_POLICY, String::new()).await.filter(|said| said.status == 200)?;
    serde_json::from_str::<StoredPolicy>(&said.body).ok().map(|stored| stored.policy)
}
