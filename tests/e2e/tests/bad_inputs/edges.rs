//! A case at an edge: sent through a library or byte by byte, and held against what the case, and every case, asks for.

use std::{collections::BTreeMap, time::Duration};

use keyward_bad_inputs::case::{Door, Edge, Expected, Level};
use keyward_selfhost::origin::Received;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::deployment::Prepared;

/// What was found wrong, and what all refusals of a code have in common.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) wrong: Vec<String>,
    /// The body of a 401 by its code, without the request's id.
    bodies: BTreeMap<String, String>,
}

/// An answer, by whichever way.
#[derive(Debug)]
struct Answer {
    /// 0: the connection was closed without one.
    status: u16,
    /// Name in lower case, value.
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What a case left behind, besides its answer.
struct Traces {
    reached: u64,
    reads: u64,
    questions: usize,
}

impl Findings {
    /// Tries a case, whose words are filled in.
    pub(super) async fn try_at_edge(&mut self, prepared: &Prepared, name: &str, case: &Edge, level: Level) {
        let (answer, mut traces) = tried(prepared, name, case, level).await;
        if traces.questions > 0 && !case.may_read {
            // The log of an earlier case may have come late; a question of this one comes again.
            sleep(Duration::from_millis(300)).await;
            traces.questions = tried(prepared, name, case, level).await.1.questions;
        }
        let mut wrong = self.by_the_case(prepared, case, &answer, level);
        let expected = u64::from(case.door == Door::Gateway && matches!(case.expected, Expected::As(_) | Expected::Anonymous));
        if traces.reached != expected {
            wrong.push(format!("{} requests reached the origin", traces.reached));
        }
        if !case.may_read && (traces.reads, traces.questions) != (0, 0) {
            wrong.push(format!("{} reads and {} questions about the key", traces.reads, traces.questions));
        }
        self.wrong.extend(wrong.into_iter().map(|what| format!("{level:?}: {name}: {what}; {answer:?}")));
    }

    fn by_the_case(&mut self, prepared: &Prepared, case: &Edge, answer: &Answer, level: Level) -> Vec<String> {
        let mut wrong = Vec::new();
        match &case.expected {
            Expected::Refused(status, code) => self.refused(prepared, case, answer, (*status, code), &mut wrong),
            Expected::Unheard(status) if answer.status != *status => wrong.push(format!("{status} expected")),
            Expected::Stopped if answer.status != 0 && answer.status < 400 => wrong.push("a refusal expected".into()),
            Expected::Unheard(_) | Expected::Stopped => {}
            Expected::Told(what) => {
                let told = answer.json();
                let said = if told["active"] == true { "active" } else { told["code"].as_str().unwrap_or_default() };
                if (answer.status, said) != (200, *what) {
                    wrong.push(format!("{what} expected"));
                }
            }
            Expected::As(owner) => passed(prepared, case, answer, owner, level, &mut wrong),
            Expected::Anonymous => passed(prepared, case, answer, "", level, &mut wrong),
        }
        wrong
    }

    fn refused(&mut self, prepared: &Prepared, case: &Edge, answer: &Answer, (status, code): (u16, &str), wrong: &mut Vec<String>) {
        if answer.status != status {
            wrong.push(format!("{status} {code} expected"));
            return;
        }
        if answer.header("cache-control") != "no-store" {
            wrong.push("it may be stored".into());
        }
        let challenge = answer.header("www-authenticate");
        let (plain, error) = ("Bearer realm=\"keyward\"", "Bearer realm=\"keyward\", error=\"invalid_token\", error_description=\"");
        let challenged = match (status, code) {
            (401, "missing_credentials") => challenge == plain,
            (401, _) => challenge.starts_with(error),
            (403, "permission_denied") => challenge.starts_with("Bearer realm=\"keyward\", error=\"insufficient_scope\""),
            _ => challenge.is_empty(),
        };
        if !challenged {
            wrong.push(format!("the challenge is {challenge}"));
        }
        if case.method == "HEAD" {
            return;
        }
        let problem = answer.json();
        let id = answer.header("x-request-id");
        if problem["code"] != code || problem["request_id"] != id || answer.header("content-type") != "application/problem+json" {
            wrong.push(format!("a problem {code} expected"));
        }
        let body = answer.body.replace(id, "");
        if status == 401 && self.bodies.entry(code.to_owned()).or_insert_with(|| body.clone()) != &body {
            wrong.push("the body varies with what was sent".into());
        }
        let all = format!("{} {:?}", answer.body, answer.headers);
        wrong.extend(prepared.words.gives_away(&all).map(|word| format!("the answer gives {word} away")));
    }
}

/// The request was let in as `owner`, or as nobody where that is empty.
fn passed(prepared: &Prepared, case: &Edge, answer: &Answer, owner: &str, level: Level, wrong: &mut Vec<String>) {
    if answer.status != 200 {
        wrong.push(format!("200 expected, as {owner:?}"));
        return;
    }
    if let Door::ForwardAuth(_) = case.door {
        if answer.header("x-keyward-owner") != owner || !answer.body.is_empty() {
            wrong.push(format!("told as {owner:?} expected"));
        }
        return;
    }
    let Some(received) = prepared.world.system.origin().unwrap().last() else {
        wrong.push("nothing reached the origin".into());
        return;
    };
    let target = case.path.or_else(|| case.wire.is_none().then_some(case.target.as_str()));
    if (case.wire.is_none() && received.method != case.method) || target.is_some_and(|target| received.path != target) {
        wrong.push(format!("{} {} is what the origin got", received.method, received.path));
    }
    wrong.extend(at_the_origin(case, &received, owner));
    let everything = format!("{received:?}");
    wrong.extend(prepared.words.gives_away(&everything).map(|word| format!("the origin sees {word}")));
    if everything.contains("mallory") || everything.contains("evil") {
        wrong.push(format!("something forged reached the origin: {everything}"));
    }
    // The demo origin answers what it received: an answer to somebody else would show.
    if case.method != "HEAD" && level == Level::Runtime && answer.json()["headers"] != serde_json::to_value(&received.headers).unwrap() {
        wrong.push("this is not the origin's answer to this request".into());
    }
    let personal = !owner.is_empty();
    if personal && !answer.header("cache-control").starts_with("private") {
        wrong.push("a shared cache may keep what was answered to one caller".into());
    }
}

fn at_the_origin(case: &Edge, received: &Received, owner: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let owners: Vec<&str> = if owner.is_empty() { Vec::new() } else { vec![owner] };
    if received.header("x-keyward-owner") != owners {
        wrong.push(format!("{owners:?} expected, the origin was told {:?}", received.header("x-keyward-owner")));
    }
    if owner.is_empty() && received.headers.keys().any(|name| name.replace('_', "-").starts_with("x-keyward-")) {
        wrong.push(format!("an identity without anybody: {:?}", received.headers.keys()));
    }
    if !received.header("x-api-key").is_empty() || (!owner.is_empty() && !received.header("authorization").is_empty()) {
        wrong.push("the credential reached the origin".into());
    }
    for (name, values) in &case.arrives {
        if received.header(name) != values.as_slice() {
            wrong.push(format!("{name} {values:?} expected, the origin got {:?}", received.header(name)));
        }
    }
    wrong.extend(case.absent.iter().filter(|name| !received.header(name).is_empty()).map(|name| format!("{name} reached the origin")));
    wrong
}

async fn tried(prepared: &Prepared, name: &str, case: &Edge, level: Level) -> (Answer, Traces) {
    let (origin, kv) = (prepared.world.system.origin().unwrap(), prepared.world.system.kv());
    let (reached, questions) = (origin.count(), prepared.questions());
    kv.reset_counts();
    let answer = match level {
        Level::Raw => over_a_socket(&prepared.world.system.edge_url(), &case.bytes("edge.example"), case.wire.is_some()).await,
        Level::Pure | Level::Runtime | Level::Control => by_library(prepared, name, case).await,
    };
    let counts = kv.counts();
    let reads = counts.reads("k:") + counts.reads("i:");
    (answer, Traces { reached: origin.count() - reached, reads, questions: prepared.questions() - questions })
}

async fn by_library(prepared: &Prepared, name: &str, case: &Edge) -> Answer {
    let address = case.address();
    let url: url::Url = format!("{}{address}", prepared.world.system.edge_url()).parse().unwrap();
    let sent = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    assert_eq!(sent, address, "{name}: the library sends something else");
    let mut request = prepared.world.http.request(case.method.parse().unwrap(), url);
    for (name, value) in &case.headers {
        request = request.header(name, value.as_slice());
    }
    if let Some(body) = &case.body {
        request = request.body(body.clone());
    }
    let answer = request.send().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let status = answer.status().as_u16();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let headers = headers.collect();
    Answer { status, headers, body: answer.text().await.unwrap_or_default() }
}

/// Writes the bytes and reads until the connection is closed or the answer whole; with `to_the_end` until nothing more comes, because something
/// smuggled would be answered after the first answer. Whether it reached the origin is counted there.
async fn over_a_socket(url: &str, bytes: &[u8], to_the_end: bool) -> Answer {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    // The server may close before it has read everything: its answer counts.
    let _ = stream.write_all(bytes).await;
    let (mut read, mut buffer) = (Vec::new(), vec![0; 65_536]);
    let mut patience = Duration::from_secs(10);
    while let Ok(Ok(count @ 1..)) = timeout(patience, stream.read(&mut buffer)).await {
        read.extend_from_slice(&buffer[..count]);
        match (is_whole(&read), to_the_end) {
            (true, true) => patience = Duration::from_millis(400),
            (true, false) => break,
            (false, _) => {}
        }
    }
    parsed(&String::from_utf8_lossy(&read))
}

/// Whether an answer with `Content-Length` has come to its end; one to be continued is none.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = final_part(&text).split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// The answer without `100 Continue` in front of it.
fn final_part(text: &str) -> &str {
    if text.starts_with("HTTP/1.1 100") { text.split_once("\r\n\r\n").map_or("", |(_, rest)| rest) } else { text }
}

fn parsed(text: &str) -> Answer {
    let (head, body) = final_part(text).split_once("\r\n\r\n").unwrap_or((final_part(text), ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or_default();
    let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let mut answer = Answer { status, headers: headers.collect(), body: String::new() };
    let length = answer.header("content-length").parse().unwrap_or(body.len());
    body.get(..length).unwrap_or(body).clone_into(&mut answer.body);
    answer
}
