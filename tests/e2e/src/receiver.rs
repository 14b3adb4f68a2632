//! A receiver of webhooks: answers as it is told, and keeps what it got. Whether a signature is right is decided by the
//! library that integrators use.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Request, Response},
};
use keyward_selfhost::listen::Served;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::build;

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Headers by name, in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as it came.
    pub body: String,
    /// The status that it was answered with.
    pub answered: u16,
}

impl Received {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// What it tells of.
    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Debug)]
struct How {
    status: u16,
    pause: Duration,
    got: Vec<Received>,
}

/// A running receiver; it ends when this is dropped.
#[derive(Debug)]
pub struct Receiver {
    served: Served,
    how: Arc<Mutex<How>>,
}

impl Receiver {
    /// One that takes everything.
    pub async fn start() -> Self {
        let how = Arc::new(Mutex::new(How { status: 204, pause: Duration::ZERO, got: Vec::new() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&how));
        Self { served: Served::start(router, None).await.unwrap(), how }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}/hooks?from=keyward", self.served.address())
    }

    /// From now on it answers so, after a pause.
    pub fn answer_with(&self, status: u16, pause: Duration) {
        let mut how = self.how.lock().unwrap();
        (how.status, how.pause) = (status, pause);
    }

    /// What it got, also what it has not answered yet.
    pub fn got(&self) -> Vec<Received> {
        self.how.lock().unwrap().got.clone()
    }
}

async fn answer(State(how): State<Arc<Mutex<How>>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let (status, pause) = {
        let mut how = how.lock().unwrap();
        let status = how.status;
        how.got.push(Received { headers, body, answered: status });
        (status, how.pause)
    };
    sleep(pause).await;
    Response::builder()
        .status(status)
        .header("location", "/elsewhere")
        .body(Body::from("what a receiver says is nobody's business"))
        .unwrap()
}

/// Whether `message` is signed with `secret`.
pub fn is_signed(secret: &str, message: &Received) -> bool {
    let input = json!({"secret": secret, "headers": message.headers, "body": message.body}).to_string();
    let script = build::repository().join("tests/e2e/js/verify-webhook.mjs");
    let mut node = Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    node.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "the library cannot be used: run `npm ci --ignore-scripts`");
    String::from_utf8_lossy(&output.stdout).trim() == "true"
}
