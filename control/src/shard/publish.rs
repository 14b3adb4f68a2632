//! Which records must be put into the replicated store, when, and the truth about one digest.
//!
//! A mark says that a digest's record is outdated there. It is cleared only if no change came meanwhile, and only after
//! a second put: an earlier one may arrive late, and the store has no compare-and-set.

use keyward_shared::{
    digest::Digest,
    ids::CompanyId,
    messages::{ResolveAnswer, ResolveRequest},
    record,
    shard::Shard,
    time::Millis,
    timing::Timing,
};

use super::{failure::Failure, numbers, rows, turn::current_rev};
use crate::{
    settings::ControlSettings,
    sql::{Columns, Sql, SqlError, Value},
};

/// The first and the longest time to wait after a failed put.
const BACKOFF: (u64, u64) = (1_000, 60_000);

/// What to do with one name in the replicated store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The name there.
    pub name: String,
    /// The sealed record; `None`: remove the name.
    pub value: Option<String>,
    /// Whose record.
    pub digest: Digest,
    /// Whether it is an imported key's, which has another name.
    pub imported: bool,
    /// The mark's revision when it was read.
    pub rev: u64,
    /// Put for the first or for the second time.
    pub round: u64,
}

/// Marks a digest: its record changed with revision `rev`, and by itself, so it goes before those of a sweep. The mark says
/// whether it is an imported key's, because what is to be removed has no row any more that could.
pub fn mark(sql: &impl Sql, digest: &Digest, imported: bool, rev: u64, now: Millis, timing: &Timing) -> Result<(), SqlError> {
    let soon = now.plus(timing.put_interval);
    // What is dated later than that was written with a faster clock, before a restored backup.
    let due = put_at(sql, digest)?.filter(|last| *last <= soon).map_or(now, |last| now.max(last.min(now).plus(timing.put_interval)));
    sql.execute(
        "INSERT INTO dirty (digest, rev, due_at, round, attempts, imported) VALUES (?1, ?2, ?3, 1, 0, ?4) \
         ON CONFLICT (digest) DO UPDATE SET rev = ?2, due_at = ?3, round = 1, attempts = 0, later = 0, imported = ?4",
        &[digest.into(), rev.into(), due.into(), imported.into()],
    )?;
    Ok(())
}

fn put_at(sql: &impl Sql, digest: &Digest) -> Result<Option<Millis>, SqlError> {
    let row = sql.execute("SELECT put_at FROM puts WHERE digest = ?1", &[digest.into()])?.pop();
    row.map(|row| Columns::of(row).time()).transpose()
}

/// All keys of an owner (of a company where `owner` is empty) will be marked, a handful at a time.
pub fn sweep(sql: &impl Sql, company: &CompanyId, owner: &str, rev: u64) -> Result<(), SqlError> {
    sql.execute(
        "INSERT INTO sweeps (company, owner, rev, place) VALUES (?1, ?2, ?3, 0) ON CONFLICT (company, owner) DO UPDATE SET rev = ?3, place = 0",
        &[company.into(), owner.into(), rev.into()],
    )?;
    Ok(())
}

/// Marks the digests that `keys` selects, as `digest` and `imported`, with the parameters `chosen`: behind single changes, which are
/// urgent where they are marked already.
pub(super) fn mark_all(sql: &impl Sql, keys: &str, chosen: &[Value], rev: u64, now: Millis, timing: &Timing) -> Result<(), SqlError> {
    let (rev_at, now_at, soon_at, interval_at) = (chosen.len() + 1, chosen.len() + 2, chosen.len() + 3, chosen.len() + 4);
    let statement = format!(
        "INSERT INTO dirty (digest, rev, due_at, round, attempts, later, imported) \
         SELECT k.digest, ?{rev_at}, IIF(p.put_at <= ?{soon_at}, MAX(?{now_at}, MIN(p.put_at, ?{now_at}) + ?{interval_at}), ?{now_at}), 1, 0, 1, k.imported \
         FROM ({keys}) k LEFT JOIN puts p ON p.digest = k.digest WHERE TRUE \
         ON CONFLICT (digest) DO UPDATE SET rev = excluded.rev, due_at = excluded.due_at, round = 1, attempts = 0, imported = excluded.imported"
    );
    let mut parameters = chosen.to_vec();
    parameters.extend([rev.into(), now.into(), now.plus(timing.put_interval).into(), timing.put_interval.into()]);
    sql.execute(&statement, &parameters).map(|_| ())
}

/// Whoever stamps what it reads as true now also writes, in the same turn. Another instance may have taken over the
/// object: then the storage refuses this one's writes, while it may still let it read rows as they were. So a displaced
/// instance fails here instead of stamping an old row as fresh. A write that changes nothing is none, so it always changes.
pub(super) fn note_reading(sql: &impl Sql, now: Millis) -> Result<(), SqlError> {
    numbers::advance(sql, numbers::READ_AT, now.0)
}

/// At most `limit` of the publications that are due at `now`, from the rows as they are now. One turn.
///
/// Changes of single keys go first: a revocation does not wait for all keys of somebody whose permissions changed. Of what
/// is left of the batch, and of one place in it, sweeps and second puts make use.
pub fn due(sql: &impl Sql, settings: &ControlSettings, shard: Shard, now: Millis, limit: u64) -> Result<Vec<Publication>, Failure> {
    let marked = |later: u64| {
        let statement = "SELECT digest, rev, round, imported FROM dirty WHERE later = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3";
        sql.execute(statement, &[later.into(), now.into(), limit.into()])
    };
    let (mut marks, later) = (marked(0)?, marked(1)?);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    marks.truncate(limit - usize::from(limit > 1 && !later.is_empty()));
    let left = limit - marks.len();
    marks.extend(later.into_iter().take(left));
    if !marks.is_empty() {
        note_reading(sql, now)?;
    }
    let mut publications = Vec::new();
    for row in marks {
        let mut c = Columns::of(row);
        let (digest, rev, round, imported) = (c.parsed()?, c.number()?, c.number()?, c.truth()?);
        let value = sealed(sql, settings, shard, now, &digest, imported)?;
        let name = if imported { record::imported_name(&digest) } else { record::name(shard, &digest) };
        publications.push(Publication { name, value, digest, imported, rev, round });
    }
    Ok(publications)
}

/// The record of `digest` as of now, sealed; `None` where there is no such key. An imported key and one that was made here
/// are not each other's, even with the same digest.
fn sealed(
    sql: &impl Sql,
    settings: &ControlSettings,
    shard: Shard,
    now: Millis,
    digest: &Digest,
    imported: bool,
) -> Result<Option<String>, Failure> {
    let Some(key) = rows::key_by_digest(sql, digest)?.filter(|key| key.imported == imported) else { return Ok(None) };
    let as_of = now.minus(settings.common.timing.as_of_margin);
    let record = key.record(settings, shard, current_rev(sql)?, as_of);
    let secrets = &settings.common.record_secrets;
    Ok(Some(if imported { record.seal_imported(secrets, digest)? } else { record.seal(secrets, digest)? }))
}

/// A publication went out, or failed.
pub fn published(sql: &impl Sql, timing: &Timing, now: Millis, publication: &Publication, success: bool) -> Result<(), SqlError> {
    let (digest, rev) = (&publication.digest, publication.rev);
    if !success {
        sql.execute(
            "UPDATE dirty SET attempts = attempts + 1, due_at = ?2 + MIN(?4, ?3 << MIN(attempts, 10)) WHERE digest = ?1",
            &[digest.into(), now.into(), BACKOFF.0.into(), BACKOFF.1.into()],
        )?;
        return Ok(());
    }
    let gone = publication.value.is_none() && publication.round > 1;
    if gone {
        sql.execute("DELETE FROM puts WHERE digest = ?1", &[digest.into()])?;
    } else {
        let statement = "INSERT INTO puts (digest, put_at) VALUES (?1, ?2) ON CONFLICT (digest) DO UPDATE SET put_at = ?2";
        sql.execute(statement, &[digest.into(), now.into()])?;
    }
    let pair = [digest.into(), rev.into()];
    if publication.round > 1 {
        sql.execute("DELETE FROM dirty WHERE digest = ?1 AND rev = ?2 AND round > 1", &pair)?;
    } else {
        sql.execute(
            "UPDATE dirty SET round = 2, attempts = 0, due_at = ?3, later = 1 WHERE digest = ?1 AND rev = ?2 AND round = 1",
            &[pair[0].clone(), pair[1].clone(), now.plus(timing.put_again).into()],
        )?;
    }
    // Where a change came meanwhile the mark stays, but not sooner than the store can be written again.
    sql.execute(
        "UPDATE dirty SET due_at = MAX(due_at, ?3) WHERE digest = ?1 AND rev <> ?2",
        &[digest.into(), rev.into(), now.plus(timing.put_interval).into()],
    )?;
    Ok(())
}

/// The truth about one digest, now: of an imported key, or of one that was made here. An edge asks because the store could
/// not answer: so the record is put again, unless it was lately or is about to be. One turn.
///
/// Where an edge holds a record and there is no such key, the store may hold it too: by a put that arrived late, or from
/// a time that a restored backup undid. So it is removed there.
pub fn resolve(
    sql: &impl Sql,
    settings: &ControlSettings,
    shard: Shard,
    now: Millis,
    request: &ResolveRequest,
    imported: bool,
) -> Result<ResolveAnswer, Failure> {
    let (timing, digest) = (&settings.common.timing, &request.digest);
    note_reading(sql, now)?;
    let Some(record) = sealed(sql, settings, shard, now, digest, imported)? else {
        if request.stored {
            // Twice, as everything; where it is already to be removed that is enough, however many edges ask meanwhile.
            mark_once(sql, digest, imported, now, 1)?;
        }
        return Ok(ResolveAnswer::Absent);
    };
    let stale = put_at(sql, digest)?.is_none_or(|last| last > now || last.plus(timing.put_again) <= now);
    if stale {
        // Not a change: one put is enough.
        mark_once(sql, digest, imported, now, 2)?;
    }
    Ok(ResolveAnswer::Record(record))
}

/// Marks a digest, unless it is marked already: that mark has its own time.
fn mark_once(sql: &impl Sql, digest: &Digest, imported: bool, now: Millis, round: u64) -> Result<(), SqlError> {
    sql.execute(
        "INSERT INTO dirty (digest, rev, due_at, round, attempts, imported) VALUES (?1, ?2, ?3, ?4, 0, ?5) ON CONFLICT (digest) DO NOTHING",
        &[digest.into(), current_rev(sql)?.into(), now.into(), round.into(), imported.into()],
    )?;
    Ok(())
}

/// When the next publication is due.
pub fn next_due(sql: &impl Sql) -> Result<Option<Millis>, SqlError> {
    let first = |later: u64| {
        let row = sql.execute("SELECT due_at FROM dirty WHERE later = ?1 ORDER BY due_at LIMIT 1", &[later.into()])?.pop();
        row.map(|row| Columns::of(row).time()).transpose()
    };
    Ok([first(0)?, first(1)?].into_iter().flatten().min())
}
