//! What must be there before anything can be started: the runtime's binary and the built Workers.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::config::{Module, Source};

/// Something is not built or not installed.
#[derive(Debug, Error)]
pub enum InstallationError {
    /// There is no runtime.
    #[error("the Workers runtime is not installed: {0} does not exist (run `npm ci --ignore-scripts`)")]
    NoRuntime(PathBuf),
    /// A Worker is not built.
    #[error("the Worker in {0} is not built (run `cargo xtask build`)")]
    NotBuilt(PathBuf),
    /// A module cannot be read.
    #[error("cannot read {0}: {1}")]
    Unreadable(PathBuf, io::Error),
}

/// Where the runtime and the built Workers are.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The `workerd` binary.
    pub workerd: PathBuf,
    /// The folder that holds the built Workers `edge` and `control`.
    pub workers: PathBuf,
}

impl Installation {
    /// What `npm ci` and `cargo xtask build` leave in the repository at `root`.
    pub fn in_repository(root: &Path) -> Self {
        let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
        let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "64" };
        let package = format!("node_modules/@cloudflare/workerd-{system}-{machine}/bin/workerd");
        Self { workerd: root.join(package), workers: root.join("target/keyward") }
    }

    /// The runtime's binary, checked to exist.
    pub fn workerd(&self) -> Result<&Path, InstallationError> {
        if self.workerd.is_file() { Ok(&self.workerd) } else { Err(InstallationError::NoRuntime(self.workerd.clone())) }
    }

    /// The modules of the built Worker `name`, the entry first.
    pub fn modules(&self, name: &str) -> Result<Vec<Module>, InstallationError> {
        let folder = self.workers.join(name);
        if !folder.join("entry.mjs").is_file() {
            return Err(InstallationError::NotBuilt(folder));
        }
        let mut modules = Vec::new();
        collect(&folder, "", &mut modules)?;
        modules.sort_by_key(|module| (module.name != "entry.mjs", module.name.clone()));
        Ok(modules)
    }
}

fn collect(folder: &Path, prefix: &str, modules: &mut Vec<Module>) -> Result<(), InstallationError> {
    let unreadable = |error| InstallationError::Unreadable(folder.to_path_buf(), error);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let Some(file) = path.file_name().map(|file| file.to_string_lossy().into_owned()) else { continue };
        let name = format!("{prefix}{file}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), modules)?;
            continue;
        }
        let source = match path.extension().and_then(|extension| extension.to_str()) {
            Some("js" | "mjs") => Source::ScriptFile(path),
            Some("wasm") => Source::WasmFile(path),
            Some("bin") => Source::DataFile(path),
            _ => continue,
        };
        modules.push(Module { name, source });
    }
    Ok(())
}
