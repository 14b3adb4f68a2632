//! An object's instance: the state machine over its own `SQLite`, a clock that is off, an alarm, and everything that can
//! befall it. What its adapter does with it, step by step, stands in [`crate::shard`], [`crate::feed`] and
//! [`crate::registry`].

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use keyward_control::{
    feed::Feed,
    registry::Registry,
    shard::Shard,
    sql::{Row, Sql, SqlError, Value, native::NativeSql},
};
use keyward_shared::time::Millis;

use crate::{executor::Owner, script::Alarm};

/// An object's database; a statement of it can be made to fail.
#[derive(Clone, Debug)]
pub struct Db {
    sql: Rc<NativeSql>,
    fail_after: Rc<Cell<Option<u8>>>,
}

impl Sql for Db {
    fn execute(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Row>, SqlError> {
        match self.fail_after.get() {
            Some(0) => {
                self.fail_after.set(None);
                return Err(SqlError("the storage fails".into()));
            }
            Some(left) => self.fail_after.set(Some(left - 1)),
            None => {}
        }
        self.sql.execute(statement, parameters)
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.sql.transaction(body)
    }
}

impl Db {
    /// How many rows were ever written: a displaced instance's writes fail, its reads do not.
    pub fn written(&self) -> Result<u64, SqlError> {
        Ok(self.sql.execute("SELECT total_changes()", &[])?.first().and_then(|row| row.first()).map_or(0, Value::number))
    }

    /// What is stored, past the faults; nothing where it cannot be read.
    pub fn peek(&self, statement: &str, parameters: &[Value]) -> Vec<Row> {
        self.sql.execute(statement, parameters).unwrap_or_default()
    }

    /// The same storage, past the faults.
    #[must_use]
    pub fn past_faults(&self) -> Self {
        Self { sql: Rc::clone(&self.sql), fail_after: Rc::default() }
    }

    /// No statement fails any more.
    pub fn mend(&self) {
        self.fail_after.set(None);
    }

    /// A database that goes on by itself from here.
    pub fn copy(&self) -> Result<Self, SqlError> {
        Ok(Self { sql: Rc::new(self.sql.copy()?), fail_after: Rc::default() })
    }

    /// An empty one.
    pub fn empty() -> Result<Self, SqlError> {
        Ok(Self { sql: Rc::new(NativeSql::in_memory()?), fail_after: Rc::default() })
    }
}

/// What every object has, whatever it does.
#[derive(Debug)]
pub struct Base {
    /// Whose tasks are its.
    pub owner: Owner,
    /// How far its clock is off, in milliseconds.
    pub offset: Cell<i64>,
    /// When it is to be woken, in true time.
    pub alarm: Cell<Option<u64>>,
    /// What befalls the next alarm.
    pub alarm_fault: Cell<Option<Alarm>>,
    /// How many alarms are being answered.
    pub waking: Cell<u32>,
    /// The next turn is lost with everything that it wrote, and the instance with it.
    pub lose_turn: Cell<bool>,
    /// How often it died.
    pub deaths: Cell<u64>,
}

/// An object whose state machine is `C`.
pub struct Instance<C> {
    /// What every object has.
    pub base: Base,
    /// Its storage.
    pub db: RefCell<Db>,
    /// The state machine, once the instance was asked something.
    pub core: RefCell<Option<Rc<C>>>,
    /// Another instance that believes to be the object, until a true time: its writes fail.
    pub displaced: RefCell<Option<(Rc<C>, Db, u64)>>,
}

/// The shard's state machine.
pub type ShardCore = Shard<Db>;
/// The feed's.
pub type FeedCore = Feed<Db>;
/// The registry's.
pub type RegistryCore = Registry<Db>;

/// The instance died, or its storage failed: there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Died in this turn; what the turn wrote is lost.
    Died,
    /// An error; the instance lives on.
    Failed(String),
}

impl<C> Instance<C> {
    /// A new object with an empty storage.
    pub fn new(owner: Owner) -> Result<Self, SqlError> {
        Ok(Self {
            base: Base {
                owner,
                offset: Cell::new(0),
                alarm: Cell::new(None),
                alarm_fault: Cell::new(None),
                waking: Cell::new(0),
                lose_turn: Cell::new(false),
                deaths: Cell::new(0),
            },
            db: RefCell::new(Db::empty()?),
            core: RefCell::new(None),
            displaced: RefCell::new(None),
        })
    }

    /// One turn of the state machine that `open` makes where there is none. What a lost turn said is lost with it.
    pub fn turn<T>(&self, open: impl FnOnce(Db) -> Result<C, String>, work: impl FnOnce(&C) -> Result<T, String>) -> Result<T, Gone> {
        let before =
            if self.base.lose_turn.take() { Some(self.db.borrow().copy().map_err(|e| Gone::Failed(e.to_string()))?) } else { None };
        let known = self.core.borrow().clone();
        let core = if let Some(core) = known {
            core
        } else {
            let core = Rc::new(open(self.db.borrow().clone()).map_err(Gone::Failed)?);
            *self.core.borrow_mut() = Some(Rc::clone(&core));
            core
        };
        let said = work(&core).map_err(Gone::Failed);
        match before {
            None => said,
            Some(before) => {
                self.replace_storage(before);
                Err(Gone::Died)
            }
        }
    }

    /// Asks the displaced instance; nothing where there is none any more, or where it wrote something.
    pub fn displaced_turn<T>(&self, now: u64, work: impl FnOnce(&C) -> Option<T>) -> Option<T> {
        let displaced = self.displaced.borrow();
        let (core, db, until) = displaced.as_ref()?;
        if now >= *until {
            return None;
        }
        let before = db.written().ok()?;
        let said = work(core);
        if db.written().ok()? == before { said } else { None }
    }

    /// The storage is another one from now on.
    pub fn replace_storage(&self, db: Db) {
        *self.db.borrow_mut() = db;
        *self.core.borrow_mut() = None;
    }

    /// The statement after `after` more of them fails.
    pub fn fail_statement(&self, after: u8) {
        self.db.borrow().fail_after.set(Some(after));
    }
}

impl Base {
    /// The time by its clock, where it is `now`.
    pub fn clock(&self, now: u64) -> Millis {
        Millis(now.saturating_add_signed(self.offset.get()))
    }

    /// The true time at which its clock shows `at`.
    pub fn true_time(&self, at: Millis) -> u64 {
        at.0.saturating_add_signed(-self.offset.get())
    }
}
