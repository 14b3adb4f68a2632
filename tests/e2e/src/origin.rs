//! An origin that answers by the byte: what no HTTP library sends, or at a time of the test's choice. Each connection carries one request.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Origin {
    url: String,
    arrived: mpsc::UnboundedReceiver<Request>,
    task: JoinHandle<()>,
}

/// A request whose head has arrived.
#[derive(Debug)]
pub struct Request {
    /// Request line and headers, as they came, without the empty line.
    pub head: String,
    /// The connection, at the beginning of the body but for what `body` has already.
    pub stream: TcpStream,
    /// What has arrived of the body with the head.
    pub body: Vec<u8>,
}

impl Origin {
    /// One that leaves every request to [`Self::next`].
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, arrived) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move { read_head(stream).await.map(|request| sender.send(request)) });
            }
        });
        Self { url, arrived, task }
    }

    /// Where it listens, `http://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next request.
    pub async fn next(&mut self) -> Request {
        timeout(PATIENCE, self.arrived.recv()).await.unwrap_or_else(|_| panic!("no request reaches the origin")).unwrap()
    }

    /// The next request, if it has arrived.
    pub fn arrived(&mut self) -> Option<Request> {
        self.arrived.try_recv().ok()
    }

    /// Whether no request has arrived that nobody took.
    pub fn is_idle(&mut self) -> bool {
        self.arrived().is_none()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Request {
    /// The request's target.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of a header, in order; the name in any case.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// Reads on; `None` where the other side has ended or broken the connection.
    pub async fn read(&mut self) -> Option<Vec<u8>> {
        if !self.body.is_empty() {
            return Some(std::mem::take(&mut self.body));
        }
        let mut buffer = vec![0; 256 * 1024];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.unwrap_or_else(|_| panic!("nothing comes"));
        buffer.truncate(read.unwrap_or(0));
        (!buffer.is_empty()).then_some(buffer)
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(more) = self.read().await {
            all.extend(more);
        }
        all
    }

    /// Sends bytes; whether the other side still takes them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Answers with status, headers (each ending in CR LF) and body, and ends the connection.
    pub async fn answer(mut self, status: &str, headers: &str, body: &str) {
        let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
        assert!(self.send(answer).await, "the edge does not take the answer");
        let _ = self.stream.shutdown().await;
    }
}

async fn read_head(mut stream: TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            bytes.truncate(end);
            return Some(Request { head: String::from_utf8_lossy(&bytes).into_owned(), stream, body });
        }
    }
}
