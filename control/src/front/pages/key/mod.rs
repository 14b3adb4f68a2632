//! `/admin/keys/{id}` and below: one key. What is shown is asked for part by part; where a part that is not the key itself cannot be had,
//! the page says so and shows the rest.

mod change;
mod end;
mod rotate;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{
    super::{Answer, Outside},
    visit::Visit,
};
use crate::{
    page::{self, Asked, Bucket, By, Change, Entry, Explained, Key, KeyPage, Problems, Related},
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
        let name = look_up(visit, other).await.ok().flatten().map(|key| key.name);
        related.push(Related { id: other.clone(), name });
    }
    let (asked, grantable) = explain(visit, &key.id).await;
    let page = KeyPage {
        buckets: buckets(visit, &key.id, by).await,
        trail: if visit.reader.may("keyward.audit") { trail(visit, &key.id).await } else { None },
        key,
        related,
        by,
        asked,
        grantable,
        change,
        done: match visit.parameter("done").as_deref() {
            Some("changed") => "The change was saved.",
            Some("unchanged") => "Nothing was different, so nothing was changed.",
            Some("revoked") => "The key was revoked.",
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
    entries: Vec<Entry>,
}

async fn trail<O: Outside>(visit: &Visit<'_, O>, id: &str) -> Option<Vec<Entry>> {
    let told = visit.get("/v1/audit", &[("target", id), ("limit", ENTRIES)]).await.ok()?;
    told.granted().ok().map(|recorded: Recorded| recorded.entries)
}

/// What the request that was asked about would get, and what the key's owner may do.
async fn explain<O: Outside>(visit: &Visit<'_, O>, id: &str) -> (Asked, Option<keyward_shared::permission::PermissionSet>) {
    let method = visit.parameter("method").unwrap_or_else(|| "GET".into());
    let asked = visit.parameter("path");
    let mut shown = Asked { method: method.clone(), path: asked.clone().unwrap_or_default(), ..Asked::default() };
    let query = [("method", method.as_str()), ("path", asked.as_deref().unwrap_or("/"))];
    let told = match visit.get(&path(id, "/explain"), &query).await {
        Ok(told) => told,
        Err(_) if asked.is_none() => return (shown, None),
        Err(_) => {
            shown.problems = Problems { general: vec!["This cannot be told right now: try again.".into()], fields: vec![] };
            return (shown, None);
        }
    };
    if told.status != 200 {
        shown.problems = told.problems();
        return (shown, None);
    }
    let explained: Option<Explained> = told.granted().ok();
    let grantable = explained.as_ref().map(|explained| explained.owner_permissions.clone());
    shown.answer = explained.filter(|_| asked.is_some());
    (shown, grantable)
}
