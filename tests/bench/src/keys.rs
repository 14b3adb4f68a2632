//! The keys that requests carry: minted as the control plane mints them, with owners and permissions, and some that nobody gave out.

use anyhow::{Context, Result};
use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, KeyId, OwnerId},
    key::Prefix,
    mint,
    permission::PermissionSet,
    record::{KeyState, Metadata, Record, VERSION},
    shard::Shard,
    tag::TagSecrets,
    time::Millis,
};

/// How many there are unless something else is asked for.
pub const COUNT: usize = 10_000;
/// How many that must be refused.
const WRONG: usize = 4;
/// How many companies they belong to.
const COMPANIES: usize = 20;
/// How many owners a company has.
const OWNERS: usize = 50;
/// What each key may do.
pub const PERMISSIONS: [&str; 3] = ["orders.read", "orders.write", "reports.*"];

/// One key.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key itself.
    pub text: String,
    /// Under which it is stored.
    pub digest: Digest,
    /// Its public name.
    pub id: KeyId,
    /// Whose it is.
    pub company: CompanyId,
    /// As whom it acts.
    pub owner: OwnerId,
}

impl Key {
    fn mint(number: usize, tags: &TagSecrets) -> Result<Self> {
        let company = CompanyId::new(&format!("company-{}", number % COMPANIES))?;
        let owner = OwnerId::new(&format!("owner-{}", number / COMPANIES % OWNERS))?;
        let (key, digest) = mint::key(&Prefix::new("kw_live")?, Shard::of(&company), tags)?;
        let id = KeyId::new(&format!("key_{number:020}"))?;
        Ok(Self { text: key.reveal().into(), digest, id, company, owner })
    }

    /// Where its record is kept.
    pub fn shard(&self) -> Shard {
        Shard::of(&self.company)
    }

    /// Its record, as true at `as_of`, with these permissions.
    pub fn record(&self, as_of: Millis, permissions: &PermissionSet) -> Record {
        Record {
            v: VERSION,
            key_id: self.id.clone(),
            company: self.company.clone(),
            owner: self.owner.clone(),
            shard: self.shard(),
            state: KeyState::Active,
            owner_active: true,
            company_active: true,
            expires_at: None,
            created_at: as_of,
            permissions: permissions.clone(),
            networks: Vec::new(),
            rate_limit: None,
            metadata: Metadata::default(),
            rev: as_of.0,
            as_of,
        }
    }
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Those that are let in.
    pub valid: Vec<Key>,
    /// Of the right form, yet nobody's.
    pub wrong: Vec<String>,
}

impl Keys {
    /// Mints `count` keys.
    pub fn mint(count: usize, tags: &TagSecrets) -> Result<Self> {
        let valid = (0..count).map(|number| Key::mint(number, tags)).collect::<Result<_>>()?;
        let others = TagSecrets::parse(&"5a".repeat(32)).context("a secret")?;
        let wrong = (0..WRONG).map(|number| Key::mint(number, &others).map(|key| key.text)).collect::<Result<_>>()?;
        Ok(Self { valid, wrong })
    }

    /// The texts of the first `count`.
    pub fn texts(&self, count: usize) -> Vec<String> {
        self.valid.iter().take(count).map(|key| key.text.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use keyward_shared::key::ParsedKey;

    use super::*;

    #[test]
    fn keys_are_the_issuers_and_wrong_ones_are_not() {
        let tags = TagSecrets::parse(&"ab".repeat(32)).unwrap();
        let keys = Keys::mint(30, &tags).unwrap();
        let made = |text: &str| {
            let key = ParsedKey::parse(text.as_bytes()).unwrap();
            tags.made(key.tag(), key.shard(), &key.digest())
        };
        assert!(keys.valid.iter().all(|key| made(&key.text)) && !keys.wrong.iter().any(|text| made(text)));
        assert_eq!(keys.texts(2).len(), 2);
        assert_eq!(ParsedKey::parse(keys.valid[7].text.as_bytes()).unwrap().digest(), keys.valid[7].digest);
    }
}
