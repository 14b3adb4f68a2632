//! What `GET /.keyward/health` says: how old the edge's knowledge is, and what that means.

use keyward_shared::{time::Millis, timing::Timing};
use serde_json::json;

/// Status code and body, from the age of the oldest feed in use.
pub fn report(feed_age: Option<Millis>, push: bool, timing: &Timing) -> (u16, String) {
    let status = match feed_age {
        Some(age) if age <= timing.freshness => "ok",
        Some(age) if age <= timing.bound => "degraded",
        Some(_) | None => "unavailable",
    };
    let seconds = |ms: Millis| if ms.0.is_multiple_of(1000) { json!(ms.0 / 1000) } else { json!(f64::from(u32::try_from(ms.0).unwrap_or(u32::MAX)) / 1000.0) };
    let body = json!({
        "status": status,
        "feed_age_s": feed_age.map(Millis::as_secs),
        "freshness_s": seconds(timing.freshness),
        "bound_s": seconds(timing.bound),
        "push": push,
        "version": env!("CARGO_PKG_VERSION"),
    });
    (if status == "unavailable" { 503 } else { 200 }, body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_follows_the_age_of_the_feed() {
        for (age, status, code) in [(Some(60_000), "ok", 200), (Some(60_001), "degraded", 200), (Some(180_001), "unavailable", 503), (None, "unavailable", 503)] {
            let (got, body) = report(age.map(Millis), false, &Timing::default());
            assert!(got == code && body.contains(&format!("\"status\":\"{status}\"")), "{body}");
        }
    }
}
