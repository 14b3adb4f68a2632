//! Backups of one company: as lines of JSON out of a deployment, and into the same or another one.

mod export;
pub mod restore;
mod restore_lines;
