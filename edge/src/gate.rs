//! One request at the gate: path, policy and credential together, in the order that reads the least. A
//! made-up key is refused before anything is read; the policy is asked before a cold key's record.

use core::net::IpAddr;
use std::rc::Rc;

use keyward_shared::{
    decide::{self, Refusal},
    path,
    permission::Permission,
    policy::{CompiledPolicy, Requirement},
    problem::Code,
    time::Millis,
};

use crate::{
    credentials::{self, Sent, Source},
    verifier::{Attempt, Held, PolicyStanding, Progress, Verdict, Verifier},
};

/// What the gate has to know of a request.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// As sent.
    pub method: &'a str,
    /// As sent, without the query.
    pub path: &'a str,
    /// The credential headers, extracted.
    pub sent: Sent<'a>,
    /// `Access-Control-Request-Method` of an OPTIONS request with an `Origin`: a CORS preflight.
    pub preflight: Option<&'a str>,
    /// The client's address.
    pub address: Address,
}

/// The client's address, as far as somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Not looked up yet: finding it costs, and few keys need it.
    NotAsked,
    /// Looked up; this or unknown.
    Asked(Option<IpAddr>),
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Passes as the key's owner.
    Pass(Rc<Held>),
    /// Passes without a credential and without an identity.
    PassAnonymous,
    /// Passes with its own Bearer, which is the origin's business.
    PassBearer,
    /// Does not pass.
    Refuse(Refused),
    /// Ask again with the client's address.
    NeedAddress,
}

/// A refusal with what its answer says.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Which.
    pub code: Code,
    /// What exactly; empty: the code says it all.
    pub detail: String,
    /// The permission that was missing.
    pub permission: Option<Permission>,
    /// The real key that the request carried, where it did.
    pub held: Option<Rc<Held>>,
}

impl Refused {
    fn new(code: Code) -> Self {
        Self { code, detail: String::new(), permission: None, held: None }
    }
}

impl Outcome {
    fn refuse(code: Code) -> Progress<Self> {
        Progress::Done(Self::Refuse(Refused::new(code)))
    }

    /// The real key that the request carried, where it did.
    pub fn held(&self) -> Option<&Rc<Held>> {
        match self {
            Self::Pass(held) => Some(held),
            Self::Refuse(refused) => refused.held.as_ref(),
            Self::PassAnonymous | Self::PassBearer | Self::NeedAddress => None,
        }
    }

    /// The key that was used, and whether it was let in; for counting. A key that does not authenticate any more was not
    /// used.
    pub fn used(&self) -> Option<(&Rc<Held>, bool)> {
        let held = self.held()?;
        match self {
            Self::Refuse(refused) => (refused.code.status() != 401).then_some((held, false)),
            Self::Pass(_) | Self::PassAnonymous | Self::PassBearer | Self::NeedAddress => Some((held, true)),
        }
    }
}

/// The request's rule, in the policy that it is of.
struct Asked {
    policy: Rc<CompiledPolicy>,
    rule: Option<usize>,
    /// The policy is older than the bound: only an anonymous rule still counts.
    outdated: bool,
}

impl Asked {
    fn requirement(&self) -> Requirement<'_> {
        self.policy.requirement_of(self.rule)
    }

    fn leaves_bearer_to_origin(&self) -> bool {
        !self.outdated && matches!(self.requirement(), Requirement::Key { bearer_to_origin: true, .. })
    }
}

/// Decides about a request at `now`, or names the read without which it cannot.
pub fn evaluate(verifier: &mut Verifier, facts: &Facts<'_>, now: Millis, attempt: &mut Attempt) -> Progress<Outcome> {
    if let Err(why) = path::check(facts.path) {
        return Progress::Done(Outcome::Refuse(Refused { detail: why.to_string(), ..Refused::new(Code::AmbiguousPath) }));
    }
    match facts.sent {
        Sent::Ambiguous => Outcome::refuse(Code::AmbiguousCredentials),
        Sent::Nothing => without_credential(verifier, facts, now, attempt),
        Sent::One(text, source) => with_credential(verifier, facts, text, source, now, attempt),
    }
}

fn without_credential(verifier: &mut Verifier, facts: &Facts<'_>, now: Millis, attempt: &mut Attempt) -> Progress<Outcome> {
    let asked = match asked(verifier, facts, now, attempt) {
        Progress::Done(Some(asked)) => asked,
        Progress::Done(None) => return Outcome::refuse(Code::VerifierUnavailable),
        Progress::Need(read) => return Progress::Need(read),
    };
    match asked.requirement() {
        Requirement::Anonymous => Progress::Done(Outcome::PassAnonymous),
        _ if asked.outdated => Outcome::refuse(Code::VerifierUnavailable),
        Requirement::Key { .. } if facts.preflight.is_some() => Progress::Done(Outcome::PassAnonymous),
        Requirement::Key { .. } | Requirement::Denied => Outcome::refuse(Code::MissingCredentials),
    }
}

fn with_credential(
    verifier: &mut Verifier,
    facts: &Facts<'_>,
    text: &str,
    source: Source,
    now: Millis,
    attempt: &mut Attempt,
) -> Progress<Outcome> {
    let verdict = match verifier.verify(text.as_bytes(), now, attempt) {
        // Not a key at all, in Authorization: it may be the application's own, if the route says so.
        Progress::Done(Verdict::Refused(Code::MalformedKey))
            if source == Source::Bearer && !credentials::resembles_a_key(text, &verifier.settings().prefixes) =>
        {
            return match asked(verifier, facts, now, attempt) {
                Progress::Done(Some(asked)) if asked.leaves_bearer_to_origin() => Progress::Done(Outcome::PassBearer),
                Progress::Done(_) => Outcome::refuse(Code::MalformedKey),
                Progress::Need(read) => Progress::Need(read),
            };
        }
        Progress::Done(Verdict::Refused(code)) => return Outcome::refuse(code),
        Progress::Done(Verdict::Known(held)) => Ok(held),
        Progress::Done(Verdict::Unavailable) => Err(None),
        Progress::Need(read) => Err(Some(read)),
    };
    let held = match verdict {
        Ok(held) => held,
        Err(None) => return Outcome::refuse(Code::VerifierUnavailable),
        Err(Some(read)) => return Progress::Need(read),
    };
    if let Err(refusal) = decide::authenticate(&held.record, now) {
        return Progress::Done(Outcome::Refuse(Refused { held: Some(held), ..Refused::new(refusal.code()) }));
    }
    let asked = match asked(verifier, facts, now, attempt) {
        Progress::Done(Some(asked)) => asked,
        Progress::Done(None) => return Outcome::refuse(Code::VerifierUnavailable),
        Progress::Need(read) => return Progress::Need(read),
    };
    let required = match asked.requirement() {
        Requirement::Anonymous => None,
        _ if asked.outdated => return Outcome::refuse(Code::VerifierUnavailable),
        Requirement::Key { permission, .. } => permission,
        Requirement::Denied => None,
    };
    let address = match facts.address {
        Address::NotAsked if !held.record.networks.is_empty() => return Progress::Done(Outcome::NeedAddress),
        Address::NotAsked => None,
        Address::Asked(address) => address,
    };
    let decision = decide::decide(&held.record, now, address, required);
    let (code, detail, permission) = match decision {
        Ok(()) if asked.requirement() == Requirement::Denied => {
            (Code::PermissionDenied, "no rule of the policy lets this route pass".to_owned(), None)
        }
        Ok(()) => return Progress::Done(Outcome::Pass(held)),
        Err(Refusal::PermissionDenied) => {
            let name = required.map_or("", Permission::as_str);
            (Code::PermissionDenied, format!("the permission {name} is missing"), required.cloned())
        }
        Err(refusal) => (refusal.code(), String::new(), None),
    };
    Progress::Done(Outcome::Refuse(Refused { code, detail, permission, held: Some(held) }))
}

/// What the policy asks; `None` where no policy was ever read.
fn asked(verifier: &mut Verifier, facts: &Facts<'_>, now: Millis, attempt: &mut Attempt) -> Progress<Option<Asked>> {
    let (policy, outdated) = match verifier.policy(now, attempt) {
        Progress::Done(PolicyStanding::Usable(policy)) => (policy, false),
        Progress::Done(PolicyStanding::Outdated(policy)) => (policy, true),
        Progress::Done(PolicyStanding::Unknown) => return Progress::Done(None),
        Progress::Need(read) => return Progress::Need(read),
    };
    // A preflight asks whether the real request may follow, so it is that request's rule that counts.
    let method = facts.preflight.unwrap_or(facts.method);
    let rule = policy.first_match(method, facts.path);
    Progress::Done(Some(Asked { policy, rule, outdated }))
}

/// The facts of a request without its address and without preflight.
pub fn facts<'a>(method: &'a str, path: &'a str, x_api_key: Option<&'a str>, authorization: Option<&'a str>) -> Facts<'a> {
    Facts { method, path, sent: credentials::extract(x_api_key, authorization), preflight: None, address: Address::NotAsked }
}
