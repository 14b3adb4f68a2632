//! Requests as bytes, for what no HTTP library sends.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection to `url`'s host.
pub async fn open(url: &str) -> TcpStream {
    TcpStream::connect(url.trim_start_matches("http://")).await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Sends `request` to `url`'s host and gives the status and the whole answer; status 0 where the connection was closed without one.
pub async fn send(url: &str, request: &[u8]) -> (u16, String) {
    let mut stream = open(url).await;
    // The server may close before it has read everything: its answer counts.
    let _ = stream.write_all(request).await;
    answer(&mut stream).await
}

/// Reads an answer to its end; that the client may go on with its request is none.
pub async fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(read @ 1..)) = timeout(Duration::from_secs(10), stream.read(&mut buffer)).await {
        bytes.extend_from_slice(&buffer[..read]);
        if bytes.starts_with(GO_ON) {
            bytes.drain(..GO_ON.len());
        }
        if is_whole(&String::from_utf8_lossy(&bytes)) {
            break; // the runtime keeps the connection open for a while
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
    (status, text)
}

/// Whether an answer to anything but HEAD has come to its end.
fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let chunked = head.contains("\r\ntransfer-encoding: chunked") && body.ends_with("0\r\n\r\n");
    let bodiless = ["204", "304"].contains(&head.split(' ').nth(1).unwrap_or_default());
    length.is_some_and(|length| body.len() >= length) || chunked || bodiless
}

/// A GET of `target` with more header lines (each ending in CR LF), on a connection that is closed afterwards.
pub async fn get(url: &str, target: &str, headers: &[u8]) -> (u16, String) {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\n").into_bytes();
    request.extend_from_slice(headers);
    request.extend_from_slice(b"\r\n");
    send(url, &request).await
}
