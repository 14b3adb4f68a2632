//! The bound, with a store that is really stale: three edges, each with a view of the store of its own that lags, loses, reorders or fails, and
//! some cut off from the objects. Whatever is taken away from a key in use, no edge lets it in after the bound, and none refuses it before.

use std::{collections::BTreeMap, time::Duration};

use keyward_e2e::{
    World,
    changes::{self, Acknowledged, Case, Change},
    eventually,
    probe::{self, Outcome, Probe, judge, now_ms},
    stored,
    world::BOUND,
};
use keyward_selfhost::kv::{Effect, FOREVER, Fault};
use serde_json::json;
use tokio::time::sleep;

const EDGES: usize = 3;
const EVERY: Duration = Duration::from_millis(60);
/// Half of the bound.
const HALF: Duration = Duration::from_secs(3);
/// Longer than it takes to publish, to poll and to ask.
const SETTLED: Duration = Duration::from_millis(1_500);

/// A key in use at every edge.
struct InUse {
    case: Case,
    probes: Vec<Probe>,
}

struct Scene {
    world: World,
    keys: Vec<InUse>,
}

/// A change, and by when it is in effect.
struct Changed {
    done: Acknowledged,
    effective_ms: u64,
}

impl Scene {
    /// For every change a key that all edges let in, while everything still works.
    async fn start() -> Self {
        let world = World::with(|options| (options.edges, options.apart) = (EDGES, true)).await;
        changes::guard(&world).await;
        let mut scene = Self { world, keys: Vec::new() };
        for change in Change::ALL {
            scene.add(change, 0).await;
        }
        scene.world.owner("acme", "nobody", &[], true).await;
        let powerless = scene.world.key("acme", "nobody", json!({})).await;
        for url in scene.world.system.edge_urls() {
            eventually(BOUND, async || {
                let url = format!("{url}{}", Change::PermissionWithdrawn.path());
                let seen = probe::ask(&scene.world.http, &url, &powerless.key).await;
                if seen.outcome == Outcome::Refused(403, "permission_denied".into()) { Ok(()) } else { Err(seen) }
            })
            .await;
        }
        sleep(SETTLED).await;
        scene
    }

    /// Puts one more key to use; it is let in by every edge from its first request on.
    async fn add(&mut self, change: Change, number: usize) {
        let case = Case::prepare(&self.world, change, number).await;
        self.first_requests(&case.key.key, change.path()).await;
        let watch = |url: String| Probe::start(self.world.http.clone(), url + change.path(), case.key.key.clone(), EVERY);
        let probes = self.world.system.edge_urls().into_iter().map(watch).collect();
        self.keys.push(InUse { case, probes });
    }

    /// Each edge lets a key in at the first request with it that it answers; a machine that is too busy may say 503 before.
    async fn first_requests(&self, key: &str, path: &str) {
        for (edge, url) in self.world.system.edge_urls().into_iter().enumerate() {
            let answered = eventually(BOUND, async || {
                let seen = probe::ask(&self.world.http, &format!("{url}{path}"), key).await;
                if seen.outcome == Outcome::Unavailable { Err(seen) } else { Ok(seen.outcome) }
            });
            assert_eq!(answered.await, Outcome::LetIn, "the first request with a new key at edge {edge}");
        }
    }

    /// Makes all changes.
    async fn change(&self) -> Vec<Acknowledged> {
        let mut done = Vec::new();
        for key in &self.keys {
            done.push(key.case.apply(&self.world).await);
        }
        done
    }

    /// From when on each change is in effect; the control plane must be there.
    async fn announced(&self, done: Vec<Acknowledged>) -> Vec<Changed> {
        let bound_ms = u64::try_from(BOUND.as_millis()).unwrap();
        let mut changed = Vec::new();
        for (key, done) in self.keys.iter().zip(done) {
            let effective_ms = key.case.effective_ms(&self.world, &done, bound_ms).await;
            changed.push(Changed { done, effective_ms });
        }
        changed
    }

    /// Waits for the bound and judges what every edge did until then. `knows` says which edges have to know of a change, and not only that
    /// they know too little.
    async fn judge(&self, changed: &[Changed], knows: impl Fn(usize, Change) -> bool) {
        let end = changed.iter().map(|changed| changed.effective_ms).max().unwrap();
        sleep(Duration::from_millis(end.saturating_sub(now_ms()))).await;
        for (key, changed) in self.keys.iter().zip(changed) {
            for (edge, probe) in key.probes.iter().enumerate() {
                let change = key.case.change;
                eventually(BOUND, async || probe.last().filter(|last| last.sent_ms > changed.effective_ms).ok_or("nobody asks any more"))
                    .await;
                let seen = probe.seen();
                let course = judge(&seen, changed.done.sent_ms, changed.effective_ms, change.refusal())
                    .unwrap_or_else(|wrong| panic!("{change:?} at edge {edge}: {wrong}"));
                let before = seen.iter().filter(|one| one.outcome == Outcome::LetIn && one.answered_ms < changed.done.sent_ms);
                assert!(before.count() > 5, "{change:?} at edge {edge}: the key was not in use before");
                assert!(course.first_kept_out_ms.is_some(), "{change:?} at edge {edge}: still let in");
                if knows(edge, change) {
                    assert!(course.first_refused_ms.is_some_and(|at| at <= changed.effective_ms), "{change:?} at edge {edge}: {course:?}");
                }
            }
        }
    }

    /// New keys, and the successors of replaced ones, work at once at every edge.
    async fn new_keys_work(&self, changed: &[Changed]) {
        self.world.owner("acme", "newcomer", &[], true).await;
        let new = self.world.key("acme", "newcomer", json!({})).await;
        let successors = changed.iter().filter_map(|changed| changed.done.successor.as_ref());
        for key in successors.chain([&new]) {
            self.first_requests(&key.key, "/").await;
        }
    }

    /// Ends all faults: every edge refuses for the right reason, and the store says what the objects say.
    async fn heal(mut self) {
        self.world.system.kv().heal();
        for edge in 0..EDGES {
            self.world.system.view(edge).heal();
            self.world.system.wire(edge).unwrap().mend();
        }
        if self.world.system.control().is_none() {
            self.world.system.start_control().await.unwrap();
        }
        for key in &self.keys {
            let (status, code) = key.case.change.refusal();
            for probe in &key.probes {
                eventually(2 * BOUND, async || {
                    let last = probe.last().unwrap();
                    if last.outcome == Outcome::Refused(status, code.into()) { Ok(()) } else { Err((key.case.change, last)) }
                })
                .await;
            }
        }
        let mut companies = BTreeMap::<&str, BTreeMap<String, String>>::new();
        for InUse { case, .. } in &self.keys {
            companies.entry(&case.company).or_default().insert(case.key.id.clone(), case.key.key.clone());
        }
        for (company, keys) in companies {
            eventually(2 * BOUND, async || stored::differs_from_objects(&self.world, company, &keys).await).await;
        }
        self.world.system.stop().await;
    }

    fn spoil(&self, edge: usize, fault: Fault) {
        self.world.system.view(edge).inject(fault);
    }

    /// Changes under the faults that are on, with the objects within reach of all edges.
    async fn play(mut self) {
        sleep(SETTLED).await;
        // Made now: in a view that lags it is not there at all.
        self.add(Change::Revoked, 1).await;
        sleep(SETTLED).await;
        let done = self.change().await;
        let changed = self.announced(done).await;
        self.judge(&changed, |_, _| true).await;
        self.new_keys_work(&changed).await;
        self.heal().await;
    }
}

#[tokio::test]
async fn a_store_that_lags_stretches_no_bound() {
    let scene = Scene::start().await;
    scene.spoil(1, Fault::everywhere(Effect::Lag(HALF)));
    scene.spoil(2, Fault::everywhere(Effect::Lag(FOREVER)));
    scene.play().await;
}

#[tokio::test]
async fn a_store_that_loses_and_reorders_stretches_no_bound() {
    let scene = Scene::start().await;
    scene.spoil(0, Fault::everywhere(Effect::Lose));
    scene.spoil(1, Fault::everywhere(Effect::Repeat(Duration::from_secs(1))));
    scene.spoil(2, Fault::everywhere(Effect::Lag(HALF)));
    scene.spoil(2, Fault::everywhere(Effect::Alternate));
    scene.play().await;
}

#[tokio::test]
async fn a_store_that_loses_records_but_not_the_feed_or_the_feed_but_not_records_stretches_no_bound() {
    let scene = Scene::start().await;
    scene.spoil(0, Fault::writing("k:", Effect::Lose));
    scene.spoil(1, Fault::writing("f:", Effect::Lose));
    scene.spoil(2, Fault::writing("f:", Effect::Repeat(Duration::from_millis(100))));
    scene.spoil(2, Fault::writing("k:", Effect::Lag(FOREVER)));
    scene.play().await;
}

#[tokio::test]
async fn a_store_that_fails_is_slow_or_remembers_stretches_no_bound() {
    let scene = Scene::start().await;
    scene.spoil(0, Fault::everywhere(Effect::Fail(503)));
    scene.spoil(1, Fault::everywhere(Effect::Delay(Duration::from_millis(300))));
    scene.spoil(2, Fault::everywhere(Effect::Remember(FOREVER)));
    scene.play().await;
}

#[tokio::test]
async fn edges_cut_off_from_the_objects_keep_the_bound_whatever_the_store_does() {
    let scene = Scene::start().await;
    scene.spoil(1, Fault::everywhere(Effect::Lag(HALF)));
    scene.spoil(2, Fault::everywhere(Effect::Lag(FOREVER)));
    for edge in 0..EDGES {
        scene.world.system.wire(edge).unwrap().cut();
    }
    let done = scene.change().await;
    let changed = scene.announced(done).await;
    // The store's absence is never believed, so of a deleted key this edge only learns that it no longer knows anything.
    scene.judge(&changed, |edge, change| edge == 0 && change != Change::KeyDeleted).await;
    scene.heal().await;
}

#[tokio::test]
async fn a_control_plane_that_dies_with_its_acknowledgement_leaves_the_bound_to_the_edges() {
    let mut scene = Scene::start().await;
    scene.spoil(1, Fault::everywhere(Effect::Lag(HALF)));
    scene.spoil(2, Fault::everywhere(Effect::Lag(FOREVER)));
    // Nothing of the changes comes into the store, so the store goes on saying that all is well.
    scene.world.system.kv().inject(Fault::writing("", Effect::Fail(500)));
    let done = scene.change().await;
    scene.world.system.kill_control().await;
    // Started anew they know nothing but what the store says, and that is old.
    for edge in [1, 2] {
        scene.world.system.kill_edge(edge).await;
        // Everybody who asks has to notice, or it would seem to let in again what it refused.
        for key in &scene.keys {
            let gone = async || if key.probes[edge].last().unwrap().outcome == Outcome::NoAnswer { Ok(()) } else { Err("not noticed") };
            eventually(BOUND, gone).await;
        }
        scene.world.system.start_edge(edge).await.unwrap();
    }
    sleep(BOUND + Duration::from_millis(500)).await;
    scene.world.system.start_control().await.unwrap();
    let changed = scene.announced(done).await;
    scene.judge(&changed, |_, _| false).await;
    scene.heal().await;
}

#[tokio::test]
async fn with_neither_store_nor_objects_keys_go_on_for_the_bound_and_no_longer() {
    let scene = Scene::start().await;
    for edge in 0..EDGES {
        scene.spoil(edge, Fault::everywhere(Effect::Fail(500)));
        scene.world.system.wire(edge).unwrap().cut();
    }
    let done = scene.change().await;
    let changed = scene.announced(done).await;
    scene.judge(&changed, |_, _| false).await;
    for key in &scene.keys {
        for probe in &key.probes {
            assert_eq!(probe.last().unwrap().outcome, Outcome::Unavailable, "an outage is no refusal");
        }
    }
    scene.heal().await;
}
