//! What the control Worker and its objects say to each other: an API request with its credential on the way
//! in, an answer and what is left to do on the way out.
//!
//! The Worker checks only what needs no data (size, content type, shape of the credential) and finds the
//! object; the object authenticates, validates and executes in one synchronous turn.

use core::net::IpAddr;

use keyward_shared::{
    digest::Digest,
    feed::Change,
    ids::{CompanyId, KeyId, OwnerId},
    network::Network,
    permission::PermissionSet,
    problem::{Code, FieldError, Problem},
    time::Millis,
};
use serde::{Deserialize, Serialize};

/// Who is calling, as it can be known before any object is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// An API key with a right tag, by its digest.
    Key(Digest),
    /// A session cookie, by the SHA-256 of its token, and the company that the token names.
    Session {
        /// SHA-256 of the token.
        digest: Digest,
        /// The company that it was issued in.
        company: CompanyId,
    },
    /// A caller whom another shard's object has authenticated in this same request: the operator, acting in
    /// a company of this shard.
    Vouched(Caller),
}

/// An authenticated caller and everything that limits what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The company they belong to.
    pub company: CompanyId,
    /// The person.
    pub owner: OwnerId,
    /// The key they call with; `None` for a session.
    pub key: Option<CallingKey>,
    /// What the credential may do now (without `keyward.operator` outside the operator's company).
    pub permissions: PermissionSet,
}

/// The key that a caller calls with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallingKey {
    /// Its public name.
    pub id: KeyId,
    /// Whether it may do more than `whoami`, introspection, reading and revoking itself.
    pub manages_keys: bool,
    /// Whether it is the operator's bootstrap key, which alone among keys makes managers.
    pub bootstrap: bool,
    /// Its own restriction, which what it makes inherits.
    pub restriction: Option<PermissionSet>,
    /// Its networks, which what it makes inherits.
    pub networks: Vec<Network>,
    /// Its expiry, which what it makes inherits.
    pub expires_at: Option<Millis>,
}

/// One request to the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCall {
    /// Upper-case.
    pub method: String,
    /// As sent, percent-encoded, without the query: `/v1/keys/key_…`.
    pub path: String,
    /// As sent, without the question mark.
    pub query: String,
    /// The body as text; empty where there is none. At most 1 MiB.
    pub body: String,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// Names the request in answers, logs and the audit trail.
    pub request_id: String,
    /// The client's address, where it is known.
    pub address: Option<IpAddr>,
    /// Who is calling.
    pub credential: Credential,
    /// The company to act in: the caller's own, or the one that the operator named.
    pub company: CompanyId,
}

/// An answer of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiAnswer {
    /// HTTP status.
    pub status: u16,
    /// Extra headers (`Location`, `ETag`, `WWW-Authenticate`, `Allow`).
    pub headers: Vec<(String, String)>,
    /// `application/json`, or `application/problem+json` from status 400; empty: no body.
    pub body: String,
}

/// Asks the Feed object to tell every edge of changes. Answered by [`Announced`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Subjects with the revision of their change.
    pub changes: Vec<Change>,
}

/// The Feed object's stamp on an announcement, above every stamp that it issued before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// By the Feed object's clock.
    pub announced_at: Millis,
}

/// A refusal inside the control plane; becomes a problem document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub Problem);

impl Refused {
    /// A refusal with `code` and `detail`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Problem::new(code, detail))
    }

    /// 422 with every wrong field.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let mut problem = Problem::new(Code::Unprocessable, "one or more fields cannot be taken; see errors");
        problem.errors = errors;
        Self(problem)
    }
}
