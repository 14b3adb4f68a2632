//! The route policy: what it is now, how it changes, and since when a change holds everywhere. Every version is
//! kept; `versions` lists them and goes back to one.

use keyward_shared::{
    ids::OwnerId,
    policy::{Fallback, Policy, Rule, StoredPolicy, VERSION},
    problem::Code,
    time::Millis,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value as Json, json};

use super::Registry;
use crate::{
    call::{ApiAnswer, ApiCall, AuditNote, Caller, Refused},
    failure::Failure,
    shard::json,
    sql::{Columns, Sql, SqlError},
    time::{rfc3339, rfc3339_not_before},
};

/// A policy as `PUT` takes it: what `GET` answers, where the propagation may stand but says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    default: Fallback,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default, rename = "propagation")]
    _propagation: IgnoredAny,
}

/// One version; revision 0 where none was ever set.
#[derive(Default)]
pub(super) struct Version {
    pub(super) rev: u64,
    pub(super) policy: Policy,
    changed_at: Millis,
    pub(super) announced_at: Option<Millis>,
}

impl<S: Sql> Registry<S> {
    /// The policy as of now. Whoever stamps what it reads as true now also writes, in the same turn, something that always
    /// changes: an instance that was displaced, whose writes the storage refuses, fails here instead of stamping an old
    /// policy as fresh.
    pub fn current(&self, now: Millis) -> Result<StoredPolicy, SqlError> {
        self.sql.transaction(|| {
            self.note_reading(now)?;
            let Version { rev, policy, .. } = self.newest()?;
            Ok(StoredPolicy { v: VERSION, rev, as_of: now.minus(self.timing.as_of_margin), policy })
        })
    }

    /// Writes something that always changes.
    pub(super) fn note_reading(&self, now: Millis) -> Result<(), SqlError> {
        let statement =
            "INSERT INTO numbers (name, value) VALUES ('read_at', ?1) ON CONFLICT (name) DO UPDATE SET value = max(value + 1, ?1)";
        self.sql.execute(statement, &[now.into()]).map(|_| ())
    }

    /// The revision of the current policy; 0 where none was ever set.
    pub(super) fn current_rev(&self) -> Result<u64, SqlError> {
        Ok(self.newest()?.rev)
    }

    /// The object's storage was restored from a backup: the policy in it becomes a new version, above every revision that
    /// was given before, also where this machine's clock is slower; it is announced and published. Where no policy was
    /// ever set, that is the default one.
    pub fn republish(&self, now: Millis, by: &OwnerId) -> Result<u64, SqlError> {
        self.sql.transaction(|| {
            let policy = self.newest()?.policy;
            self.add_version(now, self.timing.as_of_margin, by, &policy, None)
        })
    }

    /// Adds a version with a revision above all others and not below `margin` from now; `back_to`: the earlier one that it
    /// is equal to.
    pub(super) fn add_version(
        &self,
        now: Millis,
        margin: Millis,
        by: &OwnerId,
        policy: &Policy,
        back_to: Option<u64>,
    ) -> Result<u64, SqlError> {
        let rev = self.current_rev()?.saturating_add(1).max(now.plus(margin).0);
        self.sql.execute(
            "INSERT INTO policies (rev, json, changed_by, changed_at, rules, rolled_back_to) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            &[
                rev.into(),
                json!(policy).to_string().into(),
                by.as_str().into(),
                now.into(),
                (policy.rules.len() as u64).into(),
                back_to.into(),
            ],
        )?;
        self.must_announce(now, rev)?;
        self.must_publish(now, rev)?;
        Ok(rev)
    }

    /// The answer that shows the version `rev`, or the current one.
    pub fn policy_answer(&self, rev: Option<u64>) -> Result<ApiAnswer, SqlError> {
        let version = match rev {
            Some(_) => self.version(rev)?.unwrap_or_default(),
            None => self.newest()?,
        };
        let mut body = json!(version.policy);
        body["propagation"] = self.propagation(&version);
        let headers = vec![("ETag".into(), etag(version.rev))];
        Ok(ApiAnswer { status: 200, headers, body: body.to_string() })
    }

    /// `PUT /v1/policy`: makes a new version, and notes what is left to do: announce it, publish it, write it in the audit
    /// trail.
    pub(super) fn put_policy(&self, now: Millis, caller: &Caller, call: &ApiCall) -> Result<u64, Failure> {
        let policy = read(&call.body)?;
        let before = self.replaceable(call)?;
        let rev = self.add_version(now, Millis(0), &caller.owner, &policy, None)?;
        let note = note(rev, caller, call, "policy.put", json!(before.policy), json!(policy));
        self.must_audit(now, rev, &stamped(&note, now)?)?;
        Ok(rev)
    }

    /// The current version, where it is one that the call wants to replace.
    pub(super) fn replaceable(&self, call: &ApiCall) -> Result<Version, Failure> {
        let current = self.newest()?;
        if call.if_match.as_deref().is_none_or(|tags| matches(tags, current.rev)) {
            return Ok(current);
        }
        Err(Failure::refused(Code::Conflict, format!("the policy was changed meanwhile; its ETag is {}", etag(current.rev))))
    }

    /// The current version; where none was ever set, the default one of revision 0.
    fn newest(&self) -> Result<Version, SqlError> {
        Ok(self.version(None)?.unwrap_or_default())
    }

    /// The version `rev`, or the current one, where there is one.
    pub(super) fn version(&self, rev: Option<u64>) -> Result<Option<Version>, SqlError> {
        let row = self.first(
            "SELECT rev, json, changed_at, announced_at FROM policies WHERE ?1 IS NULL OR rev = ?1 ORDER BY rev DESC LIMIT 1",
            &[rev.into()],
        )?;
        let Some(row) = row else { return Ok(None) };
        let mut columns = Columns::of(row);
        let (rev, policy) = (columns.number()?, columns.optional_json()?.unwrap_or_default());
        Ok(Some(Version { rev, policy, changed_at: columns.time()?, announced_at: columns.optional_time()? }))
    }

    /// When the version was committed, was announced, and will be in effect everywhere; null where nothing was set.
    fn propagation(&self, version: &Version) -> Json {
        if version.rev == 0 {
            return Json::Null;
        }
        let after = |wait: Millis| version.announced_at.map(|at| rfc3339_not_before(at.plus(wait)));
        json!({
            "committed_at": rfc3339(version.changed_at),
            "announced_at": version.announced_at.map(rfc3339),
            "expected_by": after(self.timing.freshness),
            "effective_by": after(self.timing.bound),
        })
    }
}

/// Reads a policy as `PUT` takes it.
pub(crate) fn read(body: &str) -> Result<Policy, Refused> {
    let refuse = |detail: &str| Refused::new(Code::InvalidRequest, format!("the body is not a policy: {detail}"));
    if body.trim().is_empty() {
        return Err(refuse("it is empty"));
    }
    // Read strictly, and only objects: what is derived below would take a list for one, and an empty list for a policy.
    let members = json::object(body)?;
    let is_object = |rule: &Json| rule.is_object();
    if members.get("rules").and_then(Json::as_array).is_some_and(|rules| !rules.iter().all(is_object)) {
        return Err(refuse("a rule must be an object"));
    }
    let body: Body = serde_json::from_value(members.into()).map_err(|e| refuse(&e.to_string()))?;
    let policy = Policy { default: body.default, rules: body.rules };
    let problems = policy.problems();
    if problems.is_empty() { Ok(policy) } else { Err(Refused::fields(problems)) }
}

fn etag(rev: u64) -> String {
    format!("\"{rev}\"")
}

/// Whether the policy of revision `rev` is one that `If-Match: tags` asks for (RFC 9110 §13.1.1).
fn matches(tags: &str, rev: u64) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == etag(rev))
}

/// The note for the operator's trail that the version `rev` was made.
pub(super) fn note(rev: u64, caller: &Caller, call: &ApiCall, action: &str, before: Json, after: Json) -> AuditNote {
    AuditNote {
        id: format!("policy-{rev}"),
        company: caller.company.clone(),
        actor: caller.owner.as_str().into(),
        key: caller.key.as_ref().map(|key| key.id.clone()),
        address: call.address,
        action: action.into(),
        target: "policy".into(),
        outcome: "done".into(),
        before,
        after,
        request_id: call.request_id.clone(),
    }
}

/// The note with the time at which it happened: it may be delivered much later.
pub(super) fn stamped(note: &AuditNote, at: Millis) -> Result<String, SqlError> {
    let mut note = serde_json::to_value(note).map_err(|e| SqlError(format!("an audit note cannot be written: {e}")))?;
    note["at"] = json!(at);
    Ok(note.to_string())
}
