//! Keyward from outside, in the real runtime: one module per theme.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod asking;
mod backup;
mod bad_inputs;
mod control;
mod directory;
mod endurance;
mod forward_auth;
mod gateway;
mod identity;
mod import;
mod imported;
mod inputs;
mod introspection;
mod keys;
mod leaks;
mod life;
mod limits;
mod loops;
mod observe;
mod oidc;
mod outage;
mod page;
mod page_audit;
mod page_directory;
mod page_key;
mod page_keys;
mod page_quality;
mod page_rotate;
mod page_sign_in;
mod page_webhooks;
mod panics;
mod policy;
mod proxies;
mod push;
mod races;
mod refusals;
mod restore;
mod rights;
mod rotation;
mod stale;
mod stores;
mod streaming;
mod webhooks;
mod wrangler;
