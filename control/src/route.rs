//! Which path and method of the API is which call, and which object answers it. Pure: the Worker asks it before
//! any object is asked, the objects ask it again.

use percent_encoding::percent_decode_str;

/// One call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the table below says what each is
pub enum Endpoint {
    CreateKey,
    ListKeys,
    GetKey,
    ChangeKey,
    DeleteKey,
    RevokeKey,
    RotateKey,
    RevokeKeys,
    ImportKeys,
    ReadKeyUsage,
    ExplainKey,
    PutOwner,
    GetOwner,
    DeleteOwner,
    ListOwners,
    PutOwners,
    PutCompany,
    GetCompany,
    DeleteCompany,
    ListCompanies,
    ExportCompany,
    ImportCompany,
    GetPolicy,
    PutPolicy,
    ListPolicyVersions,
    RollBackPolicy,
    ListAudit,
    VerifyAudit,
    ExportAudit,
    Whoami,
    Format,
    CreateSignInLink,
    ListWebhooks,
    CreateWebhook,
    GetWebhook,
    ChangeWebhook,
    DeleteWebhook,
    ListDeliveries,
    ReplayDeliveries,
    RevokeCredentials,
    ReportLeaks,
    Republish,
    OpenApi,
}

/// Who answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// The Shard object of the company that the call acts in.
    Shard,
    /// The Registry object.
    Registry,
    /// The Worker itself.
    Worker,
}

/// A call that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub endpoint: Endpoint,
    /// The variable part of the path (a key, an owner, a company), decoded; empty where there is none.
    pub argument: String,
}

/// Why nothing was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missed {
    /// No such path: 404.
    Path,
    /// The path exists with other methods: 405, with `Allow`.
    Method {
        /// The methods that exist.
        allow: String,
    },
}

const ROUTES: &[(&str, &[(&str, Endpoint)])] = &[
    ("/v1/keys", &[("GET", Endpoint::ListKeys), ("POST", Endpoint::CreateKey)]),
    ("/v1/keys/revoke", &[("POST", Endpoint::RevokeKeys)]),
    ("/v1/keys/import", &[("POST", Endpoint::ImportKeys)]),
    ("/v1/keys/{}", &[("GET", Endpoint::GetKey), ("PATCH", Endpoint::ChangeKey), ("DELETE", Endpoint::DeleteKey)]),
    ("/v1/keys/{}/revoke", &[("POST", Endpoint::RevokeKey)]),
    ("/v1/keys/{}/rotate", &[("POST", Endpoint::RotateKey)]),
    ("/v1/keys/{}/usage", &[("GET", Endpoint::ReadKeyUsage)]),
    ("/v1/keys/{}/explain", &[("GET", Endpoint::ExplainKey)]),
    ("/v1/owners", &[("GET", Endpoint::ListOwners), ("PUT", Endpoint::PutOwners)]),
    ("/v1/owners/{}", &[("GET", Endpoint::GetOwner), ("PUT", Endpoint::PutOwner), ("DELETE", Endpoint::DeleteOwner)]),
    ("/v1/companies", &[("GET", Endpoint::ListCompanies)]),
    ("/v1/companies/{}", &[("GET", Endpoint::GetCompany), ("PUT", Endpoint::PutCompany), ("DELETE", Endpoint::DeleteCompany)]),
    ("/v1/companies/{}/export", &[("GET", Endpoint::ExportCompany)]),
    ("/v1/companies/{}/import", &[("POST", Endpoint::ImportCompany)]),
    ("/v1/policy", &[("GET", Endpoint::GetPolicy), ("PUT", Endpoint::PutPolicy)]),
    ("/v1/policy/versions", &[("GET", Endpoint::ListPolicyVersions)]),
    ("/v1/policy/rollback", &[("POST", Endpoint::RollBackPolicy)]),
    ("/v1/audit", &[("GET", Endpoint::ListAudit)]),
    ("/v1/audit/verify", &[("GET", Endpoint::VerifyAudit)]),
    ("/v1/audit/export", &[("GET", Endpoint::ExportAudit)]),
    ("/v1/whoami", &[("GET", Endpoint::Whoami)]),
    ("/v1/format", &[("GET", Endpoint::Format)]),
    ("/v1/sign-in-links", &[("POST", Endpoint::CreateSignInLink)]),
    ("/v1/webhooks", &[("GET", Endpoint::ListWebhooks), ("POST", Endpoint::CreateWebhook)]),
    ("/v1/webhooks/{}", &[("GET", Endpoint::GetWebhook), ("PATCH", Endpoint::ChangeWebhook), ("DELETE", Endpoint::DeleteWebhook)]),
    ("/v1/webhooks/{}/deliveries", &[("GET", Endpoint::ListDeliveries)]),
    ("/v1/webhooks/{}/replay", &[("POST", Endpoint::ReplayDeliveries)]),
    ("/v1/credentials/revoke", &[("POST", Endpoint::RevokeCredentials)]),
    ("/v1/leaks/github", &[("POST", Endpoint::ReportLeaks)]),
    ("/v1/maintenance/republish", &[("POST", Endpoint::Republish)]),
    ("/v1/openapi.json", &[("GET", Endpoint::OpenApi)]),
];

/// Every route: its method and its path, in which `{}` is the variable part. HEAD goes with GET and is not named.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().flat_map(|(path, methods)| methods.iter().map(move |(method, _)| (*method, *path)))
}

/// Finds the call that `method` (upper-case; HEAD is answered as GET) and the percent-encoded `path` name.
pub fn find(method: &str, path: &str) -> Result<Found, Missed> {
    let (methods, argument) = ROUTES.iter().find_map(|(pattern, methods)| Some((methods, matches(pattern, path)?))).ok_or(Missed::Path)?;
    let method = if method == "HEAD" { "GET" } else { method };
    if let Some(&(_, endpoint)) = methods.iter().find(|(known, _)| *known == method) {
        return Ok(Found { endpoint, argument });
    }
    let mut allow: Vec<_> = methods.iter().map(|(known, _)| *known).collect();
    if allow.contains(&"GET") {
        allow.insert(1, "HEAD");
    }
    Err(Missed::Method { allow: allow.join(", ") })
}

fn matches(pattern: &str, path: &str) -> Option<String> {
    let Some((before, after)) = pattern.split_once("{}") else {
        return (pattern == path).then(String::new);
    };
    let argument = path.strip_prefix(before)?.strip_suffix(after)?;
    if argument.is_empty() || argument.contains('/') {
        return None;
    }
    percent_decode_str(argument).decode_utf8().ok().map(Into::into)
}

impl Endpoint {
    /// Who answers.
    pub const fn home(self) -> Home {
        match self {
            Self::ListCompanies | Self::GetPolicy | Self::PutPolicy | Self::ListPolicyVersions | Self::RollBackPolicy => Home::Registry,
            Self::OpenApi | Self::RevokeCredentials | Self::ReportLeaks => Home::Worker,
            _ => Home::Shard,
        }
    }

    /// How logs call it: the method and the path's pattern.
    pub fn name(self) -> String {
        let has = |methods: &&(&str, &[(&str, Self)])| methods.1.iter().any(|(_, endpoint)| *endpoint == self);
        let found = ROUTES
            .iter()
            .find(has)
            .and_then(|(pattern, methods)| Some((methods.iter().find(|(_, endpoint)| *endpoint == self)?.0, pattern)));
        found.map_or_else(String::new, |(method, pattern)| format!("{method} {pattern}"))
    }

    /// Whether the path names the company that the call acts in.
    pub const fn names_company(self) -> bool {
        matches!(self, Self::PutCompany | Self::GetCompany | Self::DeleteCompany | Self::ExportCompany | Self::ImportCompany)
    }

    /// Whether it changes something: then a refusal is audited and an idempotency key counts.
    pub const fn mutates(self) -> bool {
        self.action().is_some()
    }

    /// What the audit trail calls a change.
    pub const fn action(self) -> Option<&'static str> {
        Some(match self {
            Self::CreateKey => "key.create",
            Self::ChangeKey => "key.change",
            Self::DeleteKey => "key.delete",
            Self::RevokeKey => "key.revoke",
            Self::RotateKey => "key.rotate",
            Self::RevokeKeys => "keys.revoke",
            Self::ImportKeys => "keys.import",
            Self::PutOwner => "owner.put",
            Self::PutOwners => "owners.put",
            Self::DeleteOwner => "owner.delete",
            Self::PutCompany => "company.put",
            Self::DeleteCompany => "company.delete",
            Self::ImportCompany => "company.import",
            Self::PutPolicy => "policy.put",
            Self::RollBackPolicy => "policy.rollback",
            Self::CreateSignInLink => "sign_in_link.create",
            Self::CreateWebhook => "webhook.create",
            Self::ChangeWebhook => "webhook.change",
            Self::DeleteWebhook => "webhook.delete",
            Self::ReplayDeliveries => "webhook.replay",
            Self::Republish => "maintenance.republish",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps)] // compared with what find() gives
    fn found(endpoint: Endpoint, argument: &str) -> Result<Found, Missed> {
        Ok(Found { endpoint, argument: argument.into() })
    }

    #[test]
    fn a_path_and_a_method_name_one_call() {
        assert_eq!(find("POST", "/v1/keys"), found(Endpoint::CreateKey, ""));
        assert_eq!(find("HEAD", "/v1/keys/key_1"), found(Endpoint::GetKey, "key_1"));
        assert_eq!(find("POST", "/v1/keys/key_1/revoke"), found(Endpoint::RevokeKey, "key_1"));
        assert_eq!(find("POST", "/v1/keys/key_1/rotate"), found(Endpoint::RotateKey, "key_1"));
        assert_eq!(find("POST", "/v1/keys/revoke"), found(Endpoint::RevokeKeys, ""));
        assert_eq!(find("GET", "/v1/webhooks/wh_1/deliveries"), found(Endpoint::ListDeliveries, "wh_1"));
        assert_eq!(find("POST", "/v1/companies/acme/import"), found(Endpoint::ImportCompany, "acme"));
        assert_eq!(find("POST", "/v1/maintenance/republish"), found(Endpoint::Republish, ""));
        assert_eq!(find("PUT", "/v1/owners/auth0%7C5f2"), found(Endpoint::PutOwner, "auth0|5f2"));
        assert_eq!(find("GET", "/v1/policy").unwrap().endpoint.home(), Home::Registry);
        assert_eq!(Endpoint::RotateKey.name(), "POST /v1/keys/{}/rotate");
    }

    #[test]
    fn another_path_is_404_and_another_method_405_with_those_that_exist() {
        for path in ["/v1", "/v1/", "/v1/keys/", "/v1/keys/a/b", "/v1/keyz", "/v1/owners/%ff", "/V1/keys", "/v1/keys/a/rename"] {
            assert_eq!(find("GET", path), Err(Missed::Path), "{path}");
        }
        assert_eq!(find("PUT", "/v1/keys"), Err(Missed::Method { allow: "GET, HEAD, POST".into() }));
        assert_eq!(find("GET", "/v1/sign-in-links"), Err(Missed::Method { allow: "POST".into() }));
    }
}
