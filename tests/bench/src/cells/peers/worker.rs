//! A Worker of JavaScript packages: bundled into one module, as deploying it would do, and run by the same runtime as the edge.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, Result};
use keyward_selfhost::capnp::Value;

use super::{super::workers, folder, npm_version, printed};
use crate::cell::{Ground, Started};

/// The date whose behaviour of the runtime the Workers want: that of the edge.
const COMPATIBILITY_DATE: &str = "2026-04-26";

/// What a Worker is given.
pub(super) struct Worker {
    /// Its folder in `tests/bench/peers`.
    pub name: &'static str,
    /// The KV namespace's binding.
    pub store: &'static str,
    /// Where it forwards to, as the binding `ORIGIN`.
    pub origin: Option<SocketAddr>,
}

/// Starts it, as if behind the platform's own TLS: `x-forwarded-proto` says how the client came.
pub(super) fn start(ground: &Ground<'_>, worker: &Worker) -> Result<(SocketAddr, Started)> {
    let Worker { name, store, origin } = worker;
    let bundle = ground.dir.join("worker.mjs");
    let peers = folder(ground);
    let mut bundler = Command::new("node");
    bundler.arg(peers.join("node_modules/esbuild/bin/esbuild")).arg(peers.join(name).join("worker.mjs"));
    bundler.args(["--bundle", "--format=esm", "--target=es2022", "--platform=neutral", "--main-fields=module,main", "--log-level=error"]);
    bundler.args(["--conditions=workerd,worker,browser", "--external:cloudflare:*", "--external:node:*"]);
    printed(bundler.arg(format!("--outfile={}", bundle.display()))).with_context(|| format!("bundling {name}"))?;

    let address = ground.free_address()?;
    let origin = origin.map(|origin| format!(", (name = \"ORIGIN\", text = \"http://{origin}\")")).unwrap_or_default();
    let text = format!(
        "using Workerd = import \"/workerd/workerd.capnp\";
const config :Workerd.Config = (
  services = [
    (name = \"kv\", external = (address = \"{kv}\", http = ())),
    (name = \"network\", network = (allow = [\"public\", \"private\"])),
    (name = \"worker\", worker = (
      modules = [(name = \"worker.mjs\", esModule = {bundle})],
      compatibilityDate = \"{COMPATIBILITY_DATE}\",
      bindings = [(name = \"{store}\", kvNamespace = \"kv\"){origin}],
      globalOutbound = \"network\")),
  ],
  sockets = [(name = \"http\", address = \"{address}\", http = (forwardedProtoHeader = \"x-forwarded-proto\"), service = \"worker\")],
);
",
        kv = ground.kv,
        bundle = Value::Embed(bundle.to_string_lossy().into_owned()),
    );
    let process = ground.workerd(&text, address)?;
    Ok((address, process))
}

/// The package's version, and the runtime's.
pub(super) fn version(ground: &Ground<'_>, package: &str) -> Result<String> {
    Ok(format!("{}, {}", npm_version(&folder(ground), package)?, workers::version(ground)?))
}
