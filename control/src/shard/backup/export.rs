//! A company as lines of JSON: a header, the company, and one line per row of each table in [`KINDS`]. Keys are in it by
//! their digests, with which nobody can make a request; but whoever may change a backup and has it restored decides who may
//! call. So it is to be kept like the database itself.
//!
//! It is read in parts while the company lives on: what changes meanwhile may be in it or not. Each key in it was there when
//! it began, and the trail, which comes last, tells of everything that is in it.

use keyward_shared::ids::CompanyId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::shard::{
    audit::head,
    failure::Failure,
    numbers,
    portions::{MOST_BYTES, MOST_LINES, Part},
    rows,
    turn::{Turn, current_rev},
};
use crate::{
    query::Query,
    sql::{Row, Sql, Value as SqlValue},
    time::rfc3339,
};

/// The version of the lines' form.
pub(in crate::shard) const FORMAT: u64 = 1;

/// How a column stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Form {
    /// Text, or null.
    Text,
    /// A whole number (of a time: milliseconds since 1970), or null.
    Number,
    /// `true` or `false`.
    Truth,
    /// The JSON that is stored as text, or null.
    Json,
}

/// The rows of one table.
#[derive(Debug)]
pub(in crate::shard) struct Kind {
    /// What its lines are called.
    pub(in crate::shard) name: &'static str,
    /// Where they come from; every row has the column `company`.
    pub(in crate::shard) table: &'static str,
    /// Everything else that is in a line.
    pub(in crate::shard) columns: &'static [(&'static str, Form)],
    /// What they are ordered by: each row's is another.
    order: &'static [&'static str],
    /// Which of them belong to the backup; `?2` is its bound.
    condition: &'static str,
    /// How many are read at once: few where one may be large.
    step: u64,
    /// Columns that are in no line, but follow from what is: the check of the line gives them after the others.
    derived: &'static [&'static str],
}

impl Kind {
    /// The columns that are stored when a row comes back, `company` aside.
    pub(in crate::shard) fn stored(&self) -> impl Iterator<Item = &'static str> {
        names(self).chain(self.derived.iter().copied())
    }
}

use Form::{Json, Number, Text, Truth};

const OF_A_KEY: &str = "EXISTS (SELECT 1 FROM keys o WHERE o.company = k.company AND o.key_id = k.key_id AND o.place <= ?2)";
/// A key that was never used has a row too, which is made with the key.
const OF_A_USED_KEY: &str =
    "k.last_used_at > 0 AND EXISTS (SELECT 1 FROM keys o WHERE o.company = k.company AND o.key_id = k.key_id AND o.place <= ?2)";

/// All of them, in the order of the file. A table with a column `company` that a deployment cannot do without is one more
/// here, and has its check in `restore_lines`.
pub(in crate::shard) const KINDS: &[Kind] = &[
    Kind {
        name: "owner",
        table: "owners",
        columns: &[
            ("owner", Text),
            ("name", Text),
            ("email", Text),
            ("permissions", Json),
            ("active", Truth),
            ("created_at", Number),
            ("changed_at", Number),
            ("announced_at", Number),
        ],
        order: &["owner"],
        condition: "?2 >= 0",
        step: 500,
        derived: &["rev"],
    },
    Kind {
        name: "key",
        table: "keys",
        columns: &[
            ("key_id", Text),
            ("digest", Text),
            ("owner", Text),
            ("name", Text),
            ("hint", Text),
            ("place", Number),
            ("created_at", Number),
            ("created_by", Text),
            ("parent", Text),
            ("expires_at", Number),
            ("permissions", Json),
            ("networks", Json),
            ("rate_limit", Text),
            ("metadata", Json),
            ("manages_keys", Truth),
            ("bootstrap", Truth),
            ("revoked_at", Number),
            ("revoked_by", Text),
            ("revoke_reason", Text),
            ("supersedes", Text),
            ("superseded_by", Text),
            ("superseded_at", Number),
            ("imported", Truth),
            ("changed_at", Number),
            ("announced_at", Number),
        ],
        order: &["place", "key_id"],
        condition: "k.place <= ?2",
        step: 500,
        derived: &["rev"],
    },
    Kind {
        name: "use",
        table: "key_usage",
        columns: &[("key_id", Text), ("last_used_at", Number)],
        order: &["key_id"],
        condition: OF_A_USED_KEY,
        step: 500,
        derived: &[],
    },
    Kind {
        name: "bucket",
        table: "key_buckets",
        columns: &[("key_id", Text), ("width", Text), ("at", Number), ("allowed", Number), ("refused", Number)],
        order: &["key_id", "width", "at"],
        condition: OF_A_KEY,
        step: 500,
        derived: &[],
    },
    // Their secrets follow from the deployment's. What is still to be sent to them is not part of it.
    Kind {
        name: "webhook",
        table: "webhooks",
        columns: &[
            ("id", Text),
            ("url", Text),
            ("events", Json),
            ("name", Text),
            ("active", Truth),
            ("disabled_reason", Text),
            ("created_at", Number),
            ("created_by", Text),
        ],
        order: &["id"],
        condition: "?2 >= 0 AND k.deleted = 0",
        step: 100,
        derived: &["since"],
    },
    Kind {
        name: "audit",
        table: "audit",
        columns: &[("sequence", Number), ("at", Number), ("note", Text), ("entry", Text), ("hash", Text)],
        order: &["sequence"],
        condition: "k.sequence <= ?2",
        step: 20,
        derived: &["actor", "action", "target"],
    },
];

/// How far an export has come.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    /// The shard's revision when it began.
    rev: u64,
    /// Which kind is being read.
    kind: usize,
    /// The order of the last row read of it.
    after: Option<Vec<Scalar>>,
    /// The last entry of the trail that belongs to it, once the trail is reached.
    trail: Option<u64>,
    /// How many lines of each kind were given.
    counts: Vec<u64>,
}

/// A part of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(u64),
    Text(String),
}

impl From<&Scalar> for SqlValue {
    fn from(scalar: &Scalar) -> Self {
        match scalar {
            Scalar::Number(number) => (*number).into(),
            Scalar::Text(text) => text.into(),
        }
    }
}

/// The members of the last line that count the others.
pub(in crate::shard) fn counted(counts: &[u64]) -> Map<String, Value> {
    KINDS.iter().zip(counts).map(|(kind, count)| (kind.name.to_owned(), json!(count))).collect()
}

impl<S: Sql> Turn<'_, S> {
    /// `GET /v1/companies/{company}/export`.
    pub(in crate::shard) fn export_company(&self, after: Option<&str>) -> Result<Part, Failure> {
        Query::read(&self.call.query, &[])?;
        let mut part = Part::default();
        let mut place = match after {
            Some(place) => serde_json::from_str(place)?,
            None => self.begin_export(&mut part)?,
        };
        let mut lines = 0;
        while let Some(kind) = KINDS.get(place.kind) {
            if lines >= MOST_LINES || part.lines.len() as u64 >= MOST_BYTES {
                part.next = Some(serde_json::to_string(&place)?);
                return Ok(part);
            }
            if kind.table == "audit" && place.trail.is_none() {
                place.trail = Some(head(self.sql, &self.company)?.0);
            }
            let limit = kind.step.min(MOST_LINES - lines);
            let rows = self.rows_after(kind, &place, limit)?;
            let count = rows.len() as u64;
            for row in rows {
                place.after = Some(order_of(kind, &row));
                part.lines += &line(kind, row)?;
                part.lines.push('\n');
            }
            lines += count;
            if let Some(total) = place.counts.get_mut(place.kind) {
                *total += count;
            }
            if count < limit {
                (place.kind, place.after) = (place.kind + 1, None);
            }
        }
        let mut seal = counted(&place.counts);
        seal.insert("kind".into(), "end".into());
        part.seal = Some(seal);
        Ok(part)
    }

    /// The header and the company.
    fn begin_export(&self, part: &mut Part) -> Result<Place, Failure> {
        let company = rows::company(self.sql, &self.company)?.ok_or_else(|| Failure::not_found("company"))?;
        // Keys that were made in one turn have places beyond their revision.
        let rev = current_rev(self.sql)?.max(numbers::get(self.sql, numbers::PLACE)?.unwrap_or(0));
        let header = json!({
            "kind": "header",
            "format": FORMAT,
            "company": self.company,
            "shard": self.shard,
            "rev": rev,
            "exported_at": rfc3339(self.now),
        });
        let company = json!({
            "kind": "company",
            "name": company.name,
            "active": company.active,
            "max_key_lifetime_days": company.max_key_lifetime_days,
            "created_at": company.created_at,
        });
        part.lines = format!("{header}\n{company}\n");
        Ok(Place { rev, kind: 0, after: None, trail: None, counts: vec![0; KINDS.len()] })
    }

    fn rows_after(&self, kind: &Kind, place: &Place, limit: u64) -> Result<Vec<Row>, Failure> {
        let Kind { table, condition, .. } = kind;
        let columns = names(kind).map(|name| expression(kind, name)).collect::<Vec<_>>().join(", ");
        let order = kind.order.iter().map(|name| format!("k.{name}")).collect::<Vec<_>>().join(", ");
        let departures = if kind.table == "keys" { rows::DEPARTURES } else { "" };
        let bound = place.trail.unwrap_or(place.rev);
        let mut parameters: Vec<SqlValue> = vec![(&self.company).into(), bound.into(), limit.into()];
        let mut beyond = String::new();
        if let Some(after) = &place.after {
            let marks: Vec<_> = (4..).take(after.len()).map(|number| format!("?{number}")).collect();
            beyond = format!(" AND ({order}) > ({})", marks.join(", "));
            parameters.extend(after.iter().map(SqlValue::from));
        }
        let statement =
            format!("SELECT {columns} FROM {table} k {departures} WHERE k.company = ?1 AND {condition}{beyond} ORDER BY {order} LIMIT ?3");
        Ok(self.sql.execute(&statement, &parameters)?)
    }
}

/// How a column is read. What is not yet written of a deleted owner's keys is so all the same.
fn expression(kind: &Kind, name: &str) -> String {
    let departed = rows::AS_DEPARTED.iter().find(|(column, _)| kind.table == "keys" && *column == name);
    departed.map_or_else(|| format!("k.{name}"), |(_, expression)| (*expression).to_owned())
}

fn names(kind: &Kind) -> impl Iterator<Item = &'static str> {
    kind.columns.iter().map(|(name, _)| *name)
}

/// What a row is ordered by.
fn order_of(kind: &Kind, row: &Row) -> Vec<Scalar> {
    let ordered = |name: &&str| names(kind).position(|known| known == *name).and_then(|at| row.get(at));
    let scalar = |value: &SqlValue| match value {
        SqlValue::Integer(_) => Scalar::Number(value.number()),
        SqlValue::Text(_) | SqlValue::Null => Scalar::Text(value.text().to_owned()),
    };
    kind.order.iter().filter_map(ordered).map(scalar).collect()
}

fn line(kind: &Kind, row: Row) -> Result<String, Failure> {
    let mut members = Map::new();
    members.insert("kind".into(), kind.name.into());
    for ((name, form), value) in kind.columns.iter().zip(row) {
        let value = match (value, form) {
            (SqlValue::Null, _) => Value::Null,
            (value, Truth) => (value.number() != 0).into(),
            (value, Number) => value.number().into(),
            (SqlValue::Text(text), Json) => serde_json::from_str(&text)?,
            (value, Text | Json) => value.text().into(),
        };
        members.insert((*name).to_owned(), value);
    }
    Ok(Value::Object(members).to_string())
}

/// Removes at most `most` rows of each table that belong to a company; whether some are left.
pub(in crate::shard) fn erase(sql: &impl Sql, company: &CompanyId, most: u64) -> Result<bool, Failure> {
    let mut left = false;
    for Kind { table, order, .. } in KINDS {
        let order = order.join(", ");
        let statement = format!(
            "DELETE FROM {table} WHERE company = ?1 AND ({order}) IN (SELECT {order} FROM {table} WHERE company = ?1 LIMIT {most})"
        );
        sql.execute(&statement, &[company.into()])?;
        left |= !sql.execute(&format!("SELECT 1 FROM {table} WHERE company = ?1 LIMIT 1"), &[company.into()])?.is_empty();
    }
    Ok(left)
}
