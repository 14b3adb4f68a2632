//! Counting the use of keys until it is reported: the first use at once, then at most one report per
//! interval and isolate.

use keyward_shared::{
    hash::WordMap,
    ids::{CompanyId, KeyId},
    messages::{KeyUsage, UsageReport},
    record::Record,
    shard::Shard,
    time::Millis,
};

/// The most keys that are counted between two reports; beyond, a report is due at once.
const MAX_KEYS: usize = 10_000;

/// Uses not yet reported.
#[derive(Debug, Default)]
pub struct Usage {
    pending: WordMap<KeyId, (Shard, KeyUsage)>,
    next_report: Millis,
}

impl Usage {
    /// Counts one request that authenticated with the key of `record`.
    pub fn count(&mut self, record: &Record, now: Millis, allowed: bool) {
        self.count_key(record.shard, &record.company, &record.key_id, now, allowed);
    }

    /// The same by the names that the record has.
    pub fn count_key(&mut self, shard: Shard, company: &CompanyId, key_id: &KeyId, now: Millis, allowed: bool) {
        let (allowed, refused) = (u32::from(allowed), u32::from(!allowed));
        if let Some((_, entry)) = self.pending.get_mut(key_id) {
            entry.last_used_at = entry.last_used_at.max(now);
            entry.allowed = entry.allowed.saturating_add(allowed);
            entry.refused = entry.refused.saturating_add(refused);
            return;
        }
        if self.pending.len() >= MAX_KEYS {
            self.next_report = Millis(0);
            if self.pending.len() >= 2 * MAX_KEYS {
                return; // reports fail and memory is bounded: better to lose a count than the isolate
            }
        }
        let entry = KeyUsage { company: company.clone(), key_id: key_id.clone(), last_used_at: now, allowed, refused };
        self.pending.insert(key_id.clone(), (shard, entry));
    }

    /// When the next report is due; `None` while there is nothing to report.
    pub fn due(&self) -> Option<Millis> {
        (!self.pending.is_empty()).then_some(self.next_report)
    }

    /// Takes everything that is to be reported, a list of reports per shard, and lets `interval` pass before
    /// the next.
    pub fn take(&mut self, now: Millis, interval: Millis) -> Vec<(Shard, UsageReport)> {
        self.next_report = now.plus(interval);
        let mut reports: Vec<(Shard, UsageReport)> = Vec::new();
        for (_, (shard, entry)) in self.pending.drain() {
            let has_room = |report: &UsageReport| report.entries.len() < UsageReport::MAX_ENTRIES;
            match reports.iter_mut().rev().find(|(known, report)| *known == shard && has_room(report)) {
                Some((_, report)) => report.entries.push(entry),
                None => reports.push((shard, UsageReport { entries: vec![entry] })),
            }
        }
        reports
    }

    /// Puts back a report that could not be delivered.
    pub fn put_back(&mut self, shard: Shard, report: UsageReport) {
        for entry in report.entries {
            let room = self.pending.len() < 2 * MAX_KEYS;
            match self.pending.get_mut(&entry.key_id) {
                Some((_, newer)) => {
                    newer.last_used_at = newer.last_used_at.max(entry.last_used_at);
                    newer.allowed = newer.allowed.saturating_add(entry.allowed);
                    newer.refused = newer.refused.saturating_add(entry.refused);
                }
                None if room => {
                    self.pending.insert(entry.key_id.clone(), (shard, entry));
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::testing::record;

    #[test]
    fn the_first_use_is_due_at_once_and_the_next_after_the_interval() {
        let mut usage = Usage::default();
        assert_eq!(usage.due(), None);
        usage.count(&record(), Millis(100), true);
        assert_eq!(usage.due(), Some(Millis(0)));
        let taken = usage.take(Millis(100), Millis(30));
        assert_eq!((taken.len(), taken[0].1.entries[0].allowed), (1, 1));
        usage.count(&record(), Millis(110), true);
        usage.count(&record(), Millis(105), false);
        assert_eq!(usage.due(), Some(Millis(130)));
        let entry = &usage.take(Millis(130), Millis(30))[0].1.entries[0];
        assert_eq!((entry.last_used_at, entry.allowed, entry.refused), (Millis(110), 1, 1));
    }

    #[test]
    fn an_undelivered_report_is_not_lost() {
        let mut usage = Usage::default();
        usage.count(&record(), Millis(100), true);
        let (shard, report) = usage.take(Millis(100), Millis(30)).remove(0);
        usage.count(&record(), Millis(120), true);
        usage.put_back(shard, report);
        let entry = &usage.take(Millis(130), Millis(30))[0].1.entries[0];
        assert_eq!((entry.last_used_at, entry.allowed), (Millis(120), 2));
    }
}
