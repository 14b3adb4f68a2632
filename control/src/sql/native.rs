//! SQL over the real `SQLite`, for native tests and the simulator.

use std::{cell::Cell, path::Path};

use rusqlite::{Connection, StatementStatus, backup::Backup, types::ValueRef};

use super::{Row, Sql, SqlError, Value};

/// How many prepared statements are kept: more than one object has.
const STATEMENTS: usize = 256;

/// A database of its own.
#[derive(Debug)]
pub struct NativeSql {
    connection: Connection,
    inside: Cell<bool>,
    steps: Cell<u64>,
}

impl NativeSql {
    /// An empty database in memory.
    pub fn in_memory() -> Result<Self, SqlError> {
        Self::over(Connection::open_in_memory())
    }

    /// The database in a file, which is made where there is none: an object's own, while no runtime has it open.
    pub fn open(path: &Path) -> Result<Self, SqlError> {
        Self::over(Connection::open(path))
    }

    fn over(connection: rusqlite::Result<Connection>) -> Result<Self, SqlError> {
        let connection = connection.map_err(|e| SqlError(e.to_string()))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self { connection, inside: Cell::new(false), steps: Cell::new(0) })
    }

    /// How many steps of `SQLite`'s virtual machine all statements took: the same each time, on any machine.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// A database with the same contents, independent from now on: a backup, or what an instance still sees that was
    /// displaced.
    pub fn copy(&self) -> Result<Self, SqlError> {
        let mut copy = Self::in_memory()?;
        let failed = |e: rusqlite::Error| SqlError(e.to_string());
        Backup::new(&self.connection, &mut copy.connection).and_then(|backup| backup.step(-1)).map_err(failed)?;
        Ok(copy)
    }
}

impl Sql for NativeSql {
    fn execute(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Row>, SqlError> {
        self.run(statement, parameters).map_err(|e| SqlError(format!("{e} in: {statement}")))
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if self.inside.replace(true) {
            return Err(SqlError("a transaction inside a transaction".into()).into());
        }
        let begun = self.execute("BEGIN", &[]);
        let result = begun.map_err(E::from).and_then(|_| body());
        self.inside.set(false);
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.execute(end, &[])?;
        result
    }
}

impl NativeSql {
    fn run(&self, statement: &str, parameters: &[Value]) -> rusqlite::Result<Vec<Row>> {
        let mut prepared = self.connection.prepare_cached(statement)?;
        for (index, value) in parameters.iter().enumerate() {
            match value {
                Value::Null => prepared.raw_bind_parameter(index + 1, rusqlite::types::Null)?,
                Value::Integer(number) => prepared.raw_bind_parameter(index + 1, number)?,
                Value::Text(text) => prepared.raw_bind_parameter(index + 1, text)?,
            }
        }
        let columns = prepared.column_count();
        let mut cursor = prepared.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = cursor.next()? {
            rows.push((0..columns).map(|index| row.get_ref(index).map(value)).collect::<rusqlite::Result<Row>>()?);
        }
        drop(cursor);
        self.steps.set(self.steps.get() + u64::try_from(prepared.reset_status(StatementStatus::VmStep)).unwrap_or(0));
        Ok(rows)
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null | ValueRef::Blob(_) => Value::Null, // no column holds bytes
        ValueRef::Integer(number) => Value::Integer(number),
        #[allow(clippy::cast_possible_truncation)] // `as` saturates; no column holds fractions
        ValueRef::Real(number) => Value::Integer(number as i64),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
    }
}
