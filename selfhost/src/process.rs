//! One process of the Workers runtime: started, waited for, watched and ended. What it prints goes to a log file, whose end is shown when it
//! dies. What it runs is not this file's business.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

/// How long a start may take; a cold disk is slow.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long a process may take to end by itself. Requests are done long before, but for those that hang until something changes: while
/// there is one, the control process does not end, and nothing is lost with it.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// How long a process may take to be gone once it is killed.
const KILL_LIMIT: Duration = Duration::from_secs(3);
/// A log longer than this is begun anew at the next start.
const LOG_LIMIT: u64 = 8 * 1024 * 1024;

/// A process cannot be started, or died.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// It cannot be started.
    #[error("cannot start the runtime for {name}: {error}")]
    Start {
        /// Which.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// It ended by itself.
    #[error("{name} ended by itself ({status}); the end of {log}:\n{tail}")]
    Died {
        /// Which.
        name: String,
        /// How.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// It does not get ready.
    #[error("{name} does not answer after {limit:?}; the end of {log}:\n{tail}", limit = START_LIMIT)]
    Slow {
        /// Which.
        name: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
}

/// What to start.
#[derive(Debug)]
pub struct Launch<'a> {
    /// What the process is called in messages.
    pub name: &'a str,
    /// The runtime's binary.
    pub workerd: &'a Path,
    /// Its configuration.
    pub config: &'a Path,
    /// The file that its output is appended to.
    pub log: PathBuf,
    /// The file that names it while it runs.
    pub pid_file: PathBuf,
    /// How many sockets it listens on when it is ready.
    pub sockets: usize,
}

/// A running process; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Process {
    /// Starts a process and waits until it listens.
    pub async fn start(launch: Launch<'_>) -> Result<Self, ProcessError> {
        let failed = |error| ProcessError::Start { name: launch.name.to_owned(), error };
        let log = open_log(&launch.log).map_err(failed)?;
        let mut child = Command::new(launch.workerd)
            .args(["serve", "--import-path=/", "--control-fd=1"])
            .arg(launch.config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().map_err(failed)?)
            .process_group(0) // a terminal's Ctrl-C reaches only the starter, which ends everything in order
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        write_pid_file(&launch.pid_file, &child).map_err(failed)?;
        let (listening, mut ready) = mpsc::unbounded_channel();
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(follow(stdout, log, listening));
        }
        let mut process = Self { name: launch.name.to_owned(), child, log: launch.log, pid_file: launch.pid_file };
        process.wait_until_ready(&mut ready, launch.sockets).await?;
        Ok(process)
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What happened, if it has ended by itself.
    pub fn died(&mut self) -> Option<ProcessError> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(ProcessError::Died { name: self.name.clone(), status, log: self.log.clone(), tail: tail(&self.log) })
    }

    /// Ends it in good order; kills it if that takes too long.
    pub async fn stop(mut self) {
        if let Some(pid) = self.pid() {
            // It may have ended in this moment.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
        let _ = fs::remove_file(&self.pid_file);
    }

    /// Kills it, as a crash or a power failure would.
    pub async fn kill(mut self) {
        let _ = self.child.kill().await;
        let _ = fs::remove_file(&self.pid_file);
    }

    /// Halts it without ending it, so that it answers nobody; [`Self::resume`] goes on.
    pub fn pause(&self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, Signal::STOP);
        }
    }

    /// Ends a pause.
    pub fn resume(&self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, Signal::CONT);
        }
    }

    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    async fn wait_until_ready(&mut self, ready: &mut mpsc::UnboundedReceiver<()>, sockets: usize) -> Result<(), ProcessError> {
        let deadline = Instant::now() + START_LIMIT;
        let mut listening = 0;
        while listening < sockets {
            match timeout(Duration::from_millis(50), ready.recv()).await {
                Ok(Some(())) => listening += 1,
                Ok(None) => sleep(Duration::from_millis(5)).await,
                Err(_) => {}
            }
            if let Some(died) = self.died() {
                return Err(died);
            }
            if Instant::now() > deadline {
                return Err(ProcessError::Slow { name: self.name.clone(), log: self.log.clone(), tail: tail(&self.log) });
            }
        }
        Ok(())
    }
}

/// Ends the process that `pid_file` names, if a crash of its starter left it running. Says whether there was one.
pub async fn end_leftover(pid_file: &Path) -> bool {
    let Ok(text) = fs::read_to_string(pid_file) else { return false };
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok()).and_then(Pid::from_raw);
    let (Some(pid), Some(started)) = (pid, words.next()) else { return false };
    let alive = || start_time(pid.as_raw_nonzero().get()).is_some_and(|now| now == started);
    let found = alive();
    if found {
        let _ = kill_process(pid, Signal::KILL);
        let deadline = Instant::now() + KILL_LIMIT;
        while alive() && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
    }
    let _ = fs::remove_file(pid_file);
    found
}

/// The pid alone could belong to another process by now; with the time of its start it cannot.
fn write_pid_file(path: &Path, child: &Child) -> io::Result<()> {
    let Some(id) = child.id() else { return Ok(()) };
    let started = i32::try_from(id).ok().and_then(start_time).unwrap_or_default();
    fs::write(path, format!("{id} {started}\n"))
}

/// When a process was started, in the system's own unit; `None` where there is no such process, or no `/proc`. A process that has ended
/// and only waits to be noticed is gone.
fn start_time(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

/// Passes the runtime's messages on: `listen` events to `listening`, everything else to the log.
async fn follow(stdout: ChildStdout, mut log: File, listening: mpsc::UnboundedSender<()>) {
    let mut lines = BufReader::new(stdout).split(b'\n');
    while let Ok(Some(mut line)) = lines.next_segment().await {
        if line.starts_with(br#"{"event":"listen""#) {
            let _ = listening.send(());
        } else {
            line.push(b'\n');
            let _ = log.write_all(&line); // a full disk must not stop the runtime
        }
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    if file.metadata()?.len() > LOG_LIMIT {
        file.set_len(0)?;
    }
    Ok(file)
}

/// The last lines of a log.
pub(crate) fn tail(path: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(8 * 1024)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        Ok(lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n"))
    };
    read().unwrap_or_else(|error| format!("({error})"))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::StateFolder;

    fn sleeper() -> Child {
        Command::new("sleep").arg("1000").spawn().unwrap()
    }

    fn started(child: &Child) -> String {
        start_time(i32::try_from(child.id()).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_process_left_by_a_crash_is_ended() {
        let folder = StateFolder::temporary().unwrap();
        let pid_file = folder.run().join("control.pid");
        let mut child = sleeper();
        fs::write(&pid_file, format!("{} {}\n", child.id(), started(&child))).unwrap();
        assert!(end_leftover(&pid_file).await);
        assert!(child.wait().unwrap().code().is_none(), "it was ended by a signal");
        assert!(!pid_file.exists());
    }

    #[tokio::test]
    async fn another_process_that_got_the_same_id_is_left_alone() {
        let folder = StateFolder::temporary().unwrap();
        let pid_file = folder.run().join("control.pid");
        let mut child = sleeper();
        fs::write(&pid_file, format!("{} 1\n", child.id())).unwrap();
        assert!(!end_leftover(&pid_file).await);
        assert!(child.try_wait().unwrap().is_none(), "it still runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
