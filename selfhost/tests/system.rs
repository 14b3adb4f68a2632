//! The arrangement in the real runtime, with small Workers in place of Keyward's own: what reaches whom, what survives what.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use keyward_selfhost::{
    Installation, Options, StateFolder, System,
    kv::{FOREVER, Operation},
};
use reqwest::Client;
use serde_json::Value;

fn options() -> Options {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut installation = Installation::in_repository(here.parent().unwrap());
    installation.workers = here.join("tests/workers");
    Options::new(installation)
}

async fn start(options: Options) -> System {
    System::start(options).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn get(url: &str) -> (u16, String) {
    let answer = Client::new().get(url).timeout(Duration::from_secs(10)).send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn json(url: &str) -> Value {
    let (status, text) = get(url).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn an_edge_reaches_the_objects_of_the_control_plane_as_its_own() {
    let mut options = options();
    options.edges = 2;
    let system = start(options).await;
    let edges = system.edge_urls();
    let first = json(&format!("{}/SHARDS/a%7Cb/some%2e/path?q=%2F", edges[0])).await;
    assert_eq!((&first["kind"], &first["name"], &first["count"]), (&"Shard".into(), &"a|b".into(), &1.into()));
    assert!(first["url"].as_str().unwrap().ends_with("/some%2e/path?q=%2F"), "{first}");
    assert!(!first["headers"].to_string().contains("keyward-relay"), "{first}");
    assert_eq!(json(&format!("{}/SHARDS/a%7Cb/", edges[1])).await["count"], 2, "both edges reach the same object");
    assert_eq!(json(&format!("{}/SHARDS/other/", edges[0])).await["count"], 1);
    assert_eq!(json(&format!("{}/REGISTRY/registry/", edges[0])).await["kind"], "Registry");
    assert_eq!(json(&format!("{}/FEED/0/", edges[0])).await["kind"], "Feed");
    system.stop().await;
}

#[tokio::test]
async fn bodies_status_and_headers_pass_the_relay() {
    let system = start(options()).await;
    let body = "x".repeat(3_000_000);
    let url = format!("{}/SHARDS/abcd/echo", system.edge_url());
    let answer = Client::new().post(url).body(body.clone()).send().await.unwrap();
    assert_eq!(answer.status(), 207);
    assert!(answer.headers()["x-seen"].to_str().unwrap().contains("POST"));
    assert!(answer.headers().get("keyward-relay").is_none());
    assert!(answer.text().await.unwrap() == body);
    let (status, text) = get(&format!("{}/SHARDS/abcd/throw", system.edge_url())).await;
    assert_eq!(status, 599, "an object's exception is one at the edge too");
    assert!(text.contains("on purpose"), "{text}");
    system.stop().await;
}

#[tokio::test]
async fn a_control_plane_that_is_gone_is_noticed_at_once_and_its_state_comes_back() {
    let mut system = start(options()).await;
    let url = format!("{}/SHARDS/abcd/", system.edge_url());
    for _ in 0..3 {
        json(&url).await;
    }
    system.kill_control().await;
    let begun = Instant::now();
    assert_eq!(get(&url).await.0, 599);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    system.start_control().await.unwrap();
    assert_eq!(json(&url).await["count"], 4);
    system.stop_control().await;
    assert_eq!(get(&url).await.0, 599);
    system.start_control().await.unwrap();
    assert_eq!(json(&format!("{}/", system.control_url())).await["count"], 5);
    system.kill_edge(0).await;
    system.start_edge(0).await.unwrap();
    assert_eq!(json(&url).await["count"], 6);
    system.stop().await;
}

#[tokio::test]
async fn both_workers_share_one_kv_namespace() {
    let system = start(options()).await;
    assert_eq!(get(&format!("{}/put", system.control_url())).await.1, "done");
    let read = json(&format!("{}/kv", system.edge_url())).await;
    assert_eq!((&read["value"], &read["metadata"]["rev"]), (&"from control".into(), &1.into()));
    let counts = system.kv().counts();
    assert_eq!((counts.of(Operation::Put, "k:"), counts.reads("k:")), (1, 1));
    system.stop().await;
}

#[tokio::test]
async fn edges_that_are_apart_see_the_store_and_the_objects_each_in_its_own_way() {
    let mut options = options();
    (options.edges, options.apart) = (2, true);
    let mut system = start(options).await;
    let edges = system.edge_urls();
    system.view(0).lag(FOREVER);
    get(&format!("{}/put", system.control_url())).await;
    assert_eq!(json(&format!("{}/kv", edges[0])).await["value"], Value::Null);
    assert_eq!(json(&format!("{}/kv", edges[1])).await["value"], "from control");
    system.view(0).heal();
    assert_eq!(json(&format!("{}/kv", edges[0])).await["value"], "from control");
    assert_eq!((system.kv().counts().all_reads(), system.view(0).counts().all_reads(), system.view(1).counts().all_reads()), (0, 2, 1));

    let object = |edge: &String| format!("{edge}/SHARDS/abcd/");
    assert_eq!(json(&object(&edges[0])).await["count"], 1);
    system.wire(0).unwrap().cut();
    let begun = Instant::now();
    assert_eq!(get(&object(&edges[0])).await.0, 599);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(json(&object(&edges[1])).await["count"], 2, "the other edge is not cut off");
    system.wire(0).unwrap().mend();
    assert_eq!(json(&object(&edges[0])).await["count"], 3);
    system.kill_edge(0).await;
    system.start_edge(0).await.unwrap();
    assert_eq!(json(&object(&edges[0])).await["count"], 4, "an edge that starts anew keeps its ways");
    system.stop().await;
}

#[tokio::test]
async fn the_edge_reaches_an_origin_on_this_machine() {
    let system = start(options()).await;
    let url = format!("{}/origin", system.edge_url());
    Client::new().post(url).header("x-test", "a").body("hello").send().await.unwrap();
    let origin = system.origin().unwrap();
    let last = origin.last().unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str(), last.body.as_str(), origin.count()), ("POST", "/seen?x=1", "hello", 1));
    assert_eq!(last.header("x-test"), ["a"]);
    system.stop().await;
}

#[tokio::test]
async fn variables_arrive_exactly_and_only_where_they_belong() {
    let mut options = options();
    let strange = "a\"), evil = (text = \"\\ ü\u{2003}\t#\n";
    options.settings = vec![("STRANGE".into(), strange.into()), ("KEY_PREFIXES".into(), "kw_test".into())];
    options.bound_s = Some(6.0);
    let system = start(options).await;
    let edge = |name: &str| format!("{}/variable/{name}", system.edge_url());
    let control = |name: &str| format!("{}/variable?name={name}", system.control_url());
    assert_eq!(get(&edge("STRANGE")).await.1, strange);
    assert_eq!(get(&control("STRANGE")).await.1, strange);
    assert_eq!(get(&edge("FRESHNESS_S")).await.1, "2");
    assert_eq!(get(&control("PUBLIC_EDGE_URL")).await.1, system.edge_url());
    assert_eq!(get(&control("BOOTSTRAP_DIGEST")).await.1.len(), 64);
    for secret in ["SESSION_SECRETS", "BOOTSTRAP_DIGEST"] {
        assert_eq!(get(&edge(secret)).await.1, "(none)", "{secret}");
    }
    assert!(system.bootstrap_key().unwrap().starts_with("kw_test_"));
    assert!(system.sign_in_link().unwrap().starts_with(&system.control_url()));
    system.stop().await;
}

#[tokio::test]
async fn the_relay_serves_only_who_knows_its_secret() {
    let system = start(options()).await;
    let config = std::fs::read_to_string(system.folder().run().join("control.capnp")).unwrap();
    let address = config.split("127.0.0.1:").filter_map(|rest| rest.split('"').next()).last().unwrap();
    assert_eq!(get(&format!("http://127.0.0.1:{address}/")).await.0, 403);
    system.stop().await;
}

#[tokio::test]
async fn a_bootstrap_key_is_offered_until_it_was_shown() {
    let place = StateFolder::temporary().unwrap();
    let folder = place.path().join("state");
    let with_state = || Options { state_dir: Some(folder.clone()), ..options() };
    let first = start(with_state()).await;
    let lost = first.bootstrap_key().unwrap().to_owned();
    first.kill().await;
    let mut second = start(with_state()).await;
    let shown = second.bootstrap_key().unwrap().to_owned();
    assert_ne!(shown, lost, "a key that nobody saw is replaced");
    second.bootstrap_key_was_shown().unwrap();
    let digest = second.settings().control["BOOTSTRAP_DIGEST"].clone();
    second.stop().await;
    let third = start(with_state()).await;
    assert_eq!((third.bootstrap_key(), &third.settings().control["BOOTSTRAP_DIGEST"]), (None, &digest));
    for file in ["bootstrap.json", "secrets.json", "run/control.capnp"] {
        assert!(!std::fs::read_to_string(folder.join(file)).unwrap().contains(&shown), "{file} holds the key");
    }
    third.stop().await;
}

#[tokio::test]
async fn a_taken_port_a_used_folder_and_a_missing_build_are_told_plainly() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = System::start(Options { edge_port: Some(port), ..options() }).await.unwrap_err().to_string();
    assert!(error.contains(&format!("port {port} is taken")), "{error}");

    let folder = StateFolder::temporary().unwrap();
    let error = System::start(Options { state_dir: Some(folder.path().into()), ..options() }).await.unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");

    let mut without_build = options();
    without_build.installation.workers = folder.path().into();
    let error = System::start(without_build).await.unwrap_err().to_string();
    assert!(error.contains("cargo xtask build"), "{error}");
}

#[tokio::test]
async fn a_worker_that_does_not_start_shows_its_log() {
    let place = StateFolder::temporary().unwrap();
    for (name, script) in [("control", "this is not JavaScript"), ("edge", "export default {}")] {
        std::fs::create_dir_all(place.path().join(name)).unwrap();
        std::fs::write(place.path().join(name).join("entry.mjs"), script).unwrap();
    }
    let mut options = options();
    options.installation.workers = place.path().into();
    let error = System::start(options).await.unwrap_err().to_string();
    assert!(error.contains("control ended by itself") && error.contains("SyntaxError"), "{error}");
}

#[tokio::test]
async fn a_process_that_dies_is_noticed() {
    let mut system = start(options()).await;
    let pid = system.control().unwrap().id().unwrap();
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    let died = tokio::time::timeout(Duration::from_secs(5), system.died()).await.unwrap().to_string();
    assert!(died.contains("control ended by itself"), "{died}");
    system.stop().await;
}
