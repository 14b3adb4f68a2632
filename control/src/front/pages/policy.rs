//! `/admin/policy`: the editor. Each of its buttons sends the whole form; only one of them saves, and only on top of the version that the
//! form was made from.

use keyward_shared::policy::Policy;
use serde_json::{Value, json};

use super::{
    super::{Answer, Outside},
    form::Form,
    visit::{Told, Visit},
};
use crate::page::{
    self, Meanwhile, POLICY_PATH, PolicyPage, PolicyVersion, Problems, SavedPolicy, Tried,
    directory::{duration, version},
    policy_draft::{Draft, Edit, MOST_ROWS, Row},
    policy_text::verdict,
};

/// `/admin/policy`.
pub(super) async fn edit<O: Outside>(visit: &Visit<'_, O>) -> Result<Answer, Answer> {
    if !visit.is_post() {
        let saved = saved(visit, None).await?;
        return Ok(show(visit, 200, PolicyPage { done: done(visit), ..PolicyPage::of(saved) }));
    }
    let form = visit.form()?;
    let mut page = PolicyPage { draft: draft(&form), tried: tried(&form), ..PolicyPage::of(saved(visit, None).await?) };
    form.text("etag").clone_into(&mut page.etag);
    match form.text("do") {
        "save" => save(visit, page, form.text("form")).await,
        "check" => {
            let page = looked_at(visit, page).await?;
            Ok(show(visit, status(&page), PolicyPage { compared: true, ..page }))
        }
        "json" => Ok(show(visit, 200, as_json(page))),
        "rows" => Ok(show(visit, 200, as_rows(page))),
        "test" => Ok(show(visit, 200, test(page))),
        button => {
            page.focus = Edit::read(button).and_then(|edit| page.draft.edit(edit)).unwrap_or_default();
            Ok(show(visit, 200, page))
        }
    }
}

/// What has just been done, by the word in the address.
fn done<O: Outside>(visit: &Visit<'_, O>) -> String {
    let within = duration(visit.settings().common.timing.bound);
    let within = format!("It takes effect mostly within a second, and within {within} at the latest.");
    match visit.parameter("done").as_deref() {
        Some("saved") => format!("The policy was saved. {within}"),
        Some("rolled-back") => format!("The earlier version is in its place again. {within}"),
        Some("replaced") => "This was saved, but somebody has saved another version since. What follows is in effect.".into(),
        Some("same") => "There was nothing to save: these rules are saved already.".into(),
        _ => String::new(),
    }
}

/// The policy as it is saved, or a version of it.
pub(super) async fn saved<O: Outside>(visit: &Visit<'_, O>, version: Option<&str>) -> Result<SavedPolicy, Answer> {
    let query: Vec<_> = version.iter().map(|version| ("version", *version)).collect();
    let told = visit.get("/v1/policy", &query).await?;
    let etag = told.etag.clone();
    let mut body: Value = told.granted()?;
    let propagation = body.as_object_mut().and_then(|body| body.remove("propagation")).unwrap_or_default();
    let understood = serde_json::from_value(body).and_then(|policy| Ok((policy, serde_json::from_value(propagation)?)));
    let (policy, propagation) = understood.map_err(|_| super::no_answer())?;
    Ok(SavedPolicy { policy, etag, propagation })
}

/// What is in the editor, as it was typed.
fn draft(form: &Form) -> Draft {
    if form.text("mode") == "json" {
        return Draft::Json(form.text("json").replace('\r', ""));
    }
    let all = |name: &'static str| form.all(name).map(ToOwned::to_owned).collect::<Vec<String>>();
    let [methods, paths, permissions, passes, bearers] = ["methods", "path", "permission", "passes", "bearer"].map(all);
    let text = |values: &[String], at: usize| values.get(at).cloned().unwrap_or_default();
    let row = |(at, path): (usize, &String)| Row {
        methods: text(&methods, at),
        path: path.clone(),
        permission: text(&permissions, at),
        anonymous: text(&passes, at) == "anonymous",
        bearer: text(&bearers, at) == "origin",
    };
    Draft::Rows { deny: form.text("default") == "deny", rows: paths.iter().enumerate().map(row).collect() }
}

/// The request to try.
fn tried(form: &Form) -> Tried {
    let path = path_of(form.text("test_path")).to_owned();
    Tried { method: form.text("test_method").to_ascii_uppercase(), path, verdicts: None }
}

/// The path of an address: of what is typed only that is looked at.
pub(super) fn path_of(text: &str) -> &str {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.split_once("://") {
        Some(("http" | "https", rest)) => rest.find('/').map_or("/", |start| rest.split_at(start).1),
        _ => text,
    }
}

const fn status(page: &PolicyPage) -> u16 {
    match (&page.meanwhile, page.problems.fields.is_empty() && page.problems.general.is_empty()) {
        (Some(_), _) => 409,
        (None, true) => 200,
        (None, false) => 422,
    }
}

/// Says what is wrong with what was typed, and what somebody else has saved since the form was made.
async fn looked_at<O: Outside>(visit: &Visit<'_, O>, page: PolicyPage) -> Result<PolicyPage, Answer> {
    let mut page = with_problems(page);
    if page.etag == page.saved.etag {
        return Ok(page);
    }
    let told = visit.get("/v1/policy/versions", &[("limit", "1")]).await?;
    let newest = serde_json::from_value::<PolicyVersion>(told.body["versions"][0].clone()).ok();
    page.meanwhile = Some(Meanwhile { by: newest.map(|newest| newest.changed_by), base: base(visit, &page.etag).await? });
    page.focus = "meanwhile".into();
    // Shown now, so what is sent next is sent knowing it.
    page.etag.clone_from(&page.saved.etag);
    Ok(page)
}

/// The version that a form was made from; before the first one, and where it cannot be told, the policy without rules.
async fn base<O: Outside>(visit: &Visit<'_, O>, etag: &str) -> Result<Policy, Answer> {
    match etag.trim_matches('"').parse::<u64>() {
        Ok(version) if version > 0 => match saved(visit, Some(&version.to_string())).await {
            Err(answer) if answer.status == 404 => Ok(Policy::default()),
            other => other.map(|saved| saved.policy),
        },
        _ => Ok(Policy::default()),
    }
}

fn with_problems(mut page: PolicyPage) -> PolicyPage {
    page.problems = page.draft.policy().err().unwrap_or_default();
    let is_rows = matches!(page.draft, Draft::Rows { .. });
    let first = page.problems.fields.first().map(|(name, _)| name.replace("rules[", "rule-").replace("].", "-"));
    page.focus = match (is_rows, first) {
        (true, first) => first.unwrap_or_default(),
        (false, _) if page.problems.is_empty() => String::new(),
        (false, _) => "policy-json".into(),
    };
    page
}

/// The same as JSON, where it can be read.
fn as_json(page: PolicyPage) -> PolicyPage {
    match page.draft.policy() {
        Ok(policy) => PolicyPage { draft: Draft::as_json(&policy), focus: "policy-json".into(), ..page },
        Err(_) => with_problems(page),
    }
}

/// The same as rows, where it can be read and has not too many.
fn as_rows(page: PolicyPage) -> PolicyPage {
    match page.draft.policy() {
        Ok(policy) if policy.rules.len() > MOST_ROWS => {
            let general = vec![format!("There are more than {MOST_ROWS} rules: too many for rows.")];
            PolicyPage { problems: Problems { general, ..Problems::default() }, ..page }
        }
        Ok(policy) => PolicyPage { draft: Draft::of(&policy), focus: "add-rule".into(), ..page },
        Err(_) => with_problems(page),
    }
}

fn test(page: PolicyPage) -> PolicyPage {
    let edited = page.draft.policy().ok();
    let mut page = with_problems(page);
    let Tried { method, path, .. } = &page.tried;
    let judged = |policy: &Policy| verdict(policy, if method.is_empty() { "GET" } else { method }, path);
    let verdicts = Some((judged(&page.saved.policy), edited.as_ref().map(judged)));
    page.tried.verdicts = verdicts;
    page.focus = "test-path".into();
    page
}

async fn save<O: Outside>(visit: &Visit<'_, O>, page: PolicyPage, form_id: &str) -> Result<Answer, Answer> {
    let Ok(policy) = page.draft.policy() else {
        let page = looked_at(visit, page).await?;
        return Ok(show(visit, 422, page));
    };
    if page.etag == page.saved.etag && policy == page.saved.policy && page.saved.propagation.is_some() {
        return Ok(Answer::redirect(&format!("{POLICY_PATH}?done=same")));
    }
    let told = put(visit, &policy, &page.etag, form_id).await?;
    if told.status == 200 {
        let done = if is_in_effect(visit, &told).await { "saved" } else { "replaced" };
        return Ok(Answer::redirect(&format!("{POLICY_PATH}?done={done}")));
    }
    let status = told.status;
    // What is saved may have changed since it was read for this answer.
    let page = PolicyPage { saved: saved(visit, None).await?, ..page };
    let page = looked_at(visit, page).await?;
    if page.meanwhile.is_some() {
        return Ok(show(visit, 409, page));
    }
    Ok(show(visit, status, PolicyPage { problems: told.problems(), ..page }))
}

/// Whether what a call saved is still what is saved: a form that was sent before is answered as it was then. Where that cannot be found
/// out, it was saved all the same.
pub(super) async fn is_in_effect<O: Outside>(visit: &Visit<'_, O>, told: &Told) -> bool {
    let Ok(now) = saved(visit, None).await else { return true };
    let mut body = told.body.clone();
    body.as_object_mut().map(|body| body.remove("propagation"));
    serde_json::from_value::<Policy>(body).is_ok_and(|policy| policy == now.policy)
}

/// Puts the policy in the place of the version `etag`. The same form with the same content, sent twice, has one effect.
async fn put<O: Outside>(visit: &Visit<'_, O>, policy: &Policy, etag: &str, form_id: &str) -> Result<Told, Answer> {
    let body = json!(policy);
    let once = format!("{form_id}-{}", version(&[&body.to_string()]));
    let once = Some(once.as_str()).filter(|once| !form_id.is_empty() && once.len() <= 255);
    visit.call_if(Some(etag), "PUT", "/v1/policy", &[], Some(&body), once).await
}

fn show<O: Outside>(visit: &Visit<'_, O>, status: u16, page: PolicyPage) -> Answer {
    let page = PolicyPage { form_id: visit.form_id().to_owned(), bound: visit.settings().common.timing.bound, ..page };
    Answer::html(status, page::policy(&visit.reader, &page))
}
