//! Replacing a key without a break: a successor is made, copied into the integration, the old key's use falls, the old key is revoked.
//!
//! Where somebody is on this way is not kept anywhere: it follows from the two keys and their use, so coming back later goes on there.

use keyward_shared::time::Millis;
use maud::{Markup, html};

use super::{
    Key, Status,
    details::{Named, Related, link, revoked},
    end::propagation,
    may_change, only_others, under,
};
use crate::page::{
    Reader,
    assets::File,
    form::{Problems, field, problems},
    plot::{Bucket, By, number, plot},
    secret::{self, Drawing},
    time::{exact, moment, relative, second},
};

/// What the way is made from.
#[derive(Debug)]
pub struct RotatePage {
    /// The key that is replaced.
    pub key: Key,
    /// Its successor, where it has one that is still there.
    pub successor: Option<Key>,
    /// How the old key was used since; `None`: it has no successor, or that cannot be told right now.
    pub traffic: Option<Traffic>,
    /// The successor's name as it was typed.
    pub name: String,
    /// How long both work as it was chosen: `keep`, `day`, `week` or `now`.
    pub overlap: String,
    /// When the successor ends as it was chosen: empty (as is said there), `never`, or a number of days.
    pub life: String,
    /// When the form was made, from which days are reckoned.
    pub at: Millis,
    /// How many days a key of its company may live, where that is limited and known.
    pub longest: Option<u64>,
    /// What no other form has: sent twice, it has one effect.
    pub form_id: String,
    /// Where programs send their requests.
    pub edge_url: String,
    /// What draws a key in the browser, where there is that.
    pub drawing: Option<Drawing>,
    /// What is wrong.
    pub problems: Problems,
    /// What has just been done.
    pub done: &'static str,
    /// The present.
    pub now: Millis,
}

/// Use of the old key.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// From when on it is counted: the hour, or day, in which the successor was made.
    pub since: Millis,
    /// Requests since then.
    pub allowed: u64,
    /// Of those that were refused.
    pub refused: u64,
    /// The last two days.
    pub hours: Vec<Bucket>,
}

const OVERLAPS: [(&str, &str); 4] = [
    ("keep", "Keep both until I revoke the old one"),
    ("day", "The old one ends after 1 day"),
    ("week", "The old one ends after 7 days"),
    ("now", "The old one is revoked now, and stops within minutes"),
];

/// Lives of a successor in days, as for a new key.
const LIVES: [u64; 3] = [30, 90, 365];

/// The way, at the step that has been reached.
pub fn rotate_key(reader: &Reader, page: &RotatePage) -> String {
    let key = &page.key;
    let main = html! {
        h1.any { "Rotate “" (key.name) "”" }
        (problems(&page.problems, &["name", "expires_at"]))
        @if is_lost(page) {
            (lost(reader, page))
        } @else if key.superseded_by.is_some() {
            (steps(reader, page))
        } @else if !key.is_active() {
            p { @match key.status { Status::Revoked => (revoked(key)), _ => "The key has expired." } }
            p { "A key that does not work any more cannot be replaced. Make a new one in the list." }
        } @else if !may_change(reader, key) {
            p { "You may not rotate this key. " (only_others(reader, key)) " You may revoke or delete it." }
        } @else {
            (begin(page))
        }
        p { a href=(key.path()) { "Back to the key" } }
        (secret::dialog(&page.edge_url, acts_as(reader, key)))
    };
    under(reader, "Rotate", key, page.done, &[File::Rotate, File::Key], &main)
}

/// Whether the key works, and has had a successor that works no more: then another can be made.
fn is_lost(page: &RotatePage) -> bool {
    page.key.superseded_by.is_some() && page.key.is_active() && page.successor.as_ref().is_none_or(|new| !new.is_active())
}

fn lost(reader: &Reader, page: &RotatePage) -> Markup {
    let key = &page.key;
    html! {
        section aria-labelledby="lost-title" {
            h2 #lost-title { "The successor does not work any more: make another one" }
            p {
                (successor_link(page)) ": "
                @match &page.successor {
                    None => "it is not there any more.",
                    Some(new) if new.status == Status::Revoked => (revoked(new)),
                    Some(_) => "it expired.",
                }
            }
            @if let Some(new) = page.successor.as_ref().filter(|new| new.superseded_by.is_some()) {
                p { "It has a successor of its own: " a href={ (new.path()) "/rotate" } { "see its rotation" } "." }
            }
            p {
                "The old key still works"
                @if let Some(at) = key.expires_at { ", until " (moment(at, &exact(at), "exact")) }
                ". To turn it off without another one, " a href={ (key.path()) "/revoke" } { "revoke it" } "."
            }
            @if may_change(reader, key) { (form(page)) } @else { p { "You may not make one. " (only_others(reader, key)) } }
        }
    }
}

fn successor_link(page: &RotatePage) -> Markup {
    let related = |key: &Key| Related { id: key.id.clone(), name: Named::Known(key.name.clone()) };
    let names: Vec<_> = page.successor.iter().map(related).collect();
    link(page.key.superseded_by.as_deref().unwrap_or_default(), &names)
}

fn begin(page: &RotatePage) -> Markup {
    html! {
        p { "Replacing a key from time to time limits what a lost copy is worth. Nothing has to stand still meanwhile:" }
        ol {
            li { "You make a successor. It may do the same, from the same networks; when it ends you choose below." }
            li { "You copy it into the program that uses the old key." }
            li { "You watch here how the old key's requests end." }
            li { "You revoke the old key." }
        }
        (form(page))
    }
}

fn form(page: &RotatePage) -> Markup {
    let key = &page.key;
    let drawing = page.drawing.as_ref();
    html! {
        @if !key.owner_active { p.alert { "Its owner or company is not active: a successor can be made when they are again." } }
        form #rotate-form method="post" action={ (key.path()) "/rotate" } autocomplete="off" data-key-id=(key.id)
            data-script=[drawing.map(|files| &files.script)] data-wasm=[drawing.map(|files| &files.wasm)] {
            input type="hidden" name="step" value="make";
            input type="hidden" name="form" value=(page.form_id);
            input type="hidden" name="at" value=(page.at.as_secs());
            (field("rotate-name", "Name of the successor", "It may have the same name: the old one will be revoked.", page.problems.of("name"), |marks| html! {
                input id=(marks.id) type="text" name="name" value=(page.name) required maxlength="100"
                    aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
            }))
            (life(page))
            fieldset {
                legend { "The old key" }
                @for (value, text) in OVERLAPS {
                    label { input type="radio" name="overlap" value=(value) checked[page.overlap == value]; (text) }
                }
            }
            (secret::birth("rotate-birth"))
            button type="submit" { "Make the successor" }
            div.alert role="alert" {}
        }
    }
}

/// When the successor ends. What is not offered is what the company does not allow.
fn life(page: &RotatePage) -> Markup {
    let latest = page.longest.map(|days| page.at.plus(Millis::from_secs(days.saturating_mul(86_400))));
    // As the API has it where nothing is asked for.
    let (inherited, whose) = match &page.successor {
        Some(earlier) if earlier.expires_at.is_none_or(|at| at > page.now) => (earlier.expires_at, "As the successor before"),
        _ => (page.key.expires_at, "As the old key"),
    };
    let same = match (inherited, latest) {
        (None, None) => format!("{whose}: never"),
        (Some(at), None) => format!("{whose}: {}", exact(at)),
        (Some(at), Some(latest)) if at <= latest => format!("{whose}: {}", exact(at)),
        (_, Some(latest)) => format!("As late as the company allows: {}", exact(latest)),
    };
    let never = (inherited.is_some() && latest.is_none()).then(|| ("never".to_owned(), "Never".to_owned()));
    let days = LIVES.into_iter().filter(|days| page.longest.is_none_or(|longest| *days <= longest));
    let days = days.map(|days| (days.to_string(), format!("In {days} days")));
    let offered: Vec<_> = [(String::new(), same)].into_iter().chain(never).chain(days).collect();
    let help = page.longest.map_or_else(
        || "With an end, a forgotten key stops by itself.".to_owned(),
        |days| format!("With an end, a forgotten key stops by itself. The company lets a key live for {days} days at most."),
    );
    field("rotate-life", "The successor expires", &help, page.problems.of("expires_at"), |marks| {
        html! {
            select id=(marks.id) name="life" aria-describedby=(marks.described_by) aria-invalid=[marks.invalid] {
                @for (value, text) in &offered { option value=(value) selected[page.life == *value] { (text) } }
            }
        }
    })
}

fn steps(reader: &Reader, page: &RotatePage) -> Markup {
    let key = &page.key;
    let copied = page.successor.as_ref().is_some_and(|new| new.last_used_at.is_some());
    let over = !key.is_active();
    // Never more than quiet before it is over: a program may run once a month.
    let ended = if over { Some("done") } else { is_quiet(page).then_some("quiet") };
    html! {
        ol.steps #progress data-live[!over] {
            (step(Some("done"), "The successor is made", &html! {
                p {
                    (successor_link(page))
                    @if let Some(at) = key.superseded_at { ", " (moment(at, &exact(at), "exact")) }
                }
                @if let Some(new) = page.successor.as_ref().filter(|new| !new.is_active()) {
                    p.alert { "The successor does not work any more: " @if new.status == Status::Revoked { (revoked(new)) } @else { "it expired." } }
                }
            }))
            (step(copied.then_some("done"), "Copied into the integration", &html! {
                @match page.successor.as_ref().map(|new| new.last_used_at) {
                    Some(Some(at)) => p { "The new key is in use: last request " (ago(at, page.now)) "." },
                    Some(None) => p { "The new key has not been used yet. Put it where the program has the old one, and let it run." },
                    None => p { "There is nothing to see: the successor is gone." },
                }
            }))
            (step(ended, "The old key’s requests end", &traffic(page)))
            (step(over.then_some("done"), "The old key is revoked", &html! { @if over { p { @if key.status == Status::Revoked { (revoked(key)) } @else { "It expired." } } } @else { p { "Not yet." } } }))
        }
        @if over { (propagation(key, page.now)) } @else { (revoke(reader, page)) }
    }
}

/// A step; `reached` says how far it is in a word, where something is.
fn step(reached: Option<&str>, title: &str, body: &Markup) -> Markup {
    html! {
        li.reached[reached.is_some()] {
            h2 { (title) @if let Some(word) = reached { " " span.badge.good { (word) } } }
            (body)
        }
    }
}

fn ago(at: Millis, now: Millis) -> Markup {
    html! { "at " (moment(at, &second(at), "second")) " (" (relative(at, now)) ")" }
}

/// Whether the old key was used after its successor was made.
fn used_since(key: &Key) -> bool {
    key.last_used_at.is_some_and(|last| key.superseded_at.is_some_and(|at| last > at))
}

/// Whether the new key was used after the old one.
fn is_quiet(page: &RotatePage) -> bool {
    let new = page.successor.as_ref().and_then(|new| new.last_used_at);
    new.is_some_and(|new| page.key.last_used_at.is_none_or(|old| old < new))
}

/// The old key's use since. The numbers are by the hour, as the counts are; the time of the last request is exact.
fn traffic(page: &RotatePage) -> Markup {
    let key = &page.key;
    html! {
        @match key.last_used_at {
            Some(last) if used_since(key) => p #old-use { "The old key was used since: last request " (ago(last, page.now)) "." },
            Some(last) => p #old-use { "The old key was not used since. Its last request was " (ago(last, page.now)) "." },
            None => p #old-use { "The old key was never used." },
        }
        @match &page.traffic {
            Some(traffic) => {
                p {
                    @let all = traffic.allowed.saturating_add(traffic.refused);
                    strong #old-count { (number(all)) }
                    @if all == 1 { " request" } @else { " requests" }
                    " with the old key since " (moment(traffic.since, &exact(traffic.since), "exact"))
                    ", the beginning of the hour or day in which its successor was made"
                    @match traffic.refused { 0 => "", 1 => "; 1 was refused", refused => { "; " (number(refused)) " were refused" } } "."
                }
                (plot(&traffic.hours, By::Hour))
            }
            None => p { "The counts cannot be shown right now." },
        }
        p.muted {
            "What edges count arrives here within about half a minute. "
            "Wait for at least one whole round of the program: a nightly job needs a night."
        }
        @if key.is_active() { p { a href={ (key.path()) "/rotate" } { "Look again" } span.by-script { " (this page looks every 10 seconds)" } } }
    }
}

fn revoke(reader: &Reader, page: &RotatePage) -> Markup {
    let key = &page.key;
    html! {
        section aria-labelledby="finish-title" {
            h2 #finish-title { "Revoke the old key" }
            @if let Some(at) = key.expires_at { p { "By itself it ends " (moment(at, &exact(at), "exact")) "." } }
            p { "Do this when everything runs with the new key. Whatever still sends the old one is refused within a few minutes." }
            form method="post" action={ (key.path()) "/rotate" } {
                input type="hidden" name="step" value="revoke";
                label {
                    input type="checkbox" name="sure" required;
                    "I have seen that the program works with the new key"
                }
                button type="submit" { "Revoke the old key" }
            }
            @if !may_change(reader, key) { p.muted { "You see this key because you may see and revoke everyone’s." } }
        }
    }
}

/// Whom the new key acts as, in the words of its dialog.
fn acts_as<'a>(reader: &Reader, key: &'a Key) -> &'a str {
    if key.company == reader.company && key.owner == reader.owner { secret::YOU } else { key.owner_name() }
}

/// A successor that was just made, for browsers without a script.
#[derive(Debug)]
pub struct NewPage {
    /// The key that is replaced.
    pub key: Key,
    /// The new key itself; `None`: it was shown before, and nothing kept it.
    pub secret: Option<String>,
    /// Where programs send their requests.
    pub edge_url: String,
}

/// Shows the new key, once.
pub fn key_rotated(reader: &Reader, page: &NewPage) -> String {
    let on = format!("{}/rotate", page.key.path());
    let main = html! {
        h1.any { "Rotate “" (page.key.name) "”" }
        @match &page.secret {
            Some(secret) => (secret::part(secret, &page.edge_url, acts_as(reader, &page.key), &on)),
            None => {
                div.alert role="alert" {
                    p { "This form was sent before, so the successor is made already. Its key was in the answer then, and cannot be shown again." }
                    p { "If nobody stored it, revoke the successor and rotate this key again: that makes another one." }
                }
                p { a href=(on) { "Go on with the rotation" } }
            }
        }
    };
    under(reader, "New key", &page.key, "", &[File::Secret], &main)
}
