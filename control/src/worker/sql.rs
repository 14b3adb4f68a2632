//! SQL over the object's own storage. A transaction is the storage's `transactionSync`: a closure that throws
//! undoes what it wrote.

use std::cell::{Cell, RefCell};

use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use worker::{SqlStorage, SqlStorageValue, State};

use crate::sql::{Cost, Row, Sql, SqlError, Value};

#[wasm_bindgen]
extern "C" {
    /// The object's storage, for what `worker` does not bind.
    type SyncStorage;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(this: &SyncStorage, body: &mut dyn FnMut() -> Result<JsValue, JsValue>) -> Result<JsValue, JsValue>;
}

/// The database of one object.
pub(crate) struct ObjectSql {
    sql: SqlStorage,
    storage: SyncStorage,
    cost: Cell<Cost>,
}

impl ObjectSql {
    /// The database of the object whose state is `state`.
    pub(crate) fn new(state: &State) -> Result<Self, SqlError> {
        let storage = state.as_raw().storage().map_err(|e| SqlError(format!("no storage: {e:?}")))?;
        Ok(Self { sql: state.storage().sql(), storage: JsValue::from(storage).unchecked_into(), cost: Cell::default() })
    }

    /// What all statements took so far, by the runtime's own counters.
    pub(crate) fn cost(&self) -> Cost {
        self.cost.get()
    }
}

impl Sql for ObjectSql {
    fn execute(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Row>, SqlError> {
        let bindings: Vec<SqlStorageValue> = parameters.iter().map(bind).collect();
        let cursor = self.sql.exec(statement, bindings).map_err(|e| SqlError(format!("{e} in: {statement}")))?;
        let rows = cursor.raw().map(|row| row.map_err(|e| SqlError(e.to_string()))?.into_iter().map(read).collect()).collect();
        let taken = Cost { statements: 1, rows_read: cursor.rows_read() as u64, rows_written: cursor.rows_written() as u64 };
        self.cost.set(self.cost.get() + taken);
        rows
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let outcome = RefCell::new(None);
        let mut body = Some(body);
        let ended = self.storage.transaction_sync(&mut || {
            let result = body.take().map(|body| body());
            let failed = !matches!(result, Some(Ok(_)));
            *outcome.borrow_mut() = result;
            if failed { Err(JsValue::from_str("undo")) } else { Ok(JsValue::UNDEFINED) }
        });
        match (outcome.into_inner(), ended) {
            (Some(Ok(value)), Ok(_)) => Ok(value),
            (Some(Err(error)), _) => Err(error),
            (_, ended) => Err(SqlError(format!("the transaction did not end: {ended:?}")).into()),
        }
    }
}

fn bind(value: &Value) -> SqlStorageValue {
    match value {
        Value::Null => SqlStorageValue::Null,
        Value::Integer(number) => SqlStorageValue::Integer(*number),
        Value::Text(text) => SqlStorageValue::String(text.clone()),
    }
}

fn read(value: SqlStorageValue) -> Result<Value, SqlError> {
    match value {
        SqlStorageValue::Null => Ok(Value::Null),
        SqlStorageValue::Boolean(truth) => Ok(Value::Integer(truth.into())),
        SqlStorageValue::Integer(number) => Ok(Value::Integer(number)),
        SqlStorageValue::String(text) => Ok(Value::Text(text)),
        SqlStorageValue::Float(_) | SqlStorageValue::Blob(_) => Err(SqlError("a column holds neither text nor a whole number".into())),
    }
}
