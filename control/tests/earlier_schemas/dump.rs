//! An object's storage as SQL text: written with everything that is in it, read into an empty database, compared.
#![allow(unreachable_pub)] // a part of one test

use keyward_control::sql::{Sql as _, Value as SqlValue, native::NativeSql};

/// Tables and rows of `sql`, a statement per line or more.
pub fn text(sql: &NativeSql) -> String {
    let mut statements = Vec::new();
    for row in sql.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid", &[]).unwrap()
    {
        statements.push(row[0].text().split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let (last, first): (Vec<_>, Vec<_>) = tables(sql).into_iter().partition(|table| table == "sqlite_sequence");
    for table in first.into_iter().chain(last) {
        let columns = columns(sql, &table);
        let rows = rows(sql, &table, &columns);
        let literal = |value: &SqlValue| match value {
            SqlValue::Null => "NULL".to_owned(),
            SqlValue::Integer(number) => number.to_string(),
            SqlValue::Text(text) => format!("'{}'", text.replace('\'', "''")),
        };
        if table == "sqlite_sequence" {
            statements.push(format!("DELETE FROM {table}")); // the rows of other tables have made it
        }
        for row in rows {
            statements.push(format!("INSERT INTO {table} ({columns}) VALUES ({})", row.iter().map(literal).collect::<Vec<_>>().join(", ")));
        }
    }
    assert!(statements.iter().all(|statement| !statement.contains(";\n")));
    statements.join(";\n") + ";\n"
}

/// A database with what `text` says.
pub fn load(text: &str) -> NativeSql {
    let sql = NativeSql::in_memory().unwrap();
    for statement in text.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        sql.execute(statement, &[]).unwrap();
    }
    sql
}

/// The names of the tables, `sqlite_sequence` included, where an `AUTOINCREMENT` goes on.
pub fn tables(sql: &NativeSql) -> Vec<String> {
    let rows = sql.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid", &[]).unwrap();
    rows.iter().map(|row| row[0].text().to_owned()).collect()
}

/// Tables, columns and indexes, as they can be compared: each with the statement that made it, in one spelling.
pub fn shape(sql: &NativeSql) -> Vec<String> {
    let mut shape = Vec::new();
    for row in sql.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name", &[]).unwrap() {
        let statement: String = row[3].text().split_whitespace().collect();
        shape.push(format!("{} {} {} {statement}", row[0].text(), row[1].text(), row[2].text()));
    }
    let mut tables = tables(sql);
    tables.sort();
    for table in tables {
        for row in sql.execute(&format!("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{table}')"), &[]).unwrap() {
            shape.push(format!("{table} {row:?}"));
        }
        for row in
            sql.execute(&format!("SELECT l.name, i.name FROM pragma_index_list('{table}') l, pragma_index_info(l.name) i"), &[]).unwrap()
        {
            shape.push(format!("{table} {row:?}"));
        }
    }
    shape
}

/// The names of a table's columns that are stored; others are made from them.
pub fn columns(sql: &NativeSql, table: &str) -> String {
    let columns = sql.execute(&format!("SELECT name FROM pragma_table_xinfo('{table}') WHERE hidden = 0 ORDER BY cid"), &[]).unwrap();
    columns.iter().map(|row| row[0].text()).collect::<Vec<_>>().join(", ")
}

/// The rows of a table: these columns of them.
pub fn rows(sql: &NativeSql, table: &str, columns: &str) -> Vec<Vec<SqlValue>> {
    sql.execute(&format!("SELECT {columns} FROM {table}"), &[]).unwrap()
}

/// How many rows each of `tables` has.
pub fn counts(sql: &NativeSql, tables: &[String]) -> Vec<(String, u64)> {
    let count = |table: &String| sql.execute(&format!("SELECT COUNT(*) FROM {table}"), &[]).unwrap()[0][0].number();
    tables.iter().map(|table| (table.clone(), count(table))).collect()
}

/// How many migrations were applied. Feeds and registries were not counted at first.
pub fn version(sql: &NativeSql) -> u64 {
    let counted = tables(sql).iter().any(|table| table == "schema_version");
    if counted { counts(sql, &["schema_version".to_owned()])[0].1 } else { 1 }
}
