//! Administration → API Keys: the list ([`list`]) with its search and filters ([`choice`]), the form for a new key ([`create`]) with the page
//! that answers it ([`created`]), and the dialog that ends one ([`ending`]).
//!
//! The server writes times in UTC; the script rewrites them to the reader's zone.

mod choice;
mod create;
mod created;
mod ending;
mod list;
#[cfg(test)]
mod tests;

use keyward_shared::time::Millis;
use maud::{Markup, html};
use serde::Deserialize;

use self::choice::Status;
pub use self::{
    choice::Choice,
    create::{Making, NewKey, new_key},
    created::{Created, created},
};
use super::{
    Bucket, Problems, Reader,
    assets::File,
    layout::{Frame, document},
    reader::Section,
    secret,
    time::{optional_time, time},
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
    /// Its own restriction.
    #[serde(default)]
    permissions: Option<Vec<String>>,
    /// The days with requests.
    #[serde(default)]
    usage: Vec<Bucket>,
}

/// What the page is made from.
#[derive(Clone, Debug)]
pub struct KeysPage {
    /// The keys, in the order that was chosen.
    pub keys: Vec<PageKey>,
    /// Where the list goes on, if it does.
    pub next_cursor: Option<String>,
    /// What of the list is looked at.
    pub choice: Choice,
    /// What is wrong with it.
    pub problems: Problems,
    /// How a new key is made.
    pub making: Making,
    /// Whether one was deleted on the page before.
    pub deleted: bool,
    /// The present, for "2 hours ago".
    pub now: Millis,
}

/// The page of API keys.
pub fn keys(reader: &Reader, page: &KeysPage) -> String {
    let makes = reader.makes_keys();
    let main = html! {
        header.title {
            div {
                h1 { "API Keys" }
                p {
                    @if reader.elsewhere.is_none() { "A key lets a program work in your name. It can do what you can do, and nothing more." }
                    @else { "A key lets a program work in its owner’s name. It can do what its owner can do, and nothing more." }
                }
            }
            // A button that leads to the page with the form; the script opens the same form over the list instead.
            @if makes {
                form.plain action=(create::PATH) method="get" {
                    button #new-key-button type="submit" { "New API Key" }
                }
            }
        }
        (list::section(reader, page))
        @if makes {
            (create::over_the_list(reader, &page.making))
            (secret::dialog(&page.making.edge_url, create::acts_as(reader)))
        }
        (ending::revoke())
    };
    let scripts: &[File] = if makes { &[File::NewKey, File::Keys] } else { &[File::Keys] };
    let done = if page.deleted { "The key was deleted. It stops working everywhere within a few minutes." } else { "" };
    let styles: &[File] = &[File::SecretStyle, File::PlotStyle, File::KeysStyle];
    document(&Frame { styles, scripts, done, ..Frame::of(reader, Section::Keys) }, &main)
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
