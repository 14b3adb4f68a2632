//! One API call in progress: who calls, where it acts, and what every call needs: revisions, the trail, marks and
//! announcements. All of it runs in one synchronous turn.

use core::fmt::Write as _;

use keyward_shared::{
    ids::{CompanyId, KeyId, OwnerId},
    shard::Shard,
    time::Millis,
};
use serde_json::Value;

use super::{
    answer::Handled,
    audit, ceilings,
    failure::Failure,
    numbers, outbox, publish,
    rows::{self, KeyRow},
};
use crate::{
    call::{ApiCall, AuditNote, Caller, Claimed},
    route::{Endpoint, Found},
    settings::ControlSettings,
    sql::{Sql, SqlError},
};

/// Fills a buffer with random bytes.
pub type Random<'r> = &'r mut dyn FnMut(&mut [u8]);

/// One call in progress.
pub(super) struct Turn<'a, S> {
    pub(super) sql: &'a S,
    pub(super) settings: &'a ControlSettings,
    pub(super) shard: Shard,
    pub(super) now: Millis,
    pub(super) call: &'a ApiCall,
    pub(super) caller: &'a Caller,
    /// Where it acts.
    pub(super) company: CompanyId,
    pub(super) found: &'a Found,
    /// What the Registry said of the digests that the call wants to import; `None`: it was not asked, or did not answer.
    pub(super) claimed: Option<&'a Claimed>,
    pub(super) random: Random<'a>,
}

/// Raises the shard's revision: above the previous one, and not below now.
pub(super) fn next_rev(sql: &impl Sql, now: Millis) -> Result<u64, SqlError> {
    let rev = now.0.max(current_rev(sql)? + 1);
    numbers::set(sql, numbers::REV, rev)?;
    Ok(rev)
}

/// The shard's revision.
pub(super) fn current_rev(sql: &impl Sql) -> Result<u64, SqlError> {
    Ok(numbers::get(sql, numbers::REV)?.unwrap_or(0))
}

/// How `caller` is named in `company`: by their id, where they are from elsewhere with their company before it.
pub(super) fn actor(caller: &Caller, company: &CompanyId) -> String {
    if caller.company == *company { caller.owner.to_string() } else { format!("{}/{}", caller.company, caller.owner) }
}

/// Marks all records of an owner for publishing and announces the owner's change.
pub(super) fn owner_changed(sql: &impl Sql, now: Millis, company: &CompanyId, owner: &OwnerId, rev: u64) -> Result<(), Failure> {
    publish::sweep(sql, company, owner.as_str(), rev)?;
    outbox::add_change(sql, now, outbox::Kind::Owner, company, owner.as_str(), rev)
}

impl<S: Sql> Turn<'_, S> {
    /// Executes the call.
    pub(super) fn execute(&mut self) -> Result<Handled, Failure> {
        match self.found.endpoint {
            Endpoint::CreateKey => self.create_key(),
            Endpoint::ListKeys => self.list_keys(),
            Endpoint::GetKey => self.get_key(),
            Endpoint::ChangeKey => self.change_key(),
            Endpoint::RevokeKey => self.revoke_key(),
            Endpoint::RotateKey => self.rotate_key(),
            Endpoint::DeleteKey => self.delete_key(),
            Endpoint::PutOwner => self.put_owner(),
            Endpoint::PutOwners => self.put_owners(),
            Endpoint::GetOwner => self.get_owner(),
            Endpoint::DeleteOwner => self.delete_owner(),
            Endpoint::ListOwners => self.list_owners(),
            Endpoint::PutCompany => self.put_company(),
            Endpoint::GetCompany => self.get_company(),
            Endpoint::DeleteCompany => self.delete_company(),
            Endpoint::ListAudit => self.list_audit(),
            Endpoint::Whoami => self.whoami(),
            Endpoint::Format => self.format(),
            Endpoint::CreateSignInLink => self.create_sign_in_link(),
            Endpoint::Republish => self.republish(),
            Endpoint::RevokeKeys => self.revoke_keys(),
            Endpoint::ReadKeyUsage => self.read_key_usage(),
            Endpoint::ExplainKey => self.explain_key(),
            Endpoint::ImportKeys => self.import_keys(),
            Endpoint::ListWebhooks => self.list_webhooks(),
            Endpoint::CreateWebhook => self.create_webhook(),
            Endpoint::GetWebhook => self.get_webhook(),
            Endpoint::ChangeWebhook => self.change_webhook(),
            Endpoint::DeleteWebhook => self.delete_webhook(),
            Endpoint::ListDeliveries => self.list_deliveries(),
            Endpoint::ReplayDeliveries => self.replay_deliveries(),
            // Answered, or taken, in parts; by the Registry's object; by the Worker itself.
            Endpoint::VerifyAudit
            | Endpoint::ExportAudit
            | Endpoint::ExportCompany
            | Endpoint::ImportCompany
            | Endpoint::ListCompanies
            | Endpoint::GetPolicy
            | Endpoint::PutPolicy
            | Endpoint::ListPolicyVersions
            | Endpoint::RollBackPolicy
            | Endpoint::RevokeCredentials
            | Endpoint::ReportLeaks
            | Endpoint::OpenApi => Err(Failure::not_found("path")),
        }
    }

    /// How the caller is named here.
    pub(super) fn actor(&self) -> String {
        actor(self.caller, &self.company)
    }

    /// A number of random bytes.
    pub(super) fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }

    /// The key that the path names, where the caller may see it.
    pub(super) fn visible_key(&self) -> Result<KeyRow, Failure> {
        let missing = || Failure::not_found("key");
        let id = KeyId::new(&self.found.argument).map_err(|_| missing())?;
        let key = rows::key(self.sql, &self.company, &id)?.ok_or_else(missing)?;
        if ceilings::sees(self.caller, &self.company, &key.owner, &key.id) { Ok(key) } else { Err(missing()) }
    }

    /// An entry of the trail about what the caller does.
    pub(super) fn note(&self, target: &str, outcome: &str, before: Value, after: Value) -> AuditNote {
        AuditNote {
            id: String::new(),
            company: self.company.clone(),
            actor: self.actor(),
            key: self.caller.key.as_ref().map(|key| key.id.clone()),
            address: self.call.address,
            action: self.found.endpoint.action().unwrap_or_default().to_owned(),
            target: target.to_owned(),
            outcome: outcome.to_owned(),
            before,
            after,
            request_id: self.call.request_id.clone(),
        }
    }

    /// Writes what was done at the end of the company's trail.
    pub(super) fn record(&self, target: &str, before: Value, after: Value) -> Result<(), Failure> {
        audit::append(self.sql, self.now, &self.note(target, "done", before, after))
    }

    /// Writes one of several things that one call did, under the action of the call that does it alone.
    pub(super) fn record_one(&self, action: &str, target: &str, before: Value, after: Value) -> Result<(), Failure> {
        let note = AuditNote { action: action.to_owned(), ..self.note(target, "done", before, after) };
        audit::append(self.sql, self.now, &note)
    }

    /// Writes a note into the trail of the caller's own company, here or in its shard.
    pub(super) fn record_at_home(&self, mut note: AuditNote) -> Result<(), Failure> {
        note.company = self.caller.company.clone();
        note.actor = self.caller.owner.to_string();
        if rows::company(self.sql, &note.company)?.is_some() {
            return audit::append(self.sql, self.now, &note);
        }
        let mut id = String::new();
        let rev = next_rev(self.sql, self.now)?;
        write!(id, "{}-{rev}", self.shard).ok(); // writing into a String cannot fail
        note.id = id;
        outbox::add_note(self.sql, self.now, rev, &note)
    }

    /// Marks one key's record for publishing and announces its change.
    pub(super) fn key_changed(&self, key: &KeyRow, rev: u64) -> Result<(), Failure> {
        publish::mark(self.sql, &key.digest, key.imported, rev, self.now, &self.settings.common.timing)?;
        outbox::add_change(self.sql, self.now, outbox::Kind::Key, &self.company, key.id.as_str(), rev)
    }

    /// Marks all records of an owner for publishing and announces the owner's change.
    pub(super) fn owner_changed(&self, owner: &OwnerId, rev: u64) -> Result<(), Failure> {
        owner_changed(self.sql, self.now, &self.company, owner, rev)
    }
}
