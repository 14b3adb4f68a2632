//! Rotating a key: its successor, how long the old one goes on, and who may.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{ApiCall, Credential},
    shard::outbox::Delivery,
};
use keyward_shared::{digest::Digest, feed::Subject, ids::KeyId, shard::Shard};
use serde_json::{Value, json};
use shard_world::{ACME, OTHER, Seen, World, bootstrap, company, digest_of, key, path_of, settle};

#[allow(clippy::needless_pass_by_value)] // reads better in tests
fn rotate(world: &World, caller: &Credential, made: &Value, body: Value) -> Seen {
    world.call(caller, "POST", &format!("{}/rotate", path_of(made)), body)
}

fn works(world: &World, made: &Value) -> bool {
    world.get(&key(&made["key"]), "/v1/whoami").status == 200
}

/// The keys whose change is to be announced.
fn announced(world: &World) -> Vec<Subject> {
    let deliveries = world.shard.deliveries(world.at()).unwrap();
    deliveries.iter().flat_map(|d| if let Delivery::Announce(_, a) = d { a.changes.clone() } else { Vec::new() }).map(|c| c.0).collect()
}

/// What is put next: the digests.
fn due(world: &World) -> Vec<Digest> {
    world.shard.due(world.at(), 1000).unwrap().into_iter().map(|publication| publication.digest).collect()
}

#[test]
fn a_successor_has_the_same_limits_and_the_old_key_goes_on_until_it_is_revoked() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let limits = json!({"name": "CI", "metadata": {"plan": "pro"}, "allowed_ips": ["192.0.2.0/24"], "rate_limit": "gold",
        "permissions": ["orders.read"], "expires_at": world.later(86_400)});
    let old = world.create(&ann, limits).expect(201);
    settle(&world);
    let before = world.get(&ann, &path_of(&old)).expect(200);
    let seen = rotate(&world, &ann, &old, Value::Null);
    assert!(seen.headers.contains(&("Location".into(), format!("/v1/keys/{}", seen.body["id"].as_str().unwrap()))));
    let new = seen.expect(201);
    for same in ["name", "owner", "metadata", "allowed_ips", "rate_limit", "permissions", "expires_at", "manages_keys", "company"] {
        assert_eq!(new[same], old[same], "{same}");
    }
    assert_ne!((&new["id"], &new["key"], &new["hint"]), (&old["id"], &old["key"], &old["hint"]));
    assert_eq!((&new["supersedes"], &new["superseded_by"], &new["parent"]), (&old["id"], &Value::Null, &Value::Null));
    assert_eq!((&new["created_at"], &new["propagation"]["announced_at"]), (&json!(world.later(0)), &json!(world.later(0))));

    let after = world.get(&ann, &path_of(&old)).expect(200);
    assert_eq!(after["superseded_by"], new["id"]);
    assert_eq!((&after["status"], &after["propagation"]), (&json!("active"), &before["propagation"]), "nothing that an edge decides by");
    assert_eq!((announced(&world), due(&world)), (vec![], vec![digest_of(&new)]));
    assert!(works(&world, &old) && works(&world, &new));
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&old)), Value::Null).expect(200);
    assert!(!works(&world, &old) && works(&world, &new));
    let twice = rotate(&world, &ann, &new, json!({"name": "CI 2", "expires_at": world.later(500_000)})).expect(201);
    assert_eq!((&twice["name"], &twice["expires_at"], &twice["supersedes"]), (&json!("CI 2"), &json!(world.later(500_000)), &new["id"]));
}

#[test]
fn with_an_overlap_the_old_key_expires_after_it_and_never_later_than_it_would_have() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    for (own, overlap, ends) in
        [(None, 30, Some(30)), (Some(1000), 30, Some(30)), (Some(20), 30, Some(20)), (None, 31_536_000, Some(31_536_000))]
    {
        let old = world.create(&ann, json!({"expires_at": own.map(|seconds| world.later(seconds))})).expect(201);
        settle_without_waiting(&world);
        let new = rotate(&world, &ann, &old, json!({"overlap_s": overlap})).expect(201);
        let after = world.get(&ann, &path_of(&old)).expect(200);
        assert_eq!(after["expires_at"], json!(ends.map(|seconds| world.later(seconds))), "{own:?} {overlap}");
        let changed = own != ends;
        let id = KeyId::new(old["id"].as_str().unwrap()).unwrap();
        let subject = Subject::key(Shard::of(&company(ACME)), &company(ACME), &id);
        assert_eq!(announced(&world), if changed { vec![subject] } else { vec![] });
        assert_eq!(due(&world).contains(&digest_of(&old)), changed);
        assert_eq!(after["propagation"]["announced_at"].is_null(), changed, "{after}");
        world.announce();
        assert_eq!(world.get(&ann, &path_of(&old)).expect(200)["propagation"]["announced_at"], json!(world.later(0)));
        assert!(works(&world, &old) && works(&world, &new));
    }
    let old = world.create(&ann, json!({})).expect(201);
    let new = rotate(&world, &ann, &old, json!({"overlap_s": 1})).expect(201);
    world.wait(1);
    assert!(!works(&world, &old) && works(&world, &new));
    assert_eq!(world.get(&ann, &path_of(&old)).expect(200)["status"], "expired");
}

/// Everything is told and put, so that what comes after stands alone.
fn settle_without_waiting(world: &World) {
    world.announce();
    world.sql("DELETE FROM dirty", &[]);
    world.sql("DELETE FROM puts", &[]);
}

#[test]
fn without_any_overlap_the_old_key_is_revoked_at_once() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let old = world.create(&ann, json!({})).expect(201);
    let new = rotate(&world, &ann, &old, json!({"overlap_s": 0})).expect(201);
    assert!(!works(&world, &old) && works(&world, &new));
    let after = world.get(&ann, &path_of(&old)).expect(200);
    let reason = format!("rotated: {}", new["id"].as_str().unwrap());
    assert_eq!((&after["status"], &after["revoked_by"], &after["revoke_reason"]), (&json!("revoked"), &json!("ann"), &json!(reason)));
    assert_eq!((&after["revoked_at"], &after["superseded_by"]), (&json!(world.later(0)), &new["id"]));
    assert_eq!(announced(&world).len(), 1);
    let again = world.call(&ann, "POST", &format!("{}/revoke", path_of(&old)), json!({"reason": "other"})).expect(200);
    assert_eq!(again["revoke_reason"], json!(reason));
}

#[test]
fn what_has_ended_or_has_a_successor_that_works_is_not_rotated() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let refused = |made: &Value| rotate(&world, &ann, made, json!({})).expect(409)["detail"].as_str().unwrap().to_owned();
    let revoked = world.create(&ann, json!({})).expect(201);
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&revoked)), Value::Null).expect(200);
    let expired = world.create(&ann, json!({"expires_at": world.later(10)})).expect(201);
    world.wait(10);
    assert_eq!((refused(&revoked), refused(&expired)), ("an expired or revoked key cannot be rotated".into(), refused(&revoked)));
    for overlap in [Value::Null, json!(0), json!(60)] {
        let old = world.create(&ann, json!({})).expect(201);
        let new = rotate(&world, &ann, &old, json!({"overlap_s": overlap})).expect(201);
        assert!(refused(&old).contains(new["id"].as_str().unwrap()), "it says by which");
    }
    let old = world.create(&ann, json!({})).expect(201);
    let new = rotate(&world, &ann, &old, json!({"overlap_s": 0})).expect(201);
    world.call(&ann, "DELETE", &path_of(&new), Value::Null).expect(204);
    assert_eq!(refused(&old), refused(&revoked), "a revoked key has no other successor, though the first is gone");
}

/// Ends a key in each of the three ways.
fn end(world: &World, ann: &Credential, made: &Value, how: &str) {
    match how {
        "revoked" => drop(world.call(ann, "POST", &format!("{}/revoke", path_of(made)), Value::Null).expect(200)),
        "deleted" => drop(world.call(ann, "DELETE", &path_of(made), Value::Null).expect(204)),
        _ => world.wait(20),
    }
}

#[test]
fn a_key_whose_successor_is_lost_and_ended_is_given_another() {
    let world = World::peopled();
    let (ann, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "admin"));
    for how in ["revoked", "deleted", "expired"] {
        let old = world.create(&ann, json!({"name": "CI", "permissions": ["orders.read"]})).expect(201);
        let first = rotate(&world, &ann, &old, json!({"expires_at": world.later(20)})).expect(201);
        rotate(&world, &ann, &old, json!({})).expect(409);
        end(&world, &ann, &first, how);
        settle_without_waiting(&world);
        let before = world.get(&ann, &path_of(&old)).expect(200);
        world.wait(3);
        let second = rotate(&world, &ann, &old, json!({"expires_at": null})).expect(201);
        assert_eq!((&second["supersedes"], &second["permissions"], &second["expires_at"]), (&old["id"], &old["permissions"], &Value::Null));
        let after = world.get(&ann, &path_of(&old)).expect(200);
        assert_eq!((&after["superseded_by"], &after["superseded_at"]), (&second["id"], &json!(world.later(0))), "{how}");
        assert_eq!(
            (&after["status"], &after["propagation"]),
            (&json!("active"), &before["propagation"]),
            "nothing that an edge decides by"
        );
        assert!(works(&world, &old) && works(&world, &second) && !works(&world, &first), "{how}");
        assert!(rotate(&world, &ann, &old, json!({})).expect(409)["detail"].as_str().unwrap().contains(second["id"].as_str().unwrap()));
        let target = format!("/v1/audit?action=key.rotate&target={}", old["id"].as_str().unwrap());
        let entries = world.get(&admin, &target).expect(200)["entries"].clone();
        let replaced = |entry: &Value| (entry["before"]["superseded_by"].clone(), entry["after"]["superseded_by"].clone());
        assert_eq!(replaced(&entries[1]), (first["id"].clone(), second["id"].clone()), "{how}: {entries}");
    }
    assert_eq!(world.get(&admin, "/v1/audit/verify").expect(200)["valid"], json!(true));
}

#[test]
fn another_successor_ends_when_the_first_would_have_and_an_overlap_only_shortens_the_old_keys_life() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let old = world.create(&ann, json!({"expires_at": world.later(9_000)})).expect(201);
    let first = rotate(&world, &ann, &old, json!({"overlap_s": 60})).expect(201);
    assert_eq!(first["expires_at"], json!(world.later(9_000)));
    end(&world, &ann, &first, "revoked");
    let second = rotate(&world, &ann, &old, json!({"overlap_s": 100})).expect(201);
    assert_eq!(second["expires_at"], first["expires_at"], "not the end of the overlap");
    assert_eq!(world.get(&ann, &path_of(&old)).expect(200)["expires_at"], json!(world.later(60)), "never later than it was");
    end(&world, &ann, &second, "revoked");
    let third = rotate(&world, &ann, &old, json!({"overlap_s": 30})).expect(201);
    assert_eq!(world.get(&ann, &path_of(&old)).expect(200)["expires_at"], json!(world.later(30)));
    end(&world, &ann, &third, "deleted");
    let fourth = rotate(&world, &ann, &old, json!({"overlap_s": 0})).expect(201);
    assert_eq!(fourth["expires_at"], json!(world.later(30)), "where nothing else is known, what the old key has");
    assert!(!works(&world, &old) && works(&world, &fourth));
}

#[test]
fn a_successor_that_lives_for_ever_is_asked_for_by_name() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = || world.create(&ann, json!({"expires_at": world.later(1_000)})).expect(201);
    assert_eq!(rotate(&world, &ann, &made(), json!({"expires_at": null})).expect(201)["expires_at"], Value::Null);
    assert_eq!(rotate(&world, &ann, &made(), json!({})).expect(201)["expires_at"], json!(world.later(1_000)));
    let limited = made();
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "max_key_lifetime_days": 30})).expect(200);
    assert_eq!(rotate(&world, &ann, &limited, json!({"expires_at": null})).expect(201)["expires_at"], json!(world.later(30 * 86_400)));
}

#[test]
fn a_rotation_that_is_sent_again_stays_the_one_it_was_after_its_successor_ended() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let old = world.create(&ann, json!({})).expect(201);
    let send = |key: &str| {
        let call = world.request(&ann, "POST", &format!("{}/rotate", path_of(&old)), "{}");
        world.send(&ApiCall { idempotency_key: Some(key.into()), ..call }).expect(201)
    };
    let first = send("a");
    end(&world, &ann, &first, "revoked");
    assert_eq!((&send("a")["id"], &send("a")["replayed"]), (&first["id"], &json!(true)));
    assert_eq!(world.get(&ann, &path_of(&old)).expect(200)["superseded_by"], first["id"]);
    let second = send("b");
    assert_ne!(second["id"], first["id"]);
    assert_eq!(world.get(&ann, &path_of(&old)).expect(200)["superseded_by"], second["id"]);
}

#[test]
fn whoever_is_not_active_gets_no_successor() {
    let world = World::peopled();
    let made = world.create(&world.sign_in(ACME, "ann"), json!({})).expect(201);
    let target = format!("{}/rotate?company={ACME}", path_of(&made));
    let owner = format!("/v1/owners/ann?company={ACME}");
    world.operator("PUT", &owner, json!({"name": "ann", "permissions": ["orders.*"], "active": false})).expect(200);
    world.operator("POST", &target, Value::Null).expect(409);
    world.operator("PUT", &owner, json!({"name": "ann", "permissions": ["orders.*"], "active": true})).expect(200);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "A", "active": false})).expect(200);
    world.operator("POST", &target, Value::Null).expect(409);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "A"})).expect(200);
    world.operator("POST", &target, Value::Null).expect(201);
    let other = world.create(&world.sign_in(ACME, "bob"), json!({})).expect(201);
    world.operator("DELETE", &format!("/v1/owners/bob?company={ACME}"), Value::Null).expect(204);
    world.operator("POST", &format!("{}/rotate?company={ACME}", path_of(&other)), Value::Null).expect(409);
}

#[test]
fn only_the_owner_and_the_operator_rotate_and_others_do_not_learn_of_the_key() {
    let world = World::peopled();
    let (ann, bob, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "bob"), world.sign_in(ACME, "admin"));
    let made = world.create(&ann, json!({})).expect(201);
    rotate(&world, &bob, &made, json!({})).expect(404);
    rotate(&world, &admin, &made, json!({})).expect(403);
    rotate(&world, &world.sign_in(OTHER, "ann"), &made, json!({})).expect(404);
    rotate(&world, &bootstrap(), &made, json!({})).expect(404);
    rotate(&world, &key(&made["key"]), &made, json!({})).expect(403);
    world.call(&ann, "POST", "/v1/keys/key_0000/rotate", json!({})).expect(404);
    world.put_owner(ACME, "ann", &["orders.*"]).expect(200);
    rotate(&world, &ann, &made, json!({})).expect(403);
    assert_eq!(world.get(&admin, &path_of(&made)).expect(200)["superseded_by"], Value::Null);
    let target = format!("{}/rotate?company={ACME}", path_of(&made));
    let new = world.operator("POST", &target, json!({})).expect(201);
    assert_eq!((&new["owner"], &new["created_by"]), (&json!("ann"), &json!("demo/admin")));
}

#[test]
fn each_wrong_value_is_refused() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    for (field, value) in [
        ("overlap_s", json!(-1)),
        ("overlap_s", json!(1.5)),
        ("overlap_s", json!(31_536_001)),
        ("overlap_s", json!("60")),
        ("overlap_s", json!(true)),
        ("name", json!("")),
        ("name", Value::Null),
        ("name", json!("x".repeat(101))),
        ("name", json!("a\u{202e}b")),
        ("expires_at", json!("2020-01-01T00:00:00Z")),
        ("expires_at", json!("soon")),
        ("digest", json!("AB")),
    ] {
        assert_eq!(rotate(&world, &ann, &made, json!({ field: value })).wrong(), [field], "{value}");
    }
    let unknown = rotate(&world, &ann, &made, json!({"permissions": ["orders.read"]})).expect(400);
    assert!(unknown["detail"].as_str().unwrap().contains("permissions"));
    world.raw(&ann, "POST", &format!("{}/rotate", path_of(&made)), "[]").expect(400);
    world.call(&ann, "POST", &format!("{}/rotate?overlap_s=1", path_of(&made)), Value::Null).expect(400);
    rotate(&world, &ann, &made, json!({"overlap_s": 31_536_000})).expect(201);
}

#[test]
fn a_manager_key_gives_no_successor_more_than_it_has_itself() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let expiry = world.later(1000);
    let whole = json!({"permissions": ["orders.read", "keyward.keys.own"], "allowed_ips": ["192.0.2.0/24"], "expires_at": expiry});
    let mut manager = whole.clone();
    manager["manages_keys"] = json!(true);
    let manager = world.create(&ann, manager).expect(201);
    let calling = key(&manager["key"]);
    for (limit, wider) in [
        ("permissions", Value::Null),
        ("permissions", json!(["orders.read", "orders.write"])),
        ("allowed_ips", json!([])),
        ("allowed_ips", json!(["192.0.2.0/23"])),
        ("expires_at", Value::Null),
        ("expires_at", json!(world.later(2000))),
    ] {
        let mut limits = whole.clone();
        limits[limit] = wider;
        let made = world.create(&ann, limits.clone()).expect(201);
        rotate(&world, &calling, &made, json!({"overlap_s": 0})).expect(403);
        assert!(works(&world, &made), "{limits}");
    }
    let made = world.create(&ann, whole).expect(201);
    rotate(&world, &calling, &made, json!({"expires_at": world.later(2000)})).expect(403);
    let new = rotate(&world, &calling, &made, json!({})).expect(201);
    assert_eq!((&new["parent"], &new["expires_at"]), (&manager["id"], &json!(expiry)));
    let endless = world.create(&ann, json!({"permissions": ["orders.read"], "allowed_ips": ["192.0.2.7/32"]})).expect(201);
    rotate(&world, &calling, &endless, json!({"expires_at": expiry})).expect(201);
}

#[test]
fn only_who_may_make_managers_rotates_one() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let manager = world.create(&ann, json!({"manages_keys": true})).expect(201);
    for calling in [&manager, &world.create(&ann, json!({"manages_keys": true})).expect(201)] {
        let refused = rotate(&world, &key(&calling["key"]), &manager, json!({})).expect(403);
        assert!(refused["detail"].as_str().unwrap().contains("keys that manage keys"), "{refused}");
    }
    let new = rotate(&world, &ann, &manager, json!({})).expect(201);
    assert_eq!(new["manages_keys"], json!(true));
    world.create(&key(&new["key"]), json!({})).expect(201);
    world.create(&key(&new["key"]), json!({"manages_keys": true})).expect(403);
}

#[test]
fn the_operators_first_key_can_be_rotated_by_itself() {
    let world = World::new();
    let id = world.get(&bootstrap(), "/v1/whoami").expect(200)["key_id"].clone();
    let new = rotate(&world, &bootstrap(), &json!({ "id": id }), json!({"overlap_s": 0})).expect(201);
    world.get(&bootstrap(), "/v1/whoami").expect(401);
    let calling = key(&new["key"]);
    assert_eq!(world.get(&calling, "/v1/whoami").expect(200)["operator"], json!(true));
    let manager = world.create(&calling, json!({"manages_keys": true})).expect(201);
    world.create(&key(&manager["key"]), json!({"manages_keys": true})).expect(403);
    world.shard.prepare(world.at(), &mut world.random()).unwrap();
    world.get(&bootstrap(), "/v1/whoami").expect(401);
}

#[test]
fn the_operator_gives_no_more_than_it_has_and_the_owner_has() {
    let world = World::peopled();
    let made = world.create(&world.sign_in(ACME, "ann"), json!({"permissions": ["orders.read", "orders.write"]})).expect(201);
    let lesser = world.create(&bootstrap(), json!({"permissions": ["keyward.operator", "orders.read"], "manages_keys": true})).expect(201);
    let target = format!("{}/rotate?company={ACME}", path_of(&made));
    world.call(&key(&lesser["key"]), "POST", &target, json!({})).expect(403);
    world.put_owner(ACME, "ann", &["orders.read", "keyward.keys.own"]).expect(200);
    let new = world.call(&key(&lesser["key"]), "POST", &target, json!({})).expect(201);
    assert_eq!(new["permissions"], json!(["orders.read"]), "what the owner lost is not given anew");
    world.put_owner(ACME, "ann", &["orders.*", "keyward.keys.own"]).expect(200);
    assert_eq!(world.get(&world.sign_in(ACME, "ann"), &path_of(&new)).expect(200)["effective_permissions"], json!(["orders.read"]));
}

#[test]
fn a_company_caps_the_life_of_a_successor() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let (one, two) = (world.create(&ann, json!({})).expect(201), world.create(&ann, json!({})).expect(201));
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "max_key_lifetime_days": 30})).expect(200);
    assert_eq!(rotate(&world, &ann, &one, json!({"expires_at": world.later(31 * 86_400)})).wrong(), ["expires_at"]);
    assert_eq!(rotate(&world, &ann, &one, json!({})).expect(201)["expires_at"], json!(world.later(30 * 86_400)));
    let sooner = json!({"expires_at": world.later(86_400)});
    assert_eq!(rotate(&world, &ann, &two, sooner).expect(201)["expires_at"], json!(world.later(86_400)));
}

#[test]
fn a_rotation_is_done_once_per_idempotency_key_and_shows_the_key_once() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    let target = format!("{}/rotate", path_of(&made));
    let send = |body: &str| world.send(&ApiCall { idempotency_key: Some("k".into()), ..world.request(&ann, "POST", &target, body) });
    let first = send("{\"overlap_s\":0}").expect(201);
    let again = send("{\"overlap_s\":0}").expect(201);
    assert_eq!((&again["id"], &again["key"], &again["replayed"]), (&first["id"], &Value::Null, &json!(true)));
    assert_eq!(send("{\"overlap_s\":1}").expect(422)["code"], "idempotency_mismatch");
    let stored = format!("{:?}", world.sql("SELECT * FROM idempotency", &[]));
    assert!(!stored.contains(first["key"].as_str().unwrap()));
    assert_eq!(world.get(&ann, "/v1/keys").expect(200)["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn with_blind_rotation_the_tag_goes_back_and_a_digest_in_use_changes_nothing() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let (made, other) = (world.create(&ann, json!({})).expect(201), world.create(&ann, json!({})).expect(201));
    let taken = digest_of(&other).to_hex();
    for digest in [&taken, &digest_of(&made).to_hex()] {
        let refused = rotate(&world, &ann, &made, json!({"digest": digest, "overlap_s": 0})).expect(409);
        assert!(refused["detail"].as_str().unwrap().contains("digest"));
    }
    world.call(&ann, "DELETE", &path_of(&other), Value::Null).expect(204);
    rotate(&world, &ann, &made, json!({"digest": taken})).expect(409);
    assert!(works(&world, &made));
    assert_eq!(world.get(&ann, &path_of(&made)).expect(200)["superseded_by"], Value::Null);
    let digest = Digest::of(b"kw_live_drawn elsewhere");
    let new = rotate(&world, &ann, &made, json!({"digest": digest.to_hex()})).expect(201);
    let tag = world.shard.settings().common.tag_secrets.tag(Shard::of(&company(ACME)), &digest);
    assert_eq!((new.get("key"), &new["tag"], &new["hint"]), (None, &json!(tag.as_str()), &json!("kw_live_…")));
    assert_eq!(world.get(&Credential::Key(digest), "/v1/whoami").expect(200)["key_id"], new["id"]);
}

#[test]
fn the_trail_tells_of_both_keys_and_holds_no_secret() {
    let world = World::peopled();
    let (ann, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "admin"));
    let old = world.create(&ann, json!({})).expect(201);
    let new = rotate(&world, &ann, &old, json!({"overlap_s": 60})).expect(201);
    rotate(&world, &ann, &old, json!({})).expect(409);
    let entries = |made: &Value| {
        let target = format!("/v1/audit?action=key.rotate&target={}", made["id"].as_str().unwrap());
        world.get(&admin, &target).expect(200)["entries"].as_array().unwrap().clone()
    };
    let [refused, done] = entries(&old).try_into().unwrap();
    assert_eq!((&refused["outcome"], &done["outcome"], &done["actor"]), (&json!("conflict"), &json!("done"), &json!("ann")));
    assert_eq!((&done["before"]["expires_at"], &done["after"]["expires_at"]), (&Value::Null, &json!(world.later(60))));
    assert_eq!((&done["before"]["superseded_by"], &done["after"]["superseded_by"]), (&Value::Null, &new["id"]));
    let [made] = entries(&new).try_into().unwrap();
    assert_eq!((&made["before"], &made["after"]["supersedes"]), (&Value::Null, &old["id"]));
    let everything = format!("{:?}", world.sql("SELECT * FROM audit", &[]));
    assert!(!everything.contains(new["key"].as_str().unwrap()) && !everything.contains(&digest_of(&new).to_hex()));
    assert_eq!(world.get(&admin, "/v1/audit/verify").expect(200)["valid"], json!(true));
}

#[test]
fn of_a_rotation_and_a_revocation_whichever_comes_first_counts() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let revoke = |made: &Value| world.call(&ann, "POST", &format!("{}/revoke", path_of(made)), Value::Null).expect(200);
    let first = world.create(&ann, json!({})).expect(201);
    revoke(&first);
    rotate(&world, &ann, &first, json!({"overlap_s": 60})).expect(409);
    assert_eq!(world.get(&ann, &path_of(&first)).expect(200)["superseded_by"], Value::Null);

    let second = world.create(&ann, json!({})).expect(201);
    let new = rotate(&world, &ann, &second, json!({"overlap_s": 60})).expect(201);
    let gone = revoke(&second);
    assert_eq!((&gone["status"], &gone["superseded_by"]), (&json!("revoked"), &new["id"]));
    assert!(!works(&world, &second) && works(&world, &new));
}

#[test]
fn the_successor_is_what_the_answer_tells_the_propagation_of() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    let call = world.request(&ann, "POST", &format!("{}/rotate", path_of(&made)), "{\"overlap_s\":0}");
    let mut handled = world.shard.handle(world.at(), &mut world.random(), &call);
    world.shard.refresh(&mut handled).unwrap();
    assert_eq!(handled.body.unwrap()["propagation"]["announced_at"], json!(world.later(0)));
    assert_eq!(world.get(&ann, &path_of(&made)).expect(200)["propagation"]["announced_at"], Value::Null);
}
