//! The KV service, asked over HTTP as the runtime's binding asks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::PathBuf, time::Duration};

use keyward_selfhost::{
    StateFolder,
    kv::{Effect, Entry, Fault, KvService, Operation},
};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

struct Setup {
    kv: KvService,
    client: Client,
    file: PathBuf,
    _folder: StateFolder,
}

async fn setup() -> Setup {
    let folder = StateFolder::temporary().unwrap();
    let file = folder.kv();
    Setup { kv: KvService::start(&file, None).await.unwrap(), client: Client::new(), file, _folder: folder }
}

impl Setup {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.kv.address())
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    async fn put(&self, path: &str, value: &str) -> StatusCode {
        self.client.put(self.url(path)).body(value.to_owned()).send().await.unwrap().status()
    }

    async fn delete(&self, path: &str) -> StatusCode {
        self.client.delete(self.url(path)).send().await.unwrap().status()
    }

    async fn bulk(&self, body: Value) -> Response {
        self.client.post(self.url("/bulk/get")).body(body.to_string()).send().await.unwrap()
    }

    async fn list(&self, query: &str) -> Value {
        serde_json::from_str(&self.get(query).await.text().await.unwrap()).unwrap()
    }
}

#[tokio::test]
async fn what_was_put_is_got_until_it_is_deleted() {
    let setup = setup().await;
    assert_eq!(setup.get("/k%3Aabc?urlencoded=true").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(setup.put("/k%3Aabc?urlencoded=true", "one").await, StatusCode::OK);
    assert_eq!(setup.put("/k%3Aabc?urlencoded=true", "two").await, StatusCode::OK);
    let answer = setup.get("/k%3Aabc?urlencoded=true&cache_ttl=300").await;
    assert_eq!((answer.status(), answer.text().await.unwrap().as_str()), (StatusCode::OK, "two"));
    assert_eq!(setup.kv.get("k:abc").unwrap(), Some(Entry::new("two")));
    assert_eq!(setup.delete("/k%3Aabc?urlencoded=true").await, StatusCode::OK);
    assert_eq!(setup.get("/k%3Aabc?urlencoded=true").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn names_may_hold_any_character() {
    let setup = setup().await;
    for (path, name) in [("/a%2Fb%3F%23%25", "a/b?#%"), ("/%C3%BC%20x", "ü x"), ("/bulk%2Fget", "bulk/get")] {
        assert_eq!(setup.put(&format!("{path}?urlencoded=true"), name).await, StatusCode::OK);
        assert_eq!(setup.kv.get(name).unwrap(), Some(Entry::new(name)));
        assert_eq!(setup.get(path).await.text().await.unwrap(), name);
    }
}

#[tokio::test]
async fn metadata_and_expiration_come_back_with_the_value() {
    let setup = setup().await;
    let request = setup.client.put(setup.url("/m?expiration_ttl=3600")).header("CF-KV-Metadata", r#"{"rev":7}"#);
    assert_eq!(request.body("v").send().await.unwrap().status(), StatusCode::OK);
    let answer = setup.get("/m").await;
    assert_eq!(answer.headers()["cf-kv-metadata"], r#"{"rev":7}"#);
    let expiration: u64 = answer.headers()["cf-expiration"].to_str().unwrap().parse().unwrap();
    assert_eq!(setup.kv.get("m").unwrap().unwrap().expiration, Some(expiration));
    let listed = setup.list("/").await;
    assert_eq!(listed["keys"], json!([{"name": "m", "expiration": expiration, "metadata": "{\"rev\":7}"}]));
}

#[tokio::test]
async fn an_expired_value_is_gone() {
    let setup = setup().await;
    setup.kv.put("old", &Entry { expiration: Some(1), ..Entry::new("v") }).unwrap();
    assert_eq!(setup.get("/old").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(setup.list("/").await["keys"], json!([]));
}

#[tokio::test]
async fn a_bulk_read_gives_null_for_what_is_absent() {
    let setup = setup().await;
    setup.put("/a", r#"{"x":1}"#).await;
    let read = |body| async { setup.bulk(body).await.json::<Value>().await.unwrap() };
    assert_eq!(read(json!({"keys": ["a", "b"]})).await, json!({"a": "{\"x\":1}", "b": null}));
    assert_eq!(read(json!({"keys": ["a"], "type": "json", "cacheTtl": "60"})).await, json!({"a": {"x": 1}}));
    let with_metadata = read(json!({"keys": ["a", "b"], "withMetadata": true})).await;
    assert_eq!(with_metadata, json!({"a": {"value": "{\"x\":1}", "metadata": null}, "b": null}));
}

#[tokio::test]
async fn names_are_listed_by_prefix_page_by_page() {
    let setup = setup().await;
    for name in ["f:0", "k:1", "k:2", "k:3", "p:policy"] {
        setup.put(&format!("/{name}"), "v").await;
    }
    let names =
        |page: &Value| page["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let first = setup.list("/?prefix=k%3A&key_count_limit=2").await;
    assert_eq!((names(&first), &first["list_complete"]), (vec!["k:1".into(), "k:2".into()], &json!(false)));
    let second = setup.list(&format!("/?prefix=k%3A&key_count_limit=2&cursor={}", first["cursor"].as_str().unwrap())).await;
    assert_eq!((names(&second), &second["list_complete"]), (vec!["k:3".into()], &json!(true)));
    assert_eq!(setup.kv.names("k:").unwrap(), ["k:1", "k:2", "k:3"]);
}

#[tokio::test]
async fn what_the_platform_refuses_is_refused() {
    let setup = setup().await;
    let long = "x".repeat(513);
    assert_eq!(setup.put(&format!("/{long}"), "v").await, StatusCode::URI_TOO_LONG);
    assert_eq!(setup.put("/a?expiration_ttl=59", "v").await, StatusCode::BAD_REQUEST);
    assert_eq!(setup.put("/a?expiration=1000", "v").await, StatusCode::BAD_REQUEST);
    assert_eq!(setup.put("/%FF", "v").await, StatusCode::BAD_REQUEST);
    assert_eq!(setup.get("/?key_count_limit=1001").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(setup.get("/?cursor=zz").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(setup.bulk(json!({"keys": []})).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(setup.bulk(json!({"keys": vec!["a"; 101]})).await.status(), StatusCode::BAD_REQUEST);
    let metadata = setup.client.put(setup.url("/a")).header("CF-KV-Metadata", "{").body("v").send().await.unwrap();
    assert_eq!(metadata.status(), StatusCode::BAD_REQUEST);
    assert_eq!(setup.kv.names("").unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn values_outlive_the_service() {
    let Setup { kv, client, file, _folder } = setup().await;
    client.put(format!("http://{}/kept", kv.address())).body("v").send().await.unwrap();
    drop(kv);
    let again = KvService::start(&file, None).await.unwrap();
    assert_eq!(again.get("kept").unwrap(), Some(Entry::new("v")));
}

#[tokio::test]
async fn faults_hit_what_they_name_and_every_request_is_counted() {
    let setup = setup().await;
    setup.put("/k%3A1", "v").await;
    setup.kv.inject(Fault::reading("k:", Effect::Fail(503)));
    assert_eq!(setup.get("/k%3A1").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(setup.get("/f%3A1").await.status(), StatusCode::NOT_FOUND);
    setup.kv.heal();
    setup.kv.inject(Fault::writing("k:", Effect::Fail(429)));
    assert_eq!(setup.put("/k%3A1", "other").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(setup.kv.get("k:1").unwrap(), Some(Entry::new("v")));
    setup.kv.heal();
    setup.kv.inject(Fault::everywhere(Effect::Delay(Duration::from_millis(120))));
    let begun = std::time::Instant::now();
    assert_eq!(setup.get("/k%3A1").await.status(), StatusCode::OK);
    assert!(begun.elapsed() >= Duration::from_millis(120));
    let counts = setup.kv.counts();
    assert_eq!((counts.of(Operation::Get, "k:"), counts.of(Operation::Get, "f:"), counts.of(Operation::Put, "k:")), (2, 1, 2));
}
