//! What others made, as it is measured beside Keyward: each is set up, shows that it does the work, and is measured. `cargo xtask bench`
//! brings the programs, a quarter of a gigabyte, and asks the same of them before it measures them; so this is run only where they are there.

use std::process::Command;

use serde_json::Value;

/// The cells, and the beginning of the version of what runs.
const PEERS: [(&str, &str); 11] = [
    ("hono", "hono "),
    ("oauth-provider", "@cloudflare/workers-oauth-provider "),
    ("oauth-provider-gateway", "@cloudflare/workers-oauth-provider "),
    ("better-auth", "@better-auth/api-key "),
    ("better-auth-gateway", "@better-auth/api-key "),
    ("nginx", "nginx "),
    ("nginx-gateway", "nginx "),
    ("envoy", "Envoy "),
    ("envoy-gateway", "Envoy "),
    ("axum", "keyward "),
    ("axum-gateway", "keyward "),
];

#[test]
#[ignore = "needs the programs that `cargo xtask bench` brings"]
fn all_do_the_work_and_are_measured() {
    let names = PEERS.map(|(name, _)| name).join(",");
    let output = Command::new(env!("CARGO_BIN_EXE_keyward-bench")).args(["--quick", "--json", "--only", &names]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (name, begin) in PEERS {
        let figures = &report["cells"][name];
        assert!(figures["cpu_us"]["value"].as_f64().is_some_and(|us| us > 0.0), "{name}: {figures}");
        let version = figures["version"].as_str().unwrap_or_default().strip_prefix(begin);
        assert!(version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit())), "{name}: {figures}");
    }
}
