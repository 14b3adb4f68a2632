//! The curves as tables, a page and one JSON object.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{CURVES, Curve, Sample, Step};
use crate::{conditions::Conditions, report::number, statistics::Interval};

/// What the last step of a curve may cost at most, against the first.
const LIMIT: f64 = 1.2;

/// A run, measured.
#[derive(Debug)]
pub struct Report {
    /// Under which conditions.
    pub conditions: Conditions,
    /// The steps of all curves, in order.
    pub steps: Vec<Step>,
    /// The command line that measured it.
    pub command: String,
}

impl Report {
    fn of(&self, curve: Curve) -> Vec<&Step> {
        self.steps.iter().filter(|step| step.curve == curve).collect()
    }

    /// The highest ratio of a curve's steps against its first.
    fn worst(&self, curve: Curve) -> Option<Interval> {
        let steps = self.of(curve);
        let (first, others) = steps.split_first()?;
        let ratios = others.iter().map(|step| ratio(step, first, |s| s.warm_us));
        ratios.max_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// Everything as Markdown tables.
    pub fn tables(&self) -> String {
        let mut text = String::from(
            "## What is to be reached\n\n| warm request, against the first row of the curve | highest ratio | interval of 95 % | at most | |\n",
        );
        put(&mut text, "| --- | ---: | ---: | ---: | --- |");
        for curve in CURVES {
            let Some(Interval { value, low, high }) = self.worst(curve) else { continue };
            let reached = if low <= LIMIT { "yes" } else { "**no**" };
            put(
                &mut text,
                &format!("| {} | {} | {}–{} | {LIMIT:.2} | {reached} |", curve.title(), number(value), number(low), number(high)),
            );
        }
        for curve in CURVES {
            let steps = self.of(curve);
            let Some(first) = steps.first() else { continue };
            put(&mut text, &format!("\n## {}\n", capitalized(curve.title())));
            put(&mut text, "| | warm, CPU µs | against the first | first request with a key, CPU µs | against the first | memory, MB |");
            put(&mut text, "| ---: | ---: | ---: | ---: | ---: | ---: |");
            for step in &steps {
                let middle = |figure: fn(&Sample) -> f64| number(interval(step, figure).value);
                let against = |figure: fn(&Sample) -> f64| {
                    let Interval { value, low, high } = ratio(step, first, figure);
                    format!("{} ({}–{})", number(value), number(low), number(high))
                };
                let (warm, cold) = (against(|s| s.warm_us), against(|s| s.cold_us));
                put(
                    &mut text,
                    &format!(
                        "| {} | {} | {warm} | {} | {cold} | {:.0} |",
                        step.size,
                        middle(|s| s.warm_us),
                        middle(|s| s.cold_us),
                        interval(step, |s| s.resident_mb).value
                    ),
                );
            }
        }
        text
    }

    /// The page.
    pub fn page(&self) -> String {
        let rounds = self.steps.first().map_or(0, |step| step.samples.len());
        format!(
            "# What a verified request costs when there is more of everything\n\n\
             Made by `{}`; do not edit. {rounds} rounds, in each every step in a fresh process and in another order. Keyward's shipped edge answers a proxy's\n\
             questions in the plain runtime; each step has a store of its own. Warm requests are for {} keys in turn; the memory is that of the whole\n\
             process, after {} requests with keys drawn from all of the store.\n\n{}\n\n\
             A feed lists at most 20,000 changes: above, it says from when on it is complete.\n\n{}",
            self.command,
            super::WARM,
            super::DRAWN,
            self.conditions.text(),
            self.tables()
        )
    }

    /// Everything as one JSON object.
    pub fn json(&self) -> Value {
        let target = |curve: Curve| {
            let Interval { value, low, high } = self.worst(curve)?;
            let measured = json!({"value": value, "low": low, "high": high});
            Some((curve.title().to_owned(), json!({"unit": "×", "limit": LIMIT, "measured": measured, "reached": low <= LIMIT})))
        };
        let step = |step: &Step| {
            let figure = |figure: fn(&Sample) -> f64| interval(step, figure).value;
            json!({
                "curve": step.curve.title(),
                "size": step.size,
                "warm_us": figure(|s| s.warm_us),
                "cold_us": figure(|s| s.cold_us),
                "resident_mb": figure(|s| s.resident_mb),
            })
        };
        json!({
            "conditions": self.conditions.json(),
            "ratios": CURVES.into_iter().filter_map(target).collect::<Map<String, Value>>(),
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
        })
    }
}

fn interval(step: &Step, figure: fn(&Sample) -> f64) -> Interval {
    Interval::of(&step.samples.iter().map(figure).collect::<Vec<f64>>())
}

fn ratio(step: &Step, first: &Step, figure: fn(&Sample) -> f64) -> Interval {
    let figures = |step: &Step| step.samples.iter().map(figure).collect::<Vec<f64>>();
    Interval::of_ratios(&figures(step), &figures(first))
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn put(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}"); // a String takes everything
}
