//! What the edges decide about a request with a key, and why: by the same code, from the key, its owner and the route
//! policy as they are now. The policy is the Registry's; the front brings it along.

use core::net::IpAddr;

use keyward_shared::{
    decide::{Refusal, authenticate, decide},
    path::{self, AmbiguousPath},
    permission::Permission,
    policy::{CompiledPolicy, Requirement, Rule},
    problem::Code,
    record::{KeyState, Record},
};
use serde_json::{Value, json};

use crate::shard::{
    answer::Handled,
    failure::Failure,
    query::{Query, bad},
    rows::{KeyRow, worth},
    turn::Turn,
};
use crate::{sql::Sql, time::rfc3339};

/// The longest path that is explained.
const MAX_PATH: usize = 8_192;

/// The request that is explained.
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    address: Option<IpAddr>,
}

/// What the policy asks of the request; `None`: its path has more than one reading, so no rule is looked for.
struct Route<'p> {
    requirement: Requirement<'p>,
    rule: Option<usize>,
}

impl<S: Sql> Turn<'_, S> {
    /// `GET /v1/keys/{id}/explain`.
    pub(in crate::shard) fn explain_key(&self) -> Result<Handled, Failure> {
        let query = Query::read(&self.call.query, &["method", "path", "ip"])?;
        let asked = asked(&query)?;
        let key = self.visible_key()?;
        let policy = self.call.policy.as_ref();
        let policy = policy.ok_or_else(|| Failure::refused(Code::Unavailable, "the route policy cannot be read right now; try again"))?;
        let compiled = CompiledPolicy::new(policy);
        let route = path::check(asked.path).map(|()| Route {
            requirement: compiled.requirement(asked.method, asked.path),
            rule: compiled.first_match(asked.method, asked.path),
        });
        let record = key.record(self.settings, self.shard, 0, self.now);
        let needs = route.as_ref().ok().and_then(|route| needed(route.requirement));
        let refusal = match &route {
            Err(why) => Some((Code::AmbiguousPath, why.to_string())),
            Ok(route) => match decide(&record, self.now, asked.address, needs) {
                Err(refusal) => Some((refusal.code(), said(refusal, needs))),
                Ok(()) if route.requirement == Requirement::Denied => Some((Code::PermissionDenied, DENIED.into())),
                Ok(()) => None,
            },
        };
        let rule = route.as_ref().ok().and_then(|route| route.rule).and_then(|at| Some((at, policy.rules.get(at)?)));
        let owners = key.owner_state.as_ref().map(|state| worth(self.settings, &self.company, &state.1)).unwrap_or_default();
        Ok(Handled::ok(json!({
            "decision": if refusal.is_some() { "refuse" } else { "allow" },
            "code": refusal.as_ref().map(|(code, _)| code.as_str()),
            "status": refusal.as_ref().map_or(200, |(code, _)| code.status()),
            "detail": refusal.map_or_else(|| allowed(route.as_ref().ok()), |(_, detail)| detail),
            "rule": rule.map(|(at, rule)| shown(at, rule)),
            "needs": needs,
            "effective_permissions": record.permissions,
            "owner_permissions": owners,
            "restriction": key.permissions,
            "checks": self.checks(&key, &record, &asked, route.as_ref().map_err(|why| *why)),
        })))
    }

    /// Every check by itself, in the order in which an edge makes them: the first that fails says how the request is
    /// refused. Each is the decision with everything else set right.
    fn checks(&self, key: &KeyRow, record: &Record, asked: &Asked<'_>, route: Result<&Route<'_>, AmbiguousPath>) -> Value {
        let right = Record {
            state: KeyState::Active,
            owner_active: true,
            company_active: true,
            expires_at: None,
            networks: Vec::new(),
            ..record.clone()
        };
        let lives = |changed: Record| authenticate(&changed, self.now).is_ok();
        let mut checks = Vec::new();
        let mut check =
            |name: &str, passed: bool, detail: String| checks.push(json!({ "check": name, "passed": passed, "detail": detail }));

        check("path", route.is_ok(), route.err().map_or("the path has one reading".into(), |why| why.to_string()));
        let revoked = key.revoked_at.map_or("the key is not revoked".into(), |at| format!("the key was revoked at {}", rfc3339(at)));
        check("revocation", lives(Record { state: record.state, ..right.clone() }), revoked);
        let expiry = key.expires_at.map_or("the key does not expire".into(), |at| format!("the key expires at {}", rfc3339(at)));
        check("expiry", lives(Record { expires_at: record.expires_at, ..right.clone() }), expiry);
        let owner = match &key.owner_state {
            None => "the owner was deleted",
            Some(state) if state.2 => "the owner may act",
            Some(_) => "the owner is not active",
        };
        check("owner", lives(Record { owner_active: record.owner_active, ..right.clone() }), owner.into());
        let company = if record.company_active { "the company may act" } else { "the company is not active" };
        check("company", lives(Record { company_active: record.company_active, ..right.clone() }), company.into());
        let networks = Record { networks: record.networks.clone(), ..right.clone() };
        let inside = decide(&networks, self.now, asked.address, None).is_ok();
        let network = match (record.networks.is_empty(), asked.address) {
            (true, _) => "the key may be used from anywhere".to_owned(),
            (false, None) => "the key has networks, and the address is not known".to_owned(),
            (false, Some(address)) => format!("{address} is {} the key's networks", if inside { "in" } else { "in none of" }),
        };
        check("network", inside, network);
        if let Ok(route) = route {
            check("route", route.requirement != Requirement::Denied, told(route));
            let needs = needed(route.requirement);
            let allowed = decide(&right, self.now, None, needs).is_ok();
            let permission = match needs {
                None => "the route asks for no permission".to_owned(),
                Some(needs) if allowed => format!("the key has the permission {needs}"),
                Some(needs)
                    if !key.owner_state.as_ref().is_some_and(|state| worth(self.settings, &self.company, &state.1).allows(needs)) =>
                {
                    format!("the owner lacks the permission {needs}")
                }
                Some(needs) => format!("the owner has the permission {needs}, which the key's own restriction leaves out"),
            };
            check("permission", allowed, permission);
        }
        Value::Array(checks)
    }
}

const DENIED: &str = "no rule of the policy lets this route pass";

fn asked(query: &Query) -> Result<Asked<'_>, Failure> {
    let method = query.get("method").unwrap_or("GET");
    if method.len() > 32 || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        return Err(bad("method must be the name of a method in upper-case letters").into());
    }
    let path = query.get("path").ok_or_else(|| bad("path is required"))?;
    if path.len() > MAX_PATH {
        return Err(bad(format!("path must be at most {MAX_PATH} bytes long")).into());
    }
    let address = query.get("ip").map(|ip| ip.parse().map_err(|_| bad("ip must be an IPv4 or IPv6 address"))).transpose()?;
    Ok(Asked { method, path, address })
}

fn needed(requirement: Requirement<'_>) -> Option<&Permission> {
    match requirement {
        Requirement::Key { permission, .. } => permission,
        Requirement::Denied | Requirement::Anonymous => None,
    }
}

fn said(refusal: Refusal, needs: Option<&Permission>) -> String {
    match (refusal, needs) {
        (Refusal::PermissionDenied, Some(permission)) => format!("the permission {permission} is missing"),
        _ => refusal.code().title().into(),
    }
}

fn allowed(route: Option<&Route<'_>>) -> String {
    match route.map(|route| route.requirement) {
        Some(Requirement::Anonymous) => "the request passes with the key's identity, and would without a key".into(),
        _ => "the request passes with the key's identity".into(),
    }
}

/// What the policy says about the route.
fn told(route: &Route<'_>) -> String {
    match (route.requirement, route.rule) {
        (Requirement::Denied, _) => DENIED.into(),
        (Requirement::Anonymous, Some(at)) => format!("rule {at} lets everybody pass; a key that is sent must be good"),
        (_, Some(at)) => format!("rule {at} matches"),
        (_, None) => "no rule matches; a key is needed, and the origin decides".into(),
    }
}

fn shown(at: usize, rule: &Rule) -> Value {
    json!({
        "index": at,
        "methods": rule.methods,
        "path": rule.path,
        "permission": rule.permission,
        "anonymous": rule.anonymous,
        "bearer": rule.bearer,
    })
}
