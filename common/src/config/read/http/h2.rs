//! `[http-filter.h2]`

use crate::config::checked::H2Limits;
use crate::config::tree::Section;

pub(super) fn h2_limits(section: &Section<'_>) -> H2Limits {
    let count = |name| Some(section.count32(name)).filter(|count| *count != 0);
    H2Limits {
        window: section.duration("window"),
        resets: count("resets"),
        provoked_resets: count("provoked_resets"),
        settings: count("settings"),
        pings: count("pings"),
        priorities: count("priorities"),
        empty_data: count("empty_data"),
        tiny_data: count("tiny_data"),
        window_updates: count("window_updates"),
        unknown_frames: count("unknown_frames"),
        continuations: count("continuations"),
    }
}
