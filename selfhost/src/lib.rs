//! Keyward on one machine, without Cloudflare: the real Workers runtime (workerd), a small KV service that speaks its protocol, and the
//! configuration and supervision that connect them. Used by `cargo xtask dev`, by the tests and for self-hosting; on Cloudflare none of
//! it exists.
//!
//! Read top-down: [`system`] (everything, started and stopped as one), [`arrangement`] (which process runs what, and how they reach each
//! other), [`state`] (what is kept on disk; [`identity_key`] draws some of it), [`process`] (one runtime process), [`kv`] and [`origin`] (the services in Rust), [`wire`] (what
//! tests cut), [`config`] and [`capnp`] (the runtime's configuration as text).
//!
//! Out of scope: verifying, deciding, storing keys. That is the Workers' business; this crate knows nothing of `keyward-edge` and
//! `keyward-control` but their built modules.

pub mod arrangement;
pub mod capnp;
pub mod config;
pub mod identity_key;
pub mod installation;
pub mod kv;
pub mod listen;
pub mod origin;
pub mod process;
pub mod settings;
pub mod state;
pub mod system;
pub mod wire;

pub use installation::Installation;
pub use state::StateFolder;
pub use system::{Options, System, SystemError};
