//! Claiming in the Registry again what was imported here, after a restoration: the Registry may have been restored too, and
//! may know less. Also the digests of keys that were deleted since, which no other shard must have either. A handful at a time.

use keyward_shared::{digest::Digest, ids::CompanyId, time::Millis};

use crate::shard::{failure::Failure, outbox, turn::current_rev};
use crate::sql::{Columns, Sql, SqlError};

/// How many digests one message claims.
const HANDFUL: u64 = 500;
/// Under which name the place is kept up to which digests were claimed again; it is not there where nothing is to be.
const PLACE: &str = "claimed_up_to";

/// Remembers a digest that is imported, for good.
pub(in crate::shard) fn remember(sql: &impl Sql, digest: &Digest) -> Result<(), SqlError> {
    sql.execute("INSERT OR IGNORE INTO imported (digest) VALUES (?1)", &[digest.into()]).map(|_| ())
}

/// Everything will be claimed again.
pub(in crate::shard) fn begin(sql: &impl Sql) -> Result<(), SqlError> {
    set_place(sql, "")
}

fn set_place(sql: &impl Sql, place: &str) -> Result<(), SqlError> {
    let statement = "INSERT INTO texts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    sql.execute(statement, &[PLACE.into(), place.into()]).map(|_| ())
}

fn place(sql: &impl Sql) -> Result<Option<String>, SqlError> {
    let row = sql.execute("SELECT value FROM texts WHERE name = ?1", &[PLACE.into()])?.pop();
    row.map(|row| Columns::of(row).text()).transpose()
}

/// Whether there is something left to claim again.
pub(in crate::shard) fn is_left(sql: &impl Sql) -> Result<bool, SqlError> {
    Ok(place(sql)?.is_some())
}

/// Claims the next handful again. `company`: one that stays, because the message is not about one.
pub(in crate::shard) fn advance(sql: &impl Sql, now: Millis, company: &CompanyId) -> Result<(), Failure> {
    let Some(after) = place(sql)? else { return Ok(()) };
    let statement = "SELECT digest FROM imported WHERE digest > ?1 ORDER BY digest LIMIT ?2";
    let rows = sql.execute(statement, &[after.into(), HANDFUL.into()])?;
    let digests: Vec<Digest> = rows.into_iter().map(|row| Columns::of(row).parsed()).collect::<Result<_, _>>()?;
    if !digests.is_empty() {
        outbox::add_claims(sql, now, company, &digests, current_rev(sql)?)?;
    }
    match digests.last() {
        Some(last) if digests.len() as u64 == HANDFUL => set_place(sql, &last.to_hex())?,
        _ => drop(sql.execute("DELETE FROM texts WHERE name = ?1", &[PLACE.into()])?),
    }
    Ok(())
}
