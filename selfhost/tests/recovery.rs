//! `shared/js/recover.mjs` in the real runtime: what becomes of requests and objects when the WebAssembly instance is lost. Bindings in
//! JavaScript stand in for the generated ones and trap when told to.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, path::Path, time::Duration};

use keyward_selfhost::{Installation, Options, StateFolder, System};
use reqwest::Client;

/// The control Worker under test: the real helper and the real entry module, with bindings of the test's own.
async fn start() -> (System, StateFolder) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().unwrap();
    let workers = StateFolder::temporary().unwrap();
    for name in ["control", "edge"] {
        fs::create_dir(workers.path().join(name)).unwrap();
    }
    let control = workers.path().join("control");
    fs::copy(root.join("shared/js/recover.mjs"), control.join("recover.mjs")).unwrap();
    for script in ["entry.mjs", "browser.mjs"] {
        fs::copy(root.join("control/js").join(script), control.join(script)).unwrap();
    }
    for file in ["browser.js.bin", "browser.wasm.bin"] {
        fs::write(control.join(file), "what the page would load").unwrap();
    }
    fs::write(control.join("control.js"), include_str!("recovery/control.js")).unwrap();
    fs::write(control.join("control_bg.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::copy(here.join("tests/workers/edge/entry.mjs"), workers.path().join("edge/entry.mjs")).unwrap();
    let mut options = Options::new(Installation::in_repository(root));
    options.installation.workers = workers.path().into();
    (System::start(options).await.unwrap_or_else(|error| panic!("{error}")), workers)
}

async fn get(system: &System, path: &str) -> (u16, String) {
    let url = format!("{}{path}", system.control_url());
    let answer = Client::new().get(url).timeout(Duration::from_secs(5)).send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_trap_is_answered_and_the_next_request_finds_a_fresh_instance() {
    let (system, _workers) = start().await;
    assert_eq!(get(&system, "/count").await, (200, "1".into()));
    assert_eq!(get(&system, "/count").await, (200, "2".into()));
    for trap in ["/trap", "/trap-late", "/panic-late", "/stack"] {
        let (status, body) = get(&system, trap).await;
        assert_eq!(status, 503, "{trap}");
        assert!(body.contains(r#""type":"urn:keyward:problem:unavailable""#), "{body}");
        assert_eq!(get(&system, "/count").await, (200, "1".into()), "after {trap}");
    }
    system.stop().await;
}

#[tokio::test]
async fn an_ordinary_error_leaves_the_instance_alone() {
    let (system, _workers) = start().await;
    get(&system, "/count").await;
    assert_eq!(get(&system, "/error").await.0, 503);
    assert_eq!(get(&system, "/count").await, (200, "2".into()));
    system.stop().await;
}

#[tokio::test]
async fn a_request_that_was_waiting_in_the_lost_instance_is_answered_at_once() {
    let (system, _workers) = start().await;
    let (waiting, trapped) = tokio::join!(get(&system, "/never"), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        get(&system, "/panic-late").await
    });
    assert_eq!((waiting.0, trapped.0), (503, 503));
    assert_eq!(get(&system, "/count").await, (200, "1".into()));
    system.stop().await;
}

#[tokio::test]
async fn what_a_lost_call_of_an_object_wrote_is_undone() {
    let (system, _workers) = start().await;
    assert_eq!(get(&system, "/object/write").await, (200, "1 rows".into()));
    for trap in ["/object/write-trap", "/object/write-panic-late"] {
        assert_eq!(get(&system, trap).await.0, 503, "{trap}\n{}", system.log_tails());
        assert_eq!(get(&system, "/object/read").await, (200, "1 rows".into()), "after {trap}");
    }
    assert_eq!(get(&system, "/object/write").await, (200, "2 rows".into()));
    system.stop().await;
}
