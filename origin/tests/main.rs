//! The crate from outside: tokens, keys and the layer, each with what must be refused.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod keys;
mod layer;
mod signer;
mod tokens;
