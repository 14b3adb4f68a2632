//! Requests that hang at the Feed object until there is something to tell. All that hang in one line wait for the same
//! promise; a timer resolves it in a turn of its own, and the first one to wake fetches what all of them are answered.
//! Who waits and when they are answered is `feed/waiters.rs`'s business.

use core::{
    cell::{OnceCell, RefCell},
    future::{Future as _, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};
use std::rc::Rc;

use js_sys::{Function, Promise};
use keyward_shared::messages::PUSH_HOLD;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;
use worker::{Delay, Result, console_error};

use super::object::now;
use crate::feed::waiters::{Line, Waiters};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(work: &Function, ms: f64);
}

/// The hanging requests of one object.
pub(super) struct Hanging {
    waiters: RefCell<Waiters>,
    /// What those wait for who know the last change; `None` where nobody has come since the last round.
    current: RefCell<Option<Rc<Round>>>,
    /// The same for those who do not.
    behind: RefCell<Option<Rc<Round>>>,
}

/// One answer to many.
struct Round {
    begins: Promise,
    begin: Function,
    /// What is told; `None` where it could not be found out.
    told: OnceCell<Option<Rc<str>>>,
}

/// A hanging request's place; given back when it is dropped.
pub(super) struct Place<'h> {
    hanging: &'h Hanging,
    line: Line,
    round: Rc<Round>,
}

/// How waiting ended.
pub(super) enum Ended {
    /// There is news.
    Told(Rc<str>),
    /// There should be news, but they could not be found out.
    Failed,
    /// Nothing happened for as long as a request may hang.
    InSilence,
}

impl Hanging {
    pub(super) fn new(waiters: Waiters) -> Self {
        Self { waiters: RefCell::new(waiters), current: RefCell::new(None), behind: RefCell::new(None) }
    }

    /// A place in `line`; `None` where there is no room. From here on no round is missed.
    pub(super) fn enter(&self, line: Line) -> Option<Place<'_>> {
        if !self.waiters.borrow_mut().enter(line) {
            return None;
        }
        let round = self.next(line).borrow_mut().get_or_insert_with(|| Rc::new(Round::new())).clone();
        Some(Place { hanging: self, line, round })
    }

    /// Has everybody answered who waits in `line`, in a later turn.
    pub(super) fn order_round(&self, line: Line) {
        let Some(pause) = self.waiters.borrow_mut().order(line, now()) else { return };
        if let Some(round) = &*self.next(line).borrow() {
            #[allow(clippy::cast_precision_loss)] // some seconds
            set_timeout(&round.begin, pause.0 as f64);
        }
    }

    fn next(&self, line: Line) -> &RefCell<Option<Rc<Round>>> {
        match line {
            Line::Current => &self.current,
            Line::Behind => &self.behind,
        }
    }
}

impl Place<'_> {
    /// Waits. `news` is called once for all who wait for the same round.
    pub(super) async fn wait(self, news: impl FnOnce() -> Result<String>) -> Ended {
        let mut begins = pin!(JsFuture::from(self.round.begins.clone()));
        let mut end = pin!(Delay::from(Duration::from_millis(PUSH_HOLD.0)));
        let begun = poll_fn(|context| match begins.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending => end.as_mut().poll(context).map(|()| false),
        });
        if !begun.await {
            return Ended::InSilence;
        }
        let told = self.round.told.get_or_init(|| {
            // Whoever comes from here on waits for the next round.
            self.hanging.next(self.line).take();
            self.hanging.waiters.borrow_mut().begin_round(self.line, now());
            news().map(Rc::from).inspect_err(|error| console_error!("feed: cannot tell what changed: {error}")).ok()
        });
        told.clone().map_or(Ended::Failed, Ended::Told)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.hanging.waiters.borrow_mut().leave(self.line, self.round.told.get().is_some());
    }
}

impl Round {
    fn new() -> Self {
        let mut begin = None;
        let begins = Promise::new(&mut |resolve, _| begin = Some(resolve));
        Self { begins, begin: begin.unwrap_or_default(), told: OnceCell::new() }
    }
}
