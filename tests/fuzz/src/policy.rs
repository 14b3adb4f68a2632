//! The route policy, against looking at every rule in order with decoded segments.

use keyward_shared::{
    json, path,
    policy::{CompiledPolicy, Fallback, Policy, PolicyError, Requirement, Rule, StoredPolicy, VERSION},
    secret::SecretList,
    time::Millis,
};

use crate::input;

/// First line a method, second a path, then a policy as JSON. Both JSON readers read the same policy. Where nothing is wrong
/// with it, the compiled one asks what the naive reading asks, of this path with and without a slash at its end, and it
/// comes back from the store as it went there; where something is wrong it never comes back.
pub fn policy(data: &[u8]) {
    let Some([method, path, body]) = input::lines(data) else { return };
    let Ok(policy) = serde_json::from_str::<Policy>(body) else { return };
    if let Ok(same) = json::from_str::<Policy>(body) {
        assert_eq!(same, policy);
    }
    let secrets = SecretList::single([3; 32]);
    let stored = StoredPolicy { v: VERSION, rev: 7, as_of: Millis(9), policy };
    let opened = StoredPolicy::open(&secrets, &stored.seal(&secrets).unwrap());
    let policy = &stored.policy;
    let problems = policy.problems();
    if !problems.is_empty() {
        assert!(matches!(opened, Err(PolicyError::Rules)));
        assert!(problems.iter().all(|problem| problem.field.starts_with("rules")));
        return;
    }
    assert_eq!(opened.unwrap(), stored);

    let compiled = CompiledPolicy::new(policy);
    let other = if path.ends_with('/') { path.strip_suffix('/').unwrap_or_default().to_owned() } else { format!("{path}/") };
    for path in [path, &other] {
        if path::check(path).is_ok() {
            assert_eq!(compiled.requirement(method, path), asked(policy, method, path), "{method} {path}");
        }
    }
}

fn asked<'p>(policy: &'p Policy, method: &str, path: &str) -> Requirement<'p> {
    for rule in &policy.rules {
        if names_method(rule, method) && names_path(&rule.path, path) {
            return if rule.anonymous {
                Requirement::Anonymous
            } else {
                Requirement::Key { permission: rule.permission.as_ref(), bearer_to_origin: rule.bearer.is_some() }
            };
        }
    }
    match policy.default {
        Fallback::Forward => Requirement::Key { permission: None, bearer_to_origin: false },
        Fallback::Deny => Requirement::Denied,
    }
}

/// HEAD follows GET, unless the rule names HEAD itself.
fn names_method(rule: &Rule, method: &str) -> bool {
    rule.methods.is_empty()
        || rule.methods.iter().any(|named| named == method)
        || (method == "HEAD" && rule.methods.iter().any(|named| named == "GET"))
}

fn names_path(pattern: &str, path: &str) -> bool {
    fn fits(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) | (["**"], _) => true,
            ([want, pattern @ ..], [got, path @ ..]) => (*want == "*" || decoded(want) == decoded(got)) && fits(pattern, path),
            _ => false,
        }
    }
    fits(&segments(pattern), &segments(path))
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

fn decoded(segment: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(segment).collect()
}
