//! Times as pages show them. The server writes them in UTC; the script rewrites them to the reader's zone.

use jiff::Timestamp;
use keyward_shared::time::Millis;
use maud::{Markup, html};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A time that the script can rewrite: `show` says how ("exact", "day", or "relative": only the title).
pub(super) fn moment(at: Millis, text: &str, show: &str) -> Markup {
    html! { time datetime=(stamp(at)) title=(exact(at)) data-show=(show) { (text) } }
}

/// The time in a text that is nothing but one, as the API writes it.
pub(super) fn moment_of(text: &str) -> Option<Markup> {
    let at = parse(text).filter(|at| stamp(*at) == text)?;
    Some(moment(at, &exact(at), "exact"))
}

fn timestamp(at: Millis) -> Timestamp {
    i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

fn stamp(at: Millis) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn exact(at: Millis) -> String {
    timestamp(at).strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// The day alone: `18 Nov 2026`.
pub(super) fn day(at: Millis) -> String {
    timestamp(at).strftime("%-d %b %Y").to_string()
}

/// The day as a date field has it: `2026-11-18`.
pub(super) fn iso_day(at: Millis) -> String {
    timestamp(at).strftime("%Y-%m-%d").to_string()
}

/// To the second: `18 Nov 2026, 11:06:40 UTC`.
pub(super) fn second(at: Millis) -> String {
    timestamp(at).strftime("%-d %b %Y, %H:%M:%S UTC").to_string()
}

/// The time of day with its day: `18 Nov, 11:00 UTC`.
pub(super) fn of_day(at: Millis) -> String {
    timestamp(at).strftime("%-d %b, %H:%M UTC").to_string()
}

/// How long ago, in the largest whole unit.
pub(super) fn relative(at: Millis, now: Millis) -> String {
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

pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| D::Error::custom("not a time"))
}

pub(super) fn optional_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Millis>, D::Error> {
    Option::<String>::deserialize(from)?.map(|text| parse(&text).ok_or_else(|| D::Error::custom("not a time"))).transpose()
}

pub(super) fn parse(text: &str) -> Option<Millis> {
    let at: Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok().map(Millis)
}
