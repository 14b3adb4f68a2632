//! The rate-limit tiers of a deployment, as the setting `RATE_LIMITS` lists them: which there are, by which binding of the edge Worker each is
//! counted, and what it allows. The edge reads the setting in JavaScript (`edge/js/tiers.mjs`); `golden/rate-limits.json` holds both to the same.

use thiserror::Error;

/// A list that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TiersError {
    /// An item is not `<tier>=<binding> <requests>/<seconds>`.
    #[error("must be a list such as free=FREE_LIMIT 60/60, gold=GOLD_LIMIT 1000/60, with 10 or 60 seconds")]
    Form,
    /// A tier is there twice.
    #[error("has the tier {0} twice")]
    Twice(String),
}

/// One tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// What a key's `rate_limit` says.
    pub name: String,
    /// The edge Worker's rate-limiting binding.
    pub binding: String,
    /// How many requests of one key it allows in [`Tier::period_s`].
    pub limit: u32,
    /// Seconds: 10 or 60, as the platform has it.
    pub period_s: u32,
}

/// Reads a list; an empty one has no tiers.
pub fn parse(text: &str) -> Result<Vec<Tier>, TiersError> {
    let mut tiers: Vec<Tier> = Vec::new();
    if text.trim().is_empty() {
        return Ok(tiers);
    }
    for item in text.split(',') {
        let tier = tier(item.trim()).ok_or(TiersError::Form)?;
        if tiers.iter().any(|known| known.name == tier.name) {
            return Err(TiersError::Twice(tier.name));
        }
        tiers.push(tier);
    }
    Ok(tiers)
}

fn tier(item: &str) -> Option<Tier> {
    let (name, rest) = item.split_once('=')?;
    let (binding, rest) = rest.split_once(' ')?;
    let (limit, period) = rest.split_once('/')?;
    let starts = |text: &str, with: fn(&u8) -> bool| text.bytes().next().is_some_and(|first| with(&first));
    let is_name = name.len() <= 50
        && starts(name, u8::is_ascii_alphanumeric)
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let is_binding =
        !starts(binding, u8::is_ascii_digit) && !binding.is_empty() && binding.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let is_limit = limit.len() <= 7 && !limit.starts_with('0') && limit.bytes().all(|b| b.is_ascii_digit());
    let period_s = [("10", 10), ("60", 60)].into_iter().find(|(text, _)| *text == period)?.1;
    let limit = limit.parse().ok().filter(|_| is_limit)?;
    (is_name && is_binding).then(|| Tier { name: name.into(), binding: binding.into(), limit, period_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_read_as_the_golden_file_says() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../golden/rate-limits.json")).unwrap();
        for good in golden["good"].as_array().unwrap() {
            let tiers = parse(good["text"].as_str().unwrap()).unwrap();
            let read: Vec<_> = tiers.iter().map(|t| serde_json::json!([t.name, t.binding, t.limit, t.period_s])).collect();
            assert_eq!(serde_json::Value::from(read), good["tiers"], "{good}");
        }
        for bad in golden["bad"].as_array().unwrap() {
            assert!(parse(bad.as_str().unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(parse("a=A 1/10, a=B 1/10"), Err(TiersError::Twice("a".into())));
        assert_eq!(parse("gold"), Err(TiersError::Form));
    }
}
