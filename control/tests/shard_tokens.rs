//! People who call with a verified token: what they may do, and what becomes of the directory where tokens have a say in it.
#![allow(clippy::unwrap_used)] // its helpers too

mod shard_world;

use keyward_control::call::{Authenticate, Credential, Token};
use keyward_shared::{ids::OwnerId, permission::PermissionSet, time::Millis};
use serde_json::{Value, json};
use shard_world::{ACME, OPERATOR, World, bootstrap, company, key, publish, settings_with};

const ISSUER: &str = "https://issuer.example";

fn token(company_id: &str, owner: &str, issued_at: Millis) -> Token {
    Token {
        company: company(company_id),
        owner: OwnerId::new(owner).unwrap(),
        issuer: ISSUER.into(),
        name: None,
        email: None,
        permissions: None,
        issued_at,
        expires_at: issued_at.plus(Millis::from_secs(3600)),
    }
}

/// A world in which tokens say what people may do.
fn decided_by_tokens() -> World {
    let more = [("OIDC_ISSUER", ISSUER), ("OIDC_AUDIENCE", "keyward"), ("OIDC_CLAIM_PERMISSIONS", "permissions")];
    World::with(settings_with(&more)).with_people()
}

/// A token that was issued `ago` seconds ago and says this.
fn saying(world: &World, ago: u64, company: &str, owner: &str, permissions: &[&str]) -> Token {
    let permissions = PermissionSet::parse(permissions.iter().copied()).unwrap();
    Token { permissions: Some(permissions), ..token(company, owner, world.at().minus(Millis::from_secs(ago))) }
}

fn permissions_of(world: &World, owner: &str) -> Value {
    world.operator("GET", &format!("/v1/owners/{owner}?company={ACME}"), Value::Null).expect(200)["permissions"].clone()
}

/// How many rows the directory and the trail of a company have, and the last revision.
fn written(world: &World) -> Vec<Value> {
    ["owners", "audit", "outbox", "sweeps", "dirty"]
        .iter()
        .map(|table| world.sql(&format!("SELECT COUNT(*) FROM {table}"), &[])[0][0].number().into())
        .chain([world.sql("SELECT MAX(rev) FROM owners", &[])[0][0].number().into()])
        .collect()
}

#[test]
fn a_token_acts_for_an_active_owner_of_an_active_company_as_the_directory_says() {
    let world = World::peopled();
    let ann = Credential::Token(token(ACME, "ann", world.at()));
    let whoami = world.get(&ann, "/v1/whoami").expect(200);
    let seen = ["owner", "company", "permissions", "credential", "session", "key_id", "manages_keys", "makes_managers", "operator"];
    assert_eq!(
        seen.map(|member| whoami[member].clone()),
        [
            json!("ann"),
            json!(ACME),
            json!(["keyward.keys.own", "orders.*"]),
            json!("token"),
            json!(false),
            Value::Null,
            json!(true),
            json!(true),
            json!(false)
        ]
    );
    let session = world.get(&world.sign_in(ACME, "ann"), "/v1/whoami").expect(200);
    assert_eq!((&session["credential"], &session["session"]), (&json!("session"), &json!(true)));
    let own = world.get(&bootstrap(), "/v1/whoami").expect(200);
    assert_eq!((&own["credential"], &own["session"]), (&json!("key"), &json!(false)));

    // At once, with the same token: what is taken away, and what is shut.
    world.put_owner(ACME, "ann", &["orders.read"]).expect(200);
    world.get(&ann, "/v1/keys").expect(403);
    let inactive = json!({"name": "Ann", "permissions": ["*"], "active": false});
    world.operator("PUT", &format!("/v1/owners/ann?company={ACME}"), inactive).expect(200);
    world.get(&ann, "/v1/whoami").expect(401);
    for (company, owner) in [(ACME, "nobody"), ("no-such-company", "ann"), (ACME, "ANN")] {
        world.get(&Credential::Token(token(company, owner, world.at())), "/v1/whoami").expect(401);
    }
    let bob = Credential::Token(token(ACME, "bob", world.at()));
    world.get(&bob, "/v1/whoami").expect(200);
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "active": false})).expect(200);
    world.get(&bob, "/v1/whoami").expect(401);
}

#[test]
fn a_token_that_has_expired_on_its_way_is_refused() {
    let world = World::peopled();
    let mut ann = token(ACME, "ann", world.at());
    ann.expires_at = world.at().plus(Millis(1));
    world.get(&Credential::Token(ann.clone()), "/v1/whoami").expect(200);
    ann.expires_at = world.at();
    world.get(&Credential::Token(ann), "/v1/whoami").expect(401);
}

#[test]
fn the_operators_permission_counts_in_the_operators_company_only() {
    let world = World::peopled();
    world.put_owner(OPERATOR, "opal", &["keyward.operator"]).expect(201);
    let opal = Credential::Token(token(OPERATOR, "opal", world.at()));
    world.get(&opal, &format!("/v1/companies/{ACME}")).expect(200);
    let request = Authenticate { credential: opal, address: None, request_id: "r".into() };
    let caller = world.shard.authenticate(world.at(), &request).unwrap();
    assert!(caller.token && caller.key.is_none());
    let elsewhere = world.get(&Credential::Vouched(caller), &format!("/v1/whoami?company={ACME}")).expect(200);
    assert_eq!((&elsewhere["credential"], &elsewhere["operator"]), (&json!("token"), &json!(true)), "also where another object vouches");
    // As somebody might have written it into another company's directory.
    world.sql("UPDATE owners SET permissions = '[\"keyward.operator\"]' WHERE owner = 'ann'", &[]);
    let ann = Credential::Token(token(ACME, "ann", world.at()));
    world.get(&ann, &format!("/v1/companies/{ACME}")).expect(403);
}

#[test]
fn a_person_with_a_token_makes_managers_and_repeats_themselves_once() {
    let world = World::peopled();
    let ann = Credential::Token(token(ACME, "ann", world.at()));
    let made = world.create(&ann, json!({"manages_keys": true})).expect(201);
    assert_eq!((&made["created_by"], &made["parent"], &made["manages_keys"]), (&json!("ann"), &Value::Null, &json!(true)));
    world.create(&ann, json!({"permissions": ["stock.read"]})).expect(422);
    let again = |credential: &Credential| {
        let mut call = world.request(credential, "POST", "/v1/keys", r#"{"name":"nightly"}"#);
        call.idempotency_key = Some("n-1".into());
        world.send(&call)
    };
    let first = again(&ann).expect(201);
    // Another token of the same person is the same person.
    world.wait(1);
    let repeated = again(&Credential::Token(token(ACME, "ann", world.at()))).expect(201);
    assert_eq!((&repeated["id"], &repeated["key"], &repeated["replayed"]), (&first["id"], &Value::Null, &json!(true)));
    let trail = world.operator("GET", &format!("/v1/audit?company={ACME}&actor=ann"), Value::Null).expect(200);
    assert_eq!(trail["entries"][0]["action"], "key.create");
    assert_eq!(trail["entries"][0]["key"], Value::Null);
}

#[test]
fn where_the_directory_decides_a_token_changes_nothing() {
    let world = World::peopled();
    let before = written(&world);
    let eager = Token { name: Some("Ann A.".into()), ..saying(&world, 0, ACME, "ann", &["*"]) };
    let whoami = world.get(&Credential::Token(eager), "/v1/whoami").expect(200);
    assert_eq!(whoami["permissions"], json!(["keyward.keys.own", "orders.*"]));
    world.get(&Credential::Token(saying(&world, 0, ACME, "new", &["*"])), "/v1/whoami").expect(401);
    assert_eq!(written(&world), before);
}

#[test]
fn where_tokens_decide_the_first_use_of_one_brings_the_directory_up_to_date() {
    let world = decided_by_tokens();
    world.wait(60);
    let ann_key = {
        let ann = world.sign_in(ACME, "ann");
        world.create(&ann, json!({})).expect(201)["key"].clone()
    };
    publish(&world);
    world.announce();

    let sent =
        Token { name: Some(" Ann A. ".into()), email: Some("ann@acme.example".into()), ..saying(&world, 5, ACME, "ann", &["stock.*"]) };
    let ann = Credential::Token(sent);
    assert_eq!(world.get(&ann, "/v1/whoami").expect(200)["permissions"], json!(["stock.*"]));
    let owner = world.operator("GET", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(200);
    assert_eq!((&owner["name"], &owner["email"], &owner["active"]), (&json!("Ann A."), &json!("ann@acme.example"), &json!(true)));
    // It is announced, and the records of the owner's keys are put anew.
    assert_eq!(world.shard.deliveries(world.at()).unwrap().len(), 1);
    assert_eq!(world.get(&key(&ann_key), "/v1/whoami").expect(200)["permissions"], json!(["stock.*"]));
    world.wait(2);
    assert!(publish(&world).iter().any(|(_, value)| value.as_ref().is_some_and(|value| value.contains("stock.*"))));
    let trail = world.operator("GET", &format!("/v1/audit?company={ACME}&target=ann"), Value::Null).expect(200);
    let entry = &trail["entries"][0];
    assert_eq!((&entry["action"], &entry["actor"], &entry["key"]), (&json!("owner.put"), &json!(ISSUER), &Value::Null));
    assert_eq!(
        (&entry["before"]["permissions"], &entry["after"]["permissions"]),
        (&json!(["keyward.keys.own", "orders.*"]), &json!(["stock.*"]))
    );
    assert_eq!(world.operator("GET", &format!("/v1/audit/verify?company={ACME}"), Value::Null).expect(200)["valid"], json!(true));

    // The same token, and a later one that says the same, write nothing there.
    let before = written(&world);
    world.get(&ann, "/v1/whoami").expect(200);
    let same = Token { email: None, ..saying(&world, 0, ACME, "ann", &["stock.*"]) };
    world.get(&Credential::Token(same), "/v1/whoami").expect(200);
    assert_eq!(written(&world), before);

    // A new person; what is no name or address is not taken for one.
    let odd = Token { name: Some("\u{202e}nna".into()), email: Some("nowhere".into()), ..saying(&world, 0, ACME, "eve", &["orders.read"]) };
    let eve = Credential::Token(odd);
    world.create(&eve, json!({})).expect(403);
    let owner = world.operator("GET", &format!("/v1/owners/eve?company={ACME}"), Value::Null).expect(200);
    assert_eq!((&owner["name"], &owner["email"], &owner["permissions"]), (&json!("eve"), &Value::Null, &json!(["orders.read"])));

    // Another object that asks who somebody is learns it from the directory as the token has left it.
    let credential = Credential::Token(saying(&world, 0, OPERATOR, "opal", &["keyward.operator"]));
    let request = Authenticate { credential, address: None, request_id: "r".into() };
    let caller = world.shard.authenticate(world.at(), &request).unwrap();
    assert!(caller.permissions.allows_str("keyward.operator"));
}

#[test]
fn an_older_token_undoes_nothing() {
    let world = decided_by_tokens();
    world.wait(600);
    let ask = |token: &Token| world.get(&Credential::Token(token.clone()), "/v1/whoami").expect(200)["permissions"].clone();
    // Bob was made known before any token came: one that is older than that says nothing about him.
    world.put_owner(ACME, "bob", &["orders.read"]).expect(200);
    assert_eq!(ask(&saying(&world, 1, ACME, "bob", &["*"])), json!(["orders.read"]));
    let old = saying(&world, 30, ACME, "ann", &["old"]);
    let same = saying(&world, 20, ACME, "ann", &["new"]);
    let new = saying(&world, 10, ACME, "ann", &["new"]);
    // In whatever order they are used, the youngest decides, also where it said what was known already.
    assert_eq!(ask(&same), json!(["new"]));
    assert_eq!(ask(&new), json!(["new"]));
    for token in [&old, &saying(&world, 15, ACME, "ann", &["between"]), &saying(&world, 10, ACME, "ann", &["twin"])] {
        assert_eq!(ask(token), json!(["new"]));
    }

    // What an administrator did counts from then on.
    world.put_owner(ACME, "ann", &["orders.read"]).expect(200);
    assert_eq!(ask(&saying(&world, 1, ACME, "ann", &["earlier"])), json!(["orders.read"]));
    world.wait(2);
    assert_eq!(ask(&saying(&world, 1, ACME, "ann", &["later"])), json!(["later"]));

    // Nor does it bring back who was deleted; signing in again does.
    let before = saying(&world, 0, ACME, "ann", &["*"]);
    world.operator("DELETE", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(204);
    world.get(&Credential::Token(before), "/v1/whoami").expect(401);
    world.wait(2);
    assert_eq!(ask(&saying(&world, 1, ACME, "ann", &["again"])), json!(["again"]));

    // Nor where its issuer's clock is fast.
    let mut ahead = saying(&world, 0, ACME, "ann", &["ahead"]);
    ahead.issued_at = world.at().plus(Millis::from_secs(30));
    assert_eq!(ask(&ahead), json!(["ahead"]));
    world.operator("DELETE", &format!("/v1/owners/ann?company={ACME}"), Value::Null).expect(204);
    world.get(&Credential::Token(ahead), "/v1/whoami").expect(401);
}

#[test]
fn signing_in_opens_nothing_that_was_shut() {
    let world = decided_by_tokens();
    world.wait(600);
    let shut = json!({"name": "Ann", "permissions": ["orders.read"], "active": false});
    world.operator("PUT", &format!("/v1/owners/ann?company={ACME}"), shut).expect(200);
    world.wait(60);
    let before = written(&world);
    let ann = Credential::Token(Token { name: Some("New".into()), ..saying(&world, 1, ACME, "ann", &["*"]) });
    world.get(&ann, "/v1/whoami").expect(401);
    assert_eq!(permissions_of(&world, "ann"), json!(["orders.read"]));
    world.get(&Credential::Token(saying(&world, 1, "no-such-company", "ann", &["*"])), "/v1/whoami").expect(401);
    assert_eq!(written(&world), before);

    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "active": false})).expect(200);
    world.get(&Credential::Token(saying(&world, 1, ACME, "new", &["*"])), "/v1/whoami").expect(401);
    world.operator("GET", &format!("/v1/owners/new?company={ACME}"), Value::Null).expect(404);
}

#[test]
fn of_a_deleted_company_no_sign_in_is_remembered() {
    let world = decided_by_tokens();
    world.get(&Credential::Token(saying(&world, 0, ACME, "eve", &["*"])), "/v1/whoami").expect(200);
    let remembered = || world.sql("SELECT COUNT(*) FROM sign_ins WHERE company = ?1", &[ACME.into()])[0][0].number();
    assert!(remembered() > 0);
    world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    world.announce();
    world.go_on();
    assert_eq!(remembered(), 0);
}
