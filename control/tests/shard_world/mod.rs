//! A shard over the real `SQLite` with a clock and "random" bytes of the test's own.
#![allow(dead_code, unreachable_pub)] // each test file uses its own part
#![allow(clippy::unwrap_used, clippy::panic)] // a failure of the world is a failure of the test
#![allow(clippy::unused_self, clippy::new_without_default, clippy::needless_pass_by_value)]

pub mod backups;
pub mod hooks;

use std::cell::Cell;

use keyward_control::{
    call::{Announced, ApiAnswer, ApiCall, AskPortion, Credential, Redeem},
    session,
    settings::ControlSettings,
    shard::{Shard, outbox::Delivery},
    sql::{Sql as _, Value as SqlValue, native::NativeSql},
    time::rfc3339,
};
use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, OwnerId},
    key::ParsedKey,
    link::SignInLink,
    messages::ResolveRequest,
    shard::Shard as ShardName,
    time::Millis,
};
use serde_json::{Value, json};

/// Three companies of the operator's shard, found by trying.
pub const OPERATOR: &str = "demo";
pub const ACME: &str = "acme-6263687";
pub const OTHER: &str = "acme-64241536";
pub const START: u64 = 1_795_000_000_000;

pub struct World {
    pub shard: Shard<NativeSql>,
    pub now: Cell<u64>,
    drawn: Cell<u64>,
}

/// An answer as a caller sees it.
pub struct Seen {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Seen {
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The fields that a 422 names.
    #[track_caller]
    pub fn wrong(self) -> Vec<String> {
        let body = self.expect(422);
        body["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap().to_owned()).collect()
    }
}

pub fn settings() -> ControlSettings {
    settings_with(&[])
}

/// The settings with some more.
pub fn settings_with(more: &[(&str, &str)]) -> ControlSettings {
    let hex = "ab".repeat(32);
    let digest = Digest::of(b"bootstrap").to_hex();
    let all = [
        ("OPERATOR_COMPANY", OPERATOR),
        ("TAG_SECRETS", &hex),
        ("RECORD_SECRETS", &hex),
        ("SESSION_SECRETS", &hex),
        ("BOOTSTRAP_DIGEST", &digest),
    ];
    ControlSettings::read(&|name: &str| more.iter().chain(&all).find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        .unwrap()
}

pub fn company(id: &str) -> CompanyId {
    CompanyId::new(id).unwrap()
}

pub fn bootstrap() -> Credential {
    Credential::Key(Digest::of(b"bootstrap"))
}

/// The credential that a key's text is.
pub fn key(text: &Value) -> Credential {
    Credential::Key(ParsedKey::parse(text.as_str().unwrap().as_bytes()).unwrap().digest())
}

impl World {
    /// The shard with the operator's company in it.
    pub fn new() -> Self {
        Self::with(settings())
    }

    /// The same with other settings.
    pub fn with(settings: ControlSettings) -> Self {
        let name = ShardName::of(&company(OPERATOR));
        let world = Self {
            shard: Shard::new(NativeSql::in_memory().unwrap(), settings, name).unwrap(),
            now: Cell::new(START),
            drawn: Cell::new(0),
        };
        world.shard.prepare(world.at(), &mut world.random()).unwrap();
        world
    }

    /// The shard whose data lies in `sql`, at `now`.
    pub fn over(sql: NativeSql, now: u64) -> Self {
        let name = ShardName::of(&company(OPERATOR));
        Self { shard: Shard::new(sql, settings(), name).unwrap(), now: Cell::new(now), drawn: Cell::new(0) }
    }

    /// And with two more companies, in each of which `ann` and `bob` work.
    pub fn peopled() -> Self {
        Self::new().with_people()
    }

    /// The same with other settings.
    pub fn peopled_with(settings: ControlSettings) -> Self {
        Self::with(settings).with_people()
    }

    /// Two more companies, in each of which `ann` and `bob` work.
    pub fn with_people(self) -> Self {
        let world = self;
        for id in [ACME, OTHER] {
            world.operator("PUT", &format!("/v1/companies/{id}"), json!({"name": id})).expect(201);
            world.put_owner(id, "ann", &["orders.*", "keyward.keys.own"]).expect(201);
            world.put_owner(id, "bob", &["orders.read", "keyward.keys.own"]).expect(201);
            world.put_owner(id, "admin", &["*", "keyward.*"]).expect(201);
        }
        world
    }

    /// The same with another instance of the shard, which was opened anew on a copy of the storage.
    pub fn reopened(self, settings: ControlSettings) -> Self {
        let copy = self.shard.sql().copy().unwrap();
        Self { shard: Shard::new(copy, settings, self.shard.name()).unwrap(), ..self }
    }

    pub fn at(&self) -> Millis {
        Millis(self.now.get())
    }

    pub fn wait(&self, seconds: u64) {
        self.now.set(self.now.get() + seconds * 1000);
    }

    pub fn random(&self) -> impl FnMut(&mut [u8]) + '_ {
        |buffer| {
            for chunk in buffer.chunks_mut(32) {
                self.drawn.set(self.drawn.get() + 1);
                let bytes = Digest::of(format!("random {}", self.drawn.get()).as_bytes());
                chunk.copy_from_slice(&bytes.as_bytes()[..chunk.len()]);
            }
        }
    }

    pub fn request(&self, credential: &Credential, method: &str, target: &str, body: &str) -> ApiCall {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let named = query.split('&').find_map(|pair| pair.strip_prefix("company="));
        ApiCall {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            body: body.into(),
            idempotency_key: None,
            if_match: None,
            request_id: "r1".into(),
            address: Some("192.0.2.7".parse().unwrap()),
            credential: credential.clone(),
            company: named.map(company),
            origin: "https://control.example".into(),
            policy: None,
        }
    }

    pub fn send(&self, call: &ApiCall) -> Seen {
        let in_turns = call.method == "GET" && call.path == "/v1/audit/verify";
        let answer = if in_turns { self.whole(call) } else { self.shard.handle(self.at(), &mut self.random(), call).finish() };
        let body = if answer.body.is_empty() { Value::Null } else { serde_json::from_str(&answer.body).unwrap() };
        Seen { status: answer.status, headers: answer.headers, body }
    }

    /// The answer to a call on which the shard works in several turns.
    fn whole(&self, call: &ApiCall) -> ApiAnswer {
        let mut after = None;
        loop {
            let ask = AskPortion { call: call.clone(), after };
            let (portion, _) = self.shard.portion(self.at(), &mut self.random(), &ask);
            let Some(next) = portion.next else { return portion.answer };
            after = Some(next);
        }
    }

    pub fn raw(&self, credential: &Credential, method: &str, target: &str, body: &str) -> Seen {
        self.send(&self.request(credential, method, target, body))
    }

    #[allow(clippy::needless_pass_by_value)] // reads better in tests
    pub fn call(&self, credential: &Credential, method: &str, target: &str, body: Value) -> Seen {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(credential, method, target, &body)
    }

    pub fn get(&self, credential: &Credential, target: &str) -> Seen {
        self.raw(credential, "GET", target, "")
    }

    pub fn operator(&self, method: &str, target: &str, body: Value) -> Seen {
        self.call(&bootstrap(), method, target, body)
    }

    pub fn put_owner(&self, company: &str, owner: &str, permissions: &[&str]) -> Seen {
        self.operator("PUT", &format!("/v1/owners/{owner}?company={company}"), json!({"name": owner, "permissions": permissions}))
    }

    /// A session of `owner`.
    pub fn sign_in(&self, id: &str, owner: &str) -> Credential {
        self.drawn.set(self.drawn.get() + 1);
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.drawn.get().to_be_bytes());
        let link = SignInLink::new(company(id), OwnerId::new(owner).unwrap(), self.at(), nonce);
        let request = Redeem { link, address: None, request_id: "r0".into() };
        let redeemed = self.shard.redeem(self.at(), &mut self.random(), &request).unwrap();
        let (company, digest) = session::read(&redeemed.token, &self.shard.settings().session_secrets).unwrap();
        Credential::Session { digest, company }
    }

    /// A new key of whoever calls, with `more` in the request.
    #[allow(clippy::needless_pass_by_value)]
    pub fn create(&self, credential: &Credential, more: Value) -> Seen {
        let mut body = json!({"name": "a key"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call(credential, "POST", "/v1/keys", body)
    }

    /// A time from now on, as the API writes it.
    pub fn later(&self, seconds: u64) -> String {
        rfc3339(Millis(self.now.get() + seconds * 1000))
    }

    pub fn sql(&self, statement: &str, parameters: &[SqlValue]) -> Vec<Vec<SqlValue>> {
        self.shard.sql().execute(statement, parameters).unwrap()
    }

    /// Takes what goes on in handfuls to its end; how many turns that took.
    pub fn go_on(&self) -> usize {
        let mut turns = 0;
        while self.shard.going_on().unwrap() {
            self.shard.due(self.at(), 0).unwrap();
            turns += 1;
        }
        turns
    }

    /// The other objects take everything that they are to be told.
    pub fn announce(&self) {
        for delivery in self.shard.deliveries(self.at()).unwrap() {
            match delivery {
                Delivery::Announce(ids, _) => {
                    self.shard.announced(&ids, Announced { announced_at: self.at(), stamp: self.at() }).unwrap();
                }
                Delivery::Register(id, _) | Delivery::Note(id, _) | Delivery::RestorePolicy(id, _) | Delivery::Claim(id, _) => {
                    self.shard.delivered(id).unwrap();
                }
            }
        }
    }
}

/// The digest of a key that was just made.
pub fn digest_of(made: &Value) -> Digest {
    ParsedKey::parse(made["key"].as_str().unwrap().as_bytes()).unwrap().digest()
}

/// Where it is found.
pub fn path_of(made: &Value) -> String {
    format!("/v1/keys/{}", made["id"].as_str().unwrap())
}

/// Puts everything that is due; the names with what was put.
pub fn publish(world: &World) -> Vec<(String, Option<String>)> {
    let due = world.shard.due(world.at(), 1000).unwrap();
    for publication in &due {
        world.shard.published(world.at(), publication, true).unwrap();
    }
    due.into_iter().map(|publication| (publication.name, publication.value)).collect()
}

/// Publishes until nothing is left.
pub fn settle(world: &World) {
    for _ in 0..3 {
        publish(world);
        world.wait(91);
    }
    world.announce();
}

/// What an edge asks.
pub fn asked(digest: &Digest, stored: bool) -> ResolveRequest {
    ResolveRequest { digest: *digest, stored }
}
