//! The KV service: what a `kvNamespace` binding of workerd talks to, over HTTP on loopback. [`store`] keeps the values, [`faults`] lets tests
//! count operations and make them slow or fail; this file starts the service and gives the handle to both.

mod faults;
mod protocol;
mod store;

use std::{net::SocketAddr, path::Path, sync::Arc};

use axum::Router;
use thiserror::Error;

use self::{faults::Faults, store::Store};
pub use self::{
    faults::{Counts, Effect, Fault, Operation},
    store::{Entry, StoreError},
};
use crate::listen::{ListenError, Served};

/// Why the service does not start.
#[derive(Debug, Error)]
pub enum KvError {
    /// The file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The port cannot be used.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// A running KV service; it ends when this is dropped.
#[derive(Debug)]
pub struct KvService {
    served: Served,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    faults: Faults,
}

impl KvService {
    /// Starts the service with its values in the file `path`, on `port` or any free one.
    pub async fn start(path: &Path, port: Option<u16>) -> Result<Self, KvError> {
        let shared = Arc::new(Shared { store: Store::open(path)?, faults: Faults::default() });
        let router = Router::new().fallback(protocol::answer).with_state(Arc::clone(&shared));
        Ok(Self { served: Served::start(router, port).await?, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.served.address()
    }

    /// How many operations were asked for since the start, or since [`Self::reset_counts`]. Failed and delayed ones count too.
    pub fn counts(&self) -> Counts {
        self.shared.faults.counts()
    }

    /// Starts counting again.
    pub fn reset_counts(&self) {
        self.shared.faults.reset_counts();
    }

    /// From now on operations that match `fault` suffer from it, in addition to earlier faults.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.inject(fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.shared.faults.heal();
    }

    /// The value under `name`, past protocol, counts and faults.
    pub fn get(&self, name: &str) -> Result<Option<Entry>, StoreError> {
        self.shared.store.get(name)
    }

    /// Writes a value, past protocol, counts and faults: for tests that tamper with the store.
    pub fn put(&self, name: &str, entry: &Entry) -> Result<(), StoreError> {
        self.shared.store.put_all([(name, entry)])
    }

    /// Writes many values in one transaction.
    pub fn put_all<'a>(&self, entries: impl IntoIterator<Item = (&'a str, &'a Entry)>) -> Result<(), StoreError> {
        self.shared.store.put_all(entries)
    }

    /// Removes a value, past protocol, counts and faults.
    pub fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.shared.store.delete(name)
    }

    /// All names that begin with `prefix`, in order.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.shared.store.list(prefix, None, usize::MAX)?.into_iter().map(|(name, _)| name).collect())
    }
}
