//! `[http-filter.h2]`: what an HTTP/2 client may do besides asking for things.

use std::time::Duration;

/// `[http-filter.h2]`: frames per connection in `window`, which may also come at once; `None`: not limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H2Limits {
    /// The window of time.
    pub window: Duration,
    /// RST_STREAM frames (rapid reset).
    pub resets: Option<u32>,
    /// Streams that had to be reset because of what the client sent (MadeYouReset), refused ones included.
    pub provoked_resets: Option<u32>,
    /// SETTINGS frames, acknowledgements included.
    pub settings: Option<u32>,
    /// PING frames.
    pub pings: Option<u32>,
    /// PRIORITY and PRIORITY_UPDATE frames.
    pub priorities: Option<u32>,
    /// DATA frames without data that do not end a stream.
    pub empty_data: Option<u32>,
    /// DATA frames with less than 16 bytes of data that do not end a stream.
    pub tiny_data: Option<u32>,
    /// WINDOW_UPDATE frames.
    pub window_updates: Option<u32>,
    /// Frames of types that do not exist, and GOAWAY.
    pub unknown_frames: Option<u32>,
    /// CONTINUATION frames of one header block, whatever the window.
    pub continuations: Option<u32>,
}
