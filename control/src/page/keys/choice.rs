//! What of the list of keys is looked at: whose keys, which ones, in what order. It stands in the page's address, so it can be kept,
//! sent to somebody and gone back to; every link of the page is this with something changed.

use keyward_shared::time::Millis;
use serde::Deserialize;

use crate::{
    page::{KEYS_PATH, Reader, secret::holds_key},
    time,
};

/// How a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Active,
    Expired,
    Revoked,
}

impl Status {
    pub(super) const ALL: [Self; 3] = [Self::Active, Self::Expired, Self::Revoked];

    /// As the API says it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// As people read it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }
}

/// In what order keys are listed: those that the API can list in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Newest,
    Oldest,
    Name,
    Expiry,
    Unused,
}

impl Sort {
    pub(super) const ALL: [Self; 5] = [Self::Newest, Self::Oldest, Self::Name, Self::Expiry, Self::Unused];

    /// As the API says it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Newest => "-created_at",
            Self::Oldest => "created_at",
            Self::Name => "name",
            Self::Expiry => "expires_at",
            Self::Unused => "last_used_at",
        }
    }

    /// As people read it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Newest => "Newest first",
            Self::Oldest => "Oldest first",
            Self::Name => "By name",
            Self::Expiry => "Expiring first",
            Self::Unused => "Longest unused first",
        }
    }
}

/// From how many days without a request on a key is looked at as stale, and from how many days before its end it is warned of.
pub(super) const STALE_DAYS: u64 = 90;
pub(super) const SOON_DAYS: u64 = 14;

pub(super) const fn days(count: u64) -> Millis {
    Millis::from_secs(count * 86_400)
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Everyone's keys, not only one's own.
    pub(super) everyones: bool,
    /// Part of a name, an id or what is kept of a key to recognize it by.
    pub(super) q: String,
    /// Only these.
    pub(super) status: Option<Status>,
    /// Only this owner's, among everyone's.
    pub owner: String,
    /// Only those without a request for ninety days.
    pub(super) unused: bool,
    /// Only those that expire within fourteen days.
    pub(super) expiring: bool,
    /// In this order; `None`: in the one that suits the rest.
    pub(super) sort: Option<Sort>,
    /// Where the page begins.
    pub cursor: Option<String>,
    /// When the first page was looked at: what the days are reckoned from on the others, so that they belong to the same list.
    pub(super) since: Option<Millis>,
}

impl Choice {
    /// Reads the parameters of an address; what makes no sense there is as if it were not there, and so is a whole key: it must not
    /// go on from there. Everyone's keys are only for who may see them; in another company nobody has keys of their own.
    pub fn read(parameter: impl Fn(&str) -> Option<String>, reader: &Reader) -> Self {
        let text = |name: &str| parameter(name).filter(|value| !holds_key(value)).map(|value| value.trim().to_owned()).unwrap_or_default();
        let wants_all = text("owners") == "all" || !text("owner").is_empty();
        let everyones = reader.elsewhere.is_some() || reader.sees_all_keys() && wants_all;
        let cursor = parameter("cursor");
        Self {
            everyones,
            q: text("q"),
            status: Status::ALL.into_iter().find(|status| status.name() == text("status")),
            owner: if everyones { text("owner") } else { String::new() },
            unused: !text("unused").is_empty(),
            expiring: !text("expiring").is_empty(),
            sort: Sort::ALL.into_iter().find(|sort| sort.name() == text("sort")),
            since: parameter("since").filter(|_| cursor.is_some()).and_then(|text| time::parse(&text).ok()),
            cursor,
        }
    }

    /// Whether an address has a whole key where something is searched for.
    pub fn has_key(parameter: impl Fn(&str) -> Option<String>) -> bool {
        ["q", "owner"].into_iter().filter_map(parameter).any(|value| holds_key(&value))
    }

    /// In what order it is: with a filter that has one of its own in that one, most urgent first.
    pub(super) fn order(&self) -> Sort {
        self.sort.unwrap_or_else(|| self.usual_order())
    }

    /// The order that suits the filters.
    pub(super) const fn usual_order(&self) -> Sort {
        match (self.expiring, self.unused) {
            (true, _) => Sort::Expiry,
            (false, true) => Sort::Unused,
            (false, false) => Sort::Newest,
        }
    }

    /// Whether anything is left out of the list, besides what is not one's own.
    pub(super) fn leaves_out(&self) -> bool {
        let Self { q, status, owner, unused, expiring, .. } = self;
        !q.is_empty() || status.is_some() || !owner.is_empty() || *unused || *expiring
    }

    /// The same without search and filters.
    pub(super) fn whole(&self) -> Self {
        Self { everyones: self.everyones, sort: self.sort, ..Self::default() }
    }

    /// The same from its beginning.
    #[must_use]
    pub fn first(&self) -> Self {
        Self { cursor: None, since: None, ..self.clone() }
    }

    pub(super) fn sorted(&self, sort: Sort) -> Self {
        Self { sort: Some(sort), ..self.first() }
    }

    pub(super) fn of(&self, everyones: bool) -> Self {
        let owner = if everyones { self.owner.clone() } else { String::new() };
        Self { everyones, owner, ..self.first() }
    }

    /// What follows the page that was looked at `now`.
    pub(super) fn next(&self, cursor: &str, now: Millis) -> Self {
        Self { cursor: Some(cursor.into()), since: self.since.or(Some(now)), ..self.clone() }
    }

    /// What the API is asked: names and values. Keys that expire soon are those that still work.
    pub fn asked(&self, reader: &str, now: Millis) -> Vec<(&'static str, String)> {
        let from = self.since.unwrap_or(now);
        let owner = if self.everyones { self.owner.as_str() } else { reader };
        let status = self.status.or(self.expiring.then_some(Status::Active));
        let unused = self.unused.then(|| time::rfc3339(from.minus(days(STALE_DAYS))));
        let expiring = self.expiring.then(|| time::rfc3339(from.plus(days(SOON_DAYS))));
        let all = [
            ("q", self.q.clone()),
            ("status", status.map_or("", Status::name).to_owned()),
            ("owner", owner.to_owned()),
            ("unused_since", unused.unwrap_or_default()),
            ("expires_before", expiring.unwrap_or_default()),
            ("sort", self.order().name().to_owned()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The page's address with this choice.
    pub fn address(&self) -> String {
        let yes = |is: bool, word: &'static str| if is { word } else { "" };
        let since = self.since.map(time::rfc3339).unwrap_or_default();
        let all = [
            ("owners", yes(self.everyones, "all")),
            ("q", &self.q),
            ("status", self.status.map_or("", Status::name)),
            ("owner", &self.owner),
            ("unused", yes(self.unused, "on")),
            ("expiring", yes(self.expiring, "on")),
            ("sort", self.sort.map_or("", Sort::name)),
            ("since", &since),
            ("cursor", self.cursor.as_deref().unwrap_or_default()),
        ];
        let given = all.into_iter().filter(|(_, value)| !value.is_empty());
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
        if query.is_empty() { KEYS_PATH.into() } else { format!("{KEYS_PATH}?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_000_000_000); // 2026-11-18T11:06:40Z

    fn read(query: &str, may_see: bool) -> Choice {
        read_by(query, &reader(if may_see { "keyward.keys" } else { "keyward.keys.own" }))
    }

    fn reader(permission: &str) -> Reader {
        Reader { permissions: keyward_shared::permission::PermissionSet::parse([permission]).unwrap(), ..Reader::default() }
    }

    fn read_by(query: &str, reader: &Reader) -> Choice {
        let all: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Choice::read(|name| all.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()), reader)
    }

    fn asked(query: &str) -> String {
        let asked = read(query, true).asked("ann", NOW);
        asked.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_address_is_read_as_it_was_written() {
        for query in [
            "",
            "owners=all&q=a+%26+b&status=revoked&owner=bob&unused=on&expiring=on&sort=name",
            "sort=last_used_at&since=2026-11-18T11%3A06%3A40Z&cursor=abc.def",
        ] {
            let address = read(query, true).address();
            assert_eq!(address.strip_prefix(KEYS_PATH).unwrap().trim_start_matches('?'), query);
        }
    }

    #[test]
    fn what_makes_no_sense_is_as_if_it_were_not_there() {
        let choice = read("status=gone&sort=-name&since=2026-01-01T00:00:00Z", true);
        assert_eq!(choice, Choice::default());
        assert_eq!(read("owner=bob", false), Choice::default());
        assert_eq!(read("owners=all&owner=bob", false), Choice::default(), "everyone's are not for everyone");
    }

    #[test]
    fn one_owner_s_keys_are_among_everyone_s() {
        for permission in ["keyward.keys", "keyward.operator"] {
            assert_eq!(read_by("owner=bob", &reader(permission)).address(), "/admin/keys?owners=all&owner=bob", "{permission}");
        }
    }

    #[test]
    fn in_another_company_everyone_s_are_asked_for_and_nobody_s_are_mine() {
        let operator = Reader { owner: "ann".into(), elsewhere: Some("acme".into()), ..reader("keyward.operator") };
        for (query, expected) in [("", "sort=-created_at"), ("owner=bob", "owner=bob sort=-created_at"), ("q=x", "q=x sort=-created_at")] {
            let asked = read_by(query, &operator).asked(&operator.owner, NOW);
            assert_eq!(asked.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "), expected, "{query}");
        }
    }

    #[test]
    fn a_key_that_was_pasted_goes_no_further() {
        let key = "kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5";
        let parameter = |name: &str| ["q", "owner"].contains(&name).then(|| format!("key: {key}"));
        assert!(Choice::has_key(parameter) && !Choice::has_key(|name| (name == "q").then(|| "key_5McJmDgrvcm7AQFuv3B2".into())));
        assert_eq!(Choice::read(parameter, &reader("keyward.keys")), Choice::default());
    }

    #[test]
    fn mine_are_asked_for_unless_everyone_s_are_wanted() {
        assert_eq!(asked(""), "owner=ann sort=-created_at");
        assert_eq!(asked("owners=all"), "sort=-created_at");
        assert_eq!(asked("owners=all&owner=bob&q=x"), "q=x owner=bob sort=-created_at");
    }

    #[test]
    fn days_are_reckoned_from_the_first_page() {
        assert_eq!(asked("unused=on"), "owner=ann unused_since=2026-08-20T11:06:40Z sort=last_used_at");
        assert_eq!(asked("expiring=on"), "status=active owner=ann expires_before=2026-12-02T11:06:40Z sort=expires_at");
        assert_eq!(
            asked("expiring=on&status=revoked&sort=name&cursor=c&since=2026-11-01T00:00:00Z"),
            "status=revoked owner=ann expires_before=2026-11-15T00:00:00Z sort=name"
        );
    }

    #[test]
    fn a_link_keeps_the_rest() {
        let choice = read("owners=all&q=x&owner=bob&unused=on&cursor=c&since=2026-11-01T00:00:00Z", true);
        assert_eq!(choice.sorted(Sort::Name).address(), "/admin/keys?owners=all&q=x&owner=bob&unused=on&sort=name");
        assert_eq!(choice.of(false).address(), "/admin/keys?q=x&unused=on");
        assert_eq!(choice.whole().address(), "/admin/keys?owners=all");
        assert!(choice.next("d", NOW).address().ends_with("&since=2026-11-01T00%3A00%3A00Z&cursor=d"));
        assert!(choice.leaves_out() && !choice.whole().leaves_out());
    }
}
