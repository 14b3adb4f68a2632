//! Whether a token is its issuer's: fetches the issuer's keys and holds the token against them. What is taken and what is
//! not is `oidc`'s business. An issuer that cannot be reached is 503, never 401: then nobody knows.

use keyward_shared::problem::Code;

use super::{Answer, Context, Outside, Request};
use crate::{
    call::Token,
    oidc::{Invalid, Missing, Provider, Unproven, claims::Disproof, provider::Keys},
};

/// Whether a Bearer credential is to be read as a token: it has the two dots, which no key has.
pub(super) fn looks_like_one(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Verifies `text` as a token of `provider`.
pub(super) async fn verify<O: Outside>(
    request: &Request,
    provider: &Provider,
    text: &str,
    context: &Context<'_, O>,
) -> Result<Token, Answer> {
    let refused = |invalid: Invalid| request.refuse(Code::Unauthenticated, &invalid.to_string());
    // What it says is looked at first: a token that is no good costs the issuer nothing.
    let unproven = provider.read(text, &context.settings.common.operator_company, context.now).map_err(refused)?;
    match prove(&unproven, provider, context).await {
        Some(Ok(token)) => Ok(token),
        Some(Err(invalid)) => Err(refused(invalid)),
        None => {
            let answer = request.refuse(Code::Unavailable, "the keys of the token's issuer cannot be fetched; try again");
            Err(answer.with("Retry-After", "10"))
        }
    }
}

/// What `read` finds in a provider's configuration: in the one that is known, else in the one that is there now.
pub(super) async fn configured<O: Outside, T>(at: &str, context: &Context<'_, O>, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    let Context { outside, documents, now, .. } = *context;
    match read(&documents.get(outside, now, at).await.ok()?) {
        Some(found) => Some(found),
        None => read(&documents.again(outside, now, at).await.ok()?),
    }
}

/// Holds a token against its issuer's keys; `None` where they are not to be had.
pub(super) async fn prove<O: Outside>(
    unproven: &Unproven<'_>,
    provider: &Provider,
    context: &Context<'_, O>,
) -> Option<Result<Token, Invalid>> {
    let Context { outside, documents, now, .. } = *context;
    let url = match &provider.keys {
        Keys::At(url) => url.clone(),
        Keys::Discovered(at) => configured(at, context, |configuration| provider.discovered(configuration)).await?,
    };
    let mut outcome = unproven.proven(&documents.get(outside, now, &url).await.ok()?);
    if matches!(outcome, Err(Disproof::Key(_))) {
        // Keys are rotated: the one that is missing may be new.
        outcome = unproven.proven(&documents.again(outside, now, &url).await.ok()?);
    }
    match outcome {
        Ok(token) => Some(Ok(token)),
        Err(Disproof::Invalid(invalid)) => Some(Err(invalid)),
        Err(Disproof::Key(Missing::NoKey)) => Some(Err(Invalid::UnknownKey)),
        Err(Disproof::Key(Missing::NoKeySet)) => None,
    }
}
