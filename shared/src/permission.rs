//! Permissions: dotted lower-case words with `orders.*` and `*` as wildcards, and sets of them.
//!
//! Keyward's own begin with `keyward.`. `*` covers none of those; `keyward.*` covers all of them but
//! `keyward.operator`. Two permissions are therefore either disjoint or one covers the other, which makes
//! intersection a matter of pairs.

use core::fmt;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    json::{Fault, FromJson, Reader},
    json_text,
};

/// The longest permission, in characters.
pub const MAX_LEN: usize = 100;
/// The most permissions in a set.
pub const MAX_COUNT: usize = 100;

/// Why a text is not a permission, or a list not a set of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PermissionError {
    /// Empty or longer than 100 characters.
    #[error("must be 1 to 100 characters long")]
    Length,
    /// Not dotted words of `a-z 0-9 - _`, the last of which may be `*`.
    #[error("must be dotted lower-case words such as orders.read, orders.* or *")]
    Form,
    /// More than 100 in a set.
    #[error("must be at most 100")]
    Count,
}

/// One permission, possibly with a wildcard at its end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission(Box<str>);

/// The permission of the operator, which only counts in the operator's company.
pub const OPERATOR: &str = "keyward.operator";
const OWN: &str = "keyward.";

impl Permission {
    /// Checks `text`.
    pub fn new(text: &str) -> Result<Self, PermissionError> {
        if text.is_empty() || text.len() > MAX_LEN {
            return Err(PermissionError::Length);
        }
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        let words = text.strip_suffix(".*").unwrap_or(text);
        if text == "*" || words.split('.').all(word) { Ok(Self(text.into())) } else { Err(PermissionError::Form) }
    }

    /// The permission as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether whoever has this also has all of `other`.
    pub fn covers(&self, other: &Self) -> bool {
        covers(&self.0, &other.0)
    }
}

json_text!(Permission: Permission::new);

fn covers(held: &str, asked: &str) -> bool {
    if held == asked {
        return true;
    }
    if held == "*" {
        return !asked.starts_with(OWN);
    }
    let below = |stem: &str| asked.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'));
    match held.strip_suffix(".*") {
        Some("keyward") => below("keyward") && asked != OPERATOR && !asked.starts_with("keyward.operator."),
        Some(stem) => below(stem),
        None => false,
    }
}

impl TryFrom<String> for Permission {
    type Error = PermissionError;
    fn try_from(text: String) -> Result<Self, PermissionError> {
        Self::new(&text)
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.0.into()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A set of at most 100 permissions, sorted, none covered by another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Permission>", into = "Vec<Permission>")]
pub struct PermissionSet(Vec<Permission>);

impl PermissionSet {
    /// Sorts `permissions` and drops those that others cover.
    pub fn new(permissions: Vec<Permission>) -> Result<Self, PermissionError> {
        if permissions.len() > MAX_COUNT {
            return Err(PermissionError::Count);
        }
        let permissions = sorted(permissions);
        // Each is there once, so only one with a wildcard can cover another.
        let wild: Vec<&Permission> = permissions.iter().filter(|p| p.0.ends_with('*')).collect();
        let needless = |p: &Permission| wild.iter().any(|other| *other != p && other.covers(p));
        Ok(Self(permissions.iter().filter(|p| !needless(p)).cloned().collect()))
    }

    /// Reads and checks texts, in any order.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, PermissionError> {
        Self::new(texts.into_iter().map(Permission::new).collect::<Result<_, _>>()?)
    }

    /// Whether one of the permissions covers `asked`.
    pub fn allows(&self, asked: &Permission) -> bool {
        self.allows_str(&asked.0)
    }

    /// [`PermissionSet::allows`] for one of Keyward's own, known to be well-formed.
    pub fn allows_str(&self, asked: &str) -> bool {
        self.0.iter().any(|held| covers(&held.0, asked))
    }

    /// Whether this set has everything that `other` has.
    pub fn covers(&self, other: &Self) -> bool {
        self.first_missing(other).is_none()
    }

    /// The first of `other` that this set lacks.
    pub fn first_missing<'o>(&self, other: &'o Self) -> Option<&'o Permission> {
        other.0.iter().find(|asked| !self.allows(asked))
    }

    /// What both sets have.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mine = self.0.iter().filter(|p| other.allows(p));
        let theirs = other.0.iter().filter(|p| self.allows(p));
        Self(sorted(mine.chain(theirs).cloned().collect()))
    }

    /// The set without `keyward.operator`: what it is worth outside the operator's company.
    #[must_use]
    pub fn without_operator(&self) -> Self {
        Self(self.0.iter().filter(|p| &*p.0 != OPERATOR).cloned().collect())
    }

    /// The permissions in order.
    pub fn iter(&self) -> impl Iterator<Item = &Permission> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The permissions separated by spaces, as OAuth's `scope` (RFC 6749 §3.3).
    pub fn to_scope(&self) -> String {
        let mut scope = String::new();
        for permission in &self.0 {
            if !scope.is_empty() {
                scope.push(' ');
            }
            scope.push_str(permission.as_str());
        }
        scope
    }
}

impl FromJson for PermissionSet {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Self::new(FromJson::from_json(reader)?).map_err(|_| Fault::Value)
    }
}

/// In order, each once. Heap sort, because it is little WebAssembly.
fn sorted(permissions: Vec<Permission>) -> Vec<Permission> {
    let mut permissions = BinaryHeap::from(permissions).into_sorted_vec();
    permissions.dedup();
    permissions
}

impl TryFrom<Vec<Permission>> for PermissionSet {
    type Error = PermissionError;
    fn try_from(permissions: Vec<Permission>) -> Result<Self, PermissionError> {
        Self::new(permissions)
    }
}

impl From<PermissionSet> for Vec<Permission> {
    fn from(set: PermissionSet) -> Self {
        set.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &str) -> PermissionSet {
        PermissionSet::parse(texts.split_whitespace()).unwrap()
    }

    #[test]
    fn permissions_are_dotted_lower_case_words_with_a_wildcard_at_the_end() {
        for good in ["*", "orders", "orders.read", "orders.*", "a-b.c_d.9", "keyward.keys.own"] {
            assert!(Permission::new(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "Orders", "orders.", ".orders", "orders..read", "*.read", "or*", "orders.*.read", "**", "orders read", ".*"] {
            assert!(Permission::new(bad).is_err(), "{bad}");
        }
        assert_eq!(Permission::new(&"a".repeat(101)), Err(PermissionError::Length));
        assert_eq!(Permission::new(""), Err(PermissionError::Length));
        assert!(Permission::new(&"a".repeat(100)).is_ok());
    }

    #[test]
    fn wildcards_cover_what_is_below_them_but_keywards_own_only_by_name() {
        for (held, asked, covered) in [
            ("orders.read", "orders.read", true),
            ("orders.read", "orders.write", false),
            ("orders.*", "orders.read", true),
            ("orders.*", "orders.read.all", true),
            ("orders.*", "orders.lines.*", true),
            ("orders.*", "orders", false),
            ("orders.*", "ordersx.read", false),
            ("orders.*", "*", false),
            ("*", "orders.*", true),
            ("*", "*", true),
            ("*", "keyward.keys", false),
            ("*", "keyward.*", false),
            ("keyward.*", "keyward.keys.own", true),
            ("keyward.*", "keyward.operator", false),
            ("keyward.*", "keyward.operator.all", false),
            ("keyward.*", "orders.read", false),
            ("keyward.operator", "keyward.operator", true),
        ] {
            assert_eq!(covers(held, asked), covered, "{held} covers {asked}");
        }
    }

    #[test]
    fn an_intersection_has_what_both_have() {
        for (a, b, both) in [
            ("orders.*", "orders.read billing.read", "orders.read"),
            ("*", "orders.* keyward.keys", "orders.*"),
            ("* keyward.*", "* keyward.operator keyward.keys", "* keyward.keys"),
            ("orders.read", "orders.write", ""),
            ("", "*", ""),
        ] {
            assert_eq!(set(a).intersection(&set(b)), set(both), "{a} ∩ {b}");
            assert_eq!(set(b).intersection(&set(a)), set(both), "{b} ∩ {a}");
        }
    }

    #[test]
    fn a_set_keeps_what_is_needed_and_names_what_is_missing() {
        assert_eq!(set("orders.read orders.* orders.read").to_scope(), "orders.*");
        assert_eq!(set("orders.*").first_missing(&set("orders.read billing.read")).map(Permission::as_str), Some("billing.read"));
        assert!(!set("* keyward.operator").without_operator().allows_str(OPERATOR));
        assert_eq!(set("* keyward.operator").without_operator(), set("*"));
        assert!(set("orders.* billing.read").covers(&set("orders.read")) && !set("orders.read").covers(&set("orders.*")));
        assert!(set("").is_empty() && !set("orders.read").is_empty());
        assert_eq!(set("b a").iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(set("b a").to_scope(), "a b");
        let many: Vec<_> = (0..101).map(|n| format!("p{n}")).collect();
        assert_eq!(PermissionSet::parse(many.iter().map(String::as_str)), Err(PermissionError::Count));
        assert!(PermissionSet::parse(many.iter().take(100).map(String::as_str)).is_ok());
    }
}
