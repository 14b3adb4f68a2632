//! The table of bad inputs (`tests/bad-inputs`) in the real runtime: each case by its name, all of them in one go.
//!
//! [`deployment`] makes what the cases speak of, [`edges`] sends to edges through a library and over a socket, [`control`] to the control
//! plane; [`stored`] is what somebody puts into the store. Here they are counted.

mod control;
mod deployment;
mod edges;
mod stored;

use std::collections::BTreeMap;

use keyward_bad_inputs::{
    case::{Deployment, Level, Proof},
    cases,
};

use self::{deployment::Prepared, edges::Findings};

#[tokio::test]
async fn every_bad_input_gets_its_answer_from_the_real_runtime() {
    let mut findings = Findings::default();
    let mut ran = BTreeMap::<Level, usize>::new();
    for deployment in [Deployment::Original, Deployment::Forwarded] {
        let prepared = Prepared::start(deployment).await;
        for level in [Level::Runtime, Level::Raw] {
            for case in cases(level) {
                let Proof::Edge(edge) = &case.proof else { panic!("{} is no request to an edge", case.name) };
                if edge.deployment != deployment {
                    continue;
                }
                findings.try_at_edge(&prepared, &case.name, &edge.filled(&prepared.words), level).await;
                *ran.entry(level).or_default() += 1;
            }
        }
        if deployment == Deployment::Original {
            for case in cases(Level::Control) {
                let Proof::Control(call) = &case.proof else { panic!("{} is no call of the control plane", case.name) };
                findings.wrong.extend(control::wrong(&prepared, call).await.map(|what| format!("control: {}: {what}", case.name)));
                *ran.entry(Level::Control).or_default() += 1;
            }
            findings.wrong.extend(control::left_behind(&prepared).await);
        }
        prepared.world.system.stop().await;
    }
    assert!(findings.wrong.is_empty(), "{} wrong: {:#?}", findings.wrong.len(), findings.wrong);
    for level in [Level::Runtime, Level::Raw, Level::Control] {
        assert_eq!(ran.get(&level).copied(), Some(cases(level).len()), "{level:?}");
    }
    eprintln!("tried: {ran:?}");
}
