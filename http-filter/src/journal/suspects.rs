//! The table of requests that were being answered when a process died. Pure but for the words it stands in, which all instances
//! share and any of them may change at any time: two that write one row at once make a wrong line of it, never more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};

use common::journal::{HEAD, ROW, SHARED};

use super::fingerprint::TEXT;

/// Milliseconds after which the last death of a request is forgotten.
pub const FADES: u64 = 10 * 60 * 1000;

/// Words of a row: fingerprint (0: free), deaths, time of the last one in milliseconds, description.
struct Row<'a> {
    fingerprint: &'a AtomicU64,
    deaths: &'a AtomicU64,
    last: &'a AtomicU64,
    text: &'a [AtomicU64],
}

impl Row<'_> {
    fn is(&self, fingerprint: u64) -> bool {
        self.fingerprint.load(Relaxed) == fingerprint
    }

    /// It accuses nobody any more.
    fn is_free(&self, now: u64) -> bool {
        self.is(0) || now.saturating_sub(self.last.load(Relaxed)) >= FADES
    }
}

fn rows(words: &[AtomicU64]) -> impl Iterator<Item = Row<'_>> {
    let table = words.get(HEAD..SHARED).unwrap_or_default();
    table.as_chunks::<ROW>().0.iter().map(|[fingerprint, deaths, last, text @ ..]| Row {
        fingerprint,
        deaths,
        last,
        text,
    })
}

/// Everybody under suspicion, with the number of deaths.
pub fn read(words: &[AtomicU64], now: u64) -> Vec<(u64, u64)> {
    let living = rows(words).filter(|row| !row.is_free(now));
    living.map(|row| (row.fingerprint.load(Relaxed), row.deaths.load(Relaxed))).collect()
}

/// Whether it is under suspicion.
pub fn knows(words: &[AtomicU64], fingerprint: u64, now: u64) -> bool {
    rows(words).any(|row| row.is(fingerprint) && !row.is_free(now))
}

/// It was being answered at one more death; the number of its deaths. 0: the table is full of others of whom as much is known.
pub fn accuse(words: &[AtomicU64], fingerprint: u64, text: &[u8; TEXT], now: u64) -> u64 {
    if let Some(row) = rows(words).find(|row| row.is(fingerprint) && !row.is_free(now)) {
        row.last.store(now, Relaxed);
        return row.deaths.fetch_add(1, Relaxed).saturating_add(1);
    }
    let weakest = || {
        let once = rows(words).filter(|row| row.deaths.load(Relaxed) <= 1 && row.last.load(Relaxed) < now);
        once.min_by_key(|row| row.last.load(Relaxed))
    };
    let Some(row) = rows(words).find(|row| row.is_free(now)).or_else(weakest) else { return 0 };
    row.fingerprint.store(0, Relaxed);
    row.deaths.store(1, Relaxed);
    row.last.store(now, Relaxed);
    write_text(row.text, text);
    row.fingerprint.store(fingerprint, Release);
    1
}

/// It is innocent; whether it was under suspicion.
pub fn clear(words: &[AtomicU64], fingerprint: u64) -> bool {
    let found: Vec<Row<'_>> = rows(words).filter(|row| row.is(fingerprint)).collect();
    found.iter().for_each(|row| row.fingerprint.store(0, Relaxed));
    !found.is_empty()
}

/// Nobody is under suspicion any more.
pub fn clear_all(words: &[AtomicU64]) {
    rows(words).for_each(|row| row.fingerprint.store(0, Relaxed));
}

/// Bytes into words.
pub fn write_text(words: &[AtomicU64], text: &[u8; TEXT]) {
    for (word, bytes) in words.iter().zip(text.as_chunks::<8>().0) {
        word.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
}

/// Words into bytes.
pub fn read_text(words: &[AtomicU64]) -> [u8; TEXT] {
    let mut text = [0; TEXT];
    for (bytes, word) in text.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.load(Relaxed).to_ne_bytes();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use common::journal::SUSPECTS;

    const NAME: [u8; TEXT] = [b'x'; TEXT];

    fn table() -> Vec<AtomicU64> {
        (0..SHARED).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn deaths_are_counted_per_request_and_fade() {
        let words = table();
        assert_eq!((accuse(&words, 5, &NAME, 1000), accuse(&words, 6, &NAME, 1000)), (1, 1));
        assert_eq!(accuse(&words, 5, &NAME, 2000), 2);
        assert_eq!(read(&words, 2000), [(5, 2), (6, 1)]);
        assert_eq!(read(&words, 1000 + FADES), [(5, 2)], "6 has faded");
        assert!(knows(&words, 5, 2000) && !knows(&words, 7, 2000));
        assert_eq!(accuse(&words, 5, &NAME, 2000 + FADES), 1, "a death of long ago does not count");
        assert_eq!(read(&words, 2000 + FADES), [(5, 1)]);
    }

    #[test]
    fn innocence_is_final_until_the_next_death() {
        let words = table();
        accuse(&words, 5, &NAME, 1);
        assert!(clear(&words, 5) && !clear(&words, 5));
        assert!(read(&words, 2).is_empty());
        assert_eq!(accuse(&words, 5, &NAME, 2), 1);
        accuse(&words, 6, &NAME, 2);
        clear_all(&words);
        assert!(read(&words, 2).is_empty());
    }

    #[test]
    fn a_full_table_keeps_those_of_whom_more_is_known() {
        let words = table();
        let most = u64::try_from(SUSPECTS).unwrap();
        for fingerprint in 1..=most {
            assert_eq!(accuse(&words, fingerprint, &NAME, 10), 1);
        }
        assert_eq!(accuse(&words, 1000, &NAME, 10), 0, "those of the same death have come first");
        (2..=most).for_each(|fingerprint| assert_eq!(accuse(&words, fingerprint, &NAME, 20), 2));
        assert_eq!(accuse(&words, 1000, &NAME, 20), 1);
        assert!(!knows(&words, 1, 20), "it made room");
        assert_eq!(accuse(&words, 1001, &NAME, 20), 0);
        assert_eq!(read(&words, 20).len(), SUSPECTS);
    }

    #[test]
    fn whatever_stands_in_it_does_no_harm() {
        for words in [Vec::new(), (1..SHARED).map(|_| AtomicU64::new(9)).collect::<Vec<_>>()] {
            assert_eq!((accuse(&words, 1, &NAME, 1), read(&words, 1)), (0, Vec::new()));
        }
        let words: Vec<AtomicU64> = (0..SHARED).map(|_| AtomicU64::new(u64::MAX)).collect();
        accuse(&words, u64::MAX, &NAME, u64::MAX);
        accuse(&words, 3, &NAME, 0);
        read(&words, 0);
        clear_all(&words);
        assert_eq!(accuse(&words, 3, &NAME, 7), 1);
    }
}
