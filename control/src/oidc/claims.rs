//! What a token says: for whom it is, from when to when it is valid, and who it speaks of (RFC 7519 §4.1).

use keyward_shared::{
    ids::{CompanyId, OwnerId},
    permission::{MAX_COUNT, OPERATOR, Permission, PermissionSet},
    time::Millis,
};
use serde_json::{Map, Value};

use super::{
    Invalid, Provider,
    jwk::{self, Missing},
    jws::Jws,
};
use crate::{call::Token, time::END};

/// How far the provider's clock may be off, where that makes a token look too new.
const LEEWAY: Millis = Millis::from_secs(60);

/// A token that is for this deployment and valid now, if it is its issuer's.
#[derive(Clone)]
pub struct Unproven<'t> {
    jws: Jws<'t>,
    token: Token,
}

/// Why a token is not proven to be its issuer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disproof {
    /// There is no key to tell by.
    Key(Missing),
    /// It is somebody else's.
    Invalid(Invalid),
}

impl Provider {
    /// Reads `text`, a token of this provider's as it seems. `operator` is the operator's company.
    pub fn read<'t>(&self, text: &'t str, operator: &CompanyId, now: Millis) -> Result<Unproven<'t>, Invalid> {
        let jws = Jws::parse(text)?;
        let claims = Claims(&jws.claims);
        if claims.text("iss")? != self.issuer {
            return Err(Invalid::Issuer);
        }
        if !claims.is_for(&self.audience) {
            return Err(Invalid::Audience);
        }
        let (expires_at, issued_at) = (claims.time("exp")?, claims.time("iat")?);
        let (Some(expires_at), Some(issued_at)) = (expires_at, issued_at) else {
            return Err(wrong(if expires_at.is_none() { "exp" } else { "iat" }, "is missing"));
        };
        if now >= expires_at {
            return Err(Invalid::Expired);
        }
        let latest = now.plus(LEEWAY);
        if issued_at > latest || claims.time("nbf")?.is_some_and(|from| from > latest) {
            return Err(Invalid::Early);
        }
        if jws.claims.contains_key("cnf") {
            // RFC 7800: it is nothing without a proof that is not looked at here.
            return Err(wrong("cnf", "binds it to a key, and such tokens are not taken"));
        }
        let owner = OwnerId::new(claims.text(&self.owner)?).map_err(|error| wrong(&self.owner, error.to_string()))?;
        if self.owner == "email" {
            match jws.claims.get("email_verified") {
                Some(Value::Bool(true)) => {}
                None if !self.verifies_addresses() => {}
                None => return Err(wrong("email_verified", "is missing, and an address that is not verified names nobody")),
                Some(_) => return Err(wrong("email", "is not verified")),
            }
        }
        let company = match &self.company {
            Some(name) => CompanyId::new(claims.text(name)?).map_err(|error| wrong(name, error.to_string()))?,
            None => operator.clone(),
        };
        let permissions = match &self.permissions {
            Some(name) => Some(claims.permissions(name, company == *operator)?),
            None => None,
        };
        let optional = |name: &str| jws.claims.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let (name, email) = (optional("name"), optional("email"));
        let token = Token { company, owner, issuer: self.issuer.clone(), name, email, permissions, issued_at, expires_at };
        Ok(Unproven { jws, token })
    }
}

impl Unproven<'_> {
    /// As an ID token: whether it answers the request that sent `nonce`, and was made for this client (`OpenID` Connect Core
    /// §3.1.3.7). One that is for several must say which of them it was made for.
    pub fn answers(&self, nonce: &str, client: &str) -> Result<(), Invalid> {
        let text = |name: &str| self.jws.claims.get(name).map(|value| value.as_str().unwrap_or_default());
        if text("nonce") != Some(nonce) {
            return Err(Invalid::Nonce);
        }
        let for_several = matches!(self.jws.claims.get("aud"), Some(Value::Array(list)) if list.len() > 1);
        match text("azp") {
            Some(party) if party == client => Ok(()),
            None if !for_several => Ok(()),
            _ => Err(Invalid::Party),
        }
    }

    /// The token, where the key of `keys` (a JSON Web Key set) that it names made it.
    pub fn proven(&self, keys: &str) -> Result<Token, Disproof> {
        let key = jwk::find(keys, self.jws.algorithm, self.jws.kid.as_deref()).map_err(Disproof::Key)?;
        if self.jws.is_signed_by(&key) { Ok(self.token.clone()) } else { Err(Disproof::Invalid(Invalid::Signature)) }
    }
}

fn wrong(name: &str, detail: impl Into<String>) -> Invalid {
    Invalid::Claim(name.to_owned(), detail.into())
}

/// The claims of a token.
struct Claims<'c>(&'c Map<String, Value>);

impl<'c> Claims<'c> {
    fn text(&self, name: &str) -> Result<&'c str, Invalid> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(wrong(name, "must be text")),
            None => Err(wrong(name, "is missing")),
        }
    }

    /// Seconds since 1970 (`NumericDate`), which may have a fraction.
    fn time(&self, name: &str) -> Result<Option<Millis>, Invalid> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| (0.0..=9e15).contains(seconds));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole, not negative, and below 2^53
        let seconds = seconds.map(|seconds| seconds.floor() as u64).map(Millis::from_secs).filter(|at| *at <= END);
        seconds.map(Some).ok_or_else(|| wrong(name, "must be a time in seconds since 1970"))
    }

    /// Whether `aud` is `audience`, or a list with it.
    fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(text)) => text == audience,
            Some(Value::Array(list)) => list.iter().all(Value::is_string) && list.iter().any(|text| text.as_str() == Some(audience)),
            _ => false,
        }
    }

    /// A list of texts, or a text with spaces between them (as `scope` is, RFC 6749 §3.3).
    fn permissions(&self, name: &str, at_operators: bool) -> Result<PermissionSet, Invalid> {
        let texts: Vec<&str> = match self.0.get(name) {
            Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
            Some(Value::Array(list)) => {
                list.iter().map(|text| text.as_str().ok_or_else(|| wrong(name, "must be a list of texts"))).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(wrong(name, "must be a list of permissions")),
            None => return Err(wrong(name, "is missing")),
        };
        if texts.len() > MAX_COUNT {
            return Err(wrong(name, format!("must have at most {MAX_COUNT} permissions")));
        }
        let permission = |(index, text): (usize, &&str)| Permission::new(text).map_err(|error| wrong(name, format!("[{index}] {error}")));
        let permissions: Vec<_> = texts.iter().enumerate().map(permission).collect::<Result<_, _>>()?;
        if !at_operators && permissions.iter().any(|permission| permission.as_str() == OPERATOR) {
            return Err(wrong(name, "has keyward.operator, which is for the operator's company only"));
        }
        PermissionSet::new(permissions).map_err(|error| wrong(name, error.to_string()))
    }
}
