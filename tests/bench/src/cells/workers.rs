//! Cells that are one Worker in the plain runtime: how it is configured, and the floors, which verify nothing.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, Result, bail};
use keyward_selfhost::config::{Binding, Config, Module, Reach, Service, Socket, Source, Target, Worker};

use crate::cell::{Asked, Cell, Ground, Running, Work};

/// The path that all cells are asked for.
pub const PATH: &str = "/orders/1042";

/// A configuration with one Worker, which has the store as `KEYS`.
pub fn config(ground: &Ground<'_>, modules: Vec<Module>, mut bindings: Vec<Binding>, address: SocketAddr) -> Config {
    bindings.push(Binding::to("KEYS", Target::Kv("kv")));
    let worker = Worker { name: "worker", modules, bindings, classes: Vec::new(), storage: None, outbound: Some("network") };
    Config {
        services: vec![
            Service::External { name: "kv", address: ground.kv.to_string() },
            Service::Network { name: "network", reach: Reach::Everything },
            Service::Worker(worker),
        ],
        sockets: vec![Socket { name: "http", address: address.to_string(), service: "worker" }],
        wrappers: Vec::new(),
    }
}

/// The runtime's name and version.
pub fn version(ground: &Ground<'_>) -> Result<String> {
    let program = ground.installation.workerd()?;
    let output = Command::new(program).arg("--version").output().context("cannot ask the runtime for its version")?;
    if !output.status.success() {
        bail!("the runtime does not say its version");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A Worker in JavaScript that verifies nothing.
#[derive(Debug)]
pub struct Floor {
    /// Whether it forwards, instead of answering a constant.
    pub forwards: bool,
}

impl Cell for Floor {
    fn name(&self) -> &'static str {
        if self.forwards { "forward" } else { "constant" }
    }

    fn what(&self) -> &'static str {
        if self.forwards {
            "A Worker in JavaScript that only forwards: the floor of a gateway."
        } else {
            "A Worker in JavaScript that answers a constant: the floor of a verifier."
        }
    }

    fn work(&self) -> Work {
        if self.forwards { Work::Forward } else { Work::Answer }
    }

    fn version(&self, ground: &Ground<'_>) -> Result<String> {
        version(ground)
    }

    fn start(&self, ground: &Ground<'_>) -> Result<Running> {
        let address = ground.free_address()?;
        let script = if self.forwards { include_str!("../../js/forward.mjs") } else { include_str!("../../js/constant.mjs") };
        let modules = vec![Module { name: "worker.mjs".into(), source: Source::Script(script) }];
        let bindings = vec![Binding::text("ORIGIN_URL", format!("http://{}", ground.origin))];
        let started = ground.workerd(&config(ground, modules, bindings, address).to_text(), address)?;
        let mut asked = Asked::plain(PATH);
        // As many headers as the others get, a key among them.
        asked.headers =
            vec!["accept-encoding: identity".into(), format!("x-not-a-key: {}", ground.keys.valid.first().context("no keys")?.text)];
        Ok(Running { address, processes: vec![started], asked })
    }
}
