//! Who may depend on whom. Read from `cargo metadata` and from the sources, so that a rule that is broken is named in a test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    command::{capture, cargo},
    paths,
};

/// A crate of ours as Cargo sees it.
struct Package {
    name: String,
    folder: PathBuf,
    /// Direct dependencies that are not for tests only: name, and the target they are limited to.
    dependencies: Vec<(String, Option<String>)>,
}

/// Crates that reach out of a pure crate: to the runtime, to JavaScript, to other machines.
const IMPURE: [&str; 7] = ["worker", "wasm-bindgen", "js-sys", "web-sys", "tokio", "axum", "reqwest"];

/// Checks all rules; the error lists what breaks them.
pub(crate) fn check() -> Result<()> {
    let broken: Vec<String> = packages()?.iter().flat_map(broken_by).collect();
    if !broken.is_empty() {
        bail!("broken rules:\n  {}", broken.join("\n  "));
    }
    Ok(())
}

fn broken_by(package: &Package) -> Vec<String> {
    let Package { name, folder, dependencies } = package;
    let mut broken = Vec::new();
    let has = |wanted: &str| dependencies.iter().any(|(dependency, _)| dependency == wanted);
    let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
    if *name != format!("keyward-{folder_name}") {
        broken.push(format!("{name} lies in {folder_name}/: crates are named keyward-<folder>"));
    }
    match name.as_str() {
        "keyward-shared" => {
            broken.extend(
                IMPURE.into_iter().filter(|wanted| has(wanted)).map(|impure| format!("shared must stay pure, yet depends on {impure}")),
            );
        }
        "keyward-edge" | "keyward-control" => {
            let other = if name == "keyward-edge" { "keyward-control" } else { "keyward-edge" };
            if has(other) {
                broken.push(format!("{name} depends on {other}"));
            }
            for (dependency, target) in dependencies {
                let limited = target.as_deref().is_some_and(|target| target.contains("wasm32"));
                if IMPURE.contains(&dependency.as_str()) && !limited {
                    broken.push(format!("{name} depends on {dependency} natively: it belongs to the wasm32 target only"));
                }
            }
            for path in sources_naming_worker(&folder.join("src")) {
                broken.push(format!("{} uses `worker` outside src/worker/", path.display()));
            }
        }
        "keyward-selfhost" => {
            let ours = ["keyward-edge", "keyward-control"];
            broken.extend(ours.into_iter().filter(|wanted| has(wanted)).map(|other| format!("selfhost depends on {other}")));
        }
        "keyward-origin" => {
            let ours = dependencies.iter().filter(|(dependency, _)| dependency.starts_with("keyward-"));
            broken.extend(ours.map(|(other, _)| format!("origin is for others and stands alone, yet depends on {other}")));
        }
        _ => {}
    }
    broken
}

fn packages() -> Result<Vec<Package>> {
    let text = capture(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cannot read what `cargo metadata` says")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` names no packages")?;
    Ok(packages.iter().map(package).collect())
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let manifest = PathBuf::from(text(&value["manifest_path"]));
    let dependencies = value["dependencies"].as_array().into_iter().flatten().filter(|dependency| dependency["kind"] != "dev");
    Package {
        name: text(&value["name"]),
        folder: manifest.parent().unwrap_or(&paths::root()).to_path_buf(),
        dependencies: dependencies
            .map(|dependency| (text(&dependency["name"]), dependency["target"].as_str().map(str::to_owned)))
            .collect(),
    }
}

/// Rust files under `folder`, but not under its `worker` folder, that name the crate `worker`.
fn sources_naming_worker(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "worker") {
                found.extend(sources_naming_worker(&path));
            }
        } else if fs::read_to_string(&path).is_ok_and(|text| text.lines().any(names_worker)) {
            found.push(path);
        }
    }
    found
}

fn names_worker(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["use worker::", "use worker;", "::worker::", " worker::Env"].iter().any(|wanted| code.contains(wanted))
        && !code.contains("crate::worker::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_rules() {
        check().unwrap();
    }

    #[test]
    fn a_broken_rule_is_named() {
        let crate_with = |name: &str, dependencies: &[(&str, Option<&str>)]| Package {
            name: format!("keyward-{name}"),
            folder: PathBuf::from(name),
            dependencies: dependencies.iter().map(|(name, target)| ((*name).to_owned(), target.map(str::to_owned))).collect(),
        };
        let broken = |name: &str, dependencies: &[(&str, Option<&str>)]| broken_by(&crate_with(name, dependencies)).join(";");
        assert!(broken("shared", &[("worker", Some("cfg(target_arch = \"wasm32\")"))]).contains("shared must stay pure"));
        assert!(broken("edge", &[("worker", None)]).contains("wasm32 target only"));
        assert!(broken("edge", &[("keyward-control", None)]).contains("depends on keyward-control"));
        assert!(broken("selfhost", &[("keyward-edge", None)]).contains("selfhost depends"));
        assert!(broken("origin", &[("keyward-shared", None)]).contains("stands alone"));
        assert_eq!(broken("edge", &[("worker", Some("cfg(target_arch = \"wasm32\")")), ("keyward-shared", None)]), "");
        assert!(names_worker("use worker::Env;") && !names_worker("use crate::worker::Clock; // use worker::Env"));
    }
}
