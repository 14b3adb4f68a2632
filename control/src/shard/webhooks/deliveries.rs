//! Deliveries as a state machine: which are due, and what becomes of them. A delivery that is handed out is due again
//! after [`LEASE`], whatever happens to who took it: so it is made at least once.
//!
//! A webhook that fails is left alone for a while, and only one of its deliveries is tried then: so a dead receiver costs
//! one request at a time, however much waits for it. Webhooks take turns.

use keyward_shared::{ids::CompanyId, time::Millis};
use serde_json::{Value, json};

use super::{events, signature, target, watches};
use crate::{
    call::AuditNote,
    settings::ControlSettings,
    shard::{audit, failure::Failure, turn::Random},
    sql::{Columns, Sql, SqlError},
};

/// For how long whoever takes a delivery has it: more than the time limit of a request.
const LEASE: Millis = Millis(30_000);
/// The waits after the first, second, … failed attempt, in seconds; after the last one there is no further attempt.
const RETRIES_S: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// The first and the longest time for which a webhook is left alone after a failure: below the first two waits.
const REST: (u64, u64) = (4_000, 240_000);
/// After how long of nothing but failures a webhook is disabled: 5 days.
const GIVE_UP: Millis = Millis::from_secs(5 * 86_400);
/// Failures that are further apart are not one row of them: more than the longest wait between two attempts.
const ONE_ROW: Millis = Millis::from_secs(2 * 86_400);
/// For how long a delivery that has ended is kept in the log: 30 days.
const KEPT: Millis = Millis::from_secs(30 * 86_400);
/// How many such deliveries of a webhook are kept, and at every how many more the rest is removed.
const KEPT_COUNT: (u64, u64) = (500, 64);
/// How many events are spread, and how many rows are removed, in one go.
const HANDFUL: u64 = 50;
/// The longest description of an error, in characters.
const MAX_ERROR: usize = 200;

/// A request to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whose webhook.
    pub company: CompanyId,
    /// Its id.
    pub webhook: String,
    /// The number of the event.
    pub event: u64,
    /// Which attempt it is, from 1: what is said of an earlier one comes too late.
    pub attempt: u64,
    /// How many attempts are known to have failed.
    pub failures: u64,
    /// `POST` to.
    pub url: String,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp_s: u64,
    /// `webhook-signature`.
    pub signature: String,
    /// JSON.
    pub body: String,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer with this status; a redirect is one too.
    Answered(u16),
    /// No answer, and why.
    Failed(String),
}

/// Gives every webhook that wants to hear of an event a delivery of it, for a handful of events; false: there are none.
pub(in crate::shard) fn spread(sql: &impl Sql, now: Millis) -> Result<bool, Failure> {
    let statement = "SELECT number, company, type FROM webhook_events WHERE spread = 0 ORDER BY number LIMIT ?1";
    let events = sql.execute(statement, &[HANDFUL.into()])?;
    let found = !events.is_empty();
    for row in events {
        let mut c = Columns::of(row);
        let (number, company, event): (u64, CompanyId, String) = (c.number()?, c.parsed()?, c.text()?);
        let statement = "SELECT id, events FROM webhooks WHERE company = ?1 AND active = 1 AND deleted = 0 AND since < ?2";
        let mut taken = false;
        for row in sql.execute(statement, &[(&company).into(), number.into()])? {
            let mut c = Columns::of(row);
            let (webhook, asked) = (c.text()?, c.optional_text()?);
            if !events::asks(asked.as_deref(), &event) {
                continue;
            }
            taken = true;
            sql.execute(
                "INSERT INTO webhook_deliveries (company, webhook, event, status, attempts, failures, created_at, due_at) \
                 VALUES (?1, ?2, ?3, 'pending', 0, 0, ?4, ?4) ON CONFLICT DO NOTHING",
                &[(&company).into(), (&webhook).into(), number.into(), now.into()],
            )?;
            reschedule(sql, &company, &webhook)?;
        }
        let statement =
            if taken { "UPDATE webhook_events SET spread = 1 WHERE number = ?1" } else { "DELETE FROM webhook_events WHERE number = ?1" };
        sql.execute(statement, &[number.into()])?;
    }
    Ok(found)
}

/// Finds out when the webhook's next delivery is due.
pub(super) fn reschedule(sql: &impl Sql, company: &CompanyId, webhook: &str) -> Result<(), SqlError> {
    sql.execute(
        "UPDATE webhooks SET due_at = MAX((SELECT d.due_at FROM webhook_deliveries d WHERE d.company = ?1 AND d.webhook = ?2 \
         AND d.due_at IS NOT NULL ORDER BY d.due_at LIMIT 1), CASE WHEN active = 1 THEN rest_until ELSE 0 END) \
         WHERE company = ?1 AND id = ?2 AND deleted = 0",
        &[company.into(), webhook.into()],
    )?;
    Ok(())
}

/// A webhook with something due.
struct Waiting {
    company: CompanyId,
    id: String,
    url: String,
    active: bool,
    deleted: bool,
    failing: bool,
}

/// Takes at most `limit` deliveries that are due at `now`. Deliveries of webhooks that are not active end here, and a
/// handful of those of deleted ones is removed; true: there was such work.
pub(in crate::shard) fn take(
    sql: &impl Sql,
    settings: &ControlSettings,
    now: Millis,
    random: Random<'_>,
    limit: u64,
) -> Result<(Vec<Message>, bool), Failure> {
    let statement =
        "SELECT company, id, url, active, deleted, failures FROM webhooks WHERE due_at <= ?1 ORDER BY served_at, company, id LIMIT ?2";
    let mut waiting = Vec::new();
    for row in sql.execute(statement, &[now.into(), limit.into()])? {
        let mut c = Columns::of(row);
        waiting.push(Waiting {
            company: c.parsed()?,
            id: c.text()?,
            url: c.text()?,
            active: c.truth()?,
            deleted: c.truth()?,
            failing: c.number()? > 0,
        });
    }
    let share = limit / (waiting.len() as u64).max(1);
    let (mut messages, mut worked) = (Vec::new(), false);
    for webhook in &waiting {
        if webhook.deleted {
            worked = true;
            remove(sql, webhook)?;
            continue;
        }
        // Until it is known whether it still fails there is no other attempt.
        let rest_until = if webhook.failing { now.plus(LEASE) } else { Millis(0) };
        sql.execute(
            "UPDATE webhooks SET served_at = ?3, rest_until = ?4 WHERE company = ?1 AND id = ?2",
            &[(&webhook.company).into(), (&webhook.id).into(), now.into(), rest_until.into()],
        )?;
        if webhook.active {
            let share = if webhook.failing { 1 } else { share };
            let taken = claim(sql, settings, now, webhook, share)?;
            for (message, refused) in taken {
                match refused {
                    Some(why) => {
                        worked = true;
                        answered(sql, now, random, &message, &Outcome::Failed(why))?;
                    }
                    None => messages.push(message),
                }
            }
        } else {
            worked = true;
            end_unsent(sql, now, webhook)?;
        }
        reschedule(sql, &webhook.company, &webhook.id)?;
    }
    Ok((messages, worked))
}

/// Takes at most `limit` of one webhook's deliveries, each with why it cannot be sent, where that is so.
fn claim(
    sql: &impl Sql,
    settings: &ControlSettings,
    now: Millis,
    webhook: &Waiting,
    limit: u64,
) -> Result<Vec<(Message, Option<String>)>, Failure> {
    let rows = sql.execute(
        "SELECT d.event, d.attempts, d.failures, e.id, e.body FROM webhook_deliveries d JOIN webhook_events e ON e.number = d.event \
         WHERE d.company = ?1 AND d.webhook = ?2 AND d.due_at <= ?3 ORDER BY d.due_at LIMIT ?4",
        &[(&webhook.company).into(), (&webhook.id).into(), now.into(), limit.into()],
    )?;
    let mut taken = Vec::new();
    for row in rows {
        let mut c = Columns::of(row);
        let (event, attempt, failures, id, body) = (c.number()?, c.number()? + 1, c.number()?, c.text()?, c.text()?);
        sql.execute(
            "UPDATE webhook_deliveries SET attempts = ?4, attempted_at = ?5, due_at = ?6 WHERE company = ?1 AND webhook = ?2 AND event = ?3",
            &[
                (&webhook.company).into(),
                (&webhook.id).into(),
                event.into(),
                attempt.into(),
                now.into(),
                now.plus(LEASE).into(),
            ],
        )?;
        let timestamp_s = now.as_secs();
        let signature = settings
            .webhook_secrets
            .as_ref()
            .map(|secrets| signature::signatures(secrets, &webhook.company, &webhook.id, &id, timestamp_s, &body));
        let refused = match (&signature, target::check(&webhook.url, settings.webhook_targets)) {
            (None, _) => Some("WEBHOOK_SECRETS is not set: it cannot be signed".to_owned()),
            (_, Err(error)) => Some(format!("the URL {error}")),
            (Some(_), Ok(_)) => None,
        };
        let message = Message {
            company: webhook.company.clone(),
            webhook: webhook.id.clone(),
            event,
            attempt,
            failures,
            url: webhook.url.clone(),
            id,
            timestamp_s,
            signature: signature.unwrap_or_default(),
            body,
        };
        taken.push((message, refused));
    }
    Ok(taken)
}

/// Writes down what came of an attempt; once, and only where no later one has begun.
pub(in crate::shard) fn answered(
    sql: &impl Sql,
    now: Millis,
    random: Random<'_>,
    message: &Message,
    outcome: &Outcome,
) -> Result<(), Failure> {
    let delivered = matches!(outcome, Outcome::Answered(200..300));
    let wait = usize::try_from(message.failures).ok().and_then(|failures| RETRIES_S.get(failures));
    let due_at = wait.filter(|_| !delivered).map(|seconds| now.plus(jittered(*seconds, random)));
    let status = match due_at {
        Some(_) => "pending",
        None if delivered => "delivered",
        None => "failed",
    };
    let (code, error) = match outcome {
        Outcome::Answered(code) => (Some(u64::from(*code)), (!delivered).then(|| format!("answered {code}"))),
        Outcome::Failed(why) => (None, Some(why.chars().take(MAX_ERROR).collect())),
    };
    let ended_at = due_at.is_none().then_some(now);
    let changed = sql.execute(
        "UPDATE webhook_deliveries SET status = ?5, due_at = ?6, ended_at = ?7, code = ?8, error = ?9, failures = failures + ?10 \
         WHERE company = ?1 AND webhook = ?2 AND event = ?3 AND attempts = ?4 AND status = 'pending' RETURNING event",
        &[
            (&message.company).into(),
            (&message.webhook).into(),
            message.event.into(),
            message.attempt.into(),
            status.into(),
            due_at.into(),
            ended_at.into(),
            code.into(),
            error.into(),
            (!delivered).into(),
        ],
    )?;
    if changed.is_empty() {
        return Ok(());
    }
    if delivered {
        sql.execute(
            "UPDATE webhooks SET failures = 0, failing_since = NULL, failed_at = NULL, rest_until = 0 WHERE company = ?1 AND id = ?2",
            &[(&message.company).into(), (&message.webhook).into()],
        )?;
    } else {
        fail(sql, now, message, outcome)?;
    }
    if ended_at.is_some() {
        trim(sql, &message.company, &message.webhook)?;
    }
    Ok(reschedule(sql, &message.company, &message.webhook)?)
}

/// `seconds`, up to a tenth more or less, so that what failed together is not tried together.
fn jittered(seconds: u64, random: Random<'_>) -> Millis {
    let mut bytes = [0; 2];
    random(&mut bytes);
    let part = u64::from(u16::from_be_bytes(bytes));
    Millis(seconds * 900 + seconds * 200 * part / u64::from(u16::MAX))
}

/// Lets the webhook rest after a failure; one that is gone, or that has failed for too long, is disabled.
fn fail(sql: &impl Sql, now: Millis, message: &Message, outcome: &Outcome) -> Result<(), Failure> {
    let statement = "SELECT failures, failing_since, failed_at FROM webhooks WHERE company = ?1 AND id = ?2 AND active = 1 AND deleted = 0";
    let Some(row) = sql.execute(statement, &[(&message.company).into(), (&message.webhook).into()])?.pop() else { return Ok(()) };
    let mut c = Columns::of(row);
    let (failures, since, last) = (c.number()?, c.optional_time()?, c.optional_time()?);
    let one_row = last.is_some_and(|last| now.minus(last) <= ONE_ROW);
    let since = since.filter(|_| one_row).unwrap_or(now);
    let rest = REST.1.min(REST.0 << failures.min(10));
    sql.execute(
        "UPDATE webhooks SET failures = failures + 1, failing_since = ?3, failed_at = ?4, rest_until = ?5 WHERE company = ?1 AND id = ?2",
        &[(&message.company).into(), (&message.webhook).into(), since.into(), now.into(), now.plus(Millis(rest)).into()],
    )?;
    if *outcome == Outcome::Answered(410) {
        return disable(sql, now, message, "the receiver answered 410: it wants no more messages");
    }
    if now.minus(since) >= GIVE_UP {
        return disable(sql, now, message, "every attempt has failed for 5 days");
    }
    Ok(())
}

fn disable(sql: &impl Sql, now: Millis, message: &Message, reason: &str) -> Result<(), Failure> {
    let (company, webhook) = (&message.company, &message.webhook);
    sql.execute(
        "UPDATE webhooks SET active = 0, disabled_reason = ?3 WHERE company = ?1 AND id = ?2",
        &[company.into(), webhook.into(), reason.into()],
    )?;
    watches::reconcile(sql, company, now)?;
    let note = AuditNote {
        id: String::new(),
        company: company.clone(),
        actor: "keyward".into(),
        key: None,
        address: None,
        action: "webhook.disable".into(),
        target: webhook.clone(),
        outcome: "done".into(),
        before: json!({ "active": true }),
        after: json!({ "active": false, "disabled_reason": reason }),
        request_id: message.id.clone(),
    };
    audit::append(sql, now, &note)
}

/// Ends a handful of due deliveries of a webhook that is not active: nobody is told, a replay tells.
fn end_unsent(sql: &impl Sql, now: Millis, webhook: &Waiting) -> Result<(), SqlError> {
    sql.execute(
        "UPDATE webhook_deliveries SET status = 'failed', due_at = NULL, ended_at = ?3, error = 'the webhook is not active' \
         WHERE company = ?1 AND webhook = ?2 AND event IN (SELECT event FROM webhook_deliveries \
         WHERE company = ?1 AND webhook = ?2 AND due_at <= ?3 ORDER BY due_at LIMIT ?4)",
        &[(&webhook.company).into(), (&webhook.id).into(), now.into(), KEPT_COUNT.1.into()],
    )?;
    sql.execute(
        "UPDATE webhooks SET ended = ?3 WHERE company = ?1 AND id = ?2",
        &[(&webhook.company).into(), (&webhook.id).into(), (KEPT_COUNT.1 - 1).into()],
    )?;
    trim(sql, &webhook.company, &webhook.id)
}

/// Counts a delivery that has ended, and removes the oldest that the log has no room for, now and then.
fn trim(sql: &impl Sql, company: &CompanyId, webhook: &str) -> Result<(), SqlError> {
    let (kept, step) = KEPT_COUNT;
    let statement = "UPDATE webhooks SET ended = (ended + 1) % ?3 WHERE company = ?1 AND id = ?2 RETURNING ended";
    let counted = sql.execute(statement, &[company.into(), webhook.into(), step.into()])?;
    if counted.first().and_then(|row| row.first()).is_none_or(|ended| ended.number() != 0) {
        return Ok(());
    }
    let rows = sql.execute(
        "SELECT event FROM webhook_deliveries WHERE company = ?1 AND webhook = ?2 AND ended_at IS NOT NULL ORDER BY event DESC LIMIT ?4 OFFSET ?3",
        &[company.into(), webhook.into(), kept.into(), (2 * step).into()],
    )?;
    for row in rows {
        forget(sql, company, webhook, Columns::of(row).number()?)?;
    }
    Ok(())
}

/// Removes a delivery, and its event where it was the last one.
fn forget(sql: &impl Sql, company: &CompanyId, webhook: &str, event: u64) -> Result<(), SqlError> {
    sql.execute(
        "DELETE FROM webhook_deliveries WHERE company = ?1 AND webhook = ?2 AND event = ?3",
        &[company.into(), webhook.into(), event.into()],
    )?;
    sql.execute(
        "DELETE FROM webhook_events WHERE number = ?1 AND spread = 1 AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE event = ?1)",
        &[event.into()],
    )?;
    Ok(())
}

/// Removes a handful of a deleted webhook's deliveries, and in the end the webhook.
fn remove(sql: &impl Sql, webhook: &Waiting) -> Result<(), SqlError> {
    let (company, id) = (&webhook.company, webhook.id.as_str());
    let statement = "SELECT event FROM webhook_deliveries WHERE company = ?1 AND webhook = ?2 LIMIT ?3";
    let rows = sql.execute(statement, &[company.into(), id.into(), (2 * HANDFUL).into()])?;
    if rows.is_empty() {
        sql.execute("DELETE FROM webhooks WHERE company = ?1 AND id = ?2", &[company.into(), id.into()])?;
    }
    for row in rows {
        forget(sql, company, id, Columns::of(row).number()?)?;
    }
    Ok(())
}

/// Removes a handful of what the log has held for long enough.
pub(in crate::shard) fn prune(sql: &impl Sql, now: Millis) -> Result<(), SqlError> {
    let statement = "SELECT company, webhook, event FROM webhook_deliveries WHERE ended_at <= ?1 ORDER BY ended_at LIMIT ?2";
    for row in sql.execute(statement, &[now.minus(KEPT).into(), (2 * HANDFUL).into()])? {
        let mut c = Columns::of(row);
        let (company, webhook): (CompanyId, String) = (c.parsed()?, c.text()?);
        forget(sql, &company, &webhook, c.number()?)?;
    }
    Ok(())
}

/// When there is next something to do for webhooks.
pub(in crate::shard) fn next_due(sql: &impl Sql) -> Result<Option<Millis>, SqlError> {
    let row = sql.execute(
        "SELECT MIN(at) FROM (SELECT (SELECT 0 FROM webhook_events WHERE spread = 0 AND number > 0 LIMIT 1) AS at \
         UNION ALL SELECT (SELECT due_at FROM webhooks WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1) \
         UNION ALL SELECT (SELECT due_at FROM webhook_watches WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1))",
        &[],
    )?;
    row.into_iter().next().map_or(Ok(None), |row| Columns::of(row).optional_time())
}

/// The delivery as the API shows it.
pub(super) const COLUMNS: &str =
    "d.event, e.id, e.type, d.status, d.attempts, d.created_at, d.attempted_at, d.due_at, d.ended_at, d.code, d.error";

/// Reads a row of [`COLUMNS`] and the message, where it is asked for: the number of the event, and the delivery object.
pub(super) fn read(row: crate::sql::Row) -> Result<(u64, Value), SqlError> {
    let mut c = Columns::of(row);
    let time = |at: Option<Millis>| at.map(crate::time::rfc3339);
    let (event, id, kind, status, attempts) = (c.number()?, c.text()?, c.text()?, c.text()?, c.number()?);
    let (created_at, attempted_at, due_at, ended_at) = (c.time()?, c.optional_time()?, c.optional_time()?, c.optional_time()?);
    let (code, error, payload) = (c.optional_number()?, c.optional_text()?, c.optional_json::<Value>()?);
    let mut object = json!({
        "id": id,
        "type": kind,
        "status": status,
        "attempts": attempts,
        "created_at": time(Some(created_at)),
        "last_attempt_at": time(attempted_at),
        "next_attempt_at": time(due_at),
        "ended_at": time(ended_at),
        "last_status": code,
        "last_error": error,
    });
    if let Some(payload) = payload {
        object["payload"] = payload;
    }
    Ok((event, object))
}
