//! Who calls.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

/// Whom a request acts for, as the edge has signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub(crate) claims: Claims,
}

/// What stands in a token. Members that it has besides mean nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: String,
    pub(crate) company: String,
    pub(crate) permissions: Vec<String>,
    pub(crate) act: Actor,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    #[serde(default)]
    pub(crate) nbf: Option<u64>,
}

/// The key that acts for its owner (RFC 8693 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Actor {
    pub(crate) sub: String,
}

impl Identity {
    /// The person whom the request acts for.
    pub fn owner(&self) -> &str {
        &self.claims.sub
    }

    /// The company that it acts in. Owners of two companies may have the same name.
    pub fn company(&self) -> &str {
        &self.claims.company
    }

    /// The public name of the key that was sent: `key_…`.
    pub fn key_id(&self) -> &str {
        &self.claims.act.sub
    }

    /// What the key may do: what its owner may, as far as the key was not restricted. `orders.*` and `*` are wildcards;
    /// [`Identity::may`] knows what they cover.
    pub fn permissions(&self) -> &[String] {
        &self.claims.permissions
    }

    /// Whether the key may do what `permission` names, such as `orders.read`.
    ///
    /// `orders.*` covers whatever begins with `orders.`; `*` covers everything but what begins with `keyward.`; and `keyward.*` covers all of that
    /// but `keyward.operator`.
    pub fn may(&self, permission: &str) -> bool {
        self.claims.permissions.iter().any(|held| covers(held, permission))
    }

    /// When the edge signed this.
    pub fn issued_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.claims.iat)
    }

    /// Until when the token serves: never longer than the key itself.
    pub fn expires_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.claims.exp)
    }
}

fn covers(held: &str, asked: &str) -> bool {
    let below = |stem: &str| asked.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'));
    match held.strip_suffix(".*") {
        _ if held == asked => true,
        _ if held == "*" => !below("keyward"),
        Some("keyward") => below("keyward") && asked != "keyward.operator" && !asked.starts_with("keyward.operator."),
        Some(stem) => below(stem),
        None => false,
    }
}
