//! The long run, short: load and crashes together. `cargo xtask endure` is the same for minutes.

use std::time::Duration;

use keyward_e2e::world::BOUND;
use keyward_endurance::{Plan, run};

#[tokio::test]
async fn under_load_and_two_kills_nothing_acknowledged_is_lost_and_nothing_revoked_is_let_in() {
    let report = run(Plan { time: Duration::from_secs(20), kills: 2, bound: BOUND, warm_up: 0, users: 3, writers: 3, readers: 1 }).await;
    assert!(report.findings.is_empty(), "{report}");
    for what in ["keys created", "keys rotated", "keys revoked", "keys deleted", "let in at an edge", "refused at an edge"] {
        assert!(report.counts.get(what).is_some_and(|count| *count > 0), "{what}: {report}");
    }
}
