//! After the object was restored from a backup: everything is announced and put again, above all that was given before.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{Announced, ApiCall},
    shard::outbox::Delivery,
    sql::Value as SqlValue,
};
use keyward_shared::{digest::Digest, feed::Subject, record::Record};
use serde_json::{Value, json};
use shard_world::{ACME, OPERATOR, OTHER, World, bootstrap, digest_of, settle};

const PATH: &str = "/v1/maintenance/republish";

fn republish(world: &World, query: &str) -> Value {
    world.operator("POST", &format!("{PATH}{query}"), Value::Null).expect(202)
}

#[test]
fn its_revision_is_above_the_last_one_and_above_what_another_clock_could_have_given() {
    let world = World::peopled();
    world.wait(60);
    let first = republish(&world, "")["rev"].as_u64().unwrap();
    assert_eq!(first, world.now.get() + 10_000);
    assert_eq!(republish(&world, "")["rev"], first + 1);
    world.now.set(world.now.get() - 3_600_000);
    assert_eq!(republish(&world, "")["rev"], first + 2, "the clock went back");
    let made = world.create(&world.sign_in(ACME, "ann"), json!({})).expect(201);
    let statement = "SELECT rev FROM keys WHERE company = ?1 AND key_id = ?2";
    let rows = world.sql(statement, &[ACME.into(), made["id"].as_str().unwrap().into()]);
    assert_eq!(rows[0][0].number(), first + 3, "what follows goes on from there");
}

#[test]
fn every_key_of_every_company_of_the_shard_is_put_again_at_the_new_revision() {
    let world = World::peopled();
    let mut digests = vec![Digest::of(b"bootstrap")];
    for id in [ACME, OTHER] {
        for owner in ["ann", "bob"] {
            digests.push(digest_of(&world.create(&world.sign_in(id, owner), json!({})).expect(201)));
        }
    }
    settle(&world);
    // Times of puts that a faster clock has written.
    world.sql("UPDATE puts SET put_at = put_at + 3600000", &[]);
    let rev = republish(&world, &format!("?company={ACME}"))["rev"].as_u64().unwrap();
    let mut put = Vec::new();
    world.wait(1);
    while world.shard.next_alarm(world.at()).unwrap().is_some_and(|at| at <= world.at()) {
        world.announce();
        for publication in world.shard.due(world.at(), 1000).unwrap() {
            let secrets = &world.shard.settings().common.record_secrets;
            let value = publication.value.as_deref().unwrap();
            let record = Record::open(secrets, world.shard.name(), &publication.digest, value).unwrap();
            assert_eq!(record.rev, rev);
            put.push(publication.digest);
            world.shard.published(world.at(), &publication, true).unwrap();
        }
    }
    put.sort();
    digests.sort();
    assert_eq!(put, digests);
}

#[test]
fn the_whole_shard_is_announced_and_the_answer_says_when() {
    let world = World::peopled();
    settle(&world);
    let call = world.request(&bootstrap(), "POST", PATH, "{}");
    let mut handled = world.shard.handle(world.at(), &mut world.random(), &call);
    assert_eq!(handled.status, 202);
    let body = handled.body.clone().unwrap();
    assert_eq!(
        body["propagation"],
        json!({"committed_at": world.later(0), "announced_at": null, "expected_by": null, "effective_by": null})
    );
    let deliveries = world.shard.deliveries(world.at()).unwrap();
    let [Delivery::Announce(ids, announcement), ..] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    let said: Vec<_> = announcement.changes.iter().map(|change| (change.0, change.1)).collect();
    assert_eq!(said, [(Subject::shard(world.shard.name()), body["rev"].as_u64().unwrap())]);
    world.wait(2);
    world.shard.announced(ids, Announced { announced_at: world.at(), stamp: world.at() }).unwrap();
    world.shard.refresh(&mut handled).unwrap();
    let propagation = &handled.body.unwrap()["propagation"];
    assert_eq!((&propagation["announced_at"], &propagation["effective_by"]), (&json!(world.later(0)), &json!(world.later(180))));
}

#[test]
fn where_the_feed_was_restored_too_its_object_is_told() {
    for (query, told) in [("", false), ("?feed=false", false), ("?feed=true", true)] {
        let world = World::peopled();
        settle(&world);
        republish(&world, query);
        let deliveries = world.shard.deliveries(world.at()).unwrap();
        let [Delivery::Announce(_, announcement), ..] = deliveries.as_slice() else { panic!("{deliveries:?}") };
        assert_eq!(announcement.restored, told, "{query}");
    }
}

#[test]
fn a_company_that_is_deleted_meanwhile_does_not_take_the_announcement_with_it() {
    let world = World::peopled();
    settle(&world);
    let rev = republish(&world, &format!("?company={ACME}"))["rev"].as_u64().unwrap();
    world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    let deliveries = world.shard.deliveries(world.at()).unwrap();
    let [Delivery::Announce(_, announcement), ..] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    assert!(announcement.changes.iter().any(|change| change.0 == Subject::shard(world.shard.name()) && change.1 == rev));
}

#[test]
fn the_registry_learns_of_the_companies_and_in_the_operators_own_of_the_policy() {
    for (query, told_of_policy) in [("", 1), ("?company=demo", 1), (&format!("?company={ACME}"), 0)] {
        let world = World::peopled();
        settle(&world);
        let rev = republish(&world, query)["rev"].as_u64().unwrap();
        let deliveries = world.shard.deliveries(world.at()).unwrap();
        let companies: Vec<_> = deliveries
            .iter()
            .filter_map(|delivery| match delivery {
                Delivery::Register(_, notice) => Some((notice.company.as_str(), notice.rev, notice.object.is_some())),
                _ => None,
            })
            .collect();
        assert_eq!(companies, [(ACME, rev, true), (OTHER, rev, true), (OPERATOR, rev, true)]);
        let policy = deliveries.iter().filter(|d| matches!(d, Delivery::RestorePolicy(_, message) if message.by.as_str() == "admin"));
        assert_eq!(policy.count(), told_of_policy, "{query}");
    }
}

#[test]
fn the_trail_of_each_company_says_so() {
    let world = World::peopled();
    let rev = republish(&world, &format!("?company={ACME}"))["rev"].clone();
    for (id, actor) in [(ACME, "demo/admin"), (OTHER, "demo/admin"), (OPERATOR, "admin")] {
        let trail = world.operator("GET", &format!("/v1/audit?company={id}&action=maintenance.republish"), Value::Null).expect(200);
        let entry = &trail["entries"][0];
        assert_eq!((&entry["actor"], &entry["after"]["rev"]), (&json!(actor), &rev), "{id}");
        let verified = world.operator("GET", &format!("/v1/audit/verify?company={id}"), Value::Null).expect(200);
        assert_eq!(verified["valid"], true);
    }
}

#[test]
fn only_the_operator_may_and_says_nothing_more() {
    let world = World::peopled();
    let admin = world.sign_in(ACME, "admin");
    world.call(&admin, "POST", PATH, Value::Null).expect(403);
    world.call(&admin, "POST", &format!("{PATH}?company={OTHER}"), Value::Null).expect(403);
    world.operator("POST", &format!("{PATH}?company=nobody"), Value::Null).expect(404);
    world.operator("POST", PATH, json!({"company": ACME})).expect(400);
    world.operator("POST", &format!("{PATH}?shard=x"), Value::Null).expect(400);
    world.operator("POST", &format!("{PATH}?feed=yes"), Value::Null).expect(400);
    assert_eq!(world.sql("SELECT 1 FROM outbox WHERE kind = 'shard'", &[]), Vec::<Vec<SqlValue>>::new());
}

#[test]
fn a_repeated_request_republishes_once() {
    let world = World::peopled();
    let call = ApiCall { idempotency_key: Some("restore-1".into()), ..world.request(&bootstrap(), "POST", PATH, "") };
    let first = world.send(&call).expect(202);
    assert_eq!(world.send(&call).expect(202)["rev"], first["rev"]);
    assert_eq!(world.sql("SELECT COUNT(*) FROM outbox WHERE kind = 'shard'", &[]), [[SqlValue::Integer(1)]]);
}
