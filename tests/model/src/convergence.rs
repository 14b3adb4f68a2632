//! "When nothing changes any more": from any state, once faults stop, every order of what is left to do ends, and ends with the
//! store equal to the row and the feed told of every change.
//!
//! The checker's own `eventually` looks at paths of the graph, which contains endless ones (an edge may ask again and again) and
//! joins. So this is decided for each state by itself: the steps that happen without a fault are followed in every order. A state
//! in which none is left must be the right one; a state that is met again on its own path would be an endless history, and counts
//! as failure. Time, stamps and edges have no part in these steps, so the answer is kept by what has.

use std::collections::HashMap;

use crate::{
    edge::{Answers, Document, Record, Verdict},
    scope::{Publishing, UNIT},
    shard::{Effect, Mail, Shard},
    system::{Keyward, World},
};

/// The part of the world that decides where the writer comes to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    shard: Shard,
    /// The changes that the feed has taken, one bit each.
    told: u8,
}

impl Writer {
    pub(crate) fn of(world: &World) -> Self {
        // A displaced instance cannot act any more: that is what the faults' end means.
        let mut shard = world.shard;
        shard.displaced = None;
        Self { shard, told: world.told() }
    }

    /// Follows every order of what is left to do.
    pub(crate) fn comes_to_rest(self, model: &Keyward, known: &mut HashMap<Self, bool>) -> bool {
        if let Some(known) = known.get(&self) {
            return *known;
        }
        // Whoever comes here again before this is decided goes round in circles.
        known.insert(self, false);
        let next = self.next(model);
        let rests = if next.is_empty() { self.is_right(model) } else { next.into_iter().all(|next| next.comes_to_rest(model, known)) };
        known.insert(self, rests);
        rests
    }

    fn next(self, model: &Keyward) -> Vec<Self> {
        let mut effects = Vec::new();
        self.shard.progress(&mut effects);
        let after = |effect: Effect| Some(Self { shard: self.shard.after(effect, &model.scope, model.mistakes)?, ..self });
        let mut next: Vec<_> = effects.into_iter().filter_map(after).collect();
        if let Mail::Sent(bits) = self.shard.mail {
            let mut taken = Self { told: self.told | bits, ..self };
            taken.shard.mail = Mail::Taken(bits);
            next.push(taken);
        }
        if self.shard.late_mail != 0 {
            let mut lost = self;
            lost.shard.late_mail = 0;
            next.extend([lost, Self { told: self.told | self.shard.late_mail, ..lost }]);
        }
        next
    }

    fn is_right(self, model: &Keyward) -> bool {
        let shard = &self.shard;
        let told = model.scope.taking().all(|number| !shard.made(number) || self.told & (1 << number) != 0);
        let equal = model.scope.publishing == Publishing::Left || shard.kv == model.scope.exists(shard.row).then_some(shard.row);
        told && equal && shard.at_rest()
    }
}

/// Whether, long after all is at rest, an edge that reaches the objects and a store that has converged says what the row says.
pub(crate) fn edges_agree(model: &Keyward, world: &World) -> bool {
    let row = world.shard.row;
    let later = world.now + model.scope.timing.bound + 2 * UNIT;
    let record = |as_of| model.scope.exists(row).then_some(Record { row, rev: world.shard.rev, as_of });
    // What the feed lists in the end: what it has not forgotten, and what it is still to be told.
    let listed =
        [0, 1].map(|number| if world.announced_at[number].is_some() { world.feed.listed[number] } else { world.shard.rev_of[number] });
    let feed = Document { listed, since: world.feed.since(), issued_at: later };
    let answers =
        Answers { record: record(world.now - model.scope.timing.as_of_margin), feed: Some(feed), direct: feed, truth: record(later) };
    let expected = if model.scope.exists(row) { Verdict::Known(row) } else { Verdict::Unknown };
    world.edges.into_iter().all(|mut edge| edge.answer(later, &answers, model.rules()) == expected)
}
