//! Coarse time for many connections: one timer for all of them, ticking once a second while any is open. A connection that
//! moves bytes writes one number; nobody arms a timer per read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;

/// How coarse.
pub const TICK: Duration = Duration::from_secs(1);
/// Ticks that a client is given to notice that we have finished before its socket is closed under it.
const LINGER: u32 = 2;

/// Why a connection is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nothing moved for `idle_deadline`.
    Idle,
    /// We have said goodbye, and the client does not leave.
    LingeredEnough,
    /// The process stops.
    Stop,
}

/// The clock and everyone who listens to it.
#[derive(Debug)]
pub struct Clock {
    now: Cell<u32>,
    idle: Cell<u32>,
    members: RefCell<Vec<Rc<Beat>>>,
    joined: Notify,
}

#[derive(Debug)]
struct Beat {
    place: Cell<usize>,
    moved: Cell<u32>,
    leaves_at: Cell<Option<u32>>,
    watched: Cell<bool>,
    order: Cell<Option<Order>>,
    waker: RefCell<Option<Waker>>,
}

impl Clock {
    /// A clock that ends connections on which nothing moved for `idle`; at least one tick.
    pub fn new(idle: Duration) -> Rc<Self> {
        Rc::new(Self {
            now: Cell::new(0),
            idle: Cell::new(ticks(idle)),
            members: RefCell::default(),
            joined: Notify::new(),
        })
    }

    /// Another idle time from now on, for connections that are open too (reload).
    pub fn set_idle(&self, idle: Duration) {
        self.idle.set(ticks(idle));
    }

    /// Ticks as long as the process lives; sleeps while nobody is there.
    pub async fn run(self: Rc<Self>) {
        loop {
            if self.members.borrow().is_empty() {
                self.joined.notified().await;
            }
            tokio::time::sleep(TICK).await;
            self.tick();
        }
    }

    /// Tells everybody to end now.
    pub fn stop_all(&self) {
        for beat in self.members.borrow().iter() {
            beat.tell(Order::Stop);
        }
    }

    /// A new connection's pulse.
    pub fn join(self: &Rc<Self>) -> Pulse {
        let mut members = self.members.borrow_mut();
        let beat = Rc::new(Beat {
            place: Cell::new(members.len()),
            moved: Cell::new(self.now.get()),
            leaves_at: Cell::new(None),
            watched: Cell::new(false),
            order: Cell::new(None),
            waker: RefCell::new(None),
        });
        members.push(Rc::clone(&beat));
        self.joined.notify_one();
        Pulse { clock: Rc::clone(self), beat }
    }

    fn tick(&self) {
        let now = self.now.get().wrapping_add(1);
        self.now.set(now);
        for beat in self.members.borrow().iter() {
            if beat.leaves_at.get().is_some_and(|at| now.wrapping_sub(at) < u32::MAX / 2) {
                beat.tell(Order::LingeredEnough);
            } else if now.wrapping_sub(beat.moved.get()) > self.idle.get() {
                beat.tell(Order::Idle);
            } else if beat.watched.get() {
                beat.wake();
            }
        }
    }
}

fn ticks(idle: Duration) -> u32 {
    let ticks = idle.as_secs().max(1).min(u64::from(u32::MAX / 2));
    u32::try_from(ticks).unwrap_or(u32::MAX / 2)
}

impl Beat {
    fn tell(&self, order: Order) {
        self.order.set(Some(order));
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// One connection's membership.
#[derive(Debug)]
pub struct Pulse {
    clock: Rc<Clock>,
    beat: Rc<Beat>,
}

impl Pulse {
    /// Bytes have moved.
    pub fn beat(&self) {
        self.beat.moved.set(self.clock.now.get());
    }

    /// What the clock says, and who is woken when it says something later.
    pub fn order(&self, waker: &Waker) -> Option<Order> {
        let mut known = self.beat.waker.borrow_mut();
        match &*known {
            Some(old) if old.will_wake(waker) => {}
            _ => *known = Some(waker.clone()),
        }
        self.beat.order.get()
    }

    /// Be woken at every tick from now on, or no longer.
    pub fn watch(&self, on: bool) {
        self.beat.watched.set(on);
    }

    /// We are done; the client has a moment to leave by itself.
    pub fn linger(&self) {
        if self.beat.leaves_at.get().is_none() {
            self.beat.leaves_at.set(Some(self.clock.now.get().wrapping_add(LINGER)));
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let mut members = self.clock.members.borrow_mut();
        let place = self.beat.place.get();
        if place < members.len() {
            members.swap_remove(place);
            if let Some(moved) = members.get(place) {
                moved.place.set(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_silent_is_told_and_only_after_the_deadline() {
        let clock = Clock::new(Duration::from_secs(3));
        let (silent, busy) = (clock.join(), clock.join());
        let waker = Waker::noop();
        for _ in 0..3 {
            clock.tick();
            busy.beat();
        }
        assert_eq!(silent.order(waker), None);
        clock.tick();
        assert_eq!(silent.order(waker), Some(Order::Idle));
        assert_eq!(busy.order(waker), None);
    }

    #[test]
    fn who_lingers_is_told_after_a_moment() {
        let clock = Clock::new(Duration::from_secs(600));
        clock.now.set(u32::MAX - 1); // also over the end of the count
        let pulse = clock.join();
        pulse.linger();
        clock.tick();
        pulse.linger(); // does not prolong
        assert_eq!(pulse.order(Waker::noop()), None);
        clock.tick();
        assert_eq!(pulse.order(Waker::noop()), Some(Order::LingeredEnough));
    }

    #[test]
    fn members_leave_in_any_order() {
        let clock = Clock::new(Duration::from_secs(1));
        let (a, b, c) = (clock.join(), clock.join(), clock.join());
        drop(a);
        drop(c);
        assert_eq!(clock.members.borrow().len(), 1);
        clock.stop_all();
        assert_eq!(b.order(Waker::noop()), Some(Order::Stop));
        drop(b);
        assert!(clock.members.borrow().is_empty());
    }
}
