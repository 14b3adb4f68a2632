//! One key: what it is, what it may do, how it was used, and everything that can be done with it.
//!
//! Here: the key as pages read it, and its own page. Its forms are in [`change`], replacing it step by step in [`rotate`], ending it in
//! [`end`]. What the reader may not do is not offered; the API decides anyway.

mod change;
mod details;
mod end;
mod rotate;

use keyward_shared::{
    permission::{OPERATOR, PermissionSet},
    time::Millis,
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    KEYS_PATH, Reader,
    assets::File,
    layout::{Frame, document},
    plot::{Bucket, By, plot},
    reader::Section,
    time::{optional_time, time},
};

pub use change::{Change, Fields};
pub use details::{Asked, Explained, Named, Related, Trail};
pub use end::{DELETED, DeletePage, GonePage, RevokePage, delete_key, key_gone, revoke_key};
pub use rotate::{NewPage, RotatePage, Traffic, key_rotated, rotate_key};

/// A key: the API's key object.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)] // named as in the API
pub struct Key {
    pub id: String,
    pub name: String,
    pub hint: String,
    pub owner: String,
    #[serde(default)]
    pub owner_name: Option<String>,
    pub owner_active: bool,
    pub company: String,
    pub status: Status,
    #[serde(deserialize_with = "time")]
    pub created_at: Millis,
    pub created_by: String,
    pub parent: Option<String>,
    #[serde(deserialize_with = "optional_time")]
    pub expires_at: Option<Millis>,
    #[serde(deserialize_with = "optional_time")]
    pub last_used_at: Option<Millis>,
    pub permissions: Option<PermissionSet>,
    pub effective_permissions: PermissionSet,
    pub allowed_ips: Vec<String>,
    pub rate_limit: Option<String>,
    pub metadata: Map<String, Value>,
    pub manages_keys: bool,
    pub imported: bool,
    #[serde(deserialize_with = "optional_time")]
    pub revoked_at: Option<Millis>,
    pub revoked_by: Option<String>,
    pub revoke_reason: Option<String>,
    pub supersedes: Option<String>,
    pub superseded_by: Option<String>,
    #[serde(deserialize_with = "optional_time")]
    pub superseded_at: Option<Millis>,
    pub propagation: Propagation,
}

/// Whether a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // named as in the API
pub enum Status {
    Active,
    Expired,
    Revoked,
}

/// How far the last change has come.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)] // named as in the API
pub struct Propagation {
    #[serde(deserialize_with = "time")]
    pub committed_at: Millis,
    #[serde(deserialize_with = "optional_time")]
    pub announced_at: Option<Millis>,
    #[serde(deserialize_with = "optional_time")]
    pub expected_by: Option<Millis>,
    #[serde(deserialize_with = "optional_time")]
    pub effective_by: Option<Millis>,
}

impl Key {
    /// Where its page is. Ids need no encoding, but whoever asks for another is not led astray.
    pub fn path(&self) -> String {
        path(&self.id)
    }

    fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// How its state reads, and the class that colours it.
    fn state(&self) -> (&'static str, &'static str) {
        match self.status {
            Status::Active if self.owner_active => ("Active", "good"),
            // The key object says of both together that one of them is not.
            Status::Active => ("Active, owner or company inactive", "warn"),
            Status::Expired => ("Expired", "gone"),
            Status::Revoked => ("Revoked", "gone"),
        }
    }

    fn owner_name(&self) -> &str {
        self.owner_name.as_deref().unwrap_or(&self.owner)
    }
}

/// Where the page of the key `id` is.
fn path(id: &str) -> String {
    format!("{KEYS_PATH}/{}", encoded(id))
}

fn encoded(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}

/// Whether `reader` may change and rotate the key: its owner and the operator may. Whoever sees it may revoke and delete it.
fn may_change(reader: &Reader, key: &Key) -> bool {
    key.company == reader.company && key.owner == reader.owner && reader.may("keyward.keys.own") || reader.may(OPERATOR)
}

/// Why `reader` may not change the key.
fn only_others(reader: &Reader, key: &Key) -> &'static str {
    if key.company == reader.company && key.owner == reader.owner {
        "You may not change it, though it is yours: your account lacks the permission for keys of your own (keyward.keys.own)."
    } else {
        "Only its owner or the operator may change it."
    }
}

/// What a key's own page is made from.
#[derive(Debug)]
pub struct KeyPage {
    /// The key.
    pub key: Key,
    /// What the keys are called that it is related to.
    pub related: Vec<Related>,
    /// Its use; `None`: that cannot be told right now.
    pub buckets: Option<Vec<Bucket>>,
    /// By which the use is shown.
    pub by: By,
    /// What the audit trail says about it.
    pub trail: Trail,
    /// A request that was asked about, and what it would get.
    pub asked: Asked,
    /// What its owner may do; `None`: that cannot be told right now.
    pub grantable: Option<PermissionSet>,
    /// How many days a key of its company may live, where that is limited and known.
    pub longest: Option<u64>,
    /// The form that changes it.
    pub change: Change,
    /// What has just been done.
    pub done: &'static str,
    /// The present.
    pub now: Millis,
}

/// A key's own page.
pub fn key(reader: &Reader, page: &KeyPage) -> String {
    let key = &page.key;
    let main = html! {
        (heading(reader, key))
        (end::propagation(key, page.now))
        (details::details(key, &page.related, page.now))
        (details::permissions(key))
        (usage(page))
        (change::section(reader, page))
        (details::explain(key, &page.asked))
        (details::trail(reader, key, &page.trail))
        (end::revoke_dialog(key))
    };
    let frame = Frame {
        title: &key.name,
        styles: &[File::PlotStyle, File::LogStyle, File::AuditStyle, File::KeyStyle],
        scripts: &[File::Key],
        done: page.done,
        ..Frame::of(reader, Section::Keys)
    };
    document(&frame, &main)
}

fn heading(reader: &Reader, key: &Key) -> Markup {
    let (state, class) = key.state();
    html! {
        header.title {
            div {
                h1.any { (key.name) }
                p { span.badge.(class) { (state) } " " code { (key.hint) } }
            }
            div.buttons {
                @if key.superseded_by.is_some() {
                    a.button href={ (key.path()) "/rotate" } { "Rotation" }
                } @else if key.is_active() && may_change(reader, key) {
                    a.button href={ (key.path()) "/rotate" } { "Rotate" }
                }
                @if key.is_active() {
                    a.button.outline href={ (key.path()) "/revoke" } data-opens="revoke-dialog" { "Revoke" }
                } @else if key.manages_keys {
                    a.button.outline href={ (key.path()) "/revoke" } { "Revoke the keys that it made" }
                }
                a.button.outline href={ (key.path()) "/delete" } { "Delete" }
            }
        }
    }
}

fn usage(page: &KeyPage) -> Markup {
    let shows = |by: By, text: &str| {
        let address = format!("{}?by={}#usage", page.key.path(), by.name());
        html! { a href=(address) aria-current=[(page.by == by).then_some("true")] { (text) } }
    };
    html! {
        section #usage aria-labelledby="usage-title" {
            h2 #usage-title { "Use" }
            p.choices { (shows(By::Day, "Last 30 days")) " " (shows(By::Hour, "Last 48 hours")) }
            @match &page.buckets {
                Some(buckets) => (plot(buckets, page.by)),
                None => p { "The counts cannot be shown right now." },
            }
            @if only_calls_of_ours(page) {
                p.muted { "Only requests to your API are counted. When it was last used says it of calls to this administration’s own API too." }
            }
        }
    }
}

/// Whether nothing is counted though the key was used in that time, or will be so: by calls of the API that the administration has.
fn only_calls_of_ours(page: &KeyPage) -> bool {
    let Some(buckets) = &page.buckets else { return false };
    let used = page.key.last_used_at.is_some_and(|last| last >= page.by.from(page.now));
    page.key.manages_keys || used && buckets.iter().all(|bucket| bucket.allowed == 0 && bucket.refused == 0)
}

/// A page about a key under its own: the frame with the key's page above.
fn under(reader: &Reader, title: &str, key: &Key, done: &str, scripts: &[File], main: &Markup) -> String {
    let (name, path) = (key.name.as_str(), key.path());
    // Those with a script are of a rotation: they show a new key, and how the old one is used.
    let styles: &[File] = if scripts.is_empty() { &[File::KeyStyle] } else { &[File::SecretStyle, File::PlotStyle, File::KeyStyle] };
    document(&Frame { title, above: &[(name, &path)], done, styles, scripts, ..Frame::of(reader, Section::Keys) }, main)
}

#[cfg(test)]
mod tests;
