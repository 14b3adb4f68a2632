//! A store with as much of something as a step wants, and a feed in it that stays fresh. Keys are drawn from their number, so that ten million of them
//! need no memory: their records are written in the order of their names, and any of them can be made again.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use keyward_selfhost::kv::{Entry, KvService};
use keyward_shared::{
    digest::Digest,
    feed::{self, Change, Feed, KEPT, Subject},
    ids::{CompanyId, KeyId, OwnerId},
    key::{KeyString, Prefix, Secret},
    permission::PermissionSet,
    policy::{self, Policy, StoredPolicy},
    record,
    secret::SecretList,
    shard::Shard,
    tag::TagSecrets,
    time::Millis,
};
use serde_json::Value;

use crate::{
    deployment::{Deployment, now},
    keys::Key,
};

/// How often the feed is published.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How many records are written at once.
const AT_ONCE: usize = 20_000;
/// How many keys are made to be sent.
const SAMPLE: usize = 1_000;

/// What a store holds.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Keys.
    pub keys: usize,
    /// Changes that the feed lists.
    pub changes: usize,
    /// The policy.
    pub policy: Value,
    /// What each key may do.
    pub permissions: Vec<String>,
}

/// A store, filled.
#[derive(Debug)]
pub struct Store {
    /// Keys from all over it, each once.
    pub sample: Vec<String>,
    kv: Arc<KvService>,
    keys: Drawn,
    count: usize,
    secrets: SecretList,
    changes: Vec<Change>,
}

impl Store {
    /// Fills a store in the file `path`, with the secrets of the deployment.
    pub fn fill(deployment: &Deployment, path: &Path, contents: &Contents) -> Result<Self> {
        let setting = |name: &str| deployment.edge_setting(name);
        let secrets = SecretList::parse(&setting("RECORD_SECRETS")?)?;
        let keys = Drawn::new(TagSecrets::parse(&setting("TAG_SECRETS")?)?)?;
        let kv = Arc::new(deployment.block_on(KvService::start(path, None))?);
        let permissions = PermissionSet::parse(contents.permissions.iter().map(String::as_str))?;
        let as_of = now();
        for numbers in keys.in_order(contents.keys).chunks(AT_ONCE) {
            let entry = |number: &u32| {
                let key = keys.key(*number as usize)?;
                let sealed = key.record(as_of, &permissions).seal(&secrets, &key.digest)?;
                anyhow::Ok((record::name(key.shard(), &key.digest), Entry::new(sealed)))
            };
            let entries = numbers.iter().map(entry).collect::<Result<Vec<_>>>()?;
            kv.put_all(entries.iter().map(|(name, entry)| (name.as_str(), entry)))?;
        }
        let policy: Policy = serde_json::from_value(contents.policy.clone())?;
        if let Some(problem) = policy.problems().first() {
            bail!("the policy: {} {}", problem.field, problem.detail);
        }
        let stored = StoredPolicy { v: policy::VERSION, rev: as_of.0, as_of, policy };
        kv.put(policy::NAME, &Entry::new(stored.seal(&secrets)?))?;
        let sample = step_through(contents.keys, SAMPLE).map(|number| keys.text(number)).collect::<Result<_>>()?;
        let changes = (0..contents.changes).map(|number| change(number, as_of)).collect::<Result<_>>()?;
        Ok(Self { sample, kv, keys, count: contents.keys, secrets, changes })
    }

    /// Where a runtime finds it.
    pub fn address(&self) -> SocketAddr {
        self.kv.address()
    }

    /// `count` keys drawn from all, some of them repeatedly.
    pub fn drawn(&self, count: usize) -> Vec<String> {
        let mut random = fastrand::Rng::with_seed(11);
        (0..count).filter_map(|_| self.keys.text(random.usize(..self.count)).ok()).collect()
    }

    /// Publishes the feed from now on, until what this gives is dropped.
    pub fn publish(&self) -> Result<Publishing> {
        let (kv, secrets, changes) = (Arc::clone(&self.kv), self.secrets.clone(), self.changes.clone());
        let publish = move || {
            let at = now();
            let feed = Feed::new(0, at, at.minus(KEPT), changes.clone()).seal(&secrets)?;
            anyhow::Ok(kv.put(&feed::name(0), &Entry::new(feed))?)
        };
        publish()?;
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                thread::park_timeout(HEARTBEAT);
                publish()?;
            }
            Ok(())
        });
        Ok(Publishing { ends, thread: Some(thread) })
    }
}

/// A feed being published.
#[derive(Debug)]
pub struct Publishing {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        thread.thread().unpark();
        if let Ok(Err(error)) = thread.join() {
            eprintln!("warning: the feed could not be published: {error:#}");
        }
    }
}

/// Something that changed lately and is no business of the keys that are asked about.
fn change(number: usize, as_of: Millis) -> Result<Change> {
    let company = CompanyId::new("elsewhere")?;
    let key = KeyId::new(&format!("key_{number:020}"))?;
    Ok(Change(Subject::key(Shard::of(&company), &company, &key), as_of.0))
}

/// `count` numbers below `all`, spread evenly.
fn step_through(all: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| place * (all / count).max(1) % all.max(1))
}

/// Keys by their number.
#[derive(Debug)]
struct Drawn {
    prefix: Prefix,
    companies: Vec<(CompanyId, Shard)>,
    tags: TagSecrets,
}

impl Drawn {
    fn new(tags: TagSecrets) -> Result<Self> {
        let company = |number: usize| {
            let company = CompanyId::new(&format!("company-{number}"))?;
            let shard = Shard::of(&company);
            anyhow::Ok((company, shard))
        };
        let companies = (0..20).map(company).collect::<Result<_>>()?;
        Ok(Self { prefix: Prefix::new("kw_live")?, companies, tags })
    }

    fn secret(number: usize) -> Result<Secret> {
        let mut random = fastrand::Rng::with_seed(u64::try_from(number)?);
        Secret::draw(|bytes| {
            random.fill(bytes);
            anyhow::Ok(())
        })
    }

    fn place(&self, number: usize) -> Result<(&(CompanyId, Shard), Digest, Secret)> {
        let at = self.companies.get(number % self.companies.len()).context("no companies")?;
        let secret = Self::secret(number)?;
        Ok((at, secret.digest(&self.prefix, at.1), secret))
    }

    fn text(&self, number: usize) -> Result<String> {
        let ((_, shard), digest, secret) = self.place(number)?;
        Ok(KeyString::assemble(&self.prefix, *shard, &secret, self.tags.tag(*shard, &digest)).reveal().to_owned())
    }

    fn key(&self, number: usize) -> Result<Key> {
        let ((company, _), digest, _) = self.place(number)?;
        let owner = OwnerId::new(&format!("owner-{}", number % 997))?;
        Ok(Key { text: String::new(), digest, id: KeyId::new(&format!("key_{number:020}"))?, company: company.clone(), owner })
    }

    /// The first `count` numbers in the order of their records' names: a store that is filled in order needs to touch each page once.
    fn in_order(&self, count: usize) -> Vec<u32> {
        let mut all: Vec<(Shard, [u8; 8], u32)> = (0..count)
            .filter_map(|number| {
                let ((_, shard), digest, _) = self.place(number).ok()?;
                Some((*shard, *digest.as_bytes().first_chunk()?, u32::try_from(number).ok()?))
            })
            .collect();
        all.sort_unstable_by(|a, b| a.0.as_str().cmp(b.0.as_str()).then(a.1.cmp(&b.1)));
        all.into_iter().map(|(_, _, number)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use keyward_shared::key::ParsedKey;

    use super::*;

    #[test]
    fn a_key_is_drawn_from_its_number_alone_and_has_the_digest_of_its_text() {
        let drawn = Drawn::new(TagSecrets::parse(&"ab".repeat(32)).unwrap()).unwrap();
        assert_eq!(drawn.text(7).unwrap(), drawn.text(7).unwrap());
        assert_ne!(drawn.text(7).unwrap(), drawn.text(27).unwrap());
        let text = drawn.text(7).unwrap();
        assert_eq!(ParsedKey::parse(text.as_bytes()).unwrap().digest(), drawn.key(7).unwrap().digest);
    }

    #[test]
    fn keys_are_written_in_the_order_of_their_names() {
        let drawn = Drawn::new(TagSecrets::parse(&"ab".repeat(32)).unwrap()).unwrap();
        let numbers = drawn.in_order(500);
        let names: Vec<String> =
            numbers.iter().map(|n| drawn.key(*n as usize).map(|key| record::name(key.shard(), &key.digest)).unwrap()).collect();
        assert!(names.is_sorted());
        let mut sorted = numbers;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..500));
    }

    #[test]
    fn a_sample_is_from_everywhere_and_has_each_key_once() {
        let numbers: Vec<usize> = step_through(100_000, 1_000).collect();
        assert_eq!((numbers[1], numbers[999]), (100, 99_900));
        assert!(step_through(1_000, 1_000).eq(0..1_000));
    }
}
