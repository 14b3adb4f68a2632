//! How the database finds what the statements of a shard ask for. Each statement that the calls below really make is explained: none
//! reads a whole table or sorts what an index could give in order, so none costs more with more keys.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use keyward_control::{
    call::{Announced, ApiCall, AskPortion, Authenticate, BeginSession, Credential, EndSessions, SignOut, Token},
    shard::{Shard, outbox::Delivery},
    sql::{Row, Sql, SqlError, Value as SqlValue, native::NativeSql},
};
use keyward_shared::{
    digest::Digest,
    ids::{KeyId, OwnerId},
    messages::{KeyUsage, UsageReport},
    time::Millis,
};
use serde_json::{Value, json};
use shard_world::{ACME, World, asked, bootstrap, company, settings};

/// Remembers every statement.
#[derive(Clone)]
struct Heard {
    sql: Rc<NativeSql>,
    statements: Rc<RefCell<BTreeSet<String>>>,
}

impl Sql for Heard {
    fn execute(&self, statement: &str, parameters: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        self.statements.borrow_mut().insert(statement.to_owned());
        self.sql.execute(statement, parameters)
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.sql.transaction(body)
    }
}

/// What may be read from its beginning on, each with the reason.
const FINE: [(&str, &str); 9] = [
    ("SCAN CONSTANT ROW", "values"),
    ("SCAN listed VIRTUAL TABLE", "the keys of a page, found before"),
    ("SCAN (subquery", "a page that was found before"),
    ("SCAN companies", "the republication of a whole shard goes through its companies"),
    ("SCAN schema_version", "a row for each version"),
    ("SCAN sweeps", "only the first row"),
    ("SCAN erasures", "only the first row"),
    ("SCAN departures USING INDEX departures_announced", "only the first row"),
    ("SCAN outbox USING COVERING INDEX outbox_by_due", "only the first row"),
];

/// What an index would give together and in order, where the step goes through more than that.
fn better_index(statement: &str, step: &str) -> Option<&'static str> {
    let through_all = step.contains("keys_by_company") || step.contains("sqlite_autoindex_keys_2 (company=?)");
    if through_all && ["AND owner = ?", "AND k.owner = ?"].iter().any(|by_owner| statement.contains(by_owner)) {
        return Some("goes through the keys of all owners");
    }
    let through_trail = step.starts_with("SEARCH audit USING PRIMARY KEY (company=? AND sequence<?)");
    let narrowed = ["target", "actor", "action"].iter().any(|column| statement.contains(&format!(" AND {column} = ?")));
    (through_trail && narrowed).then_some("goes through the whole trail")
}

/// What is wrong with how a statement is answered.
fn complaints(sql: &impl Sql, statement: &str) -> Vec<String> {
    let plan: Vec<String> =
        sql.execute(&format!("EXPLAIN QUERY PLAN {statement}"), &[]).unwrap().iter().map(|row| row[3].text().to_owned()).collect();
    let complaint = |step: &String| {
        let subquery = step.strip_prefix("SCAN ").is_some_and(|name| plan.contains(&format!("CO-ROUTINE {name}")));
        if step.contains("TEMP B-TREE") {
            Some("sorts")
        } else if let Some(column) = better_index(statement, step) {
            Some(column)
        } else if step.contains("AUTOMATIC") {
            Some("makes an index of its own")
        } else if step.starts_with("SCAN") && !subquery && !FINE.iter().any(|(fine, _)| step.starts_with(fine)) {
            Some("reads a whole table")
        } else {
            None
        }
    };
    plan.iter().filter_map(|step| Some(format!("{}: {step}", complaint(step)?))).collect()
}

#[test]
#[allow(clippy::too_many_lines)] // one call of each kind, one after the other
fn no_statement_of_a_shard_costs_more_with_more_keys() {
    let world = World::peopled();
    let heard = Heard { sql: Rc::new(world.shard.sql().copy().unwrap()), statements: Rc::default() };
    let shard = Shard::new(heard.clone(), settings(), world.shard.name()).unwrap();
    heard.statements.borrow_mut().clear(); // what made the tables
    let send = |credential: &Credential, method: &str, target: &str, body: Value| {
        world.wait(1);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let call = ApiCall {
            idempotency_key: (method != "GET").then(|| format!("{}", world.now.get())),
            ..world.request(credential, method, target, &body)
        };
        let handled = shard.handle(world.at(), &mut world.random(), &call);
        assert!(handled.status < 300, "{method} {target}: {:?}", handled.body);
        handled.body.unwrap_or_default()
    };
    let operator = |method: &str, target: &str, body: Value| send(&bootstrap(), method, target, body);
    let there = |target: &str| format!("{target}{}company={ACME}", if target.contains('?') { "&" } else { "?" });
    let announce = || {
        for delivery in shard.deliveries(world.at()).unwrap() {
            match delivery {
                Delivery::Announce(ids, _) => {
                    shard.announced(&ids, Announced { announced_at: world.at(), stamp: world.at() }).unwrap();
                    shard.undelivered(&ids, world.at()).unwrap();
                }
                Delivery::Register(id, _) | Delivery::Note(id, _) | Delivery::RestorePolicy(id, _) | Delivery::Claim(id, _) => {
                    shard.delivered(id).unwrap();
                }
            }
        }
    };
    let publish = || {
        while shard.going_on().unwrap() {
            shard.due(world.at(), 0).unwrap();
        }
        for publication in shard.due(world.at(), 100).unwrap() {
            shard.published(world.at(), &publication, publication.round == 1).unwrap();
        }
        shard.prune(world.at()).unwrap();
        shard.next_alarm(world.at()).unwrap();
    };

    let made = operator("POST", &there("/v1/keys"), json!({"name": "a", "owner": "ann"}));
    let id = made["id"].as_str().unwrap();
    let digest = shard_world::digest_of(&made);
    operator("GET", &there(&format!("/v1/keys/{id}")), Value::Null);
    operator("PATCH", &there(&format!("/v1/keys/{id}")), json!({"name": "b"}));
    let next = operator("POST", &there(&format!("/v1/keys/{id}/rotate")), json!({"overlap_s": 60}));
    operator("POST", &there(&format!("/v1/keys/{id}/revoke?cascade=true")), json!({}));
    operator("DELETE", &there(&format!("/v1/keys/{}", next["id"].as_str().unwrap())), Value::Null);
    for query in [
        "",
        "&owner=ann",
        "&usage=30d",
        "&status=active",
        "&status=revoked&owner=ann",
        "&status=expired",
        "&q=a",
        "&unused_since=2026-01-01T00:00:00Z",
        "&expires_before=2027-01-01T00:00:00Z",
    ] {
        operator("GET", &there(&format!("/v1/keys?limit=5{query}")), Value::Null);
    }
    for query in ["", "&target=ann", "&actor=demo/admin", "&action=key.create", "&action=key.create&actor=x", "&from=2026-01-01T00:00:00Z"]
    {
        operator("GET", &there(&format!("/v1/audit?limit=5{query}")), Value::Null);
    }
    let verify = world.request(&bootstrap(), "GET", &there("/v1/audit/verify"), "");
    let (verified, _) = shard.portion(world.at(), &mut world.random(), &AskPortion { call: verify, after: None });
    assert_eq!(verified.answer.status, 200);
    for path in ["/v1/owners", "/v1/owners/ann", "/v1/whoami", "/v1/format"] {
        operator("GET", &there(path), Value::Null);
    }
    operator("PUT", &there("/v1/owners/ann"), json!({"name": "ann", "permissions": ["keyward.keys.own"]}));
    operator("PUT", &there("/v1/owners"), json!({"owners": [{"owner": "new", "name": "new"}], "deactivate_missing": true}));
    operator("POST", &there("/v1/sign-in-links"), json!({"owner": "new"}));
    let again = operator("POST", &there("/v1/keys"), json!({"name": "a", "owner": "new"}));
    announce();
    publish();
    operator("DELETE", &there("/v1/owners/new"), Value::Null);
    announce();
    publish();
    operator("PUT", &there("/v1/owners/new"), json!({"name": "new"}));
    operator("POST", "/v1/maintenance/republish", json!({}));
    let entry = KeyUsage { key_id: KeyId::new(id).unwrap(), company: company(ACME), last_used_at: world.at(), allowed: 1, refused: 0 };
    shard.usage(world.at(), &UsageReport { entries: vec![entry] }).unwrap();
    for digest in [digest, shard_world::digest_of(&again), Digest::of(b"unknown")] {
        shard.resolve(world.at(), &asked(&digest, true)).unwrap();
        let _ =
            shard.authenticate(world.at(), &Authenticate { credential: Credential::Key(digest), address: None, request_id: "r".into() });
    }
    let session = Credential::Session { digest, company: company(ACME) };
    let _ = shard.authenticate(world.at(), &Authenticate { credential: session, address: None, request_id: "r".into() });
    shard.sign_out(world.at(), &SignOut { digest, company: company(ACME), address: None, request_id: "r".into() }).unwrap();
    let token = Token {
        company: company(ACME),
        owner: OwnerId::new("new").unwrap(),
        issuer: "https://issuer.example".into(),
        name: None,
        email: None,
        permissions: None,
        issued_at: world.at(),
        expires_at: Millis(world.now.get() + 1),
    };
    let begin = BeginSession { token: token.clone(), nonce: "n".into(), until: token.expires_at, address: None, request_id: "r".into() };
    shard.begin_session(world.at(), &mut world.random(), &begin).unwrap();
    let credential = Credential::Token(token);
    shard.end_sessions(world.at(), &EndSessions { credential, address: None, request_id: "r".into() }).unwrap();
    operator("GET", &format!("/v1/companies/{ACME}"), Value::Null);
    operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme"}));
    announce();
    publish();
    operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null);
    announce();
    publish();

    let statements = heard.statements.borrow().clone();
    assert!(statements.len() > 100, "{}", statements.len());
    let found: Vec<_> = statements
        .iter()
        .filter(|statement| !["BEGIN", "COMMIT", "ROLLBACK"].contains(&statement.as_str()))
        .flat_map(|statement| complaints(&*heard.sql, statement).into_iter().map(move |complaint| format!("{complaint}: {statement}")))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    let firsts = statements.iter().filter(|statement| statement.contains("FROM sweeps") || statement.contains("FROM erasures"));
    assert!(firsts.filter(|statement| statement.starts_with("SELECT")).all(|statement| {
        statement.contains("LIMIT 1") || statement.contains("EXISTS (SELECT 1 FROM sweeps)") || statement.contains("WHERE company = ?1")
    }));
}

#[test]
fn a_statement_that_reads_a_whole_table_would_be_noticed() {
    let world = World::new();
    for (statement, expected) in [
        ("UPDATE keys SET announced_at = 1 WHERE rev = ?1", "reads a whole table: SCAN keys"),
        ("SELECT k.digest FROM keys k JOIN companies c ON c.company = k.company", "reads a whole table: SCAN k"),
        ("SELECT digest FROM keys WHERE company = ?1 ORDER BY name", "sorts: USE TEMP B-TREE FOR ORDER BY"),
        ("SELECT due_at FROM outbox ORDER BY attempts", "sorts: USE TEMP B-TREE FOR ORDER BY"),
        (
            "SELECT digest, place FROM keys WHERE company = ?1 AND owner = ?2 AND place > ?3 AND place <= ?4 ORDER BY place LIMIT ?5",
            "goes through the keys of all owners: ",
        ),
        (
            "SELECT * FROM audit WHERE company = ?1 AND sequence < ?2 AND target = ?3 ORDER BY sequence DESC",
            "goes through the whole trail: ",
        ),
    ] {
        assert!(complaints(world.shard.sql(), statement).iter().any(|complaint| complaint.starts_with(expected)), "{statement}");
    }
    assert_eq!(complaints(world.shard.sql(), "SELECT digest FROM keys WHERE company = ?1 ORDER BY place"), Vec::<String>::new());
}
