//! Envoy with its filter for API keys.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use super::{asked, printed, program};
use crate::{
    cell::{Cell, Ground, Running, Work},
    keys::Key,
};

const CONFIG: &str = include_str!("../../../peers/envoy/envoy.yaml");
/// Where the credentials go, a line of its own.
const CREDENTIALS: &str = "@CREDENTIALS@";

pub(super) fn all() -> Vec<Box<dyn Cell>> {
    vec![Box::new(Envoy { forwards: false }), Box::new(Envoy { forwards: true })]
}

struct Envoy {
    forwards: bool,
}

impl Cell for Envoy {
    fn name(&self) -> &'static str {
        if self.forwards { "envoy-gateway" } else { "envoy" }
    }

    fn what(&self) -> &'static str {
        "Envoy with its filter for API keys: plain text in its configuration."
    }

    fn work(&self) -> Work {
        if self.forwards { Work::Gateway } else { Work::Verify }
    }

    fn version(&self, _ground: &Ground<'_>) -> Result<String> {
        let text = printed(Command::new(envoy()).arg("--version"))?;
        // <program>  version: <commit>/<version>/<state>/<build>/<library>
        let version = text.split_once("version:").and_then(|(_, rest)| rest.split('/').nth(1)).unwrap_or("of an unknown version");
        Ok(format!("Envoy {version}"))
    }

    fn start(&self, ground: &Ground<'_>) -> Result<Running> {
        let address = ground.free_address()?;
        let credential = |key: &Key| format!("                        - {{ key: {}, client: {} }}", key.text, key.owner.as_str());
        let credentials: Vec<String> = ground.keys.valid.iter().map(credential).collect();
        let config = CONFIG
            .replace(CREDENTIALS, &credentials.join("\n"))
            .replace("@PORT@", &address.port().to_string())
            .replace("@ORIGIN_HOST@", &ground.origin.ip().to_string())
            .replace("@ORIGIN_PORT@", &ground.origin.port().to_string());
        let config = ground.write("envoy.yaml", config)?;
        let mut command = Command::new(envoy());
        command.args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error", "-c"]).arg(config);
        let process = ground.spawn(command, address)?;
        let mut asked = asked(ground);
        if !self.forwards {
            asked.path = "/verify".into();
        }
        Ok(Running { address, processes: vec![process], asked })
    }
}

fn envoy() -> PathBuf {
    program("KEYWARD_ENVOY", "/usr/bin/envoy".as_ref(), "envoy")
}
