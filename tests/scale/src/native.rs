//! The state machine over its file, with this machine's own `SQLite`: what each call takes, at every size in turn.

use std::time::Instant;

use anyhow::{Context, Result};
use keyward_control::{
    call::{ApiCall, Authenticate, Credential},
    sql::Sql as _,
};
use keyward_shared::{digest::Digest, key::ParsedKey, messages::ResolveRequest};
use serde_json::{Value, json};

use crate::shards::{Managers, Store, call};

/// What is measured, as it is called in the tables.
pub(crate) const OPERATIONS: [&str; 13] = [
    "create",
    "revoke",
    "get",
    "rotate",
    "first page of everyone's",
    "page in the middle",
    "first page of one's own",
    "page by name",
    "page by expiry",
    "page by last use",
    "authenticate",
    "resolve",
    "publish (6 records)",
];

/// The pages in the middle of the company's list, and the order in which each is.
pub(crate) const MIDDLES: [(&str, &str); 4] = [
    ("page in the middle", "-created_at"),
    ("page by name", "name"),
    ("page by expiry", "expires_at"),
    ("page by last use", "last_used_at"),
];

/// Which of [`MIDDLES`] an operation is.
pub(crate) fn middle(operation: &str) -> Option<usize> {
    MIDDLES.iter().position(|(known, _)| *known == operation)
}

/// One operation, once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) sql_us: f64,
    pub(crate) turn_us: f64,
    pub(crate) statements: f64,
    pub(crate) steps: f64,
    pub(crate) written: f64,
}

/// A store with what is needed to ask it.
pub(crate) struct Asked {
    pub(crate) store: Store,
    admin: Credential,
    one: Credential,
    /// The targets of pages in the middle of the list, in the order of [`MIDDLES`].
    pub(crate) middles: [String; 4],
    /// Ids and digests of keys that were there before.
    pub(crate) keys: Vec<(String, Digest)>,
}

fn credential(key: &str) -> Result<Credential> {
    Ok(Credential::Key(ParsedKey::parse(key.as_bytes()).ok().context("not a key")?.digest()))
}

impl Asked {
    pub(crate) fn new(store: Store, managers: &Managers) -> Result<Self> {
        let (admin, one) = (credential(&managers.admin.key)?, credential(&managers.one.key)?);
        let mut asked = Self { store, admin, one, middles: Default::default(), keys: Vec::new() };
        for (place, (_, sort)) in MIDDLES.into_iter().enumerate() {
            asked.middles[place] = asked.walk_to_the_middle(sort)?;
        }
        asked.keys = asked.some_keys()?;
        Ok(asked)
    }

    /// The target of the page after half of the company's keys.
    fn walk_to_the_middle(&self, sort: &str) -> Result<String> {
        let pages = self.store.size.keys / self.store.size.companies / 200 / 2;
        let mut cursor = String::new();
        for _ in 0..pages.max(1) {
            let mut target = format!("/v1/keys?sort={sort}&limit=200");
            if !cursor.is_empty() {
                target.extend(["&cursor=", &cursor]);
            }
            let page = self.store.done(&call(&self.admin, "GET", &target, ""))?.body.unwrap_or_default();
            page["next_cursor"].as_str().context("the list has no middle")?.clone_into(&mut cursor);
        }
        Ok(format!("/v1/keys?sort={sort}&cursor={cursor}"))
    }

    /// Keys from everywhere in the list of the first company.
    fn some_keys(&self) -> Result<Vec<(String, Digest)>> {
        let sql = self.store.sql();
        let company = format!("acme-{}", crate::shards::COMPANIES[0]);
        let statement = "SELECT key_id, digest FROM keys WHERE company = ?1 AND key_id >= ?2 AND manages_keys = 0 ORDER BY key_id LIMIT 2";
        let mut keys = Vec::new();
        let mut draw = fastrand::Rng::with_seed(11);
        while keys.len() < 1_000 {
            let from = format!("key_{}", (0..3).map(|_| draw.alphanumeric()).collect::<String>());
            let found = sql.execute(statement, &[company.as_str().into(), from.into()])?;
            keys.extend(found.iter().filter_map(|row| Some((row[0].text().to_owned(), row[1].text().parse().ok()?))));
        }
        draw.shuffle(&mut keys);
        Ok(keys)
    }

    fn key(&self, round: usize) -> &(String, Digest) {
        &self.keys[round % self.keys.len()]
    }

    fn create(&self) -> Result<ApiCall> {
        let body = json!({"name": "Nightly export of one more", "expires_at": self.store.expiry()?});
        Ok(call(&self.admin, "POST", "/v1/keys", &body.to_string()))
    }

    fn made(&self) -> Result<Value> {
        self.store.done(&self.create()?)?.body.context("no key")
    }

    /// Performs one operation; only what an object does for it is measured.
    pub(crate) fn measure(&self, operation: usize, round: usize) -> Result<Sample> {
        let get = |credential: &Credential, target: &str| call(credential, "GET", target, "");
        let id = |made: &Value| made["id"].as_str().unwrap_or_default().to_owned();
        match OPERATIONS[operation] {
            name if let Some(place) = middle(name) => self.api(&get(&self.admin, &self.middles[place])),
            "create" => self.api(&self.create()?),
            "revoke" => self.api(&call(&self.admin, "POST", &format!("/v1/keys/{}/revoke", id(&self.made()?)), "{}")),
            "rotate" => self.api(&call(&self.admin, "POST", &format!("/v1/keys/{}/rotate", id(&self.made()?)), "{}")),
            "get" => self.api(&get(&self.admin, &format!("/v1/keys/{}", self.key(round).0))),
            "first page of everyone's" => self.api(&get(&self.admin, "/v1/keys")),
            "first page of one's own" => self.api(&get(&self.one, "/v1/keys")),
            "authenticate" => {
                let request = Authenticate { credential: self.admin.clone(), address: None, request_id: "r".into() };
                self.taken(|| self.store.shard.authenticate(self.store.at(), &request).map(|_| ()).context("authenticate"))
            }
            "resolve" => {
                let request = ResolveRequest { digest: self.key(round).1, stored: false };
                self.taken(|| self.store.shard.resolve(self.store.at(), &request).map(|_| ()).context("resolve"))
            }
            _ => {
                for _ in 0..6 {
                    self.made()?;
                }
                self.taken(|| {
                    let due = self.store.shard.due(self.store.at(), 6)?;
                    anyhow::ensure!(due.len() == 6, "{} are due", due.len());
                    for publication in &due {
                        self.store.shard.published(self.store.at(), publication, true)?;
                    }
                    Ok(())
                })
            }
        }
    }

    /// A call, with the announcement of what it changed.
    fn api(&self, call: &ApiCall) -> Result<Sample> {
        let changes = call.method != "GET";
        let sample = self.taken(|| {
            self.store.done(call)?;
            if changes { self.store.announce() } else { Ok(()) }
        });
        if changes {
            self.store.settle()?;
        }
        sample
    }

    fn taken(&self, work: impl FnOnce() -> Result<()>) -> Result<Sample> {
        let before = self.store.shard.sql().taken()?;
        let begun = Instant::now();
        work()?;
        let turn_us = begun.elapsed().as_secs_f64() * 1e6;
        let after = self.store.shard.sql().taken()?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let count = |after: u64, before: u64| (after - before) as f64;
        Ok(Sample {
            sql_us: after.sql.saturating_sub(before.sql).as_secs_f64() * 1e6,
            turn_us,
            statements: count(after.statements, before.statements),
            steps: count(after.steps, before.steps),
            written: count(after.changes, before.changes),
        })
    }
}

/// Every operation at every size, one after the other in each round: samples by size and operation.
pub(crate) fn rounds(stores: &[Asked], rounds: usize) -> Result<Vec<Vec<Vec<Sample>>>> {
    let mut samples = vec![vec![Vec::new(); OPERATIONS.len()]; stores.len()];
    for round in 0..rounds {
        for operation in 0..OPERATIONS.len() {
            for place in 0..stores.len() {
                let place = (place + round) % stores.len();
                let sample = stores[place].measure(operation, round).with_context(|| OPERATIONS[operation].to_owned())?;
                if round >= rounds / 10 {
                    samples[place][operation].push(sample); // the first ones warm up
                }
            }
        }
    }
    Ok(samples)
}
