//! A policy while it is being edited: as rows of texts, or as JSON, exactly as typed; and what it means, or what is wrong with it.

use keyward_shared::{
    permission::Permission,
    policy::{Bearer, Fallback, Policy, Rule},
};
use serde_json::json;

use super::form::Problems;
use crate::registry;

/// How many rules are edited as rows; more are edited as JSON, which stays quick.
pub(crate) const MOST_ROWS: usize = 100;

/// What is in the editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Draft {
    /// One row of fields per rule.
    Rows {
        /// Whether what no rule matches is refused.
        deny: bool,
        /// In order.
        rows: Vec<Row>,
    },
    /// A text.
    Json(String),
}

/// A rule as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Separated by commas or spaces; empty: all.
    pub(crate) methods: String,
    pub(crate) path: String,
    /// Empty: any key.
    pub(crate) permission: String,
    pub(crate) anonymous: bool,
    /// Whether other Bearers go to the application.
    pub(crate) bearer: bool,
}

/// Something that a button of the editor does to its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    Add,
    Up(usize),
    Down(usize),
    Remove(usize),
}

impl Edit {
    /// Reads a button's value: `add`, `up-3`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text == "add" {
            return Some(Self::Add);
        }
        let (name, at) = text.split_once('-')?;
        let at = at.parse().ok()?;
        match name {
            "up" => Some(Self::Up(at)),
            "down" => Some(Self::Down(at)),
            "remove" => Some(Self::Remove(at)),
            _ => None,
        }
    }
}

impl Draft {
    /// A policy as the editor shows it: as rows, unless there are many.
    pub(crate) fn of(policy: &Policy) -> Self {
        if policy.rules.len() > MOST_ROWS {
            return Self::as_json(policy);
        }
        let row = |rule: &Rule| Row {
            methods: rule.methods.join(", "),
            path: rule.path.clone(),
            permission: rule.permission.as_ref().map(ToString::to_string).unwrap_or_default(),
            anonymous: rule.anonymous,
            bearer: rule.bearer.is_some(),
        };
        Self::Rows { deny: policy.default == Fallback::Deny, rows: policy.rules.iter().map(row).collect() }
    }

    /// A policy as text, one rule a line.
    pub(crate) fn as_json(policy: &Policy) -> Self {
        let rules: Vec<String> = policy.rules.iter().map(|rule| format!("    {}", json!(rule))).collect();
        let rules = if rules.is_empty() { "[]".to_owned() } else { format!("[\n{}\n  ]", rules.join(",\n")) };
        Self::Json(format!("{{\n  \"default\": {},\n  \"rules\": {rules}\n}}", json!(policy.default)))
    }

    /// What it means. JSON is read as the API reads it.
    pub(crate) fn policy(&self) -> Result<Policy, Problems> {
        match self {
            Self::Json(text) => registry::read_policy(text).map_err(|refused| {
                let fields: Vec<_> = refused.0.errors.into_iter().map(|error| (error.field, error.detail)).collect();
                Problems { general: if fields.is_empty() { vec![sentence(&refused.0.detail)] } else { Vec::new() }, fields }
            }),
            Self::Rows { deny, rows } => from_rows(*deny, rows),
        }
    }

    /// Does what a button says, where there is such a row; gives the id of the control to go on with.
    pub(crate) fn edit(&mut self, edit: Edit) -> Option<String> {
        let Self::Rows { rows, .. } = self else { return None };
        let last = rows.len().checked_sub(1);
        match edit {
            Edit::Add if rows.len() >= MOST_ROWS => None,
            Edit::Add => {
                rows.push(Row::default());
                Some(format!("rule-{}-path", rows.len() - 1))
            }
            Edit::Up(at) if at > 0 && Some(at) <= last => {
                rows.swap(at, at - 1);
                Some(if at == 1 { "rule-0-down".into() } else { format!("rule-{}-up", at - 1) })
            }
            Edit::Down(at) if Some(at) < last => {
                rows.swap(at, at + 1);
                Some(if Some(at + 1) == last { format!("rule-{}-up", at + 1) } else { format!("rule-{}-down", at + 1) })
            }
            Edit::Remove(at) if Some(at) <= last => {
                rows.remove(at);
                let next = at.min(rows.len().saturating_sub(1));
                Some(if rows.is_empty() { "add-rule".into() } else { format!("rule-{next}-remove") })
            }
            _ => None,
        }
    }
}

fn from_rows(deny: bool, rows: &[Row]) -> Result<Policy, Problems> {
    let mut problems = Problems::default();
    let mut rules = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let permission = Some(&row.permission).filter(|text| !text.is_empty()).and_then(|text| {
            Permission::new(text).map_err(|error| problems.fields.push((format!("rules[{at}].permission"), error.to_string()))).ok()
        });
        if row.path.is_empty() {
            problems.fields.push((format!("rules[{at}].path"), "is required, for example /orders/**".into()));
        }
        rules.push(Rule {
            methods: words(&row.methods).map(str::to_ascii_uppercase).collect(),
            path: row.path.clone(),
            permission,
            anonymous: row.anonymous,
            bearer: row.bearer.then_some(Bearer::Origin),
        });
    }
    let policy = Policy { default: if deny { Fallback::Deny } else { Fallback::Forward }, rules };
    for error in policy.problems() {
        // A path that is missing has been said to be.
        if problems.of(&error.field).is_none() {
            problems.fields.push((error.field, error.detail));
        }
    }
    if problems.is_empty() { Ok(policy) } else { Err(problems) }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',', '\t']).filter(|word| !word.is_empty())
}

/// A detail of the API as a sentence.
fn sentence(detail: &str) -> String {
    let mut chars = detail.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: &str) -> Policy {
        serde_json::from_str(json).unwrap()
    }

    fn every_kind() -> Policy {
        policy(
            r#"{"default":"deny","rules":[{"methods":["GET","PUT"],"path":"/a/**","permission":"a.read"},
            {"path":"/b","anonymous":true},{"path":"/c","bearer":"origin"},{"path":"/*/d","permission":"d.*","bearer":"origin"},{"path":"/"}]}"#,
        )
    }

    fn row(path: &str) -> Row {
        Row { path: path.into(), ..Row::default() }
    }

    #[test]
    fn a_policy_comes_back_from_rows_and_from_json_as_it_was() {
        for policy in [every_kind(), Policy::default(), policy(r#"{"rules":[{"path":"/café"}]}"#)] {
            assert_eq!(Draft::of(&policy).policy(), Ok(policy.clone()));
            assert_eq!(Draft::as_json(&policy).policy(), Ok(policy));
        }
    }

    #[test]
    fn many_rules_are_edited_as_json() {
        let many = |n: usize| Policy {
            rules: (0..n).map(|n| Rule { path: format!("/{n}"), ..every_kind().rules[4].clone() }).collect(),
            ..Policy::default()
        };
        assert!(matches!(Draft::of(&many(MOST_ROWS)), Draft::Rows { .. }));
        let draft = Draft::of(&many(MOST_ROWS + 1));
        assert!(matches!(draft, Draft::Json(_)));
        assert_eq!(draft.policy(), Ok(many(MOST_ROWS + 1)));
    }

    #[test]
    fn what_is_wrong_is_said_at_the_rule() {
        let rows = vec![
            row("/fine"),
            row(""),
            Row { methods: "get, po$t".into(), ..row("/a") },
            Row { permission: "Orders Read".into(), ..row("/a/**/b") },
            Row { anonymous: true, permission: "a".into(), ..row("/a") },
            Row { anonymous: true, bearer: true, ..row("/a") },
            Row { anonymous: true, permission: "A".into(), ..row("/a") },
        ];
        let problems = Draft::Rows { deny: false, rows }.policy().unwrap_err();
        let fields: Vec<_> = problems.fields.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "rules[1].path",
                "rules[3].permission",
                "rules[6].permission",
                "rules[2].methods",
                "rules[3].path",
                "rules[4].anonymous",
                "rules[5].anonymous",
            ],
            "{problems:?}"
        );
        let json = r#"{"rules":[{"path":"/a"},{"path":"a//b"}]}"#;
        assert_eq!(Draft::Json(json.into()).policy().unwrap_err().fields[0].0, "rules[1].path");
        for bad in ["", "[]", "{", r#"{"rules":[[]]}"#, r#"{"rules":[{"path":"/a","permission":"A"}]}"#, r#"{"default":"allow"}"#] {
            let problems = Draft::Json(bad.into()).policy().unwrap_err();
            assert_eq!(problems.general.len(), 1, "{bad}: {problems:?}");
        }
    }

    #[test]
    fn methods_are_typed_in_any_way() {
        let rows = vec![Row { methods: " get,Put  delete,, ".into(), ..row("/a") }];
        assert_eq!(Draft::Rows { deny: false, rows }.policy().unwrap().rules[0].methods, ["GET", "PUT", "DELETE"]);
    }

    #[test]
    fn buttons_add_move_and_remove_rows_and_say_where_to_go_on() {
        let paths = |draft: &Draft| match draft {
            Draft::Rows { rows, .. } => rows.iter().map(|row| row.path.clone()).collect::<Vec<_>>().concat(),
            Draft::Json(_) => panic!("rows"),
        };
        let mut draft = Draft::Rows { deny: false, rows: vec![row("a"), row("b"), row("c")] };
        for (button, after, focus) in [
            ("up-2", "acb", Some("rule-1-up")),
            ("up-1", "cab", Some("rule-0-down")),
            ("up-0", "cab", None),
            ("down-0", "acb", Some("rule-1-down")),
            ("down-1", "abc", Some("rule-2-up")),
            ("down-2", "abc", None),
            ("remove-9", "abc", None),
            ("up-99999999999999999999", "abc", None),
            ("add", "abc", Some("rule-3-path")),
            ("remove-1", "ac", Some("rule-1-remove")),
            ("remove-2", "ac", Some("rule-1-remove")),
            ("remove-1", "a", Some("rule-0-remove")),
            ("remove-0", "", Some("add-rule")),
            ("remove-0", "", None),
            ("down-0", "", None),
            ("up-0", "", None),
        ] {
            let found = Edit::read(button).and_then(|edit| draft.edit(edit));
            assert_eq!((paths(&draft).as_str(), found.as_deref()), (after, focus), "{button}");
        }
        for none in ["", "save", "up", "up-", "up--1", "sideways-1"] {
            assert_eq!(Edit::read(none), None, "{none}");
        }
        assert_eq!(Draft::Json("{}".into()).edit(Edit::Add), None);
        let mut full = Draft::Rows { deny: false, rows: vec![Row::default(); MOST_ROWS] };
        assert_eq!(full.edit(Edit::Add), None);
    }
}
