//! The protocol holds in every state of the small worlds. The larger ones are `cargo run -p keyward-model --release`.

use keyward_model::{
    explore::explore,
    scope::Scope,
    worlds::{self, NamedScope},
};

#[test]
fn the_protocol_holds_in_every_state_of_every_small_world() {
    let mut seen = Vec::new();
    for NamedScope { about, scope } in worlds::small() {
        let found = explore(scope, 2);
        println!("{about}: {} states, depth {}", found.states, found.depth);
        assert_eq!(found.broken, [], "{about}");
        seen.extend(found.seen);
    }
    for name in [
        "a late put brings an older record back",
        "an edge knows that there is no key",
        "an edge refuses by a record",
        "an edge still lets through what was announced",
        "what an edge knows is contradicted",
        "what an edge knows is too old",
    ] {
        assert!(seen.contains(&name), "never seen: {name}");
    }
}

#[test]
fn to_offer_the_edges_only_the_freshest_stamps_hides_nothing() {
    let scope = Scope { every_stamp: true, changes_within: 0, ticks: 6, ..Scope::edges() };
    let every = explore(scope.clone(), 2);
    let freshest = explore(Scope { every_stamp: false, ..scope }, 2);
    println!("every stamp: {} states, the freshest alone: {}", every.states, freshest.states);
    assert_eq!((&every.broken, &freshest.broken), (&vec![], &vec![]));
    assert!(every.states > freshest.states, "{} {}", every.states, freshest.states);
}
