//! What a world says: standard output and error of the launcher and of everything below it, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread;

/// All lines so far; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Copies a stream line by line until it ends.
    pub fn follow(&self, stream: impl Read + Send + 'static) {
        let lines = Arc::clone(&self.0);
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line).into_owned();
                lines.lock().expect("no panic inside").push(line);
            }
        });
    }

    /// A copy of what was said so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic inside").clone()
    }
}
