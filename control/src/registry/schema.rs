//! The tables of the Registry object, as a list of migrations.

use crate::sql::{
    Sql, SqlError,
    migrations::{self, Migration},
};

/// In order; never changed once released, only added to.
const MIGRATIONS: &[Migration] = &[VERSION_1];

/// Objects from before versions were counted have these tables already.
const VERSION_1: Migration = &[
    // A company that was removed keeps its row, so that a late notice of an earlier change cannot bring it back.
    "CREATE TABLE IF NOT EXISTS companies (
        id TEXT PRIMARY KEY,
        shard TEXT NOT NULL,
        name TEXT NOT NULL,
        registered_at INTEGER NOT NULL,
        rev INTEGER NOT NULL,
        removed INTEGER NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS policies (
        rev INTEGER PRIMARY KEY,
        json TEXT NOT NULL,
        changed_by TEXT NOT NULL,
        changed_at INTEGER NOT NULL,
        announced_at INTEGER
    )",
    // What is left to do outside: `announce`, `publish`, `audit:<rev>`. No `due_at`: done, kept for its `begun_at`.
    "CREATE TABLE IF NOT EXISTS work (
        id TEXT PRIMARY KEY,
        rev INTEGER NOT NULL,
        body TEXT NOT NULL,
        round INTEGER NOT NULL,
        due_at INTEGER,
        begun_at INTEGER NOT NULL,
        failures INTEGER NOT NULL
    )",
    // `read_at`: when the policy was last read for an edge; `seen`: the highest stamp that the Feed object ever gave.
    "CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
];

/// Creates the tables or brings them up to date; does nothing where they are.
pub(super) fn migrate(sql: &impl Sql) -> Result<(), SqlError> {
    migrations::migrate(sql, MIGRATIONS)
}
