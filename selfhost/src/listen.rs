//! Ports on this machine: finding a free one, and serving an axum router on one.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use axum::Router;
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};

/// Below the range from which the system takes ports for outgoing connections, so that none of those is in the way a moment later.
const FREE_RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port cannot be used.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another program listens there.
    #[error("port {0} is taken: another program listens on it")]
    Taken(u16),
    /// The system refuses.
    #[error("cannot listen on port {0}: {1}")]
    Refused(u16, io::Error),
    /// None is free.
    #[error("no free port on this machine")]
    NoneFree,
}

/// Checks that nothing listens on `port`.
pub fn check_free(port: u16) -> Result<(), ListenError> {
    match std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(ListenError::Taken(port)),
        Err(error) => Err(ListenError::Refused(port, error)),
    }
}

/// A port on which nothing listens, and which this process has not been given before.
pub fn free_port() -> Result<u16, ListenError> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1_000 {
        let mut random = [0; 2];
        keyward_shared::mint::fill(&mut random).map_err(|_| ListenError::NoneFree)?;
        let port = FREE_RANGE.start + u16::from_le_bytes(random) % (FREE_RANGE.end - FREE_RANGE.start);
        if !given.contains(&port) && check_free(port).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    Err(ListenError::NoneFree)
}

/// A router being served on loopback until this is dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    /// Serves `router` on `port`, or on any free one.
    pub async fn start(router: Router, port: Option<u16>) -> Result<Self, ListenError> {
        let port = port.unwrap_or(0);
        let refused = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => ListenError::Taken(port),
            _ => ListenError::Refused(port, error),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let task = tokio::spawn(async move {
            // Runs until the task is aborted: it ends only with an error of the listener, which then has nobody to serve.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}
