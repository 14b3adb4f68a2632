//! Following the trail's chain of hashes from its first entry to its last, a bounded piece of it in one turn.
//!
//! What is verified is the trail as it was when the first piece was taken: entries that come meanwhile are the next
//! verification's.

use keyward_shared::{digest::Digest, ids::CompanyId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::shard::{
    audit::{Entry, head},
    failure::Failure,
    portions::Part,
    turn::Turn,
};
use crate::{
    query::Query,
    sql::{Columns, Row, Sql, SqlError},
};

/// The most entries of one piece.
const PIECE: u64 = 5_000;
/// The most entries that are in memory at once.
const ROWS: u64 = 500;

/// How far a verification has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    /// Number and hash of the last entry when it began.
    end: (u64, String),
    /// Whether there was an entry behind that one, which nobody can have written.
    surplus: bool,
    /// Number and hash of the last entry that is as it was written.
    after: (u64, String),
}

/// What a piece showed.
enum Shown {
    /// All of it is as it was written, and there is more.
    Further,
    /// The whole trail is as it was written: its number of entries.
    Whole(u64),
    /// The first entry that is not.
    Broken(u64),
}

impl Place {
    fn beginning(sql: &impl Sql, company: &CompanyId) -> Result<Self, SqlError> {
        let end = head(sql, company)?;
        let surplus = "SELECT 1 FROM audit WHERE company = ?1 AND sequence > ?2 LIMIT 1";
        let surplus = !sql.execute(surplus, &[company.into(), end.0.into()])?.is_empty();
        Ok(Self { end, surplus, after: (0, "0".repeat(64)) })
    }

    /// Follows the chain for one piece.
    fn step(&mut self, sql: &impl Sql, company: &CompanyId) -> Result<Shown, SqlError> {
        let until = self.end.0.min(self.after.0.saturating_add(PIECE));
        while self.after.0 < until {
            let next = self.after.0 + 1;
            let statement = "SELECT sequence, actor, action, target, entry, hash FROM audit \
                             WHERE company = ?1 AND sequence > ?2 AND sequence <= ?3 ORDER BY sequence LIMIT ?4";
            let rows = sql.execute(statement, &[company.into(), self.after.0.into(), until.into(), ROWS.into()])?;
            if rows.is_empty() {
                return Ok(Shown::Broken(next));
            }
            for row in rows {
                let next = self.after.0 + 1;
                match link(row, next, &self.after.1)? {
                    Some(hash) => self.after = (next, hash),
                    None => return Ok(Shown::Broken(next)),
                }
            }
        }
        Ok(if self.after.0 < self.end.0 {
            Shown::Further
        } else if self.after == self.end && !self.surplus {
            Shown::Whole(self.end.0)
        } else {
            Shown::Broken(self.end.0 + 1)
        })
    }
}

/// Follows the whole chain at once: the number of entries, or the first that is not as it was written. For trails that
/// are known to be short; the API's own way is in pieces.
pub fn verify(sql: &impl Sql, company: &CompanyId) -> Result<Result<u64, u64>, SqlError> {
    let mut place = Place::beginning(sql, company)?;
    loop {
        match place.step(sql, company)? {
            Shown::Further => {}
            Shown::Whole(entries) => return Ok(Ok(entries)),
            Shown::Broken(first) => return Ok(Err(first)),
        }
    }
}

/// The hash of the entry in `row`, where it is the `sequence`th and follows `previous`.
fn link(row: Row, sequence: u64, previous: &str) -> Result<Option<String>, SqlError> {
    let mut columns = Columns::of(row);
    let number = columns.number()?;
    let (actor, action, target, text, hash) = (columns.text()?, columns.text()?, columns.text()?, columns.text()?, columns.text()?);
    let Ok(entry) = serde_json::from_str::<Entry>(&text) else { return Ok(None) };
    let right = number == sequence
        && entry.sequence == sequence
        && entry.previous == previous
        && (entry.actor, entry.action, entry.target) == (actor, action, target)
        && Digest::of(text.as_bytes()).to_hex() == hash;
    Ok(right.then_some(hash))
}

impl<S: Sql> Turn<'_, S> {
    /// `GET /v1/audit/verify`: the last part is the answer, those before it are empty.
    pub(in crate::shard) fn verify_audit(&self, after: Option<&str>) -> Result<Part, Failure> {
        Query::read(&self.call.query, &[])?;
        let mut place = match after {
            Some(place) => serde_json::from_str(place)?,
            None => Place::beginning(self.sql, &self.company)?,
        };
        if head(self.sql, &self.company)?.0 < place.end.0 {
            return Err(Failure::not_found("company")); // it was deleted meanwhile
        }
        let answer = match place.step(self.sql, &self.company)? {
            Shown::Further => return Ok(Part { next: Some(serde_json::to_string(&place)?), ..Part::default() }),
            Shown::Whole(entries) => json!({ "valid": true, "entries": entries }),
            Shown::Broken(first) => json!({ "valid": false, "entries": first - 1, "first_broken": first }),
        };
        Ok(Part { lines: answer.to_string(), ..Part::default() })
    }
}
