//! The page that answers the form for a new key where no script sent it.

use maud::{Markup, html};

use super::{File, Frame, Reader, Section, document};
use crate::page::{KEYS_PATH, secret};

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// What it is called.
    pub name: String,
    /// The key; `None`: the form had been sent before, and then it was shown.
    pub key: Option<String>,
    /// Where programs send their requests; shown in the example.
    pub edge_url: String,
}

/// The page. It is never kept, so neither reloading nor going back shows the key again.
pub fn created(reader: &Reader, made: &Created) -> String {
    let main = made.key.as_ref().map_or_else(
        || made_already(made),
        |key| {
            html! {
                header.title {
                    div {
                        h1 { "New API key" }
                        p { "“" (made.name) "” works from now on." }
                    }
                }
                (secret::part(key, &made.edge_url, secret::YOU, KEYS_PATH))
            }
        },
    );
    document(
        &Frame { title: "New API key", styles: &[File::SecretStyle], scripts: &[File::Secret], ..Frame::of(reader, Section::Keys) },
        &main,
    )
}

fn made_already(made: &Created) -> Markup {
    html! {
        article.message {
            h1 { "This key was made already" }
            p {
                "You sent this form before, and it made “" (made.name) "”. A key is shown only once, so it is not here again. Nothing new \
                 was made."
            }
            p { "If you did not store it, revoke it in the list and make a new one." }
            p { a href=(KEYS_PATH) { "API Keys" } }
        }
    }
}
