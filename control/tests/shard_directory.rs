//! Owners, companies, sessions, and what keeps two companies of one shard apart.
#![cfg(not(target_arch = "wasm32"))]

mod shard_world;

use keyward_control::call::{Authenticate, Credential, Redeem, SignOut};
use keyward_shared::{ids::OwnerId, link::SignInLink, problem::Code, shard::Shard, time::Millis};
use serde_json::{Value, json};
use shard_world::{ACME, OPERATOR, OTHER, World, bootstrap, company, key};

#[test]
fn the_companies_of_these_tests_share_one_shard() {
    assert!([ACME, OTHER, OPERATOR].iter().all(|id| Shard::of(&company(id)) == Shard::of(&company(OPERATOR))));
}

#[test]
fn nothing_of_another_company_is_seen_or_changed() {
    let world = World::peopled();
    let theirs = world.create(&world.sign_in(OTHER, "ann"), json!({})).expect(201);
    let id = theirs["id"].as_str().unwrap();
    let before = world.get(&world.sign_in(OTHER, "admin"), "/v1/audit").expect(200)["entries"].as_array().unwrap().len();
    for who in ["ann", "admin"] {
        let session = world.sign_in(ACME, who);
        for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/revoke"), ("PATCH", "")] {
            let body = if method == "PATCH" { json!({"name": "taken over"}) } else { Value::Null };
            assert_eq!(world.call(&session, method, &format!("/v1/keys/{id}{path}"), body.clone()).expect(404)["code"], "not_found");
            world.call(&session, method, &format!("/v1/keys/{id}{path}?company={OTHER}"), body).expect(404);
        }
        let list = world.get(&session, "/v1/keys?limit=200").expect(200);
        assert!(list["keys"].as_array().unwrap().iter().all(|key| key["company"] == ACME));
        for path in ["/v1/keys", "/v1/owners", "/v1/audit"] {
            let seen = world.get(&session, &format!("{path}?company={OTHER}"));
            assert!(matches!(seen.status, 403 | 404), "{path}");
        }
    }
    let trail = world.get(&world.sign_in(OTHER, "admin"), "/v1/audit").expect(200);
    assert_eq!(trail["entries"].as_array().unwrap().len(), before + 1, "only the session of the second look was added");
    assert_eq!(world.get(&key(&theirs["key"]), "/v1/whoami").status, 200);
}

#[test]
fn a_companys_administrator_with_every_permission_is_still_not_the_operator() {
    let world = World::peopled();
    let admin = world.sign_in(ACME, "admin");
    for (method, path, body) in [
        ("GET", format!("/v1/companies/{ACME}"), Value::Null),
        ("PUT", format!("/v1/companies/{ACME}"), json!({"name": "mine"})),
        ("DELETE", format!("/v1/companies/{OTHER}"), Value::Null),
        ("POST", "/v1/sign-in-links".into(), json!({"owner": "ann"})),
    ] {
        assert_eq!(world.call(&admin, method, &path, body).expect(403)["code"], "forbidden", "{method} {path}");
    }
    assert_eq!(world.put_owner(ACME, "eve", &["keyward.operator"]).wrong(), ["permissions"]);
    world.call(&admin, "PUT", "/v1/owners/eve", json!({"name": "eve", "permissions": ["keyward.operator"]})).expect(422);
}

#[test]
fn what_is_worth_nothing_outside_the_operators_company_is_not_counted_there() {
    let world = World::peopled();
    world.sql("UPDATE owners SET permissions = '[\"*\",\"keyward.operator\"]' WHERE company = ?1 AND owner = 'ann'", &[ACME.into()]);
    let ann = world.sign_in(ACME, "ann");
    assert_eq!(world.get(&ann, "/v1/whoami").expect(200)["permissions"], json!(["*"]));
    world.get(&ann, &format!("/v1/companies/{OTHER}")).expect(403);
}

#[test]
fn owners_are_made_replaced_listed_and_deleted() {
    let world = World::peopled();
    let admin = world.sign_in(ACME, "admin");
    let body = json!({"name": "Eve", "email": "eve@example.com", "permissions": ["orders.read"], "active": true});
    let made = world.call(&admin, "PUT", "/v1/owners/auth0%7C5f2", body.clone()).expect(201);
    assert_eq!((&made["owner"], &made["email"]), (&json!("auth0|5f2"), &json!("eve@example.com")));
    world.call(&admin, "PUT", "/v1/owners/auth0%7C5f2", body).expect(200);
    let page = world.get(&admin, "/v1/owners?limit=3").expect(200);
    let next = page["next_cursor"].as_str().unwrap();
    let rest = world.get(&admin, &format!("/v1/owners?limit=3&cursor={next}")).expect(200);
    let ids: Vec<_> =
        [&page, &rest].iter().flat_map(|page| page["owners"].as_array().unwrap()).map(|o| o["owner"].as_str().unwrap()).collect();
    assert_eq!(ids, ["admin", "ann", "auth0|5f2", "bob"]);
    world.call(&admin, "DELETE", "/v1/owners/bob", Value::Null).expect(204);
    world.get(&admin, "/v1/owners/bob").expect(404);
    world.call(&admin, "DELETE", "/v1/owners/bob", Value::Null).expect(404);
    world.call(&admin, "DELETE", "/v1/owners/admin", Value::Null).expect(409);
    assert_eq!(
        world.call(&admin, "PUT", "/v1/owners/a%20b", json!({"name": "", "email": "x", "permissions": ["No"], "active": 1})).wrong(),
        ["owner", "name", "email", "permissions[0]", "active"]
    );
}

#[test]
fn nobody_gives_a_permission_that_they_lack_and_anybody_may_take_one_away() {
    let world = World::peopled();
    world.put_owner(ACME, "clerk", &["keyward.owners", "orders.read"]).expect(201);
    let clerk = world.sign_in(ACME, "clerk");
    let put = |owner: &str, permissions: &[&str], active: bool| {
        world
            .call(&clerk, "PUT", &format!("/v1/owners/{owner}"), json!({"name": owner, "permissions": permissions, "active": active}))
            .status
    };
    assert_eq!(put("new", &["orders.read"], true), 201);
    assert_eq!(put("new", &["orders.read", "orders.write"], true), 403);
    assert_eq!(put("clerk", &["keyward.owners", "keyward.keys"], true), 403);
    assert_eq!(put("ann", &["orders.*", "keyward.keys.own"], true), 200);
    assert_eq!(put("ann", &["orders.write"], true), 200);
    assert_eq!(put("ann", &["orders.write", "keyward.keys.own"], true), 403);
    assert_eq!(put("ann", &["orders.write"], false), 200);
    assert_eq!(put("ann", &["orders.write"], true), 403);
}

#[test]
fn what_becomes_of_an_owner_becomes_of_the_owners_keys_at_once() {
    let world = World::peopled();
    let made = world.create(&world.sign_in(ACME, "bob"), json!({})).expect(201);
    let bobs = key(&made["key"]);
    world.put_owner(ACME, "bob", &["orders.read"]).expect(200);
    assert_eq!(world.get(&bobs, "/v1/whoami").expect(200)["permissions"], json!(["orders.read"]));
    let session = world.sign_in(ACME, "bob");
    world
        .operator("PUT", &format!("/v1/owners/bob?company={ACME}"), json!({"name": "bob", "permissions": ["orders.read"], "active": false}))
        .expect(200);
    world.get(&bobs, "/v1/whoami").expect(401);
    world.get(&session, "/v1/whoami").expect(401);
    world.operator("DELETE", &format!("/v1/owners/bob?company={ACME}"), Value::Null).expect(204);
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    let left = world.get(&world.sign_in(ACME, "admin"), &path).expect(200);
    assert_eq!((&left["status"], &left["owner_active"], &left["effective_permissions"]), (&json!("revoked"), &json!(false), &json!([])));
    world.put_owner(ACME, "bob", &["orders.read"]).expect(201);
    world.get(&bobs, "/v1/whoami").expect(401);
}

#[test]
fn an_inactive_company_stops_its_people_and_keys() {
    let world = World::peopled();
    let session = world.sign_in(ACME, "ann");
    let made = world.create(&session, json!({})).expect(201);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "active": false})).expect(200);
    world.get(&session, "/v1/whoami").expect(401);
    world.get(&key(&made["key"]), "/v1/whoami").expect(401);
    world.operator("POST", &format!("/v1/keys?company={ACME}"), json!({"name": "x", "owner": "bob", "permissions": []})).expect(409);
    world.operator("PUT", &format!("/v1/companies/{OPERATOR}"), json!({"name": "x", "active": false})).expect(409);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme"})).expect(200);
    world.get(&key(&made["key"]), "/v1/whoami").expect(200);
}

#[test]
fn a_deleted_company_leaves_nothing_but_digests_and_the_operators_note() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    world.operator("DELETE", &format!("/v1/companies/{OPERATOR}"), Value::Null).expect(409);
    world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "again"})).expect(409);
    world.go_on();
    for table in ["companies", "owners", "keys", "audit", "audit_heads", "sessions", "used_links", "idempotency", "key_usage", "sweeps"] {
        assert!(world.sql(&format!("SELECT 1 FROM {table} WHERE company = ?1"), &[ACME.into()]).is_empty(), "{table}");
    }
    assert_eq!(world.sql("SELECT 1 FROM tombstones", &[]).len(), 1);
    world.get(&ann, "/v1/whoami").expect(401);
    world.get(&key(&made["key"]), "/v1/whoami").expect(401);
    world.operator("GET", &format!("/v1/companies/{ACME}"), Value::Null).expect(404);
    world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(404);
    let trail = world.operator("GET", "/v1/audit?action=company.delete", Value::Null).expect(200);
    assert_eq!((&trail["entries"][1]["target"], &trail["entries"][1]["outcome"]), (&json!(ACME), &json!("done")));
    world.get(&world.sign_in(OTHER, "ann"), "/v1/whoami").expect(200);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "again"})).expect(201);
    world.get(&key(&made["key"]), "/v1/whoami").expect(401);
}

#[test]
fn every_wrong_field_of_a_company_is_named() {
    let world = World::new();
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": "x", "active": "no"}), "active"),
        (json!({"name": "x", "max_key_lifetime_days": 0}), "max_key_lifetime_days"),
        (json!({"name": "x", "max_key_lifetime_days": 1.5}), "max_key_lifetime_days"),
    ] {
        assert_eq!(world.operator("PUT", &format!("/v1/companies/{ACME}"), body).wrong(), [field]);
    }
    world.operator("PUT", "/v1/companies/elsewhere", json!({"name": "x"})).expect(404);
}

#[test]
fn a_sign_in_link_works_once_and_for_ten_minutes() {
    let world = World::peopled();
    let made = world.operator("POST", &format!("/v1/sign-in-links?company={ACME}"), json!({"owner": "ann"})).expect(201);
    let url = made["url"].as_str().unwrap();
    let token = url.strip_prefix("https://control.example/sign-in?token=").unwrap();
    let secrets = &world.shard.settings().session_secrets;
    let link = SignInLink::from_token(token, secrets, world.at()).unwrap();
    assert_eq!((link.company.as_str(), link.owner.as_str()), (ACME, "ann"));
    let request = Redeem { link: link.clone(), address: None, request_id: "r".into() };
    let redeem = |request: &Redeem| world.shard.redeem(world.at(), &mut world.random(), request).map_err(|e| e.problem().code);
    assert!(redeem(&request).is_ok());
    assert_eq!(redeem(&request).unwrap_err(), Code::Conflict);
    let late = Redeem { link: SignInLink { nonce: "00".into(), expires_at: world.at(), ..link.clone() }, ..request.clone() };
    assert_eq!(redeem(&late).unwrap_err(), Code::Conflict);
    let gone = Redeem { link: SignInLink { nonce: "01".into(), owner: OwnerId::new("gone").unwrap(), ..link }, ..request };
    assert_eq!(redeem(&gone).unwrap_err(), Code::Forbidden);
    let in_body = world.operator("POST", "/v1/sign-in-links", json!({"owner": "ann", "company": OTHER})).expect(201);
    assert!(in_body["url"].is_string());
    world.operator("POST", "/v1/sign-in-links", json!({"owner": "nobody"})).expect(404);
    world.operator("POST", "/v1/sign-in-links", json!({"owner": "ann", "company": "elsewhere"})).expect(404);
}

#[test]
fn no_operator_becomes_one_who_may_more() {
    let world = World::peopled();
    let body = json!({"name": "embedding", "permissions": ["keyward.operator"], "manages_keys": true});
    let embedding = key(&world.operator("POST", "/v1/keys", body).expect(201)["key"]);
    world.call(&embedding, "POST", "/v1/sign-in-links", json!({"owner": "ann", "company": ACME})).expect(201);
    world.call(&embedding, "POST", "/v1/sign-in-links", json!({"owner": "admin"})).expect(403);
    world.operator("POST", "/v1/sign-in-links", json!({"owner": "admin"})).expect(201);
}

#[test]
fn a_session_ends_after_eight_hours_or_by_signing_out() {
    let world = World::peopled();
    let session = world.sign_in(ACME, "ann");
    world.wait(8 * 3600 - 1);
    world.get(&session, "/v1/whoami").expect(200);
    world.wait(1);
    world.get(&session, "/v1/whoami").expect(401);
    let session = world.sign_in(ACME, "ann");
    let Credential::Session { digest, company } = session.clone() else { unreachable!() };
    world.get(&Credential::Session { digest, company: shard_world::company(OTHER) }, "/v1/whoami").expect(401);
    let out = SignOut { digest, company, address: None, request_id: "r".into() };
    world.shard.sign_out(world.at(), &out).unwrap();
    world.shard.sign_out(world.at(), &out).unwrap();
    world.get(&session, "/v1/whoami").expect(401);
}

#[test]
fn whom_another_shard_vouches_for_acts_here_as_the_operator() {
    let world = World::peopled();
    let request = Authenticate { credential: bootstrap(), address: None, request_id: "r".into() };
    let mut caller = world.shard.authenticate(Millis(0), &request).unwrap();
    assert!(caller.key.as_ref().unwrap().bootstrap);
    world.get(&Credential::Vouched(caller.clone()), &format!("/v1/owners?company={ACME}")).expect(200);
    caller.permissions = caller.permissions.without_operator();
    world.get(&Credential::Vouched(caller), &format!("/v1/owners?company={ACME}")).expect(404);
}
