//! Bodies pass as they come, both ways: nothing is held, nothing slow is cut off, and what broke off is never taken for whole.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use keyward_e2e::{World, eventually, http, origin::Origin, raw, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    accept_hdr_async, connect_async,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        handshake::server::{Request, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

const MIB: u64 = 1 << 20;
const SOON: Duration = Duration::from_secs(10);

async fn world(timeout_s: u32) -> (World, Origin) {
    let origin = Origin::start().await;
    let url = origin.url().to_owned();
    let world = World::with(|options| {
        options.origin = Some(url);
        options.settings = vec![("ORIGIN_TIMEOUT_S".into(), timeout_s.to_string())];
    });
    (world.await, origin)
}

fn head(world: &World, method: &str, more: &str) -> String {
    format!("{method} /a HTTP/1.1\r\nHost: edge\r\nx-api-key: {}\r\n{more}\r\n", world.operator)
}

/// A quarter of a gibibyte here; `cargo run --package keyward-e2e --bin streaming` sends two.
#[tokio::test]
async fn a_large_body_takes_little_memory_in_either_direction_even_where_its_receiver_is_slow() {
    let (world, mut origin) = world(60).await;
    for _ in 0..2 {
        let up = stream::upload(&world, &mut origin, 256 * MIB, Duration::from_secs(1)).await;
        assert!(up.growth() < 64 * MIB, "upload: {up}");
        let down = stream::download(&world, &mut origin, 256 * MIB, Duration::from_secs(1)).await;
        assert!(down.growth() < 64 * MIB, "download: {down}");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn an_upload_without_end_is_not_waited_for_and_not_cut_off() {
    let (world, mut origin) = world(1).await;
    let mut client = raw::open(&world.system.edge_url()).await;
    client.write_all(head(&world, "POST", "Transfer-Encoding: chunked\r\n").as_bytes()).await.unwrap();
    let mut request = origin.next().await;
    let begun = Instant::now();
    let mut arrived = Vec::new();
    while begun.elapsed() < Duration::from_secs(3) {
        client.write_all(b"4\r\nmore\r\n").await.unwrap();
        arrived.extend(request.read().await.unwrap_or_else(|| panic!("cut off after {:?}", begun.elapsed())));
        sleep(Duration::from_millis(100)).await;
    }
    assert!(arrived.len() > 100, "{arrived:?}");
    // The origin may answer before the end, too.
    request.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nearly").await;
    let mut answer = vec![0; 4096];
    let read = timeout(SOON, client.read(&mut answer)).await.unwrap().unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
    world.system.stop().await;
}

#[tokio::test]
async fn the_time_for_an_answer_begins_when_the_request_is_whole() {
    let (world, mut origin) = world(1).await;
    for (framing, first, last) in
        [("Content-Length: 6\r\n", "abc", "def"), ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n")]
    {
        let mut client = raw::open(&world.system.edge_url()).await;
        client.write_all(format!("{}{first}", head(&world, "POST", framing)).as_bytes()).await.unwrap();
        let mut request = origin.next().await;
        let mut body = request.read().await.unwrap();
        sleep(Duration::from_millis(1_500)).await;
        client.write_all(last.as_bytes()).await.unwrap();
        while body.len() < first.len() + last.len() {
            body.extend(request.read().await.unwrap_or_else(|| panic!("cut off: {framing}")));
        }
        let whole = Instant::now();
        let (status, answer) = raw::answer(&mut client).await;
        assert!(status == 504 && answer.contains("origin_timeout"), "{answer}");
        assert!(whole.elapsed() > Duration::from_millis(900), "{:?}", whole.elapsed());
        assert_eq!(request.rest().await, b"", "and the origin is left alone");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn an_answer_that_has_begun_is_not_cut_off_however_slow_it_is() {
    let (world, mut origin) = world(1).await;
    let mut client = raw::open(&world.system.edge_url()).await;
    client.write_all(head(&world, "GET", "").as_bytes()).await.unwrap();
    let mut request = origin.next().await;
    request.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut seen = String::new();
    for event in 0..6 {
        request.send(format!("8\r\nevent {event}\n\r\n")).await;
        // It is there before the next one is sent: nothing is collected.
        while !seen.contains(&format!("event {event}")) {
            let mut buffer = [0; 1024];
            let read = timeout(SOON, client.read(&mut buffer)).await.unwrap().unwrap();
            assert!(read > 0, "cut off: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        sleep(Duration::from_millis(400)).await;
    }
    request.send("0\r\n\r\n").await;
    world.system.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_is_gone_for_the_origin_too_and_its_request_is_never_whole() {
    let (world, mut origin) = world(60).await;
    for (framing, sent) in [
        ("Content-Length: 100\r\n", "some"),
        ("Transfer-Encoding: chunked\r\n", "4\r\nsome\r\n"),
        ("Transfer-Encoding: chunked\r\n", "8\r\nsome"),
        ("Transfer-Encoding: chunked\r\n", ""),
        ("Content-Length: 100\r\n", ""),
    ] {
        let mut client = raw::open(&world.system.edge_url()).await;
        client.write_all(format!("{}{sent}", head(&world, "POST", framing)).as_bytes()).await.unwrap();
        let mut request = origin.next().await;
        sleep(Duration::from_millis(200)).await;
        drop(client);
        let arrived = String::from_utf8_lossy(&request.rest().await).into_owned();
        assert!(!arrived.ends_with("0\r\n\r\n"), "{framing}{sent}: taken for whole: {arrived:?}");
        assert_eq!(arrived.contains("some"), !sent.is_empty(), "{framing}{sent}: {arrived:?}");
    }
    // One that goes away in the middle of its answer.
    let mut client = raw::open(&world.system.edge_url()).await;
    client.write_all(head(&world, "GET", "").as_bytes()).await.unwrap();
    let mut request = origin.next().await;
    request.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n").await;
    let begun = timeout(SOON, client.read(&mut [0; 12])).await.unwrap().unwrap();
    assert_eq!(begun, 12);
    drop(client);
    let gone = Instant::now();
    while request.send("4\r\nmore\r\n").await {
        assert!(gone.elapsed() < SOON, "the origin goes on for nobody");
        sleep(Duration::from_millis(20)).await;
    }
    world.system.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_http_is_refused_and_never_whole() {
    let (world, mut origin) = world(60).await;
    for sent in ["zz\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\nzz\r\n"] {
        let mut client = raw::open(&world.system.edge_url()).await;
        client.write_all(format!("{}{sent}", head(&world, "POST", "Transfer-Encoding: chunked\r\n")).as_bytes()).await.unwrap();
        let (status, answer) = raw::answer(&mut client).await;
        assert!(status == 400 && answer.contains("invalid_request"), "{answer}");
        // Where it broke off at once, the runtime may not even have begun to send it on.
        if let Some(mut request) = origin.arrived() {
            let arrived = String::from_utf8_lossy(&request.rest().await).into_owned();
            assert!(!arrived.ends_with("0\r\n\r\n"), "{arrived:?}");
        }
    }
    world.system.stop().await;
}

#[tokio::test]
async fn an_origin_that_goes_away_in_the_middle_leaves_a_broken_answer_not_a_whole_one() {
    let (world, mut origin) = world(60).await;
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let request = world.http.get(world.system.edge_url()).header("x-api-key", &world.operator);
        let asked = tokio::spawn(async move { request.send().await?.error_for_status()?.bytes().await });
        let mut request = origin.next().await;
        request.send(answer).await;
        sleep(Duration::from_millis(200)).await;
        drop(request);
        let got = asked.await.unwrap();
        assert!(got.is_err(), "{answer}: taken for whole: {got:?}");
    }
    world.system.stop().await;
}

#[tokio::test]
async fn a_compressed_body_is_passed_on_as_it_is() {
    let (world, mut origin) = world(60).await;
    // Not gzip at all: whoever unpacked it would fail.
    let request = world.http.post(world.system.edge_url()).header("x-api-key", &world.operator);
    let request = request.header("content-encoding", "gzip").header("accept-encoding", "gzip, br").body("not gzip");
    let asked = tokio::spawn(http::send(request));
    let mut request = origin.next().await;
    assert_eq!((request.read().await.as_deref(), request.header("content-encoding")), (Some(b"not gzip".as_slice()), vec!["gzip"]));
    request.answer("200 OK", "Content-Encoding: gzip\r\n", "not gzip either").await;
    let answer = asked.await.unwrap().expect(200);
    assert_eq!((answer.header("content-encoding"), &*answer.text), ("gzip", "not gzip either"));
    world.system.stop().await;
}

/// A WebSocket origin that speaks the protocol `chat`, answers everything with the same, and is asked for headers first.
async fn echo() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream));
        }
    });
    (url, task)
}

async fn converse(stream: TcpStream) {
    let mut seen = String::new();
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let look = |request: &Request, mut response: Response| {
        seen = format!("{} {:?}", request.uri(), request.headers());
        response.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, look).await else { return };
    socket.send(Message::text(seen)).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        if message.is_close() || message.to_text().is_ok_and(|text| text == "bye") {
            let frame = CloseFrame { code: CloseCode::Library(4000), reason: "bye".into() };
            let _ = socket.close(Some(frame)).await;
        } else if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_websocket_is_opened_with_a_key_and_stays_open_when_the_key_is_revoked() {
    let (url, _echo) = echo().await;
    for bind_origin in [false, true] {
        let world = World::with(|options| (options.origin, options.bind_origin) = (Some(url.clone()), bind_origin)).await;
        world.owner("demo", "jane", &["*"], true).await;
        let key = world.key("demo", "jane", serde_json::json!({})).await;
        let edge = world.system.edge_url().replace("http://", "ws://");
        let open = async |credential: Option<&str>| {
            let mut request = format!("{edge}/chat?room=1").into_client_request().unwrap();
            request.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
            request.headers_mut().insert("x-keyward-owner", "mallory".parse().unwrap());
            if let Some(key) = credential {
                request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
            }
            connect_async(request).await
        };
        let refused = open(None).await.unwrap_err().to_string();
        assert!(refused.contains("401"), "{refused}");

        let (mut socket, response) = open(Some(&key.key)).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        let seen = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(seen.starts_with("/chat?room=1 ") && seen.contains("\"x-keyward-owner\": \"jane\""), "{seen}");
        assert!(!seen.contains("mallory") && !seen.contains(&key.key), "{seen}");
        let mut say = async |message: Message| {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap(), message);
        };
        say(Message::text("hello")).await;
        say(Message::binary(vec![7; 300_000])).await;
        say(Message::text("")).await;

        world.revoke("demo", &key.id).await;
        eventually(SOON, async || match world.call(&key.key, "/").await.status {
            401 => Ok(()),
            other => Err(other),
        })
        .await;
        assert!(open(Some(&key.key)).await.is_err(), "no new one");
        say(Message::text("still here")).await;
        socket.send(Message::text("bye")).await.unwrap();
        let Some(Ok(Message::Close(Some(end)))) = socket.next().await else { panic!("the origin's end does not arrive") };
        assert_eq!((end.code, end.reason.as_str()), (CloseCode::Library(4000), "bye"));
        world.system.stop().await;
    }
}
