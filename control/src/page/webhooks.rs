//! Administration → Webhooks: the list, the form of a new one and of one that is there, the secret, once, and deleting.
//!
//! A webhook's own page, with what became of its messages, is [`super::webhook`]'s business.

use keyward_shared::time::Millis;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    Reader,
    assets::File,
    form::{Problems, field, problems},
    layout::{Frame, document},
    reader::Section,
    time::{exact, moment, time},
};

/// Where the webhooks are.
pub const WEBHOOKS_PATH: &str = "/admin/webhooks";
/// Where a new one is made.
const NEW_WEBHOOK_PATH: &str = "/admin/webhooks/new";

/// What a webhook can hear of: its name in the API, what it is called, and what it means.
pub(super) const EVENTS: [(&str, &str, &str); 8] = [
    ("key.created", "Key created", "Somebody made a key, or keys of another system were taken over."),
    ("key.expiring", "Key expires soon", "14 days, 7 days and 1 day before a key stops working."),
    ("key.expired", "Key expired", "A key has reached its expiry and stopped working."),
    ("key.revoked", "Key revoked", "A key was switched off for good, by whomever."),
    ("key.rotated", "Key rotated", "A key was given a successor."),
    ("key.leaked", "Key leaked", "A key was found where it should not be, for example in public source code."),
    ("key.unused", "Key unused", "Nobody has used a key for 90 days."),
    ("owner.deactivated", "Person deactivated", "A person may no longer act, or was removed: none of their keys works."),
];

/// A webhook as the API tells of it.
#[derive(Clone, Debug, Deserialize)]
pub struct PageWebhook {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) events: Option<Vec<String>>,
    pub(super) name: Option<String>,
    pub(super) active: bool,
    pub(super) disabled_reason: Option<String>,
    #[serde(deserialize_with = "time")]
    pub(super) created_at: Millis,
    pub(super) created_by: String,
}

impl PageWebhook {
    /// What people call it; where it has no name, where it leads.
    pub(super) fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.url)
    }

    pub(super) fn path(&self) -> String {
        format!("{WEBHOOKS_PATH}/{}", super::encoded(&self.id))
    }

    pub(super) fn badge(&self) -> Markup {
        html! {
            @if self.active { span.badge.good { "Active" } }
            @else if self.disabled_reason.is_some() { span.badge.bad { "Switched off" } }
            @else { span.badge.gone { "Paused" } }
        }
    }
}

/// What an event is called.
pub(super) fn event_title(name: &str) -> &str {
    EVENTS.iter().find(|(known, ..)| *known == name).map_or(name, |(_, title, _)| title)
}

/// A webhook as it is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookForm {
    /// What people call it.
    pub name: String,
    /// Where it leads.
    pub url: String,
    /// Whether it hears of everything, also of what comes with later versions.
    pub all: bool,
    /// What it hears of otherwise.
    pub events: Vec<String>,
}

impl From<&PageWebhook> for WebhookForm {
    fn from(webhook: &PageWebhook) -> Self {
        Self {
            name: webhook.name.clone().unwrap_or_default(),
            url: webhook.url.clone(),
            all: webhook.events.is_none(),
            events: webhook.events.clone().unwrap_or_default(),
        }
    }
}

/// The fields of a webhook. `id`s on the page begin with `webhook`.
pub(super) fn fields(form: &WebhookForm, wrong: &Problems) -> Markup {
    html! {
        (problems(wrong, &["name", "url", "events"]))
        (field("webhook-name", "Name (optional)", "What it is for, so that others recognise it later.", wrong.of("name"), |marks| html! {
            input type="text" id=(marks.id) name="name" value=(form.name) maxlength="100" autocomplete="off" placeholder="Alerts to the operations chat"
                aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
        }))
        (field(
            "webhook-url",
            "Address",
            "Where messages are sent: a program of yours that can be reached from the Internet. It begins with https://.",
            wrong.of("url"),
            |marks| html! {
                input type="url" id=(marks.id) name="url" value=(form.url) maxlength="2000" required autocomplete="off" inputmode="url"
                    placeholder="https://hooks.example.com/keyward" aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
            },
        ))
        fieldset.events aria-describedby=[wrong.of("events").map(|_| "webhook-events-problem")] {
            legend { "What it hears of" }
            label for="webhook-all" {
                input #webhook-all type="checkbox" name="all" value="1" checked[form.all] aria-describedby="webhook-all-help";
                "Everything"
            }
            small #webhook-all-help { "Also what comes with later versions. The choice below does not count then." }
            @for (name, title, help) in EVENTS {
                @let id = format!("webhook-{}", name.replace('.', "-"));
                label for=(id) {
                    input id=(id) type="checkbox" name="events" value=(name) checked[form.events.iter().any(|chosen| chosen == name)]
                        aria-describedby={ (id) "-help" };
                    (title)
                }
                small id={ (id) "-help" } { (help) }
            }
            @if let Some(problem) = wrong.of("events") { small.problem #webhook-events-problem { (problem) } }
        }
    }
}

/// The list.
pub fn webhooks(reader: &Reader, hooks: &[PageWebhook], done: &str) -> String {
    let main = html! {
        header.title {
            div {
                h1 { "Webhooks" }
                p { "A webhook tells a program of yours what happens to " @if reader.elsewhere.is_some() { "this" } @else { "your" } " company’s keys, as soon as it happens." }
            }
            a.button href=(NEW_WEBHOOK_PATH) { "New webhook" }
        }
        @if hooks.is_empty() {
            article.empty {
                h2 { "No webhooks yet" }
                p {
                    "With a webhook nobody has to look here again and again: a message goes out when a key is about to expire, when it was \
                     revoked, when it was found where it should not be."
                }
            }
        } @else {
            ul.log aria-label="Webhooks" {
                @for webhook in hooks {
                    li {
                        p.what { a href=(webhook.path()) { strong { (webhook.title()) } } " " (webhook.badge()) }
                        @if webhook.name.is_some() { p.meta { (webhook.url) } }
                        @if let Some(reason) = &webhook.disabled_reason { p.meta { "Switched off: " (reason) "." } }
                        p.meta { "Hears of " (heard(webhook)) " · created " (moment(webhook.created_at, &exact(webhook.created_at), "exact")) }
                    }
                }
            }
        }
    };
    document(&Frame { styles: &[File::LogStyle], done, ..Frame::of(reader, Section::Webhooks) }, &main)
}

impl WebhookForm {
    /// What it is to hear of, in a line.
    pub fn heard(&self) -> String {
        heard_of((!self.all).then_some(&self.events[..]))
    }
}

/// What it hears of, in a line.
pub(super) fn heard(webhook: &PageWebhook) -> String {
    heard_of(webhook.events.as_deref())
}

fn heard_of(events: Option<&[String]>) -> String {
    match events {
        None => "everything".into(),
        Some([]) => "nothing".into(),
        Some(events) => events.iter().map(|event| event_title(event).to_lowercase()).collect::<Vec<_>>().join(", "),
    }
}

/// The form of a new one. `form_id`: sent twice, it makes one webhook.
pub fn new_webhook(reader: &Reader, form: &WebhookForm, wrong: &Problems, form_id: &str) -> String {
    let main = html! {
        header.title { div { h1 { "New webhook" } } }
        form.narrow method="post" action=(NEW_WEBHOOK_PATH) novalidate {
            input type="hidden" name="form" value=(form_id);
            (fields(form, wrong))
            div.buttons {
                button type="submit" { "Create webhook" }
                a href=(WEBHOOKS_PATH) { "Cancel" }
            }
        }
    };
    document(&Frame { title: "New webhook", styles: &[File::WebhooksStyle], ..Frame::of(reader, Section::Webhooks) }, &main)
}

/// What is said once a webhook was made. `secret`: what its messages are signed with, shown this once; `None` where the same form
/// was sent again, and it was shown before.
pub fn webhook_created(reader: &Reader, webhook: &PageWebhook, secret: Option<&str>) -> String {
    let path = webhook.path();
    let main = html! {
        header.title { div { h1 { "The webhook was created" } } }
        article.narrow {
            @if let Some(secret) = secret {
                p #secret-once { strong { "Store this secret now: it will not be shown again." } }
                div.new-key {
                    code #new-secret tabindex="0" role="textbox" aria-readonly="true" aria-label="The webhook’s secret" { (secret) }
                    button #copy-secret type="button" hidden { "Copy" }
                }
                p #copy-status role="status" {}
                ul {
                    li { "With it your program can tell that a message really is from Keyward, and was not changed on its way." }
                    li { "Keep it in a secrets manager or a password vault; never in mail, chat or source code." }
                    li { "If you lose it, delete the webhook and create a new one." }
                }
            } @else {
                p { strong { "Its secret was shown before and cannot be shown again." } }
                p { "If you did not store it, delete the webhook and create a new one." }
            }
            p {
                "Messages follow the “Standard Webhooks” rules: ready-made libraries for most programming languages check them with this secret."
            }
            p { a.button href=(path) { @if secret.is_some() { "I have stored it" } @else { "To the webhook" } } }
        }
    };
    let frame = Frame {
        title: "The webhook was created",
        styles: &[File::SecretStyle],
        scripts: &[File::Webhooks],
        ..Frame::of(reader, Section::Webhooks)
    };
    document(&frame, &main)
}

/// The question before a webhook is deleted.
pub fn delete_webhook(reader: &Reader, webhook: &PageWebhook, wrong: &Problems, form_id: &str) -> String {
    let path = webhook.path();
    let main = html! {
        header.title { div { h1 { "Delete this webhook?" } } }
        (problems(wrong, &[]))
        p { strong { (webhook.title()) } @if webhook.name.is_some() { " (" (webhook.url) ")" } }
        p {
            "No message goes out any more, what is still waiting is dropped, and the record of its messages is gone. Its secret is worth \
             nothing from then on. This cannot be undone."
        }
        p { "To stop messages for a while and keep all this, pause it instead." }
        form.narrow method="post" action={ (path) "/delete" } {
            input type="hidden" name="form" value=(form_id);
            div.buttons {
                button.danger type="submit" { "Delete webhook" }
                a href=(path) { "Keep it" }
            }
        }
    };
    let above = [(webhook.title(), path.as_str())];
    document(&Frame { title: "Delete", above: &above, ..Frame::of(reader, Section::Webhooks) }, &main)
}

#[cfg(test)]
#[path = "webhooks_tests.rs"]
pub(super) mod tests;
