//! A policy in words: each rule as a line, the difference between two policies, and what a request would get. The last by the code that
//! the edges decide with.

use keyward_shared::{
    path,
    policy::{CompiledPolicy, Fallback, Policy, Requirement, Rule},
};
use maud::{Markup, html};

/// Beyond this many pairs of lines the difference is not looked for line by line.
const MOST_PAIRS: usize = 1_000_000;
/// How many lines around a change are shown.
const AROUND: usize = 2;

/// A rule in words.
pub(super) fn rule_line(rule: &Rule) -> String {
    let methods = if rule.methods.is_empty() { "Any method".to_owned() } else { rule.methods.join(", ") };
    let asks = match (rule.anonymous, &rule.permission) {
        (true, _) => "everybody, without a key".to_owned(),
        (false, None) => "any valid key".to_owned(),
        (false, Some(permission)) => format!("a key with {permission}"),
    };
    let bearer = if rule.bearer.is_some() { "; other Bearer tokens go to the application" } else { "" };
    format!("{methods} {} → {asks}{bearer}", rule.path)
}

fn default_line(default: Fallback) -> String {
    match default {
        Fallback::Forward => "Everything else → any valid key".into(),
        Fallback::Deny => "Everything else → refused".into(),
    }
}

/// A policy, line by line.
fn lines(policy: &Policy) -> Vec<String> {
    policy.rules.iter().map(rule_line).chain([default_line(policy.default)]).collect()
}

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Same(String),
    Removed(String),
    Added(String),
}

/// What turns `before` into `after`, in order.
pub(super) fn difference(before: &Policy, after: &Policy) -> Vec<Line> {
    let (a, b) = (lines(before), lines(after));
    let start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (a_rest, b_rest) = (a.split_at(start).1, b.split_at(start).1);
    let end = a_rest.iter().rev().zip(b_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a_mid, b_mid) = (a_rest.split_at(a_rest.len() - end).0, b_rest.split_at(b_rest.len() - end).0);
    let mut found: Vec<Line> = a.iter().take(start).cloned().map(Line::Same).collect();
    found.extend(middle(a_mid, b_mid));
    found.extend(a_rest.split_at(a_rest.len() - end).1.iter().cloned().map(Line::Same));
    found
}

/// The difference of two lists by their longest common subsequence.
fn middle(a: &[String], b: &[String]) -> Vec<Line> {
    if a.len().saturating_mul(b.len()) > MOST_PAIRS {
        return a.iter().cloned().map(Line::Removed).chain(b.iter().cloned().map(Line::Added)).collect();
    }
    let width = b.len() + 1;
    let mut common = vec![0_u32; (a.len() + 1) * width];
    let at = |i: usize, j: usize| i * width + j;
    let get = |common: &[u32], i: usize, j: usize| common.get(at(i, j)).copied().unwrap_or_default();
    for (i, left) in a.iter().enumerate().rev() {
        for (j, right) in b.iter().enumerate().rev() {
            let best = if left == right { get(&common, i + 1, j + 1) + 1 } else { get(&common, i + 1, j).max(get(&common, i, j + 1)) };
            if let Some(place) = common.get_mut(at(i, j)) {
                *place = best;
            }
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    loop {
        match (a.get(i), b.get(j)) {
            (Some(left), Some(right)) if left == right => {
                found.push(Line::Same(left.clone()));
                (i, j) = (i + 1, j + 1);
            }
            (Some(left), right) if right.is_none() || get(&common, i + 1, j) >= get(&common, i, j + 1) => {
                found.push(Line::Removed(left.clone()));
                i += 1;
            }
            (_, Some(right)) => {
                found.push(Line::Added(right.clone()));
                j += 1;
            }
            (_, None) => return found,
        }
    }
}

/// How many lines differ.
pub(super) fn changes(difference: &[Line]) -> usize {
    difference.iter().filter(|line| !matches!(line, Line::Same(_))).count()
}

/// A difference to read: the changes and what is around them.
pub(super) fn shown(difference: &[Line]) -> Markup {
    let near = |at: usize| {
        let around = difference.iter().skip(at.saturating_sub(AROUND)).take(at.min(AROUND) + 1 + AROUND);
        around.into_iter().any(|line| !matches!(line, Line::Same(_)))
    };
    let mut skipped = 0;
    let mut parts: Vec<Markup> = Vec::new();
    let skip = |skipped: &mut usize, parts: &mut Vec<Markup>| {
        if *skipped > 0 {
            parts.push(html! { li.skipped { (skipped) @if *skipped == 1 { " unchanged line" } @else { " unchanged lines" } } });
            *skipped = 0;
        }
    };
    for (at, line) in difference.iter().enumerate() {
        if !near(at) {
            skipped += 1;
            continue;
        }
        skip(&mut skipped, &mut parts);
        parts.push(match line {
            Line::Same(text) => html! { li { (text) } },
            Line::Removed(text) => html! { li.removed { span.hidden-text { "Removed: " } del { (text) } } },
            Line::Added(text) => html! { li.added { span.hidden-text { "Added: " } ins { (text) } } },
        });
    }
    skip(&mut skipped, &mut parts);
    html! {
        @if changes(difference) == 0 { p { "No difference." } }
        @else { ul.difference { @for part in parts { (part) } } }
    }
}

/// What a policy says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Refused before any rule is looked at, because of this.
    TwoReadings(String),
    /// Keyward answers it itself.
    Own,
    /// A rule decides, counted from 1; in words, and what it asks for.
    Rule(usize, String, String),
    /// No rule matches; what is asked for then.
    Default(String),
}

/// What `policy`, which has no problems, says of a request.
pub(crate) fn verdict(policy: &Policy, method: &str, path: &str) -> Verdict {
    if path.starts_with("/.keyward/") {
        return Verdict::Own;
    }
    if let Err(why) = path::check(path) {
        return Verdict::TwoReadings(why.to_string());
    }
    let compiled = CompiledPolicy::new(policy);
    let asks = asks(compiled.requirement(method, path));
    match compiled.first_match(method, path).and_then(|at| Some((at, policy.rules.get(at)?))) {
        Some((at, rule)) => Verdict::Rule(at + 1, rule_line(rule), asks),
        None => Verdict::Default(asks),
    }
}

fn asks(requirement: Requirement<'_>) -> String {
    match requirement {
        Requirement::Denied => "Refused: 403 with a valid key, 401 without one.".into(),
        Requirement::Anonymous => "Passes without a key. A valid key gives its identity all the same; a bad one is refused.".into(),
        Requirement::Key { permission, bearer_to_origin } => {
            let key = match permission {
                Some(permission) => format!("Needs a valid key with the permission {permission}."),
                None => "Needs a valid key; the application decides what its owner may do.".into(),
            };
            if bearer_to_origin { format!("{key} Other Bearer tokens are passed on to the application, which checks them.") } else { key }
        }
    }
}

impl Verdict {
    /// In words.
    pub(super) fn shown(&self) -> Markup {
        match self {
            Self::TwoReadings(why) => html! {
                p { strong { "Refused with 400" } " before any rule is looked at, for everybody: " (why) ", so it has more than one reading." }
            },
            Self::Own => {
                html! { p { strong { "Keyward's own" } ": the edge answers what begins with /.keyward/ itself; no rule is asked." } }
            }
            Self::Rule(number, line, asks) => html! { p { strong { "Rule " (number) } " decides: " code { (line) } } p { (asks) } },
            Self::Default(asks) => {
                html! { p { strong { "No rule matches" } ", so what is said for everything else decides." } p { (asks) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: &str) -> Policy {
        serde_json::from_str(json).unwrap()
    }

    fn of_paths(paths: &str) -> Policy {
        let rule = |c: char| policy(&format!(r#"{{"rules":[{{"path":"/{c}"}}]}}"#)).rules.remove(0);
        Policy { rules: paths.chars().map(rule).collect(), ..Policy::default() }
    }

    #[test]
    fn each_kind_of_rule_reads_as_what_it_asks() {
        let rules = policy(
            r#"{"rules":[{"methods":["GET","PUT"],"path":"/a","permission":"a.b"},{"path":"/b","anonymous":true},
            {"path":"/c","bearer":"origin"},{"path":"/d"}]}"#,
        );
        assert_eq!(
            lines(&rules),
            [
                "GET, PUT /a → a key with a.b",
                "Any method /b → everybody, without a key",
                "Any method /c → any valid key; other Bearer tokens go to the application",
                "Any method /d → any valid key",
                "Everything else → any valid key",
            ]
        );
    }

    /// The difference as one text: what is removed after `-`, what is added after `+`.
    fn told(before: &str, after: &str) -> String {
        let path = |text: &str| text.split('/').nth(1).and_then(|rest| rest.chars().next()).map_or_else(|| ".".into(), String::from);
        let line = |line: &Line| match line {
            Line::Same(text) => path(text),
            Line::Removed(text) => format!("-{}", path(text)),
            Line::Added(text) => format!("+{}", path(text)),
        };
        difference(&of_paths(before), &of_paths(after)).iter().map(line).collect()
    }

    #[test]
    fn a_difference_is_as_small_as_it_can_be() {
        for (before, after, expected) in [
            ("abc", "abc", "abc."),
            ("", "", "."),
            ("abc", "ac", "a-bc."),
            ("ac", "abc", "a+bc."),
            ("abc", "cab", "+cab-c."),
            ("", "ab", "+a+b."),
            ("ab", "", "-a-b."),
            ("abcd", "xbcy", "-a+xbc-d+y."),
            ("aab", "ab", "a-ab."),
        ] {
            assert_eq!(told(before, after), expected, "{before} {after}");
        }
        let denied = Policy { default: Fallback::Deny, ..of_paths("a") };
        let found = difference(&of_paths("a"), &denied);
        assert_eq!(changes(&found), 2);
        assert_eq!(found[2], Line::Added("Everything else → refused".into()));
    }

    #[test]
    fn a_large_difference_is_still_told() {
        let rules = |start: usize| Policy {
            rules: (start..start + 2_000).map(|n| Rule { path: format!("/{n}"), ..of_paths("a").rules[0].clone() }).collect(),
            ..Policy::default()
        };
        let found = difference(&rules(0), &rules(5_000));
        assert_eq!((found.len(), changes(&found)), (4_001, 4_000));
        assert_eq!(changes(&difference(&rules(0), &rules(1))), 4_000, "past the limit all that is not at an end counts as changed");
    }

    #[test]
    fn what_is_far_from_a_change_is_only_counted() {
        let html = shown(&difference(&of_paths("abcdefgh"), &of_paths("abcdefghi"))).into_string();
        assert!(html.contains("6 unchanged lines") && html.contains("/g →") && !html.contains("/f →"), "{html}");
        assert!(html.contains("<ins>Any method /i → any valid key</ins>") && html.contains("Everything else"));
        assert!(shown(&difference(&of_paths("a"), &of_paths("a"))).into_string().contains("No difference"));
    }

    #[test]
    fn a_request_gets_what_the_edges_code_says() {
        let rules = policy(
            r#"{"default":"deny","rules":[{"methods":["GET"],"path":"/orders/**","permission":"orders.read"},{"path":"/orders/**","permission":"orders.write"},
            {"path":"/public/**","anonymous":true},{"path":"/app","bearer":"origin"},{"path":"/café"}]}"#,
        );
        let number = |method: &str, path: &str| match verdict(&rules, method, path) {
            Verdict::Rule(number, ..) => number.to_string(),
            Verdict::Default(asks) => asks.split(':').next().unwrap().to_owned(),
            Verdict::TwoReadings(_) => "two".into(),
            Verdict::Own => "own".into(),
        };
        for (method, path, expected) in [
            ("GET", "/orders/7", "1"),
            ("HEAD", "/orders/", "1"),
            ("POST", "/orders/7/lines", "2"),
            ("PROPFIND", "/orders", "2"),
            ("GET", "/public", "3"),
            ("GET", "/app/", "4"),
            ("GET", "/caf%C3%A9", "5"),
            ("GET", "/ORDERS", "Refused"),
            ("GET", "/", "Refused"),
            ("GET", "/orders/../app", "two"),
            ("GET", "/orders//7", "two"),
            ("GET", "/orders%2F7", "two"),
            ("GET", "/%6Frders", "two"),
            ("GET", "/orders;x", "two"),
            ("GET", "/orders\\7", "two"),
            ("GET", "/orders.", "two"),
            ("GET", "/café", "two"),
            ("GET", "/%ff", "two"),
            ("GET", "/%zz", "two"),
            ("GET", "orders", "two"),
            ("GET", "", "two"),
            ("GET", "/.keyward/introspect", "own"),
        ] {
            assert_eq!(number(method, path), expected, "{method} {path}");
        }
        assert!(verdict(&Policy::default(), "GET", "/x").shown().into_string().contains("the application decides"));
        let html = verdict(&rules, "GET", "/app").shown().into_string();
        assert!(html.contains("Rule 4") && html.contains("Other Bearer tokens are passed on"), "{html}");
    }
}
