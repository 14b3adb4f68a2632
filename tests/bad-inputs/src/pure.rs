//! The table against the edge's pure code: the same functions that the Worker calls, with a store and objects that are tables here.

use core::net::IpAddr;
use std::collections::BTreeMap;

use keyward_edge::{
    answer::Answer,
    credentials, forward_auth,
    gate::{self, Address, Facts, Outcome, Refused},
    introspect::{self, Finding},
    settings::ForwardAuth,
    verifier::{Attempt, Lookup, Progress, Read, Verifier},
};
use keyward_shared::{
    digest::Digest,
    ids::{CompanyId, KeyId, OwnerId},
    key::ParsedKey,
    permission::PermissionSet,
    policy::{self, Policy, StoredPolicy},
    problem::Code,
    record::{self, KeyState, Metadata, Record},
    secret::SecretList,
    settings::CommonSettings,
    shard::Shard,
    time::Millis,
};

use crate::{
    case::{Deployment, Door, Edge, Expected},
    words::{POLICY, PROXY_SECRET, Words, drawn},
};

const NOW: Millis = Millis(1_800_000_000_000);
const REQUEST: &str = "00000000-0000-4000-8000-000000000000";
/// The socket's address.
const PEER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::LOCALHOST);

/// A deployment in tables.
#[derive(Debug)]
pub struct World {
    deployment: Deployment,
    /// Its credentials.
    pub words: Words,
    settings: CommonSettings,
    records: BTreeMap<String, Record>,
}

/// What became of a request.
#[derive(Debug)]
pub struct Seen {
    /// Status 0 where it passed.
    pub status: u16,
    /// The code of a refusal, the owner it passes as, or what introspection told.
    pub what: String,
    /// The answer, where it is one of Keyward's own.
    pub answer: Option<Answer>,
    /// Reads about a key, of the store and of the objects.
    pub reads: usize,
}

fn record_of(company: &str, owner: &str, permissions: &[&str]) -> Record {
    let company = CompanyId::new(company).expect("an id");
    Record {
        v: record::VERSION,
        key_id: KeyId::new("key_0123456789abcdefghij").expect("an id"),
        owner: OwnerId::new(owner).expect("an id"),
        shard: Shard::of(&company),
        company,
        state: KeyState::Active,
        owner_active: true,
        company_active: true,
        expires_at: None,
        created_at: Millis(0),
        permissions: PermissionSet::parse(permissions.iter().copied()).expect("permissions"),
        networks: Vec::new(),
        rate_limit: None,
        metadata: Metadata::default(),
        rev: 100,
        as_of: NOW,
    }
}

/// What is true of each of [`crate::words::MADE`].
fn record_named(name: &str) -> Record {
    let jane = record_of("demo", "jane", &["orders.read"]);
    match name {
        "key" => jane,
        "other" => record_of("demo", "john", &["orders.read"]),
        "elsewhere" => {
            let networks = ["203.0.113.0/24", "2001:db8::/32"].map(|network| network.parse().expect("a network"));
            Record { networks: networks.to_vec(), ..jane }
        }
        "revoked" => Record { state: KeyState::Revoked, ..jane },
        "expired" | "overlapped" => Record { expires_at: Some(NOW), ..jane },
        "overlapping" => Record { expires_at: Some(NOW.plus(Millis(1))), ..jane },
        "owner-inactive" => Record { owner_active: false, ..record_of("demo", "idle", &["orders.read"]) },
        "company-inactive" => Record { company_active: false, ..record_of("closed", "carl", &["orders.read"]) },
        "withdrawn" => record_of("demo", "wilma", &["stock.read"]),
        "introspector" => record_of("demo", "verifier", &["keyward.introspect"]),
        other => panic!("no record is known of {other}"),
    }
}

impl World {
    /// A deployment as the cases want it.
    pub fn new(deployment: Deployment) -> Self {
        let (newer, older) = ("03".repeat(32), "04".repeat(32));
        let tag_secrets = match deployment {
            Deployment::Original => newer,
            Deployment::Forwarded => format!("{newer},{older}"),
        };
        let settings = CommonSettings::read(&|name: &str| match name {
            "OPERATOR_COMPANY" => Some("demo".to_owned()),
            "TAG_SECRETS" => Some(tag_secrets.clone()),
            "RECORD_SECRETS" => Some("05".repeat(32)),
            _ => None,
        })
        .expect("settings");
        let made: Vec<_> = crate::words::MADE
            .iter()
            .map(|(name, _)| {
                let record = record_named(name);
                (*name, drawn("kw_live", record.company.as_str(), &tag_secrets), record)
            })
            .collect();
        let records = made.iter().map(|(_, key, record)| (digest(key).to_hex(), record.clone())).collect();
        let words = Words::new(made.into_iter().map(|(name, key, _)| (name, key)), &tag_secrets);
        Self { deployment, words, settings, records }
    }

    /// A verifier that knows nothing yet.
    pub fn verifier(&self) -> Verifier {
        Verifier::new(self.settings.clone())
    }

    /// Tries a case, whose words are filled in, with headers read in `reading`.
    pub fn try_case(&self, case: &Edge, reading: Reading) -> Seen {
        let headers = Headers::new(&case.headers, reading);
        let mut driver = Driver { world: self, verifier: self.verifier(), reads: 0 };
        match case.door {
            Door::Gateway => {
                let path = case.target.split('?').next().unwrap_or_default();
                let preflight = headers.preflight(case.method);
                let facts = Facts {
                    method: case.method,
                    path,
                    sent: credentials::extract(headers.get("x-api-key"), headers.get("authorization")),
                    preflight,
                    address: Address::Asked(Some(PEER)),
                };
                driver.gate(&facts, true)
            }
            Door::ForwardAuth(family) => self.forward_auth(&mut driver, &headers, family),
            Door::Introspect => introspection(&mut driver, &headers, case),
        }
    }

    fn forward_auth(&self, driver: &mut Driver<'_>, headers: &Headers, family: &str) -> Seen {
        let configured = match self.deployment {
            Deployment::Original => ForwardAuth::Original,
            Deployment::Forwarded => ForwardAuth::Forwarded,
        };
        if forward_auth::family(family) != Some(configured) {
            return driver.refused(Code::NotFound, "");
        }
        let (method, uri) = forward_auth::header_names(configured);
        let route = match forward_auth::route(headers.get(method), headers.get(uri)) {
            Ok(route) => route,
            Err(detail) => return driver.refused(Code::InvalidRequest, detail),
        };
        let trusted = headers.get("x-keyward-proxy") == Some(PROXY_SECRET);
        let address = if trusted { forward_auth::client_address(headers.get("x-real-ip"), headers.get("x-forwarded-for")) } else { None };
        let facts = Facts {
            method: &route.method,
            path: &route.path,
            sent: credentials::extract(headers.get("x-api-key"), headers.get("authorization")),
            preflight: headers.preflight(&route.method),
            address: Address::Asked(address),
        };
        driver.gate(&facts, trusted)
    }

    fn answer(&self, read: Read) -> Lookup {
        let secrets = &self.settings.record_secrets;
        match read {
            Read::Record(shard, digest) => match self.records.get(&digest.to_hex()) {
                Some(record) if record.shard == shard => Lookup::Found(record.seal(secrets, &digest).expect("a record serializes")),
                _ => Lookup::Absent,
            },
            Read::Resolve(..) => Lookup::Found(r#""absent""#.to_owned()),
            Read::Policy | Read::PolicyDirect => Lookup::Found(sealed_policy(secrets)),
            // Nobody asks about imported keys where none are accepted.
            Read::Feed(_) | Read::FeedDirect(_) | Read::ImportedRecord(_) | Read::ImportedShard(_) | Read::ResolveImported(..) => {
                Lookup::Unavailable
            }
        }
    }
}

fn sealed_policy(secrets: &SecretList) -> String {
    let rules: Policy = keyward_shared::json::from_str(POLICY).expect("a policy");
    assert!(rules.problems().is_empty());
    StoredPolicy { v: policy::VERSION, rev: 1, as_of: NOW, policy: rules }.seal(secrets).expect("a policy serializes")
}

fn digest(key: &str) -> Digest {
    ParsedKey::parse(key.as_bytes()).expect("a key").digest()
}

/// How a header's bytes become text. The runtime's reading must make no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Each byte is a character.
    Latin1,
    /// UTF-8, with a replacement for what is none.
    Utf8,
}

/// Headers as the Fetch standard presents them: repeated ones joined with a comma and a space, white space around a value removed.
#[derive(Debug)]
struct Headers(BTreeMap<String, String>);

impl Headers {
    fn new(sent: &[(String, Vec<u8>)], reading: Reading) -> Self {
        let mut joined = BTreeMap::<String, String>::new();
        for (name, value) in sent {
            let text: String = match reading {
                Reading::Latin1 => value.iter().copied().map(char::from).collect(),
                Reading::Utf8 => String::from_utf8_lossy(value).into_owned(),
            };
            let text = text.trim_matches([' ', '\t', '\r', '\n']);
            joined
                .entry(name.to_ascii_lowercase())
                .and_modify(|value| *value = format!("{value}, {text}"))
                .or_insert_with(|| text.to_owned());
        }
        Self(joined)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What a CORS preflight with `method` announces.
    fn preflight(&self, method: &str) -> Option<&str> {
        self.get("access-control-request-method").filter(|_| method == "OPTIONS" && self.get("origin").is_some())
    }
}

/// Drives the verifier and counts what it asks about keys.
struct Driver<'w> {
    world: &'w World,
    verifier: Verifier,
    reads: usize,
}

impl Driver<'_> {
    fn drive<T>(&mut self, mut step: impl FnMut(&mut Verifier, &mut Attempt) -> Progress<T>) -> T {
        let mut attempt = Attempt::default();
        for _ in 0..10 {
            match step(&mut self.verifier, &mut attempt) {
                Progress::Done(done) => return done,
                Progress::Need(read) => {
                    self.reads += usize::from(matches!(read, Read::Record(..) | Read::Resolve(..)));
                    self.verifier.provide(read, self.world.answer(read), NOW, &mut attempt);
                }
            }
        }
        panic!("a request must come to an end")
    }

    /// `told`: whether who asks is told the identity.
    fn gate(&mut self, facts: &Facts<'_>, told: bool) -> Seen {
        let outcome = self.drive(|verifier, attempt| gate::evaluate(verifier, facts, NOW, attempt));
        match outcome {
            Outcome::Pass(held) => self.passed(if told { held.record.owner.as_str() } else { "" }),
            Outcome::PassAnonymous | Outcome::PassBearer => self.passed(""),
            Outcome::Refuse(refused) => self.answered(&refused),
            Outcome::NeedAddress => panic!("the address was given"),
        }
    }

    fn passed(&self, owner: &str) -> Seen {
        Seen { status: 0, what: owner.to_owned(), answer: None, reads: self.reads }
    }

    fn answered(&self, refused: &Refused) -> Seen {
        let answer = Answer::refusal(refused, REQUEST);
        Seen { status: answer.status, what: refused.code.as_str().to_owned(), answer: Some(answer), reads: self.reads }
    }

    fn refused(&self, code: Code, detail: &str) -> Seen {
        let answer = Answer::problem(code, detail, REQUEST);
        Seen { status: answer.status, what: code.as_str().to_owned(), answer: Some(answer), reads: self.reads }
    }
}

fn introspection(driver: &mut Driver<'_>, headers: &Headers, case: &Edge) -> Seen {
    let caller = match credentials::extract(headers.get("x-api-key"), headers.get("authorization")) {
        credentials::Sent::Nothing => return driver.refused(Code::MissingCredentials, ""),
        credentials::Sent::Ambiguous => return driver.refused(Code::AmbiguousCredentials, ""),
        credentials::Sent::One(text, _) => introspect::Question::about(text),
    };
    match driver.drive(|verifier, attempt| introspect::judge(verifier, &caller, NOW, attempt)) {
        Finding::Active(_) => {}
        Finding::Inactive(code) => return driver.refused(code, ""),
        Finding::Unavailable => return driver.refused(Code::VerifierUnavailable, ""),
    }
    let body = case.body.as_deref().unwrap_or_default();
    let questions = match introspect::read(headers.get("content-type").unwrap_or_default(), body) {
        Ok(questions) => questions,
        Err((code, detail)) => return driver.refused(code, &detail),
    };
    let question = questions.list.first().expect("a question");
    let what = match driver.drive(|verifier, attempt| introspect::judge(verifier, question, NOW, attempt)) {
        Finding::Active(_) => "active",
        Finding::Inactive(code) => code.as_str(),
        Finding::Unavailable => return driver.refused(Code::VerifierUnavailable, ""),
    };
    Seen { status: 200, what: what.to_owned(), answer: None, reads: driver.reads }
}

impl Seen {
    /// What is wrong with it; empty where it is as expected.
    pub fn wrong(&self, case: &Edge) -> Option<String> {
        let (status, what) = match &case.expected {
            Expected::Refused(status, code) => (*status, *code),
            Expected::As(owner) => (0, *owner),
            Expected::Anonymous => (0, ""),
            Expected::Told(what) => (200, *what),
            Expected::Unheard(_) | Expected::Stopped => return Some("nothing is unheard by the pure code".to_owned()),
        };
        if (self.status, self.what.as_str()) != (status, what) {
            return Some(format!("{status} {what} expected, but {} {}", self.status, self.what));
        }
        (!case.may_read && self.reads > 0).then(|| format!("{} reads about the key", self.reads))
    }
}
