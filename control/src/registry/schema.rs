//! The tables of the Registry object, as a list of migrations.

use crate::sql::{
    Sql, SqlError,
    migrations::{self, Migration},
};

/// In order; never changed once released, only added to.
const MIGRATIONS: &[Migration] = &[VERSION_1, VERSION_2];

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

const VERSION_2: Migration = &[
    // What the list of versions shows: how many rules a version has, and which earlier one it brought back.
    "ALTER TABLE policies ADD COLUMN rules INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE policies ADD COLUMN rolled_back_to INTEGER",
    "UPDATE policies SET rules = ifnull(json_array_length(json, '$.rules'), 0)",
    "CREATE TABLE idempotency (
        company TEXT NOT NULL, actor TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, key TEXT NOT NULL,
        fingerprint TEXT NOT NULL, answer TEXT NOT NULL, expires_at INTEGER NOT NULL,
        PRIMARY KEY (company, actor, method, path, key)
    ) WITHOUT ROWID",
    "CREATE INDEX idempotency_by_age ON idempotency (expires_at)",
    // Which shard has the digest of an imported key. Never removed: the digest of a deleted key is not to be had again.
    "CREATE TABLE claims (digest TEXT PRIMARY KEY, shard TEXT NOT NULL) WITHOUT ROWID",
];

/// Creates the tables or brings them up to date; does nothing where they are.
pub(super) fn migrate(sql: &impl Sql) -> Result<(), SqlError> {
    migrations::migrate(sql, MIGRATIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_the_golden_ones() {
        assert_eq!(migrations::text(MIGRATIONS), include_str!("../../golden/registry-schema.sql"));
    }
}
