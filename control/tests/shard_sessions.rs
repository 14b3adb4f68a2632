//! Sessions of people who sign in at the identity provider: who gets one, for how long it counts and what it is worth, and how all of a
//! person's end at once.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic)] // the small helpers below are part of the tests

mod shard_world;

use keyward_control::{
    call::{BeginSession, Credential, EndSessions, Token},
    session::{self, LIFETIME},
    shard::failure::Failure,
};
use keyward_shared::{ids::OwnerId, permission::PermissionSet, problem::Code, time::Millis};
use serde_json::{Value, json};
use shard_world::{ACME, OTHER, World, bootstrap, company, settings_with};

const ISSUER: &str = "https://issuer.example";

fn request(world: &World, company_id: &str, owner: &str, nonce: &str) -> BeginSession {
    let token = Token {
        company: company(company_id),
        owner: OwnerId::new(owner).unwrap(),
        issuer: ISSUER.into(),
        name: Some("Ann A.".into()),
        email: None,
        permissions: None,
        issued_at: world.at(),
        expires_at: world.at().plus(Millis::from_secs(300)),
    };
    let until = world.at().plus(Millis::from_secs(600));
    BeginSession { token, nonce: nonce.into(), until, address: Some("192.0.2.9".parse().unwrap()), request_id: "r7".into() }
}

fn begin(world: &World, request: &BeginSession) -> Result<Credential, Code> {
    match world.shard.begin_session(world.at(), &mut world.random(), request) {
        Ok(begun) => {
            assert_eq!(begun.max_age_s, LIFETIME.as_secs());
            let (company, digest) = session::read(&begun.token, &world.shard.settings().session_secrets).unwrap();
            Ok(Credential::Session { digest, company })
        }
        Err(Failure::Refused(refused)) => Err(refused.0.code),
        Err(failure) => panic!("{failure}"),
    }
}

fn end_all(world: &World, credential: &Credential) -> Result<(), Code> {
    let request = EndSessions { credential: credential.clone(), address: None, request_id: "r8".into() };
    world.shard.end_sessions(world.at(), &request).map_err(|failure| failure.problem().code)
}

fn newest(world: &World) -> Value {
    world.operator("GET", &format!("/v1/audit?company={ACME}&limit=1"), Value::Null).expect(200)["entries"][0].clone()
}

#[test]
fn a_session_lasts_eight_hours_and_is_worth_what_the_directory_says_at_each_request() {
    let world = World::peopled();
    let ann = begin(&world, &request(&world, ACME, "ann", "n1")).unwrap();
    let begun = newest(&world);
    assert_eq!(
        (&begun["action"], &begun["actor"], &begun["outcome"], &begun["address"]),
        (&json!("session.begin"), &json!("ann"), &json!("done"), &json!("192.0.2.9"))
    );
    let permissions = || world.get(&ann, "/v1/whoami").expect(200)["permissions"].clone();
    assert_eq!(permissions(), json!(["keyward.keys.own", "orders.*"]), "the directory decides, not the name in the token");
    world.put_owner(ACME, "ann", &["stock.read"]).expect(200);
    assert_eq!(permissions(), json!(["stock.read"]));
    world.operator("PUT", &format!("/v1/owners/ann?company={ACME}"), json!({"name": "a", "permissions": [], "active": false})).expect(200);
    world.get(&ann, "/v1/whoami").expect(401);
    world.put_owner(ACME, "ann", &["stock.read"]).expect(200);
    world.wait(LIFETIME.as_secs() - 1);
    world.get(&ann, "/v1/whoami").expect(200);
    world.wait(1);
    world.get(&ann, "/v1/whoami").expect(401);
}

#[test]
fn a_sign_in_counts_once_and_not_for_ever() {
    let world = World::peopled();
    let first = request(&world, ACME, "ann", "n1");
    begin(&world, &first).unwrap();
    assert_eq!(begin(&world, &first), Err(Code::Conflict));
    assert_eq!((&newest(&world)["action"], &newest(&world)["outcome"]), (&json!("session.begin"), &json!("conflict")));
    begin(&world, &request(&world, ACME, "ann", "n2")).unwrap();
    let late = request(&world, ACME, "ann", "n3");
    world.wait(600);
    assert_eq!(begin(&world, &late), Err(Code::Conflict), "too late");
    assert_eq!(begin(&world, &first), Err(Code::Conflict), "and still not the first one again");
}

#[test]
fn who_is_not_in_the_directory_or_not_active_gets_none_and_that_is_in_the_trail() {
    let world = World::peopled();
    assert_eq!(begin(&world, &request(&world, ACME, "stranger", "n1")), Err(Code::Forbidden));
    let entry = newest(&world);
    assert_eq!(
        (&entry["action"], &entry["actor"], &entry["outcome"], &entry["address"]),
        (&json!("session.begin"), &json!("stranger"), &json!("forbidden"), &json!("192.0.2.9"))
    );
    assert_eq!(begin(&world, &request(&world, "no-such-company", "ann", "n2")), Err(Code::Forbidden));
    world.operator("PUT", &format!("/v1/owners/bob?company={ACME}"), json!({"name": "b", "permissions": [], "active": false})).expect(200);
    assert_eq!(begin(&world, &request(&world, ACME, "bob", "n3")), Err(Code::Forbidden));
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "active": false})).expect(200);
    assert_eq!(begin(&world, &request(&world, ACME, "ann", "n4")), Err(Code::Forbidden));
    let sessions = world.sql("SELECT COUNT(*) FROM sessions", &[])[0][0].number();
    assert_eq!(sessions, 0);
    assert_eq!(world.operator("GET", &format!("/v1/audit/verify?company={ACME}"), Value::Null).expect(200)["valid"], json!(true));
}

#[test]
fn where_the_provider_says_what_people_may_do_signing_in_brings_it() {
    let more = [("OIDC_ISSUER", ISSUER), ("OIDC_CLIENT_ID", "keyward"), ("OIDC_CLAIM_PERMISSIONS", "permissions")];
    let world = World::with(settings_with(&more)).with_people();
    world.wait(60);
    let mut eve = request(&world, ACME, "eve", "n1");
    eve.token.permissions = Some(PermissionSet::parse(["orders.read"]).unwrap());
    let session = begin(&world, &eve).unwrap();
    assert_eq!(world.get(&session, "/v1/whoami").expect(200)["permissions"], json!(["orders.read"]));
    let owner = world.operator("GET", &format!("/v1/owners/eve?company={ACME}"), Value::Null).expect(200);
    assert_eq!((&owner["name"], &owner["active"]), (&json!("Ann A."), &json!(true)));
    let trail = world.operator("GET", &format!("/v1/audit?company={ACME}&target=eve"), Value::Null).expect(200);
    let actions: Vec<_> =
        trail["entries"].as_array().unwrap().iter().map(|entry| (entry["action"].clone(), entry["actor"].clone())).collect();
    assert_eq!(actions, [(json!("session.begin"), json!("eve")), (json!("owner.put"), json!(ISSUER))]);
    // Who was shut out stays so.
    world.operator("PUT", &format!("/v1/owners/eve?company={ACME}"), json!({"name": "e", "permissions": [], "active": false})).expect(200);
    world.wait(60);
    let mut again = request(&world, ACME, "eve", "n2");
    again.token.permissions = eve.token.permissions;
    assert_eq!(begin(&world, &again), Err(Code::Forbidden));
}

#[test]
fn signing_out_everywhere_ends_all_sessions_of_the_person_and_of_nobody_else() {
    let world = World::peopled();
    let mine = [begin(&world, &request(&world, ACME, "ann", "n1")).unwrap(), world.sign_in(ACME, "ann"), world.sign_in(ACME, "ann")];
    let others = [world.sign_in(ACME, "bob"), world.sign_in(OTHER, "ann")];
    end_all(&world, &mine[1]).unwrap();
    let entry = newest(&world);
    assert_eq!((&entry["action"], &entry["actor"], &entry["after"]), (&json!("sessions.end"), &json!("ann"), &json!({"ended": 3})));
    for session in &mine {
        world.get(session, "/v1/whoami").expect(401);
        assert_eq!(end_all(&world, session), Err(Code::Unauthenticated), "who is signed out says nothing any more");
    }
    for session in &others {
        world.get(session, "/v1/whoami").expect(200);
    }
    // With an assertion of Access, or a token, too; with a key not.
    let ann = world.sign_in(ACME, "ann");
    end_all(&world, &Credential::Token(request(&world, ACME, "ann", "n").token)).unwrap();
    world.get(&ann, "/v1/whoami").expect(401);
    assert_eq!(end_all(&world, &bootstrap()), Err(Code::Forbidden));
}
