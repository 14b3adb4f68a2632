//! Taking over another system's keys: which are taken, what is claimed for them in the Registry, under which name their
//! records stand, and what becomes of them when something fails in between.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{ApiCall, Claimed, Claims, Credential},
    registry::Registry,
    shard::outbox::Delivery,
    sql::native::NativeSql,
};
use keyward_shared::{
    digest::Digest,
    messages::{ImportedAnswer, ImportedRequest, ResolveAnswer},
    record::{self, KeyState, Record},
    timing::Timing,
};
use serde_json::{Value, json};
use shard_world::{ACME, OPERATOR, OTHER, Seen, World, asked, bootstrap, company, path_of, publish, settle};

const PATH: &str = "/v1/keys/import";

/// A shard and the Registry, as the adapters connect them.
struct Both {
    world: World,
    registry: Registry<NativeSql>,
}

fn both() -> Both {
    let world = World::peopled();
    settle(&world);
    Both { world, registry: registry() }
}

fn registry() -> Registry<NativeSql> {
    Registry::open(
        NativeSql::in_memory().unwrap(),
        Timing::default(),
        company(OPERATOR),
        keyward_shared::secret::SecretList::single([5; 32]),
    )
    .unwrap()
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn one(text: &str, owner: &str) -> Value {
    json!({"sha256": digest(text).to_hex(), "name": text, "owner": owner})
}

impl Both {
    fn call(&self, who: &Credential, target: &str, keys: Value) -> ApiCall {
        self.world.request(who, "POST", target, &json!({"keys": keys}).to_string())
    }

    /// What the Shard's adapter does.
    fn send(&self, call: &ApiCall) -> Seen {
        let claimed = self.world.shard.claims(self.world.at(), call).map(|claims| self.registry.claim(&claims).unwrap());
        self.turn(call, claimed.as_ref())
    }

    fn turn(&self, call: &ApiCall, claimed: Option<&Claimed>) -> Seen {
        let answer = self.world.shard.handle_claimed(self.world.at(), &mut self.world.random(), call, claimed).finish();
        Seen { status: answer.status, headers: answer.headers, body: serde_json::from_str(&answer.body).unwrap() }
    }

    fn import(&self, keys: Value) -> Seen {
        self.send(&self.call(&bootstrap(), &format!("{PATH}?company={ACME}"), keys))
    }

    fn holder(&self, text: &str) -> ImportedAnswer {
        self.registry.imported(self.world.at(), &ImportedRequest { digest: digest(text) }).unwrap()
    }

    fn resolve(&self, text: &str, stored: bool) -> ResolveAnswer {
        self.world.shard.resolve_imported(self.world.at(), &asked(&digest(text), stored)).unwrap()
    }

    fn here(&self) -> ImportedAnswer {
        ImportedAnswer::Shard(self.world.shard.name())
    }

    fn count(&self) -> u64 {
        self.world.sql("SELECT COUNT(*) FROM keys WHERE imported = 1", &[])[0][0].number()
    }

    fn open(&self, text: &str, value: &str) -> Record {
        Record::open_imported(&self.world.shard.settings().common.record_secrets, &digest(text), value).unwrap()
    }
}

#[test]
fn keys_are_taken_over_and_their_records_stand_under_their_digest_alone() {
    let both = both();
    let expires_at = both.world.later(86_400);
    let seen = both.import(json!([
        {"sha256": digest("a").to_hex().to_uppercase(), "name": " ERP ", "owner": "ann", "expires_at": expires_at, "permissions": ["orders.read"]},
        one("b", "bob"),
    ]));
    let made = seen.expect(201)["keys"].clone();
    for (field, value) in [
        ("name", json!("ERP")),
        ("hint", json!("imported")),
        ("imported", json!(true)),
        ("owner", json!("ann")),
        ("created_by", json!("demo/admin")),
        ("expires_at", json!(expires_at)),
        ("permissions", json!(["orders.read"])),
        ("manages_keys", json!(false)),
        ("status", json!("active")),
    ] {
        assert_eq!(made[0][field], value, "{field}");
    }
    assert_eq!((made.as_array().unwrap().len(), &made[1]["expires_at"]), (2, &Value::Null));
    let admin = both.world.sign_in(ACME, "admin");
    assert_eq!(both.world.get(&admin, &path_of(&made[1])).expect(200)["effective_permissions"], json!(["keyward.keys.own", "orders.read"]));
    assert_eq!(both.world.get(&admin, "/v1/keys").expect(200)["keys"][0]["id"], made[1]["id"], "in the order of the request");

    let put = publish(&both.world);
    let names: Vec<_> = put.iter().map(|(name, _)| name.clone()).collect();
    let mut expected = vec![record::imported_name(&digest("a")), record::imported_name(&digest("b"))];
    expected.sort();
    assert_eq!(
        {
            let mut names = names;
            names.sort();
            names
        },
        expected
    );
    let value = put.iter().find(|(name, _)| *name == record::imported_name(&digest("a"))).unwrap().1.as_deref().unwrap();
    let record = both.open("a", value);
    assert_eq!(
        (record.company, record.shard, record.key_id.as_str()),
        (company(ACME), both.world.shard.name(), made[0]["id"].as_str().unwrap())
    );

    // An edge asks the Registry for the shard, and the shard for the record.
    assert_eq!(both.holder("a"), both.here());
    assert_eq!(both.holder("never"), ImportedAnswer::Absent);
    let ResolveAnswer::Record(sealed) = both.resolve("a", false) else { panic!("there is a record") };
    assert_eq!(both.open("a", &sealed).key_id, record.key_id);
    // Under the other name there is none.
    assert_eq!(both.world.shard.resolve(both.world.at(), &asked(&digest("a"), false)).unwrap(), ResolveAnswer::Absent);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    let both = both();
    let digest_of = |n: u8| Digest::from_bytes([n; 32]).to_hex();
    both.world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "max_key_lifetime_days": 1})).expect(200);
    both.world
        .operator("PUT", &format!("/v1/owners/gone?company={ACME}"), json!({"name": "Gone", "permissions": [], "active": false}))
        .expect(201);
    let keys = json!([
        {"sha256": digest_of(1), "name": "fine", "owner": "ann"},
        {"sha256": "abc", "name": " ", "owner": "nobody"},
        {"name": "n", "owner": "gone"},
        {"sha256": digest_of(2), "name": "n", "owner": "bob", "permissions": ["orders.read", "orders.write"]},
        {"sha256": digest_of(2), "name": "n", "owner": "bob", "expires_at": both.world.later(90_000)},
        {"sha256": digest_of(3), "name": "n", "owner": "bob", "expires_at": "2020-01-01T00:00:00Z", "permissions": [1]},
        {"sha256": 7, "name": null},
        "text",
    ]);
    assert_eq!(
        both.import(keys).wrong(),
        [
            "keys[7]",
            "keys[1].sha256",
            "keys[1].name",
            "keys[1].owner",
            "keys[2].sha256",
            "keys[2].owner",
            "keys[3].permissions",
            "keys[4].sha256",
            "keys[4].expires_at",
            "keys[5].permissions[0]",
            "keys[5].expires_at",
            "keys[6].sha256",
            "keys[6].name",
            "keys[6].owner",
        ]
    );
    assert_eq!(
        (both.count(), both.holder(""), both.world.sql("SELECT 1 FROM keys WHERE name = 'fine'", &[]).len()),
        (0, ImportedAnswer::Absent, 0)
    );
    for keys in [json!([]), json!({}), json!("x"), Value::Null] {
        assert_eq!(both.import(keys).wrong(), ["keys"]);
    }
    both.import(json!([{"sha256": digest_of(1), "name": "n", "owner": "ann", "key": "secret"}])).expect(400);
    let target = format!("{PATH}?company={ACME}&dry_run=true");
    both.send(&both.call(&bootstrap(), &target, json!([one("a", "ann")]))).expect(400);
    // A cap that nothing exceeds is applied.
    let made = both.import(json!([one("a", "ann")])).expect(201);
    assert_eq!(made["keys"][0]["expires_at"], json!(both.world.later(86_400)));
}

#[test]
fn a_thousand_are_taken_in_one_turn_with_revisions_that_run_ahead_of_no_clock() {
    let both = both();
    let many = |count: u64| -> Value { (0..count).map(|n| one(&format!("k{n}"), "ann")).collect() };
    assert_eq!(both.import(many(1_001)).wrong(), ["keys"]);
    let made = both.import(many(1_000)).expect(201);
    assert_eq!((made["keys"].as_array().unwrap().len(), both.count()), (1_000, 1_000));
    let rev = both.world.sql("SELECT value FROM numbers WHERE name = 'rev'", &[])[0][0].number();
    assert!(rev <= both.world.now.get() + 100, "the revision is {} ms ahead", rev - both.world.now.get());
    // Each has its own place, and what is made later comes after them.
    let later = both.world.create(&both.world.sign_in(ACME, "ann"), json!({"name": "later"})).expect(201);
    let listed = both.world.operator("GET", &format!("/v1/keys?company={ACME}&limit=2"), Value::Null).expect(200);
    assert_eq!([&listed["keys"][0]["id"], &listed["keys"][1]["id"]], [&later["id"], &made["keys"][999]["id"]]);
    assert_eq!(both.world.sql("SELECT COUNT(DISTINCT place) FROM keys", &[]), both.world.sql("SELECT COUNT(*) FROM keys", &[]));
    assert_eq!(both.world.operator("GET", &format!("/v1/audit/verify?company={ACME}"), Value::Null).expect(200)["valid"], true);
}

#[test]
fn a_digest_that_is_in_use_or_once_was_is_named_by_its_place_and_not_by_whose_it_is() {
    let both = both();
    let blind = both.world.create(&both.world.sign_in(OTHER, "ann"), json!({"digest": digest("blind").to_hex()})).expect(201);
    both.import(json!([one("taken", "ann")])).expect(201);
    let deleted = both.import(json!([one("deleted", "ann")])).expect(201);
    both.world.operator("DELETE", &format!("{}?company={ACME}", path_of(&deleted["keys"][0])), Value::Null).expect(204);
    both.registry.claim(&Claims { shard: "0000".parse().unwrap(), digests: vec![digest("elsewhere")] }).unwrap();
    let before = both.count();
    for (keys, places) in [
        (
            json!([one("free", "ann"), one("blind", "ann"), one("taken", "ann"), one("deleted", "bob")]),
            vec!["keys[1].sha256", "keys[2].sha256", "keys[3].sha256"],
        ),
        (json!([one("free", "ann"), one("elsewhere", "ann")]), vec!["keys[1].sha256"]),
    ] {
        let refused = both.import(keys).expect(409);
        let named: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(named, places);
        assert!(!refused.to_string().contains(OTHER) && !refused.to_string().contains("0000"), "{refused}");
    }
    assert_eq!((both.count(), both.holder("free")), (before, ImportedAnswer::Absent), "all or none, also what is claimed");
    drop(blind);
}

#[test]
fn only_the_operator_imports_and_gives_nothing_that_is_beyond_the_operators_own_key() {
    let both = both();
    let admin = both.world.sign_in(ACME, "admin");
    both.send(&both.call(&admin, PATH, json!([one("a", "ann")]))).expect(403);
    assert_eq!(both.world.shard.claims(both.world.at(), &both.call(&admin, PATH, json!([one("a", "ann")]))), None);
    both.send(&both.call(&bootstrap(), &format!("{PATH}?company=nowhere"), json!([one("a", "ann")]))).expect(404);

    let narrow = json!({"manages_keys": true, "permissions": ["keyward.operator", "orders.read"], "expires_at": both.world.later(3_600), "allowed_ips": ["192.0.2.0/24"]});
    let narrow = shard_world::key(&both.world.create(&bootstrap(), narrow).expect(201)["key"]);
    let target = format!("{PATH}?company={ACME}");
    let wide = json!([{"sha256": digest("w").to_hex(), "name": "w", "owner": "ann", "permissions": ["orders.write"]}]);
    both.send(&both.call(&narrow, &target, wide)).expect(403);
    let fits = json!([{"sha256": digest("f").to_hex(), "name": "f", "owner": "ann", "permissions": ["orders.read"]}]);
    let made = both.send(&both.call(&narrow, &target, fits)).expect(201)["keys"][0].clone();
    assert_eq!((&made["expires_at"], &made["allowed_ips"]), (&json!(both.world.later(3_600)), &json!(["192.0.2.0/24"])));
}

#[test]
fn without_the_registry_nothing_is_imported() {
    let both = both();
    let call = both.call(&bootstrap(), &format!("{PATH}?company={ACME}"), json!([one("a", "ann")]));
    both.turn(&call, None).expect(503);
    both.world.send(&call).expect(503);
    assert_eq!(both.count(), 0);
    both.send(&call).expect(201);
}

#[test]
fn a_crash_between_claim_and_turn_leaves_a_claim_that_the_next_try_finds_its_own() {
    let both = both();
    let call = both.call(&bootstrap(), &format!("{PATH}?company={ACME}"), json!([one("a", "ann"), one("b", "ann")]));
    let claims = both.world.shard.claims(both.world.at(), &call).unwrap();
    assert_eq!(both.registry.claim(&claims).unwrap(), Claimed::default());
    // Here the object dies. Another shard is too late; edges are told where to ask, and are told there that there is none.
    let elsewhere = Claims { shard: "0000".parse().unwrap(), digests: vec![digest("x"), digest("b")] };
    assert_eq!(both.registry.claim(&elsewhere).unwrap(), Claimed { taken: vec![1] });
    assert_eq!(
        (both.holder("a"), both.holder("x"), both.resolve("a", false)),
        (both.here(), ImportedAnswer::Absent, ResolveAnswer::Absent)
    );
    both.send(&call).expect(201);
    // The answer was lost: the next try without an idempotency key is told that they are in use.
    both.send(&call).expect(409);
    assert_eq!(both.count(), 2);
}

#[test]
fn the_turn_checks_again_what_changed_since_the_claim() {
    let both = both();
    let call = both.call(&bootstrap(), &format!("{PATH}?company={ACME}"), json!([one("a", "ann")]));
    let claimed = both.registry.claim(&both.world.shard.claims(both.world.at(), &call).unwrap()).unwrap();
    let put = |active: bool| json!({"name": "ann", "permissions": ["orders.*", "keyward.keys.own"], "active": active});
    both.world.operator("PUT", &format!("/v1/owners/ann?company={ACME}"), put(false)).expect(200);
    assert_eq!(both.turn(&call, Some(&claimed)).wrong(), ["keys[0].owner"]);
    both.world.operator("PUT", &format!("/v1/owners/ann?company={ACME}"), put(true)).expect(200);
    both.send(&call).expect(201);
}

#[test]
fn two_imports_at_once_and_an_import_beside_a_creation_have_one_winner() {
    let both = both();
    let target = format!("{PATH}?company={ACME}");
    let calls = [
        both.call(&bootstrap(), &target, json!([one("a", "ann"), one("b", "ann")])),
        both.call(&bootstrap(), &target, json!([one("b", "bob")])),
    ];
    // Both are checked and claimed before either's turn.
    let claimed = calls.each_ref().map(|call| both.registry.claim(&both.world.shard.claims(both.world.at(), call).unwrap()).unwrap());
    both.turn(&calls[1], Some(&claimed[1])).expect(201);
    let refused = both.turn(&calls[0], Some(&claimed[0])).expect(409);
    assert_eq!(refused["errors"][0]["field"], "keys[1].sha256");
    assert_eq!(both.count(), 1, "nothing of the loser");

    let ann = both.world.sign_in(ACME, "ann");
    let call = both.call(&bootstrap(), &target, json!([one("c", "ann")]));
    let claimed = both.registry.claim(&both.world.shard.claims(both.world.at(), &call).unwrap()).unwrap();
    both.world.create(&ann, json!({"digest": digest("c").to_hex()})).expect(201);
    both.turn(&call, Some(&claimed)).expect(409);
    both.import(json!([one("d", "ann")])).expect(201);
    both.world.create(&ann, json!({"digest": digest("d").to_hex()})).expect(409);
}

#[test]
fn a_repetition_with_the_same_idempotency_key_answers_the_keys_as_they_are() {
    let both = both();
    let plain = both.call(&bootstrap(), &format!("{PATH}?company={ACME}"), json!([one("a", "ann"), one("b", "ann")]));
    let call = ApiCall { idempotency_key: Some("import-1".into()), ..plain };
    let first = both.send(&call).expect(201);
    assert_eq!(both.world.shard.claims(both.world.at(), &call), None, "nothing is claimed again");
    assert_eq!(both.send(&call).expect(201), first);
    both.world.operator("DELETE", &format!("{}?company={ACME}", path_of(&first["keys"][0])), Value::Null).expect(204);
    let again = both.send(&call).expect(201);
    assert_eq!((again["keys"].as_array().unwrap().len(), &again["keys"][0]["id"]), (1, &first["keys"][1]["id"]));
    assert_eq!(both.count(), 1);
    let other = ApiCall { body: json!({"keys": [one("c", "ann")]}).to_string(), ..call };
    assert_eq!(both.send(&other).expect(422)["code"], "idempotency_mismatch");
}

#[test]
fn each_key_has_its_entry_in_the_trail_and_a_refusal_one_for_all() {
    let both = both();
    let made = both.import(json!([one("a", "ann"), one("b", "bob")])).expect(201);
    both.import(json!([one("a", "ann")])).expect(409);
    let entries = |action: &str| {
        both.world.operator("GET", &format!("/v1/audit?company={ACME}&action={action}"), Value::Null).expect(200)["entries"].clone()
    };
    let (done, refused) = (entries("key.import"), entries("keys.import"));
    assert_eq!([&done[1]["target"], &done[0]["target"]], [&made["keys"][0]["id"], &made["keys"][1]["id"]]);
    assert_eq!((&done[0]["actor"], &done[0]["after"]["owner"], &done[0]["outcome"]), (&json!("demo/admin"), &json!("bob"), &json!("done")));
    assert_eq!((refused.as_array().unwrap().len(), &refused[0]["outcome"]), (1, &json!("conflict")));
    for text in ["a", "b"] {
        assert!(!done.to_string().contains(&digest(text).to_hex()), "no digest in the trail");
    }
}

#[test]
fn an_imported_key_is_no_credential_of_the_api() {
    let both = both();
    both.import(json!([one("a", "ann")])).expect(201);
    both.world.get(&Credential::Key(digest("a")), "/v1/whoami").expect(401);
}

#[test]
fn what_is_changed_is_published_and_what_is_deleted_is_removed_under_the_imported_name() {
    let both = both();
    let made = both.import(json!([one("revoked", "ann"), one("deleted", "ann"), one("rotated", "ann")])).expect(201)["keys"].clone();
    settle(&both.world);
    let target = |n: usize, rest: &str| format!("{}{rest}?company={ACME}", path_of(&made[n]));
    both.world.operator("POST", &target(0, "/revoke"), Value::Null).expect(200);
    both.world.operator("DELETE", &target(1, ""), Value::Null).expect(204);
    let successor = both.world.operator("POST", &target(2, "/rotate"), json!({"overlap_s": 0})).expect(201);
    assert_eq!((&successor["imported"], successor["key"].is_string()), (&json!(false), true), "an ordinary key");
    let put = publish(&both.world);
    let value = |text: &str| put.iter().find(|(name, _)| *name == record::imported_name(&digest(text))).unwrap().1.clone();
    assert_eq!(both.open("revoked", &value("revoked").unwrap()).state, KeyState::Revoked);
    assert_eq!(both.open("rotated", &value("rotated").unwrap()).state, KeyState::Revoked);
    assert_eq!(value("deleted"), None);
    assert_eq!(put.len(), 4);
    assert!(put.iter().all(|(name, value)| name.starts_with("i:") || value.is_some()), "nothing is removed under another name");
    both.world.announce();
    settle(&both.world);

    // An edge that holds what was deleted says so, and the name is removed again.
    assert_eq!(both.resolve("deleted", true), ResolveAnswer::Absent);
    assert_eq!(publish(&both.world), [(record::imported_name(&digest("deleted")), None)]);
    // It never works again: not here, whatever it is called, nor in another shard.
    both.import(json!([one("deleted", "bob")])).expect(409);
    both.world.create(&both.world.sign_in(ACME, "ann"), json!({"digest": digest("deleted").to_hex()})).expect(409);
    let elsewhere = Claims { shard: "0000".parse().unwrap(), digests: vec![digest("deleted")] };
    assert_eq!(both.registry.claim(&elsewhere).unwrap().taken, [0]);
}

#[test]
fn many_are_revoked_and_owners_are_swept_under_the_imported_name_too() {
    let both = both();
    both.import(json!([one("a", "ann"), one("b", "bob")])).expect(201);
    settle(&both.world);
    both.world.operator("POST", &format!("/v1/keys/revoke?company={ACME}"), json!({"owner": "ann", "reason": "r"})).expect(200);
    assert_eq!(publish(&both.world)[0].0, record::imported_name(&digest("a")));
    settle(&both.world);
    both.world.put_owner(ACME, "bob", &[]).expect(200);
    let put = publish(&both.world);
    assert_eq!(put[0].0, record::imported_name(&digest("b")));
    assert!(both.open("b", put[0].1.as_deref().unwrap()).permissions.is_empty());
}

#[test]
fn an_erased_company_leaves_tombstones_and_claims_and_no_record() {
    let both = both();
    both.import(json!([one("a", "ann")])).expect(201);
    settle(&both.world);
    both.world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    both.world.wait(2);
    assert_eq!(publish(&both.world), [(record::imported_name(&digest("a")), None)]);
    assert_eq!((both.holder("a"), both.resolve("a", false)), (both.here(), ResolveAnswer::Absent));
    let there = both.call(&bootstrap(), &format!("{PATH}?company={OTHER}"), json!([one("a", "ann")]));
    both.send(&there).expect(409);
}

#[test]
fn after_a_restoration_the_digests_are_claimed_again_also_those_of_deleted_keys() {
    let mut both = both();
    let many: Value = (0..600).map(|n| one(&format!("k{n}"), "ann")).collect();
    both.import(many).expect(201);
    let made = both.import(json!([one("a", "ann"), one("b", "ann")])).expect(201);
    both.world.operator("DELETE", &format!("{}?company={ACME}", path_of(&made["keys"][1])), Value::Null).expect(204);
    settle(&both.world);
    assert_eq!(both.world.sql("SELECT 1 FROM texts WHERE name = 'claimed_up_to'", &[]).len(), 0);

    both.registry = registry(); // an empty backup
    assert_eq!(both.holder("a"), ImportedAnswer::Absent);
    both.world.operator("POST", "/v1/maintenance/republish", Value::Null).expect(202);
    // The company goes before they are delivered: they are not its.
    publish(&both.world);
    both.world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    assert_eq!(both.world.shard.next_alarm(both.world.at()).unwrap(), Some(both.world.at()), "there is more to claim");
    publish(&both.world);
    let mut claimed = Vec::new();
    for delivery in both.world.shard.deliveries(both.world.at()).unwrap() {
        if let Delivery::Claim(id, claims) = delivery {
            assert_eq!(both.registry.claim(&claims).unwrap(), Claimed::default());
            both.world.shard.delivered(id).unwrap();
            claimed.push(claims.digests.len());
        }
    }
    assert_eq!((claimed, both.holder("a"), both.holder("b")), (vec![500, 102], both.here(), both.here()));
    let elsewhere = Claims { shard: "0000".parse().unwrap(), digests: vec![digest("b")] };
    assert_eq!(both.registry.claim(&elsewhere).unwrap().taken, [0]);
}

#[test]
fn a_restored_shard_finds_its_digests_still_claimed_and_removes_what_it_does_not_know() {
    let both = both();
    let backup = World::peopled();
    settle(&backup);
    both.import(json!([one("a", "ann")])).expect(201);
    // The shard of the backup never had the key.
    let restored = Both { world: backup, registry: both.registry };
    assert_eq!((restored.holder("a"), restored.resolve("a", true)), (restored.here(), ResolveAnswer::Absent));
    assert_eq!(publish(&restored.world), [(record::imported_name(&digest("a")), None)]);
    restored.import(json!([one("a", "ann")])).expect(201);
}

#[test]
fn keys_that_were_imported_together_go_with_their_owner_all_of_them_and_at_once() {
    let both = both();
    let many: Vec<Value> = (0..50).map(|n| one(&format!("k{n}"), "ann")).collect();
    let made = both.import(json!(many)).expect(201)["keys"].clone();
    // At the same instant: the places of these keys are beyond the deletion's revision.
    both.world.operator("DELETE", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(204);
    let statuses = || {
        let read = |key: &Value| {
            both.world.operator("GET", &format!("{}?company={ACME}", path_of(key)), Value::Null).expect(200)["status"].clone()
        };
        made.as_array().unwrap().iter().map(read).collect::<Vec<_>>()
    };
    assert!(statuses().iter().all(|status| status == "revoked"), "before it is written");
    both.world.put_owner(ACME, "ann", &["orders.*"]).expect(201);
    let again = both.import(json!([one("later", "ann")])).expect(201)["keys"][0].clone();
    both.world.announce();
    both.world.go_on();
    assert!(statuses().iter().all(|status| status == "revoked"), "and after it");
    let alive = both.world.operator("GET", &format!("{}?company={ACME}", path_of(&again)), Value::Null).expect(200);
    assert_eq!(alive["status"], "active", "what was made for the next owner of that id lives");
}
