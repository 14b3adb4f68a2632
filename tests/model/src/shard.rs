//! The Shard object and its way to the store: the row, what is left to do, and one effect after the other. It follows
//! `control/src/shard/{turn,outbox,publish}.rs` and the order of effects in `control/src/worker/shard_object.rs`.

use crate::{
    mistake::{Mistake, Mistakes},
    scope::{Kind, Publishing, Row, Scope},
};

/// How far a marked record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Round {
    /// To be put because it changed.
    First,
    /// To be put again, when what was put before has arrived.
    Second,
    /// To be put because an edge had to ask.
    Asked,
}

/// The mark of the key's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    rev: u8,
    round: Round,
}

/// A put that the instance waits for: what it read, and the mark as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Publication {
    row: Row,
    mark: Mark,
}

/// An announcement that the instance waits for; one bit per change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mail {
    /// None.
    Nothing,
    /// On the way to the Feed object.
    Sent(u8),
    /// Taken, the answer is on the way back.
    Taken(u8),
}

/// What a displaced instance sees in its storage: what was there when it was displaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snapshot {
    /// The row.
    pub row: Row,
    /// The revision.
    pub rev: u8,
}

/// Storage, current instance, and what is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// Stored: the row.
    pub row: Row,
    /// Stored: the revision.
    pub rev: u8,
    /// Stored: the revision of each change; 0: not made.
    pub rev_of: [u8; 2],
    /// Stored: changes that the Feed object has not confirmed, one bit each.
    pub outbox: u8,
    /// Stored: the owner's keys are still to be marked, with this revision; 0: they are not.
    sweep: u8,
    /// Stored: the mark.
    pub mark: Option<Mark>,
    /// In memory: a change whose mark and outbox are still to be written; a mistake alone sets it.
    unfinished: u8,
    /// In memory: the announcement that the instance waits for.
    pub mail: Mail,
    /// In memory: the put that the instance waits for.
    pub publication: Option<Publication>,
    /// The instance that was displaced and may still run.
    pub displaced: Option<Snapshot>,
    /// Announcements whose sender waits no longer: they may still arrive.
    pub late_mail: u8,
    /// Puts that the store has accepted and not yet made visible, one bit for each row.
    accepted: u8,
    /// Puts that nobody waits for any more: each may arrive or be lost.
    late_puts: u8,
    /// The row of the record that the store holds in the end; `None`: it holds none.
    pub kv: Option<Row>,
}

/// One effect of the shard or of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A change is committed: one turn.
    Commit(usize),
    /// Mark and outbox, in a turn of their own: a mistake.
    FinishCommit,
    /// An API call or the alarm announces what the outbox holds.
    Announce,
    /// A change is announced that is not made: a mistake.
    AnnounceEarly(usize),
    /// The Feed object's answer arrives, and the entries are removed.
    Announced,
    /// No answer arrives in time.
    AnnouncementFails,
    /// The alarm re-arms itself, sweeps, reads the current row, and puts its record.
    Publish,
    /// The put is answered, and the mark moves on.
    PutSucceeds,
    /// The put is not answered in time, or with an error.
    PutFails,
    /// What the store accepted becomes visible.
    AcceptedPutArrives(Row),
    /// A put that nobody waits for arrives.
    LatePutArrives(Row),
    /// A put that nobody waits for is lost.
    LatePutIsLost(Row),
    /// Somebody had to ask for the record, so it is marked to be put again.
    Asked,
    /// The displaced instance puts the record of the row that it sees.
    DisplacedPublish,
}

const fn bit(row: Row) -> u8 {
    1 << row.0
}

impl Shard {
    /// A shard that is at rest: what the store holds is the row.
    pub fn new(scope: &Scope) -> Self {
        let row = Row(0);
        Self {
            row,
            rev: 1,
            rev_of: [0; 2],
            outbox: 0,
            sweep: 0,
            mark: None,
            unfinished: 0,
            mail: Mail::Nothing,
            publication: None,
            displaced: None,
            late_mail: 0,
            accepted: 0,
            late_puts: 0,
            kv: scope.exists(row).then_some(row),
        }
    }

    /// Whether a change has been made.
    pub const fn made(&self, number: usize) -> bool {
        self.rev_of[number] > 0
    }

    /// The revisions that an announcement of the changes in `bits` carries.
    pub fn revs(&self, bits: u8) -> [u8; 2] {
        // Before its commit a change can only guess what its revision will be.
        [0, 1].map(|number| match bits & (1 << number) {
            0 => 0,
            _ if self.made(number) => self.rev_of[number],
            _ => self.rev + 1,
        })
    }

    /// Whether nothing is left to do, and nothing on its way.
    pub fn at_rest(&self) -> bool {
        let stored = self.outbox == 0 && self.sweep == 0 && self.mark.is_none();
        stored
            && self.unfinished == 0
            && self.mail == Mail::Nothing
            && self.publication.is_none()
            && self.accepted == 0
            && self.late_puts == 0
    }

    /// Whether the store holds something else although the row has been put once and that has arrived.
    pub fn was_set_back(&self, scope: &Scope) -> bool {
        let put_once = self.mark.is_some_and(|mark| mark.round == Round::Second && mark.rev == self.rev);
        put_once && self.accepted == 0 && self.kv != scope.exists(self.row).then_some(self.row)
    }

    /// Another instance takes over. The old one may go on, but none of its writes is confirmed any more; what it sent stays on its way.
    pub fn displace(&mut self) {
        self.displaced = Some(Snapshot { row: self.row, rev: self.rev });
        if let Mail::Sent(bits) = self.mail {
            self.late_mail |= bits;
        }
        if let Some(publication) = self.publication.take() {
            self.late_puts |= bit(publication.row);
        }
        self.mail = Mail::Nothing;
        self.unfinished = 0;
    }

    /// What may happen next. `told`: the changes that the Feed object has taken.
    pub fn effects(&self, scope: &Scope, mistakes: Mistakes, told: u8, effects: &mut Vec<Effect>) {
        for (number, kind) in scope.changes.iter().enumerate() {
            let possible = scope.exists(self.row) || *kind == Kind::Create;
            if !possible || self.made(number) {
                continue;
            }
            let early = mistakes.has(Mistake::AnnounceBeforeCommit) && kind.takes() && told & (1 << number) == 0;
            if !early {
                effects.push(Effect::Commit(number));
            } else if self.mail == Mail::Nothing {
                effects.push(Effect::AnnounceEarly(number));
            }
        }
        self.progress(effects);
        match self.mail {
            Mail::Sent(_) | Mail::Taken(_) => effects.push(Effect::AnnouncementFails),
            Mail::Nothing => {}
        }
        if self.publication.is_some() {
            effects.push(Effect::PutFails);
        }
        if scope.publishing == Publishing::ChangesAndQuestions && self.mark.is_none() && scope.exists(self.row) {
            effects.push(Effect::Asked);
        }
        if mistakes.has(Mistake::PublishDoesNotWrite) && self.displaced.is_some_and(|seen| scope.exists(seen.row)) {
            effects.push(Effect::DisplacedPublish);
        }
    }

    /// What happens by itself when no fault hinders it, and what is still undecided about puts that nobody waits for.
    pub fn progress(&self, effects: &mut Vec<Effect>) {
        if self.unfinished != 0 {
            effects.push(Effect::FinishCommit);
        }
        match self.mail {
            Mail::Nothing if self.outbox != 0 => effects.push(Effect::Announce),
            Mail::Taken(_) => effects.push(Effect::Announced),
            Mail::Nothing | Mail::Sent(_) => {}
        }
        if self.publication.is_some() {
            effects.push(Effect::PutSucceeds);
        } else if self.mark.is_some() || self.sweep != 0 {
            effects.push(Effect::Publish);
        }
        for row in (0..4).map(Row) {
            if self.accepted & bit(row) != 0 {
                effects.push(Effect::AcceptedPutArrives(row));
            }
            if self.late_puts & bit(row) != 0 {
                effects.extend([Effect::LatePutArrives(row), Effect::LatePutIsLost(row)]);
            }
        }
    }

    /// The shard after `effect`; `None` where it cannot happen now.
    pub fn after(mut self, effect: Effect, scope: &Scope, mistakes: Mistakes) -> Option<Self> {
        match effect {
            Effect::Commit(number) => self.commit(number, scope, mistakes),
            Effect::FinishCommit => {
                let unfinished = core::mem::take(&mut self.unfinished);
                for number in (0..2).filter(|number| unfinished & (1 << number) != 0) {
                    self.note_change(number, scope, mistakes);
                }
            }
            Effect::Announce => self.mail = Mail::Sent(self.outbox),
            Effect::AnnounceEarly(number) => self.mail = Mail::Sent(1 << number),
            Effect::Announced => {
                if let Mail::Taken(bits) = self.mail {
                    self.outbox &= !bits;
                }
                self.mail = Mail::Nothing;
            }
            Effect::AnnouncementFails => {
                if let Mail::Sent(bits) = self.mail {
                    self.late_mail |= bits;
                }
                self.mail = Mail::Nothing;
            }
            Effect::Publish => self.publish(mistakes)?,
            Effect::PutSucceeds => self.put_succeeds(mistakes),
            Effect::PutFails => {
                let publication = self.publication.take()?;
                self.late_puts |= bit(publication.row);
            }
            Effect::AcceptedPutArrives(row) => {
                self.accepted &= !bit(row);
                self.kv = scope.exists(row).then_some(row);
            }
            Effect::LatePutArrives(row) => {
                self.late_puts &= !bit(row);
                self.kv = scope.exists(row).then_some(row);
            }
            Effect::LatePutIsLost(row) => self.late_puts &= !bit(row),
            Effect::Asked => self.mark = Some(Mark { rev: self.rev, round: Round::Asked }),
            Effect::DisplacedPublish => self.late_puts |= bit(self.displaced?.row),
        }
        Some(self)
    }

    fn commit(&mut self, number: usize, scope: &Scope, mistakes: Mistakes) {
        self.row = self.row.with(number);
        if !mistakes.has(Mistake::SkipRev) {
            self.rev += 1;
        }
        self.rev_of[number] = self.rev;
        if mistakes.has(Mistake::MarkAfterCommit) {
            self.unfinished |= 1 << number;
        } else {
            self.note_change(number, scope, mistakes);
        }
    }

    fn note_change(&mut self, number: usize, scope: &Scope, mistakes: Mistakes) {
        let rev = self.rev_of[number];
        let Some(kind) = scope.kind(number) else { return };
        if kind.takes() && !mistakes.has(Mistake::ForgetOutbox) {
            self.outbox |= 1 << number;
        }
        match kind {
            _ if mistakes.has(Mistake::ForgetMark) || scope.publishing == Publishing::Left => {}
            Kind::OwnerLoses => self.sweep = rev,
            Kind::Create | Kind::Revoke | Kind::Delete => self.mark = Some(Mark { rev, round: Round::First }),
        }
    }

    fn publish(&mut self, mistakes: Mistakes) -> Option<()> {
        if self.sweep != 0 {
            self.mark = Some(Mark { rev: self.sweep, round: Round::First });
            self.sweep = 0;
        }
        let mark = self.mark?;
        // The second put comes so late that every earlier one has arrived, or never will.
        let on_the_way = (self.late_puts | self.accepted) != 0;
        if mark.round == Round::Second && on_the_way && !mistakes.has(Mistake::PutAgainAtOnce) {
            return None;
        }
        self.publication = Some(Publication { row: self.row, mark });
        Some(())
    }

    fn put_succeeds(&mut self, mistakes: Mistakes) {
        let Some(Publication { row, mark }) = self.publication.take() else { return };
        self.accepted |= bit(row);
        let unmoved = self.mark == Some(mark) || mistakes.has(Mistake::ClearMarkWithoutRevCheck);
        if unmoved {
            let again = mark.round == Round::First && !mistakes.has(Mistake::PutOnce);
            self.mark = again.then_some(Mark { round: Round::Second, ..mark });
        }
    }
}
