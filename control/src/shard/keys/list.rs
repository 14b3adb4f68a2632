//! Listing keys, a page at a time, and reading one.

use std::collections::BTreeMap;

use keyward_shared::{ids::OwnerId, problem::Code, time::Millis};
use serde_json::json;

use crate::shard::{
    answer::Handled,
    ceilings,
    cursor::Pages,
    failure::Failure,
    keys::view::view,
    keys::walk::{Filters, Order, Place, Walk, unused_since},
    query::{Query, bad},
    rows::REVOKED_AT,
    turn::Turn,
};
use crate::sql::Sql;

/// The most keys that one request looks through for those that its filters take. A page may therefore be short, or
/// even empty, and still have a cursor.
const SCAN: u64 = 2_000;

impl<S: Sql> Turn<'_, S> {
    /// `GET /v1/keys/{id}`.
    pub(in crate::shard) fn get_key(&self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        Ok(Handled::ok(view(&self.visible_key()?, self.settings, self.now)))
    }

    /// `GET /v1/keys`: in one of five orders, each with an index of its own. A page with a filter looks through at most
    /// [`SCAN`] keys. An owner with more keys than are sorted at once, who asks for another order than that of creation, is
    /// answered from the company's index with the owner as a filter.
    pub(in crate::shard) fn list_keys(&self) -> Result<Handled, Failure> {
        let known = ["status", "owner", "q", "unused_since", "expires_before", "sort", "usage", "limit", "cursor"];
        let query = Query::read(&self.call.query, &known)?;
        let order = match query.get("sort") {
            None | Some("-created_at") => Order::Newest,
            Some("created_at") => Order::Oldest,
            Some("name") => Order::Name,
            Some("expires_at") => Order::Expiry,
            Some("last_used_at") => Order::Unused,
            Some(_) => return Err(bad("sort must be -created_at, created_at, name, expires_at or last_used_at").into()),
        };
        let asked = query.get("owner").map(|owner| OwnerId::new(owner).map_err(|error| bad(format!("owner {error}")))).transpose()?;
        let owner = self.whose(asked)?;
        let viewer = owner.as_ref().map_or("", OwnerId::as_str);
        let pages = Pages::new(&self.settings.session_secrets, "keys", &self.company, viewer, &query);
        let after = Place::of(&pages, &query, order)?;
        let limit = query.limit()?;
        let with_use = match query.get("usage") {
            None => false,
            Some("30d") => true,
            Some(_) => return Err(bad("usage must be 30d").into()),
        };

        let mut walk = Walk::new(self.sql, &self.company, owner.as_ref(), order, after.as_ref())?;
        // Where the order is that of a filter, what is beyond it need not be looked through.
        match (order, query.time("expires_before")?, query.time("unused_since")?) {
            (Order::Expiry, Some(at), _) => walk.narrow(at, |n| format!("k.expiry_order < ?{n}")),
            (Order::Unused, _, Some(at)) => walk.narrow(at, |n| format!("u.last_used_at < ?{n}")),
            _ => {}
        }
        let filters = filters(&query, self.now, walk.filters())?;
        let (keys, next) = walk.page(self.sql, &filters, limit, SCAN)?;
        let mut used = if with_use { self.days_of_use(&keys)? } else { BTreeMap::new() };
        let keys: Vec<_> = keys
            .iter()
            .map(|key| {
                let mut object = view(key, self.settings, self.now);
                if with_use {
                    object["usage"] = used.remove(&key.id).unwrap_or_default().into();
                }
                object
            })
            .collect();
        Ok(Handled::ok(json!({ "keys": keys, "next_cursor": next.map(|place| pages.cursor(&place.text())) })))
    }

    /// Whose keys a call is about that may name one owner: everyone's (`None`) only for who may see them.
    pub(in crate::shard) fn whose(&self, asked: Option<OwnerId>) -> Result<Option<OwnerId>, Failure> {
        if ceilings::sees_all(self.caller) {
            return Ok(asked);
        }
        match asked {
            Some(owner) if owner != self.caller.owner => Err(Failure::refused(Code::Forbidden, "the permission keyward.keys is missing")),
            _ => Ok(Some(self.caller.owner.clone())),
        }
    }
}

fn filters(query: &Query, now: Millis, mut filters: Filters) -> Result<Filters, Failure> {
    match query.get("status") {
        None => {}
        Some("revoked") => filters.always(&format!("{REVOKED_AT} IS NOT NULL")),
        Some("expired") => filters.add(now, |n| format!("{REVOKED_AT} IS NULL AND k.expires_at <= ?{n}")),
        Some("active") => filters.add(now, |n| format!("{REVOKED_AT} IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?{n})")),
        Some(_) => return Err(bad("status must be active, expired or revoked").into()),
    }
    if let Some(text) = query.get("q") {
        filters.add(text.to_ascii_lowercase(), |n| {
            format!("(instr(lower(k.name), ?{n}) > 0 OR instr(lower(k.key_id), ?{n}) > 0 OR instr(lower(k.hint), ?{n}) > 0)")
        });
    }
    if let Some(at) = query.time("unused_since")? {
        filters.add(at, unused_since);
    }
    if let Some(at) = query.time("expires_before")? {
        filters.add(at, |n| format!("k.expires_at < ?{n}"));
    }
    Ok(filters)
}
