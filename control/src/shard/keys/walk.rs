//! Walking through a company's keys in one order, a bounded piece at a time: what lists and whatever is done to many keys
//! have in common.
//!
//! Each order has an index with a last column that no two keys share, so a place in it is stable under inserts and one step
//! costs the same wherever it begins. One owner's keys are in an index by creation only. In another order they are sorted
//! as long as they are few; where they are many, the company's index is walked past everyone else's.

use keyward_shared::ids::{CompanyId, OwnerId};

use crate::shard::{
    cursor::Pages,
    failure::Failure,
    query::{Query, bad},
    rows::{self, KEY_COLUMNS, KEY_JOINS, KeyRow, NEVER},
};
use crate::{
    call::Refused,
    sql::{Columns, Sql, SqlError, Value},
};

/// The most keys of one owner that are sorted for a page.
const SORTED: u64 = 2_000;

/// What stands in `expiry_order` for a key that does not expire.
const UNENDING: u64 = (1 << 53) - 1;

/// In what order keys are walked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Order {
    /// By creation, oldest first.
    Oldest,
    /// By creation, newest first.
    Newest,
    /// By name, without regard to the case of ASCII letters.
    Name,
    /// By expiry, soonest first; after them those that do not expire.
    Expiry,
    /// Longest unused first; before them, in no order that means anything, those that were never used.
    Unused,
}

impl Order {
    /// What keys are ordered by, in terms of `keys k` and `key_usage u`: a value, and what tells equal ones apart.
    const fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Oldest | Self::Newest => ("0", "k.place"),
            Self::Name => ("k.name_order", "k.place"),
            Self::Expiry => ("k.expiry_order", "k.place"),
            Self::Unused => ("u.last_used_at", "u.key_id"),
        }
    }

    fn sequence(self) -> String {
        match (self, self.columns()) {
            (Self::Oldest, (_, tie)) => tie.into(),
            (Self::Newest, (_, tie)) => format!("{tie} DESC"),
            (Self::Name | Self::Expiry | Self::Unused, (value, tie)) => format!("{value}, {tie}"),
        }
    }

    /// The company's keys, read in this order.
    const fn source(self) -> &'static str {
        match self {
            Self::Oldest | Self::Newest => "keys k INDEXED BY keys_by_company WHERE k.company = ?1",
            Self::Name => "keys k INDEXED BY keys_by_name WHERE k.company = ?1",
            Self::Expiry => "keys k INDEXED BY keys_by_expiry WHERE k.company = ?1",
            // Every key has a row of use, so that the unused ones can be found.
            Self::Unused => {
                "key_usage u INDEXED BY key_usage_by_time CROSS JOIN keys k ON k.company = u.company AND k.key_id = u.key_id WHERE u.company = ?1"
            }
        }
    }
}

/// A place between two keys in one order.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::shard) struct Place {
    value: Value,
    tie: Value,
}

impl Place {
    /// After `key`.
    fn after(order: Order, key: &KeyRow) -> Self {
        let (value, tie): (Value, Value) = match order {
            Order::Oldest | Order::Newest => (0.into(), key.place.into()),
            Order::Name => (key.name.as_str().into(), key.place.into()),
            Order::Expiry => (key.expires_at.map_or(UNENDING.into(), Value::from), key.place.into()),
            Order::Unused => (key.last_used_at.unwrap_or_default().into(), (&key.id).into()),
        };
        Self { value, tie }
    }

    /// The place of the query's cursor, where it has one.
    pub(in crate::shard) fn of(pages: &Pages<'_>, query: &Query, order: Order) -> Result<Option<Self>, Refused> {
        let read = |text: String| Self::read(order, &text).ok_or_else(|| bad("this cursor does not belong to this list"));
        pages.place(query)?.map(read).transpose()
    }

    /// The place that [`Place::text`] wrote for the same order.
    fn read(order: Order, text: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<u64>().ok().map(Value::from);
        let (tie, value) = text.split_once('\n').unwrap_or((text, "0"));
        Some(match order {
            Order::Oldest | Order::Newest | Order::Expiry => Self { value: number(value)?, tie: number(tie)? },
            Order::Name => Self { value: value.into(), tie: number(tie)? },
            Order::Unused => Self { value: number(value)?, tie: tie.into() },
        })
    }

    /// As a cursor carries it.
    pub(in crate::shard) fn text(&self) -> String {
        let written = |value: &Value| value.optional_text().unwrap_or_else(|| value.number().to_string());
        format!("{}\n{}", written(&self.tie), written(&self.value))
    }
}

/// A walk from one place on.
pub(in crate::shard) struct Walk {
    order: Order,
    /// `FROM` and `WHERE` of the keys that are looked through, in terms of [`Walk::parameters`].
    source: String,
    parameters: Vec<Value>,
    /// Whose keys are taken, where others are looked through as well.
    only: Option<OwnerId>,
}

/// Which of the keys that are looked through are taken: SQL in terms of `keys k` and [`KEY_JOINS`], with its parameters.
pub(in crate::shard) struct Filters {
    parameters: Vec<Value>,
    conditions: String,
}

impl Filters {
    /// Takes only what satisfies a condition about the parameter with the number that it is given.
    pub(in crate::shard) fn add(&mut self, value: impl Into<Value>, condition: impl FnOnce(usize) -> String) {
        self.parameters.push(value.into());
        self.always(&condition(self.parameters.len()));
    }

    /// Takes only what satisfies `condition`.
    pub(in crate::shard) fn always(&mut self, condition: &str) {
        self.conditions.extend([" AND ", condition]);
    }
}

impl Walk {
    /// Through the keys of `company` in `order`, or only those of `owner`, from the place `after` on.
    pub(in crate::shard) fn new(
        sql: &impl Sql,
        company: &CompanyId,
        owner: Option<&OwnerId>,
        order: Order,
        after: Option<&Place>,
    ) -> Result<Self, SqlError> {
        let mut walk = Self { order, source: order.source().into(), parameters: vec![company.into()], only: None };
        if let Some(owner) = owner {
            let few = |sql: &_| few(sql, company, owner);
            match order {
                Order::Oldest | Order::Newest => walk.source = "keys k INDEXED BY keys_by_owner WHERE k.company = ?1".into(),
                Order::Name | Order::Expiry if few(sql)? => walk.source = "keys k INDEXED BY keys_by_owner WHERE k.company = ?1".into(),
                Order::Unused if few(sql)? => {
                    walk.source =
                        "keys k INDEXED BY keys_by_owner CROSS JOIN key_usage u ON u.company = k.company AND u.key_id = k.key_id \
                                   WHERE k.company = ?1"
                            .into();
                }
                Order::Name | Order::Expiry | Order::Unused => walk.only = Some(owner.clone()),
            }
            if walk.only.is_none() {
                walk.narrow(owner, |n| format!("k.owner = ?{n}"));
            }
        }
        if let Some(Place { value, tie }) = after {
            let (of_value, of_tie) = order.columns();
            match order {
                Order::Oldest => walk.narrow(tie.clone(), |n| format!("{of_tie} > ?{n}")),
                Order::Newest => walk.narrow(tie.clone(), |n| format!("{of_tie} < ?{n}")),
                Order::Name | Order::Expiry | Order::Unused => {
                    walk.parameters.push(tie.clone());
                    walk.narrow(value.clone(), |n| format!("({of_value}, {of_tie}) > (?{n}, ?{})", n - 1));
                }
            }
        }
        Ok(walk)
    }

    /// Looks only through what satisfies a condition about the parameter with the number that it is given: one that the
    /// order's index can tell by.
    pub(in crate::shard) fn narrow(&mut self, value: impl Into<Value>, condition: impl FnOnce(usize) -> String) {
        self.parameters.push(value.into());
        self.source.extend([" AND ", &condition(self.parameters.len())]);
    }

    /// Begins the filters of this walk, once it is not narrowed any more.
    pub(in crate::shard) fn filters(&self) -> Filters {
        let mut filters = Filters { parameters: self.parameters.clone(), conditions: String::new() };
        if let Some(owner) = &self.only {
            filters.add(owner, |n| format!("k.owner = ?{n}"));
        }
        filters
    }

    /// The next keys that `filters` take, at most `limit`, out of at most `scan`; and where to go on, `None` at the end.
    pub(in crate::shard) fn page(
        &self,
        sql: &impl Sql,
        filters: &Filters,
        limit: u64,
        scan: u64,
    ) -> Result<(Vec<KeyRow>, Option<Place>), Failure> {
        let filtered = !filters.conditions.is_empty();
        let scan = if filtered { scan } else { limit + 1 };
        let statement = format!(
            "SELECT {KEY_COLUMNS} FROM {scanned} k {KEY_JOINS} WHERE TRUE{conditions} ORDER BY {sequence} LIMIT {most}",
            scanned = self.scanned(scan),
            conditions = filters.conditions,
            sequence = self.order.sequence(),
            most = limit + 1,
        );
        let mut keys: Vec<_> = sql.execute(&statement, &filters.parameters)?.into_iter().map(rows::read_key).collect::<Result<_, _>>()?;
        let more = keys.len() as u64 > limit;
        keys.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = match keys.last() {
            Some(last) if more => Some(Place::after(self.order, last)),
            _ if filtered => self.end_of(sql, scan)?,
            _ => None,
        };
        Ok((keys, next))
    }

    /// How many of the next `scan` keys `filters` take; and where to go on, `None` at the end.
    pub(in crate::shard) fn count(&self, sql: &impl Sql, filters: &Filters, scan: u64) -> Result<(u64, Option<Place>), Failure> {
        let statement = format!("SELECT COUNT(*) FROM {} k {KEY_JOINS} WHERE TRUE{}", self.scanned(scan), filters.conditions);
        let row = sql.execute(&statement, &filters.parameters)?.pop().unwrap_or_default();
        Ok((Columns::of(row).number()?, self.end_of(sql, scan)?))
    }

    fn scanned(&self, scan: u64) -> String {
        format!("(SELECT k.* FROM {} ORDER BY {} LIMIT {scan})", self.source, self.order.sequence())
    }

    /// The place after the next `scan` keys; `None` where there are fewer.
    fn end_of(&self, sql: &impl Sql, scan: u64) -> Result<Option<Place>, SqlError> {
        let (value, tie) = self.order.columns();
        let (source, sequence) = (&self.source, self.order.sequence());
        let statement = format!("SELECT {value}, {tie} FROM {source} ORDER BY {sequence} LIMIT 1 OFFSET {}", scan - 1);
        let Some(row) = sql.execute(&statement, &self.parameters)?.pop() else { return Ok(None) };
        let [value, tie] = <[Value; 2]>::try_from(row).map_err(|_| SqlError("a row has another number of columns".into()))?;
        Ok(Some(Place { value, tie }))
    }
}

/// Whether an owner has so few keys that they may be sorted.
fn few(sql: &impl Sql, company: &CompanyId, owner: &OwnerId) -> Result<bool, SqlError> {
    let statement = "SELECT 1 FROM keys INDEXED BY keys_by_owner WHERE company = ?1 AND owner = ?2 LIMIT 1 OFFSET ?3";
    Ok(sql.execute(statement, &[company.into(), owner.into(), SORTED.into()])?.is_empty())
}

/// Takes keys that were not used since the time with the number `n`, and not made since either.
pub(in crate::shard) fn unused_since(n: usize) -> String {
    format!("COALESCE(NULLIF(u.last_used_at, {NEVER}), k.created_at) < ?{n}")
}

#[cfg(all(test, feature = "native-sql", not(target_arch = "wasm32")))]
#[allow(clippy::unwrap_used)] // its helpers too
mod tests {
    use super::*;
    use crate::{shard::schema, sql::native::NativeSql};

    /// How the database would read the keys of a walk that begins after a place.
    fn plan(sql: &NativeSql, owner: Option<&OwnerId>, order: Order) -> String {
        let after = Place { value: 7.into(), tie: 9.into() };
        let walk = Walk::new(sql, &CompanyId::new("acme").unwrap(), owner, order, Some(&after)).unwrap();
        let rows = sql.execute(&format!("EXPLAIN QUERY PLAN SELECT * FROM {}", walk.scanned(10)), &walk.parameters).unwrap();
        rows.iter().map(|row| row[3].text().to_owned()).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn each_order_is_read_from_its_index_at_the_place_where_it_goes_on() {
        let sql = NativeSql::in_memory().unwrap();
        schema::migrate(&sql).unwrap();
        for (order, index, place) in [
            (Order::Oldest, "keys_by_company", "place>?"),
            (Order::Newest, "keys_by_company", "place<?"),
            (Order::Name, "keys_by_name", "(name_order,place)>(?,?)"),
            (Order::Expiry, "keys_by_expiry", "(expiry_order,place)>(?,?)"),
            (Order::Unused, "key_usage_by_time", "(last_used_at,key_id)>(?,?)"),
        ] {
            let plan = plan(&sql, None, order);
            assert!(plan.contains(&format!("INDEX {index} (company=? AND {place})")), "{order:?}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{order:?} is sorted: {plan}");
        }
        for order in [Order::Oldest, Order::Newest, Order::Name, Order::Expiry, Order::Unused] {
            let plan = plan(&sql, Some(&OwnerId::new("ann").unwrap()), order);
            assert!(plan.contains("INDEX keys_by_owner (company=? AND owner=?"), "{order:?}: {plan}");
        }
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for (order, value, tie) in [
            (Order::Newest, 0.into(), 17.into()),
            (Order::Name, Value::from("two\nlines"), 17.into()),
            (Order::Unused, 99.into(), Value::from("key_1")),
        ] {
            let place = Place { value, tie };
            assert_eq!(Place::read(order, &place.text()), Some(place), "{order:?}");
        }
        assert_eq!(Place::read(Order::Newest, "x"), None);
    }
}
