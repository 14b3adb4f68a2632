//! Which shard holds the digest of an imported key. Such a key says nothing of its shard, so the first one that claims its
//! digest has it, and the edges ask here.

use keyward_shared::{
    digest::Digest,
    messages::{ImportedAnswer, ImportedRequest},
    time::Millis,
};

use super::Registry;
use crate::{
    call::{Claimed, Claims},
    sql::{Columns, Sql, SqlError},
};

impl<S: Sql> Registry<S> {
    /// Claims digests for a shard: all, or none where another shard has one of them.
    pub fn claim(&self, claims: &Claims) -> Result<Claimed, SqlError> {
        self.sql.transaction(|| {
            let mut taken = Vec::new();
            for (at, digest) in claims.digests.iter().enumerate() {
                if self.holder(digest)?.is_some_and(|shard| shard != claims.shard.as_str()) {
                    taken.push(at);
                }
            }
            if taken.is_empty() {
                for digest in &claims.digests {
                    let statement = "INSERT OR IGNORE INTO claims (digest, shard) VALUES (?1, ?2)";
                    self.sql.execute(statement, &[digest.into(), claims.shard.as_str().into()])?;
                }
            }
            Ok(Claimed { taken })
        })
    }

    /// Answers an edge. A claim that was made stands for ever. That there is none may have changed since: so whoever says
    /// so also writes, and an instance that was displaced fails here.
    pub fn imported(&self, now: Millis, request: &ImportedRequest) -> Result<ImportedAnswer, SqlError> {
        self.sql.transaction(|| {
            if let Some(shard) = self.holder(&request.digest)? {
                let shard = shard.parse().map_err(|e| SqlError(format!("a stored value is not readable: {e}")))?;
                return Ok(ImportedAnswer::Shard(shard));
            }
            self.note_reading(now)?;
            Ok(ImportedAnswer::Absent)
        })
    }

    fn holder(&self, digest: &Digest) -> Result<Option<String>, SqlError> {
        let row = self.first("SELECT shard FROM claims WHERE digest = ?1", &[digest.into()])?;
        row.map(|row| Columns::of(row).text()).transpose()
    }
}
