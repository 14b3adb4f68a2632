//! Everything that is measured, one file for what belongs together.

pub mod peers;

use crate::cell::Cell;

/// All cells, in the order of the tables.
pub fn all() -> Vec<Box<dyn Cell>> {
    peers::all()
}
