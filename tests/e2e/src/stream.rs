//! Bodies of any size through an edge, and the memory that its process takes for them.

use std::{
    fmt, fs,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

use crate::{World, origin::Origin, raw};

/// Bytes of a piece that is sent at once.
const PIECE: usize = 256 * 1024;

/// What it took to send a body through an edge.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// The body's bytes, all of which arrived.
    pub bytes: u64,
    /// From the first byte to the last.
    pub took: Duration,
    /// The process' memory before, in bytes.
    pub before: u64,
    /// The most while it lasted, in bytes.
    pub most: u64,
}

impl Passed {
    /// By how many bytes the process grew.
    pub fn growth(&self) -> u64 {
        self.most.saturating_sub(self.before)
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes / (1 << 20);
        let (bytes, seconds) = (mib(self.bytes), self.took.as_secs_f64());
        let (before, most) = (mib(self.before), mib(self.most));
        write!(f, "{bytes} MiB in {seconds:.1} s; the process took {before} MiB before and {most} MiB at most")
    }
}

/// The resident memory of a process in bytes.
pub fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Looks at a process' memory every few milliseconds.
struct Watch {
    before: u64,
    stop: watch::Sender<bool>,
    most: JoinHandle<u64>,
}

impl Watch {
    fn edge(world: &World) -> Self {
        let pid = world.system.edge(0).and_then(keyward_selfhost::process::Process::id).unwrap();
        let (stop, stopped) = watch::channel(false);
        let most = tokio::spawn(async move {
            let mut most = 0;
            while !*stopped.borrow() {
                most = most.max(memory(pid));
                sleep(Duration::from_millis(10)).await;
            }
            most
        });
        Self { before: memory(pid), stop, most }
    }

    async fn end(self, bytes: u64, begun: Instant) -> Passed {
        let took = begun.elapsed();
        self.stop.send_replace(true);
        Passed { bytes, took, before: self.before, most: self.most.await.unwrap() }
    }
}

/// Uploads `bytes` to an origin that reads nothing for `stall` once the head is there. The world's origin must be `origin`.
pub async fn upload(world: &World, origin: &mut Origin, bytes: u64, stall: Duration) -> Passed {
    let watch = Watch::edge(world);
    let begun = Instant::now();
    let head = format!("POST /upload HTTP/1.1\r\nHost: edge\r\nx-api-key: {}\r\nContent-Length: {bytes}\r\n\r\n", world.operator);
    let edge = world.system.edge_url();
    let client = tokio::spawn(async move {
        let mut stream = raw::open(&edge).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        send(&mut stream, bytes).await;
        raw::answer(&mut stream).await
    });
    let mut request = origin.next().await;
    assert_eq!(request.header("content-length"), [bytes.to_string()], "the length is passed on");
    sleep(stall).await;
    let mut arrived = 0;
    while arrived < bytes {
        arrived += request.read().await.unwrap_or_else(|| panic!("broken off after {arrived} bytes")).len() as u64;
    }
    assert_eq!(arrived, bytes);
    request.answer("200 OK", "", "thanks").await;
    assert_eq!(client.await.unwrap().0, 200);
    watch.end(arrived, begun).await
}

/// Downloads `bytes` to a client that reads nothing for `stall` once it has asked. The world's origin must be `origin`.
pub async fn download(world: &World, origin: &mut Origin, bytes: u64, stall: Duration) -> Passed {
    let watch = Watch::edge(world);
    let begun = Instant::now();
    let mut client = raw::open(&world.system.edge_url()).await;
    let head = format!("GET /download HTTP/1.1\r\nHost: edge\r\nx-api-key: {}\r\n\r\n", world.operator);
    client.write_all(head.as_bytes()).await.unwrap();
    let mut request = origin.next().await;
    let sender = tokio::spawn(async move {
        request.send(format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {bytes}\r\n\r\n")).await;
        send(&mut request.stream, bytes).await;
    });
    sleep(stall).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let mut buffer = vec![0; PIECE];
    let mut arrived = 0;
    while arrived < bytes {
        let read = client.read(&mut buffer).await.unwrap();
        assert!(read > 0, "broken off after {arrived} bytes");
        arrived += read as u64;
    }
    assert_eq!(arrived, bytes);
    sender.await.unwrap();
    watch.end(arrived, begun).await
}

async fn send(stream: &mut tokio::net::TcpStream, bytes: u64) {
    let piece = vec![b'x'; PIECE];
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        stream.write_all(&piece[..now]).await.unwrap();
        left -= now as u64;
    }
}
