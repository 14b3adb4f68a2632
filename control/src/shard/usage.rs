//! The use of keys, as edges report it. "Last used" only moves forward, and neither it nor the counts touch the rows
//! that hold digests.

use keyward_shared::{
    ids::{CompanyId, KeyId},
    messages::UsageReport,
    time::Millis,
    timing::Timing,
};

use crate::sql::{Sql, SqlError};

const HOUR_MS: u64 = 3_600_000;
/// Widths of buckets with their length, and for how many of them they are kept: hours for 7 days, days for 90.
const WIDTHS: [(&str, u64, u64); 2] = [("hour", HOUR_MS, 7 * 24), ("day", 24 * HOUR_MS, 90)];

/// Takes a report. Entries about keys that are not here, and times that cannot be, are dropped.
pub(super) fn report(sql: &impl Sql, now: Millis, timing: &Timing, report: &UsageReport) -> Result<(), SqlError> {
    for entry in report.entries.iter().take(UsageReport::MAX_ENTRIES) {
        let at = entry.last_used_at.min(now.plus(timing.skew));
        if !touch(sql, &entry.company, &entry.key_id, at)? {
            continue;
        }
        for (width, length, _) in WIDTHS {
            sql.execute(
                "INSERT INTO key_buckets (company, key_id, width, at, allowed, refused) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (company, key_id, width, at) DO UPDATE SET allowed = allowed + ?5, refused = refused + ?6",
                &[
                    (&entry.company).into(),
                    (&entry.key_id).into(),
                    width.into(),
                    (at.0 / length * length).into(),
                    u64::from(entry.allowed).into(),
                    u64::from(entry.refused).into(),
                ],
            )?;
        }
    }
    Ok(())
}

/// Moves "last used" of a key forward to `at`; false where there is no such key.
pub(super) fn touch(sql: &impl Sql, company: &CompanyId, key: &KeyId, at: Millis) -> Result<bool, SqlError> {
    let known = sql.execute("SELECT 1 FROM keys WHERE company = ?1 AND key_id = ?2", &[company.into(), key.into()])?;
    if known.is_empty() {
        return Ok(false);
    }
    sql.execute(
        "INSERT INTO key_usage (company, key_id, last_used_at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (company, key_id) DO UPDATE SET last_used_at = ?3 WHERE last_used_at < ?3",
        &[company.into(), key.into(), at.into()],
    )?;
    Ok(true)
}

/// Removes what has outlived its time, a handful at a time: buckets, sessions, used links, idempotent answers.
pub(super) fn prune(sql: &impl Sql, now: Millis) -> Result<(), SqlError> {
    for (width, length, kept) in WIDTHS {
        let oldest = now.minus(Millis(length * kept));
        sql.execute(
            "DELETE FROM key_buckets WHERE (company, key_id, width, at) IN \
             (SELECT company, key_id, width, at FROM key_buckets WHERE width = ?1 AND at < ?2 LIMIT 500)",
            &[width.into(), oldest.into()],
        )?;
    }
    for (table, key) in [("sessions", "digest"), ("used_links", "company, nonce"), ("idempotency", "company, actor, method, path, key")] {
        let statement = format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE expires_at <= ?1 LIMIT 500)");
        sql.execute(&statement, &[now.into()])?;
    }
    Ok(())
}
