//! Objects with something in every table, made with the calls that a deployment makes, and what they answered then.
#![allow(unreachable_pub)] // a part of one test

use keyward_control::{
    call::{Announced, Announcement, ApiCall, AuditNote, Caller, CompanyNotice, Credential, ImportPart, ImportStep},
    feed::Feed,
    registry::Registry,
    shard::{backup::restore::Taken, outbox::Delivery},
    sql::{Sql as _, native::NativeSql},
};
use keyward_shared::{
    feed::{Change, Subject},
    ids::{KeyId, OwnerId},
    messages::{KeyUsage, ResolveAnswer, UsageReport},
    permission::PermissionSet,
    record::Record,
    secret::SecretList,
    shard::Shard as ShardName,
    time::Millis,
    timing::Timing,
};
use serde_json::{Value, json};

use super::shard_world::{ACME, OPERATOR, OTHER, START, World, asked, bootstrap, company, digest_of, key, path_of, publish};

/// A company of the operator's shard that is not there yet.
const THIRD: &str = "acme-71369215";
/// The group of the feed.
pub const GROUP: u16 = 3;

/// A call as it is noted with what it answered: again so, it answers the same.
fn noted(world: &World, credential: &Credential, target: &str) -> Value {
    let answer = world.get(credential, target).expect(200);
    json!({"credential": credential, "method": "GET", "target": target, "body": "", "idempotency_key": null, "status": 200, "answer": answer})
}

/// An operator of another shard, who acts here by what the front says.
fn from_elsewhere() -> Credential {
    let permissions = PermissionSet::parse(["*", "keyward.*", "keyward.operator"]).unwrap();
    Credential::Vouched(Caller {
        company: company("elsewhere"),
        owner: OwnerId::new("olga").unwrap(),
        key: None,
        token: false,
        permissions,
    })
}

/// A shard, and the notes about it.
pub fn shard() -> (World, Value) {
    let world = World::peopled();
    // The adapter writes it.
    world.sql("INSERT INTO texts (name, value) VALUES ('shard', ?1)", &[world.shard.name().as_str().into()]);
    let (ann, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "admin"));
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme & Söhne", "max_key_lifetime_days": 400})).expect(200);
    let mut keys = Vec::new();
    let mut make = |credential: &Credential, more: Value| {
        world.wait(1);
        let made = world.create(credential, more).expect(201);
        keys.push(made.clone());
        made
    };
    let plain = make(&ann, json!({"name": "plain"}));
    let expired = make(&ann, json!({"name": "expired", "expires_at": world.later(30)}));
    let restricted = json!({"name": "it's restricted", "permissions": ["orders.read"], "allowed_ips": ["10.0.0.0/8", "2001:db8::/32"],
        "rate_limit": "gold", "metadata": {"team": "É", "n": 1}, "expires_at": world.later(86_400)});
    make(&ann, restricted);
    let manager = make(&admin, json!({"name": "manager", "manages_keys": true}));
    let child = make(&key(&manager["key"]), json!({"name": "child"}));
    let revoked = make(&ann, json!({"name": "revoked"}));
    world.call(&ann, "POST", &format!("{}/revoke", path_of(&revoked)), json!({"reason": "leaked"})).expect(200);
    let rotated = make(&ann, json!({"name": "rotated"}));
    let successor = world.call(&ann, "POST", &format!("{}/rotate", path_of(&rotated)), json!({"overlap_s": 3600})).expect(201);
    let deleted = make(&ann, json!({"name": "deleted"}));
    world.call(&ann, "DELETE", &path_of(&deleted), Value::Null).expect(204);
    world.put_owner(ACME, "carl", &["orders.read"]).expect(201);
    world.operator("POST", "/v1/keys?company=acme-6263687", json!({"name": "of a deleted owner", "owner": "carl"})).expect(201);
    world.operator("DELETE", &format!("/v1/owners/carl?company={ACME}"), Value::Null).expect(204);
    world.call(&ann, "POST", "/v1/keys", json!({"name": ""})).expect(422);

    let replayed = ApiCall { idempotency_key: Some("make-1".into()), ..world.request(&ann, "POST", "/v1/keys", r#"{"name":"once"}"#) };
    let mut once = world.send(&replayed).expect(201);
    keys.extend([successor, once.clone()]);
    once.as_object_mut().unwrap().remove("key");

    let used = |made: &Value, at: u64| KeyUsage {
        company: company(ACME),
        key_id: KeyId::new(made["id"].as_str().unwrap()).unwrap(),
        last_used_at: Millis(at),
        allowed: 3,
        refused: 1,
    };
    let entries = vec![used(&plain, START + 5_000), used(&manager, START + 6_000), used(&child, START + 3_700_000)];
    world.wait(3_800);
    world.shard.usage(world.at(), &UsageReport { entries }).unwrap();
    let note = AuditNote {
        id: "policy-7".into(),
        company: company(ACME),
        actor: "admin".into(),
        key: None,
        address: None,
        action: "policy.put".into(),
        target: "policy".into(),
        outcome: "done".into(),
        before: Value::Null,
        after: json!({"rules": []}),
        request_id: "r9".into(),
    };
    world.shard.note(world.at(), &note).unwrap();
    world.announce();
    publish(&world);
    // Left to do: an announcement, a registration, a note elsewhere, a restoration, sweeps, marks.
    world.operator("PUT", &format!("/v1/owners/bob?company={ACME}"), json!({"name": "Bob", "permissions": ["orders.*"]})).expect(200);
    let delete =
        ApiCall { company: Some(company(OTHER)), ..world.request(&from_elsewhere(), "DELETE", &format!("/v1/companies/{OTHER}"), "") };
    world.send(&delete).expect(204);
    world.operator("POST", "/v1/maintenance/republish", Value::Null).expect(202);
    let header =
        json!({"kind": "header", "format": 1, "company": THIRD, "shard": world.shard.name(), "rev": START, "exported_at": world.later(0)});
    let call = world.request(&bootstrap(), "POST", &format!("/v1/companies/{THIRD}/import"), "");
    let step = ImportStep::Lines { number: 0, text: format!("{header}\n"), seal: None };
    let begun = world.shard.import(world.at(), &mut world.random(), &ImportPart { call, id: "i1".into(), step });
    assert!(matches!(begun.0, Taken::Further));
    let late = world.create(&ann, json!({"name": "not yet put"})).expect(201);
    keys.push(late);

    let mut calls = vec![noted(&world, &key(&plain["key"]), "/v1/whoami")]; // first: it counts as a use
    for target in ["/v1/whoami", "/v1/keys?limit=200", &path_of(&plain), &path_of(&expired), &path_of(&rotated)] {
        calls.push(noted(&world, &ann, target));
    }
    for target in ["/v1/keys?limit=200", "/v1/owners", "/v1/audit?limit=200", "/v1/audit/verify", "/v1/audit?actor=ann&action=key.create"] {
        calls.push(noted(&world, &admin, target));
    }
    for target in
        [format!("/v1/companies/{ACME}"), format!("/v1/owners?company={ACME}"), "/v1/audit?limit=200".into(), "/v1/audit/verify".into()]
    {
        calls.push(noted(&world, &bootstrap(), &target));
    }
    once["key"] = Value::Null;
    once["replayed"] = json!(true);
    calls.push(json!({"credential": ann, "method": "POST", "target": "/v1/keys", "body": replayed.body, "idempotency_key": "make-1",
        "status": 201, "answer": once}));
    let resolved: Vec<_> = keys.iter().map(|key| json!({"digest": digest_of(key), "record": record(&world, key)})).collect();
    let notes = json!({"now": world.now.get(), "company": ACME, "calls": calls, "resolved": resolved});
    (world, notes)
}

/// What an edge is told of the key, as the record says it; null: there is none.
fn record(world: &World, key: &Value) -> Value {
    // In a copy: a question leaves marks.
    let copy = World::over(world.shard.sql().copy().unwrap(), world.now.get());
    resolved(&copy, &digest_of(key))
}

/// The record of a digest.
pub fn resolved(world: &World, digest: &keyward_shared::digest::Digest) -> Value {
    match world.shard.resolve(world.at(), &asked(digest, false)).unwrap() {
        ResolveAnswer::Absent => Value::Null,
        ResolveAnswer::Record(sealed) => {
            let secrets = &world.shard.settings().common.record_secrets;
            serde_json::to_value(Record::open(secrets, world.shard.name(), digest, &sealed).unwrap()).unwrap()
        }
    }
}

/// The operator's call to a registry.
pub fn registry_call(method: &str, target: &str, body: &str) -> ApiCall {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let permissions = PermissionSet::parse(["*", "keyward.*", "keyward.operator"]).unwrap();
    let caller = Caller { company: company(OPERATOR), owner: OwnerId::new("admin").unwrap(), key: None, token: false, permissions };
    ApiCall {
        method: method.into(),
        path: path.into(),
        query: query.into(),
        body: body.into(),
        idempotency_key: None,
        if_match: None,
        request_id: "r1".into(),
        address: None,
        credential: Credential::Vouched(caller),
        policy: None,
        company: None,
        origin: "https://control.example".into(),
    }
}

/// A registry over the storage, as it is opened today.
pub fn open_registry(sql: &NativeSql) -> Registry<&NativeSql> {
    Registry::open(sql, Timing::default(), company(OPERATOR), SecretList::single([5; 32])).unwrap()
}

/// A registry, and the notes about it.
pub fn registry() -> (NativeSql, Value) {
    let sql = NativeSql::in_memory().unwrap();
    let registry = open_registry(&sql);
    for (rev, id) in [ACME, OTHER, OPERATOR].into_iter().enumerate() {
        let object = (id != OTHER).then(|| json!({"name": format!("Company {id}")}));
        let notice = CompanyNotice { company: company(id), shard: ShardName::of(&company(id)), rev: 5 + rev as u64, object };
        registry.notice(Millis(START), &notice).unwrap();
    }
    let mut bodies = Vec::new();
    for (second, body) in
        [r#"{"rules":[{"path":"/a/**","permission":"a.read"}]}"#, r#"{"default":"deny","rules":[]}"#].into_iter().enumerate()
    {
        let at = Millis(START + 1_000 * second as u64);
        let call = ApiCall { idempotency_key: Some(format!("put-{second}")), ..registry_call("PUT", "/v1/policy", body) };
        let rev = registry.handle(at, &call).unwrap().changed.unwrap();
        bodies.push(json!({"rev": rev, "policy": serde_json::from_str::<Value>(body).unwrap()}));
    }
    let announced = Announced { announced_at: Millis(START + 1_500), stamp: Millis(START + 1_500) };
    registry.announced(START + 1_000, announced).unwrap();
    registry.current(Millis(START + 2_000)).unwrap();
    let answer = |target: &str| -> Value {
        serde_json::from_str(&registry.handle(Millis(START + 2_000), &registry_call("GET", target, "")).unwrap().answer.body).unwrap()
    };
    let calls: Vec<_> = ["/v1/policy", "/v1/companies"].iter().map(|target| json!({"target": target, "answer": answer(target)})).collect();
    let due = registry.due().unwrap();
    let notes = json!({"now": START + 2_000, "calls": calls, "versions": bodies, "due": due});
    (sql, notes)
}

/// A feed, and the notes about it.
pub fn feed() -> (NativeSql, Value) {
    let sql = NativeSql::in_memory().unwrap();
    let feed = Feed::open(&sql, Timing::default(), GROUP, Millis(START)).unwrap();
    let shard = ShardName::of(&company(ACME));
    for (second, subject) in [Subject::policy(), Subject::company(shard, &company(ACME)), Subject::shard(shard)].into_iter().enumerate() {
        let announcement = Announcement { changes: vec![Change(subject, 70 + second as u64)], seen: None, restored: false };
        feed.announce(Millis(START + 20_000 + 1_000 * second as u64), &announcement).unwrap();
    }
    feed.asked(Millis(START + 25_000)).unwrap();
    let document = feed.issue(Millis(START + 30_000)).unwrap();
    let stamp = sql.execute("SELECT last_stamp FROM feed", &[]).unwrap()[0][0].number();
    let notes = json!({"now": START + 30_000, "group": GROUP, "issued": document, "last_stamp": stamp});
    (sql, notes)
}

/// What would be delivered: for a comparison.
pub fn deliveries(world: &World) -> Vec<String> {
    let kind = |delivery: Delivery| match delivery {
        Delivery::Announce(ids, announcement) => format!("announce {ids:?} {:?}", announcement.changes),
        Delivery::Register(id, notice) => format!("register {id} {}", notice.company),
        Delivery::Note(id, note) => format!("note {id} {} {}", note.company, note.action),
        Delivery::RestorePolicy(id, _) => format!("restore {id}"),
        Delivery::Claim(id, claims) => format!("claim {id} {}", claims.digests.len()),
    };
    world.shard.deliveries(world.at()).unwrap().into_iter().map(kind).collect()
}
