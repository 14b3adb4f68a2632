//! The report as a picture: a row for each circumstance, a dot for each change that was made, time on a logarithmic axis, freshness and bound
//! as lines. Readable on light and on dark ground.

use std::fmt::Write as _;

use crate::{
    plan::{CHANGES, Series},
    report::{Report, Row},
};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 96.0;
/// The height of a row, and of the heading above the rows of a series.
const ROW: f64 = 42.0;
const HEADING: f64 = 26.0;
/// What is shorter is drawn here: requests come ten times a second.
const SHORTEST_S: f64 = 0.1;

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#333}.h{font-weight:600}.t{font-size:15px;font-weight:600}.s{fill:#666}.g{stroke:#ddd}\
.a{stroke:#888}.f{stroke:#b7791f;stroke-dasharray:5 4;stroke-width:1.5}.b{stroke:#c53030;stroke-width:2}.ft{fill:#975a16}.bt{fill:#c53030}\
.c0{fill:#2b6cb0}.c1{fill:#dd6b20}.c2{fill:#2f855a}.c3{fill:#805ad5}.c4{fill:#d53f8c}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.s{fill:#aaa}.g{stroke:#444}.a{stroke:#888}.f{stroke:#ecc94b}.b{stroke:#fc8181}\
.ft{fill:#ecc94b}.bt{fill:#fc8181}.c0{fill:#63b3ed}.c1{fill:#f6ad55}.c2{fill:#68d391}.c3{fill:#b794f4}.c4{fill:#f687b3}}";

/// The whole picture as SVG.
pub(crate) fn svg(report: &Report) -> String {
    let axis = Axis { longest_s: report.bound_s * 1.6 };
    let mut marks = String::new();
    let mut y = TOP;
    let mut series = None;
    for rows in report.rows.chunk_by(|a, b| (a.series, a.lag_s) == (b.series, b.lag_s)) {
        let Some(first) = rows.first() else { continue };
        if series != Some(first.series) {
            series = Some(first.series);
            y += HEADING;
            put(&mut marks, &format!(r#"<text class="h" x="8" y="{:.0}">{}</text>"#, y - 8.0, first.series.title()));
        }
        row(&mut marks, &axis, rows, y);
        y += ROW;
    }
    let bottom = y + 4.0;
    let height = bottom + 46.0;
    let mut text = String::new();
    put(
        &mut text,
        &format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" width="{WIDTH}" height="{height:.0}" role="img">"#
        ),
    );
    put(&mut text, "<title>From the acknowledgement of a change until the last edge keeps the key out</title>");
    put(&mut text, &format!("<style>{STYLE}</style>"));
    put(
        &mut text,
        r#"<text class="t" x="8" y="22">From the acknowledgement of a change until the last of three edges keeps the key out</text>"#,
    );
    legend(&mut text);
    grid(&mut text, &axis, report, bottom);
    text.push_str(&marks);
    put(&mut text, "</svg>");
    text
}

/// Where a time is on the picture.
struct Axis {
    longest_s: f64,
}

impl Axis {
    fn x(&self, seconds: f64) -> f64 {
        let share = (seconds.max(SHORTEST_S) / SHORTEST_S).ln() / (self.longest_s / SHORTEST_S).ln();
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }
}

fn put(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}"); // a String takes everything
}

fn legend(text: &mut String) {
    let mut x = 8.0;
    for (number, (_, title)) in CHANGES.iter().enumerate() {
        put(
            text,
            &format!(r#"<circle class="c{number}" cx="{:.0}" cy="42" r="4"/><text x="{:.0}" y="46">{title}</text>"#, x + 5.0, x + 14.0),
        );
        x += 34.0 + 6.6 * f64::from(u32::try_from(title.chars().count()).unwrap_or(0));
    }
}

/// Axis, ticks, and the two lines that matter.
fn grid(text: &mut String, axis: &Axis, report: &Report, bottom: f64) {
    for tick in [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0].into_iter().filter(|tick| *tick < axis.longest_s) {
        let x = axis.x(tick);
        let label = if tick == SHORTEST_S { format!("≤ {tick} s") } else { format!("{tick} s") };
        put(text, &format!(r#"<line class="g" x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom:.0}"/>"#));
        put(text, &format!(r#"<text class="s" x="{x:.1}" y="{:.0}" text-anchor="middle">{label}</text>"#, bottom + 18.0));
    }
    put(text, &format!(r#"<line class="a" x1="{LEFT}" y1="{bottom:.0}" x2="{}" y2="{bottom:.0}"/>"#, WIDTH - RIGHT));
    put(text, &format!(r#"<text class="s" x="{LEFT}" y="{:.0}">time, logarithmic; one dot for each change</text>"#, bottom + 38.0));
    for (class, name, at, y) in [("f", "freshness", report.freshness_s, 84.0), ("b", "bound", report.bound_s, 70.0)] {
        let x = axis.x(at);
        put(text, &format!(r#"<line class="{class}" x1="{x:.1}" y1="{:.0}" x2="{x:.1}" y2="{bottom:.0}"/>"#, y + 4.0));
        put(text, &format!(r#"<text class="{class}t" x="{x:.1}" y="{y}" text-anchor="middle">{name} {at} s</text>"#));
    }
}

/// The dots of one circumstance: each change on a line of its own.
fn row(text: &mut String, axis: &Axis, rows: &[Row], y: f64) {
    let Some(first) = rows.first() else { return };
    let what = if first.series == Series::ObjectsUnreachable { "lag" } else { "store's lag" };
    put(text, &format!(r#"<text x="16" y="{:.0}">{what} {}</text>"#, y + ROW / 2.0 + 4.0, first.lag()));
    put(text, &format!(r#"<line class="g" x1="{LEFT}" y1="{y:.0}" x2="{}" y2="{y:.0}"/>"#, WIDTH - RIGHT));
    for (number, row) in rows.iter().enumerate() {
        let cy = y + 7.0 + 7.0 * f64::from(u32::try_from(number).unwrap_or(0));
        for seconds in &row.samples {
            put(text, &format!(r#"<circle class="c{number}" cx="{:.1}" cy="{cy:.0}" r="3.2" fill-opacity=".85"/>"#, axis.x(*seconds)));
        }
    }
}

#[cfg(test)]
mod tests {
    use keyward_e2e::changes::Change;

    use super::*;
    use crate::{measure::Sample, plan::Plan};

    #[test]
    fn the_axis_is_logarithmic_and_has_room_beyond_the_bound() {
        let axis = Axis { longest_s: 288.0 };
        assert!((axis.x(0.0) - LEFT).abs() < 0.01 && (axis.x(288.0) - (WIDTH - RIGHT)).abs() < 0.01);
        let step = axis.x(1.0) - axis.x(0.1);
        assert!((axis.x(10.0) - axis.x(1.0) - step).abs() < 0.01);
    }

    #[test]
    fn every_sample_is_a_dot() {
        let mut report = Report::new(&Plan::shipped());
        let samples: Vec<Sample> = [0.2, 4.0].map(|seconds| Sample { change: Change::Revoked, seconds }).into();
        report.add(Series::Pull, None, &samples);
        let picture = svg(&report);
        assert_eq!(picture.matches(r#"r="3.2""#).count(), 2);
        assert!(picture.contains("store's lag ∞") && picture.contains("bound 180 s") && picture.trim_end().ends_with("</svg>"));
    }
}
