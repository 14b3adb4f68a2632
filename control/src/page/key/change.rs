//! The form that changes a key: its name, its expiry, what it may do and from where.
//!
//! The form carries what it was rendered from. Only what differs from that is sent on, so that two people who change different things at
//! once both have their way; and where both changed the same, whoever comes second is told before anything is replaced.

use std::collections::BTreeSet;

use keyward_shared::{
    permission::{Permission, PermissionSet},
    time::Millis,
};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Key, KeyPage, Status, details::revoked, may_change, only_others};
use crate::{
    page::{
        Reader,
        form::{Problems, field, problems},
        time::{exact, iso_day, parse},
    },
    time::rfc3339,
};

/// What the form is about, as the API has it. Lists are sorted, so that they can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields {
    /// The name.
    pub name: String,
    /// When it expires; `None`: never.
    pub expires_at: Option<String>,
    /// Its own restriction; `None`: whatever its owner may do.
    pub permissions: Option<BTreeSet<String>>,
    /// From where it may be used.
    pub allowed_ips: BTreeSet<String>,
}

impl Fields {
    /// Those of a key.
    pub fn of(key: &Key) -> Self {
        Self {
            name: key.name.clone(),
            expires_at: key.expires_at.map(rfc3339),
            permissions: key.permissions.as_ref().map(|set| set.iter().map(ToString::to_string).collect()),
            allowed_ips: key.allowed_ips.iter().cloned().collect(),
        }
    }

    fn members(&self) -> [(&'static str, Value); 4] {
        [
            ("name", json!(self.name)),
            ("expires_at", json!(self.expires_at)),
            ("permissions", json!(self.permissions)),
            ("allowed_ips", json!(self.allowed_ips)),
        ]
    }

    /// What differs from `was`, as the API takes it.
    pub fn changes(&self, was: &Self) -> Map<String, Value> {
        let (new, old) = (self.members(), was.members());
        new.into_iter().zip(old).filter(|(new, old)| new != old).map(|((name, value), _)| (name.to_owned(), value)).collect()
    }

    /// What somebody else changed since `was` that this changes too, to something else: a sentence for each.
    pub fn conflicts(&self, was: &Self, now: &Self) -> Vec<(String, String)> {
        let mine = self.changes(was);
        let theirs = now.changes(was);
        let both = theirs.into_iter().filter(|(name, value)| mine.get(name).is_some_and(|own| own != value));
        both.map(|(name, _)| {
            let sentence = format!("Somebody else changed this to {} meanwhile. Save again to replace it.", now.said(&name));
            (name, sentence)
        })
        .collect()
    }

    /// A field in words.
    fn said(&self, name: &str) -> String {
        let listed = |texts: &BTreeSet<String>| texts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match name {
            "name" => format!("“{}”", self.name),
            "expires_at" => self.expires_at.as_deref().map_or_else(|| "never".into(), |at| parse(at).map_or_else(|| at.into(), exact)),
            "permissions" => match &self.permissions {
                None => "everything that its owner may do".into(),
                Some(own) if own.is_empty() => "nothing that asks for a permission".into(),
                Some(own) => listed(own),
            },
            _ if self.allowed_ips.is_empty() => "from anywhere".into(),
            _ => listed(&self.allowed_ips),
        }
    }
}

/// The form as it is shown: what was typed, and what it is based on.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What the form was rendered from.
    pub was: Fields,
    /// The name as it was typed.
    pub name: String,
    /// The day of the expiry as it was typed (`2027-01-31`); empty: none.
    pub day: String,
    /// The exact end as the script says it; empty without one.
    pub exact_end: String,
    /// Whether it may do what its owner may.
    pub all: bool,
    /// The permissions that were ticked.
    pub ticked: BTreeSet<String>,
    /// Other permissions, one a line.
    pub others: String,
    /// Networks, one a line.
    pub networks: String,
    /// What is wrong with it.
    pub problems: Problems,
    /// Whether it was sent: then it is shown even where the key cannot be changed any more, so that nothing typed is lost.
    pub sent: bool,
}

impl Change {
    /// The form of a key as it is.
    pub fn of(key: &Key) -> Self {
        let was = Fields::of(key);
        Self {
            name: was.name.clone(),
            day: key.expires_at.map(iso_day).unwrap_or_default(),
            exact_end: String::new(),
            all: was.permissions.is_none(),
            ticked: was.permissions.clone().unwrap_or_default(),
            others: String::new(),
            networks: was.allowed_ips.iter().cloned().collect::<Vec<_>>().join("\n"),
            was,
            problems: Problems::default(),
            sent: false,
        }
    }

    /// What was asked for.
    pub fn fields(&self) -> Fields {
        let lines = |text: &str| text.split(['\n', ',', ' ', '\r', '\t']).filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect();
        let mut chosen: BTreeSet<String> = lines(&self.others);
        chosen.extend(self.ticked.iter().cloned());
        Fields {
            name: self.name.clone(),
            expires_at: self.end(),
            permissions: (!self.all).then_some(chosen),
            allowed_ips: lines(&self.networks),
        }
    }

    /// The end of the day that was chosen: as the script says for the reader's zone, else of UTC; as it was, where the day is the same.
    fn end(&self) -> Option<String> {
        let unchanged = |was: &&String| was.get(..10) == Some(self.day.as_str());
        match (self.day.is_empty(), self.exact_end.is_empty()) {
            (true, _) => None,
            (false, false) => Some(self.exact_end.clone()),
            (false, true) => {
                Some(self.was.expires_at.as_ref().filter(unchanged).cloned().unwrap_or_else(|| format!("{}T23:59:59Z", self.day)))
            }
        }
    }
}

/// The section of the key's page, where the reader may change it or tried to.
pub(super) fn section(reader: &Reader, page: &KeyPage) -> Markup {
    let key = &page.key;
    let possible = key.status == Status::Active && may_change(reader, key);
    html! {
        @if possible || page.change.sent {
            section #change aria-labelledby="change-title" {
                h2 #change-title { "Change" }
                @if !possible { (impossible(reader, key)) }
                (form(reader, page, possible))
            }
        } @else if key.status == Status::Active {
            p.muted { (only_others(reader, key)) " You may revoke or delete it." }
        }
    }
}

fn impossible(reader: &Reader, key: &Key) -> Markup {
    html! {
        div.alert role="alert" {
            p { "Nothing was changed" @if key.status == Status::Active { "." } @else { ": the key cannot be changed any more." } }
            p {
                @match key.status {
                    Status::Revoked => (revoked(key)),
                    Status::Expired => { "It expired" @if let Some(at) = key.expires_at { " " (exact(at)) } "." }
                    Status::Active => (only_others(reader, key)),
                }
            }
            p { "What you typed is below, so that you can use it elsewhere." }
        }
    }
}

fn form(reader: &Reader, page: &KeyPage, possible: bool) -> Markup {
    let (key, change) = (&page.key, &page.change);
    let wrong = |field: &str| change.problems.of(field);
    let was = serde_json::to_string(&change.was).unwrap_or_default();
    let end = change.end().filter(|_| !change.day.is_empty());
    html! {
        (problems(&change.problems, &["name", "expires_at", "permissions", "allowed_ips"]))
        form #change-form method="post" action={ (key.path()) "#change" } autocomplete="off" {
            input type="hidden" name="was" value=(was);
            (field("change-name", "Name", "What the key is for, so that others recognise it later.", wrong("name"), |marks| html! {
                input id=(marks.id) type="text" name="name" value=(change.name) required maxlength="100"
                    aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
            }))
            (field("change-expires", "Expires", &expiry_help(reader, page), wrong("expires_at"), |marks| html! {
                input id=(marks.id) type="date" name="day" value=(change.day) data-end=[end]
                    aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                input type="hidden" name="exact_end";
            }))
            (permissions(page))
            (field("change-networks", "Networks", "One a line, such as 203.0.113.0/24. Empty: the key works from anywhere.", wrong("allowed_ips"), |marks| html! {
                textarea id=(marks.id) name="networks" rows="3" spellcheck="false" aria-describedby=(marks.described_by) aria-invalid=[marks.invalid] { (change.networks) }
            }))
            @if possible { button type="submit" { "Save" } }
        }
    }
}

fn expiry_help(reader: &Reader, page: &KeyPage) -> String {
    let key = &page.key;
    let most = if key.company == reader.company { reader.max_key_lifetime_days } else { page.longest };
    let ends = key.expires_at.is_some();
    // A time that was given in days, or by a call, is seldom the end of a day.
    let zone = if ends {
        "If you choose another day, the key works until that day ends (UTC); else as long as it says above."
    } else {
        "The key works until the end of this day (UTC)."
    };
    match most {
        None => format!("{zone} {} empty for no expiry.", if ends { "Make this" } else { "Leave this" }),
        Some(days) => {
            let latest = key.created_at.plus(Millis::from_secs(days.saturating_mul(86_400)));
            format!(
                "{zone} {} lets a key live for {days} days: this one until {} at the latest{}.",
                if key.company == reader.company { "Your company" } else { "The company" },
                exact(latest),
                if ends { ", also where you make this empty" } else { "" },
            )
        }
    }
}

/// All that its owner may do, or a choice of it: narrower than it was, the API takes; wider too, as far as the reader may themselves.
fn permissions(page: &KeyPage) -> Markup {
    let change = &page.change;
    let none = PermissionSet::default();
    let grantable = page.grantable.as_ref().unwrap_or(&none).iter().map(Permission::to_string);
    let mut offered: BTreeSet<String> = grantable.collect();
    offered.extend(change.was.permissions.iter().flatten().cloned());
    offered.extend(change.ticked.iter().cloned());
    let problem = change.problems.of("permissions");
    html! {
        fieldset aria-describedby=[problem.map(|_| "change-permissions-problem")] {
            legend { "Permissions" }
            label { input type="radio" name="scope" value="all" checked[change.all]; "Everything that its owner may do, now and later" }
            label { input type="radio" name="scope" value="some" checked[!change.all]; "Only what is chosen here" }
            div.choice {
                @if page.grantable.is_none() {
                    p.muted { "What its owner may do cannot be shown right now. Reload the page later, or write permissions below." }
                }
                @for permission in &offered {
                    label { input type="checkbox" name="permission" value=(permission) checked[change.ticked.contains(permission)]; code { (permission) } }
                }
                label for="change-others" { "Others, one a line" }
                textarea #change-others name="others" rows="2" spellcheck="false" placeholder="orders.read" { (change.others) }
            }
            @if let Some(problem) = problem { small.problem #change-permissions-problem { (problem) } }
        }
    }
}
