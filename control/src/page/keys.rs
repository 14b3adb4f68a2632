//! Administration → API Keys: the list, and the dialogs that the script opens over it.
//!
//! The server writes times in UTC; the script rewrites them to the reader's zone. Nothing here holds a key:
//! the API gives a new one to the script, which shows it once.

use keyward_shared::time::Millis;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    KEYS_PATH, Reader,
    assets::File,
    layout::{Frame, document},
    reader::Section,
    time::{exact, moment, optional_time, relative, time},
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
    /// The keys, newest first.
    pub keys: Vec<PageKey>,
    /// Where the list goes on, if it does.
    pub next_cursor: Option<String>,
    /// Where programs send their requests; shown in the example.
    pub edge_url: String,
    /// The present, for "2 hours ago".
    pub now: Millis,
}

/// The page of API keys.
pub fn keys(reader: &Reader, page: &KeysPage) -> String {
    // Who may see everyone's keys is told whose each is.
    let everyones = reader.may("keyward.keys");
    let main = html! {
        header.title {
            div {
                h1 { "API Keys" }
                p { "A key lets a program work in your name. It can do what you can do, and nothing more." }
            }
            button #new-key-button type="button" { "New API Key" }
        }
        noscript { p { "Creating, revoking and deleting keys needs JavaScript." } }
        (list(page, everyones))
        (create_dialog())
        (created_dialog(&page.edge_url))
        (revoke_dialog())
        (delete_dialog())
    };
    document(&Frame { scripts: &[File::Keys], ..Frame::of(reader, Section::Keys) }, &main)
}

fn list(page: &KeysPage, everyones: bool) -> Markup {
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
                            @if everyones { th scope="col" role="columnheader" { "Owner" } }
                            @for title in ["Status", "Last used", "Created", "Expires"] {
                                th scope="col" role="columnheader" { (title) }
                            }
                            th scope="col" role="columnheader" { span.hidden-text { "Actions" } }
                        }
                    }
                    tbody role="rowgroup" { @for key in &page.keys { (row(page, key, everyones)) } }
                }
            }
            @if let Some(cursor) = &page.next_cursor {
                p { a rel="next" href=(older(cursor)) { "Older" } }
            }
        }
    }
}

fn row(page: &KeysPage, key: &PageKey, everyones: bool) -> Markup {
    let (status, class) = status(key);
    html! {
        tr role="row" data-key-id=(key.id) data-name=(key.name) {
            th.name scope="row" role="rowheader" { (key.name) }
            td role="cell" data-label="Key" { code { (key.hint) } }
            @if everyones {
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
