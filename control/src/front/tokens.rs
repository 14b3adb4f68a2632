//! Whether a token is its issuer's: fetches the issuer's keys and holds the token against them. What is taken and what is
//! not is `oidc`'s business. An issuer that cannot be reached is 503, never 401: then nobody knows.

use keyward_shared::problem::Code;
use serde_json::json;

use super::{Answer, Context, Outside, Request, documents::NotFetched};
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
        Ok(Ok(token)) => Ok(token),
        Ok(Err(invalid)) => Err(refused(invalid)),
        Err(trouble) => {
            if let Trouble::Unusable(why) = &trouble {
                let line = json!({"level": "error", "event": "identity_provider_unusable", "request_id": request.id, "because": why});
                context.outside.log(&line);
            }
            let answer = request.refuse(Code::Unavailable, "the keys of the token's issuer cannot be fetched; try again");
            Err(answer.with("Retry-After", "10"))
        }
    }
}

/// Why a provider's documents do not help.
pub(super) enum Trouble {
    /// They do not come, which will pass.
    Away,
    /// They come, or are not there, and it stays so until somebody sets something right: why.
    Unusable(String),
}

impl From<NotFetched> for Trouble {
    fn from(not: NotFetched) -> Self {
        match not {
            NotFetched::Unreachable => Self::Away,
            NotFetched::Refused(status) => {
                Self::Unusable(format!("the identity provider answers {status} where its configuration or its keys should be"))
            }
        }
    }
}

/// What `read` finds in a provider's configuration: in the one that is known, else in the one that is there now. An error of `read`
/// says what is wrong with it.
pub(super) async fn configured<O: Outside, T>(
    at: &str,
    context: &Context<'_, O>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Trouble> {
    let Context { outside, documents, now, .. } = *context;
    match read(&documents.get(outside, now, at).await?) {
        Ok(found) => Ok(found),
        Err(_) => read(&documents.again(outside, now, at).await?).map_err(Trouble::Unusable),
    }
}

/// Holds a token against its issuer's keys.
pub(super) async fn prove<O: Outside>(
    unproven: &Unproven<'_>,
    provider: &Provider,
    context: &Context<'_, O>,
) -> Result<Result<Token, Invalid>, Trouble> {
    let Context { outside, documents, now, .. } = *context;
    let url = match &provider.keys {
        Keys::At(url) => url.clone(),
        Keys::Discovered(at) => {
            let read = |configuration: &str| provider.discovered(configuration).ok_or_else(|| provider.fault(configuration, &[]));
            configured(at, context, read).await?
        }
    };
    let mut outcome = unproven.proven(&documents.get(outside, now, &url).await?);
    if matches!(outcome, Err(Disproof::Key(_))) {
        // Keys are rotated: the one that is missing may be new.
        outcome = unproven.proven(&documents.again(outside, now, &url).await?);
    }
    match outcome {
        Ok(token) => Ok(Ok(token)),
        Err(Disproof::Invalid(invalid)) => Ok(Err(invalid)),
        Err(Disproof::Key(Missing::NoKey)) => Ok(Err(Invalid::UnknownKey)),
        Err(Disproof::Key(Missing::NoKeySet)) => Err(Trouble::Unusable("what the identity provider has as its keys is no key set".into())),
    }
}
