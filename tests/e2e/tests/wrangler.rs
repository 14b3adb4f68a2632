//! What is deployed to Cloudflare: wrangler accepts both configurations, and runs the edge from them.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use keyward_e2e::{build, eventually, http};
use keyward_selfhost::listen::free_port;

/// Wrangler, which builds the Workers itself as the configurations say, without reports to anybody.
fn wrangler() -> Command {
    build::installation();
    let mut command = Command::new("npx");
    command.arg("wrangler").current_dir(build::repository());
    command.env("WRANGLER_SEND_METRICS", "false").env("CI", "true").env("NO_COLOR", "1");
    command
}

#[test]
fn both_workers_pass_a_dry_run_of_their_deployment() {
    for config in ["control/wrangler.toml", "wrangler.toml"] {
        let folder = env::temp_dir().join(format!("keyward-e2e-dry-run-{}-{}", std::process::id(), config.len()));
        let output = wrangler().args(["deploy", "--dry-run", "-c", config, "--outdir"]).arg(&folder).output().unwrap();
        let (told, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{config}:\n{told}\n{complaints}");
        assert!(contains_wasm(&folder), "{config}: no wasm was bundled:\n{told}");
        fs::remove_dir_all(&folder).unwrap();
    }
}

fn contains_wasm(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| entry.unwrap().path().extension().is_some_and(|extension| extension == "wasm"))
}

/// A development server with everything that it started.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It leads its own process group, in which its runtimes run too.
        let _ = Command::new("kill").args(["-TERM", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_edge_runs_under_wranglers_own_development_server() {
    let port = free_port().unwrap();
    let folder = env::temp_dir().join(format!("keyward-e2e-wrangler-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    let secret = "5a".repeat(32);
    let mut command = wrangler();
    command.args([
        "dev",
        "-c",
        "wrangler.toml",
        "-c",
        "control/wrangler.toml",
        "--local",
        "--ip",
        "127.0.0.1",
        "--show-interactive-dev-session=false",
    ]);
    command
        .args(["--port", &port.to_string(), "--inspector-port", &free_port().unwrap().to_string(), "--persist-to"])
        .arg(folder.join("state"));
    for name in ["TAG_SECRETS", "RECORD_SECRETS", "SESSION_SECRETS"] {
        command.arg("--var").arg(format!("{name}:{secret}"));
    }
    command.arg("--var").arg("ORIGIN_URL:http://127.0.0.1:9");
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
    let server = Server(command.spawn().unwrap());
    let told = || fs::read_to_string(folder.join("log")).unwrap_or_default();

    let edge = format!("http://127.0.0.1:{port}");
    let client = http::client();
    let refused =
        eventually(Duration::from_mins(2), async || client.get(&edge).send().await.map_err(|error| format!("{error}\n{}", told()))).await;
    assert!([401, 503].contains(&refused.status().as_u16()), "{refused:?}\n{}", told());
    let health = http::send(client.get(format!("{edge}/.keyward/health"))).await;
    assert!(health.json()["status"].is_string(), "{health:?}\n{}", told());
    let malformed = http::send(client.get(&edge).header("x-api-key", "nonsense")).await;
    assert_eq!(malformed.verdict(), (401, "malformed_key".into()), "{malformed:?}\n{}", told());
    drop(server);
    fs::remove_dir_all(&folder).unwrap();
}
