//! Which process runs what.
//!
//! The control process runs the Worker `control` with its Durable Objects on disk. An edge process runs the Worker `edge`. On Cloudflare the
//! edge binds the control Worker's objects directly; here its bindings lead to the small Worker `objects`, whose classes pass every request
//! through a loopback socket to the Worker `relay` in the control process. So the edge's code is the same in both places, several edges can
//! share one control plane, and any process can be stopped alone.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use keyward_shared::tiers;

use crate::{
    config::{Binding, Config, Module, ObjectClass, Reach, Service, Socket, Source, Storage, Target, Worker},
    settings::Variables,
};

/// The Durable Object namespaces: binding, class, what ids are derived from.
const NAMESPACES: [(&str, &str, &str); 3] =
    [("SHARDS", "Shard", "keyward-shard"), ("FEED", "Feed", "keyward-feed"), ("REGISTRY", "Registry", "keyward-registry")];

/// The module of the rate-limiting bindings.
const RATE_LIMIT: &str = "keyward:rate-limit";

/// How processes of one start reach each other.
#[derive(Clone, Debug)]
pub struct Links {
    /// The KV service.
    pub kv: SocketAddr,
    /// The relay's port in the control process.
    pub relay_port: u16,
    /// What the relay asks for.
    pub relay_secret: String,
    /// `host:port` of the origin, where edges have it as the service binding `ORIGIN` instead of an address.
    pub origin: Option<String>,
}

/// The control process, listening on `port` and the relay's port, with its objects in the folder `objects`.
pub fn control(modules: Vec<Module>, variables: &Variables, links: &Links, port: u16, objects: &Path) -> Config {
    let mut bindings = texts(variables);
    bindings.push(Binding::to("KEYS", Target::Kv("kv")));
    bindings.extend(object_bindings(None));
    // Customers say where webhooks lead: they have a network of their own, so that no name leads into this one's.
    bindings.push(Binding::to("WEBHOOKS", Target::Service("webhooks")));
    let anywhere = variables.get("WEBHOOK_TARGETS").is_some_and(|targets| targets.trim() == "any");
    let reach = if anywhere { Reach::Everything } else { Reach::Public };
    let control = Worker {
        name: "control",
        modules,
        bindings,
        classes: classes(),
        storage: Some(Storage::Disk("objects")),
        outbound: Some("network"),
    };

    let mut bindings: Vec<Binding> = object_bindings(Some("control")).collect();
    bindings.push(Binding::text("RELAY_SECRET", &links.relay_secret));
    let relay = script_worker("relay", include_str!("../js/relay.mjs"), bindings);

    Config {
        services: vec![
            kv(links),
            Service::Network { name: "network", reach: Reach::Everything },
            Service::Network { name: "webhooks", reach },
            Service::Disk { name: "objects", path: PathBuf::from(objects) },
            Service::Worker(control),
            Service::Worker(relay),
        ],
        sockets: vec![socket("control", port), socket("relay", links.relay_port)],
        wrappers: Vec::new(),
    }
}

/// An edge process, listening on `port`.
pub fn edge(modules: Vec<Module>, variables: &Variables, links: &Links, port: u16) -> Config {
    let mut bindings = texts(variables);
    bindings.push(Binding::to("KEYS", Target::Kv("kv")));
    bindings.extend(object_bindings(Some("objects")));
    let origin = links.origin.clone().map(|address| Service::External { name: "origin", address });
    bindings.extend(origin.iter().map(|_| Binding::to("ORIGIN", Target::Service("origin"))));
    bindings.extend(rate_limits(variables));
    let edge = Worker { name: "edge", modules, bindings, classes: Vec::new(), storage: None, outbound: Some("network") };

    let bindings = vec![Binding::text("RELAY_SECRET", &links.relay_secret), Binding::to("RELAY", Target::Service("relay"))];
    let mut objects = script_worker("objects", include_str!("../js/objects.mjs"), bindings);
    objects.classes = classes();
    objects.storage = Some(Storage::Memory);

    let mut services = vec![
        kv(links),
        Service::Network { name: "network", reach: Reach::Everything },
        Service::External { name: "relay", address: format!("127.0.0.1:{}", links.relay_port) },
        Service::Worker(edge),
        Service::Worker(objects),
    ];
    services.extend(origin);
    Config {
        services,
        sockets: vec![socket("edge", port)],
        wrappers: vec![Module { name: RATE_LIMIT.into(), source: Source::Script(include_str!("../js/rate-limit.mjs")) }],
    }
}

fn texts(variables: &Variables) -> Vec<Binding> {
    variables.iter().map(|(name, value)| Binding::text(name, value)).collect()
}

fn object_bindings(service: Option<&'static str>) -> impl Iterator<Item = Binding> {
    NAMESPACES.into_iter().map(move |(binding, class, _)| Binding::to(binding, Target::Objects { class, service }))
}

/// A binding for each tier of `RATE_LIMITS`, as the deployment's own configuration has them on Cloudflare.
fn rate_limits(variables: &Variables) -> Vec<Binding> {
    let tiers = variables.get("RATE_LIMITS").and_then(|text| tiers::parse(text).ok()).unwrap_or_default();
    let mut bindings: Vec<Binding> = Vec::new();
    for tier in tiers {
        if bindings.iter().all(|known| known.name != tier.binding) {
            let inner = vec![Binding::text("limit", tier.limit.to_string()), Binding::text("period", tier.period_s.to_string())];
            bindings.push(Binding::to(tier.binding, Target::Wrapped { module: RATE_LIMIT, inner }));
        }
    }
    bindings
}

fn classes() -> Vec<ObjectClass> {
    NAMESPACES.into_iter().map(|(_, name, key)| ObjectClass { name, key }).collect()
}

fn script_worker(name: &'static str, script: &'static str, bindings: Vec<Binding>) -> Worker {
    let modules = vec![Module { name: format!("{name}.mjs"), source: Source::Script(script) }];
    Worker { name, modules, bindings, classes: Vec::new(), storage: None, outbound: None }
}

fn kv(links: &Links) -> Service {
    Service::External { name: "kv", address: links.kv.to_string() }
}

fn socket(name: &'static str, port: u16) -> Socket {
    Socket { name, address: format!("127.0.0.1:{port}"), service: name }
}
