//! The crate from outside: tokens, keys and the layer, each with what must be refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod any;
mod keys;
mod layer;
mod signer;
mod tokens;
