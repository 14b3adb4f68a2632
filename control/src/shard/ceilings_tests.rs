//! The ceilings as tables.

use super::*;

fn set(texts: &str) -> PermissionSet {
    PermissionSet::parse(texts.split_whitespace()).unwrap()
}

fn key_id(n: u8) -> KeyId {
    KeyId::from_random([n; 16])
}

fn person(permissions: &str) -> Caller {
    Caller {
        company: CompanyId::new("acme").unwrap(),
        owner: OwnerId::new("ann").unwrap(),
        key: None,
        token: false,
        permissions: set(permissions),
    }
}

fn with_key(permissions: &str, change: impl FnOnce(&mut CallingKey)) -> Caller {
    let mut key = CallingKey { id: key_id(1), manages_keys: true, bootstrap: false, restriction: None, networks: vec![], expires_at: None };
    change(&mut key);
    let mut caller = person(permissions);
    if let Some(restriction) = &key.restriction {
        caller.permissions = caller.permissions.intersection(restriction);
    }
    caller.key = Some(key);
    caller
}

fn nets(texts: &str) -> Vec<Network> {
    texts.split_whitespace().map(|text| text.parse().unwrap()).collect()
}

fn limits(restriction: Option<&str>, networks: &str, expires_at: Option<u64>) -> Limits {
    Limits { restriction: restriction.map(set), networks: nets(networks), expires_at: expires_at.map(Millis) }
}

const EVERYTHING: &[Endpoint] = &[
    Endpoint::CreateKey,
    Endpoint::ListKeys,
    Endpoint::GetKey,
    Endpoint::ChangeKey,
    Endpoint::DeleteKey,
    Endpoint::RevokeKey,
    Endpoint::PutOwner,
    Endpoint::GetOwner,
    Endpoint::DeleteOwner,
    Endpoint::ListOwners,
    Endpoint::PutCompany,
    Endpoint::GetCompany,
    Endpoint::DeleteCompany,
    Endpoint::ListCompanies,
    Endpoint::GetPolicy,
    Endpoint::PutPolicy,
    Endpoint::ListAudit,
    Endpoint::VerifyAudit,
    Endpoint::Whoami,
    Endpoint::Format,
    Endpoint::CreateSignInLink,
];

#[test]
fn each_permission_opens_its_own_calls_and_a_star_opens_none() {
    use Endpoint as E;
    let anybody = [E::Whoami, E::Format];
    let own = [E::CreateKey, E::ListKeys, E::GetKey, E::ChangeKey, E::DeleteKey, E::RevokeKey];
    let operators = [E::PutCompany, E::GetCompany, E::DeleteCompany, E::ListCompanies, E::GetPolicy, E::PutPolicy, E::CreateSignInLink];
    for (permissions, opened) in [
        ("", vec![]),
        ("*", vec![]),
        ("orders.*", vec![]),
        ("keyward.keys.own", own.to_vec()),
        ("keyward.keys", vec![E::ListKeys, E::GetKey, E::DeleteKey, E::RevokeKey]),
        ("keyward.owners", vec![E::PutOwner, E::GetOwner, E::DeleteOwner, E::ListOwners]),
        ("keyward.audit", vec![E::ListAudit, E::VerifyAudit]),
        ("keyward.introspect", vec![]),
        ("keyward.operator", [own.as_slice(), &operators].concat()),
        ("* keyward.*", EVERYTHING.iter().copied().filter(|e| !operators.contains(e) && !anybody.contains(e)).collect()),
    ] {
        for endpoint in EVERYTHING {
            let expected = opened.contains(endpoint) || anybody.contains(endpoint);
            assert_eq!(require(*endpoint, "", &person(permissions)).is_ok(), expected, "{permissions:?} {endpoint:?}");
        }
    }
}

#[test]
fn a_key_that_manages_none_may_only_look_at_itself_and_revoke_itself() {
    let plain = with_key("* keyward.* keyward.operator", |key| key.manages_keys = false);
    let itself = key_id(1).to_string();
    for endpoint in EVERYTHING {
        assert_eq!(require(*endpoint, "key_other", &plain).is_ok(), *endpoint == Endpoint::Whoami, "{endpoint:?}");
        let allowed = matches!(endpoint, Endpoint::Whoami | Endpoint::GetKey | Endpoint::RevokeKey);
        assert_eq!(require(*endpoint, &itself, &plain).is_ok(), allowed, "{endpoint:?}");
    }
    assert!(require(Endpoint::RevokeKey, &itself, &with_key("", |_| {})).is_ok(), "no permission is needed for oneself");
}

#[test]
fn what_a_key_makes_stays_within_the_key() {
    let refused = None;
    let own = "orders.* billing.read keyward.keys.own";
    for (what, restriction, networks, expiry, asked, made) in [
        ("nothing limits", None, "", None, limits(None, "", None), Some(limits(None, "", None))),
        (
            "all is inherited",
            Some("orders.*"),
            "10.0.0.0/8",
            Some(9),
            limits(None, "", None),
            Some(limits(Some("orders.*"), "10.0.0.0/8", Some(9))),
        ),
        (
            "less is asked",
            Some("orders.*"),
            "10.0.0.0/8",
            Some(9),
            limits(Some("orders.read"), "10.1.0.0/16", Some(8)),
            Some(limits(Some("orders.read"), "10.1.0.0/16", Some(8))),
        ),
        ("more permissions", Some("orders.read"), "", None, limits(Some("orders.write"), "", None), refused.clone()),
        ("other networks", None, "10.0.0.0/8", None, limits(None, "11.0.0.0/8", None), refused.clone()),
        ("wider networks", None, "10.0.0.0/8", None, limits(None, "10.0.0.0/7", None), refused.clone()),
        ("all networks", None, "10.0.0.0/8", None, limits(None, "10.0.0.0/8 0.0.0.0/0", None), refused.clone()),
        ("a longer life", None, "", Some(9), limits(None, "", Some(10)), refused.clone()),
        ("the same life", None, "", Some(9), limits(None, "", Some(9)), Some(limits(None, "", Some(9)))),
    ] {
        let caller = with_key(own, |key| {
            (key.restriction, key.networks, key.expires_at) = (restriction.map(set), nets(networks), expiry.map(Millis));
        });
        assert_eq!(inherit(&caller, false, &set(own), asked).ok(), made, "{what}");
    }
}

#[test]
fn nobody_makes_a_key_that_may_more_than_themselves_for_whomever() {
    let operator = "orders.read keyward.operator";
    for (what, caller, owners, asked, passes) in [
        ("a person, unrestricted, for an owner with more", person(operator), "orders.*", None, false),
        ("a person, restricted, for an owner with more", person(operator), "orders.*", Some("orders.read"), true),
        ("a person, for an owner with less", person(operator), "orders.read", None, true),
        (
            "a restricted key for another owner",
            with_key(operator, |key| key.restriction = Some(set("* keyward.operator"))),
            "orders.*",
            None,
            true,
        ),
        (
            "a restricted key that asks for more",
            with_key(operator, |key| key.restriction = Some(set("*"))),
            "orders.*",
            Some("orders.*"),
            false,
        ),
    ] {
        let made = inherit(&caller, true, &set(owners), limits(asked, "", None));
        assert_eq!(made.is_ok(), passes, "{what}");
        if let Ok(Limits { restriction: Some(restriction), .. }) = made {
            assert!(caller.permissions.covers(&restriction), "{what}");
        }
    }
}

#[test]
fn narrowing_is_free_and_widening_stays_within_the_caller() {
    let owners = set("orders.* billing.read");
    let manager = with_key("orders.* billing.read", |key| {
        (key.restriction, key.networks, key.expires_at) = (Some(set("orders.*")), nets("10.0.0.0/8"), Some(Millis(9)));
    });
    for (what, old, new, passes) in [
        ("narrowing a wider key", limits(None, "", None), limits(Some("billing.read"), "11.0.0.0/8", Some(50)), true),
        ("a wider key left as it is", limits(None, "", None), limits(None, "", None), true),
        ("lifting a restriction", limits(Some("orders.read"), "10.0.0.0/8", Some(5)), limits(None, "10.0.0.0/8", Some(5)), false),
        (
            "within the caller's own",
            limits(Some("orders.read"), "10.1.0.0/16", Some(5)),
            limits(Some("orders.*"), "10.0.0.0/8", Some(9)),
            true,
        ),
        (
            "a permission beyond",
            limits(Some("orders.read"), "10.1.0.0/16", Some(5)),
            limits(Some("billing.read"), "10.1.0.0/16", Some(5)),
            false,
        ),
        ("lifting networks", limits(Some("orders.read"), "10.1.0.0/16", Some(5)), limits(Some("orders.read"), "", Some(5)), false),
        ("a longer life", limits(Some("orders.read"), "10.1.0.0/16", Some(5)), limits(Some("orders.read"), "10.1.0.0/16", Some(10)), false),
        ("no end at all", limits(Some("orders.read"), "10.1.0.0/16", Some(5)), limits(Some("orders.read"), "10.1.0.0/16", None), false),
        (
            "longer, of a key that may more",
            limits(Some("billing.read"), "10.1.0.0/16", Some(5)),
            limits(Some("billing.read"), "10.1.0.0/16", Some(6)),
            false,
        ),
    ] {
        assert_eq!(widen(&manager, &owners, &old, &new).is_ok(), passes, "{what}");
    }
    let owner = person("orders.* billing.read");
    assert!(widen(&owner, &owners, &limits(Some("orders.read"), "10.0.0.0/8", Some(5)), &limits(None, "", None)).is_ok());
}

#[test]
fn only_people_and_the_bootstrap_key_make_managers() {
    assert!(makes_managers(&person("")).is_ok());
    assert!(makes_managers(&with_key("*", |_| {})).is_err());
    assert!(makes_managers(&with_key("*", |key| key.bootstrap = true)).is_ok());
}

#[test]
fn nobody_gives_what_they_lack_and_taking_away_is_free() {
    for (caller, before, after, passes) in [
        ("orders.read", None, "orders.read", true),
        ("orders.read", None, "orders.*", false),
        ("orders.read", Some("orders.* billing.read"), "billing.read", true),
        ("orders.read", Some("orders.*"), "orders.* orders.read", true),
        ("*", None, "*", true),
        ("*", None, "keyward.keys", false),
        ("* keyward.*", None, "keyward.operator", false),
        ("keyward.operator", None, "keyward.operator", true),
    ] {
        let before = before.map(set);
        assert_eq!(gives(&person(caller), before.as_ref(), &set(after)).is_ok(), passes, "{caller} gives {after}");
    }
}

#[test]
fn own_keys_are_seen_by_their_owner_and_all_by_who_may_see_them() {
    let company = CompanyId::new("acme").unwrap();
    let (ann, bob) = (OwnerId::new("ann").unwrap(), OwnerId::new("bob").unwrap());
    let own = person("keyward.keys.own");
    assert!(sees(&own, &company, &ann, &key_id(2)) && !sees(&own, &company, &bob, &key_id(2)));
    assert!(!sees(&own, &CompanyId::new("other").unwrap(), &ann, &key_id(2)), "the same id elsewhere is somebody else");
    assert!(sees(&person("keyward.keys"), &company, &bob, &key_id(2)));
    let managing = with_key("keyward.keys.own", |_| {});
    assert!(sees(&managing, &company, &ann, &key_id(2)) && !sees(&managing, &company, &bob, &key_id(2)), "a key sees what its owner sees");
    assert!(sees(&managing, &company, &bob, &key_id(1)), "and itself");
    assert!(changes(&own, &company, &ann).is_ok() && changes(&person("keyward.keys"), &company, &bob).is_err());
    assert!(changes(&person("keyward.operator"), &company, &bob).is_ok());
    assert!(changes(&own, &company, &bob).is_err(), "another owner's");
    assert!(changes(&own, &CompanyId::new("other").unwrap(), &ann).is_err(), "the same id elsewhere");
    assert!(changes(&person("orders.read"), &company, &ann).is_err(), "one's own, without the permission for it");
}

#[test]
fn a_refusal_names_the_permission_that_opens_the_call_or_the_operator() {
    for (endpoint, detail) in [
        (Endpoint::CreateKey, "the permission keyward.keys.own is missing"),
        (Endpoint::ListKeys, "the permission keyward.keys.own is missing"),
        (Endpoint::PutOwner, "the permission keyward.owners is missing"),
        (Endpoint::ListAudit, "the permission keyward.audit is missing"),
        (Endpoint::PutPolicy, "only the operator may do this"),
    ] {
        let Refused(problem) = require(endpoint, "", &person("orders.read")).unwrap_err();
        assert_eq!((problem.code, problem.detail.as_str()), (Code::Forbidden, detail), "{endpoint:?}");
    }
}

#[test]
fn a_restriction_is_passed_on_as_it_is_and_never_lifted() {
    let restricted = |restriction: &str| with_key("orders.* keyward.keys.own", |key| key.restriction = Some(set(restriction)));
    let made = inherit(&restricted("orders.* billing.read"), false, &set("orders.*"), limits(None, "", None));
    assert!(made.is_err(), "what its owner no longer has would come back with the owner's permission");
    let (old, lifted) = (limits(Some("orders.read"), "", None), limits(None, "", None));
    assert!(widen(&restricted("*"), &set("orders.*"), &old, &lifted).is_err(), "not even where the owner has nothing beyond it");
    assert!(widen(&with_key("orders.* keyward.keys.own", |_| {}), &set("orders.*"), &old, &lifted).is_ok());
}
