//! How often a key was used, and whether its predecessor still is.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    shard::schema,
    sql::{Sql as _, Value as SqlValue, native::NativeSql},
};
use keyward_shared::{
    ids::KeyId,
    messages::{KeyUsage, UsageReport},
    time::Millis,
};
use serde_json::{Value, json};
use shard_world::{ACME, OTHER, START, World, company, path_of};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn use_key(world: &World, made: &Value, allowed: u32, refused: u32) {
    let usage = KeyUsage {
        company: company(ACME),
        key_id: KeyId::new(made["id"].as_str().unwrap()).unwrap(),
        last_used_at: world.at(),
        allowed,
        refused,
    };
    world.shard.usage(world.at(), &UsageReport { entries: vec![usage] }).unwrap();
    world.shard.prune(world.at()).unwrap();
}

/// A world at the beginning of a day, with a key of ann's.
fn at_midnight() -> (World, keyward_control::call::Credential, Value) {
    let world = World::peopled();
    world.now.set(START / (DAY * 1000) * DAY * 1000 + DAY * 1000);
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    (world, ann, made)
}

fn usage(world: &World, made: &Value, query: &str) -> Value {
    world.operator("GET", &format!("{}/usage?company={ACME}&{query}", path_of(made)), Value::Null).expect(200)
}

fn counts(buckets: &Value) -> Vec<(u64, u64)> {
    buckets["buckets"].as_array().unwrap().iter().map(|b| (b["allowed"].as_u64().unwrap(), b["refused"].as_u64().unwrap())).collect()
}

#[test]
fn use_is_counted_by_hour_and_by_day_oldest_first() {
    let (world, _, made) = at_midnight();
    assert_eq!(counts(&usage(&world, &made, "")), []);
    let midnight = world.later(0);
    for (after, allowed, refused) in [(10, 3, 1), (HOUR, 2, 0), (HOUR - 20, 1, 0), (DAY, 7, 7)] {
        world.wait(after);
        use_key(&world, &made, allowed, refused);
    }
    let by_hour = usage(&world, &made, "by=hour");
    assert_eq!(counts(&by_hour), [(3, 1), (3, 0), (7, 7)]);
    assert_eq!((&by_hour["by"], &by_hour["buckets"][0]["at"]), (&json!("hour"), &json!(midnight)));
    let by_day = usage(&world, &made, "");
    assert_eq!((&by_day["by"], counts(&by_day)), (&json!("day"), vec![(6, 1), (7, 7)]));
    assert_eq!(by_day["since_superseded"], Value::Null);
}

#[test]
fn from_and_to_choose_whole_hours_and_days() {
    let (world, _, made) = at_midnight();
    let times: Vec<_> = (0..5).map(|hour| world.later(hour * HOUR)).collect();
    let within = world.later(HOUR + 1);
    for n in 0..4 {
        use_key(&world, &made, n + 1, 0);
        world.wait(HOUR);
    }
    for (query, expected) in [
        (format!("from={}", times[1]), vec![2, 3, 4]),
        (format!("from={within}"), vec![2, 3, 4]),
        (format!("to={}", times[1]), vec![1]),
        (format!("to={within}"), vec![1, 2]),
        (format!("from={}&to={}", times[1], times[3]), vec![2, 3]),
        (format!("from=1970-01-01T00:00:00Z&to={}", times[2]), vec![1, 2]),
        (format!("to={}", world.later(10 * DAY)), vec![1, 2, 3, 4]),
    ] {
        let seen: Vec<_> = counts(&usage(&world, &made, &format!("by=hour&{query}"))).iter().map(|bucket| bucket.0).collect();
        assert_eq!(seen, expected, "{query}");
    }
    let told = usage(&world, &made, &format!("by=hour&from={within}"));
    assert_eq!(told["from"], json!(times[1]), "an hour is counted whole");
    for bad in [
        format!("from={0}&to={0}", times[1]),
        format!("from={}&to={}", times[2], times[1]),
        "by=week".into(),
        "from=x".into(),
        "at=1".into(),
    ] {
        world.operator("GET", &format!("{}/usage?company={ACME}&{bad}", path_of(&made)), Value::Null).expect(400);
    }
}

#[test]
fn hours_are_shown_for_seven_days_and_days_for_ninety() {
    let (world, _, made) = at_midnight();
    for _ in 0..100 {
        use_key(&world, &made, 1, 0);
        world.wait(DAY);
    }
    let (hours, days) = (usage(&world, &made, "by=hour&from=1970-01-01T00:00:00Z"), usage(&world, &made, "by=day"));
    assert_eq!((counts(&hours).len(), counts(&days).len()), (7, 90));
    world.wait(60);
    assert_eq!(counts(&usage(&world, &made, "by=hour")).len(), 6, "what is on the point of being removed is not shown");
}

#[test]
fn nobody_sees_the_use_of_a_key_that_is_not_theirs() {
    let (world, ann, made) = at_midnight();
    let target = format!("{}/usage", path_of(&made));
    world.get(&ann, &target).expect(200);
    world.get(&world.sign_in(ACME, "admin"), &target).expect(200);
    world.get(&world.sign_in(ACME, "bob"), &target).expect(404);
    world.get(&world.sign_in(OTHER, "admin"), &target).expect(404);
    world.get(&shard_world::key(&made["key"]), &target).expect(403);
    world.get(&ann, "/v1/keys/key_nothing/usage").expect(404);
}

#[test]
fn whether_an_old_key_is_still_in_use_is_seen_after_its_rotation() {
    let (world, ann, old) = at_midnight();
    use_key(&world, &old, 100, 0);
    world.wait(1800);
    world.call(&ann, "POST", &format!("{}/rotate", path_of(&old)), Value::Null).expect(201);
    let superseded_at = world.later(0);
    let object = world.get(&ann, &path_of(&old)).expect(200);
    assert_eq!(object["superseded_at"], json!(superseded_at));
    assert!(object["last_used_at"].as_str() < object["superseded_at"].as_str(), "not used since");

    // In the hour of the rotation only "last used" can tell.
    world.wait(60);
    use_key(&world, &old, 5, 0);
    let object = world.get(&ann, &path_of(&old)).expect(200);
    assert!(object["last_used_at"].as_str() > object["superseded_at"].as_str());
    assert_eq!(usage(&world, &old, "")["since_superseded"], json!({"from": world.later(1740), "allowed": 0, "refused": 0}));

    world.wait(HOUR);
    use_key(&world, &old, 7, 2);
    let since = usage(&world, &old, "")["since_superseded"].clone();
    assert_eq!((&since["allowed"], &since["refused"]), (&json!(7), &json!(2)));

    // A week later hours are gone and whole days count: those of the first day are not among them.
    world.wait(8 * DAY);
    use_key(&world, &old, 1, 0);
    let since = usage(&world, &old, "")["since_superseded"].clone();
    assert_eq!((&since["allowed"], &since["refused"]), (&json!(1), &json!(0)));
    assert!(since["from"].as_str().unwrap().ends_with("T00:00:00Z"));
}

#[test]
fn a_list_has_the_last_thirty_days_of_each_of_its_keys_when_asked() {
    let (world, ann, made) = at_midnight();
    let other = world.create(&ann, json!({"name": "unused"})).expect(201);
    for n in 1..=40 {
        use_key(&world, &made, n, u32::from(n == 40));
        world.wait(DAY);
    }
    world.wait(60);
    let ann = world.sign_in(ACME, "ann");
    let listed = |query: &str| world.get(&ann, &format!("/v1/keys?{query}")).expect(200);
    let keys = listed("usage=30d");
    let of = |id: &Value| keys["keys"].as_array().unwrap().iter().find(|key| key["id"] == *id).unwrap()["usage"].clone();
    let days: Vec<_> = of(&made["id"]).as_array().unwrap().iter().map(|day| (day["allowed"].clone(), day["refused"].clone())).collect();
    // Today, the forty-first day, has no request; the twenty-nine before it have.
    assert_eq!((days.len(), &days[0], &days[28]), (29, &(json!(12), json!(0)), &(json!(40), json!(1))));
    assert_eq!(of(&other["id"]), json!([]));
    assert!(listed("")["keys"].as_array().unwrap().iter().all(|key| key.get("usage").is_none()), "only when asked");
    for bad in ["usage=7d", "usage=30", "usage=30d&usage=30d"] {
        world.get(&ann, &format!("/v1/keys?{bad}")).expect(400);
    }
    let cursor = listed("usage=30d&limit=1")["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(listed(&format!("limit=1&cursor={cursor}"))["keys"][0]["id"], made["id"], "a cursor goes on whatever is told of the keys");
    // What a key of the same id in another company did is not among it.
    world.sql("UPDATE key_buckets SET company = ?1", &[OTHER.into()]);
    assert!(listed("usage=30d")["keys"].as_array().unwrap().iter().all(|key| key["usage"] == json!([])));
}

#[test]
fn keys_rotated_before_the_time_was_kept_have_their_successors() {
    let sql = NativeSql::in_memory().unwrap();
    // As the first version left it.
    let first: Vec<_> = schema::text().split(";\n").take_while(|statement| !statement.contains("name_order")).map(str::to_owned).collect();
    for statement in &first {
        sql.execute(statement, &[]).unwrap();
    }
    sql.execute("CREATE TABLE schema_version (version INTEGER PRIMARY KEY) WITHOUT ROWID", &[]).unwrap();
    sql.execute("INSERT INTO schema_version VALUES (1)", &[]).unwrap();
    for (id, created_at, successor) in [("a", 1, Some("b")), ("b", 2, None), ("c", 3, Some("gone"))] {
        sql.execute(
            "INSERT INTO keys (company, key_id, digest, owner, name, hint, place, created_at, created_by, networks, metadata, manages_keys, bootstrap, \
             superseded_by, rev, changed_at) VALUES ('x', ?1, ?1, 'o', 'n', 'h', ?2, ?2, 'o', '[]', '{}', 0, 0, ?3, ?2, ?2)",
            &[id.into(), Millis(created_at).into(), successor.into()],
        )
        .unwrap();
    }
    sql.execute("INSERT INTO key_usage VALUES ('x', 'a', 77)", &[]).unwrap();
    schema::migrate(&sql).unwrap();
    let rows = sql
        .execute(
            "SELECT k.key_id, superseded_at, last_used_at FROM keys k JOIN key_usage u ON u.company = k.company AND u.key_id = k.key_id",
            &[],
        )
        .unwrap();
    let number = SqlValue::Integer;
    assert_eq!(
        rows,
        [vec!["a".into(), number(2), number(77)], vec!["b".into(), SqlValue::Null, number(0)], vec!["c".into(), SqlValue::Null, number(0)]]
    );
}
