//! Permissions, against what they stand for: the set of plain names that they cover.

use keyward_shared::{
    json,
    permission::{MAX_COUNT, MAX_LEN, OPERATOR, Permission, PermissionSet},
};

use crate::input;

/// Two lists of permissions, one on a line, with an empty line between. A permission is well-formed exactly where the
/// grammar says so; a set allows, covers, intersects and loses the operator as the sets of names do that they stand for,
/// and is the same whatever the order it was made in.
pub fn permissions(data: &[u8]) {
    let Some(text) = input::text(data) else { return };
    let (left, right) = text.split_once("\n\n").unwrap_or((text, ""));
    let (Some(a), Some(b)) = (set(left), set(right)) else { return };
    let universe = universe(text, &[&a, &b]);
    let has = |set: &PermissionSet, name: &str| set.iter().any(|permission| stands_for(permission.as_str(), name));

    let both = a.intersection(&b);
    for name in &universe {
        for set in [&a, &b, &both] {
            if let Ok(asked) = Permission::new(name) {
                assert_eq!(set.allows(&asked), has(set, name), "{set:?} {name}");
            }
            let operators = *name == OPERATOR;
            assert_eq!(has(&set.without_operator(), name), has(set, name) && !operators, "{set:?} {name}");
        }
        assert_eq!(has(&both, name), has(&a, name) && has(&b, name), "{a:?} {b:?} {name}");
    }
    for (one, other) in [(&a, &b), (&b, &a), (&a, &both), (&both, &a)] {
        let all = universe.iter().all(|name| has(one, name) || !has(other, name));
        assert_eq!(one.covers(other), all, "{one:?} {other:?}");
        assert_eq!(one.first_missing(other).is_none(), all);
    }
    assert_eq!(b.intersection(&a), both);
    assert_eq!(a.intersection(&a), a);
    for set in [&a, &b, &both] {
        assert_eq!(PermissionSet::new(set.iter().cloned().collect()).as_ref(), Ok(set), "a set is in its one form");
        assert_eq!(&PermissionSet::parse(set.to_scope().split_whitespace()).unwrap(), set);
        let text = serde_json::to_string(set).unwrap();
        assert_eq!(json::from_str::<PermissionSet>(&text).as_ref(), Ok(set));
        assert_eq!(&serde_json::from_str::<PermissionSet>(&text).unwrap(), set);
    }
}

/// Reads the lines; `None` where they are no set.
fn set(lines: &str) -> Option<PermissionSet> {
    let texts: Vec<&str> = lines.lines().collect();
    for text in &texts {
        assert_eq!(Permission::new(text).is_ok(), well_formed(text), "{text:?}");
    }
    let right = texts.len() <= MAX_COUNT && texts.iter().all(|text| well_formed(text));
    let set = PermissionSet::parse(texts.iter().copied());
    assert_eq!(set.is_ok(), right);
    let set = set.ok()?;
    assert_eq!(PermissionSet::parse(texts.iter().rev().copied()).unwrap(), set, "the order does not matter");
    assert!(texts.iter().all(|text| set.allows(&Permission::new(text).unwrap())), "nothing that was given is lost");
    Some(set)
}

fn well_formed(text: &str) -> bool {
    let word = |word: &str| {
        let mut characters = word.chars().peekable();
        characters.peek().is_some() && characters.all(|c| c.is_ascii_digit() || c.is_ascii_lowercase() || c == '_' || c == '-')
    };
    let words: Vec<&str> = text.split('.').collect();
    let (last, before) = words.split_last().unwrap();
    text.len() <= MAX_LEN && before.iter().all(|w| word(w)) && (*last == "*" || word(last))
}

/// Whether the plain name `name` is one of those that `permission` stands for.
fn stands_for(permission: &str, name: &str) -> bool {
    let (words, named): (Vec<&str>, Vec<&str>) = (permission.split('.').collect(), name.split('.').collect());
    let own = named.len() > 1 && named[0] == "keyward";
    match words.as_slice() {
        ["*"] => !own,
        ["keyward", "*"] => own && named[1] != "operator",
        [stem @ .., "*"] => named.len() > stem.len() && named.starts_with(stem),
        _ => permission == name,
    }
}

/// Names enough to tell any two of the sets' permissions apart: every plain one, some below every wildcard that nobody has
/// by name, and Keyward's own. Some are longer than a permission may be.
fn universe(text: &str, sets: &[&PermissionSet]) -> Vec<String> {
    let fresh = (0..=text.len()).map(|number| format!("z{number}")).find(|word| !text.contains(word)).unwrap();
    let mut names: Vec<String> = ["keyward", OPERATOR].map(String::from).into();
    names.extend([fresh.clone(), format!("keyward.{fresh}"), format!("{OPERATOR}.{fresh}")]);
    for permission in sets.iter().flat_map(|set| set.iter()) {
        match permission.as_str().strip_suffix(".*") {
            Some(stem) => names.extend([stem.to_owned(), format!("{stem}.{fresh}"), format!("{stem}.{fresh}.a")]),
            None if permission.as_str() != "*" => names.push(permission.as_str().to_owned()),
            None => {}
        }
    }
    names
}
