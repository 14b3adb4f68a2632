//! Lists in every order: page after page, while keys are made, for their owner and for whoever sees everyone's.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)] // the small helpers below are part of the tests

mod shard_world;

use std::collections::BTreeSet;

use keyward_control::call::Credential;
use keyward_shared::{
    ids::KeyId,
    messages::{KeyUsage, UsageReport},
    time::Millis,
};
use serde_json::{Value, json};
use shard_world::{ACME, OTHER, World, company};

const SORTS: [&str; 5] = ["-created_at", "created_at", "name", "expires_at", "last_used_at"];

/// A world in which ann and bob have keys with names, expiries and last uses that are often the same.
fn world() -> World {
    let world = World::peopled();
    for (n, name) in
        ["beta", "Alpha", "alpha", "gamma", "Beta", "delta", "alpha", "\u{e9}t\u{e9}", "zeta", "alpha", "gamma"].iter().enumerate()
    {
        let who = world.sign_in(ACME, if n % 3 == 2 { "bob" } else { "ann" });
        let expires_at = [None, Some(world.later(50_000)), Some(world.later(90_000))][n % 3].clone();
        let made = world.create(&who, json!({"name": name, "expires_at": expires_at})).expect(201);
        world.wait(1);
        if n % 2 == 0 {
            let key_id = KeyId::new(made["id"].as_str().unwrap()).unwrap();
            let usage = KeyUsage { company: company(ACME), key_id, last_used_at: world.at(), allowed: 1, refused: 0 };
            world.shard.usage(world.at(), &UsageReport { entries: vec![usage] }).unwrap();
        }
        if n % 5 == 0 {
            world.wait(60);
        }
    }
    world.create(&world.sign_in(OTHER, "ann"), json!({"name": "alpha"})).expect(201);
    world
}

fn list(world: &World, who: &Credential, query: &str) -> (Vec<Value>, Option<String>) {
    let answer = world.get(who, &format!("/v1/keys?{query}")).expect(200);
    (answer["keys"].as_array().unwrap().clone(), answer["next_cursor"].as_str().map(str::to_owned))
}

/// Page after page; `between` happens after each.
fn pages(world: &World, who: &Credential, query: &str, mut between: impl FnMut()) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (keys, next) = list(world, who, &format!("{query}&cursor={cursor}"));
        all.extend(keys);
        between();
        let Some(next) = next else { return all };
        cursor = next;
    }
}

/// What keys are ordered by, as text that compares alike.
fn value(sort: &str, key: &Value) -> String {
    let text = |name: &str| key[name].as_str().map(str::to_owned);
    match sort {
        "name" => text("name").unwrap().to_ascii_lowercase(),
        "expires_at" => text("expires_at").unwrap_or_else(|| "~".into()),
        "last_used_at" => text("last_used_at").unwrap_or_default(),
        _ => text("created_at").unwrap(),
    }
}

fn ids(keys: &[Value]) -> Vec<String> {
    keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_order_is_right_for_everyones_and_for_own_keys() {
    let world = world();
    for (who, count) in [("admin", 11), ("ann", 8)] {
        let who = world.sign_in(ACME, who);
        for sort in SORTS {
            let (whole, next) = list(&world, &who, &format!("sort={sort}"));
            assert_eq!((whole.len(), next), (count, None), "{sort}");
            let values: Vec<_> = whole.iter().map(|key| value(sort, key)).collect();
            let rising = values.is_sorted();
            let falling = values.iter().rev().is_sorted();
            assert!(if sort == "-created_at" { falling } else { rising }, "{sort}: {values:?}");
            assert!(!(rising && falling), "the keys differ");
        }
    }
    let admin = world.sign_in(ACME, "admin");
    let of_bob = list(&world, &admin, "sort=name&owner=bob").0;
    assert_eq!((of_bob.len(), of_bob.iter().all(|key| key["owner"] == "bob")), (3, true));
    for bad in ["sort=-name", "sort=id", "sort=Name"] {
        world.get(&admin, &format!("/v1/keys?{bad}")).expect(400);
    }
}

#[test]
fn pages_hold_every_key_once_in_order_while_keys_are_made() {
    for sort in SORTS {
        for (who, filter) in
            [("admin", ""), ("ann", ""), ("admin", "&status=active"), ("ann", "&q=a"), ("admin", "&owner=ann&status=active")]
        {
            let world = world();
            let who = world.sign_in(ACME, who);
            let query = format!("sort={sort}{filter}");
            let before = ids(&list(&world, &who, &query).0);
            let mut made = 0;
            let ann = world.sign_in(ACME, "ann");
            let seen = pages(&world, &who, &format!("{query}&limit=2"), || {
                made += 1;
                for name in ["alpha", "aaa", "zzz"].into_iter().filter(|_| made <= 4) {
                    world.create(&ann, json!({"name": name, "expires_at": world.later(50_000)})).expect(201);
                }
            });
            let seen = ids(&seen);
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "{query}: a key twice");
            let old: Vec<_> = seen.into_iter().filter(|id| before.contains(id)).collect();
            assert_eq!(old, before, "{query}");
        }
    }
}

#[test]
fn a_cursor_belongs_to_its_order_its_filters_and_its_viewer() {
    let world = world();
    let (admin, ann) = (world.sign_in(ACME, "admin"), world.sign_in(ACME, "ann"));
    for sort in SORTS {
        let cursor = list(&world, &admin, &format!("sort={sort}&limit=1")).1.unwrap();
        for other in SORTS.into_iter().filter(|other| *other != sort) {
            world.get(&admin, &format!("/v1/keys?sort={other}&cursor={cursor}")).expect(400);
        }
        world.get(&admin, &format!("/v1/keys?sort={sort}&q=a&cursor={cursor}")).expect(400);
        world.get(&ann, &format!("/v1/keys?sort={sort}&cursor={cursor}")).expect(400);
    }
}

#[test]
fn an_owner_of_very_many_keys_and_a_filter_that_finds_little_get_bounded_pages() {
    let world = world();
    world.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) \
         INSERT INTO keys (company, key_id, digest, owner, name, hint, place, created_at, created_by, networks, metadata, manages_keys, bootstrap, \
         rev, changed_at, announced_at) SELECT ?1, printf('key_%020d', i), printf('%064x', i), CASE WHEN i % 2 THEN 'ann' ELSE 'bob' END, \
         'filled', 'h', i, ?2, 'ann', '[]', '{}', 0, 0, i, ?2, ?2 FROM n",
        &[ACME.into(), Millis(1_700_000_000_000).into()],
    );
    world.sql("INSERT OR IGNORE INTO key_usage SELECT company, key_id, 0 FROM keys", &[]);
    for sort in SORTS {
        let (ann, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "admin"));
        let (own, mut requests) = (pages(&world, &ann, &format!("sort={sort}&limit=200"), || {}), 0);
        assert_eq!((own.len(), ids(&own).into_iter().collect::<BTreeSet<_>>().len()), (3_008, 3_008), "{sort}");
        let values: Vec<_> = own.iter().map(|key| value(sort, key)).collect();
        assert!(values.is_sorted() || sort == "-created_at" && values.iter().rev().is_sorted(), "{sort}");
        let few = pages(&world, &admin, &format!("sort={sort}&q=gamma"), || requests += 1);
        assert_eq!((few.len(), requests), (2, 4), "{sort}: 6,011 keys, 2,000 at a time");
    }
    // A filter by what the list is ordered by ends it early.
    let admin = world.sign_in(ACME, "admin");
    let mut requests = 0;
    let soon = pages(&world, &admin, &format!("sort=expires_at&expires_before={}", world.later(900_000)), || requests += 1);
    assert_eq!((soon.len(), requests), (7, 1));
}
