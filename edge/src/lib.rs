//! The edge: verifies the credential of each request and forwards what may pass to the origin.
//!
//! [`verifier`] decides; it is a state machine without I/O that answers at once when it can and otherwise
//! names the read it needs. [`credentials`], [`gate`], [`forward_auth`] and [`introspect`] turn requests into
//! questions for it, [`answer`] turns refusals into responses. Everything that knows the runtime stands under
//! `worker/` and is compiled for wasm32 only; the streaming of bodies is the JavaScript entry's.

pub mod answer;
pub mod credentials;
pub mod forward_auth;
pub mod gate;
pub mod health;
pub mod introspect;
pub mod settings;
pub mod usage;
pub mod verifier;

#[cfg(target_arch = "wasm32")]
pub mod headers;

#[cfg(all(target_arch = "wasm32", feature = "workers"))]
pub mod worker;
