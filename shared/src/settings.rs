//! The settings that the edge and the control plane share, read once per isolate into one typed struct. A
//! missing or malformed value stops the Worker with a message that names the setting, never its value
//! where that is a secret.

use thiserror::Error;

use crate::{
    ids::CompanyId,
    key::Prefixes,
    secret::SecretList,
    tag::TagSecrets,
    timing::{Timing, TimingError},
};

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("setting {name}: {problem}")]
pub struct SettingsError {
    /// The variable or secret.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl SettingsError {
    /// `name` is wrong in the way that `problem` says.
    pub fn new<P: core::fmt::Display>(name: &'static str, problem: P) -> Self {
        Self { name, problem: format!("{problem}") }
    }
}

/// Where settings come from: the value of a variable or secret by name.
pub trait Variables {
    /// The value, or `None` where it is not set.
    fn get(&self, name: &str) -> Option<String>;

    /// The value, or `fallback` where it is not set or empty.
    fn or(&self, name: &str, fallback: &str) -> String {
        self.get(name).filter(|value| !value.trim().is_empty()).unwrap_or_else(|| fallback.into())
    }

    /// The value; an error where it is not set or empty.
    fn required(&self, name: &'static str) -> Result<String, SettingsError> {
        self.get(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| SettingsError::new(name, "is not set"))
    }
}

impl<F: Fn(&str) -> Option<String>> Variables for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// What both Workers are configured with.
#[derive(Clone, Debug)]
pub struct CommonSettings {
    /// `KEY_PREFIXES`, by default `kw_live`.
    pub prefixes: Prefixes,
    /// `FRESHNESS_S` and `REVOCATION_BOUND_S`, by default 60 and 180.
    pub timing: Timing,
    /// `FEED_GROUPS`, 1 to 1000, by default 1.
    pub feed_groups: u16,
    /// `OPERATOR_COMPANY`: the only company in which `keyward.operator` counts.
    pub operator_company: CompanyId,
    /// `TAG_SECRETS`.
    pub tag_secrets: TagSecrets,
    /// `RECORD_SECRETS`.
    pub record_secrets: SecretList,
}

impl CommonSettings {
    /// Reads and checks the settings.
    pub fn read(variables: &impl Variables) -> Result<Self, SettingsError> {
        let prefixes = Prefixes::parse(&variables.or("KEY_PREFIXES", "kw_live")).map_err(|e| SettingsError::new("KEY_PREFIXES", e))?;
        let timing = Timing::parse(&variables.or("FRESHNESS_S", "60"), &variables.or("REVOCATION_BOUND_S", "180")).map_err(|e| {
            let name = if e == TimingError::Bound { "REVOCATION_BOUND_S" } else { "FRESHNESS_S" };
            SettingsError::new(name, e)
        })?;
        let Ok(feed_groups @ 1..=1000) = variables.or("FEED_GROUPS", "1").trim().parse() else {
            return Err(SettingsError::new("FEED_GROUPS", "must be a whole number from 1 to 1000"));
        };
        let company = variables.required("OPERATOR_COMPANY")?;
        let operator_company = CompanyId::new(&company).map_err(|e| SettingsError::new("OPERATOR_COMPANY", e))?;
        let tag_secrets = TagSecrets::parse(&variables.required("TAG_SECRETS")?).map_err(|e| SettingsError::new("TAG_SECRETS", e))?;
        let record_secrets =
            SecretList::parse(&variables.required("RECORD_SECRETS")?).map_err(|e| SettingsError::new("RECORD_SECRETS", e))?;
        Ok(Self { prefixes, timing, feed_groups, operator_company, tag_secrets, record_secrets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changed: &[(&str, &str)]) -> Result<CommonSettings, SettingsError> {
        let hex = "ab".repeat(32);
        CommonSettings::read(&|name: &str| {
            let base = [("OPERATOR_COMPANY", "demo"), ("TAG_SECRETS", &hex), ("RECORD_SECRETS", &hex)];
            changed.iter().chain(&base).find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_shipped_settings_need_only_a_company_and_secrets() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.prefixes.minting().as_str(), "kw_live");
        assert_eq!(settings.timing, Timing::default());
    }

    #[test]
    fn a_bad_setting_is_named_and_a_secret_is_not_shown() {
        for (name, value) in [
            ("KEY_PREFIXES", "KW"),
            ("FRESHNESS_S", "often"),
            ("REVOCATION_BOUND_S", "1"),
            ("FEED_GROUPS", "0"),
            ("OPERATOR_COMPANY", "a b"),
            ("OPERATOR_COMPANY", ""),
            ("TAG_SECRETS", "c0ffee"),
            ("RECORD_SECRETS", ""),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.name, name);
            assert!(!error.to_string().contains("c0ffee"));
        }
    }
}
