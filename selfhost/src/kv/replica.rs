//! What one view of the store shows while it is behind: for each name that differs, or may soon, the value shown and the values on their way.
//! A name that is not here shows what the store holds. Pure: time and the store's values are arguments.

use std::{collections::BTreeMap, time::Instant};

use super::{
    Entry,
    faults::{Arrival, Reading},
};

/// A value, or that there is none.
pub(super) type Value = Option<Entry>;

/// The names in which a view differs from the store.
#[derive(Debug, Default)]
pub(super) struct Replica(BTreeMap<String, Behind>);

/// A name that is behind.
#[derive(Debug)]
struct Behind {
    shown: Value,
    /// In the order in which they arrive.
    coming: Vec<Coming>,
    /// What a read found, and until when that is the answer.
    remembered: Option<(Option<Instant>, Value)>,
    reads: u64,
}

#[derive(Debug)]
struct Coming {
    /// `None`: when the view is healed.
    due: Option<Instant>,
    value: Value,
}

impl Replica {
    /// Whether a write that arrives by `arrival` must be told to [`Self::arrive`].
    pub(super) fn concerns(&self, name: &str, arrival: &Arrival) -> bool {
        *arrival != Arrival::default() || self.0.contains_key(name)
    }

    /// The store's value under `name` was `old` and is now `new`.
    pub(super) fn arrive(&mut self, name: &str, old: &Value, new: &Value, arrival: &Arrival, now: Instant) {
        let behind = self.0.entry(name.to_owned()).or_insert_with(|| Behind::from(old));
        if !arrival.lost {
            let due = now.checked_add(arrival.lag);
            behind.expect(due, new);
            if let Some(later) = arrival.repeat {
                behind.expect(due.and_then(|due| due.checked_add(later)), old);
            }
        }
        self.settle(name, new, now);
    }

    /// What a read of `name` gives, where the store holds `stored`.
    pub(super) fn read(&mut self, name: &str, stored: Value, reading: &Reading, now: Instant) -> Value {
        self.settle(name, &stored, now);
        if let Some(time) = reading.remember {
            let behind = self.0.entry(name.to_owned()).or_insert_with(|| Behind::from(&stored));
            if behind.remembered.is_none() {
                behind.remembered = Some((now.checked_add(time), behind.shown.clone()));
            }
        }
        let Some(behind) = self.0.get_mut(name) else { return stored };
        behind.reads += 1;
        if reading.alternate && behind.reads % 2 == 1 { stored } else { behind.answer() }
    }

    /// The same without leaving a trace.
    pub(super) fn peek(&self, name: &str, stored: Value, now: Instant) -> Value {
        let Some(behind) = self.0.get(name) else { return stored };
        if let Some((until, value)) = &behind.remembered
            && until.is_none_or(|until| now < until)
        {
            return value.clone();
        }
        behind.arrived(now).last().map_or_else(|| behind.shown.clone(), |coming| coming.value.clone())
    }

    /// The names that may differ.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Everything that is on its way arrives, and nothing is remembered.
    pub(super) fn heal(&mut self) {
        for behind in self.0.values_mut() {
            behind.remembered = None;
            if let Some(last) = behind.coming.drain(..).next_back() {
                behind.shown = last.value;
            }
        }
    }

    /// Lets arrive what is due, and forgets a name that shows what the store holds.
    fn settle(&mut self, name: &str, stored: &Value, now: Instant) {
        let Some(behind) = self.0.get_mut(name) else { return };
        let arrived = behind.arrived(now).count();
        if let Some(last) = behind.coming.drain(..arrived).next_back() {
            behind.shown = last.value;
        }
        behind.remembered.take_if(|(until, _)| until.is_some_and(|until| until <= now));
        if behind.coming.is_empty() && behind.remembered.is_none() && behind.shown == *stored {
            self.0.remove(name);
        }
    }
}

impl Behind {
    fn from(shown: &Value) -> Self {
        Self { shown: shown.clone(), coming: Vec::new(), remembered: None, reads: 0 }
    }

    /// Puts a value among those that are coming: after all that arrive earlier or at the same time.
    fn expect(&mut self, due: Option<Instant>, value: &Value) {
        let earlier = |coming: &Coming| due.is_none_or(|due| coming.due.is_some_and(|at| at <= due));
        let place = self.coming.partition_point(earlier);
        self.coming.insert(place, Coming { due, value: value.clone() });
    }

    fn arrived(&self, now: Instant) -> impl DoubleEndedIterator<Item = &Coming> {
        let count = self.coming.partition_point(|coming| coming.due.is_some_and(|due| due <= now));
        self.coming.get(..count).unwrap_or_default().iter()
    }

    fn answer(&self) -> Value {
        self.remembered.as_ref().map_or_else(|| self.shown.clone(), |(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::kv::FOREVER;

    const S: Duration = Duration::from_secs(1);

    /// A store of one name and a view of it.
    struct World {
        stored: Value,
        replica: Replica,
        start: Instant,
    }

    fn value(text: &str) -> Value {
        (!text.is_empty()).then(|| Entry::new(text))
    }

    impl World {
        fn new(text: &str) -> Self {
            Self { stored: value(text), replica: Replica::default(), start: Instant::now() }
        }

        /// Writes at a second; an empty text removes.
        fn write(&mut self, at: u32, text: &str, arrival: Arrival) {
            let (old, new) = (self.stored.clone(), value(text));
            if self.replica.concerns("n", &arrival) {
                self.replica.arrive("n", &old, &new, &arrival, self.start + at * S);
            }
            self.stored = new;
        }

        fn read_as(&mut self, at: u32, reading: Reading) -> String {
            let now = self.start + at * S;
            let peeked = self.replica.peek("n", self.stored.clone(), now);
            let read = self.replica.read("n", self.stored.clone(), &reading, now);
            if !reading.alternate {
                assert_eq!(peeked, read, "peeking sees what a read gives");
            }
            read.map(|entry| String::from_utf8(entry.value).unwrap()).unwrap_or_default()
        }

        fn read(&mut self, at: u32) -> String {
            self.read_as(at, Reading::default())
        }
    }

    fn lag(lag: Duration) -> Arrival {
        Arrival { lag, ..Arrival::default() }
    }

    #[test]
    fn a_write_that_lags_arrives_when_it_is_due_and_then_nothing_is_kept() {
        let mut world = World::new("a");
        world.write(0, "b", lag(5 * S));
        world.write(2, "c", lag(5 * S));
        assert_eq!([1, 4, 5, 6, 7].map(|at| world.read(at)), ["a", "a", "b", "b", "c"]);
        assert_eq!(world.replica.names().count(), 0);
    }

    #[test]
    fn a_write_with_less_lag_overtakes_an_earlier_one_which_then_arrives_after_it() {
        let mut world = World::new("a");
        world.write(0, "b", lag(9 * S));
        world.write(1, "c", Arrival::default());
        assert_eq!([1, 8, 9].map(|at| world.read(at)), ["c", "c", "b"]);
    }

    #[test]
    fn a_lag_without_end_lasts_until_the_view_is_healed() {
        let mut world = World::new("");
        world.write(0, "a", lag(FOREVER));
        world.write(1, "b", lag(FOREVER));
        assert_eq!(world.read(1_000_000), "");
        world.replica.heal();
        assert_eq!(world.read(1_000_001), "b");
        assert_eq!(world.replica.names().count(), 0);
    }

    #[test]
    fn a_lost_write_stays_lost_until_the_next_one() {
        let mut world = World::new("a");
        world.write(0, "b", Arrival { lost: true, ..Arrival::default() });
        world.replica.heal();
        assert_eq!(world.read(100), "a");
        world.write(101, "c", Arrival::default());
        assert_eq!(world.read(101), "c");
        assert_eq!(world.replica.names().count(), 0);
    }

    #[test]
    fn a_repeated_value_comes_back_after_the_one_that_replaced_it() {
        let mut world = World::new("a");
        world.write(0, "b", Arrival { repeat: Some(3 * S), ..Arrival::default() });
        assert_eq!([0, 2, 3, 100].map(|at| world.read(at)), ["b", "b", "a", "a"]);
        world.write(101, "", Arrival { lag: S, repeat: Some(3 * S), ..Arrival::default() });
        assert_eq!([101, 102, 104, 105].map(|at| world.read(at)), ["a", "", "", "b"]);
    }

    #[test]
    fn what_was_read_is_remembered_absence_included() {
        let remember = Reading { remember: Some(5 * S), alternate: false };
        let mut world = World::new("");
        assert_eq!(world.read_as(0, remember), "");
        world.write(1, "a", Arrival::default());
        assert_eq!([4, 5, 9].map(|at| world.read_as(at, remember)), ["", "a", "a"]);
        world.write(9, "b", Arrival::default());
        assert_eq!([9, 10].map(|at| world.read_as(at, remember)), ["a", "b"]);
    }

    #[test]
    fn an_alternating_view_is_fresh_then_stale() {
        let alternate = Reading { remember: None, alternate: true };
        let mut world = World::new("a");
        assert_eq!(world.read_as(0, alternate), "a");
        world.write(0, "b", lag(FOREVER));
        assert_eq!([1, 2, 3, 4].map(|at| world.read_as(at, alternate)), ["b", "a", "b", "a"]);
    }
}
