//! Webhooks: who wants to hear of what, over the API. What there is to hear of is [`events`]', [`trail`]'s and [`watches`]' business,
//! how it gets there [`deliveries`]', what became of it is read in [`log`].

pub mod deliveries;
pub mod events;
mod log;
mod parse;
mod signature;
pub mod target;
pub(super) mod trail;
pub(super) mod watches;

use keyward_shared::{ids::CompanyId, problem::Code, time::Millis};
use serde_json::{Value, json};

use self::{deliveries::reschedule, events::EventType};
use super::{answer::Handled, failure::Failure, query::Query, rows, turn::Turn, validate::Fields};
use crate::{
    sql::{Columns, Row, Sql, SqlError},
    time::rfc3339,
};

/// The most webhooks of a company.
pub(super) const MOST: u64 = 20;
/// What a request may say about a webhook.
const FIELDS: &[&str] = &["url", "events", "name", "active"];

/// Takes notifications one handful further: what is due by the clock, and who is to hear of what happened; false: there
/// is nothing.
pub(super) fn advance(sql: &impl Sql, now: Millis) -> Result<bool, Failure> {
    Ok(watches::advance(sql, now)? | deliveries::spread(sql, now)?)
}

/// A webhook as it is stored.
#[derive(Clone, Debug, PartialEq)]
struct Webhook {
    id: String,
    url: String,
    events: Option<Vec<String>>,
    name: Option<String>,
    active: bool,
    disabled_reason: Option<String>,
    created_at: Millis,
    created_by: String,
}

const COLUMNS: &str = "id, url, events, name, active, disabled_reason, created_at, created_by";

fn read(row: Row) -> Result<Webhook, SqlError> {
    let mut c = Columns::of(row);
    Ok(Webhook {
        id: c.text()?,
        url: c.text()?,
        events: c.optional_json()?,
        name: c.optional_text()?,
        active: c.truth()?,
        disabled_reason: c.optional_text()?,
        created_at: c.time()?,
        created_by: c.text()?,
    })
}

fn view(webhook: &Webhook) -> Value {
    json!({
        "id": webhook.id,
        "url": webhook.url,
        "events": webhook.events,
        "name": webhook.name,
        "active": webhook.active,
        "disabled_reason": webhook.disabled_reason,
        "created_at": rfc3339(webhook.created_at),
        "created_by": webhook.created_by,
    })
}

/// Whether `text` is the form of a webhook's id.
pub(super) fn is_id(text: &str) -> bool {
    text.strip_prefix("wh_").is_some_and(|hex| hex.len() == 24 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// What a webhook is called; where it has no name, where it leads. `None`: there is none.
pub(super) fn name(sql: &impl Sql, company: &CompanyId, id: &str) -> Result<Option<String>, SqlError> {
    let statement = "SELECT name, url FROM webhooks WHERE company = ?1 AND id = ?2 AND deleted = 0";
    let Some(row) = sql.execute(statement, &[company.into(), id.into()])?.pop() else { return Ok(None) };
    let mut columns = Columns::of(row);
    let (name, url) = (columns.optional_text()?, columns.text()?);
    Ok(name.or_else(|| target::origin(&url)))
}

/// How many webhooks the company has, and the number of the last event of all.
pub(super) fn count_and_last_event(sql: &impl Sql, company: &CompanyId) -> Result<(u64, u64), SqlError> {
    let statement =
        "SELECT (SELECT COUNT(*) FROM webhooks WHERE company = ?1 AND deleted = 0), (SELECT COALESCE(MAX(number), 0) FROM webhook_events)";
    let mut columns = Columns::of(sql.execute(statement, &[company.into()])?.pop().unwrap_or_default());
    Ok((columns.number()?, columns.number()?))
}

/// What the trail holds of a webhook: of its URL only where it leads, because many hold a secret in path or query.
fn trail(webhook: &Webhook) -> Value {
    let mut said = view(webhook);
    said["url"] = target::origin(&webhook.url).into();
    said
}

impl<S: Sql> Turn<'_, S> {
    /// The webhook that the path names.
    fn named_webhook(&self) -> Result<Webhook, Failure> {
        let statement = format!("SELECT {COLUMNS} FROM webhooks WHERE company = ?1 AND id = ?2 AND deleted = 0");
        let row = self.sql.execute(&statement, &[(&self.company).into(), self.found.argument.as_str().into()])?.pop();
        Ok(read(row.ok_or_else(|| Failure::not_found("webhook"))?)?)
    }

    /// `GET /v1/webhooks`: in the order of their creation.
    pub(super) fn list_webhooks(&self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let statement = format!("SELECT {COLUMNS} FROM webhooks WHERE company = ?1 AND deleted = 0 ORDER BY created_at, id");
        let rows = self.sql.execute(&statement, &[(&self.company).into()])?;
        let webhooks = rows.into_iter().map(|row| Ok(view(&read(row)?))).collect::<Result<Vec<_>, SqlError>>()?;
        Ok(Handled::ok(json!({ "webhooks": webhooks })))
    }

    /// `GET /v1/webhooks/{id}`.
    pub(super) fn get_webhook(&self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        Ok(Handled::ok(view(&self.named_webhook()?)))
    }

    /// `POST /v1/webhooks`. The secret is in the answer, once.
    pub(super) fn create_webhook(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let mut fields = Fields::read(&self.call.body, FIELDS)?;
        if rows::company(self.sql, &self.company)?.is_none() {
            return Err(Failure::not_found("company"));
        }
        let url = self.url(&mut fields);
        let events = events_of(&mut fields);
        let name = fields.label("name", 100);
        let active = fields.truth("active").unwrap_or(true);
        fields.check()?;
        let Some(secrets) = &self.settings.webhook_secrets else {
            return Err(Failure::refused(Code::Conflict, "webhooks need the setting WEBHOOK_SECRETS, which is not set"));
        };
        let (count, since) = count_and_last_event(self.sql, &self.company)?;
        if count >= MOST {
            return Err(Failure::refused(Code::Conflict, format!("a company has at most {MOST} webhooks")));
        }
        let id = format!("wh_{}", hex::encode(self.draw::<12>()));
        let secret = signature::secret(secrets, &self.company, &id);
        let webhook = Webhook {
            id,
            url: url.unwrap_or_default(),
            events,
            name,
            active,
            disabled_reason: None,
            created_at: self.now,
            created_by: self.actor(),
        };
        self.sql.execute(
            "INSERT INTO webhooks (company, id, url, events, name, active, created_at, created_by, since) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            &[
                (&self.company).into(),
                (&webhook.id).into(),
                (&webhook.url).into(),
                webhook.events.as_ref().map(serde_json::to_string).transpose()?.into(),
                webhook.name.as_ref().into(),
                webhook.active.into(),
                self.now.into(),
                (&webhook.created_by).into(),
                since.into(),
            ],
        )?;
        watches::reconcile(self.sql, &self.company, self.now)?;
        self.record(&webhook.id, Value::Null, trail(&webhook))?;
        let mut body = view(&webhook);
        body["secret"] = secret.into();
        Ok(Handled::created(body, format!("/v1/webhooks/{}", webhook.id)))
    }

    /// `PATCH /v1/webhooks/{id}`. Another URL, and being made active, are a new beginning for one that has failed.
    pub(super) fn change_webhook(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let old = self.named_webhook()?;
        let mut fields = Fields::read(&self.call.body, FIELDS)?;
        let mut new = old.clone();
        if fields.has("url") {
            new.url = self.url(&mut fields).unwrap_or_default();
        }
        if fields.has("events") {
            new.events = events_of(&mut fields);
        }
        if fields.has("name") {
            new.name = fields.label("name", 100);
        }
        if fields.has("active") {
            match fields.truth("active") {
                Some(active) => new.active = active,
                None => fields.wrong("active", "must be true or false"),
            }
        }
        fields.check()?;
        if new.active {
            new.disabled_reason = None;
        }
        if new == old {
            return Ok(Handled::ok(view(&old)));
        }
        let place = [(&self.company).into(), (&new.id).into()];
        if new.url != old.url || new.active != old.active {
            self.sql.execute(
                "UPDATE webhooks SET failures = 0, failing_since = NULL, failed_at = NULL, rest_until = 0 WHERE company = ?1 AND id = ?2",
                &place,
            )?;
        }
        let [company, id] = place;
        self.sql.execute(
            "UPDATE webhooks SET url = ?3, events = ?4, name = ?5, active = ?6, disabled_reason = ?7 WHERE company = ?1 AND id = ?2",
            &[
                company,
                id,
                (&new.url).into(),
                new.events.as_ref().map(serde_json::to_string).transpose()?.into(),
                new.name.as_ref().into(),
                new.active.into(),
                new.disabled_reason.as_ref().into(),
            ],
        )?;
        reschedule(self.sql, &self.company, &new.id)?;
        watches::reconcile(self.sql, &self.company, self.now)?;
        self.record(&new.id, trail(&old), trail(&new))?;
        Ok(Handled::ok(view(&new)))
    }

    /// `DELETE /v1/webhooks/{id}`: nothing is sent from now on; the alarm removes its deliveries.
    pub(super) fn delete_webhook(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let old = self.named_webhook()?;
        self.sql.execute(
            "UPDATE webhooks SET deleted = 1, active = 0, url = '', name = NULL, due_at = ?3 WHERE company = ?1 AND id = ?2",
            &[(&self.company).into(), (&old.id).into(), self.now.into()],
        )?;
        watches::reconcile(self.sql, &self.company, self.now)?;
        self.record(&old.id, trail(&old), Value::Null)?;
        Ok(Handled::nothing())
    }

    fn url(&self, fields: &mut Fields) -> Option<String> {
        let Some(text) = fields.text("url") else {
            // Said already where it is not text.
            if !fields.given("url") {
                fields.wrong("url", "is required");
            }
            return None;
        };
        target::check(&text, self.settings.webhook_targets).map_err(|error| fields.wrong("url", error.to_string())).ok()
    }
}

/// The events of a request, each once, in the order of the list of all; `None`: all.
pub(super) fn events_of(fields: &mut Fields) -> Option<Vec<String>> {
    let texts = fields.texts("events", 2 * EventType::ALL.len())?;
    if texts.is_empty() {
        fields.wrong("events", "must name at least one event, or be null for all of them");
    }
    let mut asked = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match text.parse::<EventType>() {
            Ok(event) => asked.push(event),
            Err(_) => fields.wrong(format!("events[{index}]"), "there is no such event"),
        }
    }
    asked.sort_unstable();
    asked.dedup();
    Some(asked.into_iter().map(|event| event.as_str().to_owned()).collect())
}
