//! What the page of the policy must and must not contain.

use serde_json::json;

use super::*;
use crate::page::policy_text::verdict;

const EVIL: &str = "\"><script>alert(1)</script><img src=x onerror='a()'>";

fn of(rules: &serde_json::Value) -> Policy {
    serde_json::from_value(json!({ "rules": rules })).unwrap()
}

fn saved(policy: Policy) -> SavedPolicy {
    SavedPolicy { policy, etag: "\"7\"".into(), propagation: None }
}

fn rendered(page: &PolicyPage) -> String {
    policy(&Reader::default(), page)
}

fn row(path: &str) -> Row {
    Row { path: path.into(), ..Row::default() }
}

#[test]
fn hostile_text_is_escaped_everywhere() {
    let row = Row { methods: EVIL.into(), path: EVIL.into(), permission: EVIL.into(), anonymous: false, bearer: true };
    let fields = ["methods", "path", "permission", "anonymous"].map(|member| (format!("rules[0].{member}"), EVIL.to_owned()));
    let page = PolicyPage {
        draft: Draft::Rows { deny: true, rows: vec![row] },
        problems: Problems { general: vec![EVIL.into()], fields: fields.to_vec() },
        meanwhile: Some(Meanwhile { by: Some(EVIL.into()), base: of(&json!([{"path": EVIL}])) }),
        tried: Tried { method: EVIL.into(), path: EVIL.into(), verdicts: Some((verdict(&Policy::default(), EVIL, EVIL), None)) },
        etag: EVIL.into(),
        form_id: EVIL.into(),
        focus: EVIL.into(),
        done: EVIL.into(),
        ..PolicyPage::of(saved(Policy::default()))
    };
    let json = PolicyPage { draft: Draft::Json(format!("</textarea>{EVIL}")), ..page.clone() };
    for html in [rendered(&page), rendered(&json)] {
        assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(1)"));
        assert!(!html.contains(" style=") && !html.contains("javascript:"));
    }
}

#[test]
fn an_empty_policy_says_what_it_means() {
    let html = rendered(&PolicyPage::of(saved(Policy::default())));
    assert!(html.contains("every valid key may do everything that its owner may"), "{html}");
    let denied = Policy { default: keyward_shared::policy::Fallback::Deny, ..Policy::default() };
    assert!(rendered(&PolicyPage::of(saved(denied))).contains("every request is refused"));
    let html = rendered(&PolicyPage::of(saved(of(&json!([{"path": "/a"}])))));
    assert!(!html.contains("There are no rules") && html.contains("from top to bottom, and the first that matches decides"));
}

#[test]
fn enter_in_a_field_presses_a_button_that_changes_nothing() {
    for draft in [Draft::Rows { deny: false, rows: vec![row("/a")] }, Draft::Json("{}".into())] {
        let html = rendered(&PolicyPage { draft, ..PolicyPage::of(saved(Policy::default())) });
        let form = html.split("id=\"editor\"").nth(1).unwrap();
        let first = form.split("<button").nth(1).unwrap().split('>').next().unwrap();
        assert!(first.contains(r#"name="do" value="check""#), "{first}");
    }
}

#[test]
fn each_row_has_its_fields_and_buttons_and_says_what_is_wrong_with_it() {
    let rows = vec![row("/a"), Row { anonymous: true, ..row("/b") }];
    let problems = Problems { fields: vec![("rules[1].path".into(), "is bad".into())], ..Problems::default() };
    let page = PolicyPage {
        draft: Draft::Rows { deny: true, rows },
        problems,
        focus: "rule-1-path".into(),
        ..PolicyPage::of(saved(Policy::default()))
    };
    let html = rendered(&page);
    for name in ["methods", "path", "passes", "permission", "bearer"] {
        assert_eq!(html.matches(&format!("name=\"{name}\"")).count(), 2, "{name}");
    }
    assert!(html.contains(r#"aria-label="Move rule 2 up""#) && html.contains(r#"value="remove-1""#));
    assert!(html.contains(r#"id="rule-0-up" type="submit" name="do" value="up-0" aria-label="Move rule 1 up" disabled"#), "{html}");
    assert!(html.contains(r#"<small class="problem" id="rule-1-path-problem">is bad</small>"#));
    assert!(
        html.contains(r#"autofocus autocapitalize="none" spellcheck="false" aria-describedby="rule-1-path-problem" aria-invalid="true""#),
        "{html}"
    );
    assert_eq!(html.matches("autofocus").count(), 1);
    assert!(html.contains(r#"<option value="anonymous" selected>"#) && html.contains(r#"<option value="deny" selected>"#));
}

#[test]
fn what_is_wrong_in_json_is_said_by_the_number_of_the_rule() {
    let problems = Problems { fields: vec![("rules[3].path".into(), "is bad".into())], ..Problems::default() };
    let page = PolicyPage { draft: Draft::Json("{}".into()), problems, ..PolicyPage::of(saved(Policy::default())) };
    assert!(rendered(&page).contains("Rule 4, path: is bad"));
}

#[test]
fn what_was_edited_is_compared_with_what_is_saved() {
    let page = PolicyPage {
        compared: true,
        draft: Draft::of(&of(&json!([{"path": "/b"}]))),
        ..PolicyPage::of(saved(of(&json!([{"path": "/a"}]))))
    };
    let html = rendered(&page);
    assert!(
        html.contains("<del>Any method /a") && html.contains("<ins>Any method /b") && html.contains("data-keeps=\"changed\""),
        "{html}"
    );
    let same = PolicyPage { compared: true, ..PolicyPage::of(saved(of(&json!([{"path": "/a"}])))) };
    assert!(rendered(&same).contains("are the same as those that are saved") && rendered(&same).contains("data-keeps=\"saved\""));
}

#[test]
fn the_second_editor_is_shown_what_the_first_one_changed() {
    let meanwhile = Meanwhile { by: Some("ben".into()), base: of(&json!([{"path": "/a"}])) };
    let mine = Draft::of(&of(&json!([{"path": "/mine"}])));
    let html =
        rendered(&PolicyPage { meanwhile: Some(meanwhile), draft: mine, ..PolicyPage::of(saved(of(&json!([{"path": "/theirs"}])))) });
    for expected in [
        "ben has saved another version",
        "<del>Any method /a",
        "<ins>Any method /theirs",
        "<del>Any method /theirs",
        "<ins>Any method /mine",
    ] {
        assert!(html.contains(expected), "{expected}: {html}");
    }
}

#[test]
fn a_tried_request_is_judged_by_both_policies() {
    let try_ = |edited: Option<Verdict>| {
        let tried = Tried { method: "GET".into(), path: "/a".into(), verdicts: Some((verdict(&Policy::default(), "GET", "/a"), edited)) };
        rendered(&PolicyPage { tried, ..PolicyPage::of(saved(Policy::default())) })
    };
    let same = try_(Some(verdict(&Policy::default(), "GET", "/a")));
    assert!(same.contains("No rule matches") && !same.contains("By the rules in the editor"));
    let other = try_(Some(verdict(&of(&json!([{"path": "/a", "anonymous": true}])), "GET", "/a")));
    assert!(other.contains("By the rules in the editor") && other.contains("Passes without a key"));
    assert!(try_(None).contains("cannot be used yet"));
}

#[test]
fn how_far_a_policy_has_come_is_said() {
    let how = |announced: Option<&str>| {
        let object =
            json!({"committed_at": "2026-11-01T08:00:00Z", "announced_at": announced, "expected_by": announced, "effective_by": announced});
        let propagation = serde_json::from_value(object).unwrap();
        rendered(&PolicyPage::of(SavedPolicy { propagation: Some(propagation), ..saved(Policy::default()) }))
    };
    assert!(how(None).contains("not yet") && how(None).contains("will be announced"));
    let told = how(Some("2026-11-01T08:00:01Z"));
    assert!(told.contains("Guaranteed everywhere by") && told.contains("datetime=\"2026-11-01T08:00:01Z\""));
    assert!(rendered(&PolicyPage::of(saved(Policy::default()))).contains("No policy was ever saved"));
}
