//! Webhooks in the world of a test: making them, and receivers that answer as they are told.

use keyward_control::{
    settings::ControlSettings,
    shard::webhooks::deliveries::{Message, Outcome},
};
use keyward_shared::{
    ids::KeyId,
    messages::{KeyUsage, UsageReport},
};
use serde_json::{Value, json};

use super::{ACME, Seen, World, company, settings, settle};

pub const DAY: u64 = 86_400;

/// A world whose deployment has a secret for webhooks.
pub fn world() -> World {
    World::peopled_with(with_secrets())
}

pub fn with_secrets() -> ControlSettings {
    ControlSettings { webhook_secrets: Some(settings().common.record_secrets), ..settings() }
}

pub fn hook(world: &World, company: &str, more: Value) -> Seen {
    let mut body = json!({"url": "https://hooks.example.com/keyward"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.operator("POST", &format!("/v1/webhooks?company={company}"), body)
}

pub fn made(world: &World, company: &str, more: Value) -> String {
    hook(world, company, more).expect(201)["id"].as_str().unwrap().to_owned()
}

/// One alarm: everything that is due is taken to receivers that answer with `outcome`; what they got.
pub fn alarm(world: &World, outcome: &Outcome) -> Vec<Message> {
    let mut sent = Vec::new();
    loop {
        let advanced = world.shard.advance_webhooks(world.at()).unwrap();
        let (messages, worked) = world.shard.messages(world.at(), &mut world.random(), 4).unwrap();
        if messages.is_empty() && !advanced && !worked {
            return sent;
        }
        for message in messages {
            world.shard.answered(world.at(), &mut world.random(), &message, outcome).unwrap();
            sent.push(message);
        }
    }
}

pub const TAKEN: Outcome = Outcome::Answered(204);

/// The types of what receivers that take everything get now, with the ids of the keys (owners) that it is about.
pub fn told(world: &World) -> Vec<(String, String)> {
    alarm(world, &TAKEN).iter().map(|message| about(&message.body)).collect()
}

pub fn about(body: &str) -> (String, String) {
    let body: Value = serde_json::from_str(body).unwrap();
    let subject = body["data"]["id"].as_str().or(body["data"]["owner"].as_str()).unwrap();
    (body["type"].as_str().unwrap().to_owned(), subject.to_owned())
}

pub fn said(event: &str, made: &Value) -> (String, String) {
    (event.into(), made["id"].as_str().unwrap().into())
}

pub fn deliveries(world: &World, company: &str, id: &str, query: &str) -> Vec<Value> {
    let listed = world.operator("GET", &format!("/v1/webhooks/{id}/deliveries?company={company}{query}"), Value::Null).expect(200);
    listed["deliveries"].as_array().unwrap().clone()
}

pub fn shown(world: &World, company: &str, id: &str) -> Value {
    world.operator("GET", &format!("/v1/webhooks/{id}?company={company}"), Value::Null).expect(200)
}

pub fn count(world: &World, table: &str) -> u64 {
    world.sql(&format!("SELECT COUNT(*) FROM {table}"), &[])[0][0].number()
}

/// When webhooks have something to do next.
pub fn next(world: &World) -> Option<u64> {
    settle(world);
    world.shard.next_alarm(world.at()).unwrap().map(|at| at.0)
}

pub fn for_ann(world: &World, company: &str, more: Value) -> Value {
    let mut body = json!({"name": "a key", "owner": "ann"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.operator("POST", &format!("/v1/keys?company={company}"), body).expect(201)
}

pub fn used(world: &World, made: &Value) {
    let entry = KeyUsage {
        company: company(ACME),
        key_id: KeyId::new(made["id"].as_str().unwrap()).unwrap(),
        last_used_at: world.at(),
        allowed: 1,
        refused: 0,
    };
    world.shard.usage(world.at(), &UsageReport { entries: vec![entry] }).unwrap();
}
