//! What tests do to the KV service: count what it is asked for, and switch faults on and off while it runs. A fault is a rule (which
//! operations, which names) with an effect. What is slow or fails is decided here; what arrives late, not at all or in another order is
//! [`super::replica`]'s business, told here by which rule.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What the service is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// One value.
    Get,
    /// Several values at once.
    BulkGet,
    /// Write.
    Put,
    /// Remove.
    Delete,
    /// Names.
    List,
}

/// What happens to an operation instead of, or before, the ordinary thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It takes so much longer.
    Delay(Duration),
    /// It is answered with this status and has no effect.
    Fail(u16),
    /// A write arrives at this view so much later; with [`FOREVER`] not until [`super::KvService::heal`]. Of several lags the longest counts.
    Lag(Duration),
    /// A write never arrives at this view, not even when it is healed: only a later write of the name ends that.
    Lose,
    /// After a write the value that it replaced arrives once more, so much later: an older value after a newer one.
    Repeat(Duration),
    /// What a read found, absence included, is what this view answers for so long, whatever arrives.
    Remember(Duration),
    /// Of the reads of a name that lags, every other one is answered with what the store holds: fresh, stale, fresh, and so on.
    Alternate,
}

/// Until the view is healed.
pub const FOREVER: Duration = Duration::MAX;

/// Which operations suffer, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Only these; all where it is empty.
    pub operations: Vec<Operation>,
    /// Only names that begin with this.
    pub prefix: String,
    /// What happens.
    pub effect: Effect,
}

impl Fault {
    /// Everything suffers `effect`.
    pub fn everywhere(effect: Effect) -> Self {
        Self { operations: Vec::new(), prefix: String::new(), effect }
    }

    /// Reading, single or in bulk, of names that begin with `prefix` suffers `effect`.
    pub fn reading(prefix: &str, effect: Effect) -> Self {
        Self { operations: vec![Operation::Get, Operation::BulkGet], prefix: prefix.into(), effect }
    }

    /// Writing names that begin with `prefix` suffers `effect`.
    pub fn writing(prefix: &str, effect: Effect) -> Self {
        Self { operations: vec![Operation::Put, Operation::Delete], prefix: prefix.into(), effect }
    }

    fn hits(&self, operation: Operation, names: &[&str]) -> bool {
        (self.operations.is_empty() || self.operations.contains(&operation)) && names.iter().any(|name| name.starts_with(&self.prefix))
    }
}

/// How often each operation was asked for, by kind of name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(Operation, String), u64>);

impl Counts {
    /// Operations of one sort on names of one kind: `k:`, `f:`, `p:`, `i:`.
    pub fn of(&self, operation: Operation, kind: &str) -> u64 {
        self.0.get(&(operation, kind.to_owned())).copied().unwrap_or_default()
    }

    /// Reads of names of one kind, single or in bulk.
    pub fn reads(&self, kind: &str) -> u64 {
        self.of(Operation::Get, kind) + self.of(Operation::BulkGet, kind)
    }

    /// All reads.
    pub fn all_reads(&self) -> u64 {
        self.total(Operation::Get) + self.total(Operation::BulkGet)
    }

    /// Operations of one sort on any name. A bulk read counts once for each kind of name in it.
    pub fn total(&self, operation: Operation) -> u64 {
        self.0.iter().filter(|((counted, _), _)| *counted == operation).map(|(_, count)| count).sum()
    }
}

/// How a write arrives at a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) lag: Duration,
    pub(super) lost: bool,
    /// When, after the write has arrived, the value before it arrives once more.
    pub(super) repeat: Option<Duration>,
}

/// How a view is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) remember: Option<Duration>,
    pub(super) alternate: bool,
}

/// The switched-on faults and the counts of one service.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Mutex<Vec<Fault>>,
    counts: Mutex<Counts>,
}

impl Faults {
    pub(super) fn inject(&self, fault: Fault) {
        lock(&self.faults).push(fault);
    }

    pub(super) fn heal(&self) {
        lock(&self.faults).clear();
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }

    pub(super) fn reset_counts(&self) {
        *lock(&self.counts) = Counts::default();
    }

    /// Counts an operation and tells what it suffers: how much delay, and the status it fails with.
    pub(super) fn meet(&self, operation: Operation, names: &[&str]) -> (Duration, Option<u16>) {
        let mut kinds: Vec<&str> = names.iter().map(|name| kind(name)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            *lock(&self.counts).0.entry((operation, kind.to_owned())).or_default() += 1;
        }
        let mut suffered = (Duration::ZERO, None);
        for fault in lock(&self.faults).iter().filter(|fault| fault.hits(operation, names)) {
            match fault.effect {
                Effect::Delay(delay) => suffered.0 += delay,
                Effect::Fail(status) => suffered.1 = Some(status),
                Effect::Lag(_) | Effect::Lose | Effect::Repeat(_) | Effect::Remember(_) | Effect::Alternate => {}
            }
        }
        suffered
    }

    /// How a write of `name` arrives here.
    pub(super) fn arrival(&self, operation: Operation, name: &str) -> Arrival {
        let mut arrival = Arrival::default();
        for fault in lock(&self.faults).iter().filter(|fault| fault.hits(operation, &[name])) {
            match fault.effect {
                Effect::Lag(lag) => arrival.lag = arrival.lag.max(lag),
                Effect::Lose => arrival.lost = true,
                Effect::Repeat(later) => arrival.repeat = Some(later),
                Effect::Delay(_) | Effect::Fail(_) | Effect::Remember(_) | Effect::Alternate => {}
            }
        }
        arrival
    }

    /// How `name` is read here.
    pub(super) fn reading(&self, operation: Operation, name: &str) -> Reading {
        let mut reading = Reading::default();
        for fault in lock(&self.faults).iter().filter(|fault| fault.hits(operation, &[name])) {
            match fault.effect {
                Effect::Remember(time) => reading.remember = Some(time),
                Effect::Alternate => reading.alternate = true,
                Effect::Delay(_) | Effect::Fail(_) | Effect::Lag(_) | Effect::Lose | Effect::Repeat(_) => {}
            }
        }
        reading
    }
}

/// A name's kind: everything to the first colon, or nothing.
fn kind(name: &str) -> &str {
    name.find(':').map_or("", |colon| name.get(..=colon).unwrap_or_default())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted_by_kind_of_name() {
        let faults = Faults::default();
        faults.meet(Operation::Get, &["k:abcd"]);
        faults.meet(Operation::Get, &["plain"]);
        faults.meet(Operation::BulkGet, &["k:a", "k:b", "f:1"]);
        let counts = faults.counts();
        assert_eq!((counts.of(Operation::Get, "k:"), counts.reads("k:"), counts.reads("f:")), (1, 2, 1));
        assert_eq!((counts.total(Operation::Get), counts.all_reads(), counts.total(Operation::Put)), (2, 4, 0));
        faults.reset_counts();
        assert_eq!(faults.counts(), Counts::default());
    }

    #[test]
    fn a_fault_hits_only_what_its_rule_names_until_it_is_healed() {
        let faults = Faults::default();
        faults.inject(Fault::reading("f:", Effect::Fail(500)));
        faults.inject(Fault::everywhere(Effect::Delay(Duration::from_millis(5))));
        assert_eq!(faults.meet(Operation::Get, &["f:1"]), (Duration::from_millis(5), Some(500)));
        assert_eq!(faults.meet(Operation::Put, &["f:1"]), (Duration::from_millis(5), None));
        assert_eq!(faults.meet(Operation::Get, &["k:1"]), (Duration::from_millis(5), None));
        faults.heal();
        assert_eq!(faults.meet(Operation::Get, &["f:1"]), (Duration::ZERO, None));
    }

    #[test]
    fn what_is_only_late_neither_delays_nor_fails_an_operation() {
        let faults = Faults::default();
        let second = Duration::from_secs(1);
        faults.inject(Fault::everywhere(Effect::Lag(second)));
        faults.inject(Fault::writing("f:", Effect::Lose));
        faults.inject(Fault::reading("k:", Effect::Remember(second)));
        assert_eq!(faults.meet(Operation::Put, &["f:0"]), (Duration::ZERO, None));
        assert_eq!(faults.arrival(Operation::Put, "f:0"), Arrival { lag: second, lost: true, repeat: None });
        assert_eq!(faults.arrival(Operation::Delete, "k:0"), Arrival { lag: second, lost: false, repeat: None });
        assert_eq!(faults.reading(Operation::Get, "k:0"), Reading { remember: Some(second), alternate: false });
        assert_eq!(faults.reading(Operation::Get, "f:0"), Reading::default());
    }
}
