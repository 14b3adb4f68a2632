//! The benchmark as it is run, but short: everything starts, does its work and is measured. What others made has tests of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::Command;

use serde_json::Value;

/// Runs it and gives its JSON object.
fn run(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_keyward-bench")).args(["--quick", "--json"]).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{said}", String::from_utf8_lossy(&output.stdout)))
}

/// Whether something was measured: more than nothing.
fn is_measured(figure: &Value) -> bool {
    figure.as_f64().is_some_and(|figure| figure > 0.0)
}

#[test]
fn keyward_and_the_same_in_javascript_are_measured_beside_their_floors() {
    let cells = [
        "constant",
        "forward",
        "keyward-verify",
        "keyward-cold",
        "keyward-gateway",
        "javascript-verify",
        "javascript-cold",
        "javascript-gateway",
    ];
    let report = run(&["--only", &[&cells[..], &["decision"]].concat().join(",")]);
    for cell in cells {
        let figures = &report["cells"][cell];
        for figure in ["per_second", "cores_used", "p50_us", "p99_us", "start_ms", "start_cpu_ms", "resident_mb"] {
            assert!(is_measured(&figures[figure]), "{cell}: {figures}");
        }
        assert!(is_measured(&figures["cpu_us"]["value"]), "{cell}: {figures}");
        assert!(figures["version"].as_str().is_some_and(|version| version.contains("workerd")), "{cell}: {figures}");
    }
    for row in [
        "warm verify (forward-auth, 200), CPU against the JavaScript constant",
        "warm verify against the same verifier in JavaScript",
        "gateway against a JavaScript Worker that only forwards",
        "gateway against the same gateway in JavaScript",
        "cold verify (one KV read) against JavaScript with one KV read",
        "a warm decision inside wasm: parse, digest, cache, feed, policy of 100 rules",
        "edge wasm, gzip",
        "runtime start to first answer, against a JavaScript constant",
    ] {
        assert!(is_measured(&report["ratios"][row]["measured"]["value"]), "{row}: {}", report["ratios"]);
    }
}

#[test]
fn every_curve_is_measured() {
    let report = run(&["--scale", "--keys", "1000,2000"]);
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 13);
    for step in steps {
        assert!(["warm_us", "cold_us", "resident_mb"].into_iter().all(|figure| is_measured(&step[figure])), "{step}");
    }
    assert!(report["ratios"].as_object().unwrap().values().all(|ratio| is_measured(&ratio["measured"]["value"])));
}

#[test]
fn an_unknown_cell_is_named_with_those_that_there_are() {
    let output = Command::new(env!("CARGO_BIN_EXE_keyward-bench")).args(["--only", "constant,nobody"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("no nobody") && said.contains("javascript-cold"), "{said}");
}
