//! What Keyward is measured beside: npm packages with a Node.js and a bundler, Envoy, nginx, and a native server of our own. Versions are pinned by the
//! lock files of `tests/bench/peers`; nginx is the one of this machine or of Debian.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    command::{cargo, in_root, progress, run},
    paths, tools,
};

/// Sets everything up. Gives the variables by which the benchmark finds the programs.
pub(crate) fn install() -> Result<[(&'static str, PathBuf); 3]> {
    npm_packages()?;
    let [nginx, _] = tools::proxies()?;
    Ok([("KEYWARD_NGINX", nginx), ("KEYWARD_ENVOY", tools::envoy()?), ("KEYWARD_AXUM", native_server()?)])
}

/// The packages of `tests/bench/peers`, where they are not installed as its lock file says.
fn npm_packages() -> Result<()> {
    let folder = paths::root().join("tests/bench/peers");
    let path = folder.join("package-lock.json");
    let lock = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let installed = folder.join("node_modules/.keyward-lock");
    if fs::read(&installed).is_ok_and(|known| known == lock) {
        return Ok(());
    }
    progress("installing what Keyward is measured beside (npm ci)");
    run(in_root("npm").current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    fs::write(&installed, lock).with_context(|| format!("cannot write {}", installed.display()))
}

/// Keyward's decision in a native server, built as one builds a server: for speed.
fn native_server() -> Result<PathBuf> {
    progress("building the native server");
    run(cargo().args(["build", "--quiet", "--profile", "server", "--package", "keyward-axum"]))?;
    Ok(paths::target().join("server/keyward-axum"))
}
