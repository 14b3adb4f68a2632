//! Cloudflare's OAuth provider on the Workers runtime: tokens that it issued itself, one for each owner.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    super::keyward::WARM,
    Once, asked,
    worker::{self, Worker},
};
use crate::{
    cell::{Asked, Cell, Credential, Ground, Running, Started, Work},
    load::{Answer, ask},
};

/// Where the client is sent back to.
const CALLBACK: &str = "https%3A%2F%2Fclient.example.com%2Fcallback";
/// Says that the client came over TLS, which the provider insists on.
const TLS: &str = "x-forwarded-proto: https";

/// Tokens that are in the store.
type Issued = Arc<Once<Vec<String>>>;

pub(super) fn all() -> Vec<Box<dyn Cell>> {
    let issued = Arc::new(Once::new());
    vec![Box::new(OauthProvider { issued: Arc::clone(&issued), forwards: false }), Box::new(OauthProvider { issued, forwards: true })]
}

struct OauthProvider {
    issued: Issued,
    forwards: bool,
}

impl Cell for OauthProvider {
    fn name(&self) -> &'static str {
        if self.forwards { "oauth-provider-gateway" } else { "oauth-provider" }
    }

    fn what(&self) -> &'static str {
        "@cloudflare/workers-oauth-provider on workerd: tokens and encrypted grants in KV, which each request reads."
    }

    fn work(&self) -> Work {
        if self.forwards { Work::Gateway } else { Work::Verify }
    }

    fn version(&self, ground: &Ground<'_>) -> Result<String> {
        worker::version(ground, "@cloudflare/workers-oauth-provider")
    }

    fn start(&self, ground: &Ground<'_>) -> Result<Running> {
        let keys = self.issued.get(|| issue(ground)).context("tokens of the OAuth provider")?;
        let (address, process) = run(ground, self.forwards)?;
        // Of the right form, for a grant that there is, and never issued.
        let wrong = keys.iter().take(2).map(|token| format!("{}{}", &token[..token.len() - 32], "A".repeat(32))).collect();
        let mut asked = Asked { credential: Credential::Bearer, keys, wrong, ..asked(ground) };
        asked.headers.push(TLS.into());
        Ok(Running { address, processes: vec![process], asked })
    }
}

fn run(ground: &Ground<'_>, forwards: bool) -> Result<(SocketAddr, Started)> {
    worker::start(ground, &Worker { name: "oauth-provider", store: "OAUTH_KV", origin: forwards.then_some(ground.origin) })
}

/// Has tokens issued the ordinary way: authorization, code, token. It keeps none in memory, so more of them would change nothing.
fn issue(ground: &Ground<'_>) -> Result<Vec<String>> {
    let (address, _process) = run(ground, false)?;
    let client = json(&get(address, "/client")?)?;
    let (id, secret) = (text(&client, "client_id")?, text(&client, "client_secret")?);
    let owners = 0..WARM.min(ground.keys.valid.len());
    owners.map(|number| token(address, &id, &secret, &format!("owner-{number}"))).collect()
}

fn token(address: SocketAddr, id: &str, secret: &str, owner: &str) -> Result<String> {
    let asked =
        format!("/authorize?response_type=code&client_id={id}&redirect_uri={CALLBACK}&scope=orders.read&state=s&login_hint={owner}");
    let granted = get(address, &asked)?;
    let after = granted.head.split("code=").nth(1).and_then(|rest| rest.split(['&', '\r']).next());
    let Some(code) = after else { bail!("no code: {} {}", granted.status, granted.head) };
    let form = format!("grant_type=authorization_code&client_id={id}&client_secret={secret}&code={code}&redirect_uri={CALLBACK}");
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nhost: api.example.com\r\n{TLS}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    text(&json(&ask(address, request.as_bytes())?)?, "access_token")
}

fn get(address: SocketAddr, target: &str) -> Result<Answer> {
    ask(address, format!("GET {target} HTTP/1.1\r\nhost: api.example.com\r\n{TLS}\r\n\r\n").as_bytes())
}

fn json(answer: &Answer) -> Result<Value> {
    let text = || format!("{}\n{}", answer.head, String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).with_context(text)
}

fn text(value: &Value, member: &str) -> Result<String> {
    value[member].as_str().map(str::to_owned).with_context(|| format!("no {member} in {value}"))
}
