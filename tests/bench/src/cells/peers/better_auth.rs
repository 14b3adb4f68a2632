//! better-auth's API-key plugin in an HTTP server of Node.js, with `SQLite`.

use std::{fs, path::PathBuf, process::Command, sync::Arc};

use anyhow::{Context, Result};

use super::{Once, asked, folder, npm_version, printed};
use crate::cell::{Cell, Ground, Running, Work};

/// The database as it is before the first request; small enough to be kept.
type Seeded = Arc<Once<Arc<[u8]>>>;

pub(super) fn all() -> Vec<Box<dyn Cell>> {
    let seeded = Arc::new(Once::new());
    vec![Box::new(BetterAuth { seeded: Arc::clone(&seeded), forwards: false }), Box::new(BetterAuth { seeded, forwards: true })]
}

struct BetterAuth {
    seeded: Seeded,
    forwards: bool,
}

impl Cell for BetterAuth {
    fn name(&self) -> &'static str {
        if self.forwards { "better-auth-gateway" } else { "better-auth" }
    }

    fn what(&self) -> &'static str {
        "better-auth's API keys on Node.js: digests in SQLite, which each request reads and updates."
    }

    fn work(&self) -> Work {
        if self.forwards { Work::Gateway } else { Work::Verify }
    }

    fn version(&self, ground: &Ground<'_>) -> Result<String> {
        let node = printed(Command::new(node(ground)).arg("--version"))?;
        Ok(format!("{}, Node.js {}", npm_version(&folder(ground), "@better-auth/api-key")?, node.trim().trim_start_matches('v')))
    }

    fn start(&self, ground: &Ground<'_>) -> Result<Running> {
        let seeded = self.seeded.get(|| seed(ground)).context("the database of better-auth")?;
        let database = ground.write("better-auth.sqlite", &*seeded)?;
        let address = ground.free_address()?;
        let mut command = Command::new(node(ground));
        command.arg(folder(ground).join("better-auth/server.mjs")).arg(database).arg(address.port().to_string());
        command.args(self.forwards.then(|| ground.origin.to_string()));
        command.env("NODE_ENV", "production");
        let process = ground.spawn(command, address)?;
        Ok(Running { address, processes: vec![process], asked: asked(ground) })
    }
}

/// A database that has all keys.
fn seed(ground: &Ground<'_>) -> Result<Arc<[u8]>> {
    let file = ground.dir.join("seeded.sqlite");
    let keys = ground.write("keys.txt", ground.keys.texts(usize::MAX).join("\n"))?;
    let mut command = Command::new(node(ground));
    printed(command.arg(folder(ground).join("better-auth/seed.mjs")).arg(&file).arg(keys).env("NODE_ENV", "production"))?;
    let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    fs::remove_file(&file)?;
    Ok(bytes.into())
}

/// The Node.js that the packages bring, which has `SQLite`; elsewhere the one on the search path.
fn node(ground: &Ground<'_>) -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let own = folder(ground).join(format!("node_modules/node-linux-{machine}/bin/node"));
    if own.is_file() { own } else { "node".into() }
}
