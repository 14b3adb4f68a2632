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

#[cfg(test)]
mod tests {
    use keyward_shared::{
        ids::{CompanyId, KeyId, OwnerId},
        permission::PermissionSet,
        record::{KeyState, Metadata, VERSION},
        time::Millis,
    };

    use super::*;

    fn record() -> Record {
        Record {
            v: VERSION,
            key_id: KeyId::new("key_0123456789abcdefghij").unwrap(),
            company: CompanyId::new("demo").unwrap(),
            owner: OwnerId::new("ann").unwrap(),
            shard: "MDeu".parse().unwrap(),
            state: KeyState::Active,
            owner_active: true,
            company_active: true,
            expires_at: None,
            created_at: Millis(0),
            permissions: PermissionSet::parse(["orders.*"]).unwrap(),
            networks: Vec::new(),
            rate_limit: None,
            metadata: Metadata::default(),
            rev: 1,
            as_of: Millis(0),
        }
    }

    #[test]
    fn the_origin_gets_the_identity_of_the_key_and_nothing_that_passes_for_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-api-key", "kw_live_key"),
            ("authorization", "Bearer kw_live_key"),
            ("x-keyward-owner", "mallory"),
            ("x-keyward-owner", "eve"),
            ("x-keyward-identity", "forged"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-http-method-override", "DELETE"),
            ("connection", "close"),
            ("accept", "application/json"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        rewrite(&mut headers, &record()).unwrap();
        let mut left: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                ("accept", "application/json"),
                ("x-keyward-company", "demo"),
                ("x-keyward-key", "key_0123456789abcdefghij"),
                ("x-keyward-owner", "ann")
            ]
        );
    }

    #[test]
    fn what_is_no_address_is_no_origin() {
        assert!(Gateway::new("http://127.0.0.1:80").is_err());
        assert!(Gateway::new("127.0.0.1:80").is_ok());
    }
}
