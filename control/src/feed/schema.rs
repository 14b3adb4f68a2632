//! The tables of a Feed object, as a list of migrations.

use keyward_shared::{time::Millis, timing::Timing};

use crate::sql::{
    Sql, SqlError,
    migrations::{self, Migration},
};

/// In order; never changed once released, only added to.
const MIGRATIONS: &[Migration] = &[VERSION_1];

/// Objects from before versions were counted have these tables already.
const VERSION_1: Migration = &[
    // One row. Stamps are times by this object's clock, raised where needed so that they strictly increase.
    "CREATE TABLE IF NOT EXISTS feed (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL,
        feed_group INTEGER NOT NULL,
        since INTEGER NOT NULL,
        last_stamp INTEGER NOT NULL,
        last_change INTEGER NOT NULL,
        published_stamp INTEGER NOT NULL,
        attempted_at INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        asked_at INTEGER NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS change (
        subject TEXT PRIMARY KEY,
        rev INTEGER NOT NULL,
        announced_at INTEGER NOT NULL
    ) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS change_by_time ON change (announced_at)",
];

/// Makes the tables where they are missing. A feed that starts empty knows nothing of the past: it is complete
/// only from now on, by any clock.
pub(super) fn prepare(sql: &impl Sql, timing: &Timing, group: u16, now: Millis) -> Result<(), SqlError> {
    migrations::migrate(sql, MIGRATIONS)?;
    sql.execute(
        "INSERT OR IGNORE INTO feed (one, version, feed_group, since, last_stamp, last_change, published_stamp, attempted_at, failures, asked_at) \
         VALUES (1, 1, ?1, ?2, 0, 0, 0, 0, 0, 0)",
        &[u64::from(group).into(), now.plus(timing.skew).into()],
    )?;
    Ok(())
}
