//! What a change of the policy leaves to do outside the object: announce it at the Feed object, publish it in the
//! store, write it in the audit trail. Each is tried until it succeeds, with growing pauses.

use keyward_shared::{
    feed::{Change, Subject},
    time::Millis,
};

use super::Registry;
use crate::{
    call::{Announced, Announcement},
    sql::{Columns, Sql, SqlError, Value},
};

/// Something to do, and what to call when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Announce this revision of the policy; then [`Registry::announced`].
    Announce {
        /// Which.
        rev: u64,
    },
    /// Publish the current policy; then [`Registry::published`] with this revision and round.
    Publish {
        /// The revision that was marked.
        rev: u64,
        /// The first or the second time.
        round: u64,
    },
    /// Send this note to the operator company's shard; then [`Registry::delivered`].
    Audit {
        /// Which.
        id: String,
        /// The note, as JSON.
        body: String,
    },
}

/// The pauses between tries double up to 2¹⁰ times the least.
const MOST_DOUBLINGS: u64 = 10;

impl<S: Sql> Registry<S> {
    pub(super) fn must_announce(&self, now: Millis, rev: u64) -> Result<(), SqlError> {
        self.mark("announce", rev, "", now)
    }

    /// At most one put per `put_interval`: the store takes no more of one name.
    pub(super) fn must_publish(&self, now: Millis, rev: u64) -> Result<(), SqlError> {
        let due = self.last_publication()?.map_or(now, |begun| now.max(begun.min(now).plus(self.timing.put_interval)));
        self.mark("publish", rev, "", due)
    }

    pub(super) fn must_audit(&self, now: Millis, rev: u64, note: &str) -> Result<(), SqlError> {
        self.mark(&format!("audit:{rev}"), rev, note, now)
    }

    fn mark(&self, id: &str, rev: u64, body: &str, due: Millis) -> Result<(), SqlError> {
        self.sql.execute(
            "INSERT INTO work (id, rev, body, round, due_at, begun_at, failures) VALUES (?1, ?2, ?3, 1, ?4, 0, 0)
             ON CONFLICT (id) DO UPDATE SET rev = excluded.rev, round = 1, due_at = excluded.due_at, failures = 0",
            &[id.into(), rev.into(), body.into(), due.into()],
        )?;
        Ok(())
    }

    fn last_publication(&self) -> Result<Option<Millis>, SqlError> {
        self.first("SELECT begun_at FROM work WHERE id = 'publish'", &[])?.map(|row| Columns::of(row).time()).transpose()
    }

    /// An edge asked for the policy itself, so the store's copy is missing or too old: it is published again, where that
    /// did not happen lately.
    pub fn asked(&self, now: Millis) -> Result<(), SqlError> {
        let lately = self.last_publication()?.is_some_and(|begun| now < begun.plus(self.timing.put_again));
        let waiting = self.first("SELECT 1 FROM work WHERE id = 'publish' AND due_at IS NOT NULL", &[])?.is_some();
        if lately || waiting { Ok(()) } else { self.must_publish(now, self.current_rev()?) }
    }

    /// When there is something to do next.
    pub fn due(&self) -> Result<Option<Millis>, SqlError> {
        let row = self.first("SELECT min(due_at) FROM work", &[])?;
        Ok(row.map(|row| Columns::of(row).optional_time()).transpose()?.flatten())
    }

    /// Everything that is due, in the order in which it is to be done. Each counts as failed, to be tried again later, until
    /// it is reported done.
    pub fn begin_work(&self, now: Millis) -> Result<Vec<Work>, SqlError> {
        self.sql.transaction(|| {
            let due = self
                .sql
                .execute("SELECT id, rev, body, round, failures FROM work WHERE due_at <= ?1 ORDER BY id LIMIT 100", &[now.into()])?;
            due.into_iter().map(|row| self.begin(now, Columns::of(row))).collect()
        })
    }

    fn begin(&self, now: Millis, mut row: Columns) -> Result<Work, SqlError> {
        let (id, rev, body, round, failures) = (row.text()?, row.number()?, row.text()?, row.number()?, row.number()?);
        let pause = self.timing.put_interval.0.saturating_mul(1 << failures.min(MOST_DOUBLINGS));
        let pause = Millis(pause.min(self.timing.heartbeat.0).max(self.timing.put_interval.0));
        self.sql.execute(
            "UPDATE work SET due_at = ?2, begun_at = ?3, failures = failures + 1 WHERE id = ?1",
            &[id.as_str().into(), now.plus(pause).into(), now.into()],
        )?;
        Ok(match id.as_str() {
            "announce" => Work::Announce { rev },
            "publish" => Work::Publish { rev, round },
            _ => Work::Audit { id, body },
        })
    }

    /// What the Feed object is told of the revision.
    pub fn announcement(&self, rev: u64) -> Result<Announcement, SqlError> {
        let seen = self.first("SELECT value FROM numbers WHERE name = 'seen'", &[])?.map(|row| Columns::of(row).time()).transpose()?;
        Ok(Announcement { changes: vec![Change(Subject::policy(), rev)], seen, restored: false })
    }

    /// The Feed object has stamped the revision, and with it every earlier one.
    pub fn announced(&self, rev: u64, announced: Announced) -> Result<(), SqlError> {
        let at = announced.announced_at;
        self.sql.transaction(|| {
            self.sql.execute(
                "INSERT INTO numbers (name, value) VALUES ('seen', ?1) ON CONFLICT (name) DO UPDATE SET value = max(value, ?1)",
                &[announced.stamp.into()],
            )?;
            self.sql.execute("UPDATE policies SET announced_at = ?2 WHERE rev <= ?1 AND announced_at IS NULL", &[rev.into(), at.into()])?;
            self.sql.execute("DELETE FROM work WHERE id = 'announce' AND rev = ?1", &[rev.into()])?;
            Ok(())
        })
    }

    /// The store has taken the policy. It is put once more later, because an earlier put can arrive late; a change
    /// that was made meanwhile stays to be done.
    pub fn published(&self, now: Millis, rev: u64, round: u64) -> Result<(), SqlError> {
        let again = (round == 1).then(|| now.plus(self.timing.put_again));
        self.sql.execute(
            "UPDATE work SET due_at = ?3, round = ?2 + 1, failures = 0 WHERE id = 'publish' AND rev = ?1 AND round = ?2",
            &[rev.into(), round.into(), again.map_or(Value::Null, Value::from)],
        )?;
        Ok(())
    }

    /// The audit note was taken.
    pub fn delivered(&self, id: &str) -> Result<(), SqlError> {
        self.sql.execute("DELETE FROM work WHERE id = ?1", &[id.into()])?;
        Ok(())
    }
}
