//! The settings of an identity provider: `OIDC_*` and `ACCESS_*`.

use keyward_shared::settings::{SettingsError, Variables};
use serde_json::Value;

/// The longest URL and the longest name of a claim.
const MAX_URL: usize = 512;
const MAX_CLAIM: usize = 200;

/// The setting that makes this deployment a client of the provider: people sign in there. See `client.rs`.
pub(super) const CLIENT_ID: &str = "OIDC_CLIENT_ID";

/// An identity provider whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// What `iss` must be, character by character.
    pub issuer: String,
    /// What `aud` must be, or must have in it.
    pub audience: String,
    /// The claim that is the owner's id.
    pub owner: String,
    /// The claim that is the company's id; `None`: everybody is of the operator's company.
    pub company: Option<String>,
    /// The claim that says what the owner may do; `None`: the directory does.
    pub permissions: Option<String>,
    /// Where its keys are.
    pub keys: Keys,
}

/// Where a provider's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// In a document of its own, which the provider's configuration at this URL names (`OpenID` Connect Discovery §4).
    Discovered(String),
    /// At this URL.
    At(String),
}

/// The names of a provider's settings, and what is used where they say nothing.
struct Names {
    issuer: &'static str,
    audience: &'static str,
    owner: (&'static str, &'static str),
    company: &'static str,
    permissions: Option<&'static str>,
    /// The path under the issuer of the configuration or of the keys.
    path: &'static str,
    keys: fn(String) -> Keys,
}

const OIDC: Names = Names {
    issuer: "OIDC_ISSUER",
    audience: "OIDC_AUDIENCE",
    owner: ("OIDC_CLAIM_OWNER", "sub"),
    company: "OIDC_CLAIM_COMPANY",
    permissions: Some("OIDC_CLAIM_PERMISSIONS"),
    path: "/.well-known/openid-configuration",
    keys: Keys::Discovered,
};

const ACCESS: Names = Names {
    issuer: "ACCESS_ISSUER",
    audience: "ACCESS_AUDIENCE",
    owner: ("ACCESS_CLAIM_OWNER", "email"),
    company: "ACCESS_CLAIM_COMPANY",
    permissions: None,
    path: "/cdn-cgi/access/certs",
    keys: Keys::At,
};

impl Provider {
    /// `OIDC_ISSUER` and what belongs to it; `None`: no tokens are taken. With a client and without an audience people only sign in.
    pub fn oidc(variables: &impl Variables) -> Result<Option<Self>, SettingsError> {
        let has = |name: &str| !variables.or(name, "").trim().is_empty();
        if has(CLIENT_ID) && !has(OIDC.audience) { Ok(None) } else { Self::of(variables, &OIDC, OIDC.audience) }
    }

    /// The same provider, as it signs people in: what it says is for the client.
    pub fn of_client(variables: &impl Variables) -> Result<Option<Self>, SettingsError> {
        if variables.or(CLIENT_ID, "").trim().is_empty() { Ok(None) } else { Self::of(variables, &OIDC, CLIENT_ID) }
    }

    /// `ACCESS_ISSUER` and what belongs to it; `None`: no assertions of Cloudflare Access are taken.
    pub fn access(variables: &impl Variables) -> Result<Option<Self>, SettingsError> {
        Self::of(variables, &ACCESS, ACCESS.audience)
    }

    /// `audience`: the setting that says for whom tokens must be.
    fn of(variables: &impl Variables, names: &Names, audience: &'static str) -> Result<Option<Self>, SettingsError> {
        let issuer = variables.or(names.issuer, "").trim().to_owned();
        if issuer.is_empty() {
            return match variables.or(audience, "").trim() {
                "" => Ok(None),
                _ => Err(SettingsError::new(names.issuer, format!("is not set, but {audience} is"))),
            };
        }
        if !is_allowed(&issuer) {
            let problem = "must be https:// with a host and without query or fragment; http:// only for this machine";
            return Err(SettingsError::new(names.issuer, problem));
        }
        let name = audience;
        let audience = variables.required(name)?.trim().to_owned();
        if audience.len() > MAX_URL || audience.chars().any(char::is_control) {
            return Err(SettingsError::new(name, "must be at most 512 characters long, without control characters"));
        }
        let (owner, usual) = names.owner;
        let url = format!("{}{}", issuer.trim_end_matches('/'), names.path);
        Ok(Some(Self {
            audience,
            owner: claim(variables, owner)?.unwrap_or_else(|| usual.into()),
            company: claim(variables, names.company)?,
            permissions: names.permissions.map(|name| claim(variables, name)).transpose()?.flatten(),
            keys: (names.keys)(url),
            issuer,
        }))
    }

    /// The URL of the keys in the provider's configuration, where that is this provider's and may be followed.
    pub fn discovered(&self, configuration: &str) -> Option<String> {
        let configuration: Value = serde_json::from_str(configuration).ok()?;
        let own = configuration.get("issuer")?.as_str()? == self.issuer;
        self.followed(&configuration, "jwks_uri").filter(|_| own)
    }

    /// What is wrong with a configuration that does not do, for whoever set this up; `needed`: what must be in it besides the keys.
    pub fn fault(&self, configuration: &str, needed: &[&str]) -> String {
        let Ok(configuration) = serde_json::from_str::<Value>(configuration) else {
            return "the identity provider's configuration is not JSON".into();
        };
        if configuration.get("issuer").and_then(Value::as_str) != Some(&self.issuer) {
            return "the identity provider's configuration names another issuer than OIDC_ISSUER".into();
        }
        let missing = ["jwks_uri"].iter().chain(needed).find(|name| self.followed(&configuration, name).is_none());
        format!("the identity provider's configuration has no {} that may be followed", missing.unwrap_or(&"address"))
    }

    /// Whether it says of an address that its owner has proven it. Cloudflare Access says nothing of the kind: it lets nobody in
    /// before that.
    pub(super) fn verifies_addresses(&self) -> bool {
        matches!(self.keys, Keys::Discovered(_))
    }

    /// The URL that a configuration calls `name`, where it may be followed.
    pub(super) fn followed(&self, configuration: &Value, name: &str) -> Option<String> {
        let url = configuration.get(name)?.as_str()?;
        // What came over a secure connection does not lead to an insecure one.
        let secure = url.starts_with("https://") || self.issuer.starts_with("http://");
        let plain = url.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        (secure && plain && is_allowed(url.split('?').next()?)).then(|| url.to_owned())
    }
}

/// The name of a claim: exact, nothing is nested.
fn claim(variables: &impl Variables, name: &'static str) -> Result<Option<String>, SettingsError> {
    let text = variables.or(name, "");
    match text.trim() {
        "" => Ok(None),
        text if text.len() <= MAX_CLAIM && text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Some(text.to_owned())),
        _ => Err(SettingsError::new(name, "must be the name of a claim: at most 200 visible ASCII characters, without spaces")),
    }
}

/// Whether `url` is `https://` with a host, or `http://` with this machine as host; nothing that ends the path, no user.
fn is_allowed(url: &str) -> bool {
    let (rest, secure) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return false,
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let plain = url.len() <= MAX_URL && url.bytes().all(|b| b.is_ascii_graphic() && !b"?#@\\\"<>^`{|}".contains(&b));
    let named = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let hosted = !host.is_empty() && (named || host == "[::1]");
    let ported = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    plain && hosted && ported && (secure || matches!(host, "127.0.0.1" | "[::1]" | "localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<[Option<Provider>; 2], SettingsError> {
        let variables = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Ok([Provider::oidc(&variables)?, Provider::access(&variables)?])
    }

    #[test]
    fn nothing_is_taken_where_nothing_is_set_and_the_rest_has_its_usual_value() {
        assert_eq!(read(&[("OIDC_ISSUER", " "), ("OIDC_CLAIM_OWNER", "sub")]).unwrap(), [None, None]);
        let [oidc, access] = read(&[
            ("OIDC_ISSUER", "https://tenant.example/"),
            ("OIDC_AUDIENCE", "keyward"),
            ("ACCESS_ISSUER", "https://team.cloudflareaccess.com"),
            ("ACCESS_AUDIENCE", "4714c1358e65fe4b408ad6d432a5f878"),
            ("OIDC_CLAIM_COMPANY", "https://tenant.example/company"),
        ])
        .unwrap();
        let (oidc, access) = (oidc.unwrap(), access.unwrap());
        assert_eq!((oidc.issuer.as_str(), oidc.owner.as_str()), ("https://tenant.example/", "sub"));
        assert_eq!(oidc.company.as_deref(), Some("https://tenant.example/company"));
        assert_eq!(oidc.permissions, None);
        assert_eq!(oidc.keys, Keys::Discovered("https://tenant.example/.well-known/openid-configuration".into()));
        assert_eq!((access.owner.as_str(), access.company, access.permissions), ("email", None, None));
        assert_eq!(access.keys, Keys::At("https://team.cloudflareaccess.com/cdn-cgi/access/certs".into()));
    }

    #[test]
    fn with_a_client_and_without_an_audience_people_sign_in_and_tokens_are_not_taken() {
        let client = [("OIDC_ISSUER", "https://tenant.example"), ("OIDC_CLIENT_ID", "keyward"), ("OIDC_CLAIM_OWNER", "email")];
        assert_eq!(read(&client).unwrap(), [None, None]);
        let variables = |name: &str| client.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let provider = Provider::of_client(&variables).unwrap().unwrap();
        assert_eq!((provider.audience.as_str(), provider.owner.as_str()), ("keyward", "email"));
        let both: Vec<_> = client.into_iter().chain([("OIDC_AUDIENCE", "api")]).collect();
        assert_eq!(read(&both).unwrap()[0].as_ref().map(|provider| provider.audience.as_str()), Some("api"));
        assert_eq!(Provider::of_client(&|_: &str| None).unwrap(), None);
    }

    #[test]
    fn a_bad_setting_is_named() {
        let issuer = ("OIDC_ISSUER", "https://tenant.example");
        for (name, set) in [
            ("OIDC_AUDIENCE", vec![issuer]),
            ("OIDC_AUDIENCE", vec![issuer, ("OIDC_AUDIENCE", "a\u{7}b")]),
            ("OIDC_ISSUER", vec![("OIDC_AUDIENCE", "keyward")]),
            ("ACCESS_ISSUER", vec![("ACCESS_AUDIENCE", "keyward")]),
            ("ACCESS_AUDIENCE", vec![("ACCESS_ISSUER", "https://team.example")]),
            ("OIDC_CLAIM_OWNER", vec![issuer, ("OIDC_AUDIENCE", "a"), ("OIDC_CLAIM_OWNER", "two words")]),
            ("OIDC_CLAIM_COMPANY", vec![issuer, ("OIDC_AUDIENCE", "a"), ("OIDC_CLAIM_COMPANY", "firmä")]),
            ("OIDC_CLAIM_PERMISSIONS", vec![issuer, ("OIDC_AUDIENCE", "a"), ("OIDC_CLAIM_PERMISSIONS", "a\nb")]),
            ("ACCESS_CLAIM_OWNER", vec![("ACCESS_ISSUER", "https://t.example"), ("ACCESS_AUDIENCE", "a"), ("ACCESS_CLAIM_OWNER", "a b")]),
            (
                "ACCESS_CLAIM_COMPANY",
                vec![("ACCESS_ISSUER", "https://t.example"), ("ACCESS_AUDIENCE", "a"), ("ACCESS_CLAIM_COMPANY", "a b")],
            ),
        ] {
            assert_eq!(read(&set).unwrap_err().name, name, "{set:?}");
        }
    }

    #[test]
    fn an_issuer_is_reached_securely_or_is_on_this_machine() {
        for good in [
            "https://tenant.example",
            "https://tenant.example:8443/realms/main",
            "http://127.0.0.1:4711",
            "http://localhost",
            "http://[::1]:80/x",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in [
            "",
            "tenant.example",
            "https://",
            "https:///x",
            "http://tenant.example",
            "http://127.0.0.1.tenant.example",
            "http://127.0.0.1@tenant.example",
            "http://127.0.0.1:80@tenant.example",
            "http://localhost\\@tenant.example",
            "http://127.0.0.1#.tenant.example",
            "https://tenant.example?x",
            "https://tenant.example/#x",
            "https://user@tenant.example",
            "https://tenant.example:0",
            "https://tenant.example:x",
            "https://ten ant.example",
            "https://ténant.example",
            "ftp://tenant.example",
            "HTTPS://tenant.example",
        ] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_configuration_is_named() {
        let [provider, _] = read(&[("OIDC_ISSUER", "https://tenant.example"), ("OIDC_AUDIENCE", "keyward")]).unwrap();
        let provider = provider.unwrap();
        let whole = serde_json::json!({"issuer": "https://tenant.example", "jwks_uri": "https://tenant.example/jwks",
            "authorization_endpoint": "https://tenant.example/auth", "token_endpoint": "https://tenant.example/token"});
        for (name, value, words) in [
            ("issuer", "https://tenant.example/", "another issuer than OIDC_ISSUER"),
            ("jwks_uri", "/jwks", "no jwks_uri"),
            ("authorization_endpoint", "http://tenant.example/auth", "no authorization_endpoint"),
            ("token_endpoint", "", "no token_endpoint"),
        ] {
            let mut changed = whole.clone();
            changed[name] = value.into();
            let fault = provider.fault(&changed.to_string(), &["authorization_endpoint", "token_endpoint"]);
            assert!(fault.contains(words) && (value.is_empty() || !fault.contains(value)), "{name}: {fault}");
        }
        assert!(provider.fault("<html>", &[]).contains("not JSON"));
    }

    #[test]
    fn a_configuration_counts_only_where_it_is_the_issuers_own() {
        let [provider, _] = read(&[("OIDC_ISSUER", "https://tenant.example"), ("OIDC_AUDIENCE", "keyward")]).unwrap();
        let provider = provider.unwrap();
        let discovered = |issuer: &str, url: &str| provider.discovered(&serde_json::json!({"issuer": issuer, "jwks_uri": url}).to_string());
        let own = "https://tenant.example";
        assert_eq!(discovered(own, "https://keys.example/jwks?v=1").as_deref(), Some("https://keys.example/jwks?v=1"));
        for (issuer, url) in [
            ("https://tenant.example/", "https://keys.example/jwks"),
            ("https://other.example", "https://keys.example/jwks"),
            (own, "http://keys.example/jwks"),
            (own, "http://127.0.0.1/jwks"),
            (own, "file:///etc/passwd"),
            (own, "/jwks"),
        ] {
            assert_eq!(discovered(issuer, url), None, "{issuer} {url}");
        }
        for bad in ["", "[]", "{}", r#"{"issuer":"https://tenant.example"}"#, r#"{"issuer":"https://tenant.example","jwks_uri":7}"#] {
            assert_eq!(provider.discovered(bad), None, "{bad}");
        }
    }
}
