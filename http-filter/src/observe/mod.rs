//! What makes a request findable and countable: [`request_id`], [`trace`] (W3C), [`context`] (both, for one request),
//! [`labelled`] (figures per route, server and rule), [`access_line`] (its line in the log), [`otlp`] (spans to a collector).
//! [`crate::journey`] collects, these decide and write.

pub mod access_line;
pub mod context;
pub mod labelled;
pub mod request_id;
pub mod settings;
pub mod trace;

#[cfg(feature = "otlp")]
pub mod otlp;

/// Writes the last hexadecimal digits of `number` over all of `digits`.
pub fn hex(digits: &mut [u8], number: u64) {
    let mut left = number;
    for place in digits.iter_mut().rev() {
        *place = match u8::try_from(left & 0xf) {
            Ok(digit @ 0..=9) => b'0' + digit,
            Ok(digit) => b'a' + digit - 10,
            Err(_) => b'0',
        };
        left >>= 4;
    }
}
