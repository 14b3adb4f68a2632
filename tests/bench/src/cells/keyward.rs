//! Keyward's edge as it is shipped, in the plain runtime, configured as for one machine. The control plane runs in another process.

use anyhow::Result;
use keyward_selfhost::arrangement;

use super::{javascript, workers};
use crate::cell::{Cell, Ground, Running, Work};

/// How many keys the warm cells are sent in turn.
pub const WARM: usize = 100;

/// One of its ways.
#[derive(Debug)]
pub struct Keyward(pub Work);

impl Cell for Keyward {
    fn name(&self) -> &'static str {
        match self.0 {
            Work::Gateway => "keyward-gateway",
            Work::VerifyCold => "keyward-cold",
            _ => "keyward-verify",
        }
    }

    fn what(&self) -> &'static str {
        match self.0 {
            Work::Gateway => "Keyward as a gateway: verifies, rewrites the headers, adds the signed identity, forwards.",
            Work::VerifyCold => "Keyward asked by a proxy, another key each time: one read of KV, with MAC, tag and feed.",
            _ => "Keyward asked by a proxy (forward-auth) about keys that the isolate has seen.",
        }
    }

    fn work(&self) -> Work {
        self.0
    }

    fn version(&self, ground: &Ground<'_>) -> Result<String> {
        workers::version(ground)
    }

    fn start(&self, ground: &Ground<'_>) -> Result<Running> {
        let address = ground.free_address()?;
        let config = arrangement::edge(ground.installation.modules("edge")?, ground.edge, ground.links, address.port());
        let started = ground.workerd(&config.to_text(), address)?;
        Ok(Running { address, processes: vec![started], asked: javascript::asked(ground, self.0, "/.keyward/forward-auth/original") })
    }
}
