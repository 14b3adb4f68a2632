//! What edges and the Feed object are told, where an instance may have been displaced or storage may have been lost.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{Announced, Authenticate, Credential},
    shard::outbox::Delivery,
};
use keyward_shared::{digest::Digest, messages::ResolveAnswer, record, time::Millis};
use serde_json::{Value, json};
use shard_world::{ACME, World, asked, digest_of, path_of, publish, settle};

#[test]
fn a_record_that_has_no_key_and_is_in_the_store_all_the_same_is_removed_from_it() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    world.call(&ann, "DELETE", &path_of(&made), Value::Null).expect(204);
    settle(&world);
    for digest in [digest_of(&made), Digest::of(b"of a key that a restored backup does not know")] {
        assert_eq!(world.shard.resolve(world.at(), &asked(&digest, false)).unwrap(), ResolveAnswer::Absent);
        assert_eq!(world.shard.next_alarm(world.at()).unwrap(), None, "nobody has seen one");
        let removal = [(record::name(world.shard.name(), &digest), None)];
        for _ in 0..3 {
            assert_eq!(world.shard.resolve(world.at(), &asked(&digest, true)).unwrap(), ResolveAnswer::Absent);
        }
        assert_eq!(publish(&world), removal);
        world.wait(60);
        world.shard.resolve(world.at(), &asked(&digest, true)).unwrap();
        assert!(publish(&world).is_empty(), "a copy of the store may be old for a while");
        world.wait(30);
        assert_eq!(publish(&world), removal);
        assert_eq!(world.shard.next_alarm(world.at()).unwrap(), None);
    }
    let digest = Digest::of(b"drawn elsewhere");
    world.shard.resolve(world.at(), &asked(&digest, true)).unwrap();
    let ann = world.sign_in(ACME, "ann");
    world.create(&ann, json!({"digest": digest.to_hex()})).expect(201);
    assert!(publish(&world)[0].1.is_some(), "whoever makes the key meanwhile keeps its record");
}

#[test]
fn an_instance_whose_writes_are_refused_says_nothing_about_a_key() {
    let world = World::peopled();
    let made = world.create(&world.sign_in(ACME, "ann"), json!({})).expect(201);
    let digest = digest_of(&made);
    let read_at = || world.sql("SELECT value FROM numbers WHERE name = 'read_at'", &[]);
    let reads: [&dyn Fn() -> bool; 2] = [&|| world.shard.resolve(world.at(), &asked(&digest, false)).is_ok(), &|| {
        world.shard.due(world.at(), 10).is_ok_and(|due| due.len() == 2)
    }];
    for read in reads {
        assert!(read());
        let before = read_at();
        assert!(read());
        assert_ne!(read_at(), before, "a write that changes nothing would be none");
    }
    world.sql("CREATE TRIGGER displaced BEFORE INSERT ON numbers BEGIN SELECT RAISE(ABORT, 'displaced'); END", &[]);
    assert!(
        world.shard.resolve(world.at(), &asked(&digest, false)).is_err()
            && world.shard.resolve(world.at(), &asked(&Digest::of(b"none"), false)).is_err()
    );
    let whose = Authenticate { credential: Credential::Key(digest), address: None, request_id: "r".into() };
    assert!(world.shard.authenticate(world.at(), &whose).is_err(), "nor does it vouch for anybody");
    assert!(world.shard.due(world.at(), 10).is_err());
}

#[test]
fn an_announcement_tells_the_feed_of_the_highest_stamp_that_it_gave() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let seen = |world: &World| {
        let made = world.create(&ann, json!({})).expect(201);
        world.call(&ann, "DELETE", &path_of(&made), Value::Null).expect(204);
        let deliveries = world.shard.deliveries(world.at()).unwrap();
        let Some(Delivery::Announce(ids, announcement)) = deliveries.into_iter().next() else { panic!() };
        (ids, announcement.seen)
    };
    let (ids, none) = seen(&world);
    assert_eq!(none, None);
    let stamp = world.at().plus(Millis(7));
    world.shard.announced(&ids, Announced { announced_at: stamp.plus(Millis(900)), stamp }).unwrap();
    let (ids, known) = seen(&world);
    assert_eq!(known, Some(stamp));
    world.shard.announced(&ids, Announced { announced_at: stamp, stamp: stamp.minus(Millis(1)) }).unwrap();
    assert_eq!(seen(&world).1, Some(stamp), "an answer that came late lowers nothing");
}
