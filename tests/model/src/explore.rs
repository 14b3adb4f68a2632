//! Visits every state of a world.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use crate::{mistake::Mistake, scope::Scope, system::Keyward};

/// What was found.
#[derive(Clone, Debug)]
pub struct Exploration {
    /// Different states.
    pub states: usize,
    /// Steps between them that were tried.
    pub steps: usize,
    /// How many states the longest history had that was followed to a new state. With several threads it varies a little.
    pub depth: usize,
    /// The properties that do not hold, each with a history that shows it, in words.
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// What was to be seen, and was.
    pub seen: Vec<&'static str>,
}

impl Exploration {
    /// The history that breaks a property; `None` where none was found.
    pub fn history(&self, property: &str) -> Option<&[String]> {
        self.broken.iter().find(|(name, _)| *name == property).map(|(_, history)| history.as_slice())
    }
}

/// Visits every state of `scope` with the protocol as it is meant.
pub fn explore(scope: Scope, threads: usize) -> Exploration {
    run(Keyward::new(scope), threads, HasDiscoveries::AnyFailures)
}

/// Looks, with `mistake` made in `scope`, for a history that breaks `property`; ends when there is one.
pub fn refute(scope: Scope, mistake: Mistake, property: &'static str) -> Exploration {
    run(Keyward::mistaken(scope, mistake), 1, HasDiscoveries::AllOf(BTreeSet::from([property])))
}

fn run(model: Keyward, threads: usize, until: HasDiscoveries) -> Exploration {
    let checker = model.checker().threads(threads).finish_when(until).spawn_bfs().join();
    let properties = checker.model().properties();
    let (mut broken, mut seen) = (Vec::new(), Vec::new());
    for (name, path) in checker.discoveries() {
        if properties.iter().any(|property| property.name == name && property.expectation.discovery_is_failure()) {
            broken.push((name, path.into_actions().iter().map(|step| format!("{step:?}")).collect()));
        } else {
            seen.push(name);
        }
    }
    broken.sort_unstable();
    seen.sort_unstable();
    Exploration { states: checker.unique_state_count(), steps: checker.state_count(), depth: checker.max_depth(), broken, seen }
}
