//! The worlds that are explored. Each is wide in what it is about and narrow in the rest; the product of all is out of reach.

use crate::scope::{Clocks, Kind, Publishing, Scope, Timing};

/// A scope, and what it is about.
#[derive(Clone, Debug)]
pub struct NamedScope {
    /// What it is about.
    pub about: &'static str,
    /// What is explored.
    pub scope: Scope,
}

impl Scope {
    /// One change, two edges, clocks that make knowledge look freshest, and nothing goes wrong but every read.
    pub fn edges() -> Self {
        Self {
            timing: Timing::SMALL,
            changes: vec![Kind::Revoke],
            changes_within: 1,
            clocks: Clocks::worst(),
            ticks: 7,
            publishing: Publishing::Left,
            reads: 2,
            restarts: 0,
            unanswered: 0,
            forgets: false,
            every_stamp: false,
        }
    }

    /// An instance of the shard or of the feed is displaced and goes on; the next one's clock is at the other end.
    pub fn displaced() -> Self {
        Self { restarts: 1, changes_within: 0, ticks: 6, clocks: vec![Clocks::worst()[1]], ..Self::edges() }
    }

    /// The feed forgets what it listed, as it does when more has changed than it may list.
    pub fn forgetful() -> Self {
        Self { forgets: true, reads: 3, changes_within: 0, ticks: 6, clocks: vec![Clocks::worst()[0]], ..Self::edges() }
    }

    /// A key that is made and deleted while an instance of the shard or the feed is displaced.
    pub fn made_and_deleted() -> Self {
        let changes = vec![Kind::Create, Kind::Delete];
        Self { changes, changes_within: 1, ticks: 6, restarts: 1, reads: 1, clocks: vec![Clocks::default()], ..Self::edges() }
    }

    /// Two changes on their way to the store, with a restart between any two effects, and lost and late puts and announcements.
    pub fn store() -> Self {
        let changes = vec![Kind::OwnerLoses, Kind::Revoke];
        let clocks = vec![Clocks::default()];
        Self { changes, clocks, ticks: 0, publishing: Publishing::Changes, reads: 0, restarts: 1, unanswered: 1, ..Self::edges() }
    }

    /// The same, with edges that make the record be put once more at any time, and no unanswered announcement.
    pub fn store_that_is_asked() -> Self {
        Self { unanswered: 0, publishing: Publishing::ChangesAndQuestions, ..Self::store() }
    }

    /// The times in the proportion that lets every answer of an object be fresh at every edge, and clocks at both ends.
    pub fn reachable() -> Self {
        let clocks =
            vec![Clocks { shard: [-1, -1], feed: [1, 1], edges: [-1, 1] }, Clocks { shard: [1, 1], feed: [-1, -1], edges: [-1, 1] }];
        Self { timing: Timing::ROOMY, ticks: 9, changes_within: 1, reads: 1, clocks, ..Self::edges() }
    }
}

/// The worlds of a plain test.
pub fn small() -> Vec<NamedScope> {
    vec![
        NamedScope { about: "one change, two edges, the worst clocks", scope: Scope::edges() },
        NamedScope { about: "a displaced instance that goes on", scope: Scope::displaced() },
        NamedScope { about: "a feed that forgets", scope: Scope::forgetful() },
        NamedScope { about: "a key that is made and deleted", scope: Scope::made_and_deleted() },
        NamedScope { about: "two changes on their way to the store", scope: Scope::store() },
        NamedScope { about: "the same while edges ask", scope: Scope::store_that_is_asked() },
        NamedScope { about: "objects that can be reached", scope: Scope::reachable() },
    ]
}

/// The worlds of a longer run.
pub fn large() -> Vec<NamedScope> {
    let owner_and_key = || vec![Kind::OwnerLoses, Kind::Revoke];
    let moved = || vec![Clocks::worst()[1]];
    vec![
        NamedScope { about: "every corner of the clocks", scope: Scope { clocks: Clocks::corners(), ..Scope::edges() } },
        NamedScope {
            about: "three reads",
            scope: Scope { reads: 3, ticks: 8, changes_within: 2, clocks: vec![Clocks::worst()[0]], ..Scope::edges() },
        },
        NamedScope { about: "two changes at the edges", scope: Scope { changes: owner_and_key(), ..Scope::edges() } },
        NamedScope {
            about: "both objects displaced, an announcement unanswered",
            scope: Scope { restarts: 2, unanswered: 1, ..Scope::displaced() },
        },
        NamedScope {
            about: "the edges and the way to the store together",
            scope: Scope { publishing: Publishing::Changes, reads: 1, restarts: 1, unanswered: 1, clocks: moved(), ..Scope::edges() },
        },
        NamedScope {
            about: "a change and a deletion on their way to the store",
            scope: Scope { changes: vec![Kind::OwnerLoses, Kind::Delete], unanswered: 1, ..Scope::store_that_is_asked() },
        },
        NamedScope { about: "objects that can be reached, two reads", scope: Scope { reads: 2, ..Scope::reachable() } },
    ]
}
