//! One call to the control plane. A change carries an idempotency key and is tried again until it is answered, as a careful program does: a lost
//! answer may mean that it was made, or that it was not.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Method};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::ledger::Ledger;

/// For how long a change is tried again.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(100);

/// The control plane as the operator uses it.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) http: Client,
    pub(crate) url: String,
    pub(crate) operator: String,
    pub(crate) ledger: Arc<Ledger>,
}

/// An answer that is one: not a 503, and not a connection that broke.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Control {
    /// Makes a change; `None` where it was not answered for minutes.
    pub(crate) async fn change(&self, method: Method, path: &str, body: &Value, idempotency_key: &str) -> Option<Said> {
        let deadline = Instant::now() + PATIENCE;
        let mut tries = 0;
        while Instant::now() < deadline {
            tries += 1;
            if let Some(said) = self.once(method.clone(), path, body, Some(idempotency_key)).await {
                if tries > 1 {
                    self.ledger.count("changes answered after another try");
                }
                return Some(said);
            }
            sleep(PAUSE).await;
        }
        self.ledger.find(format!("{method} {path}: not answered in {PATIENCE:?}"));
        None
    }

    /// Asks once; `None` where one has to ask again.
    pub(crate) async fn once(&self, method: Method, path: &str, body: &Value, idempotency_key: Option<&str>) -> Option<Said> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url)).header("x-api-key", &self.operator);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let Ok(answer) = request.send().await else {
            self.ledger.count("no answer of the control plane");
            return None;
        };
        let status = answer.status().as_u16();
        let waits = answer.headers().contains_key("retry-after");
        let Ok(text) = answer.text().await else {
            self.ledger.count("no answer of the control plane");
            return None;
        };
        match status {
            503 if waits => {
                self.ledger.count("503 with Retry-After of the control plane");
                None
            }
            500.. => {
                self.ledger.find(format!("{method} {path}: {status} {text}"));
                None
            }
            _ => Some(Said { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) }),
        }
    }
}
