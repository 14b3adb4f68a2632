//! Everything that there is in a run: time, store, objects, edges, the reference, and what is broken at the moment.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use keyward_control::{
    call::{Authenticate, Caller, Credential},
    settings::ControlSettings,
    sql::Value,
};
use keyward_shared::{
    digest::Digest,
    feed::Subject,
    ids::{CompanyId, KeyId, OwnerId},
    shard::Shard as ShardName,
    time::Millis,
    timing::Timing,
};

use crate::{
    check::Violation,
    edge::Isolate,
    executor::{Executor, Owner},
    model::{self, History, Model},
    objects::{Base, FeedCore, Gone, Instance, RegistryCore, ShardCore},
    script::{EDGES, ISOLATES, OWNERS, Object, Script, Writes},
    store::Store,
};

/// When every run begins.
pub const START: u64 = 1_795_000_000_000;
/// The three companies: the operator's, another of its shard (found by trying), one of another shard.
pub const COMPANY_IDS: [&str; 3] = ["demo", "acme-6263687", "globex"];
/// How long another object may take to answer.
pub const ANSWER_LIMIT: u64 = 5_000;
/// How many rows a shard handles in one turn of what goes on in handfuls: few, so that there are many turns.
pub const HANDFUL: u64 = 3;
/// When an object that cannot work at all tries again.
pub const LONG_PAUSE: u64 = 60_000;

/// What is broken at the moment.
#[derive(Debug, Default)]
pub struct Broken {
    /// Edges that cannot reach the objects.
    pub cut_off: [Cell<bool>; EDGES],
    /// The shards and the registry cannot reach the feeds.
    pub unannounced: Cell<bool>,
    /// Of a hundred messages to objects, how many are turned away.
    pub overload: Cell<u8>,
    /// How writes to the store fare.
    pub writes: Cell<Writes>,
}

/// Everything.
pub struct World {
    /// Time.
    pub time: Executor,
    /// The seed that everything left open is drawn from.
    seed: u64,
    moment: Cell<(u64, u64)>,
    /// The deployment's settings.
    pub settings: ControlSettings,
    /// Whether isolates keep a request to the Feed object open.
    pub push: bool,
    /// The replicated store.
    pub store: RefCell<Store>,
    /// The two shards.
    pub shards: Vec<Instance<ShardCore>>,
    /// Their names.
    pub shard_names: Vec<ShardName>,
    /// One feed per group.
    pub feeds: Vec<Instance<FeedCore>>,
    /// The registry.
    pub registry: Instance<RegistryCore>,
    /// Isolates, per edge.
    pub edges: Vec<Vec<Isolate>>,
    /// The reference.
    pub model: RefCell<Model>,
    /// Backups of objects, by their number, with what was true then.
    pub backups: RefCell<Vec<Option<crate::faults::Backup>>>,
    /// What is broken.
    pub broken: Broken,
    /// The last stamp of each feed.
    pub stamps: RefCell<Vec<u64>>,
    /// The revision of the row that was put last under a digest, as the store reported it.
    pub put: RefCell<HashMap<Digest, u64>>,
    /// The keys of another system, by their digests: only whoever sends one knows its text.
    pub elsewhere: RefCell<HashMap<Digest, String>>,
    /// The first violation of an invariant.
    pub violation: RefCell<Option<Violation>>,
    /// Statuses of answers, decisions and so on, counted: what a run was like.
    pub counts: RefCell<std::collections::BTreeMap<String, u64>>,
    /// The key that changed last.
    pub hot: Cell<usize>,
    /// The last revision of each shard that a change gave.
    pub revs: RefCell<[u64; 2]>,
    /// How many policies were tried.
    pub policy_versions: Cell<u64>,
}

impl World {
    /// A new world: the operator's company and two others with their owners.
    pub fn new(script: &Script) -> Result<Rc<Self>, String> {
        let settings = settings(script.feed_groups);
        let ids: Vec<CompanyId> = COMPANY_IDS.iter().filter_map(|id| CompanyId::new(id).ok()).collect();
        let mut shard_names: Vec<ShardName> = ids.iter().map(ShardName::of).collect();
        shard_names.dedup();
        let failed = |e: keyward_control::sql::SqlError| e.to_string();
        let mut number = 0..;
        let mut owner = || Owner(number.next().unwrap_or_default());
        let shards = shard_names.iter().map(|_| Instance::new(owner())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let feeds = (0..script.feed_groups).map(|_| Instance::new(owner())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let registry = Instance::new(owner()).map_err(failed)?;
        let isolate = || Isolate::new(&settings.common);
        let companies = ids.into_iter().map(|id| company(id, &shard_names)).collect();
        let world = Rc::new(Self {
            time: Executor::default(),
            seed: script.seed,
            moment: Cell::default(),
            push: script.push,
            store: RefCell::new(Store::new(EDGES)),
            backups: RefCell::new((0..=shards.len() + feeds.len()).map(|_| None).collect()),
            shards,
            shard_names,
            feeds,
            registry,
            edges: (0..EDGES).map(|_| (0..ISOLATES).map(|_| isolate()).collect()).collect(),
            model: RefCell::new(Model { companies, ..Model::default() }),
            broken: Broken::default(),
            stamps: RefCell::new(vec![0; usize::from(script.feed_groups)]),
            put: RefCell::default(),
            elsewhere: RefCell::default(),
            violation: RefCell::default(),
            counts: RefCell::default(),
            hot: Cell::default(),
            revs: RefCell::default(),
            policy_versions: Cell::default(),
            settings,
        });
        world.time.begin_at(START);
        crate::workload::people(&world)?;
        Ok(world)
    }

    /// The deployment's times.
    pub fn timing(&self) -> Timing {
        self.settings.common.timing
    }

    /// A source of choices for this moment. Another one each time it is asked for, and the same in every run of the seed.
    pub fn draw(&self) -> fastrand::Rng {
        let now = self.time.now();
        let (moment, count) = self.moment.get();
        let count = if moment == now { count + 1 } else { 0 };
        self.moment.set((now, count));
        let mut hasher = DefaultHasher::new();
        (self.seed, now, count).hash(&mut hasher);
        fastrand::Rng::with_seed(hasher.finish())
    }

    /// How long a message is on its way: mostly little, sometimes longer than anybody waits.
    pub fn latency(&self) -> u64 {
        let mut draw = self.draw();
        match draw.u8(..100) {
            0..=89 => draw.u64(1..30),
            90..=97 => draw.u64(30..900),
            98 => draw.u64(900..3_000),
            _ => draw.u64(3_000..20_000),
        }
    }

    /// Counts something that happened.
    pub fn count(&self, what: &str) {
        let mut counts = self.counts.borrow_mut();
        match counts.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                counts.insert(what.to_owned(), 1);
            }
        }
    }

    /// What every object has.
    pub fn base(&self, object: Object) -> &Base {
        match object {
            Object::Shard(index) => &self.shard(index).base,
            Object::Feed(index) => &self.feed(index).base,
            Object::Registry => &self.registry.base,
        }
    }

    /// A shard, by any number.
    pub fn shard(&self, index: usize) -> &Instance<ShardCore> {
        &self.shards[index % self.shards.len()]
    }

    /// A feed, by any number.
    pub fn feed(&self, index: usize) -> &Instance<FeedCore> {
        &self.feeds[index % self.feeds.len()]
    }

    /// The number of the shard with this name.
    pub fn shard_index(&self, name: ShardName) -> usize {
        self.shard_names.iter().position(|known| *known == name).unwrap_or_default()
    }

    /// One turn of a shard.
    pub fn shard_turn<T>(&self, index: usize, work: impl FnOnce(&ShardCore, Millis) -> Result<T, String>) -> Result<T, Gone> {
        let (shard, name) = (self.shard(index), self.shard_names[index % self.shard_names.len()]);
        let now = shard.base.clock(self.time.now());
        let open = |db| ShardCore::new(db, self.settings.clone(), name).map(|core| core.with_handful(HANDFUL)).map_err(|e| e.to_string());
        let outcome = shard.turn(open, |core| {
            core.prepare(now, &mut |buffer| self.random(buffer)).map_err(|e| e.to_string())?;
            work(core, now)
        });
        self.mourn(Object::Shard(index), outcome)
    }

    /// The revision of a shard, past its instance.
    pub fn revision(&self, index: usize) -> u64 {
        self.number(index, "SELECT value FROM numbers WHERE name = 'rev'", &[])
    }

    /// The revision of the change that a shard's last turn made, where the revision was `before`: what it is about to
    /// announce, or the shard's own where there is nothing to announce.
    pub fn revision_of_change(&self, index: usize, before: u64) -> u64 {
        let statement = "SELECT max(rev) FROM outbox WHERE kind IN ('key', 'keys', 'owner', 'company', 'shard') AND rev > ?1";
        match self.number(index, statement, &[before.into()]) {
            0 => self.revision(index),
            rev => rev,
        }
    }

    /// The revision of a key's row, past its instance.
    pub fn row_revision(&self, index: usize, id: &KeyId) -> u64 {
        self.number(index, "SELECT rev FROM keys WHERE key_id = ?1", &[id.into()])
    }

    /// When a key was used last, or made where it never was, as its shard knows it, past its instance.
    pub fn last_used(&self, index: usize, id: &KeyId) -> u64 {
        let statement = "SELECT COALESCE(NULLIF(u.last_used_at, 0), k.created_at) FROM keys k JOIN key_usage u ON u.company = k.company AND u.key_id = k.key_id \
             WHERE k.key_id = ?1";
        self.number(index, statement, &[id.into()])
    }

    /// How many rows of a company its shard has, past its instance: of keys, their use, owners and the trail.
    pub fn rows_of(&self, index: usize, company: &CompanyId) -> [u64; 4] {
        ["keys", "key_usage", "owners", "audit"]
            .map(|table| self.number(index, &format!("SELECT count(*) FROM {table} WHERE company = ?1"), &[company.into()]))
    }

    fn number(&self, index: usize, statement: &str, parameters: &[Value]) -> u64 {
        let rows = self.shard(index).db.borrow().peek(statement, parameters);
        rows.first().and_then(|row| row.first()).map_or(0, Value::number)
    }

    /// One turn of a feed.
    pub fn feed_turn<T>(&self, index: usize, work: impl FnOnce(&FeedCore, Millis) -> Result<T, String>) -> Result<T, Gone> {
        let feed = self.feed(index);
        let now = feed.base.clock(self.time.now());
        let group = u16::try_from(index % self.feeds.len()).unwrap_or_default();
        let open = |db| FeedCore::open(db, self.timing(), group, now).map_err(|e| e.to_string());
        self.mourn(Object::Feed(index), feed.turn(open, |core| work(core, now)))
    }

    /// One turn of the registry.
    pub fn registry_turn<T>(&self, work: impl FnOnce(&RegistryCore, Millis) -> Result<T, String>) -> Result<T, Gone> {
        let now = self.registry.base.clock(self.time.now());
        let operator = self.settings.common.operator_company.clone();
        let open = |db| RegistryCore::open(db, self.timing(), operator, self.settings.session_secrets.clone()).map_err(|e| e.to_string());
        self.mourn(Object::Registry, self.registry.turn(open, |core| work(core, now)))
    }

    fn mourn<T>(&self, object: Object, outcome: Result<T, Gone>) -> Result<T, Gone> {
        match &outcome {
            Err(Gone::Died) => {
                self.count("turn lost");
                self.end_instance(object);
            }
            Err(Gone::Failed(_)) => self.count("turn failed"),
            Ok(_) => {}
        }
        outcome
    }

    /// The instance is gone: its tasks end wherever they wait. An alarm that it was answering comes again.
    pub fn end_instance(&self, object: Object) {
        let base = self.base(object);
        base.deaths.set(base.deaths.get() + 1);
        if base.waking.replace(0) > 0 {
            let again = self.time.now() + 2_000;
            base.alarm.set(Some(base.alarm.get().map_or(again, |at| at.min(again))));
        }
        match object {
            Object::Shard(index) => *self.shard(index).core.borrow_mut() = None,
            Object::Feed(index) => *self.feed(index).core.borrow_mut() = None,
            Object::Registry => *self.registry.core.borrow_mut() = None,
        }
        self.time.end_tasks(base.owner);
    }

    /// Random bytes for the objects.
    pub fn random(&self, buffer: &mut [u8]) {
        self.draw().fill(buffer);
    }

    /// The operator, as the shard of the operator's company knows it: what vouches for it elsewhere.
    pub fn operator(&self) -> Result<Caller, Gone> {
        let request = Authenticate { credential: bootstrap(), address: None, request_id: "r".into() };
        self.shard_turn(0, |core, now| core.authenticate(now, &request).map_err(|e| e.to_string()))
    }

    /// An object to `whom` a message goes turns it away.
    pub fn turned_away(&self) -> bool {
        let overload = self.broken.overload.get();
        overload > 0 && self.draw().u8(..100) < overload
    }
}

/// The credential of the operator's first key.
pub fn bootstrap() -> Credential {
    Credential::Key(Digest::of(b"bootstrap"))
}

/// The shipped settings.
fn settings(feed_groups: u16) -> ControlSettings {
    let (hex, digest, groups) = ("ab".repeat(32), Digest::of(b"bootstrap").to_hex(), feed_groups.to_string());
    let all = [
        ("OPERATOR_COMPANY", COMPANY_IDS[0]),
        ("TAG_SECRETS", hex.as_str()),
        ("RECORD_SECRETS", &hex),
        ("SESSION_SECRETS", &hex),
        ("BOOTSTRAP_DIGEST", &digest),
        ("FEED_GROUPS", &groups),
    ];
    let find = |name: &str| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    #[expect(clippy::expect_used, reason = "the settings are this file's own")]
    ControlSettings::read(&find).expect("the simulator's settings are right")
}

fn company(id: CompanyId, shards: &[ShardName]) -> model::Company {
    let shard_name = ShardName::of(&id);
    let names = (0..OWNERS).filter_map(|n| OwnerId::new(&format!("owner-{n}")).ok());
    model::Company {
        shard: shards.iter().position(|name| *name == shard_name).unwrap_or_default(),
        shard_name,
        id,
        state: History::default(),
        owners: names.map(|id| model::Owner { id, state: History::default() }).collect(),
    }
}

/// Whose the pending announcements of a shard are, and the registry's.
pub fn whose(object: Object) -> usize {
    match object {
        Object::Shard(index) => index % 2,
        Object::Feed(_) | Object::Registry => 2,
    }
}

/// The subject of the policy, which is the registry's.
pub fn policy_subject() -> Subject {
    Subject::policy()
}
