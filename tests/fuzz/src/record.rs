//! Records as they stand in the replicated store.

use keyward_shared::{
    digest::Digest,
    record::{self, Record, VERSION},
    seal,
    secret::SecretList,
    shard::Shard,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::input;

/// A record's fields as another reader finds them.
#[derive(Debug, Deserialize)]
struct Mirror<'t> {
    v: u32,
    key_id: String,
    company: String,
    owner: String,
    shard: String,
    state: String,
    owner_active: bool,
    company_active: bool,
    expires_at: Option<u64>,
    created_at: u64,
    permissions: Vec<String>,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    rate_limit: Option<String>,
    #[serde(borrow, default)]
    metadata: Option<&'t RawValue>,
    rev: u64,
    as_of: u64,
}

/// The input as a stored value: nothing that was not sealed opens, and cutting or changing a sealed one closes it. The
/// input as a sealed body: it opens only under its own name, has what
/// `serde_json` finds in it, and comes back from the store as it went there.
pub fn record(data: &[u8]) {
    let Some(text) = input::text(data) else { return };
    let (secrets, digest): (_, Digest) = (SecretList::single([3; 32]), Digest::of(b"fuzz"));
    let shard: Shard = "MDeu".parse().unwrap();
    assert!(Record::open(&SecretList::single([9; 32]), shard, &digest, text).is_err());

    let sealed = seal::seal(&secrets, &record::name(shard, &digest), text);
    assert_eq!(seal::open(&secrets, &record::name(shard, &digest), &sealed), Ok(text));
    untouched(&secrets, shard, &digest, &sealed, data);
    let Ok(record) = Record::open(&secrets, shard, &digest, &sealed) else { return };

    let mirror: Mirror<'_> = serde_json::from_str(text).expect("what Keyward's reader reads serde_json reads");
    assert_eq!((record.v, record.shard), (VERSION, shard));
    assert_eq!((mirror.v, mirror.shard.as_str()), (VERSION, "MDeu"));
    assert_eq!(record.key_id.as_str(), mirror.key_id);
    assert_eq!(record.company.as_str(), mirror.company);
    assert_eq!(record.owner.as_str(), mirror.owner);
    assert_eq!(serde_json::to_value(record.state).unwrap(), mirror.state);
    assert_eq!((record.owner_active, record.company_active), (mirror.owner_active, mirror.company_active));
    assert_eq!(record.expires_at.map(|at| at.0), mirror.expires_at);
    assert_eq!((record.created_at.0, record.rev, record.as_of.0), (mirror.created_at, mirror.rev, mirror.as_of));
    assert_eq!(record.rate_limit, mirror.rate_limit);
    assert_eq!(record.metadata.as_str(), mirror.metadata.map_or("{}", RawValue::get));
    assert_eq!(record.networks.len(), mirror.networks.len());
    assert!(record.permissions.iter().all(|permission| mirror.permissions.iter().any(|named| named == permission.as_str())));

    let again = record.seal(&secrets, &digest).unwrap();
    let reread = Record::open(&secrets, shard, &digest, &again).unwrap();
    assert_eq!(reread, record);
    assert_eq!(reread.seal(&secrets, &digest).unwrap(), again, "the second writing is the first");
}

/// Nothing but the sealed value opens under its name, and it opens under no other.
fn untouched(secrets: &SecretList, shard: Shard, digest: &Digest, sealed: &str, data: &[u8]) {
    let place = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let name = record::name(shard, digest);
    for with in ['0', 'f', ' ', '{', '\u{e9}'] {
        if let Some(changed) = input::edited(sealed, place, with) {
            assert!(seal::open(secrets, &name, &changed).is_err(), "changed");
        }
    }
    let cut: String = sealed.chars().take(place % sealed.chars().count()).collect();
    for changed in [&cut, &format!("{sealed}0"), &format!("{sealed}\0"), &sealed[1..]] {
        assert!(seal::open(secrets, &name, changed).is_err(), "cut or added to");
    }
    let elsewhere: Shard = "0000".parse().unwrap();
    assert!(Record::open(secrets, elsewhere, digest, sealed).is_err());
    assert!(Record::open(secrets, shard, &Digest::of(b"another"), sealed).is_err());
    assert!(Record::open(&SecretList::single([4; 32]), shard, digest, sealed).is_err());
}
