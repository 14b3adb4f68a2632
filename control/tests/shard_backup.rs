//! A company as a file, and back from it: whole or not at all.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{Claimed, ImportStep},
    shard::{backup::restore::Taken, outbox::Delivery},
};
use keyward_shared::{
    digest::Digest,
    feed::Subject,
    messages::{KeyUsage, ResolveAnswer, UsageReport},
    record::{KeyState, Record},
    time::Millis,
};
use serde_json::{Value, json};
use shard_world::{
    ACME, World, asked,
    backups::{PATH, export, exported, forged, fresh, import, import_as, lines, nothing_remains, step},
    bootstrap, company, digest_of, hooks, key, path_of, publish,
};

#[test]
fn the_file_is_lines_of_json_whose_last_one_has_the_hash_of_the_others_and_no_secret_is_in_it() {
    let (world, keys, file) = exported();
    let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["kind"], &lines[0]["format"], &lines[0]["company"]), (&json!("header"), &json!(1), &json!(ACME)));
    assert_eq!((&lines[1]["kind"], &lines[1]["name"]), (&json!("company"), &json!(ACME)));
    let last = lines.last().unwrap();
    let (before, _) = file.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(last["sha256"], Digest::of(format!("{before}\n").as_bytes()).to_hex(), "what sha256sum says");
    let count = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    for (kind, expected) in [("owner", 3), ("key", 7 - 1), ("use", 2), ("bucket", 4), ("audit", count("audit"))] {
        assert_eq!((count(kind), &last[kind]), (expected, &json!(expected)), "{kind}");
    }
    for made in keys.as_object().unwrap().values() {
        assert!(!file.contains(made["key"].as_str().unwrap()));
        assert!(file.contains(&digest_of(made).to_hex()), "the digest is");
    }
    assert_eq!(export(&world, ACME, || {}), file, "again is the same");
}

#[test]
fn a_company_comes_back_as_it_was_and_goes_on() {
    let (old, keys, file) = exported();
    let world = fresh();
    let (status, body) = import(&world, &file);
    assert_eq!(status, 201, "{body}");
    assert_eq!((&body["company"], &body["active"], &body["restored"]["key"]), (&json!(ACME), &json!(true), &json!(6)));
    assert_eq!(body["propagation"]["announced_at"], Value::Null);

    // Everything that the lists and the trail said, they say; only that it is announced anew.
    old.now.set(world.now.get());
    let there = |world: &World, target: &str| world.operator("GET", &format!("{target}company={ACME}"), Value::Null).expect(200);
    for target in ["/v1/owners?", "/v1/audit?limit=200&to=2026-11-18T11:06:46Z&"] {
        let (mut then, mut now) = (there(&old, target), there(&world, target));
        then["next_cursor"].take();
        now["next_cursor"].take();
        assert_eq!(now, then, "{target}");
    }
    let (then, now) = (there(&old, "/v1/keys?"), there(&world, "/v1/keys?"));
    for (then, now) in then["keys"].as_array().unwrap().iter().zip(now["keys"].as_array().unwrap()) {
        let (mut then, mut now) = (then.clone(), now.clone());
        assert_eq!(now["propagation"]["announced_at"], Value::Null);
        then["propagation"].take();
        now["propagation"].take();
        assert_eq!(now, then);
    }
    let verified = there(&world, "/v1/audit/verify?");
    assert_eq!((&verified["valid"], &verified["entries"]), (&json!(true), &json!(body["restored"]["audit"].as_u64().unwrap() + 1)));
    let newest = &there(&world, "/v1/audit?limit=1&")["entries"][0];
    assert_eq!((&newest["action"], &newest["actor"]), (&json!("company.import"), &json!("demo/admin")));
    let header: Value = serde_json::from_str(file.lines().next().unwrap()).unwrap();
    assert_eq!(newest["after"], json!({"restored": body["restored"], "exported_at": header["exported_at"]}));

    // Keys work or not as before; what is done now is later than everything that came back.
    world.get(&key(&keys["plain"]["key"]), "/v1/whoami").expect(200);
    world.get(&key(&keys["revoked"]["key"]), "/v1/whoami").expect(401);
    world.get(&key(&keys["orphan"]["key"]), "/v1/whoami").expect(401);
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({"name": "new"})).expect(201);
    assert_eq!(world.get(&ann, "/v1/keys?limit=1").expect(200)["keys"][0]["id"], made["id"]);
    world.call(&ann, "DELETE", &path_of(&keys["plain"]), Value::Null).expect(204);
    assert_eq!(there(&world, "/v1/audit/verify?")["valid"], true);
}

#[test]
fn edges_are_told_above_everything_that_was_given_before_and_every_record_is_put() {
    let (old, keys, file) = exported();
    let given = old.sql("SELECT value FROM numbers WHERE name = 'rev'", &[])[0][0].number();
    let world = World::new();
    world.now.set(old.now.get() - 4_000); // this machine's clock is slower
    let (status, body) = import(&world, &file);
    assert_eq!(status, 201, "{body}");
    let deliveries = world.shard.deliveries(world.at()).unwrap();
    let Delivery::Announce(_, announcement) = &deliveries[0] else { panic!("{deliveries:?}") };
    let subject = Subject::company(world.shard.name(), &company(ACME));
    let rev = announcement.changes.iter().find(|change| change.0 == subject).unwrap().1;
    assert!(rev > given && rev >= world.now.get() + 10_000);
    let registered = deliveries
        .iter()
        .any(|delivery| matches!(delivery, Delivery::Register(_, notice) if notice.company.as_str() == ACME && notice.rev == rev));
    assert!(registered, "{deliveries:?}");
    world.announce();
    let row = world.operator("GET", &format!("/v1/keys?company={ACME}&limit=1"), Value::Null).expect(200);
    assert_eq!(row["keys"][0]["propagation"]["announced_at"], world.later(0));

    let put: Vec<_> = publish(&world).into_iter().map(|(name, value)| (name, value.unwrap())).collect();
    for (name, state) in [("plain", KeyState::Active), ("revoked", KeyState::Revoked), ("narrow", KeyState::Active)] {
        let digest = digest_of(&keys[name]);
        let secrets = &world.shard.settings().common.record_secrets;
        let value = put.iter().find(|(known, _)| known.ends_with(&digest.to_hex())).map(|(_, value)| value.as_str()).unwrap();
        let record = Record::open(secrets, world.shard.name(), &digest, value).unwrap();
        assert_eq!((record.state, record.rev), (state, rev), "{name}");
    }
}

#[test]
fn until_the_last_line_is_taken_the_company_is_not_there() {
    let (_, keys, file) = exported();
    let world = fresh();
    let call = world.request(&bootstrap(), "POST", PATH, "");
    let all: Vec<&str> = file.split_inclusive('\n').collect();
    let (last, most) = all.split_last().unwrap();
    assert!(matches!(step(&world, &call, "i1", lines(0, &most.concat(), None)), Taken::Further));
    world.get(&key(&keys["plain"]["key"]), "/v1/whoami").expect(401);
    assert_eq!(world.shard.resolve(world.at(), &asked(&digest_of(&keys["plain"]), false)).unwrap(), ResolveAnswer::Absent);
    for target in ["/v1/keys?", "/v1/owners?", "/v1/audit?", "/v1/audit/verify?"] {
        world.operator("GET", &format!("{target}company={ACME}"), Value::Null).expect(404);
    }
    world.operator("GET", &format!("/v1/companies/{ACME}"), Value::Null).expect(404);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "x"})).expect(409);
    world.operator("PUT", &format!("/v1/owners/x?company={ACME}"), json!({"name": "x"})).expect(404);
    assert!(publish(&world).iter().all(|(name, _)| !name.ends_with(&digest_of(&keys["plain"]).to_hex())));
    // What an edge that still knows the key reports is no obstacle.
    let used = KeyUsage {
        company: company(ACME),
        key_id: keyward_shared::ids::KeyId::new(keys["revoked"]["id"].as_str().unwrap()).unwrap(),
        last_used_at: world.at(),
        allowed: 1,
        refused: 0,
    };
    world.shard.usage(world.at(), &UsageReport { entries: vec![used] }).unwrap();
    let seal = Digest::of(most.concat().as_bytes()).to_hex();
    assert!(matches!(step(&world, &call, "i1", lines(1, last, Some(seal))), Taken::Done(_)));
    world.get(&key(&keys["plain"]["key"]), "/v1/whoami").expect(200);
}

#[test]
fn the_same_file_again_has_no_further_effect_and_another_is_refused() {
    let (_, _, file) = exported();
    let world = fresh();
    assert_eq!(import(&world, &file).0, 201);
    let trail = || world.operator("GET", &format!("/v1/audit/verify?company={ACME}"), Value::Null).expect(200)["entries"].clone();
    let entries = trail();
    world.announce();
    for (id, size) in [("i1", 4), ("i2", 7), ("i3", 1_000)] {
        let (status, body) = import_as(&world, &bootstrap(), PATH, id, &file, size);
        assert_eq!((status, &body["propagation"]["announced_at"]), (201, &json!(world.later(0))), "{id}");
    }
    assert_eq!(trail(), entries);
    let other = forged(&file, |lines| lines[1]["name"] = json!("Other"));
    assert_eq!(import_as(&world, &bootstrap(), PATH, "i4", &other, 7).0, 409);
    assert_eq!(import_as(&world, &bootstrap(), PATH, "i5", &forged(&file, |lines| lines[0]["rev"] = json!(7)), 7).0, 409);
    world.wait(86_401);
    world.shard.prune(world.at()).unwrap();
    assert_eq!(import_as(&world, &bootstrap(), PATH, "i6", &file, 7).0, 409, "after a day it is only known that there is such a company");
    // Where there is one already, or it was deleted and its digests with it.
    let (old, _, _) = exported();
    assert_eq!(import(&old, &file).0, 409);
    old.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    let (status, body) = import(&old, &file);
    assert_eq!((status, body["detail"].as_str().unwrap().contains("being erased")), (409, true), "{body}");
    old.announce();
    old.go_on();
    let (status, body) = import(&old, &file);
    assert_eq!((status, body["detail"].as_str().unwrap().contains("digest")), (409, true), "{body}");
    nothing_remains(&old);
}

#[test]
fn an_import_that_stops_is_replaced_by_the_next_or_erased_after_an_hour() {
    let (_, _, file) = exported();
    let world = fresh();
    let call = world.request(&bootstrap(), "POST", PATH, "");
    let half: String = file.split_inclusive('\n').take(8).collect();
    let begin = |id: &str| assert!(matches!(step(&world, &call, id, lines(0, &half, None)), Taken::Further));
    begin("i1");
    assert_eq!(import_as(&world, &bootstrap(), PATH, "i2", &file, 5).0, 201);
    assert!(matches!(step(&world, &call, "i1", lines(1, "{}\n", None)), Taken::Further), "what the replaced one sends has no effect");
    world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);

    let world = fresh();
    let call = world.request(&bootstrap(), "POST", PATH, "");
    assert!(matches!(step(&world, &call, "i1", lines(0, &half, None)), Taken::Further));
    let Taken::Again = step(&world, &call, "i2", lines(0, &half, None)) else { panic!("the rest of the first one goes first") };
    let Taken::Not(handled) = step(&world, &call, "i1", lines(1, "{}\n", None)) else { panic!("it was replaced") };
    assert_eq!(handled.status, 409);
    nothing_remains(&world);
    assert!(matches!(step(&world, &call, "i3", lines(0, &half, None)), Taken::Further));
    assert!(matches!(step(&world, &call, "i3", ImportStep::Abandon { because: None }), Taken::Further));
    assert!(world.shard.next_alarm(world.at()).unwrap() <= Some(world.at()), "at once");
    nothing_remains(&world);

    assert!(matches!(step(&world, &call, "i4", lines(0, &half, None)), Taken::Further));
    world.announce();
    for _ in 0..3 {
        publish(&world);
        world.wait(91);
    }
    let abandoned = world.shard.next_alarm(world.at()).unwrap().unwrap();
    world.shard.prune(world.at()).unwrap();
    assert!(!world.sql("SELECT 1 FROM owners WHERE company = ?1", &[ACME.into()]).is_empty(), "it may still go on");
    world.now.set(abandoned.0);
    nothing_remains(&world);
    assert_eq!(world.shard.next_alarm(world.at()).unwrap(), None);
}

#[test]
fn a_company_of_many_keys_goes_and_comes_in_parts_and_lives_on_meanwhile() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let statement = "INSERT INTO keys (company, key_id, digest, owner, name, hint, place, created_at, created_by, networks, metadata, manages_keys, \
        bootstrap, rev, changed_at, announced_at) VALUES (?1, ?2, ?3, 'ann', 'many', 'kw', ?4, ?4, 'ann', '[]', '{}', 0, 0, ?4, ?4, ?4)";
    world.sql("BEGIN", &[]);
    for number in 0..2_600_u64 {
        let (id, digest) = (format!("key_{number:020}"), Digest::of(&number.to_be_bytes()));
        world.sql(statement, &[ACME.into(), id.into(), (&digest).into(), (shard_world::START - 10_000 + number).into()]);
    }
    world.sql("COMMIT", &[]);
    let mut made = Vec::new();
    let file = export(&world, ACME, || {
        world.wait(1);
        made.push(world.create(&ann, json!({"name": "made meanwhile"})).expect(201));
        world.call(&ann, "PATCH", "/v1/keys/key_00000000000000002599", json!({"name": format!("named {}", made.len())})).expect(200);
        world.put_owner(ACME, &format!("owner{}", made.len()), &[]).expect(201);
        world.announce();
        world
            .shard
            .usage(
                world.at(),
                &UsageReport {
                    entries: vec![KeyUsage {
                        company: company(ACME),
                        key_id: keyward_shared::ids::KeyId::new(made[0]["id"].as_str().unwrap()).unwrap(),
                        last_used_at: world.at(),
                        allowed: 1,
                        refused: 0,
                    }],
                },
            )
            .unwrap();
    });
    assert!(made.len() > 5);
    let other = fresh();
    other.now.set(world.now.get());
    let (status, body) = import_as(&other, &bootstrap(), PATH, "i1", &file, 500);
    assert_eq!((status, &body["restored"]["key"]), (201, &json!(2_600)), "{body}: those that were there when it began");
    let verified = other.operator("GET", &format!("/v1/audit/verify?company={ACME}"), Value::Null).expect(200);
    assert_eq!(verified["valid"], true);
    let again = export(&other, ACME, || {});
    let keys = |file: &str| file.lines().filter(|line| line.contains("\"kind\":\"key\"")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(keys(&again), keys(&file), "an export of what was restored is what was exported");
    // A handful at a time, also when it is removed.
    let third = fresh();
    let call = third.request(&bootstrap(), "POST", PATH, "");
    for (number, part) in file.split_inclusive('\n').collect::<Vec<_>>().chunks(500).take(5).enumerate() {
        assert!(matches!(step(&third, &call, "i1", lines(number as u64, &part.concat(), None)), Taken::Further));
    }
    let left = || third.sql("SELECT COUNT(*) FROM keys WHERE company = ?1", &[ACME.into()])[0][0].number();
    let before = left();
    step(&third, &call, "i1", ImportStep::Abandon { because: Some("line 9: is not UTF-8".into()) });
    third.shard.prune(Millis(third.now.get())).unwrap();
    assert_eq!(left(), before - 1_000);
    nothing_remains(&third);
}

#[test]
fn webhooks_imported_keys_and_those_of_an_owner_who_has_just_gone_come_back_too() {
    let old = hooks::world();
    let hook = hooks::hook(&old, ACME, json!({"events": ["key.revoked", "key.expiring"], "name": "Chat"})).expect(201);
    let call = old.request(
        &bootstrap(),
        "POST",
        &format!("/v1/keys/import?company={ACME}"),
        &json!({"keys": [{"sha256": Digest::of(b"theirs").to_hex(), "name": "theirs", "owner": "ann"},
            {"sha256": Digest::of(b"too").to_hex(), "name": "too", "owner": "ann"}]})
        .to_string(),
    );
    let imported = old.shard.handle_claimed(old.at(), &mut old.random(), &call, Some(&Claimed { taken: Vec::new() }));
    assert_eq!(imported.status, 201);
    let gone = old.operator("POST", &format!("/v1/keys?company={ACME}"), json!({"name": "gone", "owner": "bob"})).expect(201);
    // What is not yet written of the keys of an owner who was deleted is so all the same.
    old.operator("DELETE", &format!("/v1/owners/bob?company={ACME}"), Value::Null).expect(204);
    let file = export(&old, ACME, || {});

    let world = World::with(hooks::with_secrets());
    world.wait(60);
    world.random()(&mut vec![0; 32 * 1_000]);
    assert_eq!(import(&world, &file).0, 201);
    let there = |target: &str| world.operator("GET", &format!("{target}?company={ACME}"), Value::Null).expect(200);
    let mut expected = hook;
    expected.as_object_mut().unwrap().remove("secret");
    assert_eq!(there("/v1/webhooks")["webhooks"], json!([expected]));
    assert_eq!(there(&path_of(&gone))["status"], "revoked");
    let listed = there("/v1/keys")["keys"].clone();
    let imported: Vec<_> = listed.as_array().unwrap().iter().filter(|key| key["imported"] == true).collect();
    assert_eq!(imported.len(), 2, "{listed}");
    // The registry of this deployment is to know whose these digests are.
    world.go_on();
    let claimed: usize = world
        .shard
        .deliveries(world.at())
        .unwrap()
        .into_iter()
        .map(|delivery| if let Delivery::Claim(_, claims) = delivery { claims.digests.len() } else { 0 })
        .sum();
    assert_eq!(claimed, 2);
    // It hears of what happens from now on, and of nothing that was before.
    world.operator("POST", &format!("{}/revoke?company={ACME}", path_of(imported[0])), json!({})).expect(200);
    assert_eq!(hooks::told(&world).iter().map(|(event, _)| event.as_str()).collect::<Vec<_>>(), ["key.revoked"]);
}
