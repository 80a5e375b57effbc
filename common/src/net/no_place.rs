//! What a client hears that has been accepted, and perhaps shaken hands with, but finds no place: a whole answer for one that speaks
//! HTTP/1.1 (RFC 9110 §15.6.4), the end of the connection for one that speaks HTTP/2 (RFC 9113 §6.8). Pure. Nothing of the client is
//! read for it, so it may come before the request; it says that nothing was done, so everything may be sent again.

/// GOAWAY's `ENHANCE_YOUR_CALM`: trying again at once would find no place either.
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// All places of this process are taken, or nobody serves.
pub const BUSY: &str = "This proxy cannot serve another connection just now; try again in a moment.";
/// Its address has its share.
pub const SHARE: &str =
    "Your address has as many connections as this proxy allows; use those, or try again in a moment.";

/// The plaintext, in the protocol that both have agreed on.
pub fn answer(h2: bool, why: &str) -> Vec<u8> {
    if h2 { goaway(why) } else { unavailable(why) }
}

fn unavailable(why: &str) -> Vec<u8> {
    let length = why.len().saturating_add(1);
    let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n";
    format!(
        "{head}Content-Length: {length}\r\nRetry-After: 1\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{why}\n"
    )
    .into_bytes()
}

/// The server's preface (an empty SETTINGS frame), and that not even the first stream was looked at.
fn goaway(why: &str) -> Vec<u8> {
    let debug = why.as_bytes().get(..why.len().min(247)).unwrap_or_default();
    let mut bytes = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    let length = u8::try_from(8_usize.saturating_add(debug.len())).unwrap_or(8);
    bytes.extend([0, 0, length, 7, 0, 0, 0, 0, 0]);
    bytes.extend([0; 4]);
    bytes.extend(ENHANCE_YOUR_CALM.to_be_bytes());
    bytes.extend_from_slice(debug);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn an_answer_says_its_own_length_and_that_the_connection_ends() {
        let text = String::from_utf8(answer(false, BUSY)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 ") && head.ends_with("Connection: close"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    }

    #[test]
    fn goaway_is_a_whole_frame_whatever_its_words() {
        for why in ["", SHARE, &"x".repeat(1000)] {
            let bytes = answer(true, why);
            let (settings, goaway) = bytes.split_at(9);
            assert_eq!(settings, [0, 0, 0, 4, 0, 0, 0, 0, 0]);
            assert_eq!(usize::from(goaway[2]), goaway.len() - 9, "{why}");
            assert_eq!(goaway[3..17], [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11]);
        }
    }
}
