//! The form for a new key: a page of its own, and the same in a dialog over the list. The script sends it to the API and, where the
//! browser can, draws the key itself; without a script the page's own address takes it.

use keyward_shared::time::Millis;
use maud::{Markup, html};

use super::{File, Frame, Problems, Reader, Section, cancel, dialog, document};
use crate::page::{
    KEYS_PATH,
    form::{Marks, field, problems},
    secret::{self, Drawing},
    time::iso_day,
};

/// Where the form is, and is sent to.
pub(super) const PATH: &str = "/admin/keys/new";

/// The fields of the API that the form shows; the last one only in another company.
const SHOWN: [&str; 5] = ["name", "expires_at", "permissions", "allowed_ips", "owner"];

/// How a new key is made.
#[derive(Clone, Debug, Default)]
pub struct Making {
    /// What was typed.
    pub form: NewKey,
    /// Where programs send their requests; shown in the example.
    pub edge_url: String,
    /// What draws a key in the browser, where there is that.
    pub drawing: Option<Drawing>,
    /// For how many days a key of the company may live, where that is limited.
    pub longest: Option<u64>,
}

impl Making {
    /// The end of the longest life, for a key that is made when the form was.
    pub fn latest(&self) -> Option<Millis> {
        self.longest.map(|days| Millis::from_secs(self.form.at.as_secs().saturating_add(days.saturating_mul(86_400))))
    }
}

/// What is typed into the form, as it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// A text that no other form has: sent twice, it makes one key.
    pub id: String,
    /// When the form was made: what the days until the key's end are reckoned from.
    pub at: Millis,
    /// Whose key it will be: asked for only in another company, where the reader can have none.
    pub owner: String,
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
    /// More of it, one a line; in another company all of it.
    pub narrower: String,
    /// Networks, one a line.
    pub networks: String,
    /// What is wrong with it.
    pub problems: Problems,
}

/// How long a key may live, as people choose it.
const LIVES: [u64; 3] = [30, 90, 365];

fn in_days(count: u64) -> String {
    if count == 1 { "1 day".into() } else { format!("{count} days") }
}

/// Whom the key of the form will act as.
pub(super) fn acts_as(reader: &Reader) -> &'static str {
    if reader.elsewhere.is_some() { secret::ITS_OWNER } else { secret::YOU }
}

/// The page with the form.
pub fn new_key(reader: &Reader, making: &Making) -> String {
    let main = html! {
        header.title { h1 { "New API key" } }
        article #create-page {
            (problems(&making.form.problems, if reader.elsewhere.is_some() { &SHOWN } else { &SHOWN[..4] }))
            div.alert role="alert" id="create-page-alert" {}
            (form(reader, making))
            footer {
                a href=(KEYS_PATH) { "Cancel" }
                button type="submit" form="create-form" { "Create" }
            }
        }
        (secret::dialog(&making.edge_url, acts_as(reader)))
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
            data-script=[drawing.map(|files| &files.script)] data-wasm=[drawing.map(|files| &files.wasm)] data-longest=[making.longest] {
            input type="hidden" name="form" value=(typed.id);
            input type="hidden" name="at" value=(typed.at.as_secs());
            @if reader.elsewhere.is_some() {
                (field("create-owner", "Owner (id)", "Whose key it will be: somebody of this company. It acts as them.", wrong("owner"), |marks| html! {
                    input id=(marks.id) type="text" name="owner" value=(typed.owner) required maxlength="128" autocapitalize="none" spellcheck="false"
                        aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                }))
            }
            (field("create-name", "Name", "What the key is for, such as “Power BI dashboard”, so that others recognise it later.", wrong("name"), |marks| html! {
                input id=(marks.id) type="text" name="name" value=(typed.name) required maxlength="100" placeholder="ERP nightly sync"
                    aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
            }))
            (field("create-expires", "Expires", &expiry_help(making), wrong("expires_at"), |marks| expiry(making, marks)))
            (last_day(making))
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

fn expiry_help(making: &Making) -> String {
    let help = "With an end, a forgotten key stops by itself.";
    making.longest.map_or_else(|| help.into(), |days| format!("{help} In this company a key lives for {} at most.", in_days(days)))
}

/// The lives to choose from: none that is longer than allowed, and no "never" where there is no such thing.
fn expiry(making: &Making, marks: &Marks) -> Markup {
    let chosen = |value: &str| making.form.expires == value;
    let longest = making.longest;
    html! {
        select id=(marks.id) name="expires" aria-describedby=(marks.described_by) aria-invalid=[marks.invalid] {
            option value="" selected[chosen("")] {
                @match longest { None => "Never", Some(days) => { "As long as allowed: " (in_days(days)) } }
            }
            @for days in LIVES.into_iter().filter(|days| longest.is_none_or(|longest| *days < longest)) {
                option value=(days) selected[chosen(&days.to_string())] { "In " (days) " days" }
            }
            option value="date" selected[chosen("date")] { "After a day that I choose" }
        }
    }
}

/// The day to choose. The script hides it until it is wanted.
fn last_day(making: &Making) -> Markup {
    html! {
        div #create-last-day-part {
            label for="create-last-day" { "Last day" }
            input #create-last-day type="date" name="last_day" value=(making.form.last_day) max=[making.latest().map(iso_day)]
                aria-describedby="create-last-day-help";
            small #create-last-day-help { "The key works until this day ends" span data-zone { " (in UTC)" } "." }
        }
    }
}

/// All that the owner may do, or a choice of it. What somebody else may do is not known here, and can only be typed.
fn permissions(reader: &Reader, typed: &NewKey, problem: Option<&str>) -> Markup {
    let own = reader.elsewhere.is_none();
    let mine: Vec<String> = reader.permissions.iter().filter(|_| own).map(ToString::to_string).collect();
    let typing = match (own, mine.iter().any(|permission| permission.ends_with('*'))) {
        (false, _) => Some("Permissions of the owner, one a line"),
        (true, true) => Some("Less than those with a star, one a line"),
        (true, false) => None,
    };
    let described_by = problem.map(|_| "create-permissions-problem");
    html! {
        fieldset #create-permissions aria-describedby=[described_by] {
            legend { "Permissions" }
            label { input type="radio" name="restricted" value="" checked[!typed.restricted];
                @if own { "Everything I may do, now and later" } @else { "Everything the owner may do, now and later" }
            }
            label { input type="radio" name="restricted" value="on" checked[typed.restricted]; "Only what I choose here" }
            div #create-choice {
                @for permission in &mine {
                    label {
                        input type="checkbox" name="permission" value=(permission) checked[typed.chosen.contains(permission)];
                        code { (permission) }
                    }
                }
                @if let Some(label) = typing {
                    label for="create-narrower" { (label) }
                    textarea #create-narrower name="narrower" rows="2" spellcheck="false" autocapitalize="none" placeholder="orders.read"
                        aria-describedby=[described_by] { (typed.narrower) }
                }
            }
            @if let Some(problem) = problem { small.problem #create-permissions-problem { (problem) } }
        }
    }
}
