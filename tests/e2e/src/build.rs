//! The repository, and the built Workers in it: they are built once where they are missing.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use keyward_selfhost::Installation;

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// Where screenshots and other things to look at go.
pub fn output() -> PathBuf {
    repository().join("target/keyward")
}

/// The runtime and the Workers.
pub fn installation() -> Installation {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let installation = Installation::in_repository(&repository());
        if ["edge", "control"].iter().any(|worker| installation.modules(worker).is_err()) {
            let built = Command::new("cargo").args(["xtask", "build"]).current_dir(repository()).status();
            assert!(built.is_ok_and(|status| status.success()), "`cargo xtask build` failed");
        }
    });
    Installation::in_repository(&repository())
}
