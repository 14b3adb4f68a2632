//! Where things are in the repository.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Cargo's output folder.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |given| root().join(given))
}

/// Where the finished Workers go, always inside the repository: `wrangler.toml` names this folder.
pub(crate) fn workers() -> PathBuf {
    root().join("target/keyward")
}

/// Where Cargo keeps what it fetched.
pub(crate) fn cargo_home() -> PathBuf {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).unwrap_or_default()
}

/// Where tools that Cargo installed are kept between runs and clones.
pub(crate) fn installed_tools() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    cache.filter(|path| path.is_absolute()).or_else(home).unwrap_or_else(target).join("keyward/tools")
}
