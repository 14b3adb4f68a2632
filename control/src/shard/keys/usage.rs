//! How often a key was used, hour by hour or day by day, and since it has a successor.

use std::collections::BTreeMap;

use keyward_shared::{ids::KeyId, time::Millis};
use serde_json::{Value, json};

use crate::shard::{
    answer::Handled,
    failure::Failure,
    query::{Query, bad},
    rows::KeyRow,
    turn::Turn,
    usage::Width,
};
use crate::{
    sql::{Columns, Sql},
    time::rfc3339,
};

/// How many days of use a list shows, the present one included.
const LISTED_DAYS: u64 = 30;

impl<S: Sql> Turn<'_, S> {
    /// The days with use among the last thirty, for each of the keys on a page of the list: one statement, and at most thirty rows
    /// for each key.
    pub(super) fn days_of_use(&self, keys: &[KeyRow]) -> Result<BTreeMap<KeyId, Vec<Value>>, Failure> {
        let ids: Vec<_> = keys.iter().map(|key| &key.id).collect();
        let from = Width::Day.start(self.now).minus(Width::Day.length_of(LISTED_DAYS - 1));
        let statement = "SELECT b.key_id, b.at, b.allowed, b.refused FROM json_each(?2) listed \
                         CROSS JOIN key_buckets b ON b.company = ?1 AND b.key_id = listed.value AND b.width = ?3 AND b.at >= ?4";
        let parameters = [(&self.company).into(), serde_json::to_string(&ids)?.into(), Width::Day.name().into(), from.into()];
        let mut days: BTreeMap<KeyId, BTreeMap<Millis, Value>> = BTreeMap::new();
        for row in self.sql.execute(statement, &parameters)? {
            let mut c = Columns::of(row);
            let id = c.parsed()?;
            let (at, day) = bucket(&mut c)?;
            days.entry(id).or_default().insert(at, day);
        }
        Ok(days.into_iter().map(|(id, days)| (id, days.into_values().collect())).collect())
    }

    /// `GET /v1/keys/{id}/usage`: the hours or days that `from` or a later time before `to` falls into, as far as they are
    /// kept. There are at most as many as that.
    pub(in crate::shard) fn read_key_usage(&self) -> Result<Handled, Failure> {
        let query = Query::read(&self.call.query, &["from", "to", "by"])?;
        let width = match query.get("by") {
            Some("hour") => Width::Hour,
            None | Some("day") => Width::Day,
            Some(_) => return Err(bad("by must be hour or day").into()),
        };
        let (from, to) = (query.time("from")?, query.time("to")?.unwrap_or(self.now));
        if from.is_some_and(|from| from >= to) {
            return Err(bad("to must be after from").into());
        }
        let key = self.visible_key()?;
        let oldest = width.next(width.oldest(self.now));
        let from = from.map_or(oldest, |from| width.start(from).max(oldest));
        let statement = "SELECT at, allowed, refused FROM key_buckets WHERE company = ?1 AND key_id = ?2 AND width = ?3 AND at >= ?4 AND at < ?5 \
                         ORDER BY at";
        let parameters = [(&self.company).into(), (&key.id).into(), width.name().into(), from.into(), to.into()];
        let mut buckets = Vec::new();
        for row in self.sql.execute(statement, &parameters)? {
            buckets.push(bucket(&mut Columns::of(row))?.1);
        }
        Ok(Handled::ok(json!({
            "by": width.name(),
            "from": rfc3339(from),
            "to": rfc3339(to),
            "buckets": buckets,
            "since_superseded": self.since_superseded(&key)?,
        })))
    }

    /// Use in the whole hours after the key got a successor; in the whole days, where those hours are no longer all kept.
    /// What falls into the hour, or day, of the succession itself is not counted: nobody knows on which side of it it was.
    fn since_superseded(&self, key: &KeyRow) -> Result<Value, Failure> {
        let Some(at) = key.superseded_at else { return Ok(Value::Null) };
        let width = if at >= Width::Hour.oldest(self.now) { Width::Hour } else { Width::Day };
        let from: Millis = width.next(at.max(width.oldest(self.now)));
        let statement = "SELECT COALESCE(SUM(allowed), 0), COALESCE(SUM(refused), 0) FROM key_buckets WHERE company = ?1 AND key_id = ?2 AND width = ?3 AND at >= ?4";
        let row = self.sql.execute(statement, &[(&self.company).into(), (&key.id).into(), width.name().into(), from.into()])?.pop();
        let mut c = Columns::of(row.unwrap_or_default());
        Ok(json!({ "from": rfc3339(from), "allowed": c.number()?, "refused": c.number()? }))
    }
}

/// An hour or day and when it begins, from the columns that say that and what was let in and refused in it.
fn bucket(columns: &mut Columns) -> Result<(Millis, Value), Failure> {
    let at = columns.time()?;
    Ok((at, json!({ "at": rfc3339(at), "allowed": columns.number()?, "refused": columns.number()? })))
}
