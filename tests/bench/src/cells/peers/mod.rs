//! What people would use instead, each set up as its own documentation does it. The programs and packages come from `cargo xtask bench`; their set-ups
//! lie in `tests/bench/peers`.

mod axum;
mod better_auth;
mod envoy;
mod hono;
mod nginx;
mod oauth_provider;
mod worker;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{keyward::WARM, workers::PATH};
use crate::cell::{Asked, Cell, Ground};

/// All of them.
pub fn all() -> Vec<Box<dyn Cell>> {
    [hono::all(), oauth_provider::all(), better_auth::all(), nginx::all(), envoy::all(), axum::all()].into_iter().flatten().collect()
}

/// What those are asked that know the keys themselves: the same as the edge, with as many headers.
fn asked(ground: &Ground<'_>) -> Asked {
    Asked {
        headers: vec!["accept-encoding: identity".into()],
        ..Asked::with_keys(PATH, ground.keys.texts(WARM), ground.keys.wrong.clone())
    }
}

/// Where their set-ups lie.
fn folder(ground: &Ground<'_>) -> PathBuf {
    ground.root.join("tests/bench/peers")
}

/// The npm package with its version.
fn npm_version(root: &Path, package: &str) -> Result<String> {
    let path = root.join("node_modules").join(package).join("package.json");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{package} is not installed (`cargo xtask bench` does it): {}", path.display()))?;
    let manifest: Value = serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!("{package} {}", manifest["version"].as_str().unwrap_or("of an unknown version")))
}

/// The program that the variable names, else the one at this place, else the one on the search path.
fn program(variable: &str, place: &Path, name: &str) -> PathBuf {
    let own = || place.is_file().then(|| place.to_path_buf());
    env::var_os(variable).map(PathBuf::from).or_else(own).unwrap_or_else(|| name.into())
}

/// What a program that ends by itself prints, on stdout and stderr.
fn printed(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{name} cannot be run (`cargo xtask bench` brings it)"))?;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if !output.status.success() {
        bail!("{name} failed ({}):\n{text}", output.status);
    }
    Ok(text)
}

/// Something that takes a while to make and is the same for all starts of one run.
struct Once<T>(Mutex<Option<T>>);

impl<T: Clone> Once<T> {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What was made before, or what `make` makes now; an error is not remembered.
    fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*kept {
            return Ok(made.clone());
        }
        Ok(kept.insert(make()?).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_while_is_made_once_and_tried_again_after_an_error() {
        let once = Once::new();
        assert!(once.get(|| bail!("not now")).is_err());
        assert_eq!(once.get(|| Ok(1)).unwrap(), 1);
        assert_eq!(once.get(|| bail!("it is not made again")).unwrap(), 1);
    }

    #[test]
    fn a_program_that_fails_says_what_it_printed() {
        assert_eq!(printed(Command::new("sh").args(["-c", "echo 1; echo 2 >&2"])).unwrap(), "1\n2\n");
        let failed = printed(Command::new("sh").args(["-c", "echo reasons; exit 3"])).unwrap_err().to_string();
        assert!(failed.contains("sh failed") && failed.contains("reasons"), "{failed}");
        assert!(printed(&mut Command::new("keyward-no-such-program")).is_err());
    }
}
