//! What must hold in every state, and what must be seen at all so that this says something.

use stateright::Property;

use crate::{
    convergence::{Writer, edges_agree},
    edge::{Answers, Document, Edge, Record, Standing, Verdict},
    scope::{Kind, Row, Scope, Time, UNIT},
    system::{Keyward, World},
};

/// No edge lets through what was withdrawn, at or after `announced_at` + bound of true time, whatever fails.
pub const BOUND: &str = "a change is in effect everywhere after the bound";
/// The same at or after `announced_at` + freshness where the objects answer, whatever the store gives.
pub const FRESHNESS: &str = "a change is in effect after freshness where the objects answer";
/// Where the objects answer, no edge says that it cannot decide.
pub const ANSWERS: &str = "nobody is told 503 while the objects answer";
/// A record that an edge knows to be outdated is never used by it.
pub const CONTRADICTED: &str = "an outdated record is never used again";
/// The same for what a feed has shown an edge before it was asked about the key. A feed that forgets may take that back.
pub const SHOWN: &str = "a record that a feed has contradicted is not used";
/// Nobody is told that there is no such key, or that it is revoked, who only met an outage.
pub const HONEST: &str = "an outage is never reported as a refusal";
/// What was acknowledged is in the row.
pub const ACKNOWLEDGED: &str = "an acknowledged write is in the row";
/// Every stamp of the feed is above all before, and a feed without a change was issued before its announcement.
pub const STAMPS: &str = "a feed without a change was issued before its announcement";
/// When faults stop, the store becomes equal to the row, the feed has every change, and the edges say what the row says.
pub const CONVERGES: &str = "when nothing changes any more, the store equals the object and the edges agree";

/// What must hold always.
pub const ALWAYS: [&str; 9] = [BOUND, FRESHNESS, ANSWERS, CONTRADICTED, SHOWN, HONEST, ACKNOWLEDGED, STAMPS, CONVERGES];

pub(crate) fn all(scope: &Scope) -> Vec<Property<Keyward>> {
    let mut all = vec![
        Property::always(BOUND, bound),
        Property::always(FRESHNESS, freshness),
        Property::always(CONTRADICTED, contradicted),
        Property::always(HONEST, honest),
        Property::always(ACKNOWLEDGED, |_, world: &World| world.acknowledged & !world.shard.row.0 == 0),
        Property::always(STAMPS, stamps),
        Property::always(CONVERGES, |model, world| model.comes_to_rest(Writer::of(world)) && edges_agree(model, world)),
        Property::sometimes("an edge still lets through what was announced", passes_late),
        Property::sometimes("what an edge knows is too old", |model: &Keyward, world: &World| {
            seen(model, world, Standing::is_known_true, Verdict::Unavailable)
        }),
        Property::sometimes("what an edge knows is contradicted", |model: &Keyward, world: &World| {
            seen(model, world, |standing: &Standing| *standing == Standing::Contradicted, Verdict::Unavailable)
        }),
        Property::sometimes("an edge refuses by a record", |model: &Keyward, world: &World| {
            let row = world.shard.row;
            row != Row(0) && seen(model, world, Standing::is_known_true, Verdict::Known(row))
        }),
        Property::sometimes("a late put brings an older record back", |model: &Keyward, world: &World| {
            world.shard.was_set_back(&model.scope)
        }),
    ];
    if !scope.forgets {
        all.push(Property::always(SHOWN, shown));
    }
    if scope.timing.answers_are_fresh() {
        all.push(Property::always(ANSWERS, answers));
    }
    if scope.changes.iter().any(|kind| matches!(kind, Kind::Create | Kind::Delete)) {
        all.push(Property::sometimes("an edge knows that there is no key", |model, world| {
            verdicts(model, world).any(|v| v == Verdict::Unknown)
        }));
    }
    all
}

/// The answers of the edges now, if nothing can be read.
fn verdicts(model: &Keyward, world: &World) -> impl Iterator<Item = Verdict> {
    [0, 1]
        .map(|number| {
            let mut edge = world.edges[number];
            edge.answer_in_outage(world.edge_now(number), model.rules())
        })
        .into_iter()
}

/// Whether an edge whose record stands so gives this answer.
fn seen(model: &Keyward, world: &World, stands: impl Fn(&Standing) -> bool, answer: Verdict) -> bool {
    (0..2).any(|number| {
        let mut edge: Edge = world.edges[number];
        edge.answer_in_outage(world.edge_now(number), model.rules()) == answer && edge.held.is_some_and(|held| stands(&held.standing))
    })
}

/// Whether some answer between this tick and the next lets the key pass although `span` has gone since a change that the answer's
/// record lacks was announced. `answers` gives the answers of an edge at a moment.
fn passes_after<I: IntoIterator<Item = Verdict>>(model: &Keyward, world: &World, span: Time, answers: impl Fn(usize, Time) -> I) -> bool {
    model.scope.taking().any(|number| {
        let Some(announced_at) = world.announced_at[number].filter(|_| world.shard.made(number)) else { return false };
        let late = world.now.max(announced_at + span) - world.now;
        let lacks = |verdict| matches!(verdict, Verdict::Known(row) if model.scope.passes(row) && !row.has(number));
        late < UNIT && (0..2).any(|edge| answers(edge, late).into_iter().any(lacks))
    })
}

fn passes_in_outage_after(model: &Keyward, world: &World, span: Time) -> bool {
    passes_after(model, world, span, |number, late| {
        let mut edge = world.edges[number];
        [edge.answer_in_outage(world.edge_now(number) + late, model.rules())]
    })
}

fn bound(model: &Keyward, world: &World) -> bool {
    !passes_in_outage_after(model, world, model.scope.timing.bound)
}

fn passes_late(model: &Keyward, world: &World) -> bool {
    passes_in_outage_after(model, world, model.scope.timing.freshness)
}

/// Every answer that an edge may give, `late` moments from now, if the objects answer truly and the store gives anything that was
/// ever put, or nothing.
fn reached(model: &Keyward, world: &World, number: usize, late: Time) -> Vec<Verdict> {
    let mut feed = world.feed;
    let direct = feed.issue(world.feed_now() + late);
    let truth = world.current_record(model).map(|record| Record { as_of: record.as_of + late, ..record });
    let mut verdicts = Vec::new();
    for record in world.stored_records().map(Some).chain([None]) {
        for feed in world.documents.iter().map(|documents| Some(documents.latest)).chain([None]) {
            let answers = Answers { record, feed, direct, truth };
            let mut edge = world.edges[number];
            verdicts.push(edge.answer(world.edge_now(number) + late, &answers, model.rules()));
        }
    }
    verdicts
}

fn freshness(model: &Keyward, world: &World) -> bool {
    !passes_after(model, world, model.scope.timing.freshness, |edge, late| reached(model, world, edge, late))
}

fn answers(model: &Keyward, world: &World) -> bool {
    (0..2).all(|edge| !reached(model, world, edge, 0).contains(&Verdict::Unavailable))
}

fn contradicted(model: &Keyward, world: &World) -> bool {
    (0..2).all(|number| {
        let mut edge = world.edges[number];
        let verdict = edge.answer_in_outage(world.edge_now(number), model.rules());
        !matches!(verdict, Verdict::Known(_)) || edge.held.is_some_and(|held| held.record.rev > edge.outdated)
    })
}

fn shown(model: &Keyward, world: &World) -> bool {
    (0..2).zip(verdicts(model, world)).all(|(number, verdict)| {
        let edge = world.edges[number];
        !matches!(verdict, Verdict::Known(_)) || edge.held.is_some_and(|held| held.record.rev >= edge.shown)
    })
}

fn honest(model: &Keyward, world: &World) -> bool {
    (0..2).zip(verdicts(model, world)).all(|(number, verdict)| match verdict {
        Verdict::Unknown => world.edges[number].absent.is_some() && !world.edges[number].misled,
        Verdict::Known(Row(bits)) => bits & !world.shard.row.0 == 0,
        Verdict::Unavailable => true,
    })
}

fn stamps(model: &Keyward, world: &World) -> bool {
    let complete = |document: &Document| {
        model.scope.taking().all(|number| match world.announced_at[number] {
            Some(at) if document.listed[number] == 0 && document.since <= at => document.issued_at < at,
            Some(_) | None => true,
        })
    };
    !world.issued.1 && world.documents.iter().all(|documents| complete(&documents.latest))
}
