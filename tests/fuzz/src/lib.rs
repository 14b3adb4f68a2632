//! Properties of everything in Keyward that reads what others wrote: one function per target, which takes any bytes and
//! panics where a property does not hold. `harness/` gives them to libFuzzer, `tests/corpus.rs` replays what is in
//! `corpus/`, and [`TARGETS`] lists them.
//!
//! Where Keyward reads something by hand, the target reads it too, slowly and in another way ("naive"), and both must
//! agree. In scope: pure code, and the objects' state machines over the real `SQLite`. Out of scope: the runtime.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a panic is how a target says that a property does not hold"
)]

mod backup;
mod control;
mod credentials;
mod cursor;
mod feed;
mod forward_auth;
mod idempotency;
mod input;
mod introspect;
mod json;
mod jwt;
mod key;
mod leaks;
mod loose;
mod messages;
mod networks;
mod path;
mod permissions;
mod policy;
mod record;
mod registry;
mod tokens;
mod world;

pub use self::{
    backup::backup, control::control, credentials::credentials, cursor::cursor, feed::feed, forward_auth::forward_auth,
    idempotency::idempotency, introspect::introspect, json::json, jwt::jwt, key::key, leaks::leaks, messages::messages, networks::networks,
    path::path, permissions::permissions, policy::policy, record::record, registry::registry, tokens::tokens,
};

/// A target: panics where a property does not hold of what it is given.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus and of its program in `harness/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("backup", backup),
    ("control", control),
    ("credentials", credentials),
    ("cursor", cursor),
    ("feed", feed),
    ("forward_auth", forward_auth),
    ("idempotency", idempotency),
    ("introspect", introspect),
    ("json", json),
    ("jwt", jwt),
    ("key", key),
    ("leaks", leaks),
    ("messages", messages),
    ("networks", networks),
    ("path", path),
    ("permissions", permissions),
    ("policy", policy),
    ("record", record),
    ("registry", registry),
    ("tokens", tokens),
];
