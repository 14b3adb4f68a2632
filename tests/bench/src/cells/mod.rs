//! Everything that is measured, one file for what belongs together.

pub mod javascript;
pub mod keyward;
pub mod peers;
pub mod workers;

use crate::cell::{Cell, Work};

/// All cells, in the order of the tables.
pub fn all() -> Vec<Box<dyn Cell>> {
    let mut cells: Vec<Box<dyn Cell>> = vec![Box::new(workers::Floor { forwards: false }), Box::new(workers::Floor { forwards: true })];
    for work in [Work::Verify, Work::VerifyCold, Work::Gateway] {
        cells.push(Box::new(keyward::Keyward(work)));
        cells.push(Box::new(javascript::JavaScript(work)));
    }
    cells.extend(peers::all());
    cells
}
