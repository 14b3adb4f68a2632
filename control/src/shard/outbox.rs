//! What other objects must still be told: changes to the Feed, companies and claims to the Registry, notes to another shard's
//! trail. Written in the turn of the change, delivered after it, and again by the alarm until it is taken.

use core::fmt;

use keyward_shared::{
    digest::Digest,
    feed::{Change, Subject},
    ids::{CompanyId, KeyId, OwnerId},
    shard::Shard,
    time::Millis,
};

use super::{background, failure::Failure, numbers, republish};
use crate::{
    call::{Announced, Announcement, AuditNote, Claims, CompanyNotice, PolicyRestored},
    sql::{Columns, Row, Sql, SqlError, Value},
};

/// The most entries that are delivered at once.
const BATCH: u64 = 500;
/// From how many changes on an announcement takes no further entry: one can tell of up to a thousand keys.
const CHANGES: usize = 1_000;
/// The first and the longest time to wait after a failure.
const BACKOFF: (u64, u64) = (500, 60_000);

/// The subject of a [`Kind::Shard`] where the Feed object was restored too.
pub const AND_FEED: &str = "feed";

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One key changed.
    Key,
    /// Some keys changed with one revision; the body names them.
    Keys,
    /// An owner changed, and so all of the owner's keys.
    Owner,
    /// A company changed, and so all of its keys.
    Company,
    /// Everything in the shard may be another than it was: the object was restored.
    Shard,
    /// The Registry is told of a company.
    Registration,
    /// Another trail is told of something.
    Note,
    /// The Registry is told that its object was restored.
    Policy,
    /// The Registry is told of the digests of imported keys; the body names them.
    Claim,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Keys => "keys",
            Self::Owner => "owner",
            Self::Company => "company",
            Self::Shard => "shard",
            Self::Registration => "registration",
            Self::Note => "note",
            Self::Policy => "policy",
            Self::Claim => "claim",
        })
    }
}

/// Something to deliver, with the entries that are done when it is taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// To the Feed object.
    Announce(Vec<u64>, Announcement),
    /// To the Registry object.
    Register(u64, CompanyNotice),
    /// To the Shard object of the note's company.
    Note(u64, AuditNote),
    /// To the Registry object.
    RestorePolicy(u64, PolicyRestored),
    /// To the Registry object. What another shard has meanwhile it keeps.
    Claim(u64, Claims),
}

impl Delivery {
    /// The entries that are done when it is taken.
    pub fn ids(&self) -> Vec<u64> {
        match self {
            Self::Announce(ids, _) => ids.clone(),
            Self::Register(id, _) | Self::Note(id, _) | Self::RestorePolicy(id, _) | Self::Claim(id, _) => vec![*id],
        }
    }
}

fn add(sql: &impl Sql, now: Millis, kind: Kind, company: &CompanyId, subject: &str, rev: u64, body: Option<String>) -> Result<(), Failure> {
    sql.execute(
        "INSERT INTO outbox (kind, company, subject, rev, body, due_at, attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
        &[kind.to_string().into(), company.into(), subject.into(), rev.into(), body.into(), now.into()],
    )?;
    Ok(())
}

/// A subject changed.
pub fn add_change(sql: &impl Sql, now: Millis, kind: Kind, company: &CompanyId, subject: &str, rev: u64) -> Result<(), Failure> {
    add(sql, now, kind, company, subject, rev, None)
}

/// Keys of a company changed with one revision.
pub fn add_keys(sql: &impl Sql, now: Millis, company: &CompanyId, keys: &[KeyId], rev: u64) -> Result<(), Failure> {
    add(sql, now, Kind::Keys, company, "", rev, Some(serde_json::to_string(keys)?))
}

/// A company was made, changed or deleted.
pub fn add_company(sql: &impl Sql, now: Millis, notice: &CompanyNotice) -> Result<(), Failure> {
    add(sql, now, Kind::Registration, &notice.company, "", notice.rev, Some(serde_json::to_string(notice)?))
}

/// Something belongs in another shard's trail.
pub fn add_note(sql: &impl Sql, now: Millis, rev: u64, note: &AuditNote) -> Result<(), Failure> {
    add(sql, now, Kind::Note, &note.company, "", rev, Some(serde_json::to_string(note)?))
}

/// The Registry's object was restored too.
pub fn add_policy_restored(sql: &impl Sql, now: Millis, company: &CompanyId, rev: u64, message: &PolicyRestored) -> Result<(), Failure> {
    add(sql, now, Kind::Policy, company, "", rev, Some(serde_json::to_string(message)?))
}

/// The digests of imported keys of a company are claimed again.
pub fn add_claims(sql: &impl Sql, now: Millis, company: &CompanyId, digests: &[Digest], rev: u64) -> Result<(), Failure> {
    add(sql, now, Kind::Claim, company, "", rev, Some(serde_json::to_string(digests)?))
}

/// What is due at `now`: changes together, as many as one announcement takes, and at most a handful of the others.
pub fn due(sql: &impl Sql, now: Millis, shard: Shard) -> Result<Vec<Delivery>, Failure> {
    let statement = "SELECT id, kind, company, subject, rev, body FROM outbox WHERE due_at <= ?1 ORDER BY due_at, id LIMIT ?2";
    let (mut ids, mut changes, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let mut restored = false;
    for row in sql.execute(statement, &[now.into(), BATCH.into()])? {
        let mut c = Columns::of(row);
        let (id, kind, company, subject, rev, body) = (c.number()?, c.text()?, c.parsed()?, c.text()?, c.number()?, c.optional_text()?);
        let body = body.unwrap_or_default();
        if changes.len() >= CHANGES {
            break;
        }
        match kind.as_str() {
            "keys" => {
                ids.push(id);
                for key in serde_json::from_str::<Vec<KeyId>>(&body)? {
                    changes.push(Change(Subject::key(shard, &company, &key), rev));
                }
            }
            "registration" => others.push(Delivery::Register(id, serde_json::from_str(&body)?)),
            "note" => others.push(Delivery::Note(id, serde_json::from_str(&body)?)),
            "claim" => others.push(Delivery::Claim(id, Claims { shard, digests: serde_json::from_str(&body)? })),
            "policy" => others.push(Delivery::RestorePolicy(id, serde_json::from_str(&body)?)),
            kind => {
                restored |= kind == "shard" && subject == AND_FEED;
                ids.push(id);
                changes.push(Change(subject_of(shard, kind, &company, &subject)?, rev));
            }
        }
    }
    others.truncate(20);
    if !changes.is_empty() {
        let seen = numbers::get(sql, numbers::SEEN)?.map(Millis);
        others.insert(0, Delivery::Announce(ids, Announcement { changes, seen, restored }));
    }
    Ok(others)
}

fn subject_of(shard: Shard, kind: &str, company: &CompanyId, subject: &str) -> Result<Subject, SqlError> {
    let unreadable = |e: keyward_shared::ids::IdError| SqlError(format!("a stored value is not readable: {e}"));
    Ok(match kind {
        "key" => Subject::key(shard, company, &KeyId::new(subject).map_err(unreadable)?),
        "owner" => Subject::owner(shard, company, &OwnerId::new(subject).map_err(unreadable)?),
        "shard" => Subject::shard(shard),
        _ => Subject::company(shard, company),
    })
}

/// The Feed object took the changes `ids` and stamped them: what is still at that revision is announced.
pub fn announced(sql: &impl Sql, ids: &[u64], announced: Announced) -> Result<(), SqlError> {
    let announced_at = announced.announced_at;
    numbers::raise(sql, numbers::SEEN, announced.stamp.0)?;
    for &id in ids {
        let Some(row) = taken(sql, id)? else { continue };
        let mut c = Columns::of(row);
        let (kind, company, subject, rev): (String, CompanyId, String, u64) = (c.text()?, c.parsed()?, c.text()?, c.number()?);
        let stamp = |table: &str, condition: &str, subject: &str| {
            let statement = format!("UPDATE {table} SET announced_at = ?1 WHERE company = ?2 AND rev = ?4 AND {condition}");
            sql.execute(&statement, &[announced_at.into(), (&company).into(), subject.into(), rev.into()]).map(|_| ())
        };
        match kind.as_str() {
            "key" => stamp("keys", "key_id = ?3", &subject)?,
            "keys" => {
                for key in c.optional_json::<Vec<KeyId>>()?.unwrap_or_default() {
                    stamp("keys", "key_id = ?3", key.as_str())?;
                }
            }
            // The keys that are revoked together with their owner are announced with it.
            "owner" => {
                stamp("owners", "owner = ?3", &subject)?;
                background::departure_announced(sql, &company, &subject, rev, announced_at)?;
            }
            "shard" => republish::announced(sql, rev, announced_at)?,
            _ => stamp("companies", "?3 = ''", &subject)?,
        }
    }
    Ok(())
}

/// Removes an entry: kind, company, subject, revision, body.
fn taken(sql: &impl Sql, id: u64) -> Result<Option<Row>, SqlError> {
    Ok(sql.execute("DELETE FROM outbox WHERE id = ?1 RETURNING kind, company, subject, rev, body", &[id.into()])?.pop())
}

/// The entry was taken.
pub fn delivered(sql: &impl Sql, id: u64) -> Result<(), SqlError> {
    taken(sql, id).map(|_| ())
}

/// The entries could not be delivered: again later, ever later, at least once a minute.
pub fn failed(sql: &impl Sql, ids: &[u64], now: Millis) -> Result<(), SqlError> {
    for &id in ids {
        sql.execute(
            "UPDATE outbox SET attempts = attempts + 1, due_at = ?2 + MIN(?4, ?3 << MIN(attempts, 10)) WHERE id = ?1",
            &[id.into(), now.into(), Value::from(BACKOFF.0), Value::from(BACKOFF.1)],
        )?;
    }
    Ok(())
}

/// When the next entry is due.
pub fn next_due(sql: &impl Sql) -> Result<Option<Millis>, SqlError> {
    let row = sql.execute("SELECT due_at FROM outbox ORDER BY due_at, id LIMIT 1", &[])?.pop();
    row.map(|row| Columns::of(row).time()).transpose()
}
