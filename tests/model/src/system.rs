//! The whole world: the objects, the store, two edges, true time, and every step that one of them can take.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use stateright::{Model, Property};

use crate::{
    convergence::Writer,
    edge::{Document, Edge, Record, Rules},
    feed::Feed,
    mistake::{Mistake, Mistakes},
    properties,
    scope::{Clocks, Row, START, Scope, Time, UNIT},
    shard::{Effect, Mail, Shard},
};

/// All that was ever sealed with one content: the first and the last stamp it was given. Instances seal all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamps {
    first: Time,
    /// The highest.
    pub last: Time,
}

/// Every record with one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Records {
    rev: u8,
    stamps: Stamps,
}

/// Every feed with one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Documents {
    /// The latest of them.
    pub latest: Document,
    first: Time,
}

/// The state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// True time.
    pub now: Time,
    /// The clocks; they never change.
    pub clocks: Clocks,
    /// The Shard object and its way to the store.
    pub shard: Shard,
    /// Every record that was ever sealed, by row: the store may give any of them at any time.
    pub records: [Option<Records>; 4],
    /// What the Feed object has stored.
    pub feed: Feed,
    /// What a displaced instance of it remembers.
    pub displaced_feed: Option<Feed>,
    /// Every feed that was ever issued: the store may give any of them at any time.
    pub documents: Vec<Documents>,
    /// The edges.
    pub edges: [Edge; 2],
    /// How many more reads may change what the edges know.
    pub reads_left: u8,
    /// How many more instances may be displaced.
    pub restarts_left: u8,
    /// How many more announcements may not be answered in time.
    pub unanswered_left: u8,
    /// For the properties: the stamp with which the feed first took each change.
    pub announced_at: [Option<Time>; 2],
    /// For the properties: the changes whose success somebody was told of, one bit each.
    pub acknowledged: u8,
    /// For the properties: the highest stamp that any instance has issued, and whether one was not above all before.
    pub issued: (Time, bool),
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A tick passes. Meanwhile the instances seal records for edges that are not modelled, and publish the feed.
    Tick,
    /// An effect of the shard or the store.
    Shard(Effect),
    /// A displaced instance of the shard answers a change that it cannot commit: a mistake.
    DisplacedCommit(usize),
    /// The Feed object takes the announcement that the shard waits for.
    FeedTakes,
    /// The Feed object takes announcements that nobody waits for.
    FeedTakesLate,
    /// The Feed object forgets the change that it announced first.
    FeedForgets,
    /// Another instance of the shard takes over.
    ShardIsDisplaced,
    /// Another instance of the feed takes over.
    FeedIsDisplaced,
    /// An edge reads a record from the store.
    ReadRecord(usize, Row, Time),
    /// An edge reads that the store has no record.
    ReadAbsence(usize),
    /// An edge reads a feed, from the store or from the Feed object; `true`: after a request about the key, which judged its record by
    /// the feed before.
    ReadFeed(usize, usize, Time, bool),
    /// An edge asks the Shard object.
    Resolve(usize),
    /// A displaced instance of the shard answers an edge: a mistake.
    DisplacedResolve(usize),
}

/// The model: a scope, and the mistakes that are made in it.
#[derive(Debug)]
pub struct Keyward {
    /// What is explored.
    pub scope: Scope,
    /// What is done wrong.
    pub mistakes: Mistakes,
    /// What is known of where writers come to rest.
    pub(crate) resting: Mutex<HashMap<Writer, bool>>,
}

impl Keyward {
    /// The protocol as it is meant.
    pub fn new(scope: Scope) -> Self {
        Self::with(scope, Mistakes::NONE)
    }

    /// The protocol with a mistake.
    pub fn mistaken(scope: Scope, mistake: Mistake) -> Self {
        Self::with(scope, Mistakes::just(mistake))
    }

    fn with(scope: Scope, mistakes: Mistakes) -> Self {
        Self { scope, mistakes, resting: Mutex::default() }
    }

    /// What the edges work with.
    pub fn rules(&self) -> Rules {
        Rules { timing: self.scope.timing, mistakes: self.mistakes }
    }

    /// The time that an object dates a record with when it reads the row at `now` by its own clock.
    pub fn as_of(&self, now: Time) -> Time {
        let margin = self.scope.timing.as_of_margin;
        if self.mistakes.has(Mistake::NoAsOfMargin) {
            now
        } else if self.mistakes.has(Mistake::HalfAsOfMargin) {
            now - margin / 2
        } else {
            now - margin
        }
    }

    /// Whether a writer comes to rest with the store equal to the row, whatever its last effects' order.
    pub(crate) fn comes_to_rest(&self, writer: Writer) -> bool {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        writer.comes_to_rest(self, &mut resting)
    }
}

impl World {
    fn new(model: &Keyward, clocks: Clocks) -> Self {
        let scope = &model.scope;
        let mut world = Self {
            now: START,
            clocks,
            shard: Shard::new(scope),
            records: [None; 4],
            feed: Feed::new(START - UNIT + clock(clocks.feed[0])),
            displaced_feed: None,
            documents: Vec::new(),
            edges: [Edge::default(); 2],
            reads_left: scope.reads,
            restarts_left: scope.restarts,
            unanswered_left: scope.unanswered,
            announced_at: [None; 2],
            acknowledged: 0,
            issued: (0, false),
        };
        world.seal_and_issue(model);
        world
    }

    /// The clock of the shard's current instance.
    pub fn shard_now(&self) -> Time {
        self.now + clock(self.clocks.shard[usize::from(self.shard.displaced.is_some())])
    }

    /// The clock of the feed's current instance.
    pub fn feed_now(&self) -> Time {
        self.now + clock(self.clocks.feed[usize::from(self.displaced_feed.is_some())])
    }

    /// An edge's clock.
    pub fn edge_now(&self, edge: usize) -> Time {
        self.now + clock(self.clocks.edges[edge])
    }

    /// The changes that the feed has taken at least once, one bit each.
    pub fn told(&self) -> u8 {
        self.announced_at.iter().enumerate().map(|(number, at)| u8::from(at.is_some()) << number).sum()
    }

    /// The record of the row as it is now.
    pub fn current_record(&self, model: &Keyward) -> Option<Record> {
        let row = self.shard.row;
        model.scope.exists(row).then(|| Record { row, rev: self.shard.rev, as_of: model.as_of(self.shard_now()) })
    }

    /// Every record that the store may give, each with its last stamp.
    pub fn stored_records(&self) -> impl Iterator<Item = Record> + '_ {
        let rows = (0..4).map(Row);
        rows.zip(&self.records).filter_map(|(row, records)| records.map(|it| Record { row, rev: it.rev, as_of: it.stamps.last }))
    }

    fn seal(&mut self, record: Record) {
        let Record { row, rev, as_of } = record;
        let records = &mut self.records[usize::from(row.0)];
        let stamps = records.map_or(Stamps { first: as_of, last: as_of }, |records| records.stamps);
        *records = Some(Records { rev, stamps: Stamps { first: stamps.first.min(as_of), last: stamps.last.max(as_of) } });
    }

    fn seal_current(&mut self, model: &Keyward) {
        if let Some(record) = self.current_record(model) {
            self.seal(record);
        }
    }

    /// The displaced instance reads its row and seals it.
    fn seal_displaced(&mut self, model: &Keyward) -> Option<Record> {
        let seen = self.shard.displaced.filter(|seen| model.scope.exists(seen.row))?;
        let as_of = model.as_of(self.now + clock(self.clocks.shard[0]));
        let record = Record { row: seen.row, rev: seen.rev, as_of };
        self.seal(record);
        Some(record)
    }

    fn stamped(&mut self, stamp: Time) {
        self.issued = (self.issued.0.max(stamp), self.issued.1 || stamp <= self.issued.0);
    }

    /// The Feed object issues; with `displaced` the instance that another has taken the place of, from its memory.
    fn issue(&mut self, displaced: bool) -> Document {
        let (now, displaced_now) = (self.feed_now(), self.now + clock(self.clocks.feed[0]));
        let document = match &mut self.displaced_feed {
            Some(memory) if displaced => memory.issue(displaced_now),
            _ => self.feed.issue(now),
        };
        self.stamped(document.issued_at);
        match self.documents.iter_mut().find(|known| (known.latest.listed, known.latest.since) == (document.listed, document.since)) {
            Some(known) => known.latest.issued_at = known.latest.issued_at.max(document.issued_at),
            None => self.documents.push(Documents { latest: document, first: document.issued_at }),
        }
        document
    }

    fn feed_takes(&mut self, bits: u8, mistakes: Mistakes) {
        let announced_at = self.feed.announce(self.feed_now(), self.shard.revs(bits), mistakes);
        self.stamped(announced_at);
        for number in (0..2).filter(|number| bits & (1 << number) != 0) {
            self.announced_at[number].get_or_insert(announced_at);
        }
        self.issue(false); // as soon as it is known
    }

    /// At any moment somebody may ask the shard, and the feed may be published: so there are records and feeds of this one.
    fn seal_and_issue(&mut self, model: &Keyward) {
        self.seal_current(model);
        if model.mistakes.has(Mistake::ResolveDoesNotWrite) || model.mistakes.has(Mistake::PublishDoesNotWrite) {
            self.seal_displaced(model);
        }
        self.issue(false);
        if self.displaced_feed.is_some() && model.mistakes.has(Mistake::StampFromMemory) {
            self.issue(true);
        }
    }

    /// The edges are alike where their clocks are: their order is no difference then. So in a history the numbers of the two may
    /// change places.
    fn normal(mut self) -> Self {
        if self.clocks.edges[0] == self.clocks.edges[1] && self.edges[0] > self.edges[1] {
            self.edges.swap(0, 1);
        }
        self
    }

    fn reads(&self, model: &Keyward, steps: &mut Vec<Step>) {
        let limit = |edge| self.edge_now(edge) + model.scope.timing.skew;
        for edge in 0..2 {
            for (row, records) in (0..4).map(Row).zip(&self.records) {
                let Some(records) = records else { continue };
                let stamps = believed(model, records.stamps.first, records.stamps.last, limit(edge));
                steps.extend(stamps.into_iter().map(|as_of| Step::ReadRecord(edge, row, as_of)));
            }
            steps.push(Step::Resolve(edge));
            if model.mistakes.has(Mistake::AbsenceTrusted) {
                steps.push(Step::ReadAbsence(edge));
            }
            if model.mistakes.has(Mistake::ResolveDoesNotWrite) && self.shard.displaced.is_some() {
                steps.push(Step::DisplacedResolve(edge));
            }
            // A background poll takes a feed before any request has judged the key by the one before.
            let judging: &[bool] = if self.edges[edge].judging_matters(model.rules()) { &[true, false] } else { &[true] };
            for &judged in judging {
                for (number, documents) in self.documents.iter().enumerate() {
                    let stamps = believed(model, documents.first, documents.latest.issued_at, limit(edge));
                    steps.extend(stamps.into_iter().map(|issued_at| Step::ReadFeed(edge, number, issued_at, judged)));
                }
            }
        }
    }

    /// An edge reads, and what it knows changes; `None` where nothing does.
    fn read(mut self, edge: usize, read: impl FnOnce(&mut Self, &mut Edge)) -> Option<Self> {
        let mut reader = self.edges[edge];
        read(&mut self, &mut reader);
        if reader == self.edges[edge] {
            return None;
        }
        self.edges[edge] = reader;
        self.reads_left -= 1;
        Some(self)
    }
}

/// The stamps that a read may give: the freshest that is believed, because with it an edge can do all that it can with an
/// older one; or, to check just that, all.
fn believed(model: &Keyward, first: Time, last: Time, limit: Time) -> Vec<Time> {
    let freshest = last.min(limit);
    if freshest < first {
        Vec::new()
    } else if model.scope.every_stamp {
        (first..=freshest).filter(|stamp| (freshest - stamp) % UNIT == 0 || *stamp == first).collect()
    } else {
        vec![freshest]
    }
}

fn clock(ticks: i8) -> Time {
    Time::from(ticks) * UNIT
}

impl Model for Keyward {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        self.scope.clocks.iter().map(|clocks| World::new(self, *clocks)).collect()
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.now < START + self.scope.ticks * UNIT {
            steps.push(Step::Tick);
        }
        let mut effects = Vec::new();
        world.shard.effects(&self.scope, self.mistakes, world.told(), &mut effects);
        steps.extend(effects.into_iter().map(Step::Shard));
        if matches!(world.shard.mail, Mail::Sent(_)) {
            steps.push(Step::FeedTakes);
        }
        if world.shard.late_mail != 0 {
            steps.push(Step::FeedTakesLate);
        }
        if self.scope.forgets && world.feed.listed != [0; 2] {
            steps.push(Step::FeedForgets);
        }
        if world.restarts_left > 0 && world.shard.displaced.is_none() {
            steps.push(Step::ShardIsDisplaced);
        }
        if world.restarts_left > 0 && world.displaced_feed.is_none() {
            steps.push(Step::FeedIsDisplaced);
        }
        if self.mistakes.has(Mistake::AnswerBeforeConfirmed) && world.shard.displaced.is_some() {
            steps.extend((0..self.scope.changes.len()).filter(|number| !world.shard.made(*number)).map(Step::DisplacedCommit));
        }
        if world.reads_left > 0 {
            world.reads(self, steps);
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        let rules = self.rules();
        match step {
            Step::Tick => {
                world.now += UNIT;
                world.seal_and_issue(self);
            }
            Step::Shard(effect) => {
                world.shard = world.shard.after(effect, &self.scope, self.mistakes)?;
                match effect {
                    Effect::Commit(_) if world.now > START + self.scope.changes_within * UNIT => return None,
                    Effect::Commit(number) => {
                        world.acknowledged |= 1 << number;
                        world.seal_current(self);
                    }
                    Effect::AnnouncementFails => world.unanswered_left = world.unanswered_left.checked_sub(1)?,
                    _ => {}
                }
            }
            Step::DisplacedCommit(number) => world.acknowledged |= 1 << number,
            Step::FeedTakes => {
                let Mail::Sent(bits) = world.shard.mail else { return None };
                world.feed_takes(bits, self.mistakes);
                world.shard.mail = Mail::Taken(bits);
            }
            Step::FeedTakesLate => {
                let bits = core::mem::take(&mut world.shard.late_mail);
                world.feed_takes(bits, self.mistakes);
            }
            Step::FeedForgets => {
                if !world.feed.forget(self.mistakes) {
                    return None;
                }
                world.issue(false);
            }
            Step::ShardIsDisplaced => {
                world.restarts_left -= 1;
                world.shard.displace();
            }
            Step::FeedIsDisplaced => {
                world.restarts_left -= 1;
                world.displaced_feed = Some(world.feed);
            }
            Step::ReadRecord(edge, row, as_of) => {
                let records = world.records[usize::from(row.0)]?;
                let now = world.edge_now(edge);
                world = world.read(edge, |_, reader| {
                    reader.judge(rules);
                    reader.take_record(Record { row, rev: records.rev, as_of }, now, rules);
                })?;
            }
            Step::ReadAbsence(edge) => {
                let now = world.edge_now(edge);
                let exists = self.scope.exists(world.shard.row);
                world = world.read(edge, |_, reader| reader.confirm_absent(now, exists))?;
            }
            Step::ReadFeed(edge, number, issued_at, judged) => {
                let document = Document { issued_at, ..world.documents.get(number)?.latest };
                world = world.read(edge, |world, reader| {
                    if judged {
                        reader.judge(rules);
                    }
                    reader.take_feed(document, world.edge_now(edge), rules);
                })?;
            }
            Step::Resolve(edge) => {
                let now = world.edge_now(edge);
                world = world.read(edge, |world, reader| {
                    reader.judge(rules);
                    match world.current_record(self) {
                        Some(record) => {
                            world.seal(record);
                            reader.take_record(record, now, rules);
                        }
                        None => reader.confirm_absent(now, false),
                    }
                })?;
            }
            Step::DisplacedResolve(edge) => {
                let now = world.edge_now(edge);
                let exists = self.scope.exists(world.shard.row);
                world = world.read(edge, |world, reader| {
                    reader.judge(rules);
                    match world.seal_displaced(self) {
                        Some(record) => {
                            reader.take_record(record, now, rules);
                        }
                        None => reader.confirm_absent(now, exists),
                    }
                })?;
            }
        }
        Some(world.normal())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.scope)
    }
}
