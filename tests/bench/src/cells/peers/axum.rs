//! Keyward's own decision in a native server: the floor of what this code could cost without a Workers runtime.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use keyward_shared::{
    mint,
    permission::{Permission, PermissionSet},
    policy::{Fallback, Policy, Rule},
    secret::SecretList,
    time::Millis,
};

use super::program;
use crate::{
    cell::{Asked, Cell, Ground, Running, Work},
    keys::PERMISSIONS,
};

/// How many rules the policy has.
const RULES: usize = 100;

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
        "Keyward's decision in a native axum server; all records in its memory, never updated"
    }

    fn work(&self) -> Work {
        if self.forwards { Work::Gateway } else { Work::Verify }
    }

    fn version(&self, _ground: &Ground<'_>) -> Result<String> {
        Ok(format!("keyward {}", env!("CARGO_PKG_VERSION")))
    }

    fn start(&self, ground: &Ground<'_>) -> Result<Running> {
        let address = ground.free_address()?;
        let mut secret = [0; 32];
        mint::fill(&mut secret)?;
        let records = ground.write("records", records(ground, secret)?)?;
        let policy = ground.write("policy.json", serde_json::to_string(&policy()?)?)?;
        let mut command = Command::new(server(ground));
        command.env("RECORD_SECRETS", hex::encode(secret)).arg(records).arg(policy).arg(address.to_string());
        command.args(self.forwards.then(|| ground.origin.to_string()));
        let process = ground.spawn(command, address).context("`cargo xtask bench` builds it")?;
        let keys = ground.keys.texts(ground.keys.valid.len());
        Ok(Running { address, processes: vec![process], asked: Asked::with_keys("/orders/1", keys, ground.keys.wrong.clone()) })
    }
}

/// All records as the server reads them, sealed with `secret`.
fn records(ground: &Ground<'_>, secret: [u8; 32]) -> Result<String> {
    let (secrets, permissions) = (SecretList::single(secret), PermissionSet::parse(PERMISSIONS)?);
    let mut lines = String::new();
    for key in &ground.keys.valid {
        let value = key.record(Millis(0), &permissions).seal(&secrets, &key.digest)?;
        lines += &format!("{} {} {value}\n", key.shard().as_str(), key.digest.to_hex());
    }
    Ok(lines)
}

/// Many routes, of which the requests use one.
fn policy() -> Result<Policy> {
    let rule = |path: String, permission: &str| -> Result<Rule> {
        Ok(Rule { methods: vec!["GET".into()], path, permission: Some(Permission::new(permission)?), anonymous: false, bearer: None })
    };
    let others = (1..RULES).map(|number| rule(format!("/service-{number}/**"), "services.read"));
    let rules = others.chain([rule("/orders/**".into(), "orders.read")]).collect::<Result<_>>()?;
    Ok(Policy { default: Fallback::Deny, rules })
}

fn server(ground: &Ground<'_>) -> PathBuf {
    program("KEYWARD_AXUM", &ground.root.join("target/server/keyward-axum"), "keyward-axum")
}
