//! The real control process on a prepared database: HTTP latency, CPU time of the process, and rows by the runtime's own counters, from one
//! process per size in turn.

use std::{
    collections::VecDeque,
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use keyward_control::settings::ControlSettings;
use keyward_e2e::{World, http};
use keyward_shared::{
    ids::CompanyId,
    messages::{RESOLVE, ResolveRequest},
    shard::Shard as ShardName,
};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    native::{self, Asked},
    shards::{COMPANIES, Managers, Size, Store, object_file},
    statistics::median,
};

/// What is measured, and how the log calls it.
pub(crate) const OPERATIONS: [(&str, &str); 12] = [
    ("create", "POST /v1/keys"),
    ("revoke", "POST /v1/keys/{}/revoke"),
    ("get", "GET /v1/keys/{}"),
    ("rotate", "POST /v1/keys/{}/rotate"),
    ("first page of everyone's", "GET /v1/keys"),
    ("page in the middle", "GET /v1/keys"),
    ("first page of one's own", "GET /v1/keys"),
    ("page by name", "GET /v1/keys"),
    ("page by expiry", "GET /v1/keys"),
    ("page by last use", "GET /v1/keys"),
    ("authenticate (whoami)", "GET /v1/whoami"),
    ("resolve", "resolve"),
];
/// How many requests a batch has.
const BATCH: u8 = 20;

/// A batch of one operation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// The median.
    pub(crate) latency_us: f64,
    /// Of the whole process, per request.
    pub(crate) cpu_us: f64,
    pub(crate) rows_read: f64,
    pub(crate) rows_written: f64,
    pub(crate) statements: f64,
}

/// A system whose shard is filled.
pub(crate) struct Served {
    pub(crate) size: Size,
    pub(crate) world: World,
    client: Client,
    pub(crate) managers: Option<Managers>,
    middles: [String; 4],
    /// When the keys that are made here expire.
    expiry: String,
    keys: VecDeque<(String, String)>,
}

impl Served {
    /// Starts a system that has no keys yet.
    pub(crate) async fn start(size: Size) -> Result<Self> {
        let mut world = World::with(|options| {
            options.bound_s = None;
            options.settings = vec![("LOG_COST".into(), "on".into())];
        })
        .await;
        world.operator("GET", "/v1/whoami", Value::Null).await;
        world.system.stop_edge(0).await;
        Ok(Self {
            size,
            world,
            client: http::client(),
            managers: None,
            middles: Default::default(),
            expiry: String::new(),
            keys: VecDeque::new(),
        })
    }

    /// The shard's database, which is open nowhere else.
    pub(crate) fn store(&self) -> Result<Store> {
        let folder = self.world.system.folder();
        let file = object_file(&folder.objects())?;
        let variables = &self.world.system.settings().control;
        let settings = ControlSettings::read(&|name: &str| variables.get(name).cloned()).map_err(|error| anyhow::anyhow!("{error}"))?;
        let name = ShardName::of(&settings.common.operator_company);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        Store::open(&file, self.size, settings, name, u64::try_from(now)?)
    }

    /// Stops the control process and fills its shard.
    pub(crate) async fn filled(&mut self) -> Result<(Store, Managers)> {
        self.world.system.stop_control().await;
        let store = self.store()?;
        let managers = store.fill()?;
        self.expiry = store.expiry()?;
        Ok((store, managers))
    }

    /// What was found natively, for the same requests here.
    pub(crate) fn learn(&mut self, asked: &Asked) {
        self.middles.clone_from(&asked.middles);
        self.keys = asked.keys.iter().map(|(id, digest)| (id.clone(), digest.to_hex())).collect();
    }

    pub(crate) async fn start_control(&mut self) -> Result<()> {
        self.world.system.start_control().await?;
        self.send(self.get(&self.managers()?.admin.key, "/v1/whoami")).await?;
        Ok(())
    }

    pub(crate) async fn stop(self) {
        self.world.system.stop().await;
    }

    fn managers(&self) -> Result<&Managers> {
        self.managers.as_ref().context("not filled")
    }

    fn get(&self, key: &str, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.world.system.control_url())).header("x-api-key", key)
    }

    fn post(&self, path: &str, body: &Value) -> Result<RequestBuilder> {
        let url = format!("{}{path}", self.world.system.control_url());
        Ok(self.client.post(url).header("x-api-key", &self.managers()?.admin.key).json(body))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value> {
        let answer = http::send(request).await;
        if answer.status >= 300 {
            bail!("{answer:?}");
        }
        Ok(serde_json::from_str(&answer.text).unwrap_or_default())
    }

    /// The request of an operation; where it needs a key of its own, that is made before.
    async fn request(&mut self, operation: &str) -> Result<RequestBuilder> {
        let (id, digest) = self.keys.pop_front().context("no keys")?;
        self.keys.push_back((id.clone(), digest.clone()));
        let managers = self.managers()?.clone();
        let one_more = json!({"name": "Nightly export of one more", "expires_at": self.expiry.clone()});
        if let Some(place) = native::middle(operation) {
            return Ok(self.get(&managers.admin.key, &self.middles[place]));
        }
        Ok(match operation {
            "create" => self.post("/v1/keys", &one_more)?,
            "revoke" | "rotate" => {
                let made = self.send(self.post("/v1/keys", &one_more)?).await?;
                self.post(&format!("/v1/keys/{}/{operation}", made["id"].as_str().unwrap_or_default()), &json!({}))?
            }
            "get" => self.get(&managers.admin.key, &format!("/v1/keys/{id}")),
            "first page of everyone's" => self.get(&managers.admin.key, "/v1/keys"),
            "first page of one's own" => self.get(&managers.one.key, "/v1/keys"),
            "resolve" => {
                let (links, shard) = (self.world.system.links(), ShardName::of(&self.world.system.settings().common.operator_company));
                let request = ResolveRequest { digest: digest.parse().map_err(|_| anyhow::anyhow!("not a digest"))?, stored: false };
                self.client
                    .post(format!("http://127.0.0.1:{}{RESOLVE}", links.relay_port))
                    .header("keyward-relay-secret", &links.relay_secret)
                    .header("keyward-relay-object", format!("SHARDS/{shard}"))
                    .body(serde_json::to_string(&request)?)
            }
            _ => self.get(&managers.admin.key, "/v1/whoami"),
        })
    }

    async fn batch(&mut self, (operation, endpoint): (&str, &str)) -> Result<Sample> {
        let mut requests = Vec::new();
        for _ in 0..BATCH {
            requests.push(self.request(operation).await?);
        }
        let (log, cpu) = (self.log()?.len(), self.cpu()?);
        let mut latencies = Vec::new();
        for request in requests {
            let begun = Instant::now();
            self.send(request).await.with_context(|| operation.to_owned())?;
            latencies.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        let cpu_us = self.cpu()?.saturating_sub(cpu).as_secs_f64() * 1e6 / f64::from(BATCH);
        let lines = self.cost_lines(log, endpoint).await?;
        let of = |name: &str| median(&lines.iter().filter_map(|line| line[name].as_f64()).collect::<Vec<_>>());
        Ok(Sample {
            latency_us: median(&latencies),
            cpu_us,
            rows_read: of("rows_read"),
            rows_written: of("rows_written"),
            statements: of("statements"),
        })
    }

    fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.world.system.folder().log("control"))?)
    }

    /// What the log says of a batch, from `start` on.
    async fn cost_lines(&self, start: usize, endpoint: &str) -> Result<Vec<Value>> {
        for _ in 0..100 {
            let log = self.log()?;
            let lines = log
                .get(start..)
                .unwrap_or_default()
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(&line[line.find('{')?..]).ok());
            let lines: Vec<_> = lines.filter(|line| line["log"] == "cost" && line["endpoint"] == endpoint).collect();
            if lines.len() >= usize::from(BATCH) {
                return Ok(lines);
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("the log does not say what {endpoint} took:\n{}", self.world.system.log_tails())
    }

    /// The CPU time of the control process, all of its threads together.
    fn cpu(&self) -> Result<Duration> {
        let process = self.world.system.control().and_then(keyward_selfhost::process::Process::id).context("no process")?;
        let mut total = 0;
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let said = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            total += said.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(total))
    }

    /// How long others wait while much goes on in the background, in milliseconds.
    pub(crate) async fn beside_a_sweep(&mut self) -> Result<Vec<Beside>> {
        let company = CompanyId::new(&format!("acme-{}", COMPANIES[0])).map_err(|error| anyhow::anyhow!("{error}"))?;
        let owner = format!("/v1/owners/{}?company={company}", crate::shards::MANY);
        let inactive = json!({"name": "Owner 0", "permissions": ["orders.*", "keyward.keys.own"], "active": false});
        let mut seen = vec![Beside { what: "nothing else".into(), answer_ms: 0.0, ..self.waits(Duration::from_secs(5)).await? }];
        for (what, method, path, body) in [
            ("an owner with a tenth of the keys was deactivated", "PUT", owner.clone(), inactive),
            ("an owner with a tenth of the keys was deleted", "DELETE", owner, Value::Null),
        ] {
            let begun = Instant::now();
            self.world.operator(method, &path, body).await;
            let answer_ms = begun.elapsed().as_secs_f64() * 1e3;
            seen.push(Beside { what: what.into(), answer_ms, ..self.waits(Duration::from_secs(10)).await? });
        }
        self.world.system.stop_control().await;
        Ok(seen)
    }

    async fn waits(&self, time: Duration) -> Result<Beside> {
        let (begun, mut waits) = (Instant::now(), Vec::new());
        let path = format!("/v1/owners/{}?company=acme-{}", crate::shards::ONE, COMPANIES[0]);
        while begun.elapsed() < time {
            let asked = Instant::now();
            self.send(self.get(&self.world.operator, &path)).await?;
            waits.push(asked.elapsed().as_secs_f64() * 1e3);
            sleep(Duration::from_millis(2)).await;
        }
        Ok(Beside { median_ms: median(&waits), longest_ms: waits.iter().copied().fold(0.0, f64::max), ..Beside::default() })
    }
}

/// What requests waited while something went on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside {
    pub(crate) what: String,
    /// The change itself.
    pub(crate) answer_ms: f64,
    pub(crate) median_ms: f64,
    pub(crate) longest_ms: f64,
}

/// Every operation at every size, batch by batch in turn: samples by size and operation.
pub(crate) async fn rounds(served: &mut [Served], batches: usize) -> Result<Vec<Vec<Vec<Sample>>>> {
    let mut samples = vec![vec![Vec::new(); OPERATIONS.len()]; served.len()];
    for round in 0..=batches {
        for (index, operation) in OPERATIONS.into_iter().enumerate() {
            for place in 0..served.len() {
                let place = (place + round) % served.len();
                let sample = served[place].batch(operation).await?;
                if round > 0 {
                    samples[place][index].push(sample); // the first ones warm up
                }
            }
        }
    }
    Ok(samples)
}
