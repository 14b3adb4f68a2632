//! The edge's settings, read once per isolate. A bad one stops the Worker with a message that names it.

use keyward_shared::{
    digest::Digest,
    record::Record,
    settings::{CommonSettings, SettingsError, Variables},
    shard::Shard,
    time::Millis,
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

/// The header family that a proxy describes the original request with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardAuth {
    /// nginx: `X-Original-Method`, `X-Original-URI`.
    Original,
    /// Traefik and Caddy: `X-Forwarded-Method`, `X-Forwarded-Uri`.
    Forwarded,
}

/// What the edge is configured with.
#[derive(Clone, Debug)]
pub struct EdgeSettings {
    /// What it shares with the control plane.
    pub common: CommonSettings,
    /// `ORIGIN_URL` without a slash at its end; `None` where the binding `ORIGIN` is the origin.
    pub origin_url: Option<String>,
    /// `ORIGIN_TIMEOUT_S`: how long the origin may take to begin its answer; 60 s as shipped.
    pub origin_timeout_s: u32,
    /// `READ_BUDGET_MS`: how long all reads of one request may take together; 2,000 as shipped.
    pub read_budget: Millis,
    /// `CLIENT_ADDRESS`.
    pub client_address: ClientAddress,
    /// `FORWARD_AUTH`; `None`: both endpoints are off.
    pub forward_auth: Option<ForwardAuth>,
    /// `PROXY_SECRETS`.
    pub proxy_secrets: ProxySecrets,
    /// `PUSH`: whether a request to each Feed object in use is kept open, so that changes arrive at once; on as shipped.
    pub push: bool,
    /// `ACCEPT_IMPORTED`: a regular expression that imported keys have the shape of; empty: none is let in. Whether it is one, only
    /// JavaScript can tell.
    pub accept_imported: String,
    /// What limits keys that name no tier: `RATE_LIMIT_DEFAULT`, empty where that is nothing. `None`: `RATE_LIMITS` is empty, no key is
    /// limited. What they mean, the entry's JavaScript knows.
    pub default_tier: Option<String>,
}

/// The secrets that proxies introduce themselves with. `Debug` prints none.
#[derive(Clone, Default)]
pub struct ProxySecrets(Vec<String>);

impl ProxySecrets {
    /// Whether `sent` is one of them; compared by SHA-256, so the time taken tells nothing.
    pub fn contains(&self, sent: &str) -> bool {
        let sent = Digest::of(sent.as_bytes());
        self.0.iter().any(|secret| Digest::of(secret.as_bytes()) == sent)
    }
}

impl core::fmt::Debug for ProxySecrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ProxySecrets({} redacted)", self.0.len())
    }
}

impl EdgeSettings {
    /// Reads and checks the settings. `has_origin_binding`: whether the service binding `ORIGIN` is there.
    pub fn read(variables: &impl Variables, has_origin_binding: bool) -> Result<Self, SettingsError> {
        let origin = variables.or("ORIGIN_URL", "");
        let origin_url = match origin.trim().trim_end_matches('/') {
            "" if has_origin_binding => None,
            "" => return Err(SettingsError::new("ORIGIN_URL", "is not set, and there is no service binding ORIGIN")),
            url if is_http_url(url) => Some(url.to_owned()),
            _ => return Err(SettingsError::new("ORIGIN_URL", "must be http:// or https:// with a host and without query or fragment")),
        };
        let Ok(origin_timeout_s @ 1..=600) = variables.or("ORIGIN_TIMEOUT_S", "60").trim().parse() else {
            return Err(SettingsError::new("ORIGIN_TIMEOUT_S", "must be a whole number from 1 to 600"));
        };
        let Ok(read_budget_ms @ 50..=10_000) = variables.or("READ_BUDGET_MS", "2000").trim().parse() else {
            return Err(SettingsError::new("READ_BUDGET_MS", "must be a whole number from 50 to 10000"));
        };
        let client_address = match variables.or("CLIENT_ADDRESS", "cloudflare").trim() {
            "cloudflare" => ClientAddress::Cloudflare,
            "peer" => ClientAddress::Peer,
            "proxy" => ClientAddress::Proxy,
            _ => return Err(SettingsError::new("CLIENT_ADDRESS", "must be cloudflare, peer or proxy")),
        };
        let forward_auth = match variables.or("FORWARD_AUTH", "").trim() {
            "" => None,
            "original" => Some(ForwardAuth::Original),
            "forwarded" => Some(ForwardAuth::Forwarded),
            _ => return Err(SettingsError::new("FORWARD_AUTH", "must be empty, original or forwarded")),
        };
        let push = match variables.or("PUSH", "on").trim() {
            "on" => true,
            "off" => false,
            _ => return Err(SettingsError::new("PUSH", "must be on or off")),
        };
        let secrets: Vec<_> = variables.or("PROXY_SECRETS", "").split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
        if secrets.iter().any(|secret| secret.len() < 16) {
            return Err(SettingsError::new("PROXY_SECRETS", "must be at least 16 characters each"));
        }
        let accept_imported = variables.or("ACCEPT_IMPORTED", "").trim().to_owned();
        let default_tier = (!variables.or("RATE_LIMITS", "").is_empty()).then(|| variables.or("RATE_LIMIT_DEFAULT", "").trim().to_owned());
        let proxy_secrets = ProxySecrets(secrets);
        let common = CommonSettings::read(variables)?;
        Ok(Self {
            common,
            origin_url,
            origin_timeout_s,
            read_budget: Millis(read_budget_ms),
            client_address,
            forward_auth,
            proxy_secrets,
            push,
            accept_imported,
            default_tier,
        })
    }

    /// The tier that limits the requests of a record's key; empty: none does.
    pub fn tier_of<'a>(&'a self, record: &'a Record) -> &'a str {
        let named = |default: &'a String| record.rate_limit.as_deref().unwrap_or(default);
        self.default_tier.as_ref().map_or("", named)
    }

    /// What this deployment calls itself in `CDN-Loop` (RFC 8586): the same at each of its edges, and nobody else's, because it is
    /// derived from the newest tag secret.
    pub fn loop_name(&self) -> String {
        let CommonSettings { tag_secrets, operator_company, .. } = &self.common;
        let tag = tag_secrets.tag(Shard::of(operator_company), &Digest::of(b"CDN-Loop"));
        format!("keyward-{}", tag.as_str())
    }
}

fn is_http_url(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or_default();
    !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic() && !b"?#@\\\"<>".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changed: &[(&str, &str)]) -> Result<EdgeSettings, SettingsError> {
        let hex = "ab".repeat(32);
        let base =
            [("OPERATOR_COMPANY", "demo"), ("TAG_SECRETS", &hex), ("RECORD_SECRETS", &hex), ("ORIGIN_URL", "http://127.0.0.1:9/base/")];
        let find = |name: &str| changed.iter().chain(&base).find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        EdgeSettings::read(&find, false)
    }

    #[test]
    fn the_origin_has_no_slash_at_its_end() {
        assert_eq!(read(&[]).unwrap().origin_url.as_deref(), Some("http://127.0.0.1:9/base"));
    }

    #[test]
    fn reads_have_two_seconds_unless_they_are_given_another_time() {
        for (value, ms) in [("", 2_000), ("50", 50), (" 10000 ", 10_000)] {
            assert_eq!(read(&[("READ_BUDGET_MS", value)]).unwrap().read_budget, Millis(ms), "{value}");
        }
    }

    #[test]
    fn push_is_on_unless_it_is_switched_off() {
        for (value, push) in [("", true), ("on", true), (" off ", false)] {
            assert_eq!(read(&[("PUSH", value)]).unwrap().push, push, "{value}");
        }
    }

    #[test]
    fn a_deployment_has_a_name_of_its_own_in_loops() {
        let name = read(&[]).unwrap().loop_name();
        assert!(
            name.strip_prefix("keyward-").is_some_and(|tag| tag.len() == 7 && tag.bytes().all(|b| b.is_ascii_alphanumeric())),
            "{name}"
        );
        assert_eq!(read(&[("ORIGIN_URL", "http://elsewhere")]).unwrap().loop_name(), name, "every edge of it has the same");
        assert_ne!(read(&[("TAG_SECRETS", &"cd".repeat(32))]).unwrap().loop_name(), name);
    }

    #[test]
    fn a_key_is_limited_by_its_tier_or_the_default_one_where_there_are_tiers() {
        let tiers = ("RATE_LIMITS", "free=FREE 1/10, gold=GOLD 1/10");
        for (set, named, plain) in [
            (vec![], "", ""),
            (vec![("RATE_LIMITS", " "), ("RATE_LIMIT_DEFAULT", "free")], "", ""),
            (vec![tiers], "gold", ""),
            (vec![tiers, ("RATE_LIMIT_DEFAULT", " free ")], "gold", "free"),
        ] {
            let (settings, record) = (read(&set).unwrap(), crate::verifier::testing::record());
            assert_eq!(settings.tier_of(&record), plain, "{set:?}");
            assert_eq!(settings.tier_of(&Record { rate_limit: Some("gold".into()), ..record }), named, "{set:?}");
        }
    }

    #[test]
    fn a_bad_setting_is_named() {
        for (name, value) in [
            ("ORIGIN_URL", ""),
            ("ORIGIN_URL", "ftp://x"),
            ("ORIGIN_URL", "http://"),
            ("ORIGIN_URL", "http://x/?a"),
            ("ORIGIN_TIMEOUT_S", "0"),
            ("READ_BUDGET_MS", "49"),
            ("READ_BUDGET_MS", "10001"),
            ("READ_BUDGET_MS", "2 s"),
            ("CLIENT_ADDRESS", "anyone"),
            ("FORWARD_AUTH", "yes"),
            ("PROXY_SECRETS", "short"),
            ("PUSH", "yes"),
            ("PUSH", "OFF"),
            ("TAG_SECRETS", ""),
        ] {
            assert_eq!(read(&[(name, value)]).unwrap_err().name, name, "{value}");
        }
    }

    #[test]
    fn proxies_are_known_by_their_secret_which_is_not_printed() {
        let secrets = read(&[("PROXY_SECRETS", "0123456789abcdef, fedcba9876543210")]).unwrap().proxy_secrets;
        assert!(secrets.contains("fedcba9876543210") && !secrets.contains("") && !secrets.contains("0123456789abcde"));
        assert_eq!(format!("{secrets:?}"), "ProxySecrets(2 redacted)");
    }
}
