//! Passes a request on to the origin: the key and everything that could pass for the gateway's own removed, the identity added.

use anyhow::{Context, Result};
use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Request, Response, Uri,
        uri::{Authority, Scheme},
    },
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use keyward_shared::record::Record;

/// Never sent on, besides what begins with [`OWN`]: the same as at the edge.
const REMOVED: [&str; 23] = [
    "x-api-key",
    "authorization",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
];
const OWN: [&str; 2] = ["x-keyward-", "x-forwarded-"];

/// The origin, and the connections to it.
pub(crate) struct Gateway {
    origin: Authority,
    client: Client<HttpConnector, Body>,
}

impl Gateway {
    /// For the origin at `host:port`.
    pub(crate) fn new(origin: &str) -> Result<Self> {
        let origin = origin.parse().with_context(|| format!("{origin} is no address"))?;
        Ok(Self { origin, client: Client::builder(TokioExecutor::new()).build_http() })
    }

    /// Sends `request` as that of the key with `record`, and gives the origin's answer.
    pub(crate) async fn forward(&self, mut request: Request<Body>, record: &Record) -> Result<Response<Body>> {
        let mut uri = request.uri().clone().into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.origin.clone());
        *request.uri_mut() = Uri::from_parts(uri)?;
        rewrite(request.headers_mut(), record)?;
        Ok(self.client.request(request).await?.map(Body::new))
    }
}

fn rewrite(headers: &mut HeaderMap, record: &Record) -> Result<()> {
    for name in REMOVED {
        headers.remove(name);
    }
    let own: Vec<HeaderName> = headers.keys().filter(|name| OWN.iter().any(|own| name.as_str().starts_with(own))).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    for (name, value) in [
        ("x-keyward-owner", record.owner.as_str()),
        ("x-keyward-company", record.company.as_str()),
        ("x-keyward-key", record.key_id.as_str()),
    ] {
        headers.insert(name, HeaderValue::from_str(value)?);
    }
    Ok(())
}
