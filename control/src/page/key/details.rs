//! What a key is, what it may do now, what it would get for a request, and what the audit trail says about it.

use keyward_shared::{permission::PermissionSet, time::Millis};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{Key, Status, path};
use crate::page::{
    AuditEntry, Names, Reader,
    audit_entry::entry,
    form::{Problems, field},
    time::{exact, moment, relative},
};

/// Another key that a key is related to.
#[derive(Clone, Debug)]
pub struct Related {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Named,
}

/// What is known of another key's name.
#[derive(Clone, Debug)]
pub enum Named {
    /// It is called this.
    Known(String),
    /// It is gone, or not the reader's to see.
    Gone,
    /// That cannot be told right now.
    Unknown,
}

/// A key's link by its name; the id alone where it is gone.
pub(super) fn link(id: &str, related: &[Related]) -> Markup {
    let name = related.iter().find(|known| known.id == id).map(|known| &known.name);
    html! {
        @match name {
            Some(Named::Known(name)) => a href=(path(id)) { (name) },
            Some(Named::Unknown) => { a href=(path(id)) { code { (id) } } " (its name cannot be shown right now)" }
            Some(Named::Gone) | None => { code { (id) } " (deleted, or not yours to see)" }
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

/// Why a key may do nothing now, whatever it is limited to.
fn nothing(key: &Key) -> Option<&'static str> {
    match key.status {
        Status::Revoked => Some("it was revoked"),
        Status::Expired => Some("it has expired"),
        Status::Active if !key.owner_active => Some("its owner or company is not active"),
        Status::Active => None,
    }
}

pub(super) fn permissions(key: &Key) -> Markup {
    let ended = !key.is_active();
    html! {
        section aria-labelledby="permissions-title" {
            h2 #permissions-title { "Permissions" }
            @if let Some(why) = nothing(key) {
                p { "What it may do now: nothing, because " (why) "." }
            } @else if key.effective_permissions.is_empty() {
                p { "This key may do nothing that asks for a permission." }
            } @else {
                p { "What it may do now:" }
                (listed(&names(&key.effective_permissions)))
            }
            @match &key.permissions {
                None if ended => p { "It could do what its owner may do." },
                None => p { "It may do what its owner may do, now and later." },
                Some(own) if own.is_empty() => p { "It was limited to nothing that asks for a permission." },
                Some(own) => {
                    p { "It was limited to the following." @if !ended { " Of these it may do what its owner may do too:" } }
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
    /// Where it would come from; empty: that was not said.
    pub address: String,
    /// The address that was assumed because none was said: one from which the key may be used.
    pub assumed: Option<String>,
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

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub(super) fn explain(key: &Key, asked: &Asked) -> Markup {
    let problem = Some(said(&asked.problems)).filter(|said| !said.is_empty());
    let has_networks = !key.allowed_ips.is_empty() || !asked.address.is_empty();
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
                @if has_networks {
                    div {
                        (field("explain-address", "Address (optional)", "", asked.problems.of("ip"), |marks| html! {
                            input id=(marks.id) type="text" name="ip" value=(asked.address) placeholder="203.0.113.7" maxlength="45"
                                autocomplete="off" aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                        }))
                    }
                }
                button.outline type="submit" { "Ask" }
            }
            @if let Some(answer) = &asked.answer { (explained(asked, answer)) }
        }
    }
}

/// What is wrong with the question, but for the address.
fn said(problems: &Problems) -> String {
    let fields = problems.fields.iter().filter(|(field, _)| field != "ip").map(|(field, detail)| format!("{field}: {detail}"));
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
            @if let Some(assumed) = &asked.assumed {
                p { "As if it came from " code { (assumed) } ", which is in the key’s networks. Give an address to have that looked at too." }
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

/// What the audit trail says about a key.
#[derive(Clone, Debug)]
pub enum Trail {
    /// That is not the reader's to see.
    NotTheirs,
    /// That cannot be told right now.
    Unknown,
    /// The newest entries, and what people call who and what is named in them.
    Known(Vec<AuditEntry>, Names),
}

pub(super) fn trail(reader: &Reader, key: &Key, trail: &Trail) -> Markup {
    let all = form_urlencoded::Serializer::new(String::new()).append_pair("target", &key.id).finish();
    html! {
        @if !matches!(trail, Trail::NotTheirs) {
            section #trail aria-labelledby="trail-title" {
                h2 #trail-title { "Audit trail" }
                @match trail {
                    Trail::Known(entries, _) if entries.is_empty() => p { "Nothing is recorded about this key." },
                    Trail::Known(entries, names) => ol.log { @for one in entries { (entry(reader, one, names)) } },
                    _ => p { "The audit trail cannot be shown right now." },
                }
                p { a href={ "/admin/audit?" (all) } { "All entries about this key" } }
            }
        }
    }
}
