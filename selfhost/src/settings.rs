//! The Workers' variables on this machine: what the edge and the control plane are told. Which values are allowed is theirs to decide; what
//! both read is checked here too, so that a wrong value is named before anything starts.

use std::collections::BTreeMap;

use keyward_shared::{
    settings::{CommonSettings, SettingsError},
    tiers,
};

use crate::state::{IDENTITY_KEYS, Secrets};

/// Secrets that the edge has no business with.
const CONTROL_ONLY: [&str; 2] = ["SESSION_SECRETS", "WEBHOOK_SECRETS"];
/// The identity provider's, which is only ever given by hand.
const CLIENT_SECRET: &str = "OIDC_CLIENT_SECRET";

/// Variables by name.
pub type Variables = BTreeMap<String, String>;

/// What the variables are made from.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The state folder's secrets.
    pub secrets: &'a Secrets,
    /// The API behind the edge.
    pub origin_url: &'a str,
    /// Where people find the first edge.
    pub edge_url: &'a str,
    /// Where people find the control plane.
    pub control_url: &'a str,
    /// The bound in seconds; freshness is a third of it. 180 where it is not given.
    pub bound_s: Option<f64>,
    /// Settings that replace or complete the others, in both Workers; the control plane's own secrets only there.
    pub overrides: &'a [(String, String)],
}

/// The variables of both Workers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The edge's.
    pub edge: Variables,
    /// The control plane's, still without `BOOTSTRAP_DIGEST`.
    pub control: Variables,
    /// What both read, checked.
    pub common: CommonSettings,
}

impl Settings {
    /// Puts the variables together and checks them.
    pub fn resolve(inputs: &Inputs<'_>) -> Result<Self, SettingsError> {
        let bound = inputs.bound_s.unwrap_or(180.0);
        let mut both: Variables = [
            ("KEY_PREFIXES", "kw_live"),
            ("FRESHNESS_S", &seconds(bound / 3.0)),
            ("REVOCATION_BOUND_S", &seconds(bound)),
            ("FEED_GROUPS", "1"),
            ("OPERATOR_COMPANY", "demo"),
            ("CLIENT_ADDRESS", "peer"),
            ("PROXY_SECRETS", ""),
            ("RATE_LIMITS", ""),
            ("RATE_LIMIT_DEFAULT", ""),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        let shared = |name: &&str| !CONTROL_ONLY.contains(name) && *name != IDENTITY_KEYS;
        for name in inputs.secrets.names().filter(shared) {
            both.insert(name.to_owned(), inputs.secrets.setting(name));
        }

        let mut edge = both.clone();
        edge.insert("ORIGIN_URL".into(), inputs.origin_url.into());
        edge.insert("FORWARD_AUTH".into(), String::new());
        edge.insert(IDENTITY_KEYS.into(), inputs.secrets.setting(IDENTITY_KEYS));
        edge.insert("ACCEPT_IMPORTED".into(), String::new());

        let mut control = both;
        for name in CONTROL_ONLY {
            control.insert(name.into(), inputs.secrets.setting(name));
        }
        control.insert("WEBHOOK_TARGETS".into(), "public".into());
        control.insert("PUBLIC_EDGE_URL".into(), inputs.edge_url.into());
        control.insert("PUBLIC_CONTROL_URL".into(), inputs.control_url.into());

        for (name, value) in inputs.overrides {
            if !CONTROL_ONLY.contains(&name.as_str()) && name != CLIENT_SECRET {
                edge.insert(name.clone(), value.clone());
            }
            control.insert(name.clone(), value.clone());
        }
        let common = CommonSettings::read(&|name: &str| control.get(name).cloned())?;
        if let Err(problem) = tiers::parse(&edge["RATE_LIMITS"]) {
            return Err(SettingsError::new("RATE_LIMITS", problem));
        }
        Ok(Self { edge, control, common })
    }
}

/// Seconds with at most three decimals.
fn seconds(seconds: f64) -> String {
    let text = format!("{seconds:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StateFolder;

    fn resolve(bound_s: Option<f64>, overrides: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let folder = StateFolder::temporary().unwrap();
        let overrides: Vec<_> = overrides.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::resolve(&Inputs {
            secrets: folder.secrets(),
            origin_url: "http://127.0.0.1:1",
            edge_url: "http://127.0.0.1:2",
            control_url: "http://127.0.0.1:3",
            bound_s,
            overrides: &overrides,
        })
    }

    #[test]
    fn only_the_edge_can_sign_identities() {
        let settings = resolve(None, &[]).unwrap();
        assert!(settings.edge["IDENTITY_KEYS"].starts_with(r#"[{"kty":"EC""#) && !settings.control.contains_key("IDENTITY_KEYS"));
    }

    #[test]
    fn the_edge_knows_no_secret_of_sessions_and_webhooks() {
        let settings = resolve(None, &[]).unwrap();
        for name in ["SESSION_SECRETS", "WEBHOOK_SECRETS"] {
            assert!(!settings.edge.contains_key(name), "{name}");
            assert_eq!(settings.control[name].len(), 64, "{name}");
        }
        assert_eq!(settings.edge["TAG_SECRETS"], settings.control["TAG_SECRETS"]);
        assert_eq!((settings.edge["FRESHNESS_S"].as_str(), settings.edge["REVOCATION_BOUND_S"].as_str()), ("60", "180"));
    }

    #[test]
    fn nor_does_it_when_they_are_given_by_hand() {
        let hex = "ab".repeat(32);
        let given = [("SESSION_SECRETS", hex.as_str()), ("OIDC_CLIENT_SECRET", "hush-hush"), ("OIDC_CLIENT_ID", "keyward")];
        let settings = resolve(None, &given).unwrap();
        for (name, value) in given {
            assert_eq!(settings.control[name], value);
        }
        assert!(!settings.edge.contains_key("SESSION_SECRETS") && !settings.edge.contains_key("OIDC_CLIENT_SECRET"));
    }

    #[test]
    fn a_bound_sets_freshness_in_proportion_and_an_override_has_the_last_word() {
        let settings = resolve(Some(5.0), &[]).unwrap();
        assert_eq!((settings.edge["FRESHNESS_S"].as_str(), settings.edge["REVOCATION_BOUND_S"].as_str()), ("1.667", "5"));
        let settings = resolve(Some(9.0), &[("FRESHNESS_S", "4"), ("FORWARD_AUTH", "original")]).unwrap();
        assert_eq!((settings.edge["FRESHNESS_S"].as_str(), settings.edge["FORWARD_AUTH"].as_str()), ("4", "original"));
    }

    #[test]
    fn a_setting_that_the_workers_would_refuse_is_refused_before_the_start() {
        assert_eq!(resolve(Some(1.0), &[]).unwrap_err().name, "REVOCATION_BOUND_S");
        assert_eq!(resolve(None, &[("KEY_PREFIXES", "KW")]).unwrap_err().name, "KEY_PREFIXES");
        assert_eq!(resolve(None, &[("RATE_LIMITS", "gold=100/60")]).unwrap_err().name, "RATE_LIMITS");
    }
}
