//! Webhooks in the real runtime: a receiver that fails, is slow or is not there, and one that checks signatures.

use std::{collections::BTreeMap, time::Duration};

use keyward_e2e::{
    World, build, eventually, http,
    receiver::{Received, Receiver, is_signed},
    stored::differs_from_objects,
    world::BOUND,
};
use keyward_selfhost::{
    StateFolder,
    arrangement::{self, Links},
    config::{Module, Source},
    kv::KvService,
    listen::free_port,
    process::{Launch, Process},
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Longer than the first wait after a failure, on a busy machine.
const RETRY: Duration = Duration::from_secs(20);

async fn with_any_target() -> World {
    let world = World::with(|options| options.settings.push(("WEBHOOK_TARGETS".into(), "any".into()))).await;
    world.company("acme").await;
    world.owner("acme", "jane", &["*"], true).await;
    world
}

async fn hook(world: &World, receiver: &Receiver, events: Value) -> Value {
    world.operator("POST", "/v1/webhooks?company=acme", json!({"url": receiver.url(), "events": events})).await.expect(201).json()
}

/// Waits for so many messages.
async fn heard(receiver: &Receiver, count: usize) -> Vec<Received> {
    eventually(RETRY, async || {
        let got = receiver.got();
        if got.len() >= count { Ok(got) } else { Err(got) }
    })
    .await
}

async fn delivery(world: &World, webhook: &Value) -> Value {
    let id = webhook["id"].as_str().unwrap();
    world.operator("GET", &format!("/v1/webhooks/{id}/deliveries?company=acme"), Value::Null).await.json()["deliveries"][0].clone()
}

#[tokio::test]
async fn a_receiver_that_fails_first_gets_the_same_message_again_and_can_trust_it() {
    let world = with_any_target().await;
    let receiver = Receiver::start().await;
    receiver.answer_with(302, Duration::ZERO);
    let webhook = hook(&world, &receiver, Value::Null).await;
    let secret = webhook["secret"].as_str().unwrap();
    let key = world.key("acme", "jane", json!({"name": "Nightly"})).await;
    heard(&receiver, 1).await;
    eventually(RETRY, async || {
        let delivery = delivery(&world, &webhook).await;
        if delivery["last_status"] == 302 && delivery["status"] == "pending" { Ok(()) } else { Err(delivery) }
    })
    .await;
    receiver.answer_with(200, Duration::ZERO);
    let got = heard(&receiver, 2).await;
    assert_eq!(got.iter().map(|message| message.answered).collect::<Vec<_>>(), [302, 200], "redirects are not followed");
    assert_eq!((&got[0].body, &got[0].headers["webhook-id"]), (&got[1].body, &got[1].headers["webhook-id"]));
    eventually(RETRY, async || {
        let delivery = delivery(&world, &webhook).await;
        if delivery["status"] == "delivered" { Ok(()) } else { Err(delivery) }
    })
    .await;

    let message = &got[1];
    assert_eq!((message.kind(), &message.json()["data"]["id"]), ("key.created".into(), &json!(key.id)));
    assert!(is_signed(secret, message));
    assert!(!is_signed(secret, &Received { body: message.body.replace("Nightly", "Daily"), ..message.clone() }));
    assert!(!is_signed(&webhook["secret"].as_str().unwrap().replace("whsec_", "whsec_AAAA"), message));
    assert!(!message.body.contains(&key.key) && !message.body.contains(&key.key[10..30]));
    assert_eq!(world.files_with(&[&secret[6..40]]), Vec::<std::path::PathBuf>::new(), "the secret is kept nowhere");

    let id = webhook["id"].as_str().unwrap();
    let replay = json!({"delivery": message.headers["webhook-id"]});
    world.operator("POST", &format!("/v1/webhooks/{id}/replay?company=acme"), replay).await.expect(202);
    let got = heard(&receiver, 3).await;
    assert_eq!(got[2].body, message.body);
    assert!(is_signed(secret, &got[2]));
    world.system.stop().await;
}

#[tokio::test]
async fn a_message_outlives_the_control_process() {
    let mut world = with_any_target().await;
    let receiver = Receiver::start().await;
    receiver.answer_with(500, Duration::ZERO);
    let webhook = hook(&world, &receiver, json!(["key.revoked"])).await;
    let key = world.key("acme", "jane", json!({})).await;
    world.revoke("acme", &key.id).await;
    let first = heard(&receiver, 1).await.remove(0);
    world.system.kill_control().await;
    receiver.answer_with(200, Duration::ZERO);
    world.system.start_control().await.unwrap();
    eventually(Duration::from_mins(1), async || {
        let delivery = delivery(&world, &webhook).await;
        if delivery["status"] == "delivered" { Ok(()) } else { Err(delivery) }
    })
    .await;
    let last = receiver.got().pop().unwrap();
    assert_eq!((&last.body, &last.headers["webhook-id"]), (&first.body, &first.headers["webhook-id"]));
    assert!(is_signed(webhook["secret"].as_str().unwrap(), &last));
    world.system.stop().await;
}

#[tokio::test]
async fn receivers_that_do_not_answer_delay_neither_a_revocation_nor_what_the_store_says() {
    let world = with_any_target().await;
    let receiver = Receiver::start().await;
    receiver.answer_with(200, Duration::from_mins(1));
    let mut webhooks = Vec::new();
    for _ in 0..6 {
        webhooks.push(hook(&world, &receiver, json!(["key.created"])).await);
    }
    let key = world.key("acme", "jane", json!({})).await;
    world.call(&key.key, "/").await.expect(200);
    heard(&receiver, 2).await;
    let start = Instant::now();
    world.revoke("acme", &key.id).await;
    eventually(BOUND, async || {
        let answer = world.call(&key.key, "/").await;
        if answer.verdict() == (401, "key_revoked".into()) { Ok(()) } else { Err(answer) }
    })
    .await;
    let keys = BTreeMap::from([(key.id.clone(), key.key.clone())]);
    eventually(Duration::from_secs(6), || differs_from_objects(&world, "acme", &keys)).await;
    let (revoked, waiting) = (start.elapsed(), receiver.got().len());
    eventually(RETRY, async || {
        let delivery = delivery(&world, &webhooks[0]).await;
        if delivery["last_error"] == "no answer within 10 s" { Ok(()) } else { Err(delivery) }
    })
    .await;
    assert!(revoked < Duration::from_secs(9) && waiting > 0, "{waiting} receivers kept it waiting, {revoked:?}");
    world.system.stop().await;
}

#[tokio::test]
async fn nobody_sends_messages_into_the_operators_own_network() {
    let world = World::start().await;
    for url in [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://%31%32%37.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[fd00::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://db.internal/",
        "http://hooks.example.com/",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com/#",
        "https://hooks.example.com:99999/",
        "/hooks",
    ] {
        let answer = world.control(&world.operator, "POST", "/v1/webhooks", json!({"url": url})).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["field"]), (422, &json!("url")), "{url}: {answer:?}");
    }
    let taken = world.operator("POST", "/v1/webhooks", json!({"url": "HTTPS://Hooks.Example.com:443/a/../b?x=1"})).await.expect(201).json();
    assert_eq!(taken["url"], "https://hooks.example.com/b?x=1");
    world.system.stop().await;
}

/// In the place of the control Worker: says whether a URL can be reached as webhooks are, and as everything else is.
const PROBE: &str = r"
export class Shard {}
export class Feed {}
export class Registry {}
export default {
  async fetch(request, env) {
    const url = new URL(request.url).searchParams.get('url');
    const reached = async (network) => {
      try {
        return (await network.fetch(url, { method: 'POST' })).status;
      } catch {
        return 0;
      }
    };
    return Response.json([await reached(env.WEBHOOKS), await reached(globalThis)]);
  },
};";

#[tokio::test]
async fn a_name_that_leads_into_the_operators_own_network_is_refused_after_it_was_resolved() {
    let receiver = Receiver::start().await;
    let url = receiver.url().replace("127.0.0.1", "localhost");
    for (targets, expected) in [("public", json!([0, 204])), ("any", json!([204, 204]))] {
        let folder = StateFolder::temporary().unwrap();
        let kv = KvService::start(&folder.kv(), None).await.unwrap();
        let links = Links { kv: kv.address(), relay_port: free_port().unwrap(), relay_secret: "of this test".into(), origin: None };
        let variables = BTreeMap::from([("WEBHOOK_TARGETS".to_owned(), targets.to_owned())]);
        let modules = vec![Module { name: "probe.mjs".into(), source: Source::Script(PROBE) }];
        let port = free_port().unwrap();
        let config = arrangement::control(modules, &variables, &links, port, &folder.objects());
        let (installation, written) = (build::installation(), folder.write_run_file("control.capnp", &config.to_text()).unwrap());
        let process = Process::start(Launch {
            name: "control",
            workerd: installation.workerd().unwrap(),
            config: &written,
            log: folder.log("control"),
            pid_file: folder.run().join("control.pid"),
            sockets: config.sockets.len(),
        });
        let process = process.await.unwrap();
        let said = http::send(http::client().get(format!("http://127.0.0.1:{port}/?url={}", url.replace('?', "%3F").replace('=', "%3D"))))
            .await
            .expect(200);
        assert_eq!(said.json(), expected, "{targets}");
        process.stop().await;
    }
}
