//! Who may pass: the key of a request, its record, and what the policy asks.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use axum::http::{HeaderMap, HeaderValue, Request};
use keyward_shared::{
    decide::decide,
    digest::Digest,
    key::ParsedKey,
    path,
    policy::{CompiledPolicy, Policy, Requirement},
    problem::Code,
    record::Record,
    secret::SecretList,
    shard::Shard,
    time::Millis,
};

/// All records, and the policy.
pub(crate) struct Verifier {
    records: HashMap<Digest, Record>,
    policy: CompiledPolicy,
}

impl Verifier {
    /// Opens the records, one a line: shard, digest, and the sealed value, with a space between. The policy is in JSON.
    pub(crate) fn new(records: &str, policy: &str, secrets: &str) -> Result<Self> {
        let secrets = SecretList::parse(secrets).context("RECORD_SECRETS")?;
        let records = records.lines().map(|line| open(line, &secrets)).collect::<Result<_>>().context("the records")?;
        let policy: Policy = serde_json::from_str(policy).context("the policy")?;
        if !policy.is_usable() {
            bail!("the policy: {:?}", policy.problems());
        }
        Ok(Self { records, policy: CompiledPolicy::new(&policy) })
    }

    /// The record of the key of a request that may pass; otherwise why not. Every rule here needs a key.
    pub(crate) fn decide<B>(&self, request: &Request<B>) -> Result<&Record, Code> {
        let path = request.uri().path();
        path::check(path).map_err(|_| Code::AmbiguousPath)?;
        let key = credential(request.headers()).ok_or(Code::MissingCredentials)?;
        let key = ParsedKey::parse(key).map_err(|_| Code::MalformedKey)?;
        let record = self.records.get(&key.digest()).ok_or(Code::UnknownKey)?;
        let permission = match self.policy.requirement(request.method().as_str(), path) {
            Requirement::Key { permission, .. } => permission,
            Requirement::Anonymous => None,
            Requirement::Denied => return Err(Code::PermissionDenied),
        };
        decide(record, now(), None, permission).map_err(keyward_shared::decide::Refusal::code)?;
        Ok(record)
    }
}

fn open(line: &str, secrets: &SecretList) -> Result<(Digest, Record)> {
    let mut words = line.splitn(3, ' ');
    let mut word = |what: &'static str| words.next().with_context(|| format!("a line without {what}"));
    let (shard, digest, value): (Shard, Digest, &str) = (word("a shard")?.parse()?, word("a digest")?.parse()?, word("a value")?);
    Ok((digest, Record::open(secrets, shard, &digest, value)?))
}

/// The key as it was sent: `x-api-key`, or a Bearer.
fn credential(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = || headers.get("authorization").and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    headers.get("x-api-key").map(HeaderValue::as_bytes).or_else(bearer)
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use keyward_shared::{
        ids::{CompanyId, KeyId, OwnerId},
        key::Prefix,
        mint,
        permission::PermissionSet,
        record::{KeyState, Metadata, VERSION},
        tag::TagSecrets,
    };

    use super::*;

    const SECRET: &str = "abababababababababababababababababababababababababababababababab";
    const POLICY: &str =
        r#"{"default":"deny","rules":[{"path":"/orders/**","permission":"orders.read"},{"path":"/bills/**","permission":"bills.read"}]}"#;

    /// A key, and a verifier that knows it in this state.
    fn known(state: KeyState) -> (String, Verifier) {
        let company = CompanyId::new("demo").unwrap();
        let shard = Shard::of(&company);
        let (key, digest) = mint::key(&Prefix::new("kw_live").unwrap(), shard, &TagSecrets::parse(SECRET).unwrap()).unwrap();
        let record = Record {
            v: VERSION,
            key_id: KeyId::new("key_0123456789abcdefghij").unwrap(),
            company,
            owner: OwnerId::new("ann").unwrap(),
            shard,
            state,
            owner_active: true,
            company_active: true,
            expires_at: None,
            created_at: Millis(0),
            permissions: PermissionSet::parse(["orders.*"]).unwrap(),
            networks: Vec::new(),
            rate_limit: None,
            metadata: Metadata::default(),
            rev: 1,
            as_of: Millis(0),
        };
        let value = record.seal(&SecretList::parse(SECRET).unwrap(), &digest).unwrap();
        let line = format!("{} {} {value}\n", shard.as_str(), digest.to_hex());
        (key.reveal().to_owned(), Verifier::new(&line, POLICY, SECRET).unwrap())
    }

    fn asked(path: &str, header: (&str, &str)) -> Request<()> {
        Request::builder().uri(path).header(header.0, header.1).body(()).unwrap()
    }

    #[test]
    fn a_key_passes_where_its_permissions_reach() {
        let (key, verifier) = known(KeyState::Active);
        let code = |path: &str, header: (&str, &str)| verifier.decide(&asked(path, header)).map(|record| record.owner.as_str().to_owned());
        assert_eq!(code("/orders/1?q=2", ("x-api-key", &key)), Ok("ann".into()));
        assert_eq!(code("/orders/1", ("authorization", &format!("Bearer {key}"))), Ok("ann".into()));
        assert_eq!(code("/bills/1", ("x-api-key", &key)), Err(Code::PermissionDenied));
        assert_eq!(code("/elsewhere", ("x-api-key", &key)), Err(Code::PermissionDenied));
        assert_eq!(code("/orders//1", ("x-api-key", &key)), Err(Code::AmbiguousPath));
        assert_eq!(code("/orders/1", ("accept", "*/*")), Err(Code::MissingCredentials));
        assert_eq!(code("/orders/1", ("x-api-key", &key[..40])), Err(Code::MalformedKey));
        let (other, _) = known(KeyState::Active);
        assert_eq!(code("/orders/1", ("x-api-key", &other)), Err(Code::UnknownKey));
    }

    #[test]
    fn a_revoked_key_does_not_pass() {
        let (key, verifier) = known(KeyState::Revoked);
        assert_eq!(verifier.decide(&asked("/orders/1", ("x-api-key", &key))).err(), Some(Code::KeyRevoked));
    }

    #[test]
    fn records_of_another_secret_and_broken_ones_are_refused() {
        assert!(Verifier::new("MDeu", POLICY, SECRET).is_err());
        assert!(Verifier::new("", "{", SECRET).is_err());
        assert!(Verifier::new("", POLICY, "ab").is_err());
    }
}
