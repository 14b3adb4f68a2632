//! One store, several views of it. Every write goes to the store and to each view, by the view's own rules; a view without faults shows the
//! store as it is and keeps nothing.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, Weak},
    time::Instant,
};

use super::{
    Entry, Operation,
    faults::{Faults, lock},
    replica::Replica,
    store::{Store, StoreError, now_s},
};

/// The store, and who shows it.
#[derive(Debug)]
pub(super) struct Hub {
    store: Store,
    /// Locked for a whole write, so that all views see writes in the store's order.
    views: Mutex<Vec<Weak<View>>>,
}

/// What one service shows, and what it suffers.
#[derive(Debug)]
pub(super) struct View {
    pub(super) hub: Arc<Hub>,
    pub(super) faults: Faults,
    replica: Mutex<Replica>,
}

impl Hub {
    pub(super) fn new(store: Store) -> Arc<Self> {
        Arc::new(Self { store, views: Mutex::default() })
    }

    /// A further view of the store, level with it.
    pub(super) fn add_view(hub: &Arc<Self>) -> Arc<View> {
        let view = Arc::new(View { hub: Arc::clone(hub), faults: Faults::default(), replica: Mutex::default() });
        let mut views = lock(&hub.views);
        views.retain(|known| known.strong_count() > 0);
        views.push(Arc::downgrade(&view));
        drop(views);
        view
    }

    pub(super) fn get(&self, name: &str) -> Result<Option<Entry>, StoreError> {
        self.store.get(name)
    }

    pub(super) fn names(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.store.list(prefix, None, usize::MAX)?.into_iter().map(|(name, _)| name).collect())
    }

    /// Writes all of them, or none.
    pub(super) fn put_all(&self, entries: &[(&str, &Entry)]) -> Result<(), StoreError> {
        let changes: Vec<_> = entries.iter().map(|(name, entry)| (*name, Some(*entry))).collect();
        self.write(Operation::Put, &changes, |store| store.put_all(entries.iter().copied()))
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.write(Operation::Delete, &[(name, None)], |store| store.delete(name))
    }

    /// Performs `work`, which makes `changes`, and lets the views that are behind know.
    fn write(
        &self,
        operation: Operation,
        changes: &[(&str, Option<&Entry>)],
        work: impl FnOnce(&Store) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let turn = lock(&self.views);
        let views: Vec<Arc<View>> = turn.iter().filter_map(Weak::upgrade).collect();
        let mut behind = Vec::new();
        for view in &views {
            let mut concerned = Vec::new();
            let replica = lock(&view.replica);
            for &(name, new) in changes {
                let arrival = view.faults.arrival(operation, name);
                if replica.concerns(name, &arrival) {
                    concerned.push((name, self.store.get(name)?, new.cloned(), arrival));
                }
            }
            if !concerned.is_empty() {
                behind.push((replica, concerned)); // locked: nobody reads here while the store changes
            }
        }
        work(&self.store)?;
        let now = Instant::now();
        for (mut replica, concerned) in behind {
            for (name, old, new, arrival) in concerned {
                replica.arrive(name, &old, &new, &arrival, now);
            }
        }
        Ok(())
    }
}

impl View {
    /// What a read of `name` gives here.
    pub(super) fn read(&self, operation: Operation, name: &str) -> Result<Option<Entry>, StoreError> {
        let reading = self.faults.reading(operation, name);
        let mut replica = lock(&self.replica);
        let stored = self.hub.store.get(name)?;
        Ok(replica.read(name, stored, &reading, Instant::now()).filter(is_alive))
    }

    /// The same without leaving a trace.
    pub(super) fn shown(&self, name: &str) -> Result<Option<Entry>, StoreError> {
        let replica = lock(&self.replica);
        let stored = self.hub.store.get(name)?;
        Ok(replica.peek(name, stored, Instant::now()).filter(is_alive))
    }

    /// At most `limit` entries whose names begin with `prefix`, in the order of their bytes, after the name `after`.
    pub(super) fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>, StoreError> {
        let replica = lock(&self.replica);
        let wanted = |name: &&String| name.starts_with(prefix) && after.is_none_or(|after| name.as_str() > after);
        let behind: BTreeSet<&String> = replica.names().filter(wanted).collect();
        let mut entries = self.hub.store.list(prefix, after, limit.saturating_add(behind.len()))?;
        if behind.is_empty() {
            return Ok(entries);
        }
        entries.retain(|(name, _)| !behind.contains(name));
        let now = Instant::now();
        for name in behind {
            let shown = replica.peek(name, self.hub.store.get(name)?, now).filter(is_alive);
            entries.extend(shown.map(|entry| (name.clone(), entry)));
        }
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries.truncate(limit);
        Ok(entries)
    }

    pub(super) fn heal(&self) {
        self.faults.heal();
        lock(&self.replica).heal();
    }
}

fn is_alive(entry: &Entry) -> bool {
    entry.expiration.is_none_or(|at| i64::try_from(at).unwrap_or(i64::MAX) > now_s())
}
