//! An identity provider on this machine: node-oidc-provider, as `js/provider.mjs` sets it up, and beside it the keys and assertions of
//! Cloudflare Access.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use keyward_selfhost::listen::free_port;
use reqwest::Client;
use serde_json::Value;

use crate::{build, http};

/// For what tokens are asked, unless a test asks for something else.
pub const AUDIENCE: &str = "https://keyward.example";

/// A provider; it ends when this is dropped.
#[derive(Debug)]
pub struct Provider {
    process: Child,
    port: u16,
    access_port: u16,
    http: Client,
}

impl Provider {
    /// Starts one that signs with `algorithm`, on ports of its own.
    pub fn start(algorithm: &str) -> Self {
        Self::on(free_port().unwrap(), free_port().unwrap(), algorithm)
    }

    fn on(port: u16, access_port: u16, algorithm: &str) -> Self {
        let script = build::repository().join("tests/e2e/js/provider.mjs");
        let mut command = Command::new("node");
        command.arg(script).args([port.to_string(), access_port.to_string(), algorithm.into()]);
        let log = File::create(build::output().join(format!("provider-{port}.log"))).unwrap();
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0).spawn();
        let mut process = process.unwrap_or_else(|error| panic!("node: {error}"));
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = said.any(|line| line.is_ok_and(|line| line == "ready"));
        // Its constructor makes the provider end where it did not get so far.
        let provider = Self { process, port, access_port, http: http::client() };
        assert!(ready, "the provider did not start: see target/keyward/provider-{port}.log");
        std::thread::spawn(move || said.for_each(drop)); // what it says later must not fill the pipe
        provider
    }

    /// Ends it; it can be started again with [`Provider::rotate`].
    pub fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it anew on the same ports, with new keys.
    pub fn rotate(&mut self, algorithm: &str) {
        self.stop();
        *self = Self::on(self.port, self.access_port, algorithm);
    }

    /// `OIDC_ISSUER`
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `OIDC_CLIENT_ID` of a client that signs people in for the control plane at `control_url`; a `public` one has no secret, the other
    /// "secret".
    pub fn client(control_url: &str, public: bool) -> String {
        format!("{}@{control_url}/sign-in/callback", if public { "public" } else { "web" })
    }

    /// `ACCESS_ISSUER`
    pub fn access_issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.access_port)
    }

    /// A token for [`AUDIENCE`] that speaks of `owner` and says `claims` besides.
    pub async fn token(&self, owner: &str, claims: Value) -> String {
        self.token_for(AUDIENCE, owner, claims).await
    }

    /// The same for another audience.
    pub async fn token_for(&self, audience: &str, owner: &str, claims: Value) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", owner),
            ("client_secret", "secret"),
            ("resource", audience),
            ("scope", "api"),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(format!("{}/token", self.issuer())).header("content-type", "application/x-www-form-urlencoded");
        let answer = http::send(request.header("x-claims", claims.to_string()).body(body)).await.expect(200).json();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// An assertion of Access with these claims beside the usual ones.
    pub async fn assertion(&self, claims: Value) -> String {
        http::send(self.http.post(format!("{}/assertion", self.access_issuer())).body(claims.to_string())).await.expect(200).text
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}
