//! Every call of the API to a shard, with any body, as the operator and as others.

use keyward_control::{
    call::{ApiCall, Authenticate, Credential},
    route::{self, Found, Home},
    shard::{outbox::Delivery, rows},
    sql::Row,
};
use keyward_shared::{
    key::ParsedKey,
    problem::Code,
    record::{self, Record},
    time::Millis,
};

use crate::{
    input,
    world::{ACME, OPERATOR, OTHER, Rows, START, World, company, in_world, right_answer},
};

/// The most calls of one input.
const CALLS: usize = 4;
/// What a call may write that changes nothing: the trail, and when the calling key was last used.
const NO_CHANGE: [&str; 3] = ["audit", "audit_heads", "key_usage"];

/// Calls, one after the other, with `---` on a line of its own between them. The first line of each is a method, a target
/// and, where it is not the operator, who calls (`ann`, `admin` or `key` of one company, `other` of another); the rest is
/// its body. No call fails, and every answer is JSON. A refused one changes nothing but the trail, in which it stands. The
/// trails stay whole. Whoever is not the operator changes nothing of another company. A key that is given out is stored
/// nowhere. What is then to be published the edge can read, and it gives no key more than its owner has.
pub fn control(data: &[u8]) {
    let Some(text) = input::text(data) else { return };
    in_world(|world| {
        let (mut now, mut rows) = (START.plus(Millis::from_secs(10)), world.made.clone());
        for call in text.split("\n---\n").take(CALLS) {
            let (line, body) = call.split_once('\n').unwrap_or((call, ""));
            let words: Vec<&str> = line.split(' ').collect();
            let [method, target, who @ ..] = words.as_slice() else { break };
            let who = who.first().unwrap_or(&"operator");
            let Some(call) = world.call(who, method, target, body) else { break };
            rows = one(world, now, who, &call, &rows);
            now = now.plus(Millis(700));
        }
        world.check_trails();
        afterwards(world, now.plus(Millis::from_secs(10)));
    });
}

/// Makes a call where there were the rows `before`; gives those that there are then.
fn one(world: &World, now: Millis, who: &str, call: &ApiCall, before: &Rows) -> Rows {
    let question = Authenticate { credential: call.credential.clone(), address: call.address, request_id: "r1".into() };
    // A key that is tried from a network where it may not be used is known, too.
    let known = world.shard.authenticate(now, &question).map_or_else(|failure| failure.problem().code == Code::Forbidden, |_| true);

    let handled = world.handle(now, call);
    assert_eq!(handled.log, None, "a failure");
    let answer = handled.finish();
    let said = right_answer(&answer);
    assert_eq!(handled.problem, answer.status >= 400);

    let after = world.shard.sql().rows(&[]);
    let here = |found: Found| found.endpoint.mutates() && found.endpoint.home() == Home::Shard;
    let mutates = route::find(&call.method, &call.path).is_ok_and(here);
    let refused = answer.status >= 400;
    if refused || !mutates {
        let (before, after) = (before, &after);
        let kept = |rows: &Rows, table: &String| rows[table].iter().filter(|row| !only_read(row)).cloned().collect::<Vec<_>>();
        let changed = after.keys().find(|table| !NO_CHANGE.contains(&table.as_str()) && kept(before, table) != kept(after, table));
        assert_eq!(changed, None, "{} changed something", answer.status);
        let recorded = after["audit"].len() - before["audit"].len();
        assert_eq!(recorded, usize::from(mutates && known), "a refused change stands in a trail, once");
    }
    let theirs = if who == "other" { [OPERATOR, ACME] } else { [OPERATOR, OTHER] };
    for id in theirs.iter().filter(|_| who != "operator") {
        assert_eq!(rows_of(&after, id), rows_of(before, id), "{who} changed something of {id}");
    }
    if let (201, Some(key)) = (answer.status, said["key"].as_str()) {
        let secret = &key[key.len() - 41..key.len() - 13];
        assert!(ParsedKey::parse(key.as_bytes()).is_ok());
        assert!(!after.values().flatten().flatten().any(|value| value.text().contains(secret)), "a secret is stored");
    }
    after
}

/// The row that says when something was last read, which changes by design.
fn only_read(row: &Row) -> bool {
    row.first().is_some_and(|name| name.text() == "read_at")
}

/// Every row that names `company`; what names none is kept under digests.
fn rows_of<'r>(rows: &'r Rows, company: &str) -> Vec<&'r Row> {
    rows.values().flatten().filter(|row| row.iter().any(|value| value.text() == company)).collect()
}

/// What the calls left to do.
fn afterwards(world: &World, now: Millis) {
    let (shard, settings) = (&world.shard, world.shard.settings());
    for publication in shard.due(now, 100).unwrap() {
        let (digest, secrets) = (&publication.digest, &settings.common.record_secrets);
        let name = if publication.imported { record::imported_name(digest) } else { record::name(shard.name(), digest) };
        assert_eq!(publication.name, name);
        let Some(value) = publication.value else { continue };
        let read = if publication.imported {
            Record::open_imported(secrets, digest, &value)
        } else {
            Record::open(secrets, shard.name(), digest, &value)
        };
        let record = read.expect("the edge cannot read");
        assert_eq!(record.shard, shard.name());
        let owner = rows::owner(shard.sql(), &record.company, &record.owner).unwrap();
        match owner {
            Some(owner) => assert!(owner.permissions.covers(&record.permissions), "a key with more than its owner has"),
            None => assert!(!record.owner_active || record.state == record::KeyState::Revoked),
        }
        assert!(record.company == company(OPERATOR) || !record.permissions.allows_str("keyward.operator"));
        let credential = Credential::Key(publication.digest);
        if let Ok(caller) = shard.authenticate(now, &Authenticate { credential, address: None, request_id: "r1".into() }) {
            assert!(!publication.imported, "an imported key is a credential here");
            assert_eq!((caller.company, caller.permissions), (record.company, record.permissions), "the edge reads another caller");
        }
    }
    for delivery in shard.deliveries(now).unwrap() {
        match delivery {
            Delivery::Announce(ids, announcement) => assert_eq!(ids.is_empty(), announcement.changes.is_empty()),
            Delivery::Register(_, notice) => assert!(notice.rev > 0 && notice.shard == shard.name()),
            Delivery::Note(_, note) => assert!(!note.id.is_empty()),
            Delivery::Claim(_, claims) => assert!(!claims.digests.is_empty() && claims.shard == shard.name()),
            Delivery::RestorePolicy(..) => {}
        }
    }
}
