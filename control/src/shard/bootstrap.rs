//! The first company: where the operator's does not exist yet, it is made, with an owner and a key whose digest is a
//! setting. The key itself never comes here.

use keyward_shared::{
    ids::{CompanyId, KeyId, OwnerId},
    shard::Shard,
    time::Millis,
};
use serde_json::{Map, Value, json};

use super::{
    audit,
    ceilings::Limits,
    companies::{self, register},
    failure::Failure,
    keys::create::{NewKey, digest_taken, insert},
    owners::bootstrap_permissions,
    publish, rows,
    turn::{Random, next_rev},
};
use crate::{call::AuditNote, settings::ControlSettings, sql::Sql};

/// The first owner.
const OWNER: &str = "admin";

/// Whether the operator's company is to be made here.
pub(super) fn wanted(sql: &impl Sql, settings: &ControlSettings, shard: Shard) -> Result<bool, Failure> {
    let company = &settings.common.operator_company;
    Ok(settings.bootstrap_digest.is_some() && Shard::of(company) == shard && rows::company(sql, company)?.is_none())
}

/// Makes company, owner and key.
pub(super) fn bootstrap(sql: &impl Sql, settings: &ControlSettings, shard: Shard, now: Millis, random: Random<'_>) -> Result<(), Failure> {
    let company: &CompanyId = &settings.common.operator_company;
    let Some(digest) = settings.bootstrap_digest else { return Ok(()) };
    let owner = OwnerId::new(OWNER).map_err(|_| Failure::not_found("owner"))?;
    let rev = next_rev(sql, now)?;
    sql.execute(
        "INSERT INTO companies (company, name, active, created_at, rev, changed_at, announced_at) VALUES (?1, ?2, 1, ?3, ?4, ?3, ?3)",
        &[company.into(), company.into(), now.into(), rev.into()],
    )?;
    sql.execute(
        "INSERT INTO owners (company, owner, name, permissions, active, created_at, rev, changed_at, announced_at) \
         VALUES (?1, ?2, 'Administrator', ?3, 1, ?4, ?5, ?4, ?4)",
        &[company.into(), (&owner).into(), serde_json::to_string(&bootstrap_permissions())?.into(), now.into(), rev.into()],
    )?;
    if let Some(row) = rows::company(sql, company)? {
        register(sql, now, shard, company, rev, Some(companies::view(&row)))?;
    }
    let mut bytes = [0; 16];
    random(&mut bytes);
    let id = KeyId::from_random(bytes);
    let made = !digest_taken(sql, &digest)?;
    if made {
        let hint = format!("{}_…", settings.common.prefixes.minting().as_str());
        let limits = Limits { restriction: None, networks: Vec::new(), expires_at: None };
        let key = NewKey {
            company,
            id: &id,
            digest: &digest,
            owner: &owner,
            name: "Bootstrap",
            hint: &hint,
            created_by: OWNER,
            parent: None,
            limits: &limits,
            rate_limit: None,
            metadata: &Map::new(),
            manages_keys: true,
            bootstrap: true,
            imported: false,
            supersedes: None,
        };
        insert(sql, now, rev, &key)?;
        publish::mark(sql, &digest, false, rev, now, &settings.common.timing)?;
    }
    let note = AuditNote {
        id: String::new(),
        company: company.clone(),
        actor: OWNER.into(),
        key: None,
        address: None,
        action: "company.bootstrap".into(),
        target: company.to_string(),
        outcome: "done".into(),
        before: Value::Null,
        after: json!({ "owner": OWNER, "key": made.then_some(&id) }),
        request_id: String::new(),
    };
    audit::append(sql, now, &note)
}
