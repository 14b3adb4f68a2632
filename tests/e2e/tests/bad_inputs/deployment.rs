//! A deployment as the table wants it: its policy, its owners, and a key for each of its words.

use std::{fs, time::Duration};

use keyward_bad_inputs::{
    case::Deployment,
    words::{POLICY, PROXY_SECRET, Words},
};
use keyward_e2e::{World, eventually};
use keyward_shared::key::ParsedKey;
use serde_json::{Value, json};

/// Nothing grows old while the table is tried, and changes arrive by push.
const BOUND_S: f64 = 60.0;

/// A running deployment and its words.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) world: World,
    pub(super) words: Words,
}

impl Prepared {
    pub(super) async fn start(deployment: Deployment) -> Self {
        let older = "6b".repeat(32);
        let newer = "6a".repeat(32);
        let (own, tag_secrets): (&[(&str, &str)], _) = match deployment {
            Deployment::Original => (&[("FORWARD_AUTH", "original"), ("CLIENT_ADDRESS", "peer")], newer),
            Deployment::Forwarded => (&[("FORWARD_AUTH", "forwarded"), ("CLIENT_ADDRESS", "proxy")], format!("{newer},{older}")),
        };
        let world = World::with(|options| {
            options.bound_s = Some(BOUND_S);
            let common = [("PROXY_SECRETS", PROXY_SECRET), ("TAG_SECRETS", &tag_secrets), ("LOG_COST", "on")];
            options.settings = own.iter().chain(&common).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        })
        .await;
        let mut made = keys(&world).await;
        let key = &made.iter().find(|(name, _)| *name == "key").unwrap().1;
        made.push(("digest", digest(key)));
        made.extend(for_control(&world).await);
        let words = Words::new(made.into_iter().chain([("operator", world.operator.clone())]), &tag_secrets);
        let prepared = Self { world, words };
        prepared.settle().await;
        prepared
    }

    /// Until every change has arrived at the edge.
    async fn settle(&self) {
        let becomes = async |name: &str, path: &str, status: u16, code: &str| {
            eventually(Duration::from_secs(30), async || {
                let answer = self.world.call(self.words.get(name), path).await;
                if answer.verdict() == (status, code.to_owned()) { Ok(()) } else { Err((name.to_owned(), answer)) }
            })
            .await;
        };
        becomes("key", "/admin/x", 403, "permission_denied").await;
        for (name, status, code) in [
            ("revoked", 401, "key_revoked"),
            ("expired", 401, "key_expired"),
            ("overlapped", 401, "key_expired"),
            ("overlapping", 200, ""),
            ("owner-inactive", 401, "owner_inactive"),
            ("company-inactive", 401, "owner_inactive"),
            ("withdrawn", 403, "permission_denied"),
        ] {
            becomes(name, "/orders/1", status, code).await;
        }
    }

    /// How often an edge has asked a Shard object about a key.
    pub(super) fn questions(&self) -> usize {
        let log = fs::read_to_string(self.world.system.folder().log("control")).unwrap();
        log.lines().filter(|line| line.contains("\"endpoint\":\"resolve\"")).count()
    }
}

async fn keys(world: &World) -> Vec<(&'static str, String)> {
    world.operator("PUT", "/v1/policy", serde_json::from_str(POLICY).unwrap()).await;
    for (owner, permission) in [("jane", "orders.read"), ("john", "orders.read"), ("idle", "orders.read"), ("wilma", "orders.read")] {
        world.owner("demo", owner, &[permission], true).await;
    }
    world.owner("demo", "verifier", &["keyward.introspect"], true).await;
    world.company("closed").await;
    world.owner("closed", "carl", &["orders.read"], true).await;
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2)).to_string();
    let plain = json!({});
    let mut made = Vec::new();
    for (name, company, owner, body) in [
        ("key", "demo", "jane", plain.clone()),
        ("other", "demo", "john", plain.clone()),
        ("elsewhere", "demo", "jane", json!({"allowed_ips": ["203.0.113.0/24", "2001:db8::/32"]})),
        ("revoked", "demo", "jane", plain.clone()),
        ("expired", "demo", "jane", json!({"expires_at": soon})),
        ("overlapping", "demo", "jane", plain.clone()),
        ("overlapped", "demo", "jane", plain.clone()),
        ("owner-inactive", "demo", "idle", plain.clone()),
        ("company-inactive", "closed", "carl", plain.clone()),
        ("withdrawn", "demo", "wilma", plain.clone()),
        ("introspector", "demo", "verifier", plain),
    ] {
        let key = world.key(company, owner, body).await;
        match name {
            "revoked" => drop(world.revoke("demo", &key.id).await),
            "overlapping" => drop(world.rotate("demo", &key.id, json!({"overlap_s": 3_600})).await),
            "overlapped" => drop(world.rotate("demo", &key.id, json!({"overlap_s": 1})).await),
            _ => {}
        }
        made.push((name, key.key));
    }
    world.owner("demo", "idle", &["orders.read"], false).await;
    world.owner("demo", "wilma", &["stock.read"], true).await;
    world.operator("PUT", "/v1/companies/closed", json!({"name": "closed", "active": false})).await;
    made
}

fn digest(key: &str) -> String {
    ParsedKey::parse(key.as_bytes()).unwrap().digest().to_hex()
}

/// What the cases at the control plane speak of.
async fn for_control(world: &World) -> Vec<(&'static str, String)> {
    for company in ["acme", "globex"] {
        world.company(company).await;
        world.owner(company, "boss", &["*", "keyward.*"], true).await;
        world.owner(company, "clerk", &["orders.read", "keyward.keys.own"], true).await;
    }
    let administrator = world.key("acme", "boss", json!({"manages_keys": true})).await;
    let manager = world.key("acme", "clerk", json!({"manages_keys": true})).await;
    let other = world.key("acme", "boss", json!({})).await;
    let foreign = world.key("globex", "boss", json!({})).await;
    let page = world.operator("GET", "/v1/keys?limit=1", Value::Null).await.json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    vec![
        ("administrator", administrator.key),
        ("manager", manager.key),
        ("manager-id", manager.id),
        ("other-id", other.id),
        ("foreign-id", foreign.id),
        ("foreign-digest", digest(&foreign.key)),
        ("cursor", cursor),
    ]
}
