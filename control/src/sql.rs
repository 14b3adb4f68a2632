//! SQL behind one small trait: the real SQLite natively, the object's own SQL storage in production. The
//! statements are the same.

use thiserror::Error;

/// A value bound to a statement or read from a row. Integers stay below 2^53: the runtime counts in floats.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL `NULL`.
    Null,
    /// A whole number below 2^53 in magnitude.
    Integer(i64),
    /// Text.
    Text(String),
}

/// One row, in the order of the statement's columns.
pub type Row = Vec<Value>;

/// A statement failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("SQL failed: {0}")]
pub struct SqlError(pub String);

/// A synchronous SQL database that one object owns.
pub trait Sql {
    /// Runs one statement with positional parameters (`?1`, `?2`, …; at most 100) and returns its rows.
    fn execute(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Row>, SqlError>;

    /// Runs `body` whole or not at all: what it wrote is undone where it returns an error.
    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        Self: Sized;
}
