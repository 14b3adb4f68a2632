//! Keys that somebody has found where they do not belong. They are revoked, whoever says so: who holds a key could do
//! worse with it. Whether the texts that were sent are keys of this deployment at all is the front's to say.

use keyward_shared::{digest::Digest, time::Millis};
use serde_json::Value;

use super::{audit, failure::Failure, keys::change::revoke, keys::view::trail, rows};
use crate::{
    call::{AuditNote, Leak, LeakReport, LeaksTaken},
    settings::ControlSettings,
    sql::Sql,
};

/// Who revokes them. No person is called so: an id has no space.
const REPORTER: &str = "leak report";
const REASON: &str = "reported as leaked";
/// What the trail calls it.
const ACTION: &str = "key.leak";

/// Revokes every key of `report` that is not revoked yet. An expired one too: its record then says why it is not to be
/// used again. That a revoked one was found again is written down once a day, so that nobody fills a trail with it.
pub(super) fn take(sql: &impl Sql, settings: &ControlSettings, now: Millis, report: &LeakReport) -> Result<LeaksTaken, Failure> {
    let mut taken = LeaksTaken { known: Vec::new(), revoked: 0 };
    for leak in &report.leaks {
        let Some(old) = rows::key_by_digest(sql, &leak.digest)? else {
            if was_deleted(sql, &leak.digest)? {
                taken.known.push(leak.digest);
            }
            continue;
        };
        taken.known.push(leak.digest);
        let mut note = AuditNote {
            id: String::new(),
            company: old.company.clone(),
            actor: REPORTER.into(),
            key: None,
            address: report.address,
            action: ACTION.into(),
            target: old.id.to_string(),
            outcome: "done".into(),
            before: trail(&old, now),
            after: Value::Null,
            request_id: report.request_id.clone(),
        };
        if let Some(revoked_at) = old.revoked_at {
            if old.revoked_by.as_deref() == Some(REPORTER) && day(revoked_at) == day(now) {
                continue;
            }
            note.id = format!("leak-{}-{}", old.id, day(now));
            note.after = found(&note.before, leak);
        } else {
            revoke(sql, settings, now, &old, REPORTER, Some(REASON))?;
            taken.revoked += 1;
            let new = rows::key(sql, &old.company, &old.id)?.ok_or_else(|| Failure::not_found("key"))?;
            note.after = found(&trail(&new, now), leak);
        }
        audit::append(sql, now, &note)?;
    }
    Ok(taken)
}

/// The key as the trail shows it, with what was said of the leak.
fn found(key: &Value, leak: &Leak) -> Value {
    let mut key = key.clone();
    key["source"] = leak.source.as_str().into();
    key["url"] = leak.url.as_deref().into();
    key
}

/// The number of a day.
fn day(at: Millis) -> u64 {
    at.as_secs() / 86_400
}

/// Whether there was a key with that digest.
fn was_deleted(sql: &impl Sql, digest: &Digest) -> Result<bool, Failure> {
    Ok(!sql.execute("SELECT 1 FROM tombstones WHERE digest = ?1", &[digest.into()])?.is_empty())
}
