//! The part of a client's body that was read in order to be looked at, and is given on afterwards: what it holds, and how much all of them hold.
//!
//! Pieces of a body are slices of read buffers that are larger than they. A client that sends byte after byte would keep a buffer for each, so
//! what is more than one piece is copied together: a body that is held takes its own size and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use http::HeaderMap;

/// How many bytes of bodies are held in the process, and how many may be. Clones share the count.
#[derive(Clone, Debug)]
pub struct Holding {
    now: Arc<AtomicU64>,
    most: u64,
}

impl Holding {
    /// At most so many bytes.
    pub fn new(most: u64) -> Self {
        Self { now: Arc::default(), most }
    }

    /// The same count under another limit.
    #[must_use]
    pub fn with_limit(&self, most: u64) -> Self {
        Self { now: Arc::clone(&self.now), most }
    }

    /// Bytes that are held now.
    pub fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    /// Nothing yet.
    pub fn share(&self) -> Share {
        Share { of: self.clone(), bytes: 0 }
    }
}

/// What one body holds; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    of: Holding,
    bytes: u64,
}

impl Share {
    /// So much more; `false` and nothing taken if there is no room for it.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        // Only one thread takes; others give back.
        let fits = self.of.now().checked_add(bytes).is_some_and(|sum| sum <= self.of.most);
        if fits {
            self.of.now.fetch_add(bytes, Relaxed);
            self.bytes += bytes;
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.now.fetch_sub(self.bytes, Relaxed);
    }
}

/// Bytes that count as held until nobody has them any more: neither an inspection thread nor the way to the backend.
struct Counted<T> {
    bytes: T,
    _share: Share,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Counted<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// Gathers the pieces of a body.
#[derive(Debug)]
pub struct Gathered {
    /// The only piece so far.
    first: Bytes,
    all: Vec<u8>,
    share: Share,
}

impl Gathered {
    /// Nothing yet. `expected` bytes are said to come.
    pub fn new(holding: &Holding, expected: usize) -> Self {
        Self { first: Bytes::new(), all: Vec::with_capacity(expected), share: holding.share() }
    }

    /// No byte so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    /// Adds a piece. `false`: there is no room for more bodies; the piece was added all the same, and is to be the last.
    pub fn add(&mut self, piece: Bytes, last: bool) -> bool {
        let fits = self.share.grow(piece.len());
        if self.is_empty() && last {
            self.first = piece;
        } else {
            self.all.extend_from_slice(&piece);
        }
        fits
    }

    /// All of it as one.
    pub fn finish(self) -> Bytes {
        let Self { first, all, share: _share } = self;
        match (first.is_empty(), all.is_empty()) {
            (true, true) => Bytes::new(),
            (true, false) => Bytes::from_owner(Counted { bytes: all, _share }),
            _ => Bytes::from_owner(Counted { bytes: first, _share }),
        }
    }
}

/// What was read of a body and not given on yet.
#[derive(Debug, Default)]
pub struct Held {
    /// What comes first.
    pub data: Bytes,
    /// What comes behind it.
    pub trailers: Option<HeaderMap>,
    /// All of the body was read.
    pub whole: bool,
    /// Its length was known before: it goes on under it.
    pub announced: bool,
}

impl Held {
    /// Nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    /// The length of the body from here on, given that of what was not read; `None`: it goes on in chunks.
    pub fn length(&self, rest: Option<u64>) -> Option<u64> {
        let own = u64::try_from(self.data.len()).ok()?;
        match self.whole {
            // Trailers need chunks.
            true => (self.announced || self.trailers.is_none()).then_some(own),
            false => rest?.checked_add(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_until_the_last_has_let_go() {
        let holding = Holding::new(10);
        let mut one = Gathered::new(&holding, 0);
        assert!(one.add(Bytes::from_static(b"abc"), false) && one.add(Bytes::from_static(b"de"), true));
        assert_eq!((one.len(), holding.now()), (5, 5));
        let mut other = Gathered::new(&holding.with_limit(9), 0);
        assert!(!other.add(Bytes::from_static(b"12345"), true), "no room, but not lost");
        assert_eq!((other.finish(), holding.now()), (Bytes::from_static(b"12345"), 5));
        let (bytes, more) = (one.finish(), holding.share());
        let again = bytes.clone();
        drop((bytes, more));
        assert_eq!((&*again, holding.now()), (&b"abcde"[..], 5));
        drop(again);
        assert_eq!(holding.now(), 0);
        let mut single = Gathered::new(&holding, 0);
        let piece = Bytes::from(vec![b'x'; 4]);
        assert!(single.add(piece.clone(), true));
        let single = single.finish();
        assert!(std::ptr::eq(single.as_ptr(), piece.as_ptr()), "one piece is not copied");
        assert_eq!(holding.now(), 4);
    }

    #[test]
    fn lengths() {
        let held = |trailers, whole, announced| Held { data: Bytes::from_static(b"abc"), trailers, whole, announced };
        assert_eq!(held(None, true, false).length(None), Some(3), "chunks become a length");
        assert_eq!(held(Some(HeaderMap::new()), true, false).length(None), None, "but for trailers");
        assert_eq!(held(Some(HeaderMap::new()), true, true).length(Some(0)), Some(3));
        assert_eq!(held(None, false, true).length(Some(4)), Some(7));
        assert_eq!(held(None, false, false).length(None), None);
    }
}
