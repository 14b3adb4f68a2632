//! Cursors of lists: a place with a MAC over the list, its company and its filters, so that one of another list or a
//! tampered one is noticed.

use keyward_shared::{ids::CompanyId, secret::SecretList};

use crate::{
    call::Refused,
    query::{Query, bad},
};

/// What separates a cursor's MAC from any other made with the same secrets.
const CONTEXT: &[u8] = b"keyward cursor v1\n";

/// The list that a cursor belongs to.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    secrets: &'a SecretList,
    scope: String,
}

impl<'a> Pages<'a> {
    /// The list called `list` of `company`, as `viewer` sees it through `query`.
    pub(crate) fn new(secrets: &'a SecretList, list: &str, company: &CompanyId, viewer: &str, query: &Query) -> Self {
        Self::filtered(secrets, list, company, viewer, &query.filters())
    }

    /// The same where the filters stand elsewhere than in the query.
    pub(crate) fn filtered(secrets: &'a SecretList, list: &str, company: &CompanyId, viewer: &str, filters: &str) -> Self {
        Self { secrets, scope: format!("{list}\n{company}\n{viewer}\n{filters}\n") }
    }

    /// The cursor that goes on after `place`.
    pub(crate) fn cursor(&self, place: &str) -> String {
        let mac = self.secrets.mac(&[CONTEXT, self.scope.as_bytes(), place.as_bytes()]);
        format!("{}.{}", hex::encode(place), hex::encode(mac))
    }

    /// The place of the query's cursor, where it has one.
    pub(crate) fn place(&self, query: &Query) -> Result<Option<String>, Refused> {
        query.get("cursor").map(|cursor| self.read(cursor).ok_or_else(|| bad("this cursor does not belong to this list"))).transpose()
    }

    fn read(&self, cursor: &str) -> Option<String> {
        let (place, mac) = cursor.split_once('.')?;
        let text = String::from_utf8(hex::decode(place).ok()?).ok()?;
        let one_spelling = hex::encode(&text) == place;
        let right = one_spelling && self.secrets.verify_hex(&[CONTEXT, self.scope.as_bytes(), text.as_bytes()], mac);
        right.then_some(text)
    }
}
