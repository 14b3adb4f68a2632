//! `cargo xtask seeded-bugs`: makes deliberate mistakes, one at a time, in a copy of the tree, and tells which of the project's tests
//! notices. A test that notices none of them proves nothing.
//!
//! The mistakes are the patches in `tests/seeded-bugs`; what each is, what it breaks and what has to notice it stands in its first lines.
//! The copy and everything built from it is under `target/seeded-bugs`; the working tree is only read.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{
    command::{capture, cargo, in_root, progress},
    paths, tools,
};

/// The command line.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these: names of patches, or parts of them
    names: Vec<String>,
    /// The simulator's first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds the simulator runs at most
    #[arg(long, default_value_t = 150)]
    seeds: u64,
    /// How many operations each run of the simulator has
    #[arg(long, default_value_t = 800)]
    ops: u64,
}

/// A mistake.
#[derive(Debug)]
struct Bug {
    name: String,
    patch: PathBuf,
    head: Head,
}

/// What the first lines of a patch say.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    mistake: String,
    breaks: String,
    level: Level,
}

/// What has to notice a mistake.
#[derive(Debug, PartialEq, Eq)]
enum Level {
    /// The simulator, which sees the state machines.
    Simulator,
    /// One of these end-to-end tests, which see everything else.
    EndToEnd(Vec<String>),
}

/// What noticed a mistake, in words.
#[derive(Debug, PartialEq, Eq)]
struct Noticed {
    by: String,
    effort: String,
}

/// Tries all mistakes, or those that are asked for.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let bugs = chosen(arguments, bugs()?)?;
    let replica = Replica::make()?;
    sound(&replica, arguments, &bugs).context("the tree itself does not pass")?;
    let mut missed = Vec::new();
    say("| mistake | noticed by | of which | effort |\n| --- | --- | --- | --- |");
    for bug in &bugs {
        let begun = Instant::now();
        match replica.with(&bug.patch, || notice(&replica, arguments, &bug.head.level)) {
            Ok(Some(noticed)) => say(&row(bug, &noticed, begun.elapsed())),
            Ok(None) => missed.push(format!("{}: nothing noticed it. {}", bug.name, bug.head.mistake)),
            Err(error) => missed.push(format!("{}: {error:#}", bug.name)),
        }
    }
    ensure!(missed.is_empty(), "{} of {} mistakes:\n{}", missed.len(), bugs.len(), missed.join("\n"));
    Ok(())
}

fn row(bug: &Bug, noticed: &Noticed, took: Duration) -> String {
    let level = match bug.head.level {
        Level::Simulator => "simulator",
        Level::EndToEnd(_) => "end to end",
    };
    format!("| {} | {level} | {} | {}, {:.0} s with the build |", bug.name, noticed.by, noticed.effort, took.as_secs_f64())
}

/// All mistakes, in the order of their names.
fn bugs() -> Result<Vec<Bug>> {
    let folder = paths::root().join("tests/seeded-bugs");
    let mut bugs = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let patch = entry?.path();
        let Some(name) = patch.file_name().and_then(|name| name.to_str()?.strip_suffix(".patch")).map(str::to_owned) else { continue };
        let text = fs::read_to_string(&patch).with_context(|| format!("cannot read {}", patch.display()))?;
        let head = Head::read(&text).with_context(|| name.clone())?;
        bugs.push(Bug { name, patch, head });
    }
    bugs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(bugs)
}

fn chosen(arguments: &Arguments, mut bugs: Vec<Bug>) -> Result<Vec<Bug>> {
    for name in &arguments.names {
        ensure!(bugs.iter().any(|bug| bug.name.contains(name)), "there is no mistake called {name}");
    }
    bugs.retain(|bug| arguments.names.is_empty() || arguments.names.iter().any(|name| bug.name.contains(name)));
    ensure!(!bugs.is_empty(), "there are no mistakes to make");
    Ok(bugs)
}

impl Head {
    /// Reads the lines before the diff: `Mistake: …`, `Breaks: …`, `Noticed by: simulator` or `Noticed by: e2e: <test> …`. A line that begins
    /// with a space goes on with the one before.
    fn read(patch: &str) -> Result<Self> {
        let lines = patch.lines().take_while(|line| !line.starts_with("diff --git ") && !line.starts_with("--- "));
        let text = lines.collect::<Vec<_>>().join("\n").replace("\n ", " ");
        let field = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.map(str::to_owned).with_context(|| format!("the patch does not begin with `{name}: …`"))
        };
        let level = match field("Noticed by")?.trim() {
            "simulator" => Level::Simulator,
            other => {
                let tests = other.strip_prefix("e2e:").map(|tests| tests.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
                Level::EndToEnd(tests.filter(|tests| !tests.is_empty()).context("`Noticed by` names neither the simulator nor tests")?)
            }
        };
        Ok(Self { mistake: field("Mistake")?, breaks: field("Breaks")?, level })
    }
}

/// Everything that has to notice one of `bugs` finds nothing wrong as long as there is none.
fn sound(replica: &Replica, arguments: &Arguments, bugs: &[Bug]) -> Result<()> {
    let mut tests = BTreeSet::new();
    let mut simulated = false;
    for bug in bugs {
        match &bug.head.level {
            Level::Simulator => simulated = true,
            Level::EndToEnd(named) => tests.extend(named.iter().cloned()),
        }
    }
    let levels = [simulated.then_some(Level::Simulator), (!tests.is_empty()).then(|| Level::EndToEnd(tests.into_iter().collect()))];
    for level in levels.into_iter().flatten() {
        progress("trying the tree without a mistake");
        if let Some(noticed) = notice(replica, arguments, &level)? {
            bail!("{} ({})", noticed.by, noticed.effort);
        }
    }
    Ok(())
}

/// What `level` finds wrong with the copy as it is.
fn notice(replica: &Replica, arguments: &Arguments, level: &Level) -> Result<Option<Noticed>> {
    match level {
        Level::Simulator => replica.simulate(arguments),
        Level::EndToEnd(tests) => replica.try_end_to_end(tests),
    }
}

/// The copy of the tree.
struct Replica {
    tree: PathBuf,
    target: PathBuf,
    _lock: File,
}

impl Replica {
    /// Makes the copy, or brings it up to date: what did not change is not written, so that it is not built again.
    fn make() -> Result<Self> {
        let folder = paths::root().join("target/seeded-bugs");
        let (tree, target) = (folder.join("tree"), folder.join("target"));
        fs::create_dir_all(&tree).with_context(|| format!("cannot create {}", tree.display()))?;
        let lock = File::create(folder.join(".lock")).context("cannot create the lock file")?;
        lock.try_lock().map_err(|error| anyhow::anyhow!("somebody else is using {}: {error}", folder.display()))?;
        let tracked = capture(in_root("git").args(["ls-files", "-z"]))?;
        let tracked: BTreeSet<&str> = tracked.split('\0').filter(|name| paths::root().join(name).is_file()).collect();
        let list = folder.join("files");
        for gone in fs::read_to_string(&list).unwrap_or_default().lines().filter(|name| !tracked.contains(name)) {
            fs::remove_file(tree.join(gone)).ok(); // it may be gone already
        }
        for name in &tracked {
            update(&paths::root().join(name), &tree.join(name)).with_context(|| format!("cannot copy {name}"))?;
        }
        fs::write(list, tracked.into_iter().collect::<Vec<_>>().join("\n"))?;
        Ok(Self { tree, target, _lock: lock })
    }

    /// Does `work` while the patch is applied.
    fn with<T>(&self, patch: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
        progress(format!("trying {}", patch.file_stem().unwrap_or_default().to_string_lossy()));
        self.apply(patch, &["--check"])?;
        self.apply(patch, &[])?;
        let done = work();
        self.apply(patch, &["--reverse"])?;
        done
    }

    /// `git apply`, as outside of any repository: within one it would leave out, silently, what it takes for ignored.
    fn apply(&self, patch: &Path, options: &[&str]) -> Result<()> {
        let mut command = Command::new("git");
        command.current_dir(&self.tree).env("GIT_CEILING_DIRECTORIES", self.tree.parent().unwrap_or(&self.tree));
        capture(command.arg("apply").args(options).arg(patch)).context("the patch does not apply").map(drop)
    }

    /// The cargo that runs this task, in the copy.
    fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Runs the simulator: many seeds, and then the kept runs that once broke an invariant. The invariant that it finds broken.
    fn simulate(&self, arguments: &Arguments) -> Result<Option<Noticed>> {
        capture(self.cargo().args(["build", "--quiet", "--profile", "simulate", "--package", "keyward-simulator"]))?;
        let mut seeds = self.simulator();
        for (name, value) in [("--seed", arguments.seed), ("--seeds", arguments.seeds), ("--ops", arguments.ops)] {
            seeds.arg(name).arg(value.to_string());
        }
        if let Some(noticed) = simulated(&seeds.arg("--first").output()?)? {
            return Ok(Some(noticed));
        }
        let kept = fs::read_dir(self.tree.join("tests/simulator/failures"))?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        for script in kept.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
            if let Some(mut noticed) = simulated(&self.simulator().arg("--script").arg(script).output()?)? {
                noticed.effort = format!("kept run `{}`", script.file_stem().unwrap_or_default().to_string_lossy());
                return Ok(Some(noticed));
            }
        }
        Ok(None)
    }

    fn simulator(&self) -> Command {
        let mut command = Command::new(self.target.join("simulate/keyward-simulator"));
        command.current_dir(&self.tree).args(["--shrink-s", "0"]).stdin(Stdio::null());
        command
    }

    /// Builds the Workers and runs end-to-end tests; the first that fails.
    fn try_end_to_end(&self, tests: &[String]) -> Result<Option<Noticed>> {
        tools::npm_packages()?;
        let packages = self.tree.join("node_modules");
        if !packages.exists() {
            symlink(paths::root().join("node_modules"), &packages).context("cannot link to the npm packages")?;
        }
        capture(self.cargo().args(["run", "--quiet", "--package", "keyward-xtask", "--", "build"]))?;
        capture(self.cargo().args(["test", "--quiet", "--package", "keyward-e2e", "--test", "e2e", "--no-run"]))?;
        let begun = Instant::now();
        let output = self.cargo().args(["test", "--package", "keyward-e2e", "--test", "e2e", "--"]).args(tests).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let results = |word: &str| text.lines().filter(|line| line.starts_with("test ") && line.ends_with(word)).count();
        let failed = text.lines().find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
        match (output.status.success(), failed) {
            (true, None) if results("ok") > 0 => Ok(None),
            (false, Some(failed)) => {
                let effort =
                    format!("{} of {} tests, {:.0} s", results("FAILED"), results("FAILED") + results("ok"), begun.elapsed().as_secs_f64());
                Ok(Some(Noticed { by: format!("`{failed}`"), effort }))
            }
            _ => bail!("the tests {} ended without a report: {}", tests.join(", "), String::from_utf8_lossy(&output.stderr).trim()),
        }
    }
}

/// Copies a file unless the copy is the same already.
fn update(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from)?;
    if fs::read(to).is_ok_and(|known| known == content) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(to, content)?)
}

/// What the simulator said: `seed 7: <invariant> (<when> ms): …` on stderr, and at the end how much it did.
fn simulated(output: &Output) -> Result<Option<Noticed>> {
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let steps = said.lines().find_map(|line| line.split_once(" steps, ")).map(|(steps, _)| steps);
    let seconds = said.lines().find(|line| line.contains(" steps, ")).and_then(|line| line.rsplit(", ").next());
    let (Some(steps), Some(seconds)) = (steps, seconds) else {
        bail!("the simulator ended without a report: {}", errors.trim());
    };
    let broken = errors.lines().find_map(|line| {
        let (seed, rest) = line.strip_prefix("seed ")?.split_once(": ")?;
        let (before, _) = rest.split_once(" ms): ")?;
        Some((seed.parse::<u64>().ok()?, before.rsplit_once(" (")?.0))
    });
    match (output.status.success(), broken) {
        (true, None) => Ok(None),
        (false, Some((seed, invariant))) => {
            let effort = format!("seed {seed}, {steps} steps, {seconds}");
            Ok(Some(Noticed { by: invariant.to_owned(), effort }))
        }
        _ => bail!("the simulator contradicts itself: {} {}", said.trim(), errors.trim()),
    }
}

#[expect(clippy::print_stdout, reason = "the table is this task's result")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::*;

    #[test]
    fn every_mistake_says_what_it_is_and_is_told_of_in_the_documentation() {
        let bugs = bugs().unwrap();
        assert!(bugs.len() >= 20, "{}", bugs.len());
        let page = fs::read_to_string(paths::root().join("docs/seeded-bugs.md")).unwrap();
        for (index, bug) in bugs.iter().enumerate() {
            assert!(bug.name.starts_with(&format!("{:02}-", index + 1)), "{} is number {}", bug.name, index + 1);
            assert!(page.contains(&format!("| {} |", bug.name)), "{} is not in docs/seeded-bugs.md", bug.name);
            assert!(bug.head.mistake.ends_with('.') && bug.head.breaks.ends_with('.'), "{:?}", bug.head);
        }
    }

    #[test]
    fn a_head_is_read_up_to_the_diff() {
        let head = "Mistake: It is\n wrong.\nBreaks: Much.\nNoticed by: e2e: life::a life::b\n\ndiff --git a/x b/x\nMistake: no\n";
        let read = Head::read(head).unwrap();
        let level = Level::EndToEnd(vec!["life::a".into(), "life::b".into()]);
        assert_eq!(read, Head { mistake: "It is wrong.".into(), breaks: "Much.".into(), level });
        for bad in ["Breaks: x\nNoticed by: simulator\n", "Mistake: x\nBreaks: x\nNoticed by: e2e:\n", "--- a\nMistake: x\nBreaks: x\n"] {
            assert!(Head::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_simulator_says_is_read() {
        let output = |code: i32, said: &str, errors: &str| Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: said.into(),
            stderr: errors.into(),
        };
        let end = "14340 steps, 1 simulated days, 0.6 s\n0 passed, 2 failed\n";
        let noticed = simulated(&output(1, end, "seed 8: a key (of any) passes (118340 ms): key 3 (x): y\n")).unwrap();
        let effort = "seed 8, 14340 steps, 0.6 s".to_owned();
        assert_eq!(noticed, Some(Noticed { by: "a key (of any) passes".into(), effort }));
        assert_eq!(simulated(&output(0, end, "")).unwrap(), None);
        for (code, said, errors) in [(101, "", "thread panicked"), (1, end, ""), (0, end, "seed 8: a (1 ms): b")] {
            assert!(simulated(&output(code, said, errors)).is_err(), "{code} {said} {errors}");
        }
    }
}
