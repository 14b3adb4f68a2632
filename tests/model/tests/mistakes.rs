//! The model can fail: every deliberate mistake is found out, by a history that breaks the property that it is about.

use keyward_model::{
    explore::refute,
    mistake::Mistake,
    properties::{ACKNOWLEDGED, ALWAYS, ANSWERS, BOUND, CONTRADICTED, CONVERGES, FRESHNESS, HONEST, SHOWN, STAMPS},
    scope::{Clocks, Scope},
};

/// Which property a mistake breaks, and in which world.
fn table() -> Vec<(Mistake, &'static str, Scope)> {
    let one_clock = |scope: Scope, number: usize| Scope { clocks: vec![Clocks::worst()[number]], ..scope };
    let edges = || one_clock(Scope { changes_within: 0, ..Scope::edges() }, 0);
    let forgetful = || Scope { reads: 2, ..Scope::forgetful() };
    let moments = |reads| Scope { ticks: 1, reads, ..Scope::forgetful() };
    vec![
        (Mistake::ForgetMark, CONVERGES, Scope::store()),
        (Mistake::ForgetOutbox, CONVERGES, Scope::store()),
        (Mistake::MarkAfterCommit, CONVERGES, Scope::store()),
        (Mistake::ClearMarkWithoutRevCheck, CONVERGES, Scope::store()),
        (Mistake::PutOnce, CONVERGES, Scope::store()),
        (Mistake::PutAgainAtOnce, CONVERGES, Scope::store()),
        (Mistake::PublishDoesNotWrite, CONVERGES, Scope::store()),
        (Mistake::AnswerBeforeConfirmed, ACKNOWLEDGED, Scope::store()),
        (Mistake::SkipRev, BOUND, edges()),
        (Mistake::AnnounceBeforeCommit, BOUND, Scope { changes_within: 4, ..edges() }),
        (Mistake::AnnounceBeforeCommit, ANSWERS, Scope { reads: 2, ticks: 1, ..Scope::reachable() }),
        (Mistake::ResolveDoesNotWrite, BOUND, Scope::displaced()),
        (Mistake::ResolveDoesNotWrite, FRESHNESS, Scope::displaced()),
        (Mistake::ResolveDoesNotWrite, HONEST, Scope::made_and_deleted()),
        (Mistake::PublishDoesNotWrite, BOUND, Scope::displaced()),
        (Mistake::NoAsOfMargin, BOUND, edges()),
        (Mistake::HalfAsOfMargin, BOUND, edges()),
        (Mistake::StampFromMemory, STAMPS, Scope::displaced()),
        (Mistake::StampFromMemory, BOUND, Scope::displaced()),
        (Mistake::StampBelowIssued, STAMPS, edges()),
        (Mistake::SinceNotRaised, BOUND, forgetful()),
        (Mistake::IgnoreSince, BOUND, forgetful()),
        (Mistake::TrustKvAge, BOUND, edges()),
        (Mistake::NoSkewSubtraction, BOUND, edges()),
        (Mistake::NeverAsks, FRESHNESS, edges()),
        (Mistake::ContradictionForgotten, CONTRADICTED, moments(4)),
        (Mistake::ContradictionOutweighed, CONTRADICTED, edges()),
        (Mistake::OlderRecordTaken, CONTRADICTED, edges()),
        (Mistake::OlderFeedTaken, SHOWN, Scope { forgets: false, ..moments(3) }),
        (Mistake::AbsenceTrusted, HONEST, edges()),
        (Mistake::OutageIsUnknown, HONEST, edges()),
    ]
}

#[test]
fn every_mistake_is_found_out() {
    for (mistake, property, scope) in table() {
        let found = refute(scope, mistake, property);
        let history = found.history(property);
        println!("{mistake:?} breaks \"{property}\": {history:?}");
        assert!(history.is_some(), "{mistake:?} does not break \"{property}\" in {} states", found.states);
    }
}

#[test]
fn no_mistake_and_no_property_is_left_out() {
    let table = table();
    for mistake in Mistake::ALL {
        assert!(table.iter().any(|row| row.0 == mistake), "{mistake:?}");
    }
    for property in ALWAYS {
        assert!(table.iter().any(|row| row.1 == property), "{property}");
    }
}
