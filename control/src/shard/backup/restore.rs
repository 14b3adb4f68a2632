//! A company comes back from a backup, part by part. Its rows are stored as they come, while there is no row of the company
//! itself: without that no key of it is known, nobody can sign in, and no call finds it. The last part, when all is there and
//! whole, adds that one row, and so the company is back as of that turn; its trail goes on from what it was.
//!
//! What is refused, abandoned or replaced is erased a handful at a time. The same file once more, within a day, has no
//! further effect: it is answered as it was.

use std::collections::BTreeSet;

use keyward_shared::{ids::CompanyId, problem::Code, time::Millis};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::shard::{
    Shard,
    answer::Handled,
    audit,
    backup::export::{KINDS, Kind, counted, erase},
    backup::restore_lines::{Values, must_be_absent},
    companies,
    failure::Failure,
    json,
    keys::reclaim,
    keys::view,
    numbers, outbox, publish,
    query::Query,
    rows,
    turn::{Random, Turn, current_rev},
    validate::Fields,
    webhooks::watches,
};
use crate::{
    call::{ImportPart, ImportStep, Refused},
    sql::{Columns, Sql, SqlError, Value as SqlValue},
};

/// After which time without a further part an import is abandoned.
const ABANDONED: Millis = Millis::from_secs(3_600);
/// For how long it is known which file a company came from.
const KNOWN: Millis = Millis::from_secs(86_400);
/// The most rows of one table that one turn erases.
const HANDFUL: u64 = 1_000;

/// What the header says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::shard) struct Header {
    /// The shard's revision when the export began.
    pub(in crate::shard) rev: u64,
    /// When that was.
    pub(in crate::shard) exported_at: String,
}

/// The company, until it is back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::shard) struct CompanyLine {
    pub(in crate::shard) name: String,
    pub(in crate::shard) active: bool,
    pub(in crate::shard) max_key_lifetime_days: Option<u64>,
    pub(in crate::shard) created_at: Millis,
}

/// How far an import has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::shard) struct Progress {
    /// Which import.
    id: String,
    /// The first line as it came.
    first: String,
    header: Header,
    company: Option<CompanyLine>,
    /// How many parts and lines were taken.
    parts: u64,
    lines: u64,
    /// Of which kind the last line was.
    kind: usize,
    /// How many lines of each kind were taken.
    counts: Vec<u64>,
    /// The last entry of the trail, and its hash.
    pub(in crate::shard) trail: u64,
    pub(in crate::shard) hash: String,
    /// The hash of the whole file, once it is back.
    sha256: Option<String>,
}

/// What became of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Parts are taken.
    Open,
    /// Its rows are being removed.
    Erasing,
    /// The company is back.
    Done,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Erasing => "erasing",
            Self::Done => "done",
        }
    }
}

/// What is answered to a part.
#[derive(Debug)]
pub enum Taken {
    /// The next part is wanted.
    Further,
    /// An earlier import is still being removed: the same part again.
    Again,
    /// The company is back.
    Done(Handled),
    /// A refusal or a failure; nothing remains of the import.
    Not(Handled),
}

fn load(sql: &impl Sql, company: &CompanyId) -> Result<Option<(State, Progress)>, Failure> {
    let Some(row) = sql.execute("SELECT state, progress FROM imports WHERE company = ?1", &[company.into()])?.pop() else {
        return Ok(None);
    };
    let mut columns = Columns::of(row);
    let (state, progress) = (columns.text()?, columns.text()?);
    let state = [State::Open, State::Erasing, State::Done].into_iter().find(|known| known.name() == state);
    let state = state.ok_or_else(|| SqlError("an import has no known state".into()))?;
    Ok(Some((state, serde_json::from_str(&progress)?)))
}

fn store(sql: &impl Sql, now: Millis, company: &CompanyId, state: State, progress: &Progress) -> Result<(), Failure> {
    sql.execute(
        "INSERT INTO imports (company, state, touched_at, progress) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (company) DO UPDATE SET state = ?2, touched_at = ?3, progress = ?4",
        &[company.into(), state.name().into(), now.into(), serde_json::to_string(progress)?.into()],
    )?;
    Ok(())
}

/// Whether rows of the company are here that are not, or not yet, a company.
pub(in crate::shard) fn is_under_way(sql: &impl Sql, company: &CompanyId) -> Result<bool, SqlError> {
    Ok(!sql.execute("SELECT 1 FROM imports WHERE company = ?1 AND state <> 'done'", &[company.into()])?.is_empty())
}

/// Begins to remove what the import `id` has brought.
fn abandon(sql: &impl Sql, now: Millis, company: &CompanyId, id: &str) -> Result<(), Failure> {
    match load(sql, company)? {
        Some((State::Open, progress)) if progress.id == id => store(sql, now, company, State::Erasing, &progress),
        _ => Ok(()),
    }
}

/// Removes the next handful of an import that was abandoned.
fn erase_handful(sql: &impl Sql, company: &CompanyId) -> Result<(), Failure> {
    // The rows of a company that is there are not what an import left behind.
    must_be_absent(sql, company)?;
    if !erase(sql, company, HANDFUL)? {
        sql.execute("DELETE FROM imports WHERE company = ?1", &[company.into()])?;
    }
    Ok(())
}

/// Takes what is left of earlier imports further: one handful, of one of them.
pub(in crate::shard) fn advance(sql: &impl Sql, now: Millis) -> Result<(), Failure> {
    let abandoned = "UPDATE imports SET state = 'erasing' WHERE state = 'open' AND touched_at <= ?1";
    sql.execute(abandoned, &[now.minus(ABANDONED).into()])?;
    sql.execute("DELETE FROM imports WHERE state = 'done' AND touched_at <= ?1", &[now.minus(KNOWN).into()])?;
    let Some(row) = sql.execute("SELECT company FROM imports WHERE state = 'erasing' LIMIT 1", &[])?.pop() else { return Ok(()) };
    erase_handful(sql, &Columns::of(row).parsed()?)
}

/// When [`advance`] has something to do.
pub(in crate::shard) fn next_due(sql: &impl Sql, now: Millis) -> Result<Option<Millis>, SqlError> {
    let mut next: Option<Millis> = None;
    for state in [State::Open, State::Erasing, State::Done] {
        let row = sql.execute("SELECT MIN(touched_at) FROM imports WHERE state = ?1", &[state.name().into()])?.pop();
        let Some(touched_at) = row.map(|row| Columns::of(row).optional_time()).transpose()?.flatten() else { continue };
        let due = match state {
            State::Open => touched_at.plus(ABANDONED),
            State::Erasing => now,
            State::Done => touched_at.plus(KNOWN),
        };
        next = Some(next.map_or(due, |next| next.min(due)));
    }
    Ok(next)
}

impl<S: Sql> Shard<S> {
    /// Takes a part of `POST /v1/companies/{company}/import`, and what the log should hear of.
    pub fn import(&self, now: Millis, random: Random<'_>, part: &ImportPart) -> (Taken, Option<String>) {
        let taken = self.with_turn(now, random, &part.call, None, |turn| {
            let taken = self.sql.transaction(|| {
                turn.permitted()?;
                turn.take(part)
            });
            if let Err(failure @ Failure::Refused(_)) = &taken {
                self.sql.transaction(|| {
                    abandon(&self.sql, now, &turn.company, &part.id)?;
                    turn.record_refusal(failure)
                })?;
            }
            taken
        });
        match taken {
            Ok(taken) => (taken, None),
            Err(failure) => {
                let handled = Self::failed(&failure, &part.call);
                let log = handled.log.clone();
                (Taken::Not(handled), log)
            }
        }
    }
}

/// The failure, which says in which line it lies.
fn in_line(number: u64, failure: Failure) -> Failure {
    let Failure::Refused(Refused(mut problem)) = failure else { return failure };
    problem.detail = format!("line {number}: {}", problem.detail);
    for error in &mut problem.errors {
        error.field = format!("line {number}: {}", error.field);
    }
    Failure::Refused(Refused(problem))
}

fn bad_line(detail: &str) -> Failure {
    Failure::refused(Code::Unprocessable, detail)
}

/// A line's members, and what kind of line it calls itself.
fn read_line(line: &str) -> Result<(String, Map<String, Value>), Failure> {
    let members = json::object(line)?;
    let kind = members.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((kind, members))
}

/// The last line: it counts the others, and holds the hash of all lines before it.
fn check_last(progress: &Progress, line: &str, seal: &str) -> Result<(), Failure> {
    let (kind, members) = read_line(line)?;
    if kind != "end" || progress.company.is_none() {
        return Err(bad_line("the last line is missing: the file is not whole"));
    }
    let mut expected = counted(&progress.counts);
    expected.insert("kind".into(), "end".into());
    expected.insert("sha256".into(), seal.into());
    if members == expected {
        return Ok(());
    }
    let names = |members: &Map<String, Value>| members.keys().cloned().collect::<BTreeSet<_>>();
    let wrong = if names(&members) == names(&expected) && members.get("sha256") == expected.get("sha256") {
        "it does not count the lines as they are"
    } else {
        "its hash is not that of the lines before it: the file was changed"
    };
    Err(bad_line(wrong))
}

impl<S: Sql> Turn<'_, S> {
    fn take(&mut self, part: &ImportPart) -> Result<Taken, Failure> {
        Query::read(&self.call.query, &[])?;
        let known = load(self.sql, &self.company)?;
        let (number, text, seal) = match &part.step {
            ImportStep::Lines { number, text, seal } => (number, text, seal),
            ImportStep::Abandon { because: Some(detail) } => return Err(bad_line(detail)),
            ImportStep::Abandon { because: None } => {
                abandon(self.sql, self.now, &self.company, &part.id)?;
                return Ok(Taken::Further);
            }
        };
        match known {
            Some((State::Done, progress)) => self.once_more(&progress, *number, text, seal.as_deref()),
            Some((State::Open, progress)) if progress.id == part.id => {
                if *number < progress.parts {
                    return Ok(Taken::Further); // its answer was lost
                }
                if *number > progress.parts {
                    return Err(Failure::refused(Code::Conflict, "a part of the file is missing"));
                }
                self.take_lines(progress, text, seal.as_deref())
            }
            Some((State::Open, progress)) if *number == 0 => {
                store(self.sql, self.now, &self.company, State::Erasing, &progress)?;
                erase_handful(self.sql, &self.company)?;
                Ok(Taken::Again)
            }
            Some((State::Erasing, _)) if *number == 0 => {
                erase_handful(self.sql, &self.company)?;
                Ok(Taken::Again)
            }
            None if *number == 0 => {
                must_be_absent(self.sql, &self.company)?;
                let progress = self.begin(&part.id, text)?;
                self.take_lines(progress, text, seal.as_deref())
            }
            _ => Err(Failure::refused(Code::Conflict, "this import was abandoned, or another one has taken its place")),
        }
    }

    /// The same file after it was restored changes nothing; another one is refused.
    fn once_more(&self, progress: &Progress, number: u64, text: &str, seal: Option<&str>) -> Result<Taken, Failure> {
        let same = number > 0 || text.lines().next() == Some(&progress.first);
        match seal {
            None if same => Ok(Taken::Further),
            Some(_) if same && progress.sha256.as_deref() == seal => Ok(Taken::Done(self.restored(progress)?)),
            _ => {
                must_be_absent(self.sql, &self.company)?;
                Err(Failure::refused(Code::Conflict, "another backup was restored a moment ago"))
            }
        }
    }

    fn begin(&self, id: &str, text: &str) -> Result<Progress, Failure> {
        let first = text.lines().next().unwrap_or_default();
        let header = read_line(first).and_then(|(kind, members)| match kind.as_str() {
            "header" => self.header_line(members),
            _ => Err(bad_line("the header is missing")),
        });
        Ok(Progress {
            id: id.to_owned(),
            first: first.to_owned(),
            header: header.map_err(|failure| in_line(1, failure))?,
            company: None,
            parts: 0,
            lines: 0,
            kind: 0,
            counts: vec![0; KINDS.len()],
            trail: 0,
            hash: "0".repeat(64),
            sha256: None,
        })
    }

    fn take_lines(&mut self, mut progress: Progress, text: &str, seal: Option<&str>) -> Result<Taken, Failure> {
        let last = text.lines().count();
        for (at, line) in text.lines().enumerate() {
            let number = progress.lines + 1;
            let ends = seal.filter(|_| at + 1 == last);
            let taken = match (number, ends) {
                (1, None) => Ok(()), // the header, which was read at the beginning
                (1, Some(_)) => Err(bad_line("the last line is missing")),
                (_, Some(seal)) => check_last(&progress, line, seal),
                (_, None) => self.take_line(&mut progress, line),
            };
            taken.map_err(|failure| in_line(number, failure))?;
            progress.lines = number;
        }
        progress.parts += 1;
        let Some(seal) = seal else {
            store(self.sql, self.now, &self.company, State::Open, &progress)?;
            return Ok(Taken::Further);
        };
        if last == 0 {
            return Err(in_line(progress.lines + 1, bad_line("the last line is missing")));
        }
        progress.sha256 = Some(seal.to_owned());
        self.activate(&progress)?;
        store(self.sql, self.now, &self.company, State::Done, &progress)?;
        Ok(Taken::Done(self.restored(&progress)?))
    }

    fn take_line(&mut self, progress: &mut Progress, line: &str) -> Result<(), Failure> {
        let (name, members) = read_line(line)?;
        if progress.company.is_none() {
            if name != "company" {
                return Err(bad_line("the company must stand in the second line"));
            }
            progress.company = Some(self.company_line(members)?);
            return Ok(());
        }
        let place = KINDS.iter().position(|kind| kind.name == name);
        let Some((place, kind)) = place.and_then(|place| Some((place, KINDS.get(place)?))) else {
            return Err(bad_line("there is no such kind of line, or it does not stand here"));
        };
        if place < progress.kind {
            return Err(bad_line("the kinds of lines are not in their order"));
        }
        progress.kind = place;
        let known: Vec<&str> = core::iter::once("kind").chain(kind.columns.iter().map(|(name, _)| *name)).collect();
        let mut fields = Fields::of(members, &known)?;
        let header = progress.header.clone();
        let values = match kind.name {
            "owner" => self.owner_line(&mut fields, &header)?,
            "key" => self.key_line(&mut fields, &header)?,
            "use" => self.use_line(&mut fields)?,
            "bucket" => self.bucket_line(&mut fields)?,
            "webhook" => self.webhook_line(&mut fields)?,
            "audit" => self.audit_line(&mut fields, progress)?,
            _ => return Err(bad_line("this kind of line cannot be restored")),
        };
        if let (Some(id), "key") = (values.first(), kind.name) {
            // A row of use from the beginning, as every key has.
            let statement = "INSERT OR IGNORE INTO key_usage (company, key_id, last_used_at) VALUES (?1, ?2, ?3)";
            self.sql.execute(statement, &[(&self.company).into(), id.clone(), rows::NEVER.into()])?;
        }
        self.put_row(kind, values)?;
        if let Some(count) = progress.counts.get_mut(place) {
            *count += 1;
        }
        Ok(())
    }

    fn put_row(&self, kind: &Kind, values: Values) -> Result<(), Failure> {
        let columns: Vec<&str> = core::iter::once("company").chain(kind.stored()).collect();
        let marks: Vec<_> = (1..=columns.len()).map(|number| format!("?{number}")).collect();
        let parameters: Vec<SqlValue> = core::iter::once((&self.company).into()).chain(values).collect();
        // An edge may report the use of a key meanwhile.
        let verb = if matches!(kind.name, "use" | "bucket") { "INSERT OR REPLACE" } else { "INSERT" };
        self.sql.execute(&format!("{verb} INTO {} ({}) VALUES ({})", kind.table, columns.join(", "), marks.join(", ")), &parameters)?;
        Ok(())
    }

    /// From this turn on the company is there. What edges may know of it, from whatever time, is contradicted: its revision
    /// is above every one that was given before the export, also where this machine's clock is slower.
    fn activate(&self, progress: &Progress) -> Result<(), Failure> {
        let Some(company) = &progress.company else { return Err(bad_line("there is no company")) };
        let margin = self.now.plus(self.settings.common.timing.as_of_margin).0;
        let rev = margin.max(current_rev(self.sql)? + 1).max(progress.header.rev + 1);
        numbers::set(self.sql, numbers::REV, rev)?;
        numbers::raise(self.sql, numbers::PLACE, progress.header.rev)?;
        reclaim::begin(self.sql)?;
        self.sql.execute(
            "INSERT INTO companies (company, name, active, max_key_lifetime_days, created_at, rev, changed_at, announced_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)",
            &[
                (&self.company).into(),
                (&company.name).into(),
                company.active.into(),
                company.max_key_lifetime_days.into(),
                company.created_at.into(),
                rev.into(),
                self.now.into(),
            ],
        )?;
        if progress.trail > 0 {
            audit::continue_from(self.sql, &self.company, progress.trail, &progress.hash)?;
        }
        publish::sweep(self.sql, &self.company, "", rev)?;
        outbox::add_change(self.sql, self.now, outbox::Kind::Company, &self.company, "", rev)?;
        let row = rows::company(self.sql, &self.company)?.ok_or_else(|| Failure::not_found("company"))?;
        companies::register(self.sql, self.now, self.shard, &self.company, rev, Some(companies::view(&row)))?;
        watches::reconcile(self.sql, &self.company, self.now)?;
        let after = json!({ "exported_at": progress.header.exported_at, "restored": counted(&progress.counts) });
        self.record(self.company.as_str(), Value::Null, after)
    }

    /// 201: what is back.
    fn restored(&self, progress: &Progress) -> Result<Handled, Failure> {
        let row = rows::company(self.sql, &self.company)?.ok_or_else(|| Failure::not_found("company"))?;
        let mut body = companies::view(&row);
        body["restored"] = counted(&progress.counts).into();
        body["propagation"] = view::stages(row.changed.at, row.changed.announced_at, &self.settings.common.timing);
        let mut handled = Handled::created(body, self.call.path.trim_end_matches("/import").to_owned());
        handled.restored = Some(self.company.clone());
        Ok(handled)
    }
}
