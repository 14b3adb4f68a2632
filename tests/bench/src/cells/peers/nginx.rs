//! nginx with a map of keys.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::{asked, printed, program};
use crate::cell::{Cell, Ground, Running, Work};

const CONFIG: &str = include_str!("../../../peers/nginx/nginx.conf");

pub(super) fn all() -> Vec<Box<dyn Cell>> {
    vec![Box::new(Nginx { forwards: false }), Box::new(Nginx { forwards: true })]
}

struct Nginx {
    forwards: bool,
}

impl Cell for Nginx {
    fn name(&self) -> &'static str {
        if self.forwards { "nginx-gateway" } else { "nginx" }
    }

    fn what(&self) -> &'static str {
        "nginx with a map of keys: plain text in its configuration, and a change needs a reload."
    }

    fn work(&self) -> Work {
        if self.forwards { Work::Gateway } else { Work::Verify }
    }

    fn version(&self, _ground: &Ground<'_>) -> Result<String> {
        let text = printed(Command::new(nginx()).arg("-v"))?;
        let version = text.trim().rsplit_once('/').map_or_else(|| text.trim(), |(_, version)| version);
        Ok(format!("nginx {version}"))
    }

    fn start(&self, ground: &Ground<'_>) -> Result<Running> {
        let address = ground.free_address()?;
        let temporary = ground.dir.join("temporary");
        fs::create_dir_all(&temporary).with_context(|| format!("cannot make {}", temporary.display()))?;
        let map: Vec<String> = ground.keys.valid.iter().map(|key| format!("\"{}\" \"{}\";", key.text, key.owner.as_str())).collect();
        ground.write("keys.map", map.join("\n"))?;
        let config = CONFIG.replace("@PORT@", &address.port().to_string()).replace("@ORIGIN@", &ground.origin.to_string());
        let config = ground.write("nginx.conf", config)?;
        let mut command = Command::new(nginx());
        command.arg("-p").arg(ground.dir).arg("-c").arg(config).args(["-e", "stderr"]);
        let process = ground.spawn(command, address)?;
        let mut asked = asked(ground);
        if !self.forwards {
            asked.path = "/verify".into();
        }
        Ok(Running { address, processes: vec![process], asked })
    }
}

/// Where Debian puts what only administrators run, or on the search path.
fn nginx() -> PathBuf {
    program("KEYWARD_NGINX", "/usr/sbin/nginx".as_ref(), "nginx")
}
