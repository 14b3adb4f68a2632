//! A row of the list, its cases, and how they are written down.

use crate::words::Words;

/// Where a case is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The edge's code natively: path, credentials, gate, forward-auth, introspection, verifier.
    Pure,
    /// The edge in the real runtime, through an HTTP library.
    Runtime,
    /// The same, with the request written on a socket byte by byte.
    Raw,
    /// The control plane in the real runtime.
    Control,
}

/// A line of the list.
#[derive(Debug)]
pub struct Row {
    /// Its words, exactly.
    pub words: &'static str,
    /// What it is tried with.
    pub cases: Vec<Case>,
}

/// A line with its cases.
pub fn row(words: &'static str, cases: impl IntoIterator<Item = Case>) -> Row {
    Row { words, cases: cases.into_iter().collect() }
}

/// One thing that is sent, or a test that sends it.
#[derive(Clone, Debug)]
pub struct Case {
    /// A sentence.
    pub name: String,
    /// What shows that it holds.
    pub proof: Proof,
}

impl Case {
    /// Whether it is tried at `level`.
    pub fn runs_at(&self, level: Level) -> bool {
        match &self.proof {
            Proof::Edge(edge) => edge.levels.contains(&level),
            Proof::Control(_) => level == Level::Control,
            Proof::Test { .. } => false,
        }
    }
}

/// What shows that a case holds.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A request to an edge.
    Edge(Box<Edge>),
    /// A request to the control plane.
    Control(Box<Control>),
    /// Another test, by its file and its name.
    Test {
        /// From the root of the repository.
        file: &'static str,
        /// The function, or the title of a JavaScript test.
        name: &'static str,
    },
}

/// Which of an edge's doors the request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Verified and forwarded.
    Gateway,
    /// `/.keyward/forward-auth/<family>`; the target is where the case says, `method` that of the question.
    ForwardAuth(&'static str),
    /// `POST /.keyward/introspect`, asked by [`Words`]' `introspector` unless the case sends another credential.
    Introspect,
}

/// How the deployment is set up that a case is tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deployment {
    /// nginx in front for forward-auth (`FORWARD_AUTH=original`), and the client's address is the socket's.
    Original,
    /// Caddy or Traefik in front (`FORWARD_AUTH=forwarded`), and the client's address is what a proxy with the secret says. It has two tag secrets.
    Forwarded,
}

/// A request to an edge. Texts may hold placeholders (`{key}`): see [`Words`].
#[derive(Clone, Debug)]
pub struct Edge {
    /// Where it goes.
    pub door: Door,
    /// Which deployment.
    pub deployment: Deployment,
    /// The method.
    pub method: &'static str,
    /// The request target.
    pub target: String,
    /// Headers in order, as bytes.
    pub headers: Vec<(String, Vec<u8>)>,
    /// A body.
    pub body: Option<String>,
    /// The whole request as it is written on the socket, instead of all of the above.
    pub wire: Option<Vec<u8>>,
    /// Where it is tried.
    pub levels: Vec<Level>,
    /// What comes of it.
    pub expected: Expected,
    /// Whether the store and the objects may be asked about the key.
    pub may_read: bool,
    /// The path and query under which the origin must see it, where that is not the target.
    pub path: Option<&'static str>,
    /// Headers that the origin must see, with all their values.
    pub arrives: Vec<(&'static str, Vec<&'static str>)>,
    /// Headers that the origin must not see.
    pub absent: Vec<&'static str>,
}

/// What comes of a request to an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A refusal of Keyward's own: status and code.
    Refused(u16, &'static str),
    /// It reaches the origin (or is let in by forward-auth) as this owner.
    As(&'static str),
    /// It reaches the origin (or is let in by forward-auth) without an identity.
    Anonymous,
    /// The runtime answers by itself with this status (0: it closes the connection), and nothing reaches the origin.
    Unheard(u16),
    /// Whoever answers, it is a refusal (or no answer at all), and nothing reaches the origin.
    Stopped,
    /// Introspection answers 200 and this: `active`, or the code for inactive.
    Told(&'static str),
}

/// A request to the control plane.
#[derive(Clone, Debug)]
pub struct Control {
    /// The method.
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// The key in `x-api-key`, as a placeholder; empty: none.
    pub key: &'static str,
    /// Further headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// A JSON body.
    pub body: Option<String>,
    /// The status.
    pub status: u16,
    /// The code; empty where it is no problem.
    pub code: &'static str,
    /// A field that the problem names; empty: none.
    pub field: &'static str,
}

/// Begins a case: GET of a route that asks for a permission that the key has, at the gateway, without a credential.
pub fn edge(name: impl Into<String>) -> EdgeCase {
    EdgeCase {
        name: name.into(),
        edge: Edge {
            door: Door::Gateway,
            deployment: Deployment::Original,
            method: "GET",
            target: "/orders/1".into(),
            headers: Vec::new(),
            body: None,
            wire: None,
            levels: vec![Level::Pure, Level::Runtime],
            expected: Expected::Unheard(0),
            may_read: false,
            path: None,
            arrives: Vec::new(),
            absent: Vec::new(),
        },
    }
}

/// A case that another test proves.
pub fn by_test(name: impl Into<String>, file: &'static str, test: &'static str) -> Case {
    Case { name: name.into(), proof: Proof::Test { file, name: test } }
}

/// A case at an edge that is being written.
#[derive(Clone, Debug)]
pub struct EdgeCase {
    name: String,
    edge: Edge,
}

impl EdgeCase {
    /// With this method.
    pub fn method(mut self, method: &'static str) -> Self {
        self.edge.method = method;
        self
    }

    /// To this target.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.edge.target = target.into();
        self
    }

    /// With this header, after those before it.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.edge.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// With `x-api-key`.
    pub fn api_key(self, value: impl AsRef<[u8]>) -> Self {
        self.header("x-api-key", value)
    }

    /// With `Authorization`.
    pub fn authorization(self, value: impl AsRef<[u8]>) -> Self {
        self.header("Authorization", value)
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.edge.body = Some(body.into());
        self
    }

    /// At another door.
    pub fn at(mut self, door: Door) -> Self {
        self.edge.door = door;
        self
    }

    /// In the other deployment.
    pub fn behind_a_proxy(mut self) -> Self {
        self.edge.deployment = Deployment::Forwarded;
        self
    }

    /// Also over a raw socket.
    pub fn raw(mut self) -> Self {
        self.edge.levels.push(Level::Raw);
        self
    }

    /// Only at these levels.
    pub fn only(mut self, levels: &[Level]) -> Self {
        self.edge.levels = levels.to_vec();
        self
    }

    /// Over a raw socket instead of through a library, which would not send it like that.
    pub fn not_by_library(self) -> Self {
        self.only(&[Level::Pure, Level::Raw])
    }

    /// Exactly these bytes, over a raw socket only.
    pub fn wire(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.edge.wire = Some(bytes.as_ref().to_vec());
        self.only(&[Level::Raw])
    }

    /// The runtime takes the target for this path before the edge sees it; so this is what is matched and forwarded.
    pub fn taken_for(mut self, path: &'static str) -> Self {
        self.edge.path = Some(path);
        self
    }

    /// The origin must see this header with these values.
    pub fn arrives(mut self, name: &'static str, values: &[&'static str]) -> Self {
        self.edge.arrives.push((name, values.to_vec()));
        self
    }

    /// The origin must not see this header.
    pub fn absent(mut self, name: &'static str) -> Self {
        self.edge.absent.push(name);
        self
    }

    /// Refused without any question about the key.
    pub fn refused(self, status: u16, code: &'static str) -> Case {
        self.end(Expected::Refused(status, code), false)
    }

    /// Refused because of what is known about the key.
    pub fn known_and_refused(self, status: u16, code: &'static str) -> Case {
        self.end(Expected::Refused(status, code), true)
    }

    /// Reaches the origin as jane, whose key [`Words`]' `key` is.
    pub fn passes(self) -> Case {
        self.passes_as("jane")
    }

    /// Reaches the origin as `owner`.
    pub fn passes_as(self, owner: &'static str) -> Case {
        self.end(Expected::As(owner), true)
    }

    /// Reaches the origin without an identity.
    pub fn passes_unknown(self) -> Case {
        self.end(Expected::Anonymous, false)
    }

    /// Forward-auth lets it in and, although it knows, does not say as whom.
    pub fn untold(self) -> Case {
        self.end(Expected::Anonymous, true)
    }

    /// The runtime answers by itself.
    pub fn unheard(self, status: u16) -> Case {
        self.end(Expected::Unheard(status), false)
    }

    /// Refused by whomever, and nothing reaches the origin.
    pub fn stopped(self) -> Case {
        self.end(Expected::Stopped, false)
    }

    /// Introspection answers.
    pub fn told(self, what: &'static str) -> Case {
        self.end(Expected::Told(what), true)
    }

    fn end(mut self, expected: Expected, may_read: bool) -> Case {
        (self.edge.expected, self.edge.may_read) = (expected, may_read);
        Case { name: self.name, proof: Proof::Edge(Box::new(self.edge)) }
    }
}

/// Begins a case at the control plane: what the operator sends.
pub fn control(name: impl Into<String>, method: &'static str, target: impl Into<String>) -> ControlCase {
    let (target, headers, body) = (target.into(), Vec::new(), None);
    let control = Control { method, target, key: "{operator}", headers, body, status: 0, code: "", field: "" };
    ControlCase { name: name.into(), control }
}

/// A case at the control plane that is being written.
#[derive(Clone, Debug)]
pub struct ControlCase {
    name: String,
    control: Control,
}

impl ControlCase {
    /// With another key; empty: none.
    pub fn key(mut self, key: &'static str) -> Self {
        self.control.key = key;
        self
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.control.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// With a JSON body.
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.control.body = Some(body.into());
        self
    }

    /// Refused with status and code.
    pub fn refused(self, status: u16, code: &'static str) -> Case {
        self.end(status, code, "")
    }

    /// Refused with 422, naming the field.
    pub fn field(self, field: &'static str) -> Case {
        self.end(422, "unprocessable", field)
    }

    /// Taken, with this status.
    pub fn taken(self, status: u16) -> Case {
        self.end(status, "", "")
    }

    fn end(mut self, status: u16, code: &'static str, field: &'static str) -> Case {
        (self.control.status, self.control.code, self.control.field) = (status, code, field);
        Case { name: self.name, proof: Proof::Control(Box::new(self.control)) }
    }
}

impl Edge {
    /// The same with the words filled in.
    #[must_use]
    pub fn filled(&self, words: &Words) -> Self {
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), words.fill(value))).collect();
        Self {
            target: words.fill_text(&self.target),
            headers,
            body: self.body.as_ref().map(|body| words.fill_text(body)),
            wire: self.wire.as_ref().map(|wire| words.fill(wire)),
            ..self.clone()
        }
    }

    /// The path and query under which the request arrives at the edge.
    pub fn address(&self) -> String {
        match self.door {
            Door::Gateway => self.target.clone(),
            Door::ForwardAuth(family) => format!("/.keyward/forward-auth/{family}"),
            Door::Introspect => "/.keyward/introspect".into(),
        }
    }

    /// The request as it is written on a socket, for an edge that is called `host`.
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        if let Some(wire) = &self.wire {
            return wire.clone();
        }
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.address()).into_bytes();
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            bytes.extend_from_slice(format!("Host: {host}\r\n").as_bytes());
        }
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
            bytes.extend_from_slice(b"Connection: close\r\n");
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if let Some(body) = &self.body {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default().as_bytes());
        bytes
    }
}
