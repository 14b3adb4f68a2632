//! What grows with the number of keys and therefore goes on in handfuls, one turn each, until it is done: marking the
//! keys of a changed owner or company (sweeps), revoking those of a deleted owner (departures), and erasing a deleted
//! company. Each is decided, and true for every reader, in the turn of the change; here only rows follow. Where the
//! object dies in between, what is left is still written down.

use keyward_shared::{ids::CompanyId, time::Millis, timing::Timing};

use super::{failure::Failure, numbers, publish};
use crate::sql::{Columns, Sql, SqlError, Value};

/// How many rows are handled in one go. Nobody is answered meanwhile: with a million keys each of them lies on other pages of several
/// indexes, and the pages are written with the turn.
pub const HANDFUL: u64 = 100;
/// What a sweep or a departure counts for, however few keys it has: as many rows as its statements are worth.
const LEAST: u64 = 5;
/// Why the keys of a deleted owner are revoked.
pub const OWNER_DELETED: &str = "the owner was deleted";

/// The tables with rows of a company, each with its primary key: in this order they are emptied. What is to be told to other
/// objects stays until it is told; it is true, or outdated by a higher revision.
const OF_COMPANY: [(&str, &str); 17] = [
    ("sweeps", "company, owner"),
    ("departures", "company, owner, rev"),
    ("sessions", "digest"),
    ("keys", "rowid"),
    ("owners", "company, owner"),
    ("key_usage", "company, key_id"),
    ("key_buckets", "company, key_id, width, at"),
    ("audit", "company, sequence"),
    ("audit_heads", "company"),
    ("sign_ins", "company, owner"),
    ("used_links", "company, nonce"),
    ("idempotency", "company, actor, method, path, key"),
    ("imports", "company"),
    ("webhook_watches", "company, kind"),
    ("webhook_deliveries", "company, webhook, event"),
    ("webhook_events", "number"),
    ("webhooks", "company, id"),
];

/// Notes that the owner was deleted with revision `rev`: the owner's keys up to then are revoked, in handfuls once the change is
/// announced. Until then a key's reader finds the note.
pub(super) fn depart(sql: &impl Sql, company: &CompanyId, owner: &str, rev: u64, at: Millis, actor: &str) -> Result<(), SqlError> {
    // Keys that were made in one turn have places beyond their revision.
    let last_place = numbers::get(sql, numbers::PLACE)?.unwrap_or(0).max(rev);
    sql.execute(
        "INSERT INTO departures (company, owner, rev, last_place, at, actor, place) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
        &[company.into(), owner.into(), rev.into(), last_place.into(), at.into(), actor.into()],
    )?;
    Ok(())
}

/// The deletion of an owner was announced, and with it every earlier one of an owner of that id.
pub(super) fn departure_announced(sql: &impl Sql, company: &CompanyId, owner: &str, rev: u64, at: Millis) -> Result<(), SqlError> {
    sql.execute(
        "UPDATE departures SET announced_at = ?4 WHERE company = ?1 AND owner = ?2 AND rev <= ?3 AND announced_at IS NULL",
        &[company.into(), owner.into(), rev.into(), at.into()],
    )?;
    Ok(())
}

/// Notes that the company, whose row is gone, is to be erased.
pub(super) fn erase(sql: &impl Sql, company: &CompanyId, rev: u64) -> Result<(), SqlError> {
    sql.execute("INSERT INTO erasures (company, rev) VALUES (?1, ?2)", &[company.into(), rev.into()])?;
    Ok(())
}

/// Whether there are still rows of a deleted company of that id.
pub(super) fn is_being_erased(sql: &impl Sql, company: &CompanyId) -> Result<bool, SqlError> {
    Ok(!sql.execute("SELECT 1 FROM erasures WHERE company = ?1", &[company.into()])?.is_empty())
}

/// Whether anything is left to do here.
pub fn pending(sql: &impl Sql) -> Result<bool, SqlError> {
    let statement = "SELECT EXISTS (SELECT 1 FROM sweeps) OR EXISTS (SELECT 1 FROM erasures) \
         OR EXISTS (SELECT 1 FROM departures WHERE announced_at IS NOT NULL)";
    sql.execute(statement, &[])?.pop().map_or(Ok(false), |row| Columns::of(row).truth())
}

/// Does the next handful of each. To be called in a transaction.
pub fn advance(sql: &impl Sql, now: Millis, timing: &Timing, handful: u64) -> Result<(), Failure> {
    if !pending(sql)? {
        return Ok(());
    }
    within(handful, |left| advance_sweep(sql, now, timing, left))?;
    within(handful, |left| advance_departure(sql, left))?;
    advance_erasure(sql, now, timing, handful)
}

/// Does `step`, which is told how many keys are left of the handful and says how many it took, until none are or it finds nothing.
fn within(handful: u64, step: impl Fn(u64) -> Result<Option<u64>, Failure>) -> Result<(), Failure> {
    let mut left = handful;
    while left > 0 {
        let Some(taken) = step(left)? else { break };
        left = left.saturating_sub(taken.max(LEAST));
    }
    Ok(())
}

/// A handful of keys after a place: how to select them, how many they are, and the last one's place.
struct Handful {
    keys: &'static str,
    parameters: Vec<Value>,
    count: u64,
    last: u64,
}

impl Handful {
    /// Keys of `owner`, of the whole company where that is empty, after `place` up to `end`. The index is named: left to itself the
    /// database goes through all keys of the company where the places have two ends.
    fn of(sql: &impl Sql, company: &CompanyId, owner: &str, place: u64, end: u64, limit: u64) -> Result<Self, SqlError> {
        let mut parameters: Vec<Value> = vec![company.into(), place.into(), end.into(), limit.into()];
        let keys = if owner.is_empty() {
            "SELECT digest, place, imported FROM keys INDEXED BY keys_by_company WHERE company = ?1 AND place > ?2 AND place <= ?3 \
             ORDER BY place LIMIT ?4"
        } else {
            parameters.push(owner.into());
            "SELECT digest, place, imported FROM keys INDEXED BY keys_by_owner WHERE company = ?1 AND owner = ?5 AND place > ?2 AND place <= ?3 \
             ORDER BY place LIMIT ?4"
        };
        let row = sql.execute(&format!("SELECT COUNT(*), MAX(place) FROM ({keys})"), &parameters)?.pop();
        let mut c = Columns::of(row.unwrap_or_default());
        Ok(Self { keys, parameters, count: c.number()?, last: c.optional_number()?.unwrap_or(place) })
    }
}

fn advance_sweep(sql: &impl Sql, now: Millis, timing: &Timing, limit: u64) -> Result<Option<u64>, Failure> {
    let Some(row) = sql.execute("SELECT company, owner, rev, place FROM sweeps LIMIT 1", &[])?.pop() else { return Ok(None) };
    let mut c = Columns::of(row);
    let (company, owner, rev, place): (CompanyId, String, u64, u64) = (c.parsed()?, c.text()?, c.number()?, c.number()?);
    let handful = Handful::of(sql, &company, &owner, place, u64::MAX, limit)?;
    publish::mark_all(sql, handful.keys, &handful.parameters, rev, now, timing)?;
    let statement = if handful.count < limit {
        "DELETE FROM sweeps WHERE company = ?1 AND owner = ?2 AND ?3 >= 0"
    } else {
        "UPDATE sweeps SET place = ?3 WHERE company = ?1 AND owner = ?2"
    };
    sql.execute(statement, &[(&company).into(), owner.into(), handful.last.into()])?;
    Ok(Some(handful.count))
}

fn advance_departure(sql: &impl Sql, limit: u64) -> Result<Option<u64>, Failure> {
    let statement = "SELECT company, owner, rev, at, actor, announced_at, place, last_place FROM departures WHERE announced_at IS NOT NULL \
         ORDER BY company, owner, rev LIMIT 1";
    let Some(row) = sql.execute(statement, &[])?.pop() else { return Ok(None) };
    let mut c = Columns::of(row);
    let (company, owner, rev, at): (CompanyId, String, u64, u64) = (c.parsed()?, c.text()?, c.number()?, c.number()?);
    let (actor, announced_at, place, last_place) = (c.text()?, c.time()?, c.number()?, c.number()?);
    let handful = Handful::of(sql, &company, &owner, place, last_place, limit)?;
    sql.execute(
        "UPDATE keys INDEXED BY keys_by_owner SET revoked_at = ?5, revoked_by = ?6, revoke_reason = ?7, rev = ?8, changed_at = ?5, announced_at = ?9 \
         WHERE company = ?1 AND owner = ?2 AND place > ?3 AND place <= ?4 AND revoked_at IS NULL",
        &[
            (&company).into(),
            owner.as_str().into(),
            place.into(),
            handful.last.into(),
            at.into(),
            actor.into(),
            OWNER_DELETED.into(),
            rev.into(),
            announced_at.into(),
        ],
    )?;
    let statement = if handful.count < limit {
        "DELETE FROM departures WHERE company = ?1 AND owner = ?2 AND rev = ?3 AND ?4 >= 0"
    } else {
        "UPDATE departures SET place = ?4 WHERE company = ?1 AND owner = ?2 AND rev = ?3"
    };
    sql.execute(statement, &[(&company).into(), owner.into(), rev.into(), handful.last.into()])?;
    Ok(Some(handful.count))
}

/// Erases a handful of rows of one company: of keys only after their digests can never be used again and their records are marked,
/// which are then removed.
fn advance_erasure(sql: &impl Sql, now: Millis, timing: &Timing, limit: u64) -> Result<(), Failure> {
    let Some(row) = sql.execute("SELECT company, rev FROM erasures LIMIT 1", &[])?.pop() else { return Ok(()) };
    let mut c = Columns::of(row);
    let (company, rev): (CompanyId, u64) = (c.parsed()?, c.number()?);
    let mut left = limit;
    for (table, key) in OF_COMPANY {
        let parameters: [Value; 2] = [(&company).into(), left.into()];
        if table == "keys" {
            let keys = "SELECT digest, imported FROM keys INDEXED BY keys_by_company WHERE company = ?1 ORDER BY place LIMIT ?2";
            sql.execute(&format!("INSERT OR IGNORE INTO tombstones (digest) SELECT digest FROM ({keys})"), &parameters)?;
            publish::mark_all(sql, keys, &parameters, rev, now, timing)?;
        }
        let ordered = if table == "keys" { "ORDER BY place " } else { "" };
        let statement = format!(
            "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE company = ?1 {ordered}LIMIT ?2) RETURNING company"
        );
        left = left.saturating_sub(sql.execute(&statement, &parameters)?.len() as u64);
        if left == 0 {
            return Ok(());
        }
    }
    sql.execute("DELETE FROM erasures WHERE company = ?1", &[(&company).into()])?;
    Ok(())
}
