//! Simulated time: tasks that sleep, and nothing else that waits. One thread; the order of everything is decided by
//! time and then by the order in which it was asked for, so a run can be repeated.
//!
//! A task belongs to somebody: when an object's instance dies, its tasks are dropped wherever they are waiting, which is
//! how a crash between any two effects comes about.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BinaryHeap,
    pin::Pin,
    task::{Context, Poll, Waker},
};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Whose task it is. The world's own tasks (messages in flight, requests of clients) outlive every crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(pub usize);

impl Owner {
    /// The world itself.
    pub const WORLD: Self = Self(usize::MAX);
}

#[derive(Default)]
struct Slot {
    generation: u64,
    owner: Option<Owner>,
    task: Option<Task>,
}

/// When a task goes on: time, order, slot, the slot's generation.
type Timer = Reverse<(u64, u64, usize, u64)>;

/// The clock and everything that waits for it.
#[derive(Default)]
pub struct Executor {
    now: Cell<u64>,
    order: Cell<u64>,
    steps: Cell<u64>,
    timers: RefCell<BinaryHeap<Timer>>,
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
    /// What the running task asked for: to go on at this time.
    wanted: Cell<Option<u64>>,
    /// The slot that is running; its owner may die meanwhile.
    running: Cell<Option<usize>>,
}

impl Executor {
    /// True time, in milliseconds. Nobody in the simulation can read it; clocks are off by their skew.
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    /// Sets the time at which everything begins.
    pub fn begin_at(&self, now: u64) {
        self.now.set(now);
    }

    /// How many times a task went on.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Begins a task; it runs at the present time, after what is running.
    pub fn spawn(&self, owner: Owner, task: impl Future<Output = ()> + 'static) {
        let mut slots = self.slots.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(Slot::default());
            slots.len() - 1
        });
        if let Some(slot) = slots.get_mut(index) {
            slot.owner = Some(owner);
            slot.task = Some(Box::pin(task));
            self.wake_at(self.now(), index, slot.generation);
        }
    }

    /// Drops all tasks of `owner`, wherever they wait.
    pub fn end_tasks(&self, owner: Owner) {
        let mut dropped = Vec::new();
        for (index, slot) in self.slots.borrow_mut().iter_mut().enumerate() {
            if slot.owner == Some(owner) && self.running.get() != Some(index) {
                dropped.push(slot.task.take());
                slot.owner = None;
                slot.generation += 1;
                self.free.borrow_mut().push(index);
            } else if slot.owner == Some(owner) {
                slot.owner = None; // running: it ends at its next wait
            }
        }
    }

    /// Waits for `ms` milliseconds.
    pub fn sleep(&self, ms: u64) -> Sleep<'_> {
        Sleep { executor: self, until: None, ms }
    }

    /// Runs the next step that is due by `limit`; false where there is none. The time is then `limit`.
    pub fn step(&self, limit: u64) -> bool {
        loop {
            let next = self.timers.borrow().peek().map(|timer| timer.0);
            let Some((at, _, index, generation)) = next.filter(|(at, ..)| *at <= limit) else {
                self.now.set(self.now().max(limit));
                return false;
            };
            self.timers.borrow_mut().pop();
            let task = match self.slots.borrow_mut().get_mut(index) {
                Some(slot) if slot.generation == generation => slot.task.take(),
                _ => None,
            };
            let Some(task) = task else { continue };
            self.now.set(at);
            self.run(index, generation, task);
            return true;
        }
    }

    /// Whether anything waits at all.
    pub fn is_idle(&self) -> bool {
        self.slots.borrow().iter().all(|slot| slot.task.is_none())
    }

    /// Drops every task.
    pub fn end(&self) {
        let dropped: Vec<_> = self.slots.borrow_mut().iter_mut().filter_map(|slot| slot.task.take()).collect();
        drop(dropped);
    }

    fn run(&self, index: usize, generation: u64, mut task: Task) {
        self.steps.set(self.steps.get() + 1);
        self.running.set(Some(index));
        let done = task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        self.running.set(None);
        let wanted = self.wanted.take();
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(index) else { return };
        if done || slot.owner.is_none() {
            slot.owner = None;
            slot.generation += 1;
            self.free.borrow_mut().push(index);
            drop(slots);
            drop(task); // outside the borrow: what it holds may look at the executor
            return;
        }
        slot.task = Some(task);
        self.wake_at(wanted.unwrap_or(self.now()), index, generation);
    }

    fn wake_at(&self, at: u64, index: usize, generation: u64) {
        let order = self.order.get();
        self.order.set(order + 1);
        self.timers.borrow_mut().push(Reverse((at, order, index, generation)));
    }
}

/// A wait. The only thing that a task can wait for.
pub struct Sleep<'e> {
    executor: &'e Executor,
    until: Option<u64>,
    ms: u64,
}

impl Future for Sleep<'_> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.until {
            Some(until) if self.executor.now() >= until => Poll::Ready(()),
            Some(until) => {
                self.executor.wanted.set(Some(until));
                Poll::Pending
            }
            None => {
                let until = self.executor.now() + self.ms;
                self.until = Some(until);
                self.executor.wanted.set(Some(until));
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn tasks_go_on_in_the_order_of_time_and_a_dead_owners_not_at_all() {
        let executor = Rc::new(Executor::default());
        let seen = Rc::new(RefCell::new(Vec::new()));
        for (owner, ms) in [(1, 30), (2, 10), (1, 20)] {
            let (clock, seen) = (Rc::clone(&executor), Rc::clone(&seen));
            executor.spawn(Owner(owner), async move {
                clock.sleep(ms).await;
                seen.borrow_mut().push((owner, clock.now()));
                clock.sleep(5).await;
                seen.borrow_mut().push((owner, clock.now()));
            });
        }
        while executor.step(22) {}
        executor.end_tasks(Owner(1));
        while executor.step(100) {}
        assert_eq!(*seen.borrow(), [(2, 10), (2, 15), (1, 20)]);
        assert!(executor.is_idle() && executor.now() == 100);
    }
}
