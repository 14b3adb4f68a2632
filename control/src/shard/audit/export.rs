//! The whole trail as lines of JSON, oldest first. Each line is an entry exactly as it was hashed, with its hash added as
//! the last member: whoever takes that off has the text whose SHA-256 the hash is, and can follow the chain without us.

use keyward_shared::time::Millis;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::shard::{
    audit::head,
    failure::Failure,
    portions::{MOST_BYTES, MOST_LINES, Part},
    turn::Turn,
};
use crate::{
    query::Query,
    sql::{Columns, Sql, Value as SqlValue},
};

/// The most entries that one part looks through for those of the time that is asked for.
const SCAN: u64 = 5_000;

/// How far an export has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    /// The last entry when the export began: what came later is not part of it.
    end: u64,
    /// The last entry that was looked at.
    after: u64,
    /// How many were given.
    entries: u64,
    /// The hash of the last one given.
    hash: Option<String>,
}

/// The line of an entry: its text with its hash as the last member.
pub(in crate::shard) fn line(entry: &str, hash: &str) -> String {
    format!("{},\"hash\":\"{hash}\"}}\n", entry.strip_suffix('}').unwrap_or(entry))
}

impl<S: Sql> Turn<'_, S> {
    /// `GET /v1/audit/export`.
    pub(in crate::shard) fn export_audit(&self, after: Option<&str>) -> Result<Part, Failure> {
        let query = Query::read(&self.call.query, &["from", "to"])?;
        let from = query.time("from")?.unwrap_or_default();
        let to = query.time("to")?.unwrap_or(Millis(u64::MAX));
        let mut place = match after {
            Some(place) => serde_json::from_str(place)?,
            None => Place { end: head(self.sql, &self.company)?.0, after: 0, entries: 0, hash: None },
        };
        let until = place.end.min(place.after.saturating_add(SCAN));
        let range: [SqlValue; 5] = [(&self.company).into(), place.after.into(), until.into(), from.into(), to.into()];
        let within = "FROM audit WHERE company = ?1 AND sequence > ?2 AND sequence <= ?3 AND at >= ?4 AND at < ?5 ORDER BY sequence";
        let sizes = self.sql.execute(&format!("SELECT sequence, LENGTH(entry) {within} LIMIT {}", MOST_LINES + 1), &range)?;
        let (mut last, mut bytes, mut whole) = (until, 0, true);
        for (number, row) in sizes.into_iter().enumerate() {
            let mut columns = Columns::of(row);
            let (sequence, length) = (columns.number()?, columns.number()?);
            bytes += length;
            if number > 0 && (number as u64 == MOST_LINES || bytes > MOST_BYTES) {
                whole = false;
                break;
            }
            last = sequence;
        }
        if whole {
            last = until;
        }
        let mut part = Part::default();
        let range: [SqlValue; 5] = [(&self.company).into(), place.after.into(), last.into(), from.into(), to.into()];
        for row in self.sql.execute(&format!("SELECT entry, hash {within}"), &range)? {
            let mut columns = Columns::of(row);
            let (entry, hash) = (columns.text()?, columns.text()?);
            part.lines.push_str(&line(&entry, &hash));
            place.entries += 1;
            place.hash = Some(hash);
        }
        place.after = last;
        if place.after >= place.end {
            part.lines += &json!({ "end": true, "entries": place.entries, "hash": place.hash }).to_string();
            part.lines.push('\n');
        } else {
            part.next = Some(serde_json::to_string(&place)?);
        }
        Ok(part)
    }
}
