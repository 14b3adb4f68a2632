//! How often a key was used, as pictures: a small one for a row of the list, a large one with axes for a key's own page.
//!
//! Pure SVG without a style of its own: colours come by class, so light and dark both work. A picture has a name that says what it shows;
//! the large one has its numbers as a table besides. Everything is counted in whole numbers: a bucket with one request is never invisible.

use keyward_shared::time::Millis;
use maud::{Markup, html};
use serde::Deserialize;

use super::time::{day, exact, moment, of_day};
use crate::time::rfc3339;

/// One hour or day of `GET /v1/keys/{id}/usage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Bucket {
    /// When it begins.
    #[serde(deserialize_with = "super::time::time")]
    pub at: Millis,
    /// Requests that were let in.
    pub allowed: u64,
    /// Requests that were not.
    pub refused: u64,
}

/// How long a bucket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// An hour; the picture shows two days.
    Hour,
    /// A day (of UTC); the picture shows thirty.
    #[default]
    Day,
}

impl By {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    const fn length(self) -> u64 {
        match self {
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    const fn shown(self) -> u64 {
        match self {
            Self::Hour => 48,
            Self::Day => 30,
        }
    }

    /// When the first bucket of the picture begins.
    pub fn from(self, now: Millis) -> Millis {
        let current = Millis(now.0 / self.length() * self.length());
        current.minus(Millis(self.length() * (self.shown() - 1)))
    }

    const fn span(self) -> &'static str {
        match self {
            Self::Hour => "48 hours",
            Self::Day => "30 days",
        }
    }
}

/// Every bucket up to `now`, those without a request too: the API leaves them out.
pub fn filled(known: &[Bucket], by: By, now: Millis) -> Vec<Bucket> {
    let first = by.from(now);
    let at = |index: u64| first.plus(Millis(by.length() * index));
    let empty = |at| Bucket { at, allowed: 0, refused: 0 };
    (0..by.shown()).map(at).map(|at| known.iter().find(|bucket| bucket.at == at).copied().unwrap_or_else(|| empty(at))).collect()
}

/// Width of a bar with the gap after it, and height of the whole, in the picture's own units.
const STEP: usize = 30;
const BAR: usize = 22;
const HEIGHT: u64 = 200;
/// The least height of a bar: about a pixel of the small picture, and of the large one, where more would look like a share of the whole.
const LEAST_SMALL: u64 = 14;
const LEAST_LARGE: u64 = 2;
/// The height of the line under the small picture: a pixel.
const GROUND: u64 = 10;

/// A small picture of the days' requests, `(allowed, refused)` each, the last one today's.
pub fn spark(days: &[(u64, u64)]) -> Markup {
    let most = days.iter().map(|(allowed, refused)| allowed.saturating_add(*refused)).max().unwrap_or_default();
    let width = days.len().max(1) * STEP;
    html! {
        svg.spark role="img" width="90" height="20" viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" {
            title { (summary(days, days.len())) }
            rect.ground x="0" y=(HEIGHT - GROUND) width=(width) height=(GROUND) {}
            @for (index, (allowed, refused)) in days.iter().enumerate() { (bar(index, (*allowed, *refused), most, LEAST_SMALL)) }
        }
    }
}

fn summary(days: &[(u64, u64)], count: usize) -> String {
    let (allowed, refused) = totals(days.iter().copied());
    match allowed.saturating_add(refused) {
        0 => format!("No requests in {count} days"),
        1 => format!("1 request in {count} days{}", if refused > 0 { ", refused" } else { "" }),
        all if refused > 0 => format!("{} requests in {count} days, {} of them refused", number(all), number(refused)),
        all => format!("{} requests in {count} days", number(all)),
    }
}

fn totals(all: impl Iterator<Item = (u64, u64)>) -> (u64, u64) {
    all.fold((0, 0), |(a, r), (allowed, refused)| (a.saturating_add(allowed), r.saturating_add(refused)))
}

/// What was let in from the ground up, what was refused on top of it.
fn bar(index: usize, (allowed, refused): (u64, u64), top: u64, least: u64) -> Markup {
    let (allowed, refused) = (height(allowed, top, least), height(refused, top, least));
    // The least heights may sum up to more than there is.
    let allowed = allowed.min(HEIGHT - refused);
    let x = index * STEP + (STEP - BAR) / 2;
    html! {
        @if allowed > 0 { rect.allowed x=(x) y=(HEIGHT - allowed) width=(BAR) height=(allowed) {} }
        @if refused > 0 { rect.refused x=(x) y=(HEIGHT - allowed - refused) width=(BAR) height=(refused) {} }
    }
}

fn height(value: u64, top: u64, least: u64) -> u64 {
    if value == 0 || top == 0 {
        return 0;
    }
    let scaled = u128::from(value) * u128::from(HEIGHT) / u128::from(top);
    u64::try_from(scaled).unwrap_or(HEIGHT).clamp(least, HEIGHT)
}

/// The large picture: bars with axes, a legend, and the numbers as a table.
pub fn plot(buckets: &[Bucket], by: By) -> Markup {
    let most = buckets.iter().map(|bucket| bucket.allowed.saturating_add(bucket.refused)).max().unwrap_or_default();
    let top = ceiling(most);
    let (allowed, refused) = totals(buckets.iter().map(|bucket| (bucket.allowed, bucket.refused)));
    let name = format!("Requests in the last {}, by {}: {} allowed, {} refused", by.span(), by.name(), number(allowed), number(refused));
    let labelled = [buckets.first(), buckets.get(buckets.len() / 2), buckets.last()];
    html! {
        figure.plot {
            div.axis-y aria-hidden="true" {
                @for value in [top, top / 2, 0] { span { (number(value)) } }
            }
            svg role="img" viewBox={ "0 0 " (buckets.len().max(1) * STEP) " " (HEIGHT) } preserveAspectRatio="none" {
                title { (name) }
                @for y in [0, HEIGHT / 2, HEIGHT - 1] { rect.ground x="0" y=(y) width=(buckets.len().max(1) * STEP) height="1" {} }
                @for (index, bucket) in buckets.iter().enumerate() {
                    // The script says the hour in the reader's zone; days are those of UTC.
                    g data-at=[(by == By::Hour).then(|| rfc3339(bucket.at))] {
                        title { (when(bucket.at, by)) ": " (number(bucket.allowed)) " allowed, " (number(bucket.refused)) " refused" }
                        // Something to point at where there is no bar.
                        rect.whole x=(index * STEP) y="0" width=(STEP) height=(HEIGHT) {}
                        (bar(index, (bucket.allowed, bucket.refused), top, LEAST_LARGE))
                    }
                }
            }
            div.axis-x aria-hidden="true" {
                @for bucket in labelled.into_iter().flatten() {
                    @match by {
                        By::Hour => (moment(bucket.at, &of_day(bucket.at), "clock")),
                        By::Day => span { (day(bucket.at)) },
                    }
                }
            }
            figcaption {
                span.key-allowed { (number(allowed)) " allowed" }
                span.key-refused { (number(refused)) " refused" }
            }
            (numbers(buckets, by))
        }
    }
}

/// What the picture shows, for those who do not see it: only the buckets with a request.
fn numbers(buckets: &[Bucket], by: By) -> Markup {
    let used: Vec<_> = buckets.iter().rev().filter(|bucket| bucket.allowed > 0 || bucket.refused > 0).collect();
    html! {
        details {
            summary { "As a table" }
            @if used.is_empty() {
                p { "No requests in the last " (by.span()) "." }
            } @else {
                table {
                    thead {
                        tr {
                            th scope="col" { @match by { By::Hour => "Hour from", By::Day => "Day (UTC)" } }
                            th scope="col" { "Allowed" }
                            th scope="col" { "Refused" }
                        }
                    }
                    tbody {
                        @for bucket in used {
                            tr {
                                th scope="row" {
                                    @match by {
                                        By::Hour => (moment(bucket.at, &exact(bucket.at), "exact")),
                                        By::Day => (day(bucket.at)),
                                    }
                                }
                                td { (number(bucket.allowed)) }
                                td { (number(bucket.refused)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn when(at: Millis, by: By) -> String {
    match by {
        By::Hour => exact(at),
        By::Day => day(at),
    }
}

/// The least round number that is not below `most`, and whose half is whole.
fn ceiling(most: u64) -> u64 {
    let mut unit: u64 = 1;
    loop {
        if let Some(found) = [2, 4, 6, 10].map(|factor| unit.saturating_mul(factor)).into_iter().find(|round| *round >= most) {
            return found;
        }
        unit = unit.saturating_mul(10);
    }
}

/// A count as people read it: `1,234,567`.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_000_000_000); // 2026-11-18T11:06:40Z

    fn bucket(at: Millis, allowed: u64, refused: u64) -> Bucket {
        Bucket { at, allowed, refused }
    }

    /// `(y, height)` of the bars of a class, in order.
    fn bars(html: &str, class: &str) -> Vec<(u64, u64)> {
        let attribute = |tag: &str, name: &str| tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?.parse::<u64>().ok();
        let marked = format!("<rect class=\"{class}\"");
        html.split(&marked).skip(1).map(|tag| (attribute(tag, "y").unwrap(), attribute(tag, "height").unwrap())).collect()
    }

    #[test]
    fn a_small_picture_says_what_it_shows() {
        let name = |days: &[(u64, u64)]| {
            let html = spark(days).into_string();
            assert!(html.starts_with("<svg class=\"spark\" role=\"img\"") && !html.contains("style"), "{html}");
            html.split("<title>").nth(1).unwrap().split("</title>").next().unwrap().to_owned()
        };
        assert_eq!(name(&[(0, 0); 30]), "No requests in 30 days");
        assert_eq!(name(&[]), "No requests in 0 days");
        assert_eq!(name(&[(1, 0), (0, 0)]), "1 request in 2 days");
        assert_eq!(name(&[(0, 1), (0, 0)]), "1 request in 2 days, refused");
        assert_eq!(name(&[(1_200, 0), (34, 0)]), "1,234 requests in 2 days");
        assert_eq!(name(&[(1_200, 5), (34, 0)]), "1,239 requests in 2 days, 5 of them refused");
    }

    #[test]
    fn bars_stand_on_each_other_and_the_largest_fills_the_height() {
        let html = spark(&[(50, 50), (0, 0), (25, 0)]).into_string();
        assert_eq!(bars(&html, "allowed"), [(100, 100), (150, 50)]);
        assert_eq!(bars(&html, "refused"), [(0, 100)]);
    }

    #[test]
    fn one_request_is_seen_beside_a_billion_and_no_number_is_too_large() {
        let html = spark(&[(u64::MAX, u64::MAX), (1, 1), (u64::MAX, 1)]).into_string();
        for class in ["allowed", "refused"] {
            assert!(bars(&html, class).iter().all(|(y, height)| *height >= LEAST_SMALL && y + height <= HEIGHT), "{html}");
        }
        assert_eq!(bars(&html, "refused").len(), 3);
        let html = plot(&[bucket(NOW, 1_000_000, 0), bucket(NOW, 1, 0)], By::Day).into_string();
        assert!(
            html.contains("height=\"200\"></rect>") && html.contains("y=\"198\" width=\"22\" height=\"2\""),
            "a hair, not a share: {html}"
        );
        let html = plot(&[bucket(NOW, u64::MAX, u64::MAX)], By::Day).into_string();
        assert!(html.contains("18,446,744,073,709,551,615 allowed"), "{html}");
    }

    #[test]
    fn hours_and_days_without_a_request_are_there_too() {
        let hours = filled(&[bucket(Millis(1_794_999_600_000), 7, 1), bucket(Millis(1), 9, 9)], By::Hour, NOW);
        assert_eq!((hours.len(), hours[47], hours[46].allowed), (48, bucket(Millis(1_794_999_600_000), 7, 1), 0));
        assert!(hours.windows(2).all(|pair| pair[1].at == pair[0].at.plus(Millis(3_600_000))));
        let days = filled(&[], By::Day, NOW);
        assert_eq!((days.len(), days[29].at, days[0].at), (30, Millis(1_794_960_000_000), By::Day.from(NOW)));
    }

    #[test]
    fn the_large_picture_has_a_name_axes_a_legend_and_a_table() {
        let html = plot(&filled(&[bucket(Millis(1_794_999_600_000), 1_234, 6)], By::Hour, NOW), By::Hour).into_string();
        for wanted in [
            "<title>Requests in the last 48 hours, by hour: 1,234 allowed, 6 refused</title>",
            "<title>18 Nov 2026, 11:00 UTC: 1,234 allowed, 6 refused</title>",
            "<span>2,000</span><span>1,000</span><span>0</span>",
            "1,234 allowed</span>",
            "<td>1,234</td><td>6</td>",
            "datetime=\"2026-11-18T11:00:00Z\"",
            "<g data-at=\"2026-11-18T11:00:00Z\">",
            ">18 Nov, 11:00 UTC</time>",
        ] {
            assert!(html.contains(wanted), "{wanted}: {html}");
        }
        assert!(!html.contains("style="));
        let empty = plot(&filled(&[], By::Day, NOW), By::Day).into_string();
        assert!(empty.contains("No requests in the last 30 days.") && empty.contains("20 Oct") && empty.contains("18 Nov"), "{empty}");
        assert!(plot(&[], By::Day).into_string().contains("viewBox=\"0 0 30 200\""), "also of nothing");
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (most, end) in [(0, 2), (1, 2), (2, 2), (3, 4), (5, 6), (7, 10), (11, 20), (41, 60), (61, 100), (101, 200), (9_999, 10_000)] {
            assert_eq!(ceiling(most), end, "{most}");
        }
        assert_eq!(ceiling(u64::MAX), u64::MAX);
    }
}
