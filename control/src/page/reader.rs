//! Who looks at a page, as `GET /v1/whoami` says it, and which parts of the administration are theirs.

use keyward_shared::permission::{OPERATOR, PermissionSet};
use serde::Deserialize;

/// Who is signed in.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Reader {
    /// Their id.
    pub owner: String,
    /// What people call them.
    #[serde(default)]
    pub owner_name: Option<String>,
    /// Their company's id.
    pub company: String,
    /// What people call it.
    #[serde(default)]
    pub company_name: Option<String>,
    /// What they may do.
    pub permissions: PermissionSet,
    /// How long a key of their company may live, where that is limited.
    #[serde(default)]
    pub max_key_lifetime_days: Option<u64>,
    /// The company that they look at, where it is not their own: only the operator does that.
    #[serde(skip)]
    pub elsewhere: Option<String>,
}

impl Reader {
    /// What people call them.
    pub fn name(&self) -> &str {
        self.owner_name.as_deref().unwrap_or(&self.owner)
    }

    /// What people call their company.
    pub fn company_name(&self) -> &str {
        self.company_name.as_deref().unwrap_or(&self.company)
    }

    /// The address of a page about the company that they look at.
    pub fn at(&self, path: &str) -> String {
        let Some(company) = &self.elsewhere else { return path.to_owned() };
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("company", company).finish();
        format!("{path}{}{query}", if path.contains('?') { '&' } else { '?' })
    }

    /// Whether they see everyone's keys.
    pub fn sees_all_keys(&self) -> bool {
        self.may("keyward.keys") || self.may(OPERATOR)
    }

    /// Whether they may make keys in the company that they look at.
    pub fn makes_keys(&self) -> bool {
        self.may(OPERATOR) || self.elsewhere.is_none() && self.may("keyward.keys.own")
    }

    /// Whether they may do what `permission` names.
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.allows_str(permission)
    }
}

/// The address of the first part that is the reader's.
pub fn start(reader: &Reader) -> String {
    Section::of(reader).find(|section| section.has_something_for(reader)).unwrap_or(Section::Keys).address(reader)
}

/// A part of the administration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Keys,
    Owners,
    Companies,
    Policy,
    Audit,
    Webhooks,
    /// The reader's own account; not in the navigation, but behind their name.
    Account,
}

impl Section {
    const ALL: [Self; 6] = [Self::Keys, Self::Owners, Self::Companies, Self::Policy, Self::Audit, Self::Webhooks];

    /// Those that `reader` may look at.
    pub(super) fn of(reader: &Reader) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|section| section.is_for(reader))
    }

    /// Whether it is about one company, which the operator may choose.
    pub(super) const fn is_of_a_company(self) -> bool {
        matches!(self, Self::Keys | Self::Owners | Self::Audit | Self::Webhooks)
    }

    /// Its address, about the company that `reader` looks at where it is about one.
    pub(super) fn address(self, reader: &Reader) -> String {
        if self.is_of_a_company() { reader.at(self.path()) } else { self.path().to_owned() }
    }

    fn is_for(self, reader: &Reader) -> bool {
        match self {
            Self::Keys | Self::Account => true, // who may have none is told so there, in the frame that leads to the rest
            Self::Owners => reader.may("keyward.owners"),
            Self::Companies | Self::Policy => reader.may(OPERATOR),
            Self::Audit => reader.may("keyward.audit"),
            Self::Webhooks => reader.sees_all_keys(),
        }
    }

    fn has_something_for(self, reader: &Reader) -> bool {
        let keys = ["keyward.keys.own", "keyward.keys", OPERATOR];
        if self == Self::Keys { keys.iter().any(|permission| reader.may(permission)) } else { self.is_for(reader) }
    }

    /// The part that the page at `path` belongs to.
    pub(super) fn at(path: &str) -> Self {
        let is_in = |section: &Self| path.strip_prefix(section.path()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Self::ALL.into_iter().find(is_in).unwrap_or(Self::Account)
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Keys => "API Keys",
            Self::Owners => "Owners",
            Self::Companies => "Companies",
            Self::Policy => "Policy",
            Self::Audit => "Audit",
            Self::Webhooks => "Webhooks",
            Self::Account => "Your account",
        }
    }

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Keys => super::KEYS_PATH,
            Self::Owners => "/admin/owners",
            Self::Companies => "/admin/companies",
            Self::Policy => "/admin/policy",
            Self::Audit => "/admin/audit",
            Self::Webhooks => "/admin/webhooks",
            Self::Account => super::ACCOUNT_PATH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_company_that_the_operator_looks_at() {
        let own = Reader::default();
        assert_eq!((own.at("/a?b=1"), Section::Owners.address(&own)), ("/a?b=1".into(), "/admin/owners".into()));
        let elsewhere = Reader { elsewhere: Some("a&b|c".into()), ..own };
        assert_eq!(elsewhere.at("/a"), "/a?company=a%26b%7Cc");
        assert_eq!(elsewhere.at("/a?b=1"), "/a?b=1&company=a%26b%7Cc");
        assert_eq!(Section::Policy.address(&elsewhere), "/admin/policy");
    }

    #[test]
    fn keys_are_made_and_seen_by_whom_the_api_lets() {
        let may = |permission: &str, elsewhere: bool| {
            let permissions = PermissionSet::parse([permission]).unwrap();
            let reader = Reader { permissions, elsewhere: elsewhere.then(|| "acme".into()), ..Reader::default() };
            (reader.sees_all_keys(), reader.makes_keys())
        };
        for (permission, own, elsewhere) in [
            ("orders.read", (false, false), (false, false)),
            ("keyward.keys.own", (false, true), (false, false)),
            ("keyward.keys", (true, false), (true, false)),
            (OPERATOR, (true, true), (true, true)),
        ] {
            assert_eq!((may(permission, false), may(permission, true)), (own, elsewhere), "{permission}");
        }
    }

    #[test]
    fn everybody_sees_the_parts_that_they_may_look_at() {
        let seen = |permissions: &[&str]| {
            let permissions = PermissionSet::parse(permissions.iter().copied()).unwrap();
            let reader = Reader { permissions, ..Reader::default() };
            Section::of(&reader).map(Section::title).collect::<Vec<_>>()
        };
        assert_eq!(seen(&["keyward.keys.own"]), ["API Keys"]);
        assert_eq!(seen(&["keyward.keys", "keyward.audit"]), ["API Keys", "Audit", "Webhooks"]);
        assert_eq!(seen(&["keyward.owners"]), ["API Keys", "Owners"]);
        assert_eq!(seen(&["*", "keyward.*", OPERATOR]).len(), 6);
    }

    #[test]
    fn the_administration_begins_with_the_first_part_that_is_the_readers() {
        let starts = |permissions: &[&str], elsewhere: Option<&str>| {
            let permissions = PermissionSet::parse(permissions.iter().copied()).unwrap();
            start(&Reader { permissions, elsewhere: elsewhere.map(Into::into), ..Reader::default() })
        };
        for (permissions, path) in [
            (&["keyward.keys.own", "keyward.owners"][..], "/admin/keys"),
            (&["keyward.keys"], "/admin/keys"),
            (&[OPERATOR], "/admin/keys"),
            (&["keyward.owners", "keyward.audit"], "/admin/owners"),
            (&["keyward.audit", "orders.*"], "/admin/audit"),
            (&["*"], "/admin/keys"),
            (&[], "/admin/keys"),
        ] {
            assert_eq!(starts(permissions, None), path, "{permissions:?}");
        }
        assert_eq!(starts(&[OPERATOR], Some("acme")), "/admin/keys?company=acme");
    }

    #[test]
    fn a_page_belongs_to_the_part_whose_address_its_own_begins_with() {
        for (path, title) in [
            ("/admin/keys", "API Keys"),
            ("/admin/audit/verify", "Audit"),
            ("/admin/policy/versions/7", "Policy"),
            ("/admin/keysmith", "Your account"),
            ("/admin/", "Your account"),
        ] {
            assert_eq!(Section::at(path).title(), title, "{path}");
        }
    }
}
