//! The load: prepared requests over plain sockets, kept alive, one at a time on each connection. Every answer is read to its end and its status
//! checked; anything that was not expected ends the run and says what came.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    task::LocalSet,
    time::timeout,
};

/// How many connections the load has.
pub const CONNECTIONS: usize = 32;
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest answer.
const MAX_ANSWER: usize = 256 * 1024;

/// Sends requests to one address, in turn.
#[derive(Debug)]
pub struct Load {
    address: SocketAddr,
    requests: Rc<[Vec<u8>]>,
    status: u16,
    /// Each request may be sent only once.
    once: bool,
    sent: Rc<Cell<usize>>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Load {
    /// Requests to `address` that must all be answered with `status`. They are sent in turn; `once`: none of them twice.
    pub fn new(address: SocketAddr, requests: Vec<Vec<u8>>, status: u16, once: bool) -> Self {
        Self { address, requests: requests.into(), status, once, sent: Rc::default() }
    }

    /// How many can still be sent.
    pub fn left(&self) -> usize {
        if self.once { self.requests.len().saturating_sub(self.sent.get()) } else { usize::MAX }
    }

    /// Sends at most `most` requests over `connections` connections, and begins none after `time`. Gives how many it were, and how long
    /// that took.
    pub fn send(&self, most: usize, time: Duration, connections: usize) -> Result<(usize, Duration)> {
        let first = self.sent.get();
        let end = first.saturating_add(most.min(self.left()));
        let begun = Instant::now();
        run(async {
            let tasks = LocalSet::new();
            let handles: Vec<_> = (0..connections.min(end - first))
                .map(|_| {
                    let (address, requests, sent, status) = (self.address, Rc::clone(&self.requests), Rc::clone(&self.sent), self.status);
                    tasks.spawn_local(async move {
                        let mut connection = Connection::open(address).await?;
                        while sent.get() < end && begun.elapsed() < time {
                            let number = sent.replace(sent.get() + 1);
                            let request = requests.get(number % requests.len().max(1)).context("there are no requests")?;
                            connection.expect(request, status).await?;
                        }
                        anyhow::Ok(())
                    })
                })
                .collect();
            tasks.await;
            for handle in handles {
                handle.await??;
            }
            anyhow::Ok(())
        })?;
        Ok((self.sent.get() - first, begun.elapsed()))
    }

    /// Sends `count` requests over one connection, the next one when the answer is there. Gives the time of each.
    pub fn latencies(&self, count: usize) -> Result<Vec<Duration>> {
        if count > self.left() {
            bail!("{count} requests are to be sent once, and only {} are left", self.left());
        }
        run(async {
            let mut connection = Connection::open(self.address).await?;
            let mut times = Vec::with_capacity(count);
            for _ in 0..count {
                let number = self.sent.replace(self.sent.get() + 1);
                let request = self.requests.get(number % self.requests.len().max(1)).context("there are no requests")?;
                let begun = Instant::now();
                connection.expect(request, self.status).await?;
                times.push(begun.elapsed());
            }
            Ok(times)
        })
    }
}

/// Sends one request on a connection of its own.
pub fn ask(address: SocketAddr, request: &[u8]) -> Result<Answer> {
    run(async {
        let mut connection = Connection::open(address).await?;
        let length = connection.ask(request).await?;
        let head = String::from_utf8_lossy(&connection.received[..length.head]).into_owned();
        let body = connection.received[length.head..length.whole].to_vec();
        let body = if length.chunked { unchunked(&body).context("a broken chunk")? } else { body };
        Ok(Answer { status: length.status, head, body })
    })
}

fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    runtime::Builder::new_current_thread().enable_all().build().context("no runtime for the load")?.block_on(work)
}

/// One connection, with a buffer for its answers.
struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    received: Vec<u8>,
}

/// The parts of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Length {
    status: u16,
    head: usize,
    whole: usize,
    chunked: bool,
    closes: bool,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address, received: Vec::with_capacity(8 * 1024) })
    }

    async fn expect(&mut self, request: &[u8], status: u16) -> Result<()> {
        let length = self.ask(request).await?;
        if length.status != status {
            bail!(
                "{} answers {} instead of {status}:\n{}\nto:\n{}",
                self.address,
                length.status,
                String::from_utf8_lossy(&self.received),
                String::from_utf8_lossy(request)
            );
        }
        if length.closes {
            // Some servers allow only so many requests on a connection.
            *self = Self::open(self.address).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, request: &[u8]) -> Result<Length> {
        self.received.clear();
        self.stream.write_all(request).await.with_context(|| format!("{} takes no more requests", self.address))?;
        let mut scanned = Scan::default();
        loop {
            let read = timeout(LIMIT, self.stream.read_buf(&mut self.received)).await;
            let read =
                read.map_err(|_| anyhow!("no answer from {} in {LIMIT:?} to:\n{}", self.address, String::from_utf8_lossy(request)))??;
            if let Some(length) = scanned.length(&self.received)? {
                if length.whole < self.received.len() {
                    bail!("{} answers more than was asked:\n{}", self.address, String::from_utf8_lossy(&self.received));
                }
                return Ok(length);
            }
            if read == 0 || self.received.len() > MAX_ANSWER {
                bail!("{} broke off in its answer:\n{}", self.address, String::from_utf8_lossy(&self.received));
            }
        }
    }
}

/// What is known of an answer of which more and more arrives.
#[derive(Default)]
struct Scan(Option<Head>);

#[derive(Clone, Copy)]
struct Head {
    status: u16,
    length: usize,
    body: Framing,
    closes: bool,
}

#[derive(Clone, Copy)]
enum Framing {
    Known(usize),
    Chunked,
}

impl Scan {
    /// The answer's length, once all of it is in `received`.
    fn length(&mut self, received: &[u8]) -> Result<Option<Length>> {
        let head = match self.0 {
            Some(head) => head,
            None => match head(received)? {
                Some(head) => *self.0.insert(head),
                None => return Ok(None),
            },
        };
        let whole = match head.body {
            Framing::Known(length) => Some(head.length + length).filter(|whole| *whole <= received.len()),
            Framing::Chunked => end_of_chunks(received, head.length)?,
        };
        let chunked = matches!(head.body, Framing::Chunked);
        Ok(whole.map(|whole| Length { status: head.status, head: head.length, whole, chunked, closes: head.closes }))
    }
}

fn head(received: &[u8]) -> Result<Option<Head>> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let text = str::from_utf8(&received[..end]).context("an answer whose head is not text")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status: u16 = status.ok_or_else(|| anyhow!("no answer of HTTP/1.1: {text}"))?;
    let mut body = if matches!(status, 204 | 304) { Some(Framing::Known(0)) } else { None };
    let mut closes = false;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            body = Some(Framing::Known(value.parse().with_context(|| format!("a length of {value}"))?));
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            body = Some(Framing::Chunked);
        } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            closes = true;
        }
    }
    let body = body.ok_or_else(|| anyhow!("an answer that does not say how long it is: {text}"))?;
    Ok(Some(Head { status, length: end + 4, body, closes }))
}

/// Where the last chunk ends, once it is there. Trailers are not read.
fn end_of_chunks(received: &[u8], mut at: usize) -> Result<Option<usize>> {
    loop {
        let Some(size) = chunk_size(received, at)? else { return Ok(None) };
        let (length, begin) = size;
        let end = begin + length + 2;
        if received.len() < end {
            return Ok(None);
        }
        if length == 0 {
            return Ok(Some(end));
        }
        at = end;
    }
}

/// The size of the chunk at `at`, and where its content begins.
fn chunk_size(received: &[u8], at: usize) -> Result<Option<(usize, usize)>> {
    let rest = received.get(at..).unwrap_or_default();
    let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") else { return Ok(None) };
    let text = str::from_utf8(&rest[..end]).context("a chunk's size is not text")?;
    let size =
        usize::from_str_radix(text.split(';').next().unwrap_or_default().trim(), 16).with_context(|| format!("a chunk of {text}"))?;
    Ok(Some((size, at + end + 2)))
}

fn unchunked(body: &[u8]) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    let mut at = 0;
    while let Some((length, begin)) = chunk_size(body, at)?.filter(|(length, _)| *length > 0) {
        whole.extend_from_slice(body.get(begin..begin + length).context("a chunk that is not whole")?);
        at = begin + length + 2;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(text: &str) -> Option<Length> {
        Scan::default().length(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_answer_ends_where_it_says() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let whole = length(plain).unwrap();
        assert_eq!((whole.status, whole.whole, &plain[whole.head..]), (200, plain.len(), "hello"));
        for end in 0..plain.len() {
            assert_eq!(length(&plain[..end]), None, "{end}");
        }
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n";
        let whole = length(chunked).unwrap();
        assert_eq!((whole.whole, whole.chunked), (chunked.len(), true));
        assert_eq!(unchunked(&chunked.as_bytes()[whole.head..]).unwrap(), b"abc0123456789");
        for end in 0..chunked.len() {
            assert_eq!(length(&chunked[..end]), None, "{end}");
        }
        assert_eq!(length("HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n").unwrap().status, 204);
        assert!(length("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap().closes);
    }

    #[test]
    fn what_does_not_say_where_it_ends_is_refused() {
        for text in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "nothing\r\n\r\n"] {
            assert!(Scan::default().length(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn requests_that_may_be_sent_once_are_used_up() {
        let load = Load::new(SocketAddr::from(([127, 0, 0, 1], 1)), vec![Vec::new(); 3], 200, true);
        assert!(load.latencies(4).unwrap_err().to_string().contains("only 3 are left"));
    }
}
