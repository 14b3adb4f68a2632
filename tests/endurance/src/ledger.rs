//! What was acknowledged: each key with what became of it, and what must not be seen any more because of that. Also everything that was seen
//! and must not be.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use keyward_e2e::probe::{Outcome, Seen};

use crate::dice::Dice;

/// Findings beyond this number are only counted.
const MAX_FINDINGS: usize = 50;
/// Of the keys that ended, so many of the last ones are used again and again.
const WATCHED: usize = 400;

/// How a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Revoked,
    Deleted,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It must be let in.
    Live,
    /// Its end has been asked for, and not yet acknowledged.
    Ending(End),
    /// It must be kept out from this time on, in milliseconds of Unix time.
    Ended(End, u64),
}

/// A key whose creation was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) company: usize,
    /// The key itself; unknown where the answer that held it was lost.
    pub(crate) text: Option<String>,
    pub(crate) state: State,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    keys: Vec<Key>,
    live: Vec<usize>,
    ended: Vec<usize>,
    findings: Vec<String>,
    unlisted: usize,
    counts: BTreeMap<&'static str, u64>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was seen that must not be.
    pub(crate) fn find(&self, finding: String) {
        let mut inner = self.lock();
        if inner.findings.len() < MAX_FINDINGS {
            inner.findings.push(finding);
        } else {
            inner.unlisted += 1;
        }
    }

    /// Counts something that may be seen.
    pub(crate) fn count(&self, what: &'static str) {
        *self.lock().counts.entry(what).or_default() += 1;
    }

    /// A key was created.
    pub(crate) fn created(&self, key: Key) {
        let mut inner = self.lock();
        let place = inner.keys.len();
        inner.keys.push(key);
        inner.live.push(place);
    }

    /// How many keys live.
    pub(crate) fn live(&self) -> usize {
        self.lock().live.len()
    }

    /// Takes a living key to end it.
    pub(crate) fn begin(&self, end: End, dice: &mut Dice) -> Option<(usize, Key)> {
        let mut inner = self.lock();
        let at = dice.below(inner.live.len());
        if at >= inner.live.len() {
            return None;
        }
        let place = inner.live.swap_remove(at);
        let key = inner.keys.get_mut(place)?;
        key.state = State::Ending(end);
        Some((place, key.clone()))
    }

    /// The end of a key was acknowledged, and is in effect from `effective_ms` on.
    pub(crate) fn ended(&self, place: usize, end: End, effective_ms: u64) {
        let mut inner = self.lock();
        if let Some(key) = inner.keys.get_mut(place) {
            key.state = State::Ended(end, effective_ms);
        }
        inner.ended.push(place);
    }

    /// A key to use: half of the time a living one, half of the time one of the last that ended.
    pub(crate) fn pick(&self, dice: &mut Dice) -> Option<(usize, Key)> {
        let inner = self.lock();
        let ended = &inner.ended;
        let place = if dice.below(2) == 0 || ended.is_empty() {
            inner.live.get(dice.below(inner.live.len()))
        } else {
            ended.get(ended.len() - 1 - dice.below(ended.len().min(WATCHED)))
        };
        place.and_then(|place| Some((*place, inner.keys.get(*place)?.clone())))
    }

    /// What is known of a key now.
    pub(crate) fn state(&self, place: usize) -> Option<State> {
        self.lock().keys.get(place).map(|key| key.state)
    }

    /// Judges the use of a key at an edge, which was picked in the state `picked`.
    pub(crate) fn judge(&self, place: usize, picked: State, edge: usize, seen: &Seen) {
        let state = self.lock().keys.get(place).map_or(picked, |key| key.state);
        let judged = match (&seen.outcome, state) {
            (Outcome::LetIn, State::Ended(end, effective_ms)) if seen.sent_ms > effective_ms => {
                Err(format!("{end:?}, yet let in {} ms after the bound", seen.sent_ms - effective_ms))
            }
            (Outcome::LetIn, _) => Ok("let in at an edge"),
            (Outcome::Refused(..), State::Live) => Err("refused, though it lives".to_owned()),
            (Outcome::Refused(_, code), State::Ending(end) | State::Ended(end, _)) if code != refusal(end) => {
                Err(format!("refused for another reason than that it was {end:?}"))
            }
            (Outcome::Refused(..), _) => Ok("refused at an edge"),
            (Outcome::Unavailable, _) => Ok("503 with Retry-After at an edge"),
            (Outcome::NoAnswer, _) if edge == 0 => Err("no answer, though this edge was never killed".to_owned()),
            (Outcome::NoAnswer, _) => Ok("no answer of the edge that is killed"),
            (Outcome::Wrong(_), _) => Err("a wrong answer".to_owned()),
        };
        match judged {
            Ok(what) => self.count(what),
            Err(wrong) => self.find(format!("edge {edge}: {wrong}: {seen:?}, key {place} is {state:?}")),
        }
    }

    /// Everything: keys, findings and how many more there were, counts.
    pub(crate) fn close(&self) -> (Vec<Key>, Vec<String>, usize, BTreeMap<&'static str, u64>) {
        let inner = self.lock();
        (inner.keys.clone(), inner.findings.clone(), inner.unlisted, inner.counts.clone())
    }
}

/// The code with which a key is refused after its end.
pub(crate) fn refusal(end: End) -> &'static str {
    match end {
        End::Revoked => "key_revoked",
        End::Deleted => "unknown_key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sent_ms: u64, outcome: Outcome) -> Seen {
        Seen { sent_ms, answered_ms: sent_ms + 1, outcome }
    }

    #[test]
    fn what_must_not_be_seen_becomes_a_finding() {
        let ended = State::Ended(End::Revoked, 10);
        let refused = |code: &str| Outcome::Refused(401, code.into());
        for (state, edge, seen, complaint) in [
            (ended, 0, seen(11, Outcome::LetIn), "1 ms after the bound"),
            (State::Live, 0, seen(1, refused("key_revoked")), "though it lives"),
            (ended, 0, seen(11, refused("unknown_key")), "another reason"),
            (State::Live, 0, seen(1, Outcome::NoAnswer), "never killed"),
            (State::Live, 1, seen(1, Outcome::Wrong("500".into())), "wrong answer"),
        ] {
            let ledger = Ledger::default();
            ledger.judge(0, state, edge, &seen);
            let (_, findings, _, _) = ledger.close();
            assert!(matches!(findings.as_slice(), [one] if one.contains(complaint)), "{findings:?} does not say: {complaint}");
        }
    }

    #[test]
    fn what_may_be_seen_is_counted() {
        let ledger = Ledger::default();
        ledger.judge(0, State::Ended(End::Revoked, 10), 0, &seen(10, Outcome::LetIn));
        ledger.judge(0, State::Ended(End::Deleted, 10), 0, &seen(5, Outcome::Refused(401, "unknown_key".into())));
        ledger.judge(0, State::Live, 1, &seen(5, Outcome::NoAnswer));
        let (_, findings, unlisted, counts) = ledger.close();
        assert_eq!((findings, unlisted, counts.values().sum::<u64>()), (Vec::<String>::new(), 0, 3));
    }
}
