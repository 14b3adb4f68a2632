//! The demo origin: an API behind the edge that answers with what it received, so that one sees what an application would.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Request, Response, StatusCode, header::HeaderValue},
};
use serde::{Deserialize, Serialize};

use crate::listen::{ListenError, Served};

/// Larger bodies are refused: an answer repeats the body.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What the origin received, and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query, exactly as they came.
    pub path: String,
    /// Every header: name in lower case, values in order.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The body, as text.
    pub body: String,
}

impl Received {
    /// The values of a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> &[String] {
        self.headers.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A running demo origin; it ends when this is dropped.
#[derive(Debug)]
pub struct DemoOrigin {
    served: Served,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    count: u64,
    last: Option<Received>,
}

impl DemoOrigin {
    /// Starts it on `port`, or on any free one.
    pub async fn start(port: Option<u16>) -> Result<Self, ListenError> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        Ok(Self { served: Served::start(router, port).await?, seen })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.served.address()
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// How many requests reached it.
    pub fn count(&self) -> u64 {
        lock(&self.seen).count
    }

    /// The last request that reached it.
    pub fn last(&self) -> Option<Received> {
        lock(&self.seen).last.clone()
    }
}

async fn answer(State(seen): State<Arc<Mutex<Seen>>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut headers = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in &parts.headers {
        headers.entry(name.as_str().to_owned()).or_default().push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        let mut refused = Response::new(Body::from("the body is too large for the demo origin"));
        *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return refused;
    };
    let path = parts.uri.path_and_query().map_or_else(|| parts.uri.to_string(), ToString::to_string);
    let received = Received { method: parts.method.to_string(), path, headers, body: String::from_utf8_lossy(&body).into_owned() };
    let answer = serde_json::to_string(&received).unwrap_or_default(); // strings always serialize
    {
        let mut seen = lock(&seen);
        seen.count += 1;
        seen.last = Some(received);
    }
    let mut response = Response::new(Body::from(answer));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
