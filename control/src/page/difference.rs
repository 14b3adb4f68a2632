//! What was different before and after, as a table that people can read: one row for each field that is not the same.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;

use super::time::moment_of;

/// What fields of the API are called, and what it means that there is nothing in them.
const FIELDS: &[(&str, &str, &str)] = &[
    ("name", "Name", "none"),
    ("owner", "Owner", "none"),
    ("company", "Company", "none"),
    ("email", "Email", "none"),
    ("status", "Status", "none"),
    ("active", "Active", "none"),
    ("expires_at", "Expires", "never"),
    ("permissions", "Permissions", "all of the owner’s"),
    ("allowed_ips", "Networks", "any"),
    ("rate_limit", "Rate limit", "none of its own"),
    ("metadata", "Metadata", "none"),
    ("manages_keys", "May manage keys", "no"),
    ("parent", "Made by the key", "none"),
    ("revoke_reason", "Reason", "none"),
    ("supersedes", "Successor of", "none"),
    ("superseded_by", "Replaced by", "none"),
    ("max_key_lifetime_days", "Longest life of a key, in days", "no limit"),
    ("url", "Leads to", "none"),
    ("events", "Events", "all"),
    ("disabled_reason", "Switched off because", "none"),
    ("default", "Where no rule matches", "none"),
    ("rules", "Rules", "none"),
    ("replayed", "Messages sent again", "0"),
    ("since", "Since", "none"),
    ("delivery", "Message", "none"),
    ("rev", "Revision", "none"),
    ("created_at", "Created", "none"),
    ("exported_at", "Backup of", "none"),
];

/// What changes with everything and says nothing.
const NOISE: [&str; 1] = ["changed_at"];

/// The table; nothing where nothing is known.
pub(super) fn table(before: &Value, after: &Value) -> Markup {
    let rows = rows(before, after);
    let was = !before.is_null();
    let is = !after.is_null();
    html! {
        @if rows.is_empty() {
            @if was && is { p { "Nothing is different." } }
        } @else {
            div.scroll {
                table.difference {
                    thead {
                        tr {
                            th scope="col" { "Field" }
                            @if was { th scope="col" { "Before" } }
                            @if is { th scope="col" { "After" } }
                        }
                    }
                    tbody {
                        @for row in &rows {
                            tr {
                                th scope="row" { (row.label) }
                                @if was { td { (side(&row.before, &row.after, false)) } }
                                @if is { td { (side(&row.after, &row.before, true)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A field that is not the same.
struct Row {
    label: String,
    before: Side,
    after: Side,
}

/// What a field holds, as lines; of nothing, the word for it.
#[derive(PartialEq, Eq)]
struct Side {
    lines: Vec<String>,
    nothing: &'static str,
}

impl Side {
    /// `nothing`: the word for a field without a value. No permissions at all are the opposite of no restriction.
    fn of(name: &str, value: &Value, nothing: &'static str) -> Self {
        let is_empty_list = value.as_array().is_some_and(Vec::is_empty);
        Self { lines: lines(value), nothing: if name == "permissions" && is_empty_list { "none" } else { nothing } }
    }
}

fn rows(before: &Value, after: &Value) -> Vec<Row> {
    if !before.is_object() && !after.is_object() {
        let (before, after) = (Side::of("", before, "none"), Side::of("", after, "none"));
        return if before == after { Vec::new() } else { vec![Row { label: "Value".into(), before, after }] };
    }
    let members = |value: &Value| value.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let names: BTreeSet<String> = members(before).into_iter().chain(members(after)).collect();
    let place = |name: &str| FIELDS.iter().position(|(known, ..)| *known == name).unwrap_or(FIELDS.len());
    let mut names: Vec<String> = names.into_iter().filter(|name| !NOISE.contains(&name.as_str())).collect();
    names.sort_by_key(|name| place(name));
    let row = |name: String| {
        let known = FIELDS.get(place(&name));
        let side = |value: &Value| Side::of(&name, &value[&name], known.map_or("none", |(.., nothing)| nothing));
        let (was, is) = (side(before), side(after));
        // Of what was made, or is gone, the empty fields say nothing.
        if was == is {
            return None;
        }
        let label = known.map_or_else(|| name.replace('_', " "), |(_, label, _)| (*label).to_owned());
        Some(Row { label, before: was, after: is })
    };
    names.into_iter().filter_map(row).collect()
}

/// A value as lines: each entry of a list, each member of an object is one.
fn lines(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(true) => vec!["yes".into()],
        Value::Bool(false) => vec!["no".into()],
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Array(list) => list.iter().map(one_line).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| format!("{name}: {}", one_line(value))).collect(),
    }
}

/// A value in a line.
fn one_line(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| format!("{name}: {}", one_line(value))).collect::<Vec<_>>().join(" · ")
        }
        Value::Array(list) => list.iter().map(one_line).collect::<Vec<_>>().join(", "),
        Value::Null => "none".into(),
        other => lines(other).concat(),
    }
}

/// One side of a row. Of a list that is on both sides, what only this side has is marked.
fn side(Side { lines, nothing }: &Side, Side { lines: other, .. }: &Side, is_after: bool) -> Markup {
    let is_list = lines.len() > 1 || other.len() > 1;
    html! {
        @if lines.is_empty() { span.muted { (nothing) } }
        @if let ([line], false) = (lines.as_slice(), is_list) { (text(line)) }
        @if is_list && !lines.is_empty() {
            ul {
                @for line in lines {
                    li {
                        @if other.contains(line) || other.is_empty() { (text(line)) }
                        @else if is_after { ins { (text(line)) } }
                        @else { del { (text(line)) } }
                    }
                }
            }
        }
    }
}

fn text(line: &str) -> Markup {
    html! { @if let Some(time) = moment_of(line) { (time) } @else { (line) } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text_of(before: &Value, after: &Value) -> String {
        table(before, after).into_string()
    }

    #[test]
    fn only_what_is_different_is_shown_in_words() {
        let html = text_of(
            &json!({"name": "old", "owner": "ann", "permissions": null, "active": true, "changed_at": "2026-01-01T00:00:00Z"}),
            &json!({"name": "new", "owner": "ann", "permissions": ["a", "b"], "active": false, "changed_at": "2027-01-01T00:00:00Z"}),
        );
        assert!(html.contains("<th scope=\"row\">Name</th><td>old</td><td>new</td>"), "{html}");
        assert!(html.contains("all of the owner’s") && html.contains("<li>a</li><li>b</li>"), "{html}");
        assert!(html.contains("<th scope=\"row\">Active</th><td>yes</td><td>no</td>"), "{html}");
        assert!(!html.contains("Owner<") && !html.contains("2027-01-01"), "{html}");
    }

    #[test]
    fn in_a_list_what_came_and_what_went_is_marked() {
        let html = text_of(&json!({"events": ["a", "b"]}), &json!({"events": ["b", "c"]}));
        assert!(html.contains("<li><del>a</del></li><li>b</li>") && html.contains("<li>b</li><li><ins>c</ins></li>"), "{html}");
        let rules = |path: &str| json!({"rules": [{"path": path, "methods": ["GET", "PUT"]}, {"path": "/x"}]});
        let html = text_of(&rules("/a"), &rules("/b"));
        assert!(html.contains("<ins>methods: GET, PUT · path: /b</ins>") && html.contains("<li>path: /x</li>"), "{html}");
    }

    #[test]
    fn no_permission_is_not_taken_for_no_restriction() {
        let html = text_of(&json!({"permissions": ["orders.read"]}), &json!({"permissions": []}));
        assert!(html.contains("orders.read") && html.contains(">none<") && !html.contains("all of"), "{html}");
        let html = text_of(&json!({"permissions": null}), &json!({"permissions": []}));
        assert!(html.contains("all of the owner’s") && html.contains(">none<"), "{html}");
        let made = text_of(&Value::Null, &json!({"name": "Bob", "permissions": []}));
        assert!(made.contains("Permissions") && made.contains(">none<"), "{made}");
    }

    #[test]
    fn of_what_was_made_or_is_gone_there_is_one_side() {
        let made = text_of(&Value::Null, &json!({"name": "x", "rate_limit": null, "expires_at": "2027-01-31T00:00:00Z"}));
        assert!(made.contains(">After<") && !made.contains(">Before<") && !made.contains("Rate limit"), "{made}");
        assert!(made.contains("<time datetime=\"2027-01-31T00:00:00Z\""), "{made}");
        let gone = text_of(&json!({"name": "x"}), &Value::Null);
        assert!(gone.contains(">Before<") && !gone.contains(">After<"), "{gone}");
        assert_eq!(text_of(&Value::Null, &Value::Null), "");
        assert!(text_of(&json!({"name": "x"}), &json!({"name": "x"})).contains("Nothing is different"));
    }

    #[test]
    fn hostile_text_is_text() {
        let evil = "<img src=x onerror=a()>";
        let html = text_of(&json!({evil: evil, "metadata": {evil: [evil, {evil: null}]}}), &json!({"rules": [evil, evil]}));
        assert!(!html.contains("<img") && html.contains("&lt;img"), "{html}");
        assert!(text_of(&json!(evil), &json!([evil, evil])).contains("&lt;img"));
    }
}
