//! The Feed object's state machine: what changed lately, when each change was announced, and when the feed is to
//! be published. Pure: SQL behind a trait, time as an argument. Storing the feed, answering the edge and waking up
//! are `worker/feed_object.rs`'s business.

mod schema;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
pub mod waiters;

use keyward_shared::{
    feed::{Change, Feed as Document, KEPT, MAX_CHANGES},
    time::Millis,
    timing::Timing,
};
use thiserror::Error;

use crate::{
    call::{Announced, Announcement},
    sql::{Row, Sql, SqlError, Value},
};

/// Why the Feed object cannot do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FeedError {
    /// The storage failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The object holds another group's feed.
    #[error("this object holds the feed of group {0}")]
    Group(u64),
    /// A stored subject is not readable.
    #[error("a stored subject is not readable")]
    Subject,
    /// An object says that it was given a stamp that lies more than a day ahead of this object's clock: one of the two is
    /// broken, and no stamp given now could be relied on.
    #[error("an announcement tells of the stamp {0:?}, which is more than a day ahead of the clock")]
    Ahead(Millis),
}

/// How far ahead of the clock a stamp may lie that another object tells of.
const MOST_AHEAD: Millis = Millis::from_secs(86_400);

/// The changes of one group of shards.
#[derive(Debug)]
pub struct Feed<S> {
    sql: S,
    timing: Timing,
    group: u16,
}

/// The one row of the table `feed`.
struct State {
    group: u64,
    since: Millis,
    last_stamp: Millis,
    last_change: Millis,
    published_stamp: Millis,
    attempted_at: Millis,
    failures: u64,
    asked_at: Millis,
}

impl<S: Sql> Feed<S> {
    /// The feed of `group`, with its tables.
    pub fn open(sql: S, timing: Timing, group: u16, now: Millis) -> Result<Self, FeedError> {
        schema::prepare(&sql, &timing, group, now)?;
        let feed = Self { sql, timing, group };
        let stored = feed.state()?.group;
        if stored == u64::from(group) { Ok(feed) } else { Err(FeedError::Group(stored)) }
    }

    /// The group whose feed `sql` holds; `None` where it holds none yet. An alarm has nobody to tell it.
    pub fn stored_group(sql: &S) -> Result<Option<u16>, SqlError> {
        let known = sql.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'feed'", &[])?;
        if known.is_empty() {
            return Ok(None);
        }
        let rows = sql.execute("SELECT feed_group FROM feed", &[])?;
        Ok(first_number(&rows).and_then(|group| u16::try_from(group).ok()))
    }

    /// Takes up changes and stamps them above every stamp issued before, so that no feed issued before can be
    /// taken for one that lists them.
    ///
    /// A feed that has just begun knows nothing of the stamps that were issued before it by a clock that may have been
    /// faster: what is announced then counts as announced only from when on the feed is complete by any clock. That is
    /// at most twice the skew of clocks later than now, and changes neither the feed nor its stamps.
    pub fn announce(&self, now: Millis, announcement: &Announcement) -> Result<Announced, FeedError> {
        self.sql.transaction(|| {
            self.compare(now, announcement.seen)?;
            if announcement.restored {
                self.begin_anew(now)?;
            }
            let stamp = self.stamp(now)?;
            for Change(subject, rev) in &announcement.changes {
                self.sql.execute(
                    "INSERT INTO change (subject, rev, announced_at) VALUES (?1, ?2, ?3)
                     ON CONFLICT (subject) DO UPDATE SET rev = max(rev, excluded.rev), announced_at = excluded.announced_at",
                    &[subject.to_string().into(), (*rev).into(), stamp.into()],
                )?;
            }
            let announced_at = stamp.max(self.state()?.since.plus(self.timing.skew));
            self.prune(stamp)?;
            self.sql.execute("UPDATE feed SET last_change = ?1", &[stamp.into()])?;
            Ok(Announced { announced_at, stamp })
        })
    }

    /// The object's storage was restored from a backup: the feed may lack changes that were announced since, so it is
    /// complete only from now on, by any clock, as one that starts empty. It is published at once. An announcement does
    /// the same where it says so, or shows it.
    pub fn restored(&self, now: Millis) -> Result<(), FeedError> {
        self.sql.transaction(|| self.begin_anew(now))
    }

    fn begin_anew(&self, now: Millis) -> Result<(), FeedError> {
        let stamp = self.stamp(now)?;
        let since = stamp.plus(self.timing.skew);
        self.sql.execute("UPDATE feed SET since = max(since, ?1), last_change = ?2", &[since.into(), stamp.into()])?;
        Ok(())
    }

    /// Every stamp is stored before it is given out. So where another object was given a higher one than is stored, the
    /// storage is an earlier one.
    fn compare(&self, now: Millis, seen: Option<Millis>) -> Result<(), FeedError> {
        let Some(seen) = seen else { return Ok(()) };
        if seen <= self.state()?.last_stamp {
            return Ok(());
        }
        if seen > now.plus(MOST_AHEAD) {
            return Err(FeedError::Ahead(seen));
        }
        self.sql.execute("UPDATE feed SET last_stamp = ?1", &[seen.into()])?;
        self.begin_anew(now)
    }

    /// The feed as of now. Its stamp is stored in the turn in which the changes are read: an object that was
    /// displaced fails here instead of stamping an old list as fresh.
    pub fn issue(&self, now: Millis) -> Result<Document, FeedError> {
        self.sql.transaction(|| {
            let issued_at = self.stamp(now)?;
            self.prune(issued_at)?;
            let rows = self.sql.execute("SELECT subject, rev FROM change", &[])?;
            let changes = rows.iter().map(read_change).collect::<Result<_, _>>()?;
            Ok(Document::new(self.group, issued_at, self.state()?.since, changes))
        })
    }

    /// Notes that an edge asked: as long as somebody does, the feed is published regularly.
    pub fn asked(&self, now: Millis) -> Result<(), FeedError> {
        self.sql.execute("UPDATE feed SET asked_at = max(asked_at, ?1)", &[now.into()])?;
        Ok(())
    }

    /// Notes that an edge waits for the next change: like [`Self::asked`], but so many come and go that most are not
    /// written down. Whether this one was, and so may have changed what is due.
    pub fn awaited(&self, now: Millis) -> Result<bool, FeedError> {
        let noted_for = Millis(self.timing.asked_window.0 / 10);
        let is_noted = self.state()?.asked_at.plus(noted_for) <= now;
        if is_noted {
            self.asked(now)?;
        }
        Ok(is_noted)
    }

    /// Whether an edge whose feed was issued at `known` (0: it has none) is to be answered at once: there was a change
    /// that its feed does not list.
    pub fn is_news_to(&self, known: Millis) -> Result<bool, FeedError> {
        Ok(known == Millis(0) || known < self.state()?.last_change)
    }

    /// When the feed must be published next; `None` as long as nothing changes and nobody asks.
    pub fn due(&self, now: Millis) -> Result<Option<Millis>, FeedError> {
        let state = self.state()?;
        let pause = self.backoff(state.failures);
        let changed = state.last_change > state.published_stamp;
        let wanted = state.asked_at > Millis::default() && now < state.asked_at.plus(self.timing.asked_window);
        // A clock that was set back must not silence the feed until it has caught up.
        let attempted_at = state.attempted_at.min(now);
        Ok(match (changed, wanted) {
            (true, _) => Some(attempted_at.plus(pause)),
            (false, true) => Some(attempted_at.plus(self.timing.heartbeat.max(pause))),
            (false, false) => None,
        })
    }

    /// Notes that the feed is about to be put to the store, and gives it, where that is due.
    pub fn begin_publication(&self, now: Millis) -> Result<Option<Document>, FeedError> {
        if self.due(now)?.is_none_or(|due| due > now) {
            return Ok(None);
        }
        self.sql.execute("UPDATE feed SET attempted_at = ?1, failures = failures + 1", &[now.into()])?;
        self.issue(now).map(Some)
    }

    /// Notes that the feed with this stamp has been put.
    pub fn published(&self, issued_at: Millis) -> Result<(), FeedError> {
        self.sql.execute("UPDATE feed SET published_stamp = max(published_stamp, ?1), failures = 0", &[issued_at.into()])?;
        Ok(())
    }

    fn stamp(&self, now: Millis) -> Result<Millis, FeedError> {
        let stamp = now.max(self.state()?.last_stamp.plus(Millis(1)));
        self.sql.execute("UPDATE feed SET last_stamp = ?1", &[stamp.into()])?;
        Ok(stamp)
    }

    /// Drops what is too old or too much; the feed is complete only from after the last change dropped.
    fn prune(&self, now: Millis) -> Result<(), FeedError> {
        let too_old = now.minus(KEPT);
        let beyond = self.sql.execute(
            "SELECT announced_at FROM change ORDER BY announced_at DESC LIMIT 1 OFFSET ?1",
            &[u64::try_from(MAX_CHANGES).unwrap_or(u64::MAX).into()],
        )?;
        let too_many = first_number(&beyond).unwrap_or(0);
        let newest_dropped = self.sql.execute(
            "SELECT max(announced_at) FROM change WHERE announced_at < ?1 OR announced_at <= ?2",
            &[too_old.into(), too_many.into()],
        )?;
        if let Some(dropped) = first_number(&newest_dropped) {
            self.sql.execute("DELETE FROM change WHERE announced_at <= ?1", &[dropped.into()])?;
            self.sql.execute("UPDATE feed SET since = max(since, ?1)", &[dropped.saturating_add(1).into()])?;
        }
        Ok(())
    }

    fn backoff(&self, failures: u64) -> Millis {
        let doubled = self.timing.put_interval.0.saturating_mul(1 << failures.min(10));
        Millis(doubled.min(self.timing.heartbeat.0).max(self.timing.put_interval.0))
    }

    fn state(&self) -> Result<State, FeedError> {
        let rows = self.sql.execute(
            "SELECT feed_group, since, last_stamp, last_change, published_stamp, attempted_at, failures, asked_at FROM feed",
            &[],
        )?;
        let [row] = rows.as_slice() else { return Err(SqlError("the feed has no row".into()).into()) };
        let at = |column| row.get(column).map_or(0, Value::number);
        Ok(State {
            group: at(0),
            since: Millis(at(1)),
            last_stamp: Millis(at(2)),
            last_change: Millis(at(3)),
            published_stamp: Millis(at(4)),
            attempted_at: Millis(at(5)),
            failures: at(6),
            asked_at: Millis(at(7)),
        })
    }
}

fn first_number(rows: &[Row]) -> Option<u64> {
    rows.first()?.first()?.optional_number()
}

fn read_change(row: &Row) -> Result<Change, FeedError> {
    let [subject, rev] = row.as_slice() else { return Err(FeedError::Subject) };
    Ok(Change(subject.text().parse().map_err(|_| FeedError::Subject)?, rev.number()))
}
