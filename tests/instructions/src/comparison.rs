//! New counts beside those that are kept: what rose too much, what is missing, and what must not grow with the size of something.

use core::fmt;

use crate::counts::Counts;

/// The most by which a count may rise, in percent.
pub(crate) const LIMIT_PERCENT: u64 = 5;

/// A path that may take at most so many percent more than another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) percent: u64,
}

/// What is said about one path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    old: Option<u64>,
    new: Option<u64>,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    /// Less than what is kept by more than the limit: worth keeping.
    Fell,
    Rose,
    /// Counted, but not in the file.
    New,
    /// In the file, but not counted.
    Gone,
    /// Made with another compiler or for another target.
    NotCompared,
}

/// The whole report; `Display` prints it.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// What the two were made with, where that differs.
    unlike: Option<[String; 2]>,
    lines: Vec<Line>,
    /// What must not grow: the sentence, and whether it holds.
    growth: Vec<(String, bool)>,
}

impl Comparison {
    /// Compares. Counts of another compiler or target are shown, but fail nothing.
    pub(crate) fn new(old: &Counts, new: &Counts, growth: &[Growth]) -> Self {
        let comparable = old.paths.is_empty() || old.origin == new.origin;
        let line = |name: &str, old: Option<u64>, new: Option<u64>| {
            let outcome = match (old, new) {
                _ if !comparable => Outcome::NotCompared,
                (Some(old), Some(new)) if exceeds(old, new, LIMIT_PERCENT) => Outcome::Rose,
                (Some(old), Some(new)) if exceeds(new, old, LIMIT_PERCENT) => Outcome::Fell,
                (Some(_), Some(_)) => Outcome::Passed,
                (None, _) => Outcome::New,
                (Some(_), None) => Outcome::Gone,
            };
            Line { name: name.to_owned(), old, new, outcome }
        };
        let counted = new.paths.iter().map(|(name, count)| line(name, old.of(name), Some(*count)));
        let gone = old.paths.iter().filter(|(name, _)| new.of(name).is_none()).map(|(name, count)| line(name, Some(*count), None));
        Self {
            unlike: (!comparable).then(|| [old.origin.to_string(), new.origin.to_string()]),
            lines: counted.chain(gone).collect(),
            growth: growth.iter().map(|growth| growth.judge(new)).collect(),
        }
    }

    /// How many paths passed, and how many of those that must not grow did not.
    pub(crate) fn passed(&self) -> usize {
        let lines = self.lines.iter().filter(|line| line.outcome.passes()).count();
        lines + self.growth.iter().filter(|(_, holds)| *holds).count()
    }

    /// A sentence for each that failed.
    pub(crate) fn failures(&self) -> Vec<String> {
        let lines = self.lines.iter().filter_map(Line::failure);
        lines.chain(self.growth.iter().filter(|(_, holds)| !holds).map(|(sentence, _)| sentence.clone())).collect()
    }
}

impl Line {
    fn failure(&self) -> Option<String> {
        let Self { name, old, new, outcome } = self;
        let count = |count: &Option<u64>| count.unwrap_or(0);
        let (old, new) = (count(old), count(new));
        match outcome {
            Outcome::Rose => Some(format!("\"{name}\" rose from {old} to {new} instructions ({})", change(old, new))),
            Outcome::New => Some(format!("\"{name}\" takes {new} instructions, and no count of it is kept")),
            Outcome::Gone => Some(format!("\"{name}\" is kept with {old} instructions, but is not counted any more")),
            Outcome::Passed | Outcome::Fell | Outcome::NotCompared => None,
        }
    }
}

/// Whether `new` is more than `percent` above `old`.
fn exceeds(old: u64, new: u64, percent: u64) -> bool {
    u128::from(new) * 100 > u128::from(old) * u128::from(100 + percent)
}

impl Growth {
    fn judge(&self, counts: &Counts) -> (String, bool) {
        let Self { from, to, percent } = self;
        match (counts.of(from), counts.of(to)) {
            (Some(small), Some(large)) => {
                let holds = !exceeds(small, large, *percent);
                let sentence =
                    format!("\"{to}\" takes {large}, \"{from}\" {small}: {}; at most +{percent} % is allowed", change(small, large));
                (sentence, holds)
            }
            _ => (format!("\"{from}\" or \"{to}\" was not counted"), false),
        }
    }
}

impl Outcome {
    fn passes(self) -> bool {
        matches!(self, Self::Passed | Self::Fell)
    }

    fn remark(self) -> &'static str {
        match self {
            Self::Passed | Self::NotCompared => "",
            Self::Fell => "  fell; `cargo xtask instructions --accept` keeps the gain",
            Self::Rose => "  ROSE BY TOO MUCH",
            Self::New => "  NOT IN THE FILE",
            Self::Gone => "  NOT COUNTED ANY MORE",
        }
    }
}

/// The change in percent, to a tenth: `+6.2 %`.
fn change(old: u64, new: u64) -> String {
    let by = u128::from(old.abs_diff(new));
    let tenths = (by * 1_000 + u128::from(old) / 2) / u128::from(old.max(1));
    let sign = match (tenths, new < old) {
        (0, _) => "",
        (_, true) => "-",
        (_, false) => "+",
    };
    format!("{sign}{}.{} %", tenths / 10, tenths % 10)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0);
        writeln!(f, "{:width$}  {:>10}  {:>10}  {:>9}", "instructions of", "kept", "now", "change")?;
        for Line { name, old, new, outcome } in &self.lines {
            let number = |count: &Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
            let change = old.zip(*new).map_or_else(|| "-".to_owned(), |(old, new)| change(old, new));
            writeln!(f, "{name:width$}  {:>10}  {:>10}  {change:>9}{}", number(old), number(new), outcome.remark())?;
        }
        for (sentence, holds) in &self.growth {
            writeln!(f, "{}{sentence}", if *holds { "" } else { "GROWS: " })?;
        }
        if let Some([kept, now]) = &self.unlike {
            writeln!(f, "note: the kept counts were made with {kept}; these with {now}.")?;
            writeln!(f, "note: counts of two compilers or targets cannot be compared: the changes above fail nothing.")?;
            writeln!(f, "note: `cargo xtask instructions --accept` keeps these counts instead, for all who use this compiler.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Origin;

    fn counts(compiler: &str, paths: &[(&str, u64)]) -> Counts {
        let origin = Origin { compiler: compiler.to_owned(), target: "x86_64-unknown-linux-musl".to_owned() };
        Counts { origin, paths: paths.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect() }
    }

    fn compare(old: &[(&str, u64)], new: &[(&str, u64)]) -> Comparison {
        Comparison::new(&counts("rustc 1", old), &counts("rustc 1", new), &[])
    }

    fn tally(comparison: &Comparison) -> (usize, usize) {
        (comparison.passed(), comparison.failures().len())
    }

    #[test]
    fn a_rise_of_more_than_five_percent_fails_and_one_of_five_passes() {
        assert_eq!(tally(&compare(&[("parse", 1_000)], &[("parse", 1_050)])), (1, 0));
        let risen = compare(&[("parse", 1_000), ("digest", 10)], &[("parse", 1_051), ("digest", 10)]);
        assert_eq!(tally(&risen), (1, 1));
        assert_eq!(risen.failures(), ["\"parse\" rose from 1000 to 1051 instructions (+5.1 %)"]);
        let line = risen.to_string().lines().find(|line| line.starts_with("parse")).unwrap().to_owned();
        for part in ["1000", "1051", "+5.1 %", "ROSE"] {
            assert!(line.contains(part), "{line}");
        }
    }

    #[test]
    fn a_fall_passes_and_is_offered_to_be_kept() {
        let fallen = compare(&[("parse", 1_000)], &[("parse", 500)]);
        assert_eq!(tally(&fallen), (1, 0));
        let text = fallen.to_string();
        assert!(text.contains("-50.0 %") && text.contains("--accept"), "{text}");
        assert!(!compare(&[("parse", 1_000)], &[("parse", 960)]).to_string().contains("--accept"));
    }

    #[test]
    fn a_path_without_a_line_and_a_line_without_a_path_fail() {
        let both = compare(&[("old", 7)], &[("new", 7)]);
        assert_eq!(tally(&both), (0, 2));
        assert!(both.failures()[0].starts_with("\"new\"") && both.failures()[1].starts_with("\"old\""), "{:?}", both.failures());
        let text = both.to_string();
        assert!(text.contains("NOT IN THE FILE") && text.contains("NOT COUNTED ANY MORE"), "{text}");
        assert_eq!(tally(&compare(&[], &[("new", 7)])), (0, 1), "and without a file everything is new");
    }

    #[test]
    fn with_another_compiler_the_changes_are_shown_and_fail_nothing() {
        let unlike = Comparison::new(&counts("rustc 1", &[("parse", 100)]), &counts("rustc 2", &[("parse", 900), ("new", 1)]), &[]);
        assert_eq!(tally(&unlike), (0, 0));
        let text = unlike.to_string();
        for part in ["+800.0 %", "rustc 1 for x86_64-unknown-linux-musl", "rustc 2", "cannot be compared"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_must_not_grow_is_held_to_it_with_any_compiler() {
        let growth = [Growth { from: "1 rule", to: "5000 rules", percent: 20 }];
        let judge = |large| {
            let comparison =
                Comparison::new(&counts("rustc 1", &[("x", 1)]), &counts("rustc 2", &[("1 rule", 100), ("5000 rules", large)]), &growth);
            (tally(&comparison), comparison.to_string().contains("GROWS"))
        };
        assert_eq!(judge(120), ((1, 0), false));
        assert_eq!(judge(121), ((0, 1), true));
        let uncounted = Comparison::new(&Counts::default(), &counts("rustc 1", &[]), &growth);
        assert_eq!(tally(&uncounted), (0, 1));
    }

    #[test]
    fn a_change_is_rounded_to_a_tenth() {
        let shown = [(1_000, 1_062), (1_000, 940), (3, 4), (5, 5), (0, 1), (100_000, 99_999)].map(|(old, new)| change(old, new));
        assert_eq!(shown, ["+6.2 %", "-6.0 %", "+33.3 %", "0.0 %", "+100.0 %", "0.0 %"]);
    }
}
