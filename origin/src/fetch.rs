//! The key set over HTTP, with reqwest.

use std::time::Duration;

use reqwest::{Client, Url, redirect::Policy};

use crate::{FetchError, KeySource};

/// How long fetching may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The most bytes of a key set.
const MAX_LEN: usize = 64 * 1024;

/// Fetches the key set from an address. The edge itself answers it, without a look at any store.
#[derive(Clone, Debug)]
pub struct HttpKeys {
    client: Client,
    url: Url,
}

impl HttpKeys {
    /// From `url`, usually `https://<the edge>/.keyward/jwks.json`, within five seconds and without following redirects. An error names what
    /// is wrong with the address.
    pub fn new(url: &str) -> Result<Self, FetchError> {
        let client = Client::builder().redirect(Policy::none()).timeout(LIMIT).build().map_err(|error| told(&error))?;
        Self::with_client(client, url)
    }

    /// The same with a client of your own, which must have a time limit.
    pub fn with_client(client: Client, url: &str) -> Result<Self, FetchError> {
        let url = Url::parse(url).map_err(|error| FetchError::new(format!("{url}: {error}")))?;
        Ok(Self { client, url })
    }
}

impl KeySource for HttpKeys {
    async fn fetch(&self) -> Result<String, FetchError> {
        let mut answer = self.client.get(self.url.clone()).send().await.map_err(|error| told(&error))?;
        if answer.status() != 200 {
            return Err(FetchError::new(format!("{}: status {}", self.url, answer.status())));
        }
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| told(&error))? {
            body.extend_from_slice(&part);
            if body.len() > MAX_LEN {
                return Err(FetchError::new(format!("{}: more than {MAX_LEN} bytes", self.url)));
            }
        }
        String::from_utf8(body).map_err(|_| FetchError::new(format!("{}: not UTF-8", self.url)))
    }
}

/// An error with its causes: reqwest's own text leaves them out.
fn told(error: &dyn std::error::Error) -> FetchError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    FetchError::new(text)
}
