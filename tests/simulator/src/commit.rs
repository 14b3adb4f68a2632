//! What the reference is told when a change was committed.

use keyward_control::{
    call::{ApiCall, Credential},
    shard::answer::Handled,
    time::parse,
};
use keyward_shared::{digest::Digest, feed::Subject, ids::KeyId, key::ParsedKey};
use serde_json::{Value, json};

use crate::{
    check::broken,
    model::{History, Key, KeyState, Model, Pending, SETS, mask},
    script::{COMPANIES, OWNERS, Op},
    world::World,
};

/// The change was committed at `rev`: the reference is told.
pub fn committed(world: &World, op: &Op, call: &ApiCall, handled: &Handled, rev: u64, blind: Option<String>) {
    let model = &mut *world.model.borrow_mut();
    let find = |model: &Model| {
        let id = call.path.strip_prefix("/v1/keys/")?.split('/').next()?;
        model.find(&KeyId::new(id).ok()?)
    };
    match op {
        Op::Create { .. } => {
            if let Some(key) = created(world, model, call, handled, rev, blind) {
                model.keys.push(key);
                world.hot.set(model.keys.len() - 1);
            }
        }
        Op::Rotate { overlap_s, .. } => {
            let Some(index) = find(model) else { return };
            let own = world.revision(model.companies[model.keys[index].company].shard);
            if let Some(new) = created(world, model, call, handled, own, blind) {
                model.keys.push(new);
            }
            superseded(world, model, index, *overlap_s);
        }
        Op::Patch { restriction, expires_s, network, .. } => {
            let Some(index) = find(model) else { return };
            let expires_at =
                handled.body.as_ref().and_then(|body| body["expires_at"].as_str()).and_then(|at| parse(at).ok()).map(|at| at.0);
            let key = &mut model.keys[index];
            let Some(mut state) = key.state.latest().copied().flatten() else { return };
            if let Some(set) = restriction {
                state.restriction = (*set != 0).then(|| mask(SETS[usize::from(*set) % SETS.len()]));
            }
            state.network = network.unwrap_or(state.network);
            if expires_s.is_some() {
                state.expires_at = expires_at;
            }
            let asked: Value = serde_json::from_str(&call.body).unwrap_or_default();
            if asked.get("name").is_some() {
                state.renamed = renamed(&asked["name"]);
            }
            key.state.push(rev, Some(state));
            pend(world, model, index, rev);
        }
        Op::RevokeMany { .. } => revoked_many(world, model, call, handled),
        Op::ImportKeys { .. } => imported(world, model, call, handled, rev),
        Op::Revoke { cascade, .. } => {
            let Some(index) = find(model) else { return };
            let mut family = vec![index];
            let mut next = 0;
            while let Some(&parent) = family.get(next).filter(|_| *cascade) {
                next += 1;
                family.extend((0..model.keys.len()).filter(|child| model.keys[*child].parent == Some(parent)));
            }
            for index in family {
                revoke(world, model, index);
            }
        }
        Op::Delete { .. } => {
            let Some(index) = find(model) else { return };
            model.keys[index].state.push(rev, None);
            pend(world, model, index, rev);
        }
        Op::PutOwners { company, owners, deactivate_missing } => {
            put_owners(world, model, company % COMPANIES, *owners, *deactivate_missing, handled, rev);
        }
        _ => about_people(model, op, rev),
    }
}

/// The key is revoked, at the revision of its row; false: it was before, or is not there.
fn revoke(world: &World, model: &mut Model, index: usize) -> bool {
    let Some(state) = model.keys[index].state.latest().copied().flatten().filter(|state| !state.revoked) else { return false };
    let shard = model.companies[model.keys[index].company].shard;
    let rev = world.row_revision(shard, &model.keys[index].id);
    model.keys[index].state.push(rev, Some(KeyState { revoked: true, ..state }));
    pend(world, model, index, rev);
    true
}

/// All keys that the request's filters take are revoked, and no other.
fn revoked_many(world: &World, model: &mut Model, call: &ApiCall, handled: &Handled) {
    let asked: Value = serde_json::from_str(&call.body).unwrap_or_default();
    let Some(company) = model.companies.iter().position(|company| call.company.as_ref() == Some(&company.id)) else { return };
    let place = &model.companies[company];
    let shard = place.shard;
    let owner = asked["owner"].as_str().and_then(|id| place.owners.iter().position(|owner| owner.id.as_str() == id));
    let unused = asked["unused_since"].as_str().and_then(|at| parse(at).ok()).map(|at| at.0);
    let wanted = |key: &Key| {
        let Some(state) = key.state.latest().copied().flatten() else { return false };
        key.company == company
            && owner.is_none_or(|owner| key.owner == owner)
            && asked["prefix_name"].as_str().is_none_or(|beginning| state.name().starts_with(beginning))
            && unused.is_none_or(|at| world.last_used(shard, &key.id) < at)
    };
    let taken: Vec<usize> = (0..model.keys.len()).filter(|index| wanted(&model.keys[*index])).collect();
    let revoked = taken.into_iter().filter(|index| revoke(world, model, *index)).count();
    let said = handled.body.as_ref().map(|body| (body["revoked"].clone(), body["more"].clone()));
    if said != Some((json!(revoked), json!(false))) {
        broken(world, "all keys that the filters take are revoked together", format!("{asked}: {said:?} instead of {revoked}"));
    }
    world.count(if revoked > 1 { "several revoked together" } else { "one or none revoked together" });
}

/// Another system's keys are there, as the answer and the request say.
fn imported(world: &World, model: &mut Model, call: &ApiCall, handled: &Handled, rev: u64) {
    let asked: Value = serde_json::from_str(&call.body).unwrap_or_default();
    let asked = asked["keys"].as_array().cloned().unwrap_or_default();
    let made = handled.body.as_ref().and_then(|body| body["keys"].as_array()).cloned().unwrap_or_default();
    let keys = asked.iter().zip(&made).filter_map(|(asked, made)| {
        let digest: Digest = asked["sha256"].as_str()?.parse().ok()?;
        let state = KeyState { revoked: false, expires_at: None, restriction: None, network: false, renamed: None };
        let text = world.elsewhere.borrow().get(&digest)?.clone();
        Some(Key { imported: true, ..key(world, model, made, digest, text, state, rev)? })
    });
    let keys: Vec<Key> = keys.collect();
    if keys.len() != asked.len() {
        broken(world, "all keys of a request are imported", format!("{asked:?}: {made:?}"));
    }
    model.keys.extend(keys);
    world.count("imported");
}

/// Owners are as a request says; those who were so already are left alone.
fn put_owners(
    world: &World,
    model: &mut Model,
    company: usize,
    owners: [Option<(u8, bool)>; OWNERS],
    deactivate_missing: bool,
    handled: &Handled,
    rev: u64,
) {
    let (mut created, mut updated, mut unchanged, mut deactivated) = (0, 0, 0, 0);
    for (number, wanted) in owners.iter().enumerate() {
        let was = model.companies[company].owners[number].state.latest().copied().flatten();
        let is = match (was, *wanted) {
            (was, Some((permissions, active))) if was == Some((permissions % 6, active)) => {
                unchanged += 1;
                continue;
            }
            (Some(_), Some((permissions, active))) => {
                updated += 1;
                (permissions % 6, active)
            }
            (None, Some((permissions, active))) => {
                created += 1;
                (permissions % 6, active)
            }
            (Some((permissions, true)), None) if deactivate_missing => {
                deactivated += 1;
                (permissions, false)
            }
            (_, None) => continue,
        };
        model.companies[company].owners[number].state.push(rev, Some(is));
        if was.is_some() {
            pend_owner(model, company, number, rev);
        }
    }
    let body = handled.body.as_ref();
    let said = ["created", "updated", "unchanged", "deactivated"].map(|count| body.and_then(|body| body[count].as_u64()));
    let right = [created, updated, unchanged, deactivated].map(Some);
    if said != right {
        broken(
            world,
            "owners are made as a request says, and those who are so are left alone",
            format!("{owners:?}: {said:?}, not {right:?}"),
        );
    }
    world.count(if created + updated + deactivated > 1 { "several owners put" } else { "one owner or none put" });
}

/// These keys were reported as leaked, and that was committed; how many of them had not been revoked before.
pub fn leaked(world: &World, digests: &[Digest]) -> usize {
    let model = &mut *world.model.borrow_mut();
    let reported: Vec<usize> = (0..model.keys.len()).filter(|index| digests.contains(&model.keys[*index].digest)).collect();
    let mut revoked = 0;
    for index in reported {
        revoked += usize::from(revoke(world, model, index));
    }
    revoked
}

/// What becomes of a key that has a successor.
fn superseded(world: &World, model: &mut Model, index: usize, overlap_s: Option<u64>) {
    let Some(was) = model.keys[index].state.latest().copied().flatten() else { return };
    let shard = model.companies[model.keys[index].company].shard;
    let mut state = was;
    match overlap_s {
        None => return, // nothing about the old key that an edge decides by
        Some(0) => state.revoked = true,
        Some(seconds) => {
            let end = (world.shard(shard).base.clock(world.time.now()).0.div_ceil(1000) + seconds) * 1000;
            state.expires_at = Some(state.expires_at.map_or(end, |own| own.min(end)));
        }
    }
    if state != was {
        let rev = world.row_revision(shard, &model.keys[index].id);
        model.keys[index].state.push(rev, Some(state));
        pend(world, model, index, rev);
    }
}

fn about_people(model: &mut Model, op: &Op, rev: u64) {
    match op {
        Op::PutOwner { company, owner, permissions, active } => {
            let (company, owner) = (company % COMPANIES, owner % OWNERS);
            let was = model.companies[company].owners[owner].state.latest().copied().flatten().is_some();
            model.companies[company].owners[owner].state.push(rev, Some((permissions % 6, *active)));
            if was {
                pend_owner(model, company, owner, rev);
            }
        }
        Op::DeleteOwner { company, owner } => {
            let (company, owner) = (company % COMPANIES, owner % OWNERS);
            model.companies[company].owners[owner].state.push(rev, None);
            for key in model.keys.iter_mut().filter(|key| (key.company, key.owner) == (company, owner)) {
                if let Some(state) = key.state.latest().copied().flatten().filter(|state| !state.revoked) {
                    key.state.push(rev, Some(KeyState { revoked: true, ..state }));
                }
            }
            pend_owner(model, company, owner, rev);
        }
        Op::PutCompany { company, active } => {
            let company = company % COMPANIES;
            let was = model.companies[company].state.latest().copied().flatten().is_some();
            model.companies[company].state.push(rev, Some(*active));
            if was {
                pend_company(model, company, rev);
            }
        }
        Op::DeleteCompany { company } => {
            let company = company % COMPANIES;
            model.companies[company].state.push(rev, None);
            let mut subjects = Vec::new();
            for owner in &mut model.companies[company].owners {
                owner.state.push(rev, None);
            }
            for key in model.keys.iter_mut().filter(|key| key.company == company) {
                subjects.extend(key.subjects);
                if key.state.latest().copied().flatten().is_some() {
                    key.state.push(rev, None);
                }
            }
            // What was still to be announced of it is part of this.
            let place = &model.companies[company];
            subjects.extend(place.owners.iter().map(|owner| Subject::owner(place.shard_name, &place.id, &owner.id)));
            let shard = place.shard;
            model.pending[shard % 2].retain(|pending| !subjects.contains(&pending.subject));
            pend_company(model, company, rev);
        }
        _ => {}
    }
}

fn pend(world: &World, model: &mut Model, index: usize, rev: u64) {
    world.hot.set(index);
    let (key, shard) = (&model.keys[index], model.companies[model.keys[index].company].shard);
    let pending = Pending { subject: key.subjects[0], rev };
    model.pending[shard % 2].push(pending);
}

fn pend_owner(model: &mut Model, company: usize, owner: usize, rev: u64) {
    let place = &model.companies[company];
    let pending = Pending { subject: Subject::owner(place.shard_name, &place.id, &place.owners[owner].id), rev };
    let shard = place.shard;
    model.pending[shard % 2].push(pending);
}

fn pend_company(model: &mut Model, company: usize, rev: u64) {
    let place = &model.companies[company];
    let pending = Pending { subject: Subject::company(place.shard_name, &place.id), rev };
    let shard = place.shard;
    model.pending[shard % 2].push(pending);
}

/// The key that was made, as its answer and its request say.
fn created(world: &World, model: &Model, call: &ApiCall, handled: &Handled, rev: u64, blind: Option<String>) -> Option<Key> {
    let body = handled.body.as_ref()?;
    let asked: Value = serde_json::from_str(&call.body).ok()?;
    let text = blind.or_else(|| body["key"].as_str().map(str::to_owned))?;
    let digest = ParsedKey::parse(text.as_bytes()).ok()?.digest();
    // A successor has what its predecessor still may; everything else was asked for.
    let own = if asked.get("permissions").is_some() { &asked["permissions"] } else { &body["permissions"] };
    let own: Option<Vec<&str>> = own.as_array().map(|own| own.iter().filter_map(Value::as_str).collect());
    let expires_at = if asked.get("expires_at").is_some() { &asked["expires_at"] } else { &body["expires_at"] };
    let state = KeyState {
        revoked: false,
        expires_at: expires_at.as_str().and_then(|at| parse(at).ok()).map(|at| at.0),
        restriction: own.map(|own| mask(&own)),
        network: body["allowed_ips"].as_array().is_some_and(|networks| !networks.is_empty()),
        renamed: renamed(&body["name"]),
    };
    let parent = match &call.credential {
        Credential::Key(digest) => model.keys.iter().position(|key| key.digest == *digest),
        Credential::Session { .. } | Credential::Token(_) | Credential::Vouched(_) => None,
    };
    Some(Key { parent, ..key(world, model, body, digest, text, state, rev)? })
}

/// A key with that digest, of whom an answer says, made at `rev`.
fn key(world: &World, model: &Model, said: &Value, digest: Digest, text: String, state: KeyState, rev: u64) -> Option<Key> {
    let id = KeyId::new(said["id"].as_str()?).ok()?;
    let company = model.companies.iter().position(|company| said["company"] == json!(company.id))?;
    let place = &model.companies[company];
    let owner = place.owners.iter().position(|owner| said["owner"] == json!(owner.id))?;
    let mut history = History::default();
    history.push(rev, Some(state));
    let subjects = [
        Subject::key(place.shard_name, &place.id, &id),
        Subject::owner(place.shard_name, &place.id, &place.owners[owner].id),
        Subject::company(place.shard_name, &place.id),
        Subject::shard(place.shard_name),
    ];
    let (created, made) = (world.time.now(), world.row_revision(place.shard, &id));
    Some(Key { company, owner, id, digest, text, imported: false, parent: None, created, made, state: history, subjects, orphan: false })
}

/// The number in the name of a key that was renamed.
fn renamed(name: &Value) -> Option<u8> {
    name.as_str()?.strip_prefix("renamed ")?.parse().ok()
}
