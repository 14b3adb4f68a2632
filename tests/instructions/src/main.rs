//! `keyward-instructions`: how many instructions the pure paths of a request take, compared with the counts that are kept in `counts.txt`.
//! `cargo xtask instructions` builds it and runs it.
//!
//! The program starts itself once more under callgrind ([`callgrind`]), where it walks each path ([`paths`]) a few times, reads what was
//! counted, and compares it ([`comparison`]) with the file ([`counts`]). An instruction is counted the same on every machine: it depends on the
//! compiler and on what the program is linked with, not on load, clock or processor. So everything is in the program: the allocator is the one
//! that Rust has in WebAssembly, SHA-256 is the one of the edge's WebAssembly (by the flags that xtask gives), and the C library is linked in.

mod callgrind;
mod comparison;
mod counts;
mod fixtures;
mod paths;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    comparison::{Comparison, LIMIT_PERCENT},
    counts::{Counts, Origin},
};

/// Allocations are counted as they are in a Worker, whatever this machine's C library does.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The argument with which the program walks the paths instead of counting.
const WALK: &str = "walk";

/// The command line: `--valgrind FILE --compiler TEXT --target TEXT --counts FILE --dumps DIR [--accept]`.
#[derive(Debug, Default)]
struct Arguments {
    /// valgrind's program.
    valgrind: PathBuf,
    /// What the program was compiled with, and for what.
    made_with: Origin,
    /// The counts that are kept.
    counts: PathBuf,
    /// Where callgrind's own files go, for `callgrind_annotate`.
    dumps: PathBuf,
    /// Keep the new counts instead of comparing.
    accept: bool,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            if word == "--accept" {
                arguments.accept = true;
                continue;
            }
            let value = words.next().with_context(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--valgrind" => arguments.valgrind = value.into(),
                "--compiler" => arguments.made_with.compiler = value,
                "--target" => arguments.made_with.target = value,
                "--counts" => arguments.counts = value.into(),
                "--dumps" => arguments.dumps = value.into(),
                _ => bail!("{word} is not known; `cargo xtask instructions` gives what is needed"),
            }
        }
        let Self { valgrind, made_with: Origin { compiler, target }, counts, dumps, .. } = &arguments;
        let empty = [valgrind, counts, dumps].iter().any(|path| path.as_os_str().is_empty()) || compiler.is_empty() || target.is_empty();
        ensure!(!empty, "--valgrind, --compiler, --target, --counts and --dumps are needed; `cargo xtask instructions` gives them");
        Ok(arguments)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let outcome = if words == [WALK] { paths::walk() } else { Arguments::read(words.into_iter()).and_then(|arguments| run(&arguments)) };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is this program's result")]
fn run(arguments: &Arguments) -> Result<()> {
    let file = arguments.counts.display();
    let old = match kept(&arguments.counts) {
        Err(_) if arguments.accept => Counts::default(), // it is written anew, perhaps after a merge that spoilt it
        old => old.with_context(|| format!("cannot read {file}; `cargo xtask instructions --accept` writes it anew"))?,
    };
    let names: Vec<&str> = paths::ALL.iter().map(|path| path.name).collect();
    let counted = callgrind::count(&arguments.valgrind, &arguments.dumps, &names, paths::ROUNDS)?;
    let new = Counts { origin: arguments.made_with.clone(), paths: counted };
    let mut comparison = Comparison::new(&old, &new, &paths::GROWTH);
    print!("{comparison}");
    if arguments.accept {
        fs::write(&arguments.counts, new.to_string()).with_context(|| format!("cannot write {file}"))?;
        println!("kept in {file}, to be committed");
        comparison = Comparison::new(&new, &new, &paths::GROWTH);
    }
    let (passed, failures) = (comparison.passed(), comparison.failures());
    println!("{passed} passed, {} failed", failures.len());
    ensure!(
        failures.is_empty(),
        "\n  {}\nAt most {LIMIT_PERCENT} % more than {file} says is allowed. What takes them: `callgrind_annotate` with the path's file in {}.\n\
         If the change is worth it, `cargo xtask instructions --accept` keeps the new counts, to be committed with it.",
        failures.join("\n  "),
        arguments.dumps.display()
    );
    Ok(())
}

/// The counts that are kept; none where there is no file yet.
fn kept(file: &Path) -> Result<Counts> {
    match fs::read_to_string(file) {
        Ok(text) => Counts::read(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Counts::default()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_missing_or_unknown_on_the_command_line_is_said() {
        let whole = "--valgrind v --compiler rustc --target t --counts c --dumps d";
        let given = read(&format!("{whole} --accept")).unwrap();
        assert!(given.accept && !read(whole).unwrap().accept);
        assert_eq!((given.counts, given.made_with.to_string()), (PathBuf::from("c"), "rustc for t".to_owned()));
        for (line, expected) in [("", "are needed"), ("--valgrind", "needs a value"), ("--fast yes", "--fast is not known")] {
            let error = format!("{:#}", read(line).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
