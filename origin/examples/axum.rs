//! An API behind the edge that greets whoever calls:
//!
//! ```sh
//! cargo run -p keyward-origin --example axum --features reqwest -- 127.0.0.1:9000 http://127.0.0.1:8787/.keyward/jwks.json
//! cargo xtask dev --origin http://127.0.0.1:9000
//! ```

#![expect(clippy::print_stdout, reason = "an example")]

use std::{env, error::Error};

use axum::{Extension, Router, http::StatusCode, routing::get};
use keyward_origin::{HttpKeys, Identity, IdentityLayer, Settings, Verifier};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(address), Some(keys)) = (arguments.next(), arguments.next()) else {
        return Err("usage: axum <address to listen on> <address of the key set>".into());
    };
    let verifier = Verifier::new(Settings::new("keyward", "keyward-origin"), HttpKeys::new(&keys)?);
    let app = Router::new().route("/orders", get(orders)).fallback(greet).layer(IdentityLayer::new(verifier));
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn greet(Extension(identity): Extension<Identity>) -> String {
    format!("{} of {}, with {}", identity.owner(), identity.company(), identity.key_id())
}

async fn orders(Extension(identity): Extension<Identity>) -> Result<&'static str, StatusCode> {
    if identity.may("orders.read") { Ok("no orders yet") } else { Err(StatusCode::FORBIDDEN) }
}
