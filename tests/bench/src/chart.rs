//! The picture: a bar for each cell, CPU time per request with its interval, one axis for all. Readable on light and on dark ground.

use std::fmt::Write as _;

use crate::report::{GROUPS, Report, number};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 40.0;
const ROW: f64 = 24.0;
const HEADING: f64 = 34.0;

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#333}.h{font-weight:600}.t{font-size:15px;font-weight:600}.s{fill:#666}.g{stroke:#ddd}\
.w{stroke:#222;stroke-width:1.5}.k{fill:#2b6cb0}.j{fill:#dd6b20}.f{fill:#a0aec0}.p{fill:#805ad5}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.s{fill:#aaa}.g{stroke:#444}.w{stroke:#eee}.k{fill:#63b3ed}.j{fill:#f6ad55}.f{fill:#718096}.p{fill:#b794f4}}";

/// The whole picture as SVG.
pub fn svg(report: &Report) -> String {
    let most = report.cells.iter().map(|cell| report.interval(cell.name, |s| s.cpu_us).high).fold(1.0, f64::max);
    let x = |us: f64| LEFT + us / most * (WIDTH - LEFT - RIGHT);
    let mut marks = String::new();
    let mut y = TOP;
    for (heading, _, works) in GROUPS {
        let group = report.group(works);
        if group.is_empty() {
            continue;
        }
        y += HEADING;
        put(&mut marks, &format!(r#"<text class="h" x="8" y="{:.0}">{heading}</text>"#, y - 8.0));
        for cell in group {
            let cpu = report.interval(cell.name, |s| s.cpu_us);
            let middle = y + ROW / 2.0;
            put(&mut marks, &format!(r#"<text x="16" y="{:.0}">{}</text>"#, middle + 4.0, cell.name));
            put(
                &mut marks,
                &format!(
                    r#"<rect class="{}" x="{LEFT}" y="{:.0}" width="{:.1}" height="{:.0}"/>"#,
                    class(cell.name),
                    y + 4.0,
                    x(cpu.value) - LEFT,
                    ROW - 8.0
                ),
            );
            put(
                &mut marks,
                &format!(r#"<line class="w" x1="{:.1}" y1="{middle:.0}" x2="{:.1}" y2="{middle:.0}"/>"#, x(cpu.low), x(cpu.high)),
            );
            put(&mut marks, &format!(r#"<text x="{:.1}" y="{:.0}">{}</text>"#, x(cpu.high) + 6.0, middle + 4.0, number(cpu.value)));
            y += ROW;
        }
    }
    let height = y + 36.0;
    let mut text = String::new();
    put(
        &mut text,
        &format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" width="{WIDTH}" height="{height:.0}" role="img">"#
        ),
    );
    put(&mut text, "<title>CPU time of the process per request, in microseconds</title>");
    put(&mut text, &format!("<style>{STYLE}</style>"));
    put(&mut text, r#"<text class="t" x="8" y="24">CPU time of the process per request, in microseconds</text>"#);
    let step = [10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0].into_iter().find(|step| most / step <= 10.0).unwrap_or(5_000.0);
    let mut tick = 0.0;
    while tick <= most {
        put(&mut text, &format!(r#"<line class="g" x1="{0:.1}" y1="{TOP}" x2="{0:.1}" y2="{y:.0}"/>"#, x(tick)));
        put(&mut text, &format!(r#"<text class="s" x="{:.1}" y="{:.0}" text-anchor="middle">{tick}</text>"#, x(tick), y + 18.0));
        tick += step;
    }
    text.push_str(&marks);
    put(&mut text, "</svg>");
    text
}

/// The colour of a bar: ours, the same in JavaScript, a floor, what others made.
fn class(name: &str) -> &'static str {
    match name {
        "constant" | "forward" => "f",
        name if name.starts_with("keyward") => "k",
        name if name.starts_with("javascript") => "j",
        _ => "p",
    }
}

fn put(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}"); // a String takes everything
}
