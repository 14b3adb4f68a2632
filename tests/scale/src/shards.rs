//! A shard's database in a file, and the state machine over it as the objects run it: made by the runtime, filled here.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use keyward_control::{
    call::{Announced, ApiCall, Caller, Credential},
    settings::ControlSettings,
    shard::{Shard, answer::Handled, outbox::Delivery},
    sql::{Row, Sql, SqlError, Value, native::NativeSql},
};
use keyward_shared::{
    ids::{CompanyId, OwnerId},
    permission::PermissionSet,
    shard::Shard as ShardName,
    time::Millis,
};
use serde_json::json;

/// Companies of the operator's shard are called `acme-` and one of these numbers, which were found by trying.
pub(crate) const COMPANIES: [u32; 40] = [
    6_263_687,
    64_241_536,
    71_369_215,
    87_785_867,
    111_843_305,
    149_490_050,
    152_932_723,
    205_521_867,
    205_570_417,
    216_898_018,
    249_714_199,
    250_794_400,
    253_061_420,
    258_677_744,
    295_293_768,
    306_231_055,
    351_593_766,
    355_808_202,
    356_117_994,
    370_322_226,
    388_656_886,
    401_361_451,
    409_089_372,
    410_247_772,
    426_228_726,
    436_304_695,
    441_958_751,
    469_481_242,
    478_532_048,
    495_320_918,
    500_637_356,
    504_774_236,
    528_596_550,
    531_897_530,
    538_852_950,
    568_411_592,
    580_736_135,
    593_725_696,
    606_905_079,
    612_109_295,
];
/// Owners of a company who have keys.
const OWNERS: usize = 100;
/// The owner of a tenth of the company's keys.
pub(crate) const MANY: &str = "owner-0";
/// Another one, who may only see their own.
pub(crate) const ONE: &str = "owner-1";
/// Who administers the company.
pub(crate) const ADMIN: &str = "admin";

/// How many keys there are, in how many companies of the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) keys: usize,
    pub(crate) companies: usize,
}

impl Size {
    /// As people write it.
    pub(crate) fn title(self) -> String {
        let keys = match self.keys {
            keys if keys % 1_000_000 == 0 => format!("{} million", keys / 1_000_000),
            keys if keys % 1_000 == 0 => format!("{} thousand", keys / 1_000),
            keys => keys.to_string(),
        };
        if self.companies == 1 { keys } else { format!("{keys} in {} companies", self.companies) }
    }
}

/// Measures how long statements take.
#[derive(Debug)]
pub(crate) struct TimedSql {
    pub(crate) sql: NativeSql,
    taken: Cell<Duration>,
    statements: Cell<u64>,
}

/// What was taken so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) sql: Duration,
    pub(crate) statements: u64,
    pub(crate) steps: u64,
    pub(crate) changes: u64,
}

impl Sql for TimedSql {
    fn execute(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Row>, SqlError> {
        let begun = Instant::now();
        let rows = self.sql.execute(statement, parameters);
        self.taken.set(self.taken.get() + begun.elapsed());
        self.statements.set(self.statements.get() + 1);
        rows
    }

    fn transaction<T, E: From<SqlError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.sql.transaction(body)
    }
}

impl TimedSql {
    /// What all statements took, those that begin and end transactions left out.
    pub(crate) fn taken(&self) -> Result<Taken> {
        let (sql, statements, steps) = (self.taken.get(), self.statements.get(), self.sql.steps());
        let changes = number(&self.sql, "SELECT total_changes()")?;
        Ok(Taken { sql, statements, steps, changes })
    }
}

/// The shard, and where its data lies.
pub(crate) struct Store {
    pub(crate) size: Size,
    pub(crate) shard: Shard<TimedSql>,
    pub(crate) now: Cell<u64>,
    random: Cell<u64>,
}

/// The companies that hold the keys.
pub(crate) fn companies(size: Size) -> Result<Vec<CompanyId>> {
    let id = |number: &u32| CompanyId::new(&format!("acme-{number}")).map_err(|error| anyhow!("{error}"));
    COMPANIES.iter().take(size.companies).map(id).collect()
}

impl Store {
    /// Opens the shard in `file`, which no other program has open.
    pub(crate) fn open(file: &Path, size: Size, settings: ControlSettings, name: ShardName, now: u64) -> Result<Self> {
        let sql = TimedSql { sql: NativeSql::open(file)?, taken: Cell::default(), statements: Cell::default() };
        sql.sql.execute("PRAGMA journal_mode = WAL", &[])?;
        let shard = Shard::new(sql, settings, name)?;
        Ok(Self { size, shard, now: Cell::new(now), random: Cell::new(fastrand::u64(..)) })
    }

    pub(crate) fn at(&self) -> Millis {
        Millis(self.now.get())
    }

    pub(crate) fn sql(&self) -> &NativeSql {
        &self.shard.sql().sql
    }

    pub(crate) fn number(&self, statement: &str) -> Result<u64> {
        number(self.sql(), statement)
    }

    /// When keys expire that are made now: in 90 days.
    pub(crate) fn expiry(&self) -> Result<String> {
        let at = jiff::Timestamp::from_millisecond(i64::try_from(self.now.get())? + 7_776_000_000)?;
        Ok(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
    }

    /// One call of the API, a millisecond after the one before.
    pub(crate) fn call(&self, call: &ApiCall) -> Handled {
        self.now.set(self.now.get() + 1);
        let mut draw = fastrand::Rng::with_seed(self.random.get());
        self.random.set(draw.u64(..));
        self.shard.handle(self.at(), &mut |buffer| draw.fill(buffer), call)
    }

    /// The same, which must succeed.
    pub(crate) fn done(&self, call: &ApiCall) -> Result<Handled> {
        let handled = self.call(call);
        if handled.status < 300 {
            return Ok(handled);
        }
        bail!("{} {}: {} {:?}", call.method, call.path, handled.status, handled.body)
    }

    /// Fills the shard with its keys: people and the first key of each company through the state machine, all other keys as rows like
    /// that one's, with digests, ids and times of their own, in the order of life; every other one was used once. All keys expire, so
    /// that each is in the indexes by expiry too. What is then to be announced and published counts as done.
    /// The keys of the first company that are left to be used: `admin`'s and `ONE`'s managers.
    pub(crate) fn fill(&self) -> Result<Managers> {
        for pragma in ["PRAGMA synchronous = OFF", "PRAGMA cache_size = -1000000", "PRAGMA wal_autocheckpoint = 100000"] {
            self.sql().execute(pragma, &[])?;
        }
        let companies = companies(self.size)?;
        let per_company = self.size.keys / companies.len();
        for (number, company) in companies.iter().enumerate() {
            self.people(company)?;
            let first = json!({"name": "Nightly export of the first", "expires_at": self.expiry()?}).to_string();
            self.done(&call(&own(company, MANY)?, "POST", "/v1/keys", &first))?;
            self.settle()?;
            self.more_keys(company, number, companies.len(), per_company)?;
            eprintln!("{:>12} {} keys of {company}", "Keyward", per_company);
        }
        let first = companies.first().context("no company")?;
        let manager = |owner: &str| -> Result<Manager> {
            let body = json!({"name": "Manager", "manages_keys": true}).to_string();
            let made = self.done(&call(&own(first, owner)?, "POST", "/v1/keys", &body))?;
            let key = made.body.as_ref().and_then(|body| body["key"].as_str()).context("no key")?.to_owned();
            Ok(Manager { key })
        };
        let managers = Managers { admin: manager(ADMIN)?, one: manager(ONE)? };
        self.settle()?;
        self.sql().execute("PRAGMA wal_checkpoint(TRUNCATE)", &[])?;
        self.sql().execute("PRAGMA cache_size = -2000", &[])?;
        self.sql().execute("PRAGMA synchronous = NORMAL", &[])?;
        self.sql().execute("PRAGMA wal_autocheckpoint = 1000", &[])?;
        Ok(managers)
    }

    /// `count` keys of a company that has one, with the entries of their creation; those of all companies are made in turn.
    fn more_keys(&self, company: &CompanyId, number: usize, companies: usize, count: usize) -> Result<()> {
        let sql = self.sql();
        let (base, step, number) = (self.number("SELECT value FROM numbers WHERE name = 'rev'")? + 1_000, companies as u64, number as u64);
        let parameters: [Value; 5] = [company.into(), base.into(), step.into(), number.into(), (count as u64).into()];
        let make = || -> Result<(), SqlError> {
            sql.execute(
                "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?5), \
                 one (i, owner, place) AS (SELECT i, CASE i % 10 WHEN 0 THEN 'owner-0' WHEN 1 THEN 'owner-1' ELSE 'owner-' || (2 + i % 98) END, \
                 ?2 + i * ?3 + ?4 FROM n) \
                 INSERT INTO keys (company, key_id, digest, owner, name, hint, place, created_at, created_by, expires_at, networks, metadata, \
                 manages_keys, bootstrap, rev, changed_at, announced_at) \
                 SELECT ?1, 'key_' || hex(randomblob(10)), lower(hex(randomblob(32))), owner, 'Nightly export of ' || i, \
                 'kw_live_…' || substr(hex(randomblob(2)), 1, 4), place, place - 7200000, owner, place + 7776000000, '[]', '{}', 0, 0, place, \
                 place - 7200000, place - 7200000 FROM one",
                &parameters,
            )?;
            sql.execute(
                "INSERT INTO key_usage (company, key_id, last_used_at) SELECT company, key_id, \
                 CASE (place - ?2 - ?4) / ?3 % 2 WHEN 0 THEN created_at ELSE 0 END FROM keys WHERE company = ?1 AND place >= ?2",
                &parameters[..4],
            )?;
            sql.execute(
                "INSERT INTO puts (digest, put_at) SELECT digest, changed_at + 90000 FROM keys WHERE company = ?1 AND place >= ?2",
                &parameters[..2],
            )?;
            sql.execute(
                "INSERT INTO audit (company, sequence, at, actor, action, target, entry, hash) \
                 SELECT k.company, (SELECT sequence FROM audit_heads WHERE company = ?1) + 1 + (k.place - ?2 - ?4) / ?3, k.created_at, k.owner, 'key.create', k.key_id, \
                 replace(replace(t.entry, t.target, k.key_id), substr(t.entry, -66, 64), lower(hex(randomblob(32)))), lower(hex(randomblob(32))) \
                 FROM keys k, (SELECT entry, target FROM audit WHERE company = ?1 AND action = 'key.create' LIMIT 1) t \
                 WHERE k.company = ?1 AND k.place >= ?2 ORDER BY k.place",
                &parameters[..4],
            )?;
            sql.execute(
                "UPDATE audit_heads SET (sequence, hash) = (SELECT sequence, hash FROM audit WHERE company = ?1 ORDER BY sequence DESC LIMIT 1) \
                 WHERE company = ?1",
                &parameters[..1],
            )?;
            sql.execute("UPDATE numbers SET value = (SELECT MAX(place) FROM keys) WHERE name IN ('rev', 'place')", &[]).map(|_| ())
        };
        sql.transaction(make)?;
        Ok(())
    }

    fn people(&self, company: &CompanyId) -> Result<()> {
        let operator = Credential::Vouched(self.operator()?);
        let put = |path: &str, body: serde_json::Value| {
            let call = ApiCall { company: Some(company.clone()), ..call(&operator, "PUT", path, &body.to_string()) };
            self.done(&call).map(|_| ())
        };
        put(&format!("/v1/companies/{company}"), json!({"name": company}))?;
        let one = |n: usize| json!({"owner": format!("owner-{n}"), "name": format!("Owner {n}"), "permissions": ["orders.*", "keyward.keys.own"]});
        let mut owners: Vec<_> = (0..OWNERS).map(one).collect();
        owners.push(json!({"owner": ADMIN, "name": "Administrator", "permissions": ["*", "keyward.*"]}));
        put("/v1/owners", json!({ "owners": owners }))
    }

    /// Whoever may do everything, from the operator's company.
    fn operator(&self) -> Result<Caller> {
        let company = self.shard.settings().common.operator_company.clone();
        let permissions = PermissionSet::parse(["*", "keyward.*", "keyward.operator"]).map_err(|error| anyhow!("{error}"))?;
        Ok(Caller { company, owner: OwnerId::new(ADMIN).map_err(|error| anyhow!("{error}"))?, key: None, token: false, permissions })
    }

    pub(crate) fn operators(&self, company: &CompanyId, method: &str, path: &str, body: &str) -> Result<ApiCall> {
        Ok(ApiCall { company: Some(company.clone()), ..call(&Credential::Vouched(self.operator()?), method, path, body) })
    }

    /// Everything counts as announced and put, the second time too.
    pub(crate) fn settle(&self) -> Result<()> {
        let sql = self.sql();
        self.announce()?;
        sql.transaction(|| {
            sql.execute("INSERT OR REPLACE INTO puts (digest, put_at) SELECT digest, ?1 FROM dirty", &[self.at().into()])?;
            sql.execute("DELETE FROM dirty", &[])
        })
        .map(|_| ())
        .map_err(|error: SqlError| error.into())
    }

    pub(crate) fn announce(&self) -> Result<()> {
        for delivery in self.shard.deliveries(self.at())? {
            match delivery {
                Delivery::Announce(ids, _) => self.shard.announced(&ids, Announced { announced_at: self.at(), stamp: self.at() })?,
                Delivery::Register(id, _) | Delivery::Note(id, _) | Delivery::RestorePolicy(id, _) | Delivery::Claim(id, _) => {
                    self.shard.delivered(id)?;
                }
            }
        }
        Ok(())
    }
}

/// A key that manages keys.
#[derive(Clone, Debug)]
pub(crate) struct Manager {
    pub(crate) key: String,
}

/// Those of the first company.
#[derive(Clone, Debug)]
pub(crate) struct Managers {
    /// Of its administrator.
    pub(crate) admin: Manager,
    /// Of somebody who may only see their own.
    pub(crate) one: Manager,
}

/// An owner of the company who is signed in.
pub(crate) fn own(company: &CompanyId, owner: &str) -> Result<Credential> {
    let permissions = PermissionSet::parse(["*", "keyward.*"]).map_err(|error| anyhow!("{error}"))?;
    let owner = OwnerId::new(owner).map_err(|error| anyhow!("{error}"))?;
    Ok(Credential::Vouched(Caller { company: company.clone(), owner, key: None, token: false, permissions }))
}

/// A call of the API.
pub(crate) fn call(credential: &Credential, method: &str, target: &str, body: &str) -> ApiCall {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    ApiCall {
        method: method.into(),
        path: path.into(),
        query: query.into(),
        body: body.into(),
        idempotency_key: None,
        if_match: None,
        request_id: "01900000-0000-7000-8000-000000000000".into(),
        address: Some([192, 0, 2, 7].into()),
        credential: credential.clone(),
        company: None,
        policy: None,
        origin: "https://control.example".into(),
    }
}

pub(crate) fn number(sql: &NativeSql, statement: &str) -> Result<u64> {
    let rows = sql.execute(statement, &[])?;
    Ok(rows.first().and_then(|row| row.first()).map_or(0, Value::number))
}

/// The file in which the runtime keeps the shard with the operator's company.
pub(crate) fn object_file(objects: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for class in fs::read_dir(objects).with_context(|| format!("cannot read {}", objects.display()))? {
        let class = class?.path();
        if !class.is_dir() {
            continue;
        }
        for file in fs::read_dir(class)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "sqlite") {
                let sql = NativeSql::open(&file)?;
                if number(&sql, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'departures'")? > 0 {
                    found.push(file);
                }
            }
        }
    }
    match found.as_slice() {
        [file] => Ok(file.clone()),
        _ => bail!("{} shards in {}", found.len(), objects.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_companies_are_of_the_operators_shard() {
        let shard = |id: &str| ShardName::of(&CompanyId::new(id).unwrap());
        assert!(COMPANIES.iter().all(|number| shard(&format!("acme-{number}")) == shard("demo")));
    }

    fn settings() -> ControlSettings {
        let hex = "ab".repeat(32);
        let secrets = ["TAG_SECRETS", "RECORD_SECRETS", "SESSION_SECRETS"];
        let find = |name: &str| match name {
            "OPERATOR_COMPANY" => Some("demo".to_owned()),
            "BOOTSTRAP_DIGEST" => Some(hex.clone()),
            _ => secrets.contains(&name).then(|| hex.clone()),
        };
        ControlSettings::read(&find).unwrap()
    }

    #[test]
    fn keys_are_prepared_as_the_state_machine_makes_them() {
        let folder = std::env::temp_dir().join(format!("keyward-scale-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let name = ShardName::of(&CompanyId::new("demo").unwrap());
        let store =
            Store::open(&folder.join("shard.sqlite"), Size { keys: 100, companies: 2 }, settings(), name, 1_790_000_000_000).unwrap();
        store.fill().unwrap();

        let made = "SELECT key_id FROM keys WHERE name = 'Nightly export of the first'";
        let prepared = "SELECT key_id FROM keys WHERE name GLOB 'Nightly export of [0-9]*'";
        for (table, of) in [("keys", "key_id"), ("key_usage", "key_id"), ("audit", "target"), ("puts", "digest")] {
            let columns = store.sql().execute("SELECT name FROM pragma_table_xinfo(?1)", &[table.into()]).unwrap();
            for column in columns.iter().map(|row| row[0].text()) {
                let kinds = |keys: &str| {
                    let keys = if of == "digest" { keys.replacen("key_id", "digest", 1) } else { keys.to_owned() };
                    // What is drawn, or counted in milliseconds, is as long for one key as for another.
                    let length = if ["key_id", "digest", "hint", "place", "target", "hash", "put_at"].contains(&column) {
                        format!("length({column})")
                    } else {
                        "0".into()
                    };
                    let statement = format!("SELECT DISTINCT typeof({column}) || {length} FROM {table} WHERE {of} IN ({keys}) ORDER BY 1");
                    store.sql().execute(&statement, &[]).unwrap()
                };
                assert_eq!(kinds(made), kinds(prepared), "{table}.{column}");
            }
            let count = |keys: &str| {
                let keys = if of == "digest" { keys.replacen("key_id", "digest", 1) } else { keys.to_owned() };
                store.number(&format!("SELECT COUNT(*) FROM {table} WHERE {of} IN ({keys})")).unwrap()
            };
            assert_eq!((count(made), count(prepared)), (2, 100), "{table}");
        }
        let used = "SELECT COUNT(*) FROM key_usage u JOIN companies c ON c.company = u.company WHERE last_used_at > 0 GROUP BY c.company";
        assert_eq!(store.sql().execute(used, &[]).unwrap().iter().map(|row| row[0].number()).collect::<Vec<_>>(), [25, 25]);
        let last = "SELECT MAX(place) FROM keys";
        assert_eq!(store.number("SELECT value FROM numbers WHERE name = 'place'").unwrap(), store.number(last).unwrap());
        drop(store);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn sizes_have_titles() {
        let title = |keys, companies| Size { keys, companies }.title();
        assert_eq!([title(1_000, 1), title(1_000_000, 1), title(50, 1)], ["1 thousand", "1 million", "50"]);
        assert_eq!(title(1_000_000, 40), "1 million in 40 companies");
    }
}
