//! Which tokens the directory has dealt with, where they have a say in it: so that an older one, still valid, undoes nothing.

use keyward_shared::{
    ids::{CompanyId, OwnerId},
    time::Millis,
};

use super::rows::OwnerRow;
use crate::{
    call::Token,
    settings::ControlSettings,
    sql::{Columns, Sql, SqlError},
};

/// Whether the settings give tokens a say in the directory.
pub(super) fn decides(settings: &ControlSettings) -> bool {
    let provider = settings.oidc.as_ref().or_else(|| settings.sign_in.as_ref().map(|client| &client.provider));
    provider.is_some_and(|provider| provider.permissions.is_some())
}

/// `owner` was deleted: what was issued until now does not bring the entry back.
pub(super) fn deleted(
    sql: &impl Sql,
    settings: &ControlSettings,
    now: Millis,
    company: &CompanyId,
    owner: &OwnerId,
) -> Result<(), SqlError> {
    if decides(settings) { note(sql, company, owner, now, 0) } else { Ok(()) }
}

/// Remembers that tokens issued until `issued_at` are dealt with, and the revision of the entry that stood then.
pub(super) fn note(sql: &impl Sql, company: &CompanyId, owner: &OwnerId, issued_at: Millis, rev: u64) -> Result<(), SqlError> {
    sql.execute(
        "INSERT INTO sign_ins (company, owner, issued_at, rev) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (company, owner) DO UPDATE SET issued_at = MAX(issued_at, ?3), rev = ?4",
        &[company.into(), owner.into(), issued_at.into(), rev.into()],
    )?;
    Ok(())
}

/// Up to when a token that speaks of the same owner must have been issued to change nothing: the last one that was taken, and where the
/// entry `old` is not as that one left it, its change.
pub(super) fn outdated_until(sql: &impl Sql, token: &Token, old: Option<&OwnerRow>) -> Result<Option<Millis>, SqlError> {
    let statement = "SELECT issued_at, rev FROM sign_ins WHERE company = ?1 AND owner = ?2";
    let (mut last, mut left) = (None, None);
    if let Some(row) = sql.execute(statement, &[(&token.company).into(), (&token.owner).into()])?.pop() {
        let mut columns = Columns::of(row);
        (last, left) = (Some(columns.time()?), Some(columns.number()?));
    }
    let changed = old.map(|old| old.changed).filter(|changed| left != Some(changed.rev));
    Ok(last.max(changed.map(|changed| changed.at)))
}
