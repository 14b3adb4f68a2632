//! One webhook: what it is, changing, pausing and resuming it, and what became of its messages, to be sent again.

use keyward_shared::time::Millis;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Reader,
    assets::File,
    form::{Problems, field, problems},
    layout::{Frame, document},
    reader::Section,
    time::{exact, moment, optional_time, time},
    webhooks::{PageWebhook, WebhookForm, event_title, fields, heard},
};

/// A message and what became of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    status: Status,
    attempts: u64,
    #[serde(deserialize_with = "time")]
    created_at: Millis,
    #[serde(default, deserialize_with = "optional_time")]
    last_attempt_at: Option<Millis>,
    #[serde(default, deserialize_with = "optional_time")]
    next_attempt_at: Option<Millis>,
    last_status: Option<u16>,
    last_error: Option<String>,
    #[serde(default)]
    payload: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    Delivered,
    Failed,
}

/// What the page is made from.
#[derive(Clone, Debug)]
pub struct WebhookPage {
    /// The webhook as it is.
    pub webhook: PageWebhook,
    /// What was typed into its form.
    pub form: WebhookForm,
    /// What the form began with: only what differs from it is to be changed.
    pub began: WebhookForm,
    /// What is wrong with that.
    pub form_problems: Problems,
    /// Which messages are listed; empty: all.
    pub status: String,
    /// The messages, newest first.
    pub deliveries: Vec<Delivery>,
    /// Whether newer ones were left out.
    pub is_later_part: bool,
    /// Where the list goes on, if it does.
    pub next_cursor: Option<String>,
    /// What was typed to send messages again.
    pub replay: ReplayForm,
    /// What is wrong with that.
    pub replay_problems: Problems,
    /// The id of the page's forms: sent twice, each has one effect.
    pub form_id: String,
    /// What has just been done.
    pub done: &'static str,
}

/// The messages since a time, as it is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayForm {
    /// `2027-01-31T09:00`, in UTC, or in the zone that the browser said.
    pub since: String,
    /// How many minutes the reader's clock is ahead of UTC then; empty where no script said it.
    pub zone: String,
    /// Whether also those that were delivered.
    pub all: bool,
}

/// The page of one webhook.
pub fn webhook(reader: &Reader, page: &WebhookPage) -> String {
    let hook = &page.webhook;
    let main = html! {
        header.title {
            div {
                h1 { (hook.title()) }
                p {
                    (hook.badge()) " Hears of " (heard(hook)) ". Created by " (hook.created_by) ", "
                    (moment(hook.created_at, &exact(hook.created_at), "exact")) "."
                }
            }
        }
        @if let Some(reason) = &hook.disabled_reason {
            div.alert { p { "It was switched off: " (reason) ". Once your program works again, resume it: what had been waiting or has failed can be sent again then. What happens before is not told later." } }
        }
        (messages(page))
        (again(page))
        (change(page))
    };
    let frame = Frame {
        title: hook.title(),
        styles: &[File::LogStyle, File::WebhooksStyle],
        scripts: &[File::Webhooks],
        done: page.done,
        ..Frame::of(reader, Section::Webhooks)
    };
    document(&frame, &main)
}

/// A form of one button.
fn button(page: &WebhookPage, act: &str, class: &str, caption: &str, hidden: &Markup) -> Markup {
    html! {
        form.plain method="post" action=(page.webhook.path()) {
            input type="hidden" name="form" value=(page.form_id);
            input type="hidden" name="act" value=(act);
            (hidden)
            button type="submit" class=(class) { (caption) }
        }
    }
}

fn address(page: &WebhookPage, status: &str, cursor: Option<&str>) -> String {
    let given = [("status", status), ("cursor", cursor.unwrap_or_default())].into_iter().filter(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    let path = page.webhook.path();
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

fn messages(page: &WebhookPage) -> Markup {
    const LISTS: [(&str, &str); 4] = [("", "All"), ("pending", "Waiting"), ("delivered", "Delivered"), ("failed", "Failed")];
    html! {
        section aria-labelledby="messages-title" {
            h2 #messages-title { "Messages" }
            nav.pages aria-label="Which messages" {
                ul {
                    @for (status, title) in LISTS {
                        li { a href=(address(page, status, None)) aria-current=[(status == page.status).then_some("true")] { (title) } }
                    }
                }
            }
            @if page.deliveries.is_empty() {
                p { @if page.status.is_empty() { "None yet. " @if page.webhook.active { "What happens from now on is told, and stands here for up to 30 days, the newest 500 messages." } @else { "While it is not active, nothing is told." } } @else { "None." } }
            } @else {
                ol.log { @for delivery in &page.deliveries { (message(page, delivery)) } }
            }
            @if page.is_later_part || page.next_cursor.is_some() {
                nav.pages aria-label="Parts of the list" {
                    ul {
                        @if page.is_later_part { li { a href=(address(page, &page.status, None)) { "Newest" } } }
                        @if let Some(cursor) = &page.next_cursor {
                            li { a rel="next" href=(address(page, &page.status, Some(cursor))) { "Older" } }
                        }
                    }
                }
            }
        }
    }
}

fn message(page: &WebhookPage, delivery: &Delivery) -> Markup {
    let (class, status) = match delivery.status {
        Status::Pending => ("warn", "Waiting"),
        Status::Delivered => ("good", "Delivered"),
        Status::Failed => ("bad", "Failed"),
    };
    let about = delivery.payload["data"]["name"].as_str();
    let title = event_title(&delivery.kind);
    html! {
        li id=(delivery.id) {
            p.what {
                strong { (title) }
                @if let Some(about) = about { ": “" (about) "”" }
                " " span.badge.(class) { (status) }
            }
            p.meta {
                (moment(delivery.created_at, &exact(delivery.created_at), "exact"))
                " · " (attempts(delivery.attempts))
                @if let Some(answer) = answer(delivery) { ", " (answer) }
                @if let Some(at) = delivery.last_attempt_at { ", " (moment(at, &exact(at), "exact")) }
                @if let (Status::Pending, Some(at)) = (delivery.status, delivery.next_attempt_at) {
                    " · next attempt " (moment(at, &exact(at), "exact"))
                }
            }
            div.row {
                details {
                    summary { "Message" span.hidden-text { ": " (title) @if let Some(about) = about { ", " (about) } } }
                    p.meta { code { (delivery.id) } " is its " code { "webhook-id" } ", the same for each attempt." }
                    @if !delivery.payload.is_null() {
                        pre tabindex="0" role="region" aria-label={ "The message " (delivery.id) } {
                            code { (serde_json::to_string_pretty(&delivery.payload).unwrap_or_default()) }
                        }
                    }
                }
                @if page.webhook.active && delivery.status != Status::Pending {
                    (button(page, "replay", "small secondary outline", "Send again", &html! {
                        input type="hidden" name="delivery" value=(delivery.id);
                    }))
                }
            }
        }
    }
}

fn attempts(attempts: u64) -> String {
    match attempts {
        0 => "not sent yet".into(),
        1 => "1 attempt".into(),
        more => format!("{more} attempts"),
    }
}

/// What the last attempt came to.
fn answer(delivery: &Delivery) -> Option<String> {
    match (delivery.last_status, delivery.last_error.as_deref()) {
        (Some(status), _) => Some(format!("the last one was answered with {status}")),
        (None, Some(error)) => Some(format!("the last one: {error}")),
        (None, None) => None,
    }
}

/// Sending messages again.
fn again(page: &WebhookPage) -> Markup {
    html! {
        section.aside aria-labelledby="again-title" {
            h2 #again-title { "Send again" }
            @if page.webhook.active {
                p { "After an outage of your program: the messages made since a time that have failed go out once more, oldest first. A message is given up about three days after it was made." }
                form.narrow #again-form method="post" action=(page.webhook.path()) novalidate {
                    (problems(&page.replay_problems, &["since"]))
                    input type="hidden" name="form" value=(page.form_id);
                    input type="hidden" name="act" value="replay_since";
                    input type="hidden" name="zone" value=(page.replay.zone);
                    (field("again-since", "Since", "A day and a time, in UTC.", page.replay_problems.of("since"), |marks| html! {
                        input type="datetime-local" id=(marks.id) name="since" value=(page.replay.since) required
                            aria-describedby=(marks.described_by) aria-invalid=[marks.invalid];
                    }))
                    label for="again-all" {
                        input #again-all type="checkbox" name="all" value="1" checked[page.replay.all];
                        "Also what was delivered"
                    }
                    div.buttons { button.secondary type="submit" { "Send again" } }
                }
            } @else {
                (problems(&page.replay_problems, &[]))
                p { "Nothing goes out while it is paused or switched off. Resume it first; then what has failed can be sent again." }
            }
        }
    }
}

fn change(page: &WebhookPage) -> Markup {
    let hook = &page.webhook;
    html! {
        section.aside aria-labelledby="change-title" {
            h2 #change-title { "Change" }
            form.narrow method="post" action=(hook.path()) novalidate {
                input type="hidden" name="act" value="save";
                (began(&page.began))
                (fields(&page.form, &page.form_problems))
                div.buttons { button type="submit" { "Save" } }
            }
        }
        section.aside aria-labelledby="stop-title" {
            h2 #stop-title { @if hook.active { "Pause or delete" } @else { "Resume or delete" } }
            p {
                @if hook.active { "Paused, it hears of nothing; what happens meanwhile is not told later." }
                @else { "Resumed, it hears of everything that happens from then on." }
            }
            div.buttons {
                @if hook.active { (button(page, "pause", "secondary", "Pause", &html! {})) }
                @else { (button(page, "resume", "", "Resume", &html! {})) }
                a href={ (hook.path()) "/delete" } { "Delete this webhook" }
            }
        }
    }
}

/// What the form began with, so that nobody takes back what somebody else has changed meanwhile.
fn began(form: &WebhookForm) -> Markup {
    html! {
        input type="hidden" name="was_name" value=(form.name);
        input type="hidden" name="was_url" value=(form.url);
        @if form.all { input type="hidden" name="was_all" value="1"; }
        @for event in &form.events { input type="hidden" name="was_events" value=(event); }
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
