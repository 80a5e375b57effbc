//! Where a thread keeps what rules need while they run, and only then: the plan's memory and the caches of patterns.
//!
//! Phases run one at a time on a thread, however many transactions are under way on it. So this memory, which is large, belongs to the thread and not to
//! the transactions, and what one has warmed is warm for all. A program without further threads pays for it once.

use std::cell::RefCell;

use crate::operator::caches::Caches;
use crate::plan::state::State;

/// Rule sets whose memory a thread keeps: the one in use, the one before a reload, one that runs beside for trial.
const STATES: usize = 3;

/// What a phase borrows.
#[derive(Debug, Default)]
pub(crate) struct Workshop {
    pub(crate) state: State,
    pub(crate) caches: Caches,
}

#[derive(Default)]
struct Kept {
    /// With the stamps of their rule sets, the one used last in front.
    states: Vec<(u64, State)>,
    caches: Caches,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// Borrows this thread's workshop for rules with this stamp.
pub(crate) fn borrow(stamp: u64) -> Workshop {
    KEPT.try_with(|kept| {
        let mut kept = kept.try_borrow_mut().ok()?;
        let at = kept.states.iter().position(|(own, _)| *own == stamp);
        let state = at.map(|at| kept.states.remove(at).1).unwrap_or_default();
        Some(Workshop { state, caches: std::mem::take(&mut kept.caches) })
    })
    .ok()
    .flatten()
    .unwrap_or_default()
}

/// Gives it back.
pub(crate) fn give_back(stamp: u64, workshop: Workshop) {
    let _ = KEPT.try_with(|kept| {
        if let Ok(mut kept) = kept.try_borrow_mut() {
            kept.states.insert(0, (stamp, workshop.state));
            kept.states.truncate(STATES);
            kept.caches = workshop.caches;
        }
    });
}
