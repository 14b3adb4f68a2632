//! Which credential a request carries, as far as it can be told without asking an object: an API key with a right
//! tag, a token of the identity provider, a session whose token one of the deployment's secrets made, or an assertion
//! of Cloudflare Access. One decides: what does not hold is refused, whatever else the request carries.

use keyward_shared::{digest::Digest, key::ParsedKey, problem::Code, shard::Shard};

use super::{Answer, Context, Outside, Request, tokens};
use crate::{
    call::{Credential, Token},
    session,
    settings::ControlSettings,
};

/// A credential and the shard whose object knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Presented {
    pub(super) credential: Credential,
    pub(super) shard: Shard,
}

impl From<Token> for Presented {
    fn from(token: Token) -> Self {
        let shard = Shard::of(&token.company);
        Self { credential: Credential::Token(token), shard }
    }
}

/// What the two headers for keys carry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent<'a> {
    Nothing,
    One(&'a str),
    Ambiguous,
}

/// The credential of a call of the API. A key or a token goes before what browsers send by themselves: only a program sends
/// one. Of the latter a session goes first: somebody began it here.
pub(super) async fn of_call<O: Outside>(request: &Request, context: &Context<'_, O>) -> Result<Presented, Answer> {
    let (headers, settings) = (&request.headers, context.settings);
    match sent(headers.x_api_key.as_deref(), headers.authorization.as_deref()) {
        Sent::Ambiguous => Err(request.refuse(Code::AmbiguousCredentials, "send one key, in x-api-key or as Authorization: Bearer")),
        Sent::One(text) => match &settings.oidc {
            Some(provider) if tokens::looks_like_one(text) && headers.x_api_key.as_deref().is_none_or(str::is_empty) => {
                tokens::verify(request, provider, text, context).await.map(Presented::from)
            }
            _ => key(text, settings).map_err(|detail| request.refuse(Code::Unauthenticated, detail)),
        },
        Sent::Nothing => {
            let presented = match (of_session(request, settings), &settings.access, &headers.access_assertion) {
                (Some(presented), ..) => presented,
                (None, Some(provider), Some(assertion)) => tokens::verify(request, provider, assertion, context).await?.into(),
                _ => return Err(request.refuse(Code::Unauthenticated, "send an API key, or sign in")),
            };
            check_origin(request)?;
            Ok(presented)
        }
    }
}

/// The session of a request, where its cookie carries one.
pub(super) fn of_session(request: &Request, settings: &ControlSettings) -> Option<Presented> {
    let token = cookie(request.headers.cookie.as_deref()?, session::COOKIE)?;
    let (company, digest) = session::read(token, &settings.session_secrets)?;
    let shard = Shard::of(&company);
    Some(Presented { credential: Credential::Session { digest, company }, shard })
}

/// A browser sends its cookies along with whatever any page makes it send; so what changes something must come from a
/// page of this origin.
pub(super) fn check_origin(request: &Request) -> Result<(), Answer> {
    if request.is_safe() || request.is_same_origin() {
        return Ok(());
    }
    Err(request.refuse(Code::Forbidden, "without a key or a token of its own, only a page of this site may do this"))
}

fn key(text: &str, settings: &ControlSettings) -> Result<Presented, &'static str> {
    let parsed = ParsedKey::parse(text.as_bytes()).map_err(|_| "this is not an API key")?;
    let digest = of_this_deployment(&parsed, settings).ok_or("this API key is not known")?;
    Ok(Presented { credential: Credential::Key(digest), shard: parsed.shard() })
}

/// The digest of a key whose prefix and tag are this deployment's: nobody makes such a key up.
pub(super) fn of_this_deployment(key: &ParsedKey<'_>, settings: &ControlSettings) -> Option<Digest> {
    let digest = key.digest();
    let known = settings.common.prefixes.contains(key.prefix());
    (known && settings.common.tag_secrets.made(key.tag(), key.shard(), &digest)).then_some(digest)
}

/// The runtime joins a repeated header with a comma, and no key has one: a comma is refused, not guessed at.
fn sent<'a>(x_api_key: Option<&'a str>, authorization: Option<&'a str>) -> Sent<'a> {
    if [x_api_key, authorization].into_iter().flatten().any(|value| value.contains(',')) {
        return Sent::Ambiguous;
    }
    match (x_api_key.filter(|value| !value.is_empty()), authorization.and_then(bearer)) {
        (None, None) => Sent::Nothing,
        (Some(one), None) | (None, Some(one)) => Sent::One(one),
        (Some(a), Some(b)) if a == b => Sent::One(a),
        (Some(_), Some(_)) => Sent::Ambiguous,
    }
}

/// The token of a Bearer credential (RFC 6750 §2.1), after one space; `None` for other schemes.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The only cookie `name` (RFC 6265 §4.2.1). Two of a name with the prefix `__Host-` cannot come from one browser.
pub(super) fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut values = header.split(';').filter_map(|pair| pair.trim().split_once('=')).filter(|(known, _)| *known == name);
    let (_, value) = values.next()?;
    (values.next().is_none() && !value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_either_header_and_two_are_refused() {
        for (x_api_key, authorization, expected) in [
            (None, None, Sent::Nothing),
            (Some(""), None, Sent::Nothing),
            (Some("k"), None, Sent::One("k")),
            (None, Some("Bearer k"), Sent::One("k")),
            (None, Some("bEARER k"), Sent::One("k")),
            (None, Some("Bearer  k"), Sent::One(" k")),
            (None, Some("Bearer"), Sent::Nothing),
            (None, Some("Bearer "), Sent::Nothing),
            (None, Some("Basic k"), Sent::Nothing),
            (None, Some("Token k"), Sent::Nothing),
            (Some("k"), Some("Bearer k"), Sent::One("k")),
            (Some("k"), Some("Bearer j"), Sent::Ambiguous),
            (Some("k, k"), None, Sent::Ambiguous),
            (None, Some("Bearer k, Bearer k"), Sent::Ambiguous),
        ] {
            assert!(sent(x_api_key, authorization) == expected, "{x_api_key:?} {authorization:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others_and_refused_twice() {
        assert_eq!(cookie("a=1; __Host-keyward=t; b=2", "__Host-keyward"), Some("t"));
        assert_eq!(cookie("__Host-keyward=t", "__Host-keyward"), Some("t"));
        for none in ["", "a=1", "x__Host-keyward=t", "__Host-keyward=", "__Host-keyward=t; __Host-keyward=u", "__host-keyward=t"] {
            assert_eq!(cookie(none, "__Host-keyward"), None, "{none}");
        }
    }
}
