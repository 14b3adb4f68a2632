//! The control plane's settings, read once per isolate and once per object. A bad one stops the Worker with a
//! message that names it.

use core::net::{IpAddr, SocketAddr};

use keyward_shared::{
    digest::Digest,
    secret::SecretList,
    settings::{CommonSettings, SettingsError, Variables},
    tiers::{self, Tier},
};

use crate::{
    oidc::{Client, Provider},
    page::Drawing,
};

/// Where the client's address is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// `CF-Connecting-IP`, which only Cloudflare's own network may be trusted to set.
    Cloudflare,
    /// The socket's address (`request.cf.clientIp`), on a plain runtime.
    Peer,
    /// What a proxy with one of `PROXY_SECRETS` says.
    Proxy,
}

/// The secrets that proxies introduce themselves with. `Debug` prints none.
#[derive(Clone, Default)]
pub struct ProxySecrets(Vec<Digest>);

impl ProxySecrets {
    /// Whether `sent` is one of them; compared by SHA-256, so the time taken tells nothing.
    pub fn contains(&self, sent: &str) -> bool {
        self.0.contains(&Digest::of(sent.as_bytes()))
    }
}

impl core::fmt::Debug for ProxySecrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ProxySecrets({} redacted)", self.0.len())
    }
}

/// Where webhooks may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookTargets {
    /// `https` to names and addresses of the public Internet.
    Public,
    /// Anywhere, with `http` too: for tests, and for a control plane whose receivers are in its own network.
    Any,
}

/// What the control plane is configured with.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// What it shares with the edge.
    pub common: CommonSettings,
    /// `SESSION_SECRETS`: sign sign-in links, session tokens and list cursors.
    pub session_secrets: SecretList,
    /// `BOOTSTRAP_DIGEST`: under which the operator's first key is stored; without it there is none.
    pub bootstrap_digest: Option<Digest>,
    /// `PUBLIC_EDGE_URL` without a slash at its end: what the page shows people.
    pub public_edge_url: Option<String>,
    /// `PUBLIC_CONTROL_URL` without a slash at its end: where sign-in links lead; by default the request's own origin.
    pub public_control_url: Option<String>,
    /// `CLIENT_ADDRESS`.
    pub client_address: ClientAddress,
    /// `PROXY_SECRETS`.
    pub proxy_secrets: ProxySecrets,
    /// `GITHUB_KEYS_URL`: the public keys that GitHub's secret scanning signs its alerts with; `None`: none are taken.
    pub github_keys_url: Option<String>,
    /// `PUSH_WAITERS`; see [`push_waiters`].
    pub push_waiters: usize,
    /// `OIDC_*`: the identity provider whose tokens are taken as Bearer; `None`: none are.
    pub oidc: Option<Provider>,
    /// `OIDC_CLIENT_ID` and what belongs to it: where people sign in on the pages; `None`: only with links, or through Access.
    pub sign_in: Option<Client>,
    /// `ACCESS_*`: the Cloudflare Access application in front of this Worker whose assertions are taken; `None`: none are.
    pub access: Option<Provider>,
    /// `LOG_COST`: whether a Shard object logs what each request took of its database.
    pub log_cost: bool,
    /// `WEBHOOK_SECRETS`: the secrets of webhooks are derived from them; without them there are no webhooks.
    pub webhook_secrets: Option<SecretList>,
    /// `WEBHOOK_TARGETS`.
    pub webhook_targets: WebhookTargets,
    /// `RATE_LIMITS`: the tiers that a key's `rate_limit` may name; empty: any name is taken, and limits nothing.
    pub tiers: Vec<Tier>,
    /// What draws keys in the browser, where the Worker serves that: no setting, its entry says so (`BROWSER_SCRIPT`, `BROWSER_WASM`).
    pub drawing: Option<Drawing>,
}

impl ControlSettings {
    /// Reads and checks the settings.
    pub fn read(variables: &impl Variables) -> Result<Self, SettingsError> {
        let common = CommonSettings::read(variables)?;
        let session_secrets =
            SecretList::parse(&variables.required("SESSION_SECRETS")?).map_err(|e| SettingsError::new("SESSION_SECRETS", e))?;
        let bootstrap_digest = match variables.or("BOOTSTRAP_DIGEST", "").trim() {
            "" => None,
            text => Some(text.parse().map_err(|e| SettingsError::new("BOOTSTRAP_DIGEST", e))?),
        };
        let client_address = match variables.or("CLIENT_ADDRESS", "cloudflare").trim() {
            "cloudflare" => ClientAddress::Cloudflare,
            "peer" => ClientAddress::Peer,
            "proxy" => ClientAddress::Proxy,
            _ => return Err(SettingsError::new("CLIENT_ADDRESS", "must be cloudflare, peer or proxy")),
        };
        let webhook_secrets = match variables.or("WEBHOOK_SECRETS", "").trim() {
            "" => None,
            text => Some(SecretList::parse(text).map_err(|e| SettingsError::new("WEBHOOK_SECRETS", e))?),
        };
        let webhook_targets = match variables.or("WEBHOOK_TARGETS", "public").trim() {
            "public" => WebhookTargets::Public,
            "any" => WebhookTargets::Any,
            _ => return Err(SettingsError::new("WEBHOOK_TARGETS", "must be public or any")),
        };
        let proxies = variables.or("PROXY_SECRETS", "");
        let proxies: Vec<_> = proxies.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect();
        if proxies.iter().any(|secret| secret.len() < 16) {
            return Err(SettingsError::new("PROXY_SECRETS", "must be at least 16 characters each"));
        }
        let tiers = tiers::parse(&variables.or("RATE_LIMITS", "")).map_err(|e| SettingsError::new("RATE_LIMITS", e))?;
        Ok(Self {
            common,
            tiers,
            session_secrets,
            bootstrap_digest,
            public_edge_url: url(variables, "PUBLIC_EDGE_URL")?,
            public_control_url: url(variables, "PUBLIC_CONTROL_URL")?,
            client_address,
            proxy_secrets: ProxySecrets(proxies.iter().map(|secret| Digest::of(secret.as_bytes())).collect()),
            github_keys_url: github_keys_url(variables)?,
            push_waiters: push_waiters(variables)?,
            oidc: Provider::oidc(variables)?,
            sign_in: Client::read(variables)?,
            access: Provider::access(variables)?,
            log_cost: match variables.or("LOG_COST", "off").trim() {
                "on" => true,
                "off" => false,
                _ => return Err(SettingsError::new("LOG_COST", "must be on or off")),
            },
            webhook_secrets,
            webhook_targets,
            drawing: variables.get("BROWSER_SCRIPT").zip(variables.get("BROWSER_WASM")).map(|(script, wasm)| Drawing { script, wasm }),
        })
    }
}

/// GitHub's own, which is used where nothing else is set.
pub const GITHUB_KEYS_URL: &str = "https://api.github.com/meta/public_keys/secret_scanning";

/// `GITHUB_KEYS_URL`: set and empty, no alerts are taken. Whoever can write what is read there can have keys revoked, so
/// it is read over TLS, or from this machine.
fn github_keys_url(variables: &impl Variables) -> Result<Option<String>, SettingsError> {
    const NAME: &str = "GITHUB_KEYS_URL";
    let Some(text) = variables.get(NAME) else { return Ok(Some(GITHUB_KEYS_URL.into())) };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let host = text.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let fits = host.is_none_or(is_loopback) && (text.starts_with("https://") || host.is_some());
    if !fits {
        return Err(SettingsError::new(NAME, "must be https://, or http:// with a loopback address"));
    }
    url(&|_: &str| Some(text.to_owned()), NAME)
}

/// Whether `host`, with or without a port, is this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| host.trim_matches(['[', ']']).parse());
    address.is_ok_and(|address: IpAddr| address.is_loopback()) || host == "localhost" || host.starts_with("localhost:")
}

/// `PUSH_WAITERS`: how many hanging requests of edges one Feed object holds, 2,000 as shipped; 0: it does not push.
pub fn push_waiters(variables: &impl Variables) -> Result<usize, SettingsError> {
    match variables.or("PUSH_WAITERS", "2000").trim().parse() {
        Ok(waiters @ 0..=10_000) => Ok(waiters),
        _ => Err(SettingsError::new("PUSH_WAITERS", "must be a whole number from 0 to 10000")),
    }
}

fn url(variables: &impl Variables, name: &'static str) -> Result<Option<String>, SettingsError> {
    let text = variables.or(name, "");
    let text = text.trim().trim_end_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let fits = !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic() && !b"?#@\\\"<>".contains(&b));
    if fits {
        Ok(Some(text.to_owned()))
    } else {
        Err(SettingsError::new(name, "must be http:// or https:// with a host and without query or fragment"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changed: &[(&str, &str)]) -> Result<ControlSettings, SettingsError> {
        let hex = "ab".repeat(32);
        let base = [("OPERATOR_COMPANY", "demo"), ("TAG_SECRETS", &hex), ("RECORD_SECRETS", &hex), ("SESSION_SECRETS", &hex)];
        ControlSettings::read(&|name: &str| {
            changed.iter().chain(&base).find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_shipped_settings_have_no_bootstrap_key() {
        let settings = read(&[("PUBLIC_CONTROL_URL", "http://127.0.0.1:8788/"), ("PROXY_SECRETS", "sixteen-characters")]).unwrap();
        assert_eq!(settings.bootstrap_digest, None);
        assert_eq!((settings.push_waiters, settings.log_cost), (2_000, false));
        assert!(settings.webhook_secrets.is_none());
        assert_eq!(settings.webhook_targets, WebhookTargets::Public);
        assert_eq!(settings.public_control_url.as_deref(), Some("http://127.0.0.1:8788"));
        assert!(settings.proxy_secrets.contains("sixteen-characters") && !settings.proxy_secrets.contains(""));
    }

    #[test]
    fn github_s_keys_come_from_github_from_elsewhere_or_from_nowhere() {
        let address = |value: &str| read(&[("GITHUB_KEYS_URL", value)]).unwrap().github_keys_url;
        assert_eq!(read(&[]).unwrap().github_keys_url.as_deref(), Some(GITHUB_KEYS_URL));
        assert_eq!(address(" "), None);
        for good in [
            "https://keys.example/list",
            "http://127.0.0.1:9/x",
            "http://[::1]:9/x",
            "http://[::1]/x",
            "http://localhost:1",
            "http://localhost/x",
        ] {
            assert_eq!(address(good).as_deref(), Some(good));
        }
    }

    #[test]
    fn a_bad_setting_is_named() {
        for (name, value) in [
            ("SESSION_SECRETS", ""),
            ("SESSION_SECRETS", "00"),
            ("BOOTSTRAP_DIGEST", "xyz"),
            ("CLIENT_ADDRESS", "guess"),
            ("PROXY_SECRETS", "short"),
            ("PUBLIC_EDGE_URL", "ftp://x"),
            ("PUBLIC_CONTROL_URL", "https://"),
            ("FEED_GROUPS", "0"),
            ("GITHUB_KEYS_URL", "http://keys.example"),
            ("GITHUB_KEYS_URL", "http://127.0.0.1.keys.example"),
            ("GITHUB_KEYS_URL", "http://localhost@keys.example"),
            ("GITHUB_KEYS_URL", "http://localhost:80@keys.example"),
            ("GITHUB_KEYS_URL", "ftp://127.0.0.1/x"),
            ("GITHUB_KEYS_URL", "https://"),
            ("PUSH_WAITERS", "10001"),
            ("PUSH_WAITERS", "-1"),
            ("OIDC_ISSUER", "http://tenant.example"),
            ("ACCESS_ISSUER", "team"),
            ("LOG_COST", "yes"),
            ("RATE_LIMITS", "gold=GOLD"),
            ("WEBHOOK_SECRETS", "00"),
            ("WEBHOOK_TARGETS", "private"),
        ] {
            assert_eq!(read(&[(name, value)]).unwrap_err().name, name);
        }
    }
}
