//! Ending a key: revoking it, with how far that has come, and deleting it.

use keyward_shared::time::Millis;
use maud::{Markup, html};

use super::{Key, Status, details::revoked, under};
use crate::page::{
    KEYS_PATH, Reader,
    assets::File,
    form::{Problems, field, problems},
    layout::{Frame, document},
    reader::Section,
    time::{moment, second},
};

/// The form that revokes a key.
#[derive(Debug)]
pub struct RevokePage {
    /// The key.
    pub key: Key,
    /// The reason as it was typed.
    pub reason: String,
    /// Whether the keys that it made are revoked too.
    pub cascade: bool,
    /// What is wrong.
    pub problems: Problems,
}

/// The page that asks for the reason and revokes.
pub fn revoke_key(reader: &Reader, page: &RevokePage) -> String {
    let key = &page.key;
    let main = html! {
        h1.any { "Revoke “" (key.name) "”?" }
        (problems(&page.problems, &["reason"]))
        @match key.status {
            Status::Active => {
                (revoke_says())
                (revoke_form(key, "page", &page.reason, page.cascade, page.problems.of("reason")))
            }
            Status::Revoked => {
                p { (revoked(key)) }
                @if !page.reason.is_empty() && !page.cascade { p { "Your reason was not recorded: “" (page.reason) "”." } }
            }
            Status::Expired => p { "The key has expired: it does not work any more, and there is nothing to revoke." },
        }
        @if key.status != Status::Active && key.manages_keys { (family_form(key, page)) }
        p { a href=(key.path()) { "Back to the key" } }
    };
    under(reader, "Revoke", key, "", &[], &main)
}

fn revoke_says() -> Markup {
    html! {
        p { "Within a few minutes the key stops working everywhere. This cannot be undone." }
        p { "Its record stays, with its use and its last use, and so does what the audit trail says. That is why revoking is better than deleting." }
    }
}

fn revoke_form(key: &Key, place: &str, reason: &str, cascade: bool, problem: Option<&str>) -> Markup {
    html! {
        form #{ "revoke-form-" (place) } method="post" action={ (key.path()) "/revoke" } autocomplete="off" {
            (field(&format!("revoke-reason-{place}"), "Reason (optional)", "Others will read it here and in the audit trail.", problem, |marks| html! {
                input id=(marks.id) type="text" name="reason" value=(reason) maxlength="200" placeholder="Replaced by a new key"
                    aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
            }))
            @if key.manages_keys {
                label { input type="checkbox" name="cascade" checked[cascade]; "Also every key that was made with it" }
            }
            @if place == "page" { button type="submit" { "Revoke key" } }
        }
    }
}

/// The form that revokes what a key made that does not work itself any more.
fn family_form(key: &Key, page: &RevokePage) -> Markup {
    html! {
        section aria-labelledby="family-title" {
            h2 #family-title { "Revoke the keys that it made" }
            p { "Keys that were made with this key may still work. Here you revoke all of them, and those that they made. This cannot be undone." }
            form #family-form method="post" action={ (key.path()) "/revoke" } autocomplete="off" {
                input type="hidden" name="cascade" value="on";
                (field("family-reason", "Reason (optional)", "It is recorded with each key that is revoked now.", page.problems.of("reason"), |marks| html! {
                    input id=(marks.id) type="text" name="reason" value=(page.reason) maxlength="200"
                        aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                }))
                button type="submit" { "Revoke the keys that it made" }
            }
        }
    }
}

/// The same as a dialog over the key's page; the form in it is sent like that of the page.
pub(super) fn revoke_dialog(key: &Key) -> Markup {
    html! {
        @if key.status == Status::Active {
            dialog #revoke-dialog aria-labelledby="revoke-dialog-title" {
                article {
                    header { h2 #revoke-dialog-title.any { "Revoke “" (key.name) "”?" } }
                    (revoke_says())
                    (revoke_form(key, "dialog", "", false, None))
                    div.alert role="alert" {}
                    footer {
                        button.secondary.outline type="button" data-close { "Cancel" }
                        button type="submit" form="revoke-form-dialog" { "Revoke key" }
                    }
                }
            }
        }
    }
}

/// How far the last change of the key has come, as long as it is not everywhere; for a key that was revoked always. The stages are those of
/// the latest change of the key, its owner and its company: of a revocation they tell only as long as nothing came after it, and of a
/// creation nothing, because a new key works at once.
pub(super) fn propagation(key: &Key, now: Millis) -> Markup {
    let stages = &key.propagation;
    let is_over = stages.effective_by.is_some_and(|at| at <= now);
    let is_revoked = key.status == Status::Revoked;
    let is_told = !is_revoked || key.revoked_at == Some(stages.committed_at);
    let is_creation = stages.committed_at == key.created_at;
    let state = match (stages.announced_at, is_over) {
        _ if !is_told => "over",
        (None, _) => "waiting",
        (Some(_), false) => "announced",
        (Some(_), true) => "over",
    };
    html! {
        @if is_revoked || !is_over && !is_creation {
            section #propagation data-key-id=(key.id) data-state=(state) data-now=(now.0) aria-labelledby="propagation-title" {
                h2 #propagation-title { @if is_revoked { "Revocation" } @else { "Last change" } }
                @if is_revoked { p { (revoked(key)) } }
                @if is_told { (way(key, is_over)) } @else {
                    p { "Its owner or company was changed after that. How far the revocation has come is not shown any more." }
                }
            }
        }
    }
}

/// The stages of a change.
fn way(key: &Key, is_over: bool) -> Markup {
    let stages = &key.propagation;
    let at = |at: Millis| moment(at, &second(at), "second");
    html! {
        @match (stages.announced_at, stages.expected_by, stages.effective_by) {
            (Some(_), _, Some(effective)) if is_over => p { "In effect everywhere since " (at(effective)) "." },
            (Some(announced), Some(expected), Some(effective)) => {
                p.stages {
                    "Announced at " (at(announced)) " · expected everywhere by " span data-until="expected" { (at(expected)) }
                    " · guaranteed by " span data-until="guaranteed" { (at(effective)) }
                }
                p.script-less { a href=(key.path()) { "Look again" } }
            }
            _ => {
                p { "Made at " (at(stages.committed_at)) ", not announced yet. This goes on by itself: there is nothing to do." }
                p.script-less { a href=(key.path()) { "Look again" } }
            }
        }
    }
}

/// The form that deletes a key.
#[derive(Debug)]
pub struct DeletePage {
    /// The key.
    pub key: Key,
    /// The name as it was typed.
    pub typed: String,
    /// What is wrong.
    pub problems: Problems,
}

/// The page that asks for the name and deletes.
pub fn delete_key(reader: &Reader, page: &DeletePage) -> String {
    let key = &page.key;
    let main = html! {
        h1.any { "Delete “" (key.name) "”?" }
        (problems(&page.problems, &["name"]))
        p { "This removes the key entirely, and cannot be undone. What is lost:" }
        ul {
            li { "its entry in the list, with its name, owner, limits and metadata," }
            li { "its counts of requests, and when it was last used," }
            li { "the reason, where it was revoked." }
        }
        p {
            "Only the audit trail remembers that there was such a key. "
            @if key.is_active() { "It still works now; within a few minutes it stops working everywhere." }
        }
        @if key.is_active() {
            p { "To turn a key off and keep its record, " a href={ (key.path()) "/revoke" } { "revoke it" } " instead. That is what we recommend." }
        }
        form method="post" action={ (key.path()) "/delete" } autocomplete="off" {
            (field("delete-name", "Type the name of the key to delete it", "Exactly as it stands above.", page.problems.of("name"), |marks| html! {
                input id=(marks.id) type="text" name="name" value=(page.typed) required spellcheck="false"
                    aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
            }))
            button.danger type="submit" { "Delete key" }
        }
        p { a href=(key.path()) { "Back to the key" } }
    };
    under(reader, "Delete", key, "", &[], &main)
}

/// What was to be done where a key was to be deleted.
pub const DELETED: &str = "deleted";

/// For a form whose key is not there any more.
#[derive(Debug)]
pub struct GonePage {
    /// What was to be done: "changed".
    pub wanted: &'static str,
    /// What was typed: what the field is called, and its value.
    pub typed: Vec<(&'static str, String)>,
}

/// Says what happened, and gives back what was typed.
pub fn key_gone(reader: &Reader, page: &GonePage) -> String {
    let typed: Vec<_> = page.typed.iter().filter(|(_, value)| !value.is_empty()).collect();
    let main = html! {
        h1 { "This key is not there" }
        div.alert role="alert" {
            p { "The key is not there, or not yours to see any more. Nothing was done now: it was not " (page.wanted) "." }
            @if page.wanted == DELETED { p { "If you have sent this before, it was deleted then." } }
        }
        @if !typed.is_empty() {
            p { "What you typed:" }
            dl.facts { @for (name, value) in typed { dt { (name) } dd.typed { (value) } } }
        }
        @if reader.may("keyward.audit") { p { "If somebody deleted it, the audit trail says who." } }
        p { a href=(KEYS_PATH) { "API Keys" } }
    };
    document(&Frame { title: "No such key", styles: &[File::KeyStyle], scripts: &[File::Key], ..Frame::of(reader, Section::Keys) }, &main)
}
