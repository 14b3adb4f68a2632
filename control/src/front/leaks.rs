//! Keys that were found where they do not belong: `POST /v1/credentials/revoke`, for anyone who holds one, and
//! `POST /v1/leaks/github`, for GitHub. Texts that are not whole keys of this deployment are sorted out here, without asking
//! any object; the others go to their shards, one message each.

use std::collections::{BTreeMap, BTreeSet};

use keyward_shared::{digest::Digest, key::ParsedKey, problem::Code, shard::Shard};
use serde_json::json;

use super::{Answer, Context, Object, Outside, Request, buckets, credential, github, unavailable};
use crate::{
    call::{LEAKED, Leak, LeakReport, LeaksTaken, MAX_LEAKS, Refused},
    settings::ControlSettings,
    shard::validate::Fields,
    together::all,
};

/// How many shards are told at once.
const AT_ONCE: usize = 6;
/// What the trail says of a report that anybody may have sent.
const OPEN: &str = "open";
/// What everybody is answered whose report could be read, whatever the keys were.
const ACCEPTED: &str = r#"{"status":"accepted"}"#;

/// What was found, by shard and digest: each key once, as it was reported first.
type Leaks = BTreeMap<Shard, BTreeMap<Digest, Leak>>;

/// `POST /v1/credentials/revoke`: says nothing about the keys.
pub(super) async fn revoke<O: Outside>(request: &Request, context: &Context<'_, O>) -> Result<Answer, Answer> {
    context.reporters.take(request.address, context.now).map_err(|wait_s| {
        let refused = request.refuse(Code::RateLimited, "too many reports from this address; try again later");
        refused.with("Retry-After", &wait_s.to_string()).with("RateLimit-Policy", buckets::POLICY)
    })?;
    no_parameters(request)?;
    let texts = credentials(request.json()?).map_err(|refused| Answer::problem(&refused.0, &request.id))?;
    let mut leaks = Leaks::new();
    for text in &texts {
        if let Some((shard, digest)) = ours(text, context.settings) {
            leaks.entry(shard).or_default().insert(digest, Leak { digest, source: OPEN.into(), url: None });
        }
    }
    report(request, leaks, context).await?;
    Ok(Answer::json(202, ACCEPTED.into()))
}

fn credentials(body: &str) -> Result<Vec<String>, Refused> {
    let mut fields = Fields::read(body, &["credentials"])?;
    let texts = fields.required_texts("credentials", MAX_LEAKS).unwrap_or_default();
    fields.check()?;
    Ok(texts)
}

/// `POST /v1/leaks/github`: says of each text whether it was a key of this deployment.
pub(super) async fn github<O: Outside>(request: &Request, context: &Context<'_, O>) -> Result<Answer, Answer> {
    let Some(keys_url) = &context.settings.github_keys_url else {
        return Err(request.refuse(Code::NotFound, "there is no such path"));
    };
    let body = request.json()?;
    no_parameters(request)?;
    verify(request, keys_url, context).await?;
    let alerts =
        github::alerts(body).ok_or_else(|| request.refuse(Code::InvalidRequest, "the body is not a list of alerts with token and type"))?;
    let mut leaks = Leaks::new();
    let mut digests = Vec::new();
    for alert in &alerts {
        let found = ours(&alert.token, context.settings);
        digests.push(found.map(|(_, digest)| digest));
        if let Some((shard, digest)) = found {
            let leak = || Leak { digest, source: alert.source(), url: alert.url() };
            leaks.entry(shard).or_default().entry(digest).or_insert_with(leak);
        }
    }
    let known = report(request, leaks, context).await?;
    let labels: Vec<_> = alerts
        .iter()
        .zip(digests)
        .map(|(alert, digest)| {
            let label = if digest.is_some_and(|digest| known.contains(&digest)) { "true_positive" } else { "false_positive" };
            json!({"token_hash": Digest::of(alert.token.as_bytes()), "token_type": alert.kind, "label": label})
        })
        .collect();
    Ok(Answer::json(200, json!(labels).to_string()))
}

fn no_parameters(request: &Request) -> Result<(), Answer> {
    match form_urlencoded::parse(request.target.query.as_bytes()).next() {
        None => Ok(()),
        Some((name, _)) => Err(request.refuse(Code::InvalidRequest, &format!("unknown parameter: {name}"))),
    }
}

/// Whether GitHub has signed the body. A key that is not known yet may be a new one, so it is looked for once more.
async fn verify<O: Outside>(request: &Request, keys_url: &str, context: &Context<'_, O>) -> Result<(), Answer> {
    let refuse = |detail: &str| request.refuse(Code::Unauthenticated, detail);
    let (Some(id), Some(signature)) = (&request.headers.github_key_id, &request.headers.github_signature) else {
        return Err(refuse("this takes alerts that GitHub has signed"));
    };
    let unreadable = || request.refuse(Code::Unavailable, "GitHub's keys cannot be fetched; try again").with("Retry-After", "10");
    let mut key = None;
    for again in [false, true] {
        let documents = context.documents;
        let document = if again {
            documents.again(context.outside, context.now, keys_url).await
        } else {
            documents.get(context.outside, context.now, keys_url).await
        };
        key = github::key(&document.map_err(|_| unreadable())?, id).map_err(|_| unreadable())?;
        if key.is_some() {
            break;
        }
    }
    let key = key.ok_or_else(|| refuse("this key is none of GitHub's"))?;
    if github::signed(&key, signature, &request.body) { Ok(()) } else { Err(refuse("this signature is not GitHub's")) }
}

/// Shard and digest of a text that is a whole key of this deployment.
fn ours(text: &str, settings: &ControlSettings) -> Option<(Shard, Digest)> {
    let key = ParsedKey::parse(text.as_bytes()).ok()?;
    Some((key.shard(), credential::of_this_deployment(&key, settings)?))
}

/// Has the keys revoked; those that there are or once were. Where one shard cannot be reached nothing is claimed: what others
/// did stands, and reporting again is harmless.
async fn report<O: Outside>(request: &Request, leaks: Leaks, context: &Context<'_, O>) -> Result<BTreeSet<Digest>, Answer> {
    let mut messages = Vec::new();
    for (shard, leaks) in leaks {
        let leaks: Vec<_> = leaks.into_values().collect();
        for leaks in leaks.chunks(MAX_LEAKS) {
            let report = LeakReport { leaks: leaks.to_vec(), address: request.address, request_id: request.id.clone() };
            messages.push((shard, serde_json::to_string(&report).map_err(|_| unavailable(request))?));
        }
    }
    let mut known = BTreeSet::new();
    for messages in messages.chunks(AT_ONCE) {
        let sent = messages.iter().map(|(shard, body)| context.outside.post(Object::Shard(*shard), LEAKED, body.clone()));
        for said in all(sent).await {
            let said = said.filter(|said| said.status == 200).ok_or_else(|| unavailable(request))?;
            let taken: LeaksTaken = serde_json::from_str(&said.body).map_err(|_| unavailable(request))?;
            known.extend(taken.known);
        }
    }
    Ok(known)
}
