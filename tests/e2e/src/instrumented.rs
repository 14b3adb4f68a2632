//! The built Workers with an edge that records and can be spoilt: `js/instrumented` stands before the edge's real entry. What an edge wrote into
//! its log is read here too.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use keyward_selfhost::{Options, StateFolder};
use serde_json::Value;

use crate::{World, build};

/// Makes the edges of `options` instrumented ones. The folder must be kept until they have started.
pub fn edges(options: &mut Options) -> StateFolder {
    let folder = StateFolder::temporary().unwrap();
    let built = options.installation.workers.clone();
    let edge = folder.path().join("edge");
    fs::create_dir(&edge).unwrap();
    symlink(built.join("control"), folder.path().join("control")).unwrap();
    for path in files(&built.join("edge")) {
        let name = match path.file_name().unwrap().to_str().unwrap() {
            "entry.mjs" => "real.mjs",
            "edge.js" => "bindings.js",
            name => name,
        };
        symlink(&path, edge.join(name)).unwrap();
    }
    let own = build::repository().join("tests/e2e/js/instrumented");
    for path in files(&own) {
        symlink(&path, edge.join(path.file_name().unwrap())).unwrap();
    }
    options.installation.workers = folder.path().into();
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The JSON lines with this `event` in the first edge's log, oldest first.
pub fn logged(world: &World, event: &str) -> Vec<Value> {
    let text = String::from_utf8_lossy(&fs::read(world.system.folder().log("edge-0")).unwrap()).into_owned();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.get(line.find('{')?..)?).ok());
    lines.filter(|line| line["event"] == event).collect()
}
