//! What happens by the clock alone: keys that expire soon or have expired, and keys that nobody uses. Each company with
//! a webhook that wants to hear of it has a watch of that kind, which goes through an index of keys in the order in which
//! they are due: everything up to `seen` was told. A watch never goes back, so nothing is told twice, also where the
//! clock is set back; it begins now, so nothing is told of before.

use keyward_shared::{
    ids::{CompanyId, KeyId},
    time::Millis,
};

use super::events::{self, EventType};
use crate::{
    shard::{failure::Failure, rows},
    sql::{Columns, Sql, SqlError},
};

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;
/// After how long without use a key is unused.
const UNUSED: Millis = Millis(90 * DAY_MS);
/// How many keys are looked at in one go.
const HANDFUL: u64 = 100;
/// A place after every key.
const END: &str = "~";

/// What a watch looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Keys that expire in so many days.
    Expiring(u64),
    /// Keys that have expired.
    Expired,
    /// Keys that were used, but long ago.
    Unused,
    /// Keys that were made long ago and never used.
    NeverUsed,
}

const KINDS: [(&str, Kind); 6] = [
    ("expiring.14", Kind::Expiring(14)),
    ("expiring.7", Kind::Expiring(7)),
    ("expiring.1", Kind::Expiring(1)),
    ("expired", Kind::Expired),
    ("unused", Kind::Unused),
    ("never_used", Kind::NeverUsed),
];

/// A key that is due.
struct Due {
    key: KeyId,
    /// The time in its row that makes it due.
    at: Millis,
    /// Its id, or what else tells it from others of the same time.
    place: String,
}

impl Kind {
    const fn event(self) -> EventType {
        match self {
            Self::Expiring(_) => EventType::KeyExpiring,
            Self::Expired => EventType::KeyExpired,
            Self::Unused | Self::NeverUsed => EventType::KeyUnused,
        }
    }

    /// The time in a key's row that is due at `at`.
    const fn stored(self, at: Millis) -> Millis {
        match self {
            Self::Expiring(days) => at.plus(Millis(days * DAY_MS)),
            Self::Expired => at,
            Self::Unused | Self::NeverUsed => at.minus(UNUSED),
        }
    }

    /// When a key is due with that time in its row.
    const fn due(self, stored: Millis) -> Millis {
        match self {
            Self::Expiring(days) => stored.minus(Millis(days * DAY_MS)),
            Self::Expired => stored,
            Self::Unused | Self::NeverUsed => stored.plus(UNUSED),
        }
    }

    /// Keys whose time is after (`seen`, `place`), up to `until`, in that order. The place of a key is when it was made.
    const fn scan(self) -> &'static str {
        match self {
            Self::Expiring(_) | Self::Expired => {
                "SELECT key_id, expires_at, key_id FROM keys WHERE company = ?1 AND expires_at IS NOT NULL AND revoked_at IS NULL \
                 AND (expires_at, key_id) > (?2, ?3) AND expires_at <= ?4 ORDER BY expires_at, key_id LIMIT ?5"
            }
            Self::Unused => {
                "SELECT key_id, last_used_at, key_id FROM key_usage WHERE company = ?1 AND (last_used_at, key_id) > (?2, ?3) \
                 AND last_used_at <= ?4 ORDER BY last_used_at, key_id LIMIT ?5"
            }
            Self::NeverUsed => {
                "SELECT key_id, place, ?3 FROM keys WHERE company = ?1 AND place > ?2 AND place <= ?4 AND revoked_at IS NULL \
                 ORDER BY place LIMIT ?5"
            }
        }
    }

    /// The first time after `seen` in a row.
    const fn first(self) -> &'static str {
        match self {
            Self::Expiring(_) | Self::Expired => {
                "SELECT expires_at FROM keys WHERE company = ?1 AND expires_at IS NOT NULL AND revoked_at IS NULL AND expires_at > ?2 \
                 ORDER BY expires_at LIMIT 1"
            }
            Self::Unused => "SELECT last_used_at FROM key_usage WHERE company = ?1 AND last_used_at > ?2 ORDER BY last_used_at LIMIT 1",
            Self::NeverUsed => "SELECT place FROM keys WHERE company = ?1 AND place > ?2 ORDER BY place LIMIT 1",
        }
    }

    /// When the watch has something to look at after `seen`.
    fn next(self, sql: &impl Sql, company: &CompanyId, seen: Millis) -> Result<Option<Millis>, SqlError> {
        let row = sql.execute(self.first(), &[company.into(), self.stored(seen).into()])?.pop();
        let due = row.map(|row| Columns::of(row).time()).transpose()?.map(|stored| self.due(stored));
        Ok(match self {
            Self::Expiring(_) | Self::Expired => due,
            // To the hour, so that many keys are one awakening; where there is nothing, what is used or made from now on
            // is not due before.
            Self::Unused | Self::NeverUsed => Some(due.map_or(seen.plus(UNUSED), |due| Millis(due.0.div_ceil(HOUR_MS) * HOUR_MS))),
        })
    }
}

/// Makes the company's watches be those that its active webhooks want.
pub(in crate::shard) fn reconcile(sql: &impl Sql, company: &CompanyId, now: Millis) -> Result<(), SqlError> {
    let wanted = events::wanted(sql, company)?;
    for (name, kind) in KINDS {
        if wanted.contains(&kind.event()) {
            sql.execute(
                "INSERT INTO webhook_watches (company, kind, seen, place, due_at) VALUES (?1, ?2, ?3, ?4, ?3) ON CONFLICT (company, kind) DO NOTHING",
                &[company.into(), name.into(), now.into(), END.into()],
            )?;
        } else {
            sql.execute("DELETE FROM webhook_watches WHERE company = ?1 AND kind = ?2", &[company.into(), name.into()])?;
        }
    }
    Ok(())
}

/// Some key has another expiry: when something is due next is to be found out again. What was due by now and was told is
/// behind the watch then: a key that is given less than a week to live is not told of as if a week were left.
pub(super) fn touch(sql: &impl Sql, company: &CompanyId, now: Millis) -> Result<(), SqlError> {
    sql.execute(
        "UPDATE webhook_watches SET seen = MAX(seen, ?2), place = ?3, due_at = ?2 \
         WHERE company = ?1 AND kind LIKE 'expir%' AND (due_at IS NULL OR due_at > ?2)",
        &[company.into(), now.into(), END.into()],
    )?;
    Ok(())
}

/// Tells of the next handful of keys that are due; false where there is none.
pub(super) fn advance(sql: &impl Sql, now: Millis) -> Result<bool, Failure> {
    let statement = "SELECT company, kind, seen, place FROM webhook_watches WHERE due_at <= ?1 ORDER BY due_at LIMIT 1";
    let Some(row) = sql.execute(statement, &[now.into()])?.pop() else { return Ok(false) };
    let mut c = Columns::of(row);
    let (company, name, seen, place): (CompanyId, String, Millis, String) = (c.parsed()?, c.text()?, c.time()?, c.text()?);
    let Some((_, kind)) = KINDS.into_iter().find(|(known, _)| *known == name) else {
        sql.execute("DELETE FROM webhook_watches WHERE company = ?1 AND kind = ?2", &[(&company).into(), name.into()])?;
        return Ok(true);
    };
    let rows =
        sql.execute(kind.scan(), &[(&company).into(), kind.stored(seen).into(), (&place).into(), kind.stored(now).into(), HANDFUL.into()])?;
    let mut last = None;
    let whole = (rows.len() as u64) < HANDFUL;
    for row in rows {
        let mut c = Columns::of(row);
        let due = Due { key: c.parsed()?, at: c.time()?, place: c.text()? };
        tell(sql, now, &company, kind, &due)?;
        last = Some(due);
    }
    let (seen, place, due_at) = match last {
        // At any time, also by a clock that is set back: until then nothing may move it.
        Some(last) if !whole => (kind.due(last.at), last.place, Some(Millis(0))),
        _ => {
            let seen = seen.max(now);
            (seen, END.to_owned(), kind.next(sql, &company, seen)?)
        }
    };
    sql.execute(
        "UPDATE webhook_watches SET seen = ?3, place = ?4, due_at = ?5 WHERE company = ?1 AND kind = ?2",
        &[(&company).into(), name.into(), seen.into(), place.into(), due_at.into()],
    )?;
    Ok(true)
}

/// Writes the event of a key that is due, where it is still as it should be.
fn tell(sql: &impl Sql, now: Millis, company: &CompanyId, kind: Kind, due: &Due) -> Result<(), Failure> {
    let Some(key) = rows::key(sql, company, &due.key)?.filter(|key| key.revoked_at.is_none()) else { return Ok(()) };
    let left = key.expires_at.map(|at| at.minus(now));
    let mut data = events::key_data(&key, now);
    let unique = match (kind, left) {
        // After a long pause only the nearest is told: how much is left is more than the next one's.
        (Kind::Expiring(days), Some(left)) if left.0 > nearer(days) * DAY_MS => {
            data["days_left"] = left.0.div_ceil(DAY_MS).into();
            format!("{}\n{days}\n{}", key.id, due.at.0)
        }
        (Kind::Expired, Some(Millis(0))) => format!("{}\n{}", key.id, due.at.0),
        (Kind::Unused, left) if key.last_used_at == Some(due.at) && left != Some(Millis(0)) => format!("{}\n{}", key.id, due.at.0),
        (Kind::NeverUsed, left) if key.last_used_at.is_none() && left != Some(Millis(0)) => format!("{}\n", key.id),
        _ => return Ok(()),
    };
    Ok(events::add(sql, now, company, kind.event(), &unique, &data)?)
}

/// The days before the expiry at which a key is told of next.
const fn nearer(days: u64) -> u64 {
    match days {
        8.. => 7,
        2..8 => 1,
        _ => 0,
    }
}
