//! The API behind the gateways: as little as answers HTTP, so that what is measured is the gateway. It runs in this process, on the core of the load.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
};

/// A path that ends so is answered with the request as it arrived.
pub const SEEN: &str = "/seen";
/// What everything else is answered with.
pub const ANSWER: &str = "{\"orders\":[]}";

const MAX_REQUEST: usize = 64 * 1024;

/// A running origin, until the runtime it was started on ends.
#[derive(Clone, Debug)]
pub struct Origin {
    address: SocketAddr,
    count: Arc<AtomicU64>,
}

impl Origin {
    /// Starts it on any free port.
    pub fn start(handle: &Handle) -> Result<Self> {
        let listener = handle.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).context("the origin cannot listen")?;
        let this = Self { address: listener.local_addr()?, count: Arc::default() };
        let count = Arc::clone(&this.count);
        handle.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&count)));
            }
        });
        Ok(this)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests reached it.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Answers on one connection until it is closed, or sends what is no request without a body.
async fn serve(mut stream: TcpStream, count: Arc<AtomicU64>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let plain = answer(ANSWER.as_bytes());
    let mut received = Vec::with_capacity(4 * 1024);
    while stream.read_buf(&mut received).await? > 0 && received.len() < MAX_REQUEST {
        while let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let request: Vec<u8> = received.drain(..end + 4).collect();
            count.fetch_add(1, Ordering::Relaxed);
            let path = request.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            if path.ends_with(SEEN.as_bytes()) {
                stream.write_all(&answer(&request)).await?;
            } else {
                stream.write_all(&plain).await?;
            }
        }
    }
    Ok(())
}

fn answer(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::runtime;

    use super::*;
    use crate::load::{Load, ask};

    #[test]
    fn it_answers_many_and_shows_what_came() {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let origin = Origin::start(runtime.handle()).unwrap();
        let request = b"GET /orders HTTP/1.1\r\nhost: a\r\n\r\n".to_vec();
        Load::new(origin.address(), vec![request], 200, false).send(500, Duration::MAX, 8).unwrap();
        assert_eq!(origin.count(), 500);
        let seen = ask(origin.address(), b"GET /a/seen HTTP/1.1\r\nhost: a\r\nx-b: c\r\n\r\n").unwrap();
        assert!(String::from_utf8(seen.body).unwrap().contains("x-b: c"));
        let wrong = Load::new(origin.address(), vec![b"GET / HTTP/1.1\r\n\r\n".to_vec()], 401, false).latencies(1);
        assert!(wrong.unwrap_err().to_string().contains("200 instead of 401"));
    }
}
