//! The same verifier and the same gateway written in JavaScript: what one would do without Keyward on the same platform.

use anyhow::{Context, Result};
use keyward_selfhost::config::{Binding, Module, Source};

use super::workers::{self, PATH};
use crate::{
    cell::{Asked, Cell, Ground, Running, Work},
    cells::keyward,
    deployment::{RULES, policy},
};

/// One of its ways.
#[derive(Debug)]
pub struct JavaScript(pub Work);

impl Cell for JavaScript {
    fn name(&self) -> &'static str {
        match self.0 {
            Work::Gateway => "javascript-gateway",
            Work::VerifyCold => "javascript-cold",
            _ => "javascript-verify",
        }
    }

    fn what(&self) -> &'static str {
        match self.0 {
            Work::Gateway => "The same gateway in JavaScript: the verifier of `javascript-verify`, the same headers removed and added.",
            Work::VerifyCold => "The verifier of `javascript-verify`, another key each time: one read of KV.",
            _ => "The same verifier in JavaScript: crypto.subtle, a cache in the isolate, records in KV (without MAC, tag and feed).",
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
        let module = |name: &str, script| Module { name: name.into(), source: Source::Script(script) };
        let modules = vec![
            module("worker.mjs", include_str!("../../js/worker.mjs")),
            module("gateway.mjs", include_str!("../../js/gateway.mjs")),
            module("verifier.mjs", include_str!("../../js/verifier.mjs")),
        ];
        let bindings = vec![
            Binding::text("MODE", if self.0 == Work::Gateway { "gateway" } else { "verify" }),
            Binding::text("POLICY", policy(RULES).to_string()),
            Binding::text("ORIGIN_URL", format!("http://{}", ground.origin)),
            Binding::text("IDENTITY_KEYS", ground.edge.get("IDENTITY_KEYS").context("no key to sign with")?),
        ];
        let started = ground.workerd(&workers::config(ground, modules, bindings, address).to_text(), address)?;
        Ok(Running { address, processes: vec![started], asked: asked(ground, self.0, "/verify") })
    }
}

/// What a verifier in the runtime is asked, at the address `question` where it does not forward.
pub(super) fn asked(ground: &Ground<'_>, work: Work, question: &str) -> Asked {
    let count = if work == Work::VerifyCold { usize::MAX } else { keyward::WARM };
    let path = if work == Work::Gateway { PATH } else { question };
    let mut asked = Asked::with_keys(path, ground.keys.texts(count), ground.keys.wrong.clone());
    asked.headers = match work {
        Work::Gateway => vec!["accept-encoding: identity".into()],
        _ => vec!["x-original-method: GET".into(), format!("x-original-uri: {PATH}")],
    };
    asked
}
