//! Listing keys, newest first, and reading one.

use keyward_shared::{problem::Code, time::Millis};
use serde_json::json;

use super::{
    answer::Handled,
    ceilings,
    cursor::Pages,
    failure::Failure,
    key_view::view,
    query::{Query, bad},
    rows::{self, KEY_COLUMNS, KEY_JOINS},
    turn::Turn,
};
use crate::sql::{Columns, Sql, Value as SqlValue};
use keyward_shared::ids::OwnerId;

/// The most keys that one request looks through for those that its filters take. A page may therefore be short, or
/// even empty, and still have a cursor.
const SCAN: u64 = 2_000;

/// The conditions of a list as SQL, with their parameters.
struct Filters {
    parameters: Vec<SqlValue>,
    conditions: String,
}

impl Filters {
    fn add(&mut self, value: impl Into<SqlValue>, condition: impl FnOnce(usize) -> String) {
        self.parameters.push(value.into());
        self.conditions.push_str(" AND ");
        self.conditions.push_str(&condition(self.parameters.len()));
    }
}

impl<S: Sql> Turn<'_, S> {
    /// `GET /v1/keys/{id}`.
    pub(super) fn get_key(&self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        Ok(Handled::ok(view(&self.visible_key()?, self.settings, self.now)))
    }

    /// `GET /v1/keys`.
    pub(super) fn list_keys(&self) -> Result<Handled, Failure> {
        let known = ["status", "owner", "q", "unused_since", "expires_before", "sort", "limit", "cursor"];
        let query = Query::read(&self.call.query, &known)?;
        if query.get("sort").is_some_and(|sort| sort != "-created_at") {
            return Err(bad("sort must be -created_at").into());
        }
        let owner = self.listed_owner(&query)?;
        let viewer = owner.as_ref().map_or("", OwnerId::as_str);
        let pages = Pages::new(&self.settings.session_secrets, "keys", &self.company, viewer, &query);
        let before = pages.place(&query)?.and_then(|place| place.parse().ok()).unwrap_or(u64::MAX);
        let limit = query.limit()?;

        let mut parameters: Vec<SqlValue> = vec![(&self.company).into(), before.into()];
        let mut of_owner = "";
        if let Some(owner) = &owner {
            parameters.push(owner.into());
            of_owner = " AND owner = ?3";
        }
        let scanned_parameters = parameters.clone();
        let filters = filters(&query, self.now, parameters)?;
        let scan = if filters.conditions.is_empty() { limit + 1 } else { SCAN };
        let scanned = format!("(SELECT * FROM keys WHERE company = ?1 AND place < ?2{of_owner} ORDER BY place DESC LIMIT {scan})");
        let statement = format!(
            "SELECT {KEY_COLUMNS} FROM {scanned} k {KEY_JOINS} WHERE TRUE{} ORDER BY k.place DESC LIMIT {}",
            filters.conditions,
            limit + 1
        );
        let mut keys: Vec<_> =
            self.sql.execute(&statement, &filters.parameters)?.into_iter().map(rows::read_key).collect::<Result<_, _>>()?;

        let more = keys.len() as u64 > limit;
        keys.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = if more {
            keys.last().map(|key| key.place)
        } else if filters.conditions.is_empty() {
            None
        } else {
            let row = self.sql.execute(&format!("SELECT COUNT(*), MIN(place) FROM {scanned}"), &scanned_parameters)?.pop();
            let mut columns = Columns::of(row.unwrap_or_default());
            let whole = columns.number()? == SCAN;
            columns.optional_number()?.filter(|_| whole)
        };
        let keys: Vec<_> = keys.iter().map(|key| view(key, self.settings, self.now)).collect();
        Ok(Handled::ok(json!({ "keys": keys, "next_cursor": next.map(|place| pages.cursor(&place.to_string())) })))
    }

    /// Whose keys are listed: everyone's (`None`) only for who may see them.
    fn listed_owner(&self, query: &Query) -> Result<Option<OwnerId>, Failure> {
        let asked = query.get("owner").map(|owner| OwnerId::new(owner).map_err(|error| bad(format!("owner {error}")))).transpose()?;
        if ceilings::sees_all(self.caller) {
            return Ok(asked);
        }
        match asked {
            Some(owner) if owner != self.caller.owner => Err(Failure::refused(Code::Forbidden, "the permission keyward.keys is missing")),
            _ => Ok(Some(self.caller.owner.clone())),
        }
    }
}

fn filters(query: &Query, now: Millis, parameters: Vec<SqlValue>) -> Result<Filters, Failure> {
    let mut filters = Filters { parameters, conditions: String::new() };
    match query.get("status") {
        None => {}
        Some("revoked") => filters.conditions.push_str(" AND k.revoked_at IS NOT NULL"),
        Some("expired") => filters.add(now, |n| format!("k.revoked_at IS NULL AND k.expires_at <= ?{n}")),
        Some("active") => filters.add(now, |n| format!("k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?{n})")),
        Some(_) => return Err(bad("status must be active, expired or revoked").into()),
    }
    if let Some(text) = query.get("q") {
        filters.add(text.to_ascii_lowercase(), |n| {
            format!("(instr(lower(k.name), ?{n}) > 0 OR instr(lower(k.key_id), ?{n}) > 0 OR instr(lower(k.hint), ?{n}) > 0)")
        });
    }
    if let Some(at) = query.time("unused_since")? {
        filters.add(at, |n| format!("COALESCE(u.last_used_at, k.created_at) < ?{n}"));
    }
    if let Some(at) = query.time("expires_before")? {
        filters.add(at, |n| format!("k.expires_at < ?{n}"));
    }
    Ok(filters)
}
