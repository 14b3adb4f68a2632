//! After the object was restored from a backup: everything that the edges and the replicated store know of the shard may
//! be later than what is true now. All of it is contradicted with one announcement and put again.

use keyward_shared::{time::Millis, timing::Timing};
use serde_json::{Value, json};

use super::{
    answer::Handled,
    companies,
    failure::Failure,
    keys::reclaim,
    keys::view,
    numbers, outbox, publish,
    query::Query,
    rows,
    turn::{Turn, actor, next_rev},
    validate::Fields,
};
use crate::{
    call::PolicyRestored,
    sql::{Sql, SqlError},
};

/// How far the last republication has come.
pub(super) fn propagation(sql: &impl Sql, timing: &Timing) -> Result<Value, SqlError> {
    let time = |name| Ok::<_, SqlError>(numbers::get(sql, name)?.filter(|at| *at > 0).map(Millis));
    let committed = time(numbers::REPUBLISHED_AT)?.unwrap_or_default();
    Ok(view::stages(committed, time(numbers::REPUBLISHED_ANNOUNCED)?, timing))
}

/// The Feed object has stamped the republication with revision `rev`.
pub(super) fn announced(sql: &impl Sql, rev: u64, at: Millis) -> Result<(), SqlError> {
    if numbers::get(sql, numbers::REPUBLISHED_REV)? == Some(rev) {
        numbers::set(sql, numbers::REPUBLISHED_ANNOUNCED, at.0)?;
    }
    Ok(())
}

impl<S: Sql> Turn<'_, S> {
    /// `POST /v1/maintenance/republish`. In the operator's own company it concerns the policy too; with `?feed=true` the
    /// feed of the shard's group, whose object was restored, tells everyone to ask the objects.
    pub(super) fn republish(&mut self) -> Result<Handled, Failure> {
        let feed = Query::read(&self.call.query, &["feed"])?.truth("feed")?;
        Fields::read(&self.call.body, &[])?;
        let timing = self.settings.common.timing;
        // Above every revision that was given before the restoration, also where this machine's clock is slower.
        let rev = next_rev(self.sql, self.now.plus(timing.as_of_margin))?;
        for (name, value) in [(numbers::REPUBLISHED_REV, rev), (numbers::REPUBLISHED_AT, self.now.0), (numbers::REPUBLISHED_ANNOUNCED, 0)] {
            numbers::set(self.sql, name, value)?;
        }
        outbox::add_change(self.sql, self.now, outbox::Kind::Shard, &self.company, if feed { outbox::AND_FEED } else { "" }, rev)?;
        reclaim::begin(self.sql)?;
        for company in rows::companies(self.sql)? {
            publish::sweep(self.sql, &company.company, "", rev)?;
            companies::register(self.sql, self.now, self.shard, &company.company, rev, Some(companies::view(&company)))?;
            let mut note = self.note(self.shard.as_str(), "done", Value::Null, json!({ "rev": rev, "feed": feed }));
            note.actor = actor(self.caller, &company.company);
            note.company = company.company;
            super::audit::append(self.sql, self.now, &note)?;
        }
        if self.company == self.settings.common.operator_company {
            outbox::add_policy_restored(self.sql, self.now, &self.company, rev, &PolicyRestored { by: self.caller.owner.clone() })?;
        }
        let body = json!({ "rev": rev, "propagation": propagation(self.sql, &timing)? });
        Ok(Handled { status: 202, republished: true, ..Handled::ok(body) })
    }
}
