//! Keyward's propagation protocol as a model, and a checker that visits every state of it.
//!
//! One key, two edges, a Shard object and a Feed object of which each can be displaced by another instance at any moment, a store
//! that gives whatever it likes, and clocks that disagree. `cargo test -p keyward-model` visits all states of the small worlds and
//! finds out every deliberate mistake; `cargo run -p keyward-model --release` visits the larger worlds. A property that breaks is
//! shown with a history that breaks it.
//!
//! The model is written by hand, after the code: `shard` follows `control/src/shard/{turn,outbox,publish}.rs` and the order of
//! effects in `control/src/worker/shard_object.rs`, `feed` follows `control/src/feed/mod.rs`, `edge` follows
//! `edge/src/verifier/{mod,cache,feeds}.rs`. It proves the protocol, not the code. That the real verifier answers as the modelled edge
//! is tried with drawn histories (`tests/same_as_the_edge.rs`); that the objects do what is modelled is for their own tests.
//!
//! # What happens
//!
//! A change is one turn: row, revision, mark, outbox. It counts as acknowledged from then on, which is the earliest that it can be.
//! The announcement is sent, taken by the feed, answered, and noted; each of these may be cut off, and what was sent may still
//! arrive. The alarm sweeps, reads the row and puts it; the put is answered or not, becomes visible at once, late, or never, and
//! the mark moves on if it has not changed. Between any two of these effects another instance may take over. The old one then sees
//! its storage as it was, everything it sent is still on its way, and what it writes is never confirmed. On such a platform what a
//! turn has read or written leaves the object only when the turn's writes are confirmed: so a displaced instance can do no more,
//! except in a turn that writes nothing. A crash is the case in which it does not even try.
//!
//! An edge may at any moment be given any record that was ever sealed with its content and any feed that was ever issued. That is
//! every delay, loss, repetition and order of the store, and every answer of an object that was late. Whether an edge would answer
//! from what it knows is asked in every state and for every moment up to the next tick.
//!
//! # What is left out, and why that hides nothing that matters here
//!
//! - **One key, two changes.** Records of different keys meet only in the feed, as subjects that do not collide. Two changes in
//!   either order are the smallest case in which one can overtake the other. The subjects of owner, company and shard differ from
//!   the key's only in how the key's mark comes about; the owner's way, by a sweep, is modelled. Changes that give (a permission
//!   granted again) are left out: nobody is promised when they take effect. Expiry needs no propagation.
//! - **Ticks.** Time moves in ticks of eight moments; a tick is one skew, the margin is two, and freshness and bound keep their
//!   order and, in `Timing::ROOMY`, the one sum that availability needs: freshness above margin and three skews. The protocol
//!   only adds these numbers to stamps and compares; none of its arguments needs them larger. Stamps "strictly above" move by
//!   moments, so they need no tick, and the seven moments in between let a stamp come as close to a limit as can be.
//! - **Clocks** are right or off by as much as they may be, in either direction, and stay so. One that is set is an instance that moves to
//!   another clock, which is modelled.
//! - **Sealing and issuing all the time.** Whoever else asks makes the shard seal records and the feed publish, so at each tick,
//!   and after each announcement, there is a fresh one of each. Of those with the same content the edges are offered the
//!   freshest that they believe: with an older one an edge can do nothing that it could not have done by reading when that one
//!   was fresh. A test offers every stamp and finds the same.
//! - **A number of reads.** An edge's knowledge is one record, one standing and one feed; what a longer row of reads leaves
//!   behind, two reads leave too, and where something must be forgotten three or four. The worlds say how many they allow, for
//!   both edges together.
//! - **Reads at any moment, none of them held back.** An edge that got no answer leaves an object alone for up to a poll interval;
//!   where that happens the time under `FRESHNESS` is longer by as much. The model does not ask whether a request would make a
//!   read, so it knows more histories than there are. The order of reads in a request is modelled where an answer depends on it:
//!   in the properties about reachable objects.
//! - **When changes are made.** They are committed within the first ticks: what comes before only lets knowledge age, and the
//!   edges can learn of old records later as well. Histories end some ticks after the bound.
//! - **A put arrives, or never does, before the same change is put again** (90 s). Only convergence rests on this; it is the one
//!   thing that is assumed of the store, with that a put which the store confirmed is not lost. `PutAgainAtOnce` shows that it is
//!   needed. Pauses after failures, between puts and before asking again only delay, and here anything may be delayed.
//! - **At most so many displaced instances and unanswered announcements** as the world says. One displaced instance of each object
//!   is seen at a time.
//! - **The world is divided.** What becomes of the store does not change what edges may read (anything ever sealed), so the way to
//!   the store is explored with few reads and the reads with no such way; one larger world has both.
//! - MACs, names, deletion from memory under pressure, the policy, imported keys, and restoring an object from a backup are not
//!   modelled. An edge that loses its memory is an edge that has read nothing yet.
//!
//! # What it says about the limits
//!
//! - The bound rests on what a displaced instance cannot do. `ResolveDoesNotWrite` and `PublishDoesNotWrite` break it: an old row
//!   gets a stamp of now, and an edge without a newer feed believes that. Every turn that stamps a row must therefore write.
//! - An edge that polls a feed that contradicts a record, and then one that has forgotten the change, before anybody asks for the
//!   key, does not know of the contradiction any more: the property `SHOWN` does not hold where feeds forget. The bound does.
//! - An edge that was told that there is no such key forgets that it held a record, and may believe an old one that the store
//!   brings back, as a cold edge may. The bound holds here too; `CONTRADICTED` is about what an edge still holds.
//!
//! # Why `stateright`, and one thing that it does not do
//!
//! It visits states breadth-first on all processors, keeps a fingerprint of each and rebuilds a counterexample; that two different
//! states of n are taken for one has a probability of about n²/2⁶⁵, which is below 10⁻⁵ for ten million. Its `eventually` is
//! documented to miss counterexamples where paths join or go round, so convergence is decided in `convergence` for each state by
//! itself.

mod convergence;
pub mod edge;
pub mod explore;
pub mod feed;
pub mod mistake;
pub mod properties;
pub mod scope;
pub mod shard;
pub mod system;
pub mod worlds;
