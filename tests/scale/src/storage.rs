//! What a key takes of the object's storage, by the pages of its tables and indexes.

use anyhow::Result;
use keyward_control::sql::Sql as _;

use crate::shards::Store;

/// Bytes per key.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    /// Per table or index: its name and its bytes per key.
    pub(crate) parts: Vec<(String, f64)>,
    /// The whole file.
    pub(crate) file: f64,
}

/// The key itself: its row, what finds it, and what is known of its publication.
pub(crate) const KEY: [&str; 3] = ["keys", "puts", "dirty"];
/// When it was used last.
pub(crate) const USE: [&str; 1] = ["key_usage"];
/// What the trail says of its creation.
pub(crate) const AUDIT: [&str; 1] = ["audit"];

impl Storage {
    /// Measures `store`, whose pages are all in its file.
    pub(crate) fn of(store: &Store) -> Result<Self> {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let per_key = |bytes: u64| bytes as f64 / store.size.keys as f64;
        let rows = store.sql().execute(
            "SELECT d.name, s.tbl_name, SUM(d.pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name GROUP BY d.name ORDER BY 3 DESC",
            &[],
        )?;
        let name = |row: &[keyward_control::sql::Value]| {
            if row[0] == row[1] { row[0].text().to_owned() } else { format!("{}: {}", row[1].text(), row[0].text()) }
        };
        let parts = rows.iter().map(|row| (name(row), per_key(row[2].number()))).collect();
        let pages = store.number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?;
        Ok(Self { parts, file: per_key(pages) })
    }

    /// All parts of the tables `tables`.
    pub(crate) fn sum(&self, tables: &[&str]) -> f64 {
        let of = |name: &str| tables.iter().any(|table| name == *table || name.starts_with(&format!("{table}: ")));
        self.parts.iter().filter(|(name, _)| of(name)).map(|(_, bytes)| bytes).sum()
    }
}
