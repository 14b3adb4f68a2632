//! The audit trail: a chain of hashes per company. Each entry is canonical JSON that names its predecessor's hash;
//! its own hash is the SHA-256 of that JSON. It never holds a secret: neither keys nor digests are given to it.

mod export;
mod names;
pub mod verify;

use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, KeyId},
    time::Millis,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::shard::{answer::Handled, cursor::Pages, failure::Failure, query::Query, turn::Turn, webhooks::trail};
use crate::{
    call::AuditNote,
    sql::{Columns, Sql, SqlError, Value as SqlValue},
    time::rfc3339,
};

/// The most entries that one request looks through for those that its filters take.
const SCAN: u64 = 5_000;

/// One entry; the order of the fields is the canonical one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // named as in the API
pub struct Entry {
    pub sequence: u64,
    pub at: String,
    pub company: CompanyId,
    pub actor: String,
    pub key: Option<KeyId>,
    pub address: Option<core::net::IpAddr>,
    pub action: String,
    pub target: String,
    pub outcome: String,
    pub before: Value,
    pub after: Value,
    pub request_id: String,
    /// The hash of the entry before; 64 zeros for the first.
    pub previous: String,
}

/// Writes `note` at the end of its company's trail; once, however often it is delivered.
pub fn append(sql: &impl Sql, now: Millis, note: &AuditNote) -> Result<(), Failure> {
    #[cfg(test)]
    crate::page::expect_words_for(&note.action);
    let id = (!note.id.is_empty()).then_some(&note.id);
    if let Some(id) = id {
        let known = sql.execute("SELECT 1 FROM audit WHERE company = ?1 AND note = ?2", &[(&note.company).into(), id.into()])?;
        if !known.is_empty() {
            return Ok(());
        }
    }
    let (sequence, previous) = head(sql, &note.company)?;
    let entry = Entry {
        sequence: sequence + 1,
        at: rfc3339(now),
        company: note.company.clone(),
        actor: note.actor.clone(),
        key: note.key.clone(),
        address: note.address,
        action: note.action.clone(),
        target: note.target.clone(),
        outcome: note.outcome.clone(),
        before: note.before.clone(),
        after: note.after.clone(),
        request_id: note.request_id.clone(),
        previous,
    };
    let text = canonical(&entry)?;
    let hash = Digest::of(text.as_bytes()).to_hex();
    sql.execute(
        "INSERT INTO audit (company, sequence, at, actor, action, target, note, entry, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        &[
            (&entry.company).into(),
            entry.sequence.into(),
            now.into(),
            entry.actor.into(),
            entry.action.into(),
            entry.target.into(),
            id.into(),
            text.into(),
            (&hash).into(),
        ],
    )?;
    continue_from(sql, &note.company, entry.sequence, &hash)?;
    trail::follow(sql, now, note, &hash)
}

/// The text of an entry that is hashed.
pub(in crate::shard) fn canonical(entry: &Entry) -> Result<String, serde_json::Error> {
    serde_json::to_string(entry)
}

/// Notes which entry is the last one.
pub(in crate::shard) fn continue_from(sql: &impl Sql, company: &CompanyId, sequence: u64, hash: &str) -> Result<(), Failure> {
    sql.execute(
        "INSERT INTO audit_heads (company, sequence, hash) VALUES (?1, ?2, ?3) ON CONFLICT (company) DO UPDATE SET sequence = ?2, hash = ?3",
        &[company.into(), sequence.into(), hash.into()],
    )?;
    Ok(())
}

/// Number and hash of the last entry.
pub(in crate::shard) fn head(sql: &impl Sql, company: &CompanyId) -> Result<(u64, String), SqlError> {
    let Some(row) = sql.execute("SELECT sequence, hash FROM audit_heads WHERE company = ?1", &[company.into()])?.pop() else {
        return Ok((0, "0".repeat(64)));
    };
    let mut columns = Columns::of(row);
    Ok((columns.number()?, columns.text()?))
}

impl<S: Sql> Turn<'_, S> {
    /// `GET /v1/audit`: newest first.
    pub(in crate::shard) fn list_audit(&self) -> Result<Handled, Failure> {
        let query = Query::read(&self.call.query, &["target", "actor", "action", "from", "to", "names", "limit", "cursor"])?;
        let with_names = query.truth("names")?;
        let pages = Pages::new(&self.settings.session_secrets, "audit", &self.company, "", &query);
        let before = pages.place(&query)?.and_then(|place| place.parse().ok()).unwrap_or(u64::MAX);
        let limit = query.limit()?;

        // One filter chooses the index, in which the entries are in order; the others are applied to what it finds. It is named: left to
        // itself the database goes through the whole trail.
        let mut parameters: Vec<SqlValue> = vec![(&self.company).into(), before.into()];
        let (mut chosen, mut index) = (String::new(), String::new());
        let mut filters = String::new();
        for column in ["target", "actor", "action"] {
            if let Some(value) = query.get(column) {
                parameters.push(value.into());
                let condition = format!(" AND {column} = ?{}", parameters.len());
                if chosen.is_empty() {
                    chosen = condition;
                    index = format!(" INDEXED BY audit_by_{column}");
                } else {
                    filters.push_str(&condition);
                }
            }
        }
        for (name, comparison) in [("from", ">="), ("to", "<")] {
            if let Some(at) = query.time(name)? {
                parameters.push(at.into());
                filters.extend([" AND at ", comparison, " ?", &parameters.len().to_string()]);
            }
        }
        let scan = if filters.is_empty() { limit + 1 } else { SCAN };
        let scanned =
            format!("(SELECT * FROM audit{index} WHERE company = ?1 AND sequence < ?2{chosen} ORDER BY sequence DESC LIMIT {scan})");
        let statement =
            format!("SELECT sequence, entry, hash FROM {scanned} WHERE TRUE{filters} ORDER BY sequence DESC LIMIT {}", limit + 1);
        let rows = self.sql.execute(&statement, &parameters)?;

        let mut entries = Vec::new();
        let mut last = None;
        let more = rows.len() as u64 > limit;
        for row in rows.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            let mut columns = Columns::of(row);
            last = Some(columns.number()?);
            let mut entry: Value = serde_json::from_str(&columns.text()?)?;
            entry["hash"] = columns.text()?.into();
            entries.push(entry);
        }
        let mut next = last.filter(|_| more);
        if !more && !filters.is_empty() {
            let statement = format!("SELECT COUNT(*), MIN(sequence) FROM {scanned}");
            let used = 2 + usize::from(!chosen.is_empty());
            if let Some(row) = self.sql.execute(&statement, &parameters[..used])?.pop() {
                let mut columns = Columns::of(row);
                let whole = columns.number()? == SCAN;
                next = columns.optional_number()?.filter(|_| whole);
            }
        }
        let next = next.map(|place| pages.cursor(&place.to_string()));
        let names = with_names.then(|| names::of(self.sql, &self.company, &entries)).transpose()?;
        let mut body = json!({ "entries": entries, "next_cursor": next });
        if let Some(names) = names {
            body["names"] = names;
        }
        Ok(Handled::ok(body))
    }
}
