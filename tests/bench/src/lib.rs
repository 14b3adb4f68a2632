//! What a verified request costs at the edge, side by side with what people would use instead. One run, ratios: `cargo xtask bench`.
//!
//! Read top-down: [`cell`] (one thing that is measured, and the ground it stands on), [`cells`] (all of them), [`cores`] and [`cpu`] (where
//! processes run and what they used), [`check`] (whether a cell does the work), [`load`] (requests as bytes over sockets), [`origin`] (the API behind the gateways).

pub mod cell;
pub mod cells;
pub mod chart;
pub mod check;
pub mod conditions;
pub mod cores;
pub mod cpu;
pub mod decision;
pub mod deployment;
pub mod keys;
pub mod load;
pub mod origin;
pub mod report;
pub mod run;
pub mod scale;
pub mod statistics;
pub mod targets;
pub mod wasm;
