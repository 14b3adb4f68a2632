//! `/admin/keys`: the list.

use serde::Deserialize;

use super::{
    super::{Answer, Outside},
    visit::Visit,
};
use crate::page::{self, KeysPage, PageKey};

/// The part of `GET /v1/keys` that the page shows.
#[derive(Deserialize)]
struct Listed {
    keys: Vec<PageKey>,
    next_cursor: Option<String>,
}

pub(super) async fn list<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    let cursor = visit.parameter("cursor");
    let query: Vec<_> = cursor.iter().map(|cursor| ("cursor", cursor.as_str())).collect();
    let told = visit.get("/v1/keys", &query).await?;
    if told.status == 400 && cursor.is_some() {
        // A cursor of another list, or one that was cut: the first page is better than an error.
        return Ok(Answer::redirect(page::KEYS_PATH));
    }
    let listed: Listed = told.granted()?;
    let page = KeysPage {
        keys: listed.keys,
        next_cursor: listed.next_cursor,
        edge_url: visit.settings().public_edge_url.clone().unwrap_or_default(),
        now: visit.now(),
    };
    Ok(Answer::html(200, page::keys(&visit.reader, &page)))
}
