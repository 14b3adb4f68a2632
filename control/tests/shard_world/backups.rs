//! Backups in the world of a test: made, forged and given back in parts.

use keyward_control::{
    call::{ApiCall, AskPortion, Credential, ImportPart, ImportStep},
    shard::backup::restore::Taken,
    sql::Value as SqlValue,
};
use keyward_shared::{
    digest::Digest,
    messages::{KeyUsage, UsageReport},
};
use serde_json::{Map, Value, json};

use super::{ACME, World, bootstrap, company, path_of};

pub const PATH: &str = "/v1/companies/acme-6263687/import";

/// The file that an export of `id` makes; `between` happens after each part.
pub fn export(world: &World, id: &str, mut between: impl FnMut()) -> String {
    let (mut file, mut after) = (String::new(), None);
    loop {
        let call = world.request(&bootstrap(), "GET", &format!("/v1/companies/{id}/export"), "");
        let (portion, failure) = world.shard.portion(world.at(), &mut world.random(), &AskPortion { call, after });
        assert_eq!((portion.answer.status, failure), (200, None), "{}", portion.answer.body);
        file += &portion.answer.body;
        between();
        match (portion.next, portion.seal) {
            (Some(next), None) => after = Some(next),
            (None, Some(members)) => return sealed(&file, members),
            other => panic!("{other:?}"),
        }
    }
}

/// The lines with a last one that has their hash.
pub fn sealed(lines: &str, mut members: Map<String, Value>) -> String {
    members.insert("sha256".into(), Digest::of(lines.as_bytes()).to_hex().into());
    format!("{lines}{}\n", Value::Object(members))
}

/// The file with `change` made to its lines, counted and sealed anew, as an attacker would.
pub fn forged(file: &str, change: impl FnOnce(&mut Vec<Value>)) -> String {
    let mut lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut last = lines.pop().unwrap();
    change(&mut lines);
    for (kind, count) in last.as_object_mut().unwrap() {
        if count.is_u64() {
            *count = json!(lines.iter().filter(|line| line["kind"] == **kind).count());
        }
    }
    last.as_object_mut().unwrap().remove("sha256");
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    sealed(&(text.join("\n") + "\n"), last.as_object().unwrap().clone())
}

pub fn step(world: &World, call: &ApiCall, id: &str, step: ImportStep) -> Taken {
    let part = ImportPart { call: call.clone(), id: id.into(), step };
    let (taken, failure) = world.shard.import(world.at(), &mut world.random(), &part);
    assert_eq!(failure, None);
    taken
}

pub fn lines(number: u64, text: &str, seal: Option<String>) -> ImportStep {
    ImportStep::Lines { number, text: text.into(), seal }
}

/// Sends the file in parts of `size` lines, each twice as if its first answer had been lost.
pub fn import_as(world: &World, credential: &Credential, path: &str, id: &str, file: &str, size: usize) -> (u16, Value) {
    let call = world.request(credential, "POST", path, "");
    let all: Vec<&str> = file.split_inclusive('\n').collect();
    let before_last: String = all[..all.len().saturating_sub(1)].concat();
    let count = all.len().div_ceil(size);
    for (number, part) in all.chunks(size).enumerate() {
        let seal = (number + 1 == count).then(|| Digest::of(before_last.as_bytes()).to_hex());
        let part = lines(number as u64, &part.concat(), seal);
        let mut taken = step(world, &call, id, part.clone());
        for _ in 0..1_000 {
            match taken {
                Taken::Again => taken = step(world, &call, id, part.clone()),
                _ => break,
            }
        }
        match taken {
            Taken::Further => assert!(matches!(step(world, &call, id, part), Taken::Further)),
            Taken::Done(handled) | Taken::Not(handled) => return (handled.status, handled.body.unwrap()),
            Taken::Again => panic!("an earlier import is never gone"),
        }
    }
    panic!("no answer")
}

pub fn import(world: &World, file: &str) -> (u16, Value) {
    import_as(world, &bootstrap(), PATH, "i1", file, 4)
}

/// A deployment with a company that has something of everything, and its file.
pub fn exported() -> (World, Value, String) {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let plain = world.create(&ann, json!({"name": "plain"})).expect(201);
    let narrow = json!({"name": "narrow", "permissions": ["orders.read"], "allowed_ips": ["192.0.2.0/24"], "metadata": {"a": [1, "é"]},
        "rate_limit": "gold", "expires_at": world.later(900_000)});
    let narrow = world.create(&ann, narrow).expect(201);
    let revoked = world.create(&ann, json!({"name": "revoked"})).expect(201);
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&revoked)), json!({"reason": "leaked"})).expect(200);
    let rotated = world.create(&ann, json!({"name": "rotated"})).expect(201);
    let successor = world.call(&ann, "POST", &format!("{}/rotate", path_of(&rotated)), json!({"overlap_s": 60})).expect(201);
    world.put_owner(ACME, "carl", &["orders.read"]).expect(201);
    let orphan = world.operator("POST", &format!("/v1/keys?company={ACME}"), json!({"name": "orphan", "owner": "carl"})).expect(201);
    world.operator("DELETE", &format!("/v1/owners/carl?company={ACME}"), Value::Null).expect(204);
    let entry = |made: &Value| KeyUsage {
        company: company(ACME),
        key_id: keyward_shared::ids::KeyId::new(made["id"].as_str().unwrap()).unwrap(),
        last_used_at: world.at(),
        allowed: 3,
        refused: 1,
    };
    world.shard.usage(world.at(), &UsageReport { entries: vec![entry(&plain), entry(&narrow)] }).unwrap();
    world.announce();
    world.wait(5);
    let file = export(&world, ACME, || {});
    let keys = json!({"plain": plain, "narrow": narrow, "revoked": revoked, "rotated": rotated, "successor": successor, "orphan": orphan});
    (world, keys, file)
}

/// Another deployment with the same secrets, some time later, whose random numbers are others.
pub fn fresh() -> World {
    let world = World::new();
    world.wait(60);
    world.random()(&mut vec![0; 32 * 1_000]);
    world
}

pub fn nothing_remains(world: &World) {
    for _ in 0..100 {
        world.shard.prune(world.at()).unwrap();
    }
    for table in ["companies", "owners", "keys", "key_usage", "key_buckets", "audit", "audit_heads", "imports"] {
        let rows = world.sql(&format!("SELECT 1 FROM {table} WHERE company = ?1"), &[ACME.into()]);
        assert_eq!(rows, Vec::<Vec<SqlValue>>::new(), "{table}");
    }
}
