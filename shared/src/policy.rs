//! The route policy: which permission a route asks for, which routes are open, and what happens to the
//! rest. One per deployment; the first rule that matches wins.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    hash::WordMap,
    json, json_object, json_words,
    path::{self, AmbiguousPath},
    permission::Permission,
    problem::FieldError,
    seal::{self, SealError},
    secret::SecretList,
    time::Millis,
};

/// The version of the stored policy's JSON that this code writes and reads.
pub const VERSION: u32 = 1;
/// The name of the policy in the replicated store.
pub const NAME: &str = "p:policy";
/// The most rules.
pub const MAX_RULES: usize = 5_000;

/// What happens to a request that no rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// A valid key is needed; the origin decides with the verified identity.
    #[default]
    Forward,
    /// 403.
    Deny,
}

json_words!(Fallback { "forward" => Forward, "deny" => Deny });

/// Who deals with a Bearer credential that does not look like a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bearer {
    /// The origin: it is passed on unchanged, without an identity.
    Origin,
}

json_words!(Bearer { "origin" => Origin });

/// One rule as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Upper-case methods; empty: all. HEAD follows GET.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Segments; `*` is one, `**` any number at the end.
    pub path: String,
    /// What the key must be allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// Passes without a credential.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub anonymous: bool,
    /// Who deals with other Bearers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Bearer>,
}

json_object!(Rule { path; or default methods, permission, anonymous, bearer } strict);

/// The policy as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// For what no rule matches.
    #[serde(default)]
    pub default: Fallback,
    /// In order.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

json_object!(Policy { ; or default default, rules } strict);

impl Policy {
    /// Everything that is wrong with it; empty where it can be used.
    pub fn problems(&self) -> Vec<FieldError> {
        let mut problems = Vec::new();
        if self.rules.len() > MAX_RULES {
            problems.push(FieldError { field: "rules".into(), detail: format!("must be at most {MAX_RULES}") });
        }
        for (at, rule) in self.rules.iter().enumerate() {
            for problem in rule.problems().into_iter().flatten() {
                problems.push(FieldError { field: format!("rules[{at}].{}", problem.member()), detail: problem.to_string() });
            }
        }
        problems
    }

    /// Whether it has no [`Policy::problems`].
    pub fn is_usable(&self) -> bool {
        self.rules.len() <= MAX_RULES && self.rules.iter().all(|rule| rule.problems().iter().all(Option::is_none))
    }
}

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum RuleProblem {
    #[error("must be upper-case method names")]
    Method,
    #[error("must be at most 1024 characters long")]
    Length,
    #[error(transparent)]
    Path(#[from] AmbiguousPath),
    #[error("** may only stand at the end")]
    OpenMiddle,
    #[error("* must be a whole segment")]
    PartOfSegment,
    #[error("goes with neither permission nor bearer")]
    Anonymous,
}

impl RuleProblem {
    /// The member of the rule that it is about.
    const fn member(self) -> &'static str {
        match self {
            Self::Method => "methods",
            Self::Length | Self::Path(_) | Self::OpenMiddle | Self::PartOfSegment => "path",
            Self::Anonymous => "anonymous",
        }
    }
}

impl Rule {
    fn problems(&self) -> [Option<RuleProblem>; 3] {
        let is_method = |m: &String| !m.is_empty() && m.len() <= 32 && m.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        let both = self.anonymous && (self.permission.is_some() || self.bearer.is_some());
        [
            (!self.methods.iter().all(is_method)).then_some(RuleProblem::Method),
            check_pattern(&self.path).err(),
            both.then_some(RuleProblem::Anonymous),
        ]
    }
}

fn check_pattern(pattern: &str) -> Result<(), RuleProblem> {
    if pattern.len() > 1024 {
        return Err(RuleProblem::Length);
    }
    // A pattern may be written with or without percent-encoding; beyond that it is held to what a path is.
    let ascii: String = pattern.chars().map(|c| if c.is_ascii() { c } else { 'x' }).collect();
    path::check(&ascii)?;
    let segments: Vec<_> = segments(pattern).collect();
    for (at, segment) in segments.iter().enumerate() {
        match *segment {
            "*" => {}
            "**" if at + 1 == segments.len() => {}
            "**" => return Err(RuleProblem::OpenMiddle),
            other if other.as_bytes().contains(&b'*') => return Err(RuleProblem::PartOfSegment),
            _ => {}
        }
    }
    Ok(())
}

/// The policy as the Registry object stores and answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPolicy {
    /// [`VERSION`].
    pub v: u32,
    /// The Registry's revision of the policy; 0 where none was ever set.
    pub rev: u64,
    /// When the Registry read it to write this, less the margin for clocks.
    pub as_of: Millis,
    /// The rules.
    pub policy: Policy,
}

json_object!(StoredPolicy { v, rev, as_of, policy } passing over others);

/// Why a stored value is no policy that may be used.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// The envelope or its MAC.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The MAC is right, the content is not what this version writes.
    #[error("a policy is not readable: {0}")]
    Form(#[from] json::Error),
    /// Another version of the schema.
    #[error("a policy is of another version")]
    Version,
    /// Readable, but its rules cannot be used.
    #[error("a policy has rules that cannot be used")]
    Rules,
}

impl StoredPolicy {
    /// The policy as it is stored under [`NAME`].
    pub fn seal(&self, secrets: &SecretList) -> Result<String, serde_json::Error> {
        Ok(seal::seal(secrets, NAME, &serde_json::to_string(self)?))
    }

    /// Reads what was stored.
    pub fn open(secrets: &SecretList, value: &str) -> Result<Self, PolicyError> {
        let body = seal::open(secrets, NAME, value)?;
        if seal::version_of(body)? != VERSION {
            return Err(PolicyError::Version);
        }
        let stored: Self = json::from_str(body)?;
        if stored.policy.is_usable() { Ok(stored) } else { Err(PolicyError::Rules) }
    }
}

/// What a route asks of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement<'p> {
    /// No rule matches and the policy denies what it does not know.
    Denied,
    /// A valid key, with the permission where there is one. `bearer_to_origin`: a Bearer that is no key is
    /// the origin's business.
    Key {
        /// What the key must be allowed.
        permission: Option<&'p Permission>,
        /// Whether other Bearers are passed on.
        bearer_to_origin: bool,
    },
    /// Nothing.
    Anonymous,
}

/// A policy made ready for matching: a tree of the segments of its paths, so that a request looks only at rules whose path is its own,
/// however many there are.
#[derive(Clone, Debug, Default)]
pub struct CompiledPolicy {
    fallback: Fallback,
    rules: Vec<CompiledRule>,
    root: Node,
}

#[derive(Clone, Debug)]
struct CompiledRule {
    methods: Vec<Box<str>>,
    path: Box<str>,
    permission: Option<Permission>,
    anonymous: bool,
    bearer_to_origin: bool,
}

/// Where some segments lead, and the rules that end there, in order.
#[derive(Clone, Debug, Default)]
struct Node {
    /// By the next segment, decoded: it can be written in more than one way.
    next: WordMap<Box<[u8]>, Node>,
    /// Whatever the next segment is.
    any: Option<Box<Node>>,
    /// Rules for what ends here.
    here: Vec<usize>,
    /// Rules for all that is here and below.
    below: Vec<usize>,
}

impl Node {
    fn insert(&mut self, path: &str, at: usize) {
        let mut node = self;
        for segment in segments(path) {
            if segment == "**" {
                return node.below.push(at);
            }
            node = match segment {
                "*" => node.any.get_or_insert_default(),
                named => node.next.entry(path::decoded(named.as_bytes()).into()).or_default(),
            };
        }
        node.here.push(at);
    }

    /// The first of the rules that match, and of `best`. `rest`: what leads on from here, without a slash around it.
    fn first_match(&self, rest: &[u8], takes: &impl Fn(usize) -> bool, mut best: usize) -> usize {
        best = first(&self.below, takes, best);
        if rest.is_empty() {
            return first(&self.here, takes, best);
        }
        let (segment, rest) = match rest.iter().position(|byte| *byte == b'/') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, [].as_slice()),
        };
        if let Some(node) = self.next.get(&*path::decoded(segment)) {
            best = node.first_match(rest, takes, best);
        }
        match &self.any {
            Some(node) => node.first_match(rest, takes, best),
            None => best,
        }
    }
}

impl CompiledPolicy {
    /// Compiles a policy without [`Policy::problems`].
    pub fn new(policy: &Policy) -> Self {
        let mut root = Node::default();
        for (at, rule) in policy.rules.iter().enumerate() {
            root.insert(&rule.path, at);
        }
        Self { fallback: policy.default, rules: policy.rules.iter().map(CompiledRule::new).collect(), root }
    }

    /// What the first matching rule asks of `method` and `path`, which has passed [`path::check`]. A
    /// trailing slash makes no difference: origins rarely make one.
    pub fn requirement(&self, method: &str, path: &str) -> Requirement<'_> {
        self.requirement_of(self.first_match(method, path))
    }

    /// What the rule at this place asks, and what is asked where no rule matches.
    pub fn requirement_of(&self, at: Option<usize>) -> Requirement<'_> {
        match (at.and_then(|at| self.rules.get(at)), self.fallback) {
            (Some(rule), _) => rule.requirement(),
            (None, Fallback::Forward) => Requirement::Key { permission: None, bearer_to_origin: false },
            (None, Fallback::Deny) => Requirement::Denied,
        }
    }

    /// The path of the rule at this place, as it was written but for a slash at its end.
    pub fn path_of(&self, at: usize) -> Option<&str> {
        Some(&self.rules.get(at)?.path)
    }

    /// The place, from 0, of the rule that [`CompiledPolicy::requirement`] goes by; `path` has passed [`path::check`].
    pub fn first_match(&self, method: &str, path: &str) -> Option<usize> {
        let takes = |at: usize| self.rules.get(at).is_some_and(|rule| rule.takes(method));
        let none = self.rules.len();
        let at = self.root.first_match(inner(path.as_bytes()), &takes, none);
        (at < none).then_some(at)
    }
}

impl CompiledRule {
    fn new(rule: &Rule) -> Self {
        let path = rule.path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&rule.path);
        Self {
            methods: rule.methods.iter().map(|m| m.as_str().into()).collect(),
            path: path.into(),
            permission: rule.permission.clone(),
            anonymous: rule.anonymous,
            bearer_to_origin: rule.bearer.is_some(),
        }
    }

    fn takes(&self, method: &str) -> bool {
        let named = |method: &str| self.methods.iter().any(|named| &**named == method);
        self.methods.is_empty() || named(method) || (method == "HEAD" && named("GET"))
    }

    fn requirement(&self) -> Requirement<'_> {
        if self.anonymous {
            return Requirement::Anonymous;
        }
        Requirement::Key { permission: self.permission.as_ref(), bearer_to_origin: self.bearer_to_origin }
    }
}

/// The segments of a path without the slash before the first and one after the last; `/` has none.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// A path without the slash before its first segment and one after its last.
fn inner(path: &[u8]) -> &[u8] {
    let path = if let [b'/', rest @ ..] = path { rest } else { path };
    if let [rest @ .., b'/'] = path { rest } else { path }
}

/// The first of `rules`, which are in order, that takes the request; `best` where none comes before it.
fn first(rules: &[usize], takes: &impl Fn(usize) -> bool, best: usize) -> usize {
    for &at in rules {
        if at >= best {
            break;
        }
        if takes(at) {
            return at;
        }
    }
    best
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
