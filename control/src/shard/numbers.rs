//! What the object remembers about itself as single numbers.

use crate::sql::{Columns, Sql, SqlError};

/// The shard's revision.
pub(super) const REV: &str = "rev";
/// The place of the key that was made last.
pub(super) const PLACE: &str = "place";
/// The highest stamp that the Feed object ever gave to this object.
pub(super) const SEEN: &str = "seen";
/// When rows were last read for an edge.
pub(super) const READ_AT: &str = "read_at";
/// The revision of the last republication of everything.
pub(super) const REPUBLISHED_REV: &str = "republished_rev";
/// When it was committed.
pub(super) const REPUBLISHED_AT: &str = "republished_at";
/// When it was announced; 0: not yet.
pub(super) const REPUBLISHED_ANNOUNCED: &str = "republished_announced_at";

/// The number `name`, where there is one.
pub(super) fn get(sql: &impl Sql, name: &str) -> Result<Option<u64>, SqlError> {
    sql.execute("SELECT value FROM numbers WHERE name = ?1", &[name.into()])?.pop().map(|row| Columns::of(row).number()).transpose()
}

/// Makes the number `name` be `value`.
pub(super) fn set(sql: &impl Sql, name: &str, value: u64) -> Result<(), SqlError> {
    let statement = "INSERT INTO numbers (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    sql.execute(statement, &[name.into(), value.into()]).map(|_| ())
}

/// Makes the number `name` be `value`, where it is not higher already.
pub(super) fn raise(sql: &impl Sql, name: &str, value: u64) -> Result<(), SqlError> {
    let statement = "INSERT INTO numbers (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = MAX(value, ?2)";
    sql.execute(statement, &[name.into(), value.into()]).map(|_| ())
}

/// Makes the number `name` be `value`, or one more than it was: it always changes.
pub(super) fn advance(sql: &impl Sql, name: &str, value: u64) -> Result<(), SqlError> {
    let statement = "INSERT INTO numbers (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = MAX(value + 1, ?2)";
    sql.execute(statement, &[name.into(), value.into()]).map(|_| ())
}
