//! How an entry of the audit trail reads: a sentence, where it came from, and what was different before and after.

use std::collections::BTreeMap;

use keyward_shared::time::Millis;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Reader,
    audit::only,
    difference,
    reader::Section,
    time::{exact, moment, time},
};

/// An entry as the page shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct AuditEntry {
    sequence: u64,
    #[serde(deserialize_with = "time")]
    at: Millis,
    actor: String,
    key: Option<String>,
    address: Option<String>,
    action: String,
    target: String,
    outcome: String,
    before: Value,
    after: Value,
    request_id: String,
    hash: String,
}

/// What people call owners, keys and webhooks now.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Names {
    owners: BTreeMap<String, String>,
    keys: BTreeMap<String, String>,
    webhooks: BTreeMap<String, String>,
}

/// What something is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Key,
    Owner,
    Company,
    Webhook,
    /// It is named by the sentence already.
    None,
}

/// Something that can be done.
pub(super) struct Action {
    /// What the API calls it.
    pub(super) name: &'static str,
    /// How the list of filters calls it.
    pub(super) title: &'static str,
    /// "Ann …" where it was done.
    done: &'static str,
    /// "Ann tried to …" where it was refused.
    tried: &'static str,
    kind: Kind,
}

const fn action(name: &'static str, title: &'static str, done: &'static str, tried: &'static str, kind: Kind) -> Action {
    Action { name, title, done, tried, kind }
}

/// Everything that can be done.
pub(super) const ACTIONS: &[Action] = &[
    action("key.create", "Key created", "created the key", "create a key", Kind::Key),
    action("key.change", "Key changed", "changed the key", "change the key", Kind::Key),
    action("key.rotate", "Key rotated", "rotated the key", "rotate the key", Kind::Key),
    action("key.revoke", "Key revoked", "revoked the key", "revoke the key", Kind::Key),
    action("key.delete", "Key deleted", "deleted the key", "delete the key", Kind::Key),
    action("key.leak", "Key found leaked", "reported as leaked the key", "report as leaked the key", Kind::Key),
    action("key.import", "Key taken over", "took over, from another system, the key", "take over the key", Kind::Key),
    action("keys.revoke", "Many keys revoked", "revoked many keys at once", "revoke many keys at once", Kind::None),
    action("keys.import", "Keys taken over", "took over keys from another system", "take over keys from another system", Kind::None),
    action("owner.put", "Person added or changed", "changed", "add or change", Kind::Owner),
    action("owners.put", "Many people changed", "changed many people at once", "change many people at once", Kind::None),
    action("owner.delete", "Person removed", "removed", "remove", Kind::Owner),
    action("session.begin", "Signed in", "signed in", "sign in", Kind::None),
    action("session.end", "Signed out", "signed out", "sign out", Kind::None),
    action("sessions.end", "Signed out everywhere", "signed out everywhere", "sign out everywhere", Kind::None),
    action("sign_in_link.create", "Sign-in link made", "made a sign-in link for", "make a sign-in link for", Kind::Owner),
    action("company.put", "Company added or changed", "changed the company", "add or change the company", Kind::Company),
    action("company.delete", "Company deleted", "deleted the company", "delete the company", Kind::Company),
    action("company.import", "Company restored", "restored from a backup the company", "restore from a backup the company", Kind::Company),
    action("company.bootstrap", "Company set up", "set up the company", "set up the company", Kind::Company),
    action("policy.put", "Policy changed", "changed the policy", "change the policy", Kind::None),
    action("policy.rollback", "Policy rolled back", "went back to an earlier policy", "go back to an earlier policy", Kind::None),
    action("webhook.create", "Webhook created", "created the webhook", "create a webhook", Kind::Webhook),
    action("webhook.change", "Webhook changed", "changed the webhook", "change the webhook", Kind::Webhook),
    action("webhook.disable", "Webhook switched off", "switched off the webhook", "switch off the webhook", Kind::Webhook),
    action("webhook.delete", "Webhook deleted", "deleted the webhook", "delete the webhook", Kind::Webhook),
    action(
        "webhook.replay",
        "Messages sent again",
        "sent again messages of the webhook",
        "send again messages of the webhook",
        Kind::Webhook,
    ),
    action(
        "maintenance.republish",
        "All records published",
        "had all records published again",
        "have all records published again",
        Kind::None,
    ),
];

/// Fails a test that writes an action for which there are no words.
#[cfg(test)]
pub(crate) fn expect_words_for(name: &str) {
    assert!(ACTIONS.iter().any(|action| action.name == name), "the page of the trail has no words for {name}");
}

impl AuditEntry {
    fn is_done(&self) -> bool {
        self.outcome == "done"
    }

    fn action(&self) -> Option<&'static Action> {
        ACTIONS.iter().find(|action| action.name == self.action)
    }

    /// "revoked the key", "tried to revoke the key".
    fn verb(&self) -> String {
        let Some(action) = self.action() else { return format!("did “{}” to", self.action) };
        if !self.is_done() {
            return format!("tried to {}", action.tried);
        }
        let active = |value: &Value| value["active"].as_bool();
        let is_new = self.before.is_null();
        match (self.action.as_str(), active(&self.before), active(&self.after)) {
            ("key.rotate", ..) if is_new => "created, as a successor, the key".into(),
            ("owner.put", ..) if is_new => "added".into(),
            ("owner.put", Some(true), Some(false)) => "deactivated".into(),
            ("owner.put", Some(false), Some(true)) => "activated again".into(),
            ("company.put", ..) if is_new => "added the company".into(),
            ("company.put", Some(true), Some(false)) => "deactivated the company".into(),
            ("company.put", Some(false), Some(true)) => "activated again the company".into(),
            ("webhook.change", Some(true), Some(false)) => "paused the webhook".into(),
            ("webhook.change", Some(false), Some(true)) => "resumed the webhook".into(),
            _ => action.done.into(),
        }
    }

    /// What it was called then, else what it is called now.
    fn target_name<'a>(&'a self, kind: Kind, names: &'a Names) -> Option<&'a str> {
        let then = || [&self.after, &self.before].into_iter().find_map(|state| state["name"].as_str().or_else(|| state["url"].as_str()));
        let now = || match kind {
            Kind::Key => names.keys.get(&self.target),
            Kind::Owner => names.owners.get(&self.target),
            Kind::Webhook => names.webhooks.get(&self.target),
            Kind::Company | Kind::None => None,
        };
        then().or_else(|| now().map(String::as_str))
    }
}

/// Why something was refused, in words.
fn refusal(outcome: &str) -> String {
    let (code, company) = outcome.split_once(" in ").map_or((outcome, None), |(code, company)| (code, Some(company)));
    let why = match code {
        "forbidden" => "not allowed",
        "not_found" => "there is no such thing",
        "conflict" => "it is no longer possible",
        "invalid_request" | "unprocessable" => "it was not filled in right",
        "unauthenticated" => "not signed in",
        other => other,
    };
    company.map_or_else(|| why.to_owned(), |company| format!("{why}, in the company {company}"))
}

/// An entry.
pub(super) fn entry(reader: &Reader, entry: &AuditEntry, names: &Names) -> Markup {
    let kind = entry.action().map_or(Kind::Key, |action| action.kind);
    html! {
        li id={ "entry-" (entry.sequence) } {
            p.what {
                (actor(&entry.actor, names)) " " (entry.verb())
                @if kind != Kind::None && !entry.target.is_empty() { " " (target(reader, entry, kind, names)) }
                @if !entry.is_done() { " " span.badge.bad { "Refused: " (refusal(&entry.outcome)) } }
            }
            p.meta {
                (moment(entry.at, &exact(entry.at), "exact"))
                @if let Some(key) = &entry.key { " · with the key " (key_link(key, names)) }
                @if let Some(address) = &entry.address { " · from " code { (address) } }
            }
            details {
                summary { "Details" span.hidden-text { " of entry " (entry.sequence) } }
                (difference::table(&entry.before, &entry.after))
                dl.facts {
                    dt { "Entry" } dd { (entry.sequence) }
                    dt { "Action" } dd { code { (entry.action) } }
                    @if !entry.target.is_empty() {
                        dt { "Done to" } dd { code { (entry.target) } " " a href=(only("target", &entry.target)) { "Everything about it" } }
                    }
                    dt { "Done by" } dd { code { (entry.actor) } " " a href=(only("actor", &entry.actor)) { "Everything they did" } }
                    @if !entry.request_id.is_empty() { dt { "Request" } dd { code { (entry.request_id) } } }
                    dt { "Fingerprint" } dd { code { (entry.hash) } }
                }
            }
        }
    }
}

fn actor(id: &str, names: &Names) -> Markup {
    html! {
        @match (id, names.owners.get(id), id.split_once('/')) {
            ("keyward", None, _) => strong { "Keyward" },
            ("leak report", ..) => strong { "A leak report" },
            (_, Some(name), _) => strong { (name) },
            (_, None, Some((company, owner))) if !company.contains(':') => { strong { (owner) } " of " (company) },
            _ => strong { (id) },
        }
    }
}

fn key_link(id: &str, names: &Names) -> Markup {
    html! {
        @match names.keys.get(id) {
            Some(name) => a href=(place(Section::Keys, id)) { "“" (name) "”" },
            None => code { (id) },
        }
    }
}

/// What it was done to: a link where it is still there and the reader may look at it.
fn target(reader: &Reader, entry: &AuditEntry, kind: Kind, names: &Names) -> Markup {
    let id = &entry.target;
    let text = match (entry.target_name(kind, names), kind) {
        (Some(name), Kind::Owner) => name.to_owned(),
        (Some(name), _) => format!("“{name}”"),
        (None, _) => id.clone(),
    };
    let (section, is_there) = match kind {
        Kind::Key => (Section::Keys, names.keys.contains_key(id)),
        Kind::Owner => (Section::Owners, names.owners.contains_key(id)),
        Kind::Webhook => (Section::Webhooks, names.webhooks.contains_key(id)),
        Kind::Company => (Section::Companies, false),
        Kind::None => return html! {},
    };
    let may = Section::of(reader).any(|of_theirs| of_theirs == section);
    html! {
        @if is_there && may { a href=(place(section, id)) { (text) } } @else { strong { (text) } }
        @if let (Kind::Key, Some(name)) = (kind, successor(entry, names)) { ", replaced by “" (name) "”" }
    }
}

/// The successor that a key was given.
fn successor<'a>(entry: &'a AuditEntry, names: &'a Names) -> Option<&'a str> {
    if entry.action != "key.rotate" || entry.before.is_null() {
        return None;
    }
    let id = entry.after["superseded_by"].as_str()?;
    names.keys.get(id).map(String::as_str).or(Some(id))
}

/// The page of one thing of a part.
fn place(section: Section, id: &str) -> String {
    format!("{}/{}", section.path(), super::encoded(id))
}

#[cfg(test)]
#[path = "audit_entry_tests.rs"]
pub(super) mod tests;
