//! Administration → API Keys: the list, and the dialogs that the script opens over it.
//!
//! The server writes times in UTC; the script rewrites them to the reader's zone. Nothing here holds a key:
//! the API gives a new one to the script, which shows it once.

use jiff::Timestamp;
use keyward_shared::time::Millis;
use maud::{Markup, html};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    KEYS_PATH,
    layout::{SignedIn, document},
};

/// A key as the list shows it: the part of the API's key object that it needs.
#[derive(Clone, Debug, Deserialize)]
pub struct PageKey {
    id: String,
    name: String,
    hint: String,
    owner: String,
    #[serde(default)]
    owner_name: Option<String>,
    owner_active: bool,
    status: Status,
    #[serde(deserialize_with = "time")]
    created_at: Millis,
    #[serde(default, deserialize_with = "optional_time")]
    expires_at: Option<Millis>,
    #[serde(default, deserialize_with = "optional_time")]
    last_used_at: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Active,
    Expired,
    Revoked,
}

/// What the page is made from.
#[derive(Clone, Debug)]
pub struct KeysPage {
    /// The signed-in person's name.
    pub owner: String,
    /// Their company's name.
    pub company: String,
    /// The keys, newest first.
    pub keys: Vec<PageKey>,
    /// Where the list goes on, if it does.
    pub next_cursor: Option<String>,
    /// Where programs send their requests; shown in the example.
    pub edge_url: String,
    /// Whether the list holds everyone's keys, so that it must say whose each is.
    pub can_see_everyone: bool,
    /// The present, for "2 hours ago".
    pub now: Millis,
}

/// The page of API keys.
pub fn keys(page: &KeysPage) -> String {
    let who = SignedIn { owner: &page.owner, company: &page.company };
    let main = html! {
        nav aria-label="Breadcrumb" {
            ul { li { "Administration" } li aria-current="page" { "API Keys" } }
        }
        header.title {
            div {
                h1 { "API Keys" }
                p { "A key lets a program work in your name. It can do what you can do, and nothing more." }
            }
            button #new-key-button type="button" { "New API Key" }
        }
        noscript { p { "Creating, revoking and deleting keys needs JavaScript." } }
        p #status role="status" {}
        (list(page))
        (create_dialog())
        (created_dialog(&page.edge_url))
        (revoke_dialog())
        (delete_dialog())
    };
    document("API Keys", Some(&who), &main)
}

fn list(page: &KeysPage) -> Markup {
    html! {
        section #keys aria-label="Your keys" {
            @if page.keys.is_empty() {
                article.empty {
                    h2 { "No keys yet" }
                    p {
                        "Make a key for each program that should reach the API without a person signing in: a nightly \
                         synchronisation with another system, a dashboard, a scheduled job. With one key per program you \
                         can turn any of them off without touching the others."
                    }
                }
            } @else {
                table role="table" {
                    thead role="rowgroup" {
                        tr role="row" {
                            th scope="col" role="columnheader" { "Name" }
                            th scope="col" role="columnheader" { "Key" }
                            @if page.can_see_everyone { th scope="col" role="columnheader" { "Owner" } }
                            @for title in ["Status", "Last used", "Created", "Expires"] {
                                th scope="col" role="columnheader" { (title) }
                            }
                            th scope="col" role="columnheader" { span.hidden-text { "Actions" } }
                        }
                    }
                    tbody role="rowgroup" { @for key in &page.keys { (row(page, key)) } }
                }
            }
            @if let Some(cursor) = &page.next_cursor {
                p { a rel="next" href=(older(cursor)) { "Older" } }
            }
        }
    }
}

fn row(page: &KeysPage, key: &PageKey) -> Markup {
    let (status, class) = status(key);
    html! {
        tr role="row" data-key-id=(key.id) data-name=(key.name) {
            th.name scope="row" role="rowheader" { (key.name) }
            td role="cell" data-label="Key" { code { (key.hint) } }
            @if page.can_see_everyone {
                td role="cell" data-label="Owner" { (key.owner_name.as_deref().unwrap_or(&key.owner)) }
            }
            td role="cell" data-label="Status" { span.badge.(class) { (status) } }
            td role="cell" data-label="Last used" {
                @match key.last_used_at {
                    Some(at) => (moment(at, &relative(at, page.now), "relative")),
                    None => "never",
                }
            }
            td role="cell" data-label="Created" { (moment(key.created_at, &exact(key.created_at), "exact")) }
            td role="cell" data-label="Expires" {
                @match key.expires_at {
                    Some(at) => (moment(at, &exact(at), "exact")),
                    None => "never",
                }
            }
            td.actions role="cell" {
                @if key.status == Status::Active {
                    button.small type="button" data-action="revoke" aria-label={ "Revoke " (key.name) } { "Revoke" }
                }
                button.small.secondary.outline type="button" data-action="delete" aria-label={ "Delete " (key.name) } { "Delete" }
            }
        }
    }
}

/// How a key's state reads, and the class that colours it.
fn status(key: &PageKey) -> (&'static str, &'static str) {
    match key.status {
        Status::Active if key.owner_active => ("Active", "good"),
        Status::Active => ("Active, owner inactive", "warn"),
        Status::Expired => ("Expired", "gone"),
        Status::Revoked => ("Revoked", "gone"),
    }
}

fn older(cursor: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("cursor", cursor).finish();
    format!("{KEYS_PATH}?{query}")
}

/// A time that the script can rewrite: `show` says how ("exact", or "relative": only the title).
fn moment(at: Millis, text: &str, show: &str) -> Markup {
    html! { time datetime=(stamp(at)) title=(exact(at)) data-show=(show) { (text) } }
}

fn timestamp(at: Millis) -> Timestamp {
    i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

fn stamp(at: Millis) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn exact(at: Millis) -> String {
    timestamp(at).strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// How long ago, in the largest whole unit.
fn relative(at: Millis, now: Millis) -> String {
    const UNITS: [(u64, &str); 5] = [(365 * 86_400, "year"), (30 * 86_400, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute")];
    let seconds = now.minus(at).as_secs();
    UNITS.into_iter().find(|(length, _)| seconds >= *length).map_or_else(
        || "just now".to_owned(),
        |(length, unit)| match seconds / length {
            1 => format!("1 {unit} ago"),
            count => format!("{count} {unit}s ago"),
        },
    )
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| D::Error::custom("not a time"))
}

fn optional_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Millis>, D::Error> {
    Option::<String>::deserialize(from)?.map(|text| parse(&text).ok_or_else(|| D::Error::custom("not a time"))).transpose()
}

fn parse(text: &str) -> Option<Millis> {
    let at: Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok().map(Millis)
}

/// A dialog's head, body and buttons. The script fills `[role=alert]` when something is refused.
fn dialog(id: &str, title: &str, body: &Markup, buttons: &Markup) -> Markup {
    let heading = format!("{id}-title");
    html! {
        dialog id=(id) aria-labelledby=(heading) {
            article {
                header { h2 id=(heading) { (title) } }
                (body)
                div.alert role="alert" id={ (id) "-alert" } {}
                footer { (buttons) }
            }
        }
    }
}

fn cancel() -> Markup {
    html! { button.secondary.outline type="button" data-close { "Cancel" } }
}

fn create_dialog() -> Markup {
    let body = html! {
        form #create-form method="dialog" autocomplete="off" {
            label for="create-name" { "Name" }
            input #create-name type="text" name="name" required maxlength="100" placeholder="ERP nightly sync"
                aria-describedby="create-name-help create-dialog-alert";
            small #create-name-help { "What the key is for, so that others recognise it later." }
            label for="create-expires" { "Expires (optional)" }
            input #create-expires type="date" name="expires" aria-describedby="create-expires-help create-dialog-alert";
            small #create-expires-help { "The key works until the end of this day in your time zone. Leave empty for no expiry." }
        }
    };
    let buttons = html! {
        (cancel())
        button type="submit" form="create-form" { "Create" }
    };
    dialog("create-dialog", "New API Key", &body, &buttons)
}

/// Shows the new key, once. `closedby="none"`: neither Escape nor a click outside may lose it.
fn created_dialog(edge_url: &str) -> Markup {
    let example = format!("curl -H \"x-api-key: $KEYWARD_KEY\" {}/", edge_url.trim_end_matches('/'));
    html! {
        dialog #created-dialog aria-labelledby="created-dialog-title" aria-describedby="created-once" closedby="none" {
            article {
                header { h2 #created-dialog-title { "Your new key" } }
                p #created-once { strong { "Store it now: it will not be shown again." } }
                div.new-key {
                    code #new-key tabindex="0" role="textbox" aria-readonly="true" aria-label="The new key" {}
                    button #copy-key type="button" { "Copy" }
                }
                p #copy-status role="status" {}
                ul {
                    li { "Whoever has this key acts as you, with everything you may do." }
                    li { "Keep it in a secrets manager or a password vault." }
                    li { "Never put it into mail, chat, shared documents or source code." }
                    li { "If you lose it, nobody can bring it back: revoke it and make a new one." }
                }
                p { "To try it, with the key in the variable " code { "KEYWARD_KEY" } ":" }
                pre tabindex="0" { code { (example) } }
                footer { button #stored-key type="button" { "I have stored it" } }
            }
        }
    }
}

fn revoke_dialog() -> Markup {
    let body = html! {
        p { "Revoke " strong data-slot="name" {} "?" }
        p {
            "Within a few minutes the key stops working everywhere. This cannot be undone. Its record stays in this list, \
             with its usage and its last use."
        }
    };
    let buttons = html! {
        (cancel())
        button type="button" data-confirm { "Revoke key" }
    };
    dialog("revoke-dialog", "Revoke this key?", &body, &buttons)
}

fn delete_dialog() -> Markup {
    let body = html! {
        p { "Delete " strong data-slot="name" {} "?" }
        p {
            "Its row, its usage and its last use are gone for good; only the audit trail remembers that there was such a key. \
             If it still works, it stops working within a few minutes."
        }
        p { "To turn a key off and keep its record, revoke it instead." }
    };
    let buttons = html! {
        (cancel())
        button.danger type="button" data-confirm { "Delete key" }
    };
    dialog("delete-dialog", "Delete this key?", &body, &buttons)
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
