//! A shard and a registry over the real `SQLite`, made once and put back before each input, with a clock and "random"
//! bytes of their own: the same input always meets the same world.

use std::{cell::Cell, collections::BTreeMap};

use keyward_control::{
    call::{Announced, ApiAnswer, ApiCall, Caller, Claimed, Credential, Redeem},
    registry::Registry,
    route, session,
    settings::ControlSettings,
    shard::{Shard, answer::Handled, audit::verify, outbox::Delivery},
    sql::{Row, Sql, SqlError, Value as SqlValue, native::NativeSql},
};
use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, OwnerId},
    key::ParsedKey,
    link::SignInLink,
    permission::PermissionSet,
    policy::Policy,
    secret::SecretList,
    shard::Shard as ShardName,
    time::Millis,
    timing::Timing,
};
use serde_json::{Value, json};

/// The operator's company, and two more of its shard, found by trying.
pub(crate) const OPERATOR: &str = "demo";
pub(crate) const ACME: &str = "acme-6263687";
pub(crate) const OTHER: &str = "acme-64241536";
/// When inputs arrive.
pub(crate) const START: Millis = Millis(1_795_000_000_000);

/// A database whose transactions are savepoints, so that everything can be undone.
#[derive(Debug)]
pub(crate) struct Layered {
    sql: NativeSql,
    inside: Cell<bool>,
}

impl Layered {
    fn new() -> Self {
        Self { sql: NativeSql::in_memory().unwrap(), inside: Cell::new(false) }
    }

    fn keep(&self) {
        self.execute("SAVEPOINT made", &[]).unwrap();
    }

    fn put_back(&self) {
        self.inside.set(false);
        self.execute("ROLLBACK TO made", &[]).unwrap();
    }

    /// Every row of every table but those in `but`.
    pub(crate) fn rows(&self, but: &[&str]) -> Rows {
        let names = self.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", &[]).unwrap();
        let names = names.iter().map(|row| row[0].text().to_owned()).filter(|name| !but.contains(&name.as_str()));
        names.map(|name| (name.clone(), self.execute(&format!("SELECT * FROM {name}"), &[]).unwrap())).collect()
    }
}

impl Sql for Layered {
    fn execute(&self, statement: &str, parameters: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        self.sql.execute(statement, parameters)
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        assert!(!self.inside.replace(true), "a transaction inside a transaction");
        self.execute("SAVEPOINT turn", &[])?;
        let result = body();
        self.inside.set(false);
        if result.is_err() {
            self.execute("ROLLBACK TO turn", &[])?;
        }
        self.execute("RELEASE turn", &[])?;
        result
    }
}

pub(crate) fn settings() -> ControlSettings {
    let hex = "ab".repeat(32);
    let digest = Digest::of(b"bootstrap").to_hex();
    let all = [
        ("OPERATOR_COMPANY", OPERATOR),
        ("TAG_SECRETS", &hex),
        ("RECORD_SECRETS", &hex),
        ("SESSION_SECRETS", &hex),
        ("BOOTSTRAP_DIGEST", &digest),
    ];
    ControlSettings::read(&|name: &str| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())).unwrap()
}

pub(crate) fn company(id: &str) -> CompanyId {
    CompanyId::new(id).unwrap()
}

/// A shard with three companies and people, keys and sessions in them.
pub(crate) struct World {
    pub(crate) shard: Shard<Layered>,
    drawn: Cell<u64>,
    /// Sessions and keys by the name that inputs give them.
    credentials: BTreeMap<&'static str, Credential>,
    /// Ids of keys by the name that inputs give them.
    ids: Vec<(&'static str, String)>,
    /// Every row as it was made.
    pub(crate) made: Rows,
}

/// Rows by their table.
pub(crate) type Rows = BTreeMap<String, Vec<Row>>;

thread_local! {
    static WORLD: World = World::new();
}

/// Runs `input` in the world as it was made.
pub(crate) fn in_world(input: impl FnOnce(&World)) {
    WORLD.with(|world| {
        world.shard.sql().put_back();
        world.drawn.set(1_000_000);
        input(world);
    });
}

impl World {
    fn new() -> Self {
        let name = ShardName::of(&company(OPERATOR));
        let shard = Shard::new(Layered::new(), settings(), name).unwrap();
        let credentials = BTreeMap::from([("operator", Credential::Key(Digest::of(b"bootstrap")))]);
        let mut world = Self { shard, drawn: Cell::new(0), credentials, ids: Vec::new(), made: Rows::new() };
        world.shard.prepare(START, &mut world.random()).unwrap();
        for id in [ACME, OTHER] {
            world.set_up("operator", "PUT", &format!("/v1/companies/{id}"), &json!({ "name": id }));
            for (owner, permissions) in [
                ("ann", json!(["orders.*", "keyward.keys.own"])),
                ("bob", json!(["orders.read", "keyward.keys.own"])),
                ("admin", json!(["*", "keyward.*"])),
            ] {
                let body = json!({ "name": owner, "permissions": permissions });
                world.set_up("operator", "PUT", &format!("/v1/owners/{owner}?company={id}"), &body);
            }
        }
        for (name, id, owner) in [("ann", ACME, "ann"), ("admin", ACME, "admin"), ("other", OTHER, "ann")] {
            world.sign_in(name, id, owner);
        }
        let key = world.key("$one", "ann", json!({ "allowed_ips": ["192.0.2.0/24"], "metadata": { "plan": "pro" } }));
        world.key("$two", "ann", json!({ "permissions": ["orders.read"], "expires_at": "2027-01-31T00:00:00Z" }));
        world.key("$theirs", "other", json!({}));
        world.key("$gone", "admin", json!({ "manages_keys": true }));
        world.set_up("admin", "POST", "/v1/keys/$gone/revoke", &json!({ "reason": "lost" }));
        let digest = ParsedKey::parse(key.as_bytes()).unwrap().digest();
        world.credentials.insert("key", Credential::Key(digest));
        world.settle();
        world.made = world.shard.sql().rows(&[]);
        world.shard.sql().keep();
        world
    }

    fn set_up(&self, who: &str, method: &str, target: &str, body: &Value) -> Value {
        let call = self.call(who, method, target, &body.to_string()).unwrap();
        let handled = self.shard.handle(START, &mut self.random(), &call);
        assert!(handled.status < 300, "{:?}", handled.body);
        handled.body.unwrap_or_default()
    }

    /// Makes a key that inputs call `name`, and gives it.
    fn key(&mut self, name: &'static str, who: &str, mut body: Value) -> String {
        body["name"] = name.into();
        let made = self.set_up(who, "POST", "/v1/keys", &body);
        self.ids.push((name, made["id"].as_str().unwrap().into()));
        made["key"].as_str().unwrap().into()
    }

    fn sign_in(&mut self, name: &'static str, id: &str, owner: &str) {
        let nonce = *Digest::of(name.as_bytes()).as_bytes().first_chunk().unwrap();
        let link = SignInLink::new(company(id), OwnerId::new(owner).unwrap(), START, nonce);
        let request = Redeem { link, address: None, request_id: "r0".into() };
        let redeemed = self.shard.redeem(START, &mut self.random(), &request).unwrap();
        let (company, digest) = session::read(&redeemed.token, &self.shard.settings().session_secrets).unwrap();
        self.credentials.insert(name, Credential::Session { digest, company });
    }

    pub(crate) fn random(&self) -> impl FnMut(&mut [u8]) + '_ {
        |buffer| {
            for chunk in buffer.chunks_mut(32) {
                self.drawn.set(self.drawn.get() + 1);
                let bytes = Digest::of(format!("random {}", self.drawn.get()).as_bytes());
                chunk.copy_from_slice(&bytes.as_bytes()[..chunk.len()]);
            }
        }
    }

    /// A call as the front passes it on, with ids of keys for their names; `None` where the front itself refuses it.
    pub(crate) fn call(&self, who: &str, method: &str, target: &str, body: &str) -> Option<ApiCall> {
        let named = |text: &str| self.ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id));
        let (target, body) = (&named(target), named(body));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let found = route::find(method, path).ok().filter(|found| found.endpoint.names_company());
        if found.is_some_and(|found| CompanyId::new(&found.argument).is_err()) {
            return None;
        }
        let company = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "company");
        Some(ApiCall {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            body,
            idempotency_key: None,
            if_match: None,
            request_id: "r1".into(),
            address: Some("192.0.2.7".parse().unwrap()),
            credential: self.credentials.get(who).cloned()?,
            company: company.map(|(_, id)| CompanyId::new(&id)).transpose().ok()?,
            origin: "https://control.example".into(),
            policy: Some(policy()),
        })
    }

    /// Answers a call, with a registry that has every digest that is free here.
    pub(crate) fn handle(&self, now: Millis, call: &ApiCall) -> Handled {
        let claimed = self.shard.claims(now, call).map(|_| Claimed::default());
        self.shard.handle_claimed(now, &mut self.random(), call, claimed.as_ref())
    }

    /// Publishes and delivers what is due, so that only what inputs change is left to do.
    fn settle(&self) {
        for publication in self.shard.due(START, 100).unwrap() {
            self.shard.published(START, &publication, true).unwrap();
        }
        for delivery in self.shard.deliveries(START).unwrap() {
            match delivery {
                Delivery::Announce(ids, _) => self.shard.announced(&ids, Announced { announced_at: START, stamp: START }).unwrap(),
                Delivery::Register(id, _) | Delivery::Note(id, _) | Delivery::RestorePolicy(id, _) | Delivery::Claim(id, _) => {
                    self.shard.delivered(id).unwrap();
                }
            }
        }
        assert!(self.shard.due(START, 100).unwrap().is_empty() && self.shard.deliveries(START).unwrap().is_empty());
    }

    /// Follows the trail of every company from its first entry to its last.
    pub(crate) fn check_trails(&self) {
        for row in self.shard.sql().execute("SELECT company FROM companies", &[]).unwrap() {
            verify::verify(self.shard.sql(), &company(row[0].text())).unwrap().expect("a broken trail");
        }
    }
}

/// The route policy that the front brings along.
fn policy() -> Policy {
    let rules = json!({ "rules": [
        { "methods": ["GET"], "path": "/orders/**", "permission": "orders.read" },
        { "path": "/orders/*", "permission": "orders.write" },
        { "path": "/open/**", "anonymous": true },
    ] });
    serde_json::from_value(rules).unwrap()
}

/// What holds of every answer: no failure of ours, JSON, and a problem document exactly from 400 on.
pub(crate) fn right_answer(answer: &ApiAnswer) -> Value {
    assert!((200..500).contains(&answer.status), "{} {}", answer.status, answer.body);
    assert_eq!(answer.body.is_empty(), answer.status == 204, "{}", answer.status);
    if answer.body.is_empty() {
        return Value::Null;
    }
    let body: Value = serde_json::from_str(&answer.body).expect("an answer is JSON");
    if answer.status >= 400 {
        assert_eq!(body["status"], answer.status);
        assert_eq!(body["request_id"], "r1");
        let code = body["code"].as_str().unwrap();
        assert_eq!(body["type"], format!("urn:keyward:problem:{code}"));
    }
    body
}

thread_local! {
    static REGISTRY: (Registry<&'static Layered>, &'static Layered) = registry();
}

fn registry() -> (Registry<&'static Layered>, &'static Layered) {
    let sql: &'static Layered = Box::leak(Box::new(Layered::new())); // one for each thread
    let registry = Registry::open(sql, Timing::default(), company(OPERATOR), SecretList::single([5; 32])).unwrap();
    for id in [OPERATOR, ACME, OTHER] {
        registry.register(START, company(id), ShardName::of(&company(id)), id).unwrap();
    }
    sql.keep();
    (registry, sql)
}

/// Runs `input` with the registry as it was made.
pub(crate) fn with_registry(input: impl FnOnce(&Registry<&'static Layered>, &Layered)) {
    REGISTRY.with(|(registry, sql)| {
        sql.put_back();
        input(registry, sql);
    });
}

/// A call to the registry by somebody with `permissions` in the operator's company.
pub(crate) fn registry_call(permissions: &[&str], method: &str, target: &str, body: &str) -> ApiCall {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let caller = Caller {
        company: company(OPERATOR),
        owner: OwnerId::new("admin").unwrap(),
        key: None,
        token: false,
        permissions: PermissionSet::parse(permissions.iter().copied()).unwrap(),
    };
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
        company: None,
        origin: "https://control.example".into(),
        policy: None,
    }
}
