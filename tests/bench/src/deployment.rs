//! What all cells share: a whole deployment whose control plane runs in a process of its own, so that feed and policy are as fresh as they are in
//! earnest; the keys' records in its store; the origin. The edge of the deployment does not run: each cell starts its own.

use std::{
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use keyward_selfhost::{Installation, Options, System, kv::Entry};
use keyward_shared::{
    feed::{self, Feed},
    permission::PermissionSet,
    policy, record,
    secret::SecretList,
    tag::TagSecrets,
    time::Millis,
};
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};

use crate::{
    cell::Ground,
    cores::Cores,
    keys::{Keys, PERMISSIONS},
    load,
    origin::Origin,
};

/// How many rules the policy has.
pub const RULES: usize = 100;
/// How long the control plane may take to publish.
const PUBLISH_LIMIT: Duration = Duration::from_secs(30);

/// Everything that runs for the whole benchmark.
#[derive(Debug)]
pub struct Deployment {
    root: PathBuf,
    cores: Cores,
    keys: Keys,
    origin: Origin,
    system: Option<System>,
    runtime: Runtime,
}

impl Deployment {
    /// Starts it with `count` keys.
    pub fn start(root: &Path, cores: Cores, count: usize) -> Result<Self> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context("no runtime")?;
        let origin = Origin::start(runtime.handle())?;
        let mut options = Options::new(Installation::in_repository(root));
        options.origin = Some(format!("http://{}", origin.address()));
        // The longest that reads may take, so that a busy machine makes no refusals; it changes nothing that a request costs.
        options.settings =
            [("FORWARD_AUTH", "original"), ("READ_BUDGET_MS", "10000")].map(|(name, value)| (name.into(), value.into())).into();
        let system = runtime.block_on(async {
            let mut system = System::start(options).await?;
            system.stop_edge(0).await;
            anyhow::Ok(system)
        })?;
        put_policy(&system)?;
        let secrets = SecretList::parse(&system.settings().edge["RECORD_SECRETS"])?;
        wait_for_publication(&system, &secrets)?;
        let keys = Keys::mint(count, &TagSecrets::parse(&system.settings().edge["TAG_SECRETS"])?)?;
        fill(&system, &secrets, &keys)?;
        Ok(Self { root: root.to_owned(), cores, keys, origin, system: Some(system), runtime })
    }

    /// The API behind the gateways.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// A setting of the edge.
    pub fn edge_setting(&self, name: &str) -> Result<String> {
        let system = self.system.as_ref().context("the deployment was stopped")?;
        system.settings().edge.get(name).cloned().with_context(|| format!("{name} is not set"))
    }

    /// Waits for `work` on the threads of load, origin and stores, and leaves there what it started.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// What a cell stands on, with the empty folder `dir`.
    pub fn ground<'a>(&'a self, dir: &'a Path, installation: &'a Installation) -> Result<Ground<'a>> {
        let system = self.system.as_ref().context("the deployment was stopped")?;
        Ok(Ground {
            root: &self.root,
            dir,
            installation,
            cores: self.cores,
            keys: &self.keys,
            origin: self.origin.address(),
            kv: system.kv().address(),
            store: system.kv(),
            edge: &system.settings().edge,
            links: system.links(),
        })
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if let Some(system) = self.system.take() {
            self.runtime.block_on(system.stop());
        }
    }
}

/// The policy: `rules` of them, for as many parts of an API. The requests of all cells are for one in the middle.
pub fn policy(rules: usize) -> Value {
    let rule = |number: usize| match number {
        number if number == rules / 2 => json!({"methods": ["GET"], "path": "/orders/**", "permission": "orders.read"}),
        number => json!({"path": format!("/service-{number}/**"), "permission": format!("service-{number}.use")}),
    };
    json!({"rules": (0..rules).map(rule).collect::<Vec<_>>()})
}

fn put_policy(system: &System) -> Result<()> {
    let key = system.bootstrap_key().context("no bootstrap key")?;
    let body = policy(RULES).to_string();
    let address = system.control_url().trim_start_matches("http://").parse()?;
    let request = format!(
        "PUT /v1/policy HTTP/1.1\r\nhost: control\r\nx-api-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = load::ask(address, request.as_bytes())?;
    if answer.status != 200 {
        bail!("the policy is answered with {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    Ok(())
}

/// Waits until policy and feed are published, and until the feed is complete from a time that has passed.
fn wait_for_publication(system: &System, secrets: &SecretList) -> Result<()> {
    let deadline = Instant::now() + PUBLISH_LIMIT;
    loop {
        let has_policy = system.kv().get(policy::NAME)?.is_some();
        let feed = system.kv().get(&feed::name(0))?.and_then(|entry| Feed::open(secrets, 0, &String::from_utf8_lossy(&entry.value)).ok());
        if has_policy && feed.is_some_and(|feed| feed.since < now()) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the control plane publishes no policy and feed:\n{}", system.log_tails());
        }
        sleep(Duration::from_millis(50));
    }
}

/// Puts the records of all keys into the store: Keyward's as the control plane publishes them, and the same without MAC, feed and revision for the
/// verifiers in JavaScript.
fn fill(system: &System, secrets: &SecretList, keys: &Keys) -> Result<()> {
    let permissions = PermissionSet::parse(PERMISSIONS)?;
    let as_of = now();
    let entry = |value: String| Entry { value: value.into_bytes(), metadata: None, expiration: None };
    let mut entries = Vec::with_capacity(2 * keys.valid.len());
    for key in &keys.valid {
        let sealed = key.record(as_of, &permissions).seal(secrets, &key.digest)?;
        entries.push((record::name(key.shard(), &key.digest), entry(sealed)));
        let plain = json!({"id": key.id, "company": key.company, "owner": key.owner, "state": "active", "expires_at": null, "permissions": PERMISSIONS});
        entries.push((format!("{PLAIN}{}", key.digest), entry(plain.to_string())));
    }
    Ok(system.kv().put_all(entries.iter().map(|(name, entry)| (name.as_str(), entry)))?)
}

/// What the names of the records for verifiers in JavaScript begin with; then comes the digest in hexadecimal.
pub const PLAIN: &str = "js:";

/// The clock.
pub fn now() -> Millis {
    Millis(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default())
}
