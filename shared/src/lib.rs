//! What the edge and the control plane must agree on: the key format, the records and the feed that
//! travel between them, permissions, the route policy and the decision whether a request may pass.
//!
//! In scope: formats, hashing, parsing, pure rules. Out of scope: clocks, stores, HTTP, async. Time and
//! random bytes are arguments (`mint` with the platform's CSPRNG stands behind the feature `mint`).
//!
//! Read top-down: [`key`] (the secret string), [`record`] and [`feed`] (what is replicated), [`seal`]
//! (their MAC), [`policy`] and [`path`] (what a route asks), [`mod@decide`] (yes or no), [`messages`]
//! (between the edge and the objects).

pub mod base62;
pub mod decide;
pub mod digest;
pub mod feed;
pub mod hash;
pub mod ids;
pub mod json;
pub mod key;
pub mod link;
pub mod messages;
pub mod network;
pub mod path;
pub mod permission;
pub mod policy;
pub mod problem;
pub mod record;
pub mod seal;
pub mod secret;
pub mod settings;
pub mod shard;
pub mod tag;
pub mod tiers;
pub mod time;
pub mod timing;

#[cfg(feature = "mint")]
pub mod mint;
