//! A running system with its operator: what most tests begin with.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use keyward_selfhost::{Options, System};
use keyward_shared::{ids::CompanyId, key::Prefix, mint, shard::Shard, tag::TagSecrets};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::{Answer, build, http};

/// The bound that tests run with, unless they choose another.
pub const BOUND: Duration = Duration::from_secs(6);

/// The operator's company.
pub const OPERATOR_COMPANY: &str = "demo";

/// A system, a client and the operator's bootstrap key.
#[derive(Debug)]
pub struct World {
    /// Everything that runs.
    pub system: System,
    /// A client.
    pub http: Client,
    /// The operator's key.
    pub operator: String,
}

/// A key as its creation returned it.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its id.
    pub id: String,
    /// The key itself.
    pub key: String,
    /// The whole answer.
    pub object: Value,
}

impl NewKey {
    fn read(object: Value) -> Self {
        let text = |name: &str| object[name].as_str().unwrap_or_else(|| panic!("no {name}: {object}")).to_owned();
        Self { id: text("id"), key: text("key"), object }
    }
}

impl World {
    /// A new system.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A new system whose options `change` adjusts.
    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(build::installation());
        options.bound_s = Some(BOUND.as_secs_f64());
        change(&mut options);
        let system = System::start(options).await.unwrap_or_else(|error| panic!("{error}"));
        let operator = system.bootstrap_key().unwrap_or_default().to_owned();
        Self { system, http: http::client(), operator }
    }

    /// A request to the edge with a key as `x-api-key`.
    pub async fn call(&self, key: &str, path: &str) -> Answer {
        http::send(self.http.get(format!("{}{path}", self.system.edge_url())).header("x-api-key", key)).await
    }

    /// A request to the edge without a credential.
    pub async fn get(&self, path: &str) -> Answer {
        http::send(self.http.get(format!("{}{path}", self.system.edge_url()))).await
    }

    /// A request to the control plane with a key; without a body where it is null.
    pub async fn control(&self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.system.control_url())).header("x-api-key", key);
        if !body.is_null() {
            request = request.json(&body);
        }
        http::send(request).await
    }

    /// A request to the control plane as the operator, which must succeed.
    pub async fn operator(&self, method: &str, path: &str, body: Value) -> Answer {
        let answer = self.control(&self.operator, method, path, body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}\n{}", self.system.log_tails());
        answer
    }

    /// Makes sure that there is a company.
    pub async fn company(&self, company: &str) {
        self.operator("PUT", &format!("/v1/companies/{company}"), json!({"name": company, "active": true})).await;
    }

    /// Creates an owner, or changes one.
    pub async fn owner(&self, company: &str, owner: &str, permissions: &[&str], active: bool) {
        let body = json!({"name": owner, "permissions": permissions, "active": active});
        self.operator("PUT", &format!("/v1/owners/{owner}?company={company}"), body).await;
    }

    /// Creates a key for an owner, as the operator. `more` completes the body.
    pub async fn key(&self, company: &str, owner: &str, more: Value) -> NewKey {
        let mut body = json!({"name": "A key", "owner": owner});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let answer = self.operator("POST", &format!("/v1/keys?company={company}"), body).await.expect(201);
        NewKey::read(answer.json())
    }

    /// Gives a key a successor, as the operator. `how` is the body.
    pub async fn rotate(&self, company: &str, id: &str, how: Value) -> NewKey {
        NewKey::read(self.operator("POST", &format!("/v1/keys/{id}/rotate?company={company}"), how).await.expect(201).json())
    }

    /// Revokes a key, as the operator.
    pub async fn revoke(&self, company: &str, id: &str) -> Value {
        self.operator("POST", &format!("/v1/keys/{id}/revoke?company={company}"), json!({"reason": "test"})).await.expect(200).json()
    }

    /// A well-formed key of a company that nobody created. Its tag is right only with `our_tag`.
    pub fn made_up_key(&self, company: &str, our_tag: bool) -> String {
        let secret = if our_tag { self.system.tag_secret_hex().to_owned() } else { "5a".repeat(32) };
        let shard = Shard::of(&CompanyId::new(company).unwrap());
        let (key, _) = mint::key(&Prefix::new("kw_live").unwrap(), shard, &TagSecrets::parse(&secret).unwrap()).unwrap();
        key.reveal().to_owned()
    }

    /// The files in the state folder (logs included) that contain one of `needles`.
    pub fn files_with(&self, needles: &[&str]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        search(self.system.folder().path(), needles, &mut found);
        found
    }
}

fn search(folder: &Path, needles: &[&str], found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            search(&path, needles, found);
        } else if let Ok(bytes) = fs::read(&path)
            && needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
        {
            found.push(path);
        }
    }
}
