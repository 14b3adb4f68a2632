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
    link::SignInLink,
    network::Network,
    permission::PermissionSet,
    policy::Policy,
    problem::{Code, FieldError, Problem},
    shard::Shard,
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
    /// A token of an identity provider that the Worker has verified: the only word on who is calling that it gives itself.
    Token(Token),
    /// A caller whom another shard's object has authenticated in this same request: the operator, acting in
    /// a company of this shard.
    Vouched(Caller),
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The company of whom it speaks.
    pub company: CompanyId,
    /// Of whom it speaks.
    pub owner: OwnerId,
    /// Who made it.
    pub issuer: String,
    /// What people call them, as it stands there: unchecked.
    pub name: Option<String>,
    /// Where they can be written to, as it stands there: unchecked.
    pub email: Option<String>,
    /// What they may do, where the issuer has a say in that.
    pub permissions: Option<PermissionSet>,
    /// When it was made, by the issuer's clock, in whole seconds.
    pub issued_at: Millis,
    /// From when on it is no longer valid.
    pub expires_at: Millis,
}

/// An authenticated caller and everything that limits what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The company they belong to.
    pub company: CompanyId,
    /// The person.
    pub owner: OwnerId,
    /// The key they call with; `None` for a session or a token: a person who is signed in.
    pub key: Option<CallingKey>,
    /// Whether they call with a token of an identity provider.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub token: bool,
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
    /// The company to act in, where the request names one (`?company=`, or the path of `/v1/companies/{company}`);
    /// `None`: the caller's own.
    pub company: Option<CompanyId>,
    /// The origin that the request was sent to (`https://control.example`), for links where no public URL is set.
    pub origin: String,
    /// The route policy as the Registry has it, for a call that needs it; `None`: not needed, or not to be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
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

/// To a Shard or the Registry object, `POST`: [`ApiCall`], answered by [`ApiAnswer`].
pub const API: &str = "/control/api";
/// To a Shard object, `POST`: [`Authenticate`], answered by [`Caller`] (200) or a problem document.
pub const AUTHENTICATE: &str = "/control/authenticate";
/// To a Shard object, `POST`: [`Redeem`], answered by [`Redeemed`] (200) or a problem document.
pub const REDEEM: &str = "/control/redeem";
/// To a Shard object, `POST`: [`BeginSession`], answered by [`Redeemed`] (200) or a problem document.
pub const BEGIN_SESSION: &str = "/control/begin-session";
/// To a Shard object, `POST`: [`SignOut`], answered by 204.
pub const SIGN_OUT: &str = "/control/sign-out";
/// To a Shard object, `POST`: [`EndSessions`], answered by 204 or a problem document.
pub const END_SESSIONS: &str = "/control/end-sessions";
/// To a Shard object, `POST`: [`AuditNote`], answered by 204.
pub const AUDIT: &str = "/control/audit";
/// To a Shard object, `POST`: [`LeakReport`], answered by [`LeaksTaken`].
pub const LEAKED: &str = "/control/leaked";
/// To a Feed object, `POST`: [`Announcement`], answered by [`Announced`].
pub const ANNOUNCE: &str = "/control/announce";
/// To the Registry object, `POST`: [`CompanyNotice`], answered by 204.
pub const COMPANY: &str = "/control/company";
/// To the Registry object, `POST`: [`PolicyRestored`], answered by 204.
pub const POLICY_RESTORED: &str = "/control/policy-restored";

/// To the Registry object, `POST` with an empty body: the present [`keyward_shared::policy::StoredPolicy`], as JSON.
pub const READ_POLICY: &str = "/control/policy";

/// To the Registry object, `POST`: [`Claims`], answered by [`Claimed`].
pub const CLAIM: &str = "/control/claim";
/// To a Shard object, `POST`: [`AskPortion`], answered by [`Portion`].
pub const PORTION: &str = "/control/portion";

/// Asks for the next part of an answer that is too long for one message. Each part is authorized anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskPortion {
    /// The request.
    pub call: ApiCall,
    /// [`Portion::next`] of the part before; `None`: the first part.
    pub after: Option<String>,
}

/// A part of a long answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// A refusal, or 200 with whole lines; of an answer that is one document all of it comes in the last part.
    pub answer: ApiAnswer,
    /// Where the next part begins; `None`: this is the last one. Not for callers: it is not signed.
    pub next: Option<String>,
    /// In the last part: the members of a last line, to which whoever passes the lines on adds `sha256`, the SHA-256 of all
    /// lines before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<serde_json::Map<String, serde_json::Value>>,
}

/// To a Shard object, `POST`: [`ImportPart`], answered by [`ImportAnswer`].
pub const IMPORT: &str = "/control/import";

/// A part of a company's backup on its way in. The parts of one import come one after the other; each may come again where
/// its answer was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportPart {
    /// The request, without its body.
    pub call: ApiCall,
    /// Which import: nobody can guess it.
    pub id: String,
    /// What is to be done.
    pub step: ImportStep,
}

/// What is to be done in an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStep {
    /// Take lines.
    Lines {
        /// The number of the part, from 0.
        number: u64,
        /// Whole lines.
        text: String,
        /// In the last part: the SHA-256 of all lines of the file before its last one.
        seal: Option<String>,
    },
    /// There is nothing more to come: forget what came.
    Abandon {
        /// What is wrong with the file, where that is known: the import is refused.
        because: Option<String>,
    },
}

/// What became of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportAnswer {
    /// The next part is wanted.
    Further,
    /// The same part again: what an earlier import left is not yet removed.
    Again,
    /// The answer to the whole import.
    Answer(ApiAnswer),
}

/// Asks who a credential stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticate {
    /// A key, a session or a token.
    pub credential: Credential,
    /// The client's address, where it is known.
    pub address: Option<IpAddr>,
    /// Names the request in the problem document.
    pub request_id: String,
}

/// Asks to sign somebody in with a link whose token the Worker has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redeem {
    /// What the token says.
    pub link: SignInLink,
    /// The client's address, where it is known.
    pub address: Option<IpAddr>,
    /// Names the request in the audit trail and the problem document.
    pub request_id: String,
}

/// Asks to sign somebody in who has signed in at the identity provider: the Worker has verified the ID token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginSession {
    /// What the ID token says.
    pub token: Token,
    /// What no other sign-in has: it counts once.
    pub nonce: String,
    /// From when on the nonce need not be remembered: a sign-in that was begun with it is too late by itself.
    pub until: Millis,
    /// The client's address, where it is known.
    pub address: Option<IpAddr>,
    /// Names the request in the audit trail and the problem document.
    pub request_id: String,
}

/// A session that was begun. `Debug` prints nothing of the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redeemed {
    /// The session's token, for the cookie.
    pub token: String,
    /// For how long it lasts.
    pub max_age_s: u64,
}

impl core::fmt::Debug for Redeemed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Redeemed({} s, redacted)", self.max_age_s)
    }
}

/// Asks to end a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOut {
    /// SHA-256 of the token.
    pub digest: Digest,
    /// The company that the token names.
    pub company: CompanyId,
    /// The client's address, where it is known.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// Names the request in the audit trail.
    pub request_id: String,
}

/// Asks to end all sessions of whom a credential stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndSessions {
    /// A session or a token.
    pub credential: Credential,
    /// The client's address, where it is known.
    pub address: Option<IpAddr>,
    /// Names the request in the audit trail and the problem document.
    pub request_id: String,
}

/// Something that another object did for a caller whose trail is kept here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditNote {
    /// Unique: the same note delivered twice is written once.
    pub id: String,
    /// Whose trail it belongs to.
    pub company: CompanyId,
    /// The person who did it.
    pub actor: String,
    /// The key that it was done with.
    pub key: Option<KeyId>,
    /// From where.
    pub address: Option<IpAddr>,
    /// What: `company.delete`, `policy.put`.
    pub action: String,
    /// To what.
    pub target: String,
    /// `done`, or the code of the refusal.
    pub outcome: String,
    /// What there was before, without secrets.
    pub before: serde_json::Value,
    /// What there is now, without secrets.
    pub after: serde_json::Value,
    /// Names the request.
    pub request_id: String,
}

/// The most keys in one [`LeakReport`].
pub const MAX_LEAKS: usize = 1_000;

/// Tells a Shard object of keys that were found where they do not belong. All of them are revoked in one turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakReport {
    /// The keys, at most [`MAX_LEAKS`]; their tags are this deployment's.
    pub leaks: Vec<Leak>,
    /// From where the report came.
    pub address: Option<IpAddr>,
    /// Names the request in the audit trail.
    pub request_id: String,
}

/// A key that was found, by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// Which key.
    pub digest: Digest,
    /// Who says so: `open` or `github:<where it was found>`.
    pub source: String,
    /// Where it was found; without the key.
    pub url: Option<String>,
}

/// What a Shard object did about a [`LeakReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaksTaken {
    /// The keys that are, or once were, keys of this shard.
    pub known: Vec<Digest>,
    /// How many of them were revoked by this report.
    pub revoked: usize,
}

/// Tells the Registry of a company that was made, changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanyNotice {
    /// Which.
    pub company: CompanyId,
    /// Where its data lies.
    pub shard: Shard,
    /// Of the change; a notice with a lower one than a known one is old.
    pub rev: u64,
    /// The company as `GET /v1/companies/{company}` answers it; `None`: deleted.
    pub object: Option<serde_json::Value>,
}

/// Claims the digests of imported keys for a shard: all or none. A digest belongs to the first shard that claims it, for
/// good; to claim it again is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For which shard.
    pub shard: Shard,
    /// Which.
    pub digests: Vec<Digest>,
}

/// What became of [`Claims`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// The places, from 0, of the digests that another shard has; empty: all are claimed.
    pub taken: Vec<usize>,
}

/// Tells the Registry that its object was restored from a backup: the policy as it is there now is to be announced and
/// published as a new one. Taken twice it does so twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRestored {
    /// The operator who says so.
    pub by: OwnerId,
}

/// Asks the Feed object to tell every edge of changes. Answered by [`Announced`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Subjects with the revision of their change.
    pub changes: Vec<Change>,
    /// The highest [`Announced::stamp`] that the announcing object ever got: a Feed object that has issued none so high has
    /// lost some of its storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Millis>,
    /// The operator says that the Feed object's storage was restored.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub restored: bool,
}

/// The Feed object's stamps on an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// When the change counts as announced: no feed that lacks it was ever issued at this time or later.
    pub announced_at: Millis,
    /// The feed's own stamp, above every one that it issued before: what is to be told as [`Announcement::seen`] the next
    /// time. Earlier than `announced_at` only where the feed has just begun.
    #[serde(default)]
    pub stamp: Millis,
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

#[cfg(test)]
mod tests {
    use keyward_shared::feed::Subject;

    use super::*;

    #[test]
    fn messages_have_their_golden_form_and_announcements_of_an_earlier_version_are_read() {
        let changes = vec![Change(Subject::policy(), 7)];
        let plain = Announcement { changes: changes.clone(), seen: None, restored: false };
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#"{"changes":[["431ebbce3765e837",7]]}"#);
        assert_eq!(serde_json::from_str::<Announcement>(r#"{"changes":[["431ebbce3765e837",7]]}"#).unwrap(), plain);
        let seen = Announcement { changes, seen: Some(Millis(5)), restored: true };
        assert_eq!(serde_json::to_string(&seen).unwrap(), r#"{"changes":[["431ebbce3765e837",7]],"seen":5,"restored":true}"#);
        assert_eq!(serde_json::from_str::<Announcement>(&serde_json::to_string(&seen).unwrap()).unwrap(), seen);
        let announced = Announced { announced_at: Millis(9), stamp: Millis(6) };
        assert_eq!(serde_json::to_string(&announced).unwrap(), r#"{"announced_at":9,"stamp":6}"#);
        let earlier = serde_json::from_str::<Announced>(r#"{"announced_at":9}"#).unwrap();
        assert_eq!(earlier, Announced { announced_at: Millis(9), stamp: Millis(0) });
        let restored = PolicyRestored { by: OwnerId::new("admin").unwrap() };
        assert_eq!(serde_json::to_string(&restored).unwrap(), r#"{"by":"admin"}"#);
        let claims = Claims { shard: "MDeu".parse().unwrap(), digests: vec![Digest::from_bytes([0xab; 32])] };
        assert_eq!(serde_json::to_string(&claims).unwrap(), format!(r#"{{"shard":"MDeu","digests":["{}"]}}"#, "ab".repeat(32)));
        assert_eq!(serde_json::to_string(&Claimed { taken: vec![0, 3] }).unwrap(), r#"{"taken":[0,3]}"#);
    }
}
