//! The record: what the edge needs to decide about one key, as it stands in the replicated store under
//! the key's digest.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::{Map, Value, value::RawValue};
use thiserror::Error;

use crate::{
    digest::Digest,
    feed::Subject,
    ids::{CompanyId, KeyId, OwnerId},
    json::{self, Fault, FromJson, Reader},
    json_object, json_words,
    network::Network,
    permission::PermissionSet,
    seal::{self, SealError},
    secret::SecretList,
    shard::Shard,
    time::Millis,
};

/// The version of the record's JSON that this code writes and reads.
pub const VERSION: u32 = 1;

/// Why a stored value is no record that may be used.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The envelope or its MAC.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The MAC is right, the content is not what this version writes.
    #[error("a record is not readable: {0}")]
    Form(#[from] json::Error),
    /// Another version of the schema.
    #[error("a record is of another version")]
    Version,
    /// Sealed under the right name, yet about another shard.
    #[error("a record belongs to another shard")]
    Shard,
}

/// Whether the key itself still lives; expiry is computed, deletion has no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Not revoked.
    Active,
    /// Revoked; final.
    Revoked,
}

json_words!(KeyState { "active" => Active, "revoked" => Revoked });

/// What the shard's object knew about one key at [`Record::as_of`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub v: u32,
    /// The public name of the key.
    pub key_id: KeyId,
    /// The company that the key acts in.
    pub company: CompanyId,
    /// The person the key acts as.
    pub owner: OwnerId,
    /// The shard of the company; the reader compares it with the key's.
    pub shard: Shard,
    /// Revoked or not.
    pub state: KeyState,
    /// Whether the owner may act.
    pub owner_active: bool,
    /// Whether the company may act.
    pub company_active: bool,
    /// From when on the key no longer works.
    pub expires_at: Option<Millis>,
    /// When the key was made.
    pub created_at: Millis,
    /// What the key may do: the owner's permissions ∩ the key's own restriction.
    pub permissions: PermissionSet,
    /// From where it may be used; empty: from anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// The name of a rate-limit tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<String>,
    /// What the maker of the key attached to it.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The shard's revision when the row was read.
    pub rev: u64,
    /// When the object read the row to write this, less the margin for clocks.
    pub as_of: Millis,
}

json_object!(Record {
    v, key_id, company, owner, shard, state, owner_active, company_active, created_at, permissions, rev, as_of;
    or default expires_at, networks, rate_limit, metadata
} passing over others);

/// What the maker of a key attached to it: a JSON object, kept as its text, because nobody but its reader looks inside.
#[derive(Clone, PartialEq, Eq)]
pub struct Metadata(Box<str>);

impl Metadata {
    /// The object's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is attached.
    pub fn is_empty(&self) -> bool {
        &*self.0 == "{}"
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self("{}".into())
    }
}

impl From<&Map<String, Value>> for Metadata {
    fn from(object: &Map<String, Value>) -> Self {
        serde_json::to_string(object).map_or_else(|_| Self::default(), |text| Self(text.into())) // a map of values always serializes
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.as_str().into()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        if text.get().starts_with('{') { Ok(Self(text.get().into())) } else { Err(D::Error::custom("no object")) }
    }
}

impl FromJson for Metadata {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let text = reader.skip()?;
        if text.starts_with('{') { Ok(Self(text.into())) } else { Err(Fault::Value) }
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a key's record in the replicated store: `k:<shard><64 hex>`.
pub fn name(shard: Shard, digest: &Digest) -> String {
    format!("k:{shard}{digest}")
}

/// The name of the record of an imported key, which says nothing of a shard: `i:<64 hex>`.
pub fn imported_name(digest: &Digest) -> String {
    format!("i:{digest}")
}

impl Record {
    /// The record as it is stored under [`name`]: versioned JSON with a MAC.
    pub fn seal(&self, secrets: &SecretList, digest: &Digest) -> Result<String, serde_json::Error> {
        Ok(seal::seal(secrets, &name(self.shard, digest), &serde_json::to_string(self)?))
    }

    /// The record of an imported key as it is stored under [`imported_name`].
    pub fn seal_imported(&self, secrets: &SecretList, digest: &Digest) -> Result<String, serde_json::Error> {
        Ok(seal::seal(secrets, &imported_name(digest), &serde_json::to_string(self)?))
    }

    /// Reads what was stored for `digest` in `shard`.
    pub fn open(secrets: &SecretList, shard: Shard, digest: &Digest, value: &str) -> Result<Self, RecordError> {
        let record = Self::read(seal::open(secrets, &name(shard, digest), value)?)?;
        if record.shard == shard { Ok(record) } else { Err(RecordError::Shard) }
    }

    /// Reads what was stored for the imported key with `digest`. Where it lives, the record says itself: one shard alone
    /// has the digest.
    pub fn open_imported(secrets: &SecretList, digest: &Digest, value: &str) -> Result<Self, RecordError> {
        Self::read(seal::open(secrets, &imported_name(digest), value)?)
    }

    fn read(body: &str) -> Result<Self, RecordError> {
        if seal::version_of(body)? != VERSION {
            return Err(RecordError::Version);
        }
        Ok(json::from_str(body)?)
    }

    /// The subjects whose change makes the record outdated: key, owner, company, shard.
    pub fn subjects(&self) -> [Subject; 4] {
        [
            Subject::key(self.shard, &self.company, &self.key_id),
            Subject::owner(self.shard, &self.company, &self.owner),
            Subject::company(self.shard, &self.company),
            Subject::shard(self.shard),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            v: VERSION,
            key_id: KeyId::new("key_0123456789abcdefghij").unwrap(),
            company: CompanyId::new("demo").unwrap(),
            owner: OwnerId::new("auth0|5f2").unwrap(),
            shard: "MDeu".parse().unwrap(),
            state: KeyState::Active,
            owner_active: true,
            company_active: true,
            expires_at: Some(Millis(1_800_000_000_000)),
            created_at: Millis(1_790_000_000_000),
            permissions: PermissionSet::parse(["orders.*", "keyward.introspect"]).unwrap(),
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            rate_limit: Some("gold".into()),
            metadata: Metadata::from(&Map::from_iter([("plan".to_owned(), Value::from("pro"))])),
            rev: 1_795_000_000_123,
            as_of: Millis(1_795_000_000_000),
        }
    }

    fn secrets() -> SecretList {
        SecretList::single([3; 32])
    }

    #[test]
    fn the_stored_form_is_the_golden_one() {
        let digest = Digest::of(b"golden");
        let stored = record().seal(&secrets(), &digest).unwrap();
        assert_eq!(stored, include_str!("../golden/record-v1.txt").trim_end());
        assert_eq!(Record::open(&secrets(), record().shard, &digest, &stored).unwrap(), record());
    }

    #[test]
    fn what_has_its_default_is_left_out() {
        let plain = Record { networks: vec![], rate_limit: None, metadata: Metadata::default(), expires_at: None, ..record() };
        let stored = plain.seal(&secrets(), &Digest::of(b"golden")).unwrap();
        assert_eq!(stored, include_str!("../golden/record-v1-plain.txt").trim_end());
        assert_eq!(Record::open(&secrets(), plain.shard, &Digest::of(b"golden"), &stored).unwrap(), plain);
    }

    #[test]
    fn the_record_of_an_imported_key_is_the_same_under_another_name() {
        let digest = Digest::of(b"golden");
        assert_eq!(imported_name(&digest), format!("i:{digest}"));
        let stored = record().seal_imported(&secrets(), &digest).unwrap();
        assert_eq!(stored, include_str!("../golden/record-v1-imported.txt").trim_end());
        assert_eq!(Record::open_imported(&secrets(), &digest, &stored).unwrap(), record());
        // Neither passes for the other.
        let own = record().seal(&secrets(), &digest).unwrap();
        assert!(matches!(Record::open_imported(&secrets(), &digest, &own), Err(RecordError::Seal(SealError::Mac))));
        assert!(matches!(Record::open(&secrets(), record().shard, &digest, &stored), Err(RecordError::Seal(SealError::Mac))));
        let newer = Record { v: 2, ..record() }.seal_imported(&secrets(), &digest).unwrap();
        assert!(matches!(Record::open_imported(&secrets(), &digest, &newer), Err(RecordError::Version)));
    }

    #[test]
    fn another_keys_record_another_version_and_another_shards_are_refused() {
        let digest = Digest::of(b"golden");
        let stored = record().seal(&secrets(), &digest).unwrap();
        assert!(matches!(Record::open(&secrets(), record().shard, &Digest::of(b"other"), &stored), Err(RecordError::Seal(SealError::Mac))));
        assert!(matches!(
            Record::open(&SecretList::single([4; 32]), record().shard, &digest, &stored),
            Err(RecordError::Seal(SealError::Mac))
        ));

        let newer = Record { v: 2, ..record() }.seal(&secrets(), &digest).unwrap();
        assert!(matches!(Record::open(&secrets(), record().shard, &digest, &newer), Err(RecordError::Version)));

        let elsewhere: Shard = "0000".parse().unwrap();
        let moved = seal::seal(&secrets(), &name(elsewhere, &digest), &serde_json::to_string(&record()).unwrap());
        assert!(matches!(Record::open(&secrets(), elsewhere, &digest, &moved), Err(RecordError::Shard)));

        let broken = seal::seal(&secrets(), &name(elsewhere, &digest), "{\"v\":1}");
        assert!(matches!(Record::open(&secrets(), elsewhere, &digest, &broken), Err(RecordError::Form(_))));
    }
}
