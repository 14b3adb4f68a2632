//! The file of counts: what they were made with, and one line a path, its name and its number of instructions.

use core::fmt;

use anyhow::{Context, Result, bail, ensure};

/// What counts depend on besides the code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// What `rustc --version` says.
    pub(crate) compiler: String,
    /// What it compiled for.
    pub(crate) target: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.compiler, self.target)
    }
}

/// Counts; `Display` prints the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) origin: Origin,
    /// In order.
    pub(crate) paths: Vec<(String, u64)>,
}

const HEADING: &str = "\
# How many instructions each path takes, as `cargo xtask instructions` counts them. It compares with this file, and `cargo xtask test` with it:
# a rise of more than 5 % fails. Written by `cargo xtask instructions --accept`; another compiler makes other counts.
";
const COMPILER: &str = "compiler: ";
const TARGET: &str = "target: ";

impl Counts {
    /// Reads the file.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let mut counts = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            counts.take(line.trim_end()).with_context(|| format!("line {number}"))?;
        }
        ensure!(
            !counts.origin.compiler.is_empty() && !counts.origin.target.is_empty(),
            "it does not say which compiler and target it is of"
        );
        Ok(counts)
    }

    fn take(&mut self, line: &str) -> Result<()> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(compiler) = line.strip_prefix(COMPILER) {
            compiler.trim().clone_into(&mut self.origin.compiler);
            return Ok(());
        }
        if let Some(target) = line.strip_prefix(TARGET) {
            target.trim().clone_into(&mut self.origin.target);
            return Ok(());
        }
        let (name, count) = line.rsplit_once(' ').context("a line is a path's name and its number of instructions")?;
        let count = count.parse().ok().with_context(|| format!("{count:?} is no number of instructions"))?;
        let name = name.trim();
        if self.of(name).is_some() {
            bail!("{name:?} has two lines");
        }
        self.paths.push((name.to_owned(), count));
        Ok(())
    }

    /// The count of the path `name`.
    pub(crate) fn of(&self, name: &str) -> Option<u64> {
        self.paths.iter().find(|(known, _)| known == name).map(|(_, count)| *count)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.paths.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        writeln!(f, "{HEADING}{COMPILER}{}\n{TARGET}{}\n", self.origin.compiler, self.origin.target)?;
        self.paths.iter().try_for_each(|(name, count)| writeln!(f, "{name:width$}  {count:>9}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        Counts {
            origin: Origin { compiler: "rustc 1.95.0 (59807616e 2026-04-14)".to_owned(), target: "x86_64-unknown-linux-musl".to_owned() },
            paths: vec![("parse a key".to_owned(), 812), ("let a warm request pass, 100 rules".to_owned(), 3_456_789_012)],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = counts().to_string();
        assert_eq!(Counts::read(&text).unwrap(), counts());
        assert!(text.lines().any(|line| line.starts_with("parse a key") && line.ends_with(" 812")), "{text}");
    }

    #[test]
    fn line_ends_of_other_systems_and_comments_make_no_difference() {
        let text = counts().to_string().replace('\n', "\r\n") + "# a remark\r\n";
        assert_eq!(Counts::read(&text).unwrap(), counts());
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        let file = |line: &str| format!("compiler: rustc 1\ntarget: t\n{line}");
        for (text, expected) in [
            (file("parse a key"), "line 3: \"key\" is no number of instructions"),
            (file("parse"), "line 3: a line is a path's name"),
            (file("parse -3"), "is no number"),
            (file("parse 1,000"), "is no number"),
            (file("parse 3\nparse 4"), "line 4: \"parse\" has two lines"),
            (String::new(), "which compiler"),
            ("parse 3".to_owned(), "which compiler"),
        ] {
            let error = format!("{:#}", Counts::read(&text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
