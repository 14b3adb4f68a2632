//! What `GET /.keyward/health` says: how old the edge's knowledge is, and what that means.

use keyward_shared::{time::Millis, timing::Timing};

/// Status code and body, from the age of the oldest feed in use.
pub fn report(feed_age: Option<Millis>, push: bool, timing: &Timing) -> (u16, String) {
    let status = match feed_age {
        Some(age) if age <= timing.freshness => "ok",
        Some(age) if age < timing.bound.minus(timing.skew) => "degraded", // from then on no key passes
        Some(_) | None => "unavailable",
    };
    let feed_age = feed_age.map_or_else(|| "null".into(), |age| age.as_secs().to_string());
    let (freshness, bound, version) = (seconds(timing.freshness), seconds(timing.bound), env!("CARGO_PKG_VERSION"));
    // Numbers and fixed words only: nothing here needs escaping.
    let body = format!(
        r#"{{"bound_s":{bound},"feed_age_s":{feed_age},"freshness_s":{freshness},"push":{push},"status":"{status}","version":"{version}"}}"#
    );
    (if status == "unavailable" { 503 } else { 200 }, body)
}

/// `2`, `0.5`, `1.125`.
fn seconds(time: Millis) -> String {
    let (whole, rest) = (time.0 / 1000, time.0 % 1000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:03}").trim_end_matches('0').into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_follows_the_age_of_the_feed() {
        for (age, status, code) in [
            (Some(60_000), "ok", 200),
            (Some(60_001), "degraded", 200),
            (Some(174_999), "degraded", 200),
            (Some(175_000), "unavailable", 503),
            (None, "unavailable", 503),
        ] {
            let (got, body) = report(age.map(Millis), false, &Timing::default());
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
            assert!(got == code && body.contains(&format!("\"status\":\"{status}\"")), "{body}");
        }
    }

    #[test]
    fn push_is_told_as_it_is() {
        for push in [true, false] {
            assert!(report(None, push, &Timing::default()).1.contains(&format!(r#""push":{push},"#)));
        }
    }

    #[test]
    fn times_have_the_decimals_that_they_need() {
        for (ms, text) in [(2_000, "2"), (500, "0.5"), (1_125, "1.125"), (5_005, "5.005"), (60_010, "60.01")] {
            assert_eq!(seconds(Millis(ms)), text);
        }
    }
}
