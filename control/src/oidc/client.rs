//! This deployment as a client of the provider (`OpenID` Connect Core §3.1, authorization code with PKCE): its settings, where
//! it sends a browser, what it asks with the code that comes back, and what the provider says to that. Pure, as everything here.

use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_shared::settings::{SettingsError, Variables};
use serde_json::Value;

use super::{
    Attempt, Provider,
    provider::{CLIENT_ID, Keys},
};

/// What of a provider's configuration is needed besides its keys.
pub const ENDPOINTS: [&str; 2] = ["authorization_endpoint", "token_endpoint"];
/// What is asked for, where the settings say nothing.
const SCOPES: &str = "openid profile email";
const MAX_TEXT: usize = 512;
const CHOOSE: &str = "select_account";

/// A client of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The provider; its audience is the client.
    pub provider: Provider,
    secret: Option<Secret>,
    scopes: String,
    /// How the secret is sent, where that is not left to what the provider says of itself.
    method: Option<Method>,
}

/// `OIDC_CLIENT_SECRET`. `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// How the secret is sent (`OpenID` Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Basic,
    Post,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }
}

/// Where a provider takes people and codes, as its configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    authorization: String,
    token: String,
    method: Method,
    /// How the provider is asked to let people say anew who they are.
    prompt: &'static str,
    /// Whether every answer names the provider in `iss` (RFC 9207 §3).
    pub names_itself: bool,
}

/// A form for the provider's token endpoint. It has no `Debug`: it holds the code and the secret.
#[derive(Clone)]
pub struct Exchange {
    /// Where it goes.
    pub url: String,
    /// Its `Authorization`, where it has one.
    pub authorization: Option<String>,
    /// The form.
    pub body: String,
}

/// What the provider said to a code. It has no `Debug`: it holds a token.
#[derive(Clone, PartialEq, Eq)]
pub enum Exchanged {
    /// Who has signed in, as an ID token.
    IdToken(String),
    /// The code is not good, or not good any more.
    Refused,
    /// The provider does not take this client, or not this way: its word for that.
    Misconfigured(&'static str),
    /// It takes the code, and does not say who has signed in.
    NoIdToken,
    /// Nothing that can be used: an outage.
    Nothing,
}

/// What an `error` of the provider's means for who wanted to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declined {
    /// They, or the provider, said no.
    Denied,
    /// The provider cannot do it now.
    Unavailable,
    /// It does not take this client, or not this way: its word for that, where it is a known one.
    Misconfigured(&'static str),
}

/// Words of the standards (RFC 6749 §4.1.2.1 and §5.2) for what only the settings can cure.
const MISCONFIGURED: [&str; 8] = [
    "invalid_request",
    "invalid_client",
    "unauthorized_client",
    "unsupported_response_type",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "request_not_supported",
];

fn misconfigured(error: &str) -> &'static str {
    MISCONFIGURED.into_iter().find(|known| *known == error).unwrap_or("another error")
}

/// Reads the `error` that came instead of a code.
pub fn declined(error: &str) -> Declined {
    match error {
        "access_denied" | "login_required" | "interaction_required" | "account_selection_required" | "consent_required" => Declined::Denied,
        "server_error" | "temporarily_unavailable" => Declined::Unavailable,
        other => Declined::Misconfigured(misconfigured(other)),
    }
}

/// Reads what the token endpoint answered.
pub fn exchanged(status: u16, body: &str) -> Exchanged {
    let Ok(said) = serde_json::from_str::<Value>(body) else { return Exchanged::Nothing };
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    match (status, text("id_token"), text("error")) {
        (200, Some(token), None) => Exchanged::IdToken(token.to_owned()),
        (200 | 400..=403, _, Some("invalid_grant")) => Exchanged::Refused,
        (200 | 400..=403, _, Some(error)) if !matches!(declined(error), Declined::Unavailable) => {
            Exchanged::Misconfigured(misconfigured(error))
        }
        (200, None, None) => Exchanged::NoIdToken,
        _ => Exchanged::Nothing,
    }
}

impl Client {
    /// `OIDC_CLIENT_ID` and what belongs to it; `None`: nobody signs in at a provider.
    pub fn read(variables: &impl Variables) -> Result<Option<Self>, SettingsError> {
        let text = |name: &str| variables.or(name, "").trim().to_owned();
        let Some(provider) = Provider::of_client(variables)? else {
            return match text("OIDC_CLIENT_SECRET").as_str() {
                "" => Ok(None),
                _ => Err(SettingsError::new(CLIENT_ID, "is not set, but OIDC_CLIENT_SECRET is")),
            };
        };
        let secret = text("OIDC_CLIENT_SECRET");
        if secret.len() > MAX_TEXT || secret.chars().any(char::is_control) {
            return Err(SettingsError::new("OIDC_CLIENT_SECRET", "must be at most 512 characters long, without control characters"));
        }
        let scopes = Some(text("OIDC_SCOPES")).filter(|scopes| !scopes.is_empty()).unwrap_or_else(|| SCOPES.into());
        let fits = scopes.len() <= MAX_TEXT && scopes.bytes().all(|b| (b' '..=b'~').contains(&b) && !b"\"\\".contains(&b));
        if !fits || !scopes.split(' ').any(|scope| scope == "openid") {
            return Err(SettingsError::new("OIDC_SCOPES", "must be words with spaces between them, openid among them"));
        }
        let method = match text("OIDC_CLIENT_AUTH").as_str() {
            "" => None,
            "basic" => Some(Method::Basic),
            "post" => Some(Method::Post),
            _ => return Err(SettingsError::new("OIDC_CLIENT_AUTH", "must be basic, post or empty")),
        };
        let secret = Some(secret).filter(|secret| !secret.is_empty()).map(Secret);
        Ok(Some(Self { provider, secret, scopes, method }))
    }

    /// `client_id`
    pub fn id(&self) -> &str {
        &self.provider.audience
    }

    /// Where the provider's configuration is.
    pub fn configuration(&self) -> &str {
        match &self.provider.keys {
            Keys::Discovered(url) | Keys::At(url) => url,
        }
    }

    /// What the provider's configuration says, where it is this provider's and may be followed.
    pub fn endpoints(&self, configuration: &str) -> Option<Endpoints> {
        self.provider.discovered(configuration)?;
        let configuration: Value = serde_json::from_str(configuration).ok()?;
        let takes = |method: Method| match configuration.get("token_endpoint_auth_methods_supported") {
            Some(Value::Array(methods)) => methods.iter().any(|named| named.as_str() == Some(method.name())),
            _ => method == Method::Basic, // the one of a provider that names none
        };
        // A provider that lets people choose shows what they have to choose from; all others at least ask again (Core §15.1).
        let lets_choose = |prompts: &Value| prompts.as_array().is_some_and(|list| list.iter().any(|prompt| prompt == CHOOSE));
        let prompt = if configuration.get("prompt_values_supported").is_some_and(lets_choose) { CHOOSE } else { "login" };
        let usual = if !takes(Method::Basic) && takes(Method::Post) { Method::Post } else { Method::Basic };
        Some(Endpoints {
            authorization: self.provider.followed(&configuration, "authorization_endpoint")?,
            token: self.provider.followed(&configuration, "token_endpoint")?,
            method: self.method.unwrap_or(usual),
            prompt,
            names_itself: configuration.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        })
    }

    /// The address at the provider where a browser goes to sign somebody in; `another`: not as who the provider knows them to be.
    pub fn way(&self, endpoints: &Endpoints, attempt: &Attempt, redirect_uri: &str, another: bool) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", self.id()),
                ("redirect_uri", redirect_uri),
                ("scope", &self.scopes),
                ("state", &attempt.state),
                ("nonce", &attempt.nonce),
                ("code_challenge", &attempt.challenge()),
                ("code_challenge_method", "S256"),
            ])
            .extend_pairs(another.then_some(("prompt", endpoints.prompt)))
            .finish();
        let separator = match endpoints.authorization.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some(_) => "&",
        };
        format!("{}{separator}{query}", endpoints.authorization)
    }

    /// What the provider is asked with the code that it gave to the browser.
    pub fn exchange(&self, endpoints: &Endpoints, code: &str, attempt: &Attempt, redirect_uri: &str) -> Exchange {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", &attempt.verifier),
        ]);
        let authorization = match (&self.secret, endpoints.method) {
            (Some(secret), Method::Basic) => Some(basic(self.id(), &secret.0)),
            (Some(secret), Method::Post) => {
                form.append_pair("client_id", self.id()).append_pair("client_secret", &secret.0);
                None
            }
            (None, _) => {
                form.append_pair("client_id", self.id());
                None
            }
        };
        Exchange { url: endpoints.token.clone(), authorization, body: form.finish() }
    }
}

/// RFC 6749 §2.3.1: both are encoded as in a form first.
fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}

#[cfg(test)]
mod tests {
    use keyward_shared::time::Millis;
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://tenant.example";

    fn read(set: &[(&str, &str)]) -> Result<Option<Client>, SettingsError> {
        Client::read(&|name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn client(more: &[(&str, &str)]) -> Client {
        let all: Vec<_> = more.iter().copied().chain([("OIDC_ISSUER", ISSUER), ("OIDC_CLIENT_ID", "key ward")]).collect();
        read(&all).unwrap().unwrap()
    }

    fn configuration(changed: &Value) -> String {
        let mut whole = json!({"issuer": ISSUER, "jwks_uri": "https://tenant.example/jwks", "authorization_endpoint": "https://tenant.example/auth",
            "token_endpoint": "https://tenant.example/token"});
        for (name, value) in changed.as_object().unwrap() {
            whole[name] = value.clone();
        }
        whole.to_string()
    }

    fn attempt() -> Attempt {
        Attempt::new([[1; 32], [2; 32], [3; 32]], "/admin/keys", Millis(0))
    }

    fn pairs(form: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(form.as_bytes()).into_owned().collect()
    }

    #[test]
    fn a_client_needs_an_issuer_and_no_secret() {
        assert_eq!(read(&[("OIDC_ISSUER", ISSUER)]).unwrap(), None);
        let public = client(&[]);
        assert_eq!((public.id(), public.secret.is_none(), public.scopes.as_str()), ("key ward", true, "openid profile email"));
        assert_eq!(public.configuration(), "https://tenant.example/.well-known/openid-configuration");
        assert!(!format!("{:?}", client(&[("OIDC_CLIENT_SECRET", "hush-hush")])).contains("hush-hush"));
        let (issuer, id) = (("OIDC_ISSUER", ISSUER), ("OIDC_CLIENT_ID", "keyward"));
        for (name, set) in [
            ("OIDC_ISSUER", vec![id]),
            ("OIDC_CLIENT_ID", vec![issuer, ("OIDC_CLIENT_SECRET", "x")]),
            ("OIDC_CLIENT_ID", vec![issuer, ("OIDC_CLIENT_ID", "a\u{7}b")]),
            ("OIDC_CLIENT_SECRET", vec![issuer, id, ("OIDC_CLIENT_SECRET", "a\u{7}b")]),
            ("OIDC_SCOPES", vec![issuer, id, ("OIDC_SCOPES", "profile email")]),
            ("OIDC_SCOPES", vec![issuer, id, ("OIDC_SCOPES", "openid pro\"file")]),
            ("OIDC_CLIENT_AUTH", vec![issuer, id, ("OIDC_CLIENT_AUTH", "mtls")]),
        ] {
            assert_eq!(read(&set).unwrap_err().name, name, "{set:?}");
        }
    }

    #[test]
    fn the_browser_takes_everything_along_that_its_answer_is_held_against() {
        let client = client(&[("OIDC_SCOPES", "openid groups")]);
        let endpoints =
            client.endpoints(&configuration(&json!({"authorization_endpoint": "https://login.example/auth?tenant=7"}))).unwrap();
        let attempt = attempt();
        let way = client.way(&endpoints, &attempt, "https://control.example/sign-in/callback", false);
        let (place, query) = way.split_once('?').unwrap();
        assert_eq!(place, "https://login.example/auth");
        let expected = [
            ("tenant", "7"),
            ("response_type", "code"),
            ("client_id", "key ward"),
            ("redirect_uri", "https://control.example/sign-in/callback"),
            ("scope", "openid groups"),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &attempt.challenge()),
            ("code_challenge_method", "S256"),
        ];
        assert_eq!(pairs(query), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(!way.contains(&attempt.verifier), "the verifier stays");
    }

    #[test]
    fn whoever_wants_to_be_somebody_else_is_asked_anew_in_a_way_that_the_provider_knows() {
        let client = client(&[]);
        for (supported, prompt) in [
            (Value::Null, "login"),
            (json!(["none", "login"]), "login"),
            (json!(["login", "select_account"]), "select_account"),
            (json!("select_account"), "login"),
        ] {
            let endpoints = client.endpoints(&configuration(&json!({"prompt_values_supported": supported}))).unwrap();
            let way = |another| client.way(&endpoints, &attempt(), "https://control.example/sign-in/callback", another);
            assert!(way(true).ends_with(&format!("&prompt={prompt}")) && !way(false).contains("prompt"), "{supported}");
        }
    }

    #[test]
    fn the_code_is_sent_with_the_verifier_and_the_secret_as_the_provider_takes_it() {
        let (post, both) = (json!(["private_key_jwt", "client_secret_post"]), json!(["client_secret_post", "client_secret_basic"]));
        for (methods, setting, sent_as_basic) in
            [(Value::Null, "", true), (post.clone(), "", false), (both, "", true), (post, "basic", true), (Value::Null, "post", false)]
        {
            let client = client(&[("OIDC_CLIENT_SECRET", "s:+ %"), ("OIDC_CLIENT_AUTH", setting)]);
            let endpoints = client.endpoints(&configuration(&json!({"token_endpoint_auth_methods_supported": methods}))).unwrap();
            let exchange = client.exchange(&endpoints, "c&d", &attempt(), "https://control.example/sign-in/callback");
            let mut expected = vec![
                ("grant_type", "authorization_code"),
                ("code", "c&d"),
                ("redirect_uri", "https://control.example/sign-in/callback"),
                ("code_verifier", "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM"),
            ];
            if sent_as_basic {
                // "key+ward:s%3A%2B+%25"
                assert_eq!(exchange.authorization.as_deref(), Some("Basic a2V5K3dhcmQ6cyUzQSUyQislMjU="));
            } else {
                expected.extend([("client_id", "key ward"), ("client_secret", "s:+ %")]);
                assert_eq!(exchange.authorization, None);
            }
            let sent = pairs(&exchange.body);
            assert_eq!(sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
            assert_eq!(exchange.url, "https://tenant.example/token");
        }
        let public = client(&[]);
        let endpoints = public.endpoints(&configuration(&json!({}))).unwrap();
        let exchange = public.exchange(&endpoints, "c", &attempt(), "https://control.example/sign-in/callback");
        assert!(exchange.authorization.is_none() && exchange.body.ends_with("&client_id=key+ward"), "{}", exchange.body);
    }

    #[test]
    fn a_configuration_that_leads_astray_is_not_followed() {
        let client = client(&[]);
        assert!(client.endpoints(&configuration(&json!({}))).is_some_and(|endpoints| !endpoints.names_itself));
        let says = configuration(&json!({"authorization_response_iss_parameter_supported": true}));
        assert!(client.endpoints(&says).is_some_and(|endpoints| endpoints.names_itself));
        for changed in [
            json!({"issuer": "https://other.example"}),
            json!({"authorization_endpoint": "http://tenant.example/auth"}),
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            json!({"authorization_endpoint": "https://tenant.example/auth#x"}),
            json!({"authorization_endpoint": "https://tenant.example/auth?a=b\r\nSet-Cookie: c=d"}),
            json!({"authorization_endpoint": null}),
            json!({"token_endpoint": "http://127.0.0.1/token"}),
            json!({"token_endpoint": "/token"}),
            json!({"token_endpoint": 7}),
        ] {
            assert_eq!(client.endpoints(&configuration(&changed)), None, "{changed}");
        }
        assert_eq!(client.endpoints("[]"), None);
    }

    #[test]
    fn what_the_token_endpoint_says_is_a_token_a_refusal_a_wrong_setting_or_nothing() {
        let name = |status: u16, body: Value| match exchanged(status, &body.to_string()) {
            Exchanged::IdToken(token) => format!("token {token}"),
            Exchanged::Refused => "refused".into(),
            Exchanged::Misconfigured(word) => format!("misconfigured {word}"),
            Exchanged::NoIdToken => "no ID token".into(),
            Exchanged::Nothing => "nothing".into(),
        };
        for (status, body, expected) in [
            (200, json!({"id_token": "a.b.c", "access_token": "x", "token_type": "Bearer"}), "token a.b.c"),
            (400, json!({"error": "invalid_grant"}), "refused"),
            (401, json!({"error": "invalid_client"}), "misconfigured invalid_client"),
            (200, json!({"error": "invalid_grant", "id_token": "a.b.c"}), "refused"),
            (400, json!({"error": "<script>"}), "misconfigured another error"),
            (200, json!({"access_token": "x"}), "no ID token"),
            (200, json!({"id_token": 7}), "no ID token"),
            (201, json!({"id_token": "a.b.c"}), "nothing"),
            (302, json!({}), "nothing"),
            (400, json!({}), "nothing"),
            (400, json!({"error": "temporarily_unavailable"}), "nothing"),
            (429, json!({"error": "slow_down"}), "nothing"),
            (500, json!({"error": "invalid_grant"}), "nothing"),
        ] {
            assert_eq!(name(status, body.clone()), expected, "{status} {body}");
        }
        assert!(matches!(exchanged(200, "<html>"), Exchanged::Nothing));
        assert_eq!(declined("access_denied"), Declined::Denied);
        assert_eq!(declined("temporarily_unavailable"), Declined::Unavailable);
        assert_eq!(declined("invalid_scope"), Declined::Misconfigured("invalid_scope"));
        assert_eq!(declined("<b>"), Declined::Misconfigured("another error"));
    }
}
