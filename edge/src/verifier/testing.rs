//! Keys, records, feeds and policies for tests, all made with the same secrets.

#![allow(clippy::missing_panics_doc)] // a test that cannot be set up has failed

use keyward_shared::{
    digest::Digest,
    feed::{Change, Feed},
    ids::{CompanyId, KeyId, OwnerId},
    key::{KeyString, Prefix, Secret},
    messages::ResolveAnswer,
    permission::PermissionSet,
    policy::{self, Policy, StoredPolicy},
    record::{KeyState, Record, VERSION},
    secret::SecretList,
    settings::CommonSettings,
    shard::Shard,
    tag::TagSecrets,
    time::Millis,
};

use super::Verifier;

/// The secrets' bytes in hexadecimal.
pub fn secret_hex() -> String {
    "03".repeat(32)
}

/// What records are sealed with.
pub fn secrets() -> SecretList {
    SecretList::single([3; 32])
}

/// A verifier with the shipped numbers.
pub fn verifier() -> Verifier {
    let settings = CommonSettings::read(&|name: &str| match name {
        "OPERATOR_COMPANY" => Some("demo".to_owned()),
        "TAG_SECRETS" | "RECORD_SECRETS" => Some(secret_hex()),
        _ => None,
    });
    Verifier::new(settings.unwrap())
}

/// The shard of the company `demo`.
pub fn shard() -> Shard {
    Shard::of(&CompanyId::new("demo").unwrap())
}

/// The `n`th key, and its digest.
pub fn key(n: u8) -> (String, Digest) {
    let prefix = Prefix::new("kw_live").unwrap();
    let secret = Secret::draw(|bytes| {
        bytes.fill(n);
        Ok::<_, ()>(())
    });
    let digest = secret.unwrap().digest(&prefix, shard());
    let tag = TagSecrets::parse(&secret_hex()).unwrap().tag(shard(), &digest);
    (KeyString::assemble(&prefix, shard(), &secret.unwrap(), tag).reveal().to_owned(), digest)
}

/// A record of `demo`'s owner `ann`, revision 100, true at 1,000,000 ms.
pub fn record() -> Record {
    Record {
        v: VERSION,
        key_id: KeyId::new("key_0123456789abcdefghij").unwrap(),
        company: CompanyId::new("demo").unwrap(),
        owner: OwnerId::new("ann").unwrap(),
        shard: shard(),
        state: KeyState::Active,
        owner_active: true,
        company_active: true,
        expires_at: None,
        created_at: Millis(0),
        permissions: PermissionSet::parse(["orders.read"]).unwrap(),
        networks: vec![],
        rate_limit: None,
        metadata: keyward_shared::record::Metadata::default(),
        rev: 100,
        as_of: Millis(1_000_000),
    }
}

/// A sealed feed, complete since the beginning of time unless said otherwise.
pub fn feed(issued_at: u64, since: u64, changes: &[Change]) -> String {
    Feed::new(0, Millis(issued_at), Millis(since), changes.to_vec()).seal(&secrets()).unwrap()
}

/// The object's answer with a record.
pub fn resolved(record: &Record, digest: &Digest) -> String {
    serde_json::to_string(&ResolveAnswer::Record(record.seal(&secrets(), digest).unwrap())).unwrap()
}

/// A sealed policy.
pub fn policy(rev: u64, as_of: u64, json: &str) -> String {
    let policy: Policy = serde_json::from_str(json).unwrap();
    StoredPolicy { v: policy::VERSION, rev, as_of: Millis(as_of), policy }.seal(&secrets()).unwrap()
}
