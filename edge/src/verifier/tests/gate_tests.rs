//! The gate: preflights, networks, an outdated policy, and what a refusal carries.

use core::net::IpAddr;

use super::*;
use crate::gate::{Address, Facts};

/// The outcome for exactly these facts.
fn outcome(verifier: &mut Verifier, facts: &Facts<'_>, now: u64, world: &World) -> Outcome {
    let mut attempt = Attempt::default();
    loop {
        match gate::evaluate(verifier, facts, Millis(now), &mut attempt) {
            Progress::Need(read) => verifier.provide(read, world.answer(read), Millis(now), &mut attempt),
            Progress::Done(outcome) => return outcome,
        }
    }
}

fn word(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Pass(held) => held.record.owner.as_str(),
        Outcome::PassAnonymous => "anonymous",
        Outcome::PassBearer => "bearer",
        Outcome::NeedAddress => "address?",
        Outcome::Refuse(refused) => refused.code.as_str(),
    }
}

const RULES: &str = r#"{"default":"deny","rules":[{"methods":["GET"],"path":"/orders/**","permission":"orders.read"},
    {"methods":["PUT"],"path":"/orders/**","permission":"orders.write"},{"path":"/public/**","anonymous":true},
    {"path":"/app/**","bearer":"origin"}]}"#;

fn world(record: &Record) -> World {
    World { record: stored(1, record), policy: found(policy(1, T, RULES)), ..World::default() }
}

#[test]
fn a_preflight_is_judged_by_the_request_that_it_announces() {
    for (path, announced, key, expected) in [
        ("/orders/1", "GET", false, "anonymous"),
        ("/orders/1", "DELETE", false, "missing_credentials"),
        ("/elsewhere", "GET", false, "missing_credentials"),
        ("/public/x", "GET", false, "anonymous"),
        ("/orders/1", "GET", true, "ann"),
        ("/orders/1", "PUT", true, "permission_denied"),
    ] {
        let (good, _) = super::key(1);
        let facts = Facts { preflight: Some(announced), ..gate::facts("OPTIONS", path, key.then_some(good.as_str()), None) };
        assert_eq!(word(&outcome(&mut verifier(), &facts, T, &world(&record()))), expected, "{path} {announced}");
    }
    let facts = gate::facts("OPTIONS", "/orders/1", None, None);
    assert_eq!(word(&outcome(&mut verifier(), &facts, T, &world(&record()))), "missing_credentials", "no preflight, no exception");
}

#[test]
fn by_an_outdated_policy_only_an_open_route_passes_even_with_a_key() {
    let (good, _) = super::key(1);
    let late = T + 200_000;
    let current = World { record: stored(1, &Record { as_of: Millis(late), ..record() }), ..World::default() };
    for (path, x_api_key, authorization, preflight, expected) in [
        ("/orders/1", Some(good.as_str()), None, None, "verifier_unavailable"),
        ("/public/x", Some(good.as_str()), None, None, "ann"),
        ("/orders/1", None, None, Some("GET"), "verifier_unavailable"),
        ("/public/x", None, None, Some("GET"), "anonymous"),
        ("/app/x", None, Some("Bearer eyJhbGciOi"), None, "malformed_key"),
    ] {
        let mut verifier = verifier();
        assert_eq!(pass(&mut verifier, "GET", "/public/x", None, None, T, &world(&record())), "anonymous");
        let facts = Facts { preflight, ..gate::facts("GET", path, x_api_key, authorization) };
        assert_eq!(word(&outcome(&mut verifier, &facts, late, &current)), expected, "{path}");
    }
}

#[test]
fn a_malformed_api_key_is_not_left_to_the_origin() {
    for (x_api_key, authorization, expected) in [
        (Some("eyJhbGciOi"), None, "malformed_key"),
        (Some("eyJhbGciOi"), Some("Bearer eyJhbGciOi"), "malformed_key"),
        (None, Some("Bearer eyJhbGciOi"), "bearer"),
    ] {
        assert_eq!(pass(&mut verifier(), "GET", "/app/x", x_api_key, authorization, T, &world(&record())), expected);
    }
}

#[test]
fn a_key_with_networks_passes_from_inside_them_once_the_address_is_known() {
    let (good, _) = super::key(1);
    let office = Record { networks: vec!["10.0.0.0/8".parse().unwrap()], ..record() };
    let inside: IpAddr = "10.1.2.3".parse().unwrap();
    let outside: IpAddr = "11.1.2.3".parse().unwrap();
    for (address, expected) in [
        (Address::NotAsked, "address?"),
        (Address::Asked(Some(inside)), "ann"),
        (Address::Asked(Some(outside)), "ip_not_allowed"),
        (Address::Asked(None), "ip_not_allowed"),
    ] {
        let facts = Facts { address, ..gate::facts("GET", "/orders/1", Some(&good), None) };
        assert_eq!(word(&outcome(&mut verifier(), &facts, T, &world(&office))), expected, "{address:?}");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_which_permission_is_missing() {
    let (good, _) = super::key(1);
    let refused = |method: &str, path: &str| {
        let facts = gate::facts(method, path, Some(&good), None);
        match outcome(&mut verifier(), &facts, T, &world(&record())) {
            Outcome::Refuse(refused) => (refused.detail, refused.permission.map(|permission| permission.to_string())),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("PUT", "/orders/1"), ("the permission orders.write is missing".into(), Some("orders.write".into())));
    assert_eq!(refused("GET", "/elsewhere"), ("no rule of the policy lets this route pass".into(), None));
    assert_eq!(refused("GET", "/orders//1"), ("the path has an empty segment".into(), None));
}

#[test]
fn a_refusal_knows_the_real_key_that_was_sent_and_no_other() {
    let (good, _) = super::key(1);
    let made_up = super::key(2).0;
    let gone = World { resolve: absent(), ..World::default() };
    let states = [
        Record { state: KeyState::Revoked, ..record() },
        Record { expires_at: Some(Millis(T)), ..record() },
        Record { owner_active: false, ..record() },
        Record { company_active: false, ..record() },
    ];
    let real = states.iter().map(|record| ("/orders/1", good.as_str(), world(record), Some("ann")));
    let others = [
        ("/elsewhere", good.as_str(), world(&record()), Some("ann")),
        ("/orders/1", made_up.as_str(), gone, None),
        ("/orders/1", "nonsense", world(&record()), None),
        ("/orders//1", good.as_str(), world(&record()), None),
    ];
    for (path, sent, world, owner) in real.chain(others) {
        let outcome = outcome(&mut verifier(), &gate::facts("GET", path, Some(sent), None), T, &world);
        assert!(matches!(outcome, Outcome::Refuse(_)), "{outcome:?}");
        assert_eq!(outcome.held().map(|held| held.record.owner.as_str()), owner, "{outcome:?}");
    }
}

#[test]
fn the_rule_that_a_route_is_judged_by_can_be_told() {
    let mut verifier = verifier();
    assert_eq!(verifier.matched_rule("GET", "/orders/1"), None, "no policy was read yet");
    assert_eq!(pass(&mut verifier, "GET", "/public/x", None, None, T, &world(&record())), "anonymous");
    for (method, path, rule) in [
        ("HEAD", "/orders/1", Some((0, "/orders/**".to_owned()))),
        ("PUT", "/orders/1", Some((1, "/orders/**".to_owned()))),
        ("GET", "/public/x", Some((2, "/public/**".to_owned()))),
        ("GET", "/elsewhere", None),
    ] {
        assert_eq!(verifier.matched_rule(method, path), rule, "{method} {path}");
    }
}

#[test]
fn a_request_that_authenticated_counts_as_a_use_of_its_key_and_no_other_does() {
    let (good, _) = super::key(1);
    let expired = Record { expires_at: Some(Millis(T)), ..record() };
    for (record, method, path, x_api_key, authorization, used) in [
        (record(), "GET", "/orders/1", Some(good.as_str()), None, Some(true)),
        (record(), "PUT", "/orders/1", Some(good.as_str()), None, Some(false)),
        (record(), "GET", "/elsewhere", Some(good.as_str()), None, Some(false)),
        (expired, "GET", "/orders/1", Some(good.as_str()), None, None),
        (record(), "GET", "/public/x", None, None, None),
        (record(), "GET", "/app/x", None, Some("Bearer eyJhbGciOi"), None),
        (record(), "GET", "/orders/1", None, None, None),
    ] {
        let facts = gate::facts(method, path, x_api_key, authorization);
        let outcome = outcome(&mut verifier(), &facts, T, &world(&record));
        assert_eq!(outcome.used().map(|(held, allowed)| (held.record.owner.as_str(), allowed)), used.map(|allowed| ("ann", allowed)));
    }
}
