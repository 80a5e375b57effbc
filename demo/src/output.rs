//! What Bulkhead prints: written to `bulkhead.log`, its last lines remembered, shown when somebody watches.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How many lines are remembered, to be shown when something went wrong.
const REMEMBERED: usize = 60;
/// A longer line is cut here, in bytes.
const MAX_LINE: usize = 16 * 1024;

/// Where lines go; cheap to clone.
#[derive(Debug, Clone)]
pub struct Output(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    log: File,
    last: VecDeque<String>,
    shown: bool,
}

impl Output {
    /// Writes to this file from its beginning.
    ///
    /// # Errors
    /// What the system says.
    pub fn to(log: &Path) -> Result<Self> {
        let inner = Inner { log: File::create(log)?, last: VecDeque::new(), shown: false };
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// From now on every line is also printed.
    pub fn show(&self) {
        self.inner().shown = true;
    }

    /// The last lines, oldest first.
    #[must_use]
    pub fn last(&self) -> Vec<String> {
        self.inner().last.iter().cloned().collect()
    }

    fn take(&self, line: &str) {
        let mut inner = self.inner();
        // A full disk must not end the demo.
        let _ = writeln!(inner.log, "{line}");
        if inner.shown {
            crate::lines::say(line);
        }
        if inner.last.len() == REMEMBERED {
            inner.last.pop_front();
        }
        inner.last.push_back(line.to_owned());
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads lines until the end of `source`, calling `each` with every one.
    pub async fn follow(self, mut source: impl AsyncRead + Unpin, mut each: impl FnMut(&str)) {
        let mut lines = Lines::default();
        let mut buffer = [0; 4096];
        loop {
            let read = source.read(&mut buffer).await.unwrap_or(0);
            let complete = match buffer.get(..read) {
                Some(bytes) if read > 0 => lines.add(bytes),
                _ => lines.finish().into_iter().collect(),
            };
            for line in complete {
                self.take(&line);
                each(&line);
            }
            if read == 0 {
                return;
            }
        }
    }
}

/// Cuts a stream of bytes into lines. Pure.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// The lines that are complete now.
    fn add(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for byte in bytes {
            if *byte == b'\n' || self.partial.len() >= MAX_LINE {
                complete.extend(self.finish());
            }
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
        }
        complete
    }

    /// What is left at the end.
    fn finish(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.partial);
        (!line.is_empty()).then(|| String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_any_cut() {
        let text = b"ready\nsecond line\r\n\nlast";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut found: Vec<_> = text.chunks(size).flat_map(|chunk| lines.add(chunk)).collect();
            found.extend(lines.finish());
            assert_eq!(found, ["ready", "second line", "last"]);
        }
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut lines = Lines::default();
        let found = lines.add(&vec![b'x'; MAX_LINE * 2 + 1]);
        assert_eq!(found.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE, MAX_LINE]);
    }
}
