//! Storage of every earlier version opens: nothing in it is lost, and it answers as it did.
//!
//! `golden/earlier/<object>-<version>.sql` is what an object of that version had stored, made by the code of that version,
//! and `….json` what it answered. Whoever adds a migration first runs, with the code as it is before,
//! `UPDATE_GOLDEN_DUMPS=1 cargo test -p keyward-control --test earlier_schemas` and keeps the files of the version that it
//! was: a test below fails without them. A file of a version that was released is never written anew.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

#[path = "earlier_schemas/dump.rs"]
mod dump;
#[path = "earlier_schemas/made.rs"]
mod made;
mod shard_world;

use std::{env, fs, path::PathBuf};

use keyward_control::{
    call::{ApiCall, Credential},
    feed::Feed,
    sql::{Sql as _, native::NativeSql},
};
use keyward_shared::{time::Millis, timing::Timing};
use serde_json::{Value, json};
use shard_world::World;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/earlier")
}

/// The dumps of `object` with their notes and versions.
fn dumps(object: &str) -> Vec<(u64, NativeSql, Value)> {
    let mut found = Vec::new();
    for version in 1.. {
        let file = folder().join(format!("{object}-{version}.sql"));
        let Ok(text) = fs::read_to_string(&file) else { break };
        let notes = fs::read_to_string(file.with_extension("json")).unwrap();
        found.push((version, dump::load(&text), serde_json::from_str(&notes).unwrap()));
    }
    assert!(!found.is_empty() || env::var_os("UPDATE_GOLDEN_DUMPS").is_some());
    found
}

/// Whether everything that was noted is there now; what was added since is not looked at.
fn within(noted: &Value, now: &Value) -> bool {
    match (noted, now) {
        (Value::Object(noted), Value::Object(now)) => noted.iter().all(|(name, value)| now.get(name).is_some_and(|now| within(value, now))),
        (Value::Array(noted), Value::Array(now)) => {
            noted.len() == now.len() && noted.iter().zip(now).all(|(noted, now)| within(noted, now))
        }
        (noted, now) => noted == now,
    }
}

#[track_caller]
fn same(noted: &Value, now: &Value, what: &str) {
    assert!(within(noted, now), "{what}\nnoted: {noted}\nnow: {now}");
}

/// Opens the storage with today's code, and finds the tables of a new one with every row that was there.
fn opened(sql: NativeSql, new: &NativeSql, open: impl Fn(&NativeSql)) -> NativeSql {
    let known = dump::tables(&sql).into_iter().filter(|table| table != "schema_version");
    let before: Vec<_> = known.map(|table| (dump::columns(&sql, &table), table)).collect();
    let rows = |sql: &NativeSql| before.iter().map(|(columns, table)| dump::rows(sql, table, columns)).collect::<Vec<_>>();
    let stored = rows(&sql);
    open(&sql);
    assert_eq!(dump::shape(&sql), dump::shape(new));
    for ((stored, now), (_, table)) in stored.iter().zip(rows(&sql)).zip(&before) {
        assert!(stored.iter().all(|row| now.contains(row)), "{table} has lost rows");
    }
    assert_eq!(dump::version(&sql), dump::version(new));
    sql
}

fn migrate_shard(sql: &NativeSql) {
    keyward_control::shard::schema::migrate(sql).unwrap();
}

fn new_shard() -> NativeSql {
    let sql = NativeSql::in_memory().unwrap();
    migrate_shard(&sql);
    sql
}

fn new_registry() -> NativeSql {
    let sql = NativeSql::in_memory().unwrap();
    made::open_registry(&sql);
    sql
}

fn open_feed(sql: &NativeSql) -> Feed<&NativeSql> {
    Feed::open(sql, Timing::default(), made::GROUP, Millis(shard_world::START + 30_000)).unwrap()
}

fn new_feed() -> NativeSql {
    let sql = NativeSql::in_memory().unwrap();
    open_feed(&sql);
    sql
}

#[test]
fn every_version_but_the_newest_has_a_dump() {
    if env::var_os("UPDATE_GOLDEN_DUMPS").is_some() {
        return;
    }
    for (object, newest) in [("shard", new_shard()), ("registry", new_registry()), ("feed", new_feed())] {
        let newest = dump::version(&newest);
        for version in 1..newest {
            let file = folder().join(format!("{object}-{version}.sql"));
            assert!(file.exists(), "{} is missing: see how it is made at the top of this file", file.display());
            assert_eq!(dump::version(&dump::load(&fs::read_to_string(&file).unwrap())), version, "{}", file.display());
        }
    }
    assert!(folder().join("shard-1.sql").exists() && folder().join("feed-1.sql").exists() && folder().join("registry-1.sql").exists());
}

#[test]
fn dumps_of_the_current_version_are_written_where_that_is_asked_for() {
    let (world, shard_notes) = made::shard();
    let (registry, registry_notes) = made::registry();
    let (feed, feed_notes) = made::feed();
    for (object, sql, notes) in
        [("shard", world.shard.sql(), shard_notes), ("registry", &registry, registry_notes), ("feed", &feed, feed_notes)]
    {
        let text = dump::text(sql);
        assert!(dump::text(&dump::load(&text)) == text, "{object}: what is written is read as it was");
        if env::var_os("UPDATE_GOLDEN_DUMPS").is_some() {
            for (table, rows) in dump::counts(sql, &dump::tables(sql)) {
                assert!(rows > 0, "{object}: there is to be something in every table, and nothing is in {table}");
            }
            let file = folder().join(format!("{object}-{}.sql", dump::version(sql)));
            if file.exists() {
                continue;
            }
            fs::write(&file, text).unwrap();
            fs::write(file.with_extension("json"), serde_json::to_string_pretty(&notes).unwrap() + "\n").unwrap();
        }
    }
}

#[test]
fn an_earlier_shard_answers_as_it_did() {
    for (version, sql, notes) in dumps("shard") {
        let sql = opened(sql, &new_shard(), migrate_shard);
        let world = World::over(sql, notes["now"].as_u64().unwrap());
        let due = made::deliveries(&world);
        assert!(due.iter().any(|one| one.starts_with("announce")) && due.iter().any(|one| one.starts_with("note")), "{due:?}");
        for noted in notes["resolved"].as_array().unwrap() {
            let digest = serde_json::from_value(noted["digest"].clone()).unwrap();
            same(&noted["record"], &made::resolved(&world, &digest), "what an edge is told");
        }
        let calls = notes["calls"].as_array().unwrap();
        assert!(calls.len() > 10);
        for noted in calls {
            let credential: Credential = serde_json::from_value(noted["credential"].clone()).unwrap();
            let text = |name: &str| noted[name].as_str().unwrap_or_default().to_owned();
            let request = world.request(&credential, &text("method"), &text("target"), &text("body"));
            let call = ApiCall { idempotency_key: noted["idempotency_key"].as_str().map(Into::into), ..request };
            let now = world.send(&call).expect(u16::try_from(noted["status"].as_u64().unwrap()).unwrap());
            same(&noted["answer"], &now, &format!("version {version}: {}", text("target")));
        }
        goes_on(&world, &notes);
    }
}

/// What was begun is carried on: what was due is delivered and put, new changes follow the old ones, the chain holds.
fn goes_on(world: &World, notes: &Value) {
    let company = notes["company"].as_str().unwrap();
    let admin = calls_as(notes, "/v1/owners");
    shard_world::settle(world);
    assert_eq!(made::deliveries(world), Vec::<String>::new());
    let made = world.create(&admin, json!({"name": "made later"})).expect(201);
    let listed = world.get(&admin, "/v1/keys?limit=1").expect(200);
    assert_eq!(listed["keys"][0]["id"], made["id"], "its revision is above all earlier ones");
    let verified = world.operator("GET", &format!("/v1/audit/verify?company={company}"), Value::Null).expect(200);
    assert_eq!(verified["valid"], true);
}

/// The credential with which a noted call was made.
fn calls_as(notes: &Value, target: &str) -> Credential {
    let call = notes["calls"].as_array().unwrap().iter().find(|call| call["target"] == target).unwrap();
    serde_json::from_value(call["credential"].clone()).unwrap()
}

#[test]
fn an_earlier_registry_answers_as_it_did() {
    for (version, sql, notes) in dumps("registry") {
        let sql = opened(sql, &new_registry(), |sql| {
            made::open_registry(sql);
        });
        let registry = made::open_registry(&sql);
        let now = Millis(notes["now"].as_u64().unwrap());
        assert_eq!(json!(registry.due().unwrap()), notes["due"]);
        for noted in notes["calls"].as_array().unwrap() {
            let call = made::registry_call("GET", noted["target"].as_str().unwrap(), "");
            let answer: Value = serde_json::from_str(&registry.handle(now, &call).unwrap().answer.body).unwrap();
            same(&noted["answer"], &answer, &format!("version {version}: {}", call.path));
        }
        for noted in notes["versions"].as_array().unwrap() {
            let answer = registry.policy_answer(noted["rev"].as_u64()).unwrap();
            same(&noted["policy"], &serde_json::from_str(&answer.body).unwrap(), "an earlier version of the policy");
        }
        let listed = registry.handle(now, &made::registry_call("GET", "/v1/policy/versions", "")).unwrap().answer.body;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let as_noted = notes["versions"].as_array().unwrap().iter().rev().map(|noted| {
            let rules = noted["policy"]["rules"].as_array().unwrap().len();
            json!({"version": noted["rev"], "rules": rules, "changed_by": "admin"})
        });
        same(&as_noted.collect(), &listed["versions"], "the versions");
        let newest = notes["versions"].as_array().unwrap().last().unwrap();
        assert_eq!(json!(registry.current(now).unwrap().rev), newest["rev"]);
    }
}

#[test]
fn an_earlier_feed_issues_the_changes_that_it_had_under_a_later_stamp() {
    for (_, sql, notes) in dumps("feed") {
        let sql = opened(sql, &new_feed(), |sql| {
            open_feed(sql);
        });
        assert_eq!(Feed::stored_group(&&sql).unwrap(), Some(made::GROUP));
        // The clock is where it was: the stamp must be above the last one all the same.
        let issued = open_feed(&sql).issue(Millis(notes["now"].as_u64().unwrap())).unwrap();
        let issued = serde_json::to_value(issued).unwrap();
        assert_eq!((&issued["changes"], &issued["since"]), (&notes["issued"]["changes"], &notes["issued"]["since"]));
        assert!(issued["issued_at"].as_u64() > notes["last_stamp"].as_u64(), "{issued}");
        assert_eq!(sql.execute("SELECT COUNT(*) FROM change", &[]).unwrap()[0][0].number(), 3);
    }
}
