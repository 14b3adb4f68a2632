//! The load: clients that change keys, that use them at the edges, and that read at the control plane, each as fast as it is answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use keyward_e2e::{
    World,
    probe::{self, Outcome, now_ms},
};
use keyward_shared::{
    ids::CompanyId,
    key::{KeyString, Prefix},
    mint,
    shard::Shard,
    tag::Tag,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    Plan,
    call::Control,
    dice::Dice,
    ledger::{End, Key, Ledger, State},
};

/// The companies: by their names in different shards.
const COMPANIES: [&str; 4] = ["acme", "globex", "initech", "umbrella"];
const OWNER: &str = "jane";
/// What the names of all keys of the load begin with.
pub(crate) const NAMED: &str = "endurance ";
/// How many clients there are before the load begins.
const WARMING: usize = 16;
/// From here on more keys are ended than made.
const MANY: usize = 600;

/// Makes the companies and their owner.
pub(crate) async fn companies(world: &World) -> Vec<&'static str> {
    for company in COMPANIES {
        world.company(company).await;
        world.owner(company, OWNER, &["orders.*"], true).await;
    }
    COMPANIES.to_vec()
}

/// Sends `requests` requests to the edge that is never killed, half of them with a key that it lets in: the runtime's heap grows for that long
/// until it has found its size, and only then its growth says anything.
pub(crate) async fn warm_up(world: &World, company: &str, requests: u64) {
    let revoked = world.key(company, OWNER, json!({})).await;
    world.revoke(company, &revoked.id).await;
    let sent = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for number in 0..WARMING {
        let (http, url, sent) = (world.http.clone(), world.system.edge_url(), Arc::clone(&sent));
        let key = if number % 2 == 0 { world.operator.clone() } else { revoked.key.clone() };
        running.spawn(async move {
            while sent.fetch_add(1, Ordering::Relaxed) < requests {
                probe::ask(&http, &url, &key).await;
            }
        });
    }
    running.join_all().await;
}

/// All clients.
pub(crate) struct Load {
    running: JoinSet<()>,
    go_on: Arc<AtomicBool>,
}

/// What every client needs.
#[derive(Clone)]
struct Client {
    control: Control,
    edges: Vec<String>,
    companies: Vec<&'static str>,
    ledger: Arc<Ledger>,
    bound_ms: u64,
    numbers: Arc<AtomicU64>,
    go_on: Arc<AtomicBool>,
}

impl Load {
    pub(crate) fn start(world: &World, plan: &Plan, companies: &[&'static str], ledger: &Arc<Ledger>) -> Self {
        let go_on = Arc::new(AtomicBool::new(true));
        let control = Control {
            http: world.http.clone(),
            url: world.system.control_url(),
            operator: world.operator.clone(),
            ledger: Arc::clone(ledger),
        };
        let client = Client {
            control,
            edges: world.system.edge_urls(),
            companies: companies.to_vec(),
            ledger: Arc::clone(ledger),
            bound_ms: u64::try_from(plan.bound.as_millis()).unwrap_or(u64::MAX),
            numbers: Arc::default(),
            go_on: Arc::clone(&go_on),
        };
        let mut running = JoinSet::new();
        let mut seed = 0;
        let mut dice = || {
            seed += 1;
            Dice::new(seed)
        };
        for _ in 0..plan.writers {
            running.spawn(client.clone().write(dice()));
        }
        for _ in 0..plan.readers {
            running.spawn(client.clone().read(dice()));
        }
        for edge in 0..client.edges.len() {
            for _ in 0..plan.users {
                running.spawn(client.clone().use_keys(edge, dice()));
            }
        }
        Self { running, go_on }
    }

    /// Lets every client finish what it has begun.
    pub(crate) async fn stop(mut self) {
        self.go_on.store(false, Ordering::Relaxed);
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap_or_else(|error| panic!("a client broke off: {error}"));
        }
    }
}

impl Client {
    fn goes_on(&self) -> bool {
        self.go_on.load(Ordering::Relaxed)
    }

    /// A name that nothing else has.
    fn name(&self) -> String {
        format!("{NAMED}{}", self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    async fn write(self, mut dice: Dice) {
        while self.goes_on() {
            let crowded = self.ledger.live() > MANY;
            match dice.below(100) {
                0..40 if !crowded => self.create(&mut dice).await,
                40..60 => self.rotate(&mut dice).await,
                60..85 => self.end(End::Revoked, &mut dice).await,
                _ => self.end(End::Deleted, &mut dice).await,
            }
        }
    }

    async fn create(&self, dice: &mut Dice) {
        let company = dice.below(self.companies.len());
        let path = format!("/v1/keys?company={}", self.companies[company]);
        if self.make(company, &path, json!({"owner": OWNER}), dice).await {
            self.ledger.count("keys created");
        }
    }

    /// Gives a key a successor and revokes it with that.
    async fn rotate(&self, dice: &mut Dice) {
        let Some((place, key)) = self.ledger.begin(End::Revoked, dice) else { return };
        let path = |what: &str| format!("/v1/keys/{}{what}?company={}", key.id, self.companies[key.company]);
        if !self.make(key.company, &path("/rotate"), json!({"overlap_s": 0}), dice).await {
            return;
        }
        self.ledger.count("keys rotated");
        let acknowledged_ms = now_ms();
        if let Some(told_ms) = self.announced(Value::Null, &path("")).await {
            self.ledger.ended(place, End::Revoked, (acknowledged_ms + self.bound_ms).min(told_ms));
        }
    }

    /// Makes a key, every other one blind, and uses it at once at every edge.
    async fn make(&self, company: usize, path: &str, mut body: Value, dice: &mut Dice) -> bool {
        let name = self.name();
        body["name"] = name.clone().into();
        let secret = (dice.below(2) == 0).then(|| mint::secret().unwrap());
        let (prefix, shard) = (Prefix::new("kw_live").unwrap(), Shard::of(&CompanyId::new(self.companies[company]).unwrap()));
        if let Some(secret) = &secret {
            body["digest"] = secret.digest(&prefix, shard).to_hex().into();
        }
        let Some(said) = self.control.change(Method::POST, path, &body, &name).await else { return false };
        let Some(id) = said.body["id"].as_str().filter(|_| said.status == 201) else {
            self.ledger.find(format!("a key was not made by {path}: {said:?}"));
            return false;
        };
        let text = match &secret {
            // The tag is no secret, so it comes back even when the first answer was lost.
            Some(secret) => said.body["tag"].as_str().and_then(|tag| {
                let tag = Tag::from_bytes(tag.as_bytes().try_into().ok()?).ok()?;
                Some(KeyString::assemble(&prefix, shard, secret, tag).reveal().to_owned())
            }),
            None => said.body["key"].as_str().map(str::to_owned),
        };
        if text.is_none() && (secret.is_some() || said.body["replayed"] != true) {
            self.ledger.find(format!("a key was made and not given: {said:?}"));
        }
        if let Some(text) = &text {
            for (edge, url) in self.edges.iter().enumerate() {
                let seen = probe::ask(&self.control.http, url, text).await;
                if matches!(seen.outcome, Outcome::Refused(..) | Outcome::Wrong(_)) {
                    self.ledger.find(format!("edge {edge}: the first request with a new key: {seen:?}"));
                }
            }
        }
        self.ledger.created(Key { id: id.to_owned(), name, company, text, state: State::Live });
        true
    }

    async fn end(&self, end: End, dice: &mut Dice) {
        let Some((place, key)) = self.ledger.begin(end, dice) else { return };
        let company = self.companies[key.company];
        let path = |what: &str| format!("/v1/keys/{}{what}?company={company}", key.id);
        let said = match end {
            End::Revoked => self.control.change(Method::POST, &path("/revoke"), &json!({"reason": "endurance"}), &self.name()).await,
            End::Deleted => self.control.change(Method::DELETE, &path(""), &Value::Null, &self.name()).await,
        };
        let acknowledged_ms = now_ms();
        let Some(said) = said else { return };
        if said.status != (if end == End::Revoked { 200 } else { 204 }) {
            self.ledger.find(format!("{end:?} of {}: {said:?}", key.id));
            return;
        }
        let mut effective_ms = acknowledged_ms + self.bound_ms;
        if end == End::Revoked {
            match self.announced(said.body, &path("")).await {
                Some(told_ms) => effective_ms = effective_ms.min(told_ms),
                None => return,
            }
            self.ledger.count("keys revoked");
        } else {
            self.ledger.count("keys deleted");
        }
        self.ledger.ended(place, end, effective_ms);
    }

    /// `effective_by` of a key object, as soon as its change is announced.
    async fn announced(&self, mut key: Value, path: &str) -> Option<u64> {
        for _ in 0..600 {
            if let Some(text) = key["propagation"]["effective_by"].as_str() {
                return u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok();
            }
            if !key.is_null() {
                self.ledger.count("changes acknowledged before they were announced");
            }
            sleep(Duration::from_millis(100)).await;
            if let Some(said) = self.control.once(Method::GET, path, &Value::Null, None).await {
                key = said.body;
            }
        }
        self.ledger.find(format!("{path}: never announced: {key}"));
        None
    }

    async fn read(self, mut dice: Dice) {
        while self.goes_on() {
            let Some((place, key)) = self.ledger.pick(&mut dice) else {
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let company = self.companies[key.company];
            let (path, list) = match dice.below(3) {
                0 => (format!("/v1/keys?company={company}&limit=20"), true),
                _ => (format!("/v1/keys/{}?company={company}", key.id), false),
            };
            let Some(said) = self.control.once(Method::GET, &path, &Value::Null, None).await else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            self.ledger.count("reads at the control plane");
            let now = self.ledger.state(place);
            let right = match said.status {
                200 if list => true,
                200 => match key.state {
                    State::Live | State::Ending(_) => true,
                    State::Ended(End::Revoked, _) => said.body["status"] == "revoked",
                    State::Ended(End::Deleted, _) => false,
                },
                404 => matches!(now, Some(State::Ending(End::Deleted) | State::Ended(End::Deleted, _))) && !list,
                _ => false,
            };
            if !right {
                self.ledger.find(format!("GET {path}: {said:?}, though the key was {:?} and is {now:?}", key.state));
            }
        }
    }

    async fn use_keys(self, edge: usize, mut dice: Dice) {
        while self.goes_on() {
            let picked = self.ledger.pick(&mut dice);
            let Some((place, Key { state, text: Some(text), .. })) = picked else {
                sleep(Duration::from_millis(5)).await;
                continue;
            };
            let seen = probe::ask(&self.control.http, &self.edges[edge], &text).await;
            self.ledger.judge(place, state, edge, &seen);
            if seen.outcome == Outcome::NoAnswer {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
