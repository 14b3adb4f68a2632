//! Values on disk, in one `SQLite` file. A write is on disk when it returns. Expired values are invisible at once and removed later.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use thiserror::Error;

/// The file cannot be used.
#[derive(Debug, Error)]
#[error("the KV store {path}: {error}")]
pub struct StoreError {
    path: PathBuf,
    error: rusqlite::Error,
}

/// What is kept under a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// JSON that is returned along with it.
    pub metadata: Option<String>,
    /// When it vanishes, in seconds of Unix time.
    pub expiration: Option<u64>,
}

impl Entry {
    /// A plain value.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }
}

/// Two connections, so that a read need not wait until a write is on disk.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
}

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS entries (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL,
        metadata TEXT,
        expiration INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entries_by_expiration ON entries (expiration) WHERE expiration IS NOT NULL;
";

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError { path: path.to_path_buf(), error };
        let writer = Connection::open(path).map_err(failed)?;
        writer.execute_batch(SCHEMA).map_err(failed)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags).map_err(failed)?;
        let store = Self { path: path.to_path_buf(), reader: Mutex::new(reader), writer: Mutex::new(writer) };
        store.remove_expired()?;
        Ok(store)
    }

    pub(super) fn get(&self, name: &str) -> Result<Option<Entry>, StoreError> {
        self.wrap(|| {
            let reader = lock(&self.reader);
            let mut statement =
                reader.prepare_cached("SELECT value, metadata, expiration FROM entries WHERE name = ?1 AND ifnull(expiration > ?2, 1)")?;
            statement.query_row(params![name, now_s()], |row| entry(row, 0)).optional()
        })
    }

    /// At most `limit` entries whose names begin with `prefix`, in the order of their bytes, after the name `after`.
    pub(super) fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>, StoreError> {
        self.wrap(|| {
            let reader = lock(&self.reader);
            let mut statement = reader.prepare_cached(
                "SELECT name, value, metadata, expiration FROM entries
                 WHERE name >= ?1 AND (?2 IS NULL OR name > ?2) AND ifnull(expiration > ?3, 1) ORDER BY name",
            )?;
            let rows = statement.query_map(params![prefix, after, now_s()], |row| Ok((row.get::<_, String>(0)?, entry(row, 1)?)))?;
            let matches = |row: &rusqlite::Result<(String, Entry)>| row.as_ref().map_or(true, |(name, _)| name.starts_with(prefix));
            rows.take_while(matches).take(limit).collect()
        })
    }

    /// Writes all of them, or none.
    pub(super) fn put_all<'a>(&self, entries: impl IntoIterator<Item = (&'a str, &'a Entry)>) -> Result<(), StoreError> {
        self.wrap(|| {
            let mut writer = lock(&self.writer);
            let transaction = writer.transaction()?;
            {
                let mut statement = transaction
                    .prepare_cached("INSERT OR REPLACE INTO entries (name, value, metadata, expiration) VALUES (?1, ?2, ?3, ?4)")?;
                for (name, Entry { value, metadata, expiration }) in entries {
                    statement.execute(params![name, value, metadata, expiration.map(seconds)])?;
                }
            }
            transaction.commit()
        })
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.wrap(|| lock(&self.writer).execute("DELETE FROM entries WHERE name = ?1", [name]).map(drop))
    }

    fn remove_expired(&self) -> Result<(), StoreError> {
        self.wrap(|| lock(&self.writer).execute("DELETE FROM entries WHERE expiration <= ?1", [now_s()]).map(drop))
    }

    fn wrap<T>(&self, work: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work().map_err(|error| StoreError { path: self.path.clone(), error })
    }
}

fn entry(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Entry> {
    let expiration: Option<i64> = row.get(first + 2)?;
    Ok(Entry {
        value: row.get(first)?,
        metadata: row.get(first + 1)?,
        expiration: expiration.map(|at| u64::try_from(at).unwrap_or_default()),
    })
}

fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// Unix time now.
pub(super) fn now_s() -> i64 {
    seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
