//! Holds the running control plane against its own description: schemathesis calls it as `control/openapi.json` allows and forbids, and judges
//! every answer by that document.
//!
//! ```sh
//! cargo xtask test contract
//! ```
//!
//! sets schemathesis up and runs this, as the operator and as a person who may do nothing. What it does, and what it leaves out, says
//! `tests/contract/schemathesis.toml`. The last line counts the calls: `N passed, M failed`. For other calls than the usual ones, or more, give
//! this program a seed and for how many seconds the operator goes on: `cargo run -p keyward-e2e --bin contract -- PROGRAM 7 600`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for tests; what goes wrong ends it")]

use std::{env, path::Path, process::ExitCode};

use keyward_e2e::{World, build, receiver::Receiver, scanner::Scanner};
use serde_json::{Value, json};
use tokio::process::Command;

/// What the calls are drawn from, and for how many seconds they are made as the operator.
const SHIPPED: [&str; 2] = ["20261124", "90"];

/// Whom the calls are made as.
struct Caller<'a> {
    name: &'a str,
    key: &'a str,
    /// For how long it goes on, in seconds.
    seconds: &'a str,
    /// What the calls are drawn from.
    seed: &'a str,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: contract <the program schemathesis> [seed] [seconds]");
        return ExitCode::from(2);
    };
    let [seed, seconds] = SHIPPED.map(|shipped| arguments.next().unwrap_or_else(|| shipped.to_owned()));
    let (scanner, receiver) = (Scanner::start().await, Receiver::start().await);
    let settings = [("GITHUB_KEYS_URL", scanner.keys_url()), ("WEBHOOK_TARGETS", "any")].map(|(name, value)| (name.into(), value.into()));
    let world = World::with(|options| options.settings.extend(settings)).await;
    // As Python writes it: the signature is of its bytes.
    let alert = r#"[{"token": "kw_live_nothing", "type": "keyward_key", "url": "", "source": "content"}]"#;
    let there = [
        ("KEYWARD_KEYS", people(&world).await),
        ("KEYWARD_WEBHOOKS", webhooks(&world, &receiver).await),
        ("KEYWARD_RECEIVER", receiver.url()),
        ("KEYWARD_BACKUP", backup(&world).await),
        ("KEYWARD_ALERT", json!({"signature": scanner.signature(alert), "body": alert}).to_string()),
    ];
    let (mut passed, mut failed) = (0, 0);
    for name in ["operator", "person"] {
        // The operator may have done anything to whoever was there before.
        let (key, seconds) = if name == "operator" { (world.operator.clone(), seconds.as_str()) } else { (nobody(&world).await, "20") };
        let (calls, failures) = run(Path::new(&program), &world, &Caller { name, key: &key, seconds, seed: &seed }, &there).await;
        println!("as the {name}: {calls} calls, {failures} failures");
        (passed, failed) = (passed + calls.saturating_sub(failures), failed + failures);
    }
    world.system.stop().await;
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Companies, people, keys and a policy to be found; gives the ids of keys that calls may be about.
async fn people(world: &World) -> String {
    world.company("acme").await;
    world.operator("PUT", "/v1/policy", json!({"rules": [{"path": "/orders/**", "permission": "orders.read"}]})).await;
    for company in ["demo", "acme"] {
        for owner in ["ann", "bob"] {
            world.owner(company, owner, &["orders.*"], true).await;
            world
                .key(company, owner, json!({"metadata": {"team": "a"}, "allowed_ips": ["10.0.0.0/8"], "permissions": ["orders.read"]}))
                .await;
        }
    }
    let mut ids = Vec::new();
    for _ in 0..40 {
        ids.push(world.key("demo", "ann", json!({})).await.id);
    }
    ids.join(" ")
}

/// Two webhooks with something to tell; gives their ids.
async fn webhooks(world: &World, receiver: &Receiver) -> String {
    let mut ids = Vec::new();
    for name in ["read", "changed"] {
        let body = json!({"url": receiver.url(), "name": name});
        ids.push(world.operator("POST", "/v1/webhooks", body).await.json()["id"].as_str().unwrap().to_owned());
    }
    world.key("demo", "bob", json!({})).await;
    ids.join(" ")
}

/// The backup of the company `gone`, which is then erased: it can be restored.
async fn backup(world: &World) -> String {
    world.company("gone").await;
    world.owner("gone", "ann", &["orders.*"], true).await;
    let backup = world.operator("GET", "/v1/companies/gone/export", Value::Null).await.text;
    world.operator("DELETE", "/v1/companies/gone", Value::Null).await;
    backup
}

/// The key of somebody who may do nothing.
async fn nobody(world: &World) -> String {
    world.owner("demo", "nobody", &[], true).await;
    world.key("demo", "nobody", json!({"manages_keys": true})).await.key
}

/// Calls and failures of one run. A run whose own credential died on the way has tried nothing after that, and counts as failed.
async fn run(program: &Path, world: &World, caller: &Caller<'_>, there: &[(&str, String)]) -> (u64, u64) {
    let whoami = world.control(caller.key, "GET", "/v1/whoami", Value::Null).await.expect(200).json();
    let own = |name: &str| whoami[name].as_str().unwrap_or_default().to_owned();
    let folder = build::repository().join("tests/contract");
    let output = build::output().join("contract");
    std::fs::create_dir_all(&output).unwrap();
    let report = output.join(format!("{}.json", caller.name));
    drop(std::fs::remove_file(&report));
    let url = world.system.control_url();
    // What it says goes to stderr: the last line of stdout is the result.
    let mut command = Command::new(program);
    command.current_dir(&folder).arg("--config-file").arg(folder.join("schemathesis.toml"));
    command.args([
        "run",
        &format!("{url}/v1/openapi.json"),
        "--url",
        &url,
        "--seed",
        caller.seed,
        "--max-time",
        caller.seconds,
        "--no-color",
    ]);
    command.arg("--report-json-path").arg(&report);
    command
        .env("KEYWARD_KEY", caller.key)
        .env("KEYWARD_KEPT", [own("key_id"), own("owner"), own("company")].join(" "))
        .envs(there.iter().map(|(name, value)| (name, value)));
    command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", &folder).env("PYTHONDONTWRITEBYTECODE", "1");
    let status = command.stdout(std::io::stderr()).status().await.unwrap();
    let report: Value = std::fs::read(&report).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let calls = report["test_cases"]["generated"].as_u64().unwrap_or_default();
    let found = report["test_cases"]["unique_failures"].as_u64().unwrap_or_default();
    let errors = report["errors"].as_array().map_or(0, Vec::len) as u64;
    let complete = report["complete"] == true && calls > 0 && status.success() == (found + errors == 0);
    let alive = world.control(caller.key, "GET", "/v1/whoami", Value::Null).await;
    if !complete {
        println!("schemathesis did not come to its end: {status}");
    }
    if alive.status != 200 {
        println!("the {} was locked out on the way: {alive:?}", caller.name);
    }
    (calls, found + errors + u64::from(!complete) + u64::from(alive.status != 200))
}
