//! The harness of the end-to-end tests: the whole of Keyward started in the real runtime, and what one needs to use it from outside.
//!
//! [`world`] starts a system with a short bound and speaks to it as operator, company or program; [`http`] is what comes back; [`raw`]
//! sends what no HTTP library would; [`push`] makes traffic and hangs at the Feed object as an edge does; [`waiting`] polls until something
//! becomes true; [`origin`] is an origin that answers by the byte, [`foreign`] runs origins in other languages, [`signer`] forges tokens, [`stream`] sends
//! bodies of any size through an edge and watches its memory, [`proxy`] runs nginx and Caddy; [`browser`] drives a real browser, [`provider`] is an
//! identity provider, [`receiver`] takes webhooks, [`scanner`] reports leaked keys. [`changes`] takes something away from a key, [`probe`] watches from
//! when on edges keep it out, [`stored`] compares the store with the objects; [`instrumented`] edges record what they tell and can be spoilt.
//!
//! The tests are in `tests/`, one file per theme. Nothing here reaches into Keyward: what cannot be seen through HTTP, in the store or on
//! disk is not tested here.

#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod browser;
pub mod build;
pub mod changes;
pub mod foreign;
pub mod http;
pub mod instrumented;
pub mod origin;
pub mod probe;
pub mod provider;
pub mod proxy;
pub mod push;
pub mod raw;
pub mod receiver;
pub mod scanner;
pub mod signer;
pub mod stored;
pub mod stream;
pub mod waiting;
pub mod world;

pub use http::Answer;
pub use waiting::{eventually, holds_until};
pub use world::World;
