//! Keyward's own decision in a native server: the floor of what this code could cost without a Workers runtime.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use keyward_shared::record;

use super::{asked, program};
use crate::{
    cell::{Cell, Ground, Running, Work},
    deployment::{RULES, policy},
    keys::Key,
};

pub(super) fn all() -> Vec<Box<dyn Cell>> {
    vec![Box::new(Axum { forwards: false }), Box::new(Axum { forwards: true })]
}

struct Axum {
    forwards: bool,
}

impl Cell for Axum {
    fn name(&self) -> &'static str {
        if self.forwards { "axum-gateway" } else { "axum" }
    }

    fn what(&self) -> &'static str {
        "Keyward's decision in a native axum server: all records in its memory, never updated, no identity signed."
    }

    fn work(&self) -> Work {
        if self.forwards { Work::Gateway } else { Work::Verify }
    }

    fn version(&self, _ground: &Ground<'_>) -> Result<String> {
        Ok(format!("keyward {}", env!("CARGO_PKG_VERSION")))
    }

    fn start(&self, ground: &Ground<'_>) -> Result<Running> {
        let address = ground.free_address()?;
        let records = ground.write("records", records(ground)?)?;
        let policy = ground.write("policy.json", policy(RULES).to_string())?;
        let mut command = Command::new(server(ground));
        command.env("RECORD_SECRETS", &ground.edge["RECORD_SECRETS"]).arg(records).arg(policy).arg(address.to_string());
        command.args(self.forwards.then(|| ground.origin.to_string()));
        let process = ground.spawn(command, address).context("`cargo xtask bench` builds it")?;
        Ok(Running { address, processes: vec![process], asked: asked(ground) })
    }
}

/// All records as the control plane publishes them, in the form that the server reads.
fn records(ground: &Ground<'_>) -> Result<String> {
    let line = |key: &Key| {
        let entry = ground.store.get(&record::name(key.shard(), &key.digest))?.context("a key has no record")?;
        Ok(format!("{} {} {}", key.shard().as_str(), key.digest.to_hex(), String::from_utf8_lossy(&entry.value)))
    };
    Ok(ground.keys.valid.iter().map(line).collect::<Result<Vec<_>>>()?.join("\n"))
}

fn server(ground: &Ground<'_>) -> PathBuf {
    program("KEYWARD_AXUM", &ground.root.join("target/server/keyward-axum"), "keyward-axum")
}
