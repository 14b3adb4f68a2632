//! Keys through the API: making, listing, changing, revoking, deleting.
#![cfg(not(target_arch = "wasm32"))]

mod shard_world;

use keyward_shared::{digest::Digest, key::ParsedKey, shard::Shard};
use serde_json::{Value, json};
use shard_world::{ACME, OTHER, World, bootstrap, company, key, settings_with};

#[test]
fn the_bootstrap_key_is_the_operators_and_made_once() {
    let world = World::new();
    let me = world.get(&bootstrap(), "/v1/whoami").expect(200);
    assert_eq!((&me["owner"], &me["company"], &me["operator"]), (&json!("admin"), &json!("demo"), &json!(true)));
    assert_eq!(me["permissions"], json!(["*", "keyward.*", "keyward.operator"]));
    world.shard.prepare(world.at(), &mut world.random()).unwrap();
    let keys = world.get(&bootstrap(), "/v1/keys").expect(200);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn a_new_key_is_shown_once_and_works_at_once() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let seen = world.create(&ann, json!({"name": "  CI  ", "metadata": {"plan": "pro"}, "allowed_ips": ["192.0.2.9/24"], "rate_limit": "gold", "permissions": ["orders.read"]}));
    let location = seen.headers.iter().find(|(name, _)| name == "Location").unwrap().1.clone();
    let made = seen.expect(201);
    assert_eq!(location, format!("/v1/keys/{}", made["id"].as_str().unwrap()));
    let text = made["key"].as_str().unwrap();
    let parsed = ParsedKey::parse(text.as_bytes()).unwrap();
    assert_eq!(parsed.shard(), Shard::of(&company(ACME)));
    assert!(world.shard.settings().common.tag_secrets.made(parsed.tag(), parsed.shard(), &parsed.digest()));
    for (field, value) in [
        ("name", json!("CI")),
        ("hint", json!(format!("kw_live_…{}", &text[8 + 28..8 + 32]))),
        ("owner", json!("ann")),
        ("owner_name", json!("ann")),
        ("owner_active", json!(true)),
        ("company", json!(ACME)),
        ("status", json!("active")),
        ("created_at", json!("2026-11-18T11:06:40Z")),
        ("created_by", json!("ann")),
        ("parent", Value::Null),
        ("expires_at", Value::Null),
        ("last_used_at", Value::Null),
        ("permissions", json!(["orders.read"])),
        ("effective_permissions", json!(["orders.read"])),
        ("allowed_ips", json!(["192.0.2.0/24"])),
        ("rate_limit", json!("gold")),
        ("metadata", json!({"plan": "pro"})),
        ("manages_keys", json!(false)),
        ("revoked_at", Value::Null),
        ("supersedes", Value::Null),
        ("superseded_by", Value::Null),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    assert_eq!(made["propagation"]["announced_at"], made["propagation"]["committed_at"]);
    let again = world.get(&key(&made["key"]), &location).expect(200);
    assert_eq!(again.get("key"), None);
    assert_eq!(world.get(&key(&made["key"]), "/v1/whoami").expect(200)["key_id"], made["id"]);
}

#[test]
fn with_blind_creation_the_key_never_comes_here_and_the_tag_goes_back() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let digest = Digest::of(b"kw_live_drawn elsewhere");
    let made = world.create(&ann, json!({"digest": digest.to_hex()})).expect(201);
    assert_eq!(made.get("key"), None);
    let tag = world.shard.settings().common.tag_secrets.tag(Shard::of(&company(ACME)), &digest);
    assert_eq!(made["tag"], json!(tag.as_str()));
    assert_eq!(made["hint"], json!("kw_live_…"));
    world.create(&ann, json!({"digest": digest.to_hex()})).expect(409);
    world.create(&world.sign_in(OTHER, "ann"), json!({"digest": digest.to_hex()})).expect(409);
    world.call(&ann, "DELETE", &format!("/v1/keys/{}", made["id"].as_str().unwrap()), Value::Null).expect(204);
    let refused = world.create(&world.sign_in(OTHER, "ann"), json!({"digest": digest.to_hex()})).expect(409);
    assert!(!refused.to_string().contains(ACME), "whose it is stays unsaid");
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let all = json!({"name": " ", "expires_at": "soon", "permissions": ["Orders", "orders.read"], "allowed_ips": ["10.0.0.1/33"], "rate_limit": "",
        "metadata": [], "manages_keys": "yes", "owner": "a b", "digest": "00"});
    let mut wrong = world.call(&ann, "POST", "/v1/keys", all).wrong();
    wrong.sort();
    let expected = ["allowed_ips[0]", "digest", "expires_at", "manages_keys", "metadata", "name", "owner", "permissions[0]", "rate_limit"];
    assert_eq!(wrong, expected);
    assert_eq!(world.call(&ann, "POST", "/v1/keys", json!({})).wrong(), ["name"]);
}

#[test]
fn a_rate_limit_is_a_tier_of_the_deployment_where_it_has_some() {
    let world = World::peopled();
    let made = world.create(&world.sign_in(ACME, "ann"), json!({"rate_limit": "silver"})).expect(201);
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());

    let world = world.reopened(settings_with(&[("RATE_LIMITS", "free=FREE_LIMIT 60/60, gold=GOLD_LIMIT 1000/60")]));
    let ann = world.sign_in(ACME, "ann");
    for tier in ["silver", "Gold", "GOLD_LIMIT"] {
        assert_eq!(world.call(&ann, "POST", "/v1/keys", json!({"name": "CI", "rate_limit": tier})).wrong(), ["rate_limit"], "{tier}");
    }
    assert_eq!(world.call(&ann, "PATCH", &path, json!({"rate_limit": "bronze"})).wrong(), ["rate_limit"]);
    assert_eq!(world.create(&ann, json!({"rate_limit": " gold "})).expect(201)["rate_limit"], json!("gold"));
    // A tier that is gone stays with the keys that have it, until they get another.
    for (change, tier) in [(json!({"name": "B"}), json!("silver")), (json!({"name": "C", "rate_limit": "silver"}), json!("silver"))] {
        assert_eq!(world.call(&ann, "PATCH", &path, change).expect(200)["rate_limit"], tier);
    }
    let successor = world.call(&ann, "POST", &format!("{path}/rotate"), json!({})).expect(201);
    assert_eq!(successor["rate_limit"], json!("silver"));
    for tier in [json!("free"), Value::Null] {
        assert_eq!(world.call(&ann, "PATCH", &path, json!({"rate_limit": tier})).expect(200)["rate_limit"], tier);
    }
}

#[test]
fn each_wrong_value_is_refused() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let many: Vec<_> = (0..1000).map(|n| format!("p{n}")).collect();
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("name", json!("a\u{0}b")),
        ("name", json!("a\nb")),
        ("name", json!("a\u{202e}b")),
        ("name", json!("a\u{2067}b")),
        ("name", json!(5)),
        ("name", Value::Null),
        ("expires_at", json!("2020-01-01T00:00:00Z")),
        ("expires_at", json!("10000-01-01T00:00:00Z")),
        ("expires_at", json!("2030-12-31T23:59:60Z")),
        ("expires_at", json!("2030-01-01T00:00:00")),
        ("expires_at", json!(1_900_000_000)),
        ("permissions", json!(["billing.read"])),
        ("permissions", json!(["*"])),
        ("permissions", json!(["orders read"])),
        ("permissions", json!([""])),
        ("permissions", json!([1])),
        ("permissions", json!("orders.read")),
        ("permissions", json!(many)),
        ("allowed_ips", json!(["localhost"])),
        ("allowed_ips", json!({})),
        ("rate_limit", json!("x".repeat(51))),
        ("metadata", json!({"a": "x".repeat(1100)})),
        ("metadata", json!("text")),
        ("digest", json!("AB".repeat(32))),
    ] {
        let wrong = world.create(&ann, json!({ field: value })).wrong();
        assert!(wrong.iter().all(|name| name.starts_with(field)) && !wrong.is_empty(), "{field} {value} {wrong:?}");
    }
    for good in [
        json!({"name": "<b>"}),
        json!({"name": "=cmd()"}),
        json!({"name": "'; DROP TABLE keys; --"}),
        json!({"name": "é".repeat(100)}),
        json!({"expires_at": "9999-12-31T23:59:59Z"}),
        json!({"allowed_ips": ["0.0.0.0/0", "::ffff:10.0.0.0/104"]}),
        json!({"permissions": []}),
    ] {
        world.create(&ann, good).expect(201);
    }
}

#[test]
fn a_request_that_is_not_well_formed_is_400() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let deep = format!("{{\"name\":\"a\",\"metadata\":{{\"a\":{}{}}}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [
        "[]",
        "{",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"name\":\"a\",\"metadata\":{\"n\":9007199254740993}}",
        "{\"name\":\"\\ud800\"}",
        deep.as_str(),
    ] {
        assert_eq!(world.raw(&ann, "POST", "/v1/keys", body).expect(400)["code"], "invalid_request", "{}", &body[..body.len().min(50)]);
    }
    let unknown = world.create(&ann, json!({"colour": "red"})).expect(400);
    assert!(unknown["detail"].as_str().unwrap().contains("colour"));
    world.create(&ann, json!({"__proto__": {}})).expect(400);
}

#[test]
fn a_company_caps_the_life_of_its_keys() {
    let world = World::peopled();
    world.operator("PUT", &format!("/v1/companies/{ACME}"), json!({"name": "Acme", "max_key_lifetime_days": 30})).expect(200);
    let ann = world.sign_in(ACME, "ann");
    assert_eq!(world.create(&ann, json!({"expires_at": world.later(31 * 86_400)})).wrong(), ["expires_at"]);
    assert_eq!(world.create(&ann, json!({})).expect(201)["expires_at"], json!(world.later(30 * 86_400)));
    let made = world.create(&ann, json!({"expires_at": world.later(86_400)})).expect(201);
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(world.call(&ann, "PATCH", &path, json!({"expires_at": world.later(31 * 86_400)})).wrong(), ["expires_at"]);
    assert_eq!(world.call(&ann, "PATCH", &path, json!({"expires_at": null})).expect(200)["expires_at"], json!(world.later(30 * 86_400)));
}

#[test]
fn what_a_managing_key_makes_is_bounded_by_it_and_never_a_manager() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let expiry = world.later(1000);
    let manager = world
        .create(&ann, json!({"manages_keys": true, "permissions": ["orders.read", "keyward.keys.own"], "allowed_ips": ["192.0.2.0/24"], "expires_at": expiry}))
        .expect(201);
    let calling = key(&manager["key"]);
    let child = world.create(&calling, json!({})).expect(201);
    assert_eq!(child["permissions"], json!(["keyward.keys.own", "orders.read"]));
    assert_eq!((&child["allowed_ips"], &child["expires_at"], &child["parent"]), (&json!(["192.0.2.0/24"]), &json!(expiry), &manager["id"]));
    assert_eq!(child["manages_keys"], json!(false));
    world.create(&calling, json!({"manages_keys": true})).expect(403);
    world.create(&calling, json!({"permissions": ["orders.write"]})).expect(403);
    world.create(&calling, json!({"allowed_ips": ["0.0.0.0/0"]})).expect(403);
    world.create(&calling, json!({"expires_at": world.later(2000)})).expect(403);
    world.create(&key(&child["key"]), json!({})).expect(403);
    let own = format!("/v1/keys/{}", manager["id"].as_str().unwrap());
    for widening in [json!({"expires_at": null}), json!({"permissions": null}), json!({"allowed_ips": []})] {
        world.call(&calling, "PATCH", &own, widening).expect(403);
    }
    world.call(&calling, "PATCH", &own, json!({"permissions": ["orders.read"]})).expect(200);
    let elsewhere = world.get(&key(&child["key"]), "/v1/whoami");
    assert_eq!(elsewhere.status, 200);
}

#[test]
fn a_key_is_refused_from_outside_its_networks() {
    let world = World::peopled();
    let made = world.create(&world.sign_in(ACME, "ann"), json!({"allowed_ips": ["10.0.0.0/8"]})).expect(201);
    assert_eq!(world.get(&key(&made["key"]), "/v1/whoami").expect(403)["code"], "forbidden");
}

#[test]
fn a_plain_key_reads_and_revokes_itself_and_nothing_else() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let (one, two) = (world.create(&ann, json!({})).expect(201), world.create(&ann, json!({})).expect(201));
    let (mine, other) = (format!("/v1/keys/{}", one["id"].as_str().unwrap()), format!("/v1/keys/{}", two["id"].as_str().unwrap()));
    let calling = key(&one["key"]);
    world.get(&calling, &mine).expect(200);
    world.get(&calling, &other).expect(403);
    world.get(&calling, "/v1/keys").expect(403);
    world.create(&calling, json!({})).expect(403);
    world.call(&calling, "PATCH", &mine, json!({"name": "x"})).expect(403);
    world.call(&calling, "DELETE", &mine, Value::Null).expect(403);
    world.call(&calling, "POST", &format!("{other}/revoke"), Value::Null).expect(403);
    assert_eq!(world.call(&calling, "POST", &format!("{mine}/revoke"), Value::Null).expect(200)["status"], "revoked");
    assert_eq!(world.get(&calling, &mine).expect(401)["code"], "unauthenticated");
}

#[test]
fn only_the_operator_makes_keys_for_others_and_no_more_than_both_have() {
    let world = World::peopled();
    world.create(&world.sign_in(ACME, "admin"), json!({"owner": "ann"})).expect(403);
    let target = format!("/v1/keys?company={ACME}");
    assert_eq!(world.operator("POST", &target, json!({"name": "x"})).wrong(), ["owner"]);
    assert_eq!(world.operator("POST", &target, json!({"name": "x", "owner": "nobody"})).wrong(), ["owner"]);
    assert_eq!(
        world.operator("POST", &target, json!({"name": "x", "owner": "bob", "permissions": ["orders.write"]})).wrong(),
        ["permissions"]
    );
    let made = world.operator("POST", &target, json!({"name": "x", "owner": "ann", "permissions": ["orders.read"]})).expect(201);
    assert_eq!((&made["owner"], &made["created_by"]), (&json!("ann"), &json!("demo/admin")));
    let lesser =
        world.operator("POST", "/v1/keys", json!({"name": "x", "permissions": ["keyward.operator"], "manages_keys": true})).expect(201);
    let body = json!({"name": "x", "owner": "ann"});
    let bounded = world.call(&key(&lesser["key"]), "POST", &target, body).expect(201);
    assert_eq!(bounded["effective_permissions"], json!([]), "no more than who made it");
    let body = json!({"name": "x", "owner": "ann", "permissions": ["orders.read"]});
    world.call(&key(&lesser["key"]), "POST", &target, body).expect(403);
}

#[test]
fn revoking_is_final_idempotent_and_reaches_what_the_key_made_when_asked() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let parent = world.create(&ann, json!({"manages_keys": true})).expect(201);
    let child = world.create(&key(&parent["key"]), json!({})).expect(201);
    let path = format!("/v1/keys/{}/revoke", parent["id"].as_str().unwrap());
    let first = world.call(&ann, "POST", &path, json!({"reason": "leaked"})).expect(200);
    world.wait(5);
    let second = world.call(&ann, "POST", &path, json!({"reason": "other"})).expect(200);
    assert_eq!(
        (&first["revoked_at"], &first["revoke_reason"], &first["revoked_by"]),
        (&second["revoked_at"], &second["revoke_reason"], &json!("ann"))
    );
    assert_eq!(world.get(&key(&child["key"]), "/v1/whoami").status, 200);
    world.call(&ann, "POST", &format!("{path}?cascade=true"), Value::Null).expect(200);
    assert_eq!(world.get(&key(&child["key"]), "/v1/whoami").status, 401);
    world.call(&ann, "PATCH", path.trim_end_matches("/revoke"), json!({"name": "x"})).expect(409);
}

#[test]
fn an_expired_key_is_over_to_the_millisecond_and_cannot_be_changed() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({"expires_at": world.later(10)})).expect(201);
    world.wait(9);
    world.get(&key(&made["key"]), "/v1/whoami").expect(200);
    world.wait(1);
    world.get(&key(&made["key"]), "/v1/whoami").expect(401);
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(world.get(&ann, &path).expect(200)["status"], "expired");
    world.call(&ann, "PATCH", &path, json!({"expires_at": null})).expect(409);
}

#[test]
fn a_list_is_newest_first_and_stable_while_keys_are_made() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    for n in 0..7 {
        world.create(&ann, json!({"name": format!("key {n}")})).expect(201);
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&ann, &format!("/v1/keys?limit=2{cursor}")).expect(200);
        names.extend(page["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()));
        world.create(&ann, json!({"name": "made meanwhile"})).expect(201);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["key 6", "key 5", "key 4", "key 3", "key 2", "key 1", "key 0"]);
}

#[test]
fn a_cursor_belongs_to_its_list_and_filters() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    for _ in 0..3 {
        world.create(&ann, json!({})).expect(201);
    }
    let cursor = world.get(&ann, "/v1/keys?limit=1").expect(200)["next_cursor"].as_str().unwrap().to_owned();
    world.get(&ann, &format!("/v1/keys?limit=2&cursor={cursor}")).expect(200);
    world.get(&ann, &format!("/v1/keys?status=active&cursor={cursor}")).expect(400);
    world.get(&world.sign_in(ACME, "bob"), &format!("/v1/keys?cursor={cursor}")).expect(400);
    world.get(&world.sign_in(OTHER, "ann"), &format!("/v1/keys?cursor={cursor}")).expect(400);
    world.get(&world.sign_in(ACME, "admin"), &format!("/v1/audit?cursor={cursor}")).expect(400);
    let (place, mac) = cursor.split_once('.').unwrap();
    let in_capitals = format!("{place}.{}", mac.to_ascii_uppercase());
    for bad in ["x", ".", "00.00", &format!("0{cursor}"), &format!("{cursor}0"), &in_capitals] {
        world.get(&ann, &format!("/v1/keys?cursor={bad}")).expect(400);
    }
}

#[test]
fn lists_are_filtered() {
    let world = World::peopled();
    let (ann, admin) = (world.sign_in(ACME, "ann"), world.sign_in(ACME, "admin"));
    let old = world.create(&ann, json!({"name": "Old one", "expires_at": world.later(50)})).expect(201);
    world.wait(100);
    let gone = world.create(&ann, json!({"name": "Gone"})).expect(201);
    world.call(&ann, "POST", &format!("/v1/keys/{}/revoke", gone["id"].as_str().unwrap()), Value::Null).expect(200);
    world.create(&world.sign_in(ACME, "bob"), json!({"name": "Bob's"})).expect(201);
    world.create(&ann, json!({"name": "Newest", "expires_at": world.later(500)})).expect(201);
    let names = |who, query: &str| -> Vec<String> {
        let list = world.get(who, &format!("/v1/keys?{query}")).expect(200);
        assert_eq!(list["next_cursor"], Value::Null);
        list["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&ann, ""), ["Newest", "Gone", "Old one"]);
    assert_eq!(names(&admin, ""), ["Newest", "Bob's", "Gone", "Old one"]);
    assert_eq!(names(&admin, "owner=bob"), ["Bob's"]);
    assert_eq!(names(&ann, "status=active"), ["Newest"]);
    assert_eq!(names(&ann, "status=expired"), ["Old one"]);
    assert_eq!(names(&ann, "status=revoked"), ["Gone"]);
    assert_eq!(names(&ann, "q=oLD"), ["Old one"]);
    assert_eq!(names(&ann, "q=%25"), Vec::<String>::new());
    assert_eq!(names(&ann, &format!("q={}", old["id"].as_str().unwrap())), ["Old one"]);
    assert_eq!(names(&ann, &format!("expires_before={}", world.later(600))), ["Newest", "Old one"]);
    assert_eq!(names(&ann, &format!("unused_since={}", world.later(0))), ["Old one"]);
    world.get(&ann, "/v1/keys?owner=bob").expect(403);
    for bad in ["limit=0", "limit=-1", "limit=1e9", "status=odd", "sort=colour", "unused_since=monday", "colour=red", "q=a&q=b"] {
        world.get(&ann, &format!("/v1/keys?{bad}")).expect(400);
    }
}

#[test]
fn a_deleted_key_is_gone_and_its_digest_never_comes_back() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    let made = world.create(&ann, json!({})).expect(201);
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    world.call(&ann, "DELETE", &path, Value::Null).expect(204);
    world.get(&ann, &path).expect(404);
    world.call(&ann, "DELETE", &path, Value::Null).expect(404);
    world.get(&key(&made["key"]), "/v1/whoami").expect(401);
    let digest = ParsedKey::parse(made["key"].as_str().unwrap().as_bytes()).unwrap().digest();
    world.create(&ann, json!({"digest": digest.to_hex()})).expect(409);
    let trail = world.get(&world.sign_in(ACME, "admin"), &format!("/v1/audit?target={}", made["id"].as_str().unwrap())).expect(200);
    let actions: Vec<_> =
        trail["entries"].as_array().unwrap().iter().map(|e| (e["action"].as_str().unwrap(), e["outcome"].as_str().unwrap())).collect();
    assert_eq!(actions, [("key.delete", "not_found"), ("key.delete", "done"), ("key.create", "done")]);
}

#[test]
fn what_is_said_of_the_format_finds_keys() {
    let world = World::peopled();
    let format = world.get(&world.sign_in(ACME, "ann"), "/v1/format").expect(200);
    assert_eq!(format["prefix"], "kw_live");
    assert_eq!(format["shard"], json!(Shard::of(&company(ACME)).as_str()));
    assert_eq!(format["scanner"], "\\bkw_live_[0-9A-Za-z]{45}\\b");
}

#[test]
fn unknown_paths_and_methods_are_404_and_405() {
    let world = World::peopled();
    let ann = world.sign_in(ACME, "ann");
    world.get(&ann, "/v1/nothing").expect(404);
    let seen = world.raw(&ann, "PUT", "/v1/keys", "{}");
    assert!(seen.headers.contains(&("Allow".into(), "GET, HEAD, POST".into())));
    seen.expect(405);
}
