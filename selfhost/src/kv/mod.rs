//! The KV service: what a `kvNamespace` binding of workerd talks to, over HTTP on loopback. [`store`] keeps the values, [`views`] lets several
//! services show the same store, each with its own [`replica`] of what has not arrived there; [`faults`] lets tests count operations and make
//! them slow, failing or late. This file starts services and gives the handle to all of that.

mod faults;
mod protocol;
mod replica;
mod store;
mod views;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::Router;
use thiserror::Error;

pub use self::{
    faults::{Counts, Effect, FOREVER, Fault, Operation},
    store::{Entry, StoreError},
};
use self::{
    store::Store,
    views::{Hub, View},
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

/// A running KV service, which is a view of a store; it ends when this is dropped.
#[derive(Debug)]
pub struct KvService {
    served: Served,
    view: Arc<View>,
}

impl KvService {
    /// Starts the service with its values in the file `path`, on `port` or any free one.
    pub async fn start(path: &Path, port: Option<u16>) -> Result<Self, KvError> {
        Self::serve(&Hub::new(Store::open(path)?), port).await
    }

    /// Starts another service over the same store, as another place of the world would see it: with faults and counts of its own.
    pub async fn another_view(&self) -> Result<Self, KvError> {
        Self::serve(&self.view.hub, None).await
    }

    async fn serve(hub: &Arc<Hub>, port: Option<u16>) -> Result<Self, KvError> {
        let view = Hub::add_view(hub);
        let router = Router::new().fallback(protocol::answer).with_state(Arc::clone(&view));
        Ok(Self { served: Served::start(router, port).await?, view })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.served.address()
    }

    /// How many operations were asked for since the start, or since [`Self::reset_counts`]. Failed and delayed ones count too.
    pub fn counts(&self) -> Counts {
        self.view.faults.counts()
    }

    /// Starts counting again.
    pub fn reset_counts(&self) {
        self.view.faults.reset_counts();
    }

    /// From now on operations that match `fault` suffer from it, in addition to earlier faults.
    pub fn inject(&self, fault: Fault) {
        self.view.faults.inject(fault);
    }

    /// From now on every write arrives here so much later, or with [`FOREVER`] not before this view is healed.
    pub fn lag(&self, lag: Duration) {
        self.inject(Fault::everywhere(Effect::Lag(lag)));
    }

    /// Ends all faults. What is on its way to this view arrives at once; what was lost on the way stays lost.
    pub fn heal(&self) {
        self.view.heal();
    }

    /// The value under `name` in the store, past protocol, counts, faults and views.
    pub fn get(&self, name: &str) -> Result<Option<Entry>, StoreError> {
        self.view.hub.get(name)
    }

    /// The value under `name` as this view shows it now, past protocol and counts.
    pub fn shown(&self, name: &str) -> Result<Option<Entry>, StoreError> {
        self.view.shown(name)
    }

    /// Writes a value, past protocol and counts: for tests that tamper with the store. Views that lag see it late.
    pub fn put(&self, name: &str, entry: &Entry) -> Result<(), StoreError> {
        self.view.hub.put_all(&[(name, entry)])
    }

    /// Writes many values in one transaction.
    pub fn put_all<'a>(&self, entries: impl IntoIterator<Item = (&'a str, &'a Entry)>) -> Result<(), StoreError> {
        let entries: Vec<_> = entries.into_iter().collect();
        self.view.hub.put_all(&entries)
    }

    /// Removes a value, past protocol and counts.
    pub fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.view.hub.delete(name)
    }

    /// All names in the store that begin with `prefix`, in order.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.view.hub.names(prefix)
    }
}
