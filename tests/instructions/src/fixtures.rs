//! Keys, records, feeds and policies, always the same. Nothing here is counted.

use anyhow::Result;
use keyward_edge::verifier::{Attempt, Lookup, Read, Verifier};
use keyward_shared::{
    digest::Digest,
    feed::{Change, Feed, Subject},
    ids::{CompanyId, KeyId, OwnerId},
    key::{KeyString, Prefix, Secret},
    permission::{Permission, PermissionSet},
    policy::{self, Fallback, Policy, Rule, StoredPolicy},
    record::{KeyState, Metadata, Record, VERSION},
    secret::SecretList,
    settings::CommonSettings,
    shard::Shard,
    tag::TagSecrets,
    time::Millis,
};

/// When everything was read, in milliseconds as they are today: with as many digits.
pub(crate) const READ_AT: Millis = Millis(1_795_000_000_000);
/// A moment later: everything that was read is still fresh.
pub(crate) const NOW: Millis = Millis(READ_AT.0 + 1_000);

const PREFIX: &str = "kw_live";

/// A key and the digest that it is found by.
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) digest: Digest,
}

/// The `n`th key.
pub(crate) fn key(n: u8) -> Result<Key> {
    let prefix = Prefix::new(PREFIX)?;
    let mut next = n;
    let secret = Secret::draw(|bytes| {
        bytes.fill_with(|| {
            next = next.wrapping_mul(17).wrapping_add(29);
            next % 248
        });
        Ok::<_, anyhow::Error>(())
    })?;
    let digest = secret.digest(&prefix, shard()?);
    let text = KeyString::assemble(&prefix, shard()?, &secret, tags()?.tag(shard()?, &digest)).reveal().to_owned();
    Ok(Key { text, digest })
}

/// The first key with its last character another.
pub(crate) fn mistyped() -> Result<String> {
    let mut text = key(1)?.text;
    let last = text.pop();
    text.push(if last == Some('0') { '1' } else { '0' });
    Ok(text)
}

/// A key that parses, and that this deployment never made.
pub(crate) fn made_up() -> Result<String> {
    let (prefix, digest) = (Prefix::new(PREFIX)?, Digest::of(b"another"));
    let secret = Secret::from_bytes(*b"0123456789abcdefghijABCDEFGH")?;
    Ok(KeyString::assemble(&prefix, shard()?, &secret, tags()?.tag(shard()?, &digest)).reveal().to_owned())
}

/// The shard of the company.
pub(crate) fn shard() -> Result<Shard> {
    Ok(Shard::of(&CompanyId::new("demo")?))
}

/// What tags are made with.
pub(crate) fn tags() -> Result<TagSecrets> {
    Ok(TagSecrets::parse(&secret())?)
}

/// What records, feeds and policies are sealed with.
pub(crate) fn secrets() -> Result<SecretList> {
    Ok(SecretList::parse(&secret())?)
}

fn secret() -> String {
    "0123456789abcdef".repeat(4)
}

/// A permission.
pub(crate) fn permission(name: &str) -> Result<Permission> {
    Ok(Permission::new(name)?)
}

/// A record such as most keys have: an owner with three permissions, some metadata, no networks.
pub(crate) fn record() -> Result<Record> {
    Ok(Record {
        v: VERSION,
        key_id: KeyId::new("key_0123456789abcdefghij")?,
        company: CompanyId::new("demo")?,
        owner: OwnerId::new("auth0|5f2c1d9e")?,
        shard: shard()?,
        state: KeyState::Active,
        owner_active: true,
        company_active: true,
        expires_at: Some(Millis(READ_AT.0 + 86_400_000)),
        created_at: Millis(READ_AT.0 - 86_400_000),
        permissions: PermissionSet::parse(["invoices.read", "orders.read", "orders.write"])?,
        networks: Vec::new(),
        rate_limit: Some("gold".to_owned()),
        metadata: Metadata::from(&serde_json::Map::from_iter([("plan".to_owned(), "pro".into())])),
        rev: READ_AT.0 - 5_000,
        as_of: READ_AT,
    })
}

/// A feed that is complete, and lists `changes` changes, none of them the record's.
pub(crate) fn feed(changes: u64) -> Result<Feed> {
    let change = |n: u64| {
        let subject: Subject = format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).parse()?;
        Ok(Change(subject, READ_AT.0 + n))
    };
    let changes = (1..=changes).map(change).collect::<Result<_>>()?;
    Ok(Feed::new(0, NOW, Millis(0), changes))
}

/// The same as it is stored.
pub(crate) fn sealed_feed(changes: u64) -> Result<String> {
    Ok(feed(changes)?.seal(&secrets()?)?)
}

/// How a policy's rules share the first segment of their paths.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Each has its own, as at an API without a version in its paths.
    Apart,
    /// All have one, as at an API under `/v1`.
    Together,
}

/// What a rule's path is about: `n` in its words.
fn resource(layout: Layout, n: usize) -> String {
    match layout {
        Layout::Apart => format!("/resource{n:04}"),
        Layout::Together => format!("/v1/resource{n:04}"),
    }
}

/// A path that the last of `rules` rules matches.
pub(crate) fn path_of_last(layout: Layout, rules: usize) -> String {
    format!("{}/42", resource(layout, rules))
}

/// A policy of `rules` rules; all ask for a permission that the record has.
pub(crate) fn policy(layout: Layout, rules: usize) -> Result<Policy> {
    let rule = |n| {
        let path = format!("{}/**", resource(layout, n));
        Ok(Rule { methods: vec!["GET".to_owned()], path, permission: Some(permission("orders.read")?), anonymous: false, bearer: None })
    };
    Ok(Policy { default: Fallback::Deny, rules: (1..=rules).map(rule).collect::<Result<_>>()? })
}

/// The same as it is stored.
pub(crate) fn sealed_policy(layout: Layout, rules: usize) -> Result<String> {
    let stored = StoredPolicy { v: policy::VERSION, rev: 1, as_of: READ_AT, policy: policy(layout, rules)? };
    Ok(stored.seal(&secrets()?)?)
}

/// A verifier with the shipped numbers that knows nothing.
pub(crate) fn verifier() -> Result<Verifier> {
    let settings = CommonSettings::read(&|name: &str| match name {
        "OPERATOR_COMPANY" => Some("demo".to_owned()),
        "TAG_SECRETS" | "RECORD_SECRETS" => Some(secret()),
        _ => None,
    })?;
    Ok(Verifier::new(settings))
}

/// Lets `verifier` have read `text`.
pub(crate) fn provide(verifier: &mut Verifier, read: Read, text: String) {
    verifier.provide(read, Lookup::Found(text), NOW, &mut Attempt::default());
}

/// A verifier that has read the first key's `record`.
pub(crate) fn knowing(record: &Record) -> Result<Verifier> {
    let (mut verifier, key) = (verifier()?, key(1)?);
    provide(&mut verifier, Read::Record(shard()?, key.digest), record.seal(&secrets()?, &key.digest)?);
    Ok(verifier)
}
