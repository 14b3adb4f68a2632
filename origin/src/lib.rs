//! For an API behind Keyward's edge: who calls, proven.
//!
//! The edge sends with each request that it lets in `X-Keyward-Identity`, a token that it signed and that only it can make. A [`Verifier`] checks
//! it with the edge's public keys and gives an [`Identity`]; [`IdentityLayer`] does that for every request of a [tower] service, and lets nothing
//! in without one:
//!
//! ```no_run
//! # #[cfg(feature = "reqwest")]
//! # fn app() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Extension, Router, routing::get};
//! use keyward_origin::{HttpKeys, Identity, IdentityLayer, Settings, Verifier};
//!
//! let keys = HttpKeys::new("https://api.example.com/.keyward/jwks.json")?;
//! let verifier = Verifier::new(Settings::new("keyward", "keyward-origin"), keys);
//! let orders = async |Extension(identity): Extension<Identity>| format!("the orders of {}", identity.owner());
//! let app: Router = Router::new().route("/orders", get(orders)).layer(IdentityLayer::new(verifier));
//! # Ok(())
//! # }
//! ```
//!
//! What is not proven: the headers beside the token (`X-Keyward-Owner`, …), and that the request came straight from the edge. A token serves for
//! a minute, so whoever can read the traffic between edge and origin can use it that long.
//!
//! Keys come from a [`KeySource`]: [`HttpKeys`] with the feature `reqwest`, or a client of your own.
//!
//! [tower]: https://docs.rs/tower

#![forbid(unsafe_code)]

mod error;
#[cfg(feature = "reqwest")]
mod fetch;
mod identity;
mod keys;
mod layer;
mod token;
mod verifier;

pub use error::{FetchError, VerifyError};
#[cfg(feature = "reqwest")]
pub use fetch::HttpKeys;
pub use identity::Identity;
pub use keys::KeySource;
pub use layer::{HEADER, IdentityLayer, IdentityService};
pub use verifier::{Settings, Verifier};
