//! The part of workerd's configuration that Keyward uses, as types. What is put into it is [`crate::arrangement`]'s business; how it is
//! written as text is [`crate::capnp`]'s.

use std::path::PathBuf;

use crate::capnp::Value;

/// The newest date that the pinned workerd knows; behaviour of the runtime up to then is wanted.
const COMPATIBILITY_DATE: &str = "2026-04-26";

/// What one runtime process runs.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Services, found by name.
    pub services: Vec<Service>,
    /// Addresses that are listened on.
    pub sockets: Vec<Socket>,
    /// Modules that make bindings of other ones: [`Target::Wrapped`].
    pub wrappers: Vec<Module>,
}

/// A named thing that requests can be sent to.
#[derive(Clone, Debug)]
pub enum Service {
    /// An HTTP server at an address.
    External {
        /// Its name.
        name: &'static str,
        /// `host:port`.
        address: String,
    },
    /// Servers, wherever a name leads to them.
    Network {
        /// Its name.
        name: &'static str,
        /// Which addresses, after names were resolved.
        reach: Reach,
    },
    /// A folder that may be written.
    Disk {
        /// Its name.
        name: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// Code.
    Worker(Worker),
}

/// An address on which a service is reached.
#[derive(Clone, Debug)]
pub struct Socket {
    /// Its name, told when it is ready.
    pub name: &'static str,
    /// `host:port`.
    pub address: String,
    /// The service behind it.
    pub service: &'static str,
}

/// Which addresses a network has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All, this machine's own included.
    Everything,
    /// Those of the public Internet.
    Public,
}

/// Code, with what it may reach.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its name as a service.
    pub name: &'static str,
    /// The first one is the entry.
    pub modules: Vec<Module>,
    /// What its `env` holds.
    pub bindings: Vec<Binding>,
    /// The Durable Object classes that it exports.
    pub classes: Vec<ObjectClass>,
    /// Where their state is kept; `None` where there are none.
    pub storage: Option<Storage>,
    /// The service that its `fetch` goes to.
    pub outbound: Option<&'static str>,
}

/// One module of a Worker.
#[derive(Clone, Debug)]
pub struct Module {
    /// The name by which others import it.
    pub name: String,
    /// What it is.
    pub source: Source,
}

/// Where a module's contents are.
#[derive(Clone, Debug)]
pub enum Source {
    /// JavaScript in a file.
    ScriptFile(PathBuf),
    /// JavaScript, here.
    Script(&'static str),
    /// WebAssembly in a file.
    WasmFile(PathBuf),
    /// Bytes in a file, as they are.
    DataFile(PathBuf),
}

/// A member of a Worker's `env`.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Its name.
    pub name: String,
    /// What it is.
    pub target: Target,
}

/// What a binding gives.
#[derive(Clone, Debug)]
pub enum Target {
    /// A text.
    Text(String),
    /// A KV namespace behind a service.
    Kv(&'static str),
    /// Another service.
    Service(&'static str),
    /// The objects of a class of the Worker itself, or of another one.
    Objects {
        /// The class.
        class: &'static str,
        /// The Worker that exports it, where it is another.
        service: Option<&'static str>,
    },
    /// What a module makes of bindings.
    Wrapped {
        /// The module, one of [`Config::wrappers`].
        module: &'static str,
        /// What it is given.
        inner: Vec<Binding>,
    },
}

/// A Durable Object class that a Worker exports.
#[derive(Clone, Debug)]
pub struct ObjectClass {
    /// The exported class.
    pub name: &'static str,
    /// What its objects' ids and files are derived from: never changes.
    pub key: &'static str,
}

/// Where objects keep their state.
#[derive(Clone, Copy, Debug)]
pub enum Storage {
    /// In a disk service, with SQL.
    Disk(&'static str),
    /// Nowhere beyond the process.
    Memory,
}

impl Binding {
    /// A text binding.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), target: Target::Text(text.into()) }
    }

    /// A binding of another kind.
    pub fn to(name: impl Into<String>, target: Target) -> Self {
        Self { name: name.into(), target }
    }
}

impl Config {
    /// The text that workerd reads.
    pub fn to_text(&self) -> String {
        let services = Value::List(self.services.iter().map(service).collect());
        let sockets = Value::List(self.sockets.iter().map(socket).collect());
        let internal = |module: &Module| Value::Struct([named_module(module), vec![("internal", Value::Word("true"))]].concat());
        let modules = Value::List(self.wrappers.iter().map(internal).collect());
        let extensions = Value::List(vec![Value::Struct(vec![("modules", modules)])]);
        let config = Value::Struct(vec![("services", services), ("sockets", sockets), ("extensions", extensions)]);
        format!("using Workerd = import \"/workerd/workerd.capnp\";\nconst config :Workerd.Config = {config};\n")
    }
}

fn service(service: &Service) -> Value {
    let no_options = Value::Struct(vec![]);
    match service {
        Service::External { name, address } => Value::Struct(vec![
            ("name", Value::text(*name)),
            ("external", Value::Struct(vec![("address", Value::text(address)), ("http", no_options)])),
        ]),
        Service::Network { name, reach } => {
            let kinds: &[&str] = match reach {
                Reach::Everything => &["public", "private"],
                Reach::Public => &["public"],
            };
            let allow = Value::List(kinds.iter().map(|kind| Value::text(*kind)).collect());
            let tls = Value::Struct(vec![("trustBrowserCas", Value::Word("true"))]);
            let network = Value::Struct(vec![("allow", allow), ("tlsOptions", tls)]);
            Value::Struct(vec![("name", Value::text(*name)), ("network", network)])
        }
        Service::Disk { name, path } => {
            let disk = Value::Struct(vec![("path", Value::text(path.to_string_lossy())), ("writable", Value::Word("true"))]);
            Value::Struct(vec![("name", Value::text(*name)), ("disk", disk)])
        }
        Service::Worker(code) => Value::Struct(vec![("name", Value::text(code.name)), ("worker", worker(code))]),
    }
}

fn socket(socket: &Socket) -> Value {
    Value::Struct(vec![
        ("name", Value::text(socket.name)),
        ("address", Value::text(&socket.address)),
        ("http", Value::Struct(vec![])),
        ("service", Value::text(socket.service)),
    ])
}

fn worker(worker: &Worker) -> Value {
    let mut fields = vec![
        ("compatibilityDate", Value::text(COMPATIBILITY_DATE)),
        ("modules", Value::List(worker.modules.iter().map(module).collect())),
        ("bindings", Value::List(worker.bindings.iter().map(binding).collect())),
    ];
    if let Some(storage) = worker.storage {
        let sql = matches!(storage, Storage::Disk(_));
        let class = |class: &ObjectClass| {
            let mut fields = vec![("className", Value::text(class.name)), ("uniqueKey", Value::text(class.key))];
            if sql {
                fields.push(("enableSql", Value::Word("true")));
            }
            Value::Struct(fields)
        };
        let place = match storage {
            Storage::Disk(service) => ("localDisk", Value::text(service)),
            Storage::Memory => ("inMemory", Value::Word("void")),
        };
        fields.push(("durableObjectNamespaces", Value::List(worker.classes.iter().map(class).collect())));
        fields.push(("durableObjectStorage", Value::Struct(vec![place])));
    }
    if let Some(outbound) = worker.outbound {
        fields.push(("globalOutbound", Value::text(outbound)));
    }
    Value::Struct(fields)
}

fn module(module: &Module) -> Value {
    Value::Struct(named_module(module))
}

fn named_module(module: &Module) -> Vec<(&'static str, Value)> {
    let source = match &module.source {
        Source::ScriptFile(path) => ("esModule", Value::Embed(path.to_string_lossy().into_owned())),
        Source::Script(text) => ("esModule", Value::text(*text)),
        Source::WasmFile(path) => ("wasm", Value::Embed(path.to_string_lossy().into_owned())),
        Source::DataFile(path) => ("data", Value::Embed(path.to_string_lossy().into_owned())),
    };
    vec![("name", Value::text(&module.name)), source]
}

fn binding(given: &Binding) -> Value {
    let target = match &given.target {
        Target::Text(text) => ("text", Value::text(text)),
        Target::Kv(service) => ("kvNamespace", Value::text(*service)),
        Target::Service(service) => ("service", Value::text(*service)),
        Target::Objects { class, service: None } => ("durableObjectNamespace", Value::text(*class)),
        Target::Objects { class, service: Some(service) } => {
            let designator = vec![("className", Value::text(*class)), ("serviceName", Value::text(*service))];
            ("durableObjectNamespace", Value::Struct(designator))
        }
        Target::Wrapped { module, inner } => {
            let inner = Value::List(inner.iter().map(binding).collect());
            ("wrapped", Value::Struct(vec![("moduleName", Value::text(*module)), ("innerBindings", inner)]))
        }
    };
    Value::Struct(vec![("name", Value::text(&given.name)), target])
}
