//! Taking over the keys of other systems, from the hashes that their own code makes.

use std::{process::Command, time::Instant};

use keyward_e2e::{Answer, World, build, eventually, http, world::BOUND};
use keyward_shared::{
    digest::Digest,
    ids::CompanyId,
    messages::{IMPORTED, ImportedAnswer, ImportedRequest, RESOLVE_IMPORTED, ResolveAnswer, ResolveRequest},
    record::{KeyState, Record, imported_name},
    secret::SecretList,
    shard::Shard,
};
use serde_json::{Value, json};

/// Keys and what Unkey stores of them, SHA-256 in base64 with padding: out of its own tests (repository unkeyed/unkey,
/// `internal/hash/src/sha256.test.ts`), because it publishes no library that hashes.
const UNKEY: [(&str, &str); 3] = [
    ("MVgWNsyPmv6VthC9moCNAPwS", "CptSN3vQ0shZLIsdT5c/tlpeFK/qqxY0R/aQNCfKhWs="),
    ("3ZFeSzZi4bAHLaADiPyJy7BN", "Af0t8Qg3G7oLwGHlkgMYIeloGL2dNBfcLxOLp3IDROY="),
    ("3ZG2fq6wALyJywNrL8Ao21FV", "8HrP1yRXT/iMQSdAXuvx1eDvt8wYOAonBBBHLeW59eo="),
];

/// Keys as better-auth makes them: 64 letters, with a prefix where one is set.
const BETTER_AUTH: [&str; 2] = [
    "wUQgbtHRVvKPfWqZyLxEmJcdNsTkAoGhBrYDiXnCFuSlMzpOaIeVjQtRwKxHyLfG",
    "acme_QmXbYtHRVvKPfWqZyLxEmJcdNsTkAoGhBrYDiXnCFuSlMzpOaIeVjQtRwKxH",
];

/// What better-auth's own library makes of its keys.
fn better_auth() -> Vec<(&'static str, String)> {
    let script = build::repository().join("tests/e2e/js/hash_keys.mjs");
    let said = Command::new("node").arg(script).args(BETTER_AUTH).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let hashes: Vec<String> = serde_json::from_slice(&said.stdout).unwrap();
    BETTER_AUTH.into_iter().zip(hashes).collect()
}

/// Asks an object as an edge does.
async fn ask(world: &World, object: &str, path: &str, question: String) -> Answer {
    let links = world.system.links();
    let request = world.http.post(format!("http://127.0.0.1:{}{path}", links.relay_port));
    let request = request.header("keyward-relay-secret", &links.relay_secret).header("keyward-relay-object", object);
    http::send(request.body(question)).await.expect(200)
}

/// What the store holds of an imported key.
fn stored(world: &World, key: &str) -> Option<Record> {
    let secrets = SecretList::parse(&world.system.settings().edge["RECORD_SECRETS"]).unwrap();
    let digest = Digest::of(key.as_bytes());
    let entry = world.system.kv().get(&imported_name(&digest)).unwrap()?;
    Some(Record::open_imported(&secrets, &digest, &String::from_utf8(entry.value).unwrap()).unwrap())
}

#[tokio::test]
async fn keys_of_other_systems_are_taken_over_by_the_hashes_that_those_systems_store() {
    let hashes: Vec<(&str, String)> = UNKEY.iter().map(|(key, hash)| (*key, (*hash).to_owned())).chain(better_auth()).collect();
    let world = World::start().await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.*"], true).await;
    let keys: Vec<_> = hashes.iter().map(|(key, hash)| json!({"sha256": hash, "name": &key[..8], "owner": "jane"})).collect();
    let made = world.operator("POST", "/v1/keys/import?company=acme", json!({"keys": keys})).await.expect(201).json();
    assert_eq!(made["keys"].as_array().unwrap().len(), 5);

    // The store holds each record under the digest of the key's whole text.
    let shard = Shard::of(&CompanyId::new("acme").unwrap());
    for (at, (key, _)) in hashes.iter().enumerate() {
        let record = eventually(BOUND, async || stored(&world, key).ok_or("no record yet")).await;
        assert_eq!(
            (record.key_id.as_str(), record.owner.as_str(), record.shard),
            (made["keys"][at]["id"].as_str().unwrap(), "jane", shard)
        );
    }

    // An edge asks the Registry where the key lives, and its object for the record.
    let digest = Digest::of(BETTER_AUTH[0].as_bytes());
    let answer = ask(&world, "REGISTRY/registry", IMPORTED, ImportedRequest { digest }.to_json()).await;
    assert_eq!(serde_json::from_str::<ImportedAnswer>(&answer.text).unwrap(), ImportedAnswer::Shard(shard));
    let resolve = ResolveRequest { digest, stored: false }.to_json();
    let answer = ask(&world, &format!("SHARDS/{shard}"), RESOLVE_IMPORTED, resolve).await;
    assert!(matches!(serde_json::from_str(&answer.text).unwrap(), ResolveAnswer::Record(_)));
    let never = ImportedRequest { digest: Digest::of(b"never") }.to_json();
    let answer = ask(&world, "REGISTRY/registry", IMPORTED, never).await;
    assert_eq!(serde_json::from_str::<ImportedAnswer>(&answer.text).unwrap(), ImportedAnswer::Absent);

    // The same hashes are nobody's again: not here, not in a company of another shard.
    world.company("globex").await;
    world.owner("globex", "joe", &["*"], true).await;
    for (company, owner) in [("acme", "jane"), ("globex", "joe")] {
        let again = json!({"keys": [{"sha256": hashes[3].1, "name": "again", "owner": owner}]});
        let refused = world.control(&world.operator, "POST", &format!("/v1/keys/import?company={company}"), again).await;
        refused.refused(409, "conflict");
        assert_eq!(refused.json()["errors"][0]["field"], "keys[0].sha256");
    }

    // Revoked and deleted keys are, in the store too.
    let path = |at: usize, rest: &str| format!("/v1/keys/{}{rest}?company=acme", made["keys"][at]["id"].as_str().unwrap());
    world.operator("POST", &path(0, "/revoke"), json!({})).await;
    world.operator("DELETE", &path(1, ""), Value::Null).await;
    eventually(BOUND, async || match (stored(&world, UNKEY[0].0), stored(&world, UNKEY[1].0)) {
        (Some(Record { state: KeyState::Revoked, .. }), None) => Ok(()),
        other => Err(other),
    })
    .await;
    // Nothing of the keys themselves was ever there.
    assert_eq!(world.files_with(&BETTER_AUTH), Vec::<std::path::PathBuf>::new());
    world.system.stop().await;
}

#[tokio::test]
async fn a_thousand_keys_are_imported_in_one_call_and_revoked_in_another() {
    let world = World::start().await;
    world.company("acme").await;
    world.owner("acme", "jane", &["orders.*"], true).await;
    let texts: Vec<String> = (0..1_000).map(|n| format!("key number {n}")).collect();
    let keys: Vec<_> =
        texts.iter().map(|text| json!({"sha256": Digest::of(text.as_bytes()).to_hex(), "name": text, "owner": "jane"})).collect();
    let begun = Instant::now();
    let made = world.operator("POST", "/v1/keys/import?company=acme", json!({"keys": keys})).await.expect(201).json();
    let imported = begun.elapsed();
    assert_eq!(made["keys"].as_array().unwrap().len(), 1_000);
    let begun = Instant::now();
    let revoked = world.operator("POST", "/v1/keys/revoke?company=acme", json!({"owner": "jane", "reason": "test"})).await.json();
    println!("imported in {imported:?}, revoked in {:?}", begun.elapsed());
    assert_eq!((&revoked["revoked"], &revoked["more"]), (&json!(1_000), &json!(false)));
    // One announcement told of all before the answer.
    let last = format!("/v1/keys/{}?company=acme", made["keys"][999]["id"].as_str().unwrap());
    let object = world.operator("GET", &last, Value::Null).await.json();
    assert!(object["status"] == "revoked" && object["propagation"]["announced_at"].is_string(), "{object}");
    world.system.stop().await;
}
