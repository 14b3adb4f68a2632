//! The form for a new key: a page of its own, and the same in a dialog over the list. The script sends it to the API and, where the
//! browser can, draws the key itself; without a script the page's own address takes it.

use keyward_shared::time::Millis;
use maud::{Markup, html};

use super::{File, Frame, Problems, Reader, Section, cancel, dialog, document};
use crate::page::{
    KEYS_PATH,
    form::{Marks, field, problems},
    secret::{self, Drawing},
};

/// Where the form is, and is sent to.
pub(super) const PATH: &str = "/admin/keys/new";

/// The fields of the API that the form shows.
const SHOWN: [&str; 4] = ["name", "expires_at", "permissions", "allowed_ips"];

/// How a new key is made.
#[derive(Clone, Debug, Default)]
pub struct Making {
    /// What was typed.
    pub form: NewKey,
    /// Where programs send their requests; shown in the example.
    pub edge_url: String,
    /// What draws a key in the browser, where there is that.
    pub drawing: Option<Drawing>,
}

/// What is typed into the form, as it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// A text that no other form has: sent twice, it makes one key.
    pub id: String,
    /// When the form was made: what the days until the key's end are reckoned from.
    pub at: Millis,
    /// What the key is for.
    pub name: String,
    /// Empty, a number of days, or `date`.
    pub expires: String,
    /// With `date`: the last day.
    pub last_day: String,
    /// Whether the key may do only what is chosen.
    pub restricted: bool,
    /// What is chosen of what the reader may do.
    pub chosen: Vec<String>,
    /// More of it, one a line.
    pub narrower: String,
    /// Networks, one a line.
    pub networks: String,
    /// What is wrong with it.
    pub problems: Problems,
}

/// How long a key may live, as people choose it.
const LIVES: [(&str, &str); 5] =
    [("", "Never"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In 365 days"), ("date", "After a day that I choose")];

/// The page with the form.
pub fn new_key(reader: &Reader, making: &Making) -> String {
    let main = html! {
        header.title { h1 { "New API key" } }
        article #create-page {
            (problems(&making.form.problems, &SHOWN))
            div.alert role="alert" id="create-page-alert" {}
            (form(reader, making))
            footer {
                a href=(KEYS_PATH) { "Cancel" }
                button type="submit" form="create-form" { "Create" }
            }
        }
        (secret::dialog(&making.edge_url, secret::YOU))
    };
    document(
        &Frame {
            title: "New API key",
            styles: &[File::SecretStyle, File::KeysStyle],
            scripts: &[File::NewKey],
            ..Frame::of(reader, Section::Keys)
        },
        &main,
    )
}

/// The dialog with the form.
pub(super) fn over_the_list(reader: &Reader, making: &Making) -> Markup {
    let buttons = html! {
        (cancel())
        button type="submit" form="create-form" { "Create" }
    };
    dialog("create-dialog", "New API key", &form(reader, making), &buttons)
}

fn form(reader: &Reader, making: &Making) -> Markup {
    let typed = &making.form;
    let wrong = |name| typed.problems.of(name);
    let drawing = making.drawing.as_ref();
    html! {
        form #create-form method="post" action=(PATH) autocomplete="off"
            data-script=[drawing.map(|files| &files.script)] data-wasm=[drawing.map(|files| &files.wasm)] {
            input type="hidden" name="form" value=(typed.id);
            input type="hidden" name="at" value=(typed.at.as_secs());
            (field("create-name", "Name", "What the key is for, such as “Power BI dashboard”, so that others recognise it later.", wrong("name"), |marks| html! {
                input id=(marks.id) type="text" name="name" value=(typed.name) required maxlength="100" placeholder="ERP nightly sync"
                    aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
            }))
            (field("create-expires", "Expires", "With an end, a forgotten key stops by itself.", wrong("expires_at"), |marks| expiry(typed, marks)))
            (last_day(typed))
            (permissions(reader, typed, wrong("permissions")))
            (field("create-networks", "Networks (optional)",
                "Addresses or networks that the key works from, one a line: 203.0.113.7 or 203.0.113.0/24. Leave it empty for any.",
                wrong("allowed_ips"), |marks| html! {
                textarea id=(marks.id) name="networks" rows="2" spellcheck="false" autocapitalize="none"
                    aria-describedby=(marks.described_by) aria-invalid=[marks.invalid] { (typed.networks) }
            }))
            (secret::birth("create-birth"))
        }
    }
}

fn expiry(typed: &NewKey, marks: &Marks) -> Markup {
    html! {
        select id=(marks.id) name="expires" aria-describedby=(marks.described_by) aria-invalid=[marks.invalid] {
            @for (value, title) in LIVES { option value=(value) selected[typed.expires == value] { (title) } }
        }
    }
}

/// The day to choose. The script hides it until it is wanted.
fn last_day(typed: &NewKey) -> Markup {
    html! {
        div #create-last-day-part {
            label for="create-last-day" { "Last day" }
            input #create-last-day type="date" name="last_day" value=(typed.last_day) aria-describedby="create-last-day-help";
            small #create-last-day-help { "The key works until this day ends" span data-zone { " (in UTC)" } "." }
        }
    }
}

/// All that the reader may do, or a choice of it.
fn permissions(reader: &Reader, typed: &NewKey, problem: Option<&str>) -> Markup {
    let mine: Vec<String> = reader.permissions.iter().map(ToString::to_string).collect();
    let has_wildcard = mine.iter().any(|permission| permission.ends_with('*'));
    let described_by = problem.map(|_| "create-permissions-problem");
    html! {
        fieldset #create-permissions aria-describedby=[described_by] {
            legend { "Permissions" }
            label { input type="radio" name="restricted" value="" checked[!typed.restricted]; "Everything I may do, now and later" }
            label { input type="radio" name="restricted" value="on" checked[typed.restricted]; "Only what I choose here" }
            div #create-choice {
                @for permission in &mine {
                    label {
                        input type="checkbox" name="permission" value=(permission) checked[typed.chosen.contains(permission)];
                        code { (permission) }
                    }
                }
                @if has_wildcard {
                    label for="create-narrower" { "Less than those with a star, one a line" }
                    textarea #create-narrower name="narrower" rows="2" spellcheck="false" autocapitalize="none" placeholder="orders.read"
                        aria-describedby=[described_by] { (typed.narrower) }
                }
            }
            @if let Some(problem) = problem { small.problem #create-permissions-problem { (problem) } }
        }
    }
}
