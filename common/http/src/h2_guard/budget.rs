//! What a client may do besides asking for things, per connection: so many frames of each kind in a window of time.
//!
//! The kinds are those of the known floods. None of them is an error in itself; what makes them one is that the work they cause is not paid for
//! by requests. So real work earns more of them: see [`super::Guard`].

use std::time::Duration;

use crate::limit::gcra::{Rate, Verdict};

/// What was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// RST_STREAM (rapid reset, CVE-2023-44487).
    Resets,
    /// Streams that the server had to reset because of what the client sent (MadeYouReset, CVE-2025-8671).
    ProvokedResets,
    /// SETTINGS and their acknowledgements (CVE-2019-9515).
    Settings,
    /// PING (CVE-2019-9512).
    Pings,
    /// PRIORITY and PRIORITY_UPDATE (CVE-2019-9513).
    Priorities,
    /// DATA without data (CVE-2019-9518).
    EmptyData,
    /// DATA with a few bytes each.
    TinyData,
    /// WINDOW_UPDATE.
    WindowUpdates,
    /// CONTINUATION frames of one header block (CVE-2024-27316).
    Continuations,
    /// Bytes of one header block.
    HeaderBlock,
    /// Frames of types that do not exist, and GOAWAY again and again.
    UnknownFrames,
}

impl Flood {
    /// All of them, in the order of their numbers.
    pub const ALL: [Flood; 11] = [
        Flood::Resets,
        Flood::ProvokedResets,
        Flood::Settings,
        Flood::Pings,
        Flood::Priorities,
        Flood::EmptyData,
        Flood::TinyData,
        Flood::WindowUpdates,
        Flood::Continuations,
        Flood::HeaderBlock,
        Flood::UnknownFrames,
    ];

    /// One word for logs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Flood::Resets => "resets",
            Flood::ProvokedResets => "provoked-resets",
            Flood::Settings => "settings",
            Flood::Pings => "pings",
            Flood::Priorities => "priorities",
            Flood::EmptyData => "empty-data",
            Flood::TinyData => "tiny-data",
            Flood::WindowUpdates => "window-updates",
            Flood::Continuations => "continuations",
            Flood::HeaderBlock => "header-block",
            Flood::UnknownFrames => "unknown-frames",
        }
    }
}

impl std::fmt::Display for Flood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HTTP/2 flood: {}", self.label())
    }
}

impl std::error::Error for Flood {}

/// How much is too much; `None`: no limit. Frames in `window`, which may also come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// The window of time.
    pub window: Duration,
    /// See [`Flood::Resets`].
    pub resets: Option<u32>,
    /// See [`Flood::ProvokedResets`].
    pub provoked_resets: Option<u32>,
    /// See [`Flood::Settings`].
    pub settings: Option<u32>,
    /// See [`Flood::Pings`].
    pub pings: Option<u32>,
    /// See [`Flood::Priorities`].
    pub priorities: Option<u32>,
    /// See [`Flood::EmptyData`].
    pub empty_data: Option<u32>,
    /// See [`Flood::TinyData`].
    pub tiny_data: Option<u32>,
    /// See [`Flood::WindowUpdates`].
    pub window_updates: Option<u32>,
    /// See [`Flood::UnknownFrames`].
    pub unknown_frames: Option<u32>,
    /// Per header block, whatever the window.
    pub continuations: Option<u32>,
    /// Bytes per header block, whatever the window.
    pub header_block: Option<u32>,
}

/// [`Counts`] in the form in which they are asked; shared by all connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budgets {
    rates: [Option<Rate>; 9],
    pub(super) continuations: u32,
    pub(super) header_block: u32,
}

impl Budgets {
    /// Budgets of these sizes.
    #[must_use]
    pub fn new(counts: &Counts) -> Self {
        let rate = |count: Option<u32>| count.map(|count| Rate::new(count.into(), counts.window, count.into()));
        Budgets {
            rates: [
                rate(counts.resets),
                rate(counts.provoked_resets),
                rate(counts.settings),
                rate(counts.pings),
                rate(counts.priorities),
                rate(counts.empty_data),
                rate(counts.tiny_data),
                rate(counts.window_updates),
                rate(counts.unknown_frames),
            ],
            continuations: counts.continuations.unwrap_or(u32::MAX),
            header_block: counts.header_block.unwrap_or(u32::MAX),
        }
    }
}

/// How far one connection has used each of its budgets.
#[derive(Debug, Clone, Default)]
pub(super) struct Account([u64; 9]);

/// The place of a kind among the budgets; `None` for those that are counted per header block.
fn place(flood: Flood) -> Option<usize> {
    Some(match flood {
        Flood::Resets => 0,
        Flood::ProvokedResets => 1,
        Flood::Settings => 2,
        Flood::Pings => 3,
        Flood::Priorities => 4,
        Flood::EmptyData => 5,
        Flood::TinyData => 6,
        Flood::WindowUpdates => 7,
        Flood::UnknownFrames => 8,
        Flood::Continuations | Flood::HeaderBlock => return None,
    })
}

impl Account {
    /// One more of that kind at that time (nanoseconds).
    pub(super) fn spend(&mut self, budgets: &Budgets, flood: Flood, now: u64) -> Result<(), Flood> {
        let Some((schedule, rate)) = self.entry(budgets, flood) else { return Ok(()) };
        match rate.judge(*schedule, now) {
            Verdict::Within(next, _) => {
                *schedule = next;
                Ok(())
            }
            Verdict::Beyond(..) => Err(flood),
        }
    }

    /// So many of that kind have been earned.
    pub(super) fn earn(&mut self, budgets: &Budgets, flood: Flood, count: u32) {
        if let Some((schedule, rate)) = self.entry(budgets, flood) {
            *schedule = rate.give_back_many(*schedule, count.into());
        }
    }

    fn entry<'a>(&'a mut self, budgets: &'a Budgets, flood: Flood) -> Option<(&'a mut u64, &'a Rate)> {
        let place = place(flood)?;
        Some((self.0.get_mut(place)?, budgets.rates.get(place)?.as_ref()?))
    }
}
