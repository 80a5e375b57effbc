//! Inspection threads: large bodies cost milliseconds, and everybody else's requests would wait for them. A job takes its transaction along and
//! brings it back; what is waiting is bounded, and whoever no longer waits for an answer is not worked for.
//!
//! A thread does nothing but evaluate rules: it owns no socket, no descriptor and nothing of the serving thread's.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Work that is done where nobody waits for the serving thread; it is told the number of its thread, from 0.
pub type Work<T> = Box<dyn FnOnce(usize) -> T + Send>;

/// Threads and what waits for them. They end when this is dropped.
#[derive(Debug)]
pub struct Threads<T> {
    queue: Arc<Queue<T>>,
    count: usize,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    ready: Condvar,
    most: usize,
}

struct Waiting<T> {
    jobs: VecDeque<(Work<T>, oneshot::Sender<T>)>,
    closed: bool,
}

impl<T> std::fmt::Debug for Waiting<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("jobs", &self.jobs.len()).field("closed", &self.closed).finish()
    }
}

impl<T: Send + 'static> Threads<T> {
    /// So many threads; `most` jobs may wait.
    ///
    /// # Errors
    /// The system starts no thread, such as in a sandbox that allows none.
    pub fn start(count: usize, most: usize) -> io::Result<Self> {
        let waiting = Mutex::new(Waiting { jobs: VecDeque::new(), closed: false });
        let threads = Self { queue: Arc::new(Queue { waiting, ready: Condvar::new(), most }), count };
        for number in 0..count {
            let queue = Arc::clone(&threads.queue);
            let builder = std::thread::Builder::new().name(format!("inspection-{number}"));
            builder.spawn(move || queue.work(number))?;
        }
        Ok(threads)
    }

    /// Whether it is made as these numbers say.
    pub fn is(&self, count: usize, most: usize) -> bool {
        (self.count, self.queue.most) == (count, most)
    }

    /// Whether one more may wait. Who alone hands work over can rely on it.
    pub fn has_room(&self) -> bool {
        let mut waiting = self.queue.lock();
        // Those that nobody waits for take no place.
        if waiting.jobs.len() >= self.queue.most {
            waiting.jobs.retain(|(_, reply)| !reply.is_closed());
        }
        waiting.jobs.len() < self.queue.most
    }

    /// Has a thread do this. What is returned yields nothing if the work panicked. `None`: too much is waiting, and it will not be done.
    pub fn hand(&self, work: Work<T>) -> Option<oneshot::Receiver<T>> {
        if !self.has_room() {
            return None;
        }
        let mut waiting = self.queue.lock();
        let (reply, answer) = oneshot::channel();
        waiting.jobs.push_back((work, reply));
        drop(waiting);
        self.queue.ready.notify_one();
        Some(answer)
    }
}

impl<T> Drop for Threads<T> {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.ready.notify_all();
    }
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        // No code that could panic runs under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<(Work<T>, oneshot::Sender<T>)> {
        let mut waiting = self.lock();
        loop {
            match waiting.jobs.pop_front() {
                Some((_, reply)) if reply.is_closed() => {}
                Some(job) => return Some(job),
                None if waiting.closed => return None,
                None => waiting = self.ready.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn work(&self, number: usize) {
        while let Some((work, reply)) = self.next() {
            // What a panic leaves half done was the job's own, and goes with it.
            if let Ok(done) = catch_unwind(AssertUnwindSafe(|| work(number))) {
                let _ = reply.send(done);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn work_is_done_elsewhere_and_the_queue_is_bounded() {
        let threads = Threads::<u32>::start(1, 2).unwrap();
        assert!(threads.is(1, 2) && !threads.is(2, 2));
        let (go, wait) = channel::<()>();
        let (began, begins) = channel::<()>();
        let busy = threads.hand(Box::new(move |_| {
            began.send(()).unwrap();
            wait.recv().unwrap();
            1
        }));
        begins.recv().unwrap();
        let mut second = threads.hand(Box::new(|_| 2)).unwrap();
        let third = threads.hand(Box::new(|_| 3)).unwrap();
        assert!(threads.hand(Box::new(|_| 4)).is_none(), "two wait already");
        drop(third);
        let fourth = threads.hand(Box::new(|_| 4)).unwrap();
        assert!(second.try_recv().is_err());
        go.send(()).unwrap();
        assert_eq!((busy.unwrap().blocking_recv(), second.blocking_recv()), (Ok(1), Ok(2)));
        assert_eq!(fourth.blocking_recv(), Ok(4), "it took the place of the one that left");
    }

    #[test]
    fn a_panic_costs_its_own_job_only() {
        let threads = Threads::<u32>::start(1, 8).unwrap();
        let failed = threads.hand(Box::new(|_| panic!("as a mistake may"))).unwrap();
        let next = threads.hand(Box::new(|_| 7)).unwrap();
        assert!(failed.blocking_recv().is_err());
        assert_eq!(next.blocking_recv(), Ok(7));
    }

    #[test]
    fn what_was_handed_over_is_still_done_after_the_end() {
        let threads = Threads::<u32>::start(1, 8).unwrap();
        let last = threads.hand(Box::new(|_| 9)).unwrap();
        drop(threads);
        assert_eq!(last.blocking_recv(), Ok(9));
    }
}
