//! SQL behind one small trait: the real `SQLite` natively, the object's own SQL storage in production. The
//! statements are the same.

pub mod migrations;
#[cfg(all(feature = "native-sql", not(target_arch = "wasm32")))]
pub mod native;

use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, KeyId, OwnerId},
    time::Millis,
};
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

/// What statements took, as the platform bills it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// How many statements ran.
    pub statements: u64,
    /// How many rows of tables and indexes were read.
    pub rows_read: u64,
    /// How many rows of tables and indexes were written.
    pub rows_written: u64,
}

impl core::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            statements: self.statements + other.statements,
            rows_read: self.rows_read + other.rows_read,
            rows_written: self.rows_written + other.rows_written,
        }
    }
}

impl core::ops::Sub for Cost {
    type Output = Self;

    /// What was taken since it was `earlier`.
    fn sub(self, earlier: Self) -> Self {
        Self {
            statements: self.statements.saturating_sub(earlier.statements),
            rows_read: self.rows_read.saturating_sub(earlier.rows_read),
            rows_written: self.rows_written.saturating_sub(earlier.rows_written),
        }
    }
}

/// A synchronous SQL database that one object owns.
pub trait Sql {
    /// Runs one statement with positional parameters (`?1`, `?2`, …; at most 100) and returns its rows.
    fn execute(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Row>, SqlError>;

    /// Runs `body` whole or not at all: what it wrote is undone where it returns an error.
    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        Self: Sized;
}

impl Value {
    /// NULL for `None`.
    pub fn optional<T: Into<Self>>(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }

    /// The text; empty for another kind.
    pub fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    /// The text, where there is one.
    pub fn optional_text(&self) -> Option<String> {
        if let Self::Text(text) = self { Some(text.clone()) } else { None }
    }

    /// The number; 0 for another kind or a negative one.
    pub fn number(&self) -> u64 {
        if let Self::Integer(number) = self { u64::try_from(*number).unwrap_or(0) } else { 0 }
    }

    /// The number, where there is one.
    pub fn optional_number(&self) -> Option<u64> {
        if let Self::Integer(_) = self { Some(self.number()) } else { None }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX).min(MAX_INTEGER))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Integer(i64::from(truth))
    }
}

impl From<Millis> for Value {
    fn from(at: Millis) -> Self {
        Self::from(at.0)
    }
}

impl From<&Digest> for Value {
    fn from(digest: &Digest) -> Self {
        Self::Text(digest.to_hex())
    }
}

macro_rules! from_id {
    ($($id:ty),*) => {$(
        impl From<&$id> for Value {
            fn from(id: &$id) -> Self {
                Self::Text(id.as_str().into())
            }
        }
    )*};
}
from_id!(CompanyId, OwnerId, KeyId);

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The largest whole number that the runtime can hold.
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// Reads a row's columns one after the other.
#[derive(Debug)]
pub struct Columns(std::vec::IntoIter<Value>);

impl Columns {
    /// The columns of `row`.
    pub fn of(row: Row) -> Self {
        Self(row.into_iter())
    }

    fn next(&mut self) -> Result<Value, SqlError> {
        self.0.next().ok_or_else(|| SqlError("a row has too few columns".into()))
    }

    /// The next column as text, where it is not `NULL`.
    pub fn optional_text(&mut self) -> Result<Option<String>, SqlError> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Integer(_) => Err(SqlError("a number stands where text belongs".into())),
        }
    }

    /// The next column as text.
    pub fn text(&mut self) -> Result<String, SqlError> {
        self.optional_text()?.ok_or_else(|| SqlError("text is missing".into()))
    }

    /// The next column as a number, where it is not `NULL`.
    pub fn optional_number(&mut self) -> Result<Option<u64>, SqlError> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Integer(number) => Ok(Some(u64::try_from(number).unwrap_or(0))),
            Value::Text(_) => Err(SqlError("text stands where a number belongs".into())),
        }
    }

    /// The next column as a number.
    pub fn number(&mut self) -> Result<u64, SqlError> {
        self.optional_number()?.ok_or_else(|| SqlError("a number is missing".into()))
    }

    /// The next column as a truth value.
    pub fn truth(&mut self) -> Result<bool, SqlError> {
        Ok(self.number()? != 0)
    }

    /// The next column as a time, where it is not `NULL`.
    pub fn optional_time(&mut self) -> Result<Option<Millis>, SqlError> {
        Ok(self.optional_number()?.map(Millis))
    }

    /// The next column as a time.
    pub fn time(&mut self) -> Result<Millis, SqlError> {
        self.number().map(Millis)
    }

    /// The next column as what `T` is read from.
    pub fn parsed<T>(&mut self) -> Result<T, SqlError>
    where
        T: TryFrom<String>,
        T::Error: core::fmt::Display,
    {
        self.text()?.try_into().map_err(|e: T::Error| SqlError(format!("a stored value is not readable: {e}")))
    }

    /// The next column as JSON, where it is not `NULL`.
    pub fn optional_json<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, SqlError> {
        let parse = |text: String| serde_json::from_str(&text).map_err(|e| SqlError(format!("stored JSON is not readable: {e}")));
        self.optional_text()?.map(parse).transpose()
    }
}

impl<S: Sql> Sql for &S {
    fn execute(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Row>, SqlError> {
        (**self).execute(statement, parameters)
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        (**self).transaction(body)
    }
}
