//! `/admin/policy/history` and `/admin/policy/versions/{version}`: what the policy was, and back to it.

use serde::Deserialize;
use serde_json::json;

use super::{
    super::{Answer, Outside},
    policy::{is_in_effect, saved},
    visit::Visit,
};
use crate::page::{self, Before, HISTORY_PATH, HistoryPage, POLICY_PATH, PolicyVersion, Problems, SavedPolicy, VersionPage};

/// How many pages of the list are looked through for a version whose predecessor the address does not name.
const MOST_PAGES: usize = 10;

/// `GET /v1/policy/versions`.
#[derive(Default, Deserialize)]
struct Listed {
    versions: Vec<PolicyVersion>,
    next_cursor: Option<String>,
}

/// `/admin/policy/history`.
pub(super) async fn list<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    if visit.is_post() {
        return Err(Answer::redirect(HISTORY_PATH));
    }
    let cursor = visit.parameter("cursor");
    let query: Vec<_> = cursor.iter().map(|cursor| ("cursor", cursor.as_str())).collect();
    let told = visit.get("/v1/policy/versions", &query).await?;
    if told.status == 400 && cursor.is_some() {
        return Ok(Answer::redirect(HISTORY_PATH));
    }
    let listed: Listed = told.granted()?;
    // The last one of this page changed the first one of the next.
    let before = match &listed.next_cursor {
        Some(next) => {
            let further: Listed = visit.get("/v1/policy/versions", &[("cursor", next), ("limit", "1")]).await?.granted()?;
            further.versions.first().map(|version| version.version)
        }
        None => None,
    };
    let page = HistoryPage { versions: listed.versions, before, next_cursor: listed.next_cursor, further: cursor.is_some() };
    Ok(Answer::html(200, page::policy_history(&visit.reader, &page)))
}

/// `/admin/policy/versions/{version}`.
pub(super) async fn one<O: Outside>(visit: &Visit<'_, O>, version: &str) -> Result<Answer, Answer> {
    let Some(number) = version.parse::<u64>().ok().filter(|number| *number > 0) else { return Err(Answer::html(404, page::not_found())) };
    if !visit.is_post() {
        return show(visit, 200, number, None, Problems::default()).await;
    }
    let form = visit.form()?;
    if !form.has("sure") {
        let unsure = "Read what changes, and tick that you have. Nothing was changed.".to_owned();
        return show(visit, 422, number, Some(form.text("etag")), Problems { general: vec![unsure], ..Problems::default() }).await;
    }
    let (etag, once) = (form.text("etag"), Some(form.text("form")).filter(|once| (1..=255).contains(&once.len())));
    let told = visit.call_if(Some(etag), "POST", "/v1/policy/rollback", &[], Some(&json!({ "version": number })), once).await?;
    match told.status {
        200 => Ok(Answer::redirect(&format!(
            "{POLICY_PATH}?done={}",
            if is_in_effect(visit, &told).await { "rolled-back" } else { "replaced" }
        ))),
        409 => {
            let meanwhile = "Somebody else has saved another version while you had this open; nothing was changed. See below what going back would change now.";
            show(visit, 409, number, None, Problems { general: vec![meanwhile.into()], ..Problems::default() }).await
        }
        status => show(visit, status, number, None, told.problems()).await,
    }
}

/// The page of a version. `etag`: of what the reader was shown before, where they are not to be taken further without knowing.
async fn show<O: Outside>(
    visit: &Visit<'_, O>,
    status: u16,
    version: u64,
    etag: Option<&str>,
    problems: Problems,
) -> Result<Answer, Answer> {
    let SavedPolicy { policy, .. } = saved(visit, Some(&version.to_string())).await?;
    let current = saved(visit, None).await?;
    let named = visit.parameter("before").and_then(|before| before.parse::<u64>().ok()).filter(|before| *before < version);
    let (listed, before, is_first) = place(visit, version).await?;
    let before = match before.or(named) {
        Some(before) => match saved(visit, Some(&before.to_string())).await {
            Ok(saved) => Before::Version(before, saved.policy),
            // The address may name any number.
            Err(answer) if answer.status == 404 => Before::Unknown,
            Err(answer) => return Err(answer),
        },
        None if is_first => Before::Nothing,
        None => Before::Unknown,
    };
    let page = VersionPage {
        version,
        listed,
        policy,
        before,
        is_current: current.etag == format!("\"{version}\""),
        etag: etag.map_or_else(|| current.etag.clone(), ToOwned::to_owned),
        current: current.policy,
        problems,
        form_id: visit.form_id().to_owned(),
        bound: visit.settings().common.timing.bound,
    };
    Ok(Answer::html(status, page::policy_version(&visit.reader, &page)))
}

/// What the list says of a version, which one was there before it, and whether it is known to be the first. Only the newest ones are
/// looked through.
async fn place<O: Outside>(visit: &Visit<'_, O>, version: u64) -> Result<(Option<PolicyVersion>, Option<u64>, bool), Answer> {
    let mut cursor: Option<String> = None;
    let mut found = None;
    for _ in 0..MOST_PAGES {
        let mut query = vec![("limit", "200")];
        query.extend(cursor.iter().map(|cursor| ("cursor", cursor.as_str())));
        let listed: Listed = visit.get("/v1/policy/versions", &query).await?.granted()?;
        for listed in listed.versions {
            if found.is_some() {
                return Ok((found, Some(listed.version), false));
            }
            if listed.version == version {
                found = Some(listed);
            }
        }
        cursor = listed.next_cursor;
        if cursor.is_none() {
            let is_first = found.is_some();
            return Ok((found, None, is_first));
        }
    }
    Ok((found, None, false))
}
