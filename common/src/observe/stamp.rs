//! The time of a log line: RFC 3339 in UTC with microseconds. Pure but for [`Stamp::now`].
//!
//! Date and time of the present second are kept as text, so a line costs one clock reading and six digits.

use std::time::{SystemTime, UNIX_EPOCH};

/// `2026-11-23T10:35:15`
const SECONDS: usize = 19;

/// The last second that was written, as text.
#[derive(Debug)]
pub struct Stamp {
    second: Option<u64>,
    text: [u8; SECONDS],
}

impl Default for Stamp {
    fn default() -> Self {
        Self { second: None, text: *b"1970-01-01T00:00:00" }
    }
}

impl Stamp {
    /// Appends the time it is now.
    pub fn now(&mut self, out: &mut Vec<u8>) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.write(since.as_secs(), since.subsec_micros(), out);
    }

    /// Appends `second` since 1970 and `micros` of it as `2026-11-23T10:35:15.000123Z`.
    pub fn write(&mut self, second: u64, micros: u32, out: &mut Vec<u8>) {
        if self.second != Some(second) {
            self.text = date_and_time(second);
            self.second = Some(second);
        }
        out.extend_from_slice(&self.text);
        let mut rest = *b".000000Z";
        digits(&mut rest, 1, 6, u64::from(micros));
        out.extend_from_slice(&rest);
    }
}

/// The civil date of a day count (Howard Hinnant's `civil_from_days`; valid far beyond the year 9999).
fn date_and_time(second: u64) -> [u8; SECONDS] {
    let (days, of_day) = (second / 86_400, second % 86_400);
    let shifted = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00";
    digits(&mut text, 0, 4, year);
    digits(&mut text, 5, 2, month);
    digits(&mut text, 8, 2, day);
    digits(&mut text, 11, 2, of_day / 3_600);
    digits(&mut text, 14, 2, of_day / 60 % 60);
    digits(&mut text, 17, 2, of_day % 60);
    text
}

/// Writes the last `width` decimal digits of `value`.
fn digits(text: &mut [u8], from: usize, width: usize, mut value: u64) {
    for place in text.iter_mut().skip(from).take(width).rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn show(second: u64, micros: u32) -> String {
        let mut out = Vec::new();
        Stamp::default().write(second, micros, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_moments() {
        for (second, micros, text) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000001Z"),
            (1_709_164_799, 999_999, "2024-02-28T23:59:59.999999Z"),
            (1_709_251_200, 0, "2024-03-01T00:00:00.000000Z"),
            (1_795_430_115, 123_000, "2026-11-23T10:35:15.123000Z"),
            (4_102_444_800, 0, "2100-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(show(second, micros), text);
        }
    }

    #[test]
    fn a_second_is_written_anew_when_it_changes() {
        let (mut stamp, mut out) = (Stamp::default(), Vec::new());
        for second in [59, 59, 60, 0] {
            stamp.write(second, 5, &mut out);
            out.push(b' ');
        }
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text.trim_end(),
            "1970-01-01T00:00:59.000005Z 1970-01-01T00:00:59.000005Z 1970-01-01T00:01:00.000005Z 1970-01-01T00:00:00.000005Z"
        );
    }
}
