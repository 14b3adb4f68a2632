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

/// How wide a bucket of counts is: hours are kept for 7 days, days for 90.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Hour,
    Day,
}

impl Width {
    pub(super) const ALL: [Self; 2] = [Self::Hour, Self::Day];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    const fn length(self) -> u64 {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => 24 * HOUR_MS,
        }
    }

    /// How long `count` of them are.
    pub(super) const fn length_of(self, count: u64) -> Millis {
        Millis(self.length() * count)
    }

    const fn kept(self) -> u64 {
        match self {
            Self::Hour => 7 * 24,
            Self::Day => 90,
        }
    }

    /// When the bucket begins that `at` falls into.
    pub(super) const fn start(self, at: Millis) -> Millis {
        Millis(at.0 / self.length() * self.length())
    }

    /// When the first bucket begins that begins at `at` or later.
    pub(super) fn next(self, at: Millis) -> Millis {
        let start = self.start(at);
        if start == at { at } else { start.plus(Millis(self.length())) }
    }

    /// When the oldest bucket may begin that is kept at `now`.
    pub(super) fn oldest(self, now: Millis) -> Millis {
        now.minus(Millis(self.length() * self.kept()))
    }
}

/// Takes a report. Entries about keys that are not here, and times that cannot be, are dropped.
pub(super) fn report(sql: &impl Sql, now: Millis, timing: &Timing, report: &UsageReport) -> Result<(), SqlError> {
    for entry in report.entries.iter().take(UsageReport::MAX_ENTRIES) {
        let at = entry.last_used_at.min(now.plus(timing.skew));
        if !touch(sql, &entry.company, &entry.key_id, at)? {
            continue;
        }
        for width in Width::ALL {
            sql.execute(
                "INSERT INTO key_buckets (company, key_id, width, at, allowed, refused) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (company, key_id, width, at) DO UPDATE SET allowed = allowed + ?5, refused = refused + ?6",
                &[
                    (&entry.company).into(),
                    (&entry.key_id).into(),
                    width.name().into(),
                    width.start(at).into(),
                    u64::from(entry.allowed).into(),
                    u64::from(entry.refused).into(),
                ],
            )?;
        }
    }
    Ok(())
}

/// Moves "last used" of a key forward to `at`; false where there is no such key, or its company is gone.
pub(super) fn touch(sql: &impl Sql, company: &CompanyId, key: &KeyId, at: Millis) -> Result<bool, SqlError> {
    let known = sql.execute(
        "SELECT 1 FROM keys k JOIN companies c ON c.company = k.company WHERE k.company = ?1 AND k.key_id = ?2",
        &[company.into(), key.into()],
    )?;
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
    for width in Width::ALL {
        sql.execute(
            "DELETE FROM key_buckets WHERE (company, key_id, width, at) IN \
             (SELECT company, key_id, width, at FROM key_buckets WHERE width = ?1 AND at < ?2 LIMIT 500)",
            &[width.name().into(), width.oldest(now).into()],
        )?;
    }
    for (table, key) in [("sessions", "digest"), ("used_links", "company, nonce"), ("idempotency", "company, actor, method, path, key")] {
        let statement = format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE expires_at <= ?1 LIMIT 500)");
        sql.execute(&statement, &[now.into()])?;
    }
    Ok(())
}
