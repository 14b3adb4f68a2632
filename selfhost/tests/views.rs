//! Several views of one store, each behind in its own way, asked over HTTP as the runtime's binding asks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use keyward_selfhost::{
    StateFolder,
    kv::{Effect, FOREVER, Fault, KvService, Operation},
};
use reqwest::{Client, StatusCode};
use serde_json::Value;

/// A lag that ends within a test.
const SHORT: Duration = Duration::from_millis(150);

struct Setup {
    main: KvService,
    views: [KvService; 2],
    client: Client,
    _folder: StateFolder,
}

async fn setup() -> Setup {
    let folder = StateFolder::temporary().unwrap();
    let main = KvService::start(&folder.kv(), None).await.unwrap();
    let views = [main.another_view().await.unwrap(), main.another_view().await.unwrap()];
    Setup { main, views, client: Client::new(), _folder: folder }
}

impl Setup {
    async fn put(&self, name: &str, value: &str) {
        let answer = self.client.put(format!("http://{}/{name}", self.main.address())).body(value.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }

    async fn delete(&self, name: &str) {
        self.client.delete(format!("http://{}/{name}", self.main.address())).send().await.unwrap();
    }

    /// What a service answers; empty where there is nothing.
    async fn get(&self, kv: &KvService, name: &str) -> String {
        let answer = self.client.get(format!("http://{}/{name}", kv.address())).send().await.unwrap();
        if answer.status() == StatusCode::NOT_FOUND { String::new() } else { answer.text().await.unwrap() }
    }

    /// What the store's own service and both views answer.
    async fn all(&self, name: &str) -> [String; 3] {
        [self.get(&self.main, name).await, self.get(&self.views[0], name).await, self.get(&self.views[1], name).await]
    }

    async fn names(&self, kv: &KvService, query: &str) -> (Vec<String>, bool) {
        let text = self.client.get(format!("http://{}/?{query}", kv.address())).send().await.unwrap().text().await.unwrap();
        let page: Value = serde_json::from_str(&text).unwrap();
        let names = page["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect();
        (names, page["list_complete"].as_bool().unwrap())
    }
}

#[tokio::test]
async fn a_view_without_faults_shows_the_store_as_it_is() {
    let setup = setup().await;
    setup.put("a", "1").await;
    assert_eq!(setup.all("a").await, ["1", "1", "1"]);
    setup.put("a", "2").await;
    assert_eq!(setup.all("a").await, ["2", "2", "2"]);
    setup.delete("a").await;
    assert_eq!(setup.all("a").await, ["", "", ""]);
}

#[tokio::test]
async fn a_view_lags_alone_and_on_command() {
    let setup = setup().await;
    setup.put("a", "1").await;
    setup.views[0].lag(SHORT);
    setup.views[1].lag(FOREVER);
    setup.put("a", "2").await;
    setup.put("new", "x").await;
    assert_eq!(setup.all("a").await, ["2", "1", "1"]);
    assert_eq!(setup.all("new").await, ["x", "", ""]);
    tokio::time::sleep(SHORT + Duration::from_millis(20)).await;
    assert_eq!(setup.all("a").await, ["2", "2", "1"]);
    assert_eq!(setup.views[1].shown("a").unwrap().unwrap().value, b"1");
    assert_eq!(setup.views[1].get("a").unwrap().unwrap().value, b"2", "the store itself is behind nowhere");
    setup.views[1].heal();
    assert_eq!(setup.all("a").await, ["2", "2", "2"]);
    assert_eq!(setup.all("new").await, ["x", "x", "x"]);
}

#[tokio::test]
async fn a_rule_may_concern_some_names_and_some_writes_only() {
    let setup = setup().await;
    setup.views[0].inject(Fault::writing("k:", Effect::Lose));
    setup.views[1].inject(Fault { operations: vec![Operation::Delete], prefix: String::new(), effect: Effect::Lag(FOREVER) });
    for name in ["k:1", "f:0"] {
        setup.put(name, "1").await;
    }
    assert_eq!((setup.all("k:1").await, setup.all("f:0").await), (["1", "", "1"].map(String::from), ["1", "1", "1"].map(String::from)));
    setup.delete("k:1").await;
    assert_eq!(setup.all("k:1").await, ["", "", "1"]);
    setup.put("k:1", "2").await;
    setup.views[0].heal();
    assert_eq!(setup.all("k:1").await, ["2", "", "2"], "what was lost does not come when the view is healed");
    setup.put("k:1", "3").await;
    assert_eq!(setup.all("k:1").await, ["3", "3", "3"]);
}

#[tokio::test]
async fn an_older_value_may_arrive_after_a_newer_one() {
    let setup = setup().await;
    setup.put("f:0", "old").await;
    setup.views[0].inject(Fault::writing("f:", Effect::Repeat(SHORT)));
    setup.put("f:0", "new").await;
    assert_eq!(setup.all("f:0").await, ["new", "new", "new"]);
    tokio::time::sleep(SHORT + Duration::from_millis(20)).await;
    assert_eq!(setup.all("f:0").await, ["new", "old", "new"]);
}

#[tokio::test]
async fn a_name_read_as_absent_may_stay_absent_for_a_while() {
    let setup = setup().await;
    setup.views[0].inject(Fault::reading("k:", Effect::Remember(SHORT)));
    assert_eq!(setup.get(&setup.views[0], "k:1").await, "");
    setup.put("k:1", "1").await;
    setup.put("k:2", "2").await;
    assert_eq!(setup.all("k:1").await, ["1", "", "1"]);
    assert_eq!(setup.all("k:2").await, ["2", "2", "2"], "it was not read before");
    tokio::time::sleep(SHORT + Duration::from_millis(20)).await;
    assert_eq!(setup.all("k:1").await, ["1", "1", "1"]);
}

#[tokio::test]
async fn a_view_may_be_fresh_and_then_stale_again() {
    let setup = setup().await;
    setup.put("f:0", "old").await;
    setup.views[0].lag(FOREVER);
    setup.views[0].inject(Fault::reading("f:", Effect::Alternate));
    setup.put("f:0", "new").await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(setup.get(&setup.views[0], "f:0").await);
    }
    assert_eq!(seen, ["new", "old", "new", "old"]);
}

#[tokio::test]
async fn a_view_fails_is_slow_and_counts_by_itself() {
    let setup = setup().await;
    setup.put("k:1", "1").await;
    setup.views[0].inject(Fault::everywhere(Effect::Fail(503)));
    setup.views[1].inject(Fault::everywhere(Effect::Delay(SHORT)));
    let failed = setup.client.get(format!("http://{}/k:1", setup.views[0].address())).send().await.unwrap();
    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
    let begun = std::time::Instant::now();
    assert_eq!(setup.get(&setup.views[1], "k:1").await, "1");
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(setup.get(&setup.main, "k:1").await, "1");
    let reads = |kv: &KvService| kv.counts().reads("k:");
    assert_eq!((reads(&setup.main), reads(&setup.views[0]), reads(&setup.views[1])), (1, 1, 1));
    assert_eq!(setup.main.counts().of(Operation::Put, "k:"), 1);
}

#[tokio::test]
async fn a_list_shows_what_a_view_shows_page_by_page() {
    let setup = setup().await;
    for name in ["a", "c", "e"] {
        setup.put(name, "1").await;
    }
    setup.views[0].lag(FOREVER);
    for name in ["b", "d"] {
        setup.put(name, "1").await;
    }
    setup.delete("a").await;
    let names = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
    assert_eq!(setup.names(&setup.main, "").await, (names("bcde"), true));
    assert_eq!(setup.names(&setup.views[0], "").await, (names("ace"), true));
    assert_eq!(setup.names(&setup.views[0], "key_count_limit=2").await, (names("ac"), false));
    let cursor = "63"; // c
    assert_eq!(setup.names(&setup.views[0], &format!("key_count_limit=2&cursor={cursor}")).await, (names("e"), true));
}
