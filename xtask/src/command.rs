//! Running other programs, with messages that say which one failed and what to do when it is missing.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::paths;

/// The cargo that runs this task, in the repository's root.
pub(crate) fn cargo() -> Command {
    in_root(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// `program`, in the repository's root.
pub(crate) fn in_root(program: impl Into<OsString>) -> Command {
    let mut command = Command::new(program.into());
    command.current_dir(paths::root());
    command
}

/// Says on stderr what is going on.
pub(crate) fn progress(message: impl AsRef<str>) {
    eprintln!("{:>12} {}", "Keyward", message.as_ref());
}

/// Runs `command` with its output on stderr; an error unless it succeeds. Stdout is the task's own.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status = command.stdout(std::io::stderr()).status().with_context(|| missing(&name))?;
    if !status.success() {
        bail!("`{name}` failed ({status})");
    }
    Ok(())
}

/// Runs `command` and gives what it printed; an error unless it succeeds.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().with_context(|| missing(&name))?;
    if !status.success() {
        bail!("`{name}` failed ({status}): {}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Runs `command`, passing every line of its stdout to `line` and its stderr through; says whether it succeeded.
pub(crate) fn each_line(command: &mut Command, mut line: impl FnMut(&str)) -> Result<bool> {
    let name = describe(command);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| missing(&name))?;
    if let Some(stdout) = child.stdout.take() {
        for text in BufReader::new(stdout).split(b'\n') {
            line(&String::from_utf8_lossy(&text.with_context(|| format!("cannot read the output of `{name}`"))?));
        }
    }
    Ok(child.wait()?.success())
}

/// Where `program` is on the search path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn missing(name: &str) -> String {
    format!("`{name}` cannot be started")
}
