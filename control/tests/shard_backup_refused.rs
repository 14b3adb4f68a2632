//! Files that no company comes back from, and callers who may not have it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::call::{AskPortion, Credential};
use keyward_shared::digest::Digest;
use serde_json::{Value, json};
use shard_world::{
    ACME, OTHER, World,
    backups::{PATH, exported, forged, fresh, import, import_as, nothing_remains},
    bootstrap, key,
};

#[test]
fn a_broken_file_is_refused_with_its_line_and_leaves_nothing() {
    let (_, _, file) = exported();
    let all: Vec<&str> = file.split_inclusive('\n').collect();
    let without = |number: usize| all.iter().enumerate().filter(|(at, _)| *at != number).map(|(_, line)| *line).collect::<String>();
    let changed = file.replacen("\"name\":\"plain\"", "\"name\":\"plane\"", 1);
    let twice = format!("{}{}{}", all[..3].concat(), all[2], all[3..].concat());
    for (what, broken, line) in [
        ("cut", all[..all.len() - 1].concat(), all.len() - 1),
        ("cut in a line", file[..file.len() / 2].to_owned(), 0),
        ("changed", changed, all.len()),
        ("no header", without(0), 1),
        ("no company", without(1), 2),
        ("no owner", without(2), 0),
        ("a line twice", twice, 4),
        ("a blank line", file.replacen('\n', "\n\n", 1), 2),
        ("lines after the end", format!("{file}{}", all[2]), all.len()),
        ("no line", "\n".to_owned(), 1),
        ("no JSON", "PK\u{3}\u{4}\n".to_owned(), 1),
    ] {
        for size in [4, 1_000] {
            let world = fresh();
            let (status, body) = import_as(&world, &bootstrap(), PATH, "i1", &broken, size);
            assert!(status == 422 || status == 400, "{what}: {status} {body}");
            let told = body["detail"].as_str().unwrap().strip_prefix("line ").unwrap_or_else(|| panic!("{what}: {body}"));
            assert!(line == 0 || told.starts_with(&format!("{line}:")), "{what}: {body}");
            nothing_remains(&world);
            let trail = world.operator("GET", "/v1/audit?limit=1", Value::Null).expect(200);
            let entry = &trail["entries"][0];
            assert_eq!(
                (&entry["action"], &entry["target"]),
                (&json!("company.import"), &json!(ACME)),
                "the refusal is in the operator's trail"
            );
            assert_eq!(import_as(&world, &bootstrap(), PATH, "i2", &file, size).0, 201, "{what}: the right file is taken after it");
        }
    }
}

#[test]
fn what_a_call_could_not_have_made_is_refused_also_with_a_right_hash() {
    let (_, _, file) = exported();
    let line_of = |lines: &[Value], kind: &str| lines.iter().position(|line| line["kind"] == kind).unwrap();
    let set = |kind: &'static str, member: &'static str, value: Value| {
        forged(&file, |lines| {
            let at = line_of(lines, kind);
            lines[at][member] = value;
        })
    };
    for (what, broken, status) in [
        ("another company", set("header", "company", json!(OTHER)), 422),
        ("another shard", set("header", "shard", json!("0000")), 422),
        ("a later form", set("header", "format", json!(2)), 422),
        ("a revision of the far future", set("header", "rev", json!(9_000_000_000_000_u64)), 422),
        ("an unknown member", set("owner", "admin", json!(true)), 400),
        ("a missing member", set("owner", "permissions", Value::Null), 422),
        ("an operator elsewhere", set("owner", "permissions", json!(["keyward.operator"])), 422),
        ("a permission that is none", set("owner", "permissions", json!(["Orders"])), 422),
        ("an id that is none", set("owner", "owner", json!("a b")), 422),
        ("a name that misleads", set("owner", "name", json!("a\u{202e}b")), 422),
        ("a time to come", set("owner", "created_at", json!(9_000_000_000_000_u64)), 422),
        ("a text for a number", set("key", "place", json!("1")), 422),
        ("a place above the revision", set("key", "place", json!(9_000_000_000_000_u64)), 422),
        ("a digest that is none", set("key", "digest", json!("AB".repeat(32))), 422),
        ("a digest of another's", set("key", "digest", json!(Digest::of(b"bootstrap").to_hex())), 409),
        ("an owner who is not there", set("key", "owner", json!("nobody")), 422),
        ("a bootstrap key", set("key", "bootstrap", json!(true)), 422),
        ("metadata that is too large", set("key", "metadata", json!({"a": "x".repeat(1_100)})), 422),
        ("a network that is none", set("key", "networks", json!(["10.0.0.0/33"])), 422),
        ("the use of no key", set("use", "key_id", json!("key_00000000000000000000")), 422),
        ("a width that is none", set("bucket", "width", json!("week")), 422),
        ("a changed entry", set("audit", "entry", json!("{}")), 422),
        ("an entry's other hash", set("audit", "hash", json!("0".repeat(64))), 422),
        ("no first entry", forged(&file, |lines| drop(lines.remove(lines.iter().position(|line| line["kind"] == "audit").unwrap()))), 422),
        ("kinds in another order", forged(&file, |lines| lines.swap(2, 10)), 422),
        (
            "the same key id",
            forged(&file, |lines| {
                let at = line_of(lines, "key");
                lines[at + 1]["key_id"] = lines[at]["key_id"].clone();
            }),
            422,
        ),
        (
            "the same digest",
            forged(&file, |lines| {
                let at = line_of(lines, "key");
                lines[at + 1]["digest"] = lines[at]["digest"].clone();
            }),
            409,
        ),
        ("an unknown kind", forged(&file, |lines| lines.insert(2, json!({"kind": "webhook"}))), 422),
    ] {
        let world = fresh();
        let (answered, body) = import(&world, &broken);
        assert_eq!(answered, status, "{what}: {body}");
        assert!(
            body["detail"].as_str().unwrap().starts_with("line ") || body["errors"][0]["field"].as_str().unwrap().starts_with("line "),
            "{what}: {body}"
        );
        nothing_remains(&world);
    }
    // An entry that hashes right but says more than entries do.
    let forged_entry = forged(&file, |lines| {
        let at = lines.iter().rposition(|line| line["kind"] == "audit").unwrap();
        let entry = lines[at]["entry"].as_str().unwrap().replacen('{', "{\"more\":1,", 1);
        lines[at]["hash"] = json!(Digest::of(entry.as_bytes()).to_hex());
        lines[at]["entry"] = json!(entry);
    });
    assert_eq!(import(&fresh(), &forged_entry).0, 422);
    // A tombstone.
    let world = fresh();
    let digest = file.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|line| line["kind"] == "key").unwrap();
    world.sql("INSERT INTO tombstones (digest) VALUES (?1)", &[digest["digest"].as_str().unwrap().into()]);
    assert_eq!(import(&world, &file).0, 409);
    nothing_remains(&world);
}

#[test]
fn nobody_restores_what_they_could_not_have_made() {
    let (_, _, file) = exported();
    let manager = forged(&file, |lines| {
        let at = lines.iter().position(|line| line["kind"] == "key").unwrap();
        lines[at]["manages_keys"] = json!(true);
    });
    let world = fresh();
    let admin = world.sign_in("demo", "admin");
    let operators = |more: Value| {
        let mut body = json!({"manages_keys": true, "name": "operator"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key(&world.create(&admin, body).expect(201)["key"])
    };
    let (unlimited, weak) = (operators(json!({})), operators(json!({"permissions": ["keyward.operator"]})));
    let narrow = operators(json!({"allowed_ips": ["192.0.2.0/24"]}));
    for (credential, file, status) in
        [(&weak, &file, 403), (&narrow, &file, 403), (&unlimited, &manager, 403), (&bootstrap(), &manager, 201)]
    {
        let (answered, body) = import_as(&world, credential, PATH, "i1", file, 1_000);
        assert_eq!(answered, status, "{body}");
        if status != 201 {
            nothing_remains(&world);
        }
    }
    let world = World::peopled();
    for (credential, path, status) in [(world.sign_in(ACME, "admin"), PATH, 403), (bootstrap(), "/v1/companies/demo/import", 409)] {
        assert_eq!(import_as(&world, &credential, path, "i1", &file, 1_000).0, status, "{path}");
    }
    let ask = |credential: &Credential| {
        let call = world.request(credential, "GET", &format!("/v1/companies/{ACME}/export"), "");
        world.shard.portion(world.at(), &mut world.random(), &AskPortion { call, after: None }).0.answer.status
    };
    assert_eq!((ask(&world.sign_in(ACME, "admin")), ask(&bootstrap())), (403, 200));
    let call = world.request(&bootstrap(), "GET", "/v1/companies/nobody/export", "");
    assert_eq!(world.shard.portion(world.at(), &mut world.random(), &AskPortion { call, after: None }).0.answer.status, 404);
}
