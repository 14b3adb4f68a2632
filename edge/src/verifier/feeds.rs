//! The latest feed of each group, which groups are in use, when to read their feeds again, and which reads
//! are not worth repeating for a moment because their object did not answer.

use keyward_shared::{feed::Feed, secret::SecretList, time::Millis, timing::Timing};

use super::{
    Read,
    cache::{Held, Standing},
};

/// A feed with a number that grows with each newer one.
#[derive(Debug)]
pub(super) struct Latest {
    pub(super) feed: Feed,
    pub(super) generation: u32,
}

/// What is known of one group of shards.
#[derive(Debug, Default)]
struct Group {
    /// Whether anything of this group was read.
    used: bool,
    latest: Option<Latest>,
}

#[derive(Debug)]
pub(super) struct Feeds {
    groups: Vec<Group>,
    /// Numbers the feeds of all groups; 0 is none.
    generation: u32,
    next_poll: Millis,
    /// Objects that did not answer, and until when they are not asked again.
    silent: Vec<(Silent, Millis)>,
}

/// What did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silent {
    StoredFeed(u16),
    Feed(u16),
    Registry,
    Shard(keyward_shared::shard::Shard),
}

/// The most silent objects remembered; the oldest are forgotten first.
const MAX_SILENT: usize = 256;

impl Feeds {
    pub(super) fn new(groups: u16) -> Self {
        Self { groups: (0..groups.max(1)).map(|_| Group::default()).collect(), generation: 0, next_poll: Millis(0), silent: Vec::new() }
    }

    pub(super) fn latest(&self, group: u16) -> Option<&Latest> {
        self.groups.get(usize::from(group))?.latest.as_ref()
    }

    /// How `held` stands against the latest feed of its group. Judged once per feed; a contradiction stays
    /// until another record takes the place of this one.
    pub(super) fn standing(&self, held: &Held, group: u16) -> Standing {
        let standing = held.standing.get();
        let Some(latest) = self.latest(group).filter(|latest| latest.generation != held.judged_by.get()) else {
            return standing;
        };
        held.judged_by.set(latest.generation);
        let Standing::KnownTrue(at) = standing else { return standing };
        let feed = &latest.feed;
        let changed = held.subjects.iter().any(|subject| feed.rev_of(*subject).is_some_and(|rev| rev > held.record.rev));
        let standing = if changed {
            Standing::Contradicted
        } else if feed.since <= held.record.as_of {
            Standing::KnownTrue(at.max(feed.issued_at))
        } else {
            standing
        };
        held.standing.set(standing);
        standing
    }

    /// Takes a newer feed; `false` where the text is not to be believed.
    pub(super) fn take(&mut self, secrets: &SecretList, group: u16, text: &str, now: Millis, timing: &Timing) -> bool {
        let Ok(feed) = Feed::open(secrets, group, text) else { return false };
        if feed.issued_at > now.plus(timing.skew) {
            return false;
        }
        let Some(Group { used, latest: slot }) = self.groups.get_mut(usize::from(group)) else { return false };
        *used = true;
        if slot.as_ref().is_none_or(|latest| latest.feed.issued_at < feed.issued_at) {
            self.generation = self.generation.wrapping_add(1).max(1);
            *slot = Some(Latest { feed, generation: self.generation });
        }
        true
    }

    /// Notes that something of this group was read.
    pub(super) fn mark_used(&mut self, group: u16) {
        if let Some(group) = self.groups.get_mut(usize::from(group)) {
            group.used = true;
        }
    }

    /// The stamp of the latest feed of a group in use, 0 before the first; `None` where the group is not in use.
    pub(super) fn stamp(&self, group: u16) -> Option<Millis> {
        let group = self.groups.get(usize::from(group)).filter(|group| group.used)?;
        Some(group.latest.as_ref().map_or(Millis(0), |latest| latest.feed.issued_at))
    }

    pub(super) fn age(&self, group: u16, now: Millis) -> Option<Millis> {
        self.latest(group).map(|latest| now.minus(latest.feed.issued_at))
    }

    pub(super) fn oldest_age(&self, now: Millis) -> Option<Millis> {
        self.groups.iter().filter_map(|group| group.latest.as_ref()).map(|latest| now.minus(latest.feed.issued_at)).max()
    }

    pub(super) fn is_fresh(&self, group: u16, now: Millis, timing: &Timing) -> bool {
        self.age(group, now).is_some_and(|age| age < timing.freshness.minus(timing.skew))
    }

    /// The groups in use, once per poll interval; `next_poll` moves on.
    pub(super) fn take_poll(&mut self, now: Millis, timing: &Timing) -> Vec<u16> {
        if now < self.next_poll {
            return Vec::new();
        }
        self.next_poll = now.plus(timing.poll);
        let used = |(number, group): (usize, &Group)| if group.used { u16::try_from(number).ok() } else { None };
        self.groups.iter().enumerate().filter_map(used).collect()
    }

    pub(super) fn next_poll(&self) -> Millis {
        self.next_poll
    }

    /// Whether `read` goes to something that did not answer a moment ago.
    pub(super) fn backs_off(&self, read: Read, now: Millis) -> bool {
        target(read).is_some_and(|target| self.silent.iter().any(|(silent, until)| *silent == target && now < *until))
    }

    /// Remembers whether `read` was answered. A shard or the store is asked again after a second; the Feed and
    /// the Registry object, which every request of the isolate would ask, after a poll interval.
    pub(super) fn note(&mut self, read: Read, answered: bool, now: Millis, timing: &Timing) {
        let Some(target) = target(read) else { return };
        self.silent.retain(|(silent, until)| *silent != target && now < *until);
        if answered {
            return;
        }
        let pause = match target {
            Silent::Shard(_) | Silent::StoredFeed(_) => timing.put_interval,
            Silent::Feed(_) | Silent::Registry => timing.poll,
        };
        if self.silent.len() >= MAX_SILENT {
            self.silent.remove(0);
        }
        self.silent.push((target, now.plus(pause)));
    }
}

fn target(read: Read) -> Option<Silent> {
    match read {
        Read::Feed(group) => Some(Silent::StoredFeed(group)),
        Read::FeedDirect(group) => Some(Silent::Feed(group)),
        Read::PolicyDirect | Read::ImportedShard(_) => Some(Silent::Registry),
        Read::Resolve(shard, _) | Read::ResolveImported(shard, _) => Some(Silent::Shard(shard)),
        Read::Record(..) | Read::ImportedRecord(_) | Read::Policy => None,
    }
}
