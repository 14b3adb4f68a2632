//! Bringing an object's tables up to date. Each object has a list of migrations; each is applied once, in order, and
//! written down in `schema_version`. A migration that was released is never changed: a later version adds one.

use super::{Sql, SqlError};

/// The statements of one migration.
pub type Migration = &'static [&'static str];

/// Applies those of `migrations` that were not yet; does nothing where there are none. Storage that a later version has
/// written is refused: this one would not know what it means.
pub fn migrate(sql: &impl Sql, migrations: &[Migration]) -> Result<(), SqlError> {
    sql.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY) WITHOUT ROWID", &[])?;
    let applied = sql.execute("SELECT version FROM schema_version", &[])?.len();
    if applied == migrations.len() {
        return Ok(());
    }
    if applied > migrations.len() {
        return Err(SqlError(format!("the storage has version {applied}, this program knows {}", migrations.len())));
    }
    sql.transaction(|| {
        for (index, statements) in migrations.iter().enumerate().skip(applied) {
            for statement in *statements {
                sql.execute(statement, &[])?;
            }
            sql.execute("INSERT INTO schema_version (version) VALUES (?1)", &[(index as u64 + 1).into()])?;
        }
        Ok(())
    })
}

/// All statements, one a line, as they are pinned.
pub fn text(migrations: &[Migration]) -> String {
    let one_line = |statement: &&str| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let statements: Vec<_> = migrations.iter().flat_map(|statements| statements.iter()).map(one_line).collect();
    statements.join(";\n") + ";\n"
}

#[cfg(all(test, feature = "native-sql", not(target_arch = "wasm32")))]
#[allow(clippy::unwrap_used)] // its helpers too
mod tests {
    use super::*;
    use crate::sql::native::NativeSql;

    const FIRST: Migration = &["CREATE TABLE a (x INTEGER)", "INSERT INTO a VALUES (1)"];
    const SECOND: Migration = &["ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7"];
    const BROKEN: Migration = &["ALTER TABLE a ADD COLUMN z INTEGER", "ALTER TABLE missing ADD COLUMN z INTEGER"];

    fn rows(sql: &NativeSql, columns: &str) -> Vec<Vec<u64>> {
        sql.execute(&format!("SELECT {columns} FROM a"), &[])
            .unwrap()
            .iter()
            .map(|row| row.iter().map(super::super::Value::number).collect())
            .collect()
    }

    #[test]
    fn each_migration_is_applied_once_and_keeps_what_there_is() {
        let sql = NativeSql::in_memory().unwrap();
        migrate(&sql, &[FIRST]).unwrap();
        migrate(&sql, &[FIRST]).unwrap();
        assert_eq!(rows(&sql, "x"), [[1]]);
        migrate(&sql, &[FIRST, SECOND]).unwrap();
        migrate(&sql, &[FIRST, SECOND]).unwrap();
        assert_eq!(rows(&sql, "x, y"), [[1, 7]]);
    }

    #[test]
    fn one_that_fails_changes_nothing_and_is_tried_again() {
        let sql = NativeSql::in_memory().unwrap();
        migrate(&sql, &[FIRST]).unwrap();
        assert!(migrate(&sql, &[FIRST, BROKEN]).is_err());
        assert!(sql.execute("SELECT z FROM a", &[]).is_err());
        assert_eq!(rows(&sql, "x"), [[1]]);
        migrate(&sql, &[FIRST, SECOND]).unwrap();
        assert_eq!(rows(&sql, "x, y"), [[1, 7]]);
    }

    #[test]
    fn storage_of_a_later_version_is_refused() {
        let sql = NativeSql::in_memory().unwrap();
        migrate(&sql, &[FIRST, SECOND]).unwrap();
        assert!(migrate(&sql, &[FIRST]).unwrap_err().to_string().contains("version 2"));
    }
}
