//! Keys: one file for each thing that can be done with them, and what those share.

pub(super) mod change;
pub(super) mod create;
mod explain;
mod import;
mod list;
pub(super) mod reclaim;
mod revoke_many;
mod rotate;
mod usage;
pub(super) mod view;
mod walk;
