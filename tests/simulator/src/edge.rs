//! Isolates at the edge: the real verifier and gate, driven as `edge/src/worker/` drives them, with reads that take
//! their time and fail, and a clock that is off.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::IpAddr,
    rc::Rc,
};

use keyward_edge::{
    gate::{self, Address},
    usage::Usage,
    verifier::{Attempt, Lookup, Progress, Read, Verifier},
};
use keyward_shared::{
    feed::{self, Subject},
    messages::{ImportedRequest, ResolveAnswer, ResolveRequest},
    policy, record,
    settings::CommonSettings,
    time::Millis,
};

use crate::{
    check,
    executor::Owner,
    feed as feed_object,
    message::send,
    registry, shard,
    store::{Content, Seen, Value},
    world::World,
};

/// How long all reads of one request may take together. One of the store gets half of what is left.
const BUDGET: u64 = 2_000;
/// For how long a location keeps a record, and a feed or the policy, in milliseconds.
const CACHE: (u64, u64) = (300_000, 30_000);
/// How long a report of usage may take.
const REPORT_LIMIT: u64 = 5_000;

/// What the other system's keys begin with.
pub const IMPORTED: &str = "other-";

/// One isolate, with what the checks have to know of its past.
pub struct Isolate {
    /// The verifier.
    pub verifier: RefCell<Verifier>,
    usage: RefCell<Usage>,
    /// How far its clock is off, in milliseconds.
    pub offset: Cell<i64>,
    /// Counts its restarts: what waits from before is lost.
    pub life: Cell<u64>,
    /// The last time at which something that it read failed, or could not be believed.
    pub trouble: Cell<u64>,
    /// What the newest feed of each group told it.
    pub told: RefCell<HashMap<usize, HashMap<Subject, u64>>>,
    newest_feed: RefCell<HashMap<usize, Millis>>,
    polling: Cell<bool>,
}

/// A request: which key (by number; none for a made-up one), its text, method, path, address.
#[derive(Clone, Debug)]
pub struct Request {
    /// The key in the reference; `None`: nobody made it.
    pub key: Option<usize>,
    /// The key.
    pub text: String,
    /// What is asked for.
    pub path: &'static str,
    /// From where.
    pub address: IpAddr,
}

/// What requests ask for, by number; the last two from outside the network.
const PATHS: [(&str, [u8; 4]); 5] = [
    ("/orders/1", [10, 1, 1, 1]),
    ("/free", [10, 1, 1, 1]),
    ("/open/x", [10, 1, 1, 1]),
    ("/free", [11, 1, 1, 1]),
    ("/orders/2", [11, 1, 1, 1]),
];

impl Request {
    /// A request with the key of this number; `None`: there is none.
    pub fn with_key(world: &World, key: usize, path: u8) -> Option<Self> {
        let model = world.model.borrow();
        let index = key.checked_rem(model.keys.len())?;
        let text = model.keys.get(index)?.text.clone();
        let (path, address) = PATHS[usize::from(path) % PATHS.len()];
        Some(Self { key: Some(index), text, path, address: address.into() })
    }
}

impl Isolate {
    /// A new isolate.
    pub fn new(settings: &CommonSettings) -> Self {
        Self {
            verifier: RefCell::new(verifier(settings)),
            usage: RefCell::default(),
            offset: Cell::new(0),
            life: Cell::new(0),
            trouble: Cell::new(0),
            told: RefCell::default(),
            newest_feed: RefCell::default(),
            polling: Cell::new(false),
        }
    }

    /// The instance is made anew, as after a panic: everything that it knew is gone.
    pub fn restart(&self, settings: &CommonSettings) {
        self.verifier.replace(verifier(settings));
        self.usage.take();
        self.told.take();
        self.newest_feed.take();
        self.polling.set(false);
        self.life.set(self.life.get() + 1);
    }

    /// The time by its clock, where it is `now`.
    pub fn clock(&self, now: u64) -> Millis {
        Millis(now.saturating_add_signed(self.offset.get()))
    }
}

/// A verifier that knows nothing yet.
fn verifier(settings: &CommonSettings) -> Verifier {
    Verifier::new(settings.clone()).accepting(Some(|text| text.starts_with(IMPORTED)))
}

/// An isolate, by any numbers.
pub fn isolate(world: &World, edge: usize, isolate: usize) -> &Isolate {
    let isolates = &world.edges[edge % world.edges.len()];
    &isolates[isolate % isolates.len()]
}

fn facts(request: &Request) -> gate::Facts<'_> {
    let mut facts = gate::facts("GET", request.path, Some(&request.text), None);
    facts.address = Address::Asked(Some(request.address));
    facts
}

/// A request, from its arrival to its answer.
pub async fn request(world: &Rc<World>, edge: usize, number: usize, request: Request) {
    let who = isolate(world, edge, number);
    let (life, begun) = (who.life.get(), world.time.now());
    let mut attempt = Attempt::default();
    loop {
        let now = who.clock(world.time.now());
        let progress = gate::evaluate(&mut who.verifier.borrow_mut(), &facts(&request), now, &mut attempt);
        let read = match progress {
            Progress::Done(outcome) => {
                if let Some((held, allowed)) = outcome.used() {
                    who.usage.borrow_mut().count(&held.record, now, allowed);
                }
                check::answered(world, who, &request, &outcome, &attempt);
                break;
            }
            Progress::Need(read) => read,
        };
        let left = (begun + BUDGET).saturating_sub(world.time.now());
        let result = perform(world, edge, who, read, left).await;
        if who.life.get() != life {
            return; // the instance that was asked is gone, and the request with it
        }
        take(world, who, read, result, &mut attempt);
    }
    let (behind, edge) = (Rc::clone(world), edge);
    world.time.spawn(Owner::WORLD, async move { background(&behind, edge, number).await });
}

/// A request that is answered at once or not at all: whatever needs a read is given up. It changes nothing.
pub fn glance(world: &World, who: &Isolate, request: &Request) {
    let mut attempt = Attempt::default();
    let now = who.clock(world.time.now());
    let progress = gate::evaluate(&mut who.verifier.borrow_mut(), &facts(request), now, &mut attempt);
    if let Progress::Done(outcome) = progress {
        check::answered(world, who, request, &outcome, &attempt);
    }
}

/// What goes on beside the requests: polling the feeds in use, reporting usage.
async fn background(world: &Rc<World>, edge: usize, number: usize) {
    let who = isolate(world, edge, number);
    let life = who.life.get();
    let groups = who.verifier.borrow_mut().take_poll(who.clock(world.time.now()));
    for group in groups {
        for read in [Read::Feed(group), Read::FeedDirect(group)] {
            let old = who.verifier.borrow().feed_wants_waking(group, who.clock(world.time.now()));
            if matches!(read, Read::FeedDirect(_)) && !old {
                continue;
            }
            let result = perform(world, edge, who, read, BUDGET).await;
            if who.life.get() != life {
                return;
            }
            take(world, who, read, result, &mut Attempt::default());
        }
    }
    let now = who.clock(world.time.now());
    let due = who.usage.borrow().due().is_some_and(|due| due <= now);
    if due && !who.polling.replace(true) {
        let reports = who.usage.borrow_mut().take(now, world.timing().usage_report);
        for (shard, report) in reports {
            let (index, entries) = (world.shard_index(shard), report.clone());
            let reachable = !world.broken.cut_off[edge % world.edges.len()].get();
            let taken = send(world, reachable, REPORT_LIMIT, move |world| shard::usage(world, index, &entries)).await;
            if who.life.get() != life {
                return;
            }
            if taken.is_none() {
                who.usage.borrow_mut().put_back(shard, report);
            }
        }
        who.polling.set(false);
    }
}

/// The Feed object tells an isolate that waited.
pub fn pushed(world: &World, edge: usize, number: usize, group: usize, value: &Rc<Value>) {
    let who = isolate(world, edge, number);
    let group = u16::try_from(group).unwrap_or_default();
    take(world, who, Read::FeedDirect(group), Got::Found(Rc::clone(value)), &mut Attempt::default());
}

/// What a read gave, with what the checks know of it.
enum Got {
    Found(Rc<Value>),
    Answer(String),
    Absent,
    Failed,
}

fn take(world: &World, who: &Isolate, read: Read, got: Got, attempt: &mut Attempt) {
    let now = who.clock(world.time.now());
    let lookup = match got {
        Got::Found(value) => {
            match &value.content {
                Content::Feed(document) => learn(world, who, read, document, now),
                Content::Forged => who.trouble.set(world.time.now()),
                Content::Sealed => {}
            }
            Lookup::Found(value.text.clone())
        }
        Got::Answer(text) => Lookup::Found(text),
        Got::Absent => Lookup::Absent,
        Got::Failed => {
            who.trouble.set(world.time.now());
            Lookup::Unavailable
        }
    };
    who.verifier.borrow_mut().provide(read, lookup, now, attempt);
}

/// What the isolate must know once it was given this feed: a feed from too far in the future, or older than the newest
/// that it took, it may leave aside.
fn learn(world: &World, who: &Isolate, read: Read, document: &feed::Feed, now: Millis) {
    let (Read::Feed(group) | Read::FeedDirect(group)) = read else { return };
    if document.group != group || document.issued_at > now.plus(world.timing().skew) {
        who.trouble.set(world.time.now());
        return;
    }
    let mut newest = who.newest_feed.borrow_mut();
    if newest.get(&usize::from(group)).is_none_or(|known| *known < document.issued_at) {
        newest.insert(usize::from(group), document.issued_at);
        *who.told.borrow_mut().entry(usize::from(group)).or_default() =
            document.changes.iter().map(|change| (change.0, change.1)).collect();
    }
}

async fn perform(world: &Rc<World>, edge: usize, who: &Isolate, read: Read, left: u64) -> Got {
    if left == 0 {
        return Got::Failed;
    }
    let edge = edge % world.edges.len();
    let reachable = !world.broken.cut_off[edge].get();
    let half = left.div_ceil(2);
    match read {
        Read::Record(shard, digest) => stored(world, edge, &record::name(shard, &digest), CACHE.0, half).await,
        Read::Feed(group) => stored(world, edge, &feed::name(group), CACHE.1, half).await,
        Read::Policy => stored(world, edge, policy::NAME, CACHE.1, half).await,
        Read::FeedDirect(group) => {
            let group = usize::from(group);
            let asked = send(world, reachable, left, move |world| {
                let displaced = world.feed(group).displaced.borrow().is_some() && world.draw().bool();
                if displaced { feed_object::direct_displaced(world, group) } else { feed_object::direct(world, group) }
            });
            asked.await.map_or(Got::Failed, Got::Found)
        }
        Read::PolicyDirect => send(world, reachable, left, registry::direct).await.map_or(Got::Failed, Got::Found),
        Read::Resolve(shard, digest) => {
            let question = ResolveRequest { digest, stored: who.verifier.borrow_mut().holds(&digest) };
            resolved(world, reachable, left, world.shard_index(shard), false, question).await
        }
        Read::ImportedRecord(digest) => stored(world, edge, &record::imported_name(&digest), CACHE.0, left).await,
        Read::ImportedShard(digest) => {
            let asked = send(world, reachable, left, move |world| registry::imported(world, &ImportedRequest { digest }));
            answered(asked.await)
        }
        Read::ResolveImported(shard, digest) => {
            let question = ResolveRequest { digest, stored: who.verifier.borrow_mut().holds_imported(&digest) };
            resolved(world, reachable, left, world.shard_index(shard), true, question).await
        }
    }
    .noted(world, who)
}

/// What a shard's object says about a digest, be it from an instance that was displaced.
async fn resolved(world: &Rc<World>, reachable: bool, left: u64, index: usize, imported: bool, question: ResolveRequest) -> Got {
    let asked = send(world, reachable, left, move |world| {
        let displaced = world.shard(index).displaced.borrow().is_some() && world.draw().bool();
        if displaced {
            shard::resolve_displaced(world, index, &question, imported)
        } else {
            shard::resolve(world, index, &question, imported)
        }
    });
    answered::<ResolveAnswer>(asked.await)
}

fn answered<T: serde::Serialize>(answer: Option<T>) -> Got {
    match answer.map(|answer| serde_json::to_string(&answer)) {
        Some(Ok(text)) => Got::Answer(text),
        Some(Err(_)) | None => Got::Failed,
    }
}

impl Got {
    fn noted(self, world: &World, who: &Isolate) -> Self {
        if matches!(self, Self::Failed) {
            who.trouble.set(world.time.now());
        }
        self
    }
}

async fn stored(world: &Rc<World>, edge: usize, name: &str, cache_ms: u64, left: u64) -> Got {
    let ms = world.latency();
    if ms > left {
        world.time.sleep(left).await;
        return Got::Failed;
    }
    world.time.sleep(ms).await;
    let (now, mut draw) = (world.time.now(), world.draw());
    match world.store.borrow_mut().read(edge, name, now, cache_ms, &mut draw) {
        Seen::Value(value) => Got::Found(value),
        Seen::Absent => Got::Absent,
        Seen::Failed => Got::Failed,
    }
}
