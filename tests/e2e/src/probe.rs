//! Continuous traffic with one key at one edge, and what became of each request: for tests that say until when a key was let in.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reqwest::Client;
use serde_json::Value;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

/// Milliseconds of Unix time, by the clock that the runtime's processes use too.
pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It reached the origin.
    LetIn,
    /// 401 or 403, with its code.
    Refused(u16, String),
    /// 503 with `Retry-After`: ask again.
    Unavailable,
    /// Any other answer: there must be none.
    Wrong(String),
    /// The edge was not there, or went away.
    NoAnswer,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was sent.
    pub sent_ms: u64,
    /// When its answer was there.
    pub answered_ms: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// Requests with one key to one edge, one after the other, until it is stopped or dropped.
#[derive(Debug)]
pub struct Probe {
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Probe {
    /// Asks `url` with `key`, `every` so often, or as fast as answers come.
    pub fn start(http: Client, url: String, key: String, every: Duration) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut turn = interval(every);
            turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                turn.tick().await;
                let one = ask(&http, &url, &key).await;
                log.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            }
        });
        Self { seen, task }
    }

    /// All requests answered so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last request answered so far.
    pub fn last(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends one request with a key.
pub async fn ask(http: &Client, url: &str, key: &str) -> Seen {
    let sent_ms = now_ms();
    let outcome = match http.get(url).header("x-api-key", key).send().await {
        Err(_) => Outcome::NoAnswer,
        Ok(answer) => {
            let status = answer.status().as_u16();
            let waits =
                answer.headers().get("retry-after").is_some_and(|value| value.to_str().is_ok_and(|text| text.parse::<u32>().is_ok()));
            match (status, answer.text().await) {
                (200, Ok(_)) => Outcome::LetIn,
                (503, Ok(_)) if waits => Outcome::Unavailable,
                (401 | 403, Ok(body)) => Outcome::Refused(status, code(&body)),
                (status, Ok(body)) => Outcome::Wrong(format!("{status} {body}")),
                (_, Err(_)) => Outcome::NoAnswer,
            }
        }
    };
    Seen { sent_ms, answered_ms: now_ms(), outcome }
}

fn code(problem: &str) -> String {
    serde_json::from_str::<Value>(problem).ok().and_then(|problem| Some(problem["code"].as_str()?.to_owned())).unwrap_or_default()
}

/// What one edge did about a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// When the last request was sent that was let in.
    pub last_let_in_ms: Option<u64>,
    /// When the first request was sent after which none was let in.
    pub first_kept_out_ms: Option<u64>,
    /// When the first request was sent that was refused for the change.
    pub first_refused_ms: Option<u64>,
}

/// Judges what one edge did with a key that was good until a change, which was sent at `changed_ms` and in effect from `effective_ms` on.
/// From then on nothing may be let in; before the change nothing may be refused; nothing is let in after a refusal, unless the edge
/// went away meanwhile: then it has forgotten what it knew. Whatever is refused is refused for the reason `expected`. The error says what was
/// wrong.
pub fn judge(seen: &[Seen], changed_ms: u64, effective_ms: u64, expected: (u16, &str)) -> Result<Course, String> {
    let mut course = Course::default();
    for one in seen {
        match &one.outcome {
            Outcome::LetIn if one.sent_ms > effective_ms => {
                return Err(format!("let in {} ms after the bound", one.sent_ms - effective_ms));
            }
            Outcome::LetIn if course.first_refused_ms.is_some_and(|at| at < one.sent_ms) => {
                return Err(format!("let in after a refusal: {one:?}"));
            }
            Outcome::LetIn => {
                course.last_let_in_ms = Some(one.sent_ms);
                course.first_kept_out_ms = None;
            }
            Outcome::Refused(..) if one.answered_ms < changed_ms => return Err(format!("refused before the change: {one:?}")),
            Outcome::Refused(status, code) if (*status, code.as_str()) != expected => {
                return Err(format!("refused for another reason: {one:?}"));
            }
            Outcome::Refused(..) => {
                course.first_refused_ms.get_or_insert(one.sent_ms);
                course.first_kept_out_ms.get_or_insert(one.sent_ms);
            }
            Outcome::Unavailable => {
                course.first_kept_out_ms.get_or_insert(one.sent_ms);
            }
            Outcome::NoAnswer => course.first_refused_ms = None,
            Outcome::Wrong(answer) => return Err(format!("a wrong answer: {answer}")),
        }
    }
    Ok(course)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: (u16, &str) = (401, "key_revoked");

    fn seen(outcomes: &[(u64, Outcome)]) -> Vec<Seen> {
        outcomes.iter().map(|(at, outcome)| Seen { sent_ms: *at, answered_ms: at + 1, outcome: outcome.clone() }).collect()
    }

    fn refused() -> Outcome {
        Outcome::Refused(EXPECTED.0, EXPECTED.1.into())
    }

    #[test]
    fn a_key_that_was_let_in_and_then_kept_out_in_time_is_in_order() {
        let course = judge(
            &seen(&[(0, Outcome::LetIn), (11, Outcome::Unavailable), (12, Outcome::LetIn), (14, Outcome::Unavailable), (15, refused())]),
            10,
            20,
            EXPECTED,
        );
        assert_eq!(course, Ok(Course { last_let_in_ms: Some(12), first_kept_out_ms: Some(14), first_refused_ms: Some(15) }));
    }

    #[test]
    fn an_edge_that_went_away_has_forgotten_what_it_knew() {
        let seen = seen(&[(12, refused()), (13, Outcome::NoAnswer), (14, Outcome::LetIn), (15, refused())]);
        assert_eq!(judge(&seen, 10, 20, EXPECTED).map(|course| course.first_refused_ms), Ok(Some(15)));
    }

    #[test]
    fn what_must_not_be_is_told() {
        for (outcomes, complaint) in [
            (vec![(21, Outcome::LetIn)], "after the bound"),
            (vec![(5, refused())], "before the change"),
            (vec![(12, refused()), (13, Outcome::LetIn)], "after a refusal"),
            (vec![(12, Outcome::Refused(401, "unknown_key".into()))], "another reason"),
            (vec![(12, Outcome::Wrong("500 x".into()))], "500 x"),
        ] {
            let judged = judge(&seen(&outcomes), 10, 20, EXPECTED);
            assert!(judged.as_ref().is_err_and(|error| error.contains(complaint)), "{judged:?} does not say: {complaint}");
        }
    }
}
