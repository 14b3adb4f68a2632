//! The edges' hanging requests at one Feed object, as numbers: how many there may be, and when all of them are answered
//! together. Pure and in memory only: requests do not outlive the object, and a lost count is an empty one.

use keyward_shared::time::Millis;

/// How soon after a change its waiters are answered: in a later turn, so that the announcement is acknowledged first.
const SOON: Millis = Millis(5);
/// The least time between two rounds of answers. A storm of announcements becomes ten rounds a second.
const LEAST_PAUSE: Millis = Millis(100);
/// What each answer of a round adds to the pause after it: a waiter that was answered comes back at once, and an object
/// takes about a thousand requests a second.
const PAUSE_EACH: Millis = Millis(1);
/// A round that is so late will not come any more.
const LOST_AFTER: Millis = Millis(1_000);

/// Where a waiter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// It knows the last change and waits for the next one.
    Current,
    /// It does not know the last change and is answered as soon as may be.
    Behind,
}

/// Who waits, and when they are answered.
#[derive(Debug)]
pub struct Waiters {
    limit: usize,
    /// All that have a place, those who are just being answered too.
    places: usize,
    current: Queue,
    behind: Queue,
}

/// One line: those in it are answered together.
#[derive(Debug, Default)]
struct Queue {
    /// Those who wait for the next round.
    waiting: usize,
    /// The next round, where one was ordered.
    ordered_for: Option<Millis>,
    /// When the last round was, and how long the pause after it is.
    last_round: Millis,
    pause: Millis,
}

impl Waiters {
    /// Nobody waits, and at most `limit` may.
    pub fn new(limit: usize) -> Self {
        Self { limit, places: 0, current: Queue::default(), behind: Queue::default() }
    }

    /// One more waits in `line`; `false` where there are too many already.
    pub fn enter(&mut self, line: Line) -> bool {
        let fits = self.places < self.limit;
        self.places += usize::from(fits);
        self.queue(line).waiting += usize::from(fits);
        fits
    }

    /// One of those in `line` gives its place back: after a round has begun that answers it, or without.
    pub fn leave(&mut self, line: Line, answered: bool) {
        self.places = self.places.saturating_sub(1);
        let queue = self.queue(line);
        queue.waiting = queue.waiting.saturating_sub(usize::from(!answered));
    }

    /// Orders a round of answers for `line`. Gives the time from `now` after which it is to begin, for a timer; `None`
    /// where nobody waits or one is ordered already.
    pub fn order(&mut self, line: Line, now: Millis) -> Option<Millis> {
        self.queue(line).order(now)
    }

    /// A round begins: all who are in `line` now are answered.
    pub fn begin_round(&mut self, line: Line, now: Millis) {
        let queue = self.queue(line);
        queue.ordered_for = None;
        queue.last_round = now;
        queue.pause = LEAST_PAUSE.max(Millis(PAUSE_EACH.0.saturating_mul(u64::try_from(queue.waiting).unwrap_or(u64::MAX))));
        queue.waiting = 0;
    }

    fn queue(&mut self, line: Line) -> &mut Queue {
        match line {
            Line::Current => &mut self.current,
            Line::Behind => &mut self.behind,
        }
    }
}

impl Queue {
    fn order(&mut self, now: Millis) -> Option<Millis> {
        // A clock that was set back must not keep anybody waiting.
        let longest = self.pause.max(SOON);
        let comes = self.ordered_for.is_some_and(|at| now < at.plus(LOST_AFTER) && at <= now.plus(longest));
        if self.waiting == 0 || comes {
            return None;
        }
        let pause = self.last_round.plus(self.pause).minus(now).min(longest).max(SOON);
        self.ordered_for = Some(now.plus(pause));
        Some(pause)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    fn after(ms: u64) -> Millis {
        NOW.plus(Millis(ms))
    }

    fn waiters(waiting: usize) -> Waiters {
        let mut waiters = Waiters::new(2_000);
        for _ in 0..waiting {
            assert!(waiters.enter(Line::Current));
        }
        waiters
    }

    #[test]
    fn no_more_wait_than_may_and_whoever_leaves_makes_room() {
        let mut waiters = Waiters::new(2);
        let lines = [Line::Current, Line::Behind, Line::Current, Line::Behind];
        assert_eq!(lines.map(|line| waiters.enter(line)), [true, true, false, false]);
        waiters.leave(Line::Behind, false);
        assert_eq!(lines.map(|line| waiters.enter(line)), [true, false, false, false]);
        waiters.begin_round(Line::Current, NOW);
        assert!(!waiters.enter(Line::Current), "who is being answered still has a place");
        waiters.leave(Line::Current, true);
        assert_eq!(lines.map(|line| waiters.enter(line)), [true, false, false, false]);
        assert!(!Waiters::new(0).enter(Line::Current));
    }

    #[test]
    fn a_change_is_told_in_a_later_turn_and_to_nobody_where_nobody_waits() {
        assert_eq!(waiters(0).order(Line::Current, NOW), None);
        assert_eq!(waiters(1).order(Line::Current, NOW), Some(Millis(5)));
    }

    #[test]
    fn whoever_comes_with_old_knowledge_does_not_disturb_the_others() {
        let mut waiters = waiters(1_000);
        assert!(waiters.enter(Line::Behind));
        assert_eq!(waiters.order(Line::Behind, NOW), Some(Millis(5)));
        waiters.begin_round(Line::Behind, after(5));
        waiters.leave(Line::Behind, true);
        assert_eq!(waiters.order(Line::Behind, after(6)), None);
        assert!(waiters.enter(Line::Behind));
        assert_eq!(waiters.order(Line::Behind, after(10)), Some(Millis(95)), "the next ones share an answer");
        assert_eq!(waiters.order(Line::Current, after(10)), Some(Millis(5)));
    }

    #[test]
    fn changes_that_follow_each_other_share_a_round() {
        let mut waiters = waiters(4);
        assert_eq!(waiters.order(Line::Current, NOW), Some(Millis(5)));
        assert_eq!(
            [waiters.order(Line::Current, after(1)), waiters.order(Line::Current, after(5))],
            [None, None],
            "the ordered round tells of them too"
        );
        waiters.begin_round(Line::Current, after(5));
        assert_eq!(waiters.order(Line::Current, after(5)), None, "who is being answered does not wait for another round");
        assert!(waiters.enter(Line::Current));
        assert_eq!(waiters.order(Line::Current, after(6)), Some(Millis(99)));
        assert_eq!(waiters.order(Line::Current, after(50)), None);
        waiters.begin_round(Line::Current, after(105));
        assert!(waiters.enter(Line::Current));
        assert_eq!(waiters.order(Line::Current, after(1_000)), Some(Millis(5)), "after a quiet moment it is told at once");
    }

    #[test]
    fn the_more_wait_the_rarer_are_the_rounds() {
        let mut waiters = waiters(1_500);
        assert_eq!(waiters.order(Line::Current, NOW), Some(Millis(5)));
        waiters.begin_round(Line::Current, after(5));
        assert!(waiters.enter(Line::Current));
        assert_eq!(waiters.order(Line::Current, after(10)), Some(Millis(1_495)));
    }

    #[test]
    fn a_round_whose_timer_was_lost_is_ordered_again() {
        let mut waiters = waiters(1);
        assert_eq!(waiters.order(Line::Current, NOW), Some(Millis(5)));
        assert_eq!(waiters.order(Line::Current, after(1_004)), None);
        assert_eq!(waiters.order(Line::Current, after(1_005)), Some(Millis(5)));
    }

    #[test]
    fn a_clock_set_back_delays_no_round() {
        let mut waiters = waiters(1);
        assert!(waiters.order(Line::Current, after(3_600_000)).is_some());
        assert!(waiters.order(Line::Current, NOW).is_some(), "the timer that was set then may be lost");
        waiters.begin_round(Line::Current, after(3_600_000));
        assert!(waiters.enter(Line::Current));
        assert!(waiters.order(Line::Current, NOW).unwrap() <= LEAST_PAUSE);
    }
}
