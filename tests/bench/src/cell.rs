//! A cell: one thing that is measured. It starts as a process of its own on the core that is measured, says which requests it is to be sent, and
//! must show that it does the work ([`crate::check`]) before anything is counted.
//!
//! Who measures, and in which order, is `run`'s business.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use keyward_selfhost::{Installation, arrangement::Links, kv::KvService, listen::free_port, settings::Variables};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{cores::Cores, keys::Keys};

/// How long a process may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to end by itself.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// What a cell does with a request: cells are compared within one kind, and with the floor of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Answers a constant: the floor of what verifies.
    Answer,
    /// Verifies a key that it has seen before, and answers.
    Verify,
    /// Verifies a key that it has never seen, with one read of the store, and answers.
    VerifyCold,
    /// Forwards to the origin, and looks at nothing: the floor of what forwards.
    Forward,
    /// Verifies a key that it has seen before, rewrites the headers and forwards to the origin.
    Gateway,
}

impl Work {
    /// Whether a wrong key must be refused.
    pub fn verifies(self) -> bool {
        matches!(self, Self::Verify | Self::VerifyCold | Self::Gateway)
    }

    /// Whether the origin gets the request.
    pub fn forwards(self) -> bool {
        matches!(self, Self::Forward | Self::Gateway)
    }
}

/// One thing that is measured.
pub trait Cell {
    /// A word for tables and `--only`: `nginx-gateway`.
    fn name(&self) -> &'static str;

    /// One sentence for the report: what it is, and how it keeps keys.
    fn what(&self) -> &'static str;

    /// What it does with a request.
    fn work(&self) -> Work;

    /// The name and version of what runs: `nginx 1.22.1`.
    fn version(&self, ground: &Ground<'_>) -> Result<String>;

    /// Starts it anew, with nothing left of an earlier start, and waits until it listens.
    fn start(&self, ground: &Ground<'_>) -> Result<Running>;
}

/// What a cell may use.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The repository's root.
    pub root: &'a Path,
    /// An empty folder of this start.
    pub dir: &'a Path,
    /// The runtime and the built Workers.
    pub installation: &'a Installation,
    /// Which core is whose.
    pub cores: Cores,
    /// The keys that are valid, and some that are not.
    pub keys: &'a Keys,
    /// The API behind the gateways, on plain HTTP.
    pub origin: SocketAddr,
    /// The KV service with the records of all keys, as a `kvNamespace` binding of the runtime speaks to it.
    pub kv: SocketAddr,
    /// The same, for those who keep something of their own there before they start.
    pub store: &'a KvService,
    /// The settings of Keyward's edge.
    pub edge: &'a Variables,
    /// How Keyward's edge reaches the control plane.
    pub links: &'a Links,
}

impl Ground<'_> {
    /// An address on which nothing listens yet.
    pub fn free_address(&self) -> Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)))
    }

    /// Writes a file of this start's folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.dir.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Starts `command` on the measured core and waits until it listens on `address`. What it prints goes to a file in the folder.
    pub fn spawn(&self, mut command: Command, address: SocketAddr) -> Result<Started> {
        let program = command.get_program().to_string_lossy().into_owned();
        let log = self.dir.join("log.txt");
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let began = Instant::now();
        let child = self.cores.measured(|| command.spawn()).with_context(|| format!("cannot start {program}"))?;
        let mut started = Started { child, log, began };
        started.wait_until_listening(address, &program)?;
        Ok(started)
    }

    /// Starts the Workers runtime with the configuration `text`, whose socket is `address`.
    pub fn workerd(&self, text: &str, address: SocketAddr) -> Result<Started> {
        let path = self.write("config.capnp", text)?;
        let mut command = Command::new(self.installation.workerd()?);
        command.args(["serve", "--import-path=/"]).arg(path);
        self.spawn(command, address)
    }
}

/// A process with all its children, ended when this is dropped.
#[derive(Debug)]
pub struct Started {
    child: Child,
    log: PathBuf,
    /// When it was started.
    pub began: Instant,
}

impl Started {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it printed.
    pub fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    fn wait_until_listening(&mut self, address: SocketAddr, program: &str) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{program} ended with {status} before it listened on {address}:\n{}", self.tail());
            }
            if Instant::now() > deadline {
                bail!("{program} does not listen on {address}:\n{}", self.tail());
            }
            sleep(Duration::from_micros(500));
        }
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return };
        let _ = kill_process_group(group, Signal::TERM); // it may have ended already
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(5));
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A cell that listens.
#[derive(Debug)]
pub struct Running {
    /// Where.
    pub address: SocketAddr,
    /// What is measured: these processes, all their threads and all their children.
    pub processes: Vec<Started>,
    /// What it is to be sent.
    pub asked: Asked,
}

/// How a request carries its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `x-api-key: <key>`
    ApiKey,
    /// `authorization: Bearer <key>`
    Bearer,
}

/// What a cell is sent, and what it must answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The path of each request. Where the origin gets the request, only the check uses another: it ends in [`crate::origin::SEEN`].
    pub path: String,
    /// More header lines, as `name: value`. With the common ones a request should have six or seven.
    pub headers: Vec<String>,
    /// How the key is sent.
    pub credential: Credential,
    /// The keys, in turn; none where the cell verifies nothing.
    pub keys: Vec<String>,
    /// Keys that must be refused: made up, and of the right form.
    pub wrong: Vec<String>,
    /// The status of what is let in.
    pub status: u16,
    /// The status of what is refused.
    pub refusal: u16,
}

impl Asked {
    /// GET requests for `path` with `keys` as `x-api-key`, of which one in each of `wrong` must be refused with 401.
    pub fn with_keys(path: &str, keys: Vec<String>, wrong: Vec<String>) -> Self {
        Self { path: path.into(), headers: Vec::new(), credential: Credential::ApiKey, keys, wrong, status: 200, refusal: 401 }
    }

    /// GET requests for `path` with a header that nobody looks at, for what verifies nothing.
    pub fn plain(path: &str) -> Self {
        Self::with_keys(path, Vec::new(), Vec::new())
    }

    /// One request as bytes. Besides the credential it has the headers of an ordinary client, and one that only a gateway may write.
    pub fn request(&self, path: &str, key: Option<&str>) -> Vec<u8> {
        let common = ["host: api.example.com", "user-agent: bench/1.0", "accept: application/json"].map(str::to_owned);
        let forged = format!("{IDENTITY}: {FORGED}");
        let credential = key.map(|key| match self.credential {
            Credential::ApiKey => format!("x-api-key: {key}"),
            Credential::Bearer => format!("authorization: Bearer {key}"),
        });
        let lines = common.iter().chain([&forged]).chain(&self.headers).chain(credential.as_ref());
        let lines: Vec<&str> = lines.map(String::as_str).collect();
        format!("GET {path} HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes()
    }

    /// All requests of the load, in the order in which they are sent.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        match self.keys.as_slice() {
            [] => vec![self.request(&self.path, None)],
            keys => keys.iter().map(|key| self.request(&self.path, Some(key))).collect(),
        }
    }
}

/// The header in which a gateway tells the origin for whom a request acts. The client sends one of its own, which must not arrive.
pub const IDENTITY: &str = "x-keyward-owner";
/// What the client claims to be.
pub const FORGED: &str = "mallory";
