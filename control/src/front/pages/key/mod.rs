//! `/admin/keys/{id}` and below: one key. What is shown is asked for part by part; where a part that is not the key itself cannot be had,
//! the page says so and shows the rest.

mod change;
mod end;
mod rotate;

use core::net::IpAddr;

use keyward_shared::permission::PermissionSet;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{
    super::{Answer, Outside},
    policy::path_of,
    visit::{Told, Visit},
};
use crate::{
    page::{self, Asked, AuditEntry, Bucket, By, Change, Explained, Key, KeyPage, Named, Names, Problems, Related, Trail},
    time::rfc3339,
};

/// How many entries of the audit trail the page shows.
const ENTRIES: &str = "20";

/// Answers for the key `id`; `rest` is what follows it in the path.
pub(super) async fn answer<O: Outside>(visit: &Visit<'_, O>, id: &str, rest: &[&str]) -> Result<Answer, Answer> {
    match rest {
        [] if visit.is_post() => change::change(visit, id).await,
        [] => {
            let key = find(visit, id).await?;
            let form = Change::of(&key);
            show(visit, key, form, 200).await
        }
        ["revoke"] => end::revoke(visit, id).await,
        ["delete"] => end::delete(visit, id).await,
        ["rotate"] => rotate::answer(visit, id).await,
        _ => Err(Answer::html(404, page::not_found())),
    }
}

/// A path of the API about the key `id`.
fn path(id: &str, rest: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');
    format!("/v1/keys/{}{rest}", utf8_percent_encode(id, KEPT))
}

/// The key, or the page that says why there is none.
async fn find<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Key, Answer> {
    visit.get(&path(id, ""), &[]).await?.granted()
}

/// The key, where it is still there and the reader may see it.
async fn look_up<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Result<Option<Key>, Answer> {
    let told = visit.get(&path(id, ""), &[]).await?;
    if told.status == 404 { Ok(None) } else { told.granted().map(Some) }
}

/// The key's own page.
async fn show<O: Outside>(visit: &Visit<'_, O>, key: Key, change: Change, status: u16) -> Result<Answer, Answer> {
    let by = if visit.parameter("by").as_deref() == Some("hour") { By::Hour } else { By::Day };
    let now = visit.now();
    let mut related = Vec::new();
    for other in [&key.parent, &key.supersedes, &key.superseded_by].into_iter().flatten() {
        let name = match look_up(visit, other).await {
            Ok(Some(key)) => Named::Known(key.name),
            Ok(None) => Named::Gone,
            Err(_) => Named::Unknown,
        };
        related.push(Related { id: other.clone(), name });
    }
    let (asked, grantable) = explain(visit, &key).await;
    let page = KeyPage {
        buckets: buckets(visit, &key.id, by).await,
        trail: if visit.reader.may("keyward.audit") { trail(visit, &key.id).await } else { Trail::NotTheirs },
        key,
        related,
        by,
        asked,
        grantable,
        longest: visit.longest_life().await,
        change,
        done: match visit.parameter("done").as_deref() {
            Some("changed") => "The change was saved.",
            Some("unchanged") => "Nothing was different, so nothing was changed.",
            Some("revoked") => "The key was revoked.",
            Some("family") => "The keys that it made were revoked.",
            _ => "",
        },
        now,
    };
    Ok(Answer::html(status, page::key(&visit.reader, &page)))
}

#[derive(Deserialize)]
struct Used {
    buckets: Vec<Bucket>,
}

/// Use by hour or day, as far as the picture goes back.
async fn buckets<O: Outside>(visit: &Visit<'_, O>, id: &str, by: By) -> Option<Vec<Bucket>> {
    let from = rfc3339(by.from(visit.now()));
    let told = visit.get(&path(id, "/usage"), &[("by", by.name()), ("from", &from)]).await.ok()?;
    let used: Used = told.granted().ok()?;
    Some(page::filled(&used.buckets, by, visit.now()))
}

#[derive(Deserialize)]
struct Recorded {
    entries: Vec<AuditEntry>,
    names: Names,
}

async fn trail<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Trail {
    let query = [("target", id), ("limit", ENTRIES), ("names", "true")];
    let told = visit.get("/v1/audit", &query).await.ok();
    let recorded: Option<Recorded> = told.and_then(|told| told.granted().ok());
    recorded.map_or(Trail::Unknown, |recorded| Trail::Known(recorded.entries, recorded.names))
}

/// What the request that was asked about would get, and what the key's owner may do.
async fn explain<O: Outside>(visit: &Visit<'_, O>, key: &Key) -> (Asked, Option<PermissionSet>) {
    let given = |name| visit.parameter(name).map(|value: String| value.trim().to_owned()).filter(|value| !value.is_empty());
    let (method, asked) = (given("method").map_or_else(|| "GET".into(), |method| method.to_ascii_uppercase()), given("path"));
    let address = given("ip").unwrap_or_default();
    let Some(asked) = asked else {
        let owners = told_of(visit, &key.id, &[("path", "/")]).await.and_then(|told| told.granted().ok());
        return (Asked { method, address, ..Asked::default() }, owners.map(|explained: Explained| explained.owner_permissions));
    };
    // Without an address, one from which the key may be used: what is asked about is the rest.
    let assumed = if address.is_empty() { key.allowed_ips.first().and_then(|network| network.split('/').next()) } else { None };
    let mut shown = Asked {
        method: method.clone(),
        path: asked.clone(),
        address: address.clone(),
        assumed: assumed.map(Into::into),
        ..Asked::default()
    };
    let mut query = vec![("method", method.as_str()), ("path", path_of(&asked))];
    query.extend(assumed.or(Some(&address)).filter(|address| !address.is_empty()).map(|address| ("ip", address)));
    if !address.is_empty() && address.parse::<IpAddr>().is_err() {
        let sentence = "This is no address: write it as 203.0.113.7 or 2001:db8::7.";
        shown.problems = Problems { general: vec![], fields: vec![("ip".into(), sentence.into())] };
    } else {
        match told_of(visit, &key.id, &query).await {
            None => shown.problems = Problems { general: vec!["This cannot be told right now: try again.".into()], fields: vec![] },
            Some(told) if told.status != 200 => shown.problems = told.problems(),
            Some(told) => shown.answer = told.granted().ok(),
        }
    }
    let owners = match &shown.answer {
        Some(answer) => Some(answer.owner_permissions.clone()),
        // What was asked for was wrong; the boxes of the form are not.
        None => told_of(visit, &key.id, &[("path", "/")])
            .await
            .and_then(|told| told.granted().ok())
            .map(|explained: Explained| explained.owner_permissions),
    };
    (shown, owners)
}

async fn told_of<O: Outside>(visit: &Visit<'_, O>, id: &str, query: &[(&str, &str)]) -> Option<Told> {
    visit.get(&path(id, "/explain"), query).await.ok()
}

#[cfg(test)]
mod tests;
