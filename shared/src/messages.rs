//! What the edge and the objects say to each other, as JSON over the objects' `fetch`. Pinned by tests:
//! the two Workers are deployed one after the other.

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    ids::{CompanyId, KeyId},
    json::{self, Fault, FromJson, Object, Reader},
    shard::Shard,
    time::Millis,
};

/// To a Shard object, `POST`: [`ResolveRequest`], answered by [`ResolveAnswer`].
pub const RESOLVE: &str = "/edge/resolve";
/// The same about an imported key, whose record is stored under another name: [`crate::record::imported_name`].
pub const RESOLVE_IMPORTED: &str = "/edge/resolve-imported";
/// To a Shard object, `POST`: [`UsageReport`], answered by 204.
pub const USAGE: &str = "/edge/usage";
/// To a Feed object, `GET`: the sealed feed as of now.
pub const FEED: &str = "/edge/feed";
/// To a Feed object, `GET` with `?group=<number>&known=<stamp of the feed that the edge has, in milliseconds; 0: none>`: a request that hangs
/// until something changes. Answered by 200 and the sealed feed as of now as soon as there is a change since `known`, or where that is 0;
/// by 204 when nothing changed for [`PUSH_HOLD`]; by 429 where too many are waiting already. 404, as for every path that an object does
/// not know, means that it does not push.
pub const PUSH: &str = "/edge/push";
/// For how long a Feed object holds a request to [`PUSH`]: the platform ends what an edge's request leaves behind after 30 s.
pub const PUSH_HOLD: Millis = Millis::from_secs(25);
/// To the Registry object, `GET`: the sealed policy as of now.
pub const POLICY: &str = "/edge/policy";
/// To the Registry object, `POST`: [`ImportedRequest`], answered by [`ImportedAnswer`].
pub const IMPORTED: &str = "/edge/imported";
/// The name of the one Registry object.
pub const REGISTRY_NAME: &str = "registry";

/// Asks the authority for the truth about one digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// The digest of the key that was sent.
    pub digest: Digest,
    /// Whether the edge holds a record of it, which it then has from the replicated store or from an earlier answer. Where
    /// there is no such key the store may hold one too that should not be there.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub stored: bool,
}

impl ResolveRequest {
    /// As it is sent.
    pub fn to_json(&self) -> String {
        let mut request = Object::default().text("digest", &self.digest.to_hex());
        if self.stored {
            request = request.raw("stored", "true");
        }
        request.end()
    }
}

/// The truth about one digest, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolveAnswer {
    /// There is such a key: its record, sealed as in the replicated store.
    Record(String),
    /// There is none, and never will be under this digest if there once was.
    Absent,
}

impl FromJson for ResolveAnswer {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(answer(reader, "record")?.map_or(Self::Absent, Self::Record))
    }
}

/// Asks which shard holds the imported key with a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedRequest {
    /// SHA-256 of the whole key that was sent.
    pub digest: Digest,
}

impl ImportedRequest {
    /// As it is sent.
    pub fn to_json(&self) -> String {
        Object::default().text("digest", &self.digest.to_hex()).end()
    }
}

/// Which shard holds an imported key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportedAnswer {
    /// This one has claimed the digest, once and for all. Whether there is such a key (not yet, not any more), its object
    /// knows: [`RESOLVE_IMPORTED`].
    Shard(Shard),
    /// None, so far.
    Absent,
}

impl FromJson for ImportedAnswer {
    fn from_json(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(answer(reader, "shard")?.map_or(Self::Absent, Self::Shard))
    }
}

/// `"absent"`, which is `None`, or an object with the member `name` and nothing else.
fn answer<T: FromJson>(reader: &mut Reader<'_>, name: &str) -> Result<Option<T>, Fault> {
    if reader.peek() == Some(b'"') {
        return reader.text(|text| (text == "absent").then_some(None));
    }
    let mut found = None;
    reader.object(&mut |reader, member| if member == name { reader.member(&mut found) } else { Err(Fault::Value) })?;
    found.map(Some).ok_or(Fault::Value)
}

/// Tells a Shard object which of its keys were used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageReport {
    /// At most [`UsageReport::MAX_ENTRIES`].
    pub entries: Vec<KeyUsage>,
}

impl UsageReport {
    /// The most keys in one report.
    pub const MAX_ENTRIES: usize = 1_000;

    /// As it is sent.
    pub fn to_json(&self) -> String {
        let entry = |usage: &KeyUsage| {
            Object::default()
                .text("company", usage.company.as_str())
                .text("key_id", usage.key_id.as_str())
                .number("last_used_at", usage.last_used_at.0)
                .number("allowed", usage.allowed.into())
                .number("refused", usage.refused.into())
                .end()
        };
        Object::default().raw("entries", &json::list(self.entries.iter().map(entry))).end()
    }
}

/// The use of one key since the last report of this isolate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyUsage {
    /// The key's company.
    pub company: CompanyId,
    /// The key.
    pub key_id: KeyId,
    /// When a request last authenticated with the key, by the edge's clock.
    pub last_used_at: Millis,
    /// Requests that were let in.
    pub allowed: u32,
    /// Requests that authenticated and were refused all the same.
    pub refused: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_are_the_golden_ones() {
        assert_eq!([RESOLVE, USAGE, FEED, PUSH, POLICY], ["/edge/resolve", "/edge/usage", "/edge/feed", "/edge/push", "/edge/policy"]);
        assert_eq!([RESOLVE_IMPORTED, IMPORTED], ["/edge/resolve-imported", "/edge/imported"]);
        assert_eq!(PUSH_HOLD, Millis(25_000));
    }

    #[test]
    fn the_messages_have_their_golden_form() {
        let digest = Digest::from_bytes([0xab; 32]);
        let hex = "ab".repeat(32);
        for (stored, text) in [(false, format!("{{\"digest\":\"{hex}\"}}")), (true, format!("{{\"digest\":\"{hex}\",\"stored\":true}}"))] {
            let resolve = ResolveRequest { digest, stored };
            assert_eq!(serde_json::to_string(&resolve).unwrap(), text);
            assert_eq!(resolve.to_json(), text);
            assert_eq!(serde_json::from_str::<ResolveRequest>(&text).unwrap(), resolve);
        }
        assert_eq!(serde_json::to_string(&ResolveAnswer::Absent).unwrap(), "\"absent\"");
        assert_eq!(serde_json::to_string(&ResolveAnswer::Record("1.x".into())).unwrap(), "{\"record\":\"1.x\"}");
        let imported = ImportedRequest { digest };
        assert_eq!(imported.to_json(), format!("{{\"digest\":\"{hex}\"}}"));
        assert_eq!(imported.to_json(), serde_json::to_string(&imported).unwrap());
        assert_eq!(serde_json::to_string(&ImportedAnswer::Absent).unwrap(), "\"absent\"");
        assert_eq!(serde_json::to_string(&ImportedAnswer::Shard("MDeu".parse().unwrap())).unwrap(), "{\"shard\":\"MDeu\"}");
        for answer in [ImportedAnswer::Absent, ImportedAnswer::Shard("MDeu".parse().unwrap())] {
            assert_eq!(json::from_str::<ImportedAnswer>(&serde_json::to_string(&answer).unwrap()).ok(), Some(answer));
        }
        for bad in [
            "",
            "null",
            "absent",
            "{\"shard\":\"MDeu\"}}",
            "{\"shard\":\"MDe\"}",
            "{\"shard\":\"MDeu\",\"more\":1}",
            "{\"absent\":\"MDeu\"}",
        ] {
            assert!(json::from_str::<ImportedAnswer>(bad).is_err(), "{bad}");
        }
        let usage = UsageReport {
            entries: vec![KeyUsage {
                company: CompanyId::new("demo").unwrap(),
                key_id: KeyId::new("key_0123456789abcdefghij").unwrap(),
                last_used_at: Millis(5),
                allowed: 2,
                refused: 1,
            }],
        };
        assert_eq!(usage.to_json(), serde_json::to_string(&usage).unwrap());
        assert_eq!(
            serde_json::to_string(&usage).unwrap(),
            r#"{"entries":[{"company":"demo","key_id":"key_0123456789abcdefghij","last_used_at":5,"allowed":2,"refused":1}]}"#
        );
    }
}
