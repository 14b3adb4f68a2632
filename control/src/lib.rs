//! The control plane: who may do what to keys, owners and companies, and how each change reaches the edge.
//!
//! The state machines ([`shard`], [`registry`], [`feed`]) are pure: SQL behind one trait ([`sql`]), time and
//! random bytes as arguments. [`front`] finds the object that answers a request, [`page`] renders the
//! administration page. Everything that knows the runtime stands under `worker/` and is compiled for wasm32
//! only.

pub mod call;
mod cursor;
pub mod failure;
pub mod feed;
pub mod front;
mod idempotency;
pub mod oidc;
pub mod page;
pub mod query;
pub mod registry;
pub mod route;
pub mod session;
pub mod settings;
pub mod shard;
pub mod sql;
pub mod time;
mod together;

#[cfg(target_arch = "wasm32")]
mod worker;
