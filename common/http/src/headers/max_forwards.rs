//! `Max-Forwards` (RFC 9110 §7.6.2): OPTIONS and TRACE say how many hops they may go; a proxy takes one off and must not forward at 0.

use http::header::{HeaderMap, MAX_FORWARDS};
use http::{HeaderValue, Method};

/// The request may not go further than this hop: it said 0, or nothing that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastHop;

/// Takes off one hop. Other methods are left alone, as the field means nothing for them.
///
/// # Errors
/// The request ends here.
pub fn count_down(method: &Method, headers: &mut HeaderMap) -> Result<(), LastHop> {
    if !matches!(*method, Method::OPTIONS | Method::TRACE) {
        return Ok(());
    }
    let mut lines = headers.get_all(MAX_FORWARDS).iter();
    let Some(value) = lines.next() else { return Ok(()) };
    let left = number(value).filter(|_| lines.next().is_none()).and_then(|left| left.checked_sub(1)).ok_or(LastHop)?;
    headers.insert(MAX_FORWARDS, left.into());
    Ok(())
}

/// Digits only: `parse` would take `+1`.
fn number(value: &HeaderValue) -> Option<u32> {
    let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(method: Method, lines: &[&'static str]) -> (Result<(), LastHop>, Vec<String>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(MAX_FORWARDS, HeaderValue::from_static(line));
        }
        let counted = count_down(&method, &mut headers);
        let left =
            headers.get_all(MAX_FORWARDS).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        (counted, left.collect())
    }

    #[test]
    fn one_hop_less_and_none_at_zero() {
        for method in [Method::OPTIONS, Method::TRACE] {
            assert_eq!(after(method.clone(), &["5"]), (Ok(()), vec!["4".to_owned()]));
            assert_eq!(after(method.clone(), &["1"]), (Ok(()), vec!["0".to_owned()]));
            assert_eq!(after(method.clone(), &[]), (Ok(()), vec![]));
            for last in [&["0"][..], &["+1"], &["-1"], &["x"], &[""], &["99999999999"], &["5", "6"]] {
                assert_eq!(after(method.clone(), last).0, Err(LastHop), "{last:?}");
            }
        }
        assert_eq!(after(Method::GET, &["0"]), (Ok(()), vec!["0".to_owned()]));
    }
}
