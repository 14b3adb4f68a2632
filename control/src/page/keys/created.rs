//! The page that answers the form for a new key where no script sent it.

use keyward_shared::time::Millis;
use maud::{Markup, html};

use super::{File, Frame, Reader, Section, document};
use crate::page::{
    KEYS_PATH, encoded, secret,
    time::{exact, moment},
};

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The key; `None`: the form had been sent before, and then it was shown.
    pub key: Option<String>,
    /// Whose it is, where that is not the reader.
    pub owner: Option<String>,
    /// When it ends, if it does.
    pub expires_at: Option<Millis>,
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
                        p {
                            "“" (made.name) "” works from now on"
                            @match made.expires_at { Some(at) => { ", until " (moment(at, &exact(at), "exact")) "." }, None => ". It does not expire." }
                        }
                    }
                }
                (secret::part(key, &made.edge_url, made.owner.as_deref().unwrap_or(secret::YOU), KEYS_PATH))
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
                "This form was sent before, and it made “" (made.name) "”. A key is shown only once, so it is not here again. Nothing new \
                 was made."
            }
            p {
                "If you did not see it, because the form was sent twice, or did not store it: "
                a href={ (KEYS_PATH) "/" (encoded(&made.id)) "/revoke" } { "revoke it" } " and make a new one."
            }
            p { a href=(KEYS_PATH) { "API Keys" } }
        }
    }
}
