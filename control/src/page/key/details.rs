//! What a key is, what it may do now, what it would get for a request, and what the audit trail says about it.

use keyward_shared::{permission::PermissionSet, time::Millis};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{Key, Status, path};
use crate::page::{
    form::{Problems, field},
    time::{exact, moment, relative, time},
};

/// Another key that a key is related to.
#[derive(Clone, Debug)]
pub struct Related {
    /// Its id.
    pub id: String,
    /// Its name; `None`: it is gone, or not the reader's to see.
    pub name: Option<String>,
}

/// A key's link by its name; the id alone where it is gone.
pub(super) fn link(id: &str, related: &[Related]) -> Markup {
    let name = related.iter().find(|known| known.id == id).and_then(|known| known.name.as_deref());
    html! {
        @match name {
            Some(name) => a href=(path(id)) { (name) },
            None => { code { (id) } " (deleted, or not yours to see)" },
        }
    }
}

fn at(at: Millis) -> Markup {
    moment(at, &exact(at), "exact")
}

pub(super) fn details(key: &Key, related: &[Related], now: Millis) -> Markup {
    html! {
        section aria-labelledby="details-title" {
            h2 #details-title { "Details" }
            dl.facts {
                dt { "Status" }
                dd { (status(key)) }
                dt { "Owner" }
                dd { (key.owner_name()) @if key.owner_name() != key.owner { " (" (key.owner) ")" } }
                dt { "Company" }
                dd { (key.company) }
                dt { "Created" }
                dd {
                    (at(key.created_at)) " by " (key.created_by)
                    @if let Some(parent) = &key.parent { ", with the key " (link(parent, related)) }
                    @if key.imported { ", taken over from another system" }
                }
                dt { "Expires" }
                dd { @match key.expires_at { Some(when) => (at(when)), None => "never" } }
                dt { "Last used" }
                dd {
                    @match key.last_used_at {
                        Some(when) => { (at(when)) " (" (relative(when, now)) ")" }
                        None => "never",
                    }
                }
                dt { "Networks" }
                dd { @if key.allowed_ips.is_empty() { "from anywhere" } @else { (listed(&key.allowed_ips)) } }
                dt { "Rate limit" }
                dd { (key.rate_limit.as_deref().unwrap_or("none of its own")) }
                dt { "Manages keys" }
                dd { @if key.manages_keys { "yes: it may make and revoke other keys" } @else { "no" } }
                @if !key.metadata.is_empty() {
                    dt { "Metadata" }
                    dd { pre tabindex="0" { code { (pretty(&key.metadata)) } } }
                }
                @if let Some(old) = &key.supersedes {
                    dt { "Replaces" }
                    dd { (link(old, related)) " · " a href={ (path(old)) "/rotate" } { "how far that is" } }
                }
                @if let Some(new) = &key.superseded_by {
                    dt { "Replaced by" }
                    dd { (link(new, related)) @if let Some(when) = key.superseded_at { ", " (at(when)) } }
                }
                dt { "Id" }
                dd { code { (key.id) } }
            }
        }
    }
}

/// The state with its reason.
fn status(key: &Key) -> Markup {
    html! {
        @match key.status {
            Status::Active if key.owner_active => "Active",
            Status::Active => "Active, but its owner or company is not: every request is refused until they are again.",
            Status::Expired => { "Expired" @if let Some(when) = key.expires_at { " " (at(when)) } ". It does not work, and cannot be changed any more." }
            Status::Revoked => (revoked(key)),
        }
    }
}

/// Who revoked it, when and why.
pub(super) fn revoked(key: &Key) -> Markup {
    html! {
        "Revoked"
        @if let Some(when) = key.revoked_at { " " (at(when)) }
        @if let Some(who) = &key.revoked_by { " by " (who) }
        @match &key.revoke_reason {
            Some(why) => { ": “" (why) "”" }
            None => ", without a reason",
        }
        ". It cannot be changed any more."
    }
}

fn listed(texts: &[String]) -> Markup {
    html! { ul.plain { @for text in texts { li { code { (text) } } } } }
}

fn pretty(metadata: &serde_json::Map<String, Value>) -> String {
    serde_json::to_string_pretty(metadata).unwrap_or_default()
}

fn names(set: &PermissionSet) -> Vec<String> {
    set.iter().map(ToString::to_string).collect()
}

pub(super) fn permissions(key: &Key) -> Markup {
    html! {
        section aria-labelledby="permissions-title" {
            h2 #permissions-title { "Permissions" }
            @if key.effective_permissions.is_empty() {
                p { "This key may do nothing that asks for a permission." }
            } @else {
                p { "What it may do now:" }
                (listed(&names(&key.effective_permissions)))
            }
            @match &key.permissions {
                None => p { "It may do what its owner may do, now and later." },
                Some(own) if own.is_empty() => p { "It was limited to nothing that asks for a permission." },
                Some(own) => {
                    p { "It was limited to the following. Of these it may do what its owner may do too:" }
                    (listed(&names(own)))
                }
            }
        }
    }
}

/// A request that was asked about, as it was typed.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// What it would get.
    pub answer: Option<Explained>,
    /// What is wrong with the question.
    pub problems: Problems,
}

/// What a request would get: a part of `GET /v1/keys/{id}/explain`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)] // named as in the API
pub struct Explained {
    pub decision: String,
    pub status: u16,
    pub detail: String,
    pub rule: Option<Rule>,
    pub owner_permissions: PermissionSet,
    pub checks: Vec<Check>,
}

/// The rule of the policy that matched.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)] // named as in the API
pub struct Rule {
    pub index: usize,
    pub path: String,
}

/// One of the things that were looked at.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)] // named as in the API
pub struct Check {
    pub passed: bool,
    pub detail: String,
}

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub(super) fn explain(key: &Key, asked: &Asked) -> Markup {
    let problem = (!asked.problems.is_empty()).then(|| said(&asked.problems));
    html! {
        section #explain aria-labelledby="explain-title" {
            h2 #explain-title { "What would it get?" }
            p { "Ask about a request before a program sends it. Nothing is sent, and nothing is counted." }
            form.inline method="get" action={ (key.path()) "#explain" } {
                div {
                    label for="explain-method" { "Method" }
                    select #explain-method name="method" {
                        @for method in METHODS { option value=(method) selected[asked.method == method] { (method) } }
                    }
                }
                div.wide {
                    (field("explain-path", "Path", "", problem.as_deref(), |marks| html! {
                        input id=(marks.id) type="text" name="path" value=(asked.path) placeholder="/api/orders/17" required maxlength="8192"
                            autocomplete="off" aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                    }))
                }
                button.outline type="submit" { "Ask" }
            }
            @if let Some(answer) = &asked.answer { (explained(asked, answer)) }
        }
    }
}

fn said(problems: &Problems) -> String {
    let fields = problems.fields.iter().map(|(field, detail)| format!("{field}: {detail}"));
    problems.general.iter().cloned().chain(fields).collect::<Vec<_>>().join(" ")
}

fn explained(asked: &Asked, answer: &Explained) -> Markup {
    let allowed = answer.decision == "allow";
    html! {
        div.verdict {
            p {
                @if allowed { span.badge.good { "Let in" } } @else { span.badge.warn { "Refused with " (answer.status) } }
                " " code { (asked.method) " " (asked.path) } ": " (answer.detail) "."
            }
            @if let Some(rule) = &answer.rule { p { "Rule " (rule.index) " of the policy matches: " code { (rule.path) } } }
            details {
                summary { "Everything that was looked at" }
                ul.checks {
                    @for check in &answer.checks {
                        li { @if check.passed { "✓ " span.hidden-text { "right: " } } @else { "✗ " span.hidden-text { "wrong: " } } (check.detail) }
                    }
                }
            }
        }
    }
}

/// An entry of the audit trail, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)] // named as in the API
pub struct Entry {
    #[serde(deserialize_with = "time")]
    pub at: Millis,
    pub actor: String,
    pub action: String,
    pub outcome: String,
    pub before: Value,
    pub after: Value,
}

pub(super) fn trail(key: &Key, entries: &[Entry]) -> Markup {
    let all = form_urlencoded::Serializer::new(String::new()).append_pair("target", &key.id).finish();
    html! {
        section #trail aria-labelledby="trail-title" {
            h2 #trail-title { "Audit trail" }
            @if entries.is_empty() {
                p { "Nothing is recorded about this key." }
            } @else {
                div.overflow-auto tabindex="0" role="region" aria-labelledby="trail-title" {
                    table {
                        thead { tr { @for title in ["When", "Who", "What", "Changed"] { th scope="col" { (title) } } } }
                        tbody {
                            @for entry in entries {
                                tr {
                                    td { (at(entry.at)) }
                                    td.any { (entry.actor) }
                                    td { (entry.action) @if entry.outcome != "done" { " (" (entry.outcome) ")" } }
                                    td.any { (changed(&entry.before, &entry.after)) }
                                }
                            }
                        }
                    }
                }
            }
            p { a href={ "/admin/audit?" (all) } { "All entries about this key" } }
        }
    }
}

/// What differs between the two, field by field.
fn changed(before: &Value, after: &Value) -> Markup {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "nothing".into(),
        other => other.to_string(),
    };
    html! {
        @match (before.as_object(), after.as_object()) {
            (None, Some(_)) => "made",
            (Some(_), None) => "removed",
            (Some(before), Some(after)) => {
                ul.plain {
                    @for (name, new) in after {
                        @let old = before.get(name).unwrap_or(&Value::Null);
                        @if old != new { li { (name) ": " (text(old)) " → " (text(new)) } }
                    }
                }
            }
            (None, None) => "",
        }
    }
}
