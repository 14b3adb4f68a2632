//! Administration → Policy, for the operator: the rules as an ordered editor, what changing them would change, and what a request would
//! get. The editor is one form whose buttons send it whole and get it back, so it works without a script.

use keyward_shared::{policy::Policy, time::Millis};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    Reader,
    assets::File,
    directory::{duration, to_the_second},
    form::{Problems, field, problems},
    layout::{Frame, document},
    policy_draft::{Draft, MOST_ROWS, Row},
    policy_text::{Verdict, changes, difference, shown},
    reader::Section,
    time::{optional_time, time},
};

/// Where the policy lives.
pub const POLICY_PATH: &str = "/admin/policy";
/// Where its versions are listed.
pub const HISTORY_PATH: &str = "/admin/policy/history";

/// How far a saved policy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Propagation {
    #[serde(deserialize_with = "time")]
    committed_at: Millis,
    #[serde(default, deserialize_with = "optional_time")]
    announced_at: Option<Millis>,
    #[serde(default, deserialize_with = "optional_time")]
    expected_by: Option<Millis>,
    #[serde(default, deserialize_with = "optional_time")]
    effective_by: Option<Millis>,
}

/// What is saved now.
#[derive(Clone, Debug, Default)]
pub struct SavedPolicy {
    pub(crate) policy: Policy,
    /// Its `ETag`.
    pub(crate) etag: String,
    /// `None`: none was ever saved.
    pub(crate) propagation: Option<Propagation>,
}

/// A version that somebody else has saved since the form was made.
#[derive(Clone, Debug)]
pub struct Meanwhile {
    /// Who saved the newest one, where that is known.
    pub(crate) by: Option<String>,
    /// What the form was made from.
    pub(crate) base: Policy,
}

/// A request that was tried.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    pub(crate) method: String,
    pub(crate) path: String,
    /// What the saved rules say of it, and those in the editor where they can be used; `None`: it was not tried.
    pub(crate) verdicts: Option<(Verdict, Option<Verdict>)>,
}

/// What the page is made from.
#[derive(Clone, Debug)]
pub struct PolicyPage {
    pub(crate) saved: SavedPolicy,
    pub(crate) draft: Draft,
    pub(crate) problems: Problems,
    pub(crate) meanwhile: Option<Meanwhile>,
    /// Whether the difference to what is saved is shown.
    pub(crate) compared: bool,
    pub(crate) tried: Tried,
    /// The control to go on with.
    pub(crate) focus: String,
    /// The `ETag` of what the form was made from.
    pub(crate) etag: String,
    /// Names the form that is sent.
    pub(crate) form_id: String,
    /// Within which time a change takes effect.
    pub(crate) bound: Millis,
    /// What has just been done.
    pub(crate) done: String,
}

impl PolicyPage {
    /// Of what is saved.
    pub(crate) fn of(saved: SavedPolicy) -> Self {
        Self {
            draft: Draft::of(&saved.policy),
            etag: saved.etag.clone(),
            saved,
            problems: Problems::default(),
            meanwhile: None,
            compared: false,
            tried: Tried::default(),
            focus: String::new(),
            form_id: String::new(),
            bound: Millis(0),
            done: String::new(),
        }
    }
}

/// The page of the policy.
pub fn policy(reader: &Reader, page: &PolicyPage) -> String {
    let edited = page.draft.policy().ok();
    let is_changed = edited.as_ref() != Some(&page.saved.policy);
    let main = html! {
        header.title {
            div {
                h1 { "Policy" }
                p { "What a request needs before it reaches the application. One policy for all companies." }
            }
            a.button.outline href=(HISTORY_PATH) { "History" }
        }
        (state(page))
        @if let Some(meanwhile) = &page.meanwhile { (changed_meanwhile(page, meanwhile, edited.as_ref())) }
        (refusal(page))
        @if page.compared && page.meanwhile.is_none() && let Some(edited) = &edited { (compared(&page.saved.policy, edited)) }
        form #editor method="post" action=(POLICY_PATH) autocomplete="off" data-keeps=(if is_changed { "changed" } else { "saved" }) {
            input type="hidden" name="form" value=(page.form_id);
            input type="hidden" name="etag" value=(page.etag);
            (bar(page))
            @match &page.draft {
                Draft::Rows { deny, rows } => (rows_editor(page, *deny, rows)),
                Draft::Json(text) => (json_editor(page, text)),
            }
            p.takes-effect {
                "Saved rules take effect at every edge by themselves: mostly within a second, and within " (duration(page.bound))
                " at the latest, whatever fails. Every version is kept."
            }
            div.buttons {
                button type="submit" name="do" value="save" { "Save policy" }
                button.secondary.outline type="submit" name="do" value="check" { "Check without saving" }
            }
            (tester(page))
        }
    };
    let frame = Frame { styles: &[File::PolicyStyle], scripts: &[File::Directory], done: &page.done, ..Frame::of(reader, Section::Policy) };
    document(&frame, &main)
}

/// What is saved, and how far it has come.
fn state(page: &PolicyPage) -> Markup {
    html! {
        section aria-label="What is in effect" {
            @match &page.saved.propagation {
                None => p { "No policy was ever saved." },
                Some(how) => (propagation(how)),
            }
            @if page.saved.policy.rules.is_empty() {
                p {
                    strong { "There are no rules: " }
                    @if page.saved.policy == Policy::default() {
                        "every valid key may do everything that its owner may. The application is told who asks, and decides."
                    } @else {
                        "every request is refused."
                    }
                }
            }
        }
    }
}

/// How far a change has come.
pub(super) fn propagation(how: &Propagation) -> Markup {
    let at = |at: Option<Millis>| html! { @if let Some(at) = at { (to_the_second(at)) } @else { "not yet" } };
    html! {
        dl.facts.propagation {
            div { dt { "Saved" } dd { (at(Some(how.committed_at))) } }
            div { dt { "Announced to all edges" } dd { (at(how.announced_at)) } }
            @if how.announced_at.is_some() {
                div { dt { "Expected everywhere by" } dd { (at(how.expected_by)) } }
                div { dt { "Guaranteed everywhere by" } dd { (at(how.effective_by)) } }
            }
        }
        @if how.announced_at.is_none() {
            p { "It is saved, and will be announced as soon as the edges can be told; that is tried again and again. Reload to see when." }
        }
    }
}

fn changed_meanwhile(page: &PolicyPage, meanwhile: &Meanwhile, edited: Option<&Policy>) -> Markup {
    html! {
        div.alert #meanwhile role="alert" tabindex="-1" autofocus[page.focus == "meanwhile"] {
            p {
                strong { @if let Some(by) = &meanwhile.by { (by) } @else { "Somebody else" } " has saved another version while you had this open." }
                " Nothing that you typed is lost: it is still in the editor. Nothing was saved yet."
            }
            h2 { "What they changed" }
            (shown(&difference(&meanwhile.base, &page.saved.policy)))
            @if let Some(edited) = edited {
                h2 { "What saving yours would change now" }
                (shown(&difference(&page.saved.policy, edited)))
            }
            p { "Take what you need of theirs into the editor. Saving again puts what is in the editor in the place of theirs." }
        }
    }
}

fn refusal(page: &PolicyPage) -> Markup {
    if matches!(page.draft, Draft::Rows { .. }) {
        return problems(&page.problems, &["rules"]);
    }
    // In a text no field can say it: so each sentence says which rule it is about.
    let say = |name: &str| match name.strip_prefix("rules[").and_then(|rest| rest.split_once("].")) {
        Some((at, member)) => format!("Rule {}, {member}", at.parse().map_or(0, |at: usize| at + 1)),
        None => name.to_owned(),
    };
    let fields: Vec<_> = page.problems.fields.iter().map(|(name, detail)| (say(name), detail.clone())).collect();
    problems(&Problems { general: page.problems.general.clone(), fields }, &[])
}

fn compared(saved: &Policy, edited: &Policy) -> Markup {
    let difference = difference(saved, edited);
    html! {
        section.result #compared tabindex="-1" autofocus aria-labelledby="compared-title" {
            h2 #compared-title {
                @if changes(&difference) == 0 { "The rules can be used, and are the same as those that are saved" }
                @else { "The rules can be used. What saving would change" }
            }
            @if changes(&difference) > 0 { (shown(&difference)) }
            @if edited.rules.is_empty() {
                p { strong { "Without rules " } @if *edited == Policy::default() { "every valid key may do everything that its owner may." } @else { "every request is refused." } }
            }
        }
    }
}

/// The buttons of the editor; the first of a form is what Enter in a field presses, so it is one that changes nothing.
fn bar(page: &PolicyPage) -> Markup {
    let is_rows = matches!(page.draft, Draft::Rows { .. });
    html! {
        div.bar {
            h2 { "Rules" }
            div.buttons {
                button.small.secondary.outline type="submit" name="do" value="check" { "Check" }
                @if is_rows {
                    button.small.secondary.outline type="submit" name="do" value="json" { "Edit as JSON" }
                } @else {
                    button.small.secondary.outline type="submit" name="do" value="rows" { "Edit as rows" }
                }
            }
        }
        p { strong { "The rules are tried from top to bottom, and the first that matches decides." } " So put narrow paths before wide ones." }
        input type="hidden" name="mode" value=(if is_rows { "rows" } else { "json" });
    }
}

fn rows_editor(page: &PolicyPage, deny: bool, rows: &[Row]) -> Markup {
    html! {
        @if rows.is_empty() { p.none { "No rules: what is said for everything else counts for every request." } }
        @for (at, row) in rows.iter().enumerate() { (rule(page, at, row, at + 1 == rows.len())) }
        @if rows.len() < MOST_ROWS {
            button #add-rule.secondary type="submit" name="do" value="add" autofocus[page.focus == "add-rule"] { "Add a rule" }
        } @else {
            p { "These are as many rules as can be edited here. To add more, edit them as JSON." }
        }
        label for="default" { "Everything else" }
        select #default name="default" {
            option value="forward" selected[!deny] { "Needs a valid key; the application decides what its owner may do" }
            option value="deny" selected[deny] { "Is refused" }
        }
        (writing_help())
    }
}

fn rule(page: &PolicyPage, at: usize, row: &Row, is_last: bool) -> Markup {
    let number = at + 1;
    let id = |name: &str| format!("rule-{at}-{name}");
    let wrong = |member: &str| page.problems.of(&format!("rules[{at}].{member}"));
    let focused = |name: &str| page.focus == id(name);
    html! {
        fieldset.rule {
            legend { "Rule " (number) }
            div.buttons {
                (row_button(page, at, "up", "Up", &format!("Move rule {number} up"), at == 0))
                (row_button(page, at, "down", "Down", &format!("Move rule {number} down"), is_last))
                (row_button(page, at, "remove", "Remove", &format!("Remove rule {number}"), false))
            }
            div {
                (field(&id("methods"), "Methods", "", wrong("methods"), |marks| html! {
                    input id=(marks.id) name="methods" type="text" value=(row.methods) placeholder="all" autofocus[focused("methods")]
                        aria-describedby=[described(&marks.described_by)] aria-invalid=[marks.invalid];
                }))
            }
            div.path {
                (field(&id("path"), "Path", "", wrong("path"), |marks| html! {
                    input id=(marks.id) name="path" type="text" value=(row.path) placeholder="/orders/**" autofocus[focused("path")]
                        autocapitalize="none" spellcheck="false"
                        aria-describedby=[described(&marks.described_by)] aria-invalid=[marks.invalid];
                }))
            }
            div {
                (field(&id("anonymous"), "Who passes", "", wrong("anonymous"), |marks| html! {
                    select id=(marks.id) name="passes" autofocus[focused("anonymous")]
                        aria-describedby=[described(&marks.described_by)] aria-invalid=[marks.invalid] {
                        option value="key" selected[!row.anonymous] { "Valid keys" }
                        option value="anonymous" selected[row.anonymous] { "Everybody" }
                    }
                }))
            }
            div {
                (field(&id("permission"), "With the permission", "", wrong("permission"), |marks| html! {
                    input id=(marks.id) name="permission" type="text" value=(row.permission) placeholder="any" autofocus[focused("permission")]
                        autocapitalize="none" spellcheck="false"
                        aria-describedby=[described(&marks.described_by)] aria-invalid=[marks.invalid];
                }))
            }
            div {
                (field(&id("bearer"), "Other Bearer tokens", "", wrong("bearer"), |marks| html! {
                    select id=(marks.id) name="bearer" aria-describedby=[described(&marks.described_by)] aria-invalid=[marks.invalid] {
                        option value="" selected[!row.bearer] { "Refused" }
                        option value="origin" selected[row.bearer] { "To the application" }
                    }
                }))
            }
        }
    }
}

fn described(by: &str) -> Option<&str> {
    Some(by).filter(|by| !by.is_empty())
}

fn row_button(page: &PolicyPage, at: usize, action: &str, caption: &str, name: &str, disabled: bool) -> Markup {
    let id = format!("rule-{at}-{action}");
    html! {
        button.small.secondary.outline id=(id) type="submit" name="do" value={ (action) "-" (at) } aria-label=(name)
            disabled[disabled] autofocus[page.focus == id] { (caption) }
    }
}

fn writing_help() -> Markup {
    html! {
        details {
            summary { "How rules are written" }
            ul {
                li { code { "/orders/*" } " is one segment more, " code { "/orders/**" } " the path itself and everything below it." }
                li { "Methods are separated by commas; GET includes HEAD. Left empty, the rule is for all methods." }
                li { "The permission is what the key must be allowed: what its owner may do now, narrowed by the key's own restriction." }
                li { "“Everybody” needs no key; then there is no permission to ask for." }
                li { "Other Bearer tokens are those that are not keys, for example of people signed in to the application. “To the application” passes them on; it checks them itself." }
            }
        }
    }
}

fn json_editor(page: &PolicyPage, text: &str) -> Markup {
    html! {
        @if page.saved.policy.rules.len() > MOST_ROWS { p { "There are more than " (MOST_ROWS) " rules, so they are edited as JSON." } }
        (field("policy-json", "The policy as JSON", "As the API takes it: rules with path, methods, permission, anonymous, bearer; and default, which is forward or deny.",
            (!page.problems.is_empty()).then_some("It cannot be used yet: see above."), |marks| html! {
            textarea.json id=(marks.id) name="json" rows=(text.lines().count().clamp(8, 40)) spellcheck="false" autocapitalize="none"
                autofocus[page.focus == "policy-json"] aria-describedby=(marks.described_by) aria-invalid=[marks.invalid] { "\n" (text) }
        }))
    }
}

fn tester(page: &PolicyPage) -> Markup {
    let Tried { method, path, verdicts } = &page.tried;
    html! {
        section.tester aria-labelledby="tester-title" {
            h2 #tester-title { "What would this request get?" }
            p { "Tried with the code that the edges decide with. Nothing is sent, and nothing is saved." }
            div.try {
                div {
                    label for="test-method" { "Method" }
                    input #test-method type="text" name="test_method" list="known-methods" maxlength="32" value=(if method.is_empty() { "GET" } else { method });
                    datalist #known-methods { @for known in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] { option value=(known) {} } }
                }
                div.path {
                    label for="test-path" { "Path" }
                    input #test-path type="text" name="test_path" value=(path) placeholder="/orders/7" autocapitalize="none" spellcheck="false"
                        autofocus[page.focus == "test-path"];
                }
                button.secondary type="submit" name="do" value="test" { "Try" }
            }
            @if let Some((saved, edited)) = verdicts {
                div.result role="status" {
                    h3 { (method) " " (path) }
                    @match edited {
                        Some(edited) if edited == saved => (edited.shown()),
                        Some(edited) => {
                            h4 { "By the rules that are saved" }
                            (saved.shown())
                            h4 { "By the rules in the editor" }
                            (edited.shown())
                        }
                        None => {
                            h4 { "By the rules that are saved" }
                            (saved.shown())
                            p { "The rules in the editor cannot be used yet: see what is wrong with them above." }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
