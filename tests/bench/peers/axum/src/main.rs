//! The same decision in a native server: keys, records and policy are read and judged by the code that the edge runs, HTTP is axum's, and forwarding
//! is hyper's client, as axum's example of a reverse proxy does it. All records are in memory from the start and never change: nothing here reads a
//! feed or a store, so this is what the decision costs without a Workers runtime, not another edge.
//!
//! `keyward-axum <records> <policy> <address> [<origin>]`: without an origin it answers 200 or the refusal's status. `RECORD_SECRETS` are the secrets
//! that the records are sealed with.

mod gateway;
mod verifier;

use std::{env, fs, net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, bail};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, StatusCode},
};
use tokio::net::TcpListener;

use crate::{gateway::Gateway, verifier::Verifier};

/// What every request is answered by.
struct Api {
    verifier: Verifier,
    gateway: Option<Gateway>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [records, policy, address, rest @ ..] = arguments.as_slice() else {
        bail!("usage: keyward-axum <records> <policy> <address> [<origin>]");
    };
    let read = |path: &String| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    let secrets = env::var("RECORD_SECRETS").context("RECORD_SECRETS is not set")?;
    let verifier = Verifier::new(&read(records)?, &read(policy)?, &secrets)?;
    let gateway = rest.first().map(|origin| Gateway::new(origin)).transpose()?;
    let address: SocketAddr = address.parse().with_context(|| format!("{address} is no address"))?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let router = Router::new().fallback(answer).with_state(Arc::new(Api { verifier, gateway }));
    axum::serve(listener, router).await.context("cannot serve")
}

async fn answer(State(api): State<Arc<Api>>, request: Request<Body>) -> Response<Body> {
    let record = match api.verifier.decide(&request) {
        Ok(record) => record,
        Err(code) => return empty(StatusCode::from_u16(code.status()).unwrap_or(StatusCode::UNAUTHORIZED)),
    };
    match &api.gateway {
        None => empty(StatusCode::OK),
        Some(gateway) => gateway.forward(request, record).await.unwrap_or_else(|_| empty(StatusCode::BAD_GATEWAY)),
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
