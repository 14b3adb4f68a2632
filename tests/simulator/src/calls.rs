//! What people ask for, as calls of the API.

use std::collections::BTreeMap;

use keyward_control::{
    call::{ApiCall, Credential, Leak, LeakReport},
    time::rfc3339,
};
use keyward_shared::{
    digest::Digest,
    ids::OwnerId,
    key::{KeyString, Secret},
    shard::Shard as ShardName,
    time::Millis,
};
use serde_json::{Value, json};

use crate::{
    edge::IMPORTED,
    model::{Model, SETS, UNIVERSE},
    script::{COMPANIES, OWNERS, Op},
    world::{COMPANY_IDS, World, bootstrap},
};

/// The network that some keys are bound to.
const NETWORK: &str = "10.0.0.0/8";
/// With what the names begin of keys that are revoked together.
const BEGINNINGS: [&str; 4] = ["a ", "renamed", "renamed 1", "Renamed"];
/// What owners may do besides: make keys of their own.
const OWN_KEYS: &str = "keyward.keys.own";

/// A call, ready to be sent.
pub struct Planned {
    /// The shard that it is for.
    pub shard: usize,
    /// The call.
    pub call: ApiCall,
    /// The text of a key that the server never sees.
    pub blind: Option<String>,
}

fn api_call(method: &str, path: &str, body: String, credential: Credential) -> ApiCall {
    ApiCall {
        method: method.into(),
        path: path.into(),
        query: String::new(),
        body,
        idempotency_key: None,
        if_match: None,
        request_id: "r".into(),
        address: None,
        credential,
        company: None,
        origin: "https://control.example".into(),
        policy: None,
    }
}

/// What a call asks for, before it is known who makes it.
struct Asked {
    company: usize,
    method: &'static str,
    path: String,
    body: Value,
    /// The digest of the manager's key that makes it; `None`: the operator.
    by: Option<Digest>,
    blind: Option<String>,
}

impl Asked {
    fn new(company: usize, method: &'static str, path: String, body: Value) -> Self {
        Self { company, method, path, body, by: None, blind: None }
    }

    /// The key is to be born here, and only its digest sent.
    fn blind(mut self, world: &World, model: &Model, wanted: bool) -> Self {
        if wanted {
            let (text, digest) = draw_key(world, model.companies[self.company].shard_name);
            self.body["digest"] = json!(digest.to_hex());
            self.blind = Some(text);
        }
        self
    }
}

/// The call that makes the change; `None` where there is nothing to change.
pub fn plan(world: &World, op: &Op) -> Option<Planned> {
    let model = world.model.borrow();
    let Asked { company, method, path, body, by, blind } = match op {
        Op::Create { .. } | Op::Patch { .. } | Op::Revoke { .. } | Op::Rotate { .. } | Op::Delete { .. } => about_key(world, &model, op)?,
        Op::RevokeMany { .. } | Op::ImportKeys { .. } => about_keys(world, &model, op)?,
        _ => about_people(&model, op)?,
    };
    let place = &model.companies[company];
    let (shard, id) = (place.shard, place.id.clone());
    drop(model);
    let credential = match by {
        Some(digest) => Credential::Key(digest),
        None if shard == 0 => bootstrap(),
        None => Credential::Vouched(world.operator().ok()?),
    };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut call = api_call(method, &path, body, credential);
    call.company = (!path.starts_with("/v1/companies/")).then_some(id);
    if matches!(op, Op::Revoke { cascade: true, .. }) {
        call.query = "cascade=true".into();
    }
    if matches!(op, Op::Create { .. } | Op::Rotate { .. }) {
        call.idempotency_key = Some(format!("create-{}", world.draw().u64(..)));
    }
    Some(Planned { shard, call, blind })
}

fn about_key(world: &World, model: &Model, op: &Op) -> Option<Asked> {
    let existing = |index: &usize| index.checked_rem(model.keys.len()).and_then(|index| model.keys.get(index));
    let later = |seconds: u64| rfc3339(Millis((world.time.now() / 1000 + seconds) * 1000));
    let asked = match op {
        Op::Create { company, owner, restriction, network, expires_s, blind, manager, retry: _ } => {
            let maker = manager.as_ref().and_then(existing).filter(|key| key.parent.is_none() && !key.imported);
            let (company, owner) = maker.map_or((company % COMPANIES, owner % OWNERS), |maker| (maker.company, maker.owner));
            let restriction = if maker.is_some() { (*restriction).max(2) } else { *restriction };
            let mut body = json!({"name": "a key"});
            if restriction > 0 {
                body["permissions"] = json!(SETS[usize::from(restriction) % SETS.len()]);
            }
            if *network {
                body["allowed_ips"] = json!([NETWORK]);
            }
            if let Some(seconds) = expires_s {
                body["expires_at"] = json!(later(*seconds));
            }
            if maker.is_none() {
                body["owner"] = json!(model.companies[company].owners[owner].id);
                body["manages_keys"] = json!(restriction == 0 && !network && expires_s.is_none());
            }
            let asked = Asked::new(company, "POST", "/v1/keys".to_owned(), body);
            Asked { by: maker.map(|maker| maker.digest), ..asked }.blind(world, model, *blind)
        }
        Op::Patch { key, restriction, expires_s, network, rename } => {
            let key = existing(key)?;
            let mut body = json!({});
            if let Some(set) = restriction {
                body["permissions"] = if *set == 0 { Value::Null } else { json!(SETS[usize::from(*set) % SETS.len()]) };
            }
            if let Some(seconds) = expires_s {
                body["expires_at"] = json!(later(*seconds));
            }
            if let Some(network) = network {
                body["allowed_ips"] = if *network { json!([NETWORK]) } else { json!([]) };
            }
            if *rename {
                body["name"] = json!(format!("renamed {}", world.draw().u8(..)));
            }
            Asked::new(key.company, "PATCH", format!("/v1/keys/{}", key.id), body)
        }
        Op::Revoke { key, .. } => {
            let key = existing(key)?;
            Asked::new(key.company, "POST", format!("/v1/keys/{}/revoke", key.id), json!({"reason": "simulated"}))
        }
        Op::Rotate { key, overlap_s, blind } => {
            let key = existing(key)?;
            let body = overlap_s.map_or_else(|| json!({}), |seconds| json!({"overlap_s": seconds}));
            Asked::new(key.company, "POST", format!("/v1/keys/{}/rotate", key.id), body).blind(world, model, *blind)
        }
        Op::Delete { key } => {
            let key = existing(key)?;
            Asked::new(key.company, "DELETE", format!("/v1/keys/{}", key.id), Value::Null)
        }
        _ => return None,
    };
    Some(asked)
}

fn about_keys(world: &World, model: &Model, op: &Op) -> Option<Asked> {
    let id = |company: usize, owner: usize| &model.companies[company % COMPANIES].owners[owner % OWNERS].id;
    let (company, path, body) = match *op {
        Op::RevokeMany { company, owner, prefix, unused_s } => {
            let mut body = json!({"reason": "simulated"});
            if let Some(owner) = owner {
                body["owner"] = json!(id(company, owner));
            }
            if let Some(prefix) = prefix {
                body["prefix_name"] = json!(BEGINNINGS[usize::from(prefix) % BEGINNINGS.len()]);
            }
            if let Some(seconds) = unused_s {
                body["unused_since"] = json!(rfc3339(Millis((world.time.now() / 1000).saturating_sub(seconds) * 1000)));
            }
            (company, "/v1/keys/revoke", body)
        }
        Op::ImportKeys { company, owner, keys } => {
            let import = |_| json!({"sha256": another_systems_key(world).to_hex(), "name": "a key", "owner": id(company, owner)});
            (company, "/v1/keys/import", json!({"keys": (0..keys).map(import).collect::<Vec<_>>()}))
        }
        _ => return None,
    };
    Some(Asked::new(company % COMPANIES, "POST", path.to_owned(), body))
}

fn about_people(model: &Model, op: &Op) -> Option<Asked> {
    let owner = |company: usize, owner: usize| &model.companies[company % COMPANIES].owners[owner % OWNERS].id;
    let at = |company: usize| format!("/v1/companies/{}", COMPANY_IDS[company % COMPANIES]);
    let person = |id: &OwnerId, permissions: u8, active: bool| {
        let mut all: Vec<&str> = SETS[usize::from(permissions) % SETS.len()].to_vec();
        all.push(OWN_KEYS);
        json!({"name": id, "permissions": all, "active": active})
    };
    let (company, method, path, body) = match *op {
        Op::PutOwner { company, owner: number, permissions, active } => {
            let id = owner(company, number);
            (company, "PUT", format!("/v1/owners/{id}"), person(id, permissions, active))
        }
        Op::PutOwners { company, owners, deactivate_missing } => {
            let named = owners.iter().enumerate().filter_map(|(number, wanted)| {
                let (id, (permissions, active)) = (owner(company, number), (*wanted)?);
                let mut object = person(id, permissions, active);
                object["owner"] = json!(id);
                Some(object)
            });
            let body = json!({"owners": named.collect::<Vec<_>>(), "deactivate_missing": deactivate_missing});
            (company, "PUT", "/v1/owners".to_owned(), body)
        }
        Op::DeleteOwner { company, owner: number } => (company, "DELETE", format!("/v1/owners/{}", owner(company, number)), Value::Null),
        Op::PutCompany { company, active } => (company, "PUT", at(company), json!({"name": "a company", "active": active})),
        Op::DeleteCompany { company } => (company, "DELETE", at(company), Value::Null),
        _ => return None,
    };
    Some(Asked::new(company % COMPANIES, method, path, body))
}

/// The call that sets the policy to its version `version`, with rule `rule`.
pub fn policy(world: &World, rule: u8, version: u64) -> Option<ApiCall> {
    let permission = UNIVERSE[usize::from(rule) % UNIVERSE.len()];
    let body = json!({"rules": [
        {"path": "/version", "permission": format!("policy.v{version}")},
        {"path": "/orders/**", "permission": permission},
        {"path": "/open/**", "anonymous": true},
    ]});
    let operator = world.operator().ok()?;
    Some(api_call("PUT", "/v1/policy", body.to_string(), Credential::Vouched(operator)))
}

/// A key that is born outside: its text and its digest.
fn draw_key(world: &World, shard: ShardName) -> (String, Digest) {
    let common = &world.settings.common;
    let drawn: Result<Secret, core::convert::Infallible> = Secret::draw(|bytes| {
        world.random(bytes);
        Ok(())
    });
    let Ok(secret) = drawn;
    let prefix = common.prefixes.minting();
    let digest = secret.digest(prefix, shard);
    let tag = common.tag_secrets.tag(shard, &digest);
    (KeyString::assemble(prefix, shard, &secret, tag).reveal().to_owned(), digest)
}

/// The operator says that a shard was restored; the revision of everything in it from then on. `None`: it was not taken.
pub fn republish(world: &World, shard: usize) -> Option<u64> {
    let shard = shard % world.shards.len();
    let model = world.model.borrow();
    let mut places: Vec<_> = model.companies.iter().filter(|company| company.shard == shard).map(|company| company.id.clone()).collect();
    drop(model);
    places.reverse(); // the operator's own last: there the policy is concerned too
    let credential = if shard == 0 { bootstrap() } else { Credential::Vouched(world.operator().ok()?) };
    for company in places {
        let mut call = api_call("POST", "/v1/maintenance/republish", "{}".into(), credential.clone());
        call.company = Some(company);
        let handled = world.shard_turn(shard, |core, now| Ok(core.handle(now, &mut |buffer| world.random(buffer), &call))).ok()?;
        if handled.status == 202 {
            return Some(world.revision(shard));
        }
    }
    None
}

/// Reports of some keys, one after the other in the order of their creation, as leaked: one for each shard that has some.
pub fn leaks(world: &World, key: usize, keys: usize) -> Vec<(usize, LeakReport)> {
    let model = world.model.borrow();
    let mut reports: BTreeMap<usize, LeakReport> = BTreeMap::new();
    for index in (key..key + keys).filter_map(|index| index.checked_rem(model.keys.len())) {
        let leaked = &model.keys[index];
        let shard = model.companies[leaked.company].shard;
        let report = || LeakReport { leaks: Vec::new(), address: None, request_id: "r".into() };
        let leak = Leak { digest: leaked.digest, source: "open".into(), url: None };
        reports.entry(shard).or_insert_with(report).leaks.push(leak);
    }
    reports.into_iter().collect()
}

/// A new key of the other system: its digest. Whoever looks for its text finds it in the world.
fn another_systems_key(world: &World) -> Digest {
    let text = of_another_system(world);
    let digest = Digest::of(text.as_bytes());
    world.elsewhere.borrow_mut().insert(digest, text);
    digest
}

fn of_another_system(world: &World) -> String {
    let mut bytes = [0; 32];
    world.random(&mut bytes);
    format!("{IMPORTED}{}", Digest::from_bytes(bytes))
}

/// A key that nobody made, with a right tag; or one that nobody imported.
pub fn unknown(world: &World) -> String {
    if world.draw().bool() { draw_key(world, world.shard_names[0]).0 } else { of_another_system(world) }
}
