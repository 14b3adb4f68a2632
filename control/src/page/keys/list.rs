//! The list of keys: whose, search and filters, the table, and where it goes on. All of it is links and a form that is sent with GET.

use keyward_shared::time::Millis;
use maud::{Markup, html};

use super::{
    KeysPage, PageKey, Reader,
    choice::{Choice, SOON_DAYS, STALE_DAYS, Sort, Status, days},
};
use crate::page::{
    By, KEYS_PATH, filled,
    form::{folds, problems},
    spark,
    time::{day, moment, relative},
};

/// How many of a key's permissions are named; the others are counted.
const NAMED: usize = 2;

/// All that changes with what is looked at: the script takes it from a new page as one piece.
pub(super) fn section(reader: &Reader, page: &KeysPage) -> Markup {
    let choice = &page.choice;
    let has_own = reader.elsewhere.is_none();
    html! {
        section #keys aria-label=(if choice.everyones { "Everyone’s keys" } else { "Your keys" }) {
            @if has_own && reader.sees_all_keys() { (switch(choice)) }
            (problems(&page.problems, &["q"]))
            @if choice.leaves_out() || choice.cursor.is_some() || !page.keys.is_empty() || choice.everyones || !page.problems.is_empty() {
                (folds(choice.leaves_out() || !page.problems.is_empty(), &filters(page)))
            }
            @if !page.keys.is_empty() {
                (table(page, choice))
            } @else if page.problems.is_empty() {
                (empty(page, has_own))
            }
            (pager(page))
        }
    }
}

/// One's own keys, or everyone's.
fn switch(choice: &Choice) -> Markup {
    html! {
        nav.tabs aria-label="Whose keys" {
            ul {
                @for (title, everyones) in [("Mine", false), ("Everyone’s", true)] {
                    li { a href=(choice.of(everyones).address()) aria-current=[(choice.everyones == everyones).then_some("true")] { (title) } }
                }
            }
        }
    }
}

fn filters(page: &KeysPage) -> Markup {
    let choice = &page.choice;
    let problem = page.problems.of("q");
    let usual = choice.usual_order();
    html! {
        search {
            form.filters action=(KEYS_PATH) method="get" {
                @if choice.everyones { input type="hidden" name="owners" value="all"; }
                div.wide {
                    label for="filter-q" { "Search" }
                    input #filter-q type="search" name="q" value=(choice.q) maxlength="200" placeholder="Name or id"
                        aria-describedby=[problem.map(|_| "filter-q-problem")] aria-invalid=[problem.map(|_| "true")];
                    @if let Some(problem) = problem { small.problem #filter-q-problem { (problem) } }
                }
                div {
                    label for="filter-status" { "Status" }
                    select #filter-status name="status" {
                        option value="" { "Any" }
                        @for status in Status::ALL {
                            option value=(status.name()) selected[choice.status == Some(status)] { (status.title()) }
                        }
                    }
                }
                @if choice.everyones {
                    div {
                        label for="filter-owner" { "Owner (id)" }
                        input #filter-owner type="text" name="owner" value=(choice.owner) maxlength="100" autocapitalize="none" spellcheck="false";
                    }
                }
                div {
                    label for="filter-sort" { "Order" }
                    select #filter-sort name="sort" {
                        option value="" { (usual.title()) }
                        @for sort in Sort::ALL.into_iter().filter(|sort| *sort != usual) { option value=(sort.name()) selected[choice.sort == Some(sort)] { (sort.title()) } }
                    }
                }
                div.boxes {
                    label { input type="checkbox" name="unused" checked[choice.unused]; "Unused for " (STALE_DAYS) " days" }
                    label { input type="checkbox" name="expiring" checked[choice.expiring]; "Expiring within " (SOON_DAYS) " days" }
                }
                div.buttons {
                    button.secondary type="submit" { "Apply" }
                    @if choice.leaves_out() { a href=(choice.whole().address()) { "Clear" } }
                }
            }
        }
    }
}

/// What stands where there is no key: what keys are for, or that nothing fits.
fn empty(page: &KeysPage, has_own: bool) -> Markup {
    let choice = &page.choice;
    html! {
        article.empty {
            @if page.next_cursor.is_some() {
                h2 { "Nothing found so far" }
                p { "There are very many keys, and only a part of them has been looked through. Search on to look through more." }
            } @else if choice.leaves_out() {
                h2 { "No key matches" }
                p { "There is no key here with everything that you chose. " a href=(choice.whole().address()) { "Show all keys" } }
            } @else if choice.cursor.is_some() {
                h2 { "No more keys" }
                p { "This is the end of the list." }
            } @else {
                h2 { "No keys yet" }
                p {
                    "A key lets a program reach the API without a person signing in: a nightly synchronisation with another system, a \
                     dashboard, a scheduled job. It acts as "
                    @if has_own { "the person who made it." } @else { "its owner, who is a person of this company." }
                }
                p {
                    "Give each integration a key of its own. Then you see which of them still works, and can turn off one without \
                     touching the others."
                }
            }
        }
    }
}

fn pager(page: &KeysPage) -> Markup {
    let choice = &page.choice;
    let onwards = if choice.leaves_out() && page.keys.is_empty() { "Search on" } else { "Next page" };
    html! {
        @if choice.cursor.is_some() || page.next_cursor.is_some() {
            nav.pager aria-label="Pages" {
                ul {
                    @if choice.cursor.is_some() { li { a rel="first" href=(choice.first().address()) { "First page" } } }
                    @if let Some(cursor) = &page.next_cursor {
                        li { a rel="next" href=(choice.next(cursor, page.now).address()) { (onwards) } }
                    }
                }
            }
        }
    }
}

/// A column's heading; where the API can sort by it, a link that does.
fn heading(choice: &Choice, title: &str, sort: Option<Sort>) -> Markup {
    let order = choice.order();
    let (next, direction) = match (sort, order) {
        (Some(Sort::Newest), Sort::Newest) => (Some(Sort::Oldest), Some("descending")),
        (Some(Sort::Newest), Sort::Oldest) => (sort, Some("ascending")),
        _ => (sort, sort.filter(|sort| *sort == order).map(|_| "ascending")),
    };
    html! {
        th scope="col" role="columnheader" aria-sort=[direction] {
            @match next {
                Some(next) => a href=(choice.sorted(next).address()) { (title) },
                None => (title),
            }
        }
    }
}

fn table(page: &KeysPage, choice: &Choice) -> Markup {
    html! {
        table role="table" {
            thead role="rowgroup" {
                tr role="row" {
                    (heading(choice, "Name", Some(Sort::Name)))
                    (heading(choice, "Status", None))
                    (heading(choice, "Last used", Some(Sort::Unused)))
                    (heading(choice, "30 days", None))
                    @if choice.everyones { (heading(choice, "Owner", None)) }
                    (heading(choice, "Permissions", None))
                    (heading(choice, "Created", Some(Sort::Newest)))
                    (heading(choice, "Expires", Some(Sort::Expiry)))
                    th scope="col" role="columnheader" { span.hidden-text { "Actions" } }
                }
            }
            tbody role="rowgroup" { @for key in &page.keys { (row(key, choice.everyones, page.now)) } }
        }
    }
}

fn row(key: &PageKey, everyones: bool, now: Millis) -> Markup {
    let (status, class) = status(key);
    let days: Vec<_> = filled(&key.usage, By::Day, now).iter().map(|day| (day.allowed, day.refused)).collect();
    html! {
        tr role="row" data-key-id=(key.id) data-name=(key.name) {
            th.name scope="row" role="rowheader" {
                a href=(address(key)) { (key.name) }
                code { (key.hint) }
            }
            td role="cell" data-label="Status" { span.badge.(class) { (status) } }
            td role="cell" data-label="Last used" {
                span.stack {
                    @match key.last_used_at {
                        Some(at) => (moment(at, &relative(at, now), "relative")),
                        None => "never",
                    }
                    @if is_stale(key, now) { span.badge.warn { "stale" } }
                }
            }
            td role="cell" data-label="Requests in 30 days" { (spark(&days)) }
            @if everyones {
                td role="cell" data-label="Owner" { span title=(key.owner) { (key.owner_name.as_deref().unwrap_or(&key.owner)) } }
            }
            td role="cell" data-label="Permissions" { (permissions(key)) }
            td role="cell" data-label="Created" { (moment(key.created_at, &day(key.created_at), "day")) }
            td role="cell" data-label="Expires" {
                span.stack {
                    @match key.expires_at {
                        Some(at) => (moment(at, &day(at), "day")),
                        None => "never",
                    }
                    @if let Some(soon) = soon(key, now) { span.badge.warn { (soon) } }
                }
            }
            td.actions role="cell" {
                @if key.status == Status::Active {
                    // The script asks in a dialog instead.
                    a.button.outline.small href={ (address(key)) "/revoke" } data-action="revoke" aria-label={ "Revoke " (key.name) } { "Revoke" }
                    " "
                }
                a.button.outline.small href={ (address(key)) "/delete" } aria-label={ "Delete " (key.name) } { "Delete" }
            }
        }
    }
}

/// The page about a key.
fn address(key: &PageKey) -> String {
    let id = percent_encoding::utf8_percent_encode(&key.id, percent_encoding::NON_ALPHANUMERIC);
    // An id has one mark that is not a letter or digit, and that is fine in an address.
    format!("{KEYS_PATH}/{}", id.to_string().replace("%5F", "_"))
}

/// How a key's state reads, and the class that colours it.
fn status(key: &PageKey) -> (&'static str, &'static str) {
    match key.status {
        Status::Active if key.owner_active => ("Active", "good"),
        // The owner or the whole company: the key does not tell which.
        Status::Active => ("Active, but blocked", "warn"),
        ended => (ended.title(), "gone"),
    }
}

/// Whether a key that works has not been used for long; one that never was is as old as it is.
fn is_stale(key: &PageKey, now: Millis) -> bool {
    key.status == Status::Active && now.minus(key.last_used_at.unwrap_or(key.created_at)) >= days(STALE_DAYS)
}

/// In how many days a key that works expires, where that is soon.
fn soon(key: &PageKey, now: Millis) -> Option<String> {
    let left = key.expires_at.filter(|_| key.status == Status::Active)?.minus(now);
    (left <= days(SOON_DAYS)).then(|| match left.as_secs() / 86_400 {
        0 => "within a day".into(),
        1 => "in 1 day".into(),
        count => format!("in {count} days"),
    })
}

/// What a key may do, in short.
fn permissions(key: &PageKey) -> Markup {
    let Some(own) = &key.permissions else { return html! { span.muted { "all of the owner’s" } } };
    let (named, others) = own.split_at(own.len().min(NAMED));
    html! {
        span.stack title=(own.join(", ")) {
            @if own.is_empty() { "none" }
            @for permission in named { code { (breakable(permission)) } }
            @if !others.is_empty() { span.muted { "+" (others.len()) span.hidden-text { " more" } } }
        }
    }
}

/// A permission that is broken at its dots where there is no room for the whole.
fn breakable(permission: &str) -> Markup {
    html! { @for part in permission.split_inclusive('.') { (part) @if part.ends_with('.') { wbr; } } }
}
