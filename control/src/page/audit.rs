//! Administration → Audit: the trail, newest first, with its filters, and what the check of its chain found.
//!
//! How an entry reads is [`super::audit_entry`]'s business.

use jiff::{Span, civil::Date, tz::TimeZone};
use maud::{Markup, html};

use super::{
    Reader,
    assets::File,
    audit_entry::{ACTIONS, AuditEntry, Names, entry},
    form::{Problems, field, folds, problems},
    layout::{Frame, document},
    reader::Section,
};

/// Where the trail is.
const AUDIT_PATH: &str = "/admin/audit";
/// Where its check is.
const AUDIT_VERIFY_PATH: &str = "/admin/audit/verify";

/// What is looked for, as it was typed; empty: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilters {
    /// The id of what something was done to.
    pub target: String,
    /// The id of who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The first day, in UTC.
    pub from: String,
    /// The last day, in UTC.
    pub to: String,
}

impl AuditFilters {
    fn pairs(&self) -> [(&'static str, &str); 5] {
        [("target", &self.target), ("actor", &self.actor), ("action", &self.action), ("from", &self.from), ("to", &self.to)]
    }

    /// Whether everything is looked for.
    pub fn is_empty(&self) -> bool {
        self.pairs().iter().all(|(_, value)| value.is_empty())
    }

    /// The filters as the API takes them, or what is wrong with them.
    pub fn query(&self) -> Result<Vec<(&'static str, String)>, Problems> {
        let mut wrong = Problems::default();
        let mut query = Vec::new();
        for (name, value) in self.pairs().into_iter().filter(|(_, value)| !value.is_empty()) {
            let value = match name {
                "from" => start_of(value, 0),
                // The API's `to` is the first moment that is not wanted any more.
                "to" => start_of(value, 1),
                _ => Some(value.to_owned()),
            };
            match value {
                Some(value) => query.push((name, value)),
                None => wrong.fields.push((name.into(), "must be a day such as 2027-01-31".into())),
            }
        }
        if wrong.is_empty() && !self.from.is_empty() && !self.to.is_empty() && self.from > self.to {
            wrong.fields.push(("to".into(), "is before the first day".into()));
        }
        if wrong.is_empty() { Ok(query) } else { Err(wrong) }
    }

    /// The page of these filters, from a place on.
    pub(crate) fn address(&self, cursor: Option<&str>) -> String {
        let given = self.pairs().into_iter().chain(cursor.map(|cursor| ("cursor", cursor))).filter(|(_, value)| !value.is_empty());
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
        if query.is_empty() { AUDIT_PATH.into() } else { format!("{AUDIT_PATH}?{query}") }
    }
}

/// The page of the trail with only these entries.
pub(super) fn only(name: &str, value: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    format!("{AUDIT_PATH}?{query}")
}

/// The first moment of a day (`2027-01-31`), or of one so many days later.
fn start_of(day: &str, later: i64) -> Option<String> {
    let is_day = day.len() == 10 && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let day: Date = day.parse().ok().filter(|_| is_day)?;
    let start = day.checked_add(Span::new().days(later)).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(start.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).filter(|text| crate::time::parse(text).is_ok())
}

/// What the page is made from.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// What is looked for.
    pub filters: AuditFilters,
    /// What is wrong with that.
    pub problems: Problems,
    /// The entries, newest first.
    pub entries: Vec<AuditEntry>,
    /// What people call those that they tell of.
    pub names: Names,
    /// Whether newer ones were left out.
    pub is_later_part: bool,
    /// Where the trail goes on, if it does.
    pub next_cursor: Option<String>,
}

/// The page of the trail.
pub fn audit(reader: &Reader, page: &AuditPage) -> String {
    let main = html! {
        header.title {
            div {
                h1 { "Audit" }
                p { "Who did what in " @if reader.elsewhere.is_some() { "this" } @else { "your" } " company, and what was refused. Nobody can change or remove an entry here." }
            }
        }
        (folds(!page.filters.is_empty(), &search(page)))
        section aria-label="Entries" {
            @if page.entries.is_empty() { (nothing(page)) } @else {
                ol.log #entries { @for one in &page.entries { (entry(reader, one, &page.names)) } }
            }
            @if page.is_later_part || page.next_cursor.is_some() {
                nav.pages aria-label="Parts of the trail" {
                    ul {
                        @if page.is_later_part { li { a href=(page.filters.address(None)) { "Newest" } } }
                        @if let Some(cursor) = &page.next_cursor {
                            li { a rel="next" href=(page.filters.address(Some(cursor))) { "Older" } }
                        }
                    }
                }
            }
        }
        (keep(&page.filters))
    };
    document(&Frame { styles: &[File::LogStyle, File::AuditStyle], ..Frame::of(reader, Section::Audit) }, &main)
}

fn search(page: &AuditPage) -> Markup {
    let filters = &page.filters;
    let text = |id: &str, label: &str, name: &str, value: &str, help: &str| {
        html! {
            div {
                (field(id, label, help, page.problems.of(name), |marks| html! {
                    input type="search" id=(marks.id) name=(name) value=(value) autocomplete="off" autocapitalize="off" spellcheck="false"
                        aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                }))
            }
        }
    };
    let day = |id: &str, label: &str, name: &str, value: &str| {
        html! {
            div {
                (field(id, label, "A day, in UTC.", page.problems.of(name), |marks| html! {
                    input type="date" id=(marks.id) name=(name) value=(value)
                        aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                }))
            }
        }
    };
    html! {
        search aria-label="The trail" {
            form.search method="get" action=(AUDIT_PATH) {
                (problems(&page.problems, &["target", "actor", "action", "from", "to"]))
                div.fields {
                    (text("audit-target", "What it was done to", "target", &filters.target, "The id of a key, a person, a webhook."))
                    (text("audit-actor", "Who did it", "actor", &filters.actor, "The id of a person."))
                    div { (actions(page)) }
                    (day("audit-from", "From", "from", &filters.from))
                    (day("audit-to", "To the end of", "to", &filters.to))
                }
                div.buttons {
                    button type="submit" { "Search" }
                    @if !filters.is_empty() { a href=(AUDIT_PATH) { "Show everything" } }
                }
            }
        }
    }
}

fn actions(page: &AuditPage) -> Markup {
    let chosen = page.filters.action.as_str();
    let is_known = chosen.is_empty() || ACTIONS.iter().any(|action| action.name == chosen);
    field("audit-action", "What was done", "", page.problems.of("action"), |marks| {
        html! {
            select id=(marks.id) name="action" aria-invalid=[marks.invalid] {
                option value="" selected[chosen.is_empty()] { "Anything" }
                @if !is_known { option value=(chosen) selected { (chosen) } }
                @for action in ACTIONS { option value=(action.name) selected[action.name == chosen] { (action.title) } }
            }
        }
    })
}

/// Where no entry is shown.
fn nothing(page: &AuditPage) -> Markup {
    html! {
        article.empty {
            @if !page.problems.is_empty() {
                p { "Nothing was looked for yet." }
            } @else if page.next_cursor.is_some() {
                h2 { "Nothing in this part of the trail" }
                p { "A long trail is looked through part by part. What you look for may be further back: choose “Older”." }
            } @else if page.filters.is_empty() {
                h2 { "Nothing here yet" }
                p { "As soon as somebody changes something, it stands here." }
            } @else {
                h2 { "No such entry" }
                p { "Nothing in the trail is what you look for." }
            }
        }
    }
}

/// The check and the export.
fn keep(filters: &AuditFilters) -> Markup {
    let days = AuditFilters { from: filters.from.clone(), to: filters.to.clone(), ..AuditFilters::default() };
    let query = days.query().unwrap_or_default();
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
    let export = if query.is_empty() { "/v1/audit/export".into() } else { format!("/v1/audit/export?{query}") };
    html! {
        section.aside aria-labelledby="keep-title" {
            h2 #keep-title { "Check and keep" }
            p {
                "Every entry carries a fingerprint of the one before it. The check follows them from the first entry to the last and says \
                 whether an entry was changed, removed or put in afterwards."
            }
            div.buttons {
                form.plain method="get" action=(AUDIT_VERIFY_PATH) { button.secondary type="submit" { "Check the trail" } }
                a href=(export) download="audit.ndjson" {
                    @if query.is_empty() { "Download the whole trail" } @else { "Download the entries of these days" }
                }
            }
            p.muted { "The download is a text file with one entry a line, for programs and for your own archive." }
        }
    }
}

/// What the check found: how many entries are as they were written, or the first that is not.
pub fn audit_verified(reader: &Reader, found: Result<u64, Option<u64>>) -> String {
    let main = html! {
        header.title { div { h1 { "Check of the trail" } } }
        @match found {
            Ok(entries) => {
                article.result {
                    p { span.badge.good { "In order" } " " strong { (count(entries)) " checked, up to the newest." } }
                    p { "No entry was changed, removed or put in since it was written." }
                }
            }
            Err(first) => {
                article.result role="alert" {
                    p {
                        span.badge.bad { "Not in order" } " "
                        strong {
                            @match first {
                                Some(first) => { "Entry " (first) " is not as it was written, or is missing." }
                                None => "The trail is not as it was written.",
                            }
                        }
                    }
                    p {
                        "What comes before it is in order; it and what follows cannot be relied on. Keep what there is: download the trail, \
                         compare it with an earlier download, and tell who runs this deployment."
                    }
                }
            }
        }
        p.muted {
            "The check cannot notice somebody who has the database in their hands and writes the whole trail anew. A download that you keep \
             elsewhere can: its lines do not change any more."
        }
        p { a href=(AUDIT_PATH) { "Back to the trail" } }
    };
    document(&Frame { title: "Check of the trail", styles: &[File::AuditStyle], ..Frame::of(reader, Section::Audit) }, &main)
}

fn count(entries: u64) -> String {
    if entries == 1 { "1 entry".into() } else { format!("{entries} entries") }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
