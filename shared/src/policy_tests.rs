//! The rules of the route policy, one table each.

use super::*;

fn policy(json: &str) -> CompiledPolicy {
    let policy: Policy = serde_json::from_str(json).unwrap();
    assert_eq!(policy.problems(), vec![]);
    CompiledPolicy::new(&policy)
}

fn asked(policy: &CompiledPolicy, method: &str, path: &str) -> String {
    match policy.requirement(method, path) {
        Requirement::Denied => "denied".into(),
        Requirement::Anonymous => "anonymous".into(),
        Requirement::Key { permission, bearer_to_origin } => {
            format!("{}{}", permission.map_or("key", Permission::as_str), if bearer_to_origin { " or bearer" } else { "" })
        }
    }
}

#[test]
fn the_first_rule_that_matches_wins() {
    let policy = policy(
        r#"{"default":"deny","rules":[
            {"methods":["GET"],"path":"/api/orders/**","permission":"orders.read"},
            {"path":"/api/*/secret","permission":"secrets.read"},
            {"path":"/api/orders/**","permission":"orders.write"},
            {"path":"/public/**","anonymous":true},
            {"path":"/app/**","bearer":"origin"},
            {"path":"/exact"},
            {"methods":["GET"],"path":"/head","permission":"get"},
            {"methods":["HEAD"],"path":"/head","permission":"head"},
            {"methods":["HEAD"],"path":"/only-head"},
            {"path":"/caf%C3%A9/x","permission":"coffee"},
            {"path":"/","permission":"home"}]}"#,
    );
    for (method, path, expected) in [
        ("GET", "/api/orders", "orders.read"),
        ("GET", "/api/orders/1/lines", "orders.read"),
        ("HEAD", "/api/orders/1", "orders.read"),
        ("POST", "/api/orders/1", "orders.write"),
        ("POST", "/api/orders/secret", "secrets.read"),
        ("GET", "/api/customers/secret", "secrets.read"),
        ("GET", "/api/customers", "denied"),
        ("get", "/api/orders", "orders.write"),
        ("GET", "/public/a/b", "anonymous"),
        ("GET", "/publicx", "denied"),
        ("GET", "/app/x", "key or bearer"),
        ("GET", "/exact", "key"),
        ("GET", "/exact/", "key"),
        ("GET", "/exact/x", "denied"),
        ("GET", "/Exact", "denied"),
        ("GET", "/head", "get"),
        ("HEAD", "/head", "get"),
        ("HEAD", "/only-head", "key"),
        ("GET", "/only-head", "denied"),
        ("GET", "/caf%c3%a9/x", "coffee"),
        ("GET", "/", "home"),
    ] {
        assert_eq!(asked(&policy, method, path), expected, "{method} {path}");
    }
}

#[test]
fn the_documentations_policies_can_be_used_and_ask_what_it_says() {
    let page = include_str!("../../docs/policy.md");
    let examples: Vec<&str> = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 5);
    let compiled: Vec<_> = examples.into_iter().map(policy).collect();
    let cells = |line: &'static str| line.split('`').skip(1).step_by(2).collect::<Vec<_>>();
    let table = page.lines().skip_while(|line| *line != "| request | asks for |").skip(2).take_while(|line| line.starts_with('|'));
    let mut rows = 0;
    for line in table {
        let [request, expected] = cells(line)[..] else { panic!("{line}") };
        let (method, path) = request.split_once(' ').unwrap();
        assert_eq!(asked(&compiled[0], method, path), expected, "{request}");
        rows += 1;
    }
    assert_eq!(rows, 13);
}

#[test]
fn a_first_segment_is_recognized_however_it_is_encoded() {
    for (pattern, path) in [
        ("/a:b/**", "/a%3Ab/c"),
        ("/a%3ab/**", "/a:b/c"),
        ("/@me", "/%40me"),
        ("/!x", "/%21x"),
        ("/caf%C3%A9", "/caf%c3%a9"),
        ("/café/*", "/caf%C3%A9/1"),
        ("/%2A/x", "/*/x"),
        ("/a-b.c_d~e", "/a-b.c_d~e"),
    ] {
        let json = format!(r#"{{"default":"deny","rules":[{{"path":"{pattern}","permission":"a"}}]}}"#);
        assert_eq!(path::check(path), Ok(()));
        assert_eq!(asked(&policy(&json), "GET", path), "a", "{pattern} {path}");
    }
}

#[test]
fn as_shipped_any_valid_key_is_forwarded() {
    assert_eq!(asked(&CompiledPolicy::new(&Policy::default()), "GET", "/x"), "key");
    assert_eq!(asked(&policy("{}"), "DELETE", "/"), "key");
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let policy: Policy = serde_json::from_str(
        r#"{"rules":[{"path":"api"},{"path":"/a/**/b"},{"path":"/a*"},{"path":"/a//b"},{"path":"/x","methods":["get"]},
            {"path":"/x","anonymous":true,"permission":"a"}]}"#,
    )
    .unwrap();
    let details: Vec<_> = policy.problems().into_iter().take(3).map(|problem| problem.detail).collect();
    assert_eq!(details, ["the path does not begin with a slash", "** may only stand at the end", "* must be a whole segment"]);
    let fields: Vec<_> = policy.problems().into_iter().map(|problem| problem.field).collect();
    assert_eq!(fields, ["rules[0].path", "rules[1].path", "rules[2].path", "rules[3].path", "rules[4].methods", "rules[5].anonymous"]);
    assert!(serde_json::from_str::<Policy>(r#"{"rules":[{"path":"/x","permision":"a"}]}"#).is_err());
}

#[test]
fn a_rule_is_held_to_its_limits() {
    let wrong = |methods: &[&str], path: &str| {
        let rule = Rule {
            methods: methods.iter().map(ToString::to_string).collect(),
            path: path.into(),
            permission: None,
            anonymous: false,
            bearer: None,
        };
        let problems = Policy { default: Fallback::Deny, rules: vec![rule] }.problems();
        problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>().join(" ")
    };
    for (method, good) in [
        ("GET", true),
        ("M-SEARCH", true),
        ("A".repeat(32).as_str(), true),
        ("A".repeat(33).as_str(), false),
        ("", false),
        ("get", false),
        ("G3T", false),
    ] {
        assert_eq!(wrong(&["GET", method], "/x").is_empty(), good, "{method}");
    }
    let path = |length: usize| format!("/{}", "x".repeat(length - 1));
    assert_eq!((wrong(&[], &path(1024)), wrong(&[], &path(1025))), (String::new(), "rules[0].path".into()));

    let rule = Rule { methods: vec![], path: "/x".into(), permission: None, anonymous: false, bearer: None };
    let many = |count: usize| Policy { default: Fallback::Deny, rules: vec![rule.clone(); count] }.problems();
    assert_eq!(many(MAX_RULES), vec![]);
    assert_eq!(many(MAX_RULES + 1).into_iter().map(|problem| problem.field).collect::<Vec<_>>(), ["rules"]);
}

/// Whether a rule matches, read as the documentation says it.
fn matches(rule: &Rule, method: &str, path: &str) -> bool {
    let takes = |method: &str| rule.methods.is_empty() || rule.methods.iter().any(|named| named == method);
    let (wanted, got): (Vec<_>, Vec<_>) = (segments(&rule.path).collect(), segments(path).collect());
    let (stem, is_open) = match wanted.split_last() {
        Some((&"**", stem)) => (stem, true),
        _ => (&wanted[..], false),
    };
    let same = |(want, got): (&&str, &&str)| *want == "*" || path::decoded(want.as_bytes()) == path::decoded(got.as_bytes());
    let fits = if is_open { got.len() >= stem.len() } else { got.len() == stem.len() };
    (takes(method) || (method == "HEAD" && takes("GET"))) && fits && stem.iter().zip(&got).all(same)
}

#[test]
fn matching_agrees_with_looking_at_every_rule_in_order() {
    let paths = [
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/b/c",
        "/b",
        "/b/c/d",
        "/b/c/d/e",
        "/c",
        "/%C3%A9",
        "/%c3%a9/a",
        "/a:b",
        "/a%3Ab",
        "/a%3ab/c",
        "/%2A",
        "/*",
    ];
    let patterns = [
        "/a", "/*", "/a/**", "/**", "/b/*/d", "/é", "/%c3%a9", "/c", "/a/*/c", "/a/b", "/*/c/**", "/a:b/**", "/a%3Ab", "/", "/*/*", "/%2A",
    ];
    let methods: [&[&str]; 5] = [&[], &["GET"], &["HEAD"], &["POST", "GET"], &["DELETE"]];
    let rules: Vec<_> = (0..320)
        .map(|n: usize| Rule {
            methods: methods[(n / 3 + n / 16) % methods.len()].iter().map(ToString::to_string).collect(),
            path: patterns[(n * 5 + n / 16) % patterns.len()].into(),
            permission: Permission::new(&format!("p{n}")).ok(),
            anonymous: false,
            bearer: None,
        })
        .collect();
    let mut places = std::collections::BTreeSet::new();
    for skipped in 0..rules.len() {
        let policy = Policy { default: Fallback::Deny, rules: rules[skipped..].to_vec() };
        assert!(policy.is_usable());
        let compiled = CompiledPolicy::new(&policy);
        for path in paths {
            for method in ["GET", "HEAD", "POST", "PUT"] {
                let naive = policy.rules.iter().position(|rule| matches(rule, method, path));
                assert_eq!(compiled.first_match(method, path), naive, "{method} {path}");
                let permission =
                    naive.map(|at| Requirement::Key { permission: rules[skipped + at].permission.as_ref(), bearer_to_origin: false });
                assert_eq!(compiled.requirement(method, path), permission.unwrap_or(Requirement::Denied));
                places.insert(naive);
            }
        }
    }
    assert!(places.len() > 20 && places.contains(&None), "{places:?}");
}

#[test]
fn the_stored_form_is_the_golden_one_and_a_broken_policy_is_refused() {
    let secrets = SecretList::single([3; 32]);
    let policy: Policy =
        serde_json::from_str(r#"{"default":"deny","rules":[{"methods":["GET"],"path":"/a/**","permission":"a.read"}]}"#).unwrap();
    let stored = StoredPolicy { v: VERSION, rev: 7, as_of: Millis(1_795_000_000_000), policy };
    let text = stored.seal(&secrets).unwrap();
    assert_eq!(text, include_str!("../golden/policy-v1.txt").trim_end());
    assert_eq!(StoredPolicy::open(&secrets, &text).unwrap(), stored);

    let newer = StoredPolicy { v: 2, ..stored.clone() }.seal(&secrets).unwrap();
    assert!(matches!(StoredPolicy::open(&secrets, &newer), Err(PolicyError::Version)));
    let mut broken = stored;
    broken.policy.rules[0].path = "a".into();
    assert!(matches!(StoredPolicy::open(&secrets, &broken.seal(&secrets).unwrap()), Err(PolicyError::Rules)));
}

#[test]
fn a_rules_path_can_be_told_by_its_place() {
    for (written, told) in [("/a/b", "/a/b"), ("/", "/"), ("/**", "/**"), ("/a/*/c/**", "/a/*/c/**"), ("/a/", "/a")] {
        let policy = Policy { rules: vec![serde_json::from_value(serde_json::json!({"path": written})).unwrap()], ..Policy::default() };
        let compiled = CompiledPolicy::new(&policy);
        assert_eq!((compiled.path_of(0), compiled.path_of(1)), (Some(told), None), "{written}");
    }
}

#[test]
fn the_first_match_is_the_rule_that_the_requirement_goes_by() {
    let policy: Policy = serde_json::from_str(
        r#"{"default":"deny","rules":[{"path":"/a/b","permission":"x.0"},{"path":"/*/b","permission":"x.1"},{"path":"/a/**","permission":"x.2"}]}"#,
    )
    .unwrap();
    let compiled = CompiledPolicy::new(&policy);
    for (path, first) in [("/a/b", Some(0)), ("/c/b", Some(1)), ("/a/c", Some(2)), ("/a", Some(2)), ("/c", None)] {
        assert_eq!(compiled.first_match("GET", path), first, "{path}");
        let asked = match compiled.requirement("GET", path) {
            Requirement::Key { permission, .. } => permission.map(ToString::to_string),
            Requirement::Denied | Requirement::Anonymous => None,
        };
        assert_eq!(asked, first.map(|at| format!("x.{at}")), "{path}");
    }
}
