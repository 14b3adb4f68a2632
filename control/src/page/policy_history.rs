//! Administration → Policy → History: every version of the policy, who saved it, what it changed, and the way back to it.

use keyward_shared::{policy::Policy, time::Millis};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    Reader,
    assets::File,
    directory::{duration, to_the_second},
    form::{Problems, problems},
    layout::{Frame, document},
    owners::further,
    policy::HISTORY_PATH,
    policy_text::{difference, shown},
    reader::Section,
    time::{optional_time, time},
};

/// A version as the list says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PolicyVersion {
    pub(crate) version: u64,
    pub(crate) changed_by: String,
    #[serde(deserialize_with = "time")]
    pub(crate) changed_at: Millis,
    #[serde(default, deserialize_with = "optional_time")]
    announced_at: Option<Millis>,
    rules: u64,
    #[serde(default)]
    rolled_back_to: Option<u64>,
}

/// What the list is made from.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    /// Newest first.
    pub versions: Vec<PolicyVersion>,
    /// The one before the last of them, where there is one.
    pub before: Option<u64>,
    /// Where the list goes on, if it does.
    pub next_cursor: Option<String>,
    /// Whether this is not the list's beginning.
    pub further: bool,
}

/// The address of a version, compared with the one that was there `before` it.
fn at(version: u64, before: Option<u64>) -> String {
    let before = before.map(|before| format!("?before={before}")).unwrap_or_default();
    format!("/admin/policy/versions/{version}{before}")
}

/// The list of versions.
pub fn policy_history(reader: &Reader, page: &HistoryPage) -> String {
    let before = |at: usize| page.versions.get(at + 1).map(|version| version.version).or(page.before);
    let main = html! {
        header.title { div { h1 { "History of the policy" } p { "Every version that was saved, newest first." } } }
        @if page.versions.is_empty() && !page.further {
            article.empty { h2 { "No versions yet" } p { "No policy was ever saved: every valid key may do everything that its owner may." } }
        } @else {
            table.stacked role="table" {
                thead role="rowgroup" {
                    tr role="row" { @for title in ["Saved", "By", "Rules", "Announced", "Version"] { th scope="col" role="columnheader" { (title) } } }
                }
                tbody role="rowgroup" {
                    @for (place, version) in page.versions.iter().enumerate() {
                        tr role="row" {
                            th.name scope="row" role="rowheader" {
                                a href=(at(version.version, before(place))) { (to_the_second(version.changed_at)) }
                                @if place == 0 && !page.further { " " span.badge.good { "in effect" } }
                            }
                            td role="cell" data-label="By" { (version.changed_by) }
                            td role="cell" data-label="Rules" { (version.rules) }
                            td role="cell" data-label="Announced" {
                                @match version.announced_at { Some(at) => (to_the_second(at)), None => "not yet" }
                            }
                            td role="cell" data-label="Version" {
                                code { (version.version) }
                                @if let Some(back) = version.rolled_back_to { " back to " code { (back) } }
                            }
                        }
                    }
                }
            }
        }
        @if page.further || page.next_cursor.is_some() {
            nav.pages aria-label="Pages" {
                @if page.further { a href=(HISTORY_PATH) { "First page" } }
                @if let Some(cursor) = &page.next_cursor { a href=(further(HISTORY_PATH, cursor)) rel="next" { "Next page" } }
            }
        }
    };
    document(&Frame { title: "History", scripts: &[File::Directory], ..Frame::of(reader, Section::Policy) }, &main)
}

/// What was there before a version.
#[derive(Clone, Debug, Default)]
pub enum Before {
    /// Nothing: it is the first one.
    #[default]
    Nothing,
    /// This version, and what it said.
    Version(u64, Policy),
    /// Something that was not found.
    Unknown,
}

/// What the page of a version is made from.
#[derive(Clone, Debug, Default)]
pub struct VersionPage {
    pub(crate) version: u64,
    /// What the list says of it, where it was found there.
    pub(crate) listed: Option<PolicyVersion>,
    pub(crate) policy: Policy,
    /// What was there before.
    pub(crate) before: Before,
    /// What is in effect now, and its `ETag`.
    pub(crate) current: Policy,
    pub(crate) etag: String,
    pub(crate) is_current: bool,
    pub(crate) problems: Problems,
    /// Names the form that is sent.
    pub(crate) form_id: String,
    /// Within which time a change takes effect.
    pub(crate) bound: Millis,
}

/// The page of one version.
pub fn policy_version(reader: &Reader, page: &VersionPage) -> String {
    let title = format!("Version {}", page.version);
    let none = Policy::default();
    let main = html! {
        header.title {
            div {
                h1 { (title) }
                @if let Some(listed) = &page.listed {
                    p { "Saved by " strong { (listed.changed_by) } ", " (to_the_second(listed.changed_at)) }
                }
            }
            @if page.is_current { span.badge.good { "in effect" } }
        }
        (problems(&page.problems, &[]))
        section aria-labelledby="changed-title" {
            h2 #changed-title {
                @match &page.before {
                    Before::Version(before, _) => { "What it changed of version " (before) },
                    Before::Nothing => "What it changed: it is the first one",
                    Before::Unknown => "What it changed",
                }
            }
            @match &page.before {
                Before::Version(_, before) => (shown(&difference(before, &page.policy))),
                Before::Nothing => (shown(&difference(&none, &page.policy))),
                Before::Unknown => p { "The version before it was not found, so this cannot be told here. The whole version is below." },
            }
        }
        @if !page.is_current { (roll_back(page)) }
        section aria-labelledby="whole-title" {
            details {
                summary #whole-title { "The whole version as JSON" }
                pre tabindex="0" { code { (serde_json::to_string_pretty(&page.policy).unwrap_or_default()) } }
            }
        }
    };
    let frame = Frame {
        title: &title,
        above: &[("History", HISTORY_PATH)],
        styles: &[File::PolicyStyle],
        scripts: &[File::Directory],
        ..Frame::of(reader, Section::Policy)
    };
    document(&frame, &main)
}

fn roll_back(page: &VersionPage) -> Markup {
    html! {
        section.danger aria-labelledby="back-title" {
            h2 #back-title { "Go back to this version" }
            @if page.current == page.policy {
                p { "The rules that are in effect now are the same as those of this version: there is nothing to go back to." }
            } @else {
                p {
                    "This makes a new version that is equal to this one. It takes effect mostly within a second, and within "
                    (duration(page.bound)) " at the latest. What it changes of what is in effect now:"
                }
                (shown(&difference(&page.current, &page.policy)))
                form method="post" {
                    input type="hidden" name="form" value=(page.form_id);
                    input type="hidden" name="etag" value=(page.etag);
                    label { input type="checkbox" name="sure" value="yes" required; " I have read what changes" }
                    button.danger type="submit" name="do" value="roll-back" { "Roll back to this version" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror='a()'>";

    fn version(version: u64, by: &str) -> PolicyVersion {
        let object = json!({"version": version, "changed_by": by, "changed_at": "2026-11-01T08:00:00Z", "announced_at": null, "rules": 2,
            "rolled_back_to": 5});
        serde_json::from_value(object).unwrap()
    }

    fn of(path: &str) -> Policy {
        serde_json::from_value(json!({"rules": [{"path": path}]})).unwrap()
    }

    #[test]
    fn hostile_text_is_escaped_everywhere() {
        let list = HistoryPage { versions: vec![version(7, EVIL)], next_cursor: Some(EVIL.into()), ..HistoryPage::default() };
        let page = VersionPage {
            version: 7,
            listed: Some(version(7, EVIL)),
            policy: of(EVIL),
            before: Before::Version(6, of("/a")),
            etag: EVIL.into(),
            form_id: EVIL.into(),
            problems: Problems { general: vec![EVIL.into()], ..Problems::default() },
            ..VersionPage::default()
        };
        for html in [policy_history(&Reader::default(), &list), policy_version(&Reader::default(), &page)] {
            assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
            assert!(html.contains("&lt;script&gt;alert(1)"));
        }
    }

    #[test]
    fn each_version_leads_to_its_difference_to_the_one_before() {
        let page = HistoryPage { versions: vec![version(9, "ann"), version(7, "ben")], before: Some(4), ..HistoryPage::default() };
        let html = policy_history(&Reader::default(), &page);
        assert!(
            html.contains(r#"href="/admin/policy/versions/9?before=7""#) && html.contains(r#"href="/admin/policy/versions/7?before=4""#)
        );
        assert_eq!(html.matches("in effect").count(), 1);
        assert!(html.contains("not yet") && html.contains("back to <code>5</code>"));
        let last = HistoryPage { before: None, further: true, ..page };
        assert!(policy_history(&Reader::default(), &last).contains(r#"href="/admin/policy/versions/7""#));
        assert!(policy_history(&Reader::default(), &HistoryPage::default()).contains("No policy was ever saved"));
    }

    #[test]
    fn going_back_says_what_it_changes_and_is_offered_only_where_it_changes_something() {
        let page = VersionPage { version: 7, policy: of("/a"), current: of("/b"), ..VersionPage::default() };
        let html = policy_version(&Reader::default(), &page);
        assert!(html.contains("Roll back to this version") && html.contains("<del>Any method /b → any valid key</del>"), "{html}");
        let same = VersionPage { current: of("/a"), ..page.clone() };
        assert!(policy_version(&Reader::default(), &same).contains("nothing to go back to"));
        let current = VersionPage { is_current: true, ..page };
        assert!(!policy_version(&Reader::default(), &current).contains("Roll back"));
    }
}
