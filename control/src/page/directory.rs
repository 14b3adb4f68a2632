//! What the pages of owners, companies and the policy have in common: addresses by id, how long a change takes, deleting by typing the
//! id, and which version of a thing a form was made from.

use keyward_shared::time::Millis;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::{
    form::{Problems, field},
    time::moment,
};
use crate::time::rfc3339;

/// A segment of a path.
pub(crate) fn encoded(segment: &str) -> String {
    utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string()
}

/// The address of a thing's own page in the part at `section`. An id may be a word that has a meaning there, or one that browsers
/// take for a way through folders: those stand in the query.
pub(crate) fn address(section: &str, id: &str) -> String {
    match id {
        "new" | "." | ".." | "-" => format!("{section}/-?id={}", encoded(id)),
        _ => format!("{section}/{}", encoded(id)),
    }
}

/// Names what a form was made from, so that what somebody else has changed since is noticed; empty: from nothing.
pub(crate) fn version(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part.as_bytes());
    }
    hex::encode(digest.finalize()).chars().take(16).collect()
}

/// A length of time in words: `3 minutes`.
pub(crate) fn duration(time: Millis) -> String {
    match time.0.div_ceil(1_000) {
        60 => "a minute".to_owned(),
        seconds if seconds > 60 && seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

/// A time to the second, which the script of these pages rewrites to the reader's zone.
pub(super) fn to_the_second(at: Millis) -> Markup {
    let text = rfc3339(at).replace('T', " ").replace('Z', " UTC");
    moment(at, &text, "second")
}

/// Says that a change of `what` takes effect by itself, and when at the latest.
pub(super) fn takes_effect(what: &str, bound: Millis) -> Markup {
    html! {
        p.takes-effect {
            "What you change here takes effect for " (what) ": mostly within a second, and within " (duration(bound))
            " at the latest, whatever fails."
        }
    }
}

/// The form that deletes what is called `id`, once that is typed.
pub(super) struct Deletion<'a> {
    /// What it is: `owner`.
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
    /// What was typed.
    pub(super) typed: &'a str,
    pub(super) problems: &'a Problems,
    /// What is lost.
    pub(super) lost: &'a Markup,
}

/// The field of [`Deletion`].
pub(crate) const CONFIRM: &str = "confirm";

pub(super) fn deletion(deletion: &Deletion<'_>) -> Markup {
    let Deletion { kind, id, typed, problems, lost } = deletion;
    html! {
        section.danger aria-labelledby="delete-title" {
            h2 #delete-title { "Delete this " (kind) }
            (lost)
            form method="post" autocomplete="off" {
                (field("delete-id", &format!("Type {id} to confirm"), "", problems.of(CONFIRM), |marks| html! {
                    input id=(marks.id) name=(CONFIRM) type="text" value=(typed) required autocapitalize="none" spellcheck="false"
                        aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                }))
                button.danger type="submit" name="do" value="delete" { "Delete " (kind) }
            }
        }
    }
}

/// What was said of a thing and what is said of it now, where somebody else was faster.
pub(super) struct Conflict<'a> {
    pub(super) title: &'a str,
    /// Name of a field and what it is now.
    pub(super) now: &'a [(&'a str, String)],
}

pub(super) fn conflict(conflict: &Conflict<'_>) -> Markup {
    html! {
        div.alert role="alert" {
            p { strong { (conflict.title) } " Nothing that you typed is lost: it is still in the form below. Nothing was saved yet." }
            @if !conflict.now.is_empty() {
                p { "What is saved now:" }
                dl.facts {
                    @for (name, value) in conflict.now { div { dt { (name) } dd { (value) } } }
                }
                p { "Save again to replace it with what is in the form." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_an_address_of_its_own_that_browsers_keep() {
        for (id, expected) in [
            ("ann", "/admin/owners/ann"),
            ("auth0|5f2", "/admin/owners/auth0%7C5f2"),
            ("a.b", "/admin/owners/a%2Eb"),
            ("new", "/admin/owners/-?id=new"),
            ("..", "/admin/owners/-?id=%2E%2E"),
            ("-", "/admin/owners/-?id=%2D"),
        ] {
            assert_eq!(address("/admin/owners", id), expected);
        }
    }

    #[test]
    fn a_version_changes_with_each_part_and_with_where_one_ends() {
        assert_eq!(version(&["a", "b"]), version(&["a", "b"]));
        for other in [&["a", "c"][..], &["ab", ""], &["", "ab"], &["a"]] {
            assert_ne!(version(&["a", "b"]), version(other));
        }
    }

    #[test]
    fn times_are_said_in_words() {
        for (ms, text) in [(180_000, "3 minutes"), (60_000, "a minute"), (6_000, "6 seconds"), (90_000, "90 seconds"), (1_500, "2 seconds")]
        {
            assert_eq!(duration(Millis(ms)), text);
        }
    }
}
