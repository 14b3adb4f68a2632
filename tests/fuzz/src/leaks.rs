//! Reports of leaked keys, as anybody and as GitHub's secret scanning send them.

use core::{cell::RefCell, future::Future, pin::pin, task};
use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_control::{
    call::{LEAKED, LeakReport, LeaksTaken},
    front::{self, Answer, Buckets, Context, Documents, Fetched, Headers, Object, Outside, Request, Said, Target},
};
use keyward_shared::{
    digest::Digest,
    ids::CompanyId,
    key::{KeyString, Secret},
    shard::Shard,
};
use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer as _},
    pkcs8::{EncodePublicKey as _, LineEnding},
};
use serde_json::{Value, json};

use crate::{input, world};

/// What stands for whole keys of this deployment in an input: they cannot be guessed.
const KEYS: [(&str, &str); 2] = [("KEY0", "demo"), ("KEY1", "acme")];

/// Objects that know every key, and note what they are told; and the site that lists the scanner's key.
struct Knowing {
    told: RefCell<Vec<(Object, String)>>,
    signer: SigningKey,
}

impl Outside for Knowing {
    async fn get(&self, _: &str) -> Option<Fetched> {
        let pem = p256::PublicKey::from(self.signer.verifying_key()).to_public_key_pem(LineEnding::LF).unwrap();
        let body = json!({"public_keys": [{"key_identifier": "one", "key": pem}]}).to_string();
        Some(Fetched { status: 200, body, max_age_s: None })
    }

    async fn post(&self, object: Object, path: &'static str, body: String) -> Option<Said> {
        assert_eq!(path, LEAKED);
        let report: LeakReport = serde_json::from_str(&body).expect("what the front sends is a report");
        let known: Vec<Digest> = report.leaks.iter().map(|leak| leak.digest).collect();
        self.told.borrow_mut().push((object, body));
        Some(Said { status: 200, body: serde_json::to_string(&LeaksTaken { revoked: known.len(), known }).unwrap() })
    }

    async fn send_form(&self, _: &str, _: Option<&str>, _: String) -> Option<Fetched> {
        None
    }

    fn random(&self) -> Option<[u8; 32]> {
        None
    }

    fn log(&self, _: &Value) {}
}

/// A body, with `KEY0` and `KEY1` for two keys of this deployment. Whoever sends it openly has exactly those keys told to
/// their shards that stand in the list, and is always answered the same; from GitHub the answer says of each alert whether
/// its token is one of them. What GitHub has not signed asks no object. No key is told or answered to anybody.
pub fn leaks(data: &[u8]) {
    let Some(body) = input::text(data) else { return };
    let keys = KEYS.map(|(_, company)| key_of(company));
    let body = KEYS.iter().zip(&keys).fold(body.to_owned(), |body, ((name, _), (_, key))| body.replace(name, key.reveal()));

    let (answer, told) = send("/v1/credentials/revoke", &body, None);
    let listed: Option<Vec<String>> =
        serde_json::from_str::<Value>(&body).ok().and_then(|body| serde_json::from_value(body["credentials"].clone()).ok());
    match answer.status {
        202 => {
            let listed = listed.expect("what is taken is a list of texts");
            assert!((1..=1_000).contains(&listed.len()));
            assert_eq!(&*answer.body, br#"{"status":"accepted"}"#);
            assert_eq!(told, of(&keys, listed.iter().map(String::as_str)));
        }
        400 | 422 => assert_eq!(told, BTreeSet::new()),
        other => panic!("{other}"),
    }

    let signature: Signature = SigningKey::from_slice(&[7; 32]).unwrap().sign(body.as_bytes());
    let signature = STANDARD.encode(signature.to_der().as_bytes());
    let (answer, told) = send("/v1/leaks/github", &body, Some(&signature));
    match answer.status {
        200 => {
            let alerts: Vec<Value> = serde_json::from_str(&body).expect("what is taken is a list");
            let labels: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(alerts.len(), labels.len());
            for (alert, label) in alerts.iter().zip(&labels) {
                let token = alert["token"].as_str().expect("an alert has a token");
                let ours = keys.iter().any(|(_, key)| key.reveal() == token);
                let expected = if ours { "true_positive" } else { "false_positive" };
                assert_eq!((&label["token_type"], &label["label"]), (&alert["type"], &json!(expected)));
                assert_eq!(label["token_hash"], json!(Digest::of(token.as_bytes())));
            }
            assert_eq!(told, of(&keys, alerts.iter().filter_map(|alert| alert["token"].as_str())));
            let named = |key: &KeyString| alerts.iter().any(|alert| alert["type"].as_str().is_some_and(|kind| kind.contains(key.reveal())));
            for (_, key) in keys.iter().filter(|(_, key)| !named(key)) {
                assert!(!String::from_utf8_lossy(&answer.body).contains(key.reveal()), "a key was said back");
            }
        }
        400 => assert_eq!(told, BTreeSet::new()),
        other => panic!("{other}"),
    }
    let (answer, told) = send("/v1/leaks/github", &format!("{body} "), Some(&signature));
    assert_eq!((answer.status, told), (401, BTreeSet::new()), "the signature is of another body");
}

/// Shards and digests of the keys that are among `texts`.
fn of<'t>(keys: &[(Shard, KeyString); 2], texts: impl Iterator<Item = &'t str>) -> BTreeSet<(String, Digest)> {
    let texts: BTreeSet<&str> = texts.collect();
    let found = keys.iter().filter(|(_, key)| texts.contains(key.reveal()));
    found
        .map(|(shard, key)| (shard.to_string(), keyward_shared::key::ParsedKey::parse(key.reveal().as_bytes()).unwrap().digest()))
        .collect()
}

fn key_of(company: &str) -> (Shard, KeyString) {
    let common = world::settings().common;
    let (prefix, shard) = (common.prefixes.minting(), Shard::of(&CompanyId::new(company).unwrap()));
    let secret = Secret::from_bytes([b'a'; 28]).unwrap();
    (shard, KeyString::assemble(prefix, shard, &secret, common.tag_secrets.tag(shard, &secret.digest(prefix, shard))))
}

/// Sends a body; the answer, and which shard was told of which key.
fn send(path: &str, body: &str, signature: Option<&str>) -> (Answer, BTreeSet<(String, Digest)>) {
    let headers = Headers {
        content_type: Some("application/json".into()),
        github_key_id: signature.map(|_| "one".into()),
        github_signature: signature.map(Into::into),
        ..Headers::default()
    };
    let target = Target::split(&format!("https://control.example{path}")).unwrap();
    let request = Request { id: "r1".into(), method: "POST".into(), target, headers, body: body.into(), address: None };
    let outside = Knowing { told: RefCell::default(), signer: SigningKey::from_slice(&[7; 32]).unwrap() };
    let (settings, documents, reporters) = (world::settings(), Documents::default(), Buckets::default());
    let context = Context { settings: &settings, outside: &outside, documents: &documents, reporters: &reporters, now: world::START };
    let mut future = pin!(front::answer(&request, &context));
    let task::Poll::Ready(answer) = future.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())) else {
        panic!("the objects answer at once");
    };
    let mut told = BTreeSet::new();
    for (object, message) in outside.told.take() {
        let Object::Shard(shard) = object else { panic!("{object:?} was told") };
        assert!(KEYS.iter().all(|(_, company)| !message.contains(key_of(company).1.reveal())), "a key was told");
        let report: LeakReport = serde_json::from_str(&message).unwrap();
        told.extend(report.leaks.iter().map(|leak| (shard.to_string(), leak.digest)));
    }
    (answer, told)
}
