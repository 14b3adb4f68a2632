//! Deliberate mistakes. With any one of them the checker must find a history that breaks a property: so the model can fail.

/// One mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A change marks no record for publishing.
    ForgetMark,
    /// A change leaves nothing to announce.
    ForgetOutbox,
    /// Mark and outbox are written in a turn after the one of the row.
    MarkAfterCommit,
    /// A change does not raise the revision.
    SkipRev,
    /// A change is announced, and then committed.
    AnnounceBeforeCommit,
    /// A change is answered before the storage has confirmed it.
    AnswerBeforeConfirmed,
    /// A publication clears the mark although a change came meanwhile.
    ClearMarkWithoutRevCheck,
    /// A change is put once.
    PutOnce,
    /// The second put does not wait until earlier ones have arrived.
    PutAgainAtOnce,
    /// The authority's answer is read without a write in the same turn, so a displaced instance can give it.
    ResolveDoesNotWrite,
    /// The alarm reads the row for a put without a write in the same turn, so a displaced instance can put it.
    PublishDoesNotWrite,
    /// Records are dated at their reading.
    NoAsOfMargin,
    /// Records are dated one skew back, not two.
    HalfAsOfMargin,
    /// The feed's stamp is kept in memory and not stored in the turn that reads the list.
    StampFromMemory,
    /// An announcement is stamped by the clock alone.
    StampBelowIssued,
    /// A feed that has forgotten a change still claims to be complete.
    SinceNotRaised,
    /// The edge takes a record for true by a feed that does not reach back to it.
    IgnoreSince,
    /// The edge takes a record for true at its reading from the store.
    TrustKvAge,
    /// The edge compares with limits that allow for no skew.
    NoSkewSubtraction,
    /// The edge forgets a contradiction when it reads the same record again.
    ContradictionForgotten,
    /// The edge lets a record take the place of a newer one.
    OlderRecordTaken,
    /// The edge lets a feed take the place of a newer one.
    OlderFeedTaken,
    /// The edge holds the store's absence for the truth.
    AbsenceTrusted,
    /// The edge says that there is no such key when it cannot know.
    OutageIsUnknown,
    /// The edge answers from a contradicted record when it cannot learn more.
    ContradictionOutweighed,
    /// The edge asks nobody while its knowledge is younger than the bound.
    NeverAsks,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::ForgetMark,
        Self::ForgetOutbox,
        Self::MarkAfterCommit,
        Self::SkipRev,
        Self::AnnounceBeforeCommit,
        Self::AnswerBeforeConfirmed,
        Self::ClearMarkWithoutRevCheck,
        Self::PutOnce,
        Self::PutAgainAtOnce,
        Self::ResolveDoesNotWrite,
        Self::PublishDoesNotWrite,
        Self::NoAsOfMargin,
        Self::HalfAsOfMargin,
        Self::StampFromMemory,
        Self::StampBelowIssued,
        Self::SinceNotRaised,
        Self::IgnoreSince,
        Self::TrustKvAge,
        Self::NoSkewSubtraction,
        Self::ContradictionForgotten,
        Self::OlderRecordTaken,
        Self::OlderFeedTaken,
        Self::AbsenceTrusted,
        Self::OutageIsUnknown,
        Self::ContradictionOutweighed,
        Self::NeverAsks,
    ];
}

/// The mistakes that a model makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(u32);

impl Mistakes {
    /// The protocol as it is meant.
    pub const NONE: Self = Self(0);

    /// Just this one.
    pub const fn just(mistake: Mistake) -> Self {
        Self(1 << mistake as u32)
    }

    /// Whether this one is among them.
    pub const fn has(self, mistake: Mistake) -> bool {
        self.0 & (1 << mistake as u32) != 0
    }
}
