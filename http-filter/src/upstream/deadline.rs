//! The deadline of a whole request, without a timer for each: a place in a list that the sweep looks through a few times a second.
//!
//! It holds from the moment a server is looked for until the last byte of the answer, every try in between included.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// All deadlines of a pool.
#[derive(Debug, Default)]
pub struct Deadlines {
    entries: RefCell<Vec<Entry>>,
    free: RefCell<Vec<usize>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Milliseconds of the coarse clock; 0: none.
    until: u64,
    over: bool,
    waker: Option<Waker>,
}

/// One request's. Gives its place back when dropped.
#[derive(Debug)]
pub struct Deadline {
    all: Rc<Deadlines>,
    place: usize,
}

impl Deadlines {
    /// Ends at `until`, in milliseconds of the coarse clock.
    pub fn begin(self: &Rc<Self>, until: u64) -> Deadline {
        let mut entries = self.entries.borrow_mut();
        let place = self.free.borrow_mut().pop().unwrap_or(entries.len());
        let entry = Entry { until: until.max(1), ..Entry::default() };
        match entries.get_mut(place) {
            Some(free) => *free = entry,
            None => entries.push(entry),
        }
        Deadline { all: Rc::clone(self), place }
    }

    /// Wakes those whose time is up.
    pub fn sweep(&self, now: u64) {
        let mut woken = Vec::new();
        for entry in self.entries.borrow_mut().iter_mut() {
            if entry.until != 0 && now >= entry.until && !entry.over {
                entry.over = true;
                woken.extend(entry.waker.take());
            }
        }
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Deadline {
    /// Whether the time is up; if not, the task is woken when it is.
    pub fn is_over(&self, cx: &Context<'_>) -> bool {
        let mut entries = self.all.entries.borrow_mut();
        let Some(entry) = entries.get_mut(self.place) else { return false };
        if !entry.over && !entry.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        entry.over
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(entry) = self.all.entries.borrow_mut().get_mut(self.place) {
            *entry = Entry::default();
        }
        self.all.free.borrow_mut().push(self.place);
    }
}

/// The future's result, or `None` when the time was up first. (The future stays where it is pinned: taken by value it would lie in
/// this one twice, and the futures of requests are moved about.)
pub async fn within<T>(deadline: Option<&Deadline>, mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if deadline.is_some_and(|deadline| deadline.is_over(cx)) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[test]
    fn those_whose_time_is_up_are_woken_and_places_are_used_again() {
        let all = Rc::new(Deadlines::default());
        let (early, late) = (all.begin(100), all.begin(200));
        let mut cx = Context::from_waker(Waker::noop());
        let (never, nor_this) = (pin!(std::future::pending::<()>()), pin!(std::future::pending::<()>()));
        let mut waits = pin!(within(Some(&early), never));
        let mut other = pin!(within(Some(&late), nor_this));
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        all.sweep(99);
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        all.sweep(100);
        assert_eq!(waits.as_mut().poll(&mut cx), Poll::Ready(None));
        assert!(other.as_mut().poll(&mut cx).is_pending());
        let ready = pin!(std::future::ready(7));
        let mut done = pin!(within(Some(&early), ready));
        assert_eq!(done.as_mut().poll(&mut cx), Poll::Ready(Some(7)), "what is there counts, even late");
        for _ in 0..100 {
            drop(all.begin(1));
        }
        assert_eq!(all.entries.borrow().len(), 3);
    }
}
