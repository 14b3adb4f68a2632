//! All of Keyward on this machine, started and stopped as one: KV service, control process, edge processes, demo origin.
//!
//! Ports, secrets and files stay the same while a [`System`] lives, so that a process can be stopped, killed and started again under the
//! others' feet.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use keyward_shared::{
    ids::{IdError, OwnerId},
    link::SignInLink,
    mint,
    secret::{SecretError, SecretList},
    settings::SettingsError,
    shard::Shard,
    time::Millis,
};
use thiserror::Error;
use tokio::time::sleep;

use crate::{
    Installation, StateFolder,
    arrangement::{self, Links},
    config::Config,
    installation::InstallationError,
    kv::{KvError, KvService},
    listen::{ListenError, check_free, free_port},
    origin::DemoOrigin,
    process::{Launch, Process, ProcessError, end_leftover},
    settings::{Inputs, Settings},
    state::{Bootstrap, StateError, random_hex},
    wire::Wire,
};

/// The owner that the bootstrap key and the sign-in link act for.
const OPERATOR: &str = "admin";

/// Why the system does not start.
#[derive(Debug, Error)]
pub enum SystemError {
    /// Something is not built or installed.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A port cannot be used.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The KV service does not start.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A process does not start, or died.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No random numbers.
    #[error(transparent)]
    NoRandomness(#[from] mint::NoRandomness),
    /// `SESSION_SECRETS` is wrong.
    #[error("setting SESSION_SECRETS: {0}")]
    SessionSecrets(#[from] SecretError),
    /// An id is wrong.
    #[error(transparent)]
    Id(#[from] IdError),
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The runtime and the built Workers.
    pub installation: Installation,
    /// The folder that keeps the state; a temporary one where it is not given.
    pub state_dir: Option<PathBuf>,
    /// The first edge's port; a free one where it is not given, or 0.
    pub edge_port: Option<u16>,
    /// The control plane's port; a free one where it is not given, or 0.
    pub control_port: Option<u16>,
    /// The API behind the edge; the demo origin where it is not given.
    pub origin: Option<String>,
    /// The edges have the origin as the service binding `ORIGIN`, not as an address.
    pub bind_origin: bool,
    /// The revocation bound in seconds; 180 where it is not given.
    pub bound_s: Option<f64>,
    /// Settings that replace or complete the others, in both Workers.
    pub settings: Vec<(String, String)>,
    /// How many edge processes there are.
    pub edges: usize,
    /// Each edge reaches the store through a view of its own and the objects through a wire of its own, so that a test can let one of them
    /// lag or cut it off.
    pub apart: bool,
}

impl Options {
    /// One edge, a demo origin, free ports and a temporary folder.
    pub fn new(installation: Installation) -> Self {
        Self {
            installation,
            state_dir: None,
            edge_port: None,
            control_port: None,
            origin: None,
            bind_origin: false,
            bound_s: None,
            settings: Vec::new(),
            edges: 1,
            apart: false,
        }
    }
}

/// Everything, running. Processes are killed when this is dropped; [`System::stop`] ends them in good order.
#[derive(Debug)]
pub struct System {
    control: Option<Process>,
    edges: Vec<Option<Process>>,
    control_port: u16,
    edge_ports: Vec<u16>,
    links: Links,
    settings: Settings,
    origin_url: String,
    origin: Option<DemoOrigin>,
    kv: KvService,
    /// The edges' own, where they are apart.
    ways: Vec<Way>,
    bootstrap: Bootstrap,
    bootstrap_key: Option<String>,
    installation: Installation,
    folder: StateFolder,
}

/// How one edge reaches the others.
#[derive(Debug)]
struct Way {
    view: KvService,
    wire: Wire,
}

impl System {
    /// Starts everything and waits until it listens. Processes that a crash left running on the same folder are ended first.
    pub async fn start(options: Options) -> Result<Self, SystemError> {
        let installation = options.installation;
        installation.workerd()?;
        let folder = match &options.state_dir {
            Some(path) => StateFolder::open(path)?,
            None => StateFolder::temporary()?,
        };
        end_leftovers(&folder).await;

        let control_port = port(options.control_port)?;
        let mut edge_ports = vec![port(options.edge_port)?];
        while edge_ports.len() < options.edges.max(1) {
            edge_ports.push(free_port()?);
        }
        let kv = KvService::start(&folder.kv(), None).await?;
        let origin = match options.origin {
            Some(_) => None,
            None => Some(DemoOrigin::start(None).await?),
        };
        let origin_url = options.origin.or_else(|| origin.as_ref().map(DemoOrigin::url)).unwrap_or_default();

        let mut settings = Settings::resolve(&Inputs {
            secrets: folder.secrets(),
            origin_url: if options.bind_origin { "" } else { &origin_url },
            edge_url: &url(edge_ports[0]),
            control_url: &url(control_port),
            bound_s: options.bound_s,
            overrides: &options.settings,
        })?;
        let (bootstrap, bootstrap_key) = bootstrap(&folder, &settings)?;
        settings.control.insert("BOOTSTRAP_DIGEST".into(), bootstrap.digest.clone());
        let origin_host = || origin_url.trim_start_matches("http://").to_owned();
        let links = Links {
            kv: kv.address(),
            relay_port: free_port()?,
            relay_secret: random_hex::<32>()?,
            origin: options.bind_origin.then(origin_host),
        };
        let mut ways = Vec::new();
        if options.apart {
            for _ in &edge_ports {
                ways.push(Way { view: kv.another_view().await?, wire: Wire::to(links.relay_port).await? });
            }
        }

        let edges = edge_ports.iter().map(|_| None).collect();
        let mut system = Self {
            control: None,
            edges,
            control_port,
            edge_ports,
            links,
            settings,
            origin_url,
            origin,
            kv,
            ways,
            bootstrap,
            bootstrap_key,
            installation,
            folder,
        };
        system.start_control().await?;
        for index in 0..system.edges.len() {
            system.start_edge(index).await?;
        }
        Ok(system)
    }

    /// The first edge's address, `http://127.0.0.1:<port>`.
    pub fn edge_url(&self) -> String {
        url(self.edge_ports[0])
    }

    /// All edges' addresses.
    pub fn edge_urls(&self) -> Vec<String> {
        self.edge_ports.iter().copied().map(url).collect()
    }

    /// The control plane's address.
    pub fn control_url(&self) -> String {
        url(self.control_port)
    }

    /// The origin's address.
    pub fn origin_url(&self) -> &str {
        &self.origin_url
    }

    /// The demo origin, where there is one.
    pub fn origin(&self) -> Option<&DemoOrigin> {
        self.origin.as_ref()
    }

    /// The KV service; where the edges are apart, the control plane's view of the store.
    pub fn kv(&self) -> &KvService {
        &self.kv
    }

    /// How the processes reach each other; with it a test can speak to an object as an edge does.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The KV service that the edge `index` reads: its own view where the edges are apart, else the common one.
    pub fn view(&self, index: usize) -> &KvService {
        self.ways.get(index).map_or(&self.kv, |way| &way.view)
    }

    /// The wire from the edge `index` to the objects, where the edges are apart.
    pub fn wire(&self, index: usize) -> Option<&Wire> {
        self.ways.get(index).map(|way| &way.wire)
    }

    /// The Workers' variables.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes a variable of the edges; one that runs follows when it is started anew.
    pub fn change_edge(&mut self, name: &str, value: &str) {
        self.settings.edge.insert(name.to_owned(), value.to_owned());
    }

    /// The state folder.
    pub fn folder(&self) -> &StateFolder {
        &self.folder
    }

    /// The newest tag secret in hexadecimal.
    pub fn tag_secret_hex(&self) -> &str {
        self.settings.control.get("TAG_SECRETS").and_then(|list| list.split(',').next()).unwrap_or_default().trim()
    }

    /// The operator's bootstrap key, until it has been shown.
    pub fn bootstrap_key(&self) -> Option<&str> {
        self.bootstrap_key.as_deref()
    }

    /// Remembers that the bootstrap key has been shown: later starts have none to show.
    pub fn bootstrap_key_was_shown(&mut self) -> Result<(), SystemError> {
        self.bootstrap.shown = true;
        Ok(self.folder.set_bootstrap(&self.bootstrap)?)
    }

    /// A link that signs the operator in to the admin page, once, for ten minutes.
    pub fn sign_in_link(&self) -> Result<String, SystemError> {
        let secrets = SecretList::parse(self.settings.control.get("SESSION_SECRETS").map_or("", String::as_str))?;
        let mut random = [0; 16];
        mint::fill(&mut random)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Millis(u64::try_from(now.as_millis()).unwrap_or_default());
        let company = self.settings.common.operator_company.clone();
        let token = SignInLink::new(company, OwnerId::new(OPERATOR)?, now, random).to_token(&secrets);
        Ok(format!("{}/sign-in?token={token}", self.control_url()))
    }

    /// Starts the control process, at its old address and with its old state.
    pub async fn start_control(&mut self) -> Result<(), SystemError> {
        let modules = self.installation.modules("control")?;
        let config = arrangement::control(modules, &self.settings.control, &self.links, self.control_port, &self.folder.objects());
        check_free(self.control_port)?;
        self.control = Some(self.launch("control", &config).await?);
        Ok(())
    }

    /// Ends the control process in good order.
    pub async fn stop_control(&mut self) {
        if let Some(process) = self.control.take() {
            process.stop().await;
        }
    }

    /// Kills the control process, as a crash would.
    pub async fn kill_control(&mut self) {
        if let Some(process) = self.control.take() {
            process.kill().await;
        }
    }

    /// The control process, while it runs.
    pub fn control(&self) -> Option<&Process> {
        self.control.as_ref()
    }

    /// Starts the edge process `index`, at its old address.
    pub async fn start_edge(&mut self, index: usize) -> Result<(), SystemError> {
        let port = self.edge_ports[index];
        let mut links = self.links.clone();
        if let Some(way) = self.ways.get(index) {
            (links.kv, links.relay_port) = (way.view.address(), way.wire.address().port());
        }
        let config = arrangement::edge(self.installation.modules("edge")?, &self.settings.edge, &links, port);
        check_free(port)?;
        self.edges[index] = Some(self.launch(&edge_name(index), &config).await?);
        Ok(())
    }

    /// Ends the edge process `index` in good order.
    pub async fn stop_edge(&mut self, index: usize) {
        if let Some(process) = self.edges[index].take() {
            process.stop().await;
        }
    }

    /// Kills the edge process `index`, as a crash would.
    pub async fn kill_edge(&mut self, index: usize) {
        if let Some(process) = self.edges[index].take() {
            process.kill().await;
        }
    }

    /// The edge process `index`, while it runs.
    pub fn edge(&self, index: usize) -> Option<&Process> {
        self.edges[index].as_ref()
    }

    /// Waits until a process ends that nobody told to.
    pub async fn died(&mut self) -> ProcessError {
        loop {
            let mut running = self.control.iter_mut().chain(self.edges.iter_mut().flatten());
            if let Some(died) = running.find_map(Process::died) {
                return died;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// The last lines of every process' log, for messages of tests.
    pub fn log_tails(&self) -> String {
        let names = std::iter::once("control".to_owned()).chain((0..self.edges.len()).map(edge_name));
        let tails = names.map(|name| format!("--- {name}\n{}", crate::process::tail(&self.folder.log(&name))));
        tails.collect::<Vec<_>>().join("\n")
    }

    /// Ends everything in good order.
    pub async fn stop(mut self) {
        for index in 0..self.edges.len() {
            self.stop_edge(index).await;
        }
        self.stop_control().await;
    }

    /// Kills everything, as a power failure would.
    pub async fn kill(mut self) {
        for index in 0..self.edges.len() {
            self.kill_edge(index).await;
        }
        self.kill_control().await;
    }

    async fn launch(&self, name: &str, config: &Config) -> Result<Process, SystemError> {
        let path = self.folder.write_run_file(&format!("{name}.capnp"), &config.to_text())?;
        let launch = Launch {
            name,
            workerd: self.installation.workerd()?,
            config: &path,
            log: self.folder.log(name),
            pid_file: self.folder.run().join(format!("{name}.pid")),
            sockets: config.sockets.len(),
        };
        Ok(Process::start(launch).await?)
    }
}

/// The bootstrap key's digest, and the key itself unless it was shown before. A key that was drawn but never shown is replaced: nobody can
/// have used it, so the control plane does not know it yet.
fn bootstrap(folder: &StateFolder, settings: &Settings) -> Result<(Bootstrap, Option<String>), SystemError> {
    if let Some(known) = folder.bootstrap()?.filter(|known| known.shown) {
        return Ok((known, None));
    }
    let common = &settings.common;
    let shard = Shard::of(&common.operator_company);
    let (key, digest) = mint::key(common.prefixes.minting(), shard, &common.tag_secrets)?;
    let bootstrap = Bootstrap { digest: digest.to_hex(), shown: false };
    folder.set_bootstrap(&bootstrap)?;
    Ok((bootstrap, Some(key.reveal().to_owned())))
}

/// Ends processes of this folder that a crash of their starter left running.
pub async fn end_leftovers(folder: &StateFolder) {
    let Ok(entries) = fs::read_dir(folder.run()) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "pid") {
            end_leftover(&path).await;
        }
    }
}

fn port(wanted: Option<u16>) -> Result<u16, ListenError> {
    match wanted {
        None | Some(0) => free_port(),
        Some(port) => check_free(port).map(|()| port),
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn edge_name(index: usize) -> String {
    format!("edge-{index}")
}
