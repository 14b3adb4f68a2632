//! What became of a webhook's messages, and sending them again.

use keyward_shared::{problem::Code, time::Millis};
use serde_json::{Value, json};

use super::{
    Webhook,
    deliveries::{self, reschedule},
};
use crate::{
    shard::{
        answer::Handled,
        cursor::Pages,
        failure::Failure,
        query::{Query, bad},
        turn::Turn,
        validate::Fields,
    },
    sql::{Columns, Sql},
    time,
};

/// The most messages that one call sends again.
const MOST: u64 = 200;

impl<S: Sql> Turn<'_, S> {
    /// `GET /v1/webhooks/{id}/deliveries`: newest first.
    pub(in crate::shard) fn list_deliveries(&self) -> Result<Handled, Failure> {
        let query = Query::read(&self.call.query, &["status", "payload", "limit", "cursor"])?;
        let with_payload = query.truth("payload")?;
        let webhook = self.named_webhook()?;
        let pages = Pages::new(&self.settings.session_secrets, "deliveries", &self.company, &webhook.id, &query);
        let before = pages.place(&query)?.and_then(|place| place.parse().ok()).unwrap_or(u64::MAX);
        let limit = query.limit()?;
        let status = query.get("status").unwrap_or_default();
        if !["", "pending", "delivered", "failed"].contains(&status) {
            return Err(bad("status must be pending, delivered or failed").into());
        }
        let filter = if status.is_empty() { "?3 = ''" } else { "d.status = ?3" };
        let statement = format!(
            "SELECT {columns}, {payload} FROM webhook_deliveries d JOIN webhook_events e ON e.number = d.event \
             WHERE d.company = ?1 AND d.webhook = ?2 AND {filter} AND d.event < ?4 ORDER BY d.event DESC LIMIT ?5",
            columns = deliveries::COLUMNS,
            payload = if with_payload { "e.body" } else { "NULL" }
        );
        let rows = self
            .sql
            .execute(&statement, &[(&self.company).into(), (&webhook.id).into(), status.into(), before.into(), (limit + 1).into()])?;
        let more = rows.len() as u64 > limit;
        let mut listed = Vec::new();
        let mut last = None;
        for row in rows.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            let (event, delivery) = deliveries::read(row)?;
            last = Some(event);
            listed.push(delivery);
        }
        let next = last.filter(|_| more).map(|last| pages.cursor(&last.to_string()));
        Ok(Handled::ok(json!({ "deliveries": listed, "next_cursor": next })))
    }

    /// `POST /v1/webhooks/{id}/replay`: sends one message again, or those since a time, oldest first.
    pub(in crate::shard) fn replay_deliveries(&mut self) -> Result<Handled, Failure> {
        Query::read(&self.call.query, &[])?;
        let webhook = self.named_webhook()?;
        let mut fields = Fields::read(&self.call.body, &["delivery", "since", "status"])?;
        let delivery = fields.text("delivery");
        let since = fields.text("since");
        let since = since.and_then(|text| time::parse(&text).map_err(|error| fields.wrong("since", error.to_string())).ok());
        let status = fields.text("status");
        if status.as_deref().is_some_and(|status| !["failed", "all"].contains(&status)) {
            fields.wrong("status", "must be failed or all");
        }
        if fields.has("delivery") == fields.has("since") || !fields.given("delivery") && !fields.given("since") {
            fields.wrong("delivery", "name either one delivery or, with since, a time");
        } else if delivery.is_some() && status.is_some() {
            fields.wrong("status", "goes with since");
        }
        fields.check()?;
        if !webhook.active {
            return Err(Failure::refused(Code::Conflict, "the webhook is not active"));
        }
        let (found, more) = if let Some(id) = &delivery {
            let found = Vec::from_iter(self.delivery(&webhook, id)?);
            if found.is_empty() {
                fields.wrong("delivery", "there is no such delivery"); // no 404: what the path names is there
            }
            fields.check()?;
            (found, false)
        } else {
            let all = status.as_deref() == Some("all");
            self.ended(&webhook, if all { &["failed", "delivered"] } else { &["failed"] }, since.unwrap_or_default())?
        };
        for event in &found {
            self.sql.execute(
                "UPDATE webhook_deliveries SET status = 'pending', failures = 0, due_at = ?4, ended_at = NULL \
                 WHERE company = ?1 AND webhook = ?2 AND event = ?3",
                &[(&self.company).into(), (&webhook.id).into(), (*event).into(), self.now.into()],
            )?;
        }
        // Whoever asks for it thinks that the receiver works.
        self.sql.execute(
            "UPDATE webhooks SET rest_until = 0 WHERE company = ?1 AND id = ?2",
            &[(&self.company).into(), (&webhook.id).into()],
        )?;
        reschedule(self.sql, &self.company, &webhook.id)?;
        self.record(&webhook.id, Value::Null, json!({ "replayed": found.len(), "delivery": delivery, "since": since.map(time::rfc3339) }))?;
        Ok(Handled { status: 202, ..Handled::ok(json!({ "replayed": found.len(), "more": more })) })
    }

    /// The number of the event of the delivery `id`; `None` where there is none.
    fn delivery(&self, webhook: &Webhook, id: &str) -> Result<Option<u64>, Failure> {
        let row = self.sql.execute(
            "SELECT d.event FROM webhook_events e JOIN webhook_deliveries d ON d.event = e.number AND d.company = ?1 AND d.webhook = ?2 \
             WHERE e.company = ?1 AND e.id = ?3",
            &[(&self.company).into(), (&webhook.id).into(), id.into()],
        )?;
        Ok(row.into_iter().next().map(|row| Columns::of(row).number()).transpose()?)
    }

    /// The events whose deliveries have ended so, since a time, oldest first, and whether there are more than are given.
    fn ended(&self, webhook: &Webhook, statuses: &[&str], since: Millis) -> Result<(Vec<u64>, bool), Failure> {
        let mut events = Vec::new();
        for status in statuses {
            let rows = self.sql.execute(
                "SELECT event FROM webhook_deliveries WHERE company = ?1 AND webhook = ?2 AND status = ?3 AND created_at >= ?4 \
                 ORDER BY event LIMIT ?5",
                &[(&self.company).into(), (&webhook.id).into(), (*status).into(), since.into(), (MOST + 1).into()],
            )?;
            events.extend(rows.into_iter().map(|row| Columns::of(row).number()).collect::<Result<Vec<_>, _>>()?);
        }
        events.sort_unstable();
        let more = events.len() as u64 > MOST;
        events.truncate(usize::try_from(MOST).unwrap_or(usize::MAX));
        Ok((events, more))
    }
}
