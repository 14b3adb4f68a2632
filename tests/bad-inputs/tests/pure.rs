//! The table against the edge's pure code.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeMap;

use keyward_bad_inputs::{
    case::{Case, Deployment, Level, Proof},
    cases,
    pure::{Reading, World},
    words::drawn,
};
use keyward_edge::verifier::{Attempt, Progress, Verdict};
use keyward_shared::{problem::Code, time::Millis};

#[test]
fn every_case_gets_its_answer_from_the_pure_code() {
    let worlds = [Deployment::Original, Deployment::Forwarded].map(|deployment| (deployment, World::new(deployment)));
    let (mut wrong, mut ran) = (Vec::new(), 0);
    let mut bodies = BTreeMap::<String, String>::new();
    let all = cases(Level::Pure);
    for Case { name, proof } in &all {
        let Proof::Edge(edge) = proof else { panic!("{name} is no request to an edge") };
        let world = worlds.iter().find(|(deployment, _)| *deployment == edge.deployment).map(|(_, world)| world).unwrap();
        let filled = edge.filled(&world.words);
        for reading in [Reading::Latin1, Reading::Utf8] {
            let seen = world.try_case(&filled, reading);
            wrong.extend(seen.wrong(&filled).map(|what| format!("{name} ({reading:?}): {what}")));
            let Some(answer) = seen.answer else { continue };
            wrong.extend(world.words.gives_away(&format!("{answer:?}")).map(|word| format!("{name}: the answer gives {word} away")));
            let challenged =
                answer.headers.iter().any(|(header, value)| *header == "WWW-Authenticate" && value.starts_with("Bearer realm=\"keyward\""));
            if answer.status == 401 {
                let same = bodies.entry(seen.what.clone()).or_insert_with(|| answer.body.clone()) == &answer.body;
                if !(challenged && same) {
                    wrong.push(format!("{name}: challenge {challenged}, the same body as always {same}"));
                }
            }
        }
        ran += 1;
    }
    assert!(wrong.is_empty(), "{} of {ran}: {wrong:#?}", wrong.len());
    assert_eq!(ran, all.len());
    assert!(ran > 150, "{ran} cases");
    eprintln!("pure: {ran} cases");
}

#[test]
fn a_thousand_made_up_keys_cost_no_read() {
    let mut verifier = World::new(Deployment::Original).verifier();
    for _ in 0..1_000 {
        let key = drawn("kw_live", "demo", &"5a".repeat(32));
        match verifier.verify(key.as_bytes(), Millis(1_800_000_000_000), &mut Attempt::default()) {
            Progress::Done(Verdict::Refused(Code::UnknownKey)) => {}
            other => panic!("{other:?}"),
        }
    }
}
