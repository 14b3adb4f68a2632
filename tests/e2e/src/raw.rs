//! Requests as bytes, for what no HTTP library sends.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Sends `request` to `url`'s host and gives the status and the whole answer; status 0 where the connection was closed without one.
pub async fn send(url: &str, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    // The server may close before it has read everything: its answer counts.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(read @ 1..)) = timeout(Duration::from_secs(10), stream.read(&mut buffer)).await {
        bytes.extend_from_slice(&buffer[..read]);
        if is_whole(&String::from_utf8_lossy(&bytes)) {
            break; // the runtime keeps the connection open for a while
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
    (status, text)
}

/// Whether an answer with `Content-Length` has come to its end.
fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// A GET of `target` with more header lines (each ending in CR LF), on a connection that is closed afterwards.
pub async fn get(url: &str, target: &str, headers: &[u8]) -> (u16, String) {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\n").into_bytes();
    request.extend_from_slice(headers);
    request.extend_from_slice(b"\r\n");
    send(url, &request).await
}
