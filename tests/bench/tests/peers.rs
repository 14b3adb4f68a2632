//! What people would use instead, as it is measured: each lets right keys in, refuses the others, and hands on what it should. `cargo xtask bench`
//! brings the programs; where one is missing a test fails and says so.

use std::{fs, path::Path};

use keyward_bench::{
    cell::{Cell, Ground},
    cells,
    check::check,
    cores::Cores,
    keys::Keys,
    load::Load,
    origin::Origin,
};
use keyward_selfhost::{Installation, StateFolder, kv::KvService};
use keyward_shared::tag::TagSecrets;
use tokio::runtime;

/// Enough to be told apart.
const KEYS: usize = 40;

/// Starts the cells whose names begin with `name` twice each: what is prepared for all starts is used again.
fn does_its_work(name: &str) {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = StateFolder::temporary().unwrap();
    let kv = runtime.block_on(KvService::start(&folder.path().join("kv.sqlite"), None)).unwrap();
    let origin = Origin::start(runtime.handle()).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let keys = Keys::mint(KEYS, &TagSecrets::parse(&"ab".repeat(32)).unwrap()).unwrap();
    let installation = Installation::in_repository(root);
    let cores = Cores::divide();
    let cells: Vec<Box<dyn Cell>> = cells::peers::all().into_iter().filter(|cell| cell.name().starts_with(name)).collect();
    assert!(!cells.is_empty(), "there is no cell {name}");
    for cell in &cells {
        for start in ["first", "second"] {
            let dir = folder.path().join(format!("{}-{start}", cell.name()));
            fs::create_dir(&dir).unwrap();
            let (kv, origin_address) = (kv.address(), origin.address());
            let ground = Ground { root, dir: &dir, installation: &installation, cores, keys: &keys, origin: origin_address, kv };
            let running = cell.start(&ground).unwrap_or_else(|error| panic!("{}: {error:?}", cell.name()));
            let tail = || running.processes.iter().map(|process| process.tail()).collect::<String>();
            check(&running, cell.work(), &origin).unwrap_or_else(|error| panic!("{}: {error:?}\n{}", cell.name(), tail()));
            let asked = &running.asked;
            let load = Load::new(running.address, asked.requests(), asked.status, false);
            load.send(500, 8).unwrap_or_else(|error| panic!("{}: {error:?}\n{}", cell.name(), tail()));
            let version = cell.version(&ground).unwrap();
            assert!(version.contains(|c: char| c.is_ascii_digit()), "{}: {version}", cell.name());
        }
    }
}

#[test]
fn hono_does_its_work() {
    does_its_work("hono");
}

#[test]
fn the_oauth_provider_does_its_work() {
    does_its_work("oauth-provider");
}

#[test]
fn better_auth_does_its_work() {
    does_its_work("better-auth");
}

#[test]
fn nginx_does_its_work() {
    does_its_work("nginx");
}

#[test]
fn envoy_does_its_work() {
    does_its_work("envoy");
}

#[test]
fn axum_does_its_work() {
    does_its_work("axum");
}
