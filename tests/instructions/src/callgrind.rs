//! Runs this program under valgrind's callgrind and reads what was counted.
//!
//! Callgrind counts only while the program is within one function (`--toggle-collect`), and writes what it has counted, and begins anew,
//! whenever that function returns (`--dump-after`). So the n-th file is the n-th call of that function.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::WALK;

/// The function within which is counted.
const COUNTED: &str = "keyward_instructions::paths::counted";
/// How callgrind's files are named, before the number that it adds.
const FILES: &str = "call";

/// The instructions of each path: the fewest of `rounds` calls. The file of that call stays in `dumps`, under the path's name, for
/// `callgrind_annotate`.
pub(crate) fn count(valgrind: &Path, dumps: &Path, names: &[&str], rounds: usize) -> Result<Vec<(String, u64)>> {
    drop(fs::remove_dir_all(dumps));
    fs::create_dir_all(dumps).with_context(|| format!("cannot create {}", dumps.display()))?;
    let mut command = Command::new(valgrind);
    command.args(["--quiet", "--tool=callgrind"]);
    command.arg(format!("--toggle-collect={COUNTED}")).arg(format!("--dump-after={COUNTED}"));
    command.arg(format!("--callgrind-out-file={}", dumps.join(FILES).display()));
    command.arg(env::current_exe().context("cannot find this program")?).arg(WALK);
    let output = command.output().with_context(|| format!("{} cannot be started", valgrind.display()))?;
    ensure!(output.status.success(), "under valgrind ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());

    let path = |(at, name): (usize, &&str)| {
        let files = (1..=rounds).map(|round| dumps.join(format!("{FILES}.{}", at * rounds + round)));
        let calls = files.map(|file| Ok((dumped(&file)?, file))).collect::<Result<Vec<(u64, PathBuf)>>>()?;
        let (count, file) = calls.into_iter().min().with_context(|| format!("{name} was not counted"))?;
        fs::rename(file, dumps.join(file_name(name)))?;
        Ok(((*name).to_owned(), count))
    };
    let counts = names.iter().enumerate().map(path).collect::<Result<_>>()?;
    tidy(dumps)?;
    Ok(counts)
}

fn dumped(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("callgrind did not write {}", file.display()))?;
    instructions(&text).with_context(|| format!("cannot read {}", file.display()))
}

/// What one of callgrind's files counts in all, where it was written because the counted function returned.
fn instructions(dump: &str) -> Result<u64> {
    let value = |name: &str| dump.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    ensure!(value("desc: Trigger:") == Some(&format!("--dump-after={COUNTED}")), "it is not of a counted call");
    ensure!(value("events:") == Some("Ir"), "it counts something else than instructions");
    let total = value("totals:").context("it has no total")?;
    let count = total.parse().ok().with_context(|| format!("{total:?} is no number of instructions"))?;
    ensure!(count > 0, "nothing was counted");
    Ok(count)
}

/// A path's name as a file's: `let-a-warm-request-pass-1-rule`.
fn file_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// Removes the files of the other calls.
fn tidy(dumps: &Path) -> Result<()> {
    for entry in fs::read_dir(dumps)? {
        let file = entry?;
        if file.file_name().to_string_lossy().split('.').next() == Some(FILES) {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_when_a_counted_call_ended_is_read() {
        let dump = |trigger: &str, events: &str, total: &str| {
            format!("version: 1\npart: 3\n\ndesc: Trigger: {trigger}\n\nevents: {events}\nsummary: 9\n\nfn=(1) x\n1 9\n\n{total}\n")
        };
        let after = "--dump-after=keyward_instructions::paths::counted";
        assert_eq!(instructions(&dump(after, "Ir", "totals: 9")).unwrap(), 9);
        for (dump, expected) in [
            (dump("Program termination", "Ir", "totals: 9"), "not of a counted call"),
            (dump(after, "Ir Dr", "totals: 9 1"), "something else"),
            (dump(after, "Ir", "totals: many"), "\"many\" is no number"),
            (dump(after, "Ir", "totals: 0"), "nothing was counted"),
            (dump(after, "Ir", ""), "no total"),
            (String::new(), "not of a counted call"),
        ] {
            let error = format!("{:#}", instructions(&dump).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_paths_file_has_its_name() {
        assert_eq!(file_name("let a warm request pass, 1 rule"), "let-a-warm-request-pass-1-rule");
        assert_eq!(file_name("match the last of 5000 rules under /v1"), "match-the-last-of-5000-rules-under-v1");
    }
}
