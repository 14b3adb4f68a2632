//! What becomes of messages to webhooks: attempts, giving up, sending again, and what is kept of them.
#![allow(clippy::needless_pass_by_value)] // reads better in tests

mod shard_world;

use std::collections::{BTreeMap, BTreeSet};

use keyward_control::{
    settings::{ControlSettings, WebhookTargets},
    shard::webhooks::deliveries::{Message, Outcome},
};
use keyward_shared::{digest::Digest, secret::SecretList};
use serde_json::{Value, json};
use shard_world::{
    ACME, OTHER, World,
    hooks::{DAY, TAKEN, about, alarm, count, deliveries, for_ann, made, said, shown, told, with_secrets, world},
    path_of, settings,
};

#[test]
fn a_failed_message_is_tried_again_ever_later_and_then_given_up() {
    let world = world();
    let id = made(&world, ACME, json!({"events": ["key.created"]}));
    for_ann(&world, ACME, json!({}));
    let mut waits = Vec::new();
    let mut ids = Vec::new();
    for attempt in 1..=10 {
        let sent = alarm(&world, &Outcome::Answered(if attempt == 3 { 302 } else { 500 }));
        assert_eq!(sent.iter().map(|message| message.attempt).collect::<Vec<_>>(), [attempt]);
        ids.extend(sent.into_iter().map(|message| message.id));
        let delivery = &deliveries(&world, ACME, &id, "")[0];
        assert_eq!((&delivery["attempts"], &delivery["last_status"]), (&json!(attempt), &json!(if attempt == 3 { 302 } else { 500 })));
        let now = world.now.get();
        let Some(due) = world.sql("SELECT due_at FROM webhook_deliveries", &[])[0][0].optional_number() else { break };
        waits.push((due - now) / 100);
        assert_eq!(delivery["status"], "pending");
        world.now.set(due);
    }
    let expected = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    assert_eq!(waits.len(), expected.len());
    for (wait, seconds) in waits.iter().zip(expected) {
        assert!((seconds * 9..=seconds * 11).contains(wait), "{wait} tenths for {seconds} s");
    }
    assert!(waits.iter().zip(expected).any(|(wait, seconds)| *wait != seconds * 10), "with jitter");
    ids.dedup();
    assert_eq!(ids.len(), 1, "the same message each time");
    let delivery = &deliveries(&world, ACME, &id, "&status=failed")[0];
    assert_eq!(
        (&delivery["status"], &delivery["next_attempt_at"], &delivery["last_error"]),
        (&json!("failed"), &Value::Null, &json!("answered 500"))
    );
    assert_eq!(shown(&world, ACME, &id)["active"], true, "after three days not yet");
}

#[test]
fn a_message_that_was_taken_is_due_again_where_nobody_says_what_came_of_it_and_late_news_change_nothing() {
    let world = world();
    let id = made(&world, ACME, json!({"events": ["key.created"]}));
    for_ann(&world, ACME, json!({}));
    let take = || {
        world.shard.advance_webhooks(world.at()).unwrap();
        world.shard.messages(world.at(), &mut world.random(), 4).unwrap().0
    };
    let first = take();
    assert_eq!(first.len(), 1);
    assert!(take().is_empty(), "a second alarm at the same time has nothing to do");
    world.wait(29);
    assert!(take().is_empty());
    world.wait(1);
    let second = take();
    assert_eq!((second[0].attempt, &second[0].id, second[0].body == first[0].body), (2, &first[0].id, true));
    let answer = |message: &Message, outcome: &Outcome| world.shard.answered(world.at(), &mut world.random(), message, outcome).unwrap();
    answer(&first[0], &Outcome::Failed("no answer".into()));
    assert_eq!(deliveries(&world, ACME, &id, "")[0]["last_error"], Value::Null, "a later attempt has begun");
    answer(&second[0], &TAKEN);
    answer(&second[0], &Outcome::Failed("no answer".into()));
    let delivery = &deliveries(&world, ACME, &id, "")[0];
    assert_eq!((&delivery["status"], &delivery["last_status"], &delivery["last_error"]), (&json!("delivered"), &json!(204), &Value::Null));
    assert!(take().is_empty());
}

#[test]
fn a_webhook_that_answers_410_is_disabled_and_its_messages_wait_for_a_replay() {
    let world = world();
    let id = made(&world, ACME, json!({"events": ["key.created", "key.expired"]}));
    for _ in 0..3 {
        for_ann(&world, ACME, json!({}));
    }
    world.shard.advance_webhooks(world.at()).unwrap();
    let (messages, _) = world.shard.messages(world.at(), &mut world.random(), 1).unwrap();
    world.shard.answered(world.at(), &mut world.random(), &messages[0], &Outcome::Answered(410)).unwrap();
    let disabled = shown(&world, ACME, &id);
    assert_eq!(disabled["active"], false);
    assert!(disabled["disabled_reason"].as_str().unwrap().contains("410"), "{disabled}");
    let trail = world.get(&world.sign_in(ACME, "admin"), "/v1/audit?action=webhook.disable").expect(200);
    assert_eq!((&trail["entries"][0]["target"], &trail["entries"][0]["actor"]), (&json!(id), &json!("keyward")));
    assert_eq!(count(&world, "webhook_watches"), 0);
    for_ann(&world, ACME, json!({}));
    assert_eq!(alarm(&world, &TAKEN), []);
    let ended = deliveries(&world, ACME, &id, "");
    assert_eq!(ended.len(), 3, "of what came later there is none");
    assert_eq!(ended.iter().filter(|delivery| delivery["last_error"] == "the webhook is not active").count(), 2);

    let replay = |body: Value| world.operator("POST", &format!("/v1/webhooks/{id}/replay?company={ACME}"), body);
    replay(json!({"since": "2020-01-01T00:00:00Z"})).expect(409);
    world.operator("PATCH", &format!("/v1/webhooks/{id}?company={ACME}"), json!({"active": true})).expect(200);
    assert_eq!(shown(&world, ACME, &id)["disabled_reason"], Value::Null);
    world.wait(60);
    alarm(&world, &TAKEN);
    assert_eq!(
        replay(json!({"since": "2020-01-01T00:00:00Z"})).expect(202),
        json!({"replayed": 2, "more": false}),
        "one was still to be tried again"
    );
    assert_eq!(told(&world).len(), 2);
    assert_eq!(deliveries(&world, ACME, &id, "&status=delivered").len(), 3);
}

#[test]
fn five_days_of_nothing_but_failures_disable_and_one_success_or_a_long_silence_begins_anew() {
    for (interrupted, active) in [(None, false), (Some(TAKEN), true)] {
        let world = world();
        let id = made(&world, ACME, json!({"events": ["key.created"]}));
        for hour in 0..=121 {
            for_ann(&world, ACME, json!({}));
            let outcome = interrupted.clone().filter(|_| hour == 60).unwrap_or(Outcome::Failed("no answer".into()));
            alarm(&world, &outcome);
            world.wait(3_600);
        }
        assert_eq!(shown(&world, ACME, &id)["active"], active);
    }
    let world = world();
    let id = made(&world, ACME, json!({"events": ["key.created"]}));
    for _ in 0..3 {
        for_ann(&world, ACME, json!({}));
        alarm(&world, &Outcome::Answered(500));
        world.sql("UPDATE webhook_deliveries SET due_at = NULL, status = 'failed', ended_at = attempted_at", &[]);
        world.wait(4 * DAY);
    }
    assert_eq!(shown(&world, ACME, &id)["active"], true, "three failures in twelve days");
}

#[test]
fn a_failing_webhook_costs_one_request_at_a_time_and_holds_no_other_up() {
    let world = world();
    let dead = made(&world, ACME, json!({"events": ["key.created"]}));
    let alive = made(&world, OTHER, json!({"events": ["key.created"]}));
    for _ in 0..30 {
        for_ann(&world, ACME, json!({}));
        for_ann(&world, OTHER, json!({}));
    }
    let (mut tried, mut taken) = (0, 0);
    loop {
        let worked = world.shard.advance_webhooks(world.at()).unwrap();
        let (messages, more) = world.shard.messages(world.at(), &mut world.random(), 4).unwrap();
        if messages.is_empty() && !worked && !more {
            break;
        }
        for message in messages {
            let outcome = if message.webhook == dead { Outcome::Failed("no answer".into()) } else { TAKEN };
            if message.webhook == alive {
                taken += 1;
            } else {
                tried += 1;
            }
            world.shard.answered(world.at(), &mut world.random(), &message, &outcome).unwrap();
        }
    }
    assert_eq!((taken, tried), (30, 2), "two were on their way when the first failed");
    world.wait(10);
    assert_eq!(alarm(&world, &Outcome::Answered(500)).len(), 1);
    world.wait(400);
    let take = || world.shard.messages(world.at(), &mut world.random(), 4).unwrap().0;
    let probe = take();
    assert_eq!((probe.len(), take().len()), (1, 0), "one, until it is known what came of it");
    world.shard.answered(world.at(), &mut world.random(), &probe[0], &TAKEN).unwrap();
    assert_eq!(alarm(&world, &TAKEN).len(), 29, "and as soon as it answers everything goes on");
}

#[test]
fn the_log_is_paged_and_filtered_newest_first_and_messages_are_sent_again() {
    let world = world();
    let id = made(&world, ACME, json!({"events": ["key.created"]}));
    for index in 0..7 {
        for_ann(&world, ACME, json!({}));
        alarm(&world, &if index < 3 { Outcome::Answered(500) } else { TAKEN });
        world.wait(400);
    }
    alarm(&world, &TAKEN);
    world.sql("UPDATE webhook_deliveries SET status = 'failed' WHERE event <= 2", &[]);
    let path = format!("/v1/webhooks/{id}/deliveries?company={ACME}&limit=3");
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.operator("GET", &format!("{path}{cursor}"), Value::Null).expect(200);
        all.extend(page["deliveries"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted_by(|a, b| a["created_at"].as_str() >= b["created_at"].as_str()), "{all:?}");
    assert_eq!(deliveries(&world, ACME, &id, "&status=failed").len(), 2);
    world.operator("GET", &format!("{path}&status=lost"), Value::Null).expect(400);
    world.operator("GET", &format!("{path}&payload=1"), Value::Null).expect(400);
    assert!(all[0].get("payload").is_none());
    let with_payload = &deliveries(&world, ACME, &id, "&payload=true")[0];
    assert_eq!((&with_payload["id"], &with_payload["payload"]["type"]), (&all[0]["id"], &json!("key.created")));
    assert!(with_payload["payload"]["data"]["hint"].is_string(), "{with_payload}");
    world.operator("GET", &format!("{path}&cursor=00.00"), Value::Null).expect(400);

    let replay = |body: Value| world.operator("POST", &format!("/v1/webhooks/{id}/replay?company={ACME}"), body);
    let one = all[0]["id"].clone();
    assert_eq!(replay(json!({"delivery": one})).expect(202)["replayed"], 1);
    let sent = alarm(&world, &TAKEN);
    assert_eq!((sent.len(), json!(sent[0].id), sent[0].attempt), (1, one, 2));
    assert_eq!(replay(json!({"since": all[6]["created_at"]})).expect(202)["replayed"], 2, "those that failed");
    assert_eq!(alarm(&world, &TAKEN).len(), 2);
    assert_eq!(replay(json!({"since": all[2]["created_at"], "status": "all"})).expect(202)["replayed"], 3);
    assert_eq!(alarm(&world, &TAKEN).len(), 3);
    assert_eq!(replay(json!({"delivery": "msg_0"})).wrong(), ["delivery"], "the webhook itself is there");
    for (body, fields) in [
        (json!({}), vec!["delivery"]),
        (json!({"delivery": null, "since": null}), vec!["delivery"]),
        (json!({"delivery": "msg_0", "since": world.later(0)}), vec!["delivery"]),
        (json!({"delivery": "msg_0", "status": "all"}), vec!["status"]),
        (json!({"since": "yesterday", "status": "some"}), vec!["since", "status"]),
    ] {
        assert_eq!(replay(body.clone()).wrong(), fields, "{body}");
    }
    let trail = world.get(&world.sign_in(ACME, "admin"), "/v1/audit?action=webhook.replay").expect(200);
    let done: Vec<_> = trail["entries"].as_array().unwrap().iter().filter(|entry| entry["outcome"] == "done").collect();
    assert_eq!(done.iter().map(|entry| &entry["after"]["replayed"]).collect::<Vec<_>>(), [&json!(3), &json!(2), &json!(1)]);
}

#[test]
fn the_log_holds_some_hundreds_of_what_has_ended_and_for_a_month() {
    let world = world();
    let id = made(&world, ACME, json!({"events": ["key.created"]}));
    let kept = made(&world, ACME, json!({"events": ["key.revoked"]}));
    for _ in 0..700 {
        for_ann(&world, ACME, json!({}));
    }
    let key = for_ann(&world, ACME, json!({}));
    world.operator("POST", &format!("{}/revoke?company={ACME}", path_of(&key)), Value::Null).expect(200);
    alarm(&world, &TAKEN);
    let of = |id: &str| world.sql("SELECT COUNT(*) FROM webhook_deliveries WHERE webhook = ?1", &[id.into()])[0][0].number();
    assert!((500..=564).contains(&of(&id)), "{}", of(&id));
    assert_eq!(count(&world, "webhook_events"), of(&id) + of(&kept), "an event goes with its last delivery");
    world.wait(30 * DAY);
    for _ in 0..8 {
        world.shard.prune(world.at()).unwrap();
    }
    assert_eq!((count(&world, "webhook_deliveries"), count(&world, "webhook_events")), (0, 0));
}

#[test]
fn a_deleted_webhook_is_gone_at_once_and_its_messages_in_handfuls() {
    let world = world();
    let id = made(&world, ACME, json!({}));
    let other = made(&world, ACME, json!({"events": ["key.revoked"]}));
    for _ in 0..150 {
        for_ann(&world, ACME, json!({}));
    }
    let key = for_ann(&world, ACME, json!({}));
    world.operator("POST", &format!("{}/revoke?company={ACME}", path_of(&key)), Value::Null).expect(200);
    while world.shard.advance_webhooks(world.at()).unwrap() {}
    world.operator("DELETE", &format!("/v1/webhooks/{id}?company={ACME}"), Value::Null).expect(204);
    world.operator("GET", &format!("/v1/webhooks/{id}?company={ACME}"), Value::Null).expect(404);
    assert!(count(&world, "webhook_deliveries") > 100);
    let sent = alarm(&world, &TAKEN);
    assert_eq!(sent.iter().map(|message| &message.webhook).collect::<Vec<_>>(), [&other]);
    assert_eq!((count(&world, "webhooks"), count(&world, "webhook_deliveries"), count(&world, "webhook_events")), (1, 1, 1));
}

#[test]
fn of_an_erased_company_nothing_is_left() {
    let world = world();
    made(&world, ACME, json!({}));
    made(&world, OTHER, json!({}));
    for id in [ACME, OTHER] {
        for_ann(&world, id, json!({"expires_at": world.later(DAY)}));
    }
    world.shard.advance_webhooks(world.at()).unwrap();
    let (messages, _) = world.shard.messages(world.at(), &mut world.random(), 4).unwrap();
    world.operator("DELETE", &format!("/v1/companies/{ACME}"), Value::Null).expect(204);
    for message in &messages {
        world.shard.answered(world.at(), &mut world.random(), message, &Outcome::Answered(410)).unwrap();
    }
    world.shard.advance_webhooks(world.at()).unwrap();
    let (more, _) = world.shard.messages(world.at(), &mut world.random(), 4).unwrap();
    assert!(more.iter().all(|message| messages.iter().all(|sent| sent.webhook != message.webhook)), "nothing is sent any more");
    assert_eq!(world.sql("SELECT 1 FROM audit WHERE company = ?1 AND action = 'webhook.disable'", &[ACME.into()]), [] as [Vec<_>; 0]);
    world.announce();
    world.go_on();
    for table in ["webhooks", "webhook_events", "webhook_deliveries", "webhook_watches"] {
        let companies = world.sql(&format!("SELECT DISTINCT company FROM {table}"), &[]);
        assert!(companies.iter().all(|row| row[0] == OTHER.into()), "{table}: {companies:?}");
    }
}

#[test]
fn while_the_deployments_secrets_are_rotated_all_of_them_sign() {
    let world = world();
    made(&world, ACME, json!({"events": ["key.created"]}));
    for_ann(&world, ACME, json!({}));
    let take = |world: &World| {
        world.shard.advance_webhooks(world.at()).unwrap();
        world.shard.messages(world.at(), &mut world.random(), 4).unwrap().0
    };
    let one = take(&world);
    world.wait(30);
    let two = SecretList::parse(&format!("{},{}", "cd".repeat(32), "ab".repeat(32))).unwrap();
    let world = world.reopened(ControlSettings { webhook_secrets: Some(two), ..settings() });
    let both = take(&world);
    assert_eq!((one[0].signature.split(' ').count(), both[0].signature.split(' ').count()), (1, 2));
}

#[test]
fn what_may_not_be_sent_under_other_settings_is_a_failed_attempt_that_says_why() {
    for (url, changed, why) in
        [("https://hooks.example.com/", settings(), "WEBHOOK_SECRETS"), ("http://127.0.0.1/", with_secrets(), "https")]
    {
        let any = ControlSettings { webhook_targets: WebhookTargets::Any, ..with_secrets() };
        let world = World::peopled_with(any);
        let id = made(&world, ACME, json!({"events": ["key.created"], "url": url}));
        for_ann(&world, ACME, json!({}));
        let world = world.reopened(changed);
        assert_eq!(alarm(&world, &TAKEN), []);
        let listed = deliveries(&world, ACME, &id, "");
        assert!(listed[0]["last_error"].as_str().unwrap().contains(why), "{listed:?}");
        assert_eq!((&listed[0]["status"], &listed[0]["attempts"]), (&json!("pending"), &json!(1)));
    }
}

#[test]
fn whatever_is_lost_on_the_way_every_event_arrives_under_one_id() {
    for seed in 0..12_u64 {
        let mut world = world();
        made(&world, ACME, json!({"events": ["key.created", "key.expired"]}));
        let (mut keys, mut arrived) = (Vec::new(), BTreeMap::<(String, String), BTreeSet<String>>::new());
        let mut on_the_way: Vec<Message> = Vec::new();
        for step in 0..250_u64 {
            let drawn = u64::from(Digest::of(format!("{seed} {step}").as_bytes()).as_bytes()[0]);
            match drawn % 8 {
                0 => keys.push(for_ann(&world, ACME, json!({"expires_at": world.later(1 + drawn * 40)}))),
                1 => drop(world.shard.advance_webhooks(world.at()).unwrap()),
                2 | 3 => {
                    let (messages, _) = world.shard.messages(world.at(), &mut world.random(), 1 + drawn % 3).unwrap();
                    on_the_way.extend(messages);
                }
                4 | 5 if !on_the_way.is_empty() => {
                    let message = on_the_way.swap_remove(usize::try_from(drawn).unwrap_or_default() % on_the_way.len());
                    let outcome = if drawn < 128 { TAKEN } else { Outcome::Answered(503) };
                    if outcome == TAKEN {
                        arrived.entry(about(&message.body)).or_default().insert(message.id.clone());
                    }
                    // It may have arrived, and nobody hears of it.
                    if !drawn.is_multiple_of(5) {
                        world.shard.answered(world.at(), &mut world.random(), &message, &outcome).unwrap();
                    }
                }
                6 => {
                    on_the_way.clear();
                    let settings = world.shard.settings().clone();
                    world = world.reopened(settings);
                }
                _ if drawn < 20 => world.now.set(world.now.get() - 1_000),
                _ => world.wait(drawn),
            }
        }
        for _ in 0..200 {
            world.wait(600);
            for message in alarm(&world, &TAKEN) {
                arrived.entry(about(&message.body)).or_default().insert(message.id);
            }
        }
        assert!(keys.len() > 15, "{}", keys.len());
        let expected: BTreeSet<_> = keys.iter().flat_map(|key| [said("key.created", key), said("key.expired", key)]).collect();
        assert_eq!(arrived.keys().cloned().collect::<BTreeSet<_>>(), expected, "seed {seed}");
        assert!(arrived.values().all(|ids| ids.len() == 1), "seed {seed}: {arrived:?}");
    }
}
