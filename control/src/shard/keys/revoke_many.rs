//! Revoking many keys at once: those that all of a request's filters take, a bounded piece of them in one turn.
//!
//! The calling key is left out: whoever cleans up with a manager's key does not saw off the branch that they sit on. It
//! revokes itself with its own call.

use keyward_shared::ids::{KeyId, OwnerId};
use serde_json::json;

use crate::shard::{
    answer::Handled,
    cursor::Pages,
    failure::Failure,
    keys::walk::{Order, Place, Walk, unused_since},
    outbox, publish,
    query::Query,
    rows::REVOKED_AT,
    turn::{Turn, next_rev},
    validate::Fields,
};
use crate::sql::Sql;

/// The most keys that one turn revokes.
const MOST: u64 = 1_000;
/// The most keys that one turn looks through for those that the filters take.
const SCAN: u64 = 5_000;
/// The longest name of whoever made a key: a company, a slash and an owner.
const MAX_ACTOR: usize = 300;

impl<S: Sql> Turn<'_, S> {
    /// `POST /v1/keys/revoke`. As long as the answer says `more`, what is left begins at its `next_cursor`.
    ///
    /// The first of owner, beginning of the name and time of the last use that is given says which index is walked; without
    /// any of them that is all of the company's keys.
    pub(in crate::shard) fn revoke_keys(&mut self) -> Result<Handled, Failure> {
        let query = Query::read(&self.call.query, &["dry_run", "cursor"])?;
        let dry_run = query.truth("dry_run")?;
        let mut fields = Fields::read(&self.call.body, &["owner", "created_by", "prefix_name", "unused_since", "reason"])?;
        let asked = fields.owner("owner");
        let creator = fields.label("created_by", MAX_ACTOR);
        let beginning = fields.exact("prefix_name", 100);
        let unused = fields.past("unused_since", self.now);
        let reason = fields.required_label("reason", 200);
        if !["owner", "created_by", "prefix_name", "unused_since"].iter().any(|filter| fields.given(filter)) {
            fields.wrong("owner", "at least one of owner, created_by, prefix_name and unused_since is required");
        }
        fields.check()?;
        let named = asked.is_some();
        let owner = self.whose(asked)?;

        let order = match (&beginning, unused) {
            _ if named => Order::Oldest,
            (Some(_), _) => Order::Name,
            (None, Some(_)) => Order::Unused,
            (None, None) => Order::Oldest,
        };
        let viewer = owner.as_ref().map_or("", OwnerId::as_str);
        let taken = json!([creator, beginning, unused, named]).to_string();
        let pages = Pages::filtered(&self.settings.session_secrets, "keys/revoke", &self.company, viewer, &taken);
        let after = Place::of(&pages, &query, order)?;
        let mut walk = Walk::new(self.sql, &self.company, owner.as_ref(), order, after.as_ref())?;
        if let (Order::Name, Some(beginning)) = (order, &beginning) {
            if after.is_none() {
                walk.narrow(beginning, |n| format!("k.name_order >= ?{n}"));
            }
            if let Some(end) = end_of_names(beginning) {
                walk.narrow(end, |n| format!("k.name_order < ?{n}"));
            }
        }
        if let (Order::Unused, Some(at)) = (order, unused) {
            walk.narrow(at, |n| format!("u.last_used_at < ?{n}"));
        }
        let mut filters = walk.filters();
        filters.always(&format!("{REVOKED_AT} IS NULL"));
        if let Some(key) = &self.caller.key {
            filters.add(&key.id, |n| format!("k.key_id <> ?{n}"));
        }
        if let Some(creator) = creator {
            filters.add(creator, |n| format!("k.created_by = ?{n}"));
        }
        if let Some(beginning) = beginning {
            filters.add(beginning, |n| format!("substr(k.name, 1, length(?{n})) = ?{n}"));
        }
        if let Some(at) = unused {
            filters.add(at, unused_since);
        }

        let (count, next) = if dry_run {
            walk.count(self.sql, &filters, SCAN)?
        } else {
            let (keys, next) = walk.page(self.sql, &filters, MOST, SCAN)?;
            let rev = next_rev(self.sql, self.now)?;
            for key in &keys {
                self.set_revoked(key, reason.as_deref(), rev)?;
                publish::mark(self.sql, &key.digest, key.imported, rev, self.now, &self.settings.common.timing)?;
            }
            let ids: Vec<KeyId> = keys.into_iter().map(|key| key.id).collect();
            if !ids.is_empty() {
                outbox::add_keys(self.sql, self.now, &self.company, &ids, rev)?;
            }
            (ids.len() as u64, next)
        };
        let next = next.map(|place| pages.cursor(&place.text()));
        Ok(Handled::ok(json!({ "revoked": count, "dry_run": dry_run, "more": next.is_some(), "next_cursor": next })))
    }
}

/// The least text that is greater than all that begin with `beginning`, as names are ordered; `None`: there is none.
fn end_of_names(beginning: &str) -> Option<String> {
    let mut characters: Vec<char> = beginning.to_ascii_lowercase().chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::end_of_names;

    #[test]
    fn names_that_begin_alike_end_before_the_next_character() {
        for (beginning, end) in [
            ("ci", Some("cj")),
            ("CI", Some("cj")),
            ("z", Some("{")),
            ("caf\u{e9}", Some("caf\u{ea}")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
        ] {
            assert_eq!(end_of_names(beginning).as_deref(), end, "{beginning:?}");
        }
    }
}
